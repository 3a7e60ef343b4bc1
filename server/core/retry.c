/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/retry.h"

#include "server/core/backoff.h"
#include "server/core/budget.h"
#include "server/core/hold.h"
#include "server/core/text.h"
#include "server/core/throttle.h"

static const int64_t delay_max_ms = INT64_C(10000000000000);

static bool
lists(const struct text *reasons, uint32_t count, struct text reason)
{
    for (uint32_t i = 0; i < count; i++) {
        if (text_equals(reasons[i], reason)) {
            return true;
        }
    }
    return false;
}

/* Step 4: RULE_NONE when it may be retried. */
static enum rule
classify(const struct retry_policy *policy, const struct retry_failure *failure)
{
    if (failure->reason.len > 0) {
        if (lists(policy->non_retryable_reasons,
                  policy->non_retryable_reason_count, failure->reason)) {
            return RULE_NON_RETRYABLE_REASON;
        }
        if (lists(policy->retryable_reasons, policy->retryable_reason_count,
                  failure->reason)) {
            return RULE_NONE;
        }
    }
    if (!failure->code_is_known ||
        (policy->retryable_codes >> failure->code & 1u) == 0) {
        return RULE_NON_RETRYABLE_CODE;
    }
    return RULE_NONE;
}

bool
retry_is_fatal(const struct method_policy *policy,
               const struct retry_failure *failure)
{
    return classify(&policy->retry, failure) != RULE_NONE;
}

uint32_t
retry_attempts_max(const struct method_policy *policy,
                   const struct retry_counts *counts)
{
    uint32_t max = policy->retry.max_attempts;

    if (counts->max_attempts > 0 && counts->max_attempts < max) {
        max = counts->max_attempts;
    }
    if (counts->attempts_limit > 0 && counts->attempts_limit < max) {
        max = counts->attempts_limit;
    }
    return max;
}

/* True when the operator's limit, not the policy or the job, is what counts. */
static bool
is_limited(const struct method_policy *policy,
           const struct retry_counts *counts)
{
    uint32_t max = retry_attempts_max(policy, counts);

    if (max == counts->max_attempts) {
        return false; /* the job asked for no more */
    }
    return max < policy->retry.max_attempts ? max == counts->attempts_limit
                                            : policy->retry.attempts_clamped;
}

/* What every decision says of the counts. */
static struct decision
begin(const struct method_policy *policy, const struct retry_counts *counts)
{
    uint32_t max = retry_attempts_max(policy, counts);
    uint32_t taken = counts->charged + counts->running;

    return (struct decision){
        .attempts_charged = counts->charged,
        .attempts_free = counts->free,
        .attempts_left = max > taken ? max - taken : 0,
        .clamp = is_limited(policy, counts) ? CLAMP_ATTEMPTS_LIMIT : CLAMP_NONE,
        .tokens_milli = -1,
        .budget_milli = -1,
    };
}

/* Step 5, and where throttle and budget stand after it. */
static void
charge(const struct retry_guard *guard, bool qualified,
       struct decision *decision)
{
    decision->tokens_milli = guard->tokens_milli;
    decision->budget_milli = guard->budget_milli;
    if (qualified && guard->tokens_milli >= 0) {
        decision->tokens_milli = throttle_after_failure(guard->tokens_milli);
        decision->tokens_max_milli = guard->tokens_max_milli;
    }
}

/* Step 6, for retries of all kinds. */
static enum rule
refuse_by_guard(const struct retry_guard *guard, int64_t tokens_milli)
{
    if (guard->retries_off) {
        return RULE_RETRIES_OFF;
    }
    if (!throttle_allows(tokens_milli, guard->tokens_max_milli)) {
        return RULE_THROTTLED;
    }
    return budget_allows(guard->budget_milli) ? RULE_NONE
                                              : RULE_BUDGET_EXHAUSTED;
}

enum rule
retry_refused_by_guard(const struct retry_guard *guard)
{
    return refuse_by_guard(guard, guard->tokens_milli);
}

/* Steps 2 to 8: RULE_NONE when none of them ends the job. */
static enum rule
refuse(const struct method_policy *policy, const struct retry_failure *failure,
       const struct retry_counts *counts, const struct retry_guard *guard,
       struct decision *decision)
{
    charge(guard, false, decision);
    if (counts->kills >= KILLS_MAX) {
        return RULE_POISON;
    }
    if (failure->uncertain && counts->idempotency == IDEMPOTENCY_NO &&
        !policy->retry_indeterminate) {
        return RULE_INDETERMINATE;
    }
    bool stop = failure->has_pushback && failure->pushback_ms < 0;
    enum rule rule = failure->overloaded ? RULE_OVERLOADED_MARK
                                         : classify(&policy->retry, failure);

    /* A qualified failure is a retryable one, or a stop. */
    charge(guard, rule == RULE_NONE || stop, decision);
    if (rule == RULE_NONE) {
        rule = refuse_by_guard(guard, decision->tokens_milli);
    }
    if (rule != RULE_NONE) {
        return rule;
    }
    if (counts->charged + counts->running >=
        retry_attempts_max(policy, counts)) {
        return RULE_ATTEMPTS_EXHAUSTED;
    }
    if (counts->frozen != RULE_NONE) {
        return counts->frozen;
    }
    return stop ? RULE_PUSHBACK_STOP : RULE_NONE;
}

/* Step 8: exactly what the worker asked for, within the operator's maximum. */
static void
take_pushback(const struct retry_policy *policy, uint64_t pushback_ms,
              struct decision *decision)
{
    decision->delay_source = DELAY_PUSHBACK;
    decision->delay_ms = pushback_ms;
    if (pushback_ms > policy->max_pushback_ms) {
        decision->delay_ms = policy->max_pushback_ms;
        decision->clamp = CLAMP_MAX_PUSHBACK;
    }
}

/* Step 9 of a hedgingPolicy: now, or hedgingDelay between one and the next. */
static void
take_hedge(const struct method_policy *policy,
           const struct retry_counts *counts, struct decision *decision)
{
    decision->delay_source = DELAY_HEDGE;
    decision->delay_ms = counts->may_hedge ? 0 : policy->hedging_delay_ms;
}

/* Step 9. */
static void
take_backoff(const struct retry_policy *policy, uint32_t n,
             uint64_t previous_ms, struct rng *rng, struct decision *decision)
{
    struct backoff backoff = backoff_draw(policy, n, previous_ms, rng);

    decision->delay_source = DELAY_BACKOFF;
    decision->backoff_ms = backoff.nominal_ms;
    decision->delay_ms = backoff.delay_ms;
    decision->jitter_permille = backoff.jitter_permille;
    if (backoff.clamped) {
        decision->clamp = CLAMP_MAX_BACKOFF;
    }
}

/* Step 9a: not before the target may be asked again, and not all at once. */
static void
take_hold(const struct retry_guard *guard, const struct retry_time *time,
          struct rng *rng, struct decision *decision)
{
    if (guard->hold_until_ms <= time->now.mono.ms) {
        return;
    }
    int64_t hold_ms = guard->hold_until_ms - time->now.mono.ms;
    int64_t delay_ms = hold_release(guard->hold_until_ms, guard->hold_spread_ms,
                                    time->deadline, rng) -
                       time->now.mono.ms;

    if ((uint64_t)delay_ms < decision->delay_ms) {
        return;
    }
    decision->delay_source = DELAY_TARGET_PUSHBACK;
    decision->delay_ms = (uint64_t)delay_ms;
    decision->jitter_permille = (uint32_t)(delay_ms * 1000 / hold_ms);
}

/* Steps 10 to 12: when, and whether that is in time. */
static void
set_time(const struct retry_time *time, enum rule rule,
         struct decision *decision)
{
    if (decision->delay_ms > (uint64_t)delay_max_ms) {
        decision->delay_ms = (uint64_t)delay_max_ms;
    }
    int64_t delay_ms = (int64_t)decision->delay_ms;

    if (time->now.mono.ms + delay_ms >= time->deadline.ms) {
        decision->rule = RULE_DEADLINE_WOULD_EXPIRE;
        return;
    }
    decision->rule = rule;
    decision->until_wall_ms = time->now.wall.ms + delay_ms;
    if (rule == RULE_RETRY_PLANNED && decision->budget_milli >= 0) {
        decision->budget_milli -= RETRY_MILLI;
    }
}

/*
 * Step 10: not before the breaker lets something through, and not all at once.
 * When that is not known there is no time: somebody will say.
 */
static void
park(const struct retry_guard *guard, const struct retry_time *time,
     struct rng *rng, struct decision *decision)
{
    int64_t now_ms = time->now.mono.ms;

    if (guard->breaker_until_ms == INT64_MAX) {
        decision->rule = RULE_BREAKER_OPEN;
        decision->delay_source = DELAY_BREAKER;
        return;
    }
    if (guard->breaker_until_ms > now_ms) {
        int64_t until_ms = hold_release(guard->breaker_until_ms,
                                        guard->breaker_spread_ms,
                                        time->deadline, rng);

        if (until_ms > now_ms + (int64_t)decision->delay_ms) {
            decision->delay_source = DELAY_BREAKER;
            decision->delay_ms = (uint64_t)(until_ms - now_ms);
        }
    }
    set_time(time, RULE_BREAKER_OPEN, decision);
}

struct decision
retry_decide(const struct method_policy *policy,
             const struct retry_failure *failure,
             const struct retry_counts *counts, const struct retry_guard *guard,
             const struct retry_time *time, struct rng *rng)
{
    struct decision decision = begin(policy, counts);

    decision.rule = refuse(policy, failure, counts, guard, &decision);
    if (decision.rule != RULE_NONE) {
        return decision;
    }
    if (failure->has_pushback) {
        take_pushback(&policy->retry, (uint64_t)failure->pushback_ms,
                      &decision);
    } else if (policy->hedged) {
        take_hedge(policy, counts, &decision);
    } else {
        take_backoff(&policy->retry, counts->backoff_n + 1, counts->previous_ms,
                     rng, &decision);
    }
    take_hold(guard, time, rng, &decision);
    if (!guard->breaker_open) {
        set_time(time, RULE_RETRY_PLANNED, &decision);
    } else if (policy->reject_when_open) {
        decision.rule = RULE_BREAKER_REJECTED;
    } else {
        park(guard, time, rng, &decision);
    }
    return decision;
}

struct decision
retry_decide_free(const struct method_policy *policy,
                  const struct retry_counts *counts,
                  const struct retry_time *time, struct rng *rng)
{
    struct decision decision = begin(policy, counts);

    decision.clamp = CLAMP_NONE;
    if (counts->frozen != RULE_NONE) {
        decision.rule = counts->frozen;
        return decision;
    }
    if (counts->free >= policy->retry.free_attempts_max) {
        decision.rule = RULE_FREE_EXHAUSTED;
        return decision;
    }
    if (counts->free_streak > 1) {
        take_backoff(&policy->retry, counts->free_streak - 1, 0, rng,
                     &decision);
    }
    set_time(time, RULE_FREE_RETRY, &decision);
    if (decision.rule == RULE_FREE_RETRY && counts->free_streak <= 1) {
        decision.until_wall_ms = 0;
    }
    return decision;
}
