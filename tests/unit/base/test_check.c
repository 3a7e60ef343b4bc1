/* SPDX-License-Identifier: Apache-2.0 */
#include "server/base/check.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void
an_assertion_that_holds_does_nothing(void **state)
{
    int one = 1;

    (void)state;
    redial_assert(one == 1);
    if (one != 1) {
        redial_assert(one == 2);
    } else {
        one = 2;
    }
    assert_int_equal(one, 2);
}

static void
a_failed_assertion_names_its_place_and_aborts(void **state)
{
    char said[256] = "";
    int ends[2];
    int status = 0;

    (void)state;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();

    if (child == 0) {
        (void)dup2(ends[1], STDERR_FILENO);
        redial_assert_failed("1 + 1 == 3", "sums.c", 17);
    }
    close(ends[1]);
    ssize_t len = read(ends[0], said, sizeof(said) - 1);

    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_true(len > 0);
    assert_non_null(strstr(said, "1 + 1 == 3"));
    assert_non_null(strstr(said, "sums.c:17"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_assertion_that_holds_does_nothing),
        cmocka_unit_test(a_failed_assertion_names_its_place_and_aborts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
