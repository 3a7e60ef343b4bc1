/* SPDX-License-Identifier: Apache-2.0 */
#include "server/store/log.h"

#include "server/store/checksum.h"
#include "server/store/little.h"

#include <stdio.h>

static uint32_t
row_checksum(const struct log_head *head, struct text marks, struct text bytes)
{
    uint8_t numbers[6 * 8];
    uint32_t sum;

    store_le64(numbers, head->first_seq);
    store_le64(numbers + 8, head->last_seq);
    store_le64(numbers + 16, head->count);
    store_le64(numbers + 24, (uint64_t)head->wall_ms);
    store_le64(numbers + 32, marks.len);
    store_le64(numbers + 40, bytes.len);
    sum = checksum_add(0, numbers, sizeof(numbers));
    sum = checksum_add(sum, marks.at, marks.len);
    return checksum_add(sum, bytes.at, bytes.len);
}

static struct text
text_of_bytes(const uint8_t *bytes, size_t len)
{
    return (struct text){.at = (const char *)bytes, .len = (uint32_t)len};
}

enum store_status
log_append(struct db *db, const struct log_head *head,
           const struct store_group *group)
{
    sqlite3_stmt *statement = db_statement(db, DB_LOG_APPEND);

    db_bind_number(statement, 1, head->first_seq);
    db_bind_number(statement, 2, head->last_seq);
    db_bind_number(statement, 3, head->count);
    db_bind_number(statement, 4, (uint64_t)head->wall_ms);
    db_bind_number(statement, 5, head->finals);
    db_bind_number(statement, 6, head->correlated);
    db_bind_number(statement, 7, head->total);
    db_bind_number(
        statement, 8,
        row_checksum(head, text_of_bytes(group->marks.at, group->marks.len),
                     text_of_bytes(group->bytes.at, group->bytes.len)));
    db_bind_blob(statement, 9, group->marks.at, group->marks.len);
    db_bind_blob(statement, 10, group->bytes.at, group->bytes.len);
    return db_run(db, statement);
}

static enum store_status
read_head(struct db *db, sqlite3_stmt *statement, struct log_head *ret)
{
    bool row = false;
    enum store_status status = db_step(db, statement, &row);

    if (status != STORE_OK || !row) {
        return status == STORE_OK ? STORE_NOT_FOUND : status;
    }
    *ret = (struct log_head){
        .first_seq = db_column_number(statement, 0),
        .last_seq = db_column_number(statement, 1),
        .count = db_column_number(statement, 2),
        .wall_ms = (int64_t)db_column_number(statement, 3),
        .finals = db_column_number(statement, 4),
        .correlated = db_column_number(statement, 5),
        .total = db_column_number(statement, 6),
    };
    (void)sqlite3_reset(statement);
    return STORE_OK;
}

enum store_status
log_head(struct db *db, enum db_statement which, struct log_head *ret)
{
    return read_head(db, db_statement(db, which), ret);
}

enum store_status
log_head_after(struct db *db, uint64_t seq, struct log_head *ret)
{
    sqlite3_stmt *statement = db_statement(db, DB_LOG_HEAD_AFTER);

    db_bind_number(statement, 1, seq);
    return read_head(db, statement, ret);
}

static enum store_status
damaged(struct db *db, const struct log_head *head, const char *how)
{
    char text[128];

    (void)snprintf(text, sizeof(text),
                   "the group of records %llu to %llu is damaged: %s",
                   (unsigned long long)head->first_seq,
                   (unsigned long long)head->last_seq, how);
    return db_corrupt(db, text);
}

enum store_status
log_group_of_row(struct db *db, sqlite3_stmt *row, struct store_group **ret,
                 struct bytes *ret_marks)
{
    struct log_head head = {
        .first_seq = db_column_number(row, 0),
        .last_seq = db_column_number(row, 1),
        .count = db_column_number(row, 2),
        .wall_ms = (int64_t)db_column_number(row, 3),
    };
    size_t marks_len;
    size_t bytes_len;
    const uint8_t *marks = db_column_blob(row, 5, &marks_len);
    const uint8_t *bytes = db_column_blob(row, 6, &bytes_len);
    enum store_status status = STORE_OK;

    if (head.count == 0 || head.last_seq - head.first_seq + 1 != head.count ||
        marks_len % GROUP_MARK_BYTES != 0) {
        return damaged(db, &head, "its numbers disagree");
    }
    if (db_column_number(row, 4) !=
        row_checksum(&head, text_of_bytes(marks, marks_len),
                     text_of_bytes(bytes, bytes_len))) {
        return damaged(db, &head, "its checksum does not match");
    }
    struct store_group *group = group_parse(head.first_seq, head.count, bytes,
                                            bytes_len, &status);

    if (group == NULL) {
        return status == STORE_CORRUPT
                   ? damaged(db, &head, "a record cannot be decoded")
                   : status;
    }
    if (ret_marks != NULL && !bytes_append(ret_marks, marks, marks_len)) {
        store_group_unref(group);
        return STORE_NO_MEMORY;
    }
    *ret = group;
    return STORE_OK;
}

enum store_status
log_group_at(struct db *db, uint64_t seq, struct store_group **ret,
             struct bytes *ret_marks)
{
    sqlite3_stmt *statement = db_statement(db, DB_LOG_GROUP_AT);
    bool row = false;

    db_bind_number(statement, 1, seq);
    enum store_status status = db_step(db, statement, &row);

    if (status != STORE_OK || !row) {
        return status == STORE_OK ? STORE_NOT_FOUND : status;
    }
    status = db_column_number(statement, 1) < seq
                 ? STORE_NOT_FOUND
                 : log_group_of_row(db, statement, ret, ret_marks);
    (void)sqlite3_reset(statement);
    return status;
}
