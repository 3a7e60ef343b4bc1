/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attempts hold places: one of the worker's, one of the method's concurrency.
 * A job has one attempt that counts while it is RUNNING, or several if it is
 * hedged (job->running, oldest first, at most ENGINE_RUNNING_MAX; hedge.h).
 * When the job goes on without one (time-out, cancel, expiry, a hedge that was
 * quicker) that becomes a ghost: fenced off, told to stop, and holding its
 * places until the worker confirms its end or its lease ends.
 *
 * A lease runs from the start; once acknowledged, from the last time that the
 * worker was heard. It is looked at only when its timer fires, so that hearing
 * from a worker costs nothing per attempt.
 */
#ifndef REDIAL_SERVER_CORE_ATTEMPT_H
#define REDIAL_SERVER_CORE_ATTEMPT_H

#include "server/core/state.h"

/*
 * Makes the attempt that an ATTEMPT_STARTED tells of: its recorded part and
 * its places. NULL: no room.
 */
struct attempt *
attempt_make(struct engine *engine, struct job *job, struct worker *worker,
             const struct record *record);

/* Puts the attempt under the offer and sets its timer. */
void
attempt_place(struct engine *engine, struct attempt *attempt,
              struct offer *offer);

/* Frees it with all its places. The job stays as it is. */
void
attempt_free(struct engine *engine, struct attempt *attempt);

/*
 * A Poll or Hello acknowledges it: the worker has it, and what it says is free
 * is without it. (A report shows only the first: attempt->acked. Its lease
 * cannot end earlier by either: no timer moves.)
 */
void
attempt_count(struct attempt *attempt);

/* The job goes on without it; the worker is told to stop. */
void
attempt_make_ghost(struct engine *engine, struct attempt *attempt);

/* To be ended in this step or a later one, unless a report comes before. */
void
attempt_end_later(struct engine *engine, struct attempt *attempt,
                  enum attempt_end end);

/* How many of the job's attempts count. */
uint32_t
attempt_count_running(const struct job *job);

/* The newest of them, or NULL. */
struct attempt *
attempt_newest(const struct job *job);

/* The one of them with this fence, or NULL. */
struct attempt *
attempt_running_by_fence(const struct job *job, uint64_t fence);

/* Where the token points, a counting one or a ghost; NULL: nowhere. */
struct attempt *
attempt_by_token(const struct job *job, const struct engine_token *token);

/* When its lease ends, as things stand; INT64_MAX while its worker is away. */
int64_t
attempt_lease_end_ms(const struct attempt *attempt);

/* When the gateway acts on its time limit. */
int64_t
attempt_timeout_at_ms(const struct engine *engine,
                      const struct attempt *attempt);

/* Sets the timer to the earlier of the two. */
void
attempt_arm(struct engine *engine, struct attempt *attempt);

#endif
