/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What any retry code must do, through real sockets and a real process: the
 * three seeds (success at first, success after failures, exhausted) and the
 * rules beside them.
 */
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
    static const char *const sets[] = {
        "defaultPolicy.initialBackoff=0.1s",
        "defaultPolicy.maxBackoff=1s",
        NULL,
    };

    (void)state;
    gateway_setup(&gateway);
    gateway.sets = sets;
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
    assert_int_equal(gateway_terminate(&gateway), 0);
    gateway_teardown(&gateway);
    return 0;
}

static struct redial_job_info *
run(const char *payload)
{
    struct redial_job job = job_of(payload);
    struct redial_submitted submitted = submit_job(client, &job);

    return final_of(client, submitted.id);
}

static void
success_at_first_takes_one_attempt(void **state)
{
    struct redial_job_info *info = run("ok");

    (void)state;
    assert_int_equal(info->state, REDIAL_JOB_SUCCEEDED);
    assert_int_equal(info->attempt_count, 1);
    assert_int_equal(info->attempts_charged, 1);
    assert_string_equal(info->decision->rule, "SUCCEEDED");
    redial_job_info_free(info);
}

static void
success_comes_after_two_failures(void **state)
{
    struct redial_job_info *info = run("fail 2 UNAVAILABLE HTTP_503 10");

    (void)state;
    assert_int_equal(info->state, REDIAL_JOB_SUCCEEDED);
    assert_int_equal(info->attempt_count, 3);
    assert_string_equal(info->attempts[0].state, "FAILED");
    assert_string_equal(info->attempts[0].decision->rule, "RETRY_PLANNED");
    assert_string_equal(info->attempts[0].decision->delay_source, "pushback");
    assert_int_equal(info->attempts[0].decision->delay_ms, 10);
    assert_string_equal(info->attempts[2].state, "SUCCEEDED");
    redial_job_info_free(info);
}

static void
an_exhausted_job_ends_with_its_last_real_error(void **state)
{
    struct redial_job_info *info = run("fail 9 UNAVAILABLE HTTP_503 0");

    (void)state;
    assert_int_equal(info->state, REDIAL_JOB_FAILED);
    assert_int_equal(info->attempt_count, 3);
    assert_int_equal(info->attempts_charged, 3);
    assert_string_equal(info->decision->rule, "ATTEMPTS_EXHAUSTED");
    assert_int_equal(info->outcome->code, REDIAL_UNAVAILABLE);
    assert_string_equal(info->outcome->reason, "HTTP_503");
    assert_string_equal(info->outcome->text, "as the script says");
    redial_job_info_free(info);
}

static void
what_is_not_retryable_is_never_retried(void **state)
{
    struct redial_job_info *info = run("fail 9 INVALID_ARGUMENT BAD");

    (void)state;
    assert_int_equal(info->state, REDIAL_JOB_FAILED);
    assert_int_equal(info->attempt_count, 1);
    assert_string_equal(info->decision->rule, "NON_RETRYABLE_CODE");
    assert_int_equal(info->outcome->code, REDIAL_INVALID_ARGUMENT);
    redial_job_info_free(info);
}

static void
a_stop_pushback_ends_it(void **state)
{
    struct redial_job_info *info = run("fail 9 UNAVAILABLE GO_AWAY -1");

    (void)state;
    assert_int_equal(info->state, REDIAL_JOB_FAILED);
    assert_int_equal(info->attempt_count, 1);
    assert_string_equal(info->decision->rule, "PUSHBACK_STOP");
    redial_job_info_free(info);
}

/* Each delay is between 0.8 and 1.2 of its nominal value, and kept. */
static void
backoff_is_within_bounds_and_jittered(void **state)
{
    enum { JOBS = 12 };
    static const uint64_t nominal[] = {100, 200};
    uint64_t seen[JOBS];
    uint64_t low = UINT64_MAX;
    uint64_t high = 0;
    char ids[JOBS][REDIAL_NAME_BYTES];

    (void)state;
    for (int i = 0; i < JOBS; i++) {
        struct redial_job job = job_of("fail 2 UNAVAILABLE SLOW");

        memcpy(ids[i], submit_job(client, &job).id, REDIAL_NAME_BYTES);
    }
    for (int i = 0; i < JOBS; i++) {
        struct redial_job_info *info = final_of(client, ids[i]);

        assert_int_equal(info->attempt_count, 3);
        for (int k = 0; k < 2; k++) {
            const struct redial_attempt_info *at = &info->attempts[k];
            uint64_t delay = at->decision->delay_ms;
            int64_t gap = info->attempts[k + 1].started_wall_ms -
                          at->ended_wall_ms;

            assert_string_equal(at->decision->delay_source, "backoff");
            assert_in_range(delay, nominal[k] * 8 / 10, nominal[k] * 12 / 10);
            assert_true(gap >= (int64_t)delay - 1);
        }
        seen[i] = info->attempts[0].decision->delay_ms;
        low = seen[i] < low ? seen[i] : low;
        high = seen[i] > high ? seen[i] : high;
        redial_job_info_free(info);
    }
    assert_true(high > low);
}

static void
a_second_submit_with_the_same_key_joins_the_first(void **state)
{
    struct redial_job job = job_of("ok");
    struct redial_submitted first;
    struct redial_submitted second;
    struct redial_job_info *info;

    (void)state;
    job.key = "order-17";
    first = submit_job(client, &job);
    second = submit_job(client, &job);
    assert_false(first.deduplicated);
    assert_true(second.deduplicated);
    assert_string_equal(first.id, second.id);
    info = final_of(client, first.id);
    assert_int_equal(info->attempt_count, 1);
    redial_job_info_free(info);
    second = submit_job(client, &job);
    assert_true(second.deduplicated);
    assert_string_equal(first.id, second.id);
    assert_int_equal(second.state, REDIAL_JOB_SUCCEEDED);
}

static void
the_same_key_with_other_content_is_refused(void **state)
{
    struct redial_job job = job_of("ok");
    struct redial_submitted submitted;
    struct redial_error error;

    (void)state;
    job.key = "order-18";
    (void)submit_job(client, &job);
    job = job_of("fail 1 UNAVAILABLE X");
    job.key = "order-18";
    assert_int_equal(
        redial_submit(client, &job, patience(), &submitted, &error),
        REDIAL_ALREADY_EXISTS);
}

static void
a_job_may_tighten_the_number_of_attempts_but_not_raise_it(void **state)
{
    struct redial_job job = job_of("fail 9 UNAVAILABLE X 0");
    struct redial_job_info *info;

    (void)state;
    job.max_attempts = 2;
    info = final_of(client, submit_job(client, &job).id);
    assert_int_equal(info->attempt_count, 2);
    redial_job_info_free(info);
    job.max_attempts = 9;
    info = final_of(client, submit_job(client, &job).id);
    assert_int_equal(info->attempt_count, 3);
    redial_job_info_free(info);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(success_at_first_takes_one_attempt),
        cmocka_unit_test(success_comes_after_two_failures),
        cmocka_unit_test(an_exhausted_job_ends_with_its_last_real_error),
        cmocka_unit_test(what_is_not_retryable_is_never_retried),
        cmocka_unit_test(a_stop_pushback_ends_it),
        cmocka_unit_test(backoff_is_within_bounds_and_jittered),
        cmocka_unit_test(a_second_submit_with_the_same_key_joins_the_first),
        cmocka_unit_test(the_same_key_with_other_content_is_refused),
        cmocka_unit_test(
            a_job_may_tighten_the_number_of_attempts_but_not_raise_it),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
