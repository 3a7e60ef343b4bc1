/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/explore/digest.h"

#include "tests/explore/world.h"

static void
add(uint64_t *hash, uint64_t value)
{
    uint64_t x = *hash ^ (value + UINT64_C(0x9e3779b97f4a7c15));

    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    *hash = x ^ (x >> 31);
}

/* A time as it is from now; long ago is all one, and so is never. */
static uint64_t
from_now(int64_t at_ms)
{
    int64_t left_ms = at_ms - world->now.mono.ms;

    if (at_ms == INT64_MAX || left_ms > HORIZON_MS) {
        return UINT64_MAX;
    }
    return left_ms <= 0 ? 0 : (uint64_t)left_ms;
}

/* When, and whose turn it is among those of the same time. */
static void
add_timer(uint64_t *hash, const struct heap *heap,
          const struct heap_node *timer)
{
    uint64_t before = 0;

    if (!heap_has(timer) || from_now(timer->at) == UINT64_MAX) {
        add(hash, heap_has(timer));
        return;
    }
    for (uint32_t i = 0; i < heap->count; i++) {
        const struct heap_node *other = heap->nodes[i];

        before += other->at == timer->at && other->order < timer->order;
    }
    add(hash, 2 + from_now(timer->at));
    add(hash, before);
}

/* How long ago, up to a bound. */
static uint64_t
ago(int64_t at_ms, int64_t most_ms)
{
    int64_t passed_ms = world->now.mono.ms - at_ms;

    return (uint64_t)(passed_ms < most_ms ? passed_ms : most_ms);
}

static uint32_t
worker_number(const struct worker *worker)
{
    return worker->name_len > 0 && worker->name[0] == 'w' ? 1 : 0;
}

static uint64_t
place_in(const struct list *head, const struct list *link)
{
    uint64_t place = 1;

    if (!list_is_linked(link)) {
        return 0;
    }
    list_foreach(at, head) {
        if (at == link) {
            return place;
        }
        place++;
    }
    return UINT64_MAX;
}

/* ---- Attempts ---------------------------------------------------------- */

/* 1 + worker and place in its hand; 0: no worker has it. */
static uint64_t
place_in_hand(uint64_t fence)
{
    for (uint32_t i = 0; i < WORKERS; i++) {
        for (uint32_t j = 0; j < world->workers[i].count; j++) {
            if (world->workers[i].hand[j].fence == fence) {
                return 1 + i * HAND_MAX + j;
            }
        }
    }
    return 0;
}

/* What a worker has in hand of which the gateway knows nothing any more. */
static void
add_orphans(uint64_t *hash)
{
    const struct engine *engine = world_engine();

    for (uint32_t i = 0; i < WORKERS; i++) {
        for (uint32_t j = 0; j < world->workers[i].count; j++) {
            uint64_t fence = world->workers[i].hand[j].fence;
            bool known = false;

            for (uint32_t k = 0; k < engine->attempts.fresh && !known; k++) {
                const struct attempt *attempt = slab_at(&engine->attempts, k);

                known = attempt->job != NULL && attempt->fence == fence;
            }
            add(hash, known);
        }
        add(hash, 2);
    }
}

static void
add_attempt(uint64_t *hash, const struct attempt *attempt)
{
    const struct breaker *breaker = &world_target()->breaker;
    bool current = attempt->permit.epoch == breaker->epoch;

    add(hash, worker_number(attempt->worker));
    add(hash, place_in_hand(attempt->fence));
    add(hash, attempt->permit.kind == BREAKER_NO_PERMIT
                  ? 0
                  : 1 + attempt->permit.kind * 2u + current);
    add(hash, attempt->permit.slow);
    add(hash, attempt->slow);
    add(hash, attempt->acked);
    add(hash, attempt->counted);
    add(hash, attempt->ghost);
    add(hash, attempt->solo);
    add(hash, (uint64_t)attempt->end);
    add(hash, attempt->alone);
    add(hash, ago(attempt->started_ms, 4000));
    add_timer(hash, &world_engine()->attempt_timers, &attempt->timer);
    add(hash, attempt->offer != NULL);
    add(hash, place_in(&attempt->worker->attempts, &attempt->of_worker));
}

/* ---- Jobs -------------------------------------------------------------- */

static void
add_job_flags(uint64_t *hash, const struct job *job)
{
    add(hash, job->state);
    add(hash, job->attempts_charged);
    add(hash, job->free_streak);
    add(hash, job->backoff_n);
    add(hash, job->kills);
    add(hash, job->frozen);
    add(hash, job->suspect);
    add(hash, job->waiting);
    add(hash, job->settled);
    add(hash, job->is_retry);
    add(hash, job->held);
    add(hash, job->invited);
    add(hash, job->lost_fence != 0);
    add(hash, job->failed);
}

static void
add_job_places(uint64_t *hash, const struct job *job)
{
    const struct method *method = job->method;
    const struct target *target = method->target;

    if (job->waiting) {
        add(hash, place_in(&method->ages, &job->age));
        add(hash, place_in(job->suspect    ? &method->suspects
                           : job->is_retry ? &job->lane->retries
                                           : &job->lane->first,
                           &job->queue));
    }
    if (job->state == JOB_PARKED) {
        add(hash, place_in(&target->parked_jobs, &job->queue));
        add(hash, place_in(&target->timeless_jobs, &job->queue));
    }
}

static uint64_t
digest_job(uint32_t number)
{
    const struct job *job = world_job(number);
    uint64_t hash = 1;

    if (job == NULL) {
        return hash;
    }
    hash = 2;
    add(&hash, world->kind[number]);
    add_job_flags(&hash, job);
    add_job_places(&hash, job);
    add(&hash, job->deadline_ms == 0 ? 0
                                     : 1 + from_now(job->accepted_ms +
                                                    (int64_t)job->deadline_ms));
    add_timer(&hash, &world_engine()->job_timers, &job->timer);
    add(&hash, job->state == JOB_BACKOFF ? from_now(job->until_ms) : 0);
    for (uint32_t i = 0; i < WORKERS; i++) {
        add(&hash,
            job->last_worker != 0 && world->workers[i].key == job->last_worker);
    }
    for (const struct attempt *at = job->running; at != NULL; at = at->next) {
        add_attempt(&hash, at);
    }
    add(&hash, 3);
    for (const struct attempt *at = job->ghosts; at != NULL; at = at->next) {
        add_attempt(&hash, at);
    }
    return hash;
}

/* ---- Workers ----------------------------------------------------------- */

static void
add_worker(uint64_t *hash, const struct worker *worker)
{
    add(hash, worker->state);
    if (worker->state == WORKER_NONE) {
        return;
    }
    add(hash, worker_number(worker));
    add(hash, worker->silent);
    add(hash, worker->on);
    add(hash, worker->solo);
    add(hash, worker->free_total);
    add(hash, worker->in_hand);
    add(hash, worker->uncounted);
    add(hash, worker->load_class);
    add(hash, worker->reserved_for != NULL);
    add(hash, worker->state == WORKER_AWAITED
                  ? from_now(worker->awaited_until_ms)
                  : 0);
    add_timer(hash, &world_engine()->worker_timers, &worker->timer);
    list_foreach(at, &worker->offers) {
        const struct offer *offer = container_of(at, struct offer, of_worker);

        add(hash, offer->free);
        add(hash, offer->uncounted);
        add(hash, offer->in_hand);
        add(hash,
            offer->method == NULL
                ? 0
                : place_in(&offer->method->credit.classes[offer->load_class],
                           &offer->with_credit));
    }
}

static void
add_workers(uint64_t *hash)
{
    const struct engine *engine = world_engine();

    for (uint32_t number = 0; number < WORKERS; number++) {
        add(hash, world->workers[number].id != 0);
        for (uint32_t i = 0; i < engine->workers.fresh; i++) {
            const struct worker *worker = slab_at(&engine->workers, i);

            if (worker->state != WORKER_NONE &&
                worker_number(worker) == number) {
                add_worker(hash, worker);
            }
        }
    }
}

/* ---- The breaker and its target ---------------------------------------- */

static void
add_window(uint64_t *hash, const struct breaker *breaker,
           const struct breaker_policy *policy)
{
    add(hash, breaker->most);
    add(hash, breaker->most_before);
    add(hash, breaker->in_a_row);
    if (policy->failure_permille == 0 && policy->slow_permille == 0) {
        return; /* a window that never turns and decides nothing */
    }
    add(hash, breaker->bucket_until_ms == 0
                  ? 0
                  : 1 + from_now(breaker->bucket_until_ms + 10000));
    for (uint32_t i = 0; i < BREAKER_BUCKETS; i++) {
        const struct breaker_bucket *bucket =
            &breaker->buckets[(breaker->bucket + i) % BREAKER_BUCKETS];

        add(hash, bucket->calls);
        add(hash, bucket->failed);
        add(hash, bucket->slow);
    }
}

static void
add_breaker(uint64_t *hash, const struct target *target)
{
    const struct breaker *breaker = &target->breaker;
    const struct breaker_policy *policy = &target->policy->breaker;

    add(hash, breaker->state);
    add(hash, breaker->step < 3 ? breaker->step : 3u);
    add(hash, breaker->forced);
    add(hash, breaker->state == BREAKER_CLOSED ? 0 : breaker->load);
    add(hash, from_now(breaker->reopen_ms));
    add(hash, breaker->state == BREAKER_RAMP
                  ? ago(breaker->since_ms, policy->ramp_ms)
                  : 0);
    add(hash, breaker->state == BREAKER_CLOSED && policy->decay_ms > 0 &&
                      breaker->step > 0
                  ? ago(breaker->since_ms, (int64_t)policy->decay_ms * 4)
                  : 0);
    add(hash, breaker->probes_good);
    add(hash, breaker->probes_bad);
    add(hash, breaker->probes_out);
    add(hash, breaker->in_flight);
    add(hash, breaker->trial_until_ms == 0
                  ? 0
                  : 1 + from_now(breaker->trial_until_ms));
    add_window(hash, breaker, policy);
}

static void
add_target(uint64_t *hash, const struct target *target)
{
    add_breaker(hash, target);
    add(hash, target->restarts);
    add(hash, target->lets_all_go);
    add(hash, target->holder_count);
    for (uint32_t i = 0; i < target->holder_count; i++) {
        add(hash, target->holders[i].until_wall_ms == 0
                      ? 0
                      : 1 + from_now(target->holders[i].until_ms));
    }
    add_timer(hash, &world_engine()->gate_timers, &target->gate_timer);
    add_timer(hash, &world_engine()->target_timers, &target->timer);
    add(hash, list_is_empty(&target->gated));
    add(hash, list_is_empty(&target->unfit));
    add(hash, list_is_linked(&target->open_gate));
    add(hash, list_is_linked(&target->unparking));
}

static void
add_method(uint64_t *hash, const struct method *method)
{
    add(hash, method->waiting);
    add(hash, method->backoff);
    add(hash, method->running);
    add(hash, method->since_retry);
    add(hash, method->level_mask);
    add(hash, method->retry_mask);
    add(hash, method->starved);
    add(hash, method->gate);
    add(hash, method->reserved != NULL);
    add(hash, list_is_linked(&method->ring));
    add(hash, list_is_linked(&method->hopeless));
}

static void
sort(uint64_t *values, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        for (uint32_t j = i; j > 0 && values[j] < values[j - 1]; j--) {
            uint64_t value = values[j];

            values[j] = values[j - 1];
            values[j - 1] = value;
        }
    }
}

uint64_t
digest_state(void)
{
    const struct engine *engine = world_engine();
    const struct target *target = world_target();
    uint64_t jobs[JOBS];
    uint64_t hash = 0;

    for (uint32_t i = 0; i < JOBS; i++) {
        jobs[i] = digest_job(i);
    }
    sort(jobs, JOBS); /* their numbers are only names */
    for (uint32_t i = 0; i < JOBS; i++) {
        add(&hash, jobs[i]);
    }
    add_workers(&hash);
    add_orphans(&hash);
    if (target != NULL) {
        add_target(&hash, target);
    }
    for (uint32_t i = 0; i < engine->methods.fresh; i++) {
        add_method(&hash, slab_at(&engine->methods, i));
    }
    for (uint32_t i = 0; i < engine->lanes.fresh; i++) {
        const struct lane *lane = slab_at(&engine->lanes, i);

        add(&hash, lane->method == NULL ? 0 : (uint64_t)lane->deficit);
    }
    add(&hash, engine->more);
    add(&hash, engine->reserved);
    add(&hash, engine->offers_with_credit);
    add(&hash, from_now(engine_next_wake(engine).ms));
    return hash;
}
