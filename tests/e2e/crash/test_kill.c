/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SIGKILL of the gateway in the middle of everything: no acknowledged job is
 * lost, none ends twice, none has more attempts than its limit, and who was
 * connected comes back by itself.
 */
#include "tests/e2e/harness/harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
    ROUNDS = 6,
    JOBS_PER_ROUND = 300,
    JOBS = ROUNDS * JOBS_PER_ROUND,
    ATTEMPTS = 3,
};

static struct test_gateway gateway;
static struct script worker;
static redial_client *client;

static int
start(void **state)
{
    static const char *const sets[] = {
        "defaultPolicy.initialBackoff=0.1s",
        "defaultPolicy.maxBackoff=1s",
        NULL,
    };

    (void)state;
    gateway_setup(&gateway);
    gateway.sets = sets;
    gateway_run(&gateway);
    script_open(&worker, &gateway, 16);
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

static const char *
payload_of(size_t number)
{
    switch (number % 5) {
    case 0:
        return "fail 9 UNAVAILABLE BUSY 5";
    case 1:
        return "fail 1 UNAVAILABLE BUSY";
    default:
        return "ok";
    }
}

static void
submit_round(char (*ids)[REDIAL_NAME_BYTES], size_t first)
{
    for (size_t i = first; i < first + JOBS_PER_ROUND; i++) {
        struct redial_job job = job_of(payload_of(i));

        memcpy(ids[i], submit_job(client, &job).id, REDIAL_NAME_BYTES);
    }
}

static void
check_job(const char *id, size_t number)
{
    struct redial_job_info *info = final_of(client, id);

    assert_in_range(info->attempts_charged, 1, ATTEMPTS);
    if (number % 5 == 0) {
        assert_int_equal(info->state, REDIAL_JOB_FAILED);
        assert_string_equal(info->decision->rule, "ATTEMPTS_EXHAUSTED");
        assert_int_equal(info->attempts_charged, ATTEMPTS);
    } else {
        assert_int_equal(info->state, REDIAL_JOB_SUCCEEDED);
    }
    redial_job_info_free(info);
}

/* One end per job in the whole stream, and no hole in any job's numbers. */
static void
check_stream(void)
{
    struct redial_filter filter = {
        .struct_size = sizeof(filter),
        .service = "test",
    };
    redial_watch *watch = NULL;
    const struct redial_event *event = NULL;
    struct redial_error error = {.text = ""};
    size_t accepted = 0;
    size_t ended = 0;
    uint64_t last_seq = 0;

    assert_int_equal(
        redial_watch_open(client, &filter, "start", patience(), &watch, &error),
        REDIAL_OK);
    while (redial_watch_next(watch, redial_in_ms(500), &event, &error) ==
           REDIAL_OK) {
        assert_string_not_equal(event->type, "stream.gap");
        assert_true(event->seq > last_seq);
        last_seq = event->seq;
        accepted += strcmp(event->type, "job.accepted") == 0;
        ended += strcmp(event->type, "job.succeeded") == 0 ||
                 strcmp(event->type, "job.failed") == 0;
    }
    assert_int_equal(accepted, JOBS);
    assert_int_equal(ended, JOBS);
    redial_watch_close(watch);
}

static void
no_acknowledged_job_is_lost_by_kill_9(void **state)
{
    char(*ids)[REDIAL_NAME_BYTES] = calloc(JOBS, sizeof(*ids));

    (void)state;
    for (size_t round = 0; round < ROUNDS; round++) {
        submit_round(ids, round * JOBS_PER_ROUND);
        gateway_kill(&gateway);
        gateway_run(&gateway);
    }
    for (size_t i = 0; i < JOBS; i++) {
        check_job(ids[i], i);
    }
    check_stream();
    free(ids);
}

static void
an_attempt_goes_on_over_a_restart(void **state)
{
    struct redial_job job = job_of("hold");
    struct redial_submitted submitted;
    struct redial_job_info *info;

    (void)state;
    submitted = submit_job(client, &job);
    wait_for_event(client, submitted.id, "attempt.started");
    gateway_kill(&gateway);
    gateway_run(&gateway);
    script_release(&worker);
    info = final_of(client, submitted.id);
    assert_int_equal(info->state, REDIAL_JOB_SUCCEEDED);
    assert_int_equal(info->attempt_count, 1);
    redial_job_info_free(info);
}

static void
a_key_is_known_after_a_restart(void **state)
{
    struct redial_job job = job_of("ok");
    struct redial_submitted first;
    struct redial_submitted again;

    (void)state;
    job.key = "once";
    first = submit_job(client, &job);
    redial_job_info_free(final_of(client, first.id));
    gateway_kill(&gateway);
    gateway_run(&gateway);
    again = submit_job(client, &job);
    assert_true(again.deduplicated);
    assert_string_equal(first.id, again.id);
    assert_int_equal(again.state, REDIAL_JOB_SUCCEEDED);
}

static void
a_second_gateway_on_the_same_store_is_refused(void **state)
{
    struct test_gateway second = gateway;

    (void)state;
    assert_int_equal(gateway_fail(&second), 4);
    /* The first one is unharmed. */
    redial_job_info_free(final_of(
        client, submit_job(client,
                           &(struct redial_job){
                               .struct_size = sizeof(struct redial_job),
                               .service = "test",
                               .method = "Run",
                           })
                    .id));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_acknowledged_job_is_lost_by_kill_9),
        cmocka_unit_test(an_attempt_goes_on_over_a_restart),
        cmocka_unit_test(a_key_is_known_after_a_restart),
        cmocka_unit_test(a_second_gateway_on_the_same_store_is_refused),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
