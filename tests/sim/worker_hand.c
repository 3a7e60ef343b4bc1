/* SPDX-License-Identifier: Apache-2.0 */
/* What workers do with the attempts in their hands, and say about them. */
#include "tests/sim/sim.h"
#include "tests/sim/worker.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static struct execution *
find(struct worker_actor *worker, const struct engine_token *token)
{
    for (uint32_t i = 0; i < SIM_HAND_MAX; i++) {
        if (worker->hand[i].token.fence == token->fence) {
            return &worker->hand[i];
        }
    }
    return NULL;
}

uint32_t
hand_list(const struct worker_actor *worker,
          struct engine_token tokens[SIM_HAND_MAX])
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < SIM_HAND_MAX; i++) {
        if (worker->hand[i].token.fence != 0) {
            tokens[count++] = worker->hand[i].token;
        }
    }
    return count;
}

static bool
offer_fits(const struct sim *sim, const struct message_slots *offer,
           uint32_t method)
{
    return offer->whole_service
               ? strcmp(sim->plan.method[offer->method].service,
                        sim->plan.method[method].service) == 0
               : offer->method == method;
}

/* The own offer that a method falls under: its own, or its service's. */
static uint32_t
offer_of(const struct sim *sim, const struct worker_actor *worker,
         uint32_t method)
{
    uint32_t found = worker->offer_count;

    for (uint32_t i = 0; i < worker->offer_count; i++) {
        if (offer_fits(sim, &worker->offers[i], method)) {
            if (!worker->offers[i].whole_service) {
                return i;
            }
            found = i;
        }
    }
    return found;
}

uint32_t
hand_taken(const struct sim *sim, const struct worker_actor *worker,
           uint32_t offer)
{
    uint32_t taken = 0;

    for (uint32_t i = 0; i < SIM_HAND_MAX; i++) {
        const struct execution *execution = &worker->hand[i];

        if (execution->token.fence == 0 || execution->done) {
            continue;
        }
        uint32_t method = sim->agents.specs[execution->spec].method;

        taken += offer == worker->offer_count ||
                 offer_of(sim, worker, method) == offer;
    }
    return taken;
}

void
hand_forget(struct worker_actor *worker)
{
    for (uint32_t i = 0; i < SIM_HAND_MAX; i++) {
        if (!worker->hand[i].begun && !worker->hand[i].done) {
            worker->hand[i] = (struct execution){0};
        }
    }
}

static void
remember(struct worker_actor *worker, const struct engine_token *token)
{
    worker->old[worker->old_next++ % WORKER_OLD_TOKENS] = *token;
}

/* ---- Taking ------------------------------------------------------------ */

/* What will come of it. */
static void
imagine(struct sim *sim, struct execution *execution)
{
    static const enum redial_status codes[] = {
        REDIAL_UNAVAILABLE,       REDIAL_UNAVAILABLE, REDIAL_RESOURCE_EXHAUSTED,
        REDIAL_DEADLINE_EXCEEDED, REDIAL_ABORTED,     REDIAL_UNKNOWN,
        REDIAL_INVALID_ARGUMENT,  REDIAL_INTERNAL,
    };
    const struct spec *spec = &sim->agents.specs[execution->spec];
    struct message_report *outcome = &execution->outcome;

    outcome->kind = REPORT_OUTCOME;
    if (sim->healing || sim_chance(sim, spec->success_percent)) {
        return;
    }
    outcome->code = codes[sim_below(sim, sizeof(codes) / sizeof(codes[0]))];
    (void)snprintf(outcome->reason, sizeof(outcome->reason), "%s",
                   plan_reasons[sim_below(sim, PLAN_REASONS)]);
    if (sim_chance(sim, 20)) {
        outcome->has_pushback = true;
        outcome->pushback_ms = sim_chance(sim, 20) ? -1
                                                   : sim_between(sim, 0, 20000);
    }
    outcome->for_target = outcome->has_pushback && sim_chance(sim, 25);
    outcome->overloaded = sim_chance(sim, 4);
}

static void
time_out(struct message_report *outcome)
{
    *outcome = (struct message_report){
        .token = outcome->token,
        .truth = outcome->truth,
        .kind = REPORT_OUTCOME,
        .code = REDIAL_DEADLINE_EXCEEDED,
        .reason = "ATTEMPT_TIMEOUT",
    };
}

static void
refuse(struct sim *sim, struct execution *execution)
{
    execution->outcome.kind = REPORT_NOT_STARTED;
    execution->done = true;
    execution->report_at_ms = sim->mono_ms;
}

/* How long it takes; the worker itself keeps the limit, mostly. */
static void
plan_work(struct sim *sim, struct execution *execution, int64_t timeout_ms)
{
    const struct spec *spec = &sim->agents.specs[execution->spec];
    int64_t work = sim_between(sim, 0, spec->wait_ms_max);

    execution->begin_at_ms = sim->mono_ms + sim_between(sim, 0, 100);
    imagine(sim, execution);
    execution->hangs = sim_strikes(sim, FAULT_WORKER_HANG);
    if (sim_strikes(sim, FAULT_WORKER_SLOW)) {
        work = timeout_ms + sim_between(sim, 0, 6000);
    } else if (work > timeout_ms) {
        work = timeout_ms;
        time_out(&execution->outcome);
    }
    execution->done_at_ms = execution->begin_at_ms + work;
    if (sim_strikes(sim, FAULT_WORKER_REFUSE)) {
        refuse(sim, execution);
    }
}

/* Places taken by attempts that the gateway has not given up. */
static uint32_t
taken_in_earnest(struct sim *sim, const struct worker_actor *worker,
                 uint32_t offer)
{
    uint32_t taken = 0;

    for (uint32_t i = 0; i < SIM_HAND_MAX; i++) {
        const struct execution *execution = &worker->hand[i];

        if (execution->token.fence == 0 || execution->done ||
            ledger_running(&sim->ledger.jobs[execution->spec],
                           execution->token.fence) == NULL) {
            continue;
        }
        uint32_t method = sim->agents.specs[execution->spec].method;

        taken += offer == worker->offer_count ||
                 offer_of(sim, worker, method) == offer;
    }
    return taken;
}

/* What it cannot hold it refuses; but it must not come to that. */
static bool
has_room(struct sim *sim, const struct worker_actor *worker, uint32_t spec)
{
    uint32_t offer = offer_of(sim, worker, sim->agents.specs[spec].method);
    uint32_t all = worker->offer_count;

    if (offer == all) {
        sim_fail(sim, VIOLATION_CREDIT, "job %u: w%u.%u does not offer it",
                 spec, worker->index, worker->incarnation);
    }
    if (taken_in_earnest(sim, worker, all) >= worker->concurrency ||
        taken_in_earnest(sim, worker, offer) >= worker->offers[offer].count) {
        sim_fail(sim, VIOLATION_TWICE_AT_ONCE,
                 "job %u: w%u.%u has no room for it", spec, worker->index,
                 worker->incarnation);
    }
    return hand_taken(sim, worker, all) < worker->concurrency &&
           hand_taken(sim, worker, offer) < worker->offers[offer].count;
}

void
hand_assign(struct sim *sim, struct worker_actor *worker,
            const struct engine_command *command)
{
    const struct engine_token *token = &command->token;
    uint32_t spec = spec_of(sim, token->job);

    if (find(worker, token) != NULL) {
        return; /* it came twice */
    }
    bool fits = has_room(sim, worker, spec);
    struct execution *execution = find(worker, &(struct engine_token){0});

    if (execution == NULL) {
        return; /* both hands full of reports: as if it was lost */
    }
    *execution = (struct execution){.token = *token, .spec = spec};
    execution->outcome.token = *token;
    execution->outcome.truth = *token;
    plan_work(sim, execution, (int64_t)command->timeout_ms);
    if (!fits) {
        refuse(sim, execution);
    }
}

void
hand_stop(struct sim *sim, struct worker_actor *worker,
          const struct engine_token *token)
{
    struct execution *execution = find(worker, token);

    if (execution == NULL || execution->done ||
        sim_strikes(sim, FAULT_WORKER_IGNORES_STOP)) {
        return;
    }
    execution->done = true;
    execution->report_at_ms = sim->mono_ms;
    execution->outcome.kind = REPORT_OUTCOME;
    execution->outcome.code = REDIAL_CANCELLED;
}

void
hand_reported(struct worker_actor *worker, const struct engine_token *token)
{
    struct execution *execution = find(worker, token);

    if (token->fence == 0 || execution == NULL || !execution->done) {
        return;
    }
    worker->told = execution->outcome;
    remember(worker, token);
    *execution = (struct execution){0};
}

/* ---- Working ----------------------------------------------------------- */

/* True where every policy so far forbids a second try in doubt. */
static bool
must_run_once(const struct sim *sim, uint32_t spec)
{
    for (uint32_t i = 1; i <= sim->gateway.policy_version; i++) {
        const struct method_policy *policy = ledger_policy_of(sim, spec, i);
        enum idempotency idempotency = sim->agents.specs[spec].idempotency;

        if (idempotency == IDEMPOTENCY_UNSET) {
            idempotency = policy->idempotency;
        }
        if (idempotency != IDEMPOTENCY_NO || policy->retry_indeterminate) {
            return false;
        }
    }
    return true;
}

static void
begin(struct sim *sim, struct execution *execution)
{
    struct spec *spec = &sim->agents.specs[execution->spec];
    const struct ledger_job *job = &sim->ledger.jobs[execution->spec];
    uint64_t before = spec->begun_fence;

    execution->begun = true;
    spec->begun_fence = execution->token.fence;
    if (before != execution->token.fence && before > job->definite_fence &&
        must_run_once(sim, execution->spec)) {
        sim_fail(sim, VIOLATION_NOT_IDEMPOTENT,
                 "job %u runs again, and fence %" PRIu64 " may have done it",
                 execution->spec, before);
    }
}

bool
hand_work(struct sim *sim, struct worker_actor *worker)
{
    for (uint32_t i = 0; i < SIM_HAND_MAX; i++) {
        struct execution *execution = &worker->hand[i];

        if (execution->token.fence == 0 || execution->done) {
            continue;
        }
        if (!execution->begun && execution->begin_at_ms <= sim->mono_ms) {
            begin(sim, execution);
            if (sim->agents.specs[execution->spec].killer &&
                sim_strikes(sim, FAULT_WORKER_KILLED)) {
                worker_die(sim, worker, sim_chance(sim, 80));
                return false;
            }
        }
        if (execution->begun && !execution->hangs &&
            execution->done_at_ms <= sim->mono_ms) {
            execution->done = true;
            execution->report_at_ms = sim->mono_ms;
        }
    }
    return true;
}

int64_t
hand_next(const struct worker_actor *worker, bool reports)
{
    int64_t next = INT64_MAX;

    for (uint32_t i = 0; i < SIM_HAND_MAX; i++) {
        const struct execution *execution = &worker->hand[i];
        int64_t at = execution->report_at_ms;

        if (execution->token.fence == 0 || (execution->done && !reports) ||
            (execution->hangs && execution->begun && !execution->done)) {
            continue;
        }
        if (!execution->done) {
            at = execution->begun ? execution->done_at_ms
                                  : execution->begin_at_ms;
        }
        next = at < next ? at : next;
    }
    return next;
}

/* ---- Reporting --------------------------------------------------------- */

static void
send_report(struct sim *sim, const struct worker_actor *worker,
            const struct message_report *report)
{
    struct message *message = message_new(MESSAGE_REPORT,
                                          worker_peer(worker->index));

    message->worker = worker->id;
    message->report = *report;
    net_to_gateway(sim, message);
}

/* What some other worker has in hand just now, if anything. */
static bool
steal_token(struct sim *sim, const struct worker_actor *worker,
            struct engine_token *ret_token)
{
    const struct worker_actor *other =
        &sim->workers[sim_below(sim, sim->plan.workers)];
    struct engine_token tokens[SIM_HAND_MAX];
    uint32_t count = hand_list(other, tokens);

    if (other == worker || count == 0) {
        return false;
    }
    *ret_token = tokens[sim_below(sim, count)];
    return true;
}

static void
lie(struct sim *sim, struct worker_actor *worker)
{
    struct message_report report = {.kind = REPORT_OUTCOME};

    if (sim_chance(sim, 50)) {
        report.code = REDIAL_UNAVAILABLE;
    }
    if (worker->told.token.fence != 0 &&
        sim_strikes(sim, FAULT_WORKER_REPORT_TWICE)) {
        if (sim_strikes(sim, FAULT_WORKER_OTHER_STORY)) {
            worker->told.code = report.code;
        }
        send_report(sim, worker, &worker->told);
    }
    report.token = worker->old[sim_below(sim, WORKER_OLD_TOKENS)];
    report.truth = report.token;
    if (report.token.fence != 0 && sim_strikes(sim, FAULT_WORKER_OLD_FENCE)) {
        send_report(sim, worker, &report);
    }
    report.truth = (struct engine_token){0};
    if (steal_token(sim, worker, &report.token) &&
        sim_strikes(sim, FAULT_WORKER_FOREIGN)) {
        send_report(sim, worker, &report);
    }
    report.token.fence += (uint64_t)sim_between(sim, 1, 5);
    if (sim_strikes(sim, FAULT_WORKER_NONSENSE)) {
        send_report(sim, worker, &report);
    }
}

void
hand_report(struct sim *sim, struct worker_actor *worker)
{
    for (uint32_t i = 0; i < SIM_HAND_MAX && worker->life == LIFE_UP; i++) {
        struct execution *execution = &worker->hand[i];

        if (execution->token.fence == 0) {
            continue;
        }
        if (execution->begun && !execution->done &&
            sim_strikes(sim, FAULT_WORKER_PROGRESS)) {
            struct message_report progress = execution->outcome;

            progress.kind = REPORT_PROGRESS;
            send_report(sim, worker, &progress);
        } else if (execution->done && execution->report_at_ms <= sim->mono_ms) {
            execution->report_at_ms = sim->mono_ms +
                                      sim_between(sim, 300, 3000);
            send_report(sim, worker, &execution->outcome);
        }
    }
    if (worker->life == LIFE_UP) {
        lie(sim, worker);
    }
}
