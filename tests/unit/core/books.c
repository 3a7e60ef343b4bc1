/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/core/books.h"

#include "server/core/gate.h"
#include "server/core/hedge.h"
#include "server/core/state.h"
#include "server/core/worker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint32_t
length(const struct list *list)
{
    uint32_t count = 0;

    list_foreach(at, list) {
        count++;
    }
    return count;
}

static void
check_worker(const struct engine *engine, const struct worker *worker)
{
    uint32_t in_hand = 0;
    uint32_t uncounted = 0;
    bool solo = false;

    list_foreach(at, &worker->attempts) {
        struct attempt *attempt = container_of(at, struct attempt, of_worker);

        assert_ptr_equal(attempt->worker, worker);
        in_hand++;
        uncounted += !attempt->counted;
        solo = solo || attempt->solo;
        assert_false(attempt->listed);
    }
    assert_int_equal(worker->in_hand, in_hand);
    assert_int_equal(worker->uncounted, uncounted);
    assert_int_equal(worker->solo, solo);
    assert_true(worker->state == WORKER_CONNECTED || in_hand > 0);
    bool on = worker->state == WORKER_CONNECTED && !worker->silent &&
              worker->reserved_for == NULL && !worker->solo &&
              worker_credit(worker) > 0;

    assert_int_equal(worker->on, on);
    list_foreach(at, &worker->offers) {
        struct offer *offer = container_of(at, struct offer, of_worker);

        assert_int_equal(list_is_linked(&offer->with_credit),
                         on && offer_credit(offer) > 0);
        if (list_is_linked(&offer->with_credit)) {
            assert_int_equal(offer->load_class, choice_class(worker));
        }
    }
    if (worker->state != WORKER_GONE) {
        assert_true(heap_has(&worker->timer) || worker->silent ||
                    engine->now.mono.ms == 0);
    }
}

/* Whoever has jobs to start and a worker for them must not be asleep. */
static void
check_starved(const struct engine *engine, const struct method *method)
{
    if (!method->starved || method->level_mask == 0) {
        return;
    }
    const struct credit *credits[] = {&method->credit,
                                      &method->service->credit};

    for (uint32_t i = 0; i < 2 * LOAD_CLASSES; i++) {
        const struct credit *credit = credits[i % 2];

        assert_int_equal((credit->mask >> i / 2) & 1u,
                         !list_is_empty(&credit->classes[i / 2]));
        list_foreach(at, &credit->classes[i / 2]) {
            struct offer *offer = container_of(at, struct offer, with_credit);

            assert_true(worker_is_silent(engine, offer->worker));
        }
    }
}

/* Jobs of the method that wait for their tenants. */
static uint32_t
blocked_of(const struct engine *engine, const struct method *method)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < engine->tenants.fresh; i++) {
        const struct tenant *tenant = slab_at(&engine->tenants, i);

        list_foreach(at, &tenant->blocked) {
            struct lane *lane = container_of(at, struct lane, ring);

            if (lane->method == method) {
                count += length(&lane->first) + length(&lane->retries);
            }
        }
        list_foreach(at, &tenant->blocked_suspects) {
            count += container_of(at, struct job, queue)->method == method;
        }
    }
    return count;
}

/* In the ring, or with a timer for its next token, or neither. */
static void
check_eligible(const struct engine *engine, const struct method *method,
               bool has_jobs)
{
    uint32_t limit = method->policy->limits.concurrency;
    bool wants = has_jobs && (limit == 0 || method->running < limit);
    uint32_t tokens = limit_tokens(&method->limit, engine->now.mono.ms);

    assert_int_equal(list_is_linked(&method->ring) + heap_has(&method->timer),
                     wants);
    if (!list_is_linked(&method->ring) || method->starved ||
        method->gate != GATE_NONE) {
        assert_true(list_is_empty(&method->invited));
    }
    if (list_is_linked(&method->ring)) {
        assert_true(tokens > 0);
    } else if (wants && tokens > 0) {
        assert_true(method->timer.at <= engine->now.mono.ms);
    }
}

static void
check_method(const struct engine *engine, const struct method *method)
{
    uint32_t running = 0;
    uint32_t waiting = 0;
    uint32_t lanes = 0;
    uint32_t invited = 0;

    for (uint32_t i = 0; i < engine->attempts.fresh; i++) {
        const struct attempt *attempt = slab_at(&engine->attempts, i);

        running += attempt->job != NULL && attempt->worker != NULL &&
                   attempt->job->method == method;
    }
    for (uint32_t i = 0; i < engine->jobs.fresh; i++) {
        const struct job *job = slab_at(&engine->jobs, i);

        waiting += job->state != JOB_NONE && job->waiting &&
                   job->method == method;
    }
    for (uint32_t p = 0; p < PRIORITY_COUNT; p++) {
        const struct level *level = &method->levels[p];

        assert_int_equal((method->level_mask >> p) & 1u,
                         !list_is_empty(&level->lanes));
        assert_int_equal((method->retry_mask >> p) & 1u,
                         !list_is_empty(&level->retry_lanes));
        list_foreach(at, &level->lanes) {
            struct lane *lane = container_of(at, struct lane, ring);

            lanes += length(&lane->first) + length(&lane->retries);
            assert_false(lane->blocked);
            assert_int_equal(list_is_linked(&lane->retry_ring),
                             !list_is_empty(&lane->retries));
        }
    }
    check_starved(engine, method);
    assert_int_equal(method->running, running);
    assert_int_equal(method->waiting, waiting);
    lanes += length(&method->suspects);
    assert_int_equal(lanes + blocked_of(engine, method), waiting);
    assert_int_equal(length(&method->ages), waiting);
    list_foreach(at, &method->suspects) {
        invited += container_of(at, struct job, queue)->invited;
    }
    assert_int_equal(method->invited_suspects, invited);
    check_eligible(engine, method, lanes > 0);
}

static void
check_lane(const struct lane *lane, const struct tenant *tenant)
{
    assert_ptr_equal(lane->tenant, tenant);
    assert_true(lane->blocked);
    assert_true(length(&lane->first) + length(&lane->retries) > 0);
    assert_false(list_is_linked(&lane->retry_ring));
    assert_false(list_is_linked(&lane->invited));
}

/* What is blocked comes back: now, by a timer, or when an attempt ends. */
static void
check_tenant(const struct engine *engine, const struct tenant *tenant)
{
    uint32_t running = 0;
    uint32_t waiting = 0;
    uint32_t invited = 0;
    uint32_t blocked = length(&tenant->blocked) +
                       length(&tenant->blocked_suspects);

    for (uint32_t i = 0; i < engine->attempts.fresh; i++) {
        const struct attempt *attempt = slab_at(&engine->attempts, i);

        running += attempt->job != NULL && attempt->worker != NULL &&
                   attempt->job->tenant == tenant;
    }
    for (uint32_t i = 0; i < engine->jobs.fresh; i++) {
        const struct job *job = slab_at(&engine->jobs, i);
        bool mine = job->state != JOB_NONE && job->tenant == tenant;

        waiting += mine && job->waiting;
        invited += mine && job->invited;
    }
    for (uint32_t i = 0; i < engine->lanes.fresh; i++) {
        const struct lane *lane = slab_at(&engine->lanes, i);

        invited += lane->tenant == tenant && list_is_linked(&lane->invited);
    }
    list_foreach(at, &tenant->blocked) {
        check_lane(container_of(at, struct lane, ring), tenant);
    }
    assert_int_equal(tenant->running, running);
    assert_int_equal(tenant->waiting, waiting);
    assert_int_equal(tenant->invited, invited);
    int64_t now_ms = engine->now.mono.ms;
    bool place = blocked > 0 && limit_places(&tenant->limit, running) > invited;
    bool token = limit_tokens(&tenant->limit, now_ms) > invited;

    if (!place) {
        assert_false(list_is_linked(&tenant->with_room));
        assert_false(heap_has(&tenant->timer));
    } else if (token) {
        assert_true(list_is_linked(&tenant->with_room) ||
                    tenant->timer.at <= now_ms);
    } else {
        assert_int_equal(heap_has(&tenant->timer),
                         limit_burst(&tenant->limit) > invited);
    }
}

/* Those that count, in order, and when the next one may follow. */
static void
check_running(const struct job *job)
{
    uint32_t count = 0;
    uint64_t fence = 0;

    for (const struct attempt *at = job->running; at != NULL; at = at->next) {
        assert_false(at->ghost);
        assert_ptr_equal(at->job, job);
        assert_true(at->fence > fence && at->fence <= job->fence);
        fence = at->fence;
        count++;
    }
    assert_true(count <= ENGINE_RUNNING_MAX);
    for (const struct attempt *at = job->ghosts; at != NULL; at = at->next) {
        assert_true(at->ghost);
        assert_ptr_equal(at->job, job);
    }
    if (job->state == JOB_RUNNING) {
        assert_int_equal(job->attempt,
                         job->attempts_charged + job->attempts_free + count);
    }
    if (job->state == JOB_RUNNING && job->frozen != 0) {
        assert_int_equal(job->until_wall_ms, 0);
    }
    if (job->state == JOB_RUNNING && job->waiting) {
        assert_true(job->until_wall_ms != 0);
    }
}

/* Every permit is out exactly once, and probes are few. */
static void
check_permits(const struct engine *engine, const struct target *target)
{
    const struct breaker *breaker = &target->breaker;
    uint32_t out = 0;
    uint32_t probes = 0;

    for (uint32_t i = 0; i < engine->attempts.fresh; i++) {
        const struct attempt *attempt = slab_at(&engine->attempts, i);

        if (attempt->permit.kind == BREAKER_NO_PERMIT ||
            attempt->target_index != target->index ||
            attempt->target_generation != target->generation) {
            continue;
        }
        assert_non_null(attempt->job);
        assert_false(attempt->ghost);
        out++;
        probes += attempt->permit.kind == BREAKER_PROBE &&
                  attempt->permit.epoch == breaker->epoch;
    }
    assert_int_equal(breaker->in_flight, out);
    assert_int_equal(breaker->probes_out, probes);
    assert_true(probes <= BREAKER_PROBES_MAX);
    assert_int_equal(breaker->forced, target->holder_count > 0);
}

/* Whoever waits for a breaker has something to wake it. */
static void
check_gate(const struct engine *engine, const struct target *target)
{
    int64_t until_ms;
    enum breaker_answer answer = gate_ask(engine, target, &until_ms);
    uint32_t gated = length(&target->gated);
    uint32_t unfit = length(&target->unfit);
    uint64_t waiting = 0;
    uint64_t parked = 0;
    uint64_t gates = 0;

    for (uint32_t i = 0; i < engine->jobs.fresh; i++) {
        const struct job *job = slab_at(&engine->jobs, i);

        if (job->state != JOB_NONE && job->method->target == target) {
            waiting += job->waiting && job->state != JOB_RUNNING;
            parked += job->state == JOB_PARKED;
        }
    }
    for (uint32_t i = 0; i < engine->methods.fresh; i++) {
        const struct method *method = slab_at(&engine->methods, i);

        gates += method->target == target && method->gate != GATE_NONE;
    }
    assert_int_equal(target->waiting, waiting);
    assert_int_equal(target->parked, parked);
    assert_int_equal(gated + unfit, gates);
    if ((answer == BREAKER_ADMITS && gates > 0) ||
        (answer == BREAKER_ADMITS_PROBE && gated > 0)) {
        assert_true(list_is_linked(&target->open_gate) ||
                    target->gate_timer.at <= engine->now.mono.ms);
    }
    if (answer == BREAKER_REFUSES && until_ms != INT64_MAX && gates > 0) {
        assert_true(heap_has(&target->gate_timer));
    }
    if (target->policy->has_breaker && !target->restarts &&
        breaker_next_ms(&target->breaker, &target->policy->breaker) !=
            INT64_MAX) {
        assert_true(heap_has(&target->gate_timer));
    }
}

/* Targets are held by methods, and count the retries that wait for them. */
static void
check_targets(const struct engine *engine)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < engine->targets.fresh; i++) {
        const struct target *target = slab_at(&engine->targets, i);
        uint64_t waiting = 0;
        uint32_t refs = 0;

        for (uint32_t m = 0; m < engine->methods.fresh; m++) {
            const struct method *method = slab_at(&engine->methods, m);

            refs += method->target == target;
            waiting += method->target == target ? method->backoff : 0;
        }
        assert_int_equal(target->refs, refs);
        assert_int_equal(target->retries_waiting, waiting);
        assert_int_equal(list_is_linked(&target->unused), refs == 0);
        assert_int_equal(target->kept, refs == 0 && target_remembers(target));
        assert_int_equal(target->index, i);
        check_permits(engine, target);
        check_gate(engine, target);
        assert_ptr_equal(
            target->policy,
            policy_find_target(engine->policy, target_text(target)));
        kept += target->kept;
    }
    assert_int_equal(engine->targets_kept, kept);
    assert_int_equal(length(&engine->kept_targets), kept);
    assert_int_equal(engine->targets.used, engine->targets_by_name.count);
}

static void
check_job(const struct job *job)
{
    assert_int_equal(job->running != NULL, job->state == JOB_RUNNING);
    if (job->state >= JOB_SUCCEEDED) {
        assert_non_null(job->ghosts);
        assert_false(job->waiting);
        assert_false(heap_has(&job->timer));
    }
    if (job->state == JOB_READY) {
        assert_true(job->waiting || job->held);
    }
    if (job->held && job->state < JOB_SUCCEEDED) {
        assert_false(job->waiting);
        assert_true(heap_has(&job->timer));
    }
    if ((job->state == JOB_SCHEDULED || job->state == JOB_BACKOFF) &&
        !job->waiting) {
        assert_true(heap_has(&job->timer));
    }
    check_running(job);
}

/* What can be started is started in the same step, or in the next. */
static void
check_rest(const struct engine *engine)
{
    if (engine->more || engine->draining ||
        engine->attempts.used >= engine->limits.attempts_max ||
        (engine->offers_with_credit == 0 && engine->reserved == 0)) {
        return;
    }
    assert_true(list_is_empty(&engine->ring));
    assert_true(list_is_empty(&engine->tenants_with_room));
    assert_true(list_is_empty(&engine->open_gates));
}

void
books_check(const struct engine *engine)
{
    uint64_t shown[16] = {0};
    uint32_t in_backoff = 0;
    uint32_t jobs = 0;
    uint64_t bytes = 0;
    uint32_t connected = 0;
    uint32_t workers = 0;
    uint32_t with_credit = 0;

    for (uint32_t i = 0; i < engine->jobs.fresh; i++) {
        const struct job *job = slab_at(&engine->jobs, i);

        if (job->state != JOB_NONE) {
            in_backoff += job->state == JOB_BACKOFF;
            jobs++;
            bytes += job->payload_bytes;
            shown[job_counted(job)]++;
            check_job(job);
        }
    }
    for (uint32_t i = 0; i < engine->workers.fresh; i++) {
        const struct worker *worker = slab_at(&engine->workers, i);

        if (worker->state != WORKER_NONE) {
            workers++;
            connected += worker->state == WORKER_CONNECTED;
            check_worker(engine, worker);
        }
    }
    for (uint32_t i = 0; i < engine->methods.fresh; i++) {
        const struct method *method = slab_at(&engine->methods, i);

        check_method(engine, method);
        in_backoff -= method->backoff;
    }
    assert_int_equal(in_backoff, 0);
    for (uint32_t i = 0; i < engine->tenants.fresh; i++) {
        check_tenant(engine, slab_at(&engine->tenants, i));
    }
    for (uint32_t i = 0; i < engine->offers.fresh; i++) {
        const struct offer *offer = slab_at(&engine->offers, i);

        with_credit += offer->worker != NULL &&
                       list_is_linked(&offer->with_credit);
    }
    check_rest(engine);
    check_targets(engine);
    assert_memory_equal(shown, engine->shown, sizeof(shown));
    assert_int_equal(jobs, engine->jobs.used);
    assert_int_equal(jobs, engine->jobs_by_id.count);
    assert_int_equal(bytes, engine->payload_bytes);
    assert_int_equal(connected, engine->connected);
    assert_int_equal(workers, engine->workers.used);
    assert_int_equal(workers, engine->workers_by_name.count);
    assert_int_equal(with_credit, engine->offers_with_credit);
    assert_int_equal(engine->lanes.used, engine->lanes_by_key.count);
    assert_int_equal(engine->keys.used, engine->keys_by_hash.count);
}
