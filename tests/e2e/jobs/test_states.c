/* SPDX-License-Identifier: Apache-2.0 */
/* Cancel, deadline and time to live in every state that a job can wait in. */
#include "tests/e2e/harness/harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct test_gateway gateway;
static struct script worker;
static redial_client *client;

static int
start(void **state)
{
    static const char *const sets[] = {
        "defaultPolicy.initialBackoff=10s",
        "worker.grace=0.1s",
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
    gateway_teardown(&gateway);
    return 0;
}

static void
cancel_and_expect(const char *id, size_t attempts)
{
    struct redial_cancelled cancelled;
    struct redial_error error;
    struct redial_job_info *info;

    assert_int_equal(redial_cancel(client, (struct redial_job_ref){.id = id},
                                   "not wanted", patience(), &cancelled,
                                   &error),
                     REDIAL_OK);
    assert_true(cancelled.cancelled);
    assert_int_equal(cancelled.state, REDIAL_JOB_CANCELLED);
    info = final_of(client, id);
    assert_int_equal(info->state, REDIAL_JOB_CANCELLED);
    assert_int_equal(info->attempt_count, attempts);
    redial_job_info_free(info);
}

static void
a_scheduled_job_is_cancelled(void **state)
{
    struct redial_job job = job_of("ok");
    struct redial_submitted submitted;

    (void)state;
    job.not_before_ms = 60000;
    submitted = submit_job(client, &job);
    assert_int_equal(submitted.state, REDIAL_JOB_SCHEDULED);
    cancel_and_expect(submitted.id, 0);
}

static void
a_ready_job_is_cancelled(void **state)
{
    struct redial_job job = job_of("ok");

    (void)state;
    job.service = "nobody";
    cancel_and_expect(submit_job(client, &job).id, 0);
}

static void
a_running_job_is_cancelled_at_once(void **state)
{
    struct redial_job job = job_of("hold");
    struct redial_submitted submitted;

    (void)state;
    submitted = submit_job(client, &job);
    wait_for_event(client, submitted.id, "attempt.started");
    cancel_and_expect(submitted.id, 1);
}

static void
a_job_in_backoff_is_cancelled(void **state)
{
    struct redial_job job = job_of("fail 9 UNAVAILABLE X");
    struct redial_submitted submitted;

    (void)state;
    submitted = submit_job(client, &job);
    wait_for_event(client, submitted.id, "retry.planned");
    cancel_and_expect(submitted.id, 1);
}

static void
a_finished_job_stays_what_it_is(void **state)
{
    struct redial_job job = job_of("ok");
    struct redial_submitted submitted;
    struct redial_cancelled cancelled;
    struct redial_error error;

    (void)state;
    submitted = submit_job(client, &job);
    redial_job_info_free(final_of(client, submitted.id));
    assert_int_equal(redial_cancel(client,
                                   (struct redial_job_ref){.id = submitted.id},
                                   "late", patience(), &cancelled, &error),
                     REDIAL_OK);
    assert_false(cancelled.cancelled);
    assert_int_equal(cancelled.state, REDIAL_JOB_SUCCEEDED);
}

static void
expect_end(const struct redial_job *job, enum redial_job_state end,
           const char *rule, uint64_t least_ms)
{
    int64_t began = now_ms();
    struct redial_job_info *info = final_of(client, submit_job(client, job).id);

    assert_int_equal(info->state, end);
    assert_string_equal(info->decision->rule, rule);
    assert_true(now_ms() - began >= (int64_t)least_ms);
    assert_true(now_ms() - began < (int64_t)least_ms + 3000);
    redial_job_info_free(info);
}

static void
a_deadline_while_scheduled_expires_the_job(void **state)
{
    struct redial_job job = job_of("ok");

    (void)state;
    job.not_before_ms = 60000;
    job.deadline_ms = 200;
    expect_end(&job, REDIAL_JOB_EXPIRED, "DEADLINE_EXCEEDED", 200);
}

static void
a_deadline_while_ready_expires_the_job(void **state)
{
    struct redial_job job = job_of("ok");

    (void)state;
    job.service = "nobody";
    job.deadline_ms = 200;
    expect_end(&job, REDIAL_JOB_EXPIRED, "DEADLINE_EXCEEDED", 200);
}

static void
a_time_to_live_in_the_queue_expires_the_job(void **state)
{
    struct redial_job job = job_of("ok");

    (void)state;
    job.service = "nobody";
    job.queue_ttl_ms = 200;
    expect_end(&job, REDIAL_JOB_EXPIRED, "QUEUE_TTL_EXCEEDED", 200);
}

static void
a_deadline_while_running_fails_the_job(void **state)
{
    struct redial_job job = job_of("hold");

    (void)state;
    job.deadline_ms = 300;
    expect_end(&job, REDIAL_JOB_FAILED, "DEADLINE_EXCEEDED", 300);
}

static void
a_backoff_that_does_not_fit_the_deadline_ends_the_job_now(void **state)
{
    struct redial_job job = job_of("fail 9 UNAVAILABLE HTTP_503");
    struct redial_job_info *info;

    (void)state;
    job.deadline_ms = 2000;
    info = final_of(client, submit_job(client, &job).id);
    assert_int_equal(info->state, REDIAL_JOB_FAILED);
    assert_string_equal(info->decision->rule, "DEADLINE_WOULD_EXPIRE");
    assert_int_equal(info->outcome->code, REDIAL_UNAVAILABLE);
    assert_int_equal(info->attempt_count, 1);
    redial_job_info_free(info);
}

static void
an_attempt_over_its_limit_fails_as_a_timeout(void **state)
{
    struct redial_job job = job_of("hold");
    struct redial_job_info *info;

    (void)state;
    job.attempt_timeout_ms = 200;
    job.max_attempts = 1;
    info = final_of(client, submit_job(client, &job).id);
    assert_int_equal(info->state, REDIAL_JOB_FAILED);
    assert_int_equal(info->outcome->code, REDIAL_DEADLINE_EXCEEDED);
    assert_string_equal(info->outcome->reason, "ATTEMPT_TIMEOUT");
    redial_job_info_free(info);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_scheduled_job_is_cancelled),
        cmocka_unit_test(a_ready_job_is_cancelled),
        cmocka_unit_test(a_running_job_is_cancelled_at_once),
        cmocka_unit_test(a_job_in_backoff_is_cancelled),
        cmocka_unit_test(a_finished_job_stays_what_it_is),
        cmocka_unit_test(a_deadline_while_scheduled_expires_the_job),
        cmocka_unit_test(a_deadline_while_ready_expires_the_job),
        cmocka_unit_test(a_time_to_live_in_the_queue_expires_the_job),
        cmocka_unit_test(a_deadline_while_running_fails_the_job),
        cmocka_unit_test(
            a_backoff_that_does_not_fit_the_deadline_ends_the_job_now),
        cmocka_unit_test(an_attempt_over_its_limit_fails_as_a_timeout),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
