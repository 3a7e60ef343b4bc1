/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long to wait before a retry: gRFC A6,
 *
 *     delay_n = min(initial * multiplier^(n-1), max) * jitter
 *
 * with the jitter of A6, U(0.8, 1.2), or one of the forms of "Exponential
 * Backoff and Jitter" (AWS Architecture Blog, 2015). Whole milliseconds; no
 * argument overflows.
 */
#ifndef REDIAL_SERVER_CORE_BACKOFF_H
#define REDIAL_SERVER_CORE_BACKOFF_H

#include "server/base/rng.h"
#include "server/core/policy.h"

struct backoff {
    uint64_t nominal_ms; /* before jitter */
    uint64_t delay_ms;
    uint32_t jitter_permille; /* delay / nominal; 0: none drawn */
    bool clamped;             /* by max_backoff_ms */
};

/*
 * The n-th delay, n from 1. `previous_ms` is the delay before (0: this is the
 * first), which only decorrelated jitter asks for.
 */
struct backoff
backoff_draw(const struct retry_policy *policy, uint32_t n,
             uint64_t previous_ms, struct rng *rng);

#endif
