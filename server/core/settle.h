/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of an attempt that counts, and of its job, once it is over. */
#ifndef REDIAL_SERVER_CORE_SETTLE_H
#define REDIAL_SERVER_CORE_SETTLE_H

#include "server/core/retry.h"
#include "server/core/state.h"

/* Where the job stands now, as its decisions see it. */
struct retry_counts
settle_counts(const struct engine *engine, const struct job *job);

/* For how long this failure holds all retries of its target; 0: it does not. */
uint64_t
settle_hold_ms(const struct method_policy *policy,
               const struct retry_failure *failure);

/* Whether it is the end even while other attempts of a hedged job run. */
bool
settle_is_end_of_all(const struct method_policy *policy,
                     const struct retry_failure *failure, enum rule rule);

/* The worker reported an outcome (engine->report). */
void
settle_report(struct engine *engine, struct attempt *attempt);

/* It never started: free. `reason` is a literal word. */
void
settle_never_started(struct engine *engine, struct attempt *attempt,
                     const char *reason);

/* The gateway acts on its time limit; it becomes a ghost. */
void
settle_timeout(struct engine *engine, struct attempt *attempt);

/* Its lease ran out while its worker was connected. */
void
settle_lease_over(struct engine *engine, struct attempt *attempt);

/* Its worker is away for too long, or dead. */
void
settle_worker_gone(struct engine *engine, struct attempt *attempt);

/* Decides what was put off by attempt_end_later(), within the budget. */
void
settle_run(struct engine *engine);

#endif
