/* SPDX-License-Identifier: Apache-2.0 */
#include "server/store/db.h"

#include "server/base/check.h"
#include "server/store/store_fault.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

/* How long a connection waits for the other one's short locks. */
enum { BUSY_MS = 10000 };

static const char *const statement_texts[DB_STATEMENTS] = {
#define SQL(name, text) [DB_##name] = (text),
#include "server/store/sql.def"
#undef SQL
};

static bool
is_full(int code, int error)
{
    if (code == SQLITE_FULL) {
        return true;
    }
    /* After a failed sync nobody knows what is on disk, room or not. */
    return (code & 0xff) == SQLITE_IOERR && code != SQLITE_IOERR_FSYNC &&
           code != SQLITE_IOERR_DIR_FSYNC &&
           (error == ENOSPC || error == EDQUOT);
}

static enum store_status
status_of(int code, int error)
{
    if (is_full(code, error)) {
        return STORE_FULL;
    }
    switch (code & 0xff) {
    case SQLITE_NOMEM:
        return STORE_NO_MEMORY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return STORE_CORRUPT;
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return STORE_NO_DIRECTORY;
    default:
        return STORE_IO;
    }
}

enum store_status
db_failure(struct db *db, const char *what)
{
    int code = db->handle == NULL ? SQLITE_NOMEM
                                  : sqlite3_extended_errcode(db->handle);
    int error = db->handle == NULL ? 0 : sqlite3_system_errno(db->handle);
    const char *text = db->handle == NULL ? sqlite3_errstr(code)
                                          : sqlite3_errmsg(db->handle);

    (void)snprintf(db->detail, sizeof(db->detail), "%s: %s (SQLite %d%s%s)",
                   what, text, code, error == 0 ? "" : ", ",
                   error == 0 ? "" : strerrordesc_np(error));
    return status_of(code, error);
}

enum store_status
db_corrupt(struct db *db, const char *what)
{
    (void)snprintf(db->detail, sizeof(db->detail), "%s", what);
    return STORE_CORRUPT;
}

enum store_status
db_open(struct db *db, const char *path, bool reader)
{
    /* The reader may write too: a WAL's index needs it. query_only binds it. */
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX |
                SQLITE_OPEN_PRIVATECACHE | (reader ? 0 : SQLITE_OPEN_CREATE);
    const char *vfs = store_fault_vfs();
    enum store_status status;

    *db = (struct db){0};
    if (sqlite3_open_v2(path, &db->handle, flags, vfs) != SQLITE_OK) {
        status = db_failure(db, path);
        goto fail;
    }
    (void)sqlite3_extended_result_codes(db->handle, 1);
    (void)sqlite3_busy_timeout(db->handle, BUSY_MS);
    /* Everything the file says about itself is data, not code. */
    (void)sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    (void)sqlite3_db_config(db->handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0,
                            NULL);
    return STORE_OK;

fail:
    (void)sqlite3_close(db->handle);
    db->handle = NULL;
    return status;
}

void
db_close(struct db *db)
{
    for (size_t i = 0; i < DB_STATEMENTS; i++) {
        (void)sqlite3_finalize(db->statements[i]);
        db->statements[i] = NULL;
    }
    int code = sqlite3_close(db->handle);

    redial_assert(code == SQLITE_OK);
    db->handle = NULL;
}

enum store_status
db_exec(struct db *db, const char *sql)
{
    if (sqlite3_exec(db->handle, sql, NULL, NULL, NULL) != SQLITE_OK) {
        return db_failure(db, sql);
    }
    return STORE_OK;
}

enum store_status
db_exec_number(struct db *db, const char *sql, int64_t *ret)
{
    sqlite3_stmt *statement = NULL;
    enum store_status status = STORE_OK;

    if (sqlite3_prepare_v2(db->handle, sql, -1, &statement, NULL) !=
            SQLITE_OK ||
        sqlite3_step(statement) != SQLITE_ROW) {
        status = db_failure(db, sql);
    } else {
        *ret = sqlite3_column_int64(statement, 0);
    }
    (void)sqlite3_finalize(statement);
    return status;
}

sqlite3_stmt *
db_statement(struct db *db, enum db_statement which)
{
    sqlite3_stmt **statement = &db->statements[which];

    if (*statement == NULL) {
        (void)sqlite3_prepare_v3(db->handle, statement_texts[which], -1,
                                 SQLITE_PREPARE_PERSISTENT, statement, NULL);
    } else {
        (void)sqlite3_reset(*statement);
    }
    return *statement;
}

void
db_bind_number(sqlite3_stmt *statement, int index, uint64_t value)
{
    if (statement == NULL) {
        return; /* could not be prepared: db_step() says so */
    }
    int code = sqlite3_bind_int64(statement, index, (sqlite3_int64)value);

    redial_assert(code == SQLITE_OK);
}

void
db_bind_blob(sqlite3_stmt *statement, int index, const void *bytes, size_t len)
{
    if (statement == NULL) {
        return; /* could not be prepared: db_step() says so */
    }
    int code = len == 0 ? sqlite3_bind_zeroblob(statement, index, 0)
                        : sqlite3_bind_blob64(statement, index, bytes, len,
                                              SQLITE_STATIC);

    redial_assert(code == SQLITE_OK);
}

void
db_bind_id(sqlite3_stmt *statement, int index, const struct job_id *id)
{
    db_bind_blob(statement, index, id->bytes, sizeof(id->bytes));
}

void
db_bind_text(sqlite3_stmt *statement, int index, const char *string)
{
    if (statement == NULL) {
        return; /* could not be prepared: db_step() says so */
    }
    int code = sqlite3_bind_text(statement, index, string, -1, SQLITE_STATIC);

    redial_assert(code == SQLITE_OK);
}

void
db_bind_name(sqlite3_stmt *statement, int index, struct text name)
{
    if (statement == NULL) {
        return; /* could not be prepared: db_step() says so */
    }
    int code = sqlite3_bind_text(statement, index, name.at, (int)name.len,
                                 SQLITE_STATIC);

    redial_assert(code == SQLITE_OK);
}

enum store_status
db_step(struct db *db, sqlite3_stmt *statement, bool *ret_row)
{
    if (statement == NULL) {
        return db_failure(db, "prepare");
    }
    int code = sqlite3_step(statement);

    if (code == SQLITE_ROW) {
        *ret_row = true;
        return STORE_OK;
    }
    if (code != SQLITE_DONE) {
        enum store_status status = db_failure(db, sqlite3_sql(statement));

        (void)sqlite3_reset(statement);
        return status;
    }
    (void)sqlite3_reset(statement);
    *ret_row = false;
    return STORE_OK;
}

enum store_status
db_run(struct db *db, sqlite3_stmt *statement)
{
    bool row = true;

    while (row) {
        enum store_status status = db_step(db, statement, &row);

        if (status != STORE_OK) {
            return status;
        }
    }
    return STORE_OK;
}

enum store_status
db_run_plain(struct db *db, enum db_statement which)
{
    return db_run(db, db_statement(db, which));
}

uint64_t
db_column_number(sqlite3_stmt *statement, int index)
{
    return (uint64_t)sqlite3_column_int64(statement, index);
}

const uint8_t *
db_column_blob(sqlite3_stmt *statement, int index, size_t *ret_len)
{
    const void *bytes = sqlite3_column_blob(statement, index);

    *ret_len = (size_t)sqlite3_column_bytes(statement, index);
    return bytes;
}

bool
db_column_id(sqlite3_stmt *statement, int index, struct job_id *ret)
{
    size_t len;
    const uint8_t *bytes = db_column_blob(statement, index, &len);

    if (bytes == NULL || len != sizeof(ret->bytes)) {
        return false;
    }
    memcpy(ret->bytes, bytes, len);
    return true;
}

void
db_rollback(struct db *db)
{
    if (sqlite3_get_autocommit(db->handle) == 0) {
        /* Cannot fail in a way that matters: the caller stops or tries all
         * over again. The detail of the first failure stays. */
        char detail[STORE_DETAIL_BYTES];

        memcpy(detail, db->detail, sizeof(detail));
        (void)db_run_plain(db, DB_ROLLBACK);
        memcpy(db->detail, detail, sizeof(detail));
    }
}

enum store_status
db_meta_get(struct db *db, const char *name, uint64_t *ret)
{
    sqlite3_stmt *statement = db_statement(db, DB_META_GET);
    bool row = false;

    db_bind_text(statement, 1, name);
    enum store_status status = db_step(db, statement, &row);

    if (status != STORE_OK || !row) {
        return status == STORE_OK ? STORE_NOT_FOUND : status;
    }
    *ret = db_column_number(statement, 0);
    (void)sqlite3_reset(statement);
    return STORE_OK;
}

enum store_status
db_meta_put(struct db *db, const char *name, uint64_t value)
{
    sqlite3_stmt *statement = db_statement(db, DB_META_PUT);

    db_bind_text(statement, 1, name);
    db_bind_number(statement, 2, value);
    return db_run(db, statement);
}
