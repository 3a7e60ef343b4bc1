/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/retry.h"

#include "server/core/backoff.h"
#include "server/core/text.h"

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
    };
}

/* Steps 2 to 7: RULE_NONE when none of them ends the job. */
static enum rule
refuse(const struct method_policy *policy, const struct retry_failure *failure,
       const struct retry_counts *counts, struct target *target,
       int64_t *tokens_milli)
{
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
    if (rule == RULE_NONE || stop) {
        *tokens_milli = target_charge_failure(target);
    }
    if (rule != RULE_NONE) {
        return rule;
    }
    if (!target_allows_retry(target)) {
        return RULE_THROTTLED;
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
}

struct decision
retry_decide(const struct method_policy *policy,
             const struct retry_failure *failure,
             const struct retry_counts *counts, struct target *target,
             const struct retry_time *time, struct rng *rng)
{
    struct decision decision = begin(policy, counts);
    int64_t reopen_ms = 0;

    decision.rule = refuse(policy, failure, counts, target,
                           &decision.tokens_milli);
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
    if (target_admits(target, &reopen_ms)) {
        set_time(time, RULE_RETRY_PLANNED, &decision);
        return decision;
    }
    if (reopen_ms > time->now.mono.ms + (int64_t)decision.delay_ms) {
        decision.delay_source = DELAY_BREAKER;
        decision.delay_ms = (uint64_t)(reopen_ms - time->now.mono.ms);
    }
    set_time(time, RULE_BREAKER_OPEN, &decision);
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
