/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writer thread. It owns the only connection that writes, so that no
 * transaction ever meets another, and it alone runs checkpoints: a WAL starts
 * over only when the next writer finds it copied in full, and a writer that has
 * just checkpointed is the one who finds it so.
 *
 * A full disk. A group that finds no room is rolled back as a whole and tried
 * again, for as long as it takes, after everything that may make room: the
 * reserve is given back, a checkpoint lets the WAL start over in place, and
 * trimming goes on. Meanwhile, and until the reserve is back, the store is
 * degraded.
 *
 * Any other failure is final: after a failed write or sync nobody knows what is
 * on disk, so the group and all after it are returned with that status.
 */
#include "server/base/check.h"
#include "server/store/disk.h"
#include "server/store/store_fault.h"

#include <errno.h>
#include <stdio.h>

enum {
    IDLE_US = 200000, /* then a checkpoint, if it is worth it */
    IDLE_CHECKPOINT_PAGES = 1000,
    ROOM_CHECK_US = 1000000,
    RETRY_FIRST_US = 20000,
    RETRY_MAX_US = 1000000,
};

/* ---- Faults ------------------------------------------------------------ */

/* Passes a fault point: what went wrong there, as if SQLite had said it. */
static enum store_status
pass(struct db *db, enum store_fault_point point)
{
    int error = store_fault(point);

    if (error == 0) {
        return STORE_OK;
    }
    (void)snprintf(db->detail, sizeof(db->detail), "armed fault %d",
                   (int)point);
    return error == ENOSPC ? STORE_FULL : STORE_IO;
}

/* ---- One group --------------------------------------------------------- */

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
    case WORK_FINAL:
    case WORK_REQUEUED:
        redial_unreachable(); /* more than one row */
    }
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
    enum store_status status = pass(db, STORE_FAULT_BEFORE_APPEND);

    if (status == STORE_OK && group->count > 0) {
        status = log_append(db, head, group);
    }
    if (status == STORE_OK) {
        status = pass(db, STORE_FAULT_AFTER_APPEND);
    }
    while (status == STORE_OK && group_next_work(group, &cursor, &work)) {
        status = pass(db, STORE_FAULT_MID_PROJECTION);
        if (status == STORE_OK) {
            status = do_work(disk, &work, &correlated);
        }
    }
    if (status == STORE_OK && group->watermark != 0) {
        status = db_meta_put(db, "watermark", group->watermark);
    }
    return status;
}

static enum store_status
write_once(struct disk *disk, struct store_group *group,
           const struct log_head *head)
{
    struct db *db = &disk->writer;
    enum store_status status = db_run_plain(db, DB_BEGIN);

    if (status == STORE_OK) {
        status = fill(disk, group, head);
    }
    if (status == STORE_OK) {
        status = pass(db, STORE_FAULT_BEFORE_COMMIT);
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

/* ---- Room and checkpoints ---------------------------------------------- */

static void
set_degraded(struct disk *disk, bool degraded)
{
    if (atomic_exchange(&disk->store->degraded, degraded) != degraded) {
        store_wake(disk->store);
    }
}

/* Asks how much room there is, at most once a second; brings the reserve back
 * when there is plenty. */
static void
check_room(struct disk *disk)
{
    const struct store_options *options = &disk->store->options;
    uint64_t now_us = store_clock_us();
    uint64_t free_bytes = UINT64_MAX;

    if ((options->free_bytes_min == 0 && options->reserve_bytes == 0) ||
        now_us - disk->room_checked_us < ROOM_CHECK_US) {
        if (!disk->waiting && options->free_bytes_min == 0 &&
            options->reserve_bytes == 0) {
            set_degraded(disk, false);
        }
        return;
    }
    disk->room_checked_us = now_us;
    if (!dir_free_bytes(&disk->dir, &free_bytes)) {
        free_bytes = UINT64_MAX;
    }
    (void)pthread_mutex_lock(&disk->store->lock);
    disk->store->stats.free_bytes = free_bytes;
    (void)pthread_mutex_unlock(&disk->store->lock);
    if (options->reserve_bytes > 0 && !disk->dir.reserved && !disk->waiting &&
        free_bytes / 2 > options->reserve_bytes + options->free_bytes_min) {
        (void)dir_reserve(&disk->dir, options->reserve_bytes);
    }
    set_degraded(disk, disk->waiting || free_bytes < options->free_bytes_min ||
                           (options->reserve_bytes > 0 && !disk->dir.reserved));
}

static int
note_wal_pages(void *ctx, sqlite3 *handle, const char *name, int pages)
{
    struct disk *disk = ctx;

    (void)handle;
    (void)name;
    disk->wal_pages = (uint64_t)pages;
    if (disk->wal_pages < disk->wal_copied) {
        disk->wal_copied = 0; /* it has started over */
    }
    return SQLITE_OK;
}

static uint64_t
checkpoint_due(const struct disk *disk)
{
    return disk->wal_pages - disk->wal_copied;
}

/* Copies the WAL into the file. A failure for want of room does no harm. */
static enum store_status
checkpoint(struct disk *disk, int mode)
{
    struct db *db = &disk->writer;
    struct store *store = disk->store;
    int pages = 0;
    int copied = 0;
    uint64_t start = store_clock_us();
    enum store_status status = pass(db, STORE_FAULT_CHECKPOINT);

    if (status == STORE_OK) {
        int code = sqlite3_wal_checkpoint_v2(db->handle, NULL, mode, &pages,
                                             &copied);

        /* Busy: a reader is in the way, what could be copied was. */
        if (code != SQLITE_OK && code != SQLITE_BUSY) {
            status = db_failure(db, "checkpoint");
        }
    }
    if (status == STORE_FULL) {
        disk->wal_copied = disk->wal_pages; /* not again at once */
        return STORE_OK;
    }
    if (status != STORE_OK) {
        return status;
    }
    disk->wal_pages = (uint64_t)(pages < 0 ? 0 : pages);
    disk->wal_copied = disk->wal_pages;
    uint64_t spent_us = store_clock_us() - start;

    (void)pthread_mutex_lock(&store->lock);
    store->stats.checkpoints++;
    store->stats.wal_pages = disk->wal_pages;
    if (spent_us > store->stats.checkpoint_us_max) {
        store->stats.checkpoint_us_max = spent_us;
    }
    (void)pthread_mutex_unlock(&store->lock);
    return pass(db, STORE_FAULT_AFTER_CHECKPOINT);
}

/* ---- The thread -------------------------------------------------------- */

static void
fail(struct disk *disk, enum store_status status)
{
    disk->failed = status;
    store_say(disk->store, disk->writer.detail);
}

/* Waits until it is worth trying again. False: the store closes. */
static bool
wait_for_room(struct disk *disk, uint64_t *wait_us)
{
    struct store *store = disk->store;

    disk->waiting = true;
    set_degraded(disk, true);
    (void)pthread_mutex_lock(&store->lock);
    store->stats.full_retries++;
    bool trim = disk->trim_wanted;
    bool closing = disk->closing;
    (void)pthread_mutex_unlock(&store->lock);

    if (dir_release(&disk->dir)) {
        return true;
    }
    if (checkpoint(disk, SQLITE_CHECKPOINT_PASSIVE) != STORE_OK) {
        return true; /* the group will meet the same failure */
    }
    if (trim && disk->failed == STORE_OK) {
        trim_step(disk);
    }
    if (closing) {
        return false;
    }
    (void)pthread_mutex_lock(&store->lock);
    if (!disk->closing) {
        (void)disk_wait_locked(disk, &disk->writer_wake, *wait_us);
    }
    (void)pthread_mutex_unlock(&store->lock);
    *wait_us = *wait_us * 2 > RETRY_MAX_US ? RETRY_MAX_US : *wait_us * 2;
    return true;
}

static enum store_status
write_group(struct disk *disk, struct store_group *group)
{
    struct log_head head = disk->head;
    uint64_t start = store_clock_us();
    uint64_t wait_us = RETRY_FIRST_US;
    enum store_status status = disk->failed;

    if (group->count > 0) {
        head.first_seq = store_group_first_seq(group);
        head.last_seq = store_group_last_seq(group);
        head.count = group->count;
        head.wall_ms = group->wall_ms;
        head.finals += group->finals;
        head.correlated += group->correlated;
        head.total += group->bytes.len + group->marks.len;
    }
    if (status == STORE_OK) {
        status = write_once(disk, group, &head);
    }
    while (status == STORE_FULL && disk->failed == STORE_OK &&
           wait_for_room(disk, &wait_us)) {
        status = write_once(disk, group, &head);
    }
    disk->waiting = false;
    if (status != STORE_OK) {
        return disk->failed != STORE_OK ? disk->failed : status;
    }
    group->write_us = store_clock_us() - start;
    disk->head = head;
    if (group->watermark != 0) {
        disk->watermark = group->watermark;
    }
    return STORE_OK;
}

static void
take_group(struct disk *disk, struct store_group *group)
{
    struct store *store = disk->store;
    enum store_status status = write_group(disk, group);

    if (status == STORE_OK) {
        (void)store_fault(STORE_FAULT_AFTER_COMMIT);
        if (disk->trimmed.first_seq == 0 && group->count > 0) {
            disk->trimmed.first_seq = disk->head.first_seq;
            disk->trimmed.dropped_total = disk->head.total;
        }
        (void)pthread_mutex_lock(&store->lock);
        store->stats.wal_pages = disk->wal_pages;
        store->stats.kept_bytes = disk->head.total -
                                  disk->trimmed.dropped_total;
        atomic_store(&store->committed_seq, disk->head.last_seq);
        if (!list_is_empty(&disk->requests)) {
            (void)pthread_cond_signal(&disk->reader_wake);
        }
        (void)pthread_mutex_unlock(&store->lock);
    } else if (disk->failed == STORE_OK) {
        fail(disk, status);
    }
    store_finish(store, group, status);
    store_wake(store);
    check_room(disk);
}

/* What to do next; caller holds the lock. Waits for it. */
static bool
next_locked(struct disk *disk, struct store_group **ret_group, bool *ret_trim)
{
    bool rested = false;

    while (list_is_empty(&disk->pipe) && !disk->closing &&
           (!disk->trim_wanted || disk->failed != STORE_OK) && !rested) {
        if (checkpoint_due(disk) >= IDLE_CHECKPOINT_PAGES &&
            disk->failed == STORE_OK) {
            rested = !disk_wait_locked(disk, &disk->writer_wake, IDLE_US);
        } else if (atomic_load(&disk->store->degraded)) {
            rested = !disk_wait_locked(disk, &disk->writer_wake,
                                       ROOM_CHECK_US + 1);
        } else {
            (void)pthread_cond_wait(&disk->writer_wake, &disk->store->lock);
        }
    }
    struct list *link = list_pop(&disk->pipe);

    *ret_group = link == NULL ? NULL
                              : container_of(link, struct store_group, link);
    *ret_trim = disk->trim_wanted && !disk->closing;
    return *ret_group != NULL || !disk->closing;
}

void *
writer_main(void *arg)
{
    struct disk *disk = arg;
    struct store *store = disk->store;
    struct store_group *group;
    bool trim;

    (void)sqlite3_wal_hook(disk->writer.handle, note_wal_pages, disk);
    for (;;) {
        (void)pthread_mutex_lock(&store->lock);
        bool go_on = next_locked(disk, &group, &trim);
        (void)pthread_mutex_unlock(&store->lock);

        if (!go_on) {
            break;
        }
        if (group != NULL) {
            take_group(disk, group);
        } else {
            check_room(disk);
        }
        if (trim && disk->failed == STORE_OK) {
            trim_step(disk);
        }
        uint64_t due = checkpoint_due(disk);

        if (disk->failed == STORE_OK &&
            (due >= CHECKPOINT_PAGES ||
             (group == NULL && due >= IDLE_CHECKPOINT_PAGES))) {
            enum store_status status = checkpoint(disk,
                                                  SQLITE_CHECKPOINT_PASSIVE);

            if (status != STORE_OK) {
                fail(disk, status);
            }
        }
    }
    if (disk->failed == STORE_OK) {
        (void)checkpoint(disk, SQLITE_CHECKPOINT_TRUNCATE);
    }
    return NULL;
}
