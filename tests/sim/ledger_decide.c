/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The retry decision once more, from the words of semantics.md: given how an
 * attempt ended, which rule must the engine have named, and within which bounds
 * must the delay lie?
 */
#include "tests/sim/ledger.h"
#include "tests/sim/sim.h"

#include <inttypes.h>
#include <string.h>

static bool
lists(const struct text *reasons, uint32_t count, const char *reason)
{
    for (uint32_t i = 0; i < count; i++) {
        if (reasons[i].len == strlen(reason) &&
            memcmp(reasons[i].at, reason, reasons[i].len) == 0) {
            return true;
        }
    }
    return false;
}

/* RULE_NONE: may be retried as far as code and reason go. */
static enum rule
by_code(const struct retry_policy *policy, const struct ledger_job *job)
{
    const char *reason = job->over_reason;

    if (reason[0] != '\0') {
        if (lists(policy->non_retryable_reasons,
                  policy->non_retryable_reason_count, reason)) {
            return RULE_NON_RETRYABLE_REASON;
        }
        if (lists(policy->retryable_reasons, policy->retryable_reason_count,
                  reason)) {
            return RULE_NONE;
        }
    }
    return (policy->retryable_codes & 1u << job->over_code) != 0
               ? RULE_NONE
               : RULE_NON_RETRYABLE_CODE;
}

/* It may have happened, and it must not happen twice. */
static bool
is_indeterminate(const struct sim *sim, uint32_t spec,
                 const struct method_policy *policy)
{
    const struct ledger_job *job = &sim->ledger.jobs[spec];
    enum idempotency idempotency = sim->agents.specs[spec].idempotency;
    bool timed_out = job->over_code == REDIAL_DEADLINE_EXCEEDED &&
                     strcmp(job->over_reason, "ATTEMPT_TIMEOUT") == 0;

    if (idempotency == IDEMPOTENCY_UNSET) {
        idempotency = policy->idempotency;
    }
    return idempotency == IDEMPOTENCY_NO && !policy->retry_indeterminate &&
           (job->over_lost || timed_out);
}

/* Everything before the delay; RULE_NONE: go on to it. */
static enum rule
before_delay(const struct sim *sim, uint32_t spec,
             const struct method_policy *policy, uint32_t version)
{
    const struct ledger_job *job = &sim->ledger.jobs[spec];
    const struct message_report *report = &job->over_report;

    if (job->over_code == REDIAL_OK) {
        return RULE_SUCCEEDED;
    }
    if (!job->over_charged && !is_indeterminate(sim, spec, policy)) {
        if (job->frozen != RULE_NONE) {
            return job->frozen;
        }
        return job->free >= policy->retry.free_attempts_max
                   ? RULE_FREE_EXHAUSTED
                   : RULE_FREE_RETRY;
    }
    if (job->kills >= 2) {
        return RULE_POISON;
    }
    if (is_indeterminate(sim, spec, policy)) {
        return RULE_INDETERMINATE;
    }
    if (report->overloaded) {
        return RULE_OVERLOADED_MARK;
    }
    enum rule rule = by_code(&policy->retry, job);

    if (rule != RULE_NONE) {
        return rule;
    }
    if (job->charged + job->running_count >=
        ledger_attempts_max(sim, spec, version)) {
        return RULE_ATTEMPTS_EXHAUSTED;
    }
    if (job->frozen != RULE_NONE) {
        return job->frozen;
    }
    return report->has_pushback && report->pushback_ms < 0 ? RULE_PUSHBACK_STOP
                                                           : RULE_NONE;
}

struct bounds {
    uint64_t from;
    uint64_t to;
};

/* min(initial * multiplier^(n-1), max) */
static double
plain_backoff(const struct retry_policy *policy, uint32_t n)
{
    double delay = (double)policy->initial_backoff_ms;

    for (uint32_t i = 1; i < n && delay < 1e18; i++) {
        delay *= policy->backoff_multiplier;
    }
    return delay > (double)policy->max_backoff_ms
               ? (double)policy->max_backoff_ms
               : delay;
}

/* Rounding to whole milliseconds is up to the engine: one more each way. */
static struct bounds
loosely(double from, double to)
{
    return (struct bounds){from < 1 ? 0 : (uint64_t)from - 1, (uint64_t)to + 1};
}

static struct bounds
backoff_bounds(const struct retry_policy *policy, uint32_t n,
               uint64_t previous_ms)
{
    double plain = plain_backoff(policy, n);
    double initial = (double)policy->initial_backoff_ms;
    double max = (double)policy->max_backoff_ms;
    double thrice = 3.0 * (double)(previous_ms == 0 ? policy->initial_backoff_ms
                                                    : previous_ms);

    switch (policy->jitter) {
    case JITTER_DEFAULT:
        return loosely(0.8 * plain, 1.2 * plain);
    case JITTER_FULL:
        return loosely(0, plain);
    case JITTER_EQUAL:
        return loosely(plain / 2, plain);
    case JITTER_NONE:
        return loosely(plain, plain);
    case JITTER_DECORRELATED:
        if (thrice < initial) {
            thrice = initial;
        }
        return loosely(initial < max ? initial : max,
                       thrice < max ? thrice : max);
    }
    return (struct bounds){0, 0};
}

static void
check_bounds(struct sim *sim, uint32_t spec, const struct decision *decision,
             struct bounds bounds)
{
    if (decision->delay_ms < bounds.from || decision->delay_ms > bounds.to) {
        sim_fail(sim, VIOLATION_BACKOFF,
                 "job %u: %" PRIu64 " ms is not within %" PRIu64 " to %" PRIu64,
                 spec, decision->delay_ms, bounds.from, bounds.to);
    }
}

static void
check_pushback(struct sim *sim, uint32_t spec,
               const struct retry_policy *policy,
               const struct decision *decision)
{
    uint64_t wanted = (uint64_t)sim->ledger.jobs[spec].over_report.pushback_ms;
    bool clamped = wanted > policy->max_pushback_ms;

    if (decision->delay_source != DELAY_PUSHBACK ||
        decision->delay_ms != (clamped ? policy->max_pushback_ms : wanted) ||
        (clamped && decision->clamp != CLAMP_MAX_PUSHBACK)) {
        sim_fail(sim, VIOLATION_BACKOFF,
                 "job %u: %" PRIu64 " ms after a pushback of %" PRIu64, spec,
                 decision->delay_ms, wanted);
    }
}

/* Now, or what stands between one and the next where they go in turn. */
static void
check_hedge_delay(struct sim *sim, uint32_t spec,
                  const struct method_policy *policy,
                  const struct decision *decision)
{
    uint64_t delay = ledger_may_hedge(sim, spec) ? 0 : policy->hedging_delay_ms;

    if (decision->delay_source != DELAY_HEDGE || decision->delay_ms != delay) {
        sim_fail(sim, VIOLATION_HEDGE,
                 "job %u: the next one in %" PRIu64 " ms, not %" PRIu64, spec,
                 decision->delay_ms, delay);
    }
}

static void
check_delay(struct sim *sim, uint32_t spec, const struct method_policy *policy,
            const struct decision *decision)
{
    const struct ledger_job *job = &sim->ledger.jobs[spec];
    const struct retry_policy *retry = &policy->retry;

    if (!job->over_charged) {
        /* The first one at once, then backoff of its own count. */
        if ((decision->delay_source == DELAY_NONE) != (job->free_streak <= 1)) {
            sim_fail(sim, VIOLATION_BACKOFF, "job %u: free attempt %u in a row",
                     spec, job->free_streak);
        }
        if (decision->delay_source != DELAY_NONE) {
            check_bounds(sim, spec, decision,
                         backoff_bounds(retry, job->free_streak - 1, 0));
        }
        return;
    }
    if (job->over_report.has_pushback) {
        check_pushback(sim, spec, retry, decision);
        return;
    }
    if (policy->hedged) {
        check_hedge_delay(sim, spec, policy, decision);
        return;
    }
    if (decision->delay_source != DELAY_BACKOFF) {
        sim_fail(sim, VIOLATION_BACKOFF, "job %u: no backoff", spec);
    }
    check_bounds(
        sim, spec, decision,
        backoff_bounds(retry, job->backoff_n + 1, job->previous_delay_ms));
    sim->coverage->jitters[retry->jitter]++;
}

static enum event_type
event_of(enum rule rule, const struct decision *decision, bool beside)
{
    if (rule == RULE_RETRY_PLANNED) {
        return EVENT_RETRY_PLANNED;
    }
    if (rule == RULE_FREE_RETRY) {
        return decision->delay_source == DELAY_NONE && !beside
                   ? EVENT_JOB_RELEASED
                   : EVENT_RETRY_PLANNED;
    }
    return EVENT_RETRY_REFUSED;
}

static void
check_numbers(struct sim *sim, uint32_t spec, const struct record *record)
{
    const struct ledger_job *job = &sim->ledger.jobs[spec];
    const struct decision *decision = &record->decision;

    if (sim_only_promises(sim)) {
        return;
    }
    uint32_t max = ledger_attempts_max(sim, spec, sim->gateway.policy_version);
    uint32_t taken = job->charged + job->running_count;
    uint32_t left = max > taken ? max - taken : 0;

    if (decision->attempts_left != left ||
        decision->policy_version != sim->gateway.policy_version ||
        decision->attempts_charged != job->charged ||
        decision->attempts_free != job->free) {
        sim_fail(sim, VIOLATION_RECORD,
                 "job %u: version %u, charged %u, free %u", spec,
                 decision->policy_version, decision->attempts_charged,
                 decision->attempts_free);
    }
    if ((record->type == EVENT_RETRY_PLANNED &&
         decision->until_wall_ms !=
             record->wall_ms + (int64_t)decision->delay_ms) ||
        (record->type == EVENT_JOB_RELEASED && decision->until_wall_ms != 0)) {
        sim_fail(sim, VIOLATION_BACKOFF, "job %u: until does not fit", spec);
    }
}

/* What never started did not really fail: then the last failure counts. */
static void
check_code(struct sim *sim, uint32_t spec, const struct record *record)
{
    const struct ledger_job *job = &sim->ledger.jobs[spec];
    bool real = job->over_charged || job->charged == 0;
    enum redial_status code = real ? job->over_code : job->last_code;

    if (record->type == EVENT_JOB_FAILED && record->code != code) {
        sim_fail(sim, VIOLATION_RECORD, "job %u failed with code %d, not %d",
                 spec, (int)record->code, (int)code);
    }
}

void
ledger_decided(struct sim *sim, uint32_t spec, const struct record *record)
{
    struct ledger_job *job = &sim->ledger.jobs[spec];
    const struct decision *decision = &record->decision;
    uint32_t version = sim->gateway.policy_version;
    const struct method_policy *policy = ledger_policy_of(sim, spec, version);
    enum rule rule = before_delay(sim, spec, policy, version);

    job->over_is_fatal = by_code(&policy->retry, job) != RULE_NONE &&
                         rule == RULE_OVERLOADED_MARK;

    check_numbers(sim, spec, record);
    if (rule == RULE_NONE || rule == RULE_FREE_RETRY) {
        check_delay(sim, spec, policy, decision);
        if (sim->mono_ms + (int64_t)decision->delay_ms >= job->deadline_at) {
            rule = RULE_DEADLINE_WOULD_EXPIRE;
        } else if (rule == RULE_NONE) {
            rule = RULE_RETRY_PLANNED;
        }
    }
    if (decision->rule == rule &&
        record->type == event_of(rule, decision, job->running_count > 0)) {
        return;
    }
    enum violation violation = VIOLATION_WRONG_RULE;

    if (decision->rule == RULE_RETRY_PLANNED) {
        violation = rule == RULE_ATTEMPTS_EXHAUSTED ? VIOLATION_TOO_MANY_TRIES
                                                    : VIOLATION_NOT_RETRYABLE;
    } else if (decision->rule == RULE_FREE_RETRY) {
        violation = VIOLATION_TOO_MANY_FREE;
    }
    sim_fail(sim, violation, "job %u: %s by %s, not %s", spec,
             event_type_name(record->type), rule_name(decision->rule),
             rule_name(rule));
}

void
ledger_settled(struct sim *sim, uint32_t spec, const struct record *record)
{
    const struct ledger_job *job = &sim->ledger.jobs[spec];
    const struct decision *decision = &record->decision;
    bool success = job->over_code == REDIAL_OK;

    if ((record->type == EVENT_JOB_SUCCEEDED) != success ||
        (success && decision->rule != RULE_SUCCEEDED)) {
        sim_fail(sim, VIOLATION_WRONG_RULE, "job %u: %s by %s", spec,
                 event_type_name(record->type), rule_name(decision->rule));
    }
    if (record->fence != job->ended.fence ||
        record->attempt != job->ended.number) {
        sim_fail(sim, VIOLATION_HEDGE,
                 "job %u: fence %" PRIu64 " settled it, not %" PRIu64, spec,
                 job->ended.fence, record->fence);
    }
    if (job->running_count > 0) {
        sim_fail(sim, VIOLATION_HEDGE, "job %u: %u losers are not said", spec,
                 job->running_count);
    }
    if (!sim_only_promises(sim) &&
        (decision->policy_version != sim->gateway.policy_version ||
         decision->attempts_charged != job->charged ||
         decision->attempts_free != job->free)) {
        sim_fail(sim, VIOLATION_RECORD,
                 "job %u: version %u, charged %u, free %u", spec,
                 decision->policy_version, decision->attempts_charged,
                 decision->attempts_free);
    }
    check_code(sim, spec, record);
}
