/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/ledger.h"

#include "server/base/check.h"
#include "tests/sim/sim.h"

#include <inttypes.h>
#include <string.h>

static bool
same_text(struct text a, struct text b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

bool
ledger_is_final(enum job_state state)
{
    switch (state) {
#define JOB_STATE(name, number, final, waits_for) \
    case JOB_##name:                              \
        return (final);
#include "server/core/job.def"
#undef JOB_STATE
    }
    return false;
}

void
ledger_init(struct sim *sim)
{
    sim->ledger.next_seq = 1;
}

void
ledger_fini(struct sim *sim)
{
    for (uint32_t i = 0; i < PLAN_POLICIES_MAX; i++) {
        plan_policy_free(sim->ledger.policies[i]);
    }
}

void
ledger_policy(struct sim *sim, uint32_t version)
{
    redial_assert(version < PLAN_POLICIES_MAX);
    plan_policy_free(sim->ledger.policies[version]);
    ledger_targets_policy(sim);
    sim->ledger.policies[version] = plan_policy_new(&sim->plan, sim->seed,
                                                    version);
    if (version > 1) {
        ledger_limits_policy(sim, sim->ledger.policies[version - 1]);
    }
}

const struct method_policy *
ledger_method_policy(const struct sim *sim, const struct policy_set *set,
                     uint32_t method)
{
    const struct plan_method *name = &sim->plan.method[method];
    const struct method_policy *whole_service = NULL;

    /* Not by policy_find(): that is under test too. */
    for (size_t i = 0; i < set->method_count; i++) {
        const struct method_policy *row = &set->methods[i];

        if (!same_text(row->service, plan_text(name->service))) {
            continue;
        }
        if (same_text(row->method, plan_text(name->method))) {
            return row;
        }
        if (row->method.len == 0) {
            whole_service = row;
        }
    }
    return whole_service != NULL ? whole_service : &set->fallback;
}

const struct method_policy *
ledger_policy_of(const struct sim *sim, uint32_t spec, uint32_t version)
{
    return ledger_method_policy(sim, sim->ledger.policies[version],
                                sim->agents.specs[spec].method);
}

uint32_t
ledger_attempts_max(const struct sim *sim, uint32_t spec, uint32_t version)
{
    uint32_t max = ledger_policy_of(sim, spec, version)->retry.max_attempts;
    uint32_t own = sim->agents.specs[spec].max_attempts;

    if (max > sim->plan.limits.attempts_limit) {
        max = sim->plan.limits.attempts_limit;
    }
    return own > 0 && own < max ? own : max;
}

/* ---- Records ----------------------------------------------------------- */

static void
move(struct sim *sim, uint32_t spec, const struct record *record)
{
    struct ledger_job *job = &sim->ledger.jobs[spec];
    enum job_state from = job->state;

    if (from == JOB_RUNNING && job->running_count > 0) {
#define JOB_STAY(state, event)                                            \
    if (record->type == EVENT_##event) {                                  \
        sim->coverage->hedging[HEDGING_STAYED] += !sim->ledger.replaying; \
        return;                                                           \
    }
#include "server/core/job.def"
#undef JOB_STAY
    }
#define JOB_MOVE(before, after, event)                           \
    if (from == JOB_##before && record->type == EVENT_##event) { \
        job->state = JOB_##after;                                \
        job->state_wall_ms = record->wall_ms;                    \
        if (!sim->ledger.replaying) {                            \
            sim->coverage->moves[MOVE_##before##_##after]++;     \
            sim->coverage->states[JOB_##after]++;                \
        }                                                        \
        return;                                                  \
    }
#include "server/core/job.def"
#undef JOB_MOVE
    sim_fail(sim, VIOLATION_MOVE, "job %u: %s in state %s", spec,
             event_type_name(record->type), job_state_name(from));
}

static int64_t
add_duration(int64_t at, uint64_t ms)
{
    return ms == 0 ? INT64_MAX : at + (int64_t)ms;
}

static uint64_t
lesser_set(uint64_t a, uint64_t b)
{
    if (a == 0 || b == 0) {
        return a + b;
    }
    return a < b ? a : b;
}

static void
check_accepted(struct sim *sim, uint32_t index, const struct record *record)
{
    const struct spec *spec = &sim->agents.specs[index];
    struct engine_submit submit;

    spec_submit(sim, spec, &submit);
    if (!same_text(record->service, submit.service) ||
        !same_text(record->method, submit.method) ||
        !same_text(record->tenant, submit.tenant) ||
        !same_text(record->key, submit.key) ||
        !same_text(record->correlation, submit.correlation) ||
        !same_text(record->traceparent, submit.traceparent) ||
        record->priority != submit.priority ||
        record->idempotency != submit.idempotency ||
        record->not_before_ms != submit.not_before_ms ||
        record->queue_ttl_ms != submit.queue_ttl_ms ||
        record->max_attempts != submit.max_attempts ||
        record->attempt_timeout_ms != submit.attempt_timeout_ms ||
        record->payload_bytes != submit.payload_bytes ||
        record->attachment != ATTACHMENT_PAYLOAD) {
        sim_fail(sim, VIOLATION_RECORD, "job %u was accepted as another",
                 index);
    }
    const struct method_policy *policy = ledger_policy_of(
        sim, index, sim->gateway.policy_version);

    if (record->deadline_ms !=
        lesser_set(submit.deadline_ms, policy->deadline_ms)) {
        sim_fail(sim, VIOLATION_RECORD, "job %u has another deadline", index);
    }
}

static void
take_slot(struct sim *sim, uint32_t spec, const struct record *record)
{
    if (record->slot >= sim->plan.limits.jobs_max ||
        sim->gateway.slots[record->slot] != 0) {
        sim_fail(sim, VIOLATION_SLOT, "job %u got slot %u, which is in use",
                 spec, record->slot);
    }
    sim->gateway.slots[record->slot] = spec + 1;
    sim->gateway.slot_of[spec] = record->slot;
}

static void
accepted(struct sim *sim, uint32_t spec, const struct record *record)
{
    struct ledger_job *job = &sim->ledger.jobs[spec];
    uint32_t key = sim->agents.specs[spec].key;

    if (!sim->ledger.replaying) {
        check_accepted(sim, spec, record);
        take_slot(sim, spec, record);
    }
    job->accepted_seq = record->seq;
    job->accepted_wall_ms = record->wall_ms;
    job->accepted_at = sim->mono_ms;
    job->deadline_ms = record->deadline_ms;
    job->queue_ttl_ms = record->queue_ttl_ms;
    job->deadline_at = add_duration(sim->mono_ms, record->deadline_ms);
    job->queue_end_at = add_duration(sim->mono_ms, record->queue_ttl_ms);
    job->due_at = sim->mono_ms;
    if (key != 0) {
        struct ledger_key *entry =
            &sim->ledger.keys[sim->agents.specs[spec].tenant][key];

        if (!sim->ledger.replaying && entry->spec != 0) {
            sim_fail(sim, VIOLATION_DUPLICATE,
                     "job %u was accepted although job %u has its key", spec,
                     entry->spec - 1);
        }
        entry->spec = spec + 1;
    }
}

static void
scheduled(struct sim *sim, uint32_t spec, const struct record *record)
{
    struct ledger_job *job = &sim->ledger.jobs[spec];
    uint64_t wait_ms = sim->agents.specs[spec].not_before_ms;

    if (wait_ms == 0 || record->decision.rule != RULE_SCHEDULED ||
        record->decision.until_wall_ms !=
            job->accepted_wall_ms + (int64_t)wait_ms) {
        sim_fail(sim, VIOLATION_RECORD, "job %u was scheduled for %" PRId64,
                 spec, record->decision.until_wall_ms);
    }
    job->until_wall_ms = record->decision.until_wall_ms;
    job->until_delay_ms = wait_ms;
    job->due_at = sim->mono_ms + (int64_t)wait_ms;
}

/* Backoff grows until a pushback is honoured; hedges have none. */
static void
count_backoff(struct ledger_job *job, const struct decision *decision)
{
    bool held = decision->delay_source == DELAY_TARGET_PUSHBACK;

    /* A hold may take the place of both; only a backoff has a plain length. */
    if (decision->delay_source == DELAY_PUSHBACK ||
        (held && decision->backoff_ms == 0)) {
        job->backoff_n = 0;
        job->previous_delay_ms = 0;
    } else if (decision->delay_source != DELAY_HEDGE) {
        job->backoff_n++;
        job->previous_delay_ms = held ? decision->backoff_ms
                                      : decision->delay_ms;
    }
}

/* Goes on: BACKOFF, READY or PARKED, or RUNNING while others of it run. */
static void
goes_on(struct sim *sim, uint32_t spec, const struct record *record)
{
    struct ledger_job *job = &sim->ledger.jobs[spec];
    const struct decision *decision = &record->decision;

    if (!sim->ledger.replaying) {
        if (!job->over) {
            sim_fail(sim, VIOLATION_RECORD, "job %u: %s out of nothing", spec,
                     event_type_name(record->type));
        }
        ledger_decided(sim, spec, record);
    }
    job->over = false;
    /* What never started leaves in force what was decided before. */
    if (decision->rule == RULE_RETRY_PLANNED) {
        job->allowed = ledger_attempts_max(sim, spec, decision->policy_version);
        count_backoff(job, decision);
        if (record->budget_delta_milli < 0) {
            job->token_slice = record->budget_slice;
        }
    }
    if (job->running_count > 0) {
        ledger_hedge_planned(sim, spec, decision);
        return;
    }
    job->until_wall_ms = decision->until_wall_ms;
    job->until_delay_ms = decision->delay_ms;
    job->due_at = sim->mono_ms + (int64_t)decision->delay_ms;
}

static void
refused(struct sim *sim, uint32_t spec, const struct record *record)
{
    struct ledger_job *job = &sim->ledger.jobs[spec];

    if (!job->over && job->running_count == 0) {
        sim_fail(sim, VIOLATION_RECORD, "job %u: a refusal out of nothing (%s)",
                 spec, rule_name(record->decision.rule));
    }
    if (!sim->ledger.replaying) {
        ledger_check_give_back(sim, spec, record);
    }
    if (job->over && !sim->ledger.replaying) {
        ledger_decided(sim, spec, record);
    }
    job->over_is_fatal = job->over && (ledger_is_fatal(record->decision.rule) ||
                                       job->over_is_fatal);
    job->refused_by = record->decision.rule;
    ledger_hedge_refused(sim, spec, record);
}

static void
follow(struct sim *sim, uint32_t spec, const struct record *record)
{
    switch (record->type) {
    case EVENT_JOB_ACCEPTED:
        accepted(sim, spec, record);
        move(sim, spec, record);
        break;
    case EVENT_JOB_SCHEDULED:
        scheduled(sim, spec, record);
        move(sim, spec, record);
        break;
    case EVENT_ATTEMPT_STARTED:
        ledger_attempt_started(sim, spec, record);
        move(sim, spec, record);
        break;
    case EVENT_ATTEMPT_SUCCEEDED:
    case EVENT_ATTEMPT_FAILED:
    case EVENT_ATTEMPT_LOST:
        ledger_attempt_over(sim, spec, record);
        break;
    case EVENT_RETRY_REFUSED:
        refused(sim, spec, record);
        break;
    case EVENT_RETRY_PLANNED:
    case EVENT_JOB_RELEASED:
    case EVENT_JOB_PARKED:
        goes_on(sim, spec, record);
        move(sim, spec, record);
        break;
    case EVENT_JOB_SUCCEEDED:
    case EVENT_JOB_FAILED:
    case EVENT_JOB_CANCELLED:
    case EVENT_JOB_EXPIRED:
        ledger_ended(sim, spec, record);
        move(sim, spec, record);
        break;
    /* Progress is never recorded; the rest is about no job. */
    case EVENT_JOB_REQUEUED:
    case EVENT_ATTEMPT_PROGRESS:
    case EVENT_ATTEMPT_LATE:
    case EVENT_BREAKER_OPENED:
    case EVENT_BREAKER_HALF_OPEN:
    case EVENT_BREAKER_RAMP:
    case EVENT_BREAKER_CLOSED:
    case EVENT_BREAKER_FORCED:
    case EVENT_BREAKER_RELEASED:
    case EVENT_BUDGET_EXHAUSTED:
    case EVENT_BUDGET_RECOVERED:
    case EVENT_WORKER_JOINED:
    case EVENT_WORKER_LEFT:
    case EVENT_WORKER_QUIET:
    case EVENT_GATEWAY_STARTED:
    case EVENT_GATEWAY_DRAINING:
    case EVENT_GATEWAY_RELOADED:
    case EVENT_GATEWAY_DEGRADED:
    case EVENT_GATEWAY_RECOVERED:
        sim_fail(sim, VIOLATION_RECORD, "job %u: unexpected %s", spec,
                 event_type_name(record->type));
    }
}

static void
touch(struct sim *sim, uint32_t spec)
{
    struct ledger *ledger = &sim->ledger;

    for (uint32_t i = 0; i < ledger->touched_count; i++) {
        if (ledger->touched[i] == spec) {
            return;
        }
    }
    if (ledger->touched_count < 64) {
        ledger->touched[ledger->touched_count++] = spec;
    }
}

static void
count(struct sim *sim, const struct record *record)
{
    struct coverage *coverage = sim->coverage;

    coverage->records++;
    coverage->events[record->type]++;
    coverage->decisions[record->decision.rule]++;
    coverage->delay_sources[record->decision.delay_source]++;
    coverage->clamps[record->decision.clamp]++;
}

void
ledger_record(struct sim *sim, const struct record *record)
{
    struct ledger *ledger = &sim->ledger;

    if (record->seq != ledger->next_seq) {
        sim_fail(sim, VIOLATION_ORDER, "seq %" PRIu64 " after %" PRIu64,
                 record->seq, ledger->next_seq - 1);
    }
    ledger->next_seq++;
    ledger->last_wall_ms = record->wall_ms;
    if (!ledger->replaying) {
        count(sim, record);
    }
    if (!event_type_is_about_job(record->type)) {
        if (record->job_seq != 0) {
            sim_fail(sim, VIOLATION_ORDER, "%s has a job_seq",
                     event_type_name(record->type));
        }
        ledger_target_record(sim, PLAN_JOBS_MAX, record);
        return;
    }
    uint32_t spec = spec_of(sim, record->job);

    if (spec == PLAN_JOBS_MAX) {
        sim_fail(sim, VIOLATION_RECORD, "%s is about a job that never was",
                 event_type_name(record->type));
    }
    struct ledger_job *job = &ledger->jobs[spec];

    if (record->prev_seq != job->seq || record->job_seq != job->job_seq + 1) {
        sim_fail(sim, VIOLATION_ORDER,
                 "job %u: %s is number %" PRIu64 " after %" PRIu64, spec,
                 event_type_name(record->type), record->job_seq, job->job_seq);
    }
    job->seq = record->seq;
    job->job_seq = record->job_seq;
    if (!ledger->replaying && job->accepted_seq != 0 &&
        record->since_accepted_ms !=
            (uint64_t)(sim->mono_ms - job->accepted_at)) {
        sim_fail(sim, VIOLATION_RECORD,
                 "job %u: %" PRIu64 " ms since its acceptance", spec,
                 record->since_accepted_ms);
    }
    if (record->type == EVENT_ATTEMPT_LATE) {
        ledger_late(sim, spec, record);
        return;
    }
    if (ledger_is_final(job->state)) {
        sim_fail(sim, VIOLATION_TWO_ENDS, "job %u: %s after %s", spec,
                 event_type_name(record->type), job_state_name(job->state));
    }
    follow(sim, spec, record);
    ledger_target_record(sim, spec, record);
    if (record->decision.rule != RULE_NONE &&
        record->type != EVENT_ATTEMPT_LOST) {
        if (record->type != EVENT_ATTEMPT_FAILED) {
            job->decision = record->decision;
        }
        /* A refusal and the end that follows it are one decision. */
        ledger->rules[record->decision.rule] += !ledger->replaying &&
                                                record->type !=
                                                    EVENT_RETRY_REFUSED;
    }
    touch(sim, spec);
}

/* An assignment follows a start, and says what went before that. */
static bool
is_start(const struct sim *sim, uint32_t spec,
         const struct engine_command *command)
{
    const struct ledger_job *job = &sim->ledger.jobs[spec];

    for (uint32_t i = 0; i < job->running_count; i++) {
        if (job->running[i].fence == command->token.fence) {
            return job->running[i].number == command->token.attempt &&
                   (job->charged + i == command->charged_before ||
                    sim_only_promises(sim));
        }
    }
    return false;
}

void
ledger_command(struct sim *sim, const struct engine_command *command)
{
    uint32_t spec = spec_of(sim, command->token.job);

    switch (command->type) {
    case COMMAND_ASSIGN:
        if (spec == PLAN_JOBS_MAX || !is_start(sim, spec, command)) {
            sim_fail(sim, VIOLATION_RECORD, "job %u: a strange assignment",
                     spec);
        }
        sim->ledger.assigns++;
        break;
    case COMMAND_RELEASE:
        if (command->slot >= sim->plan.limits.jobs_max ||
            sim->gateway.slots[command->slot] == 0) {
            sim_fail(sim, VIOLATION_SLOT, "slot %u was released twice",
                     command->slot);
        }
        spec = sim->gateway.slots[command->slot] - 1;
        if (!ledger_is_final(sim->ledger.jobs[spec].state)) {
            sim_fail(sim, VIOLATION_SLOT, "job %u lives and lost its slot",
                     spec);
        }
        sim->gateway.slots[command->slot] = 0;
        break;
    case COMMAND_STOP:
        if (sim->ledger.stop_count < LEDGER_STOPS_MAX) {
            sim->ledger.stops[sim->ledger.stop_count++] = command->token;
        }
        break;
    case COMMAND_FORGET:
        break;
    }
}
