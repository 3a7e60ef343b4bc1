/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The retry decision: pure, in the one order that the design lays down. Every
 * exit has a rule of its own, which ends up in the record, and so in front of
 * whoever asks why.
 *
 *      1  job final                     (the caller's)
 *      2  OK                            (the caller's)
 *         POISON, INDETERMINATE         must not run again, whatever the code
 *      3  overload mark                 OVERLOADED_MARK
 *      4  reason, then code             NON_RETRYABLE_REASON, _CODE
 *      5  charge the throttle
 *      6  throttle                      THROTTLED
 *      7  charged and running attempts  ATTEMPTS_EXHAUSTED
 *         refused before (hedge.h)      that rule
 *      8  pushback                      PUSHBACK_STOP, or the delay
 *      9  backoff                       the delay; hedged: none, or
 *                                       hedgingDelay if it may not be hedged
 *     10  breaker                       BREAKER_OPEN: park, without a charge
 *     11  deadline                      DEADLINE_WOULD_EXPIRE
 *     12  RETRY_PLANNED
 */
#ifndef REDIAL_SERVER_CORE_RETRY_H
#define REDIAL_SERVER_CORE_RETRY_H

#include "server/base/clock.h"
#include "server/base/rng.h"
#include "server/core/policy.h"
#include "server/core/target.h"

enum { KILLS_MAX = 2 }; /* workers that a job may take down */

struct retry_failure {
    enum redial_status code;
    bool code_is_known; /* false: not one of the 17; never retried */
    struct text reason;
    bool overloaded;
    bool has_pushback;
    int64_t pushback_ms; /* < 0: stop */
    bool uncertain;      /* lost or timed out: it may have happened */
};

/* Where the job stands, this failure included. */
struct retry_counts {
    uint32_t charged;
    uint32_t free;
    uint32_t free_streak;    /* free ones in a row */
    uint32_t backoff_n;      /* backoffs since the last honoured pushback */
    uint64_t previous_ms;    /* the last of those */
    uint32_t kills;          /* workers that it took down */
    uint32_t max_attempts;   /* of the job; 0: the policy's */
    uint32_t attempts_limit; /* the operator's; 0: none */
    uint32_t running;        /* other attempts of the job, hedge.h */
    bool may_hedge;          /* one more may run beside those */
    enum rule frozen;        /* nothing may follow, by this rule; 0: may */
    enum idempotency idempotency;
};

struct retry_time {
    struct now now;
    struct mono deadline; /* MONO_NEVER: none */
};

/* Whether step 4 ends it: neither a retry nor a hedge may follow. */
bool
retry_is_fatal(const struct method_policy *policy,
               const struct retry_failure *failure);

/*
 * rule RETRY_PLANNED or BREAKER_OPEN: go on after delay_ms, until_wall_ms is
 * set. Any other rule: the job ends. Charges the target's throttle (step 5).
 */
struct decision
retry_decide(const struct method_policy *policy,
             const struct retry_failure *failure,
             const struct retry_counts *counts, struct target *target,
             const struct retry_time *time, struct rng *rng);

/*
 * The same for an attempt that never started: rule FREE_RETRY, at once for the
 * first in a row, then after backoff; FREE_EXHAUSTED or DEADLINE_WOULD_EXPIRE
 * at the end.
 */
struct decision
retry_decide_free(const struct method_policy *policy,
                  const struct retry_counts *counts,
                  const struct retry_time *time, struct rng *rng);

/* What counts as maxAttempts: the least of the three that are set. */
uint32_t
retry_attempts_max(const struct method_policy *policy,
                   const struct retry_counts *counts);

#endif
