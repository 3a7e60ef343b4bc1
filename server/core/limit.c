/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sizes: a burst is below 2^32 and a period below 2^16, so a level is below
 * 2^48 and its product with another period below 2^64. Time that passed is
 * multiplied only when the result is below the burst.
 */
#include "server/core/limit.h"

#include "server/base/check.h"

/* A set made by hand may leave the period out. */
static uint64_t
period_of(const struct limit_policy *policy)
{
    enum { PERIOD_DEFAULT_MS = 1000, PERIOD_MAX_MS = 60000 };
    uint32_t period_ms = policy->rate_period_ms;

    if (period_ms == 0) {
        return PERIOD_DEFAULT_MS;
    }
    return period_ms < PERIOD_MAX_MS ? period_ms : PERIOD_MAX_MS;
}

/*
 * The burst in parts, and what a millisecond may bring beyond it, if that is
 * less than a token: otherwise a small burst would lose a little each time.
 */
static uint64_t
level_max(const struct limit_policy *policy)
{
    uint64_t token = period_of(policy);
    uint64_t burst = policy->burst > 0 ? policy->burst : policy->rate;
    uint64_t beyond = policy->rate < token ? policy->rate : token;

    return burst * token + beyond - 1;
}

static uint64_t
level_at(const struct limit *limit, int64_t now_ms)
{
    uint64_t max = level_max(&limit->policy);
    uint64_t rate = limit->policy.rate;

    if (now_ms <= limit->filled_ms) {
        return limit->level;
    }
    uint64_t passed_ms = (uint64_t)now_ms - (uint64_t)limit->filled_ms;

    if (passed_ms > (max - limit->level) / rate) {
        return max;
    }
    return limit->level + passed_ms * rate;
}

void
limit_init(struct limit *limit, const struct limit_policy *policy,
           int64_t since_ms)
{
    *limit = (struct limit){.policy = *policy, .filled_ms = since_ms};
}

void
limit_set(struct limit *limit, const struct limit_policy *policy,
          int64_t now_ms)
{
    uint64_t level = 0;

    if (limit->policy.rate > 0 && policy->rate > 0) {
        uint64_t max = level_max(policy);

        level = level_at(limit, now_ms) * period_of(policy) /
                period_of(&limit->policy);
        level = level < max ? level : max;
    }
    *limit = (struct limit){
        .policy = *policy, .level = level, .filled_ms = now_ms};
}

uint32_t
limit_tokens(const struct limit *limit, int64_t now_ms)
{
    if (limit->policy.rate == 0) {
        return LIMIT_NONE;
    }
    uint64_t tokens = level_at(limit, now_ms) / period_of(&limit->policy);

    return tokens < LIMIT_NONE ? (uint32_t)tokens : LIMIT_NONE;
}

uint32_t
limit_burst(const struct limit *limit)
{
    if (limit->policy.rate == 0) {
        return LIMIT_NONE;
    }
    return limit->policy.burst > 0 ? limit->policy.burst : limit->policy.rate;
}

int64_t
limit_tokens_at_ms(const struct limit *limit, int64_t now_ms, uint32_t count)
{
    uint64_t rate = limit->policy.rate;

    if (rate == 0) {
        return now_ms;
    }
    uint64_t wanted = count * period_of(&limit->policy);
    uint64_t level = level_at(limit, now_ms);

    if (wanted > level_max(&limit->policy)) {
        return INT64_MAX;
    }
    if (level >= wanted) {
        return now_ms;
    }
    return now_ms + (int64_t)((wanted - level + rate - 1) / rate);
}

void
limit_take(struct limit *limit, int64_t now_ms)
{
    if (limit->policy.rate == 0) {
        return;
    }
    uint64_t token = period_of(&limit->policy);
    uint64_t level = level_at(limit, now_ms);

    redial_assert(level >= token);
    limit->level = level - token;
    limit->filled_ms = now_ms;
}

uint32_t
limit_places(const struct limit *limit, uint32_t running)
{
    uint32_t concurrency = limit->policy.concurrency;

    if (concurrency == 0) {
        return LIMIT_NONE;
    }
    return running < concurrency ? concurrency - running : 0;
}

uint32_t
limit_room(const struct limit *limit, uint32_t running, int64_t now_ms)
{
    uint32_t places = limit_places(limit, running);
    uint32_t tokens = limit_tokens(limit, now_ms);

    return places < tokens ? places : tokens;
}

uint64_t
limit_interval_us(const struct limit *limit)
{
    enum { US_PER_MS = 1000 };

    if (limit->policy.rate == 0) {
        return 0;
    }
    return period_of(&limit->policy) * US_PER_MS / limit->policy.rate;
}

bool
limit_may_wait(const struct limit *limit, uint32_t waiting)
{
    return limit->policy.queue == 0 || waiting < limit->policy.queue;
}
