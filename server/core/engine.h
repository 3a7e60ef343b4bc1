/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The core: all of Redial's policy as one pure step.
 *
 * Inputs are values, outputs are values in an outbox that the caller owns. The
 * engine never blocks, allocates (after engine_init), reads a clock or logs,
 * and never sees payload bytes. It has two halves:
 *
 *     decide(input, now, rng, policy) -> records   submit.c report.c session.c
 *                                                  timers.c settle.c retry.c
 *     apply(record)                   -> state     apply.c
 *
 * Live code changes recorded state only through apply; recovery calls only
 * apply. What is not recorded (workers, credits, queues, timers) is derived
 * from recorded state or comes from peers that say it again.
 *
 * One thread only. `now` must not go backwards in `mono` (asserted).
 */
#ifndef REDIAL_SERVER_CORE_ENGINE_H
#define REDIAL_SERVER_CORE_ENGINE_H

#include "server/base/clock.h"
#include "server/base/rng.h"
#include "server/core/policy.h"
#include "server/core/record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct engine;

enum {
    ENGINE_MOVES_MAX = 1000, /* per step; the rest waits for the next */
    ENGINE_RECORDS_MAX = 5000,
    ENGINE_COMMANDS_MAX = 5000,
    ENGINE_RUNNING_MAX = 10, /* attempts of one job at once, ghosts apart */
};

#define ENGINE_NO_SLOT UINT32_MAX

/* Hard sizes; all memory is taken at init, pages only when first used. */
struct engine_limits {
    uint32_t jobs_max;     /* live jobs, 1,100,000 */
    uint32_t attempts_max; /* running at once, abandoned ones included */
    uint32_t workers_max;
    uint32_t methods_max;
    uint32_t tenants_max;
    uint32_t keys_max;
    uint32_t attempts_limit;    /* operator's maxAttemptsLimit, 10 */
    uint64_t payload_bytes_max; /* of all live jobs together, 4 GiB */
    uint64_t lease_ms;          /* 10,000 */
    uint64_t adopt_ms;          /* 10,000 */
    uint64_t silence_ms;        /* 6,000: then nothing new is assigned */
    uint64_t grace_ms;          /* 2,000: gateway acts after the worker */
};

/* ---- Inputs ------------------------------------------------------------ */

struct engine_submit {
    struct job_id id;
    struct text key;
    struct text correlation; /* empty: the id */
    struct text tenant;
    struct text service;
    struct text method;
    struct text traceparent;
    uint32_t priority; /* 0..9 */
    enum idempotency idempotency;
    uint64_t not_before_ms;
    uint64_t deadline_ms;
    uint64_t queue_ttl_ms;
    uint32_t max_attempts;       /* 0: the policy's */
    uint64_t attempt_timeout_ms; /* 0: the policy's */
    uint64_t payload_bytes;
    uint8_t key_hash[16];     /* keyed hash of tenant and key; 0: no key */
    uint8_t content_hash[16]; /* service, method, payload, content type */
};

struct engine_slots {
    struct text service;
    struct text method; /* empty: every method of the service */
    uint32_t count;     /* Hello: concurrency; Poll: free */
};

struct engine_token {
    struct job_id job;
    uint32_t attempt;
    uint64_t fence;
};

struct engine_hello {
    struct text name;
    struct text instance; /* this incarnation */
    const struct engine_slots *methods;
    size_t method_count;
    uint32_t concurrency; /* in total */
    const struct engine_token *in_hand;
    size_t in_hand_count;
};

struct engine_poll {
    uint64_t worker; /* id from Hello */
    uint32_t free_total;
    const struct engine_slots *credits;
    size_t credit_count;
    const struct engine_token *acks;
    size_t ack_count;
};

enum report_kind {
    REPORT_OUTCOME = 0,
    REPORT_NOT_STARTED = 1,
    REPORT_PROGRESS = 2, /* also a heartbeat for this attempt */
};

struct engine_report {
    uint64_t worker;
    struct engine_token token;
    enum report_kind kind;
    enum redial_status code;
    struct text reason;
    struct text text;
    bool has_pushback;
    int64_t pushback_ms; /* < 0: stop */
    bool for_target;     /* the pushback holds all retries of the target */
    bool overloaded;
    uint64_t result_bytes;
};

enum engine_gone {
    ENGINE_GONE_DROPPED = 0, /* connection lost: may come back */
    ENGINE_GONE_DEAD = 1,    /* reaped: lost at once */
    ENGINE_GONE_GOODBYE = 2, /* left on its own; in hand: never started */
};

enum engine_breaker_act {
    ENGINE_BREAKER_OPEN,  /* `holder` holds it open, until it is over */
    ENGINE_BREAKER_CLOSE, /* `holder` lets go; others may still hold it */
    ENGINE_BREAKER_RESET, /* as if it had never been open; holders stay */
};

struct engine_breaker {
    struct text target;
    enum engine_breaker_act act;
    struct text holder; /* OPEN, CLOSE: 1 to 128 bytes */
    struct text reason; /* OPEN: for people */
    uint64_t expiry_ms; /* OPEN: from now; 0: until it is closed */
};

enum engine_input_type {
    ENGINE_SUBMIT,
    ENGINE_CANCEL,
    ENGINE_HELLO,
    ENGINE_POLL,
    ENGINE_REPORT,
    ENGINE_HEARTBEAT, /* the worker lives; renews its acked leases */
    ENGINE_WORKER_GONE,
    ENGINE_UNSENT,  /* an assignment was not handed to the stream */
    ENGINE_POLICY,  /* a new set; the old one may be freed after */
    ENGINE_BREAKER, /* an operator acts on a target's breaker */
    ENGINE_GATEWAY, /* note a gateway.* event */
    ENGINE_DRAIN,   /* accept nothing, start nothing */
    ENGINE_TICK,    /* what is due */
};

struct engine_input {
    enum engine_input_type type;
    union {
        struct engine_submit submit;
        struct {
            struct job_id id;
            struct text reason;
        } cancel;
        struct engine_hello hello;
        struct engine_poll poll;
        struct engine_report report;
        uint64_t heartbeat; /* worker id */
        struct {
            uint64_t worker; /* 0: known by `name` only */
            enum engine_gone how;
            struct text name; /* "name/instance" of a dead one that may have
                                 dropped its connection before */
        } gone;
        struct engine_token unsent;
        const struct policy_set *policy;
        struct engine_breaker breaker;
        struct {
            enum event_type type;
            struct text text;
        } gateway;
    };
};

/* ---- Outputs ----------------------------------------------------------- */

enum engine_command_type {
    COMMAND_ASSIGN,  /* hand this attempt to the worker */
    COMMAND_STOP,    /* tell the worker to give this attempt up */
    COMMAND_RELEASE, /* the slot is free: drop what is kept for it */
    COMMAND_FORGET,  /* the worker's id is void: drop what is kept for it */
};

struct engine_command {
    enum engine_command_type type;
    uint64_t worker;
    uint32_t slot;
    struct engine_token token;
    uint64_t timeout_ms;
    uint64_t remaining_ms; /* to the job's deadline; 0: none */
    uint32_t charged_before;
};

/* What the input itself came to. */
struct engine_result {
    enum redial_status status;
    const char *reason;  /* word for programs, static; NULL with OK */
    const char *message; /* sentence, until the next step; NULL with OK */
    uint64_t retry_after_ms;
    struct job_id job; /* submit, cancel: which one it is */
    uint32_t slot;     /* ENGINE_NO_SLOT when it is not live */
    int state;         /* enum job_state */
    bool deduplicated;
    bool changed;    /* cancel: it was not final before */
    uint64_t worker; /* hello */
};

/*
 * Texts in records and commands are valid until the next engine_step() on the
 * same outbox, or as long as the input's own texts.
 */
struct engine_outbox {
    size_t record_count;
    size_t command_count;
    struct engine_result result;
    struct record *records;          /* ENGINE_RECORDS_MAX */
    struct engine_command *commands; /* ENGINE_COMMANDS_MAX */
    char *texts;                     /* owned; for texts copied out of state */
    size_t text_bytes;
    size_t text_bytes_max;
};

/* Takes memory; returns false when there is none. */
bool
engine_outbox_init(struct engine_outbox *outbox);

void
engine_outbox_fini(struct engine_outbox *outbox);

/* ---- Life -------------------------------------------------------------- */

/* Bytes that engine_init() needs for these limits, zeroed, 64-aligned. */
size_t
engine_size(const struct engine_limits *limits);

/*
 * Slots of jobs are below this. While recovery loads and replays they may be
 * above jobs_max; engine_recover() moves such jobs below it.
 */
uint32_t
engine_slots_max(const struct engine_limits *limits);

/*
 * Builds an empty engine in `memory` (zeroed by the caller, who owns it and
 * frees it; there is no fini). `policy` must outlive the engine or be replaced
 * by ENGINE_POLICY. `now` is the start of time.
 */
struct engine *
engine_init(void *memory, const struct engine_limits *limits,
            const struct policy_set *policy, uint64_t seed, struct now now);

/*
 * Feeds one input. Always succeeds in the sense of the program: what the input
 * came to is in out->result, and a refused input changes nothing. The outbox is
 * emptied first. At most ENGINE_MOVES_MAX jobs move; when more is due,
 * engine_next_wake() says now.
 */
void
engine_step(struct engine *engine, struct now now,
            const struct engine_input *input, struct engine_outbox *out);

/* When to step again with ENGINE_TICK; MONO_NEVER when nothing waits. */
struct mono
engine_next_wake(const struct engine *engine);

/* ---- Recovery: load*, apply*, then one recover ------------------------- */

/*
 * Restores one live job as engine_export_job() wrote it. False: damaged bytes
 * or no room. `seq` of the row is inside the bytes.
 */
bool
engine_load_job(struct engine *engine, const uint8_t *bytes, size_t len);

/* Restores one key of a finished job (live jobs carry theirs). */
bool
engine_load_key(struct engine *engine, const uint8_t key_hash[16],
                const uint8_t content_hash[16], struct job_id job);

/* Drops a key whose job is not kept any more. Unknown: no effect. */
void
engine_forget_key(struct engine *engine, const uint8_t key_hash[16],
                  struct job_id job);

/*
 * Replays one record of the log, in order of seq. A record that the job's
 * loaded row already reflects changes nothing. False: it cannot follow the
 * state (a damaged log); the engine must then not be used.
 */
bool
engine_apply(struct engine *engine, const struct record *record);

/*
 * Ends recovery: decides from the present. Times are restored by
 * remaining = clamp(stored - now, 0, original), queues and timers are built,
 * running attempts wait adopt_ms for their workers. May emit records. With no
 * jobs loaded it only records the start. `next_seq` is the first unused seq.
 *
 * A wall clock behind the newest record means that no time has passed. Where
 * that record was not applied, because rows reflect it already, only the
 * caller's store knows it: `now.wall` must then be no earlier.
 *
 * Slots may change here and are below jobs_max from then on. More live jobs
 * than jobs_max are asserted against: who lowers that limit must look first
 * (engine_stats()).
 */
void
engine_recover(struct engine *engine, struct now now, uint64_t next_seq,
               struct engine_outbox *out);

/* ---- Views ------------------------------------------------------------- */

enum job_state {
#define JOB_STATE(name, number, final, waits_for) JOB_##name = number,
#include "server/core/job.def"
#undef JOB_STATE
};

const char *
job_state_name(enum job_state state);

bool
job_state_is_final(enum job_state state);

/* One of the attempts of a job that run at once. */
struct engine_running {
    uint32_t number;
    uint64_t fence;
    int64_t started_wall_ms;
    struct text worker;
};

/* One live job (or a final one whose attempt still holds its worker). */
struct job_view {
    struct job_id id;
    uint32_t slot;
    enum job_state state; /* recorded */
    enum job_state shown; /* READY or PARKED when it waits, see job.def */
    uint64_t seq;         /* of its last record */
    uint64_t job_seq;
    struct text correlation; /* empty: the id */
    struct text key;
    struct text tenant;
    struct text service;
    struct text method;
    struct text target; /* whose breaker it waits for, where it is PARKED */
    uint32_t priority;
    enum idempotency idempotency;
    int64_t accepted_wall_ms;
    int64_t state_wall_ms;
    int64_t until_wall_ms;    /* next try, hedge or not before, or when its
                                 target's breaker reopens; 0: none, unknown */
    int64_t deadline_wall_ms; /* 0: none */
    uint32_t attempts_charged;
    uint32_t attempts_free;
    uint32_t attempt;      /* number of the last one */
    uint32_t max_attempts; /* in force now */
    uint64_t payload_bytes;
    enum redial_status last_code; /* of the last failure, if attempt > 0 */
    struct text last_reason;
    struct text last_text;    /* may be cut; whole in its record */
    uint64_t fence;           /* RUNNING: of the newest attempt that runs */
    struct text worker;       /* RUNNING: whose that is */
    struct decision decision; /* the last one */
    uint32_t running_count;   /* RUNNING: at least 1; more while hedged */
    struct engine_running running[ENGINE_RUNNING_MAX]; /* oldest first */
};

/* Texts in views are copied into `scratch` (at least ENGINE_VIEW_BYTES). */
enum { ENGINE_VIEW_BYTES = 5120 };

/* ENGINE_NO_SLOT when no live job has this id. */
uint32_t
engine_find(const struct engine *engine, struct job_id id);

/* True, with the id (live or finished), when the key is known. */
bool
engine_find_key(const struct engine *engine, const uint8_t key_hash[16],
                struct job_id *ret_id);

/* False when the slot holds no job. */
bool
engine_view(const struct engine *engine, uint32_t slot, char *scratch,
            struct job_view *ret_view);

/* The recorded state; JOB_NONE when the slot holds no job. */
enum job_state
engine_state(const struct engine *engine, uint32_t slot);

/*
 * Walks the live jobs with this correlation id (which may be a job's own id):
 * start with ENGINE_NO_SLOT; returns ENGINE_NO_SLOT at the end.
 */
uint32_t
engine_next_correlated(const struct engine *engine, struct text correlation,
                       uint32_t after);

/* Walks all live jobs in slot order; start with ENGINE_NO_SLOT. */
uint32_t
engine_next_job(const struct engine *engine, uint32_t after);

/*
 * The projected row of a live job: its recorded state as of now. Returns the
 * length, at most ENGINE_EXPORT_MAX.
 */
enum { ENGINE_EXPORT_MAX = 5120 };

size_t
engine_export_job(const struct engine *engine, uint32_t slot, uint8_t *buf);

/*
 * A hash over all recorded state, in no particular order of jobs: equal for a
 * live engine and for one rebuilt by apply from the same log.
 */
uint64_t
engine_state_hash(const struct engine *engine);

/* ---- Targets ----------------------------------------------------------- */

/*
 * The projected row of a target, as that of a job. Records name the target that
 * they change by record.target_index; a row is due when that is set. The row
 * holds the seq that it reflects. 0: there is nothing to remember, and a row of
 * it goes. A place may later be another target's: when the name at the index
 * (engine_target_stats()) is not the record's any more, the row of the record's
 * target goes too.
 */
enum { ENGINE_TARGET_EXPORT_MAX = 3072 };

size_t
engine_export_target(const struct engine *engine, uint32_t index, uint8_t *buf);

/*
 * Restores one target, before any record. Of two rows with one name the newer
 * one counts. False: damaged, or no room.
 */
bool
engine_load_target(struct engine *engine, const uint8_t *bytes, size_t len);

/*
 * Whether the record changes a target, by name: for records of the log, which
 * have no target_index.
 */
bool
engine_changes_target(const struct record *record, struct text *ret_name);

/* The index of the target of this name; ENGINE_NO_SLOT: there is none. */
uint32_t
engine_find_target(const struct engine *engine, struct text name);

struct engine_target_stats {
    struct text name; /* valid until the next step */
    bool has_throttle;
    bool throttle_exhausted; /* no retry until tokens come back */
    int64_t tokens_milli;
    int64_t tokens_max_milli;
    bool has_budget;
    bool budget_exhausted;
    int64_t budget_milli;     /* retries that it would let through now */
    uint64_t retries_waiting; /* in BACKOFF */
    uint64_t retries_allowed; /* since start */
    uint64_t retries_refused; /* since start, by throttle or budget */
    uint64_t hold_ms;         /* a pushback holds its retries; 0: none */
};

/* False when index is past the last target. Those never used are skipped. */
bool
engine_target_stats(const struct engine *engine, struct now now, uint32_t index,
                    struct engine_target_stats *ret_stats);

/* What the waiting jobs of a method or tenant wait for, as a whole. */
enum engine_waits_for {
    ENGINE_WAITS_FOR_NOTHING = 0, /* none waits */
    ENGINE_WAITS_FOR_TURN,        /* others are served first */
    ENGINE_WAITS_FOR_PLACE,       /* its concurrency is used up */
    ENGINE_WAITS_FOR_TOKEN,       /* its rate is used up */
    ENGINE_WAITS_FOR_TENANT,      /* limits of its tenants are used up */
    ENGINE_WAITS_FOR_WORKER,      /* none has credit for it */
    ENGINE_WAITS_FOR_BREAKER,     /* its target's lets nothing more through */
    ENGINE_WAITS_FOR_DRAIN,       /* this gateway starts nothing any more */
};

/* "place", "token"; "" for nothing. */
const char *
engine_waits_for_name(enum engine_waits_for waits_for);

/* Limits in force and what is used of them. 0 as a limit: unlimited. */
struct engine_limit_stats {
    uint32_t concurrency;
    uint32_t rate;
    uint32_t rate_period_ms;
    uint32_t burst;
    uint32_t tokens; /* 0 without a rate */
    uint32_t queue;
    uint64_t refused; /* submits, since start, by the queue limit */
};

/* ---- Breakers ---------------------------------------------------------- */

enum { ENGINE_HOLDERS_MAX = 8 }; /* of one target */

struct engine_holder {
    struct text name;
    struct text reason;
    int64_t since_wall_ms;
    int64_t until_wall_ms; /* 0: no expiry */
};

/* What would be needed to say why, and what would change it, and when. */
struct engine_breaker_stats {
    struct text target; /* empty: an instance's */
    struct text worker; /* of an instance's breaker: "name/instance" */
    bool has_breaker;   /* false: no policy gives it one */
    enum breaker_state state;
    enum breaker_cause cause; /* of its last move */
    bool forced;
    uint64_t epoch;
    uint32_t step;
    int64_t since_wall_ms;
    int64_t until_ms; /* from now; -1: time alone changes nothing */
    uint32_t calls;   /* in the window */
    uint32_t failed;
    uint32_t slow;
    uint32_t in_a_row;
    uint32_t in_flight;
    uint32_t in_flight_max; /* RAMP: now; else 0 */
    uint32_t probes_out;
    uint32_t probes_good;
    bool waits_for_probe; /* HALF_OPEN, and no job is fit to be one */
    uint64_t waiting;     /* jobs behind it */
    uint64_t late;        /* results of earlier epochs since start */
    uint64_t rejected;    /* since start */
    uint32_t holder_count;
    struct engine_holder holders[ENGINE_HOLDERS_MAX];
    const struct breaker_policy *policy; /* in force; NULL without */
};

/*
 * The breaker of the target at `index`, or of the connected worker at `index`.
 * False past the last one. Texts are valid until the next step.
 */
bool
engine_breaker_stats(const struct engine *engine, struct now now,
                     uint32_t index, struct engine_breaker_stats *ret_stats);

bool
engine_instance_stats(const struct engine *engine, struct now now,
                      uint32_t index, struct engine_breaker_stats *ret_stats);

struct engine_method_stats {
    struct text service;
    struct text method;
    uint64_t ready;
    uint64_t running;
    uint64_t oldest_ready_ms; /* 0: none waits */
    uint32_t workers;
    uint32_t concurrency; /* 0: unlimited; as in `limits` */
    struct engine_limit_stats limits;
    enum engine_waits_for waits_for;
};

struct engine_tenant_stats {
    struct text tenant; /* may be empty: jobs that name none */
    uint64_t ready;
    uint64_t running;
    uint32_t weight;
    struct engine_limit_stats limits;
    enum engine_waits_for waits_for; /* TOKEN, PLACE; else TURN */
};

enum engine_refusal {
#define REFUSAL(name, sentence) ENGINE_REFUSED_##name,
#include "server/core/refusal.def"
#undef REFUSAL
    ENGINE_REFUSAL_COUNT,
};

/* "QUEUE_FULL": the reason of the answer. */
const char *
engine_refusal_name(enum engine_refusal refusal);

struct engine_stats {
    uint64_t jobs[16]; /* live ones by shown state, enum job_state */
    uint64_t payload_bytes;
    uint64_t oldest_ready_ms;
    uint32_t workers;
    uint32_t keys;
    uint32_t methods;
    uint64_t next_seq;
    uint64_t rules[32];      /* decisions by enum rule since start */
    uint64_t hedges_started; /* attempts beside others; lost: HEDGE_LOST */
    uint64_t late_reports;
    uint64_t duplicate_submits;
    uint64_t refused_submits;
    uint64_t refusals[ENGINE_REFUSAL_COUNT]; /* the same by reason */
};

/* Exact; O(methods + targets). */
void
engine_stats(const struct engine *engine, struct now now,
             struct engine_stats *ret_stats);

/* False when index is past the last method. */
bool
engine_method_stats(const struct engine *engine, struct now now, uint32_t index,
                    struct engine_method_stats *ret_stats);

/* The same for tenants. Those never used since start are not listed. */
bool
engine_tenant_stats(const struct engine *engine, struct now now, uint32_t index,
                    struct engine_tenant_stats *ret_stats);

#endif
