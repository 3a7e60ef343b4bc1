/* SPDX-License-Identifier: Apache-2.0 */
/* Leases, time limits, fences, and reports that come twice or too late. */
#include "tests/unit/core/rig.h"

#include <string.h>

static uint64_t worker;
static struct engine_token token;

/* Job 1 runs on a worker with `concurrency` places, acknowledged, full. */
static void
start(uint32_t concurrency)
{
    worker = rig_hello("w", "1", concurrency);
    rig_poll(worker, concurrency);
    rig_submit(1);
    token = rig_token(0);
    rig_poll(worker, 0);
    rig_seen();
}

/* Time passes and the worker is heard all the while. */
static void
live_on(int64_t ms)
{
    while (ms > 0) {
        int64_t part = ms < 2000 ? ms : 2000;

        rig_advance(part);
        rig_heartbeat(worker);
        ms -= part;
    }
}

static void
an_acknowledged_lease_runs_from_when_the_worker_was_heard(void **state)
{
    (void)state;
    start(1);
    live_on(60000);
    rig_expect("");
    rig_advance(9999);
    rig_expect("worker.quiet");
    rig_advance(1);
    rig_expect("attempt.lost retry.planned");
    const struct record *lost = rig_record(EVENT_ATTEMPT_LOST);

    assert_int_equal(lost->code, REDIAL_UNAVAILABLE);
    rig_assert_text(lost->reason, "WORKER_LOST");
    assert_true(lost->charged);
    assert_false(lost->final_lost);
    assert_int_equal(lost->fence, token.fence);
    assert_int_equal(rig.stop_count, 1);
    assert_int_equal(rig_view(1).attempts_charged, 1);
}

static void
every_kind_of_message_renews_the_lease(void **state)
{
    (void)state;
    start(2);
    rig_advance(9000);
    rig_poll(worker, 0);
    rig_advance(9000);
    rig_report_kind(worker, token, REPORT_PROGRESS);
    rig_advance(9000);
    rig_heartbeat(worker);
    rig_advance(9999);
    assert_int_equal(rig_view(1).state, JOB_RUNNING);
    rig_advance(1);
    assert_int_equal(rig_view(1).state, JOB_BACKOFF);
}

static void
a_lease_that_nobody_acknowledged_costs_nothing(void **state)
{
    (void)state;
    worker = rig_hello("w", "1", 2);
    rig_poll(worker, 1);
    rig_submit(1);
    rig_seen();
    live_on(9999);
    rig_expect("");
    rig_advance(1);
    rig_expect("attempt.lost job.released attempt.started");
    assert_false(rig_record(EVENT_ATTEMPT_LOST)->charged);
    assert_int_equal(rig_record(EVENT_JOB_RELEASED)->decision.rule,
                     RULE_FREE_RETRY);
    assert_int_equal(rig_view(1).attempts_charged, 0);
    assert_int_equal(rig_view(1).attempts_free, 1);
}

static void
unacknowledged_and_not_idempotent_is_not_repeated(void **state)
{
    (void)state;
    worker = rig_hello("w", "1", 2);
    rig_poll(worker, 1);
    rig.submit.idempotency = IDEMPOTENCY_NO;
    rig_submit(1);
    rig_seen();
    live_on(10000);
    rig_expect("attempt.lost retry.refused job.failed");
    assert_int_equal(rig_record(EVENT_JOB_FAILED)->decision.rule,
                     RULE_INDETERMINATE);
    assert_false(rig_record(EVENT_ATTEMPT_LOST)->charged);
}

static void
the_gateway_acts_two_seconds_after_the_time_limit(void **state)
{
    (void)state;
    rig.submit.attempt_timeout_ms = 3000;
    start(1);
    live_on(4999);
    rig_expect("");
    rig_advance(1);
    rig_expect("attempt.failed retry.planned");
    const struct record *failed = rig_record(EVENT_ATTEMPT_FAILED);

    assert_int_equal(failed->code, REDIAL_DEADLINE_EXCEEDED);
    rig_assert_text(failed->reason, "ATTEMPT_TIMEOUT");
    assert_true(failed->charged);
    assert_int_equal(rig.stop_count, 1);
    assert_int_equal(rig_view(1).state, JOB_BACKOFF);
}

static void
a_timed_out_attempt_keeps_its_places_as_a_ghost(void **state)
{
    (void)state;
    rig_fallback()->limits.concurrency = 1;
    rig.submit.attempt_timeout_ms = 3000;
    start(4);
    rig_poll(worker, 3);
    live_on(7000);
    rig_expect("attempt.failed retry.planned");
    assert_int_equal(rig_view(1).shown, JOB_READY);
    const struct engine_result *result = rig_succeed(worker, token);

    assert_string_equal(result->reason, "LATE");
    rig_expect("attempt.late attempt.started");
    const struct record *late = rig_record(EVENT_ATTEMPT_LATE);

    assert_int_equal(late->attempt, 1);
    assert_int_equal(late->fence, token.fence);
    assert_int_equal(rig_view(1).attempts_charged, 1);
}

static void
timed_out_and_not_idempotent_is_indeterminate(void **state)
{
    (void)state;
    rig.submit.attempt_timeout_ms = 3000;
    rig.submit.idempotency = IDEMPOTENCY_NO;
    start(1);
    live_on(5000);
    rig_expect("attempt.failed retry.refused job.failed");
    const struct record *failed = rig_record(EVENT_JOB_FAILED);

    assert_int_equal(failed->decision.rule, RULE_INDETERMINATE);
    rig_assert_text(failed->reason, "INDETERMINATE");
    assert_int_equal(failed->code, REDIAL_DEADLINE_EXCEEDED);
}

static void
a_worker_that_says_it_timed_out_is_believed(void **state)
{
    (void)state;
    rig_fallback()->idempotency = IDEMPOTENCY_NO;
    start(1);
    rig_fail(worker, token, REDIAL_DEADLINE_EXCEEDED, "ATTEMPT_TIMEOUT");
    rig_expect("attempt.failed retry.refused job.failed");
    assert_int_equal(rig_record(EVENT_JOB_FAILED)->decision.rule,
                     RULE_INDETERMINATE);
}

static void
policy_may_say_retry_all_the_same(void **state)
{
    (void)state;
    rig_fallback()->idempotency = IDEMPOTENCY_NO;
    rig_fallback()->retry_indeterminate = true;
    start(1);
    rig_fail(worker, token, REDIAL_DEADLINE_EXCEEDED, "ATTEMPT_TIMEOUT");
    rig_expect("attempt.failed retry.planned");
}

static void
a_failure_that_a_worker_reports_is_certain(void **state)
{
    (void)state;
    rig.submit.idempotency = IDEMPOTENCY_NO;
    start(1);
    rig_fail(worker, token, REDIAL_UNAVAILABLE, "DOWN");
    rig_expect("attempt.failed retry.planned");
}

static void
a_report_under_an_old_fence_is_late_and_changes_nothing(void **state)
{
    (void)state;
    rig.submit.attempt_timeout_ms = 3000;
    start(2);
    rig_poll(worker, 1);
    live_on(6000);
    rig_expect("attempt.failed retry.planned attempt.started");
    const struct engine_result *result = rig_succeed(worker, token);

    assert_int_equal(result->status, REDIAL_NOT_FOUND);
    assert_string_equal(result->reason, "LATE");
    rig_expect("attempt.late");
    assert_int_equal(rig_view(1).state, JOB_RUNNING);
    assert_int_equal(rig_view(1).attempt, 2);
    /* Once is enough for the log. */
    result = rig_succeed(worker, token);
    assert_string_equal(result->reason, "LATE");
    rig_expect("");
}

static void
a_report_that_comes_twice_is_acknowledged_without_effect(void **state)
{
    (void)state;
    start(1);
    rig_fail(worker, token, REDIAL_UNAVAILABLE, "DOWN");
    rig_expect("attempt.failed retry.planned");
    const struct engine_result *result = rig_fail(worker, token,
                                                  REDIAL_UNAVAILABLE, "DOWN");

    assert_int_equal(result->status, REDIAL_OK);
    result = rig_succeed(worker, token);
    assert_int_equal(result->status, REDIAL_OK);
    rig_expect("");
    struct engine_stats stats;

    engine_stats(rig.engine, rig.now, &stats);
    assert_int_equal(stats.late_reports, 0);
}

static void
a_report_on_a_job_that_is_gone_is_late_and_counted(void **state)
{
    (void)state;
    start(1);
    rig_succeed(worker, token);
    rig_expect("attempt.succeeded job.succeeded");
    const struct engine_result *result = rig_succeed(worker, token);

    assert_string_equal(result->reason, "LATE");
    rig_expect("");
    struct engine_stats stats;

    engine_stats(rig.engine, rig.now, &stats);
    assert_int_equal(stats.late_reports, 1);
}

static void
a_lost_attempt_that_reports_after_all_is_recorded_once(void **state)
{
    (void)state;
    start(1);
    rig_advance(10000);
    rig_expect("worker.quiet attempt.lost retry.planned");
    const struct engine_result *result = rig_succeed(worker, token);

    assert_string_equal(result->reason, "LATE");
    rig_expect("attempt.late");
    result = rig_succeed(worker, token);
    assert_string_equal(result->reason, "LATE");
    rig_expect("");
    assert_int_equal(rig_view(1).state, JOB_BACKOFF);
}

static void
a_forged_token_changes_nothing(void **state)
{
    (void)state;
    start(1);
    struct engine_token forged = token;

    forged.fence++;
    assert_string_equal(rig_succeed(worker, forged)->reason, "LATE");
    forged = token;
    forged.attempt++;
    assert_string_equal(rig_succeed(worker, forged)->reason, "LATE");
    forged = token;
    forged.job = rig_id(2);
    assert_string_equal(rig_succeed(worker, forged)->reason, "LATE");
    rig_expect("");
    rig_succeed(worker, token);
    rig_expect("attempt.succeeded job.succeeded");
}

static void
a_silent_worker_gets_nothing_new_until_it_is_heard(void **state)
{
    (void)state;
    worker = rig_hello("w", "1", 2);
    rig_poll(worker, 2);
    rig_seen();
    rig_advance(5999);
    rig_submit(1);
    rig_expect("job.accepted attempt.started");
    rig_advance(1);
    rig_expect("worker.quiet");
    rig_submit(2);
    rig_expect("job.accepted");
    rig_heartbeat(worker);
    rig_expect("attempt.started");
}

static void
silence_counts_even_before_the_tick(void **state)
{
    (void)state;
    worker = rig_hello("w", "1", 2);
    rig_poll(worker, 2);
    rig_seen();
    rig.now.mono.ms += 6000;
    rig_submit(1);
    rig_expect("job.accepted");
    rig_tick();
    rig_expect("worker.quiet");
    rig_poll(worker, 2);
    rig_expect("attempt.started");
}

static void
a_stalled_gateway_hears_its_workers_first(void **state)
{
    (void)state;
    start(1);
    /* Stopped for a minute; the heartbeats of that time are still queued. */
    rig.now.mono.ms += 60000;
    rig_heartbeat(worker);
    rig_tick();
    rig_expect("");
    assert_int_equal(rig_view(1).state, JOB_RUNNING);
}

static void
failures_carry_their_result_and_words(void **state)
{
    (void)state;
    start(1);
    rig.report.text = (struct text){.at = "line 7", .len = 6};
    rig.report.result_bytes = 12;
    rig_fail(worker, token, REDIAL_INVALID_ARGUMENT, "SCRIPT_VALIDATION");
    rig_expect("attempt.failed retry.refused job.failed");
    const struct record *failed = rig_record(EVENT_JOB_FAILED);

    assert_int_equal(failed->code, REDIAL_INVALID_ARGUMENT);
    rig_assert_text(failed->reason, "SCRIPT_VALIDATION");
    rig_assert_text(failed->text, "line 7");
    assert_int_equal(failed->attachment, ATTACHMENT_RESULT);
    assert_int_equal(failed->decision.rule, RULE_NON_RETRYABLE_CODE);
    assert_int_equal(rig_record(EVENT_ATTEMPT_FAILED)->attachment,
                     ATTACHMENT_NONE);
}

static void
a_code_outside_the_seventeen_is_never_retried(void **state)
{
    (void)state;
    rig_fallback()->retry.retryable_codes = UINT32_MAX;
    start(1);
    rig_fail(worker, token, (enum redial_status)300, "");
    rig_expect("attempt.failed retry.refused job.failed");
    assert_int_equal(rig_record(EVENT_JOB_FAILED)->code, REDIAL_UNKNOWN);
}

static void
long_words_are_cut_in_the_state_but_not_in_the_record(void **state)
{
    (void)state;
    static char long_text[1000];

    memset(long_text, 'x', sizeof(long_text));
    long_text[238] = (char)0xe2; /* a character across the cut */
    long_text[239] = (char)0x82;
    long_text[240] = (char)0xac;
    start(1);
    rig.report.text = (struct text){.at = long_text, .len = sizeof(long_text)};
    rig_fail(worker, token, REDIAL_UNAVAILABLE, "DOWN");
    assert_int_equal(rig_record(EVENT_ATTEMPT_FAILED)->text.len, 1000);
    assert_int_equal(rig_view(1).last_text.len, 238);
    rig_assert_text(rig_view(1).last_reason, "DOWN");
}

static void
a_worker_that_is_heard_just_before_the_tick_is_awake(void **state)
{
    (void)state;
    worker = rig_hello("w", "1", 2);
    rig_poll(worker, 2);
    rig_seen();
    rig.now.mono.ms += 6000;
    rig_submit(1);
    rig_expect("job.accepted");
    rig_heartbeat(worker);
    rig_expect("attempt.started");
    rig_tick();
    rig_expect("");
}

static void
a_report_of_another_worker_changes_nothing(void **state)
{
    (void)state;
    start(1);
    uint64_t other = rig_hello("w", "2", 1);

    rig_seen();
    assert_string_equal(rig_succeed(other, token)->reason, "LATE");
    assert_string_equal(
        rig_report_kind(other, token, REPORT_NOT_STARTED)->reason, "LATE");
    rig_expect("");
    rig_cancel(1);
    rig_seen();
    assert_string_equal(rig_succeed(other, token)->reason, "LATE");
    rig_expect("");
    assert_true(rig_is_live(1));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        rig_test(an_acknowledged_lease_runs_from_when_the_worker_was_heard),
        rig_test(every_kind_of_message_renews_the_lease),
        rig_test(a_lease_that_nobody_acknowledged_costs_nothing),
        rig_test(unacknowledged_and_not_idempotent_is_not_repeated),
        rig_test(the_gateway_acts_two_seconds_after_the_time_limit),
        rig_test(a_timed_out_attempt_keeps_its_places_as_a_ghost),
        rig_test(timed_out_and_not_idempotent_is_indeterminate),
        rig_test(a_worker_that_says_it_timed_out_is_believed),
        rig_test(policy_may_say_retry_all_the_same),
        rig_test(a_failure_that_a_worker_reports_is_certain),
        rig_test(a_report_under_an_old_fence_is_late_and_changes_nothing),
        rig_test(a_report_that_comes_twice_is_acknowledged_without_effect),
        rig_test(a_report_on_a_job_that_is_gone_is_late_and_counted),
        rig_test(a_lost_attempt_that_reports_after_all_is_recorded_once),
        rig_test(a_forged_token_changes_nothing),
        rig_test(a_silent_worker_gets_nothing_new_until_it_is_heard),
        rig_test(silence_counts_even_before_the_tick),
        rig_test(a_stalled_gateway_hears_its_workers_first),
        rig_test(failures_carry_their_result_and_words),
        rig_test(a_code_outside_the_seventeen_is_never_retried),
        rig_test(long_words_are_cut_in_the_state_but_not_in_the_record),
        rig_test(a_worker_that_is_heard_just_before_the_tick_is_awake),
        rig_test(a_report_of_another_worker_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
