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

#define UNCONST(string) ((char *)(uintptr_t)(string))

static void
answer_get(Redial__V1__Job *job)
{
    Redial__V1__GetResponse response = REDIAL__V1__GET_RESPONSE__INIT;

    response.job = job;
    fake_answer("Get", &response.base);
}

static void
show_finds_a_job_by_id_and_by_key(void **state)
{
    Redial__V1__Job job = fake_job(FAKE_ID_1, REDIAL__V1__JOB__STATE__READY);

    (void)state;
    fake_begin("show " FAKE_ID_1);
    answer_get(&job);
    assert_int_equal(fake_run(), EXIT_DONE);
    assert_string_equal(fake_request(1), "{\"id\":\"" FAKE_ID_1 "\"}");
    assert_non_null(strstr(fake_out(), FAKE_ID_1
                           "  image.ImageGen/Generate  READY  attempt 2 of 5, "
                           "5 s so far\n  correlation id story-42\n"));
    fake_begin("show --key fox --tenant red");
    answer_get(&job);
    assert_int_equal(fake_run(), EXIT_DONE);
    assert_string_equal(fake_request(1),
                        "{\"key\":\"fox\",\"tenant\":\"red\"}");
}

static void
show_prints_the_job_as_json(void **state)
{
    Redial__V1__Job job = fake_job(FAKE_ID_1, REDIAL__V1__JOB__STATE__READY);

    (void)state;
    fake_begin("show -j " FAKE_ID_1);
    answer_get(&job);
    assert_int_equal(fake_run(), EXIT_DONE);
    assert_int_equal(strncmp(fake_out(), "{\"id\":\"" FAKE_ID_1 "\",", 45), 0);
}

static void
a_job_is_named_in_one_way(void **state)
{
    (void)state;
    fake_begin("show");
    assert_int_equal(fake_run(), EXIT_USAGE);
    fake_begin("show -k fox " FAKE_ID_1);
    assert_int_equal(fake_run(), EXIT_USAGE);
    fake_begin("cancel 17");
    assert_int_equal(fake_run(), EXIT_USAGE);
    assert_non_null(strstr(fake_err(), "\"17\" is not the id of a job"));
}

static void
a_job_that_is_not_there_is_not_found(void **state)
{
    (void)state;
    fake_begin("show -k fox");
    fake_refuse("Get", REDIAL_NOT_FOUND, "", "no such job");
    assert_int_equal(fake_run(), EXIT_NOT_FOUND);
    fake_begin("show -k fox");
    answer_get(NULL);
    assert_int_equal(fake_run(), EXIT_NOT_FOUND);
}

static void
answer_cancel(Redial__V1__Job__State job_state, bool cancelled)
{
    Redial__V1__CancelResponse response = REDIAL__V1__CANCEL_RESPONSE__INIT;

    response.has_state = true;
    response.state = job_state;
    response.has_cancelled = true;
    response.cancelled = cancelled;
    fake_answer("Cancel", &response.base);
}

static void
cancel_tells_whether_it_came_in_time(void **state)
{
    (void)state;
    fake_begin("cancel -k fox --reason too_late");
    answer_cancel(REDIAL__V1__JOB__STATE__CANCELLED, true);
    assert_int_equal(fake_run(), EXIT_DONE);
    assert_string_equal(fake_out(), "cancelled\n");
    assert_string_equal(fake_request(1),
                        "{\"key\":\"fox\",\"reason\":\"too late\"}");
    fake_begin("cancel " FAKE_ID_1);
    answer_cancel(REDIAL__V1__JOB__STATE__CANCELLED, false);
    assert_int_equal(fake_run(), EXIT_DONE);
    fake_begin("cancel " FAKE_ID_1);
    answer_cancel(REDIAL__V1__JOB__STATE__SUCCEEDED, false);
    assert_int_equal(fake_run(), EXIT_REFUSED);
    assert_string_equal(fake_out(), "SUCCEEDED before: nothing to cancel\n");
}

static void
answer_list(const char *cursor, Redial__V1__Job **jobs, size_t count)
{
    Redial__V1__ListResponse response = REDIAL__V1__LIST_RESPONSE__INIT;

    response.jobs = jobs;
    response.n_jobs = count;
    response.cursor = UNCONST(cursor);
    fake_answer("List", &response.base);
}

static void
list_is_a_table(void **state)
{
    Redial__V1__Job one = fake_job(FAKE_ID_1, REDIAL__V1__JOB__STATE__BACKOFF);
    Redial__V1__Job two = fake_job(FAKE_ID_2, REDIAL__V1__JOB__STATE__READY);
    Redial__V1__Outcome failure = REDIAL__V1__OUTCOME__INIT;
    Redial__V1__Job *jobs[] = {&one, &two};

    (void)state;
    one.has_next_wall_ms = true;
    one.next_wall_ms = FAKE_NOW + 9200;
    failure.code = REDIAL__V1__CODE__UNAVAILABLE;
    failure.has_code = true;
    one.last_failure = &failure;
    one.has_attempts_free = true;
    one.attempts_free = 3;
    fake_begin("list");
    answer_list("", jobs, 2);
    assert_int_equal(fake_run(), EXIT_DONE);
    assert_string_equal(
        fake_out(),
        "ID                                    METHOD                   STATE  "
        "  AGE  TRIED  NEXT IN  LAST FAILURE\n" FAKE_ID_1
        "  image.ImageGen/Generate  BACKOFF  5 s  2/5+3    9.2 s  "
        "UNAVAILABLE\n" FAKE_ID_2
        "  image.ImageGen/Generate  READY    5 s  2/5\n");
    assert_string_equal(fake_request(1), "{\"max\":100}");
}

static void
list_passes_its_filters_on(void **state)
{
    (void)state;
    fake_begin("list --state READY --state PARKED -s a.B --method C -c story "
               "--tenant red -n 7");
    answer_list("", NULL, 0);
    assert_int_equal(fake_run(), EXIT_DONE);
    assert_string_equal(fake_out(), "");
    assert_string_equal(
        fake_request(1),
        "{\"states\":[\"READY\",\"PARKED\"],\"service\":\"a.B\",\"method\":"
        "\"C\",\"correlation_id\":\"story\",\"tenant\":\"red\",\"max\":7}");
}

static void
a_long_list_is_read_page_by_page(void **state)
{
    Redial__V1__Job one = fake_job(FAKE_ID_1, REDIAL__V1__JOB__STATE__READY);
    Redial__V1__Job two = fake_job(FAKE_ID_2, REDIAL__V1__JOB__STATE__READY);
    Redial__V1__Job *jobs[] = {&one, &two};

    (void)state;
    fake_begin("list --json --max 1003");
    answer_list("next", jobs, 2);
    answer_list("more", &jobs[1], 1);
    answer_list("", NULL, 0);
    assert_int_equal(fake_run(), EXIT_DONE);
    assert_string_equal(fake_request(1), "{\"max\":1000}");
    assert_string_equal(fake_request(2), "{\"max\":1000,\"cursor\":\"next\"}");
    assert_string_equal(fake_request(3), "{\"max\":1000,\"cursor\":\"more\"}");
}

static void
a_list_that_goes_on_says_so(void **state)
{
    Redial__V1__Job one = fake_job(FAKE_ID_1, REDIAL__V1__JOB__STATE__READY);
    Redial__V1__Job *jobs[] = {&one};

    (void)state;
    fake_begin("list --max 1");
    answer_list("next", jobs, 1);
    assert_int_equal(fake_run(), EXIT_DONE);
    assert_string_equal(fake_err(),
                        "There are more: redial list --max COUNT\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(show_finds_a_job_by_id_and_by_key),
        cmocka_unit_test(show_prints_the_job_as_json),
        cmocka_unit_test(a_job_is_named_in_one_way),
        cmocka_unit_test(a_job_that_is_not_there_is_not_found),
        cmocka_unit_test(cancel_tells_whether_it_came_in_time),
        cmocka_unit_test(list_is_a_table),
        cmocka_unit_test(list_passes_its_filters_on),
        cmocka_unit_test(a_long_list_is_read_page_by_page),
        cmocka_unit_test(a_list_that_goes_on_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, teardown);
}
