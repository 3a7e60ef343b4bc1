/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The judge of targets: throttle, budget and shared pushback, followed from
 * records and worked out again from semantics.md.
 */
#ifndef REDIAL_TESTS_SIM_LEDGER_TARGET_H
#define REDIAL_TESTS_SIM_LEDGER_TARGET_H

#include "server/core/engine.h"
#include "tests/sim/message.h"

struct sim;
struct ledger_job;

enum {
    LEDGER_TARGETS_MAX = 16,
    LEDGER_SLICES_MAX = 64, /* that are remembered of a budget */
};

struct ledger_slice {
    uint64_t number;
    int64_t in;  /* deposits, in thousandths of a retry */
    int64_t out; /* retries */
};

struct ledger_target {
    char name[SIM_WORD_BYTES]; /* empty: not used so far */
    uint64_t seq;              /* of the last record that changed it */

    /* The throttle as it was last said; most 0: never, so it is full. */
    int64_t tokens;
    int64_t tokens_most;

    struct ledger_slice slices[LEDGER_SLICES_MAX];
    uint64_t newest; /* slice; 0: none */
    /*
     * What is known of time: this slice was seen first and last at these
     * moments, since `slice_ms` is what a slice lasts and the gateway is up.
     */
    uint64_t seen;
    int64_t seen_first_at;
    int64_t seen_last_at;
    int64_t slice_ms;

    int64_t hold_until_wall_ms;
    int64_t hold_length_ms;
    int64_t hold_until_at;
    int64_t released_at; /* by then all that was held has come back */
    bool told_throttle;  /* exhausted, and not recovered since */
    bool told_budget;
    int64_t told_throttle_at; /* when exhausted was said last */
    int64_t told_budget_at;
};

/* By name; made if need be. */
uint32_t
ledger_target_named(struct sim *sim, struct text name);

/* The one that guards the job, by the policy in force. */
struct ledger_target *
ledger_target_of(struct sim *sim, uint32_t spec);

/* The target's tokens under the policy in force; -1: no throttle. */
int64_t
ledger_tokens(const struct sim *sim, const struct ledger_target *target);

/* What an OK makes of them. */
int64_t
ledger_tokens_refunded(const struct sim *sim,
                       const struct ledger_target *target);

/* Whether the throttle lets a retry through with so many. */
bool
ledger_tokens_allow(const struct sim *sim, const struct ledger_target *target,
                    int64_t tokens);

/*
 * Whether `left` may be what is left in the budget now, in thousandths; -1: no
 * budget. `slice` is which one it is now; 0: it was not said.
 */
bool
ledger_budget_may_be(const struct sim *sim, const struct ledger_target *target,
                     uint64_t slice, int64_t left);

/* Whether it may be that not even one retry is left. */
bool
ledger_budget_may_refuse(const struct sim *sim,
                         const struct ledger_target *target);

/* What a start must do to the budget of its target. */
void
ledger_check_payment(struct sim *sim, uint32_t spec,
                     const struct record *record);

/* An end gives back what its job took for a retry that never started. */
void
ledger_check_give_back(struct sim *sim, uint32_t spec,
                       const struct record *record);

/* A failure let one more follow, and it did not start so far. */
bool
ledger_has_retry_planned(const struct ledger_job *job);

/* Between failure and retry: 0 or how long the target's retries are held. */
int64_t
ledger_hold_ms(const struct sim *sim, const struct ledger_target *target);

/* Over how long they come back. */
int64_t
ledger_spread_ms(const struct ledger_target *target);

/* What a record does to a target; checks what it may do. */
void
ledger_target_record(struct sim *sim, uint32_t spec,
                     const struct record *record);

/* All is forgotten but which number has which name: rows stay on disk. */
void
ledger_targets_crashed(struct sim *sim);

/* The gateway restarts: times run again, what is unknown is unknown. */
void
ledger_targets_recovering(struct sim *sim, int64_t wall_ms);

/* Another policy: what has no throttle any more forgets its tokens. */
void
ledger_targets_policy(struct sim *sim);

/* Compares the engine's figures; what flipped must have been said. */
void
ledger_check_targets(struct sim *sim);

#endif
