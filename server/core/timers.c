/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Seven heaps. Jobs come first: at the very millisecond of its deadline a job
 * ends, whatever else falls on it. Then attempts, workers, targets,
 * their breakers, and rates that have a token again.
 *
 * Timers of attempts and workers are lazy: hearing from a worker moves none of
 * them; one that fires too early is set anew.
 */
#include "server/core/timers.h"

#include "server/core/attempt.h"
#include "server/core/dispatch.h"
#include "server/core/emit.h"
#include "server/core/gate.h"
#include "server/core/hedge.h"
#include "server/core/hold.h"
#include "server/core/life.h"
#include "server/core/session.h"
#include "server/core/settle.h"
#include "server/core/worker.h"

static void
job_due(struct engine *engine, struct job *job)
{
    heap_remove(&engine->job_timers, &job->timer);
    if (job_end_if_over(engine, job)) {
        return;
    }
    job->held = false;
    if (job->state == JOB_PARKED) {
        gate_release(engine, job);
    } else if (job->state == JOB_RUNNING) {
        hedge_wait(engine, job);
    } else if (!hold_job(engine, job) && !gate_end_early(engine, job)) {
        job_enqueue(engine, job);
    }
}

static void
attempt_due(struct engine *engine, struct attempt *attempt)
{
    int64_t now_ms = engine->now.mono.ms;
    struct job *job = attempt->job;

    heap_remove(&engine->attempt_timers, &attempt->timer);
    if (gate_slow_at_ms(engine, attempt) <= now_ms) {
        gate_note_slow(engine, attempt);
    }
    if (attempt_timeout_at_ms(engine, attempt) <= now_ms) {
        settle_timeout(engine, attempt);
    } else if (attempt_lease_end_ms(attempt) > now_ms) {
        attempt_arm(engine, attempt);
    } else if (attempt->ghost) {
        attempt_free(engine, attempt);
        job_release_if_done(engine, job);
    } else {
        settle_lease_over(engine, attempt);
    }
}

static void
note_silence(struct engine *engine, struct worker *worker)
{
    int64_t silent_ms = worker->heard_ms +
                        duration_ms(engine->limits.silence_ms);

    if (silent_ms > engine->now.mono.ms) {
        heap_set(&engine->worker_timers, &worker->timer, silent_ms);
        return;
    }
    heap_remove(&engine->worker_timers, &worker->timer);
    worker->silent = true;
    worker_unreserve(engine, worker);
    worker_refresh(engine, worker);
    struct record *record = emit_begin(engine, EVENT_WORKER_QUIET, NULL);

    record->worker = emit_text(engine, worker_text(worker));
    record->reason = text_of("SILENT");
    emit_end(engine, record, &(struct known){0});
}

static void
worker_due(struct engine *engine, struct worker *worker)
{
    if (worker->state == WORKER_CONNECTED) {
        note_silence(engine, worker);
        return;
    }
    heap_remove(&engine->worker_timers, &worker->timer);
    worker->state = WORKER_GONE;
    session_end_attempts(engine, worker, ATTEMPT_WORKER_LOST);
    worker_release(engine, worker);
}

/* Its flips are looked at before the step ends. */
static void
target_due(struct engine *engine, struct target *target)
{
    heap_remove(&engine->target_timers, &target->timer);
    target_note_change(engine, target);
}

/* The first node of the heap that is due, or NULL. */
static struct heap_node *
due(const struct engine *engine, const struct heap *heap)
{
    struct heap_node *node = heap_first(heap);

    return node != NULL && node->at <= engine->now.mono.ms ? node : NULL;
}

/* A due job that only joins its queue is no move, but work all the same. */
void
timers_run(struct engine *engine)
{
    struct heap_node *node;

    for (int i = 0; i < ENGINE_MOVES_MAX && engine_has_budget(engine); i++) {
        node = due(engine, &engine->job_timers);
        if (node != NULL) {
            job_due(engine, container_of(node, struct job, timer));
            continue;
        }
        node = due(engine, &engine->attempt_timers);
        if (node != NULL) {
            attempt_due(engine, container_of(node, struct attempt, timer));
            continue;
        }
        node = due(engine, &engine->worker_timers);
        if (node != NULL) {
            worker_due(engine, container_of(node, struct worker, timer));
            continue;
        }
        node = due(engine, &engine->target_timers);
        if (node != NULL) {
            target_due(engine, container_of(node, struct target, timer));
            continue;
        }
        node = due(engine, &engine->gate_timers);
        if (node != NULL) {
            gate_due(engine, container_of(node, struct target, gate_timer));
        } else if (!dispatch_token_due(engine)) {
            return;
        }
    }
}

struct mono
timers_next(const struct engine *engine)
{
    const struct heap *heaps[] = {
        &engine->job_timers,    &engine->attempt_timers, &engine->worker_timers,
        &engine->target_timers, &engine->method_timers,  &engine->tenant_timers,
        &engine->gate_timers};
    struct mono next = MONO_NEVER;

    for (size_t i = 0; i < sizeof(heaps) / sizeof(heaps[0]); i++) {
        const struct heap_node *node = heap_first(heaps[i]);

        if (node != NULL && node->at < next.ms) {
            next.ms = node->at;
        }
    }
    return next;
}
