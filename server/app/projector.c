/* SPDX-License-Identifier: Apache-2.0 */
#include "server/app/projector.h"

#include "server/app/gateway.h"
#include "server/base/check.h"

#include <stdlib.h>

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
    projector->slots = NULL;
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

/* Bytes of the log up to the watermark that lowest_waiting() gives. */
static uint64_t
bytes_of_lowest(const struct projector *projector)
{
    return projector->first == 0
               ? projector->log_bytes
               : projector->slots[projector->first - 1].first_bytes;
}

static uint64_t
lowest_waiting(const struct projector *projector, uint64_t last)
{
    return projector->first == 0
               ? last
               : projector->slots[projector->first - 1].first_seq - 1;
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
    if (projector->watermark >= last && projector->waiting == 0) {
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
    while (rows > 0 && projector->first != 0 && bytes < ROW_BYTES_MAX) {
        uint32_t slot = projector->first - 1;

        bytes += write_row(gateway, group, slot);
        dequeue(projector, slot);
        rows--;
    }
    watermark = lowest_waiting(projector, last);
    if (watermark > projector->watermark) {
        store_group_set_watermark(group, watermark);
        projector->watermark = watermark;
        projector->watermark_bytes = bytes_of_lowest(projector);
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
        (projector->waiting == 0 &&
         projector->watermark >= tail_last(gateway->tail))) {
        return INT64_MAX;
    }
    return projector->idle_since_ms + IDLE_AFTER_MS;
}
