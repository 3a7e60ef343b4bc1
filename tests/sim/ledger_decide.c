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

/* What the guards of the target must have to do with a failure. */
struct expected {
    bool qualified; /* charges the throttle */
    bool guarded;   /* asks throttle and budget at all */
    int64_t tokens; /* after the charge; -1: no throttle */
};

/* Steps 5 and 6. What is left in the budget was recorded: see check_guard(). */
static enum rule
by_guard(struct sim *sim, uint32_t spec, const struct record *record,
         const struct expected *expected)
{
    const struct ledger_target *target = ledger_target_of(sim, spec);
    const struct decision *decision = &record->decision;

    if (sim->ledger.policies[sim->gateway.policy_version]->retries_off) {
        return RULE_RETRIES_OFF;
    }
    if (!ledger_tokens_allow(sim, target, expected->tokens)) {
        return RULE_THROTTLED;
    }
    /* Whoever got one had one. */
    if (decision->rule != RULE_RETRY_PLANNED && decision->budget_milli >= 0 &&
        decision->budget_milli < 1000) {
        return RULE_BUDGET_EXHAUSTED;
    }
    return RULE_NONE;
}

/* Everything before the delay; RULE_NONE: go on to it. */
static enum rule
before_delay(struct sim *sim, uint32_t spec, const struct record *record,
             struct expected *expected)
{
    const struct ledger_job *job = &sim->ledger.jobs[spec];
    const struct message_report *report = &job->over_report;
    uint32_t version = sim->gateway.policy_version;
    const struct method_policy *policy = ledger_policy_of(sim, spec, version);
    bool stop = report->has_pushback && report->pushback_ms < 0;

    if (!job->over_charged && !is_indeterminate(sim, spec, policy)) {
        if (job->frozen != RULE_NONE) {
            return job->frozen;
        }
        return job->free >= policy->retry.free_attempts_max
                   ? RULE_FREE_EXHAUSTED
                   : RULE_FREE_RETRY;
    }
    expected->guarded = true;
    expected->tokens = ledger_tokens(sim, ledger_target_of(sim, spec));
    if (job->kills >= 2) {
        return RULE_POISON;
    }
    if (is_indeterminate(sim, spec, policy)) {
        return RULE_INDETERMINATE;
    }
    enum rule rule = report->overloaded ? RULE_OVERLOADED_MARK
                                        : by_code(&policy->retry, job);

    expected->qualified = rule == RULE_NONE || stop;
    if (expected->qualified && expected->tokens >= 0) {
        expected->tokens = expected->tokens > 1000 ? expected->tokens - 1000
                                                   : 0;
    }
    if (rule == RULE_NONE) {
        rule = by_guard(sim, spec, record, expected);
    }
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
    return stop ? RULE_PUSHBACK_STOP : RULE_NONE;
}

/* What the decision says of throttle and budget is so. */
static void
check_guard(struct sim *sim, uint32_t spec, const struct record *record,
            const struct expected *expected)
{
    const struct ledger_target *target = ledger_target_of(sim, spec);
    const struct ledger_job *job = &sim->ledger.jobs[spec];
    const struct decision *decision = &record->decision;
    bool charged = expected->qualified && expected->tokens >= 0;
    bool took = record->budget_delta_milli < 0;

    if (decision->tokens_milli != (expected->guarded ? expected->tokens : -1) ||
        (decision->tokens_max_milli > 0) != charged) {
        sim_fail(sim, VIOLATION_THROTTLE,
                 "job %u: %" PRId64 " tokens of %s, not %" PRId64, spec,
                 decision->tokens_milli, target->name, expected->tokens);
    }
    if (expected->guarded && !took &&
        !ledger_budget_may_be(sim, target, 0, decision->budget_milli)) {
        sim_fail(sim, VIOLATION_BUDGET,
                 "job %u: %" PRId64 " left in the budget of %s", spec,
                 decision->budget_milli, target->name);
    }
    /* A retry takes one, unless its job has one still. */
    if (took != (decision->rule == RULE_RETRY_PLANNED &&
                 decision->budget_milli >= 0 && job->token_slice == 0)) {
        sim_fail(sim, VIOLATION_BUDGET, "job %u: a retry is%s paid", spec,
                 took ? "" : " not");
    }
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

/* Not before a hold ends, and spread a little behind that. */
static bool
is_held(struct sim *sim, uint32_t spec, const struct decision *decision)
{
    const struct ledger_job *job = &sim->ledger.jobs[spec];
    const struct message_report *report = &job->over_report;
    const struct ledger_target *target = ledger_target_of(sim, spec);
    int64_t hold = ledger_hold_ms(sim, target);
    int64_t delay = (int64_t)decision->delay_ms;

    if (decision->delay_source != DELAY_TARGET_PUSHBACK) {
        if (delay < hold) {
            sim_fail(sim, VIOLATION_HOLD,
                     "job %u: back in %" PRId64 " ms, %s is held for %" PRId64,
                     spec, delay, target->name, hold);
        }
        return false;
    }
    if (hold == 0 || delay < hold || delay > hold + ledger_spread_ms(target)) {
        sim_fail(sim, VIOLATION_HOLD,
                 "job %u: %" PRId64 " ms, a hold of %s of %" PRId64, spec,
                 delay, target->name, hold);
    }
    uint64_t most = ledger_policy_of(sim, spec, sim->gateway.policy_version)
                        ->retry.max_pushback_ms;

    if (report->has_pushback && report->pushback_ms > delay &&
        most > (uint64_t)delay) {
        sim_fail(sim, VIOLATION_HOLD, "job %u: its own pushback is longer",
                 spec);
    }
    return true;
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
    if (is_held(sim, spec, decision)) {
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
    struct expected expected = {.tokens = -1};
    enum rule rule = before_delay(sim, spec, record, &expected);

    check_guard(sim, spec, record, &expected);

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

/* An OK gives back tokenRatio, up to the brim. */
static void
check_refund(struct sim *sim, uint32_t spec, const struct decision *decision)
{
    const struct ledger_target *target = ledger_target_of(sim, spec);
    int64_t before = ledger_tokens(sim, target);
    int64_t after = ledger_tokens_refunded(sim, target);

    if (decision->tokens_milli != after ||
        (decision->tokens_max_milli > 0) != (after != before)) {
        sim_fail(sim, VIOLATION_THROTTLE,
                 "job %u: %" PRId64 " tokens of %s after an OK, not %" PRId64,
                 spec, decision->tokens_milli, target->name, after);
    }
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
    if (success) {
        check_refund(sim, spec, decision);
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
