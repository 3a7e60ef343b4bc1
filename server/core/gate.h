/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where dispatch and attempts meet the breaker of their target (breaker.h).
 *
 * Permits. Each attempt of a target with a breaker takes one as it starts, the
 * last thing that it takes, and settles it once, whatever becomes of it: with
 * its outcome (gate_settle()) or with none (gate_drop(): cancelled, lost to
 * another attempt, never started, its worker gone, its job over). What came to
 * its end by the gateway's own time limit is a failure. An attempt that was
 * adopted after a restart has none: it is late by definition.
 *
 * Methods. One whose target refuses leaves the ring when it would be served,
 * not before, and stands in a list of the target (method->gate). While the
 * target admits, one comes back per turn of the dispatcher; so no step walks
 * over all of them, and what comes back is checked like everything else.
 *
 * Probes. While the breaker is HALF_OPEN nothing goes through but jobs that the
 * gateway chooses: those that their agents call idempotent before those of
 * which they say nothing; with so much time before the deadline as an attempt
 * may take, else with the most. Never a job marked as not idempotent, a suspect
 * or one that killed a worker. At most PROBE_LOOKS jobs are looked at in one
 * turn, of methods and tenants in turn. Without a fit one the breaker stays as
 * it is until a job arrives that is.
 *
 * Moves are recorded: gate_apply() makes them, here and in recovery.
 */
#ifndef REDIAL_SERVER_CORE_GATE_H
#define REDIAL_SERVER_CORE_GATE_H

#include "server/core/retry.h"
#include "server/core/state.h"

enum { PROBE_LOOKS = 64 };

/* ---- Dispatch ---------------------------------------------------------- */

enum breaker_answer
gate_ask(const struct engine *engine, const struct target *target,
         int64_t *ret_until_ms);

/* Whether the method may be served; if not, it has left the ring. */
bool
gate_admits(struct engine *engine, struct method *method);

/* Its jobs changed: one may be a probe now. */
void
gate_note_job(struct engine *engine, struct method *method);

/*
 * The turn of a target of engine->open_gates. Either the method that may be
 * served now, back in the ring; or NULL and the job that is chosen as a probe,
 * which may be NULL too.
 */
struct method *
gate_next(struct engine *engine, struct job **ret_probe);

/* Whether jobs of the method, of this kind (FIT_YES), may be probes. */
bool
gate_has_fits(const struct method *method, int kind);

/*
 * The best of those looked at in one turn, or NULL. Methods that have none are
 * put among the unfit, those without a worker among the starved.
 */
struct job *
gate_choose_probe(struct engine *engine, struct target *target);

/* ---- Attempts ---------------------------------------------------------- */

/* Takes the permit that was asked for just before. */
void
gate_take(struct engine *engine, struct attempt *attempt);

/* What an attempt came to, for its target. */
struct gate_outcome {
    enum redial_status code;
    struct text reason;
    bool overloaded;
    bool timed_out;   /* by the worker's or the gateway's clock */
    bool says_naught; /* never started, or lost */
    uint64_t hint_ms; /* the worker's "stay away" */
};

void
gate_settle(struct engine *engine, struct attempt *attempt,
            const struct gate_outcome *outcome);

/* With no outcome. No effect when it was settled before. */
void
gate_drop(struct engine *engine, struct attempt *attempt);

/* When it becomes a slow one while it still runs; INT64_MAX: never. */
int64_t
gate_slow_at_ms(const struct engine *engine, const struct attempt *attempt);

void
gate_note_slow(struct engine *engine, struct attempt *attempt);

/* ---- The target -------------------------------------------------------- */

/* Lists and timer follow what changed. */
void
gate_update(struct engine *engine, struct target *target);

/* The timer of the target's breaker. */
void
gate_due(struct engine *engine, struct target *target);

/* Once per step for a target that changed: reload and restart. */
void
gate_look(struct engine *engine, struct target *target);

/* A new policy is in force for it. */
void
gate_take_policy(struct engine *engine, struct target *target);

/* After recovery: times, and a new epoch at the next look. */
void
gate_restore(struct engine *engine, struct target *target, int64_t wall_ms);

/* The policy of its breaker; of one that admits all where it has none. */
const struct breaker_policy *
gate_policy(const struct target *target);

/* ---- Records ----------------------------------------------------------- */

/* Fills in what a record of a breaker says beside who is to blame. */
void
gate_note(const struct target *target, const struct breaker_move *move,
          struct record *record);

/* Records and makes a move that time or an operator caused. */
void
gate_move(struct engine *engine, struct target *target,
          const struct breaker_move *move);

/* False: damage. */
bool
gate_apply(struct target *target, const struct record *record, int64_t now_ms);

/* ---- Parking (gate_park.c) --------------------------------------------- */

/* When the target is known to admit again (mono); INT64_MAX: not known. */
int64_t
gate_until_ms(const struct target *target);

/* The job's own time, or that of its target while it waits behind it. */
int64_t
gate_until_wall_ms(const struct engine *engine, const struct job *job);

/* What the breaker adds to the guard of a retry. */
void
gate_guard(const struct target *target, struct retry_guard *guard);

/* The job came to PARKED, or is loaded as such. */
void
gate_park(struct job *job);

/* It leaves PARKED. */
void
gate_unpark(struct job *job);

/*
 * Jobs that are parked without a time are let go, a few at a time; with `all`
 * those too whose time the breaker set.
 */
void
gate_let_go(struct engine *engine, struct target *target, bool all);

/* Does that, within the budget of the step. */
void
gate_run(struct engine *engine);

/*
 * Ends a job that waits, or is about to, if its deadline lies before its target
 * is known to admit again.
 */
bool
gate_end_early(struct engine *engine, struct job *job);

/*
 * Whether one more job may come to wait for the target: false, with the time
 * after which to try again (0: not known), when as many as may wait do so, or
 * when its method rather has it refused. The breaker's own reason is told
 * apart by *ret_full.
 */
bool
gate_may_wait(struct target *target, const struct method_policy *policy,
              int64_t now_ms, bool *ret_full, uint64_t *ret_after_ms);

/* A parked job goes to its queue, if the budget of its target lets it. */
void
gate_release(struct engine *engine, struct job *job);

#endif
