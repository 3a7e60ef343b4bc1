/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/exit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void
codes_are_distinct_and_have_meanings(void **state)
{
    (void)state;
    for (size_t i = 0; i < exit_meaning_count; i++) {
        assert_true(strlen(exit_meanings[i].meaning) > 0);
        for (size_t k = 0; k < i; k++) {
            assert_true(exit_meanings[k].code < exit_meanings[i].code);
        }
    }
}

static void
numbers_stay_what_scripts_know(void **state)
{
    (void)state;
    assert_int_equal(EXIT_DONE, 0);
    assert_int_equal(EXIT_FAILED, 1);
    assert_int_equal(EXIT_USAGE, 2);
    assert_int_equal(EXIT_PENDING, 3);
    assert_int_equal(EXIT_NOT_FOUND, 4);
    assert_int_equal(EXIT_REFUSED, 5);
    assert_int_equal(EXIT_UNREACHABLE, 6);
    assert_int_equal(EXIT_INTERNAL, 70);
}

static void
every_status_has_an_exit_code(void **state)
{
    (void)state;
    assert_int_equal(exit_of_status(REDIAL_OK), EXIT_DONE);
    assert_int_equal(exit_of_status(REDIAL_DEADLINE_EXCEEDED), EXIT_PENDING);
    assert_int_equal(exit_of_status(REDIAL_NOT_FOUND), EXIT_NOT_FOUND);
    assert_int_equal(exit_of_status(REDIAL_UNAVAILABLE), EXIT_UNREACHABLE);
    assert_int_equal(exit_of_status(REDIAL_RESOURCE_EXHAUSTED), EXIT_REFUSED);
    assert_int_equal(exit_of_status(REDIAL_FAILED_PRECONDITION), EXIT_REFUSED);
    assert_int_equal(exit_of_status(REDIAL_ALREADY_EXISTS), EXIT_REFUSED);
    assert_int_equal(exit_of_status(REDIAL_INVALID_ARGUMENT), EXIT_REFUSED);
    assert_int_equal(exit_of_status(REDIAL_PERMISSION_DENIED), EXIT_REFUSED);
    assert_int_equal(exit_of_status(REDIAL_UNAUTHENTICATED), EXIT_REFUSED);
    assert_int_equal(exit_of_status(REDIAL_UNIMPLEMENTED), EXIT_REFUSED);
    assert_int_equal(exit_of_status(REDIAL_INTERNAL), EXIT_INTERNAL);
    assert_int_equal(exit_of_status(REDIAL_DATA_LOSS), EXIT_INTERNAL);
    for (int i = 1; i < REDIAL_STATUS_COUNT; i++) {
        assert_int_not_equal(exit_of_status((enum redial_status)i), EXIT_DONE);
    }
}

static void
only_success_is_done(void **state)
{
    (void)state;
    assert_int_equal(exit_of_state(REDIAL__V1__JOB__STATE__SUCCEEDED),
                     EXIT_DONE);
    assert_int_equal(exit_of_state(REDIAL__V1__JOB__STATE__FAILED),
                     EXIT_FAILED);
    assert_int_equal(exit_of_state(REDIAL__V1__JOB__STATE__CANCELLED),
                     EXIT_FAILED);
    assert_int_equal(exit_of_state(REDIAL__V1__JOB__STATE__EXPIRED),
                     EXIT_FAILED);
    assert_int_equal(exit_of_state(REDIAL__V1__JOB__STATE__PARKED),
                     EXIT_PENDING);
    assert_int_equal(exit_of_state(REDIAL__V1__JOB__STATE__READY),
                     EXIT_PENDING);
}

static void
of_several_jobs_the_worst_counts(void **state)
{
    static const enum exit_code order[] = {EXIT_PENDING, EXIT_FAILED,
                                           EXIT_NOT_FOUND, EXIT_DONE};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        for (size_t k = i; k < 4; k++) {
            assert_int_equal(exit_worse(order[i], order[k]), order[i]);
            assert_int_equal(exit_worse(order[k], order[i]), order[i]);
        }
    }
    assert_int_equal(exit_worse(EXIT_DONE, EXIT_REFUSED), EXIT_REFUSED);
    assert_int_equal(exit_worse(EXIT_REFUSED, EXIT_DONE), EXIT_REFUSED);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_are_distinct_and_have_meanings),
        cmocka_unit_test(numbers_stay_what_scripts_know),
        cmocka_unit_test(every_status_has_an_exit_code),
        cmocka_unit_test(only_success_is_done),
        cmocka_unit_test(of_several_jobs_the_worst_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
