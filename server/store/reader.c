/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reader thread: answers one request at a time from a connection of its
 * own. Each statement is short and reset at once, so that no snapshot outlives
 * it: a long one would keep the WAL from starting over.
 *
 * Groups that were read lately stay at hand, because jobs that finish together
 * are asked for together.
 */
#include "server/store/disk.h"

#include <stdlib.h>
#include <string.h>

enum {
    SCAN_PAGE = 1000,                    /* rows in one statement */
    SCAN_MAX = 10000,                    /* rows in one answer */
    AT_HAND_BYTES_MAX = 2 * 1024 * 1024, /* a bigger group is not kept */
    FAILED_TYPE = EVENT_JOB_FAILED,
};

_Static_assert(FAILED_TYPE == 6, "sql.def and schema.c say 6");

/* ---- The source -------------------------------------------------------- */

static uint64_t
source_first_seq(void *ctx)
{
    struct disk *disk = ctx;

    return atomic_load(&disk->store->first_seq);
}

static struct store_group *
find_at_hand(struct disk *disk, uint64_t seq)
{
    for (size_t i = 0; i < READER_GROUPS; i++) {
        if (disk->at_hand[i] != NULL &&
            group_find(disk->at_hand[i], seq) != NULL) {
            return store_group_ref(disk->at_hand[i]);
        }
    }
    return NULL;
}

static enum store_status
source_group_at(void *ctx, uint64_t seq, struct store_group **ret)
{
    struct disk *disk = ctx;
    struct store_group *group = NULL;

    if (seq < source_first_seq(disk)) {
        return STORE_NOT_FOUND;
    }
    group = find_at_hand(disk, seq);
    if (group == NULL) {
        enum store_status status = log_group_at(&disk->reader, seq, &group,
                                                NULL);

        if (status != STORE_OK) {
            return status;
        }
        if (group_memory(group) <= AT_HAND_BYTES_MAX) {
            struct store_group **place = &disk->at_hand[disk->at_hand_next];

            disk->at_hand_next = (disk->at_hand_next + 1) % READER_GROUPS;
            store_group_unref(*place);
            *place = store_group_ref(group);
        }
    }
    *ret = group;
    return STORE_OK;
}

static enum store_status
finished_of_row(struct db *db, sqlite3_stmt *row, struct store_finished *ret)
{
    if (!db_column_id(row, 0, &ret->job)) {
        return db_corrupt(db, "a job id is not 16 bytes long");
    }
    ret->final_seq = db_column_number(row, 1);
    ret->last_seq = db_column_number(row, 2);
    ret->type = (enum event_type)db_column_number(row, 3);
    return group_is_final(ret->type)
               ? STORE_OK
               : db_corrupt(db, "a finished job has no final state");
}

static enum store_status
source_finished(void *ctx, const struct job_id *job, struct store_finished *ret)
{
    struct disk *disk = ctx;
    struct db *db = &disk->reader;
    sqlite3_stmt *statement = db_statement(db, DB_FINISHED_GET);
    bool row = false;

    db_bind_id(statement, 1, job);
    enum store_status status = db_step(db, statement, &row);

    if (status == STORE_OK) {
        status = row ? finished_of_row(db, statement, ret) : STORE_NOT_FOUND;
    }
    (void)sqlite3_reset(statement);
    return status;
}

static enum store_status
source_failed(void *ctx, const struct job_id *job, uint64_t final_seq,
              struct store_group **ret)
{
    struct disk *disk = ctx;
    struct db *db = &disk->reader;
    sqlite3_stmt *statement = db_statement(db, DB_FAILED_GET);
    bool row = false;
    size_t len;

    (void)job; /* final_seq is the key */
    db_bind_number(statement, 1, final_seq);
    enum store_status status = db_step(db, statement, &row);

    if (status == STORE_OK && !row) {
        status = STORE_NOT_FOUND;
    }
    if (status == STORE_OK) {
        const uint8_t *stored = db_column_blob(statement, 5, &len);

        status = group_of_record(stored, len, ret);
        if (status == STORE_CORRUPT) {
            status = db_corrupt(db, "a failed job cannot be decoded");
        }
    }
    (void)sqlite3_reset(statement);
    return status;
}

static enum store_status
source_payload(void *ctx, const struct job_id *job, struct answer *answer)
{
    struct disk *disk = ctx;
    struct db *db = &disk->reader;
    sqlite3_stmt *statement = db_statement(db, DB_PAYLOAD_GET);
    bool row = false;
    size_t len;

    db_bind_id(statement, 1, job);
    enum store_status status = db_step(db, statement, &row);

    if (status == STORE_OK && !row) {
        status = STORE_NOT_FOUND;
    }
    if (status == STORE_OK) {
        const uint8_t *bytes = db_column_blob(statement, 0, &len);

        if (!answer_set_bytes(answer, bytes, len)) {
            status = STORE_NO_MEMORY;
        }
    }
    (void)sqlite3_reset(statement);
    return status;
}

/* ---- By correlation id ------------------------------------------------- */

static enum store_status
bucket_range(struct db *db, int64_t *ret_first, int64_t *ret_last)
{
    sqlite3_stmt *statement = db_statement(db, DB_CORRELATION_BUCKETS);
    bool row = false;
    enum store_status status = db_step(db, statement, &row);

    if (status == STORE_OK && row &&
        sqlite3_column_type(statement, 0) == SQLITE_INTEGER) {
        *ret_first = (int64_t)db_column_number(statement, 0);
        *ret_last = (int64_t)db_column_number(statement, 1);
    }
    (void)sqlite3_reset(statement);
    return status;
}

/* Adds those of a bucket that are finished: forgotten ones stay in it until it
 * is dropped as a whole. */
static enum store_status
read_bucket(struct disk *disk, const struct store_request *request,
            int64_t bucket, struct answer *answer)
{
    struct db *db = &disk->reader;
    sqlite3_stmt *statement = db_statement(db, DB_CORRELATION_GET);
    bool row = false;

    db_bind_number(statement, 1, (uint64_t)bucket);
    db_bind_number(
        statement, 2,
        disk_hash(disk, request->correlated.id, request->correlated.id_len));
    db_bind_number(statement, 3, (uint64_t)request->correlated.jobs_max + 1);
    enum store_status status = db_step(db, statement, &row);

    while (status == STORE_OK && row) {
        struct store_finished finished;
        struct job_id job;

        if (!db_column_id(statement, 0, &job)) {
            status = db_corrupt(db, "a job id is not 16 bytes long");
            break;
        }
        status = source_finished(disk, &job, &finished);
        if (status == STORE_OK &&
            !answer_take_listed(answer, request, &finished)) {
            status = STORE_NO_MEMORY;
        }
        if (status == STORE_OK || status == STORE_NOT_FOUND) {
            status = db_step(db, statement, &row);
        }
    }
    (void)sqlite3_reset(statement);
    return status;
}

static enum store_status
source_correlated(void *ctx, const struct store_request *request,
                  struct answer *answer)
{
    struct disk *disk = ctx;
    int64_t first = 0;
    int64_t last = -1;
    enum store_status status = bucket_range(&disk->reader, &first, &last);

    if (status == STORE_OK) {
        status = read_bucket(disk, request, BUCKET_FAILED, answer);
    }
    for (int64_t bucket = last; status == STORE_OK && bucket >= first;
         bucket--) {
        status = read_bucket(disk, request, bucket, answer);
        if (answer->shown.finished_count > 2 * request->correlated.jobs_max) {
            break; /* enough, even if half of them are there twice */
        }
    }
    return status;
}

/* ---- Lists ------------------------------------------------------------- */

static enum db_statement
list_statement(const struct store_request *request)
{
    bool failed_only = request->finished.types ==
                       STORE_TYPE_BIT(EVENT_JOB_FAILED);

    if (request->finished.descending) {
        return failed_only ? DB_FINISHED_FAILED_DOWN : DB_FINISHED_DOWN;
    }
    return failed_only ? DB_FINISHED_FAILED_UP : DB_FINISHED_UP;
}

/* One statement's worth of rows; *ret_rows: how many there were. */
static enum store_status
list_page(struct db *db, const struct store_request *request,
          struct answer *answer, uint32_t *ret_rows)
{
    struct store_answer *shown = &answer->shown;
    sqlite3_stmt *statement = db_statement(db, list_statement(request));
    struct job_id after = shown->reached; /* it changes while we read */
    bool row = false;
    uint32_t rows = 0;

    db_bind_id(statement, 1, &after);
    db_bind_number(statement, 2, SCAN_PAGE);
    enum store_status status = db_step(db, statement, &row);

    while (status == STORE_OK && row &&
           shown->finished_count < request->finished.jobs_max) {
        struct store_finished finished;

        status = finished_of_row(db, statement, &finished);
        if (status == STORE_OK &&
            !answer_take_listed(answer, request, &finished)) {
            status = STORE_NO_MEMORY;
        }
        if (status == STORE_OK) {
            rows++;
            shown->reached = finished.job;
            status = db_step(db, statement, &row);
        }
    }
    (void)sqlite3_reset(statement);
    *ret_rows = rows;
    return status;
}

static enum store_status
source_list(void *ctx, const struct store_request *request,
            struct answer *answer)
{
    static const struct job_id start;
    struct disk *disk = ctx;
    struct store_answer *shown = &answer->shown;
    enum store_status status = STORE_OK;
    uint32_t rows = SCAN_PAGE;
    uint32_t scanned = 0;

    shown->reached = request->job;
    if (request->finished.descending &&
        memcmp(&request->job, &start, sizeof(start)) == 0) {
        memset(&shown->reached, 0xff, sizeof(shown->reached));
    }
    while (status == STORE_OK && rows == SCAN_PAGE && scanned < SCAN_MAX &&
           shown->finished_count < request->finished.jobs_max) {
        status = list_page(&disk->reader, request, answer, &rows);
        scanned += rows;
    }
    shown->complete = rows < SCAN_PAGE &&
                      shown->finished_count < request->finished.jobs_max;
    return status;
}

static const struct source disk_source = {
    .first_seq = source_first_seq,
    .group_at = source_group_at,
    .finished = source_finished,
    .failed = source_failed,
    .payload = source_payload,
    .correlated = source_correlated,
    .list = source_list,
};

/* ---- The thread -------------------------------------------------------- */

/* The first request whose time has come; caller holds the lock. */
static struct request *
pick_locked(struct disk *disk)
{
    uint64_t committed_seq = atomic_load(&disk->store->committed_seq);

    list_foreach(at, &disk->requests) {
        struct request *request = container_of(at, struct request, link);

        if (request->asked.after_seq <= committed_seq) {
            list_remove(&request->link);
            disk->request_count--;
            disk->store->stats.requests_len = disk->request_count;
            return request;
        }
    }
    return NULL;
}

static struct request *
next_request(struct disk *disk)
{
    struct request *request = NULL;

    (void)pthread_mutex_lock(&disk->store->lock);
    while (!disk->closing && (request = pick_locked(disk)) == NULL) {
        (void)pthread_cond_wait(&disk->reader_wake, &disk->store->lock);
    }
    (void)pthread_mutex_unlock(&disk->store->lock);
    return request;
}

void *
reader_main(void *arg)
{
    struct disk *disk = arg;
    struct request *request;

    while ((request = next_request(disk)) != NULL) {
        answer_request(request->answer, &request->asked, &disk_source, disk);
        if (request->answer->shown.status != STORE_OK &&
            request->answer->shown.status != STORE_NOT_FOUND) {
            store_say(disk->store, disk->reader.detail);
        }
        store_answer(disk->store, request->answer);
        free(request);
        store_wake(disk->store);
    }
    return NULL;
}
