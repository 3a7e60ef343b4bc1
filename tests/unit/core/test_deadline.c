/* SPDX-License-Identifier: Apache-2.0 */
/* Deadlines and times to live, in every state, to the millisecond. */
#include "tests/unit/core/rig.h"

#include <string.h>

static uint64_t worker;

/* A worker with one place, and a job with a deadline in 5 s. */
static void
start_with_deadline(void)
{
    worker = rig_hello("w", "1", 1);
    rig_poll(worker, 1);
    rig.submit.deadline_ms = 5000;
    rig_submit(1);
    rig_poll(worker, 0);
    rig_seen();
}

static void
assert_ended(enum event_type event, enum rule rule, const char *reason)
{
    const struct record *record = rig_record(event);

    assert_int_equal(record->decision.rule, rule);
    rig_assert_text(record->reason, reason);
    assert_false(rig_is_live(1));
}

static void
ready_jobs_expire_at_their_deadline(void **state)
{
    (void)state;
    rig.submit.deadline_ms = 5000;
    rig_submit(1);
    rig_expect("job.accepted");
    assert_int_equal(engine_next_wake(rig.engine).ms, rig.now.mono.ms + 5000);
    rig_advance(4999);
    rig_tick();
    rig_expect("");
    rig_advance(1);
    assert_ended(EVENT_JOB_EXPIRED, RULE_DEADLINE_EXCEEDED,
                 "DEADLINE_EXCEEDED");
    assert_int_equal(rig_record(EVENT_JOB_EXPIRED)->code,
                     REDIAL_DEADLINE_EXCEEDED);
    rig_expect("job.expired");
    assert_int_equal(engine_next_wake(rig.engine).ms, INT64_MAX);
}

static void
ready_jobs_expire_after_their_time_to_live(void **state)
{
    (void)state;
    rig.submit.queue_ttl_ms = 3000;
    rig.submit.deadline_ms = 5000;
    rig_submit(1);
    rig_advance(2999);
    rig_expect("job.accepted");
    rig_advance(1);
    assert_ended(EVENT_JOB_EXPIRED, RULE_QUEUE_TTL_EXCEEDED,
                 "QUEUE_TTL_EXCEEDED");
    rig_expect("job.expired");
}

static void
scheduled_jobs_expire_too(void **state)
{
    (void)state;
    rig.submit.not_before_ms = 60000;
    rig.submit.deadline_ms = 5000;
    rig_submit(1);
    rig_expect("job.accepted job.scheduled");
    rig.submit.deadline_ms = 0;
    rig.submit.queue_ttl_ms = 4000;
    rig_submit(2);
    rig_seen();
    rig_advance(4999);
    rig_expect("job.expired");
    rig_advance(1);
    assert_ended(EVENT_JOB_EXPIRED, RULE_DEADLINE_EXCEEDED,
                 "DEADLINE_EXCEEDED");
    rig_expect("job.expired");
}

static void
a_job_is_not_started_before_its_time(void **state)
{
    (void)state;
    worker = rig_hello("w", "1", 1);
    rig_poll(worker, 1);
    rig.submit.not_before_ms = 3000;
    rig_submit(1);
    rig_expect("worker.joined job.accepted job.scheduled");
    assert_int_equal(rig_view(1).state, JOB_SCHEDULED);
    assert_int_equal(rig_view(1).until_wall_ms, rig.now.wall.ms + 3000);
    rig_advance(2999);
    rig_expect("");
    rig_advance(1);
    rig_expect("attempt.started");
}

static void
a_due_job_without_a_worker_is_shown_as_ready(void **state)
{
    (void)state;
    struct engine_stats stats;

    rig.submit.not_before_ms = 3000;
    rig_submit(1);
    rig_advance(3000);
    rig_expect("job.accepted job.scheduled");
    assert_int_equal(rig_view(1).state, JOB_SCHEDULED);
    assert_int_equal(rig_view(1).shown, JOB_READY);
    rig_advance(500);
    engine_stats(rig.engine, rig.now, &stats);
    assert_int_equal(stats.jobs[JOB_READY], 1);
    assert_int_equal(stats.jobs[JOB_SCHEDULED], 0);
    assert_int_equal(stats.oldest_ready_ms, 500);
}

static void
running_jobs_fail_at_the_deadline_and_leave_a_ghost(void **state)
{
    (void)state;
    start_with_deadline();
    rig_advance(4999);
    rig_expect("");
    rig_advance(1);
    const struct record *failed = rig_record(EVENT_JOB_FAILED);

    assert_int_equal(failed->decision.rule, RULE_DEADLINE_EXCEEDED);
    assert_int_equal(failed->code, REDIAL_DEADLINE_EXCEEDED);
    rig_assert_text(failed->reason, "DEADLINE_EXCEEDED");
    rig_expect("job.failed");
    assert_int_equal(rig.stop_count, 1);
    assert_int_equal(rig.release_count, 0);
    assert_true(rig_is_live(1));
    assert_int_equal(rig_view(1).state, JOB_FAILED);
}

static void
a_deadline_keeps_the_last_real_failure(void **state)
{
    (void)state;
    start_with_deadline();
    struct engine_token token = {.job = rig_id(1), .attempt = 1, .fence = 3};

    rig.report.text = (struct text){.at = "the disk is full", .len = 16};
    rig_fail(worker, token, REDIAL_RESOURCE_EXHAUSTED, "DISK");
    rig_advance(1000);
    rig_expect("attempt.failed retry.planned");
    /* The worker says nothing of new places: the job waits until the end. */
    assert_int_equal(rig_view(1).shown, JOB_READY);
    rig_advance(4000);
    const struct record *failed = rig_record(EVENT_JOB_FAILED);

    assert_int_equal(failed->code, REDIAL_RESOURCE_EXHAUSTED);
    rig_assert_text(failed->reason, "DEADLINE_EXCEEDED");
    rig_assert_text(failed->text, "the disk is full");
    assert_ended(EVENT_JOB_FAILED, RULE_DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED");
    rig_expect("job.failed");
}

static void
a_retry_that_would_be_too_late_ends_the_job_now(void **state)
{
    (void)state;
    start_with_deadline();
    struct engine_token token = {.job = rig_id(1), .attempt = 1, .fence = 3};

    rig_advance(4000);
    rig_fail(worker, token, REDIAL_UNAVAILABLE, "DOWN");
    rig_expect("attempt.failed retry.refused job.failed");
    assert_ended(EVENT_JOB_FAILED, RULE_DEADLINE_WOULD_EXPIRE,
                 "DEADLINE_WOULD_EXPIRE");
    assert_int_equal(rig_record(EVENT_JOB_FAILED)->code, REDIAL_UNAVAILABLE);
    assert_int_equal(rig_record(EVENT_RETRY_REFUSED)->decision.rule,
                     RULE_DEADLINE_WOULD_EXPIRE);
}

static void
backoff_ends_at_the_deadline(void **state)
{
    (void)state;
    start_with_deadline();
    struct engine_token token = {.job = rig_id(1), .attempt = 1, .fence = 3};

    rig_advance(3999);
    rig_fail(worker, token, REDIAL_UNAVAILABLE, "DOWN");
    rig_expect("attempt.failed retry.planned");
    rig_advance(1000);
    assert_int_equal(rig_view(1).shown, JOB_READY);
    rig_advance(1);
    rig_expect("job.failed");
}

static void
a_success_at_the_deadline_is_too_late(void **state)
{
    (void)state;
    start_with_deadline();
    struct engine_token token = {.job = rig_id(1), .attempt = 1, .fence = 3};

    rig.now.mono.ms += 5000;
    const struct engine_result *result = rig_succeed(worker, token);

    assert_int_equal(result->status, REDIAL_NOT_FOUND);
    assert_string_equal(result->reason, "LATE");
    rig_expect("job.failed attempt.late");
    assert_false(rig_is_live(1));
}

static void
a_success_just_before_the_deadline_counts(void **state)
{
    (void)state;
    start_with_deadline();
    struct engine_token token = {.job = rig_id(1), .attempt = 1, .fence = 3};

    rig_advance(4999);
    rig_succeed(worker, token);
    rig_expect("attempt.succeeded job.succeeded");
}

static void
an_attempt_gets_no_more_time_than_the_job_has(void **state)
{
    (void)state;
    worker = rig_hello("w", "1", 2);
    rig_poll(worker, 2);
    rig.submit.deadline_ms = 5000;
    rig.submit.attempt_timeout_ms = 60000;
    rig_submit(1);
    assert_int_equal(rig.assigned[0].timeout_ms, 5000);
    assert_int_equal(rig.assigned[0].remaining_ms, 5000);
    rig_advance(3000);
    rig_fail(worker, rig_token(0), REDIAL_UNAVAILABLE, "DOWN");
    rig_poll(worker, 2);
    rig_advance(1000);
    assert_int_equal(rig.assigned[1].timeout_ms, 1000);
    assert_int_equal(rig.assigned[1].remaining_ms, 1000);
}

static void
a_job_only_tightens_the_time_of_an_attempt(void **state)
{
    (void)state;
    worker = rig_hello("w", "1", 3);
    rig_poll(worker, 3);
    rig_fallback()->attempt_timeout_ms = 800;
    rig_submit(1);
    rig.submit.attempt_timeout_ms = 300;
    rig_submit(2);
    rig.submit.attempt_timeout_ms = 900;
    rig_submit(3);
    assert_int_equal(rig.assigned[0].timeout_ms, 800);
    assert_int_equal(rig.assigned[1].timeout_ms, 300);
    assert_int_equal(rig.assigned[2].timeout_ms, 800);
    assert_int_equal(rig.assigned[0].remaining_ms, 0);
}

static void
expired_jobs_are_never_dispatched(void **state)
{
    (void)state;
    rig.submit.deadline_ms = 5000;
    rig_submit(1);
    rig_submit(2);
    worker = rig_hello("w", "1", 2);
    rig_seen();
    /* The tick is late: the poll comes first. */
    rig.now.mono.ms += 5000;
    rig_poll(worker, 2);
    rig_expect("job.expired job.expired");
    assert_int_equal(rig.assigned_count, 0);
}

static void
the_time_to_live_ends_with_the_first_attempt(void **state)
{
    (void)state;
    worker = rig_hello("w", "1", 1);
    rig_poll(worker, 1);
    rig.submit.queue_ttl_ms = 3000;
    rig_submit(1);
    rig_advance(2000);
    rig_poll(worker, 0);
    rig_fail(worker, rig_token(0), REDIAL_UNAVAILABLE, "DOWN");
    rig_advance(20000);
    assert_int_equal(rig_view(1).state, JOB_BACKOFF);
}

static void
a_free_attempt_is_no_attempt(void **state)
{
    (void)state;
    worker = rig_hello("w", "1", 1);
    rig_poll(worker, 1);
    rig.submit.queue_ttl_ms = 3000;
    rig_submit(1);
    rig_report_kind(worker, rig_token(0), REPORT_NOT_STARTED);
    rig_poll(worker, 0);
    rig_report_kind(worker, rig_token(1), REPORT_NOT_STARTED);
    rig_expect("worker.joined job.accepted attempt.started attempt.failed "
               "job.released attempt.started attempt.failed retry.planned");
    assert_int_equal(rig_view(1).state, JOB_BACKOFF);
    rig_advance(3000);
    rig_expect("job.expired");
}

static void
a_cancel_after_the_deadline_changes_nothing(void **state)
{
    (void)state;
    rig.submit.deadline_ms = 5000;
    rig_submit(1);
    rig_seen();
    rig.now.mono.ms += 5000;
    assert_false(rig_cancel(1)->changed);
    rig_expect("job.expired");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        rig_test(ready_jobs_expire_at_their_deadline),
        rig_test(ready_jobs_expire_after_their_time_to_live),
        rig_test(scheduled_jobs_expire_too),
        rig_test(a_job_is_not_started_before_its_time),
        rig_test(a_due_job_without_a_worker_is_shown_as_ready),
        rig_test(running_jobs_fail_at_the_deadline_and_leave_a_ghost),
        rig_test(a_deadline_keeps_the_last_real_failure),
        rig_test(a_retry_that_would_be_too_late_ends_the_job_now),
        rig_test(backoff_ends_at_the_deadline),
        rig_test(a_success_at_the_deadline_is_too_late),
        rig_test(a_success_just_before_the_deadline_counts),
        rig_test(an_attempt_gets_no_more_time_than_the_job_has),
        rig_test(a_job_only_tightens_the_time_of_an_attempt),
        rig_test(expired_jobs_are_never_dispatched),
        rig_test(the_time_to_live_ends_with_the_first_attempt),
        rig_test(a_free_attempt_is_no_attempt),
        rig_test(a_cancel_after_the_deadline_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
