/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Retention, a few milliseconds at a time, on the writer.
 *
 * Three kinds of steps, each on the oldest there is:
 *
 *   forget   the finished jobs whose final record is in a group, with their
 *            keys and correlations; a FAILED one is moved to the table of
 *            failed jobs instead
 *   drop     a group that is forgotten; the payload of a FAILED job that was
 *            accepted in it is kept
 *   prune    a FAILED job, with its payload
 *
 * A step commits without a sync: the next group's sync covers it, and one that
 * a crash takes back is simply done again.
 */
#include "server/store/trim.h"

#include "server/store/store_fault.h"

#include <errno.h>

enum {
    STEP_US = 3000,          /* after this a step ends */
    FREE_PAGES_KEPT = 32768, /* for the groups to come */
    FREE_PAGES_LEAST = 1024, /* when the disk is full */
};

/* ---- Choosing ---------------------------------------------------------- */

bool
trim_is_older(const struct trim *step, int64_t wall_ms, uint64_t age_ms)
{
    int64_t now_ms = step->limits.now_wall_ms;

    return age_ms != 0 && wall_ms < now_ms &&
           (uint64_t)(now_ms - wall_ms) > age_ms;
}

/* Forgets the next group if it is beyond the limits; *ret: it was. */
static enum store_status
forget_one(struct trim *step, bool *ret)
{
    struct log_head head;
    enum store_status status = log_head_after(step->db, step->trimmed.forgotten,
                                              &head);

    if (status == STORE_NOT_FOUND) {
        return STORE_OK;
    }
    uint64_t kept = step->disk->head.finals - step->trimmed.forgotten_finals;

    if (status != STORE_OK || head.last_seq > step->disk->watermark ||
        !(trim_is_older(step, head.wall_ms, step->limits.finished_age_ms) ||
          (step->limits.finished_count != 0 &&
           kept > step->limits.finished_count))) {
        return status;
    }
    status = trim_forget_group(step, &head);
    *ret = status == STORE_OK;
    return status;
}

/* The same for dropping it. */
static enum store_status
drop_one(struct trim *step, bool *ret)
{
    struct log_head head;
    struct log_head next;
    enum store_status status = log_head(step->db, DB_LOG_FIRST, &head);

    if (status == STORE_OK) {
        status = log_head_after(step->db, head.first_seq, &next);
    }
    if (status == STORE_NOT_FOUND) {
        return STORE_OK; /* none, or only the newest */
    }
    uint64_t kept = step->disk->head.total - step->trimmed.dropped_total;

    if (status != STORE_OK || head.last_seq > step->disk->watermark ||
        !(trim_is_older(step, head.wall_ms, step->limits.events_age_ms) ||
          (step->limits.events_bytes != 0 &&
           kept > step->limits.events_bytes))) {
        return status;
    }
    int error = store_fault(STORE_FAULT_TRIM);

    if (error != 0) {
        return error == ENOSPC ? STORE_FULL : STORE_IO;
    }
    if (head.last_seq > step->trimmed.forgotten) {
        status = trim_forget_group(step, &head);
    }
    if (status == STORE_OK) {
        status = trim_drop_group(step, &head, &next);
    }
    *ret = status == STORE_OK;
    return status;
}

/* One unit of work; *ret: there was some. */
static enum store_status
trim_one(struct trim *step, bool *ret)
{
    enum store_status status = forget_one(step, ret);

    if (status == STORE_OK && !*ret) {
        status = drop_one(step, ret);
    }
    if (status == STORE_OK && !*ret) {
        status = trim_prune_one(step, ret);
    }
    return status;
}

static enum store_status
save(struct trim *step)
{
    struct db *db = step->db;
    enum store_status status = db_meta_put(db, "forgotten",
                                           step->trimmed.forgotten);

    if (status == STORE_OK) {
        status = db_meta_put(db, "forgotten_finals",
                             step->trimmed.forgotten_finals);
    }
    if (status == STORE_OK) {
        status = db_meta_put(db, "forgotten_correlated",
                             step->trimmed.forgotten_correlated);
    }
    return status;
}

/* One transaction; *ret_more: it ended because time was up. */
static enum store_status
run(struct trim *step, bool *ret_more)
{
    struct db *db = step->db;
    bool worked = true;
    bool any = false;
    enum store_status status = db_run_plain(db, DB_BEGIN);

    while (status == STORE_OK && worked &&
           (!any || store_clock_us() < step->until_us)) {
        worked = false;
        status = trim_one(step, &worked);
        any = any || worked;
    }
    if (status == STORE_OK && any) {
        status = save(step);
    }
    if (status == STORE_OK) {
        status = db_run_plain(db, DB_COMMIT);
    }
    if (status != STORE_OK) {
        db_rollback(db);
    }
    *ret_more = worked;
    return status;
}

/* Gives a bit of the file back when far more of it is free than needed. */
static enum store_status
give_back_pages(struct trim *step, bool *ret_more)
{
    struct db *db = step->db;
    sqlite3_stmt *statement = db_statement(db, DB_FREE_PAGES);
    bool row = false;
    uint64_t kept = atomic_load(&step->disk->store->degraded) ? FREE_PAGES_LEAST
                                                              : FREE_PAGES_KEPT;
    enum store_status status = db_step(db, statement, &row);
    uint64_t pages = row ? db_column_number(statement, 0) : 0;

    (void)sqlite3_reset(statement);
    if (status != STORE_OK || pages <= kept) {
        return status;
    }
    *ret_more = true;
    return db_run_plain(db, DB_VACUUM);
}

static enum store_status
run_unsynced(struct trim *step, bool *ret_more)
{
    struct db *db = step->db;
    enum store_status status = db_run_plain(db, DB_SYNC_NORMAL);

    if (status == STORE_OK) {
        status = run(step, ret_more);
    }
    if (status == STORE_OK && !*ret_more) {
        status = give_back_pages(step, ret_more);
    }
    enum store_status restored = db_run_plain(db, DB_SYNC_FULL);

    return status == STORE_OK ? restored : status;
}

/* ---- From the writer --------------------------------------------------- */

static void
report(struct trim *step, enum store_status status, bool more)
{
    struct disk *disk = step->disk;
    struct store_answer *shown = &step->answer->shown;

    if (status != STORE_OK) {
        store_say(disk->store, step->db->detail);
        shown->key_count = 0; /* they are all still there */
    }
    shown->status = status;
    shown->first_seq = disk->trimmed.first_seq;
    shown->complete = status != STORE_OK || !more;
    (void)pthread_mutex_lock(&disk->store->lock);
    atomic_store(&disk->store->first_seq, disk->trimmed.first_seq);
    disk->store->stats.kept_bytes = disk->head.total -
                                    disk->trimmed.dropped_total;
    if (shown->complete) {
        disk->trim_wanted = false;
    }
    (void)pthread_mutex_unlock(&disk->store->lock);
    store_answer(disk->store, step->answer);
    store_wake(disk->store);
}

void
trim_step(struct disk *disk)
{
    struct trim step = {
        .disk = disk,
        .db = &disk->writer,
        .trimmed = disk->trimmed,
        .answer = answer_new(STORE_TRIMMED, 0),
        .until_us = store_clock_us() + STEP_US,
    };
    bool more = false;

    if (step.answer == NULL) {
        return; /* another time */
    }
    (void)pthread_mutex_lock(&disk->store->lock);
    step.answer->shown.ticket = disk->trim_ticket;
    step.limits = disk->retention;
    (void)pthread_mutex_unlock(&disk->store->lock);

    enum store_status status = run_unsynced(&step, &more);

    if (status == STORE_OK) {
        disk->trimmed = step.trimmed;
    } else if (status == STORE_IO) {
        disk->failed = status;
    }
    report(&step, status, more);
}
