/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside of a group: what the loop builds and the store's own parts read.
 *
 * bytes    the records, each behind its length (4 bytes, little-endian): this
 *          is the log row's blob, as it is
 * marks    what trimming must know of the group without decoding it: one mark
 *          for each record that accepts, ends or requeues a job; a blob of the
 *          log row as well
 * work     what the writer does beside appending, in order; memory only
 */
#ifndef REDIAL_SERVER_STORE_GROUP_H
#define REDIAL_SERVER_STORE_GROUP_H

#include "server/base/bytes.h"
#include "server/base/list.h"
#include "server/store/store.h"

#include <stdatomic.h>

enum {
    GROUP_FRAME_BYTES = 4, /* the length in front of each record */
    GROUP_MARK_BYTES = 20, /* job id, then type, index and a flag */
    GROUP_BYTES_MAX = 900 * 1024 * 1024, /* below the engine's blob limit */
};

struct store_group {
    atomic_uint refs;
    struct list link; /* in the pipe, then among the finished ones */
    enum store_status status;
    uint64_t watermark; /* 0: not set */
    int64_t wall_ms;    /* of the last record */
    struct bytes bytes;
    struct bytes marks;
    struct bytes work;
    struct store_entry *entries;
    size_t count;
    size_t capacity;
    size_t work_count;   /* the loop's operations, without our own */
    uint32_t finals;     /* final records */
    uint32_t correlated; /* of those: with a correlation id of their own */
    uint64_t write_us;
    uint64_t sync_us;
    void *user;
};

/* A stored mark, decoded. */
struct group_mark {
    struct job_id job;
    enum event_type type;
    uint32_t index; /* of its record */
    bool keyed;     /* final: the job has a key */
};

size_t
group_mark_count(size_t len);

/* False: the bytes are damaged. */
bool
group_mark(const uint8_t *marks, size_t index, struct group_mark *ret);

enum work_kind {
    WORK_PUT_JOB = 1,
    WORK_DELETE_JOB,
    WORK_PUT_PAYLOAD,
    WORK_DELETE_PAYLOAD,
    WORK_PUT_TARGET,
    WORK_DELETE_TARGET,
    WORK_KEY,      /* bytes: key hash, content hash */
    WORK_FINAL,    /* bytes: correlation id, none: the job's own */
    WORK_LATE,     /* a record after the final one */
    WORK_REQUEUED, /* bytes: correlation id */
};

struct work {
    enum work_kind kind;
    enum event_type type; /* WORK_FINAL */
    struct job_id job;
    struct text name; /* WORK_PUT_TARGET, WORK_DELETE_TARGET */
    uint64_t seq;
    const uint8_t *bytes;
    size_t len;
};

/* False: no memory. */
bool
group_add_work(struct store_group *group, const struct work *work);

/* What the store does by itself for this record, which is about to be added. */
bool
group_add_index_work(struct store_group *group, const struct record *record);

/* Walks the work: start with *cursor = 0; false at the end. */
bool
group_next_work(const struct store_group *group, size_t *cursor,
                struct work *ret);

bool
group_is_final(enum event_type type);

/*
 * A group made of a log row's bytes, which are copied and fully checked. NULL
 * with *ret_status STORE_CORRUPT or STORE_NO_MEMORY.
 */
struct store_group *
group_parse(uint64_t first_seq, size_t count, const uint8_t *bytes, size_t len,
            enum store_status *ret_status);

/* The same for the stored bytes of a single record, in *ret. */
enum store_status
group_of_record(const uint8_t *stored, size_t len, struct store_group **ret);

/*
 * Appends stored bytes of one record, which need not follow the last seq.
 * False: no memory.
 */
bool
group_copy_record(struct store_group *group, const struct store_entry *entry,
                  const uint8_t *stored);

/* The entry with this seq in a group without holes; NULL: not in it. */
const struct store_entry *
group_find(const struct store_group *group, uint64_t seq);

/* Bytes of memory that its records take. */
size_t
group_memory(const struct store_group *group);

/* Drops the work, which is done, and memory beyond what is used. */
void
group_shrink(struct store_group *group);

#endif
