/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which of the jobs that wait finds out how the target is. Lanes keep their
 * jobs that may be probes apart (queue.c), so that those that may not are never
 * looked at, however many they are.
 */
#include "server/core/dispatch.h"
#include "server/core/gate.h"
#include "server/core/life.h"
#include "server/core/queue.h"
#include "server/core/tenant.h"

struct probe {
    struct job *job;
    bool sure;        /* its agent says that it is idempotent */
    bool has_time;    /* for a whole attempt */
    int64_t slack_ms; /* before its deadline */
};

bool
gate_has_fits(const struct method *method, int kind)
{
    return !list_is_empty(&method->fit_lanes[kind]) &&
           (kind == FIT_YES || method->policy->idempotency != IDEMPOTENCY_NO);
}

static bool
is_better(const struct probe *a, const struct probe *b)
{
    if (b->job == NULL) {
        return true;
    }
    if (a->sure != b->sure) {
        return a->sure;
    }
    if (a->has_time || b->has_time) {
        return a->has_time && !b->has_time;
    }
    return a->slack_ms > b->slack_ms;
}

static bool
is_best(const struct probe *probe)
{
    return probe->job != NULL && probe->sure && probe->has_time;
}

static uint32_t
look_at_lane(const struct engine *engine, const struct lane *lane, int kind,
             uint32_t looks, struct probe *best)
{
    const struct method_policy *policy = lane->method->policy;
    uint32_t looked_at = 0;

    list_foreach(at, &lane->fits[kind]) {
        struct job *job = container_of(at, struct job, fit);
        int64_t deadline_ms = job_deadline(job).ms;
        struct probe probe = {
            .job = job,
            .sure = kind == FIT_YES || policy->idempotency == IDEMPOTENCY_YES,
            .slack_ms = deadline_ms == INT64_MAX
                            ? INT64_MAX
                            : deadline_ms - engine->now.mono.ms,
        };
        uint64_t limit_ms = policy->attempt_timeout_ms;

        if (job->attempt_timeout_ms > 0 && job->attempt_timeout_ms < limit_ms) {
            limit_ms = job->attempt_timeout_ms;
        }
        probe.has_time = probe.slack_ms >= duration_ms(limit_ms);
        if ((job->attempts_charged == 0 ||
             job->attempts_charged < job_attempts_max(engine, job)) &&
            is_better(&probe, best)) {
            *best = probe;
        }
        looked_at++;
        if (is_best(best) || looked_at >= looks) {
            break;
        }
    }
    return looked_at;
}

/* The best of the method's jobs; its lanes take turns. */
static uint32_t
look_at_method(struct engine *engine, struct method *method, uint32_t looks,
               struct probe *best)
{
    uint32_t looked_at = 0;

    for (int kind = 0; kind < FITS; kind++) {
        const struct lane *first = NULL;

        while (gate_has_fits(method, kind) && looked_at < looks &&
               !is_best(best) && engine_has_budget(engine)) {
            struct lane *lane = container_of(
                list_first(&method->fit_lanes[kind]), struct lane,
                fit_ring[kind]);

            if (lane == first) {
                break;
            }
            if (!tenant_has_room(engine, lane->tenant)) {
                queue_block(engine, container_of(list_first(&lane->fits[kind]),
                                                 struct job, fit));
                continue;
            }
            first = first == NULL ? lane : first;
            list_remove(&lane->fit_ring[kind]);
            list_append(&method->fit_lanes[kind], &lane->fit_ring[kind]);
            looked_at += look_at_lane(engine, lane, kind, looks - looked_at,
                                      best);
        }
    }
    return looked_at;
}

/* Out of the gated ones: to the unfit, or to those without a worker. */
static void
set_aside(struct engine *engine, struct method *method)
{
    list_remove(&method->ring);
    method->gate = GATE_UNFIT;
    list_append(&method->target->unfit, &method->ring);
    engine->moves++;
}

struct job *
gate_choose_probe(struct engine *engine, struct target *target)
{
    struct probe best = {.job = NULL};
    const struct method *first = NULL;
    uint32_t looked_at = 0;

    while (looked_at < PROBE_LOOKS && !is_best(&best) &&
           engine_has_budget(engine)) {
        struct list *at = list_first(&target->gated);

        if (at == NULL) {
            break;
        }
        struct method *method = container_of(at, struct method, ring);

        if (method == first) {
            break;
        }
        looked_at++;
        if (!dispatch_has_credit(method)) {
            dispatch_starve(engine, method);
            continue;
        }
        looked_at += look_at_method(engine, method, PROBE_LOOKS - looked_at,
                                    &best);
        /* Its lanes may all have been blocked: then it left. */
        if (method->gate != GATE_SHUT) {
            continue;
        }
        if (best.job == NULL && engine_has_budget(engine)) {
            set_aside(engine, method);
            continue;
        }
        first = first == NULL ? method : first;
        list_remove(&method->ring);
        list_append(&target->gated, &method->ring);
    }
    engine->moves++;
    return best.job;
}
