/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/units.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint64_t
parsed(const char *string)
{
    uint64_t ms = UINT64_MAX;

    assert_null(units_parse_duration(string, &ms));
    return ms;
}

static void
refused(const char *string, const char *why)
{
    uint64_t ms = 7;
    const char *problem = units_parse_duration(string, &ms);

    assert_non_null(problem);
    assert_string_equal(problem, why);
    assert_int_equal(ms, 7);
}

static void
durations_of_every_unit_are_understood(void **state)
{
    (void)state;
    assert_int_equal(parsed("500ms"), 500);
    assert_int_equal(parsed("2s"), 2000);
    assert_int_equal(parsed("1.5s"), 1500);
    assert_int_equal(parsed("3m"), 180000);
    assert_int_equal(parsed("1h"), 3600000);
    assert_int_equal(parsed("2d"), 172800000);
    assert_int_equal(parsed("0ms"), 0);
    assert_int_equal(parsed("1h30m"), 5400000);
    assert_int_equal(parsed("0.001s"), 1);
    assert_int_equal(parsed("3650d"), UNITS_DURATION_MS_MAX);
}

static void
what_is_no_duration_is_refused_with_the_reason(void **state)
{
    (void)state;
    refused("", "is empty");
    refused("30", "has no unit");
    refused("1.5", "has no unit");
    refused("s", "is not a duration");
    refused("-1s", "is not a duration");
    refused("1.s", "is not a duration");
    refused("1x", "has an unknown unit");
    refused("1s ", "is not a duration");
    refused("0.0001s", "is finer than a millisecond");
    refused("0.5ms", "is finer than a millisecond");
    refused("3651d", "is longer than 10 years");
    refused("3650d1s", "is longer than 10 years");
    refused("1234567890123s", "has too many digits");
    refused("1.1234567890s", "has too many digits");
}

static void
numbers_are_kept_within_their_bounds(void **state)
{
    uint64_t number = 7;

    (void)state;
    assert_true(units_parse_number("0", 0, 9, &number));
    assert_int_equal(number, 0);
    assert_true(units_parse_number("9", 0, 9, &number));
    assert_int_equal(number, 9);
    assert_false(units_parse_number("10", 0, 9, &number));
    assert_false(units_parse_number("-1", 0, 9, &number));
    assert_false(units_parse_number(" 1", 0, 9, &number));
    assert_false(units_parse_number("1x", 0, 9, &number));
    assert_false(units_parse_number("", 0, 9, &number));
    assert_false(
        units_parse_number("18446744073709551616", 0, UINT64_MAX, &number));
    assert_int_equal(number, 9);
}

static void
duration_reads(uint64_t ms, const char *expected)
{
    struct text text = {.at = NULL};

    units_add_duration(&text, ms);
    assert_string_equal(text_string(&text), expected);
    text_fini(&text);
}

static void
durations_are_written_with_two_units_at_most(void **state)
{
    (void)state;
    duration_reads(0, "0 ms");
    duration_reads(999, "999 ms");
    duration_reads(1000, "1 s");
    duration_reads(8000, "8 s");
    duration_reads(9200, "9.2 s");
    duration_reads(9999, "9.9 s");
    duration_reads(41900, "41 s");
    duration_reads(60000, "1 m");
    duration_reads(123000, "2 m 3 s");
    duration_reads(3600000, "1 h");
    duration_reads(10920000, "3 h 2 m");
    duration_reads(86400000, "1 d");
    duration_reads(187200000, "2 d 4 h");
    duration_reads(UINT64_MAX, "213503982334 d 14 h");
}

static void
time_that_has_passed_is_no_time(void **state)
{
    struct text text = {.at = NULL};

    (void)state;
    units_add_between(&text, 5000, 4000);
    text_add(&text, ", ");
    units_add_between(&text, 4000, 5000);
    assert_string_equal(text_string(&text), "0 ms, 1 s");
    text_fini(&text);
}

static void
bytes_read(uint64_t bytes, const char *expected)
{
    struct text text = {.at = NULL};

    units_add_bytes(&text, bytes);
    assert_string_equal(text_string(&text), expected);
    text_fini(&text);
}

static void
sizes_are_written_in_powers_of_1024(void **state)
{
    (void)state;
    bytes_read(0, "0 B");
    bytes_read(1023, "1023 B");
    bytes_read(1024, "1 KiB");
    bytes_read(2150, "2 KiB");
    bytes_read(2200, "2.1 KiB");
    bytes_read(10 * 1024 + 900, "10 KiB");
    bytes_read(3 * 1048576, "3 MiB");
    bytes_read(UINT64_C(5) << 40, "5 TiB");
    bytes_read(UINT64_C(5) << 50, "5120 TiB");
}

static void
milli_reads(int64_t milli, const char *expected)
{
    struct text text = {.at = NULL};

    units_add_milli(&text, milli);
    assert_string_equal(text_string(&text), expected);
    text_fini(&text);
}

static void
thousandths_are_written_as_short_as_they_are_exact(void **state)
{
    (void)state;
    milli_reads(0, "0");
    milli_reads(7500, "7.5");
    milli_reads(-8000, "-8");
    milli_reads(-125, "-0.125");
    milli_reads(1001, "1.001");
    milli_reads(90, "0.09");
    milli_reads(INT64_MIN, "-9223372036854775.808");
}

static void
points_in_time_are_written_in_utc(void **state)
{
    struct text text = {.at = NULL};

    (void)state;
    units_add_wall(&text, 0);
    text_add(&text, " ");
    units_add_wall(&text, INT64_C(1769903999123));
    text_add(&text, " ");
    units_add_wall(&text, -1);
    assert_string_equal(text_string(&text),
                        "1970-01-01T00:00:00.000Z 2026-01-31T23:59:59.123Z "
                        "1969-12-31T23:59:59.999Z");
    text_fini(&text);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_of_every_unit_are_understood),
        cmocka_unit_test(what_is_no_duration_is_refused_with_the_reason),
        cmocka_unit_test(numbers_are_kept_within_their_bounds),
        cmocka_unit_test(durations_are_written_with_two_units_at_most),
        cmocka_unit_test(time_that_has_passed_is_no_time),
        cmocka_unit_test(sizes_are_written_in_powers_of_1024),
        cmocka_unit_test(thousandths_are_written_as_short_as_they_are_exact),
        cmocka_unit_test(points_in_time_are_written_in_utc),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
