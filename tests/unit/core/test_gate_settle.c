/* SPDX-License-Identifier: Apache-2.0 */
/* How each end of an attempt settles its permit, once. */
#include "server/core/text.h"
#include "tests/unit/core/gates.h"

#include <string.h>

static void
what_the_worker_calls_overload_or_cancelled_counts_for_nothing(void **state)
{
    (void)state;
    gates_begin(32);
    for (uint32_t n = 1; n <= 5; n++) {
        gates_fail(n, REDIAL_RESOURCE_EXHAUSTED);
        gates_fail(100 + n, REDIAL_CANCELLED);
        rig.report.overloaded = true;
        gates_fail(200 + n, REDIAL_UNAVAILABLE);
        rig.report.overloaded = false;
        rig_poll(gates_worker, 32);
    }
    gates_expect(BREAKER_CLOSED);
    assert_int_equal(gates_stats().calls, 0);
    assert_int_equal(gates_stats().in_flight, 0);
}

static void
a_code_that_is_not_listed_neither_counts_nor_breaks_a_row(void **state)
{
    (void)state;
    gates_begin(32);
    gates_fail(1, REDIAL_UNAVAILABLE);
    gates_fail(2, REDIAL_UNAVAILABLE);
    gates_fail(3, REDIAL_INVALID_ARGUMENT);
    assert_int_equal(gates_stats().calls, 2);
    assert_int_equal(gates_stats().in_a_row, 2);
    gates_fail(4, REDIAL_UNAVAILABLE);
    gates_expect(BREAKER_OPEN);
}

static void
a_success_ends_the_row_and_never_opens(void **state)
{
    (void)state;
    gates_begin(32);
    gates_policy()->consecutive = 0;
    gates_policy()->calls_min = 4;
    rig_use_policy();
    for (uint32_t n = 1; n <= 3; n++) {
        gates_fail(n, REDIAL_UNAVAILABLE);
    }
    rig_submit(4);
    rig_succeed(gates_worker, rig_token_of(4));
    assert_int_equal(gates_stats().calls, 4); /* 75 % of the minimum failed */
    gates_expect(BREAKER_CLOSED);
    gates_fail(5, REDIAL_UNAVAILABLE);
    gates_expect(BREAKER_OPEN);
}

static void
refusals_of_the_gateway_never_count(void **state)
{
    (void)state;
    gates_begin(32);
    rig_fallback()->limits.queue = 1;
    rig_fallback()->limits.concurrency = 1;
    rig_use_policy();
    for (uint32_t n = 1; n <= 20; n++) {
        gates_submit(n, IDEMPOTENCY_UNSET, 0);
    }
    assert_int_equal(gates_stats().calls, 0);
    assert_int_equal(gates_stats().in_flight, 1);
    gates_expect(BREAKER_CLOSED);
}

static void
a_cancelled_attempt_gives_its_permit_back_at_once(void **state)
{
    (void)state;
    gates_begin(32);
    rig_submit(1);
    assert_int_equal(gates_stats().in_flight, 1);
    rig_cancel(1);
    assert_int_equal(gates_stats().in_flight, 0);
    rig_fail(gates_worker, rig_token_of(1), REDIAL_UNAVAILABLE, "LATE");
    assert_int_equal(gates_stats().in_flight, 0);
    assert_int_equal(gates_stats().calls, 0);
}

static void
what_never_started_gives_its_permit_back(void **state)
{
    (void)state;
    gates_begin(32);
    rig_submit(1);
    struct engine_token token = rig_token_of(1);

    rig_report_kind(gates_worker, token, REPORT_NOT_STARTED);
    rig_report_kind(gates_worker, token, REPORT_NOT_STARTED); /* again */
    assert_int_equal(gates_stats().calls, 0);
    assert_true(gates_stats().in_flight <= 1); /* the free retry's */
    assert_int_equal(gates_stats().in_flight, gates_runs(1));
}

static void
an_unsent_assignment_gives_its_permit_back(void **state)
{
    (void)state;
    gates_begin(1);
    rig_submit(1);
    rig_step(&(struct engine_input){.type = ENGINE_UNSENT,
                                    .unsent = rig_token_of(1)});
    assert_int_equal(gates_stats().calls, 0);
    assert_int_equal(gates_stats().in_flight, gates_runs(1));
}

static void
a_worker_that_dies_says_nothing_of_the_target(void **state)
{
    (void)state;
    gates_begin(32);
    for (uint32_t n = 1; n <= 5; n++) {
        rig_submit(n);
    }
    rig_gone(gates_worker, ENGINE_GONE_DEAD);
    assert_int_equal(gates_stats().in_flight, 0);
    assert_int_equal(gates_stats().calls, 0);
    gates_expect(BREAKER_CLOSED);
}

static void
the_gateways_own_time_limit_is_a_failure(void **state)
{
    (void)state;
    gates_begin(32);
    rig_fallback()->attempt_timeout_ms = 1000;
    rig.policy.target_fallback.failure_codes = 1u << REDIAL_UNAVAILABLE;
    rig_use_policy();
    for (uint32_t n = 1; n <= 3; n++) {
        rig_submit(n);
    }
    rig_advance(2999);
    gates_expect(BREAKER_CLOSED);
    rig_advance(1);
    gates_expect(BREAKER_OPEN);
    rig_assert_text(rig_record(EVENT_BREAKER_OPENED)->reason,
                    "ATTEMPT_TIMEOUT");
}

static void
an_attempt_that_hangs_is_slow_before_it_ends(void **state)
{
    (void)state;
    gates_begin(32);
    gates_policy()->slow_ms = 500;
    gates_policy()->slow_permille = 500;
    gates_policy()->calls_min = 3;
    rig_use_policy();
    for (uint32_t n = 1; n <= 3; n++) {
        rig_submit(n);
    }
    rig_advance(499);
    gates_expect(BREAKER_CLOSED);
    rig_advance(1);
    gates_expect(BREAKER_OPEN);
    const struct record *opened = rig_record(EVENT_BREAKER_OPENED);

    assert_int_equal(opened->breaker.cause, BREAKER_CAUSE_SLOW_RATE);
    assert_int_equal(opened->breaker.slow, 3);
    rig_assert_text(opened->reason, "SLOW");
    assert_true(gates_runs(1)); /* it goes on */
    rig_succeed(gates_worker, rig_token_of(1));
    assert_int_equal(gates_stats().late, 1);
    gates_expect(BREAKER_OPEN);
}

static void
a_slow_one_that_ends_counts_once(void **state)
{
    (void)state;
    gates_begin(32);
    gates_policy()->slow_ms = 500;
    gates_policy()->slow_permille = 900;
    rig_use_policy();
    rig_submit(1);
    rig_advance(700);
    assert_int_equal(gates_stats().slow, 1);
    rig_succeed(gates_worker, rig_token_of(1));
    assert_int_equal(gates_stats().calls, 1);
    assert_int_equal(gates_stats().slow, 1);
}

static void
late_results_change_nothing_and_are_counted(void **state)
{
    (void)state;
    gates_begin(32);
    for (uint32_t n = 10; n < 14; n++) {
        rig_submit(n);
    }
    gates_open(1);
    rig_fail(gates_worker, rig_token_of(10), REDIAL_UNAVAILABLE, "DOWN");
    assert_int_equal(gates_stats().epoch, 1); /* neither again nor longer */
    rig_advance(1000);
    gates_expect(BREAKER_HALF_OPEN);
    rig_succeed(gates_worker, rig_token_of(11));
    rig_fail(gates_worker, rig_token_of(12), REDIAL_UNAVAILABLE, "DOWN");
    gates_expect(BREAKER_HALF_OPEN); /* only probes decide */
    assert_int_equal(gates_stats().probes_good, 0);
    assert_int_equal(gates_stats().late, 3);
}

static void
a_worker_that_says_to_stay_away_opens_it_if_the_policy_listens(void **state)
{
    (void)state;
    gates_begin(32);
    rig.report.has_pushback = true;
    rig.report.for_target = true;
    rig.report.pushback_ms = 90000;
    gates_fail(1, REDIAL_RESOURCE_EXHAUSTED);
    gates_expect(BREAKER_CLOSED);
    gates_policy()->hint_ms_max = 20000;
    rig_use_policy();
    gates_fail(2, REDIAL_RESOURCE_EXHAUSTED);
    gates_expect(BREAKER_OPEN);
    assert_int_equal(gates_stats().cause, BREAKER_CAUSE_HINT);
    assert_int_equal(gates_stats().until_ms, 20000); /* bounded */
    rig.report = (struct engine_report){0};
}

static void
after_a_day_without_traffic_the_window_is_empty(void **state)
{
    (void)state;
    gates_begin(32);
    rig.limits.silence_ms = 200000000;
    gates_fail(1, REDIAL_UNAVAILABLE);
    gates_fail(2, REDIAL_UNAVAILABLE);
    assert_int_equal(gates_stats().calls, 2);
    rig_advance(86400000);
    assert_int_equal(gates_stats().calls, 0);
    rig_heartbeat(gates_worker);
    rig_poll(gates_worker, 32);
    rig_submit(3);
    rig_succeed(gates_worker, rig_token_of(3));
    assert_int_equal(gates_stats().calls, 1);
    assert_int_equal(gates_stats().failed, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        rig_test(
            what_the_worker_calls_overload_or_cancelled_counts_for_nothing),
        rig_test(a_code_that_is_not_listed_neither_counts_nor_breaks_a_row),
        rig_test(a_success_ends_the_row_and_never_opens),
        rig_test(refusals_of_the_gateway_never_count),
        rig_test(a_cancelled_attempt_gives_its_permit_back_at_once),
        rig_test(what_never_started_gives_its_permit_back),
        rig_test(an_unsent_assignment_gives_its_permit_back),
        rig_test(a_worker_that_dies_says_nothing_of_the_target),
        rig_test(the_gateways_own_time_limit_is_a_failure),
        rig_test(an_attempt_that_hangs_is_slow_before_it_ends),
        rig_test(a_slow_one_that_ends_counts_once),
        rig_test(late_results_change_nothing_and_are_counted),
        rig_test(
            a_worker_that_says_to_stay_away_opens_it_if_the_policy_listens),
        rig_test(after_a_day_without_traffic_the_window_is_empty),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
