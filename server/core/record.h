/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A record: one state change, which is at once one row of the log and one
 * event of the stream. decide makes records, apply turns them into state;
 * every number that a decision drew is in its record, so that apply reads no
 * clock, no random source and no configuration.
 *
 * Bytes: record_encode() and record_decode() define the stored form, which is
 * versioned (RECORD_FORMAT) and independent of word size and byte order. A
 * record may carry one attachment, which the core never sees: the payload (on
 * JOB_ACCEPTED) or the result (on JOB_SUCCEEDED and JOB_FAILED). The attachment
 * stands behind the fields.
 */
#ifndef REDIAL_SERVER_CORE_RECORD_H
#define REDIAL_SERVER_CORE_RECORD_H

#include <redial/status.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    RECORD_FORMAT = 2,
    RECORD_FORMAT_OLDEST = 1, /* that is still read: without bits 43 to 53 */
};

/* 16 bytes of a UUIDv7, big-endian, so that memcmp orders by time. */
struct job_id {
    uint8_t bytes[16];
};

/* Bytes that somebody else owns; not terminated. */
struct text {
    const char *at;
    uint32_t len;
};

enum event_type {
#define EVENT(name, number, string, about_job) EVENT_##name = number,
#include "server/core/event.def"
#undef EVENT
};

enum rule {
#define RULE(name, number, sentence) RULE_##name = number,
#include "server/core/rule.def"
#undef RULE
};

enum delay_source {
    DELAY_NONE = 0,
    DELAY_BACKOFF = 1,
    DELAY_PUSHBACK = 2,
    DELAY_BREAKER = 3,
    DELAY_NOT_BEFORE = 4,
    DELAY_HEDGE = 5,           /* hedgingDelay */
    DELAY_TARGET_PUSHBACK = 6, /* a worker's, for all retries of the target */
};

enum clamp {
    CLAMP_NONE = 0,
    CLAMP_MAX_BACKOFF = 1,
    CLAMP_MAX_PUSHBACK = 2,
    CLAMP_ATTEMPTS_LIMIT = 3,
};

enum idempotency {
    IDEMPOTENCY_UNSET = 0,
    IDEMPOTENCY_YES = 1,
    IDEMPOTENCY_NO = 2,
};

enum attachment {
    ATTACHMENT_NONE = 0,
    ATTACHMENT_PAYLOAD = 1, /* the current submit's payload and metadata */
    ATTACHMENT_RESULT = 2,  /* the current report's result */
};

struct decision {
    enum rule rule;
    enum delay_source delay_source;
    enum clamp clamp;
    uint32_t jitter_permille; /* factor drawn, 1000 = 1.0; 0: none drawn */
    uint64_t backoff_ms;      /* before jitter */
    uint64_t delay_ms;        /* after jitter or from pushback */
    uint32_t attempts_charged;
    uint32_t attempts_free;
    uint32_t attempts_left;
    int64_t tokens_milli;     /* left in the throttle; -1: no throttle */
    int64_t tokens_max_milli; /* of that throttle; 0: this changes none */
    int64_t budget_milli;     /* retries left in the budget; -1: no budget */
    int64_t until_wall_ms;    /* next try; 0: none */
    uint32_t policy_version;
};

/*
 * What a BREAKER_* record says beside its target (or its worker, where the
 * breaker is an instance's): the move with all that it was decided on. The
 * culprit is in code, reason, worker, attempt and text.
 */
struct breaker_note {
    uint64_t epoch; /* after it; 0: this is no record of a breaker */
    uint32_t state; /* enum breaker_state, after it */
    uint32_t cause; /* enum breaker_cause */
    uint32_t step;
    uint32_t forced; /* 1: operators hold it open */
    uint32_t load;
    uint64_t open_ms;
    uint32_t jitter_permille;
    uint32_t calls; /* in the window */
    uint32_t failed;
    uint32_t slow;
    uint32_t in_a_row;
    uint64_t waiting; /* jobs behind it */
};

/* Fields that a type does not use are zero and take no room in the log. */
struct record {
    enum event_type type;
    uint64_t seq;      /* total order in this log, from 1, gap-free */
    uint64_t prev_seq; /* of the same job's previous record; 0: first */
    uint64_t job_seq;  /* from 1, gap-free per job; 0: not about a job */
    int64_t wall_ms;
    uint64_t since_accepted_ms;
    struct job_id job;
    uint32_t slot; /* live slot of the job; not stored */

    struct text correlation; /* empty: equals the job id */
    struct text tenant;      /* empty: the default tenant */
    struct text service;
    struct text method;
    struct text key;    /* JOB_ACCEPTED and final records only */
    struct text worker; /* name/instance */
    struct text reason;
    struct text text;
    struct text traceparent; /* JOB_ACCEPTED only */

    uint32_t attempt;
    uint64_t fence; /* the seq of the attempt's ATTEMPT_STARTED */
    enum redial_status code;
    bool charged;
    bool final_lost; /* ATTEMPT_LOST: the worker is gone, not just silent */
    struct decision decision;

    /* JOB_ACCEPTED */
    uint32_t priority;
    enum idempotency idempotency;
    uint64_t not_before_ms;
    uint64_t deadline_ms;
    uint64_t queue_ttl_ms;
    uint32_t max_attempts;
    uint64_t attempt_timeout_ms;
    uint8_t key_hash[16];     /* all zero: no key */
    uint8_t content_hash[16]; /* all zero: no key */
    uint64_t payload_bytes;

    /* ATTEMPT_STARTED */
    uint64_t lease_ms;
    uint64_t timeout_ms;

    /* ATTEMPT_STARTED */
    bool hedge; /* beside others that run */

    /* ATTEMPT_FAILED: what the worker asked for */
    bool has_pushback;
    bool for_target;     /* the pushback is meant for all retries of it */
    bool overloaded;     /* a retry would do harm */
    int64_t pushback_ms; /* < 0: stop */

    /*
     * Records that change a target: which one (empty: the service), and how
     * beside decision.tokens_milli. A slice is a fraction of the budget's
     * window, counted since ever by the engine.
     */
    struct text target;
    uint64_t budget_slice;      /* 0: the budget does not change */
    int64_t budget_delta_milli; /* > 0: a deposit; < 0: a retry */
    int64_t hold_until_wall_ms; /* of its retries; 0: as before */
    struct breaker_note breaker;
    struct text holder;    /* BREAKER_FORCED, _RELEASED: who */
    uint32_t target_index; /* not stored; ENGINE_NO_SLOT: none changed */

    enum attachment attachment; /* which one the caller shall add */
    struct text attached;       /* record_decode(): where it is */
};

/* "job.accepted"; never NULL for a member of the enum. */
const char *
event_type_name(enum event_type type);

/* Returns false when no type has this name; *ret_type is then untouched. */
bool
event_type_from_name(struct text name, enum event_type *ret_type);

bool
event_type_is_about_job(enum event_type type);

const char *
rule_name(enum rule rule);

const char *
rule_sentence(enum rule rule);

const char *
delay_source_name(enum delay_source source);

const char *
clamp_name(enum clamp clamp);

/*
 * An upper bound, in bytes, of the encoded fields of `record` followed by an
 * attachment of `attached_bytes`.
 */
size_t
record_encoded_max(const struct record *record, size_t attached_bytes);

/*
 * Writes the stored form into `buf` (of at least record_encoded_max() bytes)
 * and returns its length. `attached` may be empty; it is copied behind the
 * fields.
 */
size_t
record_encode(const struct record *record, struct text attached, uint8_t *buf);

/*
 * Reads one stored record. Texts point into `buf`. Returns false, with
 * *ret_record untouched, when the bytes are damaged, of a newer format, or hold
 * a value outside its enum: any bytes at all may be given.
 */
bool
record_decode(const uint8_t *buf, size_t len, struct record *ret_record);

#endif
