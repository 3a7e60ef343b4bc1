/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/nearest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *
nearest_of(const char *wanted)
{
    static const char *const known[] = {
        "submit", "call", "await", "show", "list", "stats", "correlation-id"};
    struct nearest nearest = {.wanted = wanted};

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        nearest_try(&nearest, known[i]);
    }
    return nearest.best;
}

static void
distance_counts_edits_and_swaps(void **state)
{
    (void)state;
    assert_int_equal(nearest_distance("", ""), 0);
    assert_int_equal(nearest_distance("abc", "abc"), 0);
    assert_int_equal(nearest_distance("", "abc"), 3);
    assert_int_equal(nearest_distance("abc", ""), 3);
    assert_int_equal(nearest_distance("abc", "abd"), 1);
    assert_int_equal(nearest_distance("abc", "acb"), 1);
    assert_int_equal(nearest_distance("abc", "ab"), 1);
    assert_int_equal(nearest_distance("kitten", "sitting"), 3);
    assert_int_equal(nearest_distance("submti", "submit"), 1);
}

static void
long_names_are_compared_by_their_beginning(void **state)
{
    (void)state;
    assert_int_equal(
        nearest_distance("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaabbb"),
        0);
}

static void
a_mistyped_name_finds_its_neighbour(void **state)
{
    (void)state;
    assert_string_equal(nearest_of("sumbit"), "submit");
    assert_string_equal(nearest_of("lsit"), "list");
    assert_string_equal(nearest_of("stat"), "stats");
    assert_string_equal(nearest_of("correlation"), "correlation-id");
    assert_string_equal(nearest_of("corelation-id"), "correlation-id");
}

static void
another_word_finds_nothing(void **state)
{
    (void)state;
    assert_null(nearest_of("frobnicate"));
    assert_null(nearest_of("x"));
    assert_null(nearest_of(""));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(distance_counts_edits_and_swaps),
        cmocka_unit_test(long_names_are_compared_by_their_beginning),
        cmocka_unit_test(a_mistyped_name_finds_its_neighbour),
        cmocka_unit_test(another_word_finds_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
