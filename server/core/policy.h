/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the operator decided: gRPC's service config and Redial's fields beside
 * it, in the form in which the engine reads it. server/config makes it, the
 * engine only reads it; a set is immutable once given to the engine.
 */
#ifndef REDIAL_SERVER_CORE_POLICY_H
#define REDIAL_SERVER_CORE_POLICY_H

#include "server/core/breaker.h"
#include "server/core/record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum jitter {
    JITTER_DEFAULT = 0,      /* x U(0.8, 1.2), gRPC A6 */
    JITTER_FULL = 1,         /* U(0, d) */
    JITTER_EQUAL = 2,        /* d/2 + U(0, d/2) */
    JITTER_DECORRELATED = 3, /* min(max, U(initial, 3 x previous)) */
    JITTER_NONE = 4,
};

enum { POLICY_REASONS_MAX = 64 };

struct retry_policy {
    uint32_t max_attempts;       /* 1: never retried */
    bool attempts_clamped;       /* by maxAttemptsLimit */
    uint64_t initial_backoff_ms; /* at least 1 */
    uint64_t max_backoff_ms;
    double backoff_multiplier; /* > 0 */
    enum jitter jitter;
    uint32_t retryable_codes; /* bit n: status code n */
    uint64_t max_pushback_ms;
    uint32_t free_attempts_max;
    const struct text *non_retryable_reasons;
    uint32_t non_retryable_reason_count;
    const struct text *retryable_reasons;
    uint32_t retryable_reason_count;
};

/* What a method or a tenant may use at once. 0: unlimited. */
struct limit_policy {
    uint32_t concurrency;    /* attempts at once */
    uint32_t rate;           /* attempts started per rate_period_ms */
    uint32_t rate_period_ms; /* 1,000 or 60,000 */
    uint32_t burst;          /* attempts that may start at once; 0: `rate` */
    uint32_t queue;          /* waiting jobs; more are refused */
};

/* One methodConfig name: method > service (method empty) > the default. */
struct method_policy {
    struct text service;
    struct text method;
    struct text target;        /* empty: the service is its own target */
    struct retry_policy retry; /* of a hedgingPolicy: its attempts and codes */
    bool hedged;               /* by a hedgingPolicy, if the job may be */
    uint64_t hedging_delay_ms; /* between attempts at once; 0: all together */
    uint64_t attempt_timeout_ms;  /* at least 1 */
    uint64_t deadline_ms;         /* gRPC "timeout"; 0: none */
    struct limit_policy limits;   /* of each method alone */
    bool wait_for_ready;          /* false: NO_WORKER fails at once */
    enum idempotency idempotency; /* where the job does not say */
    bool retry_indeterminate;     /* retry a not idempotent job after loss */
    bool reject_when_open;        /* behind an open breaker: fail, not wait */
};

/* What guards a target: retries of all its methods, over all agents. */
struct target_policy {
    struct text name;
    bool has_throttle;         /* gRPC's retryThrottling */
    uint32_t tokens_max_milli; /* maxTokens x 1,000 */
    uint32_t tokens_ok_milli;  /* tokenRatio x 1,000, cut off */
    bool has_budget;
    uint32_t budget_ratio_milli; /* retries per first attempt x 1,000 */
    uint32_t budget_floor;       /* retries a second in any case */
    uint32_t budget_window_ms;   /* what counts as recent, 1,000..60,000 */
    bool has_breaker;
    struct breaker_policy breaker;
    uint32_t failure_codes; /* bit n: code n counts against the target */
    uint32_t parked_max;    /* jobs that may wait behind it; 0: any number */
};

struct tenant_policy {
    struct text name;
    uint32_t weight; /* of its share where tenants compete; at least 1 */
    struct limit_policy limits;
};

/* The breaker of each instance of a worker: others are chosen instead. */
struct instance_policy {
    bool has_breaker;
    struct breaker_policy breaker;
    uint32_t failure_codes;    /* as for a target */
    uint32_t ejected_permille; /* of the workers of a method, at most: 500 */
};

struct policy_set {
    uint32_t version;
    struct instance_policy instances;
    bool retries_off;                    /* the operator's kill switch */
    const struct method_policy *methods; /* sorted by policy_order() */
    size_t method_count;
    struct method_policy fallback;       /* names empty */
    const struct target_policy *targets; /* sorted by name, bytes then length */
    size_t target_count;
    struct target_policy target_fallback; /* name empty */
    const struct tenant_policy *tenants;  /* sorted by name, as targets */
    size_t tenant_count;
    struct tenant_policy tenant_fallback; /* name empty; weight 1 */
};

/* < 0, 0, > 0 by service, then method (bytes, then length). */
int
policy_order(struct text service_a, struct text method_a, struct text service_b,
             struct text method_b);

/* The policy in force for service/method; never NULL. O(log n). */
const struct method_policy *
policy_find(const struct policy_set *set, struct text service,
            struct text method);

/* The same for a target and for a tenant, by name. */
const struct target_policy *
policy_find_target(const struct policy_set *set, struct text name);

const struct tenant_policy *
policy_find_tenant(const struct policy_set *set, struct text name);

/* The default policy of design, with no names: used where none is given. */
void
policy_set_default(struct policy_set *ret_set);

#endif
