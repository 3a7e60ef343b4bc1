/* SPDX-License-Identifier: Apache-2.0 */
/* Records as watchers see them, and reports as the engine does. */
#include "server/net/codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct codec_source source = {.epoch = "e", .gateway = "g"};

static struct text
text(const char *string)
{
    return (struct text){string, (uint32_t)strlen(string)};
}

static struct record
record(enum event_type type)
{
    return (struct record){
        .type = type,
        .seq = 7,
        .job_seq = 3,
        .wall_ms = 1003,
        .since_accepted_ms = 3,
        .job = {{1}},
        .service = text("s"),
        .method = text("m"),
        .attempt = 2,
        .fence = 5,
    };
}

/* The event of a record, as one of a WatchResponse. */
static Redial__V1__WatchResponse *
event_of(const struct record *from)
{
    static struct scratch scratch;
    struct bytes out;
    Redial__V1__WatchResponse *response;

    bytes_init(&out, 1 << 20);
    codec_put_event(&out, 1, &source, from, &scratch);
    response = redial__v1__watch_response__unpack(NULL, out.len, out.at);
    bytes_fini(&out);
    assert_non_null(response);
    assert_int_equal(response->n_events, 1);
    return response;
}

static void
a_failure_tells_what_the_worker_asked_for(void **state)
{
    struct record failed = record(EVENT_ATTEMPT_FAILED);
    Redial__V1__WatchResponse *response;
    const Redial__V1__Event *event;

    (void)state;
    failed.has_pushback = true;
    failed.pushback_ms = -1;
    failed.for_target = true;
    failed.overloaded = true;
    failed.charged = true;
    failed.target = text("tts");
    response = event_of(&failed);
    event = response->events[0];
    assert_true(event->has_pushback_ms);
    assert_int_equal(event->pushback_ms, -1);
    assert_true(event->for_target);
    assert_true(event->overloaded);
    assert_true(event->charged);
    assert_string_equal(event->target, "tts");
    assert_false(event->has_hedge);
    assert_false(event->has_priority);
    redial__v1__watch_response__free_unpacked(response, NULL);
}

static void
a_start_tells_its_limit_and_whether_it_is_a_hedge(void **state)
{
    struct record started = record(EVENT_ATTEMPT_STARTED);
    Redial__V1__WatchResponse *response;

    (void)state;
    started.hedge = true;
    started.timeout_ms = 1500;
    response = event_of(&started);
    assert_true(response->events[0]->hedge);
    assert_int_equal(response->events[0]->timeout_ms, 1500);
    assert_false(response->events[0]->has_pushback_ms);
    assert_null(response->events[0]->target);
    redial__v1__watch_response__free_unpacked(response, NULL);
}

static void
an_acceptance_tells_what_the_agent_asked_for(void **state)
{
    struct record accepted = record(EVENT_JOB_ACCEPTED);
    Redial__V1__WatchResponse *response;
    const Redial__V1__Event *event;

    (void)state;
    accepted.attempt = 0;
    accepted.priority = 0;
    accepted.idempotency = IDEMPOTENCY_NO;
    accepted.not_before_ms = 1;
    accepted.deadline_ms = 2;
    accepted.queue_ttl_ms = 3;
    accepted.max_attempts = 4;
    accepted.attempt_timeout_ms = 5;
    accepted.payload_bytes = 6;
    response = event_of(&accepted);
    event = response->events[0];
    assert_true(event->has_priority);
    assert_int_equal(event->priority, 0);
    assert_int_equal(event->idempotent,
                     REDIAL__V1__IDEMPOTENCY__NOT_IDEMPOTENT);
    assert_int_equal(event->not_before_ms, 1);
    assert_int_equal(event->deadline_ms, 2);
    assert_int_equal(event->queue_ttl_ms, 3);
    assert_int_equal(event->max_attempts, 4);
    assert_int_equal(event->attempt_timeout_ms, 5);
    assert_int_equal(event->payload_bytes, 6);
    redial__v1__watch_response__free_unpacked(response, NULL);
}

static void
a_decision_is_told_in_full(void **state)
{
    struct record planned = record(EVENT_RETRY_PLANNED);
    Redial__V1__WatchResponse *response;
    const Redial__V1__Decision *told;

    (void)state;
    planned.decision = (struct decision){
        .rule = RULE_RETRY_PLANNED,
        .delay_source = DELAY_TARGET_PUSHBACK,
        .clamp = CLAMP_MAX_PUSHBACK,
        .jitter_permille = 900,
        .backoff_ms = 10,
        .delay_ms = 9,
        .attempts_charged = 2,
        .attempts_free = 1,
        .attempts_left = 3,
        .tokens_milli = 0,
        .tokens_max_milli = 10000,
        .budget_milli = 2500,
        .until_wall_ms = 99,
        .policy_version = 4,
    };
    response = event_of(&planned);
    told = response->events[0]->decision;
    assert_string_equal(told->rule, "RETRY_PLANNED");
    assert_string_equal(told->delay_source, "target_pushback");
    assert_string_equal(told->clamp, "max_pushback");
    assert_int_equal(told->jitter_permille, 900);
    assert_int_equal(told->backoff_ms, 10);
    assert_int_equal(told->delay_ms, 9);
    assert_int_equal(told->attempts_charged, 2);
    assert_int_equal(told->attempts_free, 1);
    assert_int_equal(told->attempts_left, 3);
    assert_true(told->has_tokens_milli);
    assert_int_equal(told->tokens_milli, 0);
    assert_int_equal(told->tokens_max_milli, 10000);
    assert_int_equal(told->budget_milli, 2500);
    assert_int_equal(told->until_wall_ms, 99);
    assert_int_equal(told->policy_version, 4);
    redial__v1__watch_response__free_unpacked(response, NULL);
}

static void
a_refusal_tells_its_clamp_and_an_empty_budget(void **state)
{
    struct record refused = record(EVENT_RETRY_REFUSED);
    Redial__V1__WatchResponse *response;
    const Redial__V1__Decision *told;

    (void)state;
    refused.decision = (struct decision){
        .rule = RULE_BUDGET_EXHAUSTED,
        .clamp = CLAMP_ATTEMPTS_LIMIT,
        .tokens_milli = -1,
        .budget_milli = 0,
    };
    response = event_of(&refused);
    told = response->events[0]->decision;
    assert_string_equal(told->clamp, "attempts_limit");
    assert_true(told->has_budget_milli);
    assert_int_equal(told->budget_milli, 0);
    assert_false(told->has_tokens_milli);
    assert_false(told->has_delay_ms);
    redial__v1__watch_response__free_unpacked(response, NULL);
}

static void
a_budget_tells_what_is_left(void **state)
{
    struct record exhausted = record(EVENT_BUDGET_EXHAUSTED);
    Redial__V1__WatchResponse *response;
    const Redial__V1__Decision *told;

    (void)state;
    exhausted.decision = (struct decision){
        .tokens_milli = 5000,
        .tokens_max_milli = 10000,
        .policy_version = 2,
    };
    response = event_of(&exhausted);
    told = response->events[0]->decision;
    assert_null(told->rule);
    assert_int_equal(told->tokens_milli, 5000);
    assert_int_equal(told->tokens_max_milli, 10000);
    assert_true(told->has_budget_milli);
    assert_int_equal(told->budget_milli, 0);
    assert_int_equal(told->policy_version, 2);
    assert_false(told->has_attempts_left);
    redial__v1__watch_response__free_unpacked(response, NULL);
    exhausted.type = EVENT_BUDGET_RECOVERED;
    exhausted.decision.tokens_milli = -1;
    exhausted.decision.budget_milli = -1;
    response = event_of(&exhausted);
    assert_false(response->events[0]->decision->has_tokens_milli);
    assert_false(response->events[0]->decision->has_budget_milli);
    redial__v1__watch_response__free_unpacked(response, NULL);
}

static void
a_pushback_for_the_target_reaches_the_engine_only_with_a_pushback(void **state)
{
    Redial__V1__AttemptReport report = REDIAL__V1__ATTEMPT_REPORT__INIT;
    Redial__V1__Outcome outcome = REDIAL__V1__OUTCOME__INIT;
    Redial__V1__Token token = REDIAL__V1__TOKEN__INIT;
    char id[] = "018f0000-0000-7000-8000-000000000001";
    struct codec_limits limits;
    struct engine_report got;
    struct wire_error error;

    (void)state;
    codec_limits_default(&limits);
    token.job_id = id;
    report.token = &token;
    report.outcome = &outcome;
    outcome.code = REDIAL__V1__CODE__UNAVAILABLE;
    outcome.has_for_target = true;
    outcome.for_target = true;
    assert_int_equal(codec_report(&report, 1, &limits, &got, &error),
                     REDIAL_OK);
    assert_false(got.for_target);
    outcome.has_pushback_ms = true;
    outcome.pushback_ms = 300;
    assert_int_equal(codec_report(&report, 1, &limits, &got, &error),
                     REDIAL_OK);
    assert_true(got.for_target);
    assert_int_equal(got.pushback_ms, 300);
}

/* The library sends both: what was not started is free, whatever the code. */
static void
not_started_goes_before_the_outcome_that_says_why(void **state)
{
    Redial__V1__AttemptReport report = REDIAL__V1__ATTEMPT_REPORT__INIT;
    Redial__V1__Outcome outcome = REDIAL__V1__OUTCOME__INIT;
    Redial__V1__Token token = REDIAL__V1__TOKEN__INIT;
    char id[] = "018f0000-0000-7000-8000-000000000001";
    struct codec_limits limits;
    struct engine_report got;
    struct wire_error error;

    (void)state;
    codec_limits_default(&limits);
    token.job_id = id;
    report.token = &token;
    report.outcome = &outcome;
    outcome.code = REDIAL__V1__CODE__UNAVAILABLE;
    assert_int_equal(codec_report(&report, 1, &limits, &got, &error),
                     REDIAL_OK);
    assert_int_equal(got.kind, REPORT_OUTCOME);
    report.has_not_started = true;
    report.not_started = true;
    assert_int_equal(codec_report(&report, 1, &limits, &got, &error),
                     REDIAL_OK);
    assert_int_equal(got.kind, REPORT_NOT_STARTED);
    report.outcome = NULL;
    assert_int_equal(codec_report(&report, 1, &limits, &got, &error),
                     REDIAL_OK);
    assert_int_equal(got.kind, REPORT_NOT_STARTED);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure_tells_what_the_worker_asked_for),
        cmocka_unit_test(a_start_tells_its_limit_and_whether_it_is_a_hedge),
        cmocka_unit_test(an_acceptance_tells_what_the_agent_asked_for),
        cmocka_unit_test(a_decision_is_told_in_full),
        cmocka_unit_test(a_refusal_tells_its_clamp_and_an_empty_budget),
        cmocka_unit_test(a_budget_tells_what_is_left),
        cmocka_unit_test(
            a_pushback_for_the_target_reaches_the_engine_only_with_a_pushback),
        cmocka_unit_test(not_started_goes_before_the_outcome_that_says_why),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
