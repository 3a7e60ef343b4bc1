/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A lane is one tenant's jobs of one priority of one method; lanes with jobs
 * stand in their level's ring, those with retries also in its retry ring. A
 * blocked lane stands in neither, but with its tenant (tenant.h).
 *
 * The lane at the front of the ring has the turn: it takes grants until its
 * deficit is used up, then it goes to the back with a new quantum (its weight).
 * A grant out of turn (the share of retries) is charged too, below zero if need
 * be, and such a lane is passed over until its quanta have made up for it. A
 * lane that ran empty or was blocked brings back no more than one quantum: who
 * did not use his share is not served more for it later.
 *
 * An emptied lane is kept as its level's spare: the common case, one tenant and
 * a queue that empties all the time, then needs no map.
 */
#include "server/core/queue.h"

#include "server/core/dispatch.h"
#include "server/core/tenant.h"

enum {
    TURNS_MAX = 4,     /* lanes passed over at once */
    CHARGED_MAX = -16, /* grants out of turn that are remembered */
};

static uint64_t
lane_key(const struct engine *engine, const struct method *method,
         uint32_t priority, const struct tenant *tenant)
{
    return (uint64_t)method->index << 36 | (uint64_t)priority << 32 |
           slab_index(&engine->tenants, tenant);
}

static bool
lane_is_empty(const struct lane *lane)
{
    return list_is_empty(&lane->first) && list_is_empty(&lane->retries);
}

static void
lane_free(struct engine *engine, struct lane *lane)
{
    map_remove_u64(
        &engine->lanes_by_key,
        lane_key(engine, lane->method, lane->priority, lane->tenant));
    slab_give(&engine->lanes, lane);
}

static struct lane *
lane_make(struct engine *engine, struct method *method, uint32_t priority,
          struct tenant *tenant)
{
    uint64_t key = lane_key(engine, method, priority, tenant);
    uint32_t index = map_get_u64(&engine->lanes_by_key, key);

    if (index != MAP_NONE) {
        return slab_at(&engine->lanes, index);
    }
    struct lane *lane = slab_take(&engine->lanes);

    redial_assert(lane != NULL);
    lane->method = method;
    lane->tenant = tenant;
    lane->priority = priority;
    list_init(&lane->first);
    list_init(&lane->retries);
    for (int i = 0; i < FITS; i++) {
        list_init(&lane->fits[i]);
    }
    bool put = map_put_u64(&engine->lanes_by_key, key,
                           slab_index(&engine->lanes, lane));

    redial_assert(put);
    (void)put;
    return lane;
}

/* The lane for a job that arrives; it may be empty. */
static struct lane *
lane_for(struct engine *engine, const struct job *job)
{
    struct level *level = &job->method->levels[job->priority];
    struct list *front = list_first(&level->lanes);

    if (level->spare != NULL && level->spare->tenant == job->tenant) {
        return level->spare;
    }
    if (front != NULL) {
        struct lane *lane = container_of(front, struct lane, ring);

        if (lane->tenant == job->tenant) {
            return lane;
        }
    }
    return lane_make(engine, job->method, job->priority, job->tenant);
}

/* Last in line; first when its turn came to nothing through no fault of its. */
static void
join(struct list *fifo, struct job *job)
{
    if (job->free_streak > 0) {
        list_prepend(fifo, &job->queue);
    } else {
        list_append(fifo, &job->queue);
    }
}

/* ---- Levels ------------------------------------------------------------ */

static void
retries_enter(struct lane *lane)
{
    struct method *method = lane->method;

    list_append(&method->levels[lane->priority].retry_lanes, &lane->retry_ring);
    method->retry_mask |= 1u << lane->priority;
}

static void
retries_leave(struct lane *lane)
{
    struct method *method = lane->method;

    list_remove(&lane->retry_ring);
    if (list_is_empty(&method->levels[lane->priority].retry_lanes)) {
        method->retry_mask &= ~(1u << lane->priority);
    }
}

/* Jobs that may be probes, by what never changes while they wait. */
static void
fits_enter(struct lane *lane)
{
    for (int i = 0; i < FITS; i++) {
        if (!list_is_empty(&lane->fits[i])) {
            list_append(&lane->method->fit_lanes[i], &lane->fit_ring[i]);
        }
    }
}

static void
fits_leave(struct lane *lane)
{
    for (int i = 0; i < FITS; i++) {
        list_remove(&lane->fit_ring[i]);
    }
}

static void
fit_put(struct lane *lane, struct job *job)
{
    int kind = job->idempotency == IDEMPOTENCY_YES ? FIT_YES : FIT_UNSET;

    if (job->idempotency == IDEMPOTENCY_NO || job->kills > 0 ||
        job->state == JOB_RUNNING) {
        return;
    }
    if (list_is_empty(&lane->fits[kind]) && !lane->blocked) {
        list_append(&lane->method->fit_lanes[kind], &lane->fit_ring[kind]);
    }
    list_append(&lane->fits[kind], &job->fit);
}

static void
fit_remove(struct lane *lane, struct job *job)
{
    list_remove(&job->fit);
    for (int i = 0; i < FITS; i++) {
        if (list_is_empty(&lane->fits[i])) {
            list_remove(&lane->fit_ring[i]);
        }
    }
}

/* Last in the turn of its level. */
static void
lane_enter(struct lane *lane)
{
    struct method *method = lane->method;

    list_append(&method->levels[lane->priority].lanes, &lane->ring);
    method->level_mask |= 1u << lane->priority;
    if (!list_is_empty(&lane->retries)) {
        retries_enter(lane);
    }
    fits_enter(lane);
}

static void
lane_leave(struct lane *lane)
{
    struct method *method = lane->method;

    list_remove(&lane->ring);
    if (list_is_empty(&method->levels[lane->priority].lanes)) {
        method->level_mask &= ~(1u << lane->priority);
    }
    retries_leave(lane);
    fits_leave(lane);
}

static void
lane_put(struct engine *engine, struct job *job)
{
    struct level *level = &job->method->levels[job->priority];
    struct lane *lane = lane_for(engine, job);

    if (lane_is_empty(lane)) {
        if (level->spare == lane) {
            level->spare = NULL;
        }
        lane->deficit = (int32_t)job->tenant->weight;
        if (tenant_has_room(engine, job->tenant)) {
            lane_enter(lane);
        } else {
            tenant_block_lane(engine, lane);
        }
    }
    if (job->is_retry) {
        if (list_is_empty(&lane->retries) && !lane->blocked) {
            retries_enter(lane);
        }
        join(&lane->retries, job);
    } else {
        join(&lane->first, job);
    }
    fit_put(lane, job);
    job->lane = lane;
}

static void
lane_remove(struct engine *engine, struct job *job)
{
    struct level *level = &job->method->levels[job->priority];
    struct lane *lane = job->lane;

    list_remove(&job->queue);
    fit_remove(lane, job);
    job->lane = NULL;
    if (job->is_retry && list_is_empty(&lane->retries) && !lane->blocked) {
        retries_leave(lane);
    }
    if (!lane_is_empty(lane)) {
        return;
    }
    if (lane->blocked) {
        list_remove(&lane->ring);
        lane->blocked = false;
        tenant_update(engine, lane->tenant);
    } else {
        lane_leave(lane);
        tenant_uninvite_lane(engine, lane);
    }
    if (level->spare != NULL) {
        lane_free(engine, level->spare);
    }
    level->spare = lane;
}

/* ---- Which is next ----------------------------------------------------- */

static uint32_t
highest_bit(uint32_t mask)
{
    return 31u - (uint32_t)__builtin_clz(mask);
}

/* Among the priorities of `mask`, the one whose turn it is: downwards. */
static uint32_t
lower_turn(const struct method *method, uint32_t mask)
{
    uint32_t below = mask & ((1u << (method->lower_next + 1)) - 1u);

    return highest_bit(below != 0 ? below : mask);
}

/*
 * The lower share falls due one grant before the retry share: when both are
 * due one of them still has a grant to wait.
 */
static bool
lower_is_due(const struct method *method, uint32_t lower)
{
    return lower != 0 && method->since_lower >= GRANTS_SHARED - 2;
}

static bool
retry_is_due(const struct method *method)
{
    return method->retry_mask != 0 && method->since_retry >= GRANTS_SHARED - 1;
}

static struct job *
job_of(struct list *queue)
{
    return container_of(queue, struct job, queue);
}

/* The first retry of the lane whose turn it is among those with retries. */
static struct job *
next_retry(const struct method *method, uint32_t lower)
{
    uint32_t mask = method->retry_mask;

    /* One grant may do for both shares. */
    if (method->since_lower >= GRANTS_SHARED - 2 && (mask & lower) != 0) {
        mask &= lower;
    }
    const struct level *level = &method->levels[highest_bit(mask)];
    const struct lane *lane = container_of(list_first(&level->retry_lanes),
                                           struct lane, retry_ring);

    return job_of(list_first(&lane->retries));
}

struct job *
queue_next(const struct method *method)
{
    if (method->level_mask == 0) {
        return NULL;
    }
    uint32_t top = highest_bit(method->level_mask);
    uint32_t lower = method->level_mask & ~(1u << top);

    if (retry_is_due(method)) {
        return next_retry(method, lower);
    }
    if (lower_is_due(method, lower)) {
        top = lower_turn(method, lower);
    }
    const struct level *level = &method->levels[top];
    const struct lane *lane = container_of(list_first(&level->lanes),
                                           struct lane, ring);

    return job_of(list_is_empty(&lane->first) ? list_first(&lane->retries)
                                              : list_first(&lane->first));
}

/* ---- Shares ------------------------------------------------------------ */

static void
count_shares(struct method *method, const struct job *job)
{
    uint32_t top = highest_bit(method->level_mask);
    uint32_t lower = method->level_mask & ~(1u << top);

    if (job->is_retry || method->retry_mask == 0) {
        method->since_retry = 0;
    } else {
        method->since_retry++;
    }
    if (job->priority != top) {
        method->since_lower = 0;
        method->lower_next = job->priority == 0 ? PRIORITY_COUNT - 1
                                                : job->priority - 1u;
    } else if (lower == 0) {
        method->since_lower = 0;
    } else {
        method->since_lower++;
    }
}

/* Whose share of the round is used up goes to the back with a new one. */
static void
pass_turns(struct level *level)
{
    for (uint32_t i = 0; i < TURNS_MAX; i++) {
        struct lane *lane = container_of(list_first(&level->lanes), struct lane,
                                         ring);
        int32_t quantum = (int32_t)lane->tenant->weight;

        if (lane->deficit > 0) {
            return;
        }
        lane->deficit += quantum;
        list_remove(&lane->ring);
        list_append(&level->lanes, &lane->ring);
    }
}

/* Charges the lane; when its share of the round is used up, the next one. */
static void
count_turn(struct lane *lane, struct level *level, bool is_retry)
{
    int32_t quantum = (int32_t)lane->tenant->weight;

    /* A weight may have become less. */
    lane->deficit = lane->deficit < quantum ? lane->deficit : quantum;
    if (lane->deficit > CHARGED_MAX) {
        lane->deficit--;
    }
    pass_turns(level);
    if (is_retry) {
        list_remove(&lane->retry_ring);
        list_append(&level->retry_lanes, &lane->retry_ring);
    }
}

void
queue_grant(struct engine *engine, struct job *job)
{
    if (job->lane != NULL) {
        redial_assert(!job->lane->blocked);
        count_shares(job->method, job);
        count_turn(job->lane, &job->method->levels[job->priority],
                   job->is_retry);
        tenant_uninvite_lane(engine, job->lane);
    }
    queue_remove(engine, job);
}

/* ---- Tenants without room ---------------------------------------------- */

void
queue_block(struct engine *engine, struct job *job)
{
    if (job->lane != NULL) {
        lane_leave(job->lane);
        tenant_block_lane(engine, job->lane);
    } else {
        list_remove(&job->queue);
        tenant_block_suspect(engine, job);
    }
    engine->moves++;
    dispatch_update(engine, job->method);
}

void
queue_invite(struct engine *engine, struct tenant *tenant)
{
    struct list *first = list_pop(&tenant->blocked_suspects);

    engine->moves++;
    if (first != NULL) {
        struct job *job = job_of(first);

        list_prepend(&job->method->suspects, &job->queue);
        tenant_invite_suspect(job);
        dispatch_update(engine, job->method);
        if (!dispatch_may_start(job->method)) {
            tenant_uninvite_method(engine, job->method);
        }
        return;
    }
    first = list_pop(&tenant->blocked);
    struct lane *lane = container_of(first, struct lane, ring);

    lane->blocked = false;
    lane_enter(lane);
    dispatch_update(engine, lane->method);
    if (dispatch_may_start(lane->method)) {
        tenant_invite_lane(lane);
    }
}

/* ---- In and out -------------------------------------------------------- */

/* How quickly a queue drains matters only where it can be full. */
static void
count_release(const struct engine *engine, const struct job *job)
{
    struct method *method = job->method;
    struct tenant *tenant = job->tenant;

    if (method->limit.policy.queue > 0) {
        flow_released(&method->flow, engine->now.mono.ms);
    }
    if (tenant->limit.policy.queue > 0) {
        flow_released(&tenant->flow, engine->now.mono.ms);
    }
}

/* Its state does not change while it waits. */
static void
count_waiting(const struct job *job, bool came)
{
    struct method *method = job->method;
    uint32_t one = came ? 1u : UINT32_MAX;

    method->waiting += one;
    job->tenant->waiting += one;
    if (job->state == JOB_RUNNING) {
        method->hedging += one;
    } else {
        method->target->waiting += came ? 1u : UINT64_MAX;
    }
}

void
queue_put(struct engine *engine, struct job *job)
{
    struct method *method = job->method;

    redial_assert(!job->waiting);
    job->waiting = true;
    job->is_retry = job->attempts_charged > 0 || job->state == JOB_RUNNING;
    if (job->suspect) {
        join(&method->suspects, job);
    } else {
        lane_put(engine, job);
    }
    list_append(&method->ages, &job->age);
    count_waiting(job, true);
    job->waiting_since_ms = engine->now.mono.ms;
    engine->shown[job->state]--;
    engine->shown[job_counted(job)]++;
    dispatch_update(engine, method);
}

void
queue_remove(struct engine *engine, struct job *job)
{
    struct method *method = job->method;

    if (!job->waiting) {
        return;
    }
    engine->shown[job_counted(job)]--;
    engine->shown[job->state]++;
    job->waiting = false;
    if (job->lane != NULL) {
        lane_remove(engine, job);
    } else {
        list_remove(&job->queue);
        tenant_uninvite_suspect(engine, job);
        tenant_update(engine, job->tenant);
    }
    list_remove(&job->age);
    count_waiting(job, false);
    count_release(engine, job);
    dispatch_update(engine, method);
}
