/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs behind a breaker: what they cost, until when, and how they come back. */
#include "server/core/text.h"
#include "tests/unit/core/gates.h"

#include <string.h>

static void
begin_with_retries(void)
{
    struct retry_policy *retry = &rig_fallback()->retry;

    gates_begin(32);
    retry->max_attempts = 5;
    retry->initial_backoff_ms = 100;
    retry->max_backoff_ms = 100;
    retry->retryable_codes = 1u << REDIAL_UNAVAILABLE;
    rig_use_policy();
}

/* Jobs 1 to 3 have failed, the third opened it. */
static void
open_with_retries(void)
{
    for (uint32_t n = 1; n <= 3; n++) {
        rig_submit(n);
    }
    for (uint32_t n = 1; n <= 3; n++) {
        rig_fail(gates_worker, rig_token_of(n), REDIAL_UNAVAILABLE, "DOWN");
    }
    gates_expect(BREAKER_OPEN);
}

/* ---- Retries ----------------------------------------------------------- */

static void
a_retry_behind_an_open_breaker_is_parked_and_costs_nothing(void **state)
{
    (void)state;
    begin_with_retries();
    rig.policy.target_fallback.has_budget = true;
    rig.policy.target_fallback.budget_floor = 10;
    rig.policy.target_fallback.budget_window_ms = 10000;
    rig_use_policy();
    open_with_retries();
    const struct record *parked = rig_record(EVENT_JOB_PARKED);

    assert_int_equal(parked->decision.rule, RULE_BREAKER_OPEN);
    assert_int_equal(parked->decision.delay_source, DELAY_BREAKER);
    assert_in_range(parked->decision.delay_ms, 1000, 2000);
    assert_int_equal(parked->budget_delta_milli, 0);
    assert_int_equal(rig_view(3).state, JOB_PARKED);
    assert_int_equal(rig_view(1).state, JOB_BACKOFF);
    rig_seen();
    rig_advance(4000);
    const struct record *released = rig_record(EVENT_JOB_RELEASED);

    assert_int_equal(released->budget_delta_milli, -1000);
}

static void
without_budget_it_stays_parked_until_there_is_some(void **state)
{
    (void)state;
    begin_with_retries();
    rig.policy.target_fallback.has_budget = true;
    rig.policy.target_fallback.budget_floor = 1;
    rig.policy.target_fallback.budget_window_ms = 3000;
    rig_use_policy();
    rig_submit(5);
    rig_submit(6);
    rig_submit(7);
    gates_act(ENGINE_BREAKER_OPEN, "ann", "", 1000);
    for (uint32_t n = 5; n <= 7; n++) {
        rig_fail(gates_worker, rig_token_of(n), REDIAL_UNAVAILABLE, "DOWN");
        assert_int_equal(rig_view(n).state, JOB_PARKED);
    }
    rig.policy.target_fallback.budget_floor = 0;
    rig.policy.target_fallback.budget_ratio_milli = 10;
    rig_use_policy();
    rig_advance(20000);
    assert_int_equal(rig_view(5).state, JOB_PARKED);
    rig.policy.target_fallback.budget_floor = 1;
    rig_use_policy();
    rig_heartbeat(gates_worker);
    rig_advance(5000);
    assert_int_not_equal(rig_view(5).state, JOB_PARKED);
}

static void
a_longer_backoff_of_its_own_stays(void **state)
{
    (void)state;
    begin_with_retries();
    rig_fallback()->retry.initial_backoff_ms = 8000;
    rig_fallback()->retry.max_backoff_ms = 8000;
    rig_use_policy();
    open_with_retries();
    assert_int_equal(rig_record(EVENT_JOB_PARKED)->decision.delay_ms, 8000);
    assert_int_equal(rig_record(EVENT_JOB_PARKED)->decision.delay_source,
                     DELAY_BACKOFF);
}

static void
a_deadline_before_it_reopens_ends_the_retry_now(void **state)
{
    (void)state;
    begin_with_retries();
    gates_policy()->open_ms = 10000;
    rig_use_policy();
    rig.submit.deadline_ms = 5000;
    open_with_retries();
    assert_false(rig_is_live(3));
    assert_int_equal(rig_record(EVENT_JOB_FAILED)->decision.rule,
                     RULE_DEADLINE_WOULD_EXPIRE);
    rig.submit.deadline_ms = 0;
}

static void
held_open_without_an_expiry_a_retry_waits_for_its_deadline(void **state)
{
    (void)state;
    begin_with_retries();
    gates_submit(1, IDEMPOTENCY_UNSET, 50000);
    gates_submit(2, IDEMPOTENCY_UNSET, 0);
    gates_act(ENGINE_BREAKER_OPEN, "ann", "", 0);
    rig_fail(gates_worker, rig_token_of(1), REDIAL_UNAVAILABLE, "DOWN");
    rig_fail(gates_worker, rig_token_of(2), REDIAL_UNAVAILABLE, "DOWN");
    assert_int_equal(rig_view(1).state, JOB_PARKED);
    assert_int_equal(rig_view(1).until_wall_ms, 0);
    rig_advance(49999);
    assert_true(rig_is_live(1));
    rig_advance(1);
    assert_false(rig_is_live(1));
    rig_restart();
    assert_int_equal(rig_view(2).state, JOB_PARKED);
    gates_act(ENGINE_BREAKER_CLOSE, "ann", "", 0);
    assert_int_not_equal(rig_view(2).state, JOB_PARKED);
}

static void
a_reset_lets_the_parked_go_at_once(void **state)
{
    (void)state;
    begin_with_retries();
    gates_policy()->open_ms = 60000;
    rig_use_policy();
    open_with_retries();
    gates_act(ENGINE_BREAKER_RESET, "", "", 0);
    gates_expect(BREAKER_CLOSED);
    assert_true(gates_runs(3));
}

static void
a_reset_with_nobody_parked_is_not_kept_for_those_who_come_later(void **state)
{
    (void)state;
    begin_with_retries();
    rig_submit(9);
    gates_act(ENGINE_BREAKER_RESET, "", "", 0);
    open_with_retries();
    assert_int_equal(rig_view(3).state, JOB_PARKED);
    assert_true(rig_view(3).until_wall_ms > rig.now.wall.ms + 1000);
    rig_advance(1000);
    gates_expect(BREAKER_HALF_OPEN);
    assert_int_equal(rig_view(3).state, JOB_PARKED); /* its own time */
}

static void
where_the_method_rejects_a_retry_ends_the_job(void **state)
{
    (void)state;
    begin_with_retries();
    rig_fallback()->reject_when_open = true;
    rig_use_policy();
    open_with_retries();
    assert_false(rig_is_live(3));
    assert_int_equal(rig_record(EVENT_JOB_FAILED)->decision.rule,
                     RULE_BREAKER_REJECTED);
    assert_int_equal(gates_stats().rejected, 1);
}

/* ---- Submits ----------------------------------------------------------- */

static void
a_submit_that_cannot_be_in_time_ends_early(void **state)
{
    (void)state;
    gates_begin(32);
    gates_policy()->open_ms = 10000;
    rig_use_policy();
    gates_open(1);
    rig_seen();
    gates_submit(10, IDEMPOTENCY_UNSET, 5000);
    assert_int_equal(rig.out.result.state, JOB_EXPIRED);
    rig_expect("job.accepted job.expired");
    gates_submit(11, IDEMPOTENCY_UNSET, 10001);
    assert_true(rig_is_live(11));
}

static void
a_scheduled_job_that_is_due_too_late_ends_early_too(void **state)
{
    (void)state;
    gates_begin(32);
    rig.submit.not_before_ms = 100;
    gates_submit(10, IDEMPOTENCY_UNSET, 5000);
    rig.submit.not_before_ms = 0;
    gates_policy()->open_ms = 10000;
    rig_use_policy();
    gates_open(1);
    rig_advance(99);
    assert_true(rig_is_live(10));
    rig_advance(1);
    assert_false(rig_is_live(10));
    assert_int_equal(rig_record(EVENT_JOB_EXPIRED)->decision.rule,
                     RULE_DEADLINE_WOULD_EXPIRE);
}

static void
no_more_than_may_wait_come_in(void **state)
{
    (void)state;
    gates_begin(32);
    rig.policy.target_fallback.parked_max = 2;
    rig_use_policy();
    gates_open(1);
    rig_submit(10);
    rig_submit(11);
    const struct engine_result *result = rig_submit(12);

    assert_int_equal(result->status, REDIAL_RESOURCE_EXHAUSTED);
    assert_string_equal(result->reason, "PARKED_FULL");
    assert_int_equal(result->retry_after_ms, 1000);
    assert_non_null(strstr(result->message, "; 2 jobs wait for it"));
    rig_cancel(10);
    assert_int_equal(rig_submit(13)->status, REDIAL_OK);
}

static void
a_method_that_rejects_refuses_submits_and_keeps_who_waits(void **state)
{
    (void)state;
    gates_begin(32);
    rig_fallback()->reject_when_open = true;
    rig_use_policy();
    gates_act(ENGINE_BREAKER_OPEN, "ann", "", 0);
    assert_int_equal(rig.out.result.status, REDIAL_OK);
    rig_submit(10);
    assert_int_equal(rig.out.result.status, REDIAL_UNAVAILABLE);
    assert_string_equal(rig.out.result.reason, "BREAKER_OPEN");
    assert_int_equal(rig.out.result.retry_after_ms, 0); /* not known */
    gates_act(ENGINE_BREAKER_CLOSE, "ann", "", 0);
    rig_fallback()->reject_when_open = false;
    rig_use_policy();
    rig_advance(2000);
    gates_open(1);
    rig_submit(11);
    rig_fallback()->reject_when_open = true;
    rig_use_policy();
    assert_int_equal(rig_view(11).shown, JOB_PARKED);
    rig_submit(12);
    assert_int_equal(rig.out.result.retry_after_ms, 1000);
    rig_advance(1000);
    assert_true(gates_runs(11));
}

/* ---- Coming back ------------------------------------------------------- */

static void
in_the_ramp_each_one_is_looked_at_again(void **state)
{
    (void)state;
    gates_begin(32);
    gates_policy()->probes_needed = 1;
    gates_policy()->ramp_ms = 10000;
    rig_use_policy();
    gates_open(1);
    gates_submit(10, IDEMPOTENCY_YES, 0);
    gates_submit(11, IDEMPOTENCY_UNSET, 1500);
    gates_submit(12, IDEMPOTENCY_UNSET, 0);
    gates_submit(13, IDEMPOTENCY_UNSET, 0);
    rig_advance(1400);
    rig_succeed(gates_worker, rig_token_of(10));
    gates_expect(BREAKER_RAMP);
    assert_true(gates_runs(11));
    assert_int_equal(gates_stats().in_flight_max, 1);
    rig_advance(100); /* its deadline: the next one */
    assert_false(gates_runs(11));
    assert_true(gates_runs(12));
    assert_false(gates_runs(13));
}

static void
one_that_opens_again_keeps_the_rest_without_an_attempt(void **state)
{
    (void)state;
    gates_begin(32);
    gates_policy()->probes_needed = 1;
    gates_policy()->consecutive = 1;
    rig_use_policy();
    gates_fail(1, REDIAL_UNAVAILABLE);
    for (uint32_t n = 10; n < 20; n++) {
        rig_submit(n);
    }
    rig_advance(1000);
    rig_succeed(gates_worker, rig_token_of(10));
    assert_true(gates_runs(11));
    rig_fail(gates_worker, rig_token_of(11), REDIAL_UNAVAILABLE, "DOWN");
    gates_expect(BREAKER_OPEN);
    assert_int_equal(gates_stats().step, 2);
    for (uint32_t n = 12; n < 20; n++) {
        assert_int_equal(rig_view(n).shown, JOB_PARKED);
        assert_int_equal(rig_view(n).attempt, 0);
    }
    assert_int_equal(gates_stats().waiting, 8);
}

static void
a_method_says_that_it_waits_for_the_breaker(void **state)
{
    (void)state;
    struct engine_method_stats stats;

    gates_begin(32);
    gates_open(1);
    rig_submit(10);
    assert_true(engine_method_stats(rig.engine, rig.now, 0, &stats));
    assert_int_equal(stats.waits_for, ENGINE_WAITS_FOR_BREAKER);
    assert_string_equal(engine_waits_for_name(stats.waits_for), "breaker");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        rig_test(a_retry_behind_an_open_breaker_is_parked_and_costs_nothing),
        rig_test(without_budget_it_stays_parked_until_there_is_some),
        rig_test(a_longer_backoff_of_its_own_stays),
        rig_test(a_deadline_before_it_reopens_ends_the_retry_now),
        rig_test(held_open_without_an_expiry_a_retry_waits_for_its_deadline),
        rig_test(a_reset_lets_the_parked_go_at_once),
        rig_test(
            a_reset_with_nobody_parked_is_not_kept_for_those_who_come_later),
        rig_test(where_the_method_rejects_a_retry_ends_the_job),
        rig_test(a_submit_that_cannot_be_in_time_ends_early),
        rig_test(a_scheduled_job_that_is_due_too_late_ends_early_too),
        rig_test(no_more_than_may_wait_come_in),
        rig_test(a_method_that_rejects_refuses_submits_and_keeps_who_waits),
        rig_test(in_the_ramp_each_one_is_looked_at_again),
        rig_test(one_that_opens_again_keeps_the_rest_without_an_attempt),
        rig_test(a_method_says_that_it_waits_for_the_breaker),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
