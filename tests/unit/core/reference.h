/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The retry decision once more, written from the words of the design the slow
 * and obvious way: no line of server/core is called or copied. Powers are
 * multiplied out as fractions of whole numbers, lists are searched one by one,
 * sums are added up anew. From the core come only the names of rules and fields
 * (record.h), in which both are compared.
 *
 * Where the design leaves a number free (the jitter that was drawn, half a
 * millisecond), the reference has an opinion about what was recorded, and no
 * number of its own.
 */
#ifndef REDIAL_TESTS_UNIT_CORE_REFERENCE_H
#define REDIAL_TESTS_UNIT_CORE_REFERENCE_H

#include "server/core/record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { REFERENCE_WORDS_MAX = 4, REFERENCE_CODES = 17 };

enum reference_jitter {
    REFERENCE_A6, /* x U(0.8, 1.2) */
    REFERENCE_FULL,
    REFERENCE_EQUAL,
    REFERENCE_DECORRELATED,
    REFERENCE_EXACT,
};

struct reference_policy {
    uint32_t max_attempts;  /* as the operator wrote it, before any limit */
    uint32_t attempts_most; /* maxAttemptsLimit */
    uint64_t initial_ms;
    uint64_t max_ms;
    uint32_t multiplier_over; /* the multiplier is this ... */
    uint32_t multiplier_by;   /* ... divided by this */
    enum reference_jitter jitter;
    bool retryable[REFERENCE_CODES];
    uint64_t pushback_most_ms;
    uint32_t free_most;
    const char *never[REFERENCE_WORDS_MAX]; /* nonRetryableReasons */
    const char *always[REFERENCE_WORDS_MAX];
    bool not_idempotent; /* where the job does not say */
    bool may_run_again;  /* retried although it may have happened */
};

/* gRPC's retryThrottling, in thousandths of a token. */
struct reference_throttle {
    bool there;
    int64_t tokens;
    int64_t most;
    int64_t per_ok;
};

struct reference_job {
    uint32_t own_max;    /* 0: the policy's */
    bool not_idempotent; /* says so itself */
    bool says_idempotency;
    int64_t deadline_at; /* INT64_MAX: none */
    uint32_t charged;
    uint32_t free;
    uint32_t free_in_a_row;
    uint32_t backoffs; /* since the last honoured pushback */
    uint64_t last_backoff_ms;
    uint32_t kills;
};

struct reference_failure {
    uint32_t code; /* any number */
    const char *reason;
    bool overloaded;
    bool has_pushback;
    int64_t pushback_ms;
    bool uncertain; /* it may have happened */
    bool free;
    bool killed; /* it was alone in the hand of a worker that died */
};

/* What must be recorded. */
struct reference_answer {
    enum rule rule; /* if the deadline allows */
    bool ends;      /* the job */
    enum delay_source source;
    enum clamp clamp;  /* NONE, PUSHBACK or ATTEMPTS; of a backoff see below */
    uint64_t exact_ms; /* source PUSHBACK */
    uint32_t backoff;  /* source BACKOFF: the how manieth */
    uint64_t last_ms;  /* and the one before */
    uint32_t left;     /* charged attempts */
    int64_t tokens;    /* -1: not asked */
};

/* The most charged attempts that the job may have. */
uint32_t
reference_attempts(const struct reference_policy *policy,
                   const struct reference_job *job);

/* The attempt is over: counts it, before the decision. */
void
reference_count(struct reference_job *job,
                const struct reference_failure *failure);

/* An attempt succeeded. */
void
reference_succeed(struct reference_job *job,
                  struct reference_throttle *throttle);

/* Decides what follows a failure that was counted; charges the throttle. */
struct reference_answer
reference_decide(const struct reference_policy *policy,
                 struct reference_throttle *throttle,
                 const struct reference_job *job,
                 const struct reference_failure *failure);

/* NULL, or what is wrong with the delay that was recorded. */
const char *
reference_objection(const struct reference_policy *policy,
                    const struct reference_answer *answer,
                    const struct decision *recorded);

/* The rule in the end, `delay_ms` from now. */
enum rule
reference_in_time(const struct reference_answer *answer,
                  const struct reference_job *job, int64_t now_ms,
                  uint64_t delay_ms);

/* The job goes on after this delay. */
void
reference_went_on(struct reference_job *job,
                  const struct reference_answer *answer, uint64_t delay_ms);

/* Another throttle is configured: it is as full as the one before. */
void
reference_reload(struct reference_throttle *throttle, bool there, int64_t most,
                 int64_t per_ok);

#endif
