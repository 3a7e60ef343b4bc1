/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A retry budget in the shape of Finagle's RetryBudget, exact instead of a
 * leaky bucket: over a window of ten slices,
 *
 *     retries <= ratio x first attempts + floor per second x window
 *
 * in thousandths of a retry. First attempts deposit the ratio that holds when
 * they start; a retry takes 1,000 when it is planned, and gives them back to
 * the slice it took them from when it never starts. Slices are counted by the
 * caller, which knows the time: this is arithmetic and nothing else.
 */
#ifndef REDIAL_SERVER_CORE_BUDGET_H
#define REDIAL_SERVER_CORE_BUDGET_H

#include "server/core/policy.h"

#include <stdbool.h>
#include <stdint.h>

enum { BUDGET_SLICES = 10, RETRY_MILLI = 1000 };

/* Slice n is kept at n modulo BUDGET_SLICES. */
struct budget {
    uint64_t newest; /* the last slice with something in it; 0: none ever */
    int64_t in_milli[BUDGET_SLICES];  /* deposits */
    int64_t out_milli[BUDGET_SLICES]; /* retries */
};

/* How long a slice of this policy lasts, at least 1 ms; also without budget. */
int64_t
budget_slice_ms(const struct target_policy *policy);

/* A deposit in `slice` (> 0). */
void
budget_deposit(struct budget *budget, uint64_t slice, int64_t milli);

/*
 * A retry planned in `slice` (milli > 0), or one given back (milli < 0), which
 * has no effect once its slice is out of the window.
 */
void
budget_take(struct budget *budget, uint64_t slice, int64_t milli);

/* Retries taken in the window that ends with `slice`. */
int64_t
budget_taken(const struct budget *budget, uint64_t slice);

/*
 * What is left in the window that ends with `slice`, 0 at the least; -1: the
 * policy has no budget.
 */
int64_t
budget_left(const struct budget *budget, const struct target_policy *policy,
            uint64_t slice);

/* Whether a retry may go. -1 (no budget): always. */
bool
budget_allows(int64_t left_milli);

/* True when all slices are zero; `newest` is then 0 as well. */
bool
budget_is_blank(const struct budget *budget);

#endif
