/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/breaker_window.h"

enum { PERMILLE = 1000 };

static int64_t
bucket_ms(const struct breaker_policy *policy)
{
    return policy->window_ms < BREAKER_BUCKETS
               ? 1
               : policy->window_ms / BREAKER_BUCKETS;
}

void
window_forget(struct breaker *breaker)
{
    for (int i = 0; i < BREAKER_BUCKETS; i++) {
        breaker->buckets[i] = (struct breaker_bucket){0};
    }
    breaker->sum = (struct breaker_bucket){0};
    breaker->in_a_row = 0;
    breaker->bucket_until_ms = 0;
}

/* The oldest bucket becomes the current one. */
static void
turn(struct breaker *breaker)
{
    breaker->bucket = (uint8_t)((breaker->bucket + 1) % BREAKER_BUCKETS);
    struct breaker_bucket *oldest = &breaker->buckets[breaker->bucket];

    breaker->sum.calls -= oldest->calls;
    breaker->sum.failed -= oldest->failed;
    breaker->sum.slow -= oldest->slow;
    *oldest = (struct breaker_bucket){0};
    breaker->most_before = breaker->most;
    breaker->most = breaker->in_flight;
}

void
window_advance(struct breaker *breaker, const struct breaker_policy *policy,
               int64_t now_ms)
{
    int64_t width_ms = bucket_ms(policy);

    if (breaker->bucket_until_ms == 0) {
        breaker->bucket_until_ms = now_ms + width_ms;
        return;
    }
    if (now_ms < breaker->bucket_until_ms) {
        return;
    }
    int64_t turns = (now_ms - breaker->bucket_until_ms) / width_ms + 1;

    breaker->bucket_until_ms += turns * width_ms;
    for (int64_t i = 0; i < turns && i < BREAKER_BUCKETS; i++) {
        turn(breaker);
    }
}

void
window_add(struct breaker *breaker, uint32_t calls, uint32_t failed,
           uint32_t slow)
{
    struct breaker_bucket *bucket = &breaker->buckets[breaker->bucket];

    bucket->calls += calls;
    bucket->failed += failed;
    bucket->slow += slow;
    breaker->sum.calls += calls;
    breaker->sum.failed += failed;
    breaker->sum.slow += slow;
}

static bool
reaches(uint32_t part, uint32_t whole, uint32_t permille)
{
    return permille > 0 &&
           (uint64_t)part * PERMILLE >= (uint64_t)permille * whole;
}

enum breaker_cause
window_verdict(const struct breaker *breaker,
               const struct breaker_policy *policy)
{
    const struct breaker_bucket *sum = &breaker->sum;

    if (policy->consecutive > 0 && breaker->in_a_row >= policy->consecutive) {
        return BREAKER_CAUSE_CONSECUTIVE;
    }
    if (sum->calls == 0 || sum->calls < policy->calls_min) {
        return BREAKER_CAUSE_NONE;
    }
    if (reaches(sum->failed, sum->calls, policy->failure_permille)) {
        return BREAKER_CAUSE_FAILURE_RATE;
    }
    if (reaches(sum->slow, sum->calls, policy->slow_permille)) {
        return BREAKER_CAUSE_SLOW_RATE;
    }
    return BREAKER_CAUSE_NONE;
}
