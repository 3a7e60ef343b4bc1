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

/* What deposits and retries of the window that ends with `slice` come to. */
struct sums {
    int64_t in_milli;
    int64_t out_milli;
};

static struct sums
add_up(const struct budget *budget, uint64_t slice)
{
    uint64_t passed = slice > budget->newest ? slice - budget->newest : 0;
    uint32_t at = (uint32_t)(budget->newest % BUDGET_SLICES);
    struct sums sums = {0};

    for (uint64_t i = passed; i < BUDGET_SLICES; i++) {
        sums.in_milli += budget->in_milli[at];
        sums.out_milli += budget->out_milli[at];
        at = at == 0 ? BUDGET_SLICES - 1 : at - 1;
    }
    return sums;
}

int64_t
budget_taken(const struct budget *budget, uint64_t slice)
{
    return add_up(budget, slice).out_milli;
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
    struct sums sums = add_up(budget, slice);
    int64_t left_milli = floor_milli + sums.in_milli - sums.out_milli;

    return left_milli > 0 ? left_milli : 0;
}

bool
budget_allows(int64_t left_milli)
{
    return left_milli < 0 || left_milli >= RETRY_MILLI;
}
