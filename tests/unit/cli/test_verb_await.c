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

/* An Await's answer: one final job, the ids in `pending`, the missing one. */
static void
answer(const char *final, char **pending, size_t pending_count,
       const char *missing)
{
    Redial__V1__AwaitResponse response = REDIAL__V1__AWAIT_RESPONSE__INIT;
    Redial__V1__Job job = fake_job(final, REDIAL__V1__JOB__STATE__SUCCEEDED);
    Redial__V1__Job *jobs[] = {&job};
    char *names[] = {UNCONST(missing)};

    response.jobs = jobs;
    response.n_jobs = final != NULL ? 1 : 0;
    response.missing = names;
    response.n_missing = missing != NULL ? 1 : 0;
    response.has_pending = true;
    response.pending = (uint32_t)pending_count;
    response.pending_ids = pending;
    response.n_pending_ids = pending_count;
    fake_answer("Await", &response.base);
}

static void
answer_job(Redial__V1__Job *job)
{
    Redial__V1__AwaitResponse response = REDIAL__V1__AWAIT_RESPONSE__INIT;
    Redial__V1__Job *jobs[] = {job};

    response.jobs = jobs;
    response.n_jobs = 1;
    fake_answer("Await", &response.base);
}

static void
jobs_are_waited_for_until_the_last_is_final(void **state)
{
    (void)state;
    fake_begin("await " FAKE_ID_1 " " FAKE_ID_2);
    answer(NULL, NULL, 0, NULL);
    answer(FAKE_ID_2, NULL, 0, NULL);
    answer(FAKE_ID_1, NULL, 0, NULL);
    assert_int_equal(fake_run(), EXIT_DONE);
    assert_string_equal(
        fake_out(),
        FAKE_ID_2 "  image.ImageGen/Generate  SUCCEEDED  after 2 attempts, "
                  "4 s\n" FAKE_ID_1
                  "  image.ImageGen/Generate  SUCCEEDED  after 2 attempts, "
                  "4 s\n");
    assert_string_equal(fake_request(3),
                        "{\"ids\":[\"" FAKE_ID_1 "\"],\"wait_ms\":20000}");
}

static void
a_correlation_id_goes_on_with_its_pending_ids(void **state)
{
    char *pending[] = {UNCONST(FAKE_ID_2), UNCONST(FAKE_ID_3)};

    (void)state;
    fake_begin("await --correlation-id story-42");
    answer(FAKE_ID_1, pending, 2, NULL);
    answer(FAKE_ID_3, NULL, 0, NULL);
    answer(FAKE_ID_2, NULL, 0, NULL);
    assert_int_equal(fake_run(), EXIT_DONE);
    assert_string_equal(fake_request(1), "{\"correlation_id\":\"story-42\","
                                         "\"wait_ms\":20000}");
    assert_string_equal(fake_request(2),
                        "{\"ids\":[\"" FAKE_ID_2 "\",\"" FAKE_ID_3
                        "\"],\"wait_ms\":20000}");
    assert_string_equal(fake_request(3),
                        "{\"ids\":[\"" FAKE_ID_2 "\"],\"wait_ms\":20000}");
}

static void
a_correlation_id_with_final_jobs_only_is_done_at_once(void **state)
{
    (void)state;
    fake_begin("await -c story-42");
    answer(FAKE_ID_1, NULL, 0, NULL);
    assert_int_equal(fake_run(), EXIT_DONE);
}

static void
an_unknown_correlation_id_is_not_found(void **state)
{
    (void)state;
    fake_begin("await -c story-42");
    fake_refuse("Await", REDIAL_NOT_FOUND, "", "no job has it");
    assert_int_equal(fake_run(), EXIT_NOT_FOUND);
    assert_non_null(strstr(fake_err(), "NOT_FOUND: no job has it\n"));
    assert_non_null(strstr(fake_err(), "  redial list\n"));
}

static void
ids_are_the_same_in_either_case(void **state)
{
    (void)state;
    fake_begin("await 01890A5D-AC96-774B-BCCE-B302099A8051");
    answer(FAKE_ID_1, NULL, 0, NULL);
    assert_int_equal(fake_run(), EXIT_DONE);
}

static void
missing_jobs_are_named_and_the_others_waited_for(void **state)
{
    (void)state;
    fake_begin("await -k fox --tenant red " FAKE_ID_1);
    answer(NULL, NULL, 0, "fox");
    answer(FAKE_ID_1, NULL, 0, NULL);
    assert_int_equal(fake_run(), EXIT_NOT_FOUND);
    assert_string_equal(fake_err(), "redial await: no job has the key fox\n");
    assert_string_equal(fake_request(1),
                        "{\"ids\":[\"" FAKE_ID_1 "\"],\"keys\":[\"fox\"],"
                        "\"wait_ms\":20000,\"tenant\":\"red\"}");
}

static void
a_job_that_failed_is_told_apart(void **state)
{
    Redial__V1__Job job = fake_job(FAKE_ID_1, REDIAL__V1__JOB__STATE__FAILED);

    (void)state;
    fake_begin("await " FAKE_ID_1);
    answer_job(&job);
    assert_int_equal(fake_run(), EXIT_FAILED);
}

static void
when_time_is_up_the_pending_jobs_are_shown(void **state)
{
    Redial__V1__GetResponse response = REDIAL__V1__GET_RESPONSE__INIT;
    Redial__V1__Job job = fake_job(FAKE_ID_1, REDIAL__V1__JOB__STATE__PARKED);

    (void)state;
    fake_begin("await --timeout 1s " FAKE_ID_1);
    answer(NULL, NULL, 0, NULL);
    response.job = &job;
    fake_answer("Get", &response.base);
    fake_end_time_at(1);
    assert_int_equal(fake_run(), EXIT_PENDING);
    assert_string_equal(
        fake_err(),
        "redial await: time is up, still waiting for 1 job\n  " FAKE_ID_1
        "  image.ImageGen/Generate  PARKED  attempt 2 of 5, 5 s so far\n");
}

static void
a_gateway_that_is_away_is_tried_again(void **state)
{
    (void)state;
    fake_begin("await " FAKE_ID_1);
    answer(NULL, NULL, 0, NULL);
    fake_refuse("Await", REDIAL_UNAVAILABLE, "NOT_CONNECTED", "refused");
    answer(FAKE_ID_1, NULL, 0, NULL);
    assert_int_equal(fake_run(), EXIT_DONE);
    assert_string_equal(fake_err(), "redial: the gateway is away, trying "
                                    "again: refused\n");
}

static void
results_go_out_as_they_are(void **state)
{
    Redial__V1__Job job = fake_job(FAKE_ID_1,
                                   REDIAL__V1__JOB__STATE__SUCCEEDED);
    Redial__V1__Outcome outcome = REDIAL__V1__OUTCOME__INIT;

    (void)state;
    outcome.has_result = true;
    outcome.result.data = (uint8_t *)UNCONST("bytes");
    outcome.result.len = 5;
    job.outcome = &outcome;
    fake_begin("await --result " FAKE_ID_1);
    answer_job(&job);
    assert_int_equal(fake_run(), EXIT_DONE);
    assert_string_equal(fake_out(), "bytes");
    assert_non_null(strstr(fake_err(), FAKE_ID_1 "  image.ImageGen"));
}

static void
json_is_one_job_a_line(void **state)
{
    (void)state;
    fake_begin("await --json " FAKE_ID_1);
    answer(FAKE_ID_1, NULL, 0, NULL);
    assert_int_equal(fake_run(), EXIT_DONE);
    assert_int_equal(strncmp(fake_out(), "{\"id\":\"" FAKE_ID_1 "\",", 45), 0);
    assert_ptr_equal(strchr(fake_out(), '\n') + 1,
                     fake_out() + strlen(fake_out()));
}

static void
an_answer_about_other_jobs_is_a_defect(void **state)
{
    (void)state;
    fake_begin("await " FAKE_ID_1);
    answer(FAKE_ID_2, NULL, 0, NULL);
    assert_int_equal(fake_run(), EXIT_INTERNAL);
    assert_string_equal(fake_out(), "");
}

static void
jobs_must_be_named_in_one_way(void **state)
{
    (void)state;
    fake_begin("await");
    assert_int_equal(fake_run(), EXIT_USAGE);
    fake_begin("await -c story-42 " FAKE_ID_1);
    assert_int_equal(fake_run(), EXIT_USAGE);
    fake_begin("await no-uuid");
    assert_int_equal(fake_run(), EXIT_USAGE);
    assert_non_null(strstr(fake_err(), "a key is given with --key"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_are_waited_for_until_the_last_is_final),
        cmocka_unit_test(a_correlation_id_goes_on_with_its_pending_ids),
        cmocka_unit_test(a_correlation_id_with_final_jobs_only_is_done_at_once),
        cmocka_unit_test(an_unknown_correlation_id_is_not_found),
        cmocka_unit_test(ids_are_the_same_in_either_case),
        cmocka_unit_test(missing_jobs_are_named_and_the_others_waited_for),
        cmocka_unit_test(a_job_that_failed_is_told_apart),
        cmocka_unit_test(when_time_is_up_the_pending_jobs_are_shown),
        cmocka_unit_test(a_gateway_that_is_away_is_tried_again),
        cmocka_unit_test(results_go_out_as_they_are),
        cmocka_unit_test(json_is_one_job_a_line),
        cmocka_unit_test(an_answer_about_other_jobs_is_a_defect),
        cmocka_unit_test(jobs_must_be_named_in_one_way),
    };

    return cmocka_run_group_tests(tests, NULL, teardown);
}
