/* SPDX-License-Identifier: Apache-2.0 */
/* Starts and ends of attempts, against what workers and policies say. */
#include "tests/sim/ledger.h"
#include "tests/sim/sim.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct ledger_attempt *
ledger_running(struct ledger_job *job, uint64_t fence)
{
    for (uint32_t i = 0; i < job->running_count; i++) {
        if (job->running[i].fence == fence) {
            return &job->running[i];
        }
    }
    return NULL;
}

void
ledger_take_off(struct ledger_job *job, uint64_t fence)
{
    const struct ledger_attempt *attempt = ledger_running(job, fence);
    uint32_t i = (uint32_t)(attempt - job->running);

    job->running_count--;
    memmove(&job->running[i], &job->running[i + 1],
            (job->running_count - i) * sizeof(job->running[0]));
}

/* ---- Starts ------------------------------------------------------------ */

static uint64_t
least_timeout(const struct sim *sim, uint32_t spec)
{
    uint64_t timeout = ledger_policy_of(sim, spec, sim->gateway.policy_version)
                           ->attempt_timeout_ms;
    uint64_t own = sim->agents.specs[spec].attempt_timeout_ms;
    int64_t deadline_at = sim->ledger.jobs[spec].deadline_at;

    if (own > 0 && own < timeout) {
        timeout = own;
    }
    if (deadline_at != INT64_MAX &&
        deadline_at - sim->mono_ms < (int64_t)timeout) {
        timeout = (uint64_t)(deadline_at - sim->mono_ms);
    }
    return timeout;
}

static void
check_time(struct sim *sim, uint32_t spec, const struct record *record)
{
    const struct ledger_job *job = &sim->ledger.jobs[spec];
    int64_t now = sim->mono_ms;

    if ((job->charged > 0 || job->running_count > 0) &&
        ledger_hold_ms(sim, ledger_target_of(sim, spec)) > 0) {
        sim_fail(sim, VIOLATION_HOLD, "job %u: a retry of what is held", spec);
    }
    if (job->running_count == 0 && now < job->due_at) {
        sim_fail(sim, VIOLATION_TOO_SOON, "job %u: %" PRId64 " ms too soon",
                 spec, job->due_at - now);
    }
    if (now >= job->deadline_at ||
        (job->running_count == 0 && job->charged == 0 &&
         now >= job->queue_end_at) ||
        sim->gateway.draining) {
        sim_fail(sim, VIOLATION_TOO_LATE, "job %u starts too late", spec);
    }
    if (job->running_count == 0 && job->charged > 0 &&
        job->charged >= job->allowed) {
        sim_fail(sim, VIOLATION_TOO_MANY_TRIES, "job %u: try %u of %u", spec,
                 job->charged + 1, job->allowed);
    }
    if (record->timeout_ms != least_timeout(sim, spec) ||
        record->lease_ms != sim->plan.limits.lease_ms) {
        sim_fail(sim, VIOLATION_RECORD, "job %u: limit %" PRIu64 " ms", spec,
                 record->timeout_ms);
    }
}

void
ledger_attempt_started(struct sim *sim, uint32_t spec,
                       const struct record *record)
{
    struct ledger_job *job = &sim->ledger.jobs[spec];
    struct ledger_worker *worker = ledger_worker_named(sim, record->worker);

    if (record->fence != record->seq || record->fence <= job->fence ||
        record->attempt != job->attempt + 1) {
        sim_fail(sim, VIOLATION_FENCE, "job %u: attempt %u, fence %" PRIu64,
                 spec, record->attempt, record->fence);
    }
    if (worker == NULL) {
        sim_fail(sim, VIOLATION_CREDIT, "job %u: worker %.*s never was", spec,
                 (int)record->worker.len, record->worker.at);
    }
    if (!sim->ledger.replaying) {
        check_time(sim, spec, record);
        ledger_check_payment(sim, spec, record);
        ledger_check_limits(sim, spec);
        ledger_check_worker(sim, spec, worker);
        sim->ledger.starts++;
        sim->attempts++;
    }
    ledger_hedge_started(sim, spec, record);
    if (job->running_count == LEDGER_RUNNING_MAX) {
        sim_fail(sim, VIOLATION_TOO_MANY_TRIES, "job %u: too many at once",
                 spec);
    }
    job->attempt = record->attempt;
    job->fence = record->fence;
    job->running[job->running_count++] = (struct ledger_attempt){
        .fence = record->fence,
        .number = record->attempt,
        .worker = (uint32_t)(worker - sim->ledger.workers),
        .started_at = sim->mono_ms,
        .timeout_ms = record->timeout_ms,
        .lease_ms = record->lease_ms,
        .ack = ACK_NO,
        .solo = job->suspect && !sim->ledger.replaying,
    };
    ledger_assigned(sim, worker, job->fence, sim->agents.specs[spec].method);
}

/* ---- Ends -------------------------------------------------------------- */

static bool
is_token_of(const struct engine_token *token, const struct record *record)
{
    return token->fence == record->fence && token->attempt == record->attempt &&
           memcmp(&token->job, &record->job, sizeof(token->job)) == 0;
}

/* True when the input at hand is a report about this attempt. */
static bool
is_reported(const struct sim *sim, const struct record *record,
            enum report_kind kind)
{
    const struct engine_input *input = sim->ledger.input;

    return input != NULL && input->type == ENGINE_REPORT &&
           input->report.kind == kind &&
           is_token_of(&input->report.token, record);
}

/*
 * The report is by the worker that has the attempt, about this very work. The
 * gateway can tell as long as it knows the id that the report comes under (a
 * worker may still report under the id from before its last Hello).
 */
static void
check_report(struct sim *sim, uint32_t spec, const struct record *record)
{
    const struct ledger_job *job = &sim->ledger.jobs[spec];
    const struct message *message = sim->ledger.message;
    const struct message_report *report = &message->report;
    const struct ledger_worker *worker =
        &sim->ledger.workers[job->ended.worker];
    char name[SIM_WORD_BYTES];

    if (!ledger_knows_worker(sim, message->worker)) {
        return;
    }
    if (memcmp(&report->truth, &report->token, sizeof(report->truth)) != 0) {
        sim_fail(sim, VIOLATION_FENCE,
                 "job %u: the result of fence %" PRIu64
                 " settles fence %" PRIu64,
                 spec, report->truth.fence, record->fence);
    }
    (void)snprintf(name, sizeof(name), "w%u/", message->peer - PLAN_AGENTS_MAX);
    if (strncmp(worker->name, name, strlen(name)) != 0) {
        sim_fail(sim, VIOLATION_FENCE,
                 "job %u: settled by a worker that does not have it", spec);
    }
}

/* Free only if it cannot have started, as far as the gateway knows. */
static void
check_free(struct sim *sim, uint32_t spec, const struct record *record)
{
    const struct ledger_job *job = &sim->ledger.jobs[spec];
    const struct ledger_worker *worker =
        &sim->ledger.workers[job->ended.worker];
    const struct engine_input *input = sim->ledger.input;
    bool unsent = input != NULL && input->type == ENGINE_UNSENT &&
                  is_token_of(&input->unsent, record);
    bool unseen = job->ended.ack != ACK_YES &&
                  record->type == EVENT_ATTEMPT_LOST;

    if (!unsent && !unseen && !job->ended.not_listed && !worker->goodbye &&
        !is_reported(sim, record, REPORT_NOT_STARTED)) {
        sim_fail(sim, VIOLATION_CHARGE, "job %u: attempt %u was free", spec,
                 record->attempt);
    }
    if (is_reported(sim, record, REPORT_NOT_STARTED)) {
        check_report(sim, spec, record);
    }
}

/* Charged only if it may have started. */
static void
check_charged(struct sim *sim, uint32_t spec, const struct record *record)
{
    const struct ledger_job *job = &sim->ledger.jobs[spec];
    const struct ledger_worker *worker =
        &sim->ledger.workers[job->ended.worker];
    const struct engine_input *input = sim->ledger.input;
    bool unsent = input != NULL && input->type == ENGINE_UNSENT &&
                  is_token_of(&input->unsent, record);
    bool unseen = job->ended.ack == ACK_NO &&
                  record->type == EVENT_ATTEMPT_LOST && worker->connected;

    if (unsent || unseen || job->ended.not_listed ||
        is_reported(sim, record, REPORT_NOT_STARTED)) {
        sim_fail(sim, VIOLATION_CHARGE, "job %u: attempt %u was charged", spec,
                 record->attempt);
    }
}

/* A time-out by the gateway, or what the worker said. */
static void
check_failed(struct sim *sim, uint32_t spec, const struct record *record)
{
    const struct ledger_job *job = &sim->ledger.jobs[spec];

    if (is_reported(sim, record, REPORT_OUTCOME)) {
        const struct message_report *report = &sim->ledger.message->report;

        check_report(sim, spec, record);
        if (record->code != report->code ||
            record->has_pushback != report->has_pushback ||
            (report->has_pushback &&
             record->pushback_ms != report->pushback_ms) ||
            record->overloaded != report->overloaded ||
            record->reason.len != strlen(report->reason) ||
            (record->reason.len > 0 && memcmp(record->reason.at, report->reason,
                                              record->reason.len) != 0)) {
            sim_fail(sim, VIOLATION_RECORD, "job %u: another failure", spec);
        }
        return;
    }
    if (record->code != REDIAL_DEADLINE_EXCEEDED ||
        (job->ended.started_at != INT64_MIN &&
         sim->mono_ms <
             job->ended.started_at + (int64_t)job->ended.timeout_ms)) {
        sim_fail(sim, VIOLATION_LOST_TOO_SOON, "job %u: timed out too soon",
                 spec);
    }
}

/* Lost only if the worker is dead, away or silent for long enough. */
static void
check_lost(struct sim *sim, uint32_t spec, const struct record *record)
{
    const struct ledger_job *job = &sim->ledger.jobs[spec];
    const struct ledger_worker *worker =
        &sim->ledger.workers[job->ended.worker];
    const struct engine_limits *limits = &sim->plan.limits;
    int64_t since = worker->heard_at;
    uint64_t patience = limits->lease_ms;

    if (record->final_lost && !worker->dead) {
        sim_fail(sim, VIOLATION_RECORD, "job %u: %s is not dead", spec,
                 worker->name);
    }
    if (worker->dead) {
        return;
    }
    if (!worker->connected) {
        since = worker->left_at;
        patience = limits->adopt_ms;
    } else if (job->ended.ack != ACK_YES &&
               job->ended.started_at != INT64_MIN) {
        since = job->ended.started_at;
    }
    if (sim->mono_ms - since < (int64_t)patience) {
        sim_fail(sim, VIOLATION_LOST_TOO_SOON,
                 "job %u: lost after %" PRId64 " of %" PRIu64 " ms", spec,
                 sim->mono_ms - since, patience);
    }
}

static void
check_over(struct sim *sim, uint32_t spec, const struct record *record)
{
    switch ((int)record->type) {
    case EVENT_ATTEMPT_SUCCEEDED:
        if (!is_reported(sim, record, REPORT_OUTCOME) ||
            sim->ledger.message->report.code != REDIAL_OK) {
            sim_fail(sim, VIOLATION_RECORD, "job %u: nobody said success",
                     spec);
        }
        check_report(sim, spec, record);
        break;
    case EVENT_ATTEMPT_FAILED:
        if (record->charged) {
            check_failed(sim, spec, record);
        }
        break;
    default:
        check_lost(sim, spec, record);
        break;
    }
    if (record->charged) {
        check_charged(sim, spec, record);
    } else {
        check_free(sim, spec, record);
    }
}

static void
count_over(struct ledger_job *job, const struct record *record)
{
    if (record->charged) {
        if (!ledger_has_retry_planned(job)) {
            job->token_slice = 0; /* it was started for what it paid */
        }
        if (record->type != EVENT_ATTEMPT_SUCCEEDED) {
            job->last_code = record->code;
            memcpy(job->last_reason, job->over_reason,
                   sizeof(job->last_reason));
        }
        job->charged++;
        job->free_streak = 0;
        job->suspect = record->final_lost;
    } else {
        job->free++;
        job->free_streak++;
    }
}

void
ledger_attempt_over(struct sim *sim, uint32_t spec, const struct record *record)
{
    struct ledger_job *job = &sim->ledger.jobs[spec];
    const struct ledger_attempt *attempt = ledger_running(job, record->fence);

    if (attempt == NULL ||
        (job->over && record->decision.rule != RULE_HEDGE_LOST) ||
        record->attempt != attempt->number) {
        sim_fail(sim, VIOLATION_FENCE,
                 "job %u: fence %" PRIu64 " ends and does not run", spec,
                 record->fence);
    }
    if (record->decision.rule == RULE_HEDGE_LOST) {
        ledger_hedge_lost(sim, spec, record);
        return;
    }
    job->ended = *attempt;
    ledger_take_off(job, record->fence);
    const struct ledger_worker *worker =
        &sim->ledger.workers[job->ended.worker];

    if (!sim->ledger.replaying) {
        check_over(sim, spec, record);
        if (record->type == EVENT_ATTEMPT_FAILED && record->charged &&
            !is_reported(sim, record, REPORT_OUTCOME)) {
            /* Timed out: it may still run. */
            ledger_ghost(sim, spec, &job->ended);
        }
        if (record->type == EVENT_ATTEMPT_LOST) {
            ledger_must_stop(sim, job->ended.worker, job->ended.fence);
        }
    }
    job->over = true;
    job->over_charged = record->charged;
    job->over_lost = record->type == EVENT_ATTEMPT_LOST;
    job->over_code = record->code;
    memset(job->over_reason, 0, sizeof(job->over_reason));
    if (record->reason.len < sizeof(job->over_reason) &&
        record->reason.len > 0) {
        memcpy(job->over_reason, record->reason.at, record->reason.len);
    }
    if (record->type == EVENT_ATTEMPT_FAILED && record->charged &&
        (record->code != REDIAL_DEADLINE_EXCEEDED ||
         strcmp(job->over_reason, "ATTEMPT_TIMEOUT") != 0)) {
        job->definite_fence = record->fence;
    }
    job->over_report = (struct message_report){0};
    if (!sim->ledger.replaying && is_reported(sim, record, REPORT_OUTCOME)) {
        job->over_report = sim->ledger.message->report;
    }
    count_over(job, record);
    if (record->final_lost && record->decision.rule == RULE_POISON) {
        if (!sim->ledger.replaying && worker->in_hand_at_death > 1) {
            sim_fail(sim, VIOLATION_CHARGE,
                     "job %u: charged with a death, and was not alone", spec);
        }
        job->kills++;
    }
}

void
ledger_late(struct sim *sim, uint32_t spec, const struct record *record)
{
    const struct engine_input *input = sim->ledger.input;
    struct ledger_job *job = &sim->ledger.jobs[spec];

    if (sim->ledger.replaying) {
        return;
    }
    if (input == NULL || input->type != ENGINE_REPORT ||
        !is_token_of(&input->report.token, record) ||
        ledger_running(job, record->fence) != NULL) {
        sim_fail(sim, VIOLATION_RECORD, "job %u: a strange latecomer", spec);
        return;
    }
    enum redial_status code = input->report.kind == REPORT_NOT_STARTED
                                  ? REDIAL_UNAVAILABLE
                                  : input->report.code;

    if (record->code != code) {
        sim_fail(sim, VIOLATION_RECORD, "job %u: late with code %d, not %d",
                 spec, (int)record->code, (int)code);
    }
}
