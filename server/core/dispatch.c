/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/dispatch.h"

#include "server/core/attempt.h"
#include "server/core/choice.h"
#include "server/core/emit.h"
#include "server/core/gate.h"
#include "server/core/hedge.h"
#include "server/core/hold.h"
#include "server/core/life.h"
#include "server/core/queue.h"
#include "server/core/tenant.h"
#include "server/core/worker.h"

#include <string.h>

/* ---- The ring ---------------------------------------------------------- */

static bool
is_hopeless(const struct method *method)
{
    return method->waiting > 0 && !method->policy->wait_for_ready &&
           method->workers + method->service->workers == 0;
}

static void
update_hopeless(struct engine *engine, struct method *method)
{
    if (!is_hopeless(method)) {
        list_remove(&method->hopeless);
    } else if (!list_is_linked(&method->hopeless)) {
        list_append(&engine->hopeless, &method->hopeless);
    }
}

bool
dispatch_has_credit(const struct method *method)
{
    return method->credit.mask != 0 || method->service->credit.mask != 0;
}

bool
dispatch_may_start(const struct method *method)
{
    return list_is_linked(&method->ring) && !method->starved &&
           method->gate == GATE_NONE;
}

/* Whether jobs that are in turn and a free place are there. */
static bool
wants_token(const struct method *method)
{
    return (method->level_mask != 0 || !list_is_empty(&method->suspects)) &&
           limit_places(&method->limit, method->running) > 0;
}

/* Out of the ring; with a timer while it lacks nothing but a token. */
static void
leave(struct engine *engine, struct method *method)
{
    int64_t token_ms = limit_tokens_at_ms(&method->limit, engine->now.mono.ms,
                                          1);

    list_remove(&method->ring);
    method->starved = false;
    method->gate = GATE_NONE;
    if (!wants_token(method)) {
        heap_remove(&engine->method_timers, &method->timer);
    } else if (!heap_has(&method->timer) || method->timer.at != token_ms) {
        heap_set(&engine->method_timers, &method->timer, token_ms);
    }
    tenant_uninvite_method(engine, method);
}

void
dispatch_update(struct engine *engine, struct method *method)
{
    if (!wants_token(method) ||
        limit_tokens(&method->limit, engine->now.mono.ms) == 0) {
        leave(engine, method);
    } else if (!list_is_linked(&method->ring)) {
        heap_remove(&engine->method_timers, &method->timer);
        list_append(&engine->ring, &method->ring);
    } else if (method->starved && method->level_mask != 0 &&
               dispatch_has_credit(method)) {
        dispatch_wake(engine, method); /* it had nothing but suspects */
    } else if (method->gate == GATE_UNFIT) {
        gate_note_job(engine, method);
    }
    if (method->reserved != NULL && list_is_empty(&method->suspects)) {
        worker_unreserve(engine, method->reserved);
    }
    update_hopeless(engine, method);
}

void
dispatch_take_policy(struct engine *engine, struct method *method)
{
    limit_set(&method->limit, &method->policy->limits, engine->now.mono.ms);
    dispatch_update(engine, method);
}

void
dispatch_empty_buckets(struct engine *engine)
{
    int64_t now_ms = engine->now.mono.ms;

    engine->forgot_ms = now_ms;
    for (uint32_t i = 0; i < engine->methods.fresh; i++) {
        struct method *method = slab_at(&engine->methods, i);

        limit_init(&method->limit, &method->policy->limits, now_ms);
        flow_init(&method->flow, now_ms);
    }
    for (uint32_t i = 0; i < engine->tenants.fresh; i++) {
        struct tenant *tenant = slab_at(&engine->tenants, i);
        struct limit_policy policy = tenant->limit.policy;

        limit_init(&tenant->limit, &policy, now_ms);
        flow_init(&tenant->flow, now_ms);
    }
}

/* The first timer of the heap that is due, out of it; or NULL. */
static struct heap_node *
take_due(const struct engine *engine, struct heap *heap)
{
    struct heap_node *node = heap_first(heap);

    if (node == NULL || node->at > engine->now.mono.ms) {
        return NULL;
    }
    heap_remove(heap, node);
    return node;
}

bool
dispatch_token_due(struct engine *engine)
{
    struct heap_node *node = take_due(engine, &engine->method_timers);

    if (node != NULL) {
        dispatch_update(engine, container_of(node, struct method, timer));
        return true;
    }
    node = take_due(engine, &engine->tenant_timers);
    if (node != NULL) {
        tenant_update(engine, container_of(node, struct tenant, timer));
    }
    return node != NULL;
}

void
dispatch_wake(struct engine *engine, struct method *method)
{
    if (method->starved) {
        method->starved = false;
        list_remove(&method->ring);
        list_append(&engine->ring, &method->ring);
    }
}

void
dispatch_wake_service(struct engine *engine, struct service *service)
{
    while (!list_is_empty(&service->starved)) {
        dispatch_wake(engine, container_of(list_first(&service->starved),
                                           struct method, ring));
    }
}

void
dispatch_starve(struct engine *engine, struct method *method)
{
    list_remove(&method->ring);
    list_append(&method->service->starved, &method->ring);
    method->starved = true;
    method->gate = GATE_NONE;
    tenant_uninvite_method(engine, method);
}

void
dispatch_workers_changed(struct engine *engine, struct method *method)
{
    update_hopeless(engine, method);
}

void
dispatch_service_changed(struct engine *engine, struct service *service)
{
    list_foreach(at, &service->methods) {
        update_hopeless(engine, container_of(at, struct method, of_service));
    }
}

/* ---- Starting ---------------------------------------------------------- */

/* What the worker gets at most: never beyond the job's deadline. */
static uint64_t
attempt_timeout_ms(const struct job *job, uint64_t remaining_ms)
{
    uint64_t timeout_ms = job->method->policy->attempt_timeout_ms;

    if (job->attempt_timeout_ms > 0 && job->attempt_timeout_ms < timeout_ms) {
        timeout_ms = job->attempt_timeout_ms;
    }
    if (remaining_ms > 0 && remaining_ms < timeout_ms) {
        timeout_ms = remaining_ms;
    }
    return timeout_ms;
}

/* First attempts deposit; a hedge that no failure paid for pays now. */
static void
count_in_budget(struct engine *engine, const struct job *job,
                struct record *record)
{
    if (job->attempt == 0) {
        target_deposit(engine, record, job->method->target);
    } else if (record->hedge && job->decision.rule == RULE_HEDGE_PLANNED) {
        target_take_hedge(engine, record, job->method->target);
    }
}

static void
start(struct engine *engine, struct job *job, struct offer *offer, bool solo)
{
    struct worker *worker = offer->worker;
    struct mono deadline = job_deadline(job);
    uint64_t remaining_ms = 0;

    if (deadline.ms != MONO_NEVER.ms) {
        remaining_ms = (uint64_t)(deadline.ms - engine->now.mono.ms);
    }
    queue_grant(engine, job);
    limit_take(&job->method->limit, engine->now.mono.ms);
    limit_take(&job->tenant->limit, engine->now.mono.ms);
    struct record *record = emit_begin(engine, EVENT_ATTEMPT_STARTED, job);

    record->attempt = job->attempt + 1;
    record->fence = record->seq;
    record->worker = emit_text(engine, worker_text(worker));
    record->lease_ms = engine->limits.lease_ms;
    record->timeout_ms = attempt_timeout_ms(job, remaining_ms);
    hedge_plan(engine, job, record);
    count_in_budget(engine, job, record);
    uint32_t before = job->attempts_charged + attempt_count_running(job);

    emit_end(engine, record, &(struct known){.job = job, .worker = worker});
    struct attempt *attempt = attempt_newest(job);
    struct engine_command *command = emit_command(engine, COMMAND_ASSIGN,
                                                  worker->id);

    command->slot = job->slot;
    command->token = (struct engine_token){
        .job = job->id, .attempt = job->attempt, .fence = job->fence};
    command->timeout_ms = attempt->timeout_ms;
    command->remaining_ms = remaining_ms;
    command->charged_before = before;
    job->lost_fence = 0;
    attempt->solo = solo;
    worker->solo = solo;
    gate_take(engine, attempt);
    attempt_place(engine, attempt, offer);
    worker_refresh(engine, worker);
    dispatch_update(engine, job->method);
    tenant_update(engine, job->tenant);
    job->until_ms = engine->now.mono.ms + duration_ms(job->decision.delay_ms);
    hedge_wait(engine, job);
}

/* ---- Suspects ---------------------------------------------------------- */

/* Lets a worker drain, so that the suspect finds it empty. */
static void
reserve(struct engine *engine, struct method *method, struct worker *worker)
{
    worker->reserved_for = method;
    method->reserved = worker;
    engine->reserved++;
    worker_refresh(engine, worker);
}

/* The offer of the worker that is drained; NULL while it is not empty. */
static struct offer *
reserved_offer(const struct engine *engine, const struct method *method)
{
    const struct worker *worker = method->reserved;

    if (worker == NULL || worker->in_hand > 0 || worker_credit(worker) == 0 ||
        worker_is_silent(engine, worker)) {
        return NULL;
    }
    struct offer *offer = worker_offer_for(worker, method);

    return offer_credit(offer) > 0 ? offer : NULL;
}

/* The first suspect whose tenant has room, or NULL; others are blocked. */
static struct job *
next_suspect(struct engine *engine, struct method *method)
{
    while (!list_is_empty(&method->suspects) && engine_has_budget(engine)) {
        struct job *job = container_of(list_first(&method->suspects),
                                       struct job, queue);

        if (tenant_has_room(engine, job->tenant)) {
            return job;
        }
        queue_block(engine, job);
    }
    return NULL;
}

/*
 * Starts the first suspect alone, if a worker is empty for it: the one that was
 * drained, or another that became empty meanwhile.
 */
static bool
start_suspect(struct engine *engine, struct method *method)
{
    struct job *job = next_suspect(engine, method);

    if (job == NULL) {
        return false;
    }
    if (hold_job(engine, job)) {
        return true;
    }
    struct offer *offer = reserved_offer(engine, method);

    if (offer == NULL) {
        offer = choice_make(engine, job, true);
    }
    if (offer == NULL) {
        offer = method->reserved != NULL ? NULL
                                         : choice_make(engine, job, false);
        if (offer != NULL) {
            reserve(engine, method, offer->worker);
        }
        return false;
    }
    if (method->reserved != NULL) {
        worker_unreserve(engine, method->reserved);
    }
    if (!job_end_if_over(engine, job)) {
        start(engine, job, offer, true);
    }
    return true;
}

/* ---- The walk ---------------------------------------------------------- */

/* The next job whose tenant has room, or NULL; lanes of others are blocked. */
static struct job *
next_job(struct engine *engine, struct method *method)
{
    struct job *job = queue_next(method);

    while (job != NULL && !tenant_has_room(engine, job->tenant)) {
        queue_block(engine, job);
        job = engine_has_budget(engine) ? queue_next(method) : NULL;
    }
    return job;
}

/*
 * Starts one attempt of the method, or takes it out of the ring. Lanes are not
 * blocked while there is no credit: who cannot start need not be looked at.
 */
static void
serve(struct engine *engine, struct method *method)
{
    if (method->target->policy->has_breaker && !gate_admits(engine, method)) {
        return;
    }
    if (!list_is_empty(&method->suspects) && start_suspect(engine, method)) {
        return;
    }
    struct job *job = dispatch_has_credit(method) ? next_job(engine, method)
                                                  : NULL;
    struct offer *offer = job == NULL ? NULL : choice_make(engine, job, false);

    if (offer == NULL) {
        if (list_is_linked(&method->ring) && engine_has_budget(engine)) {
            dispatch_starve(engine, method);
        }
        return;
    }
    if (job_end_if_over(engine, job) || hold_job(engine, job) ||
        (job->state == JOB_RUNNING && !hedge_admit(engine, job))) {
        return;
    }
    credit_remove(offer); /* so that the next choice looks at others first */
    credit_put(offer);
    start(engine, job, offer, false);
}

/* The job that was chosen to find out how its target is. */
static void
serve_probe(struct engine *engine, struct job *job)
{
    struct offer *offer = choice_make(engine, job, false);

    if (offer == NULL) {
        dispatch_starve(engine, job->method);
    } else if (!job_end_if_over(engine, job) && !hold_job(engine, job)) {
        start(engine, job, offer, false);
    }
}

/* The turn of a target that admits and has methods that wait for it. */
static void
serve_gate(struct engine *engine)
{
    struct job *probe;
    struct method *method = gate_next(engine, &probe);

    if (method != NULL) {
        serve(engine, method);
    } else if (probe != NULL) {
        serve_probe(engine, probe);
    }
}

/* Jobs that do not wait for a worker, and there is none. */
static void
fail_hopeless(struct engine *engine)
{
    while (engine_has_budget(engine) && !list_is_empty(&engine->hopeless)) {
        struct method *method = container_of(list_first(&engine->hopeless),
                                             struct method, hopeless);
        struct job *job = container_of(list_first(&method->ages), struct job,
                                       age);

        if (job_end_if_over(engine, job)) {
            continue;
        }
        if (job->state == JOB_RUNNING) {
            hedge_freeze(engine, job, RULE_NO_WORKER);
            continue;
        }
        job_finish(engine, job,
                   &(struct job_end){
                       .event = EVENT_JOB_FAILED,
                       .code = REDIAL_UNAVAILABLE,
                       .reason = text_of(rule_name(RULE_NO_WORKER)),
                       .decision = job_decide(engine, job, RULE_NO_WORKER),
                   });
    }
    engine->more = engine->more || !list_is_empty(&engine->hopeless);
}

/* A tenant has room again: what it has waited with longest comes back. */
static void
invite_next(struct engine *engine)
{
    struct tenant *tenant = container_of(list_pop(&engine->tenants_with_room),
                                         struct tenant, with_room);

    queue_invite(engine, tenant);
    tenant_update(engine, tenant);
}

static bool
can_start(const struct engine *engine)
{
    return !engine->draining &&
           (!list_is_empty(&engine->ring) ||
            !list_is_empty(&engine->open_gates) ||
            !list_is_empty(&engine->tenants_with_room)) &&
           (engine->offers_with_credit > 0 || engine->reserved > 0) &&
           engine->attempts.used < engine->limits.attempts_max;
}

void
dispatch_run(struct engine *engine)
{
    if (engine->now.mono.ms >= engine->patience_until_ms &&
        !list_is_empty(&engine->hopeless)) {
        fail_hopeless(engine);
    }
    while (can_start(engine)) {
        if (!engine_has_budget(engine)) {
            engine->more = true;
            return;
        }
        if (!list_is_empty(&engine->tenants_with_room)) {
            invite_next(engine);
            continue;
        }
        engine->gate_turn = !engine->gate_turn &&
                            !list_is_empty(&engine->open_gates);
        if (engine->gate_turn || list_is_empty(&engine->ring)) {
            serve_gate(engine);
            continue;
        }
        struct list *first = list_pop(&engine->ring);

        list_append(&engine->ring, first);
        serve(engine, container_of(first, struct method, ring));
    }
}
