/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One SQLite connection: prepared statements, binding, and errors as our
 * status. A connection belongs to one thread at a time.
 */
#ifndef REDIAL_SERVER_STORE_DB_H
#define REDIAL_SERVER_STORE_DB_H

#include "server/store/store.h"

#include <sqlite3.h>

enum db_statement {
#define SQL(name, text) DB_##name,
#include "server/store/sql.def"
#undef SQL
    DB_STATEMENTS,
};

struct db {
    sqlite3 *handle;
    sqlite3_stmt *statements[DB_STATEMENTS];
    char detail[STORE_DETAIL_BYTES]; /* of the last failure */
};

/*
 * Opens the file. A reader's connection cannot write. On failure `db` is as
 * db_close() leaves it, but for the detail.
 */
enum store_status
db_open(struct db *db, const char *path, bool reader);

/* A zeroed or half-open one is allowed. */
void
db_close(struct db *db);

/* Runs statements without parameters or results. */
enum store_status
db_exec(struct db *db, const char *sql);

/* A PRAGMA or SELECT that gives one number. */
enum store_status
db_exec_number(struct db *db, const char *sql, int64_t *ret);

/*
 * The statement, reset and ready for binding. When it cannot be prepared this
 * is NULL, which everything below takes and db_step() and db_run() report.
 */
sqlite3_stmt *
db_statement(struct db *db, enum db_statement which);

/*
 * Parameters from 1. Blobs are not copied: they must stay until the statement
 * has run. NULL bytes with len 0 bind an empty blob.
 */
void
db_bind_number(sqlite3_stmt *statement, int index, uint64_t value);

void
db_bind_blob(sqlite3_stmt *statement, int index, const void *bytes, size_t len);

void
db_bind_id(sqlite3_stmt *statement, int index, const struct job_id *id);

void
db_bind_text(sqlite3_stmt *statement, int index, const char *string);

/* The same of a text that need not be terminated, and is not copied either. */
void
db_bind_name(sqlite3_stmt *statement, int index, struct text name);

/* One step. *ret_row: there is a row; without one the statement is reset. */
enum store_status
db_step(struct db *db, sqlite3_stmt *statement, bool *ret_row);

/* Runs it to the end, ignoring rows. Changes: sqlite3_changes(). */
enum store_status
db_run(struct db *db, sqlite3_stmt *statement);

/* db_statement() and db_run() for those without parameters. */
enum store_status
db_run_plain(struct db *db, enum db_statement which);

uint64_t
db_column_number(sqlite3_stmt *statement, int index);

const uint8_t *
db_column_blob(sqlite3_stmt *statement, int index, size_t *ret_len);

/* False: not 16 bytes. */
bool
db_column_id(sqlite3_stmt *statement, int index, struct job_id *ret);

/* The status of the connection's last failure; writes the detail. */
enum store_status
db_failure(struct db *db, const char *what);

/* One of ours: the same for what SQLite did not notice. */
enum store_status
db_corrupt(struct db *db, const char *what);

/* Ends a transaction that failed. */
void
db_rollback(struct db *db);

/* A number kept in meta. STORE_NOT_FOUND, *ret untouched, when there is none.
 */
enum store_status
db_meta_get(struct db *db, const char *name, uint64_t *ret);

enum store_status
db_meta_put(struct db *db, const char *name, uint64_t value);

#endif
