/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store in memory. Its parts:
 *
 *   memory.c       groups, what a commit does, the backend
 *   memory_trim.c  retention, by policy and for want of room
 *   memory_read.c  the source of answers
 */
#ifndef REDIAL_SERVER_STORE_MEMORY_H
#define REDIAL_SERVER_STORE_MEMORY_H

#include "server/base/hash.h"
#include "server/store/backend.h"
#include "server/store/table.h"

/* The final record of a FAILED job whose group is forgotten. */
struct kept {
    struct list link; /* oldest first */
    struct job_id job;
    int64_t wall_ms;
    uint64_t final_seq;
    uint32_t len;
    uint8_t stored[];
};

/* A finished job. */
struct ended {
    struct store_finished shown;
    struct kept *kept;       /* NULL: its record is in its group */
    uint8_t correlation[16]; /* hash; all zero: none of its own */
    uint32_t older;          /* of the same correlation, slot + 1 */
    uint32_t newer;
};

struct payload {
    void *bytes; /* owned */
    size_t len;
};

/* What the tables of correlations hold. */
struct correlated {
    uint32_t newest; /* slot + 1 of the finished job */
};

struct memory {
    struct store *store;
    struct hash_key hash_key;

    /* Groups in order of seq: a ring whose size is a power of two. */
    struct store_group **groups;
    size_t size;
    size_t head;
    size_t count;
    size_t forgotten; /* of those, from the oldest on */
    uint64_t bytes;
    uint64_t finals; /* in groups that are not forgotten */
    uint64_t watermark;
    uint64_t last_seq;

    struct table ended;        /* by job id */
    struct table correlations; /* by hash */
    struct table payloads;     /* by job id */
    struct table keys;         /* by job id: struct store_key */
    struct list kept;
    uint64_t kept_count;
    uint64_t kept_bytes;

    struct list requests; /* for a seq that is not committed yet */
    uint32_t request_count;
};

struct pending {
    struct store_request asked;
    struct answer *answer;
    struct list link;
};

static inline struct memory *
memory_of(struct store *store)
{
    return store->state;
}

static inline struct store_group *
memory_group(const struct memory *memory, size_t index)
{
    return memory->groups[(memory->head + index) & (memory->size - 1)];
}

extern const struct source memory_source;

/* NULL: not kept. */
struct store_group *
memory_find(const struct memory *memory, uint64_t seq);

void
memory_hash(const struct memory *memory, const void *correlation, size_t len,
            uint8_t ret[16]);

/* Takes a job out of the finished ones. */
void
memory_unend(struct memory *memory, const struct job_id *job);

/* Copies. False: no memory or no place. */
bool
memory_put_payload(struct memory *memory, const struct job_id *job,
                   const void *bytes, size_t len, bool replace);

void
memory_delete_payload(struct memory *memory, const struct job_id *job);

/* Does all that the limits ask for. */
void
memory_trim(struct memory *memory, uint64_t ticket,
            const struct store_retention *limits);

/* The same for our own bounds: so many finished jobs shall fit in, and no more
 * bytes be kept than allowed. */
void
memory_make_room(struct memory *memory, uint32_t finals);

#endif
