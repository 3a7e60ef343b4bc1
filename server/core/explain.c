/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/explain.h"

#include "server/core/apply.h"
#include "server/core/life.h"
#include "server/core/settle.h"

static const struct {
    uint32_t number;
    const char *name;
} steps[EXPLAIN_STEPS] = {
#define STEP(name, number, text) [EXPLAIN_##name] = {number, text},
#include "server/core/explain.def"
#undef STEP
};

uint32_t
explain_step_number(enum explain_step step)
{
    redial_assert(step < EXPLAIN_STEPS);
    return steps[step].number;
}

const char *
explain_step_name(enum explain_step step)
{
    redial_assert(step < EXPLAIN_STEPS);
    return steps[step].name;
}

const char *
explain_verdict_name(enum explain_verdict verdict)
{
    static const char *const names[] = {
        [EXPLAIN_PASSES] = "passes",
        [EXPLAIN_ENDS] = "ends here",
        [EXPLAIN_MAY_END] = "may end here",
        [EXPLAIN_NOT_ASKED] = "not asked",
    };

    redial_assert((size_t)verdict < sizeof(names) / sizeof(names[0]));
    return names[verdict];
}

/* ---- From a rule to its step ------------------------------------------- */

/* Where a rule of retry_decide() says that it ends; EXPLAIN_RETRY: nowhere. */
static enum explain_step
step_of(enum rule rule)
{
    static const struct {
        enum rule rule;
        enum explain_step step;
    } ends[] = {
        {RULE_SUCCEEDED, EXPLAIN_OUTCOME},
        {RULE_POISON, EXPLAIN_POISON},
        {RULE_INDETERMINATE, EXPLAIN_SAFETY},
        {RULE_OVERLOADED_MARK, EXPLAIN_OVERLOAD},
        {RULE_NON_RETRYABLE_REASON, EXPLAIN_FAILURE},
        {RULE_NON_RETRYABLE_CODE, EXPLAIN_FAILURE},
        {RULE_RETRIES_OFF, EXPLAIN_SWITCH},
        {RULE_THROTTLED, EXPLAIN_THROTTLE},
        {RULE_BUDGET_EXHAUSTED, EXPLAIN_BUDGET},
        {RULE_ATTEMPTS_EXHAUSTED, EXPLAIN_ATTEMPTS},
        {RULE_PUSHBACK_STOP, EXPLAIN_PUSHBACK},
        {RULE_DEADLINE_WOULD_EXPIRE, EXPLAIN_DEADLINE},
    };

    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        if (ends[i].rule == rule) {
            return ends[i].step;
        }
    }
    return EXPLAIN_RETRY;
}

static struct decision
decide_at_edge(const struct explain_case *of, enum rng_edge edge)
{
    struct decision decision = {
        .rule = RULE_SUCCEEDED,
        .attempts_charged = of->counts.charged,
        .attempts_free = of->counts.free,
        .tokens_milli = of->guard.tokens_milli,
        .budget_milli = of->guard.budget_milli,
    };
    struct rng rng;

    if (!of->failure.code_is_known || of->failure.code != REDIAL_OK) {
        rng_init_edge(&rng, edge);
        decision = retry_decide(of->policy, &of->failure, &of->counts,
                                &of->guard, &of->time, &rng);
    }
    decision.policy_version = of->policy_version;
    return decision;
}

/* A rule that froze the job may also be found by its own step. */
static enum explain_step
find_end(const struct explain_case *of, enum rule rule)
{
    struct explain_case thawed = *of;

    thawed.counts.frozen = RULE_NONE;
    if (of->counts.frozen == rule &&
        decide_at_edge(&thawed, RNG_LOWEST).rule != rule) {
        return EXPLAIN_FROZEN;
    }
    return step_of(rule);
}

/* A step before the end: whether there was anything to ask. */
static bool
is_asked(const struct explain *explain, enum explain_step step)
{
    const struct explain_case *of = &explain->of;

    switch (step) {
    case EXPLAIN_JOB:
        return of->state != JOB_NONE;
    case EXPLAIN_CHARGE:
        return explain->soonest.tokens_max_milli > 0;
    case EXPLAIN_THROTTLE:
        return of->guard.tokens_milli >= 0;
    case EXPLAIN_BUDGET:
        return of->guard.budget_milli >= 0;
    case EXPLAIN_FROZEN:
        return of->counts.running > 0;
    case EXPLAIN_PUSHBACK:
        return of->failure.has_pushback;
    case EXPLAIN_BACKOFF:
        return !of->failure.has_pushback;
    case EXPLAIN_HOLD:
        return of->guard.hold_until_ms > of->time.now.mono.ms;
    case EXPLAIN_BREAKER:
        return of->guard.breaker_open;
    case EXPLAIN_DEADLINE:
        return of->time.deadline.ms != MONO_NEVER.ms;
    case EXPLAIN_OUTCOME:
    case EXPLAIN_POISON:
    case EXPLAIN_SAFETY:
    case EXPLAIN_OVERLOAD:
    case EXPLAIN_FAILURE:
    case EXPLAIN_SWITCH:
    case EXPLAIN_ATTEMPTS:
    case EXPLAIN_RETRY:
    case EXPLAIN_STEPS:
        break;
    }
    return true;
}

static void
judge(struct explain *explain, enum explain_step end)
{
    for (enum explain_step step = 0; step < EXPLAIN_STEPS; step++) {
        enum explain_verdict verdict = EXPLAIN_NOT_ASKED;

        if (step <= end && is_asked(explain, step)) {
            verdict = step == end && end != EXPLAIN_RETRY ? EXPLAIN_ENDS
                                                          : EXPLAIN_PASSES;
        }
        explain->verdicts[step] = verdict;
    }
    /* A stop is charged even where an earlier step ends it. */
    if (explain->soonest.tokens_max_milli > 0) {
        explain->verdicts[EXPLAIN_CHARGE] = EXPLAIN_PASSES;
    }
    if (end == EXPLAIN_RETRY &&
        explain->latest.rule == RULE_DEADLINE_WOULD_EXPIRE) {
        explain->verdicts[EXPLAIN_DEADLINE] = EXPLAIN_MAY_END;
    }
}

void
explain_decide(const struct explain_case *of, struct explain *ret_explain)
{
    struct explain explain = {
        .of = *of,
        .soonest = decide_at_edge(of, RNG_LOWEST),
        .latest = decide_at_edge(of, RNG_HIGHEST),
        .attempts_max = retry_attempts_max(of->policy, &of->counts),
    };

    explain.settles = explain.soonest.rule == RULE_SUCCEEDED ||
                      settle_is_end_of_all(of->policy, &of->failure,
                                           explain.soonest.rule);
    judge(&explain, find_end(of, explain.soonest.rule));
    *ret_explain = explain;
}

/* ---- Of this engine ---------------------------------------------------- */

static struct explain_case
case_of_job(const struct engine *engine, struct now now, const struct job *job)
{
    struct explain_case of = {
        .policy = job->method->policy,
        .target = target_text(job->method->target),
        .counts = settle_counts(engine, job),
        .guard = target_guard_at(engine, job->method->target, now.mono),
        .time = {.now = now, .deadline = job_deadline(job)},
        .state = (enum job_state)job->state,
    };

    of.counts.charged++;
    of.counts.free_streak = 0;
    if (of.counts.running > 0) {
        of.counts.running--; /* the one that fails */
    }
    return of;
}

static struct explain_case
case_of_input(const struct engine *engine, struct now now,
              const struct explain_input *input)
{
    const struct method_policy *policy = policy_find(
        engine->policy, input->service, input->method);
    struct text name = policy->target.len > 0 ? policy->target : input->service;
    const struct target *target = target_find(engine, name);
    struct explain_case of = {
        .policy = policy,
        .target = name,
        .counts =
            {
                .charged = input->attempts,
                .backoff_n = input->attempts - 1,
                .attempts_limit = engine->limits.attempts_limit,
                .idempotency = input->idempotency == IDEMPOTENCY_UNSET
                                   ? policy->idempotency
                                   : input->idempotency,
            },
        .guard = target != NULL ? target_guard_at(engine, target, now.mono)
                                : target_guard_unused(engine, name),
        .time = {.now = now, .deadline = MONO_NEVER},
    };

    of.counts.may_hedge = policy->hedged &&
                          of.counts.idempotency == IDEMPOTENCY_YES;
    if (input->deadline_ms > 0) {
        of.time.deadline.ms = now.mono.ms + duration_ms(input->deadline_ms);
    }
    return of;
}

bool
engine_explain(const struct engine *engine, struct now now,
               const struct explain_input *input, struct explain *ret_explain)
{
    struct explain_case of;

    if (input->slot != ENGINE_NO_SLOT) {
        if (job_state_is_final(engine_state(engine, input->slot)) ||
            engine_state(engine, input->slot) == JOB_NONE) {
            return false;
        }
        of = case_of_job(engine, now, slab_at(&engine->jobs, input->slot));
    } else {
        redial_assert(input->attempts > 0);
        of = case_of_input(engine, now, input);
    }
    of.failure = input->failure;
    of.policy_version = engine->policy->version;
    target_guard_hold(&of.guard, now.mono,
                      settle_hold_ms(of.policy, &of.failure));
    explain_decide(&of, ret_explain);
    return true;
}
