/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/event.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ACCEPTED INT64_C(1769903999000)

static struct text text;

static int
teardown(void **state)
{
    (void)state;
    text_fini(&text);
    return 0;
}

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
    return decision;
}

static Redial__V1__Event
event_of(const char *type)
{
    Redial__V1__Event event = REDIAL__V1__EVENT__INIT;

    event.type = (char *)(uintptr_t)type;
    event.wall_ms = ACCEPTED;
    event.job_id = (char *)(uintptr_t) "01890a5d-ac96-774b-bcce-b302099a8057";
    event.correlation_id = event.job_id;
    event.service = (char *)(uintptr_t) "image.ImageGen";
    event.method = (char *)(uintptr_t) "Generate";
    return event;
}

static void
event_reads(const Redial__V1__Event *event, const char *expected)
{
    text_clear(&text);
    event_add(&text, event);
    assert_string_equal(text_string(&text), expected);
}

static void
an_event_is_one_line(void **state)
{
    Redial__V1__Event event = event_of("attempt.failed");
    Redial__V1__Decision decision = retry();

    (void)state;
    event.correlation_id = (char *)(uintptr_t) "story-42";
    event.has_attempt = true;
    event.attempt = 2;
    event.worker = (char *)(uintptr_t) "image-worker";
    event.has_code = true;
    event.code = REDIAL__V1__CODE__UNAVAILABLE;
    event.reason = (char *)(uintptr_t) "HTTP_503";
    event.text = (char *)(uintptr_t) "two\nlines";
    event_reads(&event, "2026-01-31T23:59:59.000Z  attempt.failed     "
                        "01890a5d-ac96-774b-bcce-b302099a8057  story-42  "
                        "image.ImageGen/Generate  attempt 2 on image-worker  "
                        "UNAVAILABLE HTTP_503 two lines");
    event = event_of("retry.planned");
    event.decision = &decision;
    event_reads(&event, "2026-01-31T23:59:59.000Z  retry.planned      "
                        "01890a5d-ac96-774b-bcce-b302099a8057  "
                        "image.ImageGen/Generate  retry in 9.2 s (backoff 8 s "
                        "×1.15)");
}

static void
a_reason_that_is_the_rule_is_told_once(void **state)
{
    Redial__V1__Event event = event_of("attempt.failed");
    Redial__V1__Decision decision = REDIAL__V1__DECISION__INIT;

    (void)state;
    event.has_code = true;
    event.code = REDIAL__V1__CODE__CANCELLED;
    event.reason = (char *)(uintptr_t) "HEDGE_LOST";
    event.decision = &decision;
    decision.rule = event.reason;
    text_clear(&text);
    event_add_brief(&text, &event);
    assert_string_equal(text_string(&text),
                        "    +0 ms  attempt.failed     CANCELLED  HEDGE_LOST: "
                        "another attempt of the job settled it first");
}

static void
an_event_about_no_job_is_shown_as_well(void **state)
{
    Redial__V1__Event event = REDIAL__V1__EVENT__INIT;

    (void)state;
    event.type = (char *)(uintptr_t) "worker.joined";
    event.wall_ms = ACCEPTED;
    event.worker = (char *)(uintptr_t) "image-worker";
    event.text = (char *)(uintptr_t) "hello";
    event_reads(&event, "2026-01-31T23:59:59.000Z  worker.joined      "
                        "image-worker  hello");
}

static void
what_a_worker_asks_for_is_told(void **state)
{
    Redial__V1__Event event = event_of("attempt.failed");

    (void)state;
    event.has_code = true;
    event.code = REDIAL__V1__CODE__UNAVAILABLE;
    event.has_pushback_ms = true;
    event.pushback_ms = 5000;
    event.for_target = true;
    event.overloaded = true;
    text_clear(&text);
    event_add_brief(&text, &event);
    assert_string_equal(text_string(&text),
                        "    +0 ms  attempt.failed     UNAVAILABLE  asked to "
                        "come back in 5 s, all retries of the target  "
                        "overloaded");
}

static void
a_hedge_is_told_from_a_retry(void **state)
{
    Redial__V1__Event event = event_of("attempt.started");

    (void)state;
    event.has_attempt = true;
    event.attempt = 2;
    event.worker = (char *)(uintptr_t) "drill";
    event.hedge = true;
    text_clear(&text);
    event_add_brief(&text, &event);
    assert_string_equal(text_string(&text),
                        "    +0 ms  attempt.started    attempt 2 on drill, a "
                        "hedge beside others");
}

static void
a_budget_names_its_target_and_what_is_left(void **state)
{
    Redial__V1__Event event = REDIAL__V1__EVENT__INIT;
    Redial__V1__Decision left = REDIAL__V1__DECISION__INIT;

    (void)state;
    event.type = (char *)(uintptr_t) "budget.exhausted";
    event.wall_ms = ACCEPTED;
    event.target = (char *)(uintptr_t) "gpu-pool";
    event.reason = (char *)(uintptr_t) "THROTTLE";
    event_reads(&event, "2026-01-31T23:59:59.000Z  budget.exhausted   gpu-pool"
                        "  no retries for now: throttle");
    event.decision = &left;
    left.has_tokens_milli = true;
    left.tokens_milli = 5000;
    left.tokens_max_milli = 10000;
    left.has_budget_milli = true;
    left.budget_milli = 1500;
    event_reads(&event, "2026-01-31T23:59:59.000Z  budget.exhausted   gpu-pool"
                        "  no retries for now: throttle 5 of 10 tokens left, "
                        "retries while above 5");
    event.type = (char *)(uintptr_t) "budget.recovered";
    event.reason = (char *)(uintptr_t) "BUDGET";
    event_reads(&event, "2026-01-31T23:59:59.000Z  budget.recovered   gpu-pool"
                        "  retries go on: budget 1.5 retries left");
    event.reason = (char *)(uintptr_t) "MOON";
    event_reads(&event, "2026-01-31T23:59:59.000Z  budget.recovered   gpu-pool"
                        "  retries go on  MOON");
}

static void
an_acceptance_tells_what_is_unusual(void **state)
{
    Redial__V1__Event event = event_of("job.accepted");

    (void)state;
    event.has_priority = true;
    event.priority = 5;
    event.has_deadline_ms = true;
    text_clear(&text);
    event_add_brief(&text, &event);
    assert_string_equal(text_string(&text), "    +0 ms  job.accepted");
    event.priority = 0;
    event.has_idempotent = true;
    event.idempotent = REDIAL__V1__IDEMPOTENCY__NOT_IDEMPOTENT;
    event.deadline_ms = 30000;
    event.has_not_before_ms = true;
    event.not_before_ms = 1000;
    event.has_queue_ttl_ms = true;
    event.queue_ttl_ms = 5000;
    event.has_max_attempts = true;
    event.max_attempts = 3;
    event.has_attempt_timeout_ms = true;
    event.attempt_timeout_ms = 2000;
    text_clear(&text);
    event_add_brief(&text, &event);
    assert_string_equal(text_string(&text),
                        "    +0 ms  job.accepted       priority 0  not "
                        "idempotent  deadline in 30 s  not before 1 s  first "
                        "attempt within 5 s  at most 3 attempts  each at most "
                        "2 s");
}

static void
an_event_without_a_type_does_no_harm(void **state)
{
    Redial__V1__Event event = REDIAL__V1__EVENT__INIT;

    (void)state;
    event_reads(&event, "1970-01-01T00:00:00.000Z  ");
}

static void
a_gap_says_what_is_missing(void **state)
{
    Redial__V1__Gap gap = REDIAL__V1__GAP__INIT;

    (void)state;
    gap.epoch = (char *)(uintptr_t) "abc";
    gap.from_seq = 12;
    gap.to_seq = 40;
    gap.reason = (char *)(uintptr_t) "TRIMMED";
    text_clear(&text);
    event_add_gap(&text, &gap);
    assert_string_equal(text_string(&text),
                        "gap: events 12 to 40 are not kept any more (TRIMMED)");
    gap.reason = (char *)(uintptr_t) "EPOCH_CHANGED";
    text_clear(&text);
    event_add_gap(&text, &gap);
    assert_string_equal(text_string(&text),
                        "gap: the gateway has another log now; what was in log "
                        "abc from event 12 on is not known (EPOCH_CHANGED)");
}

static void
a_brief_event_counts_from_the_acceptance(void **state)
{
    Redial__V1__Event event = event_of("attempt.started");

    (void)state;
    event.since_accepted_ms = 2300;
    event.has_attempt = true;
    event.attempt = 2;
    event.worker = (char *)(uintptr_t) "drill/25fbf8b3d76a6c10d4ae2cd2e8d13ec3";
    text_clear(&text);
    event_add_brief(&text, &event);
    assert_string_equal(text_string(&text),
                        "   +2.3 s  attempt.started    attempt 2 on "
                        "drill/25fbf8b3");
    event = event_of("job.accepted");
    text_clear(&text);
    event_add_brief(&text, &event);
    assert_string_equal(text_string(&text), "    +0 ms  job.accepted");
}

static void
only_final_states_end_a_job(void **state)
{
    Redial__V1__Event event = event_of("job.expired");

    (void)state;
    assert_true(event_is_end(&event));
    event = event_of("attempt.failed");
    assert_false(event_is_end(&event));
    event.type = NULL;
    assert_false(event_is_end(&event));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_is_one_line),
        cmocka_unit_test(a_reason_that_is_the_rule_is_told_once),
        cmocka_unit_test(an_event_about_no_job_is_shown_as_well),
        cmocka_unit_test(what_a_worker_asks_for_is_told),
        cmocka_unit_test(a_hedge_is_told_from_a_retry),
        cmocka_unit_test(a_budget_names_its_target_and_what_is_left),
        cmocka_unit_test(an_acceptance_tells_what_is_unusual),
        cmocka_unit_test(an_event_without_a_type_does_no_harm),
        cmocka_unit_test(a_gap_says_what_is_missing),
        cmocka_unit_test(a_brief_event_counts_from_the_acceptance),
        cmocka_unit_test(only_final_states_end_a_job),
    };

    return cmocka_run_group_tests(tests, NULL, teardown);
}
