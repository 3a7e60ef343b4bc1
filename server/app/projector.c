/* SPDX-License-Identifier: Apache-2.0 */
#include "server/app/projector.h"

#include "server/app/gateway.h"
#include "server/base/check.h"

#include <stdlib.h>
#include <string.h>

enum {
    ROWS_PER_RECORD = 2,
    WINDOW_RECORDS = 100000, /* a job that ends within gets no row */
    IDLE_ROWS = 512,         /* in a group that carries nothing else */
    IDLE_AFTER_MS = 250,     /* without a record */
    ROW_BYTES_MAX = 4 << 20, /* payloads of one slice */
};

bool
projector_init(struct projector *projector, uint32_t slots, uint64_t watermark)
{
    *projector = (struct projector){.watermark = watermark};
    projector->slots = calloc(slots, sizeof(*projector->slots));
    return projector->slots != NULL;
}

void
projector_fini(struct projector *projector)
{
    free(projector->slots);
    free(projector->targets);
    projector->slots = NULL;
    projector->targets = NULL;
}

static void
enqueue(struct projector *projector, uint32_t slot)
{
    struct projector_slot *at = &projector->slots[slot];

    at->next = 0;
    at->prev = projector->last;
    if (projector->last != 0) {
        projector->slots[projector->last - 1].next = slot + 1;
    } else {
        projector->first = slot + 1;
    }
    projector->last = slot + 1;
    projector->waiting++;
}

static void
dequeue(struct projector *projector, uint32_t slot)
{
    struct projector_slot *at = &projector->slots[slot];

    if (at->prev != 0) {
        projector->slots[at->prev - 1].next = at->next;
    } else {
        projector->first = at->next;
    }
    if (at->next != 0) {
        projector->slots[at->next - 1].prev = at->prev;
    } else {
        projector->last = at->prev;
    }
    at->first_seq = 0;
    projector->waiting--;
}

void
projector_count(struct gateway *gateway, size_t bytes)
{
    gateway->projector.log_bytes += bytes;
}

void
projector_note(struct gateway *gateway, const struct record *record)
{
    struct projector *projector = &gateway->projector;
    struct projector_slot *at;

    projector->idle_since_ms = gateway->now.mono.ms;
    if (!store_keeps_rows(gateway->store) || record->slot == ENGINE_NO_SLOT) {
        return;
    }
    at = &projector->slots[record->slot];
    at->last_seq = record->seq;
    at->job = record->job;
    at->failed = at->failed || record->type == EVENT_JOB_FAILED;
    if (at->first_seq == 0) {
        at->first_seq = record->seq;
        at->first_bytes = projector->log_bytes;
        enqueue(projector, record->slot);
    }
}

void
projector_load(struct gateway *gateway, uint32_t slot, struct job_id job)
{
    gateway->projector.slots[slot].has_row = true;
    gateway->projector.slots[slot].job = job;
}

void
projector_move(struct gateway *gateway, uint32_t from, uint32_t to)
{
    struct projector *projector = &gateway->projector;
    struct projector_slot *at = &projector->slots[to];

    *at = projector->slots[from];
    projector->slots[from] = (struct projector_slot){.first_seq = 0};
    if (at->first_seq == 0) {
        return;
    }
    if (at->prev != 0) {
        projector->slots[at->prev - 1].next = to + 1;
    } else {
        projector->first = to + 1;
    }
    if (at->next != 0) {
        projector->slots[at->next - 1].prev = to + 1;
    } else {
        projector->last = to + 1;
    }
}

void
projector_drop(struct gateway *gateway, uint32_t slot)
{
    struct projector *projector = &gateway->projector;
    struct projector_slot *at = &projector->slots[slot];

    if (at->first_seq != 0) {
        dequeue(projector, slot);
    }
    if (at->has_row) {
        struct store_group *group = pipeline_group(gateway);

        (void)store_group_delete_job(group, at->job);
        if (!at->failed) {
            (void)store_group_delete_payload(group, at->job);
        }
    }
    *at = (struct projector_slot){.first_seq = 0};
}

/* ---- Targets ----------------------------------------------------------- */

static struct text
name_of(const struct projector_target *target)
{
    return (struct text){target->name, target->name_len};
}

static bool
has_name(const struct projector_target *target, struct text name)
{
    return target->name_len == name.len &&
           memcmp(target->name, name.at, name.len) == 0;
}

static bool
reserve_targets(struct projector *projector, uint32_t index)
{
    uint32_t count = projector->target_count;
    struct projector_target *targets;

    if (index < count) {
        return true;
    }
    count = index < count * 2 ? count * 2 : index + 64;
    targets = realloc(projector->targets, count * sizeof(*targets));
    if (targets == NULL) {
        return false;
    }
    memset(targets + projector->target_count, 0,
           (count - projector->target_count) * sizeof(*targets));
    projector->targets = targets;
    projector->target_count = count;
    return true;
}

/* The place of this target; one that was there before leaves with its row. */
static struct projector_target *
place_of(struct gateway *gateway, struct text name, uint32_t index)
{
    struct projector *projector = &gateway->projector;
    struct projector_target *target;

    redial_assert(name.len > 0 && name.len <= sizeof(target->name));
    if (!reserve_targets(projector, index)) {
        return NULL;
    }
    target = &projector->targets[index];
    if (!has_name(target, name)) {
        /* Unless it has moved, and has its row there. */
        if (target->has_row &&
            engine_find_target(gateway->engine, name_of(target)) ==
                ENGINE_NO_SLOT) {
            (void)store_group_delete_target(pipeline_group(gateway),
                                            name_of(target));
        }
        target->has_row = false;
        target->name_len = name.len;
        memcpy(target->name, name.at, name.len);
    }
    return target;
}

static void
enqueue_target(struct projector *projector, uint32_t index, uint64_t seq)
{
    struct projector_target *target = &projector->targets[index];

    target->last_seq = seq;
    if (target->first_seq != 0) {
        return;
    }
    target->first_seq = seq;
    target->first_bytes = projector->log_bytes;
    target->next = 0;
    if (projector->last_target != 0) {
        projector->targets[projector->last_target - 1].next = index + 1;
    } else {
        projector->first_target = index + 1;
    }
    projector->last_target = index + 1;
}

/* What the engine has forgotten: only its row is left to go. */
static void
note_forgotten(struct projector *projector, struct text name, uint64_t seq)
{
    for (uint32_t i = 0; i < projector->target_count; i++) {
        if (has_name(&projector->targets[i], name)) {
            enqueue_target(projector, i, seq);
        }
    }
}

bool
projector_note_target(struct gateway *gateway, struct text name, uint32_t index,
                      uint64_t seq)
{
    struct projector *projector = &gateway->projector;

    projector->idle_since_ms = gateway->now.mono.ms;
    if (!store_keeps_rows(gateway->store)) {
        return true;
    }
    if (index == ENGINE_NO_SLOT) {
        note_forgotten(projector, name, seq);
        return true;
    }
    if (place_of(gateway, name, index) == NULL) {
        return false;
    }
    enqueue_target(projector, index, seq);
    return true;
}

bool
projector_load_target(struct gateway *gateway, struct text name, uint32_t index)
{
    struct projector_target *target = place_of(gateway, name, index);

    if (target == NULL) {
        return false;
    }
    target->has_row = true;
    return true;
}

/* The row of the front, or its end where nothing is left to remember. */
static size_t
write_target(struct gateway *gateway, struct store_group *group)
{
    struct projector *projector = &gateway->projector;
    uint32_t index = projector->first_target - 1;
    struct projector_target *target = &projector->targets[index];
    uint8_t row[ENGINE_TARGET_EXPORT_MAX];
    size_t len = 0;

    if (engine_find_target(gateway->engine, name_of(target)) == index) {
        len = engine_export_target(gateway->engine, index, row);
    }
    if (len > 0) {
        (void)store_group_put_target(group, name_of(target), target->last_seq,
                                     row, len);
    } else if (target->has_row) {
        (void)store_group_delete_target(group, name_of(target));
    }
    target->has_row = len > 0;
    target->first_seq = 0;
    projector->first_target = target->next;
    if (projector->first_target == 0) {
        projector->last_target = 0;
    }
    return len;
}

/* ---- Filling ----------------------------------------------------------- */

static size_t
write_row(struct gateway *gateway, struct store_group *group, uint32_t slot)
{
    struct projector_slot *at = &gateway->projector.slots[slot];
    struct text content = contents_get(gateway, slot);
    uint8_t row[ENGINE_EXPORT_MAX];
    size_t len = engine_export_job(gateway->engine, slot, row);

    (void)store_group_put_job(group, at->job, at->last_seq, row, len);
    if (!at->has_row && content.len > 0) {
        (void)store_group_put_payload(group, at->job, content.at, content.len);
        contents_stored(gateway, slot, pipeline_serial(gateway));
        len += content.len;
    }
    at->has_row = true;
    return len;
}

/* What the oldest record that no row reflects yet says; none: 0. */
struct lowest {
    uint64_t seq;
    uint64_t bytes; /* of the log before it */
    bool is_target;
};

static struct lowest
find_lowest(const struct projector *projector)
{
    struct lowest lowest = {.bytes = projector->log_bytes};

    if (projector->first != 0) {
        const struct projector_slot *job =
            &projector->slots[projector->first - 1];

        lowest.seq = job->first_seq;
        lowest.bytes = job->first_bytes;
    }
    if (projector->first_target != 0) {
        const struct projector_target *target =
            &projector->targets[projector->first_target - 1];

        if (lowest.seq == 0 || target->first_seq < lowest.seq) {
            lowest.seq = target->first_seq;
            lowest.bytes = target->first_bytes;
            lowest.is_target = true;
        }
    }
    return lowest;
}

/* The job at the front of its queue. */
static size_t
write_front(struct gateway *gateway, struct store_group *group)
{
    uint32_t slot = gateway->projector.first - 1;
    size_t len = write_row(gateway, group, slot);

    dequeue(&gateway->projector, slot);
    return len;
}

static bool
is_idle(const struct gateway *gateway)
{
    return gateway->now.mono.ms - gateway->projector.idle_since_ms >=
           IDLE_AFTER_MS;
}

/* Without tables nothing is ever behind: all of the log may be dropped. */
static void
keep_up(struct gateway *gateway)
{
    struct projector *projector = &gateway->projector;
    uint64_t last = tail_last(gateway->tail);

    if (last > projector->watermark) {
        store_group_set_watermark(pipeline_group(gateway), last);
        projector->watermark = last;
    }
}

void
projector_fill(struct gateway *gateway)
{
    struct projector *projector = &gateway->projector;
    struct store_group *group;
    uint64_t last = tail_last(gateway->tail);
    struct lowest lowest = find_lowest(projector);
    uint64_t watermark;
    size_t rows;
    size_t bytes = 0;

    if (!store_keeps_rows(gateway->store)) {
        keep_up(gateway);
        return;
    }
    if (store_pipe_free(gateway->store) == 0) {
        return;
    }
    if (projector->watermark >= last && lowest.seq == 0) {
        return;
    }
    if (is_idle(gateway)) {
        rows = IDLE_ROWS;
    } else {
        if (last - projector->watermark < WINDOW_RECORDS) {
            return;
        }
        rows = store_group_count(pipeline_group(gateway)) * ROWS_PER_RECORD;
    }
    group = pipeline_group(gateway);
    while (rows > 0 && lowest.seq != 0 && bytes < ROW_BYTES_MAX) {
        bytes += lowest.is_target ? write_target(gateway, group)
                                  : write_front(gateway, group);
        lowest = find_lowest(projector);
        rows--;
    }
    watermark = lowest.seq == 0 ? last : lowest.seq - 1;
    /* A group of its own is worth that only when nothing else is to be done. */
    if (watermark > projector->watermark &&
        (is_idle(gateway) || store_group_count(group) > 0)) {
        store_group_set_watermark(group, watermark);
        projector->watermark = watermark;
        projector->watermark_bytes = lowest.bytes;
    }
}

uint64_t
projector_lag_records(const struct gateway *gateway)
{
    uint64_t last = tail_last(gateway->tail);

    return store_keeps_rows(gateway->store) &&
                   last > gateway->projector.watermark
               ? last - gateway->projector.watermark
               : 0;
}

uint64_t
projector_lag_bytes(const struct gateway *gateway)
{
    const struct projector *projector = &gateway->projector;

    return store_keeps_rows(gateway->store)
               ? projector->log_bytes - projector->watermark_bytes
               : 0;
}

int64_t
projector_next_ms(const struct gateway *gateway)
{
    const struct projector *projector = &gateway->projector;

    if (!store_keeps_rows(gateway->store) ||
        (projector->waiting == 0 && projector->first_target == 0 &&
         projector->watermark >= tail_last(gateway->tail))) {
        return INT64_MAX;
    }
    return projector->idle_since_ms + IDLE_AFTER_MS;
}
