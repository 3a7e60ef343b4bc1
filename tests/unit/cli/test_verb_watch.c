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
answer_watch(const char *cursor, const char *type, const char *id)
{
    Redial__V1__WatchResponse response = REDIAL__V1__WATCH_RESPONSE__INIT;
    Redial__V1__Event event = REDIAL__V1__EVENT__INIT;
    Redial__V1__Event *events[] = {&event};

    event.type = UNCONST(type);
    event.has_wall_ms = true;
    event.wall_ms = FAKE_NOW;
    event.job_id = UNCONST(id);
    response.events = events;
    response.n_events = type != NULL ? 1 : 0;
    response.cursor = UNCONST(cursor);
    response.head = UNCONST(cursor);
    fake_answer("Watch", &response.base);
}

static void
answer_pending(const char *id)
{
    Redial__V1__AwaitResponse response = REDIAL__V1__AWAIT_RESPONSE__INIT;
    char *ids[] = {UNCONST(id)};

    response.pending_ids = ids;
    response.n_pending_ids = 1;
    fake_answer("Await", &response.base);
}

static void
answer_get(const char *id, Redial__V1__Job__State job_state)
{
    Redial__V1__GetResponse response = REDIAL__V1__GET_RESPONSE__INIT;
    Redial__V1__Job job = fake_job(id, job_state);

    response.job = &job;
    fake_answer("Get", &response.base);
}

static void
watching_ends_when_every_job_is_final(void **state)
{
    (void)state;
    fake_begin("watch story-42 --until-done");
    answer_watch("log:7", NULL, NULL);
    answer_pending(FAKE_ID_1);
    answer_get(FAKE_ID_1, REDIAL__V1__JOB__STATE__RUNNING);
    answer_watch("log:8", "job.accepted", FAKE_ID_2);
    answer_get(FAKE_ID_2, REDIAL__V1__JOB__STATE__SUCCEEDED);
    answer_watch("log:9", "job.succeeded", FAKE_ID_1);
    answer_get(FAKE_ID_1, REDIAL__V1__JOB__STATE__SUCCEEDED);
    assert_int_equal(fake_run(), EXIT_DONE);
    assert_string_equal(
        fake_out(), FAKE_ID_1
        "  image.ImageGen/Generate  RUNNING  attempt 3 of 5, 5 s so "
        "far\n"
        "2026-01-31T23:59:59.000Z  job.accepted       " FAKE_ID_2
        "\n2026-01-31T23:59:59.000Z  job.succeeded      " FAKE_ID_1 "\n");
    assert_string_equal(fake_request(2), "{\"correlation_id\":\"story-42\"}");
    assert_string_equal(fake_request(4),
                        "{\"filter\":{\"correlation_id\":\"story-42\"},"
                        "\"cursor\":\"log:7\",\"wait_ms\":20000}");
}

static void
watching_may_begin_before_the_first_job(void **state)
{
    (void)state;
    fake_begin("watch story-42 -u --json");
    answer_watch("log:7", NULL, NULL);
    fake_refuse("Await", REDIAL_NOT_FOUND, "", "none");
    answer_watch("log:8", "job.failed", FAKE_ID_1);
    answer_get(FAKE_ID_1, REDIAL__V1__JOB__STATE__FAILED);
    assert_int_equal(fake_run(), EXIT_FAILED);
    assert_string_equal(fake_out(),
                        "{\"wall_ms\":1769903999000,\"type\":\"job.failed\","
                        "\"job_id\":\"" FAKE_ID_1 "\"}\n");
}

static void
watching_that_runs_out_of_time_is_pending(void **state)
{
    (void)state;
    fake_begin("watch story-42 -u -t 1s");
    answer_watch("log:7", NULL, NULL);
    answer_pending(FAKE_ID_1);
    answer_get(FAKE_ID_1, REDIAL__V1__JOB__STATE__PARKED);
    fake_end_time_at(3);
    assert_int_equal(fake_run(), EXIT_PENDING);
    fake_begin("watch story-42 -t 1s");
    answer_watch("log:7", NULL, NULL);
    answer_pending(FAKE_ID_1);
    answer_get(FAKE_ID_1, REDIAL__V1__JOB__STATE__PARKED);
    fake_end_time_at(3);
    assert_int_equal(fake_run(), EXIT_DONE);
}

static void
a_watch_that_is_refused_fails(void **state)
{
    (void)state;
    fake_begin("watch story-42");
    fake_refuse("Watch", REDIAL_PERMISSION_DENIED, "", "no");
    assert_int_equal(fake_run(), EXIT_REFUSED);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(watching_ends_when_every_job_is_final),
        cmocka_unit_test(watching_may_begin_before_the_first_job),
        cmocka_unit_test(watching_that_runs_out_of_time_is_pending),
        cmocka_unit_test(a_watch_that_is_refused_fails),
    };

    return cmocka_run_group_tests(tests, NULL, teardown);
}
