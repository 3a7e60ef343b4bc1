/* SPDX-License-Identifier: Apache-2.0 */
/* A full disk is borne, a broken one is final. */
#include "tests/unit/store/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What recovery gave, counted. */
struct seen {
    size_t job_count;
    size_t target_count;
    size_t record_count;
};

static bool
see_job(void *ctx, struct job_id id, const uint8_t *row, size_t len)
{
    struct seen *seen = ctx;

    (void)id;
    (void)row;
    (void)len;
    seen->job_count++;
    return true;
}

static bool
see_record(void *ctx, const struct record *record)
{
    struct seen *seen = ctx;

    (void)record;
    seen->record_count++;
    return true;
}

static bool
see_target(void *ctx, struct text name, const uint8_t *row, size_t len)
{
    struct seen *seen = ctx;

    (void)name;
    (void)row;
    (void)len;
    seen->target_count++;
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

static void
arm(struct fixture *fixture, const char *fault)
{
    fixture_close(fixture);
    assert_int_equal(setenv("REDIAL_STORE_FAULT", fault, 1), 0);
    fixture_open(fixture);
}

/* Two jobs' worth of groups, the first of which meets the fault. */
static void
assert_bears(struct fixture *fixture, const char *fault)
{
    struct store_stats stats;
    struct seen seen;

    arm(fixture, fault);
    struct job job = fixture_job(fixture);
    struct store_group *group = begin(fixture);

    job.key = "key";
    job.correlation = "story";
    (void)add(fixture, group, &job, EVENT_JOB_ACCEPTED, "payload");
    assert_true(store_group_put_job(group, job.id, job.last_seq,
                                    (const uint8_t *)"row", 3));
    assert_true(store_group_put_target(group, (struct text){"tts", 3},
                                       job.last_seq, (const uint8_t *)"row",
                                       3));
    (void)add(fixture, group, &job, EVENT_JOB_SUCCEEDED, "result");
    assert_int_equal(commit(fixture, group), STORE_OK);
    store_stats(fixture->store, &stats);
    assert_true(stats.full_retries >= 3);
    (void)finish_one(fixture, EVENT_JOB_SUCCEEDED);
    assert_false(store_is_degraded(fixture->store));
    assert_int_equal(lookup(fixture, &job, NULL), STORE_OK);
    fixture_close(fixture);
    assert_int_equal(recover(fixture, &seen), STORE_OK);
    assert_int_equal(seen.record_count, 4);
    assert_int_equal(seen.job_count, 1);
    assert_int_equal(seen.target_count, 1);
}

static void
a_group_that_finds_the_disk_full_is_tried_again(void **state)
{
    assert_bears(*state, "before_append:1:enospc:3");
}

static void
a_group_that_fills_the_disk_half_way_is_tried_again(void **state)
{
    assert_bears(*state, "mid_projection:2:enospc:3");
}

static void
a_group_that_cannot_be_committed_for_want_of_room_is_tried_again(void **state)
{
    assert_bears(*state, "before_commit:1:enospc:3");
}

static void
a_full_disk_at_any_write_loses_nothing(void **state)
{
    struct fixture *fixture = *state;
    char fault[32];

    for (int n = 1; n <= 60; n++) {
        uint64_t next_seq = fixture->next_seq;
        struct seen seen;

        (void)snprintf(fault, sizeof(fault), "write:%d:enospc:2", n);
        fixture_close(fixture);
        assert_int_equal(setenv("REDIAL_STORE_FAULT", fault, 1), 0);
        /* The first writes belong to opening, which may say so. */
        enum store_status status = fixture_try_open(fixture, &ignore_recovered,
                                                    NULL);

        if (status == STORE_OK) {
            (void)finish_one(fixture, EVENT_JOB_FAILED);
            next_seq += 2;
        } else {
            assert_int_equal(status, STORE_FULL);
        }
        (void)store_close(fixture->store);
        store_free(fixture->store);
        assert_int_equal(unsetenv("REDIAL_STORE_FAULT"), 0);
        assert_int_equal(recover(fixture, &seen), STORE_OK);
        assert_int_equal(fixture->next_seq, next_seq);
    }
}

static void
the_reserve_is_given_up_and_taken_back(void **state)
{
    struct fixture *fixture = *state;
    char path[96];
    struct stat stat_buf;

    fixture->options.reserve_bytes = 1 << 20;
    arm(fixture, "before_commit:1:enospc:1");
    (void)snprintf(path, sizeof(path), "%s/reserve", fixture->dir);
    assert_int_equal(stat(path, &stat_buf), 0);
    assert_int_equal(stat_buf.st_size, 1 << 20);
    assert_false(store_is_degraded(fixture->store));
    (void)finish_one(fixture, EVENT_JOB_SUCCEEDED);
    /* There is plenty of room: a second later it is back. */
    while (store_is_degraded(fixture->store)) {
        wait_wake(fixture);
    }
    assert_int_equal(stat(path, &stat_buf), 0);
}

static void
too_little_room_makes_it_degraded(void **state)
{
    struct fixture *fixture = *state;

    fixture_close(fixture);
    fixture->options.free_bytes_min = UINT64_MAX / 4;
    fixture_open(fixture);
    (void)finish_one(fixture, EVENT_JOB_SUCCEEDED);
    while (!store_is_degraded(fixture->store)) {
        wait_wake(fixture);
    }
    (void)finish_one(fixture, EVENT_JOB_SUCCEEDED);
}

static void
closing_gives_up_a_group_that_finds_no_room(void **state)
{
    struct fixture *fixture = *state;
    struct seen seen;

    arm(fixture, "before_append:2:enospc:1000000");
    struct job job = fixture_job(fixture);

    (void)one(fixture, &job, EVENT_JOB_ACCEPTED, NULL);
    struct store_group *group = begin(fixture);

    (void)add(fixture, group, &job, EVENT_JOB_SUCCEEDED, NULL);
    store_commit(fixture->store, group);
    store_group_unref(group);
    while (!store_is_degraded(fixture->store)) {
        wait_wake(fixture);
    }
    assert_int_equal(store_close(fixture->store), STORE_FULL);
    group = store_take_done(fixture->store);
    assert_non_null(group);
    assert_int_equal(store_group_status(group), STORE_FULL);
    store_group_unref(group);
    store_free(fixture->store);
    assert_int_equal(unsetenv("REDIAL_STORE_FAULT"), 0);
    assert_int_equal(recover(fixture, &seen), STORE_OK);
    assert_int_equal(seen.record_count, 1);
}

/* The group that meets the fault fails, and so does every later one. */
static void
assert_fatal(struct fixture *fixture, const char *fault)
{
    struct seen seen;

    arm(fixture, fault);
    struct job job = fixture_job(fixture);
    enum store_status status = STORE_OK;
    size_t groups = 0;

    while (status == STORE_OK && groups < 100) {
        struct store_group *group = begin(fixture);

        (void)add(fixture, group, &job,
                  groups++ == 0 ? EVENT_JOB_ACCEPTED : EVENT_ATTEMPT_STARTED,
                  NULL);
        status = commit(fixture, group);
    }
    assert_int_equal(status, STORE_IO);
    assert_true(strlen(store_detail(fixture->store)) > 0);
    struct store_group *group = begin(fixture);

    (void)add_other(fixture, group);
    assert_int_equal(commit(fixture, group), STORE_IO);
    assert_int_equal(store_close(fixture->store), STORE_IO);
    store_free(fixture->store);
    assert_int_equal(unsetenv("REDIAL_STORE_FAULT"), 0);
    assert_int_equal(recover(fixture, &seen), STORE_OK);
    /* What was acknowledged is there; what failed may be. */
    assert_in_range(seen.record_count, groups - 1, groups);
}

static void
a_failed_write_is_final(void **state)
{
    assert_fatal(*state, "write:60:eio");
}

static void
a_failed_sync_is_final(void **state)
{
    assert_fatal(*state, "sync:12:eio");
}

static void
a_failed_sync_for_want_of_room_is_final_too(void **state)
{
    assert_fatal(*state, "sync:12:enospc");
}

static void
a_slow_sync_shows_in_its_figures(void **state)
{
    struct fixture *fixture = *state;
    struct store_stats stats;

    arm(fixture, "sync:1:delay:20");
    (void)finish_one(fixture, EVENT_JOB_SUCCEEDED);
    assert_true(fixture->recovered.sync_us >= 20000);
    store_stats(fixture->store, &stats);
    assert_true(stats.sync_us_last >= 20000);
}

static void
a_fault_that_means_nothing_is_refused(void **state)
{
    static const char *const faults[] = {
        "nowhere:1",    "write",           "write:",       "write:0",
        "write:x",      "write:1:explode", "write:1:eio:", "write:1:eio:x",
        "write:1,sync", "write:1:eio:1:1"};
    struct fixture *fixture = *state;
    struct seen seen;

    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        assert_int_equal(setenv("REDIAL_STORE_FAULT", faults[i], 1), 0);
        assert_int_equal(recover(fixture, &seen), STORE_IO);
        store_free(fixture->store);
        fixture->store = NULL;
    }
}

#define OPENED(test) cmocka_unit_test_setup_teardown(test, setup_disk, teardown)
#define CLOSED(test) \
    cmocka_unit_test_setup_teardown(test, setup_closed, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        OPENED(a_group_that_finds_the_disk_full_is_tried_again),
        OPENED(a_group_that_fills_the_disk_half_way_is_tried_again),
        OPENED(
            a_group_that_cannot_be_committed_for_want_of_room_is_tried_again),
        OPENED(a_full_disk_at_any_write_loses_nothing),
        OPENED(the_reserve_is_given_up_and_taken_back),
        OPENED(too_little_room_makes_it_degraded),
        OPENED(closing_gives_up_a_group_that_finds_no_room),
        OPENED(a_failed_write_is_final),
        OPENED(a_failed_sync_is_final),
        OPENED(a_failed_sync_for_want_of_room_is_final_too),
        OPENED(a_slow_sync_shows_in_its_figures),
        CLOSED(a_fault_that_means_nothing_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
