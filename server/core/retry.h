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
 *      5  charge the throttle           (a stop charges it even after 3 or 4)
 *      6  kill switch                   RETRIES_OFF
 *         throttle                      THROTTLED
 *         budget                        BUDGET_EXHAUSTED
 *      7  charged and running attempts  ATTEMPTS_EXHAUSTED
 *         refused before (hedge.h)      that rule
 *      8  pushback                      PUSHBACK_STOP, or the delay
 *      9  backoff                       the delay; hedged: none, or
 *                                       hedgingDelay if it may not be hedged
 *         hold of the target            the delay, when it is longer
 *     10  breaker                       BREAKER_OPEN: park, without a charge;
 *                                       or BREAKER_REJECTED
 *     11  deadline                      DEADLINE_WOULD_EXPIRE
 *     12  RETRY_PLANNED
 *
 * What the design leaves open, and how it is here:
 *
 *   - POISON and INDETERMINATE charge nothing: they say something of the job
 *     (it kills workers, it must not run twice), not of the target.
 *   - The kill switch goes before throttle and budget: who switched retries
 *     off shall see that, not what would have been. The failure is charged all
 *     the same, so that the throttle is right when they come back on.
 *   - Throttle before budget: the throttle is gRPC's and about the target's
 *     health, the budget is about load. Both before the count of attempts
 *     (grpc-go and C-core look at the throttle first).
 *   - A budget token is taken by step 12 alone. Whatever refuses takes none,
 *     and a parked job takes none.
 *   - The hold stands behind steps 8 and 9: it can only make a delay longer,
 *     and it never makes a code retryable. It is looked at before the breaker
 *     and the deadline, which see the delay that results.
 */
#ifndef REDIAL_SERVER_CORE_RETRY_H
#define REDIAL_SERVER_CORE_RETRY_H

#include "server/base/clock.h"
#include "server/base/rng.h"
#include "server/core/policy.h"

enum { KILLS_MAX = 2 }; /* workers that a job may take down */

struct retry_failure {
    enum redial_status code;
    bool code_is_known; /* false: not one of the 17; never retried */
    struct text reason;
    bool overloaded;
    bool has_pushback;
    int64_t pushback_ms; /* < 0: stop */
    bool for_target;     /* for all retries of the target; the caller's */
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

/* What stands between all failures of a target and their retries. */
struct retry_guard {
    bool retries_off;     /* the operator's kill switch */
    int64_t tokens_milli; /* of the throttle, before this; -1: none */
    int64_t tokens_max_milli;
    int64_t budget_milli;   /* retries that may go now; -1: no budget */
    int64_t hold_until_ms;  /* mono; in the past: nothing holds retries */
    int64_t hold_spread_ms; /* see hold.h */
    bool breaker_open;
    int64_t breaker_until_ms;  /* mono; INT64_MAX: not known */
    int64_t breaker_spread_ms; /* jobs come back over so long, see hold.h */
};

/* A guard that lets everything through. */
#define RETRY_UNGUARDED \
    ((struct retry_guard){.tokens_milli = -1, .budget_milli = -1})

/*
 * rule RETRY_PLANNED or BREAKER_OPEN: go on after delay_ms, until_wall_ms is
 * set. Any other rule: the job ends.
 *
 * tokens_milli and budget_milli are what is left after the decision. Where
 * tokens_max_milli is set, step 5 charged the throttle; whoever records the
 * decision changes the target by it.
 */
struct decision
retry_decide(const struct method_policy *policy,
             const struct retry_failure *failure,
             const struct retry_counts *counts, const struct retry_guard *guard,
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

/*
 * Step 6 alone, for an attempt beside running ones: RULE_NONE, RETRIES_OFF,
 * THROTTLED or BUDGET_EXHAUSTED.
 */
enum rule
retry_refused_by_guard(const struct retry_guard *guard);

/* What counts as maxAttempts: the least of the three that are set. */
uint32_t
retry_attempts_max(const struct method_policy *policy,
                   const struct retry_counts *counts);

#endif
