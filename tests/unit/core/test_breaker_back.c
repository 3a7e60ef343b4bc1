/* SPDX-License-Identifier: Apache-2.0 */
/* A breaker on its way back, operators, overlays, restarts. */
#include "tests/unit/core/breaker_box.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* ---- Half open (T3 to T9; corner cases 5 to 13) ------------------------ */

static void
no_more_probes_at_once_than_allowed(void **state)
{
    (void)state;
    box.policy.probes = 2;
    box_to_half_open();
    struct breaker_permit a = box_take();
    struct breaker_permit b = box_take();

    assert_int_equal(box_ask(), BREAKER_REFUSES);
    box_settle(&a, GOOD);
    assert_int_equal(box_ask(), BREAKER_ADMITS_PROBE);
    struct breaker_permit c = box_take();

    assert_int_equal(box_ask(), BREAKER_REFUSES); /* three suffice */
    box_settle(&b, GOOD);
    assert_int_equal(box_ask(), BREAKER_REFUSES);
    box_settle(&c, GOOD);
    box_expect(BREAKER_RAMP);
    assert_int_equal(box.last.cause, BREAKER_CAUSE_PROBES_GOOD);
}

static void
a_bad_probe_opens_it_one_step_higher(void **state)
{
    (void)state;
    box_to_half_open();
    box_run(2, GOOD);
    box_run(1, BAD);
    box_expect(BREAKER_OPEN);
    assert_int_equal(box.last.step, 2);
    assert_int_equal(box.last.open_ms, 10000);
    assert_int_equal(box.last.cause, BREAKER_CAUSE_PROBE_BAD);
}

static void
forgiven_probes_do_not_open_it(void **state)
{
    (void)state;
    box.policy.probe_failures = 1;
    box_to_half_open();
    box_run(1, BAD);
    box_run(3, GOOD);
    box_expect(BREAKER_RAMP);
}

static void
a_neutral_probe_gives_its_place_back(void **state)
{
    (void)state;
    box_to_half_open();
    box_run(50, NEUTRAL);
    box_expect(BREAKER_HALF_OPEN);
    assert_int_equal(box.breaker.probes_good, 0);
    assert_int_equal(box.breaker.probes_out, 0);
    assert_int_equal(box_ask(), BREAKER_ADMITS_PROBE);
}

static void
an_ignored_error_shows_that_the_target_lives(void **state)
{
    (void)state;
    box_to_half_open();
    box_run(3, IGNORED);
    box_expect(BREAKER_RAMP);
}

static void
the_trial_begins_with_its_first_probe(void **state)
{
    (void)state;
    box_to_half_open();
    box_pass(10 * 60000); /* no traffic: it stays as it is */
    box_expect(BREAKER_HALF_OPEN);
    assert_int_equal(breaker_next_ms(&box.breaker, &box.policy), INT64_MAX);
    struct breaker_permit probe = box_take();

    box_pass(59999);
    box_expect(BREAKER_HALF_OPEN);
    box_pass(1);
    box_expect(BREAKER_OPEN);
    assert_int_equal(box.last.cause, BREAKER_CAUSE_TRIAL_OVER);
    assert_int_equal(box.last.step, 1); /* no failure was seen */
    box_settle(&probe, GOOD);
    assert_int_equal(box.late, 1);
}

static void
a_trial_with_a_failure_escalates(void **state)
{
    (void)state;
    box.policy.probe_failures = 1;
    box_to_half_open();
    box_run(1, BAD);
    box_pass(60000);
    box_expect(BREAKER_OPEN);
    assert_int_equal(box.last.step, 2);
}

static void
a_slow_probe_is_bad_only_with_the_slow_rule(void **state)
{
    (void)state;
    box_to_half_open();
    box_run(1, SLOW);
    assert_int_equal(box.breaker.probes_good, 1);
    box.policy.slow_permille = 500;
    box_run(1, SLOW);
    box_expect(BREAKER_OPEN);
}

/* ---- Ramp (T10; corner cases 26, 27) ----------------------------------- */

static void
the_load_comes_back_gently(void **state)
{
    struct breaker_permit permits[40];

    (void)state;
    for (int i = 0; i < 40; i++) {
        permits[i] = box_take();
    }
    for (int i = 0; i < 40; i++) {
        box_settle(&permits[i], BAD);
    }
    box_expect(BREAKER_OPEN);
    assert_int_equal(box.breaker.load, 40);
    box_pass(5000);
    box_run(3, GOOD);
    box_expect(BREAKER_RAMP);
    for (int i = 0; i < 4; i++) {
        permits[i] = box_take(); /* a tenth */
    }
    int64_t until_ms = box_refused_until();

    assert_true(until_ms > box.now_ms && until_ms <= box.now_ms + 300);
    box.now_ms = until_ms - 1;
    assert_int_equal(box_ask(), BREAKER_REFUSES);
    box.now_ms = until_ms;
    assert_int_equal(box_ask(), BREAKER_ADMITS);
    box.now_ms = box.breaker.since_ms + 5000;
    for (int i = 4; i < 22; i++) {
        permits[i] = box_take(); /* 55 % */
    }
    assert_int_equal(box_ask(), BREAKER_REFUSES);
    box_pass(5000);
    box_expect(BREAKER_CLOSED);
    assert_int_equal(box_ask(), BREAKER_ADMITS);
    assert_int_equal(box.last.epoch, 3); /* as in the ramp: all of it counts */
    box.late = 0;
    box_settle(&permits[0], BAD);
    assert_int_equal(box.late, 0);
}

static void
a_relapse_in_the_ramp_is_a_step_up(void **state)
{
    (void)state;
    box_to_ramp();
    box_run(20, BAD);
    box_expect(BREAKER_OPEN);
    assert_int_equal(box.last.step, 2);
}

static void
without_a_ramp_it_closes_at_once(void **state)
{
    (void)state;
    box.policy.ramp_ms = 0;
    box_to_half_open();
    box_run(3, GOOD);
    box_expect(BREAKER_CLOSED);
    assert_int_equal(box.breaker.sum.calls, 0);
}

static void
even_the_smallest_ramp_lets_one_run(void **state)
{
    (void)state;
    box.policy.ramp_permille = 0;
    box_to_ramp();
    box.breaker.load = 0;
    assert_int_equal(box_ask(), BREAKER_ADMITS);
    struct breaker_permit permit = box_take();

    assert_int_equal(box_refused_until(), box.breaker.since_ms + 10000);
    box_settle(&permit, GOOD);
}

/* ---- Escalation (T11; corner cases 23, 24) ----------------------------- */

static void
the_steps_grow_to_a_bound_and_decay_one_by_one(void **state)
{
    static const uint64_t open_ms[] = {5000,  10000,  20000,  40000,
                                       80000, 160000, 300000, 300000};

    (void)state;
    box_run(20, BAD);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(box.last.open_ms, open_ms[i]);
        box_pass(box.breaker.reopen_ms - box.now_ms);
        box_run(1, BAD);
    }
    assert_int_equal(box.breaker.step, 9);
    box_pass(box.breaker.reopen_ms - box.now_ms);
    box_run(3, GOOD);
    box_pass(10000);
    box_expect(BREAKER_CLOSED);
    assert_int_equal(breaker_step_now(&box.breaker, &box.policy, box.now_ms),
                     9);
    assert_int_equal(
        breaker_step_now(&box.breaker, &box.policy, box.now_ms + 29999), 9);
    assert_int_equal(
        breaker_step_now(&box.breaker, &box.policy, box.now_ms + 30000), 8);
    box.now_ms += 7 * 30000;
    box_run(20, BAD);
    assert_int_equal(box.last.step, 3);
    assert_int_equal(box.last.open_ms, 20000);
}

static void
a_thousand_relapses_do_not_overflow(void **state)
{
    (void)state;
    box.policy.open_ms_max = UINT32_MAX;
    box.policy.multiplier_milli = UINT32_MAX;
    box.policy.jitter_permille = 1000;
    box_run(20, BAD);
    for (int i = 0; i < 1000; i++) {
        assert_true(box.last.open_ms <= UINT64_C(10000000000));
        box_pass(box.breaker.reopen_ms - box.now_ms);
        box_run(1, BAD);
    }
    assert_int_equal(box.breaker.step, BREAKER_STEPS_MAX);
}

static void
jitter_is_added_after_the_bound(void **state)
{
    bool above = false;

    (void)state;
    box.policy.jitter_permille = 200;
    box.policy.open_ms_max = 5000;
    for (int i = 0; i < 200; i++) {
        box_setup(NULL);
        box.policy.jitter_permille = 200;
        box.policy.open_ms_max = 5000;
        rng_init(&box.rng, (uint64_t)i);
        box_run(20, BAD);
        assert_in_range(box.last.open_ms, 5000, 6000);
        above = above || box.last.open_ms > 5500;
    }
    assert_true(above);
}

/* ---- Operators (T12, T13) ---------------------------------------------- */

static void
forced_open_refuses_and_time_does_not_help(void **state)
{
    (void)state;
    struct breaker_permit permit = box_take();

    box_make(breaker_force(&box.breaker, true));
    box_expect(BREAKER_CLOSED);
    assert_int_equal(box_refused_until(), INT64_MAX);
    box_settle(&permit, BAD);
    assert_int_equal(box.late, 1);
    box_pass(24 * 3600 * INT64_C(1000));
    assert_int_equal(box_refused_until(), INT64_MAX);
    box_make(breaker_force(&box.breaker, true)); /* a second holder: no news */
    assert_int_equal(box.moves, 1);
    box_make(breaker_force(&box.breaker, false));
    box_expect(BREAKER_RAMP); /* no traffic was seen meanwhile */
}

static void
released_while_open_it_probes_at_once(void **state)
{
    (void)state;
    box_open_it();
    box_make(breaker_force(&box.breaker, true));
    box_pass(10000); /* its own time passes, the holder stays */
    box_expect(BREAKER_OPEN);
    assert_int_equal(breaker_next_ms(&box.breaker, &box.policy), INT64_MAX);
    box_make(breaker_force(&box.breaker, false));
    box_expect(BREAKER_OPEN);
    assert_int_equal(breaker_next_ms(&box.breaker, &box.policy), box.now_ms);
    box_pass(0);
    box_expect(BREAKER_HALF_OPEN);
}

static void
a_reset_forgets_all(void **state)
{
    (void)state;
    box_to_half_open();
    struct breaker_permit probe = box_take();

    box_make(breaker_reset(&box.breaker));
    box_expect(BREAKER_CLOSED);
    assert_int_equal(box.breaker.step, 0);
    assert_int_equal(box.breaker.probes_out, 0);
    box_settle(&probe, BAD);
    assert_int_equal(box.late, 1);
    box_run(19, BAD);
    box_expect(BREAKER_CLOSED);
}

/* ---- Overlays ---------------------------------------------------------- */

static void
metrics_only_decides_and_admits(void **state)
{
    (void)state;
    box.policy.metrics_only = true;
    box_open_it();
    assert_int_equal(box_ask(), BREAKER_ADMITS);
    box_run(10, BAD);
    box_expect(BREAKER_OPEN);
    assert_int_equal(box.moves, 1);
    box_pass(5000);
    box_expect(BREAKER_HALF_OPEN);
    box_run(3, GOOD);
    box_expect(BREAKER_RAMP);
    box_make(breaker_force(&box.breaker, true));
    assert_int_equal(box_ask(), BREAKER_REFUSES); /* holders go before */
}

static void
disabled_counts_nothing(void **state)
{
    (void)state;
    box.policy.disabled = true;
    box_run(100, BAD);
    box_expect(BREAKER_CLOSED);
    assert_int_equal(box.breaker.sum.calls, 0);
}

/* ---- Restart (corner cases 39, 40) ------------------------------------- */

static void
a_restart_keeps_what_is_left_under_a_new_epoch(void **state)
{
    (void)state;
    box_open_it();
    box_make(breaker_restart(&box.breaker, 1234));
    box_expect(BREAKER_OPEN);
    assert_int_equal(box.breaker.epoch, 2);
    assert_int_equal(box.breaker.step, 1);
    assert_int_equal(box_refused_until(), box.now_ms + 1234);
}

static void
a_restart_in_a_trial_begins_the_trial_anew(void **state)
{
    (void)state;
    box_to_half_open();
    struct breaker_permit probe = box_take();

    box.breaker.in_flight = 0;
    box_make(breaker_restart(&box.breaker, 99));
    box_expect(BREAKER_OPEN);
    assert_int_equal(box_refused_until(), box.now_ms);
    box_pass(0);
    box_expect(BREAKER_HALF_OPEN);
    assert_int_equal(box_ask(), BREAKER_ADMITS_PROBE);
    assert_int_not_equal(probe.epoch, box.breaker.epoch);
}

static void
a_restart_in_the_ramp_begins_the_ramp_anew(void **state)
{
    (void)state;
    box_to_ramp();
    box_pass(9000);
    box_make(breaker_restart(&box.breaker, 0));
    box_expect(BREAKER_RAMP);
    box_pass(9999);
    box_expect(BREAKER_RAMP);
    box_pass(1);
    box_expect(BREAKER_CLOSED);
}

/* ---- Small things ------------------------------------------------------ */

static void
asking_changes_nothing(void **state)
{
    (void)state;
    box_to_half_open();
    struct breaker before = box.breaker;

    for (int i = 0; i < 100; i++) {
        assert_int_equal(box_ask(), BREAKER_ADMITS_PROBE);
    }
    assert_memory_equal(&before, &box.breaker, sizeof(before));
}

static void
only_a_breaker_without_a_past_is_blank(void **state)
{
    (void)state;
    assert_true(breaker_is_blank(&box.breaker, &box.policy, box.now_ms));
    struct breaker_permit permit = box_take();

    assert_false(breaker_is_blank(&box.breaker, &box.policy, box.now_ms));
    box_settle(&permit, GOOD);
    assert_false(breaker_is_blank(&box.breaker, &box.policy, box.now_ms));
    box.now_ms += 60000;
    assert_true(breaker_is_blank(&box.breaker, &box.policy, box.now_ms));
    box_open_it();
    assert_false(
        breaker_is_blank(&box.breaker, &box.policy, box.now_ms + 60000));
    box_make(breaker_reset(&box.breaker));
    box_make(breaker_force(&box.breaker, true));
    assert_false(
        breaker_is_blank(&box.breaker, &box.policy, box.now_ms + 60000));
}

static void
every_cause_and_state_has_words(void **state)
{
    (void)state;
    for (int i = BREAKER_CAUSE_NONE; i <= BREAKER_CAUSE_RESTART; i++) {
        assert_non_null(breaker_cause_name((enum breaker_cause)i));
        assert_non_null(breaker_cause_sentence((enum breaker_cause)i));
    }
    for (int i = BREAKER_CLOSED; i <= BREAKER_RAMP; i++) {
        assert_non_null(breaker_state_name((enum breaker_state)i));
    }
}

#define TEST(name) cmocka_unit_test_setup(name, box_setup)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(no_more_probes_at_once_than_allowed),
        TEST(a_bad_probe_opens_it_one_step_higher),
        TEST(forgiven_probes_do_not_open_it),
        TEST(a_neutral_probe_gives_its_place_back),
        TEST(an_ignored_error_shows_that_the_target_lives),
        TEST(the_trial_begins_with_its_first_probe),
        TEST(a_trial_with_a_failure_escalates),
        TEST(a_slow_probe_is_bad_only_with_the_slow_rule),
        TEST(the_load_comes_back_gently),
        TEST(a_relapse_in_the_ramp_is_a_step_up),
        TEST(without_a_ramp_it_closes_at_once),
        TEST(even_the_smallest_ramp_lets_one_run),
        TEST(the_steps_grow_to_a_bound_and_decay_one_by_one),
        TEST(a_thousand_relapses_do_not_overflow),
        TEST(jitter_is_added_after_the_bound),
        TEST(forced_open_refuses_and_time_does_not_help),
        TEST(released_while_open_it_probes_at_once),
        TEST(a_reset_forgets_all),
        TEST(metrics_only_decides_and_admits),
        TEST(disabled_counts_nothing),
        TEST(a_restart_keeps_what_is_left_under_a_new_epoch),
        TEST(a_restart_in_a_trial_begins_the_trial_anew),
        TEST(a_restart_in_the_ramp_begins_the_ramp_anew),
        TEST(asking_changes_nothing),
        TEST(only_a_breaker_without_a_past_is_blank),
        TEST(every_cause_and_state_has_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
