/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hedging: several attempts of one job at once, and the first that settles it
 * wins (gRPC A6). In force for the methods of a hedgingPolicy and for jobs that
 * are idempotent: the job says yes, or says nothing and its method's policy
 * says yes. A job of such a method that may not be hedged runs one attempt at a
 * time; after a non-fatal failure the next one starts hedgingDelay later (what
 * IDEMPOTENCY_NO forbids stays forbidden: INDETERMINATE).
 *
 * A hedged job stays RUNNING from its first attempt to its end, or until none
 * of its attempts runs any more. What may follow is part of its state:
 *
 *     until_wall_ms  when one more may start beside those that run; 0: none
 *     frozen         the rule that lets nothing follow any more; 0: none
 *
 * When one starts:
 *  - ATTEMPT_STARTED names HEDGE_PLANNED, source HEDGE, and when the next one
 *    may follow, if one may: charged + running attempts are below the limit and
 *    ENGINE_RUNNING_MAX, and that time is before the deadline. Its flag `hedge`
 *    says that others were running.
 *  - At that time it joins the queue of its method like a retry and takes what
 *    a retry takes: a worker (rather one that has none of the job's attempts),
 *    the method's concurrency and its limits. No record is made of it.
 *  - The throttle and the budget are asked when it starts, since it would start
 *    without a failure: if they refuse, RETRY_REFUSED freezes the job. One that
 *    follows a failure was let through, and paid for, when that was decided.
 *    A hold of the target (hold.h) holds both.
 *
 * When one fails while others run:
 *  - OK or a fatal failure (one that is not to be retried, POISON,
 *    INDETERMINATE) settles the job: each other is recorded as ATTEMPT_FAILED
 *    CANCELLED, HEDGE_LOST, not charged, before the final record, and becomes a
 *    ghost. What it reports later is late.
 *  - Any other: RETRY_PLANNED, and the job stays RUNNING. The next one starts
 *    now, or exactly at a pushback; it replaces the time that was planned. Two
 *    failures while none could start make one start, not two: the one that
 *    starts plans the next again.
 *  - Or RETRY_REFUSED: nothing follows, the others go on and may still win. It
 *    freezes the job, except for ATTEMPTS_EXHAUSTED: an attempt that turns out
 *    never to have started makes room again. Once frozen each later failure is
 *    refused by that rule, and the last one ends the job with it.
 *  - A free one (never started, lost before it was acknowledged) follows at
 *    once the first time in a row, as ever: RETRY_PLANNED with FREE_RETRY.
 * When the last one fails, it is a retry like any other, without backoff.
 *
 * A worker's death makes the job a suspect: nothing is hedged then, the next
 * attempt runs alone and after those that run. Cancel and deadline make ghosts
 * of all; no loser is recorded, as nobody won. While draining none starts. A
 * policy that hedges no more lets those that run go on and plans none.
 * After a restart all of it stands as it was; the time is clamped to what was
 * planned, as every other.
 */
#ifndef REDIAL_SERVER_CORE_HEDGE_H
#define REDIAL_SERVER_CORE_HEDGE_H

#include "server/core/state.h"

/* Whether attempts of this job may run beside each other. */
bool
hedge_allowed(const struct job *job);

/* Whether the next one may wait for its time or its turn beside others. */
bool
hedge_may_wait(const struct job *job);

/* Completes an ATTEMPT_STARTED that is not applied yet: flag and plan. */
void
hedge_plan(const struct engine *engine, const struct job *job,
           struct record *record);

/*
 * RUNNING, with until_ms as planned: waits for that time, or in its queue if
 * that is now.
 */
void
hedge_wait(struct engine *engine, struct job *job);

/*
 * A RUNNING job has a worker for one attempt more: whether it may start. If
 * not, the job is out of its queue.
 */
bool
hedge_admit(struct engine *engine, struct job *job);

/*
 * Another policy is in force: what was planned, and came to nothing because the
 * one before hedged no more, is taken up. O(attempts).
 */
void
hedge_take_policy(struct engine *engine);

/* Nothing follows any more, by this rule; what runs goes on. */
void
hedge_freeze(struct engine *engine, struct job *job, enum rule rule);

/* Records every running attempt as lost to the one that settled the job. */
void
hedge_lose(struct engine *engine, struct job *job);

#endif
