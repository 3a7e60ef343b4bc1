/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recovery: rows of the tables, keys, then every record above the watermark
 * through the engine's apply; at last one engine_recover(), which decides from
 * the present. What the loop keeps beside the engine (contents, projection) is
 * rebuilt on the way.
 */
#include "server/app/recover.h"

#include "server/app/reload.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { SYNC_SLOW_US = 5000 };

struct recovery {
    struct gateway *gateway;
    struct job_id *stale; /* jobs that ended and may still have a row */
    size_t stale_count;
    size_t stale_capacity;
    bool failed;
};

static bool
on_job(void *ctx, struct job_id id, const uint8_t *row, size_t len)
{
    struct recovery *recovery = ctx;
    struct gateway *gateway = recovery->gateway;
    uint32_t slot;

    if (!engine_load_job(gateway->engine, row, len)) {
        recovery->failed = true;
        return false;
    }
    slot = engine_find(gateway->engine, id);
    if (slot == ENGINE_NO_SLOT) {
        recovery->failed = true;
        return false;
    }
    contents_adopt(gateway, slot, (struct text){NULL, 0});
    contents_stored(gateway, slot, 1);
    projector_load(gateway, slot, id);
    return true;
}

static bool
on_key(void *ctx, const struct store_key *key)
{
    struct recovery *recovery = ctx;

    return engine_load_key(recovery->gateway->engine, key->key_hash,
                           key->content_hash, key->job);
}

static bool
on_target(void *ctx, struct text name, const uint8_t *row, size_t len)
{
    struct recovery *recovery = ctx;
    struct gateway *gateway = recovery->gateway;
    uint32_t index;

    if (!engine_load_target(gateway->engine, row, len)) {
        recovery->failed = true;
        return false;
    }
    index = engine_find_target(gateway->engine, name);
    if (index == ENGINE_NO_SLOT) {
        recovery->failed = true; /* the row is that of another name */
        return false;
    }
    return projector_load_target(gateway, name, index);
}

static bool
remember_stale(struct recovery *recovery, struct job_id job)
{
    if (recovery->stale_count == recovery->stale_capacity) {
        size_t capacity = recovery->stale_capacity * 2 + 64;
        struct job_id *stale = realloc(recovery->stale,
                                       capacity * sizeof(*stale));

        if (stale == NULL) {
            return false;
        }
        recovery->stale = stale;
        recovery->stale_capacity = capacity;
    }
    recovery->stale[recovery->stale_count++] = job;
    return true;
}

/* The job ended while it was replayed: its slot is free again. */
static bool
forget(struct recovery *recovery, const struct record *record, uint32_t slot)
{
    struct gateway *gateway = recovery->gateway;
    struct projector_slot *row = &gateway->projector.slots[slot];

    if (row->has_row && !remember_stale(recovery, record->job)) {
        return false;
    }
    row->has_row = false;
    projector_drop(gateway, slot);
    contents_drop(gateway, slot);
    return true;
}

static bool
on_record(void *ctx, const struct record *record)
{
    struct recovery *recovery = ctx;
    struct gateway *gateway = recovery->gateway;
    uint32_t before = ENGINE_NO_SLOT;
    uint32_t after = ENGINE_NO_SLOT;
    struct record noted = *record;
    struct text target;

    if (record->job_seq > 0) {
        before = engine_find(gateway->engine, record->job);
    }
    if (!engine_apply(gateway->engine, record)) {
        recovery->failed = true;
        return false;
    }
    if (engine_changes_target(record, &target) &&
        !projector_note_target(gateway, target,
                               engine_find_target(gateway->engine, target),
                               record->seq)) {
        return false;
    }
    if (record->job_seq > 0) {
        after = engine_find(gateway->engine, record->job);
    }
    if (after == ENGINE_NO_SLOT) {
        return before == ENGINE_NO_SLOT || forget(recovery, record, before);
    }
    if (before == ENGINE_NO_SLOT && record->type == EVENT_JOB_ACCEPTED &&
        !contents_copy(gateway, after, record)) {
        return false;
    }
    noted.slot = after;
    projector_note(gateway, &noted);
    return true;
}

static void
derive_hash_keys(struct gateway *gateway)
{
    uint8_t bytes[16] = {0};
    char digits[3] = {0};

    for (size_t i = 0; i < sizeof(bytes); i++) {
        memcpy(digits, gateway->recovered.epoch + 2 * i, 2);
        bytes[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    gateway->rules.hash_keys.key = hash_key_from_bytes(bytes);
    bytes[0] ^= 0xff;
    gateway->rules.hash_keys.content = hash_key_from_bytes(bytes);
}

static void
drop_stale_rows(struct recovery *recovery)
{
    struct store_group *group;

    if (recovery->stale_count == 0) {
        return;
    }
    group = pipeline_group(recovery->gateway);
    for (size_t i = 0; i < recovery->stale_count; i++) {
        (void)store_group_delete_job(group, recovery->stale[i]);
    }
}

static void
say_recovered(struct gateway *gateway)
{
    const struct store_recovered *found = &gateway->recovered;

    log_eventf(LOG_STORE_RECOVERED,
               "epoch %s, seq %" PRIu64 " to %" PRIu64 ", %" PRIu64
               " records replayed, a sync takes %" PRIu64 " us",
               found->epoch, found->first_seq, found->next_seq - 1,
               found->records, found->sync_us);
    if (found->sync_us > SYNC_SLOW_US) {
        log_eventf(LOG_STORE_SLOW, "%" PRIu64 " us", found->sync_us);
    }
}

/* A clock that was set back must not make time run backwards in the log. */
static struct now
not_before_the_log(const struct gateway *gateway)
{
    struct now now = gateway->now;

    if (now.wall.ms < gateway->recovered.last_wall_ms) {
        now.wall.ms = gateway->recovered.last_wall_ms;
    }
    return now;
}

/* A lower limit than there are jobs: nothing of theirs may be dropped. */
static bool
has_room(const struct gateway *gateway)
{
    struct engine_stats stats;
    uint64_t live = 0;

    engine_stats(gateway->engine, gateway->now, &stats);
    for (int state = JOB_SCHEDULED; state < JOB_SUCCEEDED; state++) {
        live += stats.jobs[state];
    }
    if (live <= gateway->config->limits_jobs_max) {
        return true;
    }
    log_eventf(LOG_STORE_OPEN_FAILED,
               "it holds %" PRIu64 " live jobs, and limits.jobsMax is %" PRIu32
               ": raise the limit",
               live, gateway->config->limits_jobs_max);
    return false;
}

/*
 * Stale rows and replayed jobs may have needed more slots than there are in
 * normal life. The engine moves those jobs; what is kept beside them follows.
 */
static void
follow_moves(struct gateway *gateway, uint32_t slots_max)
{
    for (uint32_t from = gateway->config->limits_jobs_max; from < slots_max;
         from++) {
        const struct projector_slot *row = &gateway->projector.slots[from];
        uint32_t to;

        if (!gateway->contents.slots[from].live) {
            continue;
        }
        to = engine_find(gateway->engine, row->job);
        if (to != ENGINE_NO_SLOT && to != from) {
            contents_move(gateway, from, to);
            projector_move(gateway, from, to);
        }
    }
}

static void
decide(struct gateway *gateway)
{
    tail_start(gateway->tail, gateway->recovered.next_seq);
    gateway->projector.watermark = gateway->recovered.watermark;
    engine_recover(gateway->engine, not_before_the_log(gateway),
                   gateway->recovered.next_seq, &gateway->out);
    follow_moves(gateway, gateway->contents.count);
    pipeline_absorb(gateway, (struct text){NULL, 0});
}

static enum gateway_exit
fail(struct gateway *gateway, enum store_status status)
{
    log_eventf(LOG_STORE_OPEN_FAILED, "%s: %s (%s)", gateway->config->store_dir,
               store_status_text(status), store_detail(gateway->store));
    return status == STORE_LOCKED ? GATEWAY_EXIT_STORE_IN_USE
                                  : GATEWAY_EXIT_STORE;
}

enum gateway_exit
recover(struct gateway *gateway)
{
    static const struct store_recovery callbacks = {
        .job = on_job,
        .key = on_key,
        .record = on_record,
        .target = on_target,
    };
    struct recovery recovery = {.gateway = gateway};
    enum store_status status = store_open(gateway->store);

    if (status != STORE_OK) {
        return fail(gateway, status);
    }
    status = store_recover(gateway->store, &callbacks, &recovery,
                           &gateway->recovered);
    if (status != STORE_OK) {
        free(recovery.stale);
        return fail(gateway, recovery.failed ? STORE_CORRUPT : status);
    }
    if (!has_room(gateway)) {
        free(recovery.stale);
        return GATEWAY_EXIT_STORE;
    }
    derive_hash_keys(gateway);
    say_recovered(gateway);
    decide(gateway);
    drop_stale_rows(&recovery);
    free(recovery.stale);
    gateway->source = (struct codec_source){
        .epoch = gateway->recovered.epoch,
        .gateway = gateway->config->name,
    };
    return GATEWAY_EXIT_OK;
}
