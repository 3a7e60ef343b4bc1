/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/attempt.h"

#include "server/core/dispatch.h"
#include "server/core/emit.h"
#include "server/core/gate.h"
#include "server/core/tenant.h"
#include "server/core/worker.h"

/* Where the next one of the running attempts is linked. */
static struct attempt **
running_end(struct job *job)
{
    struct attempt **at = &job->running;

    while (*at != NULL) {
        at = &(*at)->next;
    }
    return at;
}

struct attempt *
attempt_make(struct engine *engine, struct job *job, struct worker *worker,
             const struct record *record)
{
    struct attempt *attempt = slab_take(&engine->attempts);

    if (attempt == NULL) {
        return NULL;
    }
    attempt->job = job;
    attempt->worker = worker;
    attempt->fence = record->seq;
    attempt->number = record->attempt;
    attempt->lease_ms = record->lease_ms;
    attempt->timeout_ms = record->timeout_ms;
    attempt->started_wall_ms = record->wall_ms;
    attempt->started_ms = engine->now.mono.ms;
    list_append(&worker->attempts, &attempt->of_worker);
    worker->in_hand++;
    worker->uncounted++;
    job->method->running++;
    job->tenant->running++;
    *running_end(job) = attempt;
    return attempt;
}

int64_t
attempt_lease_end_ms(const struct attempt *attempt)
{
    const struct worker *worker = attempt->worker;

    if (worker->state != WORKER_CONNECTED) {
        return INT64_MAX;
    }
    return (attempt->acked ? worker->heard_ms : attempt->started_ms) +
           duration_ms(attempt->lease_ms);
}

int64_t
attempt_timeout_at_ms(const struct engine *engine,
                      const struct attempt *attempt)
{
    if (attempt->ghost) {
        return INT64_MAX;
    }
    return attempt->started_ms + duration_ms(attempt->timeout_ms) +
           duration_ms(engine->limits.grace_ms);
}

void
attempt_arm(struct engine *engine, struct attempt *attempt)
{
    int64_t lease_end = attempt_lease_end_ms(attempt);
    int64_t timeout_at = attempt_timeout_at_ms(engine, attempt);
    int64_t slow_at = gate_slow_at_ms(engine, attempt);
    int64_t at = lease_end < timeout_at ? lease_end : timeout_at;

    at = slow_at < at ? slow_at : at;

    if (at == INT64_MAX) {
        heap_remove(&engine->attempt_timers, &attempt->timer);
    } else {
        heap_set(&engine->attempt_timers, &attempt->timer, at);
    }
}

void
attempt_place(struct engine *engine, struct attempt *attempt,
              struct offer *offer)
{
    attempt->offer = offer;
    if (offer != NULL) {
        offer->in_hand++;
        offer->uncounted += !attempt->counted;
        offer_refresh(engine, offer);
    }
    attempt_arm(engine, attempt);
}

void
attempt_count(struct attempt *attempt)
{
    attempt->acked = true;
    if (attempt->counted) {
        return;
    }
    attempt->counted = true;
    attempt->worker->uncounted--;
    if (attempt->offer != NULL) {
        attempt->offer->uncounted--;
    }
}

/* Takes the attempt off its job. */
static void
unlink_from_job(struct attempt *attempt)
{
    struct job *job = attempt->job;
    struct attempt **at = attempt->ghost ? &job->ghosts : &job->running;

    while (*at != attempt) {
        at = &(*at)->next;
    }
    *at = attempt->next;
}

void
attempt_free(struct engine *engine, struct attempt *attempt)
{
    struct worker *worker = attempt->worker;
    struct offer *offer = attempt->offer;
    struct method *method = attempt->job->method;
    struct tenant *tenant = attempt->job->tenant;

    redial_assert(attempt->permit.kind == BREAKER_NO_PERMIT);
    unlink_from_job(attempt);
    list_remove(&attempt->of_worker);
    list_remove(&attempt->ending);
    heap_remove(&engine->attempt_timers, &attempt->timer);
    worker->in_hand--;
    worker->uncounted -= !attempt->counted;
    if (attempt->solo) {
        worker->solo = false;
    }
    if (offer != NULL) {
        offer->in_hand--;
        offer->uncounted -= !attempt->counted;
        offer_refresh(engine, offer);
    }
    slab_give(&engine->attempts, attempt);
    method->running--;
    tenant->running--;
    dispatch_update(engine, method);
    tenant_update(engine, tenant);
    if (worker->state == WORKER_CONNECTED) {
        worker_refresh(engine, worker);
    } else {
        worker_release(engine, worker);
    }
}

void
attempt_make_ghost(struct engine *engine, struct attempt *attempt)
{
    struct job *job = attempt->job;

    redial_assert(!attempt->ghost);
    gate_drop(engine, attempt);
    unlink_from_job(attempt);
    attempt->ghost = true;
    attempt->next = job->ghosts;
    job->ghosts = attempt;
    if (attempt->worker->state == WORKER_CONNECTED) {
        emit_stop(engine, attempt->worker,
                  &(struct engine_token){
                      .job = job->id,
                      .attempt = attempt->number,
                      .fence = attempt->fence,
                  });
    }
    attempt_arm(engine, attempt);
}

void
attempt_end_later(struct engine *engine, struct attempt *attempt,
                  enum attempt_end end)
{
    attempt->end = end;
    if (!list_is_linked(&attempt->ending)) {
        list_append(&engine->ending, &attempt->ending);
    }
}

uint32_t
attempt_count_running(const struct job *job)
{
    uint32_t count = 0;

    for (const struct attempt *at = job->running; at != NULL; at = at->next) {
        count++;
    }
    return count;
}

struct attempt *
attempt_newest(const struct job *job)
{
    struct attempt *attempt = job->running;

    while (attempt != NULL && attempt->next != NULL) {
        attempt = attempt->next;
    }
    return attempt;
}

static struct attempt *
find(struct attempt *attempt, uint64_t fence)
{
    while (attempt != NULL && attempt->fence != fence) {
        attempt = attempt->next;
    }
    return attempt;
}

struct attempt *
attempt_running_by_fence(const struct job *job, uint64_t fence)
{
    return find(job->running, fence);
}

struct attempt *
attempt_by_token(const struct job *job, const struct engine_token *token)
{
    struct attempt *attempt = find(job->running, token->fence);

    if (attempt == NULL) {
        attempt = find(job->ghosts, token->fence);
    }
    return attempt != NULL && attempt->number == token->attempt ? attempt
                                                                : NULL;
}
