/* SPDX-License-Identifier: Apache-2.0 */
/* The retry decision on its own: each exit, and which one comes first. */
#include "server/core/retry.h"
#include "server/core/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct method_policy policy;
static struct retry_failure failure;
static struct retry_counts counts;
static struct retry_guard guard;
static struct retry_time when;
static struct rng rng;
static struct text refused[1];
static struct text allowed[1];

/* A failure that is tried again in 1000 ms. */
static int
setup(void **state)
{
    (void)state;
    struct policy_set set;

    policy_set_default(&set);
    policy = set.fallback;
    policy.retry.jitter = JITTER_NONE;
    failure = (struct retry_failure){
        .code = REDIAL_UNAVAILABLE,
        .code_is_known = true,
        .reason = text_of("DOWN"),
    };
    counts = (struct retry_counts){.charged = 1, .attempts_limit = 10};
    guard = RETRY_UNGUARDED;
    when = (struct retry_time){
        .now = {.mono = {5000}, .wall = {1700000000000}},
        .deadline = MONO_NEVER,
    };
    rng_init(&rng, 1);
    refused[0] = text_of("BROKEN_SCRIPT");
    allowed[0] = text_of("TRY_LATER");
    policy.retry.non_retryable_reasons = refused;
    policy.retry.non_retryable_reason_count = 1;
    policy.retry.retryable_reasons = allowed;
    policy.retry.retryable_reason_count = 1;
    return 0;
}

static struct decision
decide(void)
{
    struct decision decision = retry_decide(&policy, &failure, &counts, &guard,
                                            &when, &rng);

    /* As its record would. */
    if (decision.tokens_max_milli > 0) {
        guard.tokens_milli = decision.tokens_milli;
    }
    return decision;
}

static void
a_listed_code_is_tried_again_after_the_backoff(void **state)
{
    (void)state;
    struct decision decision = decide();

    assert_int_equal(decision.rule, RULE_RETRY_PLANNED);
    assert_int_equal(decision.delay_source, DELAY_BACKOFF);
    assert_int_equal(decision.delay_ms, 1000);
    assert_int_equal(decision.backoff_ms, 1000);
    assert_int_equal(decision.until_wall_ms, 1700000001000);
    assert_int_equal(decision.attempts_charged, 1);
    assert_int_equal(decision.attempts_left, 2);
    assert_int_equal(decision.tokens_milli, -1);
    assert_int_equal(decision.clamp, CLAMP_NONE);
}

static void
a_code_that_is_not_listed_ends_the_job(void **state)
{
    (void)state;
    for (int code = 1; code < REDIAL_STATUS_COUNT; code++) {
        bool listed = (policy.retry.retryable_codes >> code & 1u) != 0;

        failure.code = (enum redial_status)code;
        assert_int_equal(decide().rule,
                         listed ? RULE_RETRY_PLANNED : RULE_NON_RETRYABLE_CODE);
    }
    failure.code = REDIAL_UNKNOWN;
    policy.retry.retryable_codes = UINT32_MAX;
    failure.code_is_known = false;
    assert_int_equal(decide().rule, RULE_NON_RETRYABLE_CODE);
}

static void
reasons_go_before_codes_and_refused_ones_first(void **state)
{
    (void)state;
    failure.code = REDIAL_INVALID_ARGUMENT;
    failure.reason = text_of("TRY_LATER");
    assert_int_equal(decide().rule, RULE_RETRY_PLANNED);
    refused[0] = text_of("TRY_LATER");
    assert_int_equal(decide().rule, RULE_NON_RETRYABLE_REASON);
    failure.code = REDIAL_UNAVAILABLE;
    assert_int_equal(decide().rule, RULE_NON_RETRYABLE_REASON);
    failure.reason = text_of("TRY_LATE");
    assert_int_equal(decide().rule, RULE_RETRY_PLANNED);
    failure.reason = text_of("");
    assert_int_equal(decide().rule, RULE_RETRY_PLANNED);
}

static void
charged_attempts_count_the_first_try(void **state)
{
    (void)state;
    counts.charged = 2;
    assert_int_equal(decide().rule, RULE_RETRY_PLANNED);
    assert_int_equal(decide().attempts_left, 1);
    counts.charged = 3;
    assert_int_equal(decide().rule, RULE_ATTEMPTS_EXHAUSTED);
    assert_int_equal(decide().attempts_left, 0);
    counts.charged = 1;
    policy.retry.max_attempts = 1;
    assert_int_equal(decide().rule, RULE_ATTEMPTS_EXHAUSTED);
}

static void
a_job_only_tightens_the_number_of_attempts(void **state)
{
    (void)state;
    counts.charged = 2;
    counts.max_attempts = 2;
    assert_int_equal(decide().rule, RULE_ATTEMPTS_EXHAUSTED);
    counts.charged = 3;
    counts.max_attempts = 100;
    assert_int_equal(decide().rule, RULE_ATTEMPTS_EXHAUSTED);
    counts.max_attempts = 0;
    assert_int_equal(retry_attempts_max(&policy, &counts), 3);
}

static void
the_operators_limit_shows(void **state)
{
    (void)state;
    policy.retry.max_attempts = 9;
    counts.attempts_limit = 7;
    counts.charged = 6;
    assert_int_equal(decide().rule, RULE_RETRY_PLANNED);
    counts.charged = 7;
    assert_int_equal(decide().rule, RULE_ATTEMPTS_EXHAUSTED);
    assert_int_equal(decide().clamp, CLAMP_ATTEMPTS_LIMIT);
    policy.retry.max_attempts = 7;
    assert_int_equal(decide().clamp, CLAMP_NONE);
    policy.retry.attempts_clamped = true;
    assert_int_equal(decide().clamp, CLAMP_ATTEMPTS_LIMIT);
    counts.max_attempts = 7; /* asked for no more: nothing was cut */
    assert_int_equal(decide().clamp, CLAMP_NONE);
    counts.max_attempts = 5;
    assert_int_equal(decide().clamp, CLAMP_NONE);
}

static void
pushback_is_exact_up_to_the_operators_maximum(void **state)
{
    (void)state;
    failure.has_pushback = true;
    failure.pushback_ms = 123;
    struct decision decision = decide();

    assert_int_equal(decision.rule, RULE_RETRY_PLANNED);
    assert_int_equal(decision.delay_source, DELAY_PUSHBACK);
    assert_int_equal(decision.delay_ms, 123);
    assert_int_equal(decision.clamp, CLAMP_NONE);
    failure.pushback_ms = 0;
    assert_int_equal(decide().delay_ms, 0);
    failure.pushback_ms = 3600000;
    assert_int_equal(decide().delay_ms, 3600000);
    assert_int_equal(decide().clamp, CLAMP_NONE);
    failure.pushback_ms = 3600001;
    assert_int_equal(decide().delay_ms, 3600000);
    assert_int_equal(decide().clamp, CLAMP_MAX_PUSHBACK);
    failure.pushback_ms = INT64_MAX;
    policy.retry.max_pushback_ms = UINT64_MAX;
    assert_int_equal(decide().rule, RULE_RETRY_PLANNED);
}

static void
negative_pushback_stops(void **state)
{
    (void)state;
    failure.has_pushback = true;
    failure.pushback_ms = -1;
    assert_int_equal(decide().rule, RULE_PUSHBACK_STOP);
    failure.pushback_ms = INT64_MIN;
    assert_int_equal(decide().rule, RULE_PUSHBACK_STOP);
}

static void
pushback_neither_adds_attempts_nor_makes_a_code_retryable(void **state)
{
    (void)state;
    failure.has_pushback = true;
    failure.pushback_ms = 10;
    counts.charged = 3;
    assert_int_equal(decide().rule, RULE_ATTEMPTS_EXHAUSTED);
    counts.charged = 1;
    failure.code = REDIAL_INVALID_ARGUMENT;
    assert_int_equal(decide().rule, RULE_NON_RETRYABLE_CODE);
}

static void
the_backoff_goes_by_the_count_since_the_last_pushback(void **state)
{
    (void)state;
    policy.retry.max_attempts = 10;
    counts.charged = 5;
    counts.backoff_n = 2;
    assert_int_equal(decide().delay_ms, 4000);
    counts.backoff_n = 0;
    assert_int_equal(decide().delay_ms, 1000);
    counts.backoff_n = 60;
    assert_int_equal(decide().delay_ms, 60000);
    assert_int_equal(decide().clamp, CLAMP_MAX_BACKOFF);
}

static void
at_or_after_the_deadline_there_is_no_next_try(void **state)
{
    (void)state;
    when.deadline = (struct mono){6001};
    assert_int_equal(decide().rule, RULE_RETRY_PLANNED);
    when.deadline = (struct mono){6000};
    assert_int_equal(decide().rule, RULE_DEADLINE_WOULD_EXPIRE);
    assert_int_equal(decide().until_wall_ms, 0);
    failure.has_pushback = true;
    failure.pushback_ms = 999;
    assert_int_equal(decide().rule, RULE_RETRY_PLANNED);
}

static void
what_may_have_happened_is_not_repeated(void **state)
{
    (void)state;
    failure.uncertain = true;
    assert_int_equal(decide().rule, RULE_RETRY_PLANNED);
    counts.idempotency = IDEMPOTENCY_YES;
    assert_int_equal(decide().rule, RULE_RETRY_PLANNED);
    counts.idempotency = IDEMPOTENCY_NO;
    assert_int_equal(decide().rule, RULE_INDETERMINATE);
    policy.retry_indeterminate = true;
    assert_int_equal(decide().rule, RULE_RETRY_PLANNED);
}

static void
two_dead_workers_are_enough(void **state)
{
    (void)state;
    counts.kills = 1;
    assert_int_equal(decide().rule, RULE_RETRY_PLANNED);
    counts.kills = 2;
    assert_int_equal(decide().rule, RULE_POISON);
}

static void
the_throttle_is_charged_before_the_count_is_looked_at(void **state)
{
    (void)state;
    guard.tokens_milli = 10000;
    guard.tokens_max_milli = 10000;
    counts.charged = 3;
    struct decision decision = decide();

    assert_int_equal(decision.rule, RULE_ATTEMPTS_EXHAUSTED);
    assert_int_equal(decision.tokens_milli, 9000);
    assert_int_equal(guard.tokens_milli, 9000);
}

static void
an_empty_throttle_stops_retries_and_never_goes_below_zero(void **state)
{
    (void)state;
    guard.tokens_milli = 7000;
    guard.tokens_max_milli = 10000;
    assert_int_equal(decide().rule, RULE_RETRY_PLANNED);
    assert_int_equal(decide().rule, RULE_THROTTLED);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(decide().rule, RULE_THROTTLED);
    }
    assert_int_equal(guard.tokens_milli, 0);
    assert_int_equal(decide().tokens_milli, 0);
}

static void
only_qualified_failures_and_stops_are_charged(void **state)
{
    (void)state;
    guard.tokens_milli = 10000;
    guard.tokens_max_milli = 10000;
    failure.code = REDIAL_INVALID_ARGUMENT;
    assert_int_equal(decide().rule, RULE_NON_RETRYABLE_CODE);
    assert_int_equal(guard.tokens_milli, 10000);
    failure.has_pushback = true;
    failure.pushback_ms = 5;
    decide();
    assert_int_equal(guard.tokens_milli, 10000);
    failure.pushback_ms = -5;
    assert_int_equal(decide().rule, RULE_NON_RETRYABLE_CODE);
    assert_int_equal(guard.tokens_milli, 9000);
    failure.code = REDIAL_UNAVAILABLE;
    assert_int_equal(decide().rule, RULE_PUSHBACK_STOP);
    assert_int_equal(guard.tokens_milli, 8000);
}

/* All exits hold at once; taking the first away shows the next. */
static void
the_exits_come_in_the_order_of_the_design(void **state)
{
    (void)state;
    guard.tokens_milli = 0;
    guard.tokens_max_milli = 10000;
    counts.kills = 2;
    counts.idempotency = IDEMPOTENCY_NO;
    counts.charged = 3;
    failure.uncertain = true;
    failure.overloaded = true;
    failure.reason = text_of("BROKEN_SCRIPT");
    failure.code = REDIAL_INTERNAL;
    failure.has_pushback = true;
    failure.pushback_ms = -1;
    when.deadline = (struct mono){5500};
    assert_int_equal(decide().rule, RULE_POISON);
    counts.kills = 0;
    assert_int_equal(decide().rule, RULE_INDETERMINATE);
    failure.uncertain = false;
    assert_int_equal(decide().rule, RULE_OVERLOADED_MARK);
    failure.overloaded = false;
    assert_int_equal(decide().rule, RULE_NON_RETRYABLE_REASON);
    failure.reason = text_of("DOWN");
    assert_int_equal(decide().rule, RULE_NON_RETRYABLE_CODE);
    failure.code = REDIAL_UNAVAILABLE;
    assert_int_equal(decide().rule, RULE_THROTTLED);
    guard.tokens_milli = -1;
    assert_int_equal(decide().rule, RULE_ATTEMPTS_EXHAUSTED);
    counts.charged = 1;
    assert_int_equal(decide().rule, RULE_PUSHBACK_STOP);
    failure.has_pushback = false;
    assert_int_equal(decide().rule, RULE_DEADLINE_WOULD_EXPIRE);
    when.deadline = MONO_NEVER;
    assert_int_equal(decide().rule, RULE_RETRY_PLANNED);
}

static void
a_closed_target_parks_instead_of_backing_off(void **state)
{
    (void)state;
    guard.breaker_open = true;
    assert_int_equal(decide().rule, RULE_BREAKER_OPEN);
    when.deadline = (struct mono){5500};
    assert_int_equal(decide().rule, RULE_DEADLINE_WOULD_EXPIRE);
}

static struct decision
decide_free(uint32_t free, uint32_t streak)
{
    counts.free = free;
    counts.free_streak = streak;
    return retry_decide_free(&policy, &counts, &when, &rng);
}

static void
what_never_started_goes_again_at_once_the_first_time(void **state)
{
    (void)state;
    policy.retry.retryable_codes = 0;
    policy.retry.max_attempts = 1;
    struct decision decision = decide_free(1, 1);

    assert_int_equal(decision.rule, RULE_FREE_RETRY);
    assert_int_equal(decision.delay_source, DELAY_NONE);
    assert_int_equal(decision.until_wall_ms, 0);
    decision = decide_free(2, 2);
    assert_int_equal(decision.rule, RULE_FREE_RETRY);
    assert_int_equal(decision.delay_source, DELAY_BACKOFF);
    assert_int_equal(decision.delay_ms, 1000);
    assert_int_equal(decision.until_wall_ms, 1700000001000);
    assert_int_equal(decide_free(3, 3).delay_ms, 2000);
    assert_int_equal(decide_free(7, 1).delay_ms, 0);
}

static void
free_attempts_have_a_bound_of_their_own(void **state)
{
    (void)state;
    assert_int_equal(decide_free(99, 1).rule, RULE_FREE_RETRY);
    assert_int_equal(decide_free(100, 1).rule, RULE_FREE_EXHAUSTED);
    when.deadline = (struct mono){6000};
    assert_int_equal(decide_free(2, 1).rule, RULE_FREE_RETRY);
    assert_int_equal(decide_free(2, 2).rule, RULE_DEADLINE_WOULD_EXPIRE);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_listed_code_is_tried_again_after_the_backoff),
        TEST(a_code_that_is_not_listed_ends_the_job),
        TEST(reasons_go_before_codes_and_refused_ones_first),
        TEST(charged_attempts_count_the_first_try),
        TEST(a_job_only_tightens_the_number_of_attempts),
        TEST(the_operators_limit_shows),
        TEST(pushback_is_exact_up_to_the_operators_maximum),
        TEST(negative_pushback_stops),
        TEST(pushback_neither_adds_attempts_nor_makes_a_code_retryable),
        TEST(the_backoff_goes_by_the_count_since_the_last_pushback),
        TEST(at_or_after_the_deadline_there_is_no_next_try),
        TEST(what_may_have_happened_is_not_repeated),
        TEST(two_dead_workers_are_enough),
        TEST(the_throttle_is_charged_before_the_count_is_looked_at),
        TEST(an_empty_throttle_stops_retries_and_never_goes_below_zero),
        TEST(only_qualified_failures_and_stops_are_charged),
        TEST(the_exits_come_in_the_order_of_the_design),
        TEST(a_closed_target_parks_instead_of_backing_off),
        TEST(what_never_started_goes_again_at_once_the_first_time),
        TEST(free_attempts_have_a_bound_of_their_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
