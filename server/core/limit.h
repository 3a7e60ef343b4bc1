/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one method or one tenant may use at once: places (attempts that run), a
 * rate at which attempts may start, and room for waiting jobs. Who counts what
 * runs and waits is the owner; here is the token bucket and the arithmetic.
 *
 * The bucket is exact. Its level counts parts, of which `rate_period_ms` are
 * one token, so that each millisecond adds `rate` parts: nothing is rounded,
 * nothing drifts. 7 per minute are 60,000 parts a token and 7 parts a
 * millisecond: the first token is there after 8,572 ms, the seventh after
 * exactly 60,000. The level is worked out only when it is asked for, and it
 * never exceeds the burst (the rate, where no burst is given). In any stretch
 * of T ms at most burst + rate x (T + 1) / period attempts start: the one is
 * the millisecond in which a token came.
 *
 * A new bucket is empty. A token is taken when an attempt starts and is not
 * given back when the attempt comes to nothing: what was started counts.
 */
#ifndef REDIAL_SERVER_CORE_LIMIT_H
#define REDIAL_SERVER_CORE_LIMIT_H

#include "server/core/policy.h"

#include <stdbool.h>
#include <stdint.h>

enum { LIMIT_NONE = UINT32_MAX >> 1 }; /* as many as anybody can ask for */

struct limit {
    struct limit_policy policy; /* a copy: sets come and go */
    uint64_t level;             /* parts, as of filled_ms */
    int64_t filled_ms;
};

/* An empty bucket since `since_ms`. */
void
limit_init(struct limit *limit, const struct limit_policy *policy,
           int64_t since_ms);

/*
 * New limits from now on. What is in the bucket stays there, fractions of a
 * token too, but no more than the new burst; where no rate was in force before
 * the bucket starts empty.
 */
void
limit_set(struct limit *limit, const struct limit_policy *policy,
          int64_t now_ms);

/* Whole tokens; LIMIT_NONE without a rate. */
uint32_t
limit_tokens(const struct limit *limit, int64_t now_ms);

/* How many tokens the bucket holds at most; LIMIT_NONE without a rate. */
uint32_t
limit_burst(const struct limit *limit);

/*
 * The first millisecond, not before now, at which `count` tokens are there;
 * INT64_MAX when the bucket never holds that many.
 */
int64_t
limit_tokens_at_ms(const struct limit *limit, int64_t now_ms, uint32_t count);

/* Takes a token, if there is a rate; it must be there (asserted). */
void
limit_take(struct limit *limit, int64_t now_ms);

/* Places beyond `running`; LIMIT_NONE without a concurrency. */
uint32_t
limit_places(const struct limit *limit, uint32_t running);

/* How many attempts may start now: places and tokens, whichever is less. */
uint32_t
limit_room(const struct limit *limit, uint32_t running, int64_t now_ms);

/* Between two starts at the rate in force, in microseconds; 0: no rate. */
uint64_t
limit_interval_us(const struct limit *limit);

/* Whether one more than `waiting` may wait. */
bool
limit_may_wait(const struct limit *limit, uint32_t waiting);

#endif
