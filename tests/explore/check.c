/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/explore/check.h"

#include "tests/explore/world.h"

enum { ATTEMPTS_MAX = 32 };

/* An attempt as it was before the move. */
struct was {
    uint64_t fence;
    bool probe;     /* of the current trial */
    bool delivered; /* a worker had it in hand */
};

static struct {
    uint64_t epoch;
    uint8_t state;
    uint32_t moves_good; /* probes, before */
    uint32_t charged[JOBS];
    uint64_t job_fence[JOBS]; /* of its first attempt: which job that is */
    uint64_t accepted_seq[JOBS];
    struct was attempts[ATTEMPTS_MAX];
    uint32_t attempt_count;
    bool reported;
    uint64_t reported_fence;
} before;

/* ---- Looking ----------------------------------------------------------- */

static bool
is_used(const struct attempt *attempt)
{
    return attempt->job != NULL;
}

static const struct attempt *
attempt_of(uint64_t fence)
{
    const struct engine *engine = world_engine();

    for (uint32_t i = 0; i < engine->attempts.fresh; i++) {
        const struct attempt *attempt = slab_at(&engine->attempts, i);

        if (is_used(attempt) && attempt->fence == fence) {
            return attempt;
        }
    }
    return NULL;
}

static bool
is_in_hand(uint64_t fence)
{
    for (uint32_t i = 0; i < WORKERS; i++) {
        for (uint32_t j = 0; j < world->workers[i].count; j++) {
            if (world->workers[i].hand[j].fence == fence) {
                return true;
            }
        }
    }
    return false;
}

void
check_before(move made)
{
    const struct engine *engine = world_engine();
    const struct target *target = world_target();

    before.epoch = target == NULL ? 0 : target->breaker.epoch;
    before.state = target == NULL ? BREAKER_CLOSED : target->breaker.state;
    before.attempt_count = 0;
    for (uint32_t i = 0; i < engine->attempts.fresh; i++) {
        const struct attempt *attempt = slab_at(&engine->attempts, i);

        if (is_used(attempt)) {
            before.attempts[before.attempt_count++] = (struct was){
                .fence = attempt->fence,
                .probe = attempt->permit.kind == BREAKER_PROBE &&
                         attempt->permit.epoch == before.epoch,
                .delivered = is_in_hand(attempt->fence),
            };
        }
    }
    for (uint32_t i = 0; i < JOBS; i++) {
        const struct job *job = world_job(i);

        before.charged[i] = job == NULL ? 0 : job->attempts_charged;
        before.accepted_seq[i] = job == NULL ? 0
                                             : (uint64_t)job->accepted_wall_ms;
    }
    before.reported = moves_reports_on(made, &before.reported_fence);
}

/* ---- Over a move ------------------------------------------------------- */

static const struct was *
was(uint64_t fence)
{
    for (uint32_t i = 0; i < before.attempt_count; i++) {
        if (before.attempts[i].fence == fence) {
            return &before.attempts[i];
        }
    }
    return NULL;
}

/* Nothing starts through an open breaker but probes of a trial. */
static const char *
check_starts(void)
{
    for (uint32_t i = 0; i < outcome.start_count; i++) {
        const struct start *start = &outcome.starts[i];
        const struct attempt *attempt = attempt_of(start->fence);

        if (start->forced) {
            return "an attempt started while an operator held it open";
        }
        if (start->state == BREAKER_OPEN) {
            return "an attempt started through OPEN";
        }
        if (start->state == BREAKER_HALF_OPEN &&
            (attempt == NULL || attempt->permit.kind != BREAKER_PROBE)) {
            return "an attempt that is no probe started in HALF_OPEN";
        }
        if (attempt != NULL && attempt->permit.kind == BREAKER_NO_PERMIT) {
            return "an attempt started without a permit";
        }
    }
    return NULL;
}

/* Who moves a trial to its verdict was a probe of it. */
static const char *
check_verdict(const struct breaker *breaker, enum breaker_cause cause)
{
    if (breaker->epoch == before.epoch || (cause != BREAKER_CAUSE_PROBES_GOOD &&
                                           cause != BREAKER_CAUSE_PROBE_BAD)) {
        return NULL;
    }
    const struct was *probe = before.reported ? was(before.reported_fence)
                                              : NULL;

    if (before.reported && (probe == NULL || !probe->probe)) {
        return "what is no probe decided a trial";
    }
    if (!before.reported && cause == BREAKER_CAUSE_PROBES_GOOD) {
        return "a trial ended well without a report";
    }
    return NULL;
}

static const char *
check_epoch(const struct breaker *breaker)
{
    if (breaker->epoch < before.epoch) {
        return "an epoch went back";
    }
    if (breaker->epoch == before.epoch && breaker->state != before.state &&
        !(before.state == BREAKER_RAMP && breaker->state == BREAKER_CLOSED)) {
        return "the state changed without a new epoch";
    }
    return NULL;
}

/* An attempt is charged only if a worker had it. */
static const char *
check_charges(void)
{
    for (uint32_t i = 0; i < JOBS; i++) {
        const struct job *job = world_job(i);

        if (job == NULL || job->attempts_charged <= before.charged[i]) {
            continue;
        }
        uint32_t delivered = 0;

        for (uint32_t j = 0; j < before.attempt_count; j++) {
            const struct was *attempt = &before.attempts[j];
            const struct attempt *now = attempt_of(attempt->fence);

            delivered += attempt->delivered && (now == NULL || now->ghost);
        }
        if (job->attempts_charged - before.charged[i] > delivered) {
            return "an attempt was charged that no worker had";
        }
    }
    return NULL;
}

/* ---- In a state -------------------------------------------------------- */

static const char *
check_permits(const struct breaker *breaker)
{
    const struct engine *engine = world_engine();
    uint32_t held = 0;
    uint32_t probes = 0;

    for (uint32_t i = 0; i < engine->attempts.fresh; i++) {
        const struct attempt *attempt = slab_at(&engine->attempts, i);

        if (!is_used(attempt) || attempt->permit.kind == BREAKER_NO_PERMIT) {
            continue;
        }
        held++;
        probes += attempt->permit.kind == BREAKER_PROBE &&
                  attempt->permit.epoch == breaker->epoch;
        if (attempt->ghost) {
            return "an attempt that nobody waits for holds a permit";
        }
    }
    if (held < breaker->in_flight) {
        return "a permit was never settled";
    }
    if (held > breaker->in_flight) {
        return "a permit was settled twice";
    }
    if (probes > PROBES || breaker->probes_out > PROBES) {
        return "more probes are out than allowed";
    }
    if (breaker->state == BREAKER_HALF_OPEN && probes != breaker->probes_out) {
        return "the probes that are out are not those that are counted";
    }
    return NULL;
}

static bool
has_timer(const struct target *target)
{
    return heap_has(&target->gate_timer);
}

static const char *
check_timers(const struct target *target)
{
    const struct breaker *breaker = &target->breaker;

    if (breaker->forced != (target->holder_count > 0)) {
        return "it is held and has no holder, or the other way about";
    }
    if (breaker->state == BREAKER_OPEN && !breaker->forced &&
        !has_timer(target)) {
        return "OPEN has neither a timer nor a holder";
    }
    if (breaker->state == BREAKER_HALF_OPEN && !breaker->forced &&
        breaker->probes_out > 0 && !has_timer(target)) {
        return "a trial with a probe out has no timer";
    }
    if (breaker->state == BREAKER_RAMP && !breaker->forced &&
        !has_timer(target)) {
        return "a ramp has no timer";
    }
    return NULL;
}

/*
 * What a waiting job waits for is there: a time, a holder, an attempt that
 * runs, a worker, or a job that is fit to be a probe.
 */
static const char *
check_waiting(const struct target *target)
{
    const struct engine *engine = world_engine();
    const struct breaker *breaker = &target->breaker;

    for (uint32_t i = 0; i < JOBS; i++) {
        const struct job *job = world_job(i);

        if (job == NULL || job->state == JOB_RUNNING ||
            job_state_is_final((enum job_state)job->state)) {
            continue;
        }
        if (!job->waiting && job->state != JOB_PARKED &&
            !heap_has(&job->timer)) {
            return "a job waits for nothing";
        }
        bool has_reason = heap_has(&job->timer) || has_timer(target) ||
                          breaker->forced || breaker->in_flight > 0 ||
                          engine->offers_with_credit == 0 ||
                          job->method->gate == GATE_UNFIT ||
                          engine->reserved > 0 || engine->more;

        if (!has_reason) {
            return "a job waits without a wake-up or a deadline";
        }
    }
    return NULL;
}

const char *
check_after(move made)
{
    const struct target *target = world_target();
    const char *problem = outcome.problem;

    (void)made;
    if (target == NULL) {
        return problem;
    }
    problem = problem == NULL ? check_starts() : problem;
    problem = problem == NULL ? check_permits(&target->breaker) : problem;
    problem = problem == NULL ? check_epoch(&target->breaker) : problem;
    problem = problem == NULL
                  ? check_verdict(&target->breaker,
                                  (enum breaker_cause)target->breaker_cause)
                  : problem;
    problem = problem == NULL ? check_charges() : problem;
    problem = problem == NULL ? check_timers(target) : problem;
    return problem == NULL ? check_waiting(target) : problem;
}

bool
check_is_at_rest(void)
{
    return world_engine()->jobs.used == 0;
}
