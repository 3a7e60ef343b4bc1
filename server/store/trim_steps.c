/* SPDX-License-Identifier: Apache-2.0 */
#include "server/store/trim.h"

#include <stdio.h>
#include <string.h>

/* A group that is being forgotten or dropped; its records only if needed. */
struct victim {
    struct log_head head;
    struct bytes marks;
    struct store_group *group;
};

/* ---- Victims ----------------------------------------------------------- */

static enum store_status
victim_init(struct victim *victim, struct trim *step,
            const struct log_head *head)
{
    struct db *db = step->db;
    sqlite3_stmt *statement = db_statement(db, DB_LOG_MARKS);
    bool row = false;
    size_t len = 0;

    victim->head = *head;
    victim->group = NULL;
    bytes_init(&victim->marks, GROUP_BYTES_MAX);
    db_bind_number(statement, 1, head->first_seq);
    enum store_status status = db_step(db, statement, &row);

    if (status == STORE_OK && row) {
        const uint8_t *marks = db_column_blob(statement, 0, &len);

        status = bytes_append(&victim->marks, marks, len) ? STORE_OK
                                                          : STORE_NO_MEMORY;
        (void)sqlite3_reset(statement);
    }
    return status;
}

static void
victim_fini(struct victim *victim)
{
    bytes_fini(&victim->marks);
    store_group_unref(victim->group);
}

/* The record of a mark, decoded and as it is stored. */
static enum store_status
victim_record(struct victim *victim, struct trim *step, uint32_t index,
              struct record *ret, struct text *ret_stored)
{
    if (victim->group == NULL) {
        enum store_status status = log_group_at(
            step->db, victim->head.first_seq, &victim->group, NULL);

        if (status != STORE_OK) {
            return status == STORE_NOT_FOUND
                       ? db_corrupt(step->db, "a group disappeared")
                       : status;
        }
    }
    if (index >= store_group_count(victim->group)) {
        return db_corrupt(step->db, "a mark points behind its group");
    }
    const struct store_entry *entry = store_group_entry(victim->group, index);

    store_group_record(victim->group, index, ret);
    ret_stored->at = (const char *)store_group_bytes(victim->group, entry);
    ret_stored->len = entry->len;
    return STORE_OK;
}

static enum store_status
bad_mark(struct trim *step, const struct victim *victim)
{
    (void)snprintf(step->db->detail, sizeof(step->db->detail),
                   "the group of records %llu to %llu is damaged: a mark "
                   "means nothing",
                   (unsigned long long)victim->head.first_seq,
                   (unsigned long long)victim->head.last_seq);
    return STORE_CORRUPT;
}

/* ---- Forgetting -------------------------------------------------------- */

static enum store_status
forget_key(struct trim *step, const struct job_id *job)
{
    struct db *db = step->db;
    sqlite3_stmt *statement = db_statement(db, DB_KEY_TAKE);
    struct store_key key = {.job = *job};
    size_t len;
    bool row = false;

    db_bind_id(statement, 1, job);
    enum store_status status = db_step(db, statement, &row);

    if (status != STORE_OK || !row) {
        return status;
    }
    memcpy(key.key_hash, db_column_blob(statement, 0, &len), 16);
    memcpy(key.content_hash, db_column_blob(statement, 1, &len), 16);
    status = db_run(db, statement);
    if (status == STORE_OK && !answer_add_key(step->answer, &key)) {
        status = STORE_NO_MEMORY;
    }
    return status;
}

/* How many rows the last statement changed. */
static int
changes(const struct trim *step)
{
    return sqlite3_changes(step->db->handle);
}

static enum store_status
change_failed_correlation(struct trim *step, enum db_statement which,
                          const struct record *record)
{
    sqlite3_stmt *statement = db_statement(step->db, which);

    if (record->correlation.len == 0) {
        return STORE_OK;
    }
    db_bind_number(statement, 1, (uint64_t)(int64_t)BUCKET_FAILED);
    db_bind_number(
        statement, 2,
        disk_hash(step->disk, record->correlation.at, record->correlation.len));
    db_bind_id(statement, 3, &record->job);
    return db_run(step->db, statement);
}

/* Is this still how the job ended? It may have been requeued. */
static enum store_status
ended_there(struct trim *step, const struct job_id *job, uint64_t final_seq,
            bool *ret)
{
    sqlite3_stmt *statement = db_statement(step->db, DB_FINISHED_GET);
    bool row = false;

    db_bind_id(statement, 1, job);
    enum store_status status = db_step(step->db, statement, &row);

    if (status == STORE_OK) {
        *ret = row && db_column_number(statement, 1) == final_seq;
    }
    (void)sqlite3_reset(statement);
    return status;
}

static enum store_status
keep_failed(struct trim *step, struct victim *victim,
            const struct group_mark *mark)
{
    struct record record = {0};
    struct text stored = {0};
    bool still = false;
    uint64_t seq = victim->head.first_seq + mark->index;
    enum store_status status = ended_there(step, &mark->job, seq, &still);

    if (status != STORE_OK || !still) {
        return status;
    }
    status = victim_record(victim, step, mark->index, &record, &stored);
    if (status != STORE_OK) {
        return status;
    }
    sqlite3_stmt *statement = db_statement(step->db, DB_FAILED_PUT);

    step->trimmed.failed_number++;
    step->trimmed.failed_total += stored.len;
    db_bind_number(statement, 1, seq);
    db_bind_id(statement, 2, &mark->job);
    db_bind_number(statement, 3, (uint64_t)record.wall_ms);
    db_bind_number(statement, 4, step->trimmed.failed_number);
    db_bind_number(statement, 5, step->trimmed.failed_total);
    db_bind_blob(statement, 6, stored.at, stored.len);
    status = db_run(step->db, statement);
    if (status == STORE_OK) {
        status = change_failed_correlation(step, DB_CORRELATION_PUT, &record);
    }
    return status;
}

static enum store_status
forget_job(struct trim *step, struct victim *victim,
           const struct group_mark *mark)
{
    enum store_status status;

    if (mark->type == EVENT_JOB_FAILED) {
        status = keep_failed(step, victim, mark);
    } else {
        sqlite3_stmt *statement = db_statement(step->db, DB_FINISHED_FORGET);

        db_bind_id(statement, 1, &mark->job);
        db_bind_number(statement, 2, victim->head.first_seq + mark->index);
        status = db_run(step->db, statement);
        if (status == STORE_OK && changes(step) == 0) {
            return STORE_OK; /* requeued since */
        }
    }
    if (status == STORE_OK && mark->keyed) {
        status = forget_key(step, &mark->job);
    }
    return status;
}

/* Buckets of which every job is forgotten. */
static enum store_status
drop_buckets(struct trim *step, uint64_t correlated)
{
    uint64_t bucket = step->trimmed.forgotten_correlated / BUCKET_JOBS;
    enum store_status status = STORE_OK;

    for (; status == STORE_OK && bucket < correlated / BUCKET_JOBS; bucket++) {
        sqlite3_stmt *statement = db_statement(step->db, DB_CORRELATION_DROP);

        db_bind_number(statement, 1, bucket);
        status = db_run(step->db, statement);
    }
    return status;
}

enum store_status
trim_forget_group(struct trim *step, const struct log_head *head)
{
    struct victim victim;
    struct group_mark mark;
    enum store_status status = victim_init(&victim, step, head);
    size_t count = group_mark_count(victim.marks.len);

    for (size_t i = 0; status == STORE_OK && i < count; i++) {
        if (!group_mark(victim.marks.at, i, &mark)) {
            status = bad_mark(step, &victim);
        } else if (group_is_final(mark.type)) {
            status = forget_job(step, &victim, &mark);
        }
    }
    victim_fini(&victim);
    if (status == STORE_OK) {
        status = drop_buckets(step, head->correlated);
    }
    if (status == STORE_OK) {
        step->trimmed.forgotten = head->last_seq;
        step->trimmed.forgotten_finals = head->finals;
        step->trimmed.forgotten_correlated = head->correlated;
    }
    return status;
}

/* ---- Dropping ---------------------------------------------------------- */

/* The payload of a FAILED job outlives the group that brought it. */
static enum store_status
keep_payload(struct trim *step, struct victim *victim,
             const struct group_mark *mark)
{
    sqlite3_stmt *statement = db_statement(step->db, DB_FINISHED_IS_FAILED);
    struct record record = {0};
    struct text stored = {0};
    bool row = false;

    db_bind_id(statement, 1, &mark->job);
    enum store_status status = db_step(step->db, statement, &row);

    (void)sqlite3_reset(statement);
    if (status != STORE_OK || !row) {
        return status;
    }
    status = victim_record(victim, step, mark->index, &record, &stored);
    if (status == STORE_OK) {
        statement = db_statement(step->db, DB_PAYLOAD_KEEP);
        db_bind_id(statement, 1, &mark->job);
        db_bind_blob(statement, 2, record.attached.at, record.attached.len);
        status = db_run(step->db, statement);
    }
    return status;
}

enum store_status
trim_drop_group(struct trim *step, const struct log_head *head,
                const struct log_head *next)
{
    struct victim victim;
    struct group_mark mark;
    enum store_status status = victim_init(&victim, step, head);
    size_t count = group_mark_count(victim.marks.len);

    for (size_t i = 0; status == STORE_OK && i < count; i++) {
        if (!group_mark(victim.marks.at, i, &mark)) {
            status = bad_mark(step, &victim);
        } else if (mark.type == EVENT_JOB_ACCEPTED) {
            status = keep_payload(step, &victim, &mark);
        }
    }
    victim_fini(&victim);
    if (status == STORE_OK) {
        sqlite3_stmt *statement = db_statement(step->db, DB_LOG_DROP);

        db_bind_number(statement, 1, head->first_seq);
        status = db_run(step->db, statement);
    }
    if (status == STORE_OK) {
        step->trimmed.first_seq = next->first_seq;
        step->trimmed.dropped_total = next->total;
    }
    return status;
}

/* ---- Pruning ----------------------------------------------------------- */

static enum store_status
prune_payload(struct trim *step, const struct job_id *job, uint64_t final_seq)
{
    sqlite3_stmt *statement = db_statement(step->db, DB_FINISHED_FORGET);

    db_bind_id(statement, 1, job);
    db_bind_number(statement, 2, final_seq);
    enum store_status status = db_run(step->db, statement);

    if (status == STORE_OK && changes(step) > 0) {
        statement = db_statement(step->db, DB_PAYLOAD_DELETE);
        db_bind_id(statement, 1, job);
        status = db_run(step->db, statement);
    }
    return status;
}

enum store_status
trim_prune_one(struct trim *step, bool *ret)
{
    const struct store_retention *limits = &step->limits;
    sqlite3_stmt *statement = db_statement(step->db, DB_FAILED_FIRST);
    struct record record;
    bool row = false;
    size_t len;
    enum store_status status = db_step(step->db, statement, &row);

    if (status != STORE_OK || !row) {
        return status;
    }
    uint64_t final_seq = db_column_number(statement, 0);
    int64_t wall_ms = (int64_t)db_column_number(statement, 2);
    uint64_t after = step->trimmed.failed_number -
                     db_column_number(statement, 3);
    uint64_t bytes = step->trimmed.failed_total -
                     db_column_number(statement, 4);

    if (!(trim_is_older(step, wall_ms, limits->failed_age_ms) ||
          (limits->failed_count != 0 && after + 1 > limits->failed_count) ||
          (limits->failed_bytes != 0 && bytes > limits->failed_bytes))) {
        (void)sqlite3_reset(statement);
        return STORE_OK;
    }
    const uint8_t *stored = db_column_blob(statement, 5, &len);

    status = record_decode(stored, len, &record)
                 ? change_failed_correlation(step, DB_CORRELATION_DELETE,
                                             &record)
                 : db_corrupt(step->db, "a failed job cannot be decoded");
    (void)sqlite3_reset(statement);
    if (status == STORE_OK) {
        status = prune_payload(step, &record.job, final_seq);
    }
    if (status == STORE_OK) {
        statement = db_statement(step->db, DB_FAILED_DELETE);
        db_bind_number(statement, 1, final_seq);
        status = db_run(step->db, statement);
    }
    *ret = status == STORE_OK;
    return status;
}
