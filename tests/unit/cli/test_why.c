/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/why.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* 2026-01-31T23:59:59Z. */
#define UNTIL INT64_C(1769903999000)

static struct text text;
static Redial__V1__Decision decision;
static Redial__V1__Outcome failure;

static char *
unconst(const char *string)
{
    return (char *)(uintptr_t)string;
}

/* After the third failure: 8 s, times 1.15. */
static int
setup(void **state)
{
    (void)state;
    text_clear(&text);
    redial__v1__decision__init(&decision);
    decision.rule = unconst("RETRY_PLANNED");
    decision.has_delay_ms = true;
    decision.delay_ms = 9200;
    decision.delay_source = unconst("backoff");
    decision.has_backoff_ms = true;
    decision.backoff_ms = 8000;
    decision.has_jitter_permille = true;
    decision.jitter_permille = 1150;
    decision.has_attempts_charged = true;
    decision.attempts_charged = 3;
    decision.has_attempts_free = true;
    decision.attempts_free = 1;
    decision.has_attempts_left = true;
    decision.attempts_left = 2;
    decision.has_tokens_milli = true;
    decision.tokens_milli = 8500;
    decision.has_tokens_max_milli = true;
    decision.tokens_max_milli = 10000;
    decision.has_budget_milli = true;
    decision.budget_milli = 12000;
    decision.has_until_wall_ms = true;
    decision.until_wall_ms = UNTIL;
    decision.has_policy_version = true;
    decision.policy_version = 4;
    redial__v1__outcome__init(&failure);
    failure.has_code = true;
    failure.code = REDIAL__V1__CODE__UNAVAILABLE;
    failure.reason = unconst("HTTP_503");
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    text_fini(&text);
    return 0;
}

/* The line that begins with a title; "" if there is none. */
static const char *
line_of(const struct why *why, const char *title)
{
    static char line[512];
    char wanted[32];
    const char *at;

    text_clear(&text);
    why_add(&text, why, 0);
    (void)snprintf(wanted, sizeof(wanted), "\n%-9s ", title);
    at = strstr(text_string(&text), wanted);
    if (at == NULL) {
        return "";
    }
    at += strlen(wanted);
    (void)snprintf(line, sizeof(line), "%.*s", (int)strcspn(at, "\n"), at);
    return line;
}

static void
a_retry_shows_every_input(void **state)
{
    struct why why = {.decision = &decision, .failure = &failure};

    (void)state;
    why_add(&text, &why, 2);
    assert_string_equal(
        text_string(&text),
        "  RETRY_PLANNED: the failure is retryable and all limits allow it\n"
        "  given     UNAVAILABLE HTTP_503\n"
        "  delay     9200 ms = backoff 8000 ms × jitter 1.150, until "
        "2026-01-31T23:59:59.000Z\n"
        "  throttle  8.5 of 10 tokens left, retries while above 5\n"
        "  budget    12 retries left\n"
        "  attempts  3 charged, 1 free, 2 left; policy version 4\n");
}

static void
what_had_no_part_is_left_out(void **state)
{
    Redial__V1__Decision bare = REDIAL__V1__DECISION__INIT;
    struct why why = {.decision = &bare};

    (void)state;
    why_add(&text, &why, 0);
    assert_string_equal(text_string(&text), "no rule\n");
    text_clear(&text);
    bare.rule = unconst("MOON_PHASE");
    why_add(&text, &why, 0);
    assert_string_equal(text_string(&text), "MOON_PHASE\n");
}

static void
what_the_worker_asked_for_is_given(void **state)
{
    struct why why = {.decision = &decision, .failure = &failure};

    (void)state;
    failure.has_pushback_ms = true;
    failure.pushback_ms = 5000;
    why.overloaded = true;
    assert_string_equal(line_of(&why, "given"),
                        "UNAVAILABLE HTTP_503, asked to come back in 5 s, "
                        "overloaded");
    failure.for_target = true;
    why.overloaded = false;
    assert_string_equal(line_of(&why, "given"),
                        "UNAVAILABLE HTTP_503, asked to come back in 5 s, all "
                        "retries of the target");
    failure.pushback_ms = -1;
    failure.for_target = false;
    assert_string_equal(line_of(&why, "given"),
                        "UNAVAILABLE HTTP_503, asked not to come back");
    failure.reason = decision.rule;
    assert_string_equal(line_of(&why, "given"), "");
    failure.reason = NULL;
    failure.code = REDIAL__V1__CODE__OK;
    assert_string_equal(line_of(&why, "given"), "");
}

static void
a_limit_says_what_it_cut_and_from_what(void **state)
{
    struct why why = {.decision = &decision, .failure = &failure};

    (void)state;
    decision.has_until_wall_ms = false;
    decision.delay_ms = 9000;
    decision.clamp = unconst("max_backoff");
    assert_string_equal(line_of(&why, "delay"),
                        "9000 ms = backoff 8000 ms × jitter 1.150, cut from "
                        "9200 ms to maxBackoff");
    decision.clamp = unconst("moon");
    assert_string_equal(line_of(&why, "delay"),
                        "9000 ms = backoff 8000 ms × jitter 1.150, cut from "
                        "9200 ms to moon");
    decision.delay_source = unconst("pushback");
    decision.clamp = unconst("max_pushback");
    assert_string_equal(line_of(&why, "delay"),
                        "9000 ms = pushback of the worker, cut to maxPushback");
    failure.has_pushback_ms = true;
    failure.pushback_ms = 60000;
    assert_string_equal(line_of(&why, "delay"),
                        "9000 ms = pushback of the worker, cut from 60000 ms "
                        "to maxPushback");
}

static void
the_operators_limit_is_about_attempts(void **state)
{
    struct why why = {.decision = &decision};

    (void)state;
    decision.clamp = unconst("attempts_limit");
    decision.has_until_wall_ms = false;
    assert_string_equal(line_of(&why, "delay"),
                        "9200 ms = backoff 8000 ms × jitter 1.150");
    assert_string_equal(line_of(&why, "attempts"),
                        "3 charged, 1 free, 2 left by the operator's "
                        "maxAttemptsLimit; policy version 4");
}

static void
every_source_of_a_delay_has_its_words(void **state)
{
    static const struct {
        const char *source;
        const char *line;
    } rows[] = {
        {"pushback", "300 ms = pushback of the worker"},
        {"target_pushback", "300 ms, a worker asked all retries of the target "
                            "to wait"},
        {"breaker", "300 ms, until the target's breaker may let one through"},
        {"not_before", "300 ms, the agent asked for a later start"},
        {"hedge", "300 ms, the policy's hedgingDelay"},
        {"moon", "300 ms from moon"},
    };
    struct why why = {.decision = &decision};

    (void)state;
    decision.delay_ms = 300;
    decision.has_backoff_ms = false;
    decision.has_jitter_permille = false;
    decision.has_until_wall_ms = false;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        decision.delay_source = unconst(rows[i].source);
        assert_string_equal(line_of(&why, "delay"), rows[i].line);
    }
}

static void
a_delay_that_was_drawn_shows_its_bound(void **state)
{
    struct why why = {.decision = &decision};

    (void)state;
    decision.has_jitter_permille = false;
    decision.has_until_wall_ms = false;
    decision.delay_ms = 3121;
    assert_string_equal(line_of(&why, "delay"),
                        "3121 ms, drawn up to 8000 ms of backoff");
    decision.delay_ms = 8000;
    assert_string_equal(line_of(&why, "delay"), "8000 ms = backoff 8000 ms");
    decision.delay_ms = 90500;
    decision.backoff_ms = 90500;
    assert_string_equal(line_of(&why, "delay"),
                        "90500 ms (1 m 30 s) = backoff 90500 ms");
}

static void
a_hedge_says_what_it_ran_beside(void **state)
{
    struct why why = {.decision = &decision,
                      .beside = "hedge beside attempt 1"};

    (void)state;
    assert_string_equal(line_of(&why, "hedge"), "hedge beside attempt 1");
    why.beside = "";
    assert_string_equal(line_of(&why, "hedge"), "");
}

static void
tokens_of_an_old_record_have_no_bound(void **state)
{
    struct why why = {.decision = &decision};

    (void)state;
    decision.tokens_max_milli = 0;
    decision.tokens_milli = -125;
    assert_string_equal(line_of(&why, "throttle"), "-0.125 tokens left");
    decision.has_tokens_milli = false;
    assert_string_equal(line_of(&why, "throttle"), "");
}

static void
every_rule_of_the_core_has_the_same_words_here(void **state)
{
    static const struct {
        const char *name;
        const char *sentence;
    } core[] = {
#define RULE(name, number, sentence) {#name, sentence},
#include "server/core/rule.def"
#undef RULE
    };
    char expected[256];

    (void)state;
    for (size_t i = 1; i < sizeof(core) / sizeof(core[0]); i++) {
        Redial__V1__Decision bare = REDIAL__V1__DECISION__INIT;
        struct why why = {.decision = &bare};

        bare.rule = unconst(core[i].name);
        text_clear(&text);
        why_add(&text, &why, 0);
        (void)snprintf(expected, sizeof(expected), "%s: %s\n", core[i].name,
                       core[i].sentence);
        assert_string_equal(text_string(&text), expected);
    }
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, setup)
    const struct CMUnitTest tests[] = {
        TEST(a_retry_shows_every_input),
        TEST(what_had_no_part_is_left_out),
        TEST(what_the_worker_asked_for_is_given),
        TEST(a_limit_says_what_it_cut_and_from_what),
        TEST(the_operators_limit_is_about_attempts),
        TEST(every_source_of_a_delay_has_its_words),
        TEST(a_delay_that_was_drawn_shows_its_bound),
        TEST(a_hedge_says_what_it_ran_beside),
        TEST(tokens_of_an_old_record_have_no_bound),
        TEST(every_rule_of_the_core_has_the_same_words_here),
    };

    return cmocka_run_group_tests(tests, NULL, teardown);
}
