/* SPDX-License-Identifier: Apache-2.0 */
/* Shared pushback: one worker's answer holds all retries of its target. */
#include "server/core/hold.h"
#include "server/core/text.h"
#include "tests/unit/core/rig.h"

#include <string.h>

/* ---- The release ------------------------------------------------------- */

static void
the_spread_is_a_fifth_from_a_second_to_a_minute(void **state)
{
    (void)state;
    assert_int_equal(hold_spread_ms(0), 1000);
    assert_int_equal(hold_spread_ms(5000), 1000);
    assert_int_equal(hold_spread_ms(5005), 1001);
    assert_int_equal(hold_spread_ms(300000), 60000);
    assert_int_equal(hold_spread_ms(3600000), 60000);
}

static void
releases_are_spread_evenly_and_never_before_the_end(void **state)
{
    (void)state;
    struct rng rng;
    uint32_t quarters[4] = {0};

    rng_init(&rng, 1);
    for (int i = 0; i < 10000; i++) {
        int64_t at = hold_release(5000, 999, MONO_NEVER, &rng);

        assert_true(at >= 5000 && at <= 5999);
        quarters[(at - 5000) / 250]++;
    }
    for (int i = 0; i < 4; i++) {
        assert_true(quarters[i] > 2300 && quarters[i] < 2700);
    }
}

static void
the_spread_alone_never_crosses_the_deadline(void **state)
{
    (void)state;
    struct rng rng;

    rng_init(&rng, 1);
    for (int i = 0; i < 1000; i++) {
        int64_t at = hold_release(5000, 1000, (struct mono){5010}, &rng);

        assert_true(at >= 5000 && at < 5010);
    }
    assert_int_equal(hold_release(5000, 1000, (struct mono){5001}, &rng), 5000);
    assert_true(hold_release(5000, 1000, (struct mono){5000}, &rng) >= 5000);
}

/* ---- In the engine ----------------------------------------------------- */

static uint64_t worker;

static void
begin(uint32_t free)
{
    struct retry_policy *retry = &rig_fallback()->retry;

    retry->max_attempts = 9;
    retry->initial_backoff_ms = 100;
    retry->max_backoff_ms = 100;
    retry->max_pushback_ms = 60000;
    rig_use_policy();
    rig.limits.lease_ms = 100000;
    rig.limits.silence_ms = 90000;
    rig_restart_empty();
    worker = rig_hello("w", "1", 16);
    rig_poll(worker, free);
}

static void
go_wrong(uint32_t job)
{
    rig_fail(worker, rig_token_of(job), REDIAL_UNAVAILABLE, "DOWN");
}

static void
fail_for_target(uint32_t job, int64_t pushback_ms)
{
    rig.report.has_pushback = true;
    rig.report.for_target = true;
    rig.report.pushback_ms = pushback_ms;
    go_wrong(job);
    rig.report = (struct engine_report){0};
}

static uint64_t
held_ms(void)
{
    return rig_target("s").hold_ms;
}

static void
a_pushback_for_the_target_delays_the_retries_of_others(void **state)
{
    (void)state;
    begin(16);
    rig_submit(1);
    rig_submit(2);
    fail_for_target(1, 10000);
    const struct record *failed = rig_record(EVENT_ATTEMPT_FAILED);

    assert_true(failed->has_pushback);
    assert_true(failed->for_target);
    assert_int_equal(failed->pushback_ms, 10000);
    assert_int_equal(failed->hold_until_wall_ms, rig.now.wall.ms + 10000);
    assert_int_equal(held_ms(), 10000);
    go_wrong(2);
    const struct record *planned = rig_record(EVENT_RETRY_PLANNED);

    assert_int_equal(planned->decision.delay_source, DELAY_TARGET_PUSHBACK);
    assert_in_range(planned->decision.delay_ms, 10000, 12000);
    assert_int_equal(planned->decision.backoff_ms, 100);
    assert_int_equal(planned->decision.jitter_permille,
                     planned->decision.delay_ms / 10);
    assert_int_equal(planned->hold_until_wall_ms, 0);
}

static void
who_asked_for_it_waits_like_all_others(void **state)
{
    (void)state;
    begin(16);
    rig_submit(1);
    fail_for_target(1, 10000);
    const struct record *planned = rig_record(EVENT_RETRY_PLANNED);

    assert_int_equal(planned->decision.delay_source, DELAY_TARGET_PUSHBACK);
    assert_in_range(planned->decision.delay_ms, 10000, 12000);
    rig_seen();
    rig_advance(9999);
    rig_expect("");
    rig_advance(2001);
    rig_expect("attempt.started");
}

static void
an_own_delay_that_is_longer_stays(void **state)
{
    (void)state;
    begin(16);
    rig_submit(1);
    rig_submit(2);
    fail_for_target(1, 1000);
    rig.report.has_pushback = true;
    rig.report.pushback_ms = 30000;
    go_wrong(2);
    const struct record *planned = rig_record(EVENT_RETRY_PLANNED);

    assert_int_equal(planned->decision.delay_source, DELAY_PUSHBACK);
    assert_int_equal(planned->decision.delay_ms, 30000);
}

static void
a_pushback_that_is_not_for_the_target_holds_nobody(void **state)
{
    (void)state;
    begin(16);
    rig_submit(1);
    rig.report.has_pushback = true;
    rig.report.pushback_ms = 5000;
    go_wrong(1);
    assert_int_equal(held_ms(), 0);
    rig_submit(2);
    fail_for_target(2, -1); /* a stop stops the job alone */
    assert_int_equal(held_ms(), 0);
    rig_submit(3);
    rig.report.for_target = true; /* without a pushback: nothing to hold by */
    go_wrong(3);
    assert_int_equal(held_ms(), 0);
    assert_false(rig_record(EVENT_ATTEMPT_FAILED)->for_target);
}

static void
a_hold_is_clamped_to_the_operators_maximum(void **state)
{
    (void)state;
    begin(16);
    rig_submit(1);
    fail_for_target(1, 60001);
    assert_int_equal(held_ms(), 60000);
    assert_int_equal(rig_record(EVENT_RETRY_PLANNED)->decision.clamp,
                     CLAMP_MAX_PUSHBACK);
    assert_int_equal(rig_record(EVENT_ATTEMPT_FAILED)->pushback_ms, 60001);
}

static void
a_longer_hold_replaces_a_shorter_one_and_never_the_reverse(void **state)
{
    (void)state;
    begin(16);
    rig_submit(1);
    rig_submit(2);
    rig_submit(3);
    fail_for_target(1, 10000);
    fail_for_target(2, 5000);
    assert_int_equal(held_ms(), 10000);
    assert_int_equal(rig_record(EVENT_ATTEMPT_FAILED)->hold_until_wall_ms, 0);
    fail_for_target(3, 20000);
    assert_int_equal(held_ms(), 20000);
}

static void
a_failure_that_is_not_retried_holds_the_others_all_the_same(void **state)
{
    (void)state;
    begin(16);
    rig_submit(1);
    rig.report.has_pushback = true;
    rig.report.for_target = true;
    rig.report.pushback_ms = 7000;
    rig_fail(worker, rig_token_of(1), REDIAL_INVALID_ARGUMENT, "DOWN");
    assert_false(rig_is_live(1));
    assert_int_equal(held_ms(), 7000);
}

static void
jobs_in_backoff_wait_on_and_come_back_one_by_one(void **state)
{
    (void)state;
    begin(16);
    for (uint32_t job = 1; job <= 9; job++) {
        rig_submit(job);
    }
    for (uint32_t job = 1; job <= 8; job++) {
        go_wrong(job);
    }
    fail_for_target(9, 10000);
    rig_poll_acks(worker, 0, NULL, 0);
    rig_seen();
    rig_advance(100);
    assert_int_equal(rig_view(1).shown, JOB_BACKOFF); /* due, but held */
    rig_poll_acks(worker, 16, NULL, 0);
    rig_advance(9899);
    rig_expect("");
    rig_advance(1001); /* the first half of the spread, and its end */
    assert_in_range(rig.assigned_count, 1, 8);
    rig_advance(1000);
    assert_int_equal(rig.assigned_count, 9);
}

static void
first_attempts_go_on(void **state)
{
    (void)state;
    begin(16);
    rig_submit(1);
    fail_for_target(1, 10000);
    rig_submit(2);
    assert_int_equal(rig_view(2).state, JOB_RUNNING);
    /* A first attempt that never started is none that a worker answered. */
    rig_report_kind(worker, rig_token_of(2), REPORT_NOT_STARTED);
    rig_poll(worker, 16);
    assert_int_equal(rig_view(2).state, JOB_RUNNING);
    assert_int_equal(rig_view(2).attempt, 2);
}

static void
retries_in_queues_are_taken_out_when_their_turn_comes(void **state)
{
    (void)state;
    begin(3);
    rig_submit(1);
    rig_submit(2);
    rig_submit(3);
    go_wrong(1);
    go_wrong(2);
    rig_poll(worker, 0); /* no credit: both stand in the queue when due */
    rig_advance(100);
    assert_int_equal(rig_view(1).shown, JOB_READY);
    assert_int_equal(rig_view(2).shown, JOB_READY);
    fail_for_target(3, 10000);
    rig_submit(4);
    rig_seen();
    rig_poll(worker, 16);
    rig_expect("attempt.started"); /* job 4, the only first attempt */
    assert_int_equal(rig_view(4).state, JOB_RUNNING);
    assert_int_equal(rig_view(1).shown, JOB_BACKOFF);
    assert_int_equal(rig_view(2).shown, JOB_BACKOFF);
    rig_advance(9999);
    assert_int_equal(rig.assigned_count, 1);
    rig_advance(2001);
    assert_int_equal(rig.assigned_count, 4);
}

static void
a_retry_that_never_started_waits_as_well(void **state)
{
    (void)state;
    begin(16);
    rig_submit(1);
    rig_submit(2);
    go_wrong(1);
    rig_poll(worker, 15);
    rig_advance(100);
    assert_int_equal(rig_view(1).state, JOB_RUNNING);
    fail_for_target(2, 10000);
    struct engine_token token = rig_token_of(1);

    rig_seen();
    rig_report_kind(worker, token, REPORT_NOT_STARTED);
    rig_poll(worker, 16);
    rig_expect("attempt.failed job.released");
    assert_int_equal(rig_view(1).state, JOB_READY);
    rig_restart();
    worker = rig_hello("w", "2", 16);
    rig_poll(worker, 16);
    rig_advance(9999);
    assert_int_equal(rig.assigned_count, 0);
    rig_advance(2001);
    assert_int_equal(rig.assigned_count, 2);
}

static void
a_hold_survives_a_restart_and_down_time_counts(void **state)
{
    (void)state;
    begin(16);
    rig_submit(1);
    rig_submit(2);
    go_wrong(2);
    fail_for_target(1, 10000);
    rig.now.wall.ms += 4000;
    rig_restart();
    assert_int_equal(held_ms(), 6000);
    rig.now.wall.ms -= 3600000;
    rig_restart();
    assert_in_range(held_ms(), 6000, 10000);
    worker = rig_hello("w", "1", 16);
    rig_poll(worker, 16);
    rig_advance(5999);
    assert_int_equal(rig.assigned_count, 0);
    rig_advance(6002);
    assert_int_equal(rig.assigned_count, 2);
    rig.now.wall.ms += 20000000;
    rig_restart();
    assert_int_equal(held_ms(), 0);
}

static void
a_clock_that_went_back_makes_no_hold_longer(void **state)
{
    (void)state;
    begin(16);
    rig_submit(1);
    fail_for_target(1, 10000);
    rig.now.wall.ms -= 3600000;
    rig_submit(2); /* a record of that time */
    rig_restart();
    assert_int_equal(held_ms(), 10000);
}

static void
a_deadline_within_the_hold_ends_the_job(void **state)
{
    (void)state;
    rig.submit.deadline_ms = 10000;
    begin(16);
    rig_submit(1);
    rig_submit(2);
    rig_submit(3);
    go_wrong(3); /* waits in BACKOFF already */
    fail_for_target(1, 10000);
    assert_int_equal(rig_record(EVENT_JOB_FAILED)->decision.rule,
                     RULE_DEADLINE_WOULD_EXPIRE);
    go_wrong(2);
    assert_int_equal(rig_record(EVENT_JOB_FAILED)->decision.rule,
                     RULE_DEADLINE_WOULD_EXPIRE);
    rig_seen();
    rig_advance(10000);
    assert_int_equal(rig_record(EVENT_JOB_FAILED)->decision.rule,
                     RULE_DEADLINE_EXCEEDED);
}

static void
a_deadline_just_after_the_hold_leaves_the_retry_its_chance(void **state)
{
    (void)state;
    rig.submit.deadline_ms = 10005;
    begin(16);
    for (uint32_t job = 1; job <= 8; job++) {
        rig_submit(job);
    }
    for (uint32_t job = 2; job <= 4; job++) {
        go_wrong(job);
    }
    fail_for_target(1, 10000);
    for (uint32_t job = 5; job <= 8; job++) {
        go_wrong(job);
    }
    rig_poll(worker, 16);
    rig_seen();
    rig_advance(10004);
    assert_int_equal(rig.assigned_count, 8);
}

static void
a_shared_pushback_resets_the_backoff_of_who_asked(void **state)
{
    (void)state;
    begin(16);
    rig_fallback()->retry.max_backoff_ms = 100000;
    rig_submit(1);
    rig_submit(2);
    for (uint32_t job = 1; job <= 2; job++) {
        go_wrong(job);
        rig_poll(worker, 15);
        rig_advance(100);
    }
    fail_for_target(1, 1000);
    go_wrong(2);
    rig_poll(worker, 16);
    rig_advance(2000);
    go_wrong(1);
    assert_int_equal(rig_record(EVENT_RETRY_PLANNED)->decision.backoff_ms, 100);
    go_wrong(2);
    assert_int_equal(rig_record(EVENT_RETRY_PLANNED)->decision.backoff_ms, 400);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_spread_is_a_fifth_from_a_second_to_a_minute),
        cmocka_unit_test(releases_are_spread_evenly_and_never_before_the_end),
        cmocka_unit_test(the_spread_alone_never_crosses_the_deadline),
        rig_test(a_pushback_for_the_target_delays_the_retries_of_others),
        rig_test(who_asked_for_it_waits_like_all_others),
        rig_test(an_own_delay_that_is_longer_stays),
        rig_test(a_pushback_that_is_not_for_the_target_holds_nobody),
        rig_test(a_hold_is_clamped_to_the_operators_maximum),
        rig_test(a_longer_hold_replaces_a_shorter_one_and_never_the_reverse),
        rig_test(a_failure_that_is_not_retried_holds_the_others_all_the_same),
        rig_test(jobs_in_backoff_wait_on_and_come_back_one_by_one),
        rig_test(first_attempts_go_on),
        rig_test(retries_in_queues_are_taken_out_when_their_turn_comes),
        rig_test(a_retry_that_never_started_waits_as_well),
        rig_test(a_hold_survives_a_restart_and_down_time_counts),
        rig_test(a_clock_that_went_back_makes_no_hold_longer),
        rig_test(a_deadline_within_the_hold_ends_the_job),
        rig_test(a_deadline_just_after_the_hold_leaves_the_retry_its_chance),
        rig_test(a_shared_pushback_resets_the_backoff_of_who_asked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
