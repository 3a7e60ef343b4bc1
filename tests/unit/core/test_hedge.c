/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hedging as gRPC has it: when the next attempt starts, who wins, and what
 * becomes of the others. Names in brackets are the cases of other
 * implementations that ask the same.
 */
#include "tests/unit/core/hedges.h"

#include <string.h>

/* ---- When the next one starts ------------------------------------------ */

static void
attempts_start_one_delay_apart_up_to_the_limit(void **state)
{
    (void)state;
    hedges_use(3, 1000);
    hedges_join(5);
    rig_submit(1);
    assert_int_equal(rig.assigned_count, 1);
    rig_advance(999);
    assert_int_equal(rig.assigned_count, 1);
    rig_advance(1);
    assert_int_equal(rig.assigned_count, 2);
    rig_advance(1000);
    assert_int_equal(rig.assigned_count, 3);
    rig_advance(3000);
    assert_int_equal(rig.assigned_count, 3);
    struct job_view view = rig_view(1);

    assert_int_equal(view.shown, JOB_RUNNING);
    assert_int_equal(view.running_count, 3);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(view.running[i].number, i + 1);
        assert_int_equal(view.running[i].fence, rig_token(i).fence);
        assert_int_equal(rig.assigned[i].charged_before, i);
    }
    assert_int_equal(view.until_wall_ms, 0);
}

static void
without_a_delay_all_start_at_once(void **state)
{
    (void)state;
    hedges_use(4, 0);
    hedges_join(5);
    rig_submit(1);
    assert_int_equal(rig.assigned_count, 4);
    for (uint32_t i = 0; i < 4; i++) {
        for (uint32_t k = 0; k < i; k++) {
            assert_true(rig.assigned[i].worker != rig.assigned[k].worker);
        }
    }
}

static void
the_start_says_when_the_next_one_may_follow(void **state)
{
    (void)state;
    hedges_use(2, 700);
    hedges_join(2);
    rig_submit(1);
    const struct record *record = rig_record(EVENT_ATTEMPT_STARTED);

    assert_false(record->hedge);
    assert_int_equal(record->decision.rule, RULE_HEDGE_PLANNED);
    assert_int_equal(record->decision.delay_source, DELAY_HEDGE);
    assert_int_equal(record->decision.delay_ms, 700);
    assert_int_equal(record->decision.attempts_left, 1);
    assert_int_equal(record->decision.until_wall_ms, rig.now.wall.ms + 700);
    assert_int_equal(rig_view(1).until_wall_ms, rig.now.wall.ms + 700);
    rig_advance(700);
    assert_true(rig_record(EVENT_ATTEMPT_STARTED)->hedge);
    assert_int_equal(rig_record(EVENT_ATTEMPT_STARTED)->decision.rule,
                     RULE_NONE);
    assert_int_equal(rig_view(1).until_wall_ms, 0);
}

static void
success_of_the_first_leaves_it_at_one_call(void **state)
{
    (void)state;
    for (uint32_t max = 1; max <= 5; max++) {
        hedges_use(max, 1000);
        hedges_join(1);
        rig_seen();
        rig_submit(max);
        hedges_succeed(max, 1);
        rig_advance(5000);
        rig_expect("job.accepted attempt.started attempt.succeeded "
                   "job.succeeded");
        assert_int_equal(rig.assigned_count, 1);
        rig_gone(hedges_worker[0], ENGINE_GONE_GOODBYE);
    }
}

static void
a_failure_without_pushback_starts_the_next_one_now(void **state)
{
    (void)state;
    hedges_use(3, 4000);
    hedges_join(3);
    rig_submit(1);
    rig_advance(4100);
    assert_int_equal(rig.assigned_count, 2);
    hedges_fail(1, 1, REDIAL_UNAVAILABLE, "DOWN");
    assert_int_equal(rig.assigned_count, 3);
    const struct record *record = rig_record(EVENT_RETRY_PLANNED);

    assert_int_equal(record->attempt, 1);
    assert_int_equal(record->decision.rule, RULE_RETRY_PLANNED);
    assert_int_equal(record->decision.delay_source, DELAY_HEDGE);
    assert_int_equal(record->decision.delay_ms, 0);
    assert_int_equal(record->decision.attempts_left, 1);
    assert_int_equal(rig_view(1).running_count, 2);
    assert_int_equal(rig_view(1).state, JOB_RUNNING);
    assert_int_equal(rig_view(1).attempts_charged, 1);
}

static void
the_only_one_that_fails_is_followed_at_once(void **state)
{
    (void)state;
    hedges_use(3, 10000);
    hedges_join(3);
    rig_submit(1);
    hedges_listen();
    hedges_fail(1, 1, REDIAL_UNAVAILABLE, "DOWN");
    rig_expect("attempt.failed retry.planned attempt.started");
    assert_int_equal(rig_record(EVENT_RETRY_PLANNED)->decision.delay_ms, 0);
    assert_false(rig_record(EVENT_ATTEMPT_STARTED)->hedge);
}

static void
a_pushback_moves_the_next_one_to_exactly_then(void **state)
{
    (void)state;
    hedges_use(4, 1000);
    hedges_join(4);
    rig_submit(1);
    rig_advance(1000);
    assert_int_equal(rig.assigned_count, 2);
    rig_advance(500);
    hedges_push_back(1, 1, 2500);
    assert_int_equal(rig_record(EVENT_RETRY_PLANNED)->decision.delay_source,
                     DELAY_PUSHBACK);
    assert_int_equal(rig_view(1).until_wall_ms, rig.now.wall.ms + 2500);
    rig_advance(2499);
    assert_int_equal(rig.assigned_count, 2);
    rig_advance(1);
    assert_int_equal(rig.assigned_count, 3);
    rig_advance(999); /* and then a delay apart again */
    assert_int_equal(rig.assigned_count, 3);
    rig_advance(1);
    assert_int_equal(rig.assigned_count, 4);
}

static void
a_pushback_when_none_runs_is_a_wait_in_backoff(void **state)
{
    (void)state;
    hedges_use(2, 5000);
    hedges_join(2);
    rig_submit(1);
    hedges_push_back(1, 1, 300);
    assert_int_equal(rig_view(1).state, JOB_BACKOFF);
    rig_advance(299);
    assert_int_equal(rig.assigned_count, 1);
    rig_advance(1);
    assert_int_equal(rig.assigned_count, 2);
}

static void
stop_freezes_further_ones_and_a_running_one_may_win(void **state)
{
    (void)state;
    hedges_use(4, 1000);
    hedges_join(4);
    rig_submit(1);
    rig_advance(1000);
    hedges_push_back(1, 1, -1);
    const struct record *record = rig_record(EVENT_RETRY_REFUSED);

    assert_int_equal(record->decision.rule, RULE_PUSHBACK_STOP);
    assert_int_equal(record->attempt, 1);
    rig_advance(5000);
    assert_int_equal(rig.assigned_count, 2);
    assert_int_equal(rig_view(1).state, JOB_RUNNING);
    hedges_listen();
    hedges_succeed(1, 2);
    rig_expect("attempt.succeeded job.succeeded");
}

static void
frozen_the_last_failure_ends_it_by_the_rule_that_froze_it(void **state)
{
    (void)state;
    hedges_use(5, 1000);
    hedges_join(4);
    rig_submit(1);
    rig_advance(2000);
    hedges_push_back(1, 1, -1);
    hedges_fail(1, 2, REDIAL_UNAVAILABLE, "ONE");
    assert_int_equal(rig_view(1).running_count, 1);
    assert_int_equal(rig_record(EVENT_RETRY_REFUSED)->decision.rule,
                     RULE_PUSHBACK_STOP);
    hedges_fail(1, 3, REDIAL_UNAVAILABLE, "TWO");
    assert_false(rig_is_live(1));
    hedges_ended(EVENT_JOB_FAILED, REDIAL_UNAVAILABLE, "TWO");
    assert_int_equal(rig_record(EVENT_JOB_FAILED)->decision.rule,
                     RULE_PUSHBACK_STOP);
    assert_int_equal(rig.assigned_count, 3);
}

/* ---- Who wins ---------------------------------------------------------- */

static void
the_first_success_settles_and_the_others_lose(void **state)
{
    (void)state;
    hedges_use(3, 0);
    hedges_join(3);
    rig_submit(1);
    hedges_listen();
    struct engine_token first = hedges_token(1, 1);
    struct engine_token second = hedges_token(1, 2);

    hedges_succeed(1, 2);
    const struct record *record = rig_record(EVENT_ATTEMPT_FAILED);

    assert_int_equal(record->code, REDIAL_CANCELLED);
    rig_assert_text(record->reason, "HEDGE_LOST");
    assert_int_equal(record->decision.rule, RULE_HEDGE_LOST);
    struct engine_stats stats;

    engine_stats(rig.engine, rig.now, &stats);
    assert_int_equal(stats.hedges_started, 2);
    assert_int_equal(stats.rules[RULE_HEDGE_LOST], 2);
    assert_false(record->charged);
    record = rig_record(EVENT_JOB_SUCCEEDED);
    assert_int_equal(record->attempt, 2);
    assert_int_equal(record->fence, second.fence);
    assert_int_equal(record->decision.attempts_charged, 1);
    assert_int_equal(record->decision.attempts_free, 2);
    rig_expect("attempt.succeeded attempt.failed attempt.failed "
               "job.succeeded");
    assert_int_equal(rig.stop_count, 2);
    assert_int_equal(rig_view(1).state, JOB_SUCCEEDED);

    /* A loser's result comes late, and its place is free only then. */
    assert_int_equal(rig_succeed(hedges_worker[0], first)->status,
                     REDIAL_NOT_FOUND);
    rig_expect("attempt.late");
    assert_true(rig_is_live(1));
    rig_gone(hedges_worker[2], ENGINE_GONE_GOODBYE);
    assert_false(rig_is_live(1));
    assert_int_equal(rig.release_count, 1);
}

static void
a_fatal_failure_settles_and_the_others_lose(void **state)
{
    (void)state;
    hedges_use(4, 1000);
    hedges_join(4);
    rig_submit(1);
    rig_advance(2000);
    hedges_fail(1, 2, REDIAL_UNAVAILABLE, "TOLERATED");
    assert_int_equal(rig_view(1).running_count, 3);
    hedges_listen();
    hedges_fail(1, 1, REDIAL_INTERNAL, "BROKEN");
    rig_expect("attempt.failed retry.refused attempt.failed attempt.failed "
               "job.failed");
    hedges_ended(EVENT_JOB_FAILED, REDIAL_INTERNAL, "BROKEN");
    assert_int_equal(rig_record(EVENT_JOB_FAILED)->attempt, 1);
    assert_int_equal(rig_record(EVENT_JOB_FAILED)->decision.rule,
                     RULE_NON_RETRYABLE_CODE);
    assert_int_equal(rig.stop_count, 2);
}

static void
the_last_survivor_wins(void **state)
{
    (void)state;
    hedges_use(3, 0);
    hedges_join(3);
    rig_submit(1);
    hedges_fail(1, 1, REDIAL_UNAVAILABLE, "A");
    hedges_fail(1, 3, REDIAL_UNAVAILABLE, "B");
    assert_int_equal(rig_record(EVENT_RETRY_REFUSED)->decision.rule,
                     RULE_ATTEMPTS_EXHAUSTED);
    rig_advance(1000);
    assert_int_equal(rig.assigned_count, 3);
    hedges_succeed(1, 2);
    hedges_ended(EVENT_JOB_SUCCEEDED, REDIAL_OK, "");
    assert_int_equal(rig_record(EVENT_JOB_SUCCEEDED)->decision.attempts_charged,
                     3);
}

static void
all_fail_and_the_last_failure_is_the_answer(void **state)
{
    (void)state;
    hedges_use(2, 0);
    hedges_join(3);
    rig_submit(1);
    hedges_fail(1, 2, REDIAL_UNAVAILABLE, "A");
    hedges_fail(1, 1, REDIAL_UNAVAILABLE, "B");
    assert_false(rig_is_live(1));
    hedges_ended(EVENT_JOB_FAILED, REDIAL_UNAVAILABLE, "B");
    assert_int_equal(rig_record(EVENT_JOB_FAILED)->attempt, 1);
    assert_int_equal(rig_record(EVENT_JOB_FAILED)->decision.rule,
                     RULE_ATTEMPTS_EXHAUSTED);
}

static void
the_old_attempt_may_still_win_beside_its_hedge(void **state)
{
    (void)state;
    hedges_use(2, 1000);
    hedges_join(2);
    rig_submit(1);
    rig_advance(1500);
    hedges_succeed(1, 1);
    assert_int_equal(rig_record(EVENT_JOB_SUCCEEDED)->attempt, 1);
    assert_int_equal(rig.stop_count, 1);
    assert_int_equal(rig.stops[0].token.attempt, 2);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        rig_test(attempts_start_one_delay_apart_up_to_the_limit),
        rig_test(without_a_delay_all_start_at_once),
        rig_test(the_start_says_when_the_next_one_may_follow),
        rig_test(success_of_the_first_leaves_it_at_one_call),
        rig_test(a_failure_without_pushback_starts_the_next_one_now),
        rig_test(the_only_one_that_fails_is_followed_at_once),
        rig_test(a_pushback_moves_the_next_one_to_exactly_then),
        rig_test(a_pushback_when_none_runs_is_a_wait_in_backoff),
        rig_test(stop_freezes_further_ones_and_a_running_one_may_win),
        rig_test(frozen_the_last_failure_ends_it_by_the_rule_that_froze_it),
        rig_test(the_first_success_settles_and_the_others_lose),
        rig_test(a_fatal_failure_settles_and_the_others_lose),
        rig_test(the_last_survivor_wins),
        rig_test(all_fail_and_the_last_failure_is_the_answer),
        rig_test(the_old_attempt_may_still_win_beside_its_hedge),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
