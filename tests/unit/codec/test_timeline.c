/* SPDX-License-Identifier: Apache-2.0 */
/* A job with its attempts, made of its records. */
#include "server/net/codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct text
text(const char *string)
{
    return (struct text){string, (uint32_t)strlen(string)};
}

static struct record
record(enum event_type type, uint64_t job_seq, uint32_t attempt)
{
    return (struct record){
        .type = type,
        .seq = job_seq + 10,
        .job_seq = job_seq,
        .wall_ms = 1000 + (int64_t)job_seq,
        .since_accepted_ms = job_seq,
        .job = {{1}},
        .service = text("s"),
        .method = text("m"),
        .attempt = attempt,
        .fence = attempt * 100,
    };
}

static Redial__V1__GetResponse *
build(const struct codec_timeline *timeline)
{
    struct bytes out;
    Redial__V1__GetResponse *response;

    bytes_init(&out, 1 << 20);
    codec_put_timeline(&out, 1, timeline);
    response = redial__v1__get_response__unpack(NULL, out.len, out.at);
    bytes_fini(&out);
    assert_non_null(response);
    return response;
}

static void
each_attempt_has_its_outcome_and_what_followed(void **state)
{
    struct record records[] = {
        record(EVENT_JOB_ACCEPTED, 1, 0),
        record(EVENT_ATTEMPT_STARTED, 2, 1),
        record(EVENT_ATTEMPT_FAILED, 3, 1),
        record(EVENT_RETRY_PLANNED, 4, 1),
        record(EVENT_ATTEMPT_STARTED, 5, 2),
        record(EVENT_ATTEMPT_SUCCEEDED, 6, 2),
        record(EVENT_JOB_SUCCEEDED, 7, 2),
    };
    struct codec_timeline timeline = {.records = records, .count = 7};
    Redial__V1__GetResponse *response;
    const Redial__V1__Job *job;

    (void)state;
    records[2].code = REDIAL_UNAVAILABLE;
    records[2].reason = text("HTTP_503");
    records[2].charged = true;
    records[3].decision.rule = RULE_RETRY_PLANNED;
    records[3].decision.delay_source = DELAY_BACKOFF;
    records[3].decision.delay_ms = 42;
    response = build(&timeline);
    job = response->job;
    assert_int_equal(job->state, REDIAL__V1__JOB__STATE__SUCCEEDED);
    assert_int_equal(job->n_attempts, 2);
    assert_string_equal(job->attempts[0]->state, "FAILED");
    assert_string_equal(job->attempts[0]->outcome->reason, "HTTP_503");
    assert_int_equal(job->attempts[0]->outcome->code, REDIAL_UNAVAILABLE);
    assert_int_equal(job->attempts[0]->started_wall_ms, 1002);
    assert_int_equal(job->attempts[0]->ended_wall_ms, 1003);
    assert_int_equal(job->attempts[0]->decision->delay_ms, 42);
    assert_string_equal(job->attempts[1]->state, "SUCCEEDED");
    assert_int_equal(job->attempts[1]->fence, 200);
    redial__v1__get_response__free_unpacked(response, NULL);
}

static void
attempts_that_overlap_are_told_apart(void **state)
{
    struct record records[] = {
        record(EVENT_JOB_ACCEPTED, 1, 0),
        record(EVENT_ATTEMPT_STARTED, 2, 1),
        record(EVENT_ATTEMPT_STARTED, 3, 2),
        record(EVENT_ATTEMPT_FAILED, 4, 1),
        record(EVENT_RETRY_PLANNED, 5, 1),
        record(EVENT_ATTEMPT_STARTED, 6, 3),
        record(EVENT_ATTEMPT_SUCCEEDED, 7, 2),
        record(EVENT_ATTEMPT_LOST, 8, 3),
        record(EVENT_JOB_SUCCEEDED, 9, 2),
    };
    struct codec_timeline timeline = {.records = records, .count = 9};
    Redial__V1__GetResponse *response;
    const Redial__V1__Job *job;

    (void)state;
    records[3].has_pushback = true;
    records[3].pushback_ms = 40;
    records[3].for_target = true;
    records[3].overloaded = true;
    records[5].hedge = true;
    records[4].decision.rule = RULE_HEDGE_PLANNED;
    records[7].decision.rule = RULE_HEDGE_LOST;
    records[8].decision.rule = RULE_SUCCEEDED;
    response = build(&timeline);
    job = response->job;
    assert_int_equal(job->n_attempts, 3);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(job->attempts[i]->number, i + 1);
    }
    assert_string_equal(job->attempts[0]->state, "FAILED");
    assert_string_equal(job->attempts[0]->decision->rule, "HEDGE_PLANNED");
    assert_int_equal(job->attempts[0]->outcome->pushback_ms, 40);
    assert_true(job->attempts[0]->outcome->for_target);
    assert_true(job->attempts[0]->overloaded);
    assert_false(job->attempts[0]->hedge);
    assert_true(job->attempts[2]->hedge);
    assert_false(job->attempts[1]->has_overloaded);
    assert_string_equal(job->attempts[1]->state, "SUCCEEDED");
    assert_string_equal(job->attempts[1]->decision->rule, "SUCCEEDED");
    assert_string_equal(job->attempts[2]->state, "LOST");
    assert_string_equal(job->attempts[2]->decision->rule, "HEDGE_LOST");
    redial__v1__get_response__free_unpacked(response, NULL);
}

static void
a_live_job_has_its_last_decision(void **state)
{
    struct record records[] = {
        record(EVENT_JOB_ACCEPTED, 1, 0),
        record(EVENT_ATTEMPT_STARTED, 2, 1),
    };
    struct job_view view = {
        .state = JOB_RUNNING,
        .shown = JOB_RUNNING,
        .decision = {.rule = RULE_RETRY_PLANNED, .attempts_left = 2},
    };
    struct codec_timeline timeline = {
        .records = records, .count = 2, .view = &view};
    Redial__V1__GetResponse *response;

    (void)state;
    response = build(&timeline);
    assert_string_equal(response->job->attempts[0]->state, "RUNNING");
    assert_non_null(response->job->decision);
    assert_int_equal(response->job->decision->attempts_left, 2);
    redial__v1__get_response__free_unpacked(response, NULL);
}

static void
an_attempt_whose_start_was_trimmed_is_still_told(void **state)
{
    struct record records[] = {
        record(EVENT_ATTEMPT_FAILED, 3, 1),
        record(EVENT_JOB_FAILED, 4, 1),
    };
    struct codec_timeline timeline = {
        .records = records, .count = 2, .trimmed = true};
    Redial__V1__GetResponse *response;

    (void)state;
    records[0].code = REDIAL_INTERNAL;
    records[1].code = REDIAL_INTERNAL;
    records[1].decision.rule = RULE_NON_RETRYABLE_CODE;
    response = build(&timeline);
    assert_int_equal(response->job->n_attempts, 1);
    assert_false(response->job->attempts[0]->has_started_wall_ms);
    assert_string_equal(response->job->attempts[0]->decision->rule,
                        "NON_RETRYABLE_CODE");
    assert_true(response->job->history_trimmed);
    redial__v1__get_response__free_unpacked(response, NULL);
}

static void
the_history_of_a_hundred_failures_is_whole(void **state)
{
    static struct record records[202];
    static char words[4000];
    struct codec_timeline timeline = {.records = records, .count = 201};
    Redial__V1__GetResponse *response;

    (void)state;
    memset(words, 'x', sizeof(words) - 1);
    records[0] = record(EVENT_JOB_ACCEPTED, 1, 0);
    for (uint32_t i = 0; i < 100; i++) {
        records[1 + 2 * i] = record(EVENT_ATTEMPT_STARTED, 2 + 2 * i, i + 1);
        records[2 + 2 * i] = record(EVENT_ATTEMPT_FAILED, 3 + 2 * i, i + 1);
        records[2 + 2 * i].text = text(words);
    }
    response = build(&timeline);
    assert_int_equal(response->job->n_attempts, 100);
    assert_int_equal(strlen(response->job->attempts[99]->outcome->text),
                     sizeof(words) - 1);
    redial__v1__get_response__free_unpacked(response, NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_attempt_has_its_outcome_and_what_followed),
        cmocka_unit_test(attempts_that_overlap_are_told_apart),
        cmocka_unit_test(a_live_job_has_its_last_decision),
        cmocka_unit_test(an_attempt_whose_start_was_trimmed_is_still_told),
        cmocka_unit_test(the_history_of_a_hundred_failures_is_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
