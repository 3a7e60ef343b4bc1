/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ACCEPTED INT64_C(1769903999000)
#define NOW      (ACCEPTED + 41000)

static struct text text;

static Redial__V1__Outcome
unavailable(void)
{
    Redial__V1__Outcome outcome = REDIAL__V1__OUTCOME__INIT;

    outcome.has_code = true;
    outcome.code = REDIAL__V1__CODE__UNAVAILABLE;
    outcome.reason = (char *)(uintptr_t) "HTTP_503";
    outcome.text = (char *)(uintptr_t) "upstream is\ntired";
    return outcome;
}

/* After the third failure: 8 s, times 1.15. */
static Redial__V1__Decision
retry(void)
{
    Redial__V1__Decision decision = REDIAL__V1__DECISION__INIT;

    decision.rule = (char *)(uintptr_t) "RETRY_PLANNED";
    decision.has_delay_ms = true;
    decision.delay_ms = 9200;
    decision.delay_source = (char *)(uintptr_t) "backoff";
    decision.has_backoff_ms = true;
    decision.backoff_ms = 8000;
    decision.has_jitter_permille = true;
    decision.jitter_permille = 1150;
    decision.has_attempts_charged = true;
    decision.attempts_charged = 3;
    decision.has_attempts_left = true;
    decision.attempts_left = 2;
    decision.has_tokens_milli = true;
    decision.tokens_milli = 8500;
    decision.has_until_wall_ms = true;
    decision.until_wall_ms = NOW + 9200;
    decision.has_policy_version = true;
    decision.policy_version = 1;
    return decision;
}

static Redial__V1__Job
job_in(Redial__V1__Job__State job_state)
{
    Redial__V1__Job job = REDIAL__V1__JOB__INIT;

    job.id = (char *)(uintptr_t) "01890a5d-ac96-774b-bcce-b302099a8057";
    job.service = (char *)(uintptr_t) "image.ImageGen";
    job.method = (char *)(uintptr_t) "Generate";
    job.has_state = true;
    job.state = job_state;
    job.has_accepted_wall_ms = true;
    job.accepted_wall_ms = ACCEPTED;
    job.has_state_since_wall_ms = true;
    job.state_since_wall_ms = ACCEPTED + 31000;
    job.has_attempts_charged = true;
    job.attempts_charged = 3;
    job.has_max_attempts = true;
    job.max_attempts = 5;
    return job;
}

static void
job_reads(const Redial__V1__Job *job, const char *expected)
{
    text_clear(&text);
    line_add_job(&text, job, NOW);
    assert_string_equal(text_string(&text), expected);
}

static int
teardown(void **state)
{
    (void)state;
    text_fini(&text);
    return 0;
}

static void
a_job_in_backoff_says_how_far_when_and_why(void **state)
{
    Redial__V1__Job job = job_in(REDIAL__V1__JOB__STATE__BACKOFF);
    Redial__V1__Outcome failure = unavailable();
    Redial__V1__Decision decision = retry();

    (void)state;
    job.has_next_wall_ms = true;
    job.next_wall_ms = NOW + 9200;
    job.last_failure = &failure;
    job.decision = &decision;
    job_reads(&job, "image.ImageGen/Generate  BACKOFF  attempt 3 of 5, 41 s so "
                    "far, next in 9.2 s (backoff 8 s ×1.15)  last: UNAVAILABLE "
                    "HTTP_503 upstream is tired");
}

static void
a_running_job_is_in_its_next_attempt(void **state)
{
    Redial__V1__Job job = job_in(REDIAL__V1__JOB__STATE__RUNNING);

    (void)state;
    job.progress = (char *)(uintptr_t) "half way";
    job_reads(&job, "image.ImageGen/Generate  RUNNING  attempt 4 of 5, 41 s so "
                    "far  says: half way");
}

static void
a_job_that_waits_for_its_first_attempt_says_so(void **state)
{
    Redial__V1__Job job = job_in(REDIAL__V1__JOB__STATE__READY);

    (void)state;
    job.attempts_charged = 0;
    job_reads(&job, "image.ImageGen/Generate  READY  no attempt yet, 41 s so "
                    "far");
}

static void
a_final_job_says_how_it_ended(void **state)
{
    Redial__V1__Job job = job_in(REDIAL__V1__JOB__STATE__SUCCEEDED);
    Redial__V1__Outcome outcome = unavailable();
    Redial__V1__Decision decision = REDIAL__V1__DECISION__INIT;

    (void)state;
    job_reads(&job,
              "image.ImageGen/Generate  SUCCEEDED  after 3 attempts, 31 s");
    job = job_in(REDIAL__V1__JOB__STATE__FAILED);
    job.attempts_charged = 1;
    job.outcome = &outcome;
    decision.rule = (char *)(uintptr_t) "NON_RETRYABLE_REASON";
    job.decision = &decision;
    job_reads(&job,
              "image.ImageGen/Generate  FAILED  after 1 attempt, 31 s  "
              "UNAVAILABLE HTTP_503 upstream is tired  (NON_RETRYABLE_REASON: "
              "the policy lists the reason as not retryable)");
}

static void
only_states_that_end_are_final(void **state)
{
    (void)state;
    for (int i = 0; i <= 5; i++) {
        assert_false(line_state_is_final((Redial__V1__Job__State)i));
    }
    for (int i = 6; i <= 9; i++) {
        assert_true(line_state_is_final((Redial__V1__Job__State)i));
    }
    assert_string_equal(line_state_name((Redial__V1__Job__State)5), "PARKED");
    assert_string_equal(line_state_name((Redial__V1__Job__State)77),
                        "UNKNOWN_STATE");
}

static void
a_decision_shows_the_time_that_is_left(void **state)
{
    Redial__V1__Decision decision = retry();

    (void)state;
    text_clear(&text);
    line_add_decision(&text, &decision, NOW + 5000);
    assert_string_equal(text_string(&text),
                        "retry in 4.2 s (backoff 8 s ×1.15)");
    text_clear(&text);
    decision.clamp = (char *)(uintptr_t) "max_backoff";
    line_add_decision(&text, &decision, 0);
    assert_string_equal(text_string(&text),
                        "retry in 9.2 s (backoff 8 s ×1.15, limit "
                        "max_backoff)");
}

static void
a_rule_of_a_newer_gateway_is_shown_by_name(void **state)
{
    Redial__V1__Decision decision = REDIAL__V1__DECISION__INIT;

    (void)state;
    text_clear(&text);
    decision.rule = (char *)(uintptr_t) "MOON_PHASE";
    line_add_decision(&text, &decision, 0);
    assert_string_equal(text_string(&text), "MOON_PHASE");
    text_clear(&text);
    decision.rule = (char *)(uintptr_t) "SUCCEEDED";
    line_add_decision(&text, &decision, 0);
    assert_string_equal(text_string(&text), "");
}

/* The delay is why there is none: it is not announced. */
static void
a_retry_that_will_not_come_is_not_promised(void **state)
{
    static const char *const rules[] = {"DEADLINE_WOULD_EXPIRE",
                                        "BREAKER_REJECTED"};
    Redial__V1__Decision decision = retry();

    (void)state;
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        text_clear(&text);
        decision.rule = (char *)(uintptr_t)rules[i];
        line_add_decision(&text, &decision, 0);
        assert_null(strstr(text_string(&text), "retry in"));
        assert_non_null(strstr(text_string(&text), rules[i]));
    }
}

static void
a_hedge_is_no_retry(void **state)
{
    Redial__V1__Decision decision = REDIAL__V1__DECISION__INIT;

    (void)state;
    text_clear(&text);
    decision.rule = (char *)(uintptr_t) "HEDGE_PLANNED";
    decision.has_delay_ms = true;
    decision.delay_ms = 300;
    decision.delay_source = (char *)(uintptr_t) "hedge";
    line_add_decision(&text, &decision, 0);
    assert_string_equal(text_string(&text),
                        "another beside it in 300 ms (hedge)");
    text_clear(&text);
    decision.rule = (char *)(uintptr_t) "RETRY_PLANNED";
    decision.delay_source = (char *)(uintptr_t) "target_pushback";
    line_add_decision(&text, &decision, 0);
    assert_string_equal(text_string(&text),
                        "retry in 300 ms (pushback for the whole target)");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_in_backoff_says_how_far_when_and_why),
        cmocka_unit_test(a_running_job_is_in_its_next_attempt),
        cmocka_unit_test(a_job_that_waits_for_its_first_attempt_says_so),
        cmocka_unit_test(a_final_job_says_how_it_ended),
        cmocka_unit_test(only_states_that_end_are_final),
        cmocka_unit_test(a_decision_shows_the_time_that_is_left),
        cmocka_unit_test(a_rule_of_a_newer_gateway_is_shown_by_name),
        cmocka_unit_test(a_retry_that_will_not_come_is_not_promised),
        cmocka_unit_test(a_hedge_is_no_retry),
    };

    return cmocka_run_group_tests(tests, NULL, teardown);
}
