/* SPDX-License-Identifier: Apache-2.0 */
/* Following attempts: by correlation id, live, from the past, over restarts. */
#include "tests/e2e/harness/harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct test_gateway gateway;
static struct script worker;
static redial_client *client;

static int
start(void **state)
{
    (void)state;
    gateway_setup(&gateway);
    gateway_run(&gateway);
    script_open(&worker, &gateway, 8);
    client = client_of(&gateway);
    return 0;
}

static int
stop(void **state)
{
    (void)state;
    redial_client_close(client);
    script_close(&worker);
    gateway_teardown(&gateway);
    return 0;
}

static redial_watch *
watch_correlation(const char *correlation, const char *cursor)
{
    struct redial_filter filter = {
        .struct_size = sizeof(filter),
        .correlation_id = correlation,
    };
    redial_watch *watch = NULL;
    struct redial_error error = {.text = ""};

    assert_int_equal(
        redial_watch_open(client, &filter, cursor, patience(), &watch, &error),
        REDIAL_OK);
    return watch;
}

static const struct redial_event *
next_event(redial_watch *watch)
{
    const struct redial_event *event = NULL;
    struct redial_error error = {.text = ""};
    enum redial_status status = redial_watch_next(watch, patience(), &event,
                                                  &error);

    if (status != REDIAL_OK) {
        print_message("watch: %s\n", error.text);
    }
    assert_int_equal(status, REDIAL_OK);
    return event;
}

static void
expect_types(redial_watch *watch, const char *const *types)
{
    for (uint64_t i = 0; types[i] != NULL; i++) {
        const struct redial_event *event = next_event(watch);

        assert_string_equal(event->type, types[i]);
        assert_int_equal(event->job_seq, i + 1);
    }
}

static const char *const one_retry[] = {
    "job.accepted",    "attempt.started",   "attempt.failed", "retry.planned",
    "attempt.started", "attempt.succeeded", "job.succeeded",  NULL,
};

static void
every_attempt_comes_back_under_the_correlation_id(void **state)
{
    redial_watch *watch = watch_correlation("live", NULL);
    struct redial_job job = job_of("fail 1 UNAVAILABLE HTTP_503 5");

    (void)state;
    job.correlation_id = "live";
    (void)submit_job(client, &job);
    expect_types(watch, one_retry);
    redial_watch_close(watch);
}

static void
the_same_can_be_read_again_from_the_start(void **state)
{
    redial_watch *watch = watch_correlation("live", "start");

    (void)state;
    expect_types(watch, one_retry);
    redial_watch_close(watch);
}

static void
others_are_not_seen(void **state)
{
    redial_watch *watch = watch_correlation("mine", NULL);
    struct redial_job job = job_of("ok");
    const struct redial_event *event;

    (void)state;
    job.correlation_id = "other";
    redial_job_info_free(final_of(client, submit_job(client, &job).id));
    job.correlation_id = "mine";
    (void)submit_job(client, &job);
    event = next_event(watch);
    assert_string_equal(event->correlation_id, "mine");
    redial_watch_close(watch);
}

static void
a_cursor_goes_on_after_a_restart_without_a_gap(void **state)
{
    redial_watch *watch = watch_correlation("over", "start");
    struct redial_job job = job_of("ok");
    const struct redial_event *event;
    char cursor[128];

    (void)state;
    job.correlation_id = "over";
    redial_job_info_free(final_of(client, submit_job(client, &job).id));
    for (int i = 0; i < 2; i++) {
        event = next_event(watch);
        assert_string_not_equal(event->type, "stream.gap");
    }
    (void)snprintf(cursor, sizeof(cursor), "%s", redial_watch_cursor(watch));
    redial_watch_close(watch);
    gateway_kill(&gateway);
    gateway_run(&gateway);
    watch = watch_correlation("over", cursor);
    assert_string_equal(next_event(watch)->type, "attempt.succeeded");
    assert_string_equal(next_event(watch)->type, "job.succeeded");
    redial_watch_close(watch);
}

/* The store is asked for what is older than memory: that takes a moment. */
static void
old_events_are_read_without_patience(void **state)
{
    redial_watch *watch;
    const struct redial_event *event = NULL;
    struct redial_error error = {.text = ""};
    int64_t deadline = now_ms() + PATIENCE_MS;
    enum redial_status status;

    (void)state;
    gateway_kill(&gateway);
    gateway_run(&gateway);
    watch = watch_correlation("live", "start");
    do {
        status = redial_watch_next(watch, redial_in_ms(0), &event, &error);
    } while (status == REDIAL_DEADLINE_EXCEEDED && now_ms() < deadline);
    assert_int_equal(status, REDIAL_OK);
    assert_string_equal(event->type, "job.accepted");
    redial_watch_close(watch);
}

static void
a_cursor_of_another_epoch_gets_a_gap(void **state)
{
    redial_watch *watch = watch_correlation(
        "live", "00000000000000000000000000000000:7");
    const struct redial_event *event = next_event(watch);

    (void)state;
    assert_string_equal(event->type, "stream.gap");
    assert_non_null(event->gap);
    assert_string_equal(event->gap->reason, "EPOCH_CHANGED");
    assert_string_equal(next_event(watch)->type, "job.accepted");
    redial_watch_close(watch);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_attempt_comes_back_under_the_correlation_id),
        cmocka_unit_test(the_same_can_be_read_again_from_the_start),
        cmocka_unit_test(others_are_not_seen),
        cmocka_unit_test(a_cursor_goes_on_after_a_restart_without_a_gap),
        cmocka_unit_test(old_events_are_read_without_patience),
        cmocka_unit_test(a_cursor_of_another_epoch_gets_a_gap),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
