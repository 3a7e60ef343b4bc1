/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gRPC's retryThrottling (gRFC A6) in whole milli-tokens: a qualified failure
 * costs 1,000, an OK gives back tokenRatio x 1,000, and a retry may go only
 * while more than half of maxTokens is there.
 *
 * What is kept is the fill as it was last charged, with the maximum of that
 * time. A new maximum changes nothing that is kept: what counts is worked out
 * from both, so that the fill ratio stays (4 at 3 tokens, new maximum 10: 7.5)
 * and the way back to the old maximum is exact.
 */
#ifndef REDIAL_SERVER_CORE_THROTTLE_H
#define REDIAL_SERVER_CORE_THROTTLE_H

#include "server/core/policy.h"

#include <stdbool.h>
#include <stdint.h>

enum { TOKEN_MILLI = 1000 };

struct throttle {
    int64_t tokens_milli;
    int64_t max_milli; /* 0: never charged, hence full */
};

/* What is there under this policy, rounded to the nearest; -1: no throttle. */
int64_t
throttle_tokens(const struct throttle *throttle,
                const struct target_policy *policy);

/* What a qualified failure leaves of `tokens_milli`; -1 stays -1. */
int64_t
throttle_after_failure(int64_t tokens_milli);

/* What an OK makes of it, never above the maximum. */
int64_t
throttle_after_success(int64_t tokens_milli,
                       const struct target_policy *policy);

/* Whether a retry may go, after the charge. -1 (no throttle): always. */
bool
throttle_allows(int64_t tokens_milli, int64_t max_milli);

#endif
