/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/budget.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* 2026-01-31T23:59:59Z. */
#define NOW INT64_C(1769903999000)

static struct text text;
static Redial__V1__Budget budget;

static int
setup(void **state)
{
    (void)state;
    text_clear(&text);
    text.colour = false;
    redial__v1__budget__init(&budget);
    budget.target = (char *)(uintptr_t) "voice.Tts";
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    text_fini(&text);
    return 0;
}

static void
give_tokens(int64_t milli, bool is_exhausted)
{
    budget.has_tokens_milli = true;
    budget.tokens_milli = milli;
    budget.has_tokens_max_milli = true;
    budget.tokens_max_milli = 10000;
    budget.throttle_exhausted = is_exhausted;
}

static const char *
printed(void)
{
    const Redial__V1__Budget *list[] = {&budget};

    text_clear(&text);
    budget_add(&text, list, 1, NOW, 0);
    return text_string(&text);
}

static void
each_target_is_one_line_below_a_head(void **state)
{
    (void)state;
    give_tokens(7500, false);
    budget.has_budget_milli = true;
    budget.budget_milli = 12500;
    budget.retries_waiting = 3;
    budget.retries_allowed = 45;
    budget.retries_refused = 2;
    budget.hold_ms = 4200;
    assert_string_equal(
        printed(),
        "TARGET     THROTTLE                                             "
        "BUDGET     WAITING  ALLOWED  REFUSED  HELD\n"
        "voice.Tts  [##########|#####-----]  7.5 of 10, retries above 5  "
        "12.5 left        3       45        2  4.2 s, until "
        "2026-02-01T00:00:03.200Z\n");
}

static void
what_is_used_up_is_marked(void **state)
{
    (void)state;
    give_tokens(5000, true);
    budget.has_budget_milli = true;
    budget.budget_exhausted = true;
    assert_non_null(strstr(printed(), "[##########|----------]  5 of 10, "
                                      "retries above 5 EXHAUSTED  0 left "
                                      "EXHAUSTED "));
    text.colour = true;
    assert_non_null(strstr(printed(), "\033[31m[##########|----------]"));
}

static void
a_narrow_terminal_gets_less_words(void **state)
{
    const Redial__V1__Budget *list[] = {&budget};

    (void)state;
    give_tokens(4000, true);
    budget.hold_ms = 4200;
    budget_add(&text, list, 1, NOW, 80);
    assert_string_equal(text_string(&text),
                        "TARGET     THROTTLE                          "
                        "BUDGET  WAITING  ALLOWED  REFUSED  HELD\n"
                        "voice.Tts  [####-|-----]  4 of 10 EXHAUSTED  none   "
                        "       0        0        0  4.2 s\n");
}

static void
what_a_target_has_not_is_said(void **state)
{
    (void)state;
    assert_non_null(strstr(printed(), "voice.Tts  no throttle    none"));
    assert_null(strstr(printed(), "EXHAUSTED"));
}

static void
a_bar_is_never_longer_than_its_frame(void **state)
{
    (void)state;
    give_tokens(99999, false);
    assert_non_null(strstr(printed(), "[##########|##########]  99.999 of 10"));
    give_tokens(-5, true);
    assert_non_null(strstr(printed(), "[----------|----------]  -0.005 of 10"));
    budget.tokens_max_milli = 0;
    assert_non_null(strstr(printed(), "[----------|----------]"));
    budget.tokens_max_milli = INT64_MAX;
    budget.tokens_milli = INT64_MAX;
    assert_non_null(strstr(printed(), "[##########|##########]"));
}

static void
the_name_of_a_target_does_no_harm_to_a_terminal(void **state)
{
    (void)state;
    budget.target = (char *)(uintptr_t) "a\033[2J";
    assert_non_null(strstr(printed(), "\na?[2J  "));
    budget.target = NULL;
    assert_non_null(strstr(printed(), "no throttle"));
}

static void
figures_that_no_gateway_means_do_no_harm(void **state)
{
    (void)state;
    give_tokens(INT64_MIN, true);
    budget.has_budget_milli = true;
    budget.budget_milli = INT64_MIN;
    budget.retries_waiting = UINT64_MAX;
    budget.hold_ms = UINT64_MAX;
    assert_null(strstr(printed(), "until"));
    budget.hold_ms = INT64_MAX;
    assert_null(strstr(printed(), "until"));
}

static void
no_targets_are_no_table(void **state)
{
    (void)state;
    budget_add(&text, NULL, 0, NOW, 0);
    assert_string_equal(text_string(&text), "");
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, setup)
    const struct CMUnitTest tests[] = {
        TEST(each_target_is_one_line_below_a_head),
        TEST(what_is_used_up_is_marked),
        TEST(a_narrow_terminal_gets_less_words),
        TEST(what_a_target_has_not_is_said),
        TEST(a_bar_is_never_longer_than_its_frame),
        TEST(the_name_of_a_target_does_no_harm_to_a_terminal),
        TEST(figures_that_no_gateway_means_do_no_harm),
        TEST(no_targets_are_no_table),
    };

    return cmocka_run_group_tests(tests, NULL, teardown);
}
