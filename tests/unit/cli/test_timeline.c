/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/timeline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ACCEPTED INT64_C(1769903999000)

/* A job that failed twice and runs again, with all that it points to. */
static Redial__V1__Outcome outcome = REDIAL__V1__OUTCOME__INIT;
static Redial__V1__Decision decisions[2];
static Redial__V1__Attempt attempts[3];
static Redial__V1__Attempt *attempt_list[3];
static Redial__V1__Job job;
static struct text text;

static char *
unconst(const char *string)
{
    return (char *)(uintptr_t)string;
}

static void
fill_attempt(size_t i, int64_t started_ms, int64_t ended_ms)
{
    Redial__V1__Attempt *attempt = &attempts[i];

    redial__v1__attempt__init(attempt);
    attempt->number = (uint32_t)i + 1;
    attempt->worker = unconst("image-worker");
    attempt->has_started_wall_ms = true;
    attempt->started_wall_ms = ACCEPTED + started_ms;
    attempt->state = unconst("RUNNING");
    if (ended_ms > 0) {
        attempt->has_ended_wall_ms = true;
        attempt->ended_wall_ms = ACCEPTED + ended_ms;
        attempt->has_charged = true;
        attempt->charged = true;
        attempt->state = unconst("FAILED");
        attempt->outcome = &outcome;
        redial__v1__decision__init(&decisions[i]);
        decisions[i].rule = unconst("RETRY_PLANNED");
        decisions[i].has_delay_ms = true;
        decisions[i].delay_ms = 1000;
        decisions[i].delay_source = unconst("pushback");
        attempt->decision = &decisions[i];
    }
    attempt_list[i] = attempt;
}

static int
setup(void **state)
{
    (void)state;
    outcome.code = REDIAL__V1__CODE__UNAVAILABLE;
    outcome.reason = unconst("HTTP_503");
    fill_attempt(0, 12, 1212);
    fill_attempt(1, 2212, 2300);
    fill_attempt(2, 3300, 0);
    attempts[1].charged = false;
    redial__v1__job__init(&job);
    job.id = unconst("01890a5d-ac96-774b-bcce-b302099a8057");
    job.correlation_id = job.id;
    job.service = unconst("image.ImageGen");
    job.method = unconst("Generate");
    job.state = REDIAL__V1__JOB__STATE__RUNNING;
    job.has_accepted_wall_ms = true;
    job.accepted_wall_ms = ACCEPTED;
    job.attempts_charged = 1;
    job.has_max_attempts = true;
    job.max_attempts = 5;
    job.attempts = attempt_list;
    job.n_attempts = 3;
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

static void
add_attempts(size_t max, bool why, bool narrow)
{
    struct timeline_options options = {
        .attempts_max = max, .why = why, .narrow = narrow};

    timeline_add_attempts(&text, &job, ACCEPTED + 4000, &options);
}

static void
the_head_names_what_was_asked_for(void **state)
{
    (void)state;
    job.correlation_id = unconst("story-42");
    job.key = unconst("fox");
    job.has_payload_bytes = true;
    job.payload_bytes = 2200;
    job.has_priority = true;
    job.priority = 7;
    job.has_history_trimmed = true;
    job.history_trimmed = true;
    timeline_add_head(&text, &job, ACCEPTED + 4000);
    assert_string_equal(text_string(&text),
                        "01890a5d-ac96-774b-bcce-b302099a8057  "
                        "image.ImageGen/Generate  RUNNING  attempt 2 of 5, 4 s "
                        "so far\n"
                        "  correlation id story-42\n"
                        "  key            fox\n"
                        "  accepted       2026-01-31T23:59:59.000Z, payload "
                        "2.1 KiB, priority 7\n"
                        "  earlier attempts are not kept any more\n");
}

static void
a_correlation_id_that_is_the_id_is_not_repeated(void **state)
{
    (void)state;
    timeline_add_head(&text, &job, ACCEPTED + 4000);
    assert_null(strstr(text_string(&text), "correlation id"));
}

static void
each_attempt_is_one_line(void **state)
{
    (void)state;
    add_attempts(0, false, false);
    assert_string_equal(text_string(&text),
                        "  #  started    took  worker        how it ended      "
                        "                  "
                        "then\n"
                        "  1   +12 ms   1.2 s  image-worker  FAILED "
                        "UNAVAILABLE HTTP_503         "
                        "retry in 1 s (pushback)\n"
                        "  2   +2.2 s   88 ms  image-worker  FAILED "
                        "UNAVAILABLE HTTP_503 (free)  "
                        "retry in 1 s (pushback)\n"
                        "  3   +3.3 s  700 ms  image-worker  RUNNING\n");
}

static void
an_attempt_runs_no_longer_than_its_job(void **state)
{
    (void)state;
    job.state = REDIAL__V1__JOB__STATE__CANCELLED;
    job.has_state_since_wall_ms = true;
    job.state_since_wall_ms = ACCEPTED + 3500;
    add_attempts(1, false, false);
    assert_non_null(strstr(text_string(&text),
                           "  3   +3.3 s  200 ms  image-worker  STOPPED\n"));
}

static void
the_last_attempts_may_be_enough(void **state)
{
    (void)state;
    add_attempts(1, false, false);
    assert_string_equal(text_string(&text),
                        "  #  started    took  worker        how it ended  "
                        "then\n"
                        "  3   +3.3 s  700 ms  image-worker  RUNNING\n");
}

static void
a_narrow_table_leaves_the_worker_out(void **state)
{
    (void)state;
    add_attempts(1, false, true);
    assert_string_equal(text_string(&text),
                        "  #  started    took  how it ended  then\n"
                        "  3   +3.3 s  700 ms  RUNNING\n");
}

static void
why_stands_below_its_attempt(void **state)
{
    const char *first;
    const char *second;

    (void)state;
    add_attempts(0, true, false);
    first = strstr(text_string(&text), "        RETRY_PLANNED: ");
    second = strstr(text_string(&text), "\n  2 ");
    assert_non_null(first);
    assert_non_null(second);
    assert_true(first < second);
    assert_non_null(strstr(second,
                           "        delay     1000 ms = pushback of the "
                           "worker\n"));
    assert_non_null(strstr(second, "\n  3 "));
}

static void
a_job_without_attempts_has_no_table(void **state)
{
    (void)state;
    job.n_attempts = 0;
    add_attempts(0, true, false);
    assert_string_equal(text_string(&text), "");
}

static void
hedges_say_beside_which_attempts_they_ran(void **state)
{
    (void)state;
    attempts[1].started_wall_ms = ACCEPTED + 500;
    attempts[2].started_wall_ms = ACCEPTED + 1000;
    decisions[0].rule = unconst("HEDGE_LOST");
    decisions[0].has_delay_ms = false;
    attempts[0].charged = false;
    attempts[0].state = unconst("FAILED");
    add_attempts(0, false, true);
    assert_non_null(
        strstr(text_string(&text), "CANCELLED (lost the race, free) "));
    assert_non_null(strstr(text_string(&text),
                           "UNAVAILABLE HTTP_503 (hedge beside attempt 1, "
                           "free) "));
    assert_non_null(
        strstr(text_string(&text), "RUNNING (hedge beside attempt 1, 2)\n"));
    text_clear(&text);
    add_attempts(0, true, true);
    assert_non_null(strstr(text_string(&text),
                           "        hedge     hedge beside attempt 1\n"));
}

static void
a_hedge_whose_other_is_forgotten_is_still_one(void **state)
{
    (void)state;
    attempts[2].hedge = true;
    attempts[0].overloaded = true;
    add_attempts(0, false, true);
    assert_non_null(strstr(text_string(&text), "RUNNING (hedge)\n"));
    text_clear(&text);
    add_attempts(0, true, true);
    assert_non_null(strstr(text_string(&text), "HTTP_503, overloaded\n"));
    attempts[2].hedge = false;
    attempts[0].overloaded = false;
}

static void
an_attempt_that_starts_as_another_ends_is_no_hedge(void **state)
{
    (void)state;
    attempts[1].started_wall_ms = attempts[0].ended_wall_ms;
    add_attempts(0, true, false);
    assert_null(strstr(text_string(&text), "hedge"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_head_names_what_was_asked_for, setup),
        cmocka_unit_test_setup(a_correlation_id_that_is_the_id_is_not_repeated,
                               setup),
        cmocka_unit_test_setup(each_attempt_is_one_line, setup),
        cmocka_unit_test_setup(an_attempt_runs_no_longer_than_its_job, setup),
        cmocka_unit_test_setup(the_last_attempts_may_be_enough, setup),
        cmocka_unit_test_setup(a_narrow_table_leaves_the_worker_out, setup),
        cmocka_unit_test_setup(why_stands_below_its_attempt, setup),
        cmocka_unit_test_setup(hedges_say_beside_which_attempts_they_ran,
                               setup),
        cmocka_unit_test_setup(a_hedge_whose_other_is_forgotten_is_still_one,
                               setup),
        cmocka_unit_test_setup(
            an_attempt_that_starts_as_another_ends_is_no_hedge, setup),
        cmocka_unit_test_setup(a_job_without_attempts_has_no_table, setup),
    };

    return cmocka_run_group_tests(tests, NULL, teardown);
}
