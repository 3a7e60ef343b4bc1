/* SPDX-License-Identifier: Apache-2.0 */
/* What the rest of the program may see of the engine's state. */
#include "server/core/apply.h"
#include "server/core/emit.h"
#include "server/core/gate.h"
#include "server/core/life.h"
#include "server/core/retry.h"
#include "server/core/uuid.h"

#include <string.h>

/* The job in a slot, or NULL. */
static struct job *
job_in(const struct engine *engine, uint32_t slot)
{
    if (slot >= engine->jobs.fresh) {
        return NULL;
    }
    struct job *job = slab_at(&engine->jobs, slot);

    return job->state == JOB_NONE ? NULL : job;
}

uint32_t
engine_find(const struct engine *engine, struct job_id id)
{
    const struct job *job = job_by_id(engine, id);

    return job == NULL ? ENGINE_NO_SLOT : job->slot;
}

enum job_state
engine_state(const struct engine *engine, uint32_t slot)
{
    const struct job *job = job_in(engine, slot);

    return job == NULL ? JOB_NONE : job->state;
}

/* ---- One job ----------------------------------------------------------- */

/* Where texts of a view go. */
struct scratch {
    char *at;
    size_t left;
};

static struct text
scratch_text(struct scratch *scratch, struct text text)
{
    struct text copy = {.at = scratch->at, .len = text.len};

    redial_assert(text.len <= scratch->left);
    if (text.len > 0) {
        memcpy(scratch->at, text.at, text.len);
    }
    scratch->at += text.len;
    scratch->left -= text.len;
    return copy;
}

static struct text
scratch_chunk(const struct engine *engine, struct scratch *scratch,
              uint32_t ref)
{
    char buf[NAME_BYTES_MAX];
    struct text text = {.at = buf};

    text.len = chunk_get(&engine->texts, ref, buf, sizeof(buf));
    return scratch_text(scratch, text);
}

static void
view_texts(const struct engine *engine, const struct job *job,
           struct scratch *scratch, struct job_view *view)
{
    char buf[FAILURE_BYTES_MAX];
    struct text reason;
    struct text text;

    view->correlation = scratch_chunk(engine, scratch, job->correlation);
    view->key = scratch_chunk(engine, scratch, job->key);
    view->tenant = scratch_text(scratch, tenant_text(job->tenant));
    view->service = scratch_text(scratch, service_text(job->method->service));
    view->method = scratch_text(scratch, method_text(job->method));
    view->target = scratch_text(scratch, target_text(job->method->target));
    job_get_failure(engine, job, buf, &reason, &text);
    view->last_reason = scratch_text(scratch, reason);
    view->last_text = scratch_text(scratch, text);
}

static void
view_running(const struct job *job, struct scratch *scratch,
             struct job_view *view)
{
    for (const struct attempt *at = job->running; at != NULL; at = at->next) {
        view->worker = scratch_text(scratch, worker_text(at->worker));
        view->fence = at->fence;
        view->running[view->running_count++] = (struct engine_running){
            .number = at->number,
            .fence = at->fence,
            .started_wall_ms = at->started_wall_ms,
            .worker = view->worker,
        };
    }
}

bool
engine_view(const struct engine *engine, uint32_t slot, char *scratch,
            struct job_view *ret_view)
{
    const struct job *job = job_in(engine, slot);
    struct scratch room = {.at = scratch, .left = ENGINE_VIEW_BYTES};

    if (job == NULL) {
        return false;
    }
    *ret_view = (struct job_view){
        .id = job->id,
        .slot = slot,
        .state = (enum job_state)job->state,
        .shown = job_shown(job),
        .seq = job->seq,
        .job_seq = job->job_seq,
        .priority = job->priority,
        .idempotency = (enum idempotency)job->idempotency,
        .accepted_wall_ms = job->accepted_wall_ms,
        .state_wall_ms = job->state_wall_ms,
        .until_wall_ms = gate_until_wall_ms(engine, job),
        .attempts_charged = job->attempts_charged,
        .attempts_free = job->attempts_free,
        .attempt = job->attempt,
        .max_attempts = job_attempts_max(engine, job),
        .payload_bytes = job->payload_bytes,
        .last_code = (enum redial_status)job->failure_code,
        .decision = job_decision(job),
    };
    if (job->deadline_ms > 0) {
        ret_view->deadline_wall_ms = job->accepted_wall_ms +
                                     duration_ms(job->deadline_ms);
    }
    view_texts(engine, job, &room, ret_view);
    view_running(job, &room, ret_view);
    return true;
}

/* ---- Walks ------------------------------------------------------------- */

uint32_t
engine_next_job(const struct engine *engine, uint32_t after)
{
    uint32_t slot = after == ENGINE_NO_SLOT ? 0 : after + 1;

    while (slot < engine->jobs.fresh) {
        if (job_in(engine, slot) != NULL) {
            return slot;
        }
        slot++;
    }
    return ENGINE_NO_SLOT;
}

/* From `at` on, the first one of the bucket with just this correlation id. */
static uint32_t
next_in_bucket(const struct engine *engine, const struct list *bucket,
               struct list *at, struct text correlation)
{
    while (at != NULL && at != bucket) {
        const struct job *job = container_of(at, struct job, correlated);

        if (chunk_equals(&engine->texts, job->correlation, correlation.at,
                         correlation.len)) {
            return job->slot;
        }
        at = at->next;
    }
    return ENGINE_NO_SLOT;
}

uint32_t
engine_next_correlated(const struct engine *engine, struct text correlation,
                       uint32_t after)
{
    if (correlation.len == 0 || correlation.len > NAME_BYTES_MAX) {
        return ENGINE_NO_SLOT;
    }
    const struct list *bucket = correlation_bucket(engine, correlation);
    const struct job *job = NULL;
    struct job_id id;

    if (after != ENGINE_NO_SLOT) {
        job = job_in(engine, after);
        if (job == NULL) {
            return ENGINE_NO_SLOT;
        }
        /* The job of that id itself stands before the bucket. */
        return next_in_bucket(engine, bucket,
                              job->correlation == 0 ? bucket->next
                                                    : job->correlated.next,
                              correlation);
    }
    if (uuid_parse(correlation, &id)) {
        job = job_by_id(engine, id);
        if (job != NULL && job->correlation == 0) {
            return job->slot;
        }
    }
    return next_in_bucket(engine, bucket, bucket->next, correlation);
}

/* ---- Figures ----------------------------------------------------------- */

static uint64_t
oldest_ms(const struct method *method, struct now now)
{
    struct list *first = list_first(&method->ages);

    if (first == NULL) {
        return 0;
    }
    const struct job *job = container_of(first, struct job, age);

    return (uint64_t)(now.mono.ms - job->waiting_since_ms);
}

/* Ready jobs of targets that let nothing through. */
static void
show_parked(const struct engine *engine, struct engine_stats *stats)
{
    for (uint32_t i = 0; i < engine->targets.fresh; i++) {
        const struct target *target = slab_at(&engine->targets, i);

        if (target_parks(target)) {
            stats->jobs[JOB_READY] -= target->waiting;
            stats->jobs[JOB_PARKED] += target->waiting;
        }
    }
}

void
engine_stats(const struct engine *engine, struct now now,
             struct engine_stats *ret_stats)
{
    *ret_stats = (struct engine_stats){
        .payload_bytes = engine->payload_bytes,
        .workers = engine->connected,
        .keys = engine->keys.used,
        .methods = engine->methods.used,
        .next_seq = engine->next_seq,
        .hedges_started = engine->hedges_started,
        .late_reports = engine->late_reports,
        .duplicate_submits = engine->duplicate_submits,
    };
    for (uint32_t i = 0; i < ENGINE_REFUSAL_COUNT; i++) {
        ret_stats->refusals[i] = engine->refusals[i];
        ret_stats->refused_submits += engine->refusals[i];
    }
    memcpy(ret_stats->jobs, engine->shown, sizeof(ret_stats->jobs));
    show_parked(engine, ret_stats);
    memcpy(ret_stats->rules, engine->rules, sizeof(ret_stats->rules));
    for (uint32_t i = 0; i < engine->methods.fresh; i++) {
        uint64_t oldest = oldest_ms(slab_at(&engine->methods, i), now);

        if (oldest > ret_stats->oldest_ready_ms) {
            ret_stats->oldest_ready_ms = oldest;
        }
    }
}

/* ---- Limits ------------------------------------------------------------ */

const char *
engine_waits_for_name(enum engine_waits_for waits_for)
{
    static const char *const names[] = {
        [ENGINE_WAITS_FOR_NOTHING] = "",
        [ENGINE_WAITS_FOR_TURN] = "turn",
        [ENGINE_WAITS_FOR_PLACE] = "place",
        [ENGINE_WAITS_FOR_TOKEN] = "token",
        [ENGINE_WAITS_FOR_TENANT] = "tenant",
        [ENGINE_WAITS_FOR_WORKER] = "worker",
        [ENGINE_WAITS_FOR_BREAKER] = "breaker",
        [ENGINE_WAITS_FOR_DRAIN] = "drain",
    };

    redial_assert((size_t)waits_for < sizeof(names) / sizeof(names[0]));
    return names[waits_for];
}

static struct engine_limit_stats
limit_stats(const struct limit *limit, uint64_t refused, struct now now)
{
    const struct limit_policy *policy = &limit->policy;
    struct engine_limit_stats stats = {
        .concurrency = policy->concurrency,
        .queue = policy->queue,
        .refused = refused,
    };

    if (policy->rate > 0) {
        stats.rate = policy->rate;
        stats.rate_period_ms = policy->rate_period_ms;
        stats.burst = limit_burst(limit);
        stats.tokens = limit_tokens(limit, now.mono.ms);
    }
    return stats;
}

/* What its own limits lack, if anything. */
static enum engine_waits_for
limit_lacks(const struct limit *limit, uint32_t running, struct now now)
{
    if (limit_places(limit, running) == 0) {
        return ENGINE_WAITS_FOR_PLACE;
    }
    return limit_tokens(limit, now.mono.ms) == 0 ? ENGINE_WAITS_FOR_TOKEN
                                                 : ENGINE_WAITS_FOR_NOTHING;
}

static enum engine_waits_for
method_waits_for(const struct engine *engine, const struct method *method,
                 struct now now)
{
    enum engine_waits_for lacks = limit_lacks(&method->limit, method->running,
                                              now);

    if (method->waiting == 0) {
        return ENGINE_WAITS_FOR_NOTHING;
    }
    if (engine->draining) {
        return ENGINE_WAITS_FOR_DRAIN;
    }
    if (target_parks(method->target) || method->gate != GATE_NONE) {
        return ENGINE_WAITS_FOR_BREAKER;
    }
    if (lacks != ENGINE_WAITS_FOR_NOTHING) {
        return lacks;
    }
    if (method->starved ||
        (method->credit.mask == 0 && method->service->credit.mask == 0)) {
        return ENGINE_WAITS_FOR_WORKER;
    }
    return list_is_linked(&method->ring) ? ENGINE_WAITS_FOR_TURN
                                         : ENGINE_WAITS_FOR_TENANT;
}

bool
engine_method_stats(const struct engine *engine, struct now now, uint32_t index,
                    struct engine_method_stats *ret_stats)
{
    if (index >= engine->methods.fresh) {
        return false;
    }
    const struct method *method = slab_at(&engine->methods, index);

    *ret_stats = (struct engine_method_stats){
        .service = service_text(method->service),
        .method = method_text(method),
        .ready = method->waiting,
        .running = method->running,
        .oldest_ready_ms = oldest_ms(method, now),
        .workers = method->workers + method->service->workers,
        .concurrency = method->limit.policy.concurrency,
        .limits = limit_stats(&method->limit, method->refused, now),
        .waits_for = method_waits_for(engine, method, now),
    };
    return true;
}

bool
engine_tenant_stats(const struct engine *engine, struct now now, uint32_t index,
                    struct engine_tenant_stats *ret_stats)
{
    if (index >= engine->tenants.fresh) {
        return false;
    }
    const struct tenant *tenant = slab_at(&engine->tenants, index);

    *ret_stats = (struct engine_tenant_stats){
        .tenant = tenant_text(tenant),
        .ready = tenant->waiting,
        .running = tenant->running,
        .weight = tenant->weight,
        .limits = limit_stats(&tenant->limit, tenant->refused, now),
    };
    if (tenant->waiting > 0) {
        ret_stats->waits_for = limit_lacks(&tenant->limit, tenant->running,
                                           now);
        if (ret_stats->waits_for == ENGINE_WAITS_FOR_NOTHING) {
            ret_stats->waits_for = ENGINE_WAITS_FOR_TURN;
        }
    }
    return true;
}
