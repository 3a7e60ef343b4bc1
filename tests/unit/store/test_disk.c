/* SPDX-License-Identifier: Apache-2.0 */
/* What only the store on disk can do: recover and refuse. */
#include "server/store/dir.h"
#include "tests/unit/store/fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- What recovery gives ----------------------------------------------- */

enum { SEEN_MAX = 64 };

struct seen {
    struct job_id jobs[SEEN_MAX];
    char rows[SEEN_MAX][16];
    size_t job_count;
    struct store_key keys[SEEN_MAX];
    size_t key_count;
    uint64_t seqs[SEEN_MAX];
    char attached[SEEN_MAX][16];
    size_t record_count;
    char targets[SEEN_MAX][16];
    char target_rows[SEEN_MAX][16];
    size_t target_count;
    bool refuse_jobs;
    bool refuse_targets;
    bool refuse_records;
};

static bool
see_job(void *ctx, struct job_id id, const uint8_t *row, size_t len)
{
    struct seen *seen = ctx;

    if (seen->job_count < SEEN_MAX && len < 16) {
        seen->jobs[seen->job_count] = id;
        memcpy(seen->rows[seen->job_count], row, len);
        seen->rows[seen->job_count][len] = '\0';
        seen->job_count++;
    }
    return !seen->refuse_jobs;
}

static bool
see_key(void *ctx, const struct store_key *key)
{
    struct seen *seen = ctx;

    if (seen->key_count < SEEN_MAX) {
        seen->keys[seen->key_count++] = *key;
    }
    return true;
}

static bool
see_record(void *ctx, const struct record *record)
{
    struct seen *seen = ctx;

    if (seen->record_count < SEEN_MAX) {
        seen->seqs[seen->record_count] = record->seq;
        (void)snprintf(seen->attached[seen->record_count], 16, "%.*s",
                       (int)record->attached.len, record->attached.at);
        seen->record_count++;
    }
    return !seen->refuse_records;
}

static bool
see_target(void *ctx, struct text name, const uint8_t *row, size_t len)
{
    struct seen *seen = ctx;

    assert_int_equal(seen->record_count, 0); /* they come first */
    if (seen->target_count < SEEN_MAX) {
        (void)snprintf(seen->targets[seen->target_count], 16, "%.*s",
                       (int)name.len, name.at);
        (void)snprintf(seen->target_rows[seen->target_count], 16, "%.*s",
                       (int)len, (const char *)row);
        seen->target_count++;
    }
    return !seen->refuse_targets;
}

static const struct store_recovery see = {
    .target = see_target,
    .job = see_job,
    .key = see_key,
    .record = see_record,
};

static enum store_status
recover(struct fixture *fixture, struct seen *seen)
{
    *seen = (struct seen){0};
    return fixture_try_open(fixture, &see, seen);
}

static void
put_row(struct store_group *group, const struct job *job, const char *row)
{
    assert_true(store_group_put_job(group, job->id, job->last_seq,
                                    (const uint8_t *)row, strlen(row)));
}

static void
a_new_store_is_empty(void **state)
{
    struct fixture *fixture = *state;
    struct seen seen;
    struct stat stat_buf;

    assert_int_equal(rmdir(fixture->dir), 0);
    assert_int_equal(recover(fixture, &seen), STORE_OK);
    assert_int_equal(stat(fixture->dir, &stat_buf), 0);
    assert_int_equal(stat_buf.st_mode & 0777, 0700);
    assert_int_equal(seen.job_count + seen.key_count + seen.record_count, 0);
    assert_int_equal(fixture->recovered.next_seq, 1);
    assert_int_equal(fixture->recovered.first_seq, 1);
    assert_int_equal(fixture->recovered.last_wall_ms, 0);
    assert_int_equal(strlen(fixture->recovered.epoch), 32);
    assert_true(store_keeps_rows(fixture->store));
}

static void
all_records_come_back_without_a_projection(void **state)
{
    struct fixture *fixture = *state;
    char epoch[STORE_EPOCH_BYTES];
    struct seen seen;

    memcpy(epoch, fixture->recovered.epoch, sizeof(epoch));
    (void)finish_one(fixture, EVENT_JOB_SUCCEEDED);
    struct store_group *group = begin(fixture);

    (void)add_other(fixture, group);
    (void)add_other(fixture, group);
    assert_int_equal(commit(fixture, group), STORE_OK);
    int64_t wall_ms = fixture->wall_ms - 1;

    fixture_close(fixture);
    assert_int_equal(recover(fixture, &seen), STORE_OK);
    assert_string_equal(fixture->recovered.epoch, epoch);
    assert_int_equal(fixture->recovered.next_seq, 5);
    assert_int_equal(fixture->recovered.last_wall_ms, wall_ms);
    assert_int_equal(fixture->recovered.groups, 3);
    assert_int_equal(fixture->recovered.records, 4);
    assert_int_equal(seen.record_count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(seen.seqs[i], i + 1);
    }
    assert_string_equal(seen.attached[0], "payload");
    assert_string_equal(seen.attached[1], "result");
    /* And it goes on where it was. */
    (void)finish_one(fixture, EVENT_JOB_SUCCEEDED);
}

static void
rows_and_the_records_above_the_watermark_come_back(void **state)
{
    struct fixture *fixture = *state;
    struct job jobs[3];
    struct seen seen;

    for (size_t i = 0; i < 3; i++) {
        jobs[i] = fixture_job(fixture);
        (void)one(fixture, &jobs[i], EVENT_JOB_ACCEPTED, NULL);
    }
    struct store_group *group = begin(fixture);

    put_row(group, &jobs[2], "third");
    put_row(group, &jobs[0], "first");
    put_row(group, &jobs[1], "second");
    (void)add_other(fixture, group); /* 4 */
    (void)add_other(fixture, group); /* 5 */
    store_group_set_watermark(group, 4);
    assert_int_equal(commit(fixture, group), STORE_OK);

    group = begin(fixture);
    put_row(group, &jobs[1], "changed");
    assert_true(store_group_delete_job(group, jobs[0].id));
    assert_true(store_group_delete_job(group, fixture_job(fixture).id));
    assert_int_equal(commit(fixture, group), STORE_OK);

    fixture_close(fixture);
    assert_int_equal(recover(fixture, &seen), STORE_OK);
    assert_int_equal(fixture->recovered.watermark, 4);
    assert_int_equal(seen.job_count, 2);
    assert_memory_equal(seen.jobs[0].bytes, jobs[1].id.bytes, 16);
    assert_string_equal(seen.rows[0], "changed");
    assert_string_equal(seen.rows[1], "third");
    assert_int_equal(seen.record_count, 1);
    assert_int_equal(seen.seqs[0], 5);
}

static void
put_target(struct store_group *group, const char *name, const char *row)
{
    assert_true(store_group_put_target(
        group, (struct text){name, (uint32_t)strlen(name)}, 1,
        (const uint8_t *)row, strlen(row)));
}

static void
rows_of_targets_come_back_in_order_of_their_names(void **state)
{
    struct fixture *fixture = *state;
    struct seen seen;
    struct store_group *group = begin(fixture);

    (void)add_other(fixture, group);
    put_target(group, "tts", "one");
    put_target(group, "gone", "two");
    put_target(group, "image.ImageGen", "three");
    assert_int_equal(store_group_work(group), 3);
    assert_int_equal(commit(fixture, group), STORE_OK);
    group = begin(fixture);
    put_target(group, "tts", "changed");
    assert_true(store_group_delete_target(group, (struct text){"gone", 4}));
    assert_true(store_group_delete_target(group, (struct text){"never", 5}));
    assert_int_equal(commit(fixture, group), STORE_OK);

    fixture_close(fixture);
    assert_int_equal(recover(fixture, &seen), STORE_OK);
    assert_int_equal(seen.target_count, 2);
    assert_string_equal(seen.targets[0], "image.ImageGen");
    assert_string_equal(seen.target_rows[0], "three");
    assert_string_equal(seen.targets[1], "tts");
    assert_string_equal(seen.target_rows[1], "changed");
    assert_int_equal(seen.record_count, 1);
}

static void
nothing_comes_back_below_a_watermark_at_the_end(void **state)
{
    struct fixture *fixture = *state;
    struct seen seen;

    (void)finish_one(fixture, EVENT_JOB_SUCCEEDED);
    project_all(fixture);
    fixture_close(fixture);
    assert_int_equal(recover(fixture, &seen), STORE_OK);
    assert_int_equal(seen.record_count, 0);
    assert_int_equal(fixture->recovered.next_seq, 3);
}

static void
keys_come_back_for_jobs_without_rows(void **state)
{
    struct fixture *fixture = *state;
    struct job jobs[4];
    struct seen seen;

    for (size_t i = 0; i < 4; i++) {
        jobs[i] = fixture_job(fixture);
        jobs[i].key = "key";
        (void)one(fixture, &jobs[i], EVENT_JOB_ACCEPTED, NULL);
    }
    (void)one(fixture, &jobs[0], EVENT_JOB_SUCCEEDED, NULL);
    (void)one(fixture, &jobs[2], EVENT_JOB_FAILED, NULL);
    struct store_group *group = begin(fixture);

    put_row(group, &jobs[1], "live");
    store_group_set_watermark(group, 3); /* jobs[3] is replayed */
    assert_int_equal(commit(fixture, group), STORE_OK);
    fixture_close(fixture);
    assert_int_equal(recover(fixture, &seen), STORE_OK);
    assert_int_equal(seen.job_count, 1);
    assert_int_equal(seen.key_count, 2);
    assert_memory_equal(&seen.keys[0].job, &jobs[0].id, 16);
    assert_memory_equal(seen.keys[0].key_hash, jobs[0].id.bytes, 16);
    assert_int_equal(seen.keys[0].content_hash[7], 0x5a);
    assert_memory_equal(&seen.keys[1].job, &jobs[2].id, 16);
    assert_int_equal(seen.record_count, 3);
}

static void
retention_goes_on_after_a_restart(void **state)
{
    struct fixture *fixture = *state;
    struct store_retention all = {
        .now_wall_ms = INT64_MAX, .events_age_ms = 1, .finished_age_ms = 1};
    struct job failed = finish_one(fixture, EVENT_JOB_FAILED);

    for (size_t i = 0; i < 5; i++) {
        (void)finish_one(fixture, EVENT_JOB_SUCCEEDED);
    }
    project_all(fixture);
    (void)trim(fixture, all);
    fixture_reopen(fixture);
    assert_int_equal(fixture->recovered.first_seq, 12);
    assert_int_equal(fixture->recovered.next_seq, 13);
    struct job last = finish_one(fixture, EVENT_JOB_FAILED);

    (void)finish_one(fixture, EVENT_JOB_SUCCEEDED);
    project_all(fixture);
    all.failed_count = 1;
    (void)trim(fixture, all);
    assert_int_equal(lookup(fixture, &failed, NULL), STORE_NOT_FOUND);
    assert_int_equal(lookup(fixture, &last, NULL), STORE_OK);
}

static void
a_caller_may_refuse_what_is_recovered(void **state)
{
    struct fixture *fixture = *state;
    struct job job = fixture_job(fixture);
    struct store_group *group = begin(fixture);
    struct seen seen = {.refuse_records = true};

    (void)add(fixture, group, &job, EVENT_JOB_ACCEPTED, NULL);
    put_row(group, &job, "row");
    assert_int_equal(commit(fixture, group), STORE_OK);
    fixture_close(fixture);
    assert_int_equal(fixture_try_open(fixture, &see, &seen), STORE_CALLBACK);
    assert_non_null(strstr(store_detail(fixture->store), "record 1 "));
    store_free(fixture->store);
    seen.refuse_jobs = true;
    assert_int_equal(fixture_try_open(fixture, &see, &seen), STORE_CALLBACK);
    assert_non_null(strstr(store_detail(fixture->store), "job table"));
}

static void
a_caller_may_refuse_a_target(void **state)
{
    struct fixture *fixture = *state;
    struct store_group *group = begin(fixture);
    struct seen seen = {.refuse_targets = true};

    put_target(group, "tts", "row");
    assert_int_equal(commit(fixture, group), STORE_OK);
    fixture_close(fixture);
    assert_int_equal(fixture_try_open(fixture, &see, &seen), STORE_CALLBACK);
    assert_non_null(strstr(store_detail(fixture->store), "target table"));
}

/* ---- Damage ------------------------------------------------------------ */

static void
fill_ten(struct fixture *fixture)
{
    for (size_t i = 0; i < 10; i++) {
        (void)finish_one(fixture, EVENT_JOB_SUCCEEDED);
    }
    fixture_close(fixture);
}

static void
assert_damage(struct fixture *fixture, const char *sql, const char *detail)
{
    struct seen seen;

    fill_ten(fixture);
    tamper(fixture, sql);
    assert_int_equal(recover(fixture, &seen), STORE_CORRUPT);
    if (strstr(store_detail(fixture->store), detail) == NULL) {
        fail_msg("%s", store_detail(fixture->store));
    }
}

static void
a_flipped_byte_names_its_group(void **state)
{
    assert_damage(*state,
                  "UPDATE log SET bytes = CAST(substr(bytes, 1, 20) || x'ff'"
                  " || substr(bytes, 22) AS BLOB) WHERE first_seq = 7",
                  "records 7 to 7 is damaged: its checksum");
}

static void
a_torn_group_is_found(void **state)
{
    assert_damage(*state,
                  "UPDATE log SET bytes = substr(bytes, 1, length(bytes) - 9)"
                  " WHERE first_seq = 3",
                  "records 3 to 3 is damaged");
}

static void
a_flipped_mark_is_found(void **state)
{
    assert_damage(*state,
                  "UPDATE log SET marks = CAST(substr(marks, 1, 4) || x'ff' ||"
                  " substr(marks, 6) AS BLOB) WHERE first_seq = 20",
                  "records 20 to 20 is damaged");
}

static void
a_changed_number_is_found(void **state)
{
    assert_damage(*state, "UPDATE log SET last_seq = 8 WHERE first_seq = 7",
                  "records 7 to 8 is damaged");
}

static void
a_moved_group_is_found(void **state)
{
    assert_damage(*state,
                  "DELETE FROM log WHERE first_seq = 7;"
                  "UPDATE log SET first_seq = 7, last_seq = 7"
                  " WHERE first_seq = 8",
                  "records 7 to 7 is damaged");
}

static void
a_missing_group_is_found(void **state)
{
    assert_damage(*state, "DELETE FROM log WHERE first_seq = 7", "record 7");
}

static void
a_missing_end_is_found_by_the_watermark(void **state)
{
    struct fixture *fixture = *state;

    (void)finish_one(fixture, EVENT_JOB_SUCCEEDED);
    project_all(fixture);
    fixture_close(fixture);
    tamper(fixture, "DELETE FROM log WHERE first_seq = 2");
    struct seen seen;

    assert_int_equal(recover(fixture, &seen), STORE_CORRUPT);
}

static void
damage_below_the_watermark_is_found_by_reading(void **state)
{
    struct fixture *fixture = *state;
    struct job job = finish_one(fixture, EVENT_JOB_SUCCEEDED);

    project_all(fixture);
    fixture_close(fixture);
    tamper(fixture, "UPDATE log SET checksum = checksum + 1"
                    " WHERE first_seq = 1");
    fixture_open(fixture);
    struct store_answer *answer = ask(
        fixture,
        (struct store_request){.type = STORE_READ_TIMELINE, .job = job.id});

    assert_int_equal(answer->status, STORE_CORRUPT);
    assert_non_null(strstr(store_detail(fixture->store), "records 1 to 1"));
    store_answer_free(answer);
}

/* ---- Refusals ---------------------------------------------------------- */

static void
assert_refused(struct fixture *fixture, enum store_status status,
               const char *detail)
{
    struct seen seen;

    assert_int_equal(recover(fixture, &seen), status);
    if (strstr(store_detail(fixture->store), detail) == NULL) {
        fail_msg("%s", store_detail(fixture->store));
    }
    assert_true(strlen(store_status_text(status)) > 0);
}

static void
a_second_store_on_the_same_directory_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct store_options options = {.dir = fixture->dir};
    struct store *second = store_new(&options);
    char pid[32];

    (void)snprintf(pid, sizeof(pid), "process %ld", (long)getpid());
    assert_int_equal(store_open(second), STORE_LOCKED);
    assert_non_null(strstr(store_detail(second), pid));
    store_free(second);

    fixture_close(fixture);
    second = store_new(&options);
    assert_int_equal(store_open(second), STORE_OK);
    store_free(second);
    fixture_open(fixture);
}

static void
a_newer_store_is_refused(void **state)
{
    struct fixture *fixture = *state;

    fill_ten(fixture);
    tamper(fixture, "PRAGMA user_version = 99");
    assert_refused(fixture, STORE_NEWER, "99");
}

static void
a_store_whose_creation_was_cut_short_is_completed(void **state)
{
    struct fixture *fixture = *state;

    tamper(fixture, "PRAGMA auto_vacuum = INCREMENTAL;"
                    "PRAGMA application_id = 1382312300");
    fixture_open(fixture);
    (void)finish_one(fixture, EVENT_JOB_SUCCEEDED);
}

static void
a_file_of_another_program_is_refused(void **state)
{
    struct fixture *fixture = *state;

    tamper(fixture, "CREATE TABLE songs(name TEXT)");
    assert_refused(fixture, STORE_CORRUPT, "not a store of Redial");
}

static void
a_file_that_is_no_database_is_refused(void **state)
{
    struct fixture *fixture = *state;
    char path[96];

    (void)snprintf(path, sizeof(path), "%s/redial.db", fixture->dir);
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    for (int i = 0; i < 4096; i++) {
        (void)fputc('x', file);
    }
    assert_int_equal(fclose(file), 0);
    assert_refused(fixture, STORE_CORRUPT, "not a database");
}

static void
a_directory_that_is_none_is_refused(void **state)
{
    struct fixture *fixture = *state;
    size_t len = strlen(fixture->dir);

    memcpy(fixture->dir + len, "/a/b", 5);
    assert_refused(fixture, STORE_NO_DIRECTORY, "No such file");
    store_free(fixture->store);
    memcpy(fixture->dir + len, "/a", 3);
    (void)close(open(fixture->dir, O_CREAT | O_WRONLY, 0600));
    assert_refused(fixture, STORE_NO_DIRECTORY, "Not a directory");
    fixture->dir[len] = '\0';
}

static void
a_read_only_directory_is_refused(void **state)
{
    struct fixture *fixture = *state;

    if (geteuid() == 0) {
        skip(); /* nothing is read-only for root */
    }
    assert_int_equal(chmod(fixture->dir, 0500), 0);
    assert_refused(fixture, STORE_NO_DIRECTORY, "Permission denied");
    assert_int_equal(chmod(fixture->dir, 0700), 0);
}

static void
network_file_systems_are_known(void **state)
{
    (void)state;
    assert_true(dir_is_network(0x6969));
    assert_true(dir_is_network(0xff534d42));
    assert_true(dir_is_network(0x65735546));
    assert_false(dir_is_network(0xef53));     /* ext4 */
    assert_false(dir_is_network(0x58465342)); /* xfs */
    assert_false(dir_is_network(0x01021994)); /* tmpfs */
}

static void
a_big_group_is_one_group(void **state)
{
    struct fixture *fixture = *state;
    size_t len = 4 * 1024 * 1024;
    char *payload = malloc(len + 1);
    struct store_group *group = begin(fixture);
    struct job jobs[12];

    assert_non_null(payload);
    memset(payload, 'p', len);
    payload[len] = '\0';
    for (size_t i = 0; i < 12; i++) {
        jobs[i] = fixture_job(fixture);
        (void)add(fixture, group, &jobs[i], EVENT_JOB_ACCEPTED, payload);
    }
    assert_true(store_group_size(group) > 12 * len);
    assert_int_equal(commit(fixture, group), STORE_OK);
    fixture_reopen(fixture);
    struct store_answer *answer = ask(
        fixture, (struct store_request){
                     .type = STORE_PAYLOAD,
                     .job = jobs[11].id,
                     .payload = {.accepted_seq = jobs[11].accepted_seq}});

    assert_int_equal(answer->byte_count, len);
    assert_memory_equal(answer->bytes, payload, len);
    store_answer_free(answer);
    free(payload);
}

#define OPENED(test) cmocka_unit_test_setup_teardown(test, setup_disk, teardown)
#define CLOSED(test) \
    cmocka_unit_test_setup_teardown(test, setup_closed, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CLOSED(a_new_store_is_empty),
        OPENED(all_records_come_back_without_a_projection),
        OPENED(rows_and_the_records_above_the_watermark_come_back),
        OPENED(rows_of_targets_come_back_in_order_of_their_names),
        OPENED(nothing_comes_back_below_a_watermark_at_the_end),
        OPENED(keys_come_back_for_jobs_without_rows),
        OPENED(retention_goes_on_after_a_restart),
        OPENED(a_caller_may_refuse_what_is_recovered),
        OPENED(a_caller_may_refuse_a_target),
        OPENED(a_flipped_byte_names_its_group),
        OPENED(a_torn_group_is_found),
        OPENED(a_flipped_mark_is_found),
        OPENED(a_changed_number_is_found),
        OPENED(a_moved_group_is_found),
        OPENED(a_missing_group_is_found),
        OPENED(a_missing_end_is_found_by_the_watermark),
        OPENED(damage_below_the_watermark_is_found_by_reading),
        OPENED(a_second_store_on_the_same_directory_is_refused),
        OPENED(a_newer_store_is_refused),
        CLOSED(a_store_whose_creation_was_cut_short_is_completed),
        CLOSED(a_file_of_another_program_is_refused),
        CLOSED(a_file_that_is_no_database_is_refused),
        CLOSED(a_directory_that_is_none_is_refused),
        CLOSED(a_read_only_directory_is_refused),
        cmocka_unit_test(network_file_systems_are_known),
        OPENED(a_big_group_is_one_group),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
