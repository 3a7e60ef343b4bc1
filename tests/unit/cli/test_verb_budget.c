/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cli/fake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int
teardown(void **state)
{
    (void)state;
    fake_end();
    return 0;
}

/* One target, or none if it is NULL. */
static void
answer_budgets(const char *target, const char *cursor)
{
    Redial__V1__BudgetsResponse answer = REDIAL__V1__BUDGETS_RESPONSE__INIT;
    Redial__V1__Budget budget = REDIAL__V1__BUDGET__INIT;
    Redial__V1__Budget *list[] = {&budget};

    budget.target = (char *)(uintptr_t)target;
    budget.has_retries_waiting = true;
    budget.retries_waiting = 3;
    answer.budgets = list;
    answer.n_budgets = target != NULL ? 1 : 0;
    answer.cursor = (char *)(uintptr_t)cursor;
    fake_answer("Budgets", &answer.base);
}

static void
all_targets_are_read_page_by_page(void **state)
{
    (void)state;
    fake_begin("budget");
    answer_budgets("a.B", "next");
    answer_budgets("c.D", "");
    assert_int_equal(fake_run(), EXIT_DONE);
    assert_string_equal(fake_request(1), "{\"max\":1000}");
    assert_string_equal(fake_request(2), "{\"max\":1000,\"cursor\":\"next\"}");
    assert_string_equal(fake_out(), "TARGET  THROTTLE       BUDGET  WAITING  "
                                    "ALLOWED  REFUSED  HELD\n"
                                    "a.B     no throttle    none          3  "
                                    "      0        0\n"
                                    "c.D     no throttle    none          3  "
                                    "      0        0\n");
}

static void
one_target_is_asked_for_by_name(void **state)
{
    (void)state;
    fake_begin("budget a.B --json");
    answer_budgets("a.B", NULL);
    assert_int_equal(fake_run(), EXIT_DONE);
    assert_string_equal(fake_request(1), "{\"target\":\"a.B\",\"max\":1000}");
    assert_string_equal(fake_out(),
                        "{\"target\":\"a.B\",\"retries_waiting\":\"3\"}\n");
}

static void
a_target_that_is_not_there_is_not_found(void **state)
{
    (void)state;
    fake_begin("budget a.B");
    answer_budgets(NULL, NULL);
    assert_int_equal(fake_run(), EXIT_NOT_FOUND);
    assert_string_equal(fake_err(),
                        "redial budget: NOT_FOUND: there is no target a.B\n"
                        "  What targets there are: redial budget\n");
    fake_begin("budget");
    answer_budgets(NULL, NULL);
    assert_int_equal(fake_run(), EXIT_DONE);
    assert_string_equal(fake_out(),
                        "no target has a throttle, a budget or retries yet\n");
}

static void
watching_goes_on_until_the_timeout(void **state)
{
    (void)state;
    fake_begin("budget --watch --json");
    answer_budgets("a.B", NULL);
    answer_budgets("a.B", NULL);
    answer_budgets(NULL, NULL);
    fake_end_time_at(3);
    assert_int_equal(fake_run(), EXIT_DONE);
    assert_string_equal(fake_out(),
                        "{\"target\":\"a.B\",\"retries_waiting\":\"3\"}\n"
                        "{\"target\":\"a.B\",\"retries_waiting\":\"3\"}\n");
}

static void
watching_survives_a_gateway_that_is_away_for_a_while(void **state)
{
    (void)state;
    fake_begin("budget --watch");
    answer_budgets("a.B", NULL);
    fake_refuse("Budgets", REDIAL_UNAVAILABLE, "", "restarting");
    answer_budgets("a.B", NULL);
    fake_end_time_at(3);
    assert_int_equal(fake_run(), EXIT_DONE);
    assert_non_null(strstr(fake_err(), "the gateway is away, trying again"));
}

static void
what_the_gateway_refuses_is_told(void **state)
{
    (void)state;
    fake_begin("budget");
    fake_refuse("Budgets", REDIAL_PERMISSION_DENIED, "ROLE", "not here");
    assert_int_equal(fake_run(), EXIT_REFUSED);
    assert_non_null(strstr(fake_err(), "not here"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_targets_are_read_page_by_page),
        cmocka_unit_test(one_target_is_asked_for_by_name),
        cmocka_unit_test(a_target_that_is_not_there_is_not_found),
        cmocka_unit_test(watching_goes_on_until_the_timeout),
        cmocka_unit_test(watching_survives_a_gateway_that_is_away_for_a_while),
        cmocka_unit_test(what_the_gateway_refuses_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, teardown);
}
