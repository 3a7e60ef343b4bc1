/* SPDX-License-Identifier: Apache-2.0 */
#include "server/app/pipeline.h"

#include "server/app/gateway.h"
#include "server/base/check.h"

#include <stdlib.h>

struct batch {
    struct batch *next;
    uint64_t serial;
    struct store_group *group; /* NULL: no records, no projection */
    struct rpc_reply *replies;
    struct rpc_reply **replies_end;
    bool handed;
    bool done;
};

static struct batch *
batch_new(uint64_t serial)
{
    struct batch *batch = calloc(1, sizeof(*batch));

    if (batch != NULL) {
        batch->serial = serial;
        batch->replies_end = &batch->replies;
    }
    return batch;
}

bool
pipeline_init(struct pipeline *pipeline)
{
    *pipeline = (struct pipeline){.released_serial = 0};
    pipeline->open = batch_new(1);
    pipeline->oldest = pipeline->open;
    return pipeline->open != NULL;
}

void
pipeline_fini(struct gateway *gateway)
{
    struct batch *batch = gateway->pipeline.oldest;

    while (batch != NULL) {
        struct batch *next = batch->next;

        while (batch->replies != NULL) {
            struct rpc_reply *reply = batch->replies;

            batch->replies = reply->next;
            rpc_reply_drop(gateway->rpc, reply);
        }
        store_group_unref(batch->group);
        free(batch);
        batch = next;
    }
    gateway->pipeline.oldest = NULL;
    gateway->pipeline.open = NULL;
}

uint64_t
pipeline_serial(const struct gateway *gateway)
{
    return gateway->pipeline.open->serial;
}

bool
pipeline_is_released(const struct gateway *gateway, uint64_t serial)
{
    return serial <= gateway->pipeline.released_serial;
}

/* Without memory for a record the promise to keep it cannot be held: stop. */
static void
must(bool worked)
{
    if (!worked) {
        log_event(LOG_OUT_OF_MEMORY, NULL);
        exit(GATEWAY_EXIT_INTERNAL);
    }
}

struct store_group *
pipeline_group(struct gateway *gateway)
{
    struct batch *open = gateway->pipeline.open;

    if (open->group == NULL) {
        open->group = store_group_new(gateway->store);
        must(open->group != NULL);
        store_group_set_user(open->group, open);
    }
    return open->group;
}

static void
absorb_record(struct gateway *gateway, struct record *record,
              struct text attached)
{
    struct store_group *group = pipeline_group(gateway);
    struct text target;

    if (record->attachment == ATTACHMENT_NONE) {
        attached = (struct text){NULL, 0};
    }
    record->attached = attached;
    must(store_group_add(group, record, attached));
    tail_add(gateway->tail, group, record);
    projector_count(gateway, tail_bytes_of(gateway->tail, record->seq));
    if (engine_changes_target(record, &target)) {
        must(projector_note_target(gateway, target, record->target_index,
                                   record->seq));
    }
    if (record->job_seq == 0) {
        return;
    }
    if (record->type == EVENT_JOB_ACCEPTED) {
        contents_adopt(gateway, record->slot, attached);
        gateway->contents.slots[record->slot].accepted_seq = record->seq;
    } else if (record->type == EVENT_JOB_FAILED) {
        gateway->failed_since_start++;
        log_record(LOG_JOB_FAILED, record);
    } else if (record->type == EVENT_RETRY_PLANNED) {
        log_record(LOG_JOB_RETRY, record);
    }
    projector_note(gateway, record);
    if (event_is_final(record->type)) {
        waiters_final(gateway, record);
    }
}

static void
absorb_command(struct gateway *gateway, const struct engine_command *command)
{
    switch (command->type) {
    case COMMAND_ASSIGN:
        mailboxes_assign(gateway, command);
        break;
    case COMMAND_STOP:
        mailboxes_stop(gateway, command);
        break;
    case COMMAND_RELEASE:
        contents_drop(gateway, command->slot);
        projector_drop(gateway, command->slot);
        break;
    case COMMAND_FORGET:
        mailboxes_forget(gateway, command->worker);
        break;
    }
}

void
pipeline_absorb(struct gateway *gateway, struct text attached)
{
    struct engine_outbox *out = &gateway->out;

    for (size_t i = 0; i < out->record_count; i++) {
        absorb_record(gateway, &out->records[i], attached);
    }
    for (size_t i = 0; i < out->command_count; i++) {
        absorb_command(gateway, &out->commands[i]);
    }
}

void
pipeline_step(struct gateway *gateway, const struct engine_input *input,
              struct text attached)
{
    engine_step(gateway->engine, gateway->now, input, &gateway->out);
    pipeline_absorb(gateway, attached);
}

void
pipeline_reply(struct gateway *gateway, struct rpc_reply *reply)
{
    struct batch *open = gateway->pipeline.open;

    if (reply == NULL) {
        return;
    }
    reply->next = NULL;
    *open->replies_end = reply;
    open->replies_end = &reply->next;
}

static void
open_next(struct gateway *gateway)
{
    struct pipeline *pipeline = &gateway->pipeline;
    struct batch *batch = batch_new(pipeline->open->serial + 1);

    must(batch != NULL);
    pipeline->open->handed = true;
    pipeline->open->next = batch;
    pipeline->open = batch;
}

static void
release(struct gateway *gateway, struct batch *batch)
{
    struct rpc_reply *reply = batch->replies;

    while (reply != NULL) {
        struct rpc_reply *next = reply->next;

        rpc_release(gateway->rpc, reply);
        reply = next;
    }
    gateway->pipeline.released_serial = batch->serial;
    store_group_unref(batch->group);
    free(batch);
}

/* Releases in order whatever is done. */
static bool
release_done(struct gateway *gateway)
{
    struct pipeline *pipeline = &gateway->pipeline;
    bool any = false;

    while (pipeline->oldest->handed && pipeline->oldest->done) {
        struct batch *batch = pipeline->oldest;

        pipeline->oldest = batch->next;
        release(gateway, batch);
        any = true;
    }
    return any;
}

static void
announce(struct gateway *gateway)
{
    mailboxes_deliver(gateway);
    watchers_look(gateway);
}

static bool
has_work(const struct batch *batch)
{
    return batch->group != NULL && (store_group_count(batch->group) > 0 ||
                                    store_group_work(batch->group) > 0);
}

void
pipeline_end_turn(struct gateway *gateway)
{
    struct pipeline *pipeline = &gateway->pipeline;
    struct batch *open = pipeline->open;

    projector_fill(gateway);
    if (has_work(open)) {
        if (store_pipe_free(gateway->store) == 0) {
            return;
        }
        pipeline->lag_records += store_group_count(open->group);
        open_next(gateway);
        store_commit(gateway->store, open->group);
        pipeline_collect(gateway);
        return;
    }
    if (open->replies == NULL &&
        !mailboxes_need_serial(gateway, open->serial)) {
        return;
    }
    open->done = true;
    open_next(gateway);
    if (release_done(gateway)) {
        announce(gateway);
    }
}

static void
note_sync(struct pipeline *pipeline, const struct store_group *group)
{
    uint64_t us = store_group_sync_us(group);

    pipeline->sync_us[pipeline->syncs % PIPELINE_SAMPLES] = us > UINT32_MAX
                                                                ? UINT32_MAX
                                                                : (uint32_t)us;
    pipeline->syncs++;
}

void
pipeline_collect(struct gateway *gateway)
{
    struct pipeline *pipeline = &gateway->pipeline;
    struct store_group *group;

    while ((group = store_take_done(gateway->store)) != NULL) {
        struct batch *batch = store_group_user(group);

        if (store_group_status(group) != STORE_OK) {
            log_event(LOG_STORE_WRITE_FAILED, store_detail(gateway->store));
            gateway->exit = GATEWAY_EXIT_STORE_WRITE;
            gateway->stop_now = true;
            store_group_unref(group);
            return;
        }
        batch->done = true;
        pipeline->lag_records -= store_group_count(group);
        if (store_group_count(group) > 0) {
            tail_commit(gateway->tail, store_group_last_seq(group));
        }
        note_sync(pipeline, group);
        store_group_unref(group);
    }
    if (release_done(gateway)) {
        announce(gateway);
    }
}

bool
pipeline_is_idle(const struct gateway *gateway)
{
    const struct batch *open = gateway->pipeline.open;

    return gateway->pipeline.oldest == open && !has_work(open) &&
           open->replies == NULL;
}

static int
compare_us(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

uint32_t
pipeline_sync_us(const struct pipeline *pipeline, unsigned percent)
{
    uint32_t sorted[PIPELINE_SAMPLES];
    size_t count = pipeline->syncs < PIPELINE_SAMPLES ? (size_t)pipeline->syncs
                                                      : PIPELINE_SAMPLES;

    if (count == 0) {
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        sorted[i] = pipeline->sync_us[i];
    }
    qsort(sorted, count, sizeof(sorted[0]), compare_us);
    return sorted[(count - 1) * percent / 100];
}
