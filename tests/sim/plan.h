/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a seed decides before anything happens: sizes, names, policies, how
 * often each fault strikes. Most seeds switch most faults on, each at a rate of
 * its own, so that some runs are calm in one way and wild in another.
 */
#ifndef REDIAL_TESTS_SIM_PLAN_H
#define REDIAL_TESTS_SIM_PLAN_H

#include "server/base/rng.h"
#include "server/core/engine.h"
#include "server/core/policy.h"
#include "tests/sim/coverage.h"
#include "tests/sim/message.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    PLAN_METHODS_MAX = 10,
    PLAN_SERVICES_MAX = 4,
    PLAN_TENANTS_MAX = 4,
    PLAN_AGENTS_MAX = 4,
    PLAN_WORKERS_MAX = 8,
    PLAN_KEYS = 40,   /* job keys in use, per tenant */
    PLAN_REASONS = 8, /* words that workers give as reasons */
    PLAN_POLICIES_MAX = 24,
    PLAN_JOBS_MAX = 700,
};

struct plan_method {
    char service[SIM_WORD_BYTES];
    char method[SIM_WORD_BYTES];
};

struct plan {
    struct engine_limits limits;
    uint32_t jobs; /* that agents want done */
    uint32_t agents;
    uint32_t workers;
    uint32_t tenants;
    uint32_t methods;
    uint32_t groups_in_pipe; /* commits on their way at once */
    int64_t span_ms;         /* how long agents submit */
    int64_t commit_ms_max;
    bool crowd; /* most jobs want the same, at the same time */
    int64_t net_ms_max;
    uint32_t projection; /* rows written behind: 0 none, more: eager */
    uint32_t fault_permille[FAULT_COUNT];
    struct plan_method method[PLAN_METHODS_MAX];
    const char *tenant[PLAN_TENANTS_MAX];
};

extern const char *const plan_reasons[PLAN_REASONS];

/* Fills the plan from the random numbers of a seed. */
void
plan_make(struct plan *plan, struct rng *rng);

/*
 * Policy number `version` of this seed. Called twice with the same numbers it
 * gives two equal copies: one for the engine, which is overwritten when the
 * engine should have let go of it, and one for the ledger.
 */
struct policy_set *
plan_policy_new(const struct plan *plan, uint64_t seed, uint32_t version);

/* What a planted fault adds to the gateway's own copy of a policy. */
struct plan_slip {
    uint32_t hedges;  /* more attempts of hedged methods */
    uint32_t starts;  /* more in a rate and its burst */
    uint32_t queue;   /* more that may wait */
    uint32_t floor;   /* more in a budget */
    bool topsy_turvy; /* who weighs little weighs much */
};

void
plan_policy_slip(struct policy_set *set, const struct plan_slip *slip);

/* Overwrites and frees. NULL is allowed. */
void
plan_policy_free(struct policy_set *set);

static inline struct text
plan_text(const char *word)
{
    uint32_t len = 0;

    while (word[len] != '\0') {
        len++;
    }
    return (struct text){.at = word, .len = len};
}

#endif
