/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One step: the input, then what follows from it (ends that were put off, and
 * new attempts), all within one budget of moves. Time alone acts only in a
 * TICK, so that a gateway that was stopped for a while hears first what its
 * workers have said meanwhile.
 */
#include "server/core/engine.h"

#include "server/core/dispatch.h"
#include "server/core/emit.h"
#include "server/core/gate.h"
#include "server/core/hedge.h"
#include "server/core/holder.h"
#include "server/core/names.h"
#include "server/core/outcome.h"
#include "server/core/report.h"
#include "server/core/session.h"
#include "server/core/settle.h"
#include "server/core/submit.h"
#include "server/core/target.h"
#include "server/core/tenant.h"
#include "server/core/timers.h"
#include "server/core/worker.h"

/* ---- Inputs that concern the gateway itself ---------------------------- */

/* Its jobs out of a list of the old target. */
static void
move_parked(const struct method *method, struct list *to, struct list *from)
{
    list_foreach_safe(at, from) {
        struct job *job = container_of(at, struct job, queue);

        if (job->method == method) {
            list_remove(&job->queue);
            list_append(to, &job->queue);
        }
    }
}

/* What the old one's breaker parked waits for the new one's, if that parks. */
static void
take_parked(struct engine *engine, const struct method *method,
            struct target *before)
{
    struct target *target = method->target;

    if (method->parked > 0) {
        move_parked(method, &target->timeless_jobs, &before->timeless_jobs);
        move_parked(method, &target->parked_jobs, &before->parked_jobs);
        if (!target_parks(target)) {
            gate_let_go(engine, target, true);
        }
    }
}

/* What waits for the old one's breaker comes back and waits for the new. */
static void
retarget(struct engine *engine, struct method *method)
{
    struct target *before = method->target;
    uint64_t queued = method->waiting - method->hedging;

    method->target = target_hold_for(engine, service_text(method->service),
                                     method->policy);
    if (method->target != before) {
        before->retries_waiting -= method->backoff;
        method->target->retries_waiting += method->backoff;
        before->waiting -= queued;
        method->target->waiting += queued;
        before->parked -= method->parked;
        method->target->parked += method->parked;
        if (method->gate != GATE_NONE) {
            list_remove(&method->ring);
            method->gate = GATE_NONE;
        }
        take_parked(engine, method, before);
        gate_update(engine, before);
    }
    target_unref(engine, before);
}

static void
take_policy(struct engine *engine, const struct policy_set *policy)
{
    engine->policy = policy;
    targets_take_policy(engine);
    for (uint32_t i = 0; i < engine->methods.fresh; i++) {
        struct method *method = slab_at(&engine->methods, i);

        method->policy = policy_find(policy, service_text(method->service),
                                     method_text(method));
        retarget(engine, method);
        dispatch_take_policy(engine, method);
    }
    for (uint32_t i = 0; i < engine->tenants.fresh; i++) {
        tenant_take_policy(engine, slab_at(&engine->tenants, i));
    }
    hedge_take_policy(engine);
}

static void
emit_gateway(struct engine *engine, enum event_type type, struct text text)
{
    struct record *record = emit_begin(engine, type, NULL);

    record->text = text;
    emit_end(engine, record, &(struct known){0});
}

static void
take_gateway(struct engine *engine, enum event_type type, struct text text)
{
    if (type < EVENT_GATEWAY_STARTED || type > EVENT_GATEWAY_RECOVERED) {
        outcome_invalid(engine, "type: not an event of the gateway");
        return;
    }
    emit_gateway(engine, type, text);
}

static void
take_drain(struct engine *engine)
{
    if (!engine->draining) {
        engine->draining = true;
        emit_gateway(engine, EVENT_GATEWAY_DRAINING, (struct text){0});
    }
}

/* ---- The step ---------------------------------------------------------- */

static void
begin(struct engine *engine, struct now now, struct engine_outbox *out)
{
    redial_assert(now.mono.ms >= engine->now.mono.ms);
    engine->now = now;
    engine->out = out;
    engine->moves = 0;
    engine->more = false;
    out->record_count = 0;
    out->command_count = 0;
    out->text_bytes = 0;
    out->result = (struct engine_result){.slot = ENGINE_NO_SLOT};
}

static void
take(struct engine *engine, const struct engine_input *input)
{
    switch (input->type) {
    case ENGINE_SUBMIT:
        submit_take(engine, &input->submit);
        break;
    case ENGINE_CANCEL:
        submit_cancel(engine, input->cancel.id, input->cancel.reason);
        break;
    case ENGINE_HELLO:
        session_hello(engine, &input->hello);
        break;
    case ENGINE_POLL:
        session_poll(engine, &input->poll);
        break;
    case ENGINE_REPORT:
        engine->report = &input->report;
        report_take(engine, &input->report);
        engine->report = NULL;
        break;
    case ENGINE_HEARTBEAT:
        session_heartbeat(engine, input->heartbeat);
        break;
    case ENGINE_WORKER_GONE:
        session_gone(engine, input->gone.worker, input->gone.name,
                     input->gone.how);
        break;
    case ENGINE_UNSENT:
        session_unsent(engine, &input->unsent);
        break;
    case ENGINE_POLICY:
        take_policy(engine, input->policy);
        break;
    case ENGINE_BREAKER:
        holder_act(engine, &input->breaker);
        break;
    case ENGINE_GATEWAY:
        take_gateway(engine, input->gateway.type, input->gateway.text);
        break;
    case ENGINE_DRAIN:
        take_drain(engine);
        break;
    case ENGINE_TICK:
        timers_run(engine);
        break;
    }
}

void
engine_step(struct engine *engine, struct now now,
            const struct engine_input *input, struct engine_outbox *out)
{
    begin(engine, now, out);
    take(engine, input);
    settle_run(engine);
    gate_run(engine);
    dispatch_run(engine);
    targets_run(engine);
}

struct mono
engine_next_wake(const struct engine *engine)
{
    struct mono next = timers_next(engine);

    if (!list_is_empty(&engine->hopeless) &&
        engine->patience_until_ms < next.ms) {
        next.ms = engine->patience_until_ms;
    }
    if (engine->more || next.ms < engine->now.mono.ms) {
        return engine->now.mono;
    }
    return next;
}
