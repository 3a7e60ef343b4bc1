/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/backoff.h"

#include "server/base/check.h"

/* Nothing waits longer than this (about 300 years), whatever a policy says. */
static const uint64_t delay_max_ms = UINT64_C(10000000000000);

static uint64_t
lesser(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* base^exponent by squaring: a few steps for any exponent, infinity at most. */
static double
power(double base, uint32_t exponent)
{
    double result = 1.0;

    while (exponent > 0) {
        if ((exponent & 1u) != 0) {
            result *= base;
        }
        base *= base;
        exponent >>= 1;
    }
    return result;
}

/* min(initial * multiplier^(n-1), max), at least 1. */
static struct backoff
nominal(const struct retry_policy *policy, uint32_t n, uint64_t max_ms)
{
    double grown = (double)policy->initial_backoff_ms *
                   power(policy->backoff_multiplier, n - 1);

    /* Also where it is infinite. */
    if (grown > (double)max_ms) {
        return (struct backoff){.nominal_ms = max_ms, .clamped = true};
    }
    uint64_t rounded = (uint64_t)(grown + 0.5);

    return (struct backoff){.nominal_ms = rounded == 0 ? 1 : rounded};
}

/* Uniform in from..to, both included. */
static uint64_t
draw(struct rng *rng, uint64_t from, uint64_t to)
{
    return from + rng_below(rng, to - from + 1);
}

static struct backoff
draw_decorrelated(const struct retry_policy *policy, uint64_t previous_ms,
                  uint64_t max_ms, struct rng *rng)
{
    uint64_t from = lesser(policy->initial_backoff_ms, delay_max_ms);
    uint64_t to = previous_ms == 0 ? from : lesser(previous_ms, delay_max_ms);

    to = to * 3 < from ? from : to * 3;
    uint64_t drawn = draw(rng, from, to);

    return (struct backoff){
        .nominal_ms = lesser(to, max_ms),
        .delay_ms = lesser(drawn, max_ms),
        .clamped = drawn > max_ms,
    };
}

struct backoff
backoff_draw(const struct retry_policy *policy, uint32_t n,
             uint64_t previous_ms, struct rng *rng)
{
    redial_assert(n > 0);
    uint64_t max_ms = lesser(policy->max_backoff_ms, delay_max_ms);
    struct backoff backoff = nominal(policy, n, max_ms);
    uint64_t d = backoff.nominal_ms;

    switch (policy->jitter) {
    case JITTER_DEFAULT:
        backoff.delay_ms = draw(rng, d * 4 / 5, d * 6 / 5);
        break;
    case JITTER_FULL:
        backoff.delay_ms = draw(rng, 0, d);
        break;
    case JITTER_EQUAL:
        backoff.delay_ms = draw(rng, d / 2, d);
        break;
    case JITTER_DECORRELATED:
        backoff = draw_decorrelated(policy, previous_ms, max_ms, rng);
        break;
    case JITTER_NONE:
        backoff.delay_ms = d;
        return backoff;
    }
    if (backoff.nominal_ms > 0) {
        backoff.jitter_permille = (uint32_t)(backoff.delay_ms * 1000 /
                                             backoff.nominal_ms);
    }
    return backoff;
}
