/* SPDX-License-Identifier: Apache-2.0 */
/* Which job is sent to find out, and what becomes of it. */
#include "server/core/text.h"
#include "tests/unit/core/gates.h"

#include <string.h>

/* It is open, and these wait; then its time is over. */
static void
begin(void)
{
    gates_begin(32);
    gates_open(1);
}

static void
the_move_to_half_open_lets_just_one_through(void **state)
{
    (void)state;
    begin();
    for (uint32_t n = 10; n < 30; n++) {
        rig_submit(n);
    }
    rig_seen();
    rig_advance(1000);
    assert_int_equal(rig.assigned_count, 1);
    assert_int_equal(gates_stats().probes_out, 1);
    rig_poll(gates_worker, 32);
    rig_submit(30);
    rig_tick();
    assert_int_equal(rig.assigned_count, 1);
}

static void
an_idempotent_job_goes_before_one_of_which_nothing_is_said(void **state)
{
    (void)state;
    begin();
    gates_submit(10, IDEMPOTENCY_NO, 0);
    gates_submit(11, IDEMPOTENCY_UNSET, 0);
    gates_submit(12, IDEMPOTENCY_YES, 0);
    rig_advance(1000);
    assert_true(gates_runs(12));
    assert_false(gates_runs(11));
    rig_succeed(gates_worker, rig_token_of(12));
    assert_true(gates_runs(11));
    assert_false(gates_runs(10));
}

static void
an_idempotent_job_in_a_hurry_still_goes_first(void **state)
{
    (void)state;
    begin();
    gates_submit(10, IDEMPOTENCY_UNSET, 0);
    gates_submit(11, IDEMPOTENCY_YES, 3000);
    rig_advance(1000);
    assert_true(gates_runs(11));
    assert_false(gates_runs(10));
}

static void
a_job_with_time_left_goes_before_one_in_a_hurry(void **state)
{
    (void)state;
    begin();
    rig_fallback()->attempt_timeout_ms = 5000;
    rig_use_policy();
    gates_submit(10, IDEMPOTENCY_YES, 2000);
    gates_submit(11, IDEMPOTENCY_YES, 9000);
    gates_submit(12, IDEMPOTENCY_YES, 60000);
    rig_advance(1000);
    assert_true(gates_runs(11));
}

static void
where_none_has_the_time_the_one_with_the_most_goes(void **state)
{
    (void)state;
    begin();
    rig_fallback()->attempt_timeout_ms = 50000;
    rig_use_policy();
    gates_submit(10, IDEMPOTENCY_YES, 3000);
    gates_submit(11, IDEMPOTENCY_YES, 9000);
    gates_submit(12, IDEMPOTENCY_YES, 6000);
    rig_advance(1000);
    assert_true(gates_runs(11));
}

static void
without_a_fit_job_it_stays_half_open_and_says_so(void **state)
{
    (void)state;
    begin();
    gates_submit(10, IDEMPOTENCY_NO, 0);
    rig_advance(1000);
    gates_expect(BREAKER_HALF_OPEN);
    assert_true(gates_stats().waits_for_probe);
    assert_int_equal(gates_stats().probes_out, 0);
    rig_advance(200000); /* no trial runs: nothing flaps */
    gates_expect(BREAKER_HALF_OPEN);
    assert_int_equal(gates_stats().epoch, 2);
    rig_heartbeat(gates_worker);
    gates_submit(11, IDEMPOTENCY_YES, 0);
    assert_true(gates_runs(11));
    assert_false(gates_stats().waits_for_probe);
}

static void
with_nobody_waiting_the_timer_alone_leads_to_half_open(void **state)
{
    (void)state;
    begin();
    rig_advance(1000);
    gates_expect(BREAKER_HALF_OPEN);
    assert_true(gates_stats().waits_for_probe);
    rig_submit(10);
    assert_true(gates_runs(10));
}

static void
a_probe_that_is_cancelled_says_nothing_and_another_goes(void **state)
{
    (void)state;
    begin();
    rig_submit(10);
    rig_submit(11);
    rig_advance(1000);
    assert_true(gates_runs(10));
    rig_cancel(10);
    gates_expect(BREAKER_HALF_OPEN);
    assert_true(gates_runs(11));
    assert_int_equal(gates_stats().probes_out, 1);
    rig_fail(gates_worker, rig_token_of(10), REDIAL_UNAVAILABLE, "LATE");
    gates_expect(BREAKER_HALF_OPEN);
    assert_int_equal(gates_stats().probes_out, 1);
}

static void
a_probe_whose_worker_dies_comes_back_at_once(void **state)
{
    (void)state;
    begin();
    uint64_t other = rig_hello("v", "1", 8);

    rig_poll(other, 8);
    rig_submit(10);
    rig_submit(11);
    rig_advance(1000);
    uint32_t last = rig.assigned_count - 1;
    uint64_t at = rig.assigned[last].worker;

    rig_gone(at, ENGINE_GONE_DEAD);
    gates_expect(BREAKER_HALF_OPEN);
    assert_int_equal(gates_stats().probes_out, 1);
    assert_int_not_equal(rig.assigned[rig.assigned_count - 1].worker, at);
}

static void
a_probe_that_hangs_counts_as_a_failure_when_its_time_is_over(void **state)
{
    (void)state;
    begin();
    rig_fallback()->attempt_timeout_ms = 3000;
    rig_use_policy();
    rig_submit(10);
    rig_advance(1000);
    assert_true(gates_runs(10));
    rig_advance(4999);
    gates_expect(BREAKER_HALF_OPEN);
    rig_advance(1);
    gates_expect(BREAKER_OPEN);
    assert_int_equal(gates_stats().step, 2);
}

static void
a_trial_without_a_verdict_ends_from_the_first_probe_on(void **state)
{
    (void)state;
    gates_begin(32);
    gates_policy()->trial_ms = 2000;
    rig_use_policy();
    gates_open(1);
    rig_advance(10000); /* nobody comes: no trial */
    gates_expect(BREAKER_HALF_OPEN);
    rig_submit(10);
    rig_advance(1999);
    gates_expect(BREAKER_HALF_OPEN);
    rig_advance(1);
    gates_expect(BREAKER_OPEN);
    assert_int_equal(gates_stats().cause, BREAKER_CAUSE_TRIAL_OVER);
    assert_int_equal(gates_stats().step, 1); /* no failure was seen */
}

static void
limits_that_refuse_a_probe_take_no_permit(void **state)
{
    (void)state;
    begin();
    rig_fallback()->limits.rate = 1;
    rig_fallback()->limits.rate_period_ms = 60000;
    rig_use_policy();
    rig_submit(10);
    rig_advance(1000);
    gates_expect(BREAKER_HALF_OPEN);
    assert_false(gates_runs(10));
    assert_int_equal(gates_stats().probes_out, 0);
    rig_heartbeat(gates_worker);
    rig_advance(60000);
    assert_true(gates_runs(10));
}

static void
without_a_worker_no_permit_is_taken_either(void **state)
{
    (void)state;
    begin();
    rig_submit(10);
    rig_gone(gates_worker, ENGINE_GONE_GOODBYE);
    rig_advance(1000);
    gates_expect(BREAKER_HALF_OPEN);
    assert_int_equal(gates_stats().probes_out, 0);
    gates_worker = rig_hello("w", "2", 8);
    rig_poll(gates_worker, 8);
    assert_true(gates_runs(10));
}

static void
a_job_that_was_there_when_its_worker_died_is_never_a_probe(void **state)
{
    (void)state;
    gates_begin(32);
    gates_submit(10, IDEMPOTENCY_YES, 0);
    gates_open(1);
    rig_fallback()->retry.max_attempts = 5;
    rig_use_policy();
    rig_gone(gates_worker, ENGINE_GONE_DEAD);
    assert_int_equal(rig_view(10).state, JOB_PARKED);
    gates_worker = rig_hello("w", "2", 32);
    rig_poll(gates_worker, 32);
    rig_advance(10000);
    gates_expect(BREAKER_HALF_OPEN);
    assert_int_equal(rig_view(10).state, JOB_READY);
    assert_true(gates_stats().waits_for_probe);
    rig_heartbeat(gates_worker);
    gates_submit(11, IDEMPOTENCY_UNSET, 0);
    assert_true(gates_runs(11));
    assert_false(gates_runs(10));
}

static void
behind_sixty_four_that_are_not_fit_the_fit_one_is_found(void **state)
{
    (void)state;
    rig.limits.jobs_max = 200;
    gates_begin(32);
    gates_open(1);
    for (uint32_t n = 10; n < 110; n++) {
        gates_submit(n, IDEMPOTENCY_NO, 0);
    }
    gates_submit(110, IDEMPOTENCY_YES, 0);
    rig_advance(1000);
    assert_true(gates_runs(110));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        rig_test(the_move_to_half_open_lets_just_one_through),
        rig_test(an_idempotent_job_goes_before_one_of_which_nothing_is_said),
        rig_test(an_idempotent_job_in_a_hurry_still_goes_first),
        rig_test(a_job_with_time_left_goes_before_one_in_a_hurry),
        rig_test(where_none_has_the_time_the_one_with_the_most_goes),
        rig_test(without_a_fit_job_it_stays_half_open_and_says_so),
        rig_test(with_nobody_waiting_the_timer_alone_leads_to_half_open),
        rig_test(a_probe_that_is_cancelled_says_nothing_and_another_goes),
        rig_test(a_probe_whose_worker_dies_comes_back_at_once),
        rig_test(a_probe_that_hangs_counts_as_a_failure_when_its_time_is_over),
        rig_test(a_trial_without_a_verdict_ends_from_the_first_probe_on),
        rig_test(limits_that_refuse_a_probe_take_no_permit),
        rig_test(without_a_worker_no_permit_is_taken_either),
        rig_test(a_job_that_was_there_when_its_worker_died_is_never_a_probe),
        rig_test(behind_sixty_four_that_are_not_fit_the_fit_one_is_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
