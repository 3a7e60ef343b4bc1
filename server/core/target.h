/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Targets: what throttle, budget and shared pushback guard, over all methods
 * that name it and all agents. A method's target is the one that its policy
 * names, or its service.
 *
 * Recorded state of a target changes by records alone (target_apply()), which
 * say all that a decision changed:
 *
 *     decision.tokens_max_milli > 0     the throttle now holds tokens_milli
 *     budget_slice > 0                  budget_delta_milli in that slice: a
 *                                       deposit on ATTEMPT_STARTED, < 0 a retry
 *                                       that was taken, > 0 one given back
 *     hold_until_wall_ms != 0           its retries are held until then
 *     BREAKER_*                         a move of its breaker, or a holder of
 *                                       it (gate.h, holder.h)
 *     BUDGET_EXHAUSTED, _RECOVERED      what was told, reason THROTTLE or
 * BUDGET GATEWAY_RELOADED with a target    reason THROTTLE: its throttle is
 * gone and forgotten; TARGET: all of it is
 *
 * So the writer of a record begins it, lets one of the functions below add
 * what the decision does to the target, and ends it.
 *
 * The table is bounded. Methods hold their target; one that no method uses
 * stays for what it remembers, until more than `targets_kept_max` do: then the
 * one that was left first is forgotten, by a record, at the end of a step. One
 * without memory leaves nothing behind when its place is needed.
 *
 * Slices of the budget are counted per target, from a number that its name
 * gives (so that those of two targets never meet), by monotonic time. Down
 * time counts as far as the wall clock shows it.
 */
#ifndef REDIAL_SERVER_CORE_TARGET_H
#define REDIAL_SERVER_CORE_TARGET_H

#include "server/base/hash.h"
#include "server/base/heap.h"
#include "server/base/list.h"
#include "server/core/breaker.h"
#include "server/core/budget.h"
#include "server/core/engine.h"
#include "server/core/retry.h"
#include "server/core/throttle.h"

#include <stdbool.h>
#include <stdint.h>

struct engine;
struct job;

/* What budget.exhausted and budget.recovered are about. */
enum target_reason { TARGET_THROTTLE, TARGET_BUDGET, TARGET_REASONS };

/* Who holds a breaker open, and until when. */
struct holder {
    int64_t since_wall_ms;
    int64_t until_wall_ms; /* 0: until it is let go */
    int64_t until_ms;      /* mono, volatile */
    uint32_t name_len;
    uint32_t reason_len;
    char name[128];
    char reason[128];
};

struct target {
    /* ---- Recorded ---- */
    uint64_t seq; /* of the last record that changed it */
    struct throttle throttle;
    struct budget budget;
    int64_t budget_wall_ms;     /* when budget.newest began */
    int64_t hold_until_wall_ms; /* of its retries; 0: never held */
    int64_t hold_wall_ms;       /* when that was said */
    bool told[TARGET_REASONS];  /* exhausted, and not recovered since */
    struct breaker breaker;     /* its recorded part, beside a volatile one */
    int64_t breaker_wall_ms;    /* when it came to its state */
    uint64_t breaker_open_ms;   /* OPEN: for how long */
    uint8_t breaker_cause;      /* enum breaker_cause, of its last move */
    uint8_t holder_count;
    struct holder holders[ENGINE_HOLDERS_MAX];

    /* ---- Volatile ---- */
    const struct target_policy *policy;
    uint32_t refs; /* methods, in use or not */
    uint32_t index;
    int64_t slice_ms; /* of the policy in force */
    uint64_t slice;   /* the one that began at slice_at_ms */
    int64_t slice_at_ms;
    int64_t hold_until_ms; /* mono; in the past: nothing is held */
    int64_t hold_spread_ms;
    int64_t told_ms[TARGET_REASONS]; /* mono: of the last exhausted */
    bool budget_refused;             /* since the last look at it */
    bool restarts;                   /* its breaker, at the next look */
    uint32_t generation;             /* of what holds this place */
    uint64_t waiting;                /* jobs in queues, hedges apart */
    uint64_t parked;                 /* jobs in that state */
    uint64_t late;                   /* results of earlier epochs */
    uint64_t rejected;               /* submits and retries, by its breaker */
    struct list gated;               /* methods that wait for the breaker */
    struct list unfit;               /* the same, without a probe to offer */
    struct list open_gate;           /* while it admits, and some are gated */
    struct list parked_jobs;         /* whose time its breaker set */
    struct list timeless_jobs;       /* parked, and nobody knows until when */
    bool lets_all_go;                /* of both lists, not of the latter */
    struct list unparking;           /* while those are let go */
    struct heap_node gate_timer;
    uint64_t retries_waiting; /* jobs in BACKOFF */
    uint64_t retries_allowed;
    uint64_t retries_refused; /* by throttle or budget */
    struct heap_node timer;
    struct list unused;  /* while no method uses it */
    bool kept;           /* among those that stay for what they remember */
    struct list changed; /* while its flips are to be looked at */
    uint32_t name_len;   /* 0: the place is free */
    char name[128];      /* NAME_BYTES_MAX */
};

/* Jobs that wait behind it are PARKED: nothing but probes goes through. */
static inline bool
target_parks(const struct target *target)
{
    const struct target_policy *policy = target->policy;

    return policy->has_breaker &&
           (target->breaker.forced ||
            (!policy->breaker.disabled && !policy->breaker.metrics_only &&
             (target->breaker.state == BREAKER_OPEN ||
              target->breaker.state == BREAKER_HALF_OPEN)));
}

/* ---- The table --------------------------------------------------------- */

/*
 * The target of this name (of at most NAME_BYTES_MAX bytes), made if need be;
 * NULL only when all places are held by methods, which cannot be.
 */
struct target *
target_intern(struct engine *engine, struct text name);

/* The same, but NULL when there is none so far. */
const struct target *
target_find(const struct engine *engine, struct text name);

/* target_intern() for a method of `service` under `policy`, and held for it. */
struct target *
target_hold_for(struct engine *engine, struct text service,
                const struct method_policy *policy);

void
target_ref(struct engine *engine, struct target *target);

void
target_unref(struct engine *engine, struct target *target);

struct text
target_text(const struct target *target);

/* One that may be forgotten for want of room, or NULL. */
struct target *
target_to_forget(const struct engine *engine);

/* True when there is recorded state that a new target would not have. */
bool
target_remembers(const struct target *target);

/* ---- Decisions --------------------------------------------------------- */

/* What stands between a failure and a retry now: retry_decide() takes it. */
struct retry_guard
target_guard(const struct engine *engine, const struct target *target);

/* The same at another time than that of the step at hand. */
struct retry_guard
target_guard_at(const struct engine *engine, const struct target *target,
                struct mono now);

/* The guard of a target of this name that was never used. */
struct retry_guard
target_guard_unused(const struct engine *engine, struct text name);

/* What a worker's pushback for all retries changes in it. */
void
target_guard_hold(struct retry_guard *guard, struct mono now,
                  uint64_t pushback_ms);

/*
 * Whether one more attempt of a running job (a hedge) may start now: RULE_NONE,
 * RETRIES_OFF, THROTTLED or BUDGET_EXHAUSTED. Takes nothing; see
 * target_take_hedge(). A hedge should not start before target_held_until_ms().
 */
enum rule
target_refuses(const struct engine *engine, const struct target *target);

/* Until when (mono) its retries are held; in the past: they are not. */
int64_t
target_held_until_ms(const struct target *target);

/* ---- What a record does to a target ------------------------------------ */

/*
 * Each adds to a record that is begun and not ended. A target without the
 * policy that it is about is left alone.
 */

/* The tokens of record->decision, where it charged or refunded some. */
void
target_add_tokens(struct engine *engine, struct record *record,
                  struct target *target);

/*
 * A retry is planned and takes its budget token, which the job keeps as
 * budget_slice until the retry has come to an end that counts. A job that still
 * holds one (hedged: two failures, one start) takes no second one.
 */
void
target_take_retry(struct engine *engine, struct record *record,
                  const struct job *job);

/* A hedge starts and takes its token for good. */
void
target_take_hedge(struct engine *engine, struct record *record,
                  const struct target *target);

/* The job ends without the start of the retry that it holds a token for. */
void
target_give_back(struct engine *engine, struct record *record,
                 const struct job *job);

/* A first attempt starts. */
void
target_deposit(struct engine *engine, struct record *record,
               struct target *target);

/* A worker's pushback for all retries; a shorter one changes nothing. */
void
target_hold(struct engine *engine, struct record *record, struct target *target,
            uint64_t pushback_ms);

/* The decision of an attempt that succeeded: its refund and what is left. */
void
target_refund(const struct engine *engine, const struct target *target,
              struct decision *decision);

/* Counts a decision for engine_target_stats(). */
void
target_count(struct engine *engine, struct target *target, enum rule rule);

/* Whether it has nothing that must outlive its last method. */
bool
target_is_blank(const struct engine *engine, const struct target *target);

/* ---- Apply ------------------------------------------------------------- */

/* Whether the record changes a target. */
bool
target_is_changed_by(const struct record *record);

/*
 * Changes the target as the record says; `target` may be NULL: it is looked up.
 * A record that the target reflects already changes nothing. False: damage, or
 * no room.
 */
bool
target_apply(struct engine *engine, const struct record *record,
             struct target *target);

/* ---- In time (target_watch.c) ------------------------------------------ */

/* Its flips are to be looked at before the step ends. */
void
target_note_change(struct engine *engine, struct target *target);

/* Says what flipped and forgets what is too much, within the step's budget. */
void
targets_run(struct engine *engine);

/* A new policy is in force: engine->policy. Methods have theirs already. */
void
targets_take_policy(struct engine *engine);

/* Times of all targets after recovery; `wall_ms` cannot have gone back. */
void
targets_restore(struct engine *engine, int64_t wall_ms);

/* Of all targets that remember something, in no particular order. */
uint64_t
targets_state_hash(const struct engine *engine, const struct hash_key *key);

/* The slice that lasts now, and at another time (mono). */
uint64_t
target_slice(const struct engine *engine, const struct target *target);

uint64_t
target_slice_at(const struct target *target, int64_t at_ms);

/* Takes over the recorded part of a row. */
void
target_restore_row(struct engine *engine, struct target *target,
                   const struct target *row);

#endif
