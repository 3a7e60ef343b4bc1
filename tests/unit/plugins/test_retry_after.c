/* SPDX-License-Identifier: Apache-2.0 */
#include "server/plugins/http/retry_after.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Sun, 06 Nov 1994 08:49:37 GMT, the date in all examples of the RFC. */
static const int64_t example_ms = (int64_t)784111777 * 1000;

static void
check(const char *value, int64_t now_ms, int64_t wanted_ms)
{
    int64_t ms = -1;
    if (!retry_after_read(value, now_ms, &ms)) {
        fail_msg("\"%s\" was not read", value);
    }
    assert_int_equal(ms, wanted_ms);
}

static void
seconds_are_read(void **state)
{
    (void)state;
    check("0", example_ms, 0);
    check("1", example_ms, 1000);
    check("120", 0, 120000);
    check("0000120", 0, 120000);
}

static void
many_seconds_are_clamped(void **state)
{
    (void)state;
    int64_t century_ms = (int64_t)100 * 365 * 86400 * 1000;
    check("3153600000", 0, century_ms);
    check("3153600001", 0, century_ms);
    check("99999999999999999999999999999999", 0, century_ms);
}

static void
all_three_forms_of_a_date_are_read(void **state)
{
    (void)state;
    check("Sun, 06 Nov 1994 08:49:37 GMT", example_ms - 5000, 5000);
    check("Sunday, 06-Nov-94 08:49:37 GMT", example_ms - 5000, 5000);
    check("Sun Nov  6 08:49:37 1994", example_ms - 5000, 5000);
    check("Wed Nov 16 08:49:37 1994", example_ms, (int64_t)10 * 86400000);
}

static void
a_date_in_the_past_means_now(void **state)
{
    (void)state;
    check("Sun, 06 Nov 1994 08:49:37 GMT", example_ms, 0);
    check("Sun, 06 Nov 1994 08:49:37 GMT", example_ms + 1, 0);
    check("Thu, 01 Jan 1970 00:00:00 GMT", example_ms, 0);
}

static void
two_digits_mean_the_year_that_is_near(void **state)
{
    (void)state;
    int64_t now_ms = (int64_t)1767225600 * 1000; /* 2026-01-01 */
    check("Thursday, 01-Jan-26 00:00:10 GMT", now_ms, 10000);
    check("Sunday, 06-Nov-94 08:49:37 GMT", now_ms, 0); /* 1994 */
}

static void
fractions_of_a_second_count(void **state)
{
    (void)state;
    check("Sun, 06 Nov 1994 08:49:37 GMT", example_ms - 1, 1);
}

static void
leap_days_and_seconds_exist(void **state)
{
    (void)state;
    check("Thu, 29 Feb 2024 00:00:01 GMT", (int64_t)1709164800 * 1000, 1000);
    check("Sat, 31 Dec 2016 23:59:60 GMT", (int64_t)1483228799 * 1000, 1000);
}

static void
everything_else_is_refused(void **state)
{
    (void)state;
    static const char *const values[] = {
        "",
        " ",
        "-1",
        "+1",
        "1.5",
        "1s",
        "0x10",
        "1 2",
        "soon",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        "Sun, 06 Nov 1994 08:49:37 GMT+1",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "sun, 06 nov 1994 08:49:37 gmt",
        "Xxx, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Foo 1994 08:49:37 GMT",
        "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 32 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:00 GMT",
        "Sun, 06 Nov 1994 08:00:61 GMT",
        ", 06-Nov-94 08:49:37 GMT",
        "Someday, 06-Nov-94 08:49:37 GMT",
        "1994-11-06T08:49:37Z",
        "Sun Nov 06 08:49:37 19940",
    };
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        int64_t ms = -7;
        if (retry_after_read(values[i], example_ms, &ms)) {
            fail_msg("\"%s\" was read", values[i]);
        }
        assert_int_equal(ms, -7);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seconds_are_read),
        cmocka_unit_test(many_seconds_are_clamped),
        cmocka_unit_test(all_three_forms_of_a_date_are_read),
        cmocka_unit_test(a_date_in_the_past_means_now),
        cmocka_unit_test(two_digits_mean_the_year_that_is_near),
        cmocka_unit_test(fractions_of_a_second_count),
        cmocka_unit_test(leap_days_and_seconds_exist),
        cmocka_unit_test(everything_else_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
