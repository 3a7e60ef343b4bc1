/* SPDX-License-Identifier: Apache-2.0 */
/* The retry budget: the window, what is counted in it, and what gives back. */
#include "server/core/budget.h"
#include "server/core/text.h"
#include "tests/unit/core/rig.h"

#include <string.h>

/* ---- The window -------------------------------------------------------- */

static struct target_policy
budgeted(uint32_t ratio_milli, uint32_t floor, uint32_t window_ms)
{
    return (struct target_policy){
        .has_budget = true,
        .budget_ratio_milli = ratio_milli,
        .budget_floor = floor,
        .budget_window_ms = window_ms,
    };
}

static void
a_slice_counts_for_as_long_as_the_window(void **state)
{
    (void)state;
    struct target_policy policy = budgeted(200, 0, 10000);
    struct budget budget = {0};

    assert_int_equal(budget_left(&budget, &policy, 7), 0);
    budget_deposit(&budget, 7, 200);
    budget_deposit(&budget, 7, 200);
    budget_deposit(&budget, 8, 700);
    assert_int_equal(budget_left(&budget, &policy, 8), 1100);
    assert_int_equal(budget_left(&budget, &policy, 16), 1100);
    assert_int_equal(budget_left(&budget, &policy, 17), 700);
    assert_int_equal(budget_left(&budget, &policy, 18), 0);
    budget_deposit(&budget, 17, 50);
    assert_int_equal(budget_left(&budget, &policy, 17), 750);
    budget_deposit(&budget, 1000, 1);
    assert_int_equal(budget_left(&budget, &policy, 1000), 1);
    policy.has_budget = false;
    assert_int_equal(budget_left(&budget, &policy, 1000), -1);
}

static void
retries_count_against_deposits_and_floor(void **state)
{
    (void)state;
    struct target_policy policy = budgeted(1000, 1, 2000);
    struct budget budget = {0};

    assert_int_equal(budget_left(&budget, &policy, 1), 2000);
    budget_take(&budget, 1, 1000);
    assert_int_equal(budget_left(&budget, &policy, 1), 1000);
    assert_true(budget_allows(1000));
    assert_false(budget_allows(999));
    assert_true(budget_allows(-1));
    budget_take(&budget, 2, 1000);
    budget_take(&budget, 3, 1000);
    assert_int_equal(budget_left(&budget, &policy, 3), 0); /* not below */
    budget_deposit(&budget, 3, 1000);
    assert_int_equal(budget_left(&budget, &policy, 3), 0);
    assert_int_equal(budget_left(&budget, &policy, 11), 1000);
    assert_int_equal(budget_taken(&budget, 3), 3000);
    assert_int_equal(budget_taken(&budget, 12), 1000);
}

static void
what_is_given_back_goes_where_it_came_from(void **state)
{
    (void)state;
    struct target_policy policy = budgeted(0, 1, 1000);
    struct budget budget = {0};

    budget_take(&budget, 5, 1000);
    budget_take(&budget, 6, 1000);
    budget_take(&budget, 5, -1000);
    assert_int_equal(budget_taken(&budget, 6), 1000);
    assert_int_equal(budget_taken(&budget, 15), 1000);
    budget_take(&budget, 30, 1000);
    budget_take(&budget, 20, -1000); /* too old: the window is 21 to 30 */
    assert_int_equal(budget_left(&budget, &policy, 30), 0);
    budget_take(&budget, 30, -1000);
    assert_int_equal(budget_left(&budget, &policy, 30), 1000);
    assert_true(budget_is_blank(&budget));
    assert_int_equal(budget.newest, 0);
    budget_take(&budget, 30, -1000);
    assert_int_equal(budget_left(&budget, &policy, 30), 1000);
}

static void
a_slice_is_a_tenth_of_the_window(void **state)
{
    (void)state;
    struct target_policy policy = budgeted(0, 0, 10000);

    assert_int_equal(budget_slice_ms(&policy), 1000);
    policy.budget_window_ms = 0;
    assert_int_equal(budget_slice_ms(&policy), 1);
}

/* ---- In the engine ----------------------------------------------------- */

static uint64_t worker;

static void
begin(uint32_t ratio_milli, uint32_t floor, uint32_t window_ms)
{
    struct retry_policy *retry = &rig_fallback()->retry;

    rig.policy.target_fallback = budgeted(ratio_milli, floor, window_ms);
    retry->max_attempts = 10;
    retry->initial_backoff_ms = 1;
    retry->max_backoff_ms = 1;
    rig_use_policy();
    worker = rig_hello("w", "1", 8);
    rig_poll(worker, 8);
}

static void
go_wrong(uint32_t job)
{
    struct engine_token token = rig_token_of(job);

    rig_seen();
    rig_fail(worker, token, REDIAL_UNAVAILABLE, "DOWN");
}

static void
submit_and_fail(uint32_t job)
{
    rig_submit(job);
    go_wrong(job);
    rig_poll(worker, 8);
}

static int64_t
left(void)
{
    return rig_target("s").budget_milli;
}

static void
each_job_deposits_once_and_each_retry_costs_one(void **state)
{
    (void)state;
    begin(250, 0, 10000);
    for (uint32_t job = 1; job <= 3; job++) {
        rig_submit(job);
        rig_succeed(worker, rig_token_of(job));
        rig_poll(worker, 8);
    }
    assert_int_equal(left(), 750);
    rig_submit(4);
    const struct record *started = rig_record(EVENT_ATTEMPT_STARTED);

    assert_int_equal(started->budget_delta_milli, 250);
    assert_true(started->budget_slice > 0);
    assert_int_equal(left(), 1000);
    go_wrong(4);
    const struct record *planned = rig_record(EVENT_RETRY_PLANNED);

    assert_int_equal(planned->budget_delta_milli, -1000);
    assert_int_equal(planned->decision.budget_milli, 0);
    assert_int_equal(left(), 0);
    rig_advance(1);
    assert_int_equal(rig_record(EVENT_ATTEMPT_STARTED)->budget_slice, 0);
    assert_int_equal(left(), 0);
}

static void
an_attempt_that_never_started_deposits_no_second_time(void **state)
{
    (void)state;
    begin(250, 0, 10000);
    rig_submit(1);
    rig_report_kind(worker, rig_token_of(1), REPORT_NOT_STARTED);
    rig_poll(worker, 8);
    assert_int_equal(rig_view(1).attempt, 2);
    assert_int_equal(left(), 250);
}

static void
below_one_retry_is_none(void **state)
{
    (void)state;
    begin(333, 0, 10000);
    rig_submit(1);
    rig_submit(2);
    rig_submit(3);
    assert_int_equal(rig_view(1).decision.budget_milli, -1); /* none so far */
    assert_int_equal(left(), 999);
    go_wrong(1);
    const struct record *refused = rig_record(EVENT_RETRY_REFUSED);

    assert_int_equal(refused->decision.rule, RULE_BUDGET_EXHAUSTED);
    assert_int_equal(refused->decision.budget_milli, 999);
    assert_int_equal(refused->budget_slice, 0);
    assert_int_equal(left(), 999); /* a refusal takes nothing */
    assert_int_equal(rig_target("s").retries_refused, 1);
}

static void
a_ratio_of_two_gives_two_retries_for_each_job(void **state)
{
    (void)state;
    begin(2000, 0, 10000);
    rig_submit(1);
    assert_int_equal(left(), 2000);
    for (int i = 0; i < 2; i++) {
        go_wrong(1);
        rig_poll(worker, 8);
        rig_advance(1);
        assert_int_equal(rig_view(1).state, JOB_RUNNING);
    }
    go_wrong(1);
    assert_false(rig_is_live(1));
}

static void
without_ratio_and_floor_there_is_never_a_retry(void **state)
{
    (void)state;
    begin(0, 0, 10000);
    rig_advance(60000);
    assert_int_equal(rig.trace_len > 0, 1);
    assert_null(strstr(rig.trace, "budget"));
    worker = rig_hello("w", "1", 8);
    rig_poll(worker, 8);
    rig_submit(1); /* once is always tried */
    go_wrong(1);
    assert_false(rig_is_live(1));
    rig_record(EVENT_BUDGET_EXHAUSTED);
    rig_advance(60000);
    assert_null(strstr(rig.trace, "budget.recovered"));
}

static void
a_budget_of_two_stops_ten_tries_after_two_and_says_so_once(void **state)
{
    (void)state;
    begin(0, 2, 1000);
    rig_submit(1);
    go_wrong(1);
    rig_expect("attempt.failed retry.planned");
    rig_poll(worker, 8);
    rig_advance(1);
    go_wrong(1);
    rig_expect("attempt.failed retry.planned budget.exhausted");
    const struct record *event = rig_record(EVENT_BUDGET_EXHAUSTED);

    rig_assert_text(event->reason, "BUDGET");
    rig_assert_text(event->target, "s");
    assert_int_equal(event->decision.budget_milli, 0);
    assert_int_equal(event->decision.tokens_milli, -1);
    rig_poll(worker, 8);
    rig_advance(1);
    go_wrong(1);
    rig_expect("attempt.failed retry.refused job.failed");
    assert_int_equal(rig_record(EVENT_JOB_FAILED)->decision.rule,
                     RULE_BUDGET_EXHAUSTED);
    rig_poll(worker, 8);
    submit_and_fail(2);
    assert_null(strstr(rig.trace, "budget"));
    /* The window lets go by time alone, and the engine wakes for it. */
    rig_seen();
    rig_advance(2000);
    rig_expect("budget.recovered");
    assert_int_equal(left(), 2000);
    assert_false(rig_target("s").budget_exhausted);
}

/* Plans a retry of job 1 far away; the budget then has none left. */
static void
plan_far_away(void)
{
    begin(0, 1, 1000);
    rig_fallback()->retry.initial_backoff_ms = 200;
    rig_fallback()->retry.max_backoff_ms = 200;
    rig_submit(1);
    go_wrong(1);
    assert_int_equal(rig_view(1).state, JOB_BACKOFF);
    assert_int_equal(left(), 0);
    assert_int_equal(rig_view(1).decision.budget_milli, 0);
    assert_int_equal(rig_target("s").retries_waiting, 1);
}

static void
a_cancelled_retry_gives_its_token_back(void **state)
{
    (void)state;
    plan_far_away();
    rig_cancel(1);
    const struct record *end = rig_record(EVENT_JOB_CANCELLED);

    assert_int_equal(end->budget_delta_milli, 1000);
    assert_int_equal(left(), 1000);
    assert_int_equal(rig_target("s").retries_waiting, 0);
}

static void
a_retry_that_its_deadline_ends_gives_its_token_back(void **state)
{
    (void)state;
    rig.submit.deadline_ms = 100;
    begin(0, 1, 1000);
    rig_submit(1);
    go_wrong(1);
    rig_step(&(struct engine_input){.type = ENGINE_DRAIN});
    rig_advance(100);
    assert_int_equal(rig_record(EVENT_JOB_FAILED)->budget_delta_milli, 1000);
    assert_int_equal(left(), 1000);
}

static void
a_token_is_given_back_after_a_restart_too(void **state)
{
    (void)state;
    plan_far_away();
    rig_restart();
    assert_int_equal(left(), 0);
    rig_cancel(1);
    assert_int_equal(left(), 1000);
}

static void
a_retry_that_started_gives_nothing_back(void **state)
{
    (void)state;
    plan_far_away();
    rig_poll(worker, 8);
    rig_advance(200);
    assert_int_equal(rig_view(1).state, JOB_RUNNING);
    rig_cancel(1);
    assert_int_equal(rig_record(EVENT_JOB_CANCELLED)->budget_slice, 0);
    assert_int_equal(left(), 0);
}

static void
a_retry_that_never_started_keeps_its_token_for_the_next_try(void **state)
{
    (void)state;
    plan_far_away();
    rig_poll(worker, 8);
    rig_advance(200);
    rig_step(&(struct engine_input){.type = ENGINE_DRAIN});
    rig_report_kind(worker, rig_token_of(1), REPORT_NOT_STARTED);
    assert_int_equal(left(), 0);
    assert_int_equal(rig_view(1).state, JOB_READY);
    rig_cancel(1); /* before anyone took it */
    assert_int_equal(rig_record(EVENT_JOB_CANCELLED)->budget_delta_milli, 1000);
    assert_int_equal(left(), 1000);
}

static void
a_retry_that_succeeds_has_spent_its_token(void **state)
{
    (void)state;
    plan_far_away();
    rig_poll(worker, 8);
    rig_advance(200);
    rig_succeed(worker, rig_token_of(1));
    assert_int_equal(rig_record(EVENT_JOB_SUCCEEDED)->budget_slice, 0);
    assert_int_equal(left(), 0);
}

static void
a_decision_at_its_deadline_takes_no_token(void **state)
{
    (void)state;
    rig.submit.deadline_ms = 1000;
    begin(0, 1, 10000);
    rig_fallback()->retry.initial_backoff_ms = 1000;
    rig_fallback()->retry.max_backoff_ms = 1000;
    rig_submit(1);
    go_wrong(1);
    assert_int_equal(rig_record(EVENT_JOB_FAILED)->decision.rule,
                     RULE_DEADLINE_WOULD_EXPIRE);
    assert_int_equal(left(), 10000);
}

/* ---- Time -------------------------------------------------------------- */

static void
down_time_counts_and_a_clock_that_went_back_does_not(void **state)
{
    (void)state;
    begin(1000, 0, 10000);
    rig_submit(1);
    assert_int_equal(left(), 1000);
    rig.now.wall.ms -= 3600000;
    rig_restart();
    assert_int_equal(left(), 1000);
    rig.now.wall.ms += 3600000 + 8999;
    rig_restart();
    assert_int_equal(left(), 1000);
    rig.now.wall.ms += 1001;
    rig_restart();
    assert_int_equal(left(), 0);
}

static void
a_reload_changes_ratio_floor_and_window_at_once(void **state)
{
    (void)state;
    begin(1000, 0, 10000);
    rig_submit(1);
    rig.policy.target_fallback.budget_floor = 3;
    rig_use_policy();
    assert_int_equal(left(), 31000);
    rig.policy.target_fallback.budget_window_ms = 1000;
    rig_use_policy();
    assert_int_equal(left(), 4000);
    rig_advance(999);
    assert_int_equal(left(), 4000);
    rig_advance(1);
    assert_int_equal(left(), 3000);
    rig.policy.target_fallback.has_budget = false;
    rig_use_policy();
    assert_int_equal(left(), -1);
    go_wrong(1);
    assert_int_equal(rig_record(EVENT_RETRY_PLANNED)->budget_slice, 0);
    assert_int_equal(rig_record(EVENT_RETRY_PLANNED)->decision.budget_milli,
                     -1);
}

static void
a_reload_may_exhaust_and_recover(void **state)
{
    (void)state;
    begin(0, 2, 10000);
    rig_submit(1);
    go_wrong(1);
    assert_int_equal(left(), 19000);
    rig.policy.target_fallback.budget_floor = 0;
    rig_seen();
    rig_use_policy();
    rig_expect("budget.exhausted");
    rig.policy.target_fallback.budget_floor = 2;
    rig_use_policy();
    rig_poll(worker, 0);
    rig_seen();
    rig_heartbeat(worker);
    rig_advance(1000);
    rig_expect("budget.recovered");
}

static void
recovery_comes_with_the_very_slice_that_leaves_the_window(void **state)
{
    (void)state;
    begin(0, 1, 2000);
    rig_submit(1);
    rig_submit(2);
    struct engine_token second = rig_token_of(2);

    go_wrong(1); /* in the slice that began with the target */
    rig_poll(worker, 0);
    rig_advance(300);
    rig_fail(worker, second, REDIAL_UNAVAILABLE, "DOWN");
    assert_int_equal(left(), 0);
    rig_record(EVENT_BUDGET_EXHAUSTED);
    rig_heartbeat(worker);
    rig_advance(1699);
    assert_null(strstr(rig.trace, "budget.recovered"));
    rig_advance(1);
    assert_non_null(strstr(rig.trace, "budget.recovered"));
    assert_int_equal(left(), 1000);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slice_counts_for_as_long_as_the_window),
        cmocka_unit_test(retries_count_against_deposits_and_floor),
        cmocka_unit_test(what_is_given_back_goes_where_it_came_from),
        cmocka_unit_test(a_slice_is_a_tenth_of_the_window),
        rig_test(each_job_deposits_once_and_each_retry_costs_one),
        rig_test(an_attempt_that_never_started_deposits_no_second_time),
        rig_test(below_one_retry_is_none),
        rig_test(a_ratio_of_two_gives_two_retries_for_each_job),
        rig_test(without_ratio_and_floor_there_is_never_a_retry),
        rig_test(a_budget_of_two_stops_ten_tries_after_two_and_says_so_once),
        rig_test(a_cancelled_retry_gives_its_token_back),
        rig_test(a_retry_that_its_deadline_ends_gives_its_token_back),
        rig_test(a_token_is_given_back_after_a_restart_too),
        rig_test(a_retry_that_started_gives_nothing_back),
        rig_test(a_retry_that_never_started_keeps_its_token_for_the_next_try),
        rig_test(a_retry_that_succeeds_has_spent_its_token),
        rig_test(a_decision_at_its_deadline_takes_no_token),
        rig_test(down_time_counts_and_a_clock_that_went_back_does_not),
        rig_test(a_reload_changes_ratio_floor_and_window_at_once),
        rig_test(recovery_comes_with_the_very_slice_that_leaves_the_window),
        rig_test(a_reload_may_exhaust_and_recover),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
