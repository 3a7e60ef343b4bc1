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

static void
answer_explain(void)
{
    Redial__V1__ExplainResponse answer = REDIAL__V1__EXPLAIN_RESPONSE__INIT;
    Redial__V1__Decision decision = REDIAL__V1__DECISION__INIT;

    decision.rule = (char *)(uintptr_t) "THROTTLED";
    decision.has_tokens_milli = true;
    decision.tokens_milli = 5000;
    decision.has_tokens_max_milli = true;
    decision.tokens_max_milli = 10000;
    answer.decision = &decision;
    fake_answer("Explain", &answer.base);
}

static void
asks(const char *line, const char *request)
{
    fake_begin(line);
    answer_explain();
    assert_int_equal(fake_run(), EXIT_DONE);
    assert_string_equal(fake_request(1), request);
}

static void
misused(const char *line, const char *why)
{
    fake_begin(line);
    assert_int_equal(fake_run(), EXIT_USAGE);
    if (strstr(fake_err(), why) == NULL) {
        fail_msg("\"%s\" is not in: %s", why, fake_err());
    }
}

static void
every_option_becomes_a_part_of_the_question(void **state)
{
    (void)state;
    asks("policy explain a.B/C --code UNAVAILABLE",
         "{\"service\":\"a.B\",\"method\":\"C\",\"failure\":{\"code\":"
         "\"UNAVAILABLE\"},\"attempts\":1}");
    asks("policy explain a.B/C --code ABORTED --reason LOCKED --pushback 5s "
         "--for-target --overloaded --attempt 3 --deadline 30s --idempotent no "
         "--uncertain",
         "{\"service\":\"a.B\",\"method\":\"C\",\"failure\":{\"code\":"
         "\"ABORTED\",\"reason\":\"LOCKED\",\"pushback_ms\":5000,"
         "\"for_target\":true},\"overloaded\":true,\"attempts\":3,"
         "\"idempotent\":\"NOT_IDEMPOTENT\",\"deadline_ms\":30000,"
         "\"uncertain\":true}");
    asks("policy explain a.B/C --code ABORTED --pushback stop --idempotent yes",
         "{\"service\":\"a.B\",\"method\":\"C\",\"failure\":{\"code\":"
         "\"ABORTED\",\"pushback_ms\":-1},\"attempts\":1,\"idempotent\":"
         "\"IDEMPOTENT\"}");
}

static void
a_job_brings_its_own_counts(void **state)
{
    (void)state;
    asks("policy explain --for-job " FAKE_ID_1 " --code INTERNAL",
         "{\"failure\":{\"code\":\"INTERNAL\"},\"job_id\":\"" FAKE_ID_1 "\"}");
    misused("policy explain --for-job " FAKE_ID_1 " --code INTERNAL "
            "--attempt 2",
            "a job has its own method");
    misused("policy explain --for-job " FAKE_ID_1 " --code INTERNAL "
            "--deadline 2s",
            "a job has its own method");
    misused("policy explain a.B/C --for-job " FAKE_ID_1 " --code INTERNAL",
            "a job has its own method");
    misused("policy explain --for-job fox --code INTERNAL",
            "\"fox\" is not the id of a job");
}

static void
what_is_missing_or_wrong_is_said(void **state)
{
    (void)state;
    misused("policy explain a.B/C", "--code is missing");
    misused("policy explain --code ABORTED", "SERVICE/METHOD, or a job");
    misused("policy explain nothing --code ABORTED", "is not SERVICE/METHOD");
    misused("policy explain a.B/C --code ABORTED --pushback soon",
            "--pushback: \"soon\" is not a duration");
    misused("policy explain a.B/C --code ABORTED --pushback -1s",
            "--pushback: \"-1s\" is not a duration");
    misused("policy explain a.B/C --code ABORTED --pushback 5",
            "\"5\" has no unit");
    misused("policy explain a.B/C --code ABORTED --for-target", "give both");
}

static void
the_answer_is_printed_or_given_as_json(void **state)
{
    (void)state;
    fake_begin("policy explain a.B/C --code UNAVAILABLE");
    answer_explain();
    assert_int_equal(fake_run(), EXIT_DONE);
    assert_string_equal(fake_out(),
                        "THROTTLED: too few tokens are left in the target's "
                        "throttle\n"
                        "  throttle  5 of 10 tokens left, retries while above "
                        "5\n");
    fake_begin("policy explain a.B/C --code UNAVAILABLE --json");
    answer_explain();
    assert_int_equal(fake_run(), EXIT_DONE);
    assert_non_null(strstr(fake_out(), "{\"decision\":{\"rule\":"
                                       "\"THROTTLED\""));
    fake_begin("policy explain a.B/C --code UNAVAILABLE");
    fake_refuse("Explain", REDIAL_NOT_FOUND, "", "no such job");
    assert_int_equal(fake_run(), EXIT_NOT_FOUND);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_option_becomes_a_part_of_the_question),
        cmocka_unit_test(a_job_brings_its_own_counts),
        cmocka_unit_test(what_is_missing_or_wrong_is_said),
        cmocka_unit_test(the_answer_is_printed_or_given_as_json),
    };

    return cmocka_run_group_tests(tests, NULL, teardown);
}
