/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several attempts of one job at once: who may have them, when the next one may
 * start, what becomes of the others when one has settled the job.
 */
#include "tests/sim/ledger.h"
#include "tests/sim/sim.h"

#include <inttypes.h>
#include <string.h>

bool
ledger_may_hedge(const struct sim *sim, uint32_t spec)
{
    const struct method_policy *policy = ledger_policy_of(
        sim, spec, sim->gateway.policy_version);
    enum idempotency idempotency = sim->agents.specs[spec].idempotency;

    if (idempotency == IDEMPOTENCY_UNSET) {
        idempotency = policy->idempotency;
    }
    return policy->hedged && idempotency == IDEMPOTENCY_YES;
}

static bool
retries_are_off(const struct sim *sim)
{
    return sim->ledger.policies[sim->gateway.policy_version]->retries_off;
}

/* How many more may run, beside so many. */
static uint32_t
room_beside(const struct sim *sim, uint32_t spec, uint32_t running)
{
    uint32_t max = ledger_attempts_max(sim, spec, sim->gateway.policy_version);
    uint32_t taken = sim->ledger.jobs[spec].charged + running;

    return taken < max && running < LEDGER_RUNNING_MAX ? max - taken : 0;
}

/* ---- Starts ------------------------------------------------------------ */

/* It starts beside others: each of the reasons not to must be absent. */
static void
check_hedge(struct sim *sim, uint32_t spec)
{
    const struct ledger_job *job = &sim->ledger.jobs[spec];

    if (!ledger_may_hedge(sim, spec) || job->suspect) {
        sim_fail(sim, VIOLATION_HEDGE,
                 "job %u runs beside itself, which it may not", spec);
    }
    if (job->frozen != RULE_NONE || retries_are_off(sim)) {
        sim_fail(sim, VIOLATION_HEDGE, "job %u goes on, but %s", spec,
                 rule_name(job->frozen));
    }
    if (room_beside(sim, spec, job->running_count) == 0) {
        sim_fail(sim, VIOLATION_TOO_MANY_TRIES,
                 "job %u: one more beside %u, charged %u", spec,
                 job->running_count, job->charged);
    }
    if (job->hedge_at > sim->mono_ms) {
        sim_fail(sim, VIOLATION_TOO_SOON, "job %u: a hedge before its time",
                 spec);
    }
    sim->coverage->hedging[HEDGING_STARTED]++;
}

/* Whether, and when, one more is announced with this start. */
static void
check_plan(struct sim *sim, uint32_t spec, const struct record *record)
{
    const struct ledger_job *job = &sim->ledger.jobs[spec];
    const struct method_policy *policy = ledger_policy_of(
        sim, spec, sim->gateway.policy_version);
    const struct decision *decision = &record->decision;
    uint32_t left = room_beside(sim, spec, job->running_count + 1);
    int64_t delay = (int64_t)policy->hedging_delay_ms;
    bool due = ledger_may_hedge(sim, spec) && !job->suspect &&
               job->frozen == RULE_NONE && left > 0 &&
               job->running_count + 1 < LEDGER_RUNNING_MAX &&
               !retries_are_off(sim) &&
               (job->deadline_at == INT64_MAX ||
                sim->mono_ms + delay < job->deadline_at);

    if (sim->plant == PLANT_HEDGE_TOO_MANY) {
        return; /* that it is planned shall not be what is noticed */
    }
    if (due != (decision->rule == RULE_HEDGE_PLANNED) ||
        (!due && decision->rule != RULE_NONE)) {
        sim_fail(sim, VIOLATION_WRONG_RULE, "job %u: a hedge %s planned", spec,
                 due ? "should be" : "is");
    }
    if (due && (decision->delay_source != DELAY_HEDGE ||
                decision->delay_ms != policy->hedging_delay_ms ||
                decision->until_wall_ms != record->wall_ms + delay ||
                decision->attempts_left != left)) {
        sim_fail(sim, VIOLATION_HEDGE,
                 "job %u: planned in %" PRIu64 " ms, %u left", spec,
                 decision->delay_ms, decision->attempts_left);
    }
    sim->coverage->hedging[HEDGING_PLANNED] += due;
}

void
ledger_hedge_started(struct sim *sim, uint32_t spec,
                     const struct record *record)
{
    struct ledger_job *job = &sim->ledger.jobs[spec];

    if (!sim->ledger.replaying) {
        if (record->hedge != (job->running_count > 0)) {
            sim_fail(sim, VIOLATION_RECORD, "job %u: a hedge or not", spec);
        }
        if (job->running_count > 0) {
            check_hedge(sim, spec);
        }
        check_plan(sim, spec, record);
    }
    /* What runs was allowed, whatever a later policy says. */
    if (job->running_count > 0 &&
        job->allowed < job->charged + job->running_count + 1) {
        job->allowed = job->charged + job->running_count + 1;
    }
    job->hedge_at = INT64_MAX;
    if (record->decision.rule == RULE_HEDGE_PLANNED) {
        ledger_hedge_planned(sim, spec, &record->decision);
    }
}

void
ledger_hedge_planned(struct sim *sim, uint32_t spec,
                     const struct decision *decision)
{
    struct ledger_job *job = &sim->ledger.jobs[spec];

    job->hedge_at = sim->mono_ms + (int64_t)decision->delay_ms;
    job->until_wall_ms = decision->until_wall_ms;
    job->until_delay_ms = decision->delay_ms;
}

/* ---- Ends -------------------------------------------------------------- */

bool
ledger_is_fatal(enum rule rule)
{
    return rule == RULE_NON_RETRYABLE_REASON ||
           rule == RULE_NON_RETRYABLE_CODE || rule == RULE_POISON ||
           rule == RULE_INDETERMINATE;
}

void
ledger_hedge_lost(struct sim *sim, uint32_t spec, const struct record *record)
{
    struct ledger_job *job = &sim->ledger.jobs[spec];

    /* Somebody must have won: an OK, or what nothing can follow. */
    if (!sim->ledger.replaying &&
        (!job->over ||
         (job->over_code != REDIAL_OK && job->refused_by == RULE_NONE))) {
        sim_fail(sim, VIOLATION_HEDGE, "job %u: a loser, and nobody won", spec);
    }
    if (record->charged || record->code != REDIAL_CANCELLED) {
        sim_fail(sim, VIOLATION_CHARGE, "job %u: a loser is charged", spec);
    }
    struct ledger_attempt loser = *ledger_running(job, record->fence);

    ledger_take_off(job, record->fence);
    job->free++;
    if (!sim->ledger.replaying) {
        ledger_ghost(sim, spec, &loser);
        sim->coverage->hedging[HEDGING_LOST]++;
    }
}

/* Nothing follows any more, and what runs goes on. */
static void
freeze(struct ledger_job *job, enum rule rule)
{
    job->hedge_at = INT64_MAX;
    if (rule != RULE_ATTEMPTS_EXHAUSTED) {
        job->frozen = rule;
    }
    job->refused_by = RULE_NONE;
    job->over = false;
}

/* Its time has come, and something that was not so before forbids it. */
static bool
is_forbidden(struct sim *sim, uint32_t spec, enum rule rule)
{
    const struct ledger_job *job = &sim->ledger.jobs[spec];
    const struct ledger_target *target = ledger_target_of(sim, spec);

    switch ((int)rule) {
    case RULE_RETRIES_OFF:
        return retries_are_off(sim);
    case RULE_ATTEMPTS_EXHAUSTED:
        return room_beside(sim, spec, job->running_count) == 0;
    case RULE_THROTTLED:
        return job->decision.rule == RULE_HEDGE_PLANNED &&
               !ledger_tokens_allow(sim, target, ledger_tokens(sim, target));
    case RULE_BUDGET_EXHAUSTED:
        return job->decision.rule == RULE_HEDGE_PLANNED &&
               ledger_budget_may_refuse(sim, target);
    case RULE_NO_WORKER:
        return !ledger_policy_of(sim, spec, sim->gateway.policy_version)
                    ->wait_for_ready &&
               !ledger_is_served(sim, sim->agents.specs[spec].method);
    default:
        return false;
    }
}

void
ledger_hedge_refused(struct sim *sim, uint32_t spec,
                     const struct record *record)
{
    struct ledger_job *job = &sim->ledger.jobs[spec];
    enum rule rule = record->decision.rule;

    if (job->running_count == 0) {
        return; /* a retry was refused: the end follows */
    }
    if (job->over) {
        if (!job->over_is_fatal) {
            freeze(job, rule);
        }
        return;
    }
    if (!sim->ledger.replaying &&
        (job->hedge_at > sim->mono_ms || !is_forbidden(sim, spec, rule))) {
        sim_fail(sim, VIOLATION_WRONG_RULE, "job %u: a hedge refused by %s",
                 spec, rule_name(rule));
    }
    sim->coverage->hedging[HEDGING_REFUSED] += !sim->ledger.replaying;
    freeze(job, rule);
}
