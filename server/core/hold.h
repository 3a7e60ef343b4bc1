/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared pushback: a worker says when its target may be asked again, and all
 * retries to that target wait until then, and hedges too. First attempts go on,
 * and so do first attempts that never started.
 *
 * Retries come back spread over a while, so that they do not return together:
 * each draws a time of its own, uniform from the hold's end over a fifth of the
 * hold's length, at least one second and at most one minute. Where that would
 * cross the job's deadline, and the hold's end does not, the draw is from what
 * is left before the deadline: the spread alone never costs a job its retry.
 *
 * Retries that already stand in queues are not looked for: each is taken out
 * when its turn comes. A release time is volatile and not recorded. After a
 * restart, the job is due, meets the hold and draws again.
 */
#ifndef REDIAL_SERVER_CORE_HOLD_H
#define REDIAL_SERVER_CORE_HOLD_H

#include "server/base/clock.h"
#include "server/base/rng.h"

#include <stdbool.h>
#include <stdint.h>

struct engine;
struct job;

/* Over how long the retries of a hold of this length come back. */
int64_t
hold_spread_ms(int64_t length_ms);

/* When a retry goes that waits for the end of a hold (mono). */
int64_t
hold_release(int64_t until_ms, int64_t spread_ms, struct mono deadline,
             struct rng *rng);

/*
 * True when the job is a retry of a target that is held: it is then out of its
 * queue, with a timer for its release. One move of the step's budget.
 */
bool
hold_job(struct engine *engine, struct job *job);

#endif
