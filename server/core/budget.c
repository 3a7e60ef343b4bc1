/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/budget.h"

int64_t
budget_slice_ms(const struct target_policy *policy)
{
    int64_t slice_ms = (int64_t)policy->budget_window_ms / BUDGET_SLICES;

    return slice_ms > 0 ? slice_ms : 1;
}

bool
budget_is_blank(const struct budget *budget)
{
    for (uint32_t i = 0; i < BUDGET_SLICES; i++) {
        if (budget->in_milli[i] != 0 || budget->out_milli[i] != 0) {
            return false;
        }
    }
    return true;
}

/* Makes `slice` part of the window. False: it is out of it, and too old. */
static bool
advance(struct budget *budget, uint64_t slice)
{
    if (slice <= budget->newest) {
        return budget->newest - slice < BUDGET_SLICES;
    }
    uint64_t steps = slice - budget->newest;

    for (uint64_t i = 0; i < steps && i < BUDGET_SLICES; i++) {
        budget->in_milli[(slice - i) % BUDGET_SLICES] = 0;
        budget->out_milli[(slice - i) % BUDGET_SLICES] = 0;
    }
    budget->newest = slice;
    return true;
}

void
budget_deposit(struct budget *budget, uint64_t slice, int64_t milli)
{
    if (advance(budget, slice)) {
        budget->in_milli[slice % BUDGET_SLICES] += milli;
    }
}

void
budget_take(struct budget *budget, uint64_t slice, int64_t milli)
{
    int64_t *out_milli = &budget->out_milli[slice % BUDGET_SLICES];

    /* Giving back must not move the window: nothing happened now. */
    if (milli < 0 && slice > budget->newest) {
        return;
    }
    if (!advance(budget, slice)) {
        return;
    }
    *out_milli += milli;
    if (*out_milli < 0) {
        *out_milli = 0;
    }
    /* So that what is blank is the same as what never was. */
    if (milli < 0 && budget_is_blank(budget)) {
        budget->newest = 0;
    }
}

/* The sum over the last slices up to `slice`. */
static int64_t
sum(const struct budget *budget, const int64_t milli[BUDGET_SLICES],
    uint64_t slice)
{
    int64_t total = 0;

    for (uint64_t i = 0; i < BUDGET_SLICES; i++) {
        uint64_t at = budget->newest - i;

        if (budget->newest > i && at <= slice && slice - at < BUDGET_SLICES) {
            total += milli[at % BUDGET_SLICES];
        }
    }
    return total;
}

int64_t
budget_taken(const struct budget *budget, uint64_t slice)
{
    return sum(budget, budget->out_milli, slice);
}

int64_t
budget_left(const struct budget *budget, const struct target_policy *policy,
            uint64_t slice)
{
    if (!policy->has_budget) {
        return -1;
    }
    /* A retry is 1,000, and so are the milliseconds of a second. */
    int64_t floor_milli = (int64_t)policy->budget_floor *
                          (int64_t)policy->budget_window_ms;
    int64_t left_milli = floor_milli + sum(budget, budget->in_milli, slice) -
                         sum(budget, budget->out_milli, slice);

    return left_milli > 0 ? left_milli : 0;
}

bool
budget_allows(int64_t left_milli)
{
    return left_milli < 0 || left_milli >= RETRY_MILLI;
}
