/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store: a log of groups of records, which is the truth, and tables beside
 * it, which are its projection. It knows no policies.
 *
 * One thread, the loop, calls everything here unless a function says otherwise.
 * Two threads of the store do the work: the writer commits groups in order (and
 * trims, and checkpoints), the reader answers requests. Neither ever makes the
 * loop wait. When something is ready they call options.wake; the loop then
 * takes what there is with store_take_done() and store_take_answer().
 *
 *     store_new -> store_open -> store_recover
 *         -> { store_group_new, store_group_add ..., store_commit,
 *              store_take_done, store_ask, store_take_answer, store_trim }
 *         -> store_close -> store_free
 *
 * What the projection promises. The watermark W says: everything up to seq W is
 * reflected in the tables. The caller keeps that true: it moves W only in a
 * group that also carries (or follows) the rows for all records up to W. A row
 * reflects its job up to the seq given with it, which may be above W. A job
 * that is final needs no row: put_job and put_payload are skipped for a job
 * that was accepted and finished before its turn came. Recovery then meets
 * records above W of jobs that it has neither a row nor a JOB_ACCEPTED for:
 * their rows are gone because they are finished, and the caller skips them.
 *
 * The same holds for the rows of targets, which records change as well: a row
 * reflects its target up to the seq given with it, and W waits for it.
 *
 * What the store indexes by itself, in the same transaction as the records:
 * final records (by job id, and by correlation id where that differs from the
 * job id) and keys (on JOB_ACCEPTED with a key hash). JOB_REQUEUED takes a job
 * out of the finished ones.
 *
 * Ephemeral (options.dir == NULL): the same without files and threads, a new
 * epoch each start. A group is done when store_commit() returns, an answer is
 * there when store_ask() or, for after_seq, store_commit() returns, and wake is
 * never called. Memory is bounded: what does not fit is trimmed by itself and
 * reported by answers STORE_TRIMMED with ticket 0.
 */
#ifndef REDIAL_SERVER_STORE_STORE_H
#define REDIAL_SERVER_STORE_STORE_H

#include "server/core/record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;
struct store_group;

#define STORE_STATUSES(X)                                     \
    X(OK, "ok")                                               \
    X(NO_MEMORY, "out of memory")                             \
    X(LOCKED, "another gateway uses this store")              \
    X(NETWORK_FILES, "the store is on a network file system") \
    X(NO_DIRECTORY, "the store's directory cannot be used")   \
    X(NEWER, "the store was written by a newer version")      \
    X(CORRUPT, "the store is damaged")                        \
    X(FULL, "the disk is full")                               \
    X(IO, "reading or writing the store failed")              \
    X(BUSY, "too many requests wait for the store")           \
    X(NOT_FOUND, "not in the store")                          \
    X(CALLBACK, "recovery was stopped by its caller")

enum store_status {
#define STORE_STATUS(name, text) STORE_##name,
    STORE_STATUSES(STORE_STATUS)
#undef STORE_STATUS
};

/* One sentence, static. */
const char *
store_status_text(enum store_status status);

enum {
    STORE_EPOCH_BYTES = 33, /* 32 hexadecimal digits and a NUL */
    STORE_DETAIL_BYTES = 256,
    STORE_CORRELATION_BYTES = 128, /* longest correlation id */
};

struct store_options {
    const char *dir;           /* created with 0700; NULL: ephemeral */
    uint32_t pipe_max;         /* groups on their way to disk; 0: 4 */
    uint32_t requests_max;     /* waiting for the reader; 0: 1,024 */
    uint64_t reserve_bytes;    /* kept aside for a full disk; 0: none */
    uint64_t free_bytes_min;   /* less free: degraded; 0: never asked */
    uint64_t memory_bytes_max; /* ephemeral: groups kept; 0: 64 MiB */
    uint32_t finished_max;     /* ephemeral: jobs; 0: 200,000 */
    uint32_t payloads_max;     /* ephemeral: of live jobs; 0: 1,100,000 */
    void (*wake)(void *ctx);   /* from the store's threads; must not block */
    void *ctx;
};

/* ---- Life -------------------------------------------------------------- */

/* Copies the options. NULL: no memory. */
struct store *
store_new(const struct store_options *options);

/*
 * Takes the lock, opens or creates the files, migrates an older schema and
 * measures a sync. Blocks. On failure store_detail() says more; the only things
 * left to do are store_detail() and store_free().
 */
enum store_status
store_open(struct store *store);

/* What the last failure was about, in words; empty when there was none. */
const char *
store_detail(const struct store *store);

/*
 * Finishes what was handed over (a group that finds the disk full is tried once
 * more and then given up), stops the threads and closes the files. Groups that
 * were not taken can still be taken. STORE_OK: all groups are on disk.
 */
enum store_status
store_close(struct store *store);

/* Closes if need be, frees. NULL is allowed. Groups may outlive the store. */
void
store_free(struct store *store);

/* ---- Recovery ---------------------------------------------------------- */

struct store_key {
    uint8_t key_hash[16];
    uint8_t content_hash[16];
    struct job_id job;
};

/*
 * Bytes and texts are valid during the call only. A callback that returns false
 * stops recovery with STORE_CALLBACK. Order: targets, by name; jobs and keys,
 * by job id; then all records above the watermark, by seq.
 */
struct store_recovery {
    bool (*job)(void *ctx, struct job_id id, const uint8_t *row, size_t len);
    /* Of a job without a row whose JOB_ACCEPTED is at or below W: finished. */
    bool (*key)(void *ctx, const struct store_key *key);
    bool (*record)(void *ctx, const struct record *record);
    bool (*target)(void *ctx, struct text name, const uint8_t *row, size_t len);
};

struct store_recovered {
    char epoch[STORE_EPOCH_BYTES];
    uint64_t first_seq; /* oldest kept; next_seq: none */
    uint64_t next_seq;  /* first unused, from 1 */
    uint64_t watermark;
    int64_t last_wall_ms; /* of the newest record; 0: none */
    uint64_t groups;      /* read above the watermark */
    uint64_t records;     /* given to the callback */
    uint64_t sync_us;     /* median of a few tiny commits */
};

/*
 * Must be called once after store_open(), before anything else; blocks. Every
 * group is checked; a damaged one is STORE_CORRUPT with its name in
 * store_detail(): nothing is skipped.
 */
enum store_status
store_recover(struct store *store, const struct store_recovery *callbacks,
              void *ctx, struct store_recovered *ret);

/* True when rows and payloads are worth exporting: not in an ephemeral store,
 * which drops rows and keeps payloads. */
bool
store_keeps_rows(const struct store *store);

/* ---- Groups ------------------------------------------------------------ */

/*
 * A group is built by the loop, handed over, and immutable from then on.
 * Reference counts are atomic: any thread may ref and unref. A group may hold
 * no records, only projection work.
 */
struct store_entry {
    uint64_t seq;
    struct job_id job; /* zero when the record is about no job */
    uint32_t offset;   /* of the stored record in the group's bytes */
    uint32_t len;
    enum event_type type;
};

/* With one reference, which is the caller's. NULL: no memory. */
struct store_group *
store_group_new(struct store *store);

struct store_group *
store_group_ref(struct store_group *group);

/* NULL is allowed. */
void
store_group_unref(struct store_group *group);

/* The loop's own; the store never looks at it. NULL at the start. */
void
store_group_set_user(struct store_group *group, void *user);

void *
store_group_user(const struct store_group *group);

/*
 * Encodes the record behind the others. Its seq must follow the last one's
 * (asserted). All adders and putters below return false only when there is no
 * memory: what the engine did cannot be kept then, so stop the process.
 */
bool
store_group_add(struct store_group *group, const struct record *record,
                struct text attached);

/*
 * Projection work, done in the order of the calls, after the group's records.
 * `seq` is the last seq of the job that the row reflects. Bytes are copied.
 */
bool
store_group_put_job(struct store_group *group, struct job_id id, uint64_t seq,
                    const uint8_t *row, size_t len);

bool
store_group_delete_job(struct store_group *group, struct job_id id);

/* The same for a target; its name is not empty. */
bool
store_group_put_target(struct store_group *group, struct text name,
                       uint64_t seq, const uint8_t *row, size_t len);

bool
store_group_delete_target(struct store_group *group, struct text name);

bool
store_group_put_payload(struct store_group *group, struct job_id id,
                        const void *bytes, size_t len);

/*
 * Not for FAILED jobs: their payload goes when they do. A group with a
 * JOB_REQUEUED puts the payload of that job as well, so that it does not depend
 * on what trimming keeps.
 */
bool
store_group_delete_payload(struct store_group *group, struct job_id id);

/* Never goes back (asserted), never above the last seq handed over. */
void
store_group_set_watermark(struct store_group *group, uint64_t seq);

size_t
store_group_count(const struct store_group *group);

/* Projection operations so far; a watermark is one. */
size_t
store_group_work(const struct store_group *group);

/* Bytes that it will write, roughly: to decide when it is big enough. */
size_t
store_group_size(const struct store_group *group);

/* 0 when there are no records. */
uint64_t
store_group_first_seq(const struct store_group *group);

uint64_t
store_group_last_seq(const struct store_group *group);

/* `index` below store_group_count(); valid as long as the group. */
const struct store_entry *
store_group_entry(const struct store_group *group, size_t index);

/* The stored form of one record. */
const uint8_t *
store_group_bytes(const struct store_group *group,
                  const struct store_entry *entry);

/*
 * Decodes one record. Texts point into the group. Never fails: what is in a
 * group was encoded here or has been checked.
 */
void
store_group_record(const struct store_group *group, size_t index,
                   struct record *ret);

/* ---- Committing -------------------------------------------------------- */

/* How many more groups may be handed over now. */
uint32_t
store_pipe_free(const struct store *store);

/*
 * Hands the group over; the store takes its own reference. There must be room
 * (asserted). Never blocks.
 */
void
store_commit(struct store *store, struct store_group *group);

/*
 * The next finished group in order of store_commit(), or NULL. The store's
 * reference passes to the caller.
 */
struct store_group *
store_take_done(struct store *store);

/*
 * STORE_OK: on disk. Anything else: it is not, nothing after it will be, and
 * the process should stop; store_detail() says why. A full disk is no failure:
 * the group is tried again until there is room.
 */
enum store_status
store_group_status(const struct store_group *group);

/* How long its transaction took, and its COMMIT (write and sync) alone. */
uint64_t
store_group_write_us(const struct store_group *group);

uint64_t
store_group_sync_us(const struct store_group *group);

/*
 * True while a group waits for room, the reserve is used up, or less than
 * free_bytes_min is free: refuse new work, finish what there is. Changes are
 * announced by wake.
 */
bool
store_is_degraded(const struct store *store);

/* ---- Reading ----------------------------------------------------------- */

enum store_request_type {
    STORE_READ_RANGE,    /* records from a seq on */
    STORE_READ_TIMELINE, /* all kept records of one job */
    STORE_LOOKUP,        /* one finished job */
    STORE_PAYLOAD,       /* of one job, live or finished */
    STORE_CORRELATED,    /* finished jobs of one correlation id */
    STORE_FINISHED,      /* list of finished jobs */
    STORE_TRIMMED,       /* answers only: what store_trim() dropped */
};

/* For store_request.finished.types: bits of JOB_SUCCEEDED to JOB_EXPIRED. */
#define STORE_TYPE_BIT(type) (UINT32_C(1) << (type))

struct store_request {
    enum store_request_type type;
    uint64_t ticket;    /* comes back in the answer; 0 is reserved */
    uint64_t after_seq; /* answer only from a state that includes this seq;
                           must be handed over soon, else it waits */
    struct job_id job;  /* TIMELINE, LOOKUP, PAYLOAD; FINISHED: go on after it
                           (all zero: from the start) */
    union {
        struct {
            uint64_t from_seq;
            uint32_t records_max; /* at least 1; whole groups are given */
            size_t bytes_max;     /* at least one group is given */
        } range;
        struct {
            uint64_t last_seq; /* of a live job; 0: it is finished */
        } timeline;
        struct {
            bool with_record; /* also its final record */
        } lookup;
        struct {
            /* Where to look when it has no row: at its JOB_ACCEPTED (0:
             * unknown), or back from its last record (0: it is finished). */
            uint64_t accepted_seq;
            uint64_t last_seq;
        } payload;
        struct {
            char id[STORE_CORRELATION_BYTES];
            uint32_t id_len;
            uint32_t jobs_max;
        } correlated;
        struct {
            uint32_t types; /* STORE_TYPE_BIT()s */
            uint32_t jobs_max;
            bool descending; /* by job id, that is: newest first */
        } finished;
    };
};

struct store_finished {
    struct job_id job;
    uint64_t final_seq;
    uint64_t last_seq;    /* above final_seq when something came late */
    enum event_type type; /* JOB_SUCCEEDED, _FAILED, _CANCELLED, _EXPIRED */
};

/*
 * OK, NOT_FOUND or a failure of the read (CORRUPT, IO, NO_MEMORY). Which fields
 * are set, by type:
 *
 *   RANGE       groups (in order; the first may begin before from_seq); none
 *               when from_seq is past the end; first_seq > from_seq: a gap
 *   TIMELINE    groups[0]: just the job's records, oldest first; complete:
 *               it begins with job_seq 1; finished[0] when it is
 *   LOOKUP      finished[0]; with_record: groups[0], one record
 *   PAYLOAD     bytes
 *   CORRELATED  finished, newest first; complete: there are no more
 *   FINISHED    finished; reached: the job to go on after; complete: the end
 *   TRIMMED     keys; complete: nothing is left to trim; store_trim()'s ticket
 */
struct store_answer {
    enum store_request_type type;
    enum store_status status;
    uint64_t ticket;
    uint64_t first_seq; /* oldest kept, when this was read */
    bool complete;
    struct job_id reached;

    struct store_group **groups;
    size_t group_count;
    struct store_finished *finished;
    size_t finished_count;
    struct store_key *keys; /* for engine_forget_key() */
    size_t key_count;
    const uint8_t *bytes;
    size_t byte_count;
};

/*
 * Posts a request; never blocks. STORE_BUSY: requests_max wait already.
 * STORE_NO_MEMORY. An answer comes for every request that was accepted, except
 * for those cancelled in time and those still waiting at store_close().
 */
enum store_status
store_ask(struct store *store, const struct store_request *request);

/*
 * Takes a request back. False: it is being answered or was; its answer comes
 * and is the caller's to ignore.
 */
bool
store_cancel(struct store *store, uint64_t ticket);

/* The next answer, or NULL. It is the caller's: store_answer_free(). */
struct store_answer *
store_take_answer(struct store *store);

/* Frees it and drops its references to groups. NULL is allowed. */
void
store_answer_free(struct store_answer *answer);

/* ---- Retention --------------------------------------------------------- */

struct store_retention {
    int64_t now_wall_ms;
    uint64_t events_age_ms;   /* groups, 7 days; 0: any age */
    uint64_t events_bytes;    /* 1 GiB; 0: any size */
    uint64_t finished_age_ms; /* finished jobs and keys, 24 h */
    uint64_t finished_count;  /* 2,000,000 */
    uint64_t failed_age_ms;   /* FAILED jobs, 7 days */
    uint64_t failed_count;    /* 100,000 */
    uint64_t failed_bytes;    /* 256 MiB, of their final records */
};

/*
 * Drops, bit by bit and between commits, what is beyond the limits: finished
 * jobs (with keys and correlations) first, then whole groups, oldest first.
 * Never above the watermark, never the newest group. A FAILED job outlives
 * both: its final record, correlation and payload are kept until its own
 * limits. Each bit is reported by an answer STORE_TRIMMED with this ticket, of
 * which the last is `complete`. No effect while the previous one is at work
 * (returns false).
 */
bool
store_trim(struct store *store, uint64_t ticket,
           const struct store_retention *retention);

/* ---- Figures ----------------------------------------------------------- */

struct store_stats {
    uint64_t groups; /* committed since start */
    uint64_t records;
    uint64_t bytes;
    uint64_t committed_seq; /* newest on disk */
    uint64_t first_seq;     /* oldest kept */
    uint64_t kept_bytes;    /* of records in the log */
    uint64_t wal_pages;
    uint64_t checkpoints;
    uint64_t checkpoint_us_max;
    uint64_t sync_us_last;
    uint64_t sync_us_max;
    uint64_t full_retries; /* times that a group found the disk full */
    uint64_t free_bytes;   /* of the file system, when last asked */
    uint32_t pipe_len;
    uint32_t requests_len;
};

void
store_stats(struct store *store, struct store_stats *ret);

#endif
