/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs behind a breaker. Those in queues are only shown as PARKED; a retry that
 * was decided on while it was open is PARKED, and its time is the breaker's or
 * its own, whichever is later.
 */
#include "server/core/dispatch.h"
#include "server/core/emit.h"
#include "server/core/gate.h"
#include "server/core/hold.h"
#include "server/core/holder.h"
#include "server/core/life.h"

int64_t
gate_until_ms(const struct target *target)
{
    if (!target_parks(target)) {
        return INT64_MAX;
    }
    if (target->breaker.forced) {
        return holder_last_ms(target);
    }
    return target->breaker.state == BREAKER_OPEN && !target->restarts
               ? target->breaker.reopen_ms
               : INT64_MAX;
}

int64_t
gate_until_wall_ms(const struct engine *engine, const struct job *job)
{
    if (!job->waiting || job_shown(job) != JOB_PARKED) {
        return job->until_wall_ms;
    }
    int64_t until_ms = gate_until_ms(job->method->target);

    return until_ms == INT64_MAX
               ? 0
               : engine->now.wall.ms + (until_ms - engine->now.mono.ms);
}

void
gate_guard(const struct target *target, struct retry_guard *guard)
{
    guard->breaker_open = target_parks(target) &&
                          (target->breaker.forced ||
                           target->breaker.state == BREAKER_OPEN);
    if (guard->breaker_open) {
        guard->breaker_until_ms = gate_until_ms(target);
        guard->breaker_spread_ms = hold_spread_ms(
            duration_ms(target->breaker_open_ms));
    }
}

/* ---- Recorded ones ----------------------------------------------------- */

void
gate_park(struct job *job)
{
    redial_assert(job->state == JOB_PARKED && !job->waiting);
    struct target *target = job->method->target;

    if (job->until_wall_ms == 0) {
        list_append(&target->timeless_jobs, &job->queue);
    } else if (job->decision.delay_source == DELAY_BREAKER) {
        list_append(&target->parked_jobs, &job->queue);
    }
}

void
gate_unpark(struct job *job)
{
    if (job->state == JOB_PARKED) {
        list_remove(&job->queue);
    }
}

/* The next one that is to go, or NULL. */
static struct list *
next_parked(const struct target *target)
{
    struct list *first = list_first(&target->timeless_jobs);

    if (first == NULL && target->lets_all_go) {
        first = list_first(&target->parked_jobs);
    }
    return first;
}

void
gate_let_go(struct engine *engine, struct target *target, bool all)
{
    target->lets_all_go = target->lets_all_go || all;
    if (next_parked(target) == NULL) {
        target->lets_all_go = false;
    } else if (!list_is_linked(&target->unparking)) {
        list_append(&engine->unparking, &target->unparking);
    }
}

/* It opened again in the middle of it: the others stay. */
static bool
is_shut_again(const struct engine *engine, const struct target *target)
{
    return target_parks(target) &&
           (target->breaker.forced ||
            (target->breaker.state == BREAKER_OPEN &&
             target->breaker.reopen_ms > engine->now.mono.ms));
}

void
gate_run(struct engine *engine)
{
    while (!list_is_empty(&engine->unparking)) {
        if (!engine_has_budget(engine)) {
            engine->more = true;
            return;
        }
        struct target *target = container_of(list_first(&engine->unparking),
                                             struct target, unparking);
        struct list *first = next_parked(target);
        struct job *job = first == NULL
                              ? NULL
                              : container_of(first, struct job, queue);

        if (job == NULL || is_shut_again(engine, target)) {
            list_remove(&target->unparking);
            target->lets_all_go = false;
            continue;
        }
        engine->moves++;
        list_remove(&job->queue);
        if (!job_end_if_over(engine, job)) {
            gate_release(engine, job);
        }
    }
}

/* It stays until there is something to look at again. */
static void
stay(struct engine *engine, struct job *job)
{
    job->until_ms = engine->now.mono.ms + job->method->target->slice_ms;
    job->held = true;
    job_arm(engine, job);
}

void
gate_release(struct engine *engine, struct job *job)
{
    struct target *target = job->method->target;
    struct retry_guard guard = target_guard(engine, target);

    if (job->budget_slice == 0 && !budget_allows(guard.budget_milli)) {
        engine->moves++;
        stay(engine, job);
        return;
    }
    gate_unpark(job);
    struct record *record = emit_begin(engine, EVENT_JOB_RELEASED, job);

    record->decision = job_decide(engine, job, RULE_BREAKER_OPEN);
    record->decision.budget_milli = guard.budget_milli;
    target_take_retry(engine, record, job);
    emit_end_job(engine, record, job);
    if (!gate_end_early(engine, job)) {
        job_enqueue(engine, job);
    }
}

/* ---- Deadlines --------------------------------------------------------- */

bool
gate_end_early(struct engine *engine, struct job *job)
{
    int64_t until_ms = gate_until_ms(job->method->target);

    if (until_ms == INT64_MAX || job->state == JOB_RUNNING ||
        job_deadline(job).ms > until_ms) {
        return false;
    }
    job_end_by(engine, job, RULE_DEADLINE_WOULD_EXPIRE);
    return true;
}

/* ---- Submits ----------------------------------------------------------- */

bool
gate_may_wait(struct target *target, const struct method_policy *policy,
              int64_t now_ms, bool *ret_full, uint64_t *ret_after_ms)
{
    const struct target_policy *guard = target->policy;
    uint64_t waiting = target->waiting + target->parked;
    int64_t until_ms = gate_until_ms(target);

    if (!target_parks(target)) {
        return true;
    }
    *ret_after_ms = until_ms != INT64_MAX && until_ms > now_ms
                        ? (uint64_t)(until_ms - now_ms)
                        : 0;
    /* While it looks for probes a few may come in to be some. */
    bool rejects = policy->reject_when_open &&
                   (target->breaker.forced ||
                    target->breaker.state == BREAKER_OPEN ||
                    waiting >= guard->breaker.probes_needed);

    *ret_full = !rejects;
    if (rejects || (guard->parked_max > 0 && waiting >= guard->parked_max)) {
        target->rejected++;
        return false;
    }
    return true;
}
