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
    bool in_turn;        /* hedgingPolicy, of jobs that may not be hedged */
    uint64_t turn_ms;    /* hedgingDelay */
};

/* One deposit in a budget, or one retry (amount < 0), in thousandths. */
struct reference_entry {
    uint64_t slice;
    int64_t amount;
};

enum { REFERENCE_ENTRIES_MAX = 512, REFERENCE_SLICES = 10 };

/* What is between all failures of a target and their retries. */
struct reference_target {
    /* As the operator wants it. */
    bool retries_off;
    bool has_throttle;
    int64_t tokens_most; /* gRPC's maxTokens, in thousandths */
    int64_t tokens_per_ok;
    bool has_budget;
    int64_t ratio; /* a retry per first attempt, in thousandths */
    int64_t floor; /* retries a second */
    int64_t window_ms;

    /* What happened. */
    int64_t tokens;      /* when it was last charged */
    int64_t tokens_then; /* of so many; 0: never, so it is full */
    struct reference_entry entries[REFERENCE_ENTRIES_MAX];
    int entry_count;
    uint64_t slice;   /* that began at slice_at, from 1 */
    int64_t slice_at; /* 0: the target is not known yet */
    int64_t hold_until;
    int64_t hold_ms; /* how long it was when it began */
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
    uint64_t token; /* slice from which its retry took one; 0: none */
};

struct reference_failure {
    uint32_t code; /* any number */
    const char *reason;
    bool overloaded;
    bool has_pushback;
    bool for_target; /* the pushback is for all retries of it */
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
    uint64_t exact_ms; /* source PUSHBACK or HEDGE */
    uint32_t backoff;  /* source BACKOFF: the how manieth */
    uint64_t last_ms;  /* and the one before */
    uint32_t left;     /* charged attempts */
    int64_t tokens;    /* -1: no throttle, or not asked */
    bool charged;      /* the throttle */
    int64_t left_over; /* of the budget; -1: none, or not asked */
    bool takes;        /* one of the budget */
    int64_t hold_ms;   /* it may not be earlier; 0: no hold */
    int64_t spread_ms; /* and mostly not later than this after that */
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
reference_succeed(struct reference_job *job, struct reference_target *target);

/* Decides what follows a failure that was counted; charges the throttle. */
struct reference_answer
reference_decide(const struct reference_policy *policy,
                 struct reference_target *target,
                 const struct reference_job *job,
                 const struct reference_failure *failure, int64_t now_ms);

/* Tokens there are now; -1: no throttle. */
int64_t
reference_tokens(const struct reference_target *target);

/* What is left in the budget now, in thousandths; -1: no budget. */
int64_t
reference_left(const struct reference_target *target, int64_t now_ms);

/* The slice of the budget's window that it is now, from 1. */
uint64_t
reference_slice(const struct reference_target *target, int64_t now_ms);

void
reference_enter(struct reference_target *target, uint64_t slice,
                int64_t amount);

/* A worker asked all retries of the target to wait. True: for longer. */
bool
reference_hold(struct reference_target *target,
               const struct reference_policy *policy,
               const struct reference_failure *failure, int64_t now_ms);

/* Over how long they come back. */
int64_t
reference_spread_ms(const struct reference_target *target);

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

/* The job goes on as was recorded. */
void
reference_went_on(struct reference_job *job,
                  const struct reference_answer *answer,
                  const struct decision *recorded);

/* The throttle as it is counts from here, under its present maximum. */
void
reference_settle_tokens(struct reference_target *target);

/*
 * Another configuration (the first group of fields): the throttle is as full
 * as the one before, the budget remembers what happened.
 */
void
reference_reload(struct reference_target *target,
                 const struct reference_target *wanted, int64_t now_ms);

#endif
