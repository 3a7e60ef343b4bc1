/* SPDX-License-Identifier: Apache-2.0 */
#include "server/store/disk.h"

#include <stdio.h>
#include <string.h>

/* ---- Targets ----------------------------------------------------------- */

static enum store_status
give_targets(struct db *db, const struct store_recovery *callbacks, void *ctx)
{
    sqlite3_stmt *targets = db_statement(db, DB_TARGETS_ALL);
    bool row = false;
    enum store_status status = db_step(db, targets, &row);

    while (status == STORE_OK && row) {
        size_t name_len;
        size_t len;
        const uint8_t *name = db_column_blob(targets, 0, &name_len);
        const uint8_t *bytes = db_column_blob(targets, 1, &len);

        if (!callbacks->target(
                ctx, (struct text){(const char *)name, (uint32_t)name_len},
                bytes, len)) {
            (void)snprintf(db->detail, sizeof(db->detail),
                           "a row of the target table was refused");
            status = STORE_CALLBACK;
        } else {
            status = db_step(db, targets, &row);
        }
    }
    (void)sqlite3_reset(targets);
    return status;
}

/* ---- Jobs and keys, side by side in order of job id -------------------- */

struct merge {
    struct db *db;
    sqlite3_stmt *jobs;
    sqlite3_stmt *keys;
    bool job_row; /* `jobs` stands on a row, that of `job` */
    bool key_row;
    struct job_id job;
    struct job_id key;
};

static enum store_status
advance(struct db *db, sqlite3_stmt *statement, bool *ret_row,
        struct job_id *ret_id)
{
    enum store_status status = db_step(db, statement, ret_row);

    if (status == STORE_OK && *ret_row && !db_column_id(statement, 0, ret_id)) {
        return db_corrupt(db, "a job id is not 16 bytes long");
    }
    return status;
}

static enum store_status
give_job(struct merge *merge, const struct store_recovery *callbacks, void *ctx)
{
    size_t len;
    const uint8_t *row = db_column_blob(merge->jobs, 1, &len);

    if (!callbacks->job(ctx, merge->job, row, len)) {
        (void)snprintf(merge->db->detail, sizeof(merge->db->detail),
                       "a row of the job table was refused");
        return STORE_CALLBACK;
    }
    return advance(merge->db, merge->jobs, &merge->job_row, &merge->job);
}

static enum store_status
give_key(struct merge *merge, const struct store_recovery *callbacks, void *ctx)
{
    struct store_key key = {.job = merge->key};
    size_t key_len;
    size_t content_len;
    const uint8_t *key_hash = db_column_blob(merge->keys, 1, &key_len);
    const uint8_t *content_hash = db_column_blob(merge->keys, 2, &content_len);

    if (key_len != sizeof(key.key_hash) ||
        content_len != sizeof(key.content_hash)) {
        return db_corrupt(merge->db, "a key is not 16 bytes long");
    }
    memcpy(key.key_hash, key_hash, key_len);
    memcpy(key.content_hash, content_hash, content_len);
    if (!callbacks->key(ctx, &key)) {
        (void)snprintf(merge->db->detail, sizeof(merge->db->detail),
                       "a row of the key table was refused");
        return STORE_CALLBACK;
    }
    return STORE_OK;
}

static enum store_status
merge_tables(struct disk *disk, const struct store_recovery *callbacks,
             void *ctx)
{
    struct db *db = &disk->writer;
    struct merge merge = {
        .db = db,
        .jobs = db_statement(db, DB_JOBS_ALL),
        .keys = db_statement(db, DB_KEYS_UP_TO),
    };

    db_bind_number(merge.keys, 1, disk->watermark);
    enum store_status status = advance(db, merge.jobs, &merge.job_row,
                                       &merge.job);

    if (status == STORE_OK) {
        status = advance(db, merge.keys, &merge.key_row, &merge.key);
    }
    while (status == STORE_OK && (merge.job_row || merge.key_row)) {
        int order = !merge.job_row   ? 1
                    : !merge.key_row ? -1
                                     : memcmp(merge.job.bytes, merge.key.bytes,
                                              sizeof(merge.job.bytes));

        if (order > 0) {
            status = give_key(&merge, callbacks, ctx);
        }
        if (status == STORE_OK && order >= 0) {
            /* A live job's row has its key. */
            status = advance(db, merge.keys, &merge.key_row, &merge.key);
        }
        if (status == STORE_OK && order <= 0) {
            status = give_job(&merge, callbacks, ctx);
        }
    }
    (void)sqlite3_reset(merge.jobs);
    (void)sqlite3_reset(merge.keys);
    return status;
}

/* ---- Records above the watermark --------------------------------------- */

static enum store_status
give_records(struct db *db, const struct store_group *group, uint64_t watermark,
             const struct store_recovery *callbacks, void *ctx,
             struct store_recovered *ret)
{
    for (size_t i = 0; i < store_group_count(group); i++) {
        struct record record;

        if (store_group_entry(group, i)->seq <= watermark) {
            continue;
        }
        store_group_record(group, i, &record);
        if (!callbacks->record(ctx, &record)) {
            (void)snprintf(db->detail, sizeof(db->detail),
                           "record %llu was refused",
                           (unsigned long long)record.seq);
            return STORE_CALLBACK;
        }
        ret->records++;
    }
    return STORE_OK;
}

static enum store_status
missing(struct db *db, uint64_t seq)
{
    char text[80];

    (void)snprintf(text, sizeof(text), "the group with record %llu is missing",
                   (unsigned long long)seq);
    return db_corrupt(db, text);
}

/* The first_seq of the group that holds `seq`. */
static enum store_status
group_start(struct db *db, uint64_t seq, uint64_t *ret)
{
    sqlite3_stmt *statement = db_statement(db, DB_LOG_GROUP_AT);
    bool row = false;

    db_bind_number(statement, 1, seq);
    enum store_status status = db_step(db, statement, &row);

    if (status == STORE_OK && (!row || db_column_number(statement, 1) < seq)) {
        status = missing(db, seq);
    }
    if (status == STORE_OK) {
        *ret = db_column_number(statement, 0);
    }
    (void)sqlite3_reset(statement);
    return status;
}

static enum store_status
replay(struct disk *disk, const struct store_recovery *callbacks, void *ctx,
       struct store_recovered *ret)
{
    struct db *db = &disk->writer;
    uint64_t next_seq = 0;
    bool row = true;

    if (disk->head.last_seq <= disk->watermark) {
        return disk->head.last_seq == disk->watermark
                   ? STORE_OK
                   : missing(db, disk->watermark);
    }
    enum store_status status = group_start(db, disk->watermark + 1, &next_seq);
    sqlite3_stmt *groups = db_statement(db, DB_LOG_GROUPS_FROM);

    db_bind_number(groups, 1, next_seq);
    while (status == STORE_OK) {
        struct store_group *group = NULL;

        status = db_step(db, groups, &row);
        if (status != STORE_OK || !row) {
            break;
        }
        status = db_column_number(groups, 0) != next_seq
                     ? missing(db, next_seq)
                     : log_group_of_row(db, groups, &group, NULL);
        if (status == STORE_OK) {
            status = give_records(db, group, disk->watermark, callbacks, ctx,
                                  ret);
            next_seq = store_group_last_seq(group) + 1;
            ret->groups++;
        }
        store_group_unref(group);
    }
    (void)sqlite3_reset(groups);
    return status;
}

static enum store_status
read_epoch(struct db *db, char *ret)
{
    sqlite3_stmt *statement = db_statement(db, DB_META_GET);
    bool row = false;
    size_t len = 0;

    db_bind_text(statement, 1, "epoch");
    enum store_status status = db_step(db, statement, &row);

    if (status != STORE_OK) {
        return status;
    }
    const uint8_t *epoch = row ? db_column_blob(statement, 0, &len) : NULL;

    if (epoch == NULL || len != STORE_EPOCH_BYTES - 1) {
        status = db_corrupt(db, "the epoch is missing");
    } else {
        memcpy(ret, epoch, len);
        ret[len] = '\0';
    }
    (void)sqlite3_reset(statement);
    return status;
}

enum store_status
disk_recover(struct store *store, const struct store_recovery *callbacks,
             void *ctx, struct store_recovered *ret)
{
    struct disk *disk = disk_of(store);
    struct store_recovered recovered = {
        .next_seq = disk->head.last_seq + 1,
        .first_seq = disk->trimmed.first_seq,
        .watermark = disk->watermark,
        .last_wall_ms = disk->head.wall_ms,
        .sync_us = disk->opened_sync_us,
    };
    enum store_status status = read_epoch(&disk->writer, recovered.epoch);

    if (recovered.first_seq == 0) {
        recovered.first_seq = recovered.next_seq;
    }
    if (status == STORE_OK) {
        status = give_targets(&disk->writer, callbacks, ctx);
    }
    if (status == STORE_OK) {
        status = merge_tables(disk, callbacks, ctx);
    }
    if (status == STORE_OK) {
        status = replay(disk, callbacks, ctx, &recovered);
    }
    if (status == STORE_OK) {
        *ret = recovered;
    }
    return status;
}
