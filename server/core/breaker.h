/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The breaker machine: one of the two state machines of the core, the same for
 * a target (nothing is dispatched) and for an instance of a worker (others are
 * chosen). Pure: time and chance come in, a move comes out.
 *
 *     CLOSED --bad results--> OPEN --time--> HALF_OPEN --good probes--> RAMP
 *        ^                     ^                 |                       |
 *        |                     +---bad probe-----+                       |
 *        +--------------------------time---------------------------------+
 *
 * Split as the whole core is. What must survive a restart changes by moves
 * alone: breaker_decide_*() look and say which move is due, the caller records
 * it, breaker_apply() makes it. The window, the trial and the permits that are
 * out are volatile: they say nothing about a process that is gone, and after a
 * restart the epoch is new, so that answers to old permits are late.
 *
 * Each attempt holds one permit from before its start until its end and settles
 * it exactly once. Only probes decide in HALF_OPEN; only a bad result opens;
 * only the timer leads from OPEN to HALF_OPEN; RAMP reopens one step higher.
 *
 * Times are monotonic milliseconds of the engine. At most BREAKER_BYTES_MAX
 * bytes for one that is idle.
 */
#ifndef REDIAL_SERVER_CORE_BREAKER_H
#define REDIAL_SERVER_CORE_BREAKER_H

#include "server/base/rng.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    BREAKER_BUCKETS = 10,
    BREAKER_PROBES_MAX = 10, /* out at once */
    BREAKER_STEPS_MAX = 32,  /* of escalation */
    BREAKER_BYTES_MAX = 256,
};

/* What counts, and for how long it stays open. Zero switches a rule off. */
struct breaker_policy {
    uint32_t window_ms;        /* of the rates: 30,000 */
    uint32_t calls_min;        /* in the window before a rate says anything */
    uint32_t failure_permille; /* opens at this rate: 500 */
    uint32_t slow_permille;    /* opens at this rate: off */
    uint32_t slow_ms;          /* what takes longer is slow */
    uint32_t consecutive;      /* opens after this many failures in a row */
    uint32_t open_ms;          /* first time: 5,000 */
    uint32_t open_ms_max;      /* 300,000 */
    uint32_t multiplier_milli; /* from one time to the next: 2,000 */
    uint32_t jitter_permille;  /* added at most: 200 */
    uint32_t probes;           /* out at once: 1 */
    uint32_t probes_needed;    /* good ones: 3 */
    uint32_t probe_failures;   /* bad ones that are forgiven: 0 */
    uint32_t trial_ms;         /* from the first probe to a verdict: 60,000 */
    uint32_t ramp_ms;          /* 10,000; 0: closed at once */
    uint32_t ramp_permille;    /* of the load before, to begin with: 100 */
    uint32_t decay_ms;         /* healthy for so long: one step down: 30,000 */
    uint32_t hint_ms_max;      /* "stay away" of a worker; 0: not heeded */
    bool metrics_only;         /* decide and tell, but admit all */
    bool disabled;             /* admit all, count nothing */
};

enum breaker_state {
    BREAKER_CLOSED = 0,
    BREAKER_OPEN = 1,
    BREAKER_HALF_OPEN = 2,
    BREAKER_RAMP = 3,
};

/* Why it moved. Numbers are stored. */
#define BREAKER_CAUSES(X)                                     \
    X(NONE, 0, "")                                            \
    X(FAILURE_RATE, 1, "too many of the attempts failed")     \
    X(SLOW_RATE, 2, "too many of the attempts were slow")     \
    X(CONSECUTIVE, 3, "too many failures in a row")           \
    X(HINT, 4, "the worker said to stay away")                \
    X(TIME, 5, "it was open for long enough")                 \
    X(PROBES_GOOD, 6, "enough probes came back well")         \
    X(PROBE_BAD, 7, "a probe failed")                         \
    X(TRIAL_OVER, 8, "no verdict within the time of a trial") \
    X(RAMP_OVER, 9, "all went well while the load came back") \
    X(OPERATOR, 10, "an operator")                            \
    X(RESTART, 11, "the gateway was started again")

enum breaker_cause {
#define BREAKER_CAUSE(name, number, sentence) BREAKER_CAUSE_##name = number,
    BREAKER_CAUSES(BREAKER_CAUSE)
#undef BREAKER_CAUSE
};

const char *
breaker_cause_name(enum breaker_cause cause);

const char *
breaker_cause_sentence(enum breaker_cause cause);

const char *
breaker_state_name(enum breaker_state state);

struct breaker_bucket {
    uint32_t calls;
    uint32_t failed;
    uint32_t slow;
};

struct breaker {
    /* ---- Changed by breaker_apply() alone ---- */
    uint64_t epoch;
    int64_t since_ms;  /* when it came to its state */
    int64_t reopen_ms; /* OPEN: when probes may go */
    uint32_t load;     /* attempts at once before it opened, for the ramp */
    uint8_t state;     /* enum breaker_state */
    uint8_t step;      /* escalation when it came to its state */
    bool forced;       /* operators hold it open */

    /* ---- Volatile ---- */
    uint8_t probes_good;
    uint8_t probes_bad;
    uint8_t probes_out;
    uint8_t bucket;            /* the current one */
    uint32_t in_a_row;         /* failures */
    uint32_t in_flight;        /* permits that are out, of any kind */
    uint32_t most;             /* in flight at once, in this bucket */
    uint32_t most_before;      /* in the bucket before */
    uint32_t probe_next;       /* id */
    int64_t bucket_until_ms;   /* end of the current bucket; 0: no window yet */
    int64_t trial_until_ms;    /* 0: no probe was out yet */
    struct breaker_bucket sum; /* of all buckets */
    struct breaker_bucket buckets[BREAKER_BUCKETS];
    uint32_t probe_ids[BREAKER_PROBES_MAX]; /* out; 0: free */
};

_Static_assert(sizeof(struct breaker) <= BREAKER_BYTES_MAX,
               "a million idle ones fit into 256 MB");

/* A change of what is recorded. All numbers that it drew are in it. */
struct breaker_move {
    bool moves; /* false: nothing is due, all else is zero */
    enum breaker_state from;
    enum breaker_state to;
    enum breaker_cause cause;
    uint64_t epoch; /* after it */
    uint32_t step;  /* after it */
    bool forced;    /* after it */
    uint32_t load;
    uint64_t open_ms;          /* to OPEN: for how long, jitter included */
    uint32_t jitter_permille;  /* drawn */
    struct breaker_bucket sum; /* the window that it was decided on */
    uint32_t in_a_row;
};

/* What a function needs beside the breaker itself. */
struct breaker_moment {
    const struct breaker_policy *policy;
    struct rng *rng;
    int64_t now_ms;
};

/* ---- Permits ----------------------------------------------------------- */

enum breaker_kind {
    BREAKER_NO_PERMIT = 0,
    BREAKER_NORMAL = 1,
    BREAKER_PROBE = 2,
    BREAKER_RAMPED = 3,
};

/* A zeroed one is none. */
struct breaker_permit {
    uint64_t epoch;
    uint32_t probe; /* id, of probes */
    uint8_t kind;   /* enum breaker_kind */
    bool slow;      /* counted as slow while still in flight */
};

enum breaker_answer {
    BREAKER_ADMITS = 0,
    BREAKER_ADMITS_PROBE = 1, /* only a job that is fit to be one */
    BREAKER_REFUSES = 2,
};

/*
 * Whether an attempt may start now. Asking changes nothing. *ret_until_ms with
 * BREAKER_REFUSES: when it is worth asking again (INT64_MAX: when something
 * else happened: a probe ends, an attempt ends, an operator acts).
 */
enum breaker_answer
breaker_ask(const struct breaker *breaker, const struct breaker_policy *policy,
            int64_t now_ms, int64_t *ret_until_ms);

/*
 * Takes what breaker_ask() offered just before. The permit must be settled
 * exactly once; `permit` is zeroed then. The first probe of a trial starts its
 * time.
 */
struct breaker_permit
breaker_take(struct breaker *breaker, const struct breaker_policy *policy,
             int64_t now_ms);

enum breaker_class {
    BREAKER_SUCCESS,
    BREAKER_FAILURE,
    BREAKER_IGNORED, /* the target lives, but this says nothing of its rate */
    BREAKER_NEUTRAL, /* cancelled, never started, shed, overloaded */
};

struct breaker_result {
    enum breaker_class class;
    bool slow;        /* took longer than slow_ms */
    uint64_t hint_ms; /* the worker's "stay away"; 0: none */
};

/*
 * Settles a permit and says which move follows, if any: to be recorded and
 * applied at once. *ret_late: the permit is of an earlier epoch; nothing was
 * counted. A permit of kind BREAKER_NO_PERMIT is no error and does nothing.
 */
struct breaker_move
breaker_settle(struct breaker *breaker, const struct breaker_moment *moment,
               struct breaker_permit *permit,
               const struct breaker_result *result, bool *ret_late);

/* The attempt has run for slow_ms: counts as slow from now on. */
struct breaker_move
breaker_note_slow(struct breaker *breaker, const struct breaker_moment *moment,
                  struct breaker_permit *permit);

/* ---- Time and operators ------------------------------------------------ */

/* The next moment at which time alone matters; INT64_MAX: none. */
int64_t
breaker_next_ms(const struct breaker *breaker,
                const struct breaker_policy *policy);

/* What is due by time alone. One move at most; ask again until none is. */
struct breaker_move
breaker_due(const struct breaker *breaker, const struct breaker_moment *moment);

/* Holders came to be (true) or are all gone (false). */
struct breaker_move
breaker_force(const struct breaker *breaker, bool forced);

struct breaker_move
breaker_reset(const struct breaker *breaker);

/*
 * After a restart: OPEN keeps what is left of its time (`left_ms`, clamped by
 * the caller), HALF_OPEN is OPEN with nothing left, RAMP begins again. Always a
 * new epoch.
 */
struct breaker_move
breaker_restart(const struct breaker *breaker, uint64_t left_ms);

/* Makes a move. Reads no clock, chance or policy. */
void
breaker_apply(struct breaker *breaker, const struct breaker_move *move,
              int64_t now_ms);

/* How often it opened of late: each healthy decay_ms takes one away. */
uint32_t
breaker_step_now(const struct breaker *breaker,
                 const struct breaker_policy *policy, int64_t now_ms);

/* How many RAMP lets run at once by now; 0: as many as come, or not RAMP. */
uint32_t
breaker_limit(const struct breaker *breaker,
              const struct breaker_policy *policy, int64_t now_ms);

/* For how long it opens at this step, without jitter. */
uint64_t
breaker_open_ms(const struct breaker_policy *policy, uint32_t step);

/* Nothing to remember: it may be forgotten and made anew. */
bool
breaker_is_blank(const struct breaker *breaker,
                 const struct breaker_policy *policy, int64_t now_ms);

#endif
