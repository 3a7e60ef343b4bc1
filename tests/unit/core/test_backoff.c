/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/backoff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { DRAWS = 20000 };

static struct rng rng;

static int
setup(void **state)
{
    (void)state;
    rng_init(&rng, 42);
    return 0;
}

static struct retry_policy
policy(uint64_t initial_ms, uint64_t max_ms, double multiplier,
       enum jitter jitter)
{
    return (struct retry_policy){
        .initial_backoff_ms = initial_ms,
        .max_backoff_ms = max_ms,
        .backoff_multiplier = multiplier,
        .jitter = jitter,
    };
}

static uint64_t
plain(uint64_t initial_ms, uint64_t max_ms, double multiplier, uint32_t n)
{
    struct retry_policy plain = policy(initial_ms, max_ms, multiplier,
                                       JITTER_NONE);

    return backoff_draw(&plain, n, 0, &rng).delay_ms;
}

static void
grows_by_the_multiplier_up_to_the_maximum(void **state)
{
    (void)state;
    static const uint64_t doubled[] = {1, 2, 4, 8, 10, 10};
    static const uint64_t grown[] = {500, 750, 1125, 1688, 2531, 3797};

    for (uint32_t i = 0; i < 6; i++) {
        assert_int_equal(plain(1, 10, 2.0, i + 1), doubled[i]);
        assert_int_equal(plain(500, 60000, 1.5, i + 1), grown[i]);
    }
}

static void
says_when_the_maximum_cuts_it(void **state)
{
    (void)state;
    struct retry_policy p = policy(1000, 4000, 2.0, JITTER_NONE);

    assert_false(backoff_draw(&p, 1, 0, &rng).clamped);
    assert_false(backoff_draw(&p, 3, 0, &rng).clamped);
    assert_int_equal(backoff_draw(&p, 3, 0, &rng).delay_ms, 4000);
    assert_true(backoff_draw(&p, 4, 0, &rng).clamped);
    assert_int_equal(backoff_draw(&p, 4, 0, &rng).delay_ms, 4000);
}

static void
the_attempt_number_never_overflows(void **state)
{
    (void)state;
    static const uint32_t far[] = {64, 65, 1024, 1000000, UINT32_MAX};

    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(plain(1000, 60000, 2.0, far[i]), 60000);
        assert_int_equal(plain(1, 60000, 10.0, far[i]), 60000);
        assert_int_equal(plain(1000, 60000, 1.0, far[i]), 1000);
    }
    assert_int_equal(plain(1000, 60000, 1.1, 1000000), 60000);
}

static void
a_shrinking_multiplier_ends_at_one_millisecond(void **state)
{
    (void)state;
    assert_int_equal(plain(1000, 60000, 0.5, 2), 500);
    assert_int_equal(plain(1000, 60000, 0.5, 64), 1);
    assert_int_equal(plain(1000, 60000, 0.5, 1000000), 1);
}

static void
huge_durations_are_cut_not_wrapped(void **state)
{
    (void)state;
    struct retry_policy p = policy(UINT64_MAX, UINT64_MAX, 10.0,
                                   JITTER_DEFAULT);

    for (int form = JITTER_DEFAULT; form <= JITTER_NONE; form++) {
        p.jitter = (enum jitter)form;
        struct backoff drawn = backoff_draw(&p, 1000000, UINT64_MAX, &rng);

        assert_true(drawn.delay_ms <= UINT64_C(12000000000000));
    }
}

static void
an_initial_above_the_maximum_is_the_maximum(void **state)
{
    (void)state;
    assert_int_equal(plain(5000, 1000, 2.0, 1), 1000);
}

/* Draws many times; the smallest, the largest, the mean. */
struct spread {
    uint64_t least;
    uint64_t most;
    double mean;
};

static struct spread
spread_of(const struct retry_policy *p, uint32_t n, uint64_t previous_ms)
{
    struct spread spread = {.least = UINT64_MAX};

    for (int i = 0; i < DRAWS; i++) {
        struct backoff drawn = backoff_draw(p, n, previous_ms, &rng);

        if (drawn.delay_ms < spread.least) {
            spread.least = drawn.delay_ms;
        }
        if (drawn.delay_ms > spread.most) {
            spread.most = drawn.delay_ms;
        }
        spread.mean += (double)drawn.delay_ms / DRAWS;
    }
    return spread;
}

static void
default_jitter_is_a_fifth_up_or_down(void **state)
{
    (void)state;
    struct retry_policy p = policy(100, 60000, 2.0, JITTER_DEFAULT);
    struct spread spread = spread_of(&p, 1, 0);

    assert_int_equal(spread.least, 80);
    assert_int_equal(spread.most, 120);
    assert_true(spread.mean > 99.5 && spread.mean < 100.5);
    struct backoff drawn = backoff_draw(&p, 1, 0, &rng);

    assert_int_equal(drawn.nominal_ms, 100);
    assert_int_equal(drawn.jitter_permille, drawn.delay_ms * 10);
}

static void
default_jitter_may_exceed_the_maximum_by_a_fifth(void **state)
{
    (void)state;
    struct retry_policy p = policy(100, 100, 2.0, JITTER_DEFAULT);
    struct spread spread = spread_of(&p, 9, 0);

    assert_int_equal(spread.least, 80);
    assert_int_equal(spread.most, 120);
}

static void
full_jitter_is_anything_up_to_the_delay(void **state)
{
    (void)state;
    struct retry_policy p = policy(100, 60000, 2.0, JITTER_FULL);
    struct spread spread = spread_of(&p, 2, 0);

    assert_int_equal(spread.least, 0);
    assert_int_equal(spread.most, 200);
    assert_true(spread.mean > 98 && spread.mean < 102);
}

static void
equal_jitter_keeps_half_of_the_delay(void **state)
{
    (void)state;
    struct retry_policy p = policy(100, 60000, 2.0, JITTER_EQUAL);
    struct spread spread = spread_of(&p, 2, 0);

    assert_int_equal(spread.least, 100);
    assert_int_equal(spread.most, 200);
    assert_true(spread.mean > 149 && spread.mean < 151);
}

static void
decorrelated_jitter_goes_by_the_delay_before(void **state)
{
    (void)state;
    struct retry_policy p = policy(100, 500, 2.0, JITTER_DECORRELATED);
    struct spread spread = spread_of(&p, 1, 0);

    assert_int_equal(spread.least, 100);
    assert_int_equal(spread.most, 300);
    spread = spread_of(&p, 7, 140);
    assert_int_equal(spread.least, 100);
    assert_int_equal(spread.most, 420);
    spread = spread_of(&p, 7, 400);
    assert_int_equal(spread.least, 100);
    assert_int_equal(spread.most, 500);
}

static void
no_jitter_draws_nothing(void **state)
{
    (void)state;
    struct retry_policy p = policy(100, 500, 2.0, JITTER_NONE);
    struct rng before = rng;
    struct backoff drawn = backoff_draw(&p, 1, 0, &rng);

    assert_int_equal(drawn.delay_ms, 100);
    assert_int_equal(drawn.jitter_permille, 0);
    assert_memory_equal(&before, &rng, sizeof(rng));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grows_by_the_multiplier_up_to_the_maximum),
        cmocka_unit_test(says_when_the_maximum_cuts_it),
        cmocka_unit_test(the_attempt_number_never_overflows),
        cmocka_unit_test(a_shrinking_multiplier_ends_at_one_millisecond),
        cmocka_unit_test(huge_durations_are_cut_not_wrapped),
        cmocka_unit_test(an_initial_above_the_maximum_is_the_maximum),
        cmocka_unit_test(default_jitter_is_a_fifth_up_or_down),
        cmocka_unit_test(default_jitter_may_exceed_the_maximum_by_a_fifth),
        cmocka_unit_test(full_jitter_is_anything_up_to_the_delay),
        cmocka_unit_test(equal_jitter_keeps_half_of_the_delay),
        cmocka_unit_test(decorrelated_jitter_goes_by_the_delay_before),
        cmocka_unit_test(no_jitter_draws_nothing),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
