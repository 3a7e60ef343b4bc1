/* SPDX-License-Identifier: Apache-2.0 */
/* Stores that an older version has written: they open, whole. */
#include "tests/unit/store/fixture.h"

#include <sqlite3.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct seen {
    size_t jobs;
    size_t targets;
    size_t records;
};

static bool
see_job(void *ctx, struct job_id id, const uint8_t *row, size_t len)
{
    struct seen *seen = ctx;

    (void)id;
    seen->jobs++;
    assert_int_equal(len, 4);
    assert_memory_equal(row, "live", 4);
    return true;
}

static bool
see_target(void *ctx, struct text name, const uint8_t *row, size_t len)
{
    struct seen *seen = ctx;

    seen->targets++;
    assert_int_equal(name.len, 3);
    assert_memory_equal(name.at, "tts", 3);
    assert_int_equal(len, 6);
    assert_memory_equal(row, "tokens", 6);
    return true;
}

static bool
see_record(void *ctx, const struct record *record)
{
    struct seen *seen = ctx;

    seen->records++;
    assert_int_equal(record->seq, 3);
    return true;
}

static enum store_status
recover(struct fixture *fixture, struct seen *seen)
{
    struct store_recovery see = ignore_recovered;

    see.job = see_job;
    see.record = see_record;
    see.target = see_target;
    *seen = (struct seen){0};
    return fixture_try_open(fixture, &see, seen);
}

/* The schema of version 1 as it was released, without what is filled in. */
static const char version_1[] =
    "PRAGMA page_size = 4096; PRAGMA auto_vacuum = INCREMENTAL;"
    "PRAGMA application_id = 1382312300; PRAGMA journal_mode = WAL;"
    "BEGIN;"
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
    "PRAGMA user_version = 1; COMMIT;";

/*
 * Makes the present store one of version 1 that says the same: the old schema,
 * by its own text, in a new file, and the old rows in it.
 */
static void
age_to_version_1(const struct fixture *fixture)
{
    static const char *const tables[] = {
        "meta", "log",      "jobs",        "payloads",
        "keys", "finished", "correlation", "failed",
    };
    char sql[256];
    char old[96];
    char path[96];
    sqlite3 *handle = NULL;

    (void)snprintf(old, sizeof(old), "%s/newer.db", fixture->dir);
    (void)snprintf(path, sizeof(path), "%s/redial.db", fixture->dir);
    assert_int_equal(rename(path, old), 0);
    assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
    assert_int_equal(sqlite3_exec(handle, version_1, NULL, NULL, NULL),
                     SQLITE_OK);
    (void)snprintf(sql, sizeof(sql), "ATTACH '%s' AS newer", old);
    assert_int_equal(sqlite3_exec(handle, sql, NULL, NULL, NULL), SQLITE_OK);
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        (void)snprintf(sql, sizeof(sql),
                       "INSERT INTO main.%s SELECT * FROM newer.%s", tables[i],
                       tables[i]);
        assert_int_equal(sqlite3_exec(handle, sql, NULL, NULL, NULL),
                         SQLITE_OK);
    }
    assert_int_equal(sqlite3_close(handle), SQLITE_OK);
    assert_int_equal(unlink(old), 0);
}

/* Records 1 to 3, of which 3 is above the watermark, and one row. */
static struct job
fill(struct fixture *fixture)
{
    struct job done = finish_one(fixture, EVENT_JOB_SUCCEEDED);
    struct job live = fixture_job(fixture);
    struct store_group *group = begin(fixture);

    live.correlation = "story";
    (void)add(fixture, group, &live, EVENT_JOB_ACCEPTED, "payload");
    assert_true(store_group_put_job(group, live.id, live.last_seq,
                                    (const uint8_t *)"live", 4));
    store_group_set_watermark(group, 2);
    assert_int_equal(commit(fixture, group), STORE_OK);
    fixture_close(fixture);
    return done;
}

static void
assert_whole(struct fixture *fixture, const struct job *done)
{
    struct seen seen;

    assert_int_equal(recover(fixture, &seen), STORE_OK);
    assert_int_equal(fixture->recovered.next_seq, 4);
    assert_int_equal(fixture->recovered.watermark, 2);
    assert_int_equal(seen.jobs, 1);
    assert_int_equal(seen.targets, 0);
    assert_int_equal(seen.records, 1);
    assert_int_equal(lookup(fixture, done, NULL), STORE_OK);
}

static void
a_store_of_version_1_opens_with_all_that_it_holds(void **state)
{
    struct fixture *fixture = *state;
    struct job done = fill(fixture);
    struct seen seen;

    age_to_version_1(fixture);
    assert_whole(fixture, &done);
    /* It keeps targets from now on. */
    struct store_group *group = begin(fixture);

    assert_true(store_group_put_target(group, (struct text){"tts", 3}, 3,
                                       (const uint8_t *)"tokens", 6));
    assert_int_equal(commit(fixture, group), STORE_OK);
    fixture_close(fixture);
    assert_int_equal(recover(fixture, &seen), STORE_OK);
    assert_int_equal(seen.targets, 1);
    assert_int_equal(seen.jobs, 1);
}

/* Whichever write fails while the schema is raised, nothing is half done. */
static void
a_migration_that_fails_at_any_write_is_done_at_the_next_start(void **state)
{
    enum { WRITES_MAX = 100 };
    struct fixture *fixture = *state;
    struct job done = fill(fixture);
    enum store_status status = STORE_IO;
    int n = 0;

    while (status != STORE_OK) {
        char fault[32];
        struct seen seen;

        n++;
        assert_true(n < WRITES_MAX);
        age_to_version_1(fixture);
        (void)snprintf(fault, sizeof(fault), "write:%d:eio", n);
        assert_int_equal(setenv("REDIAL_STORE_FAULT", fault, 1), 0);
        status = recover(fixture, &seen);
        (void)unsetenv("REDIAL_STORE_FAULT");
        store_free(fixture->store);
        assert_whole(fixture, &done);
        fixture_close(fixture);
    }
    assert_true(n > 3); /* it did fail before */
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            a_store_of_version_1_opens_with_all_that_it_holds, setup_disk,
            teardown),
        cmocka_unit_test_setup_teardown(
            a_migration_that_fails_at_any_write_is_done_at_the_next_start,
            setup_disk, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
