/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Workers: who is there, what each serves, and how much more it can take.
 *
 * Credit is absolute. What a worker (and each of its offers) can still take is
 * what its last Poll said was free, less what was assigned and not acknowledged
 * since. An offer with credit stands in the list of its method or service,
 * where dispatch finds it; a worker that is full, silent, reserved for a
 * suspect or running one alone has none of its offers there.
 */
#ifndef REDIAL_SERVER_CORE_WORKER_H
#define REDIAL_SERVER_CORE_WORKER_H

#include "server/core/state.h"

/* The connected worker with this id, or NULL. */
struct worker *
worker_by_id(const struct engine *engine, uint64_t id);

/* By name/instance, in any state; NULL when unknown. */
struct worker *
worker_by_name(const struct engine *engine, struct text name);

/*
 * The worker of this name, made as an awaited one when it is unknown. NULL when
 * the table is full, which attempts alone cannot make it.
 */
struct worker *
worker_await(struct engine *engine, struct text name);

/* Frees a worker that neither is connected nor has attempts. */
void
worker_release(struct engine *engine, struct worker *worker);

/* Takes all offers away. Its attempts stand under none then. */
void
worker_clear_offers(struct engine *engine, struct worker *worker);

/*
 * Makes these its offers instead of those that it had. False, without effect,
 * when there is no room for all of them or for their names.
 */
bool
worker_replace_offers(struct engine *engine, struct worker *worker,
                      const struct engine_slots *slots, size_t count);

/* The offer under which the worker serves the method, or NULL. */
struct offer *
worker_offer_for(const struct worker *worker, const struct method *method);

/* The offer of exactly these names, or NULL; looks at `hint` first. */
struct offer *
worker_offer_named(const struct worker *worker, struct text service,
                   struct text method, struct offer *hint);

/* Says how many attempts may be assigned to it now. */
uint32_t
worker_credit(const struct worker *worker);

uint32_t
offer_credit(const struct offer *offer);

/* Puts its offers into the lists of credit or takes them out, as is due. */
void
worker_refresh(struct engine *engine, struct worker *worker);

void
offer_refresh(struct engine *engine, struct offer *offer);

/* Not heard for silence_ms, whether the tick has noticed or not. */
bool
worker_is_silent(const struct engine *engine, const struct worker *worker);

/* It was heard from: it lives, and its acknowledged leases run anew. */
void
worker_heard(struct engine *engine, struct worker *worker);

/* Gives up the reservation for a suspect, if there is one. */
void
worker_unreserve(struct engine *engine, struct worker *worker);

/* Recent failures weigh in the choice of a worker. */
void
worker_note_outcome(struct engine *engine, struct worker *worker, bool success);

#endif
