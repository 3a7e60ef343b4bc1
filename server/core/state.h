/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the engine consists of; private to server/core.
 *
 * Each structure that holds recorded state says so. Recorded state is written
 * by apply.c and export.c alone. All else is volatile: it follows recorded
 * state (queues, timers), or peers say it again (workers, credits).
 *
 * Lifetimes: a job lives in its slot from JOB_ACCEPTED until it is final and no
 * attempt of it holds a worker. An attempt lives from ATTEMPT_STARTED until its
 * outcome is known, or, as a ghost, until its worker confirms its end or the
 * lease ends. A worker lives while it is connected or an attempt names it.
 */
#ifndef REDIAL_SERVER_CORE_STATE_H
#define REDIAL_SERVER_CORE_STATE_H

#include "server/base/check.h"
#include "server/base/chunk.h"
#include "server/base/heap.h"
#include "server/base/list.h"
#include "server/base/map.h"
#include "server/core/choice.h"
#include "server/core/engine.h"
#include "server/core/flow.h"
#include "server/core/limit.h"
#include "server/core/slab.h"
#include "server/core/target.h"
#include "server/core/text.h"

enum {
    PRIORITY_COUNT = 10,
    PRIORITY_DEFAULT = 5,
    NAME_BYTES_MAX = 128,   /* service, method, tenant, key, correlation */
    REASON_BYTES_MAX = 128, /* kept of a failure's reason */
    TEXT_BYTES_MAX = 240,   /* kept of a failure's text */
    WORKER_BYTES_MAX = 2 * NAME_BYTES_MAX + 1, /* name/instance */
    OFFERS_PER_WORKER_MAX = 256,
    TOKENS_MAX = 1000, /* in one Hello or Poll */
    RECENT_JOBS = 4096,
    RECENT_NAMES = 64,
};

/* About 300 years: sums of a few durations and a time of day do not overflow.
 */
#define DURATION_MS_MAX INT64_C(10000000000000)

struct method;
struct worker;
struct lane;
struct attempt;

/* struct decision as it is kept: the counts are those of the job. */
struct kept_decision {
    uint8_t rule;
    uint8_t delay_source;
    uint8_t clamp;
    uint32_t jitter_permille;
    uint32_t attempts_left;
    uint32_t policy_version;
    uint64_t backoff_ms;
    uint64_t delay_ms;
    int64_t tokens_milli;
    int64_t budget_milli;
    int64_t until_wall_ms;
};

struct job {
    /* ---- Recorded ---- */
    struct job_id id;
    uint8_t key_hash[16];
    uint8_t content_hash[16];
    uint64_t seq;     /* of its last record */
    uint64_t job_seq; /* of its last record */
    uint64_t fence;   /* of its last attempt; 0: none yet */
    int64_t accepted_wall_ms;
    int64_t state_wall_ms; /* when it came to its state */
    int64_t until_wall_ms; /* of SCHEDULED, BACKOFF, PARKED; next hedge */
    uint64_t not_before_ms;
    uint64_t deadline_ms;        /* 0: none */
    uint64_t queue_ttl_ms;       /* 0: none */
    uint64_t attempt_timeout_ms; /* 0: the policy's */
    uint64_t payload_bytes;
    uint64_t previous_delay_ms; /* of the last backoff since a pushback */
    uint64_t budget_slice; /* of the retry's token that it holds; 0: none */
    struct kept_decision decision;
    uint32_t max_attempts; /* 0: the policy's */
    uint32_t attempt;      /* number of the last one */
    uint32_t attempts_charged;
    uint32_t attempts_free;
    uint32_t free_streak; /* free attempts since the last charged one */
    uint32_t backoff_n;   /* backoffs since the last honoured pushback */
    uint32_t correlation; /* chunk texts */
    uint32_t key;
    uint32_t failure; /* reason, then text */
    uint8_t failure_reason_len;
    uint8_t failure_code; /* of the last failure that was charged */
    uint8_t state;        /* enum job_state */
    uint8_t priority;
    uint8_t idempotency;
    uint8_t kills;  /* workers that it killed, alone in their hands */
    uint8_t frozen; /* the rule that lets nothing follow; 0: none */
    bool suspect;   /* was there when a worker died: runs alone next */
    bool failed;    /* a failure is kept */

    /* ---- Volatile ---- */
    bool waiting;  /* in its lane or as a suspect: see job_shown() */
    bool settled;  /* the last attempt ended by a report */
    bool is_retry; /* stands among the retries of its lane */
    bool held;     /* out of its queue until its target's hold is over */
    bool invited;  /* a suspect for which a place of its tenant is kept */
    uint32_t slot;
    struct method *method; /* recorded by name */
    struct tenant *tenant; /* recorded by name */
    struct lane *lane;
    struct attempt *running; /* RUNNING: those that count, oldest first */
    struct attempt *ghosts;
    struct list queue;      /* FIFO of its lane, or suspects of its method */
    struct list age;        /* all waiting jobs of its method */
    struct list fit;        /* of its lane: it may be a probe */
    struct list correlated; /* bucket of correlation ids */
    struct heap_node timer;
    int64_t accepted_ms; /* mono */
    int64_t until_ms;    /* until_wall_ms as mono */
    int64_t waiting_since_ms;
    uint64_t last_worker; /* hash of whose attempt came to nothing; 0: none */
    uint64_t lost_fence;  /* lost, and not reported late so far; 0: none */
};

/* Why an attempt that still counts shall end; done a few at a time. */
enum attempt_end {
    ATTEMPT_GOES_ON = 0,
    ATTEMPT_NEVER_STARTED,
    ATTEMPT_WORKER_LOST, /* did not come back in time */
    ATTEMPT_WORKER_DEAD,
};

struct attempt {
    struct job *job;
    struct worker *worker;
    struct offer *offer; /* NULL while the worker offers no such method */
    uint64_t fence;
    uint64_t lease_ms;
    uint64_t timeout_ms;
    int64_t started_wall_ms;
    int64_t started_ms; /* mono */
    uint32_t number;
    bool acked;   /* the worker has it: its lease renews */
    bool counted; /* listed in a Poll: what that said was free is without it */
    bool ghost;   /* its job went on without it; it only holds its places */
    bool solo;    /* nothing else may run on the worker */
    bool listed;  /* in the Hello at hand */
    bool alone;   /* end WORKER_DEAD: nothing else was in hand */
    enum attempt_end end;
    struct breaker_permit permit; /* of its target, until it is settled */
    uint32_t target_index;        /* whose permit that is */
    uint32_t target_generation;
    bool slow; /* it ran for slow_ms, and that was noted */
    struct heap_node timer;
    struct list of_worker;
    struct list ending;   /* while `end` is set */
    struct attempt *next; /* of the running ones or the ghosts of its job */
};

/* That a worker serves one method, or all methods of a service. */
struct offer {
    struct worker *worker;
    struct service *service;
    struct method *method; /* NULL: every method of the service */
    uint32_t free;         /* as of the last Poll */
    uint32_t uncounted;    /* assigned since, not acknowledged in it */
    uint32_t in_hand;
    uint32_t concurrency; /* 0: no limit of its own */
    struct list of_worker;
    uint32_t load_class;     /* where it stands while it has credit */
    struct list with_credit; /* of its method or service */
    struct list serving;     /* of its method or service */
};

enum worker_state {
    WORKER_NONE = 0,
    WORKER_AWAITED, /* may come back until awaited_until_ms */
    WORKER_CONNECTED,
    WORKER_GONE, /* not coming back; its attempts are being ended */
};

struct worker {
    uint64_t id;     /* generation and index; changes with each Hello */
    uint8_t key[16]; /* hash of its name */
    enum worker_state state;
    bool silent; /* longer than silence_ms */
    bool on;     /* may get something new */
    bool solo;   /* runs a suspect alone */
    uint32_t concurrency;
    uint32_t free_total;
    uint32_t in_hand; /* attempts, ghosts included */
    uint32_t uncounted;
    uint32_t failures;   /* recent ones weigh in the choice */
    uint32_t load_class; /* by which its offers stand in lists of credit */
    int64_t heard_ms;    /* mono */
    int64_t awaited_until_ms;
    struct method *reserved_for; /* drains so that a suspect runs alone */
    struct list attempts;
    struct list offers;
    struct heap_node timer;
    uint32_t name_len;
    char name[WORKER_BYTES_MAX]; /* name/instance */
};

/* Where a method stands that waits for the breaker of its target. */
enum gate {
    GATE_NONE = 0,
    GATE_SHUT,  /* among its gated methods */
    GATE_UNFIT, /* the same, and no job of it may be a probe */
};

/* How readily a job is taken as a probe: as its agent said, idempotent. */
enum { FIT_YES, FIT_UNSET, FITS };

/* One tenant's jobs of one priority of one method. */
struct lane {
    struct method *method;
    struct tenant *tenant;
    uint32_t priority;
    int32_t deficit;   /* grants that it may still take in this round */
    bool blocked;      /* waits for its tenant, not for its turn */
    struct list first; /* jobs before their first attempt */
    struct list retries;
    struct list ring;       /* of its level, or blocked ones of its tenant */
    struct list retry_ring; /* of its level, while it has retries */
    struct list invited;    /* of its method: a place is kept for it */
    struct list fits[FITS]; /* its jobs that may be probes */
    struct list fit_ring[FITS]; /* of its method, while it has such */
};

struct level {
    struct list lanes;       /* with jobs, blocked ones apart */
    struct list retry_lanes; /* with retries, blocked ones apart */
    struct lane *spare;      /* emptied last; kept so as to be found quickly */
};

struct tenant {
    struct limit limit;
    struct flow flow; /* of its waiting jobs */
    uint32_t refs;
    uint32_t weight;
    uint32_t running;             /* attempts, ghosts included */
    uint32_t waiting;             /* jobs in lanes and suspects */
    uint32_t invited;             /* places kept for what came back */
    uint64_t refused;             /* submits, by its queue limit */
    struct list blocked;          /* lanes */
    struct list blocked_suspects; /* jobs */
    struct list with_room;        /* of the engine: and something blocked */
    struct heap_node timer;       /* of its next token */
    struct list unused;
    uint32_t name_len;
    char name[NAME_BYTES_MAX];
};

struct service {
    uint32_t refs;    /* methods and offers */
    uint32_t workers; /* connected ones that serve all of it */
    struct list unused;
    struct list methods; /* all that are known */
    struct list serving;
    struct credit credit;
    struct list starved; /* methods that found no credit */
    uint32_t name_len;
    char name[NAME_BYTES_MAX];
};

struct method {
    struct service *service;
    const struct method_policy *policy;
    struct target *target;
    struct limit limit;
    struct flow flow; /* of its waiting jobs */
    uint32_t refs;    /* live jobs and offers */
    uint32_t index;
    uint32_t workers;     /* connected ones that serve just it */
    uint32_t waiting;     /* jobs in lanes and suspects */
    uint32_t hedging;     /* of those: RUNNING, for one attempt more */
    uint32_t backoff;     /* jobs in that state */
    uint32_t parked;      /* jobs in that state */
    uint32_t running;     /* attempts, ghosts included */
    uint32_t since_retry; /* grants while a retry waited */
    uint32_t since_lower; /* grants while a lower priority waited */
    uint32_t lower_next;  /* whose turn it is among lower priorities */
    uint32_t level_mask;  /* bit p: priority p has lanes in turn */
    uint32_t retry_mask;
    uint32_t invited_suspects;
    uint64_t refused; /* submits, by its queue limit */
    bool starved;
    uint8_t gate;            /* enum gate: in a list of its target */
    struct worker *reserved; /* being drained for a suspect */
    struct list of_service;
    struct list unused;
    struct list serving;
    struct credit credit;
    struct list ages;       /* all waiting jobs, oldest first */
    struct list suspects;   /* waiting to run alone */
    struct list invited;    /* lanes for which their tenants keep a place */
    struct heap_node timer; /* of its next token, while that is all it lacks */
    struct list fit_lanes[FITS]; /* in turn, with jobs that may be probes */
    struct list ring;            /* of eligible methods, starved, or gated */
    struct list hopeless; /* of methods whose jobs fail for want of workers */
    struct level levels[PRIORITY_COUNT];
    uint32_t name_len;
    char name[NAME_BYTES_MAX];
};

struct key_entry {
    uint8_t content_hash[16];
    struct job_id job;
};

struct engine {
    struct engine_limits limits;
    const struct policy_set *policy;
    struct rng rng;
    struct hash_key hash_key;
    struct now now;                     /* of the step at hand */
    struct engine_outbox *out;          /* of the step at hand */
    const struct engine_report *report; /* the one at hand, or NULL */
    uint32_t moves;                     /* in the step at hand */
    bool more;                          /* the step left work behind */
    bool draining;
    int64_t patience_until_ms; /* after recovery: workers are on their way */
    int64_t forgot_ms;         /* names not known now had no token before it */

    uint64_t next_seq;    /* recorded */
    int64_t last_wall_ms; /* of the last record applied */
    uint64_t payload_bytes;

    struct slab jobs;
    struct slab attempts;
    struct slab workers;
    struct slab offers;
    struct slab lanes;
    struct slab tenants;
    struct slab services;
    struct slab methods;
    struct slab targets;
    struct slab keys;
    struct map jobs_by_id;
    struct map workers_by_name;
    struct map lanes_by_key;
    struct map tenants_by_name;
    struct map services_by_name;
    struct map methods_by_name;
    struct map targets_by_name;
    struct map keys_by_hash; /* recorded */
    struct chunk_pool texts;
    struct list *correlations; /* buckets, zero until used */
    uint32_t correlation_buckets;

    /* What was found last, to be looked at before a map is asked. */
    uint32_t recent_jobs[RECENT_JOBS];
    struct method *recent_methods[RECENT_NAMES];
    struct tenant *recent_tenants[RECENT_NAMES];

    struct heap job_timers;
    struct heap attempt_timers;
    struct heap worker_timers;
    struct heap target_timers;
    struct heap gate_timers; /* of breakers */
    struct heap method_timers;
    struct heap tenant_timers;

    struct list ring; /* methods that can start something, in turn */
    struct list tenants_with_room; /* and with blocked lanes, in turn */
    struct list open_gates; /* targets that admit, and have gated methods */
    struct list unparking;  /* targets whose parked jobs are let go */
    bool gate_turn;         /* of those before the ring */
    struct list hopeless;   /* methods with jobs and without workers */
    struct list ending;     /* attempts whose end is still to be decided */
    struct list unused_tenants;
    struct list unused_services;
    struct list unused_methods;
    struct list blank_targets;   /* that no method uses; nothing to remember */
    struct list kept_targets;    /* the same, with something to remember */
    struct list changed_targets; /* whose flips are to be looked at */
    uint32_t targets_kept;       /* in kept_targets */
    uint32_t targets_kept_max;
    uint32_t target_generation; /* of the newest target */
    uint32_t offers_with_credit;
    uint32_t reserved;  /* workers */
    uint32_t connected; /* workers */
    uint32_t methods_in_use;
    uint32_t services_in_use;
    uint32_t tenants_in_use;
    uint64_t generation; /* of worker ids */

    uint64_t shown[16]; /* jobs by shown state */
    struct flow flow;
    uint64_t rules[32];
    uint64_t hedges_started;
    uint64_t late_reports;
    uint64_t duplicate_submits;
    uint64_t refusals[ENGINE_REFUSAL_COUNT];
};

static inline struct text
method_text(const struct method *method)
{
    return (struct text){.at = method->name, .len = method->name_len};
}

static inline struct text
service_text(const struct service *service)
{
    return (struct text){.at = service->name, .len = service->name_len};
}

static inline struct text
tenant_text(const struct tenant *tenant)
{
    return (struct text){.at = tenant->name, .len = tenant->name_len};
}

static inline struct text
worker_text(const struct worker *worker)
{
    return (struct text){.at = worker->name, .len = worker->name_len};
}

/* READY when it stands in its queue, unless it waits for one attempt more. */
static inline enum job_state
job_counted(const struct job *job)
{
    return job->waiting && job->state != JOB_RUNNING
               ? JOB_READY
               : (enum job_state)job->state;
}

/* The same, but PARKED behind a target that lets nothing through. */
static inline enum job_state
job_shown(const struct job *job)
{
    enum job_state state = job_counted(job);

    return state == JOB_READY && job->waiting &&
                   target_parks(job->method->target)
               ? JOB_PARKED
               : state;
}

/* A failure let one more attempt follow, which has not started. */
static inline bool
job_has_retry_planned(const struct job *job)
{
    return job->until_wall_ms != 0 && job->decision.rule == RULE_RETRY_PLANNED;
}

/* A job of the method came to BACKOFF or left it. */
static inline void
method_count_backoff(struct method *method, bool came)
{
    method->backoff += came ? 1u : UINT32_MAX;
    method->target->retries_waiting += came ? 1u : UINT64_MAX;
}

/* The same for PARKED. */
static inline void
method_count_parked(struct method *method, bool came)
{
    method->parked += came ? 1u : UINT32_MAX;
    method->target->parked += came ? 1u : UINT64_MAX;
}

/* A duration as it is used: never so long that a sum overflows. */
static inline int64_t
duration_ms(uint64_t ms)
{
    return ms > (uint64_t)DURATION_MS_MAX ? DURATION_MS_MAX : (int64_t)ms;
}

/* True while this step may still decide something about another job. */
static inline bool
engine_has_budget(const struct engine *engine)
{
    /* What one job's move can at most put out: each hedge may be lost. */
    enum {
        RECORDS = 12 + ENGINE_RUNNING_MAX,
        COMMANDS = 8 + ENGINE_RUNNING_MAX,
        TEXT_BYTES = 8192 + ENGINE_RUNNING_MAX * 1024,
    };
    const struct engine_outbox *out = engine->out;

    return engine->moves < ENGINE_MOVES_MAX &&
           out->record_count + RECORDS <= ENGINE_RECORDS_MAX &&
           out->command_count + COMMANDS <= ENGINE_COMMANDS_MAX &&
           out->text_bytes + TEXT_BYTES <= out->text_bytes_max;
}

#endif
