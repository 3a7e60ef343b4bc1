/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting jobs of one method, and which of them is next:
 *
 *     ten priorities -> deficit round robin over tenants -> two FIFOs
 *
 * (first attempts, retries). Of any eight grants in which a retry waits, at
 * least one is a retry; of any eight in which a lower priority than the highest
 * waits, at least one goes to a lower one. Within a lane first attempts go
 * first. Suspects (jobs that were there when a worker died) stand apart, and so
 * does what waits for the limits of its tenant (tenant.h): both shares above
 * count only what could be granted.
 *
 * All in O(1), apart from the search of the highest set bit.
 */
#ifndef REDIAL_SERVER_CORE_QUEUE_H
#define REDIAL_SERVER_CORE_QUEUE_H

#include "server/core/state.h"

enum { GRANTS_SHARED = 8 };

/*
 * Puts a due job last in its queue. Shown as READY from now on, unless it is
 * RUNNING and waits for one attempt more: a hedge stands among the retries.
 */
void
queue_put(struct engine *engine, struct job *job);

/* Takes a job out, wherever it stands; no effect when it does not wait. */
void
queue_remove(struct engine *engine, struct job *job);

/* The next job of the method, suspects apart; NULL when none is in turn. */
struct job *
queue_next(const struct method *method);

/*
 * Counts that `job`, which queue_next() named, gets the grant, and removes it.
 */
void
queue_grant(struct engine *engine, struct job *job);

/*
 * The job is next, but its tenant has no room: its lane (or itself, as a
 * suspect) stands with its tenant until there is some.
 */
void
queue_block(struct engine *engine, struct job *job);

/*
 * Brings back what the tenant, which has something blocked, has waited with
 * longest: it gets its turn when others have had theirs.
 */
void
queue_invite(struct engine *engine, struct tenant *tenant);

#endif
