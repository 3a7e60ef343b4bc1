/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a configuration means for retries: for each methodConfig and for the
 * default the most attempts of a job, the shortest and longest time that all
 * its waits take together, how many times the load it may make of one job, and
 * which bound throttle and budget put on that; and what is allowed but hardly
 * meant (lint.def).
 *
 * The figures follow the formulas of the core: waits as core/backoff.h, jitter
 * included, pushback and free attempts apart. What guards a target bounds the
 * attempts at it (A: first attempts, over any time):
 *
 *   throttle   A + tokenRatio x successes + half of maxTokens, since a retry
 *              needs a failure that leaves more than half of them; not where
 *              hedging adds attempts without a failure
 *   budget     A + ratio x A + minPerSecond each second
 *
 * A struct lint belongs to one thread, reads the configuration that it was made
 * of, and must be freed before it. Nothing here blocks.
 */
#ifndef REDIAL_SERVER_CONFIG_LINT_H
#define REDIAL_SERVER_CONFIG_LINT_H

#include "server/config/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum lint_code {
#define LINT(name, word, severity, at_load) LINT_##name,
#include "server/config/lint.def"
    LINT_COUNT,
};

enum lint_severity {
    LINT_SEVERITY_WARNING,
    LINT_SEVERITY_NOTE,
};

struct lint_row {
    const char *word;
    enum lint_severity severity;
    bool at_load;
};

extern const struct lint_row lint_table[LINT_COUNT];

struct lint_finding {
    enum lint_code code;
    const char *text;
    struct lint_finding *next; /* NULL: the last */
};

/* How many times the load one job may become, in thousandths. */
struct lint_load {
    uint64_t worst_milli; /* each attempt fails, nothing guards */
    uint64_t bound_milli; /* over many jobs, with throttle and budget */
    uint64_t bound_once;  /* and these attempts beside, once for a target */
    uint64_t bound_per_second; /* and these each second */
    bool guarded; /* something holds it back while every attempt fails */
};

struct lint_policy {
    const struct config_entry *entry; /* NULL: the default policy */
    const struct method_policy *policy;
    const struct method_policy *const *names; /* rows with this policy */
    size_t name_count;                        /* 0: the default policy */
    uint32_t attempts_max;
    uint64_t delay_min_ms; /* all waits together */
    uint64_t delay_max_ms;
    uint32_t retries_fit; /* that can start before the timeout at best */
    struct lint_load load;
    struct lint_finding *findings;
};

/* What guards all targets (no name), or one. */
struct lint_target {
    const struct target_policy *target;
    struct lint_finding *findings;
};

struct lint {
    struct lint_policy *policies; /* in the order of the configuration */
    size_t policy_count;
    struct lint_target *targets; /* those with a guard; all of them first */
    size_t target_count;
    const struct instance_policy *instances;
    struct lint_finding *findings; /* of the whole */
    size_t warnings;               /* of all rows, but not said at load */
    size_t notes;
    struct config_arena *arena; /* owns everything */
};

/* NULL: no memory. */
struct lint *
lint_create(const struct config *config);

/* NULL is allowed. */
void
lint_free(struct lint *lint);

/*
 * For people: the table, and what was found but not said by the load. Appends;
 * check out->failed at the end.
 */
void
lint_print(const struct lint *lint, struct bytes *out);

/*
 * For programs: one JSON object with all that lint_print() says and all issues
 * of the load. `lint` is NULL where the load failed. Field names are stable;
 * new ones may come.
 *
 *   policies[]  name[], path, source, line, kind (retry, hedging, single),
 *               isDefault, attemptsMax, freeAttemptsMax, delayMin, delayMax,
 *               retriesThatFit, load, loadBound (not given: unbounded),
 *               loadBoundOnce, loadBoundPerSecond, findings[]
 *   targets[]   name ("*": all others), retryThrottling, budget, breaker,
 *               breakerMeans (one line), failureShare, okPerFailure, findings[]
 *   instanceBreaker, instanceBreakerMeans (not given: none)
 *   findings[]  code, severity (warning, note), text, atLoad
 *   issues[]    severity (error, warning), source, line, path, found, allowed
 *   errors, warnings, notes
 */
void
lint_print_json(const struct lint *lint, const struct config_report *report,
                struct bytes *out);

/* ---- For lint.c and its tests -------------------------------------------- */

/* The shortest and the longest n-th wait, n from 1; *longest is the one before
 * it (0 where n is 1). */
void
lint_delay_range(const struct retry_policy *retry, uint32_t n,
                 uint64_t *ret_shortest_ms, uint64_t *longest_ms);

#endif
