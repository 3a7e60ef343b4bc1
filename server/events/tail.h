/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The newest records of the log, in memory: what watchers that keep up read,
 * and where the outcome of a job is found that has just finished.
 *
 * The tail refers to groups and copies nothing. It includes records that are
 * not on disk yet; tail_committed() says up to where a watcher may see. It is
 * bounded by entries and by bytes; older records leave it and are read from the
 * store from then on. One thread, the loop.
 */
#ifndef REDIAL_SERVER_EVENTS_TAIL_H
#define REDIAL_SERVER_EVENTS_TAIL_H

#include "server/core/record.h"
#include "server/store/store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tail;

/* What a filter looks at before anything is decoded. */
struct tail_entry {
    struct store_group *group;
    uint32_t index; /* in the group */
    enum event_type type;
    uint64_t correlation_hash; /* 0: it equals the job id */
    uint64_t method_hash;      /* of service and method */
    struct job_id job;
};

/*
 * `entries_max` is rounded up to a power of two. Memory is touched as it is
 * used. NULL: no memory.
 */
struct tail *
tail_new(uint32_t entries_max, size_t bytes_max);

/* An empty tail behind a log that is on disk; `next_seq` comes next. */
void
tail_start(struct tail *tail, uint64_t next_seq);

/* NULL is allowed. */
void
tail_free(struct tail *tail);

/*
 * Adds the newest record of `group`, which the tail refers to as long as it
 * needs. Records come in order of seq without a hole; the first may have any.
 */
void
tail_add(struct tail *tail, struct store_group *group,
         const struct record *record);

/* Everything up to `seq` is on disk. Never goes back. */
void
tail_commit(struct tail *tail, uint64_t seq);

/* Oldest record at hand; above tail_last() when there is none. */
uint64_t
tail_first(const struct tail *tail);

/* Newest record, on disk or not. 0: there never was one. */
uint64_t
tail_last(const struct tail *tail);

/* Newest record that is on disk. */
uint64_t
tail_committed(const struct tail *tail);

/* `seq` from tail_first() to tail_last(). */
const struct tail_entry *
tail_at(const struct tail *tail, uint64_t seq);

/* The size of its stored form. */
size_t
tail_bytes_of(const struct tail *tail, uint64_t seq);

/* Decodes it; texts live as long as it stays in the tail. */
void
tail_record(const struct tail *tail, uint64_t seq, struct record *ret_record);

/* The seq of the record that ended this job, or 0 when it is not here. */
uint64_t
tail_final(const struct tail *tail, struct job_id job);

/* True for job.succeeded, .failed, .cancelled and .expired. */
bool
event_is_final(enum event_type type);

#endif
