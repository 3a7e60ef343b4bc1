/* SPDX-License-Identifier: Apache-2.0 */
/* A breaker that opens: what counts, and what must not. */
#include "tests/unit/core/breaker_box.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* ---- Opening (T1, T2) -------------------------------------------------- */

static void
below_the_minimum_nothing_opens_it(void **state)
{
    (void)state;
    box_run(19, BAD);
    box_expect(BREAKER_CLOSED);
    box_run(1, BAD);
    box_expect(BREAKER_OPEN);
    assert_int_equal(box.last.cause, BREAKER_CAUSE_FAILURE_RATE);
    assert_int_equal(box.last.sum.calls, 20);
    assert_int_equal(box.last.sum.failed, 20);
    assert_int_equal(box.last.epoch, 1);
    assert_int_equal(box.last.step, 1);
    assert_int_equal(box.last.open_ms, 5000);
}

static void
the_rate_is_at_least_not_above(void **state)
{
    (void)state;
    box_run(11, GOOD);
    box_run(10, BAD);
    box_expect(BREAKER_CLOSED);
    box_run(1, BAD);
    box_expect(BREAKER_OPEN);
    assert_int_equal(box.last.sum.failed, 11);
    assert_int_equal(box.last.sum.calls, 22);
}

static void
a_good_result_never_opens_it(void **state)
{
    (void)state;
    box_run(19, BAD);
    box_run(1, GOOD); /* the minimum is reached at 95 % */
    box_expect(BREAKER_CLOSED);
    box_run(1, BAD);
    box_expect(BREAKER_OPEN);
}

static void
failures_in_a_row_open_it_without_a_minimum(void **state)
{
    (void)state;
    box.policy.consecutive = 5;
    box_run(4, BAD);
    box_run(1, GOOD);
    box_run(4, BAD);
    box_expect(BREAKER_CLOSED);
    box_run(1, BAD);
    box_expect(BREAKER_OPEN);
    assert_int_equal(box.last.cause, BREAKER_CAUSE_CONSECUTIVE);
    assert_int_equal(box.last.in_a_row, 5);
}

static void
slow_calls_open_it_by_their_own_rate(void **state)
{
    (void)state;
    box_run(30, SLOW);
    box_expect(BREAKER_CLOSED); /* the rule is off */
    box.policy.slow_permille = 800;
    box_run(30, SLOW);
    box_expect(BREAKER_CLOSED); /* half of the window was not counted slow */
    box.policy.window_ms = 30000;
    box.now_ms += 40000;
    box_run(4, GOOD);
    box_run(15, SLOW);
    box_expect(BREAKER_CLOSED);
    box_run(1, SLOW);
    box_expect(BREAKER_OPEN);
    assert_int_equal(box.last.cause, BREAKER_CAUSE_SLOW_RATE);
}

static void
a_hint_opens_it_for_at_least_as_long(void **state)
{
    struct breaker_result hint = {.class = BREAKER_NEUTRAL, .hint_ms = 20000};

    (void)state;
    box_run(1, hint);
    box_expect(BREAKER_OPEN);
    assert_int_equal(box.last.cause, BREAKER_CAUSE_HINT);
    assert_int_equal(box.last.open_ms, 20000);
}

static void
a_hint_is_bounded_and_never_shortens(void **state)
{
    struct breaker_result hint = {.class = BREAKER_NEUTRAL,
                                  .hint_ms = UINT64_MAX};

    (void)state;
    box_run(1, hint);
    assert_int_equal(box.last.open_ms, 60000);
    box_make(breaker_reset(&box.breaker));
    hint.hint_ms = 1;
    box_run(1, hint);
    assert_int_equal(box.last.open_ms, 5000);
}

static void
without_leave_hints_are_not_heeded(void **state)
{
    struct breaker_result hint = {.class = BREAKER_NEUTRAL, .hint_ms = 20000};

    (void)state;
    box.policy.hint_ms_max = 0;
    box_run(5, hint);
    box_expect(BREAKER_CLOSED);
}

/* ---- The window -------------------------------------------------------- */

static void
old_results_leave_the_window(void **state)
{
    (void)state;
    box_run(19, BAD);
    box.now_ms += 30001;
    box_run(1, BAD);
    box_expect(BREAKER_CLOSED);
    assert_int_equal(box.breaker.sum.calls, 1);
}

static void
failures_in_the_last_buckets_add_up(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++) {
        box_run(2, BAD);
        if (i < 9) {
            box.now_ms += 2900;
        }
    }
    box_expect(BREAKER_OPEN);
}

static void
a_long_pause_leaves_an_empty_window(void **state)
{
    (void)state;
    box_run(10, BAD);
    box.now_ms += 24 * 3600 * INT64_C(1000);
    box_run(1, GOOD);
    assert_int_equal(box.breaker.sum.calls, 1);
    assert_int_equal(box.breaker.sum.failed, 0);
}

static void
a_call_longer_than_the_window_counts_when_it_ends(void **state)
{
    (void)state;
    struct breaker_permit permit = box_take();

    box.now_ms += 300000;
    box_settle(&permit, BAD);
    assert_int_equal(box.breaker.sum.failed, 1);
    assert_int_equal(box.late, 0);
}

static void
what_hangs_counts_as_slow_before_it_ends(void **state)
{
    struct breaker_permit permits[20];

    (void)state;
    box.policy.slow_permille = 900;
    for (int i = 0; i < 20; i++) {
        permits[i] = box_take();
    }
    for (int i = 0; i < 20; i++) {
        box_expect(BREAKER_CLOSED);
        box_note_slow(&permits[i]);
        box_note_slow(&permits[i]);
    }
    box_expect(BREAKER_OPEN);
    assert_int_equal(box.last.sum.slow, 20);
    assert_int_equal(box.last.cause, BREAKER_CAUSE_SLOW_RATE);
}

static void
a_slow_one_is_not_counted_twice(void **state)
{
    (void)state;
    box.policy.slow_permille = 900;
    struct breaker_permit permit = box_take();

    box_note_slow(&permit);
    box_settle(&permit, SLOW);
    assert_int_equal(box.breaker.sum.calls, 1);
    assert_int_equal(box.breaker.sum.slow, 1);
}

static void
neutral_and_ignored_results_are_not_in_the_window(void **state)
{
    (void)state;
    box_run(50, NEUTRAL);
    box_run(50, IGNORED);
    assert_int_equal(box.breaker.sum.calls, 0);
    box_expect(BREAKER_CLOSED);
}

/* ---- Open and box.late (corner cases 1, 2, 3, 16) --------------------------
 */

static void
while_open_nothing_passes_and_it_says_until_when(void **state)
{
    (void)state;
    box_open_it();
    assert_int_equal(box_refused_until(), box.now_ms + 5000);
    box_pass(4999);
    box_expect(BREAKER_OPEN);
    box_pass(1);
    box_expect(BREAKER_HALF_OPEN);
    assert_int_equal(box.last.epoch, 2);
}

static void
a_late_failure_neither_opens_again_nor_extends(void **state)
{
    (void)state;
    struct breaker_permit permit = box_take();
    int64_t reopen_ms;

    box_open_it();
    reopen_ms = box.breaker.reopen_ms;
    box.now_ms += 1000;
    box_settle(&permit, BAD);
    assert_int_equal(box.moves, 1);
    assert_int_equal(box.late, 1);
    assert_int_equal(box.breaker.reopen_ms, reopen_ms);
}

static void
a_late_success_does_not_close(void **state)
{
    (void)state;
    box.policy.probes_needed = 1;
    struct breaker_permit permit = box_take();

    box_to_half_open();
    box_settle(&permit, GOOD);
    box_expect(BREAKER_HALF_OPEN);
    assert_int_equal(box.late, 1);
    assert_int_equal(box_ask(), BREAKER_ADMITS_PROBE);
}

static void
late_results_after_every_move_change_nothing(void **state)
{
    static const struct breaker_result results[] = {
        {.class = BREAKER_SUCCESS},
        {.class = BREAKER_FAILURE},
        {.class = BREAKER_FAILURE, .slow = true},
        {.class = BREAKER_NEUTRAL, .hint_ms = 9000},
        {.class = BREAKER_IGNORED},
    };

    (void)state;
    box.policy.slow_permille = 500;
    for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++) {
        for (int where = 0; where < 3; where++) {
            box_setup(NULL);
            struct breaker_permit old = box_take();

            if (where == 0) {
                box_open_it();
            } else if (where == 1) {
                box_to_half_open();
            } else {
                box_to_ramp();
            }
            struct breaker before = box.breaker;

            box_settle(&old, results[i]);
            assert_int_equal(box.late, 1);
            before.in_flight--;
            assert_memory_equal(&before, &box.breaker, sizeof(box.breaker));
        }
    }
}

static void
a_permit_counts_once(void **state)
{
    (void)state;
    struct breaker_permit permit = box_take();

    box_settle(&permit, BAD);
    box_settle(&permit, BAD);
    assert_int_equal(box.breaker.sum.calls, 1);
    assert_int_equal(box.breaker.in_flight, 0);
}

#define TEST(name) cmocka_unit_test_setup(name, box_setup)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(below_the_minimum_nothing_opens_it),
        TEST(the_rate_is_at_least_not_above),
        TEST(a_good_result_never_opens_it),
        TEST(failures_in_a_row_open_it_without_a_minimum),
        TEST(slow_calls_open_it_by_their_own_rate),
        TEST(a_hint_opens_it_for_at_least_as_long),
        TEST(a_hint_is_bounded_and_never_shortens),
        TEST(without_leave_hints_are_not_heeded),
        TEST(old_results_leave_the_window),
        TEST(failures_in_the_last_buckets_add_up),
        TEST(a_long_pause_leaves_an_empty_window),
        TEST(a_call_longer_than_the_window_counts_when_it_ends),
        TEST(what_hangs_counts_as_slow_before_it_ends),
        TEST(a_slow_one_is_not_counted_twice),
        TEST(neutral_and_ignored_results_are_not_in_the_window),
        TEST(while_open_nothing_passes_and_it_says_until_when),
        TEST(a_late_failure_neither_opens_again_nor_extends),
        TEST(a_late_success_does_not_close),
        TEST(late_results_after_every_move_change_nothing),
        TEST(a_permit_counts_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
