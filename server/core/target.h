/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A target: what a throttle and a breaker guard; one per service. This is
 * their place in the retry decision. No configuration names a throttle or a
 * breaker yet, so every target answers as one without: a fact, not a promise.
 */
#ifndef REDIAL_SERVER_CORE_TARGET_H
#define REDIAL_SERVER_CORE_TARGET_H

#include <stdbool.h>
#include <stdint.h>

struct target {
    bool has_throttle; /* false: no retryThrottling is configured */
    bool has_breaker;  /* false: no breaker is configured */
    int64_t tokens_milli;
    int64_t tokens_max_milli;
};

/* A qualified failure costs one token. Returns what is left; -1: no throttle.
 */
int64_t
target_charge_failure(struct target *target);

/* Whether the throttle lets a retry through. */
bool
target_allows_retry(const struct target *target);

/*
 * Whether the breaker lets an attempt through now. If not, *ret_until_ms is
 * when it will reopen (mono).
 */
bool
target_admits(const struct target *target, int64_t *ret_until_ms);

#endif
