/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/hold.h"

#include "server/core/life.h"
#include "server/core/queue.h"

enum { SPREAD_MIN_MS = 1000, SPREAD_MAX_MS = 60000, SPREAD_PART = 5 };

int64_t
hold_spread_ms(int64_t length_ms)
{
    int64_t spread_ms = length_ms / SPREAD_PART;

    if (spread_ms < SPREAD_MIN_MS) {
        return SPREAD_MIN_MS;
    }
    return spread_ms < SPREAD_MAX_MS ? spread_ms : SPREAD_MAX_MS;
}

int64_t
hold_release(int64_t until_ms, int64_t spread_ms, struct mono deadline,
             struct rng *rng)
{
    int64_t room_ms = deadline.ms - 1 - until_ms;

    if (deadline.ms > until_ms && room_ms < spread_ms) {
        spread_ms = room_ms;
    }
    return until_ms + (int64_t)rng_below(rng, (uint64_t)spread_ms + 1);
}

bool
hold_job(struct engine *engine, struct job *job)
{
    const struct target *target = job->method->target;

    if ((job->attempts_charged == 0 && job->state != JOB_RUNNING) ||
        target->hold_until_ms <= engine->now.mono.ms) {
        return false;
    }
    queue_remove(engine, job);
    engine->moves++;
    job->held = true;
    job->until_ms = hold_release(target->hold_until_ms, target->hold_spread_ms,
                                 job_deadline(job), &engine->rng);
    job_arm(engine, job);
    return true;
}
