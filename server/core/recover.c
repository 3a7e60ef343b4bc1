/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Back from the log: rows, then records, then one look at the clock. Until
 * then nothing waits, nothing is timed and nobody is connected.
 */
#include "server/core/apply.h"
#include "server/core/attempt.h"
#include "server/core/dispatch.h"
#include "server/core/emit.h"
#include "server/core/gate.h"
#include "server/core/keys.h"
#include "server/core/life.h"
#include "server/core/worker.h"

/* The same for every engine: only the state may make a difference. */
static const struct hash_key state_key = {
    {UINT64_C(0x72656469616c2e73), UINT64_C(0x746174652e763100)}};

static bool
is_end(enum event_type type)
{
    return type == EVENT_ATTEMPT_SUCCEEDED || type == EVENT_ATTEMPT_FAILED ||
           type == EVENT_ATTEMPT_LOST;
}

/* Live code has its own way: the attempt may become a ghost. */
static bool
end_attempt(struct engine *engine, struct job *job, uint64_t fence)
{
    struct attempt *attempt = attempt_running_by_fence(job, fence);

    if (attempt == NULL) {
        return false;
    }
    attempt_free(engine, attempt);
    return true;
}

bool
engine_apply(struct engine *engine, const struct record *record)
{
    struct job *job = NULL;

    if (record->seq < engine->next_seq ||
        !apply_record(engine, record, &(struct known){0}, &job)) {
        return false;
    }
    if (job == NULL) {
        return true;
    }
    if (is_end(record->type) && !end_attempt(engine, job, record->fence)) {
        return false;
    }
    while (job->state != JOB_RUNNING && job->running != NULL) {
        attempt_free(engine, job->running);
    }
    if (job_state_is_final((enum job_state)job->state)) {
        job_free(engine, job);
    }
    return true;
}

/* What a duration has left; what is overdue counts below zero, in order. */
static int64_t
remaining_ms(int64_t until_wall_ms, int64_t wall_ms, uint64_t original_ms)
{
    int64_t left_ms = until_wall_ms - wall_ms;
    int64_t most_ms = duration_ms(original_ms);

    return left_ms < most_ms ? left_ms : most_ms;
}

/* How long ago something was, by a clock that cannot have gone back. */
static int64_t
passed_ms(int64_t since_wall_ms, int64_t wall_ms)
{
    return wall_ms > since_wall_ms ? wall_ms - since_wall_ms : 0;
}

static void
restore_job(struct engine *engine, struct job *job, int64_t wall_ms)
{
    int64_t now_ms = engine->now.mono.ms;
    int64_t in_state_ms = passed_ms(job->state_wall_ms, wall_ms);
    uint64_t original_ms = job->decision.delay_ms;

    job->accepted_ms = now_ms - passed_ms(job->accepted_wall_ms, wall_ms);
    if (job->state == JOB_SCHEDULED) {
        original_ms = job->not_before_ms;
    }
    job->until_ms = now_ms +
                    remaining_ms(job->until_wall_ms, wall_ms, original_ms);
    for (struct attempt *at = job->running; at != NULL; at = at->next) {
        at->started_ms = now_ms - passed_ms(at->started_wall_ms, wall_ms);
        attempt_arm(engine, at);
    }
    if (job->state == JOB_READY) {
        job_enqueue(engine, job);
        job->waiting_since_ms = now_ms - in_state_ms;
    } else {
        if (job->state == JOB_PARKED) {
            gate_park(job);
        }
        job_arm(engine, job);
    }
}

static void
restore_workers(struct engine *engine)
{
    int64_t until_ms = engine->now.mono.ms +
                       duration_ms(engine->limits.adopt_ms);

    for (uint32_t i = 0; i < engine->workers.fresh; i++) {
        struct worker *worker = slab_at(&engine->workers, i);

        if (worker->state == WORKER_AWAITED) {
            worker->awaited_until_ms = until_ms;
            heap_set(&engine->worker_timers, &worker->timer, until_ms);
        }
    }
}

static bool
slot_is_used(const void *item)
{
    return ((const struct job *)item)->state != JOB_NONE;
}

/* From now on all slots are below jobs_max, as in an engine without a past. */
static void
compact(struct engine *engine)
{
    uint32_t jobs_max = engine->limits.jobs_max;
    uint32_t fresh = engine->jobs.fresh;

    slab_shrink(&engine->jobs, jobs_max, slot_is_used);
    for (uint32_t i = jobs_max; i < fresh; i++) {
        struct job *job = slab_at(&engine->jobs, i);

        if (slot_is_used(job)) {
            job_relocate(engine, job);
        }
    }
}

void
engine_recover(struct engine *engine, struct now now, uint64_t next_seq,
               struct engine_outbox *out)
{
    redial_assert(now.mono.ms >= engine->now.mono.ms);
    redial_assert(next_seq >= engine->next_seq);
    int64_t wall_ms = now.wall.ms;

    /* Only the newest record tells; an older one may be from before a leap. */
    if (engine->next_seq == next_seq && next_seq > 1 &&
        wall_ms < engine->last_wall_ms) {
        wall_ms = engine->last_wall_ms;
    }
    engine->now = now;
    engine->out = out;
    engine->next_seq = next_seq;
    engine->moves = 0;
    out->record_count = 0;
    out->command_count = 0;
    out->text_bytes = 0;
    out->result = (struct engine_result){.slot = ENGINE_NO_SLOT};
    compact(engine);
    dispatch_empty_buckets(engine);
    for (uint32_t i = 0; i < engine->jobs.fresh; i++) {
        struct job *job = slab_at(&engine->jobs, i);

        if (slot_is_used(job)) {
            restore_job(engine, job, wall_ms);
        }
    }
    restore_workers(engine);
    targets_restore(engine, wall_ms);
    if (engine->jobs.used > 0) {
        engine->patience_until_ms = now.mono.ms +
                                    duration_ms(engine->limits.adopt_ms);
    }
    struct record *record = emit_begin(engine, EVENT_GATEWAY_STARTED, NULL);

    emit_end(engine, record, &(struct known){0});
    targets_run(engine);
}

uint64_t
engine_state_hash(const struct engine *engine)
{
    uint8_t buf[ENGINE_EXPORT_MAX];
    uint64_t sum = keys_state_hash(engine, &state_key) +
                   targets_state_hash(engine, &state_key);

    for (uint32_t slot = 0; slot < engine->jobs.fresh; slot++) {
        const struct job *job = slab_at(&engine->jobs, slot);

        if (job->state != JOB_NONE &&
            !job_state_is_final((enum job_state)job->state)) {
            sum += hash_64(&state_key, buf,
                           engine_export_job(engine, slot, buf));
        }
    }
    return sum;
}
