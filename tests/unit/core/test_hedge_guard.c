/* SPDX-License-Identifier: Apache-2.0 */
/* Hedges and what guards their target: throttle, budget, shared pushback. */
#include "server/core/state.h"
#include "tests/unit/core/hedges.h"

#include <string.h>

static void
throttle(uint32_t tokens_max, uint32_t tokens_ok_milli)
{
    rig.policy.target_fallback.has_throttle = true;
    rig.policy.target_fallback.tokens_max_milli = tokens_max * 1000;
    rig.policy.target_fallback.tokens_ok_milli = tokens_ok_milli;
    rig_use_policy();
}

static void
budget(uint32_t ratio_milli, uint32_t floor)
{
    rig.policy.target_fallback.has_budget = true;
    rig.policy.target_fallback.budget_ratio_milli = ratio_milli;
    rig.policy.target_fallback.budget_floor = floor;
    rig.policy.target_fallback.budget_window_ms = 1000;
    rig_use_policy();
}

static struct engine_target_stats
target(void)
{
    struct engine_target_stats stats = {.has_throttle = false};

    assert_true(engine_target_stats(rig.engine, rig.now, 0, &stats));
    return stats;
}

/* One after the other until the throttle lets nothing through. */
static void
exhaust(uint32_t n)
{
    rig.submit.idempotency = IDEMPOTENCY_NO;
    rig_submit(n);
    hedges_fail(n, 1, REDIAL_UNAVAILABLE, "DOWN");
    if (rig_is_live(n)) {
        rig_cancel(n);
    }
    rig.submit.idempotency = IDEMPOTENCY_YES;
}

static void
with_the_throttle_active_there_is_exactly_one_call(void **state)
{
    (void)state;
    hedges_use(4, 1000);
    throttle(2, 100);
    hedges_join(4);
    exhaust(1);
    assert_true(target().throttle_exhausted);
    rig_seen();
    rig_submit(2);
    rig_advance(999);
    hedges_listen();
    rig_advance(1);
    rig_expect("retry.refused");
    const struct record *record = rig_record(EVENT_RETRY_REFUSED);

    assert_int_equal(record->decision.rule, RULE_THROTTLED);
    assert_int_equal(record->decision.attempts_left, 3);
    assert_int_equal(record->decision.tokens_milli, 1000);
    rig_advance(4000);
    assert_int_equal(rig.assigned_count, 1);
    hedges_fail(2, 1, REDIAL_UNAVAILABLE, "DOWN");
    assert_int_equal(hedges_ended(EVENT_JOB_FAILED, REDIAL_UNAVAILABLE, "DOWN")
                         ->decision.rule,
                     RULE_THROTTLED);
    assert_int_equal(rig.assigned_count, 1);
}

static void
without_a_delay_the_throttle_is_asked_just_the_same(void **state)
{
    (void)state;
    hedges_use(4, 0);
    throttle(2, 1000);
    hedges_join(4);
    exhaust(1);
    rig_submit(2);
    assert_int_equal(hedges_running(2), 1);
    hedges_succeed(2, 1);
    assert_false(target().throttle_exhausted);
    rig_submit(3);
    assert_int_equal(hedges_running(3), 4);
}

static void
a_failure_that_empties_the_throttle_lets_the_others_run(void **state)
{
    (void)state;
    hedges_use(4, 0);
    rig_fallback()->retry.max_attempts = 3;
    rig_use_policy();
    throttle(4, 100);
    hedges_join(4);
    rig_submit(1);
    assert_int_equal(hedges_running(1), 3);
    hedges_fail(1, 1, REDIAL_UNAVAILABLE, "A"); /* 3 of 4 */
    assert_int_equal(rig_record(EVENT_RETRY_REFUSED)->decision.rule,
                     RULE_ATTEMPTS_EXHAUSTED);
    hedges_fail(1, 2, REDIAL_UNAVAILABLE, "B"); /* 2 of 4 */
    assert_int_equal(rig_record(EVENT_RETRY_REFUSED)->decision.rule,
                     RULE_THROTTLED);
    assert_int_equal(rig_record(EVENT_RETRY_REFUSED)->decision.tokens_milli,
                     2000);
    hedges_succeed(1, 3);
    assert_int_equal(rig_record(EVENT_JOB_SUCCEEDED)->attempt, 3);
    assert_int_equal(target().tokens_milli, 2100);
}

static void
a_loser_costs_no_token_of_the_throttle(void **state)
{
    (void)state;
    hedges_use(3, 0);
    throttle(4, 100);
    hedges_join(3);
    rig_submit(1);
    hedges_succeed(1, 2);
    assert_int_equal(target().tokens_milli, 4000);
}

static void
each_hedge_takes_its_token_and_an_empty_budget_stops_them(void **state)
{
    (void)state;
    hedges_use(5, 0);
    budget(0, 2);
    hedges_join(5);
    rig_submit(1);
    assert_int_equal(hedges_running(1), 3);
    const struct record *record = rig_record(EVENT_ATTEMPT_STARTED);

    assert_int_equal(record->attempt, 3);
    assert_int_equal(record->budget_delta_milli, -1000);
    assert_int_equal(record->decision.budget_milli, 0);
    assert_int_equal(rig_record(EVENT_RETRY_REFUSED)->decision.rule,
                     RULE_BUDGET_EXHAUSTED);
    assert_int_equal(target().budget_milli, 0);
    rig_advance(5000); /* the budget is full again, the job stays frozen */
    assert_int_equal(hedges_running(1), 3);
    assert_int_equal(target().budget_milli, 2000);
    hedges_succeed(1, 3);
}

static void
one_that_follows_a_failure_takes_one_token_and_not_two(void **state)
{
    (void)state;
    hedges_use(3, 5000);
    budget(0, 2);
    hedges_join(3);
    rig_submit(1);
    hedges_fail(1, 1, REDIAL_UNAVAILABLE, "DOWN");
    assert_int_equal(hedges_running(1), 1);
    assert_int_equal(target().budget_milli, 1000);
}

static void
what_a_stop_keeps_from_starting_gives_its_token_back(void **state)
{
    (void)state;
    hedges_use(4, 100);
    budget(0, 3);
    hedges_join(2);
    rig_submit(1);
    rig_advance(100); /* the third one waits for a worker from here on */
    assert_int_equal(hedges_running(1), 2);
    hedges_push_back(1, 1, 500);
    assert_int_equal(target().budget_milli, 1000);
    hedges_push_back(1, 2, -1);
    assert_int_equal(rig_record(EVENT_JOB_FAILED)->decision.rule,
                     RULE_PUSHBACK_STOP);
    assert_int_equal(target().budget_milli, 2000);

    rig_advance(5000);
    hedges_beat(2);
    hedges_join(3);
    rig_submit(2);
    rig_advance(200);
    hedges_beat(3);
    assert_int_equal(hedges_running(2), 3);
    rig_advance(1000);
    hedges_push_back(2, 1, 500);
    assert_int_equal(target().budget_milli, 2000);
    hedges_push_back(2, 2, -1);
    assert_int_equal(rig_view(2).state, JOB_RUNNING);
    assert_int_equal(target().budget_milli, 3000);
    hedges_succeed(2, 3);
    assert_int_equal(target().budget_milli, 3000);
}

static void
what_is_refused_at_its_turn_gives_its_token_back(void **state)
{
    (void)state;
    hedges_use(4, 100);
    budget(0, 3);
    hedges_join(2);
    rig_submit(1);
    rig_advance(100);
    rig_poll(hedges_worker[0], 0); /* nobody is free any more */
    rig_poll(hedges_worker[1], 0);
    hedges_push_back(1, 1, 0);
    rig_poll(hedges_worker[0], 0);
    hedges_listen();
    if (hedges_running(1) == 2) {
        hedges_push_back(1, 3, 0);
    }
    assert_int_equal(rig_view(1).state, JOB_RUNNING);
    int64_t before = target().budget_milli;

    rig.policy.retries_off = true;
    rig_use_policy();
    rig_poll(rig_hello("w9", "1", 1), 1);
    assert_int_equal(rig_record(EVENT_RETRY_REFUSED)->decision.rule,
                     RULE_RETRIES_OFF);
    assert_int_equal(target().budget_milli, before + 1000);
    hedges_succeed(1, 2);
}

static void
a_pushback_for_the_target_holds_hedges_too(void **state)
{
    (void)state;
    hedges_use(3, 1000);
    hedges_join(4);
    rig_submit(1);
    rig_submit(2);
    rig.report.for_target = true;
    rig.report.has_pushback = true;
    rig.report.pushback_ms = 3000;
    hedges_fail(1, 1, REDIAL_UNAVAILABLE, "BUSY");
    memset(&rig.report, 0, sizeof(rig.report));
    rig_advance(2999);
    assert_int_equal(hedges_running(2), 1);
    rig_advance(1000); /* spread over a second */
    assert_int_equal(hedges_running(2), 2);
    hedges_beat(4);
    hedges_succeed(2, 2);
    rig_cancel(1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        rig_test(with_the_throttle_active_there_is_exactly_one_call),
        rig_test(without_a_delay_the_throttle_is_asked_just_the_same),
        rig_test(a_failure_that_empties_the_throttle_lets_the_others_run),
        rig_test(a_loser_costs_no_token_of_the_throttle),
        rig_test(each_hedge_takes_its_token_and_an_empty_budget_stops_them),
        rig_test(one_that_follows_a_failure_takes_one_token_and_not_two),
        rig_test(what_a_stop_keeps_from_starting_gives_its_token_back),
        rig_test(what_is_refused_at_its_turn_gives_its_token_back),
        rig_test(a_pushback_for_the_target_holds_hedges_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
