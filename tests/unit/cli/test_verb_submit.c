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
answer_submit(const char *id, Redial__V1__Job__State job_state, bool joined)
{
    Redial__V1__SubmitResponse response = REDIAL__V1__SUBMIT_RESPONSE__INIT;
    Redial__V1__SubmitResult result = REDIAL__V1__SUBMIT_RESULT__INIT;
    Redial__V1__SubmitResult *results[] = {&result};

    result.id = UNCONST(id);
    result.has_state = true;
    result.state = job_state;
    result.has_deduplicated = true;
    result.deduplicated = joined;
    response.results = results;
    response.n_results = 1;
    fake_answer("Submit", &response.base);
}

static void
answer_await(Redial__V1__Job__State job_state, const char *result)
{
    Redial__V1__AwaitResponse response = REDIAL__V1__AWAIT_RESPONSE__INIT;
    Redial__V1__Job job = fake_job(FAKE_ID_1, job_state);
    Redial__V1__Outcome outcome = REDIAL__V1__OUTCOME__INIT;
    Redial__V1__Job *jobs[] = {&job};

    if (result != NULL) {
        outcome.has_result = true;
        outcome.result.data = (uint8_t *)UNCONST(result);
        outcome.result.len = strlen(result);
    } else {
        outcome.code = REDIAL__V1__CODE__UNAVAILABLE;
        outcome.has_code = true;
    }
    job.outcome = &outcome;
    response.jobs = jobs;
    response.n_jobs = 1;
    fake_answer("Await", &response.base);
}

static void
submit_prints_the_id(void **state)
{
    (void)state;
    fake_begin("submit a.B/C -d hello --id " FAKE_ID_1);
    answer_submit(FAKE_ID_1, REDIAL__V1__JOB__STATE__READY, false);
    assert_int_equal(fake_run(), EXIT_DONE);
    assert_string_equal(fake_out(), FAKE_ID_1 "\n");
    assert_string_equal(fake_err(), "");
    assert_string_equal(fake_request(1),
                        "{\"jobs\":[{\"id\":\"" FAKE_ID_1
                        "\",\"service\":\"a.B\",\"method\":\"C\",\"payload\":"
                        "\"aGVsbG8=\"}],\"repeat\":true}");
}

static void
every_option_reaches_the_job(void **state)
{
    (void)state;
    fake_begin("submit a.B/C - --id " FAKE_ID_1
               " -k fox -c story -m a=b -m c= -p 0 --tenant red --deadline 5m "
               "--not-before 1s --ttl 2s --max-attempts 2 --attempt-timeout "
               "1.5s --idempotent no --content-type text/plain");
    fake_give_input("x");
    answer_submit(FAKE_ID_1, REDIAL__V1__JOB__STATE__READY, false);
    assert_int_equal(fake_run(), EXIT_DONE);
    assert_string_equal(
        fake_request(1),
        "{\"jobs\":[{\"id\":\"" FAKE_ID_1 "\",\"key\":\"fox\","
        "\"correlation_id\":\"story\",\"service\":\"a.B\",\"method\":\"C\","
        "\"payload\":\"eA==\",\"content_type\":\"text/plain\",\"metadata\":["
        "{\"key\":\"a\",\"value\":\"Yg==\"},{\"key\":\"c\",\"value\":\"\"}],"
        "\"priority\":0,\"tenant\":\"red\",\"idempotent\":\"NOT_IDEMPOTENT\","
        "\"not_before_ms\":1000,\"deadline_ms\":300000,\"queue_ttl_ms\":2000,"
        "\"max_attempts\":2,\"attempt_timeout_ms\":1500}],\"repeat\":true}");
}

static void
json_data_is_marked_as_json(void **state)
{
    (void)state;
    fake_begin("submit a.B/C --json-data {}");
    answer_submit(FAKE_ID_1, REDIAL__V1__JOB__STATE__READY, false);
    assert_int_equal(fake_run(), EXIT_DONE);
    assert_non_null(strstr(fake_request(1), "\"payload\":\"e30=\","
                                            "\"content_type\":"
                                            "\"application/json\""));
}

static void
joining_a_job_is_said_and_its_id_printed(void **state)
{
    (void)state;
    fake_begin("submit a.B/C -k fox");
    answer_submit(FAKE_ID_1, REDIAL__V1__JOB__STATE__RUNNING, true);
    assert_int_equal(fake_run(), EXIT_DONE);
    assert_string_equal(fake_out(), FAKE_ID_1 "\n");
    assert_string_equal(fake_err(), "redial submit: joined the job that is "
                                    "there already, RUNNING\n");
}

static void
a_job_that_is_refused_says_why_and_what_to_do(void **state)
{
    Redial__V1__SubmitResponse response = REDIAL__V1__SUBMIT_RESPONSE__INIT;
    Redial__V1__SubmitResult result = REDIAL__V1__SUBMIT_RESULT__INIT;
    Redial__V1__SubmitResult *results[] = {&result};
    Redial__V1__Status status = REDIAL__V1__STATUS__INIT;

    (void)state;
    fake_begin("submit a.B/C -k fox");
    status.has_code = true;
    status.code = REDIAL__V1__CODE__ALREADY_EXISTS;
    status.reason = UNCONST("KEY_TAKEN");
    status.message = UNCONST("the key is taken");
    result.status = &status;
    response.results = results;
    response.n_results = 1;
    fake_answer("Submit", &response.base);
    assert_int_equal(fake_run(), EXIT_REFUSED);
    assert_string_equal(fake_out(), "");
    assert_string_equal(fake_err(),
                        "redial submit: ALREADY_EXISTS KEY_TAKEN: the key is "
                        "taken\n  The key belongs to a job with other content. "
                        "See it with: redial show --key KEY\n");
}

static void
an_answer_that_is_lost_names_the_job(void **state)
{
    (void)state;
    fake_begin("submit a.B/C --id " FAKE_ID_1);
    fake_refuse("Submit", REDIAL_DEADLINE_EXCEEDED, "NO_ANSWER", "late");
    assert_int_equal(fake_run(), EXIT_PENDING);
    assert_non_null(strstr(fake_err(), "redial await " FAKE_ID_1 "\n"));
}

static void
failures_are_json_too(void **state)
{
    (void)state;
    fake_begin("submit --json a.B/C");
    fake_refuse("Submit", REDIAL_RESOURCE_EXHAUSTED, "JOBS_MAX", "full");
    assert_int_equal(fake_run(), EXIT_REFUSED);
    assert_string_equal(fake_out(), "");
    assert_string_equal(fake_err(),
                        "{\"code\":\"RESOURCE_EXHAUSTED\",\"message\":\"full\","
                        "\"reason\":\"JOBS_MAX\"}\n");
}

static void
submit_may_wait(void **state)
{
    (void)state;
    fake_begin("submit -w a.B/C");
    answer_submit(FAKE_ID_1, REDIAL__V1__JOB__STATE__READY, false);
    answer_await(REDIAL__V1__JOB__STATE__FAILED, NULL);
    assert_int_equal(fake_run(), EXIT_FAILED);
    assert_string_equal(fake_out(),
                        FAKE_ID_1 "\n" FAKE_ID_1
                                  "  image.ImageGen/Generate  FAILED  after 2 "
                                  "attempts, 4 s  UNAVAILABLE\n");
}

static void
call_prints_the_result_and_nothing_else(void **state)
{
    (void)state;
    fake_begin("call a.B/C");
    answer_submit(FAKE_ID_1, REDIAL__V1__JOB__STATE__READY, false);
    answer_await(REDIAL__V1__JOB__STATE__SUCCEEDED, "a\nb");
    assert_int_equal(fake_run(), EXIT_DONE);
    assert_string_equal(fake_out(), "a\nb");
    assert_string_equal(fake_err(), "");
}

static void
call_says_how_it_failed_and_where_to_look(void **state)
{
    (void)state;
    fake_begin("call a.B/C");
    answer_submit(FAKE_ID_1, REDIAL__V1__JOB__STATE__READY, false);
    answer_await(REDIAL__V1__JOB__STATE__CANCELLED, NULL);
    assert_int_equal(fake_run(), EXIT_FAILED);
    assert_string_equal(fake_out(), "");
    assert_string_equal(fake_err(),
                        "redial call: " FAKE_ID_1
                        "  image.ImageGen/Generate  CANCELLED  after 2 "
                        "attempts, 4 s  UNAVAILABLE\n  Every attempt and why: "
                        "redial show " FAKE_ID_1 " --why\n");
}

static void
answer_watch(const char *cursor, const char *type)
{
    Redial__V1__WatchResponse response = REDIAL__V1__WATCH_RESPONSE__INIT;
    Redial__V1__Event event = REDIAL__V1__EVENT__INIT;
    Redial__V1__Event *events[] = {&event};

    event.type = UNCONST(type);
    event.job_id = UNCONST(FAKE_ID_1);
    event.since_accepted_ms = 12;
    event.has_since_accepted_ms = true;
    response.events = events;
    response.n_events = type != NULL ? 1 : 0;
    response.cursor = UNCONST(cursor);
    response.head = UNCONST(cursor);
    fake_answer("Watch", &response.base);
}

static void
call_shows_attempts_when_asked_to(void **state)
{
    (void)state;
    fake_begin("call -v a.B/C");
    answer_watch("log:7", NULL);
    answer_submit(FAKE_ID_1, REDIAL__V1__JOB__STATE__READY, false);
    answer_watch("log:8", "attempt.started");
    answer_watch("log:9", "job.succeeded");
    answer_await(REDIAL__V1__JOB__STATE__SUCCEEDED, "done");
    assert_int_equal(fake_run(), EXIT_DONE);
    assert_string_equal(fake_out(), "done");
    assert_string_equal(fake_err(), "   +12 ms  attempt.started\n"
                                    "   +12 ms  job.succeeded\n");
    assert_string_equal(fake_request(3),
                        "{\"filter\":{\"job_ids\":[\"" FAKE_ID_1
                        "\"]},\"cursor\":\"log:7\",\"wait_ms\":20000}");
}

static void
call_does_without_events_that_it_cannot_have(void **state)
{
    (void)state;
    fake_begin("call -v a.B/C");
    fake_refuse("Watch", REDIAL_PERMISSION_DENIED, "", "no");
    answer_submit(FAKE_ID_1, REDIAL__V1__JOB__STATE__READY, false);
    answer_await(REDIAL__V1__JOB__STATE__SUCCEEDED, "done");
    assert_int_equal(fake_run(), EXIT_DONE);
}

static void
bad_names_are_refused_before_anything_is_sent(void **state)
{
    (void)state;
    fake_begin("submit noslash");
    assert_int_equal(fake_run(), EXIT_USAGE);
    fake_begin("submit a/b/c");
    assert_int_equal(fake_run(), EXIT_USAGE);
    fake_begin("submit /b");
    assert_int_equal(fake_run(), EXIT_USAGE);
    fake_begin("submit a/");
    assert_int_equal(fake_run(), EXIT_USAGE);
    fake_begin("submit a/b --id nope");
    assert_int_equal(fake_run(), EXIT_USAGE);
    fake_begin("submit a/b -d x -f y");
    assert_int_equal(fake_run(), EXIT_USAGE);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(submit_prints_the_id),
        cmocka_unit_test(every_option_reaches_the_job),
        cmocka_unit_test(json_data_is_marked_as_json),
        cmocka_unit_test(joining_a_job_is_said_and_its_id_printed),
        cmocka_unit_test(a_job_that_is_refused_says_why_and_what_to_do),
        cmocka_unit_test(an_answer_that_is_lost_names_the_job),
        cmocka_unit_test(failures_are_json_too),
        cmocka_unit_test(submit_may_wait),
        cmocka_unit_test(call_prints_the_result_and_nothing_else),
        cmocka_unit_test(call_says_how_it_failed_and_where_to_look),
        cmocka_unit_test(call_shows_attempts_when_asked_to),
        cmocka_unit_test(call_does_without_events_that_it_cannot_have),
        cmocka_unit_test(bad_names_are_refused_before_anything_is_sent),
    };

    return cmocka_run_group_tests(tests, NULL, teardown);
}
