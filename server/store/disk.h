/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store on disk. Its parts, by thread:
 *
 *   disk.c      the loop's side: open, hand over, ask, close
 *   recover.c   the loop, before the threads run
 *   writer.c    the writer: commits, room, checkpoints
 *   trim.c      the writer, between commits
 *   reader.c    the reader
 */
#ifndef REDIAL_SERVER_STORE_DISK_H
#define REDIAL_SERVER_STORE_DISK_H

#include "server/base/hash.h"
#include "server/store/backend.h"
#include "server/store/db.h"
#include "server/store/dir.h"
#include "server/store/log.h"

enum {
    BUCKET_JOBS = 4096,      /* correlations in one bucket */
    READER_GROUPS = 16,      /* that the reader keeps at hand */
    CHECKPOINT_PAGES = 8000, /* then one is due, whatever else waits */
};

/* The bucket of FAILED jobs that outlive their group. */
#define BUCKET_FAILED (-1)

/* How far trimming got; written with what it deletes. */
struct trimmed {
    uint64_t forgotten;            /* finished jobs are, up to this seq */
    uint64_t forgotten_finals;     /* log_head.finals there */
    uint64_t forgotten_correlated; /* log_head.correlated there */
    uint64_t dropped_total;        /* log_head.total of the oldest group */
    uint64_t first_seq;            /* of the oldest group; 0: none */
    uint64_t failed_number;        /* of the newest FAILED job kept apart */
    uint64_t failed_total;
};

struct disk {
    struct store *store;
    struct dir dir;
    struct db writer;
    struct db reader;
    struct hash_key hash_key; /* of correlation ids */
    uint64_t opened_sync_us;

    pthread_t writer_thread;
    pthread_t reader_thread;
    bool writer_runs;
    bool reader_runs;
    pthread_cond_t writer_wake; /* with store->lock, monotonic */
    pthread_cond_t reader_wake;

    /* Under store->lock. */
    struct list pipe;
    struct list requests;
    uint32_t request_count;
    bool closing;
    bool trim_wanted; /* until its last answer is posted */
    uint64_t trim_ticket;
    struct store_retention retention;

    /* The writer's (and recovery's, before). */
    struct log_head head; /* of the newest group */
    struct trimmed trimmed;
    uint64_t watermark;
    enum store_status failed; /* STORE_OK, or why nothing is written any more */
    bool waiting;             /* a group waits for room */
    uint64_t room_checked_us; /* for being degraded */
    uint64_t room_asked_us;   /* the file system */
    uint64_t room_bytes;      /* what it said, less what was written since */
    uint64_t wal_pages;
    uint64_t wal_copied; /* of those, by the last checkpoint */

    /* The reader's. */
    struct store_group *at_hand[READER_GROUPS];
    size_t at_hand_next;
};

struct request {
    struct store_request asked;
    struct answer *answer; /* made early: an accepted request is answered */
    struct list link;
};

static inline struct disk *
disk_of(struct store *store)
{
    return store->state;
}

/* Of a correlation id, as a column. */
static inline uint64_t
disk_hash(const struct disk *disk, const void *correlation, size_t len)
{
    return hash_64(&disk->hash_key, correlation, len);
}

enum store_status
disk_recover(struct store *store, const struct store_recovery *callbacks,
             void *ctx, struct store_recovered *ret);

void *
writer_main(void *arg);

void *
reader_main(void *arg);

/* Waits on one of the conditions; caller holds the lock. False: timed out. */
bool
disk_wait_locked(struct disk *disk, pthread_cond_t *wake, uint64_t wait_us);

/*
 * Does a bit of what retention asks for, in a transaction of its own, and posts
 * its answer. Clears trim_wanted after the last. Sets disk->failed when writing
 * failed.
 */
void
trim_step(struct disk *disk);

#endif
