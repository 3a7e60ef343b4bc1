/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why the tables look as they do:
 *
 * - One row a group, so that a commit is mostly one long append. Nothing has an
 *   index on random values that is written once per job: job ids grow with
 *   time, and correlation hashes are spread only within a bucket, a few dozen
 *   pages that stay in memory; a lookup asks every bucket instead.
 * - log.finals, .correlated and .total count from the beginning of time, so
 *   that differences of two rows say how much lies between them.
 * - WITHOUT ROWID where the key is the job: one tree instead of two.
 * - targets: as jobs; a few dozen rows, written over and over.
 * - failed: final records that outlive their group, oldest first; its number
 *   and total count like those of the log.
 */
#include "server/store/schema.h"

#include <stdio.h>

enum { APPLICATION_ID = 0x5264696c }; /* "Rdil" */

/* migrations[n] turns version n into n + 1. */
static const char *const migrations[SCHEMA_VERSION] = {
    "CREATE TABLE meta("
    " name TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;"

    "CREATE TABLE log("
    " first_seq INTEGER PRIMARY KEY,"
    " last_seq INTEGER NOT NULL,"
    " count INTEGER NOT NULL,"
    " wall_ms INTEGER NOT NULL,"
    " finals INTEGER NOT NULL,"
    " correlated INTEGER NOT NULL,"
    " total INTEGER NOT NULL,"
    " checksum INTEGER NOT NULL,"
    " marks BLOB NOT NULL,"
    " bytes BLOB NOT NULL) STRICT;"

    "CREATE TABLE jobs("
    " job_id BLOB PRIMARY KEY,"
    " seq INTEGER NOT NULL,"
    " row BLOB NOT NULL) STRICT, WITHOUT ROWID;"

    "CREATE TABLE payloads("
    " job_id BLOB PRIMARY KEY,"
    " bytes BLOB NOT NULL) STRICT, WITHOUT ROWID;"

    "CREATE TABLE keys("
    " job_id BLOB PRIMARY KEY,"
    " seq INTEGER NOT NULL,"
    " key_hash BLOB NOT NULL,"
    " content_hash BLOB NOT NULL) STRICT, WITHOUT ROWID;"

    "CREATE TABLE finished("
    " job_id BLOB PRIMARY KEY,"
    " final_seq INTEGER NOT NULL,"
    " last_seq INTEGER NOT NULL,"
    " type INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE INDEX finished_failed ON finished(job_id) WHERE type = 6;"

    "CREATE TABLE correlation("
    " bucket INTEGER NOT NULL,"
    " hash INTEGER NOT NULL,"
    " job_id BLOB NOT NULL,"
    " PRIMARY KEY(bucket, hash, job_id)) STRICT, WITHOUT ROWID;"

    "CREATE TABLE failed("
    " final_seq INTEGER PRIMARY KEY,"
    " job_id BLOB NOT NULL,"
    " wall_ms INTEGER NOT NULL,"
    " number INTEGER NOT NULL,"
    " total INTEGER NOT NULL,"
    " record BLOB NOT NULL) STRICT;"

    /* The epoch names this log for ever; hash is the key of correlations. */
    "INSERT INTO meta(name, value) VALUES"
    " ('epoch', lower(hex(randomblob(16)))),"
    " ('hash', randomblob(16)),"
    " ('created_ms', CAST(unixepoch('now') AS INTEGER) * 1000),"
    " ('watermark', 0), ('forgotten', 0), ('forgotten_finals', 0),"
    " ('forgotten_correlated', 0);",

    "CREATE TABLE targets("
    " name TEXT PRIMARY KEY,"
    " seq INTEGER NOT NULL,"
    " row BLOB NOT NULL) STRICT, WITHOUT ROWID;",
};

static enum store_status
migrate(struct db *db, int64_t version)
{
    char sql[64];
    enum store_status status = db_run_plain(db, DB_BEGIN);

    for (int64_t i = version; status == STORE_OK && i < SCHEMA_VERSION; i++) {
        status = db_exec(db, migrations[i]);
    }
    (void)snprintf(sql, sizeof(sql), "PRAGMA user_version = %d",
                   SCHEMA_VERSION);
    if (status == STORE_OK) {
        status = db_exec(db, sql);
    }
    if (status == STORE_OK) {
        status = db_run_plain(db, DB_COMMIT);
    }
    if (status != STORE_OK) {
        db_rollback(db);
    }
    return status;
}

/* Before the first table, on an empty file, and harmless on any other. */
static enum store_status
prepare_file(struct db *db, int64_t version)
{
    static const char creation[] = "PRAGMA page_size = 4096;"
                                   "PRAGMA auto_vacuum = INCREMENTAL;";
    char sql[64];

    if (version != 0) {
        return STORE_OK;
    }
    enum store_status status = db_exec(db, creation);

    if (status == STORE_OK) {
        (void)snprintf(sql, sizeof(sql), "PRAGMA application_id = %d",
                       APPLICATION_ID);
        status = db_exec(db, sql);
    }
    return status;
}

/* Ours, or empty; of a version that we know. */
static enum store_status
check_version(struct db *db, int64_t *ret_version)
{
    int64_t application = 0;
    int64_t tables = 0;
    int64_t version = 0;
    enum store_status status = db_exec_number(db, "PRAGMA application_id",
                                              &application);

    if (status == STORE_OK) {
        status = db_exec_number(db, "PRAGMA user_version", &version);
    }
    if (status == STORE_OK) {
        status = db_exec_number(db, "SELECT count(*) FROM sqlite_schema",
                                &tables);
    }
    if (status != STORE_OK) {
        return status;
    }
    if ((application != APPLICATION_ID && (tables > 0 || application != 0)) ||
        version < 0 || (version == 0 && tables > 0)) {
        return db_corrupt(db, "this is not a store of Redial");
    }
    if (version > SCHEMA_VERSION) {
        (void)snprintf(db->detail, sizeof(db->detail),
                       "its version is %lld, the newest known here %d",
                       (long long)version, SCHEMA_VERSION);
        return STORE_NEWER;
    }
    *ret_version = version;
    return STORE_OK;
}

/* Where shared memory cannot be had, SQLite says nothing and stays as it is. */
static enum store_status
check_mode(struct db *db)
{
    int64_t is_wal = 0;
    enum store_status status = db_exec_number(
        db, "SELECT journal_mode = 'wal' FROM pragma_journal_mode", &is_wal);

    if (status == STORE_OK && is_wal == 0) {
        (void)snprintf(db->detail, sizeof(db->detail),
                       "the file system does not bear a write-ahead log");
        status = STORE_NO_DIRECTORY;
    }
    return status;
}

enum store_status
schema_open(struct db *db)
{
    /* Checkpoints are the writer's own business. */
    static const char setup[] = "PRAGMA journal_mode = WAL;"
                                "PRAGMA synchronous = FULL;"
                                "PRAGMA wal_autocheckpoint = 0;"
                                "PRAGMA journal_size_limit = 67108864;"
                                "PRAGMA secure_delete = OFF;"
                                "PRAGMA temp_store = MEMORY;"
                                "PRAGMA cache_size = -32768;";
    int64_t version = 0;
    enum store_status status = check_version(db, &version);

    if (status == STORE_OK) {
        status = prepare_file(db, version);
    }
    if (status == STORE_OK) {
        status = db_exec(db, setup);
    }
    if (status == STORE_OK) {
        status = check_mode(db);
    }
    if (status == STORE_OK && version < SCHEMA_VERSION) {
        status = migrate(db, version);
    }
    return status;
}

enum store_status
schema_open_reader(struct db *db)
{
    return db_exec(db, "PRAGMA query_only = ON;"
                       "PRAGMA temp_store = MEMORY;"
                       "PRAGMA cache_size = -8192;");
}
