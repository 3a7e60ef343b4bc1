/* SPDX-License-Identifier: Apache-2.0 */
#include "server/base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* From an independent computation of xoshiro256** with splitmix64(0). */
static void
the_sequence_is_the_published_one(void **state)
{
    static const uint64_t first[] = {
        UINT64_C(0x99ec5f36cb75f2b4),
        UINT64_C(0xbf6e1f784956452a),
        UINT64_C(0x1a5f849d4933e6e0),
        UINT64_C(0x6aa594f1262d2d2c),
    };
    struct rng rng;

    (void)state;
    rng_init(&rng, 0);
    for (size_t i = 0; i < 4; i++) {
        assert_true(rng_next(&rng) == first[i]);
    }
}

static void
seeds_set_sequences_apart(void **state)
{
    struct rng one;
    struct rng two;
    struct rng other;

    (void)state;
    rng_init(&one, 1);
    rng_init(&two, 1);
    rng_init(&other, 2);
    uint64_t value = rng_next(&one);

    assert_true(value == rng_next(&two));
    assert_true(value != rng_next(&other));
}

static void
below_is_even_and_in_range(void **state)
{
    uint32_t counts[6] = {0};
    struct rng rng;

    (void)state;
    rng_init(&rng, 5);
    for (uint32_t i = 0; i < 60000; i++) {
        counts[rng_below(&rng, 6)]++;
    }
    for (size_t i = 0; i < 6; i++) {
        assert_in_range(counts[i], 9500, 10500);
    }
    assert_int_equal(rng_below(&rng, 1), 0);
    assert_true(rng_below(&rng, UINT64_MAX) < UINT64_MAX);
}

static void
unit_lies_between_zero_and_one(void **state)
{
    double sum = 0;
    struct rng rng;

    (void)state;
    rng_init(&rng, 6);
    for (uint32_t i = 0; i < 100000; i++) {
        double value = rng_unit(&rng);

        assert_true(value >= 0 && value < 1);
        sum += value;
    }
    assert_in_range((uint64_t)sum, 49500, 50500);
}

static void
at_an_edge_every_draw_is_the_lowest_or_the_highest(void **state)
{
    struct rng lowest;
    struct rng highest;

    (void)state;
    rng_init_edge(&lowest, RNG_LOWEST);
    rng_init_edge(&highest, RNG_HIGHEST);
    for (uint64_t bound = 1; bound < 1000; bound += 37) {
        assert_int_equal(rng_below(&lowest, bound), 0);
        assert_int_equal(rng_below(&highest, bound), bound - 1);
    }
    assert_true(rng_unit(&lowest) == 0);
    assert_true(rng_unit(&highest) > 0.999 && rng_unit(&highest) < 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sequence_is_the_published_one),
        cmocka_unit_test(seeds_set_sequences_apart),
        cmocka_unit_test(below_is_even_and_in_range),
        cmocka_unit_test(unit_lies_between_zero_and_one),
        cmocka_unit_test(at_an_edge_every_draw_is_the_lowest_or_the_highest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
