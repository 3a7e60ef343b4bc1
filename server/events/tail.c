/* SPDX-License-Identifier: Apache-2.0 */
#include "server/events/tail.h"

#include "server/base/check.h"
#include "server/base/map.h"
#include "server/events/filter.h"

#include <stdlib.h>

/*
 * Entries lie in a ring, seq s at s & mask. A group is referred to once, by the
 * run of its entries: taken with the first, dropped with the last.
 */
struct tail {
    struct tail_entry *entries;
    uint32_t mask;
    uint64_t first;
    uint64_t last; /* 0: empty since the start */
    uint64_t committed;
    size_t bytes;
    size_t bytes_max;
    void *map_memory;
    struct map finals; /* job id -> place in the ring */
};

static uint32_t
round_up(uint32_t count)
{
    uint32_t power = 2;

    while (power < count && power < UINT32_C(1) << 30) {
        power <<= 1;
    }
    return power;
}

struct tail *
tail_new(uint32_t entries_max, size_t bytes_max)
{
    struct tail *tail = calloc(1, sizeof(*tail));
    uint32_t count = round_up(entries_max);

    if (tail == NULL) {
        return NULL;
    }
    tail->mask = count - 1;
    tail->first = 1;
    tail->bytes_max = bytes_max;
    tail->entries = calloc(count, sizeof(*tail->entries));
    tail->map_memory = calloc(1, map_size(16, count));
    if (tail->entries == NULL || tail->map_memory == NULL) {
        tail_free(tail);
        return NULL;
    }
    map_init(&tail->finals, tail->map_memory, 16, count,
             (struct hash_key){{0, 0}});
    return tail;
}

static bool
is_empty(const struct tail *tail)
{
    return tail->first > tail->last;
}

static struct tail_entry *
entry_at(const struct tail *tail, uint64_t seq)
{
    return &tail->entries[seq & tail->mask];
}

static size_t
entry_bytes(const struct tail_entry *entry)
{
    return store_group_entry(entry->group, entry->index)->len;
}

static void
drop_first(struct tail *tail)
{
    struct tail_entry *entry = entry_at(tail, tail->first);
    uint32_t place = (uint32_t)(tail->first & tail->mask);
    struct store_group *group = entry->group;

    if (event_is_final(entry->type) &&
        map_get(&tail->finals, entry->job.bytes) == place) {
        map_remove(&tail->finals, entry->job.bytes);
    }
    tail->bytes -= entry_bytes(entry);
    entry->group = NULL;
    tail->first++;
    if (is_empty(tail) || entry_at(tail, tail->first)->group != group) {
        store_group_unref(group);
    }
}

void
tail_start(struct tail *tail, uint64_t next_seq)
{
    redial_assert(is_empty(tail) && next_seq > 0);
    tail->first = next_seq;
    tail->last = next_seq - 1;
    tail->committed = next_seq - 1;
}

void
tail_free(struct tail *tail)
{
    if (tail == NULL) {
        return;
    }
    while (tail->entries != NULL && !is_empty(tail)) {
        drop_first(tail);
    }
    free(tail->entries);
    free(tail->map_memory);
    free(tail);
}

bool
event_is_final(enum event_type type)
{
    return type == EVENT_JOB_SUCCEEDED || type == EVENT_JOB_FAILED ||
           type == EVENT_JOB_CANCELLED || type == EVENT_JOB_EXPIRED;
}

void
tail_add(struct tail *tail, struct store_group *group,
         const struct record *record)
{
    uint64_t seq = record->seq;
    struct tail_entry *entry = entry_at(tail, seq);
    bool joins = !is_empty(tail) && entry_at(tail, tail->last)->group == group;

    redial_assert(tail->last == 0 || seq == tail->last + 1);
    if (is_empty(tail)) {
        tail->first = seq;
    }
    tail->last = seq;
    if (!joins) {
        store_group_ref(group);
    }
    if (entry->group != NULL) {
        /* The ring is full: the oldest stands where the newest will. */
        tail->last--;
        drop_first(tail);
        tail->last++;
    }
    *entry = (struct tail_entry){
        .group = group,
        .index = (uint32_t)store_group_count(group) - 1,
        .type = record->type,
        .correlation_hash = filter_hash_correlation(record->correlation),
        .method_hash = filter_hash_method(record->service, record->method),
        .job = record->job,
    };
    tail->bytes += entry_bytes(entry);
    if (event_is_final(record->type)) {
        (void)map_put(&tail->finals, record->job.bytes,
                      (uint32_t)(seq & tail->mask));
    }
    while (tail->bytes > tail->bytes_max && tail->first < tail->last) {
        drop_first(tail);
    }
}

void
tail_commit(struct tail *tail, uint64_t seq)
{
    redial_assert(seq >= tail->committed);
    tail->committed = seq;
}

uint64_t
tail_first(const struct tail *tail)
{
    return tail->first;
}

uint64_t
tail_last(const struct tail *tail)
{
    return tail->last;
}

uint64_t
tail_committed(const struct tail *tail)
{
    return tail->committed;
}

const struct tail_entry *
tail_at(const struct tail *tail, uint64_t seq)
{
    redial_assert(seq >= tail->first && seq <= tail->last);
    return entry_at(tail, seq);
}

size_t
tail_bytes_of(const struct tail *tail, uint64_t seq)
{
    return entry_bytes(tail_at(tail, seq));
}

void
tail_record(const struct tail *tail, uint64_t seq, struct record *ret_record)
{
    const struct tail_entry *entry = tail_at(tail, seq);

    store_group_record(entry->group, entry->index, ret_record);
}

uint64_t
tail_final(const struct tail *tail, struct job_id job)
{
    uint32_t place = map_get(&tail->finals, job.bytes);
    const struct tail_entry *entry;

    if (place == MAP_NONE) {
        return 0;
    }
    entry = &tail->entries[place];
    return store_group_entry(entry->group, entry->index)->seq;
}
