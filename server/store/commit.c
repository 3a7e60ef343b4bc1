/* SPDX-License-Identifier: Apache-2.0 */
#include "server/store/commit.h"

#include "server/base/check.h"

#include <errno.h>
#include <stdio.h>

enum store_status
commit_pass(struct db *db, enum store_fault_point point)
{
    int error = store_fault(point);

    if (error == 0) {
        return STORE_OK;
    }
    (void)snprintf(db->detail, sizeof(db->detail), "armed fault %d",
                   (int)point);
    return error == ENOSPC ? STORE_FULL : STORE_IO;
}

static enum store_status
put_row(struct db *db, enum db_statement which, const struct work *work)
{
    sqlite3_stmt *statement = db_statement(db, which);

    db_bind_id(statement, 1, &work->job);
    switch (work->kind) {
    case WORK_PUT_JOB:
        db_bind_number(statement, 2, work->seq);
        db_bind_blob(statement, 3, work->bytes, work->len);
        break;
    case WORK_PUT_PAYLOAD:
        db_bind_blob(statement, 2, work->bytes, work->len);
        break;
    case WORK_KEY:
        redial_assert(work->len == 32);
        db_bind_number(statement, 2, work->seq);
        db_bind_blob(statement, 3, work->bytes, 16);
        db_bind_blob(statement, 4, work->bytes + 16, 16);
        break;
    case WORK_LATE:
        db_bind_number(statement, 2, work->seq);
        break;
    case WORK_DELETE_JOB:
    case WORK_DELETE_PAYLOAD:
        break;
    case WORK_PUT_TARGET:
    case WORK_DELETE_TARGET:
        redial_unreachable(); /* has a name */
    case WORK_FINAL:
    case WORK_REQUEUED:
        redial_unreachable(); /* more than one row */
    }
    return db_run(db, statement);
}

static enum store_status
put_target(struct db *db, const struct work *work)
{
    sqlite3_stmt *statement = db_statement(db, DB_TARGET_PUT);

    db_bind_name(statement, 1, work->name);
    db_bind_number(statement, 2, work->seq);
    db_bind_blob(statement, 3, work->bytes, work->len);
    return db_run(db, statement);
}

static enum store_status
delete_target(struct db *db, const struct work *work)
{
    sqlite3_stmt *statement = db_statement(db, DB_TARGET_DELETE);

    db_bind_name(statement, 1, work->name);
    return db_run(db, statement);
}

static enum store_status
change_correlation(struct disk *disk, enum db_statement which, int64_t bucket,
                   const struct work *work)
{
    struct db *db = &disk->writer;
    sqlite3_stmt *statement = db_statement(db, which);

    db_bind_number(statement, 1, (uint64_t)bucket);
    db_bind_number(statement, 2, disk_hash(disk, work->bytes, work->len));
    db_bind_id(statement, 3, &work->job);
    return db_run(db, statement);
}

/* `correlated` counts the jobs with a correlation id so far. */
static enum store_status
finish_job(struct disk *disk, const struct work *work, uint64_t *correlated)
{
    struct db *db = &disk->writer;
    sqlite3_stmt *statement = db_statement(db, DB_FINISHED_PUT);

    db_bind_id(statement, 1, &work->job);
    db_bind_number(statement, 2, work->seq);
    db_bind_number(statement, 3, work->type);
    enum store_status status = db_run(db, statement);

    if (status == STORE_OK && work->len > 0) {
        int64_t bucket = (int64_t)((*correlated)++ / BUCKET_JOBS);

        status = change_correlation(disk, DB_CORRELATION_PUT, bucket, work);
    }
    return status;
}

/* Takes a job out of the finished ones, wherever its final record is. */
static enum store_status
requeue_job(struct disk *disk, const struct work *work)
{
    struct db *db = &disk->writer;
    sqlite3_stmt *statement = db_statement(db, DB_FINISHED_GET);
    bool row = false;

    db_bind_id(statement, 1, &work->job);
    enum store_status status = db_step(db, statement, &row);

    if (status != STORE_OK || !row) {
        return status;
    }
    uint64_t final_seq = db_column_number(statement, 1);

    (void)sqlite3_reset(statement);
    statement = db_statement(db, DB_FAILED_DELETE);
    db_bind_number(statement, 1, final_seq);
    status = db_run(db, statement);
    if (status == STORE_OK && work->len > 0) {
        status = change_correlation(disk, DB_CORRELATION_DELETE, BUCKET_FAILED,
                                    work);
    }
    if (status == STORE_OK) {
        statement = db_statement(db, DB_FINISHED_DELETE);
        db_bind_id(statement, 1, &work->job);
        status = db_run(db, statement);
    }
    return status;
}

static enum store_status
do_work(struct disk *disk, const struct work *work, uint64_t *correlated)
{
    switch (work->kind) {
    case WORK_PUT_JOB:
        return put_row(&disk->writer, DB_JOB_PUT, work);
    case WORK_DELETE_JOB:
        return put_row(&disk->writer, DB_JOB_DELETE, work);
    case WORK_PUT_PAYLOAD:
        return put_row(&disk->writer, DB_PAYLOAD_PUT, work);
    case WORK_DELETE_PAYLOAD:
        return put_row(&disk->writer, DB_PAYLOAD_DELETE, work);
    case WORK_PUT_TARGET:
        return put_target(&disk->writer, work);
    case WORK_DELETE_TARGET:
        return delete_target(&disk->writer, work);
    case WORK_KEY:
        return put_row(&disk->writer, DB_KEY_PUT, work);
    case WORK_LATE:
        return put_row(&disk->writer, DB_FINISHED_LATE, work);
    case WORK_FINAL:
        return finish_job(disk, work, correlated);
    case WORK_REQUEUED:
        return requeue_job(disk, work);
    }
    redial_unreachable();
}

/* Everything but BEGIN and COMMIT. */
static enum store_status
fill(struct disk *disk, const struct store_group *group,
     const struct log_head *head)
{
    struct db *db = &disk->writer;
    uint64_t correlated = disk->head.correlated;
    size_t cursor = 0;
    struct work work;
    enum store_status status = commit_pass(db, STORE_FAULT_BEFORE_APPEND);

    if (status == STORE_OK && group->count > 0) {
        status = log_append(db, head, group);
    }
    if (status == STORE_OK) {
        status = commit_pass(db, STORE_FAULT_AFTER_APPEND);
    }
    while (status == STORE_OK && group_next_work(group, &cursor, &work)) {
        status = commit_pass(db, STORE_FAULT_MID_PROJECTION);
        if (status == STORE_OK) {
            status = do_work(disk, &work, &correlated);
        }
    }
    if (status == STORE_OK && group->watermark != 0) {
        status = db_meta_put(db, "watermark", group->watermark);
    }
    return status;
}

enum store_status
commit_group(struct disk *disk, struct store_group *group,
             const struct log_head *head)
{
    struct db *db = &disk->writer;
    enum store_status status = db_run_plain(db, DB_BEGIN);

    if (status == STORE_OK) {
        status = fill(disk, group, head);
    }
    if (status == STORE_OK) {
        status = commit_pass(db, STORE_FAULT_BEFORE_COMMIT);
    }
    if (status == STORE_OK) {
        uint64_t start = store_clock_us();

        status = db_run_plain(db, DB_COMMIT);
        group->sync_us = store_clock_us() - start;
    }
    if (status != STORE_OK) {
        db_rollback(db);
    }
    return status;
}
