/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/view.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define JOBS     20
#define ACCEPTED INT64_C(1769903999000)

static Redial__V1__Attempt attempts[JOBS];
static Redial__V1__Attempt *attempt_lists[JOBS][1];
static Redial__V1__Job jobs[JOBS];
static const Redial__V1__Job *job_list[JOBS];
static char ids[JOBS][37];
static struct text text;
static struct view view;

static char *
unconst(const char *string)
{
    return (char *)(uintptr_t)string;
}

/* Half of the jobs have succeeded, half run; each with one attempt. */
static int
setup(void **state)
{
    (void)state;
    for (size_t i = 0; i < JOBS; i++) {
        redial__v1__attempt__init(&attempts[i]);
        attempts[i].number = 1;
        attempts[i].worker = unconst("w");
        attempts[i].state = unconst(i % 2 == 0 ? "SUCCEEDED" : "RUNNING");
        attempt_lists[i][0] = &attempts[i];
        (void)snprintf(ids[i], sizeof(ids[i]),
                       "01890a5d-ac96-774b-bcce-b302099a80%02u", (unsigned)i);
        redial__v1__job__init(&jobs[i]);
        jobs[i].id = ids[i];
        jobs[i].service = unconst("s");
        jobs[i].method = unconst("m");
        jobs[i].state = i % 2 == 0 ? REDIAL__V1__JOB__STATE__SUCCEEDED
                                   : REDIAL__V1__JOB__STATE__RUNNING;
        jobs[i].attempts = attempt_lists[i];
        jobs[i].n_attempts = 1;
        job_list[i] = &jobs[i];
    }
    view = (struct view){
        .correlation_id = "story-42",
        .jobs = job_list,
        .job_count = 2,
        .now_ms = ACCEPTED,
    };
    text_clear(&text);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    text_fini(&text);
    return 0;
}

static size_t
lines_of(const char *string)
{
    size_t count = 0;

    for (; *string != '\0'; string++) {
        count += *string == '\n' ? 1 : 0;
    }
    return count;
}

static void
the_picture_shows_jobs_and_attempts(void **state)
{
    (void)state;
    assert_int_equal(view_add(&text, &view), 7);
    assert_string_equal(
        text_string(&text),
        "story-42  2 jobs: 1 RUNNING, 1 SUCCEEDED\n"
        "01890a5d-ac96-774b-bcce-b302099a8000  s/m  SUCCEEDED  after 0 "
        "attempts\n"
        "  #  started  took  worker  how it ended  then\n"
        "  1                 w       SUCCEEDED\n"
        "01890a5d-ac96-774b-bcce-b302099a8001  s/m  RUNNING  attempt 1\n"
        "  #  started  took  worker  how it ended  then\n"
        "  1                 w       RUNNING\n");
}

static void
no_line_is_longer_than_the_terminal(void **state)
{
    const char *line;

    (void)state;
    view.columns = 30;
    (void)view_add(&text, &view);
    assert_non_null(
        strstr(text_string(&text), "\n0189…9a8000  s/m  SUCCEEDED"));
    line = text_string(&text);
    while (*line != '\0') {
        char copy[256];
        size_t len = strcspn(line, "\n");

        (void)snprintf(copy, sizeof(copy), "%.*s", (int)len, line);
        assert_true(text_columns(copy) <= 30);
        line += len + 1;
    }
}

static void
a_small_terminal_drops_attempts_of_final_jobs_first(void **state)
{
    (void)state;
    view.rows = 7;
    assert_int_equal(view_add(&text, &view), 5);
    assert_null(strstr(text_string(&text), "w       SUCCEEDED"));
    assert_non_null(strstr(text_string(&text), "w       RUNNING"));
}

static void
what_does_not_fit_is_counted(void **state)
{
    (void)state;
    view.job_count = JOBS;
    view.rows = 10;
    assert_int_equal(view_add(&text, &view), 9);
    assert_int_equal(lines_of(text_string(&text)), 9);
    assert_non_null(strstr(text_string(&text), "\nand 13 more\n"));
}

static void
a_picture_is_drawn_over_the_one_before(void **state)
{
    (void)state;
    view.job_count = 0;
    assert_int_equal(view_add_again(&text, &view, 0), 1);
    assert_string_equal(text_string(&text), "story-42  0 jobs\033[K\n\033[J");
    text_clear(&text);
    assert_int_equal(view_add_again(&text, &view, 7), 1);
    assert_string_equal(text_string(&text),
                        "\033[7A\rstory-42  0 jobs\033[K\n\033[J");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_picture_shows_jobs_and_attempts, setup),
        cmocka_unit_test_setup(no_line_is_longer_than_the_terminal, setup),
        cmocka_unit_test_setup(
            a_small_terminal_drops_attempts_of_final_jobs_first, setup),
        cmocka_unit_test_setup(what_does_not_fit_is_counted, setup),
        cmocka_unit_test_setup(a_picture_is_drawn_over_the_one_before, setup),
    };

    return cmocka_run_group_tests(tests, NULL, teardown);
}
