/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The judge: an independent model of jobs, attempts and workers, built only
 * from what the gateway was told, what it recorded and what peers saw. It
 * shares no code with the engine; where the engine decides, the ledger works
 * out for itself what may be decided.
 *
 * ledger.c follows records and checks order, moves and ends; ledger_step.c
 * checks answers, and reads the log again after a crash;
 * ledger_attempt.c checks starts and ends of attempts against what workers
 * said; ledger_decide.c works out the retry decision; ledger_dispatch.c counts
 * who may take how much; ledger_worker.c follows workers; ledger_watch.c checks
 * what is said, due and shown.
 *
 * After a crash the ledger forgets all and reads the log again: what was not
 * committed never happened. What peers were told stays with the peers (specs),
 * and must still be true.
 *
 * Times are the world's monotonic milliseconds.
 */
#ifndef REDIAL_TESTS_SIM_LEDGER_H
#define REDIAL_TESTS_SIM_LEDGER_H

#include "server/core/engine.h"
#include "tests/sim/ledger_target.h"
#include "tests/sim/message.h"
#include "tests/sim/plan.h"

struct sim;

enum { LEDGER_RUNNING_MAX = 10 }; /* attempts of one job at once */

/* What the gateway knows of an attempt's acknowledgement. */
enum ledger_ack { ACK_NO, ACK_YES, ACK_UNKNOWN };

/* One attempt that counts, while it runs. */
struct ledger_attempt {
    uint64_t fence;
    uint32_t number;
    uint32_t worker; /* row of the ledger's workers */
    bool not_listed; /* its worker came back without it */
    bool solo;       /* runs alone */
    int64_t started_at;
    uint64_t timeout_ms;
    uint64_t lease_ms;
    enum ledger_ack ack;
};

struct ledger_job {
    enum job_state state; /* JOB_NONE: not accepted */
    uint64_t seq;
    uint64_t job_seq;
    uint64_t accepted_seq;
    int64_t accepted_wall_ms;
    int64_t accepted_at;
    int64_t state_wall_ms;
    uint64_t deadline_ms; /* effective ones, from acceptance; 0: none */
    uint64_t queue_ttl_ms;
    int64_t deadline_at; /* INT64_MAX: none */
    int64_t queue_end_at;
    int64_t due_at; /* no attempt before */
    int64_t until_wall_ms;
    uint64_t until_delay_ms;
    uint32_t attempt;
    uint32_t charged;
    uint32_t free;
    uint32_t free_streak;
    uint32_t backoff_n;
    uint32_t kills;
    uint64_t previous_delay_ms;
    uint32_t allowed;        /* attempts, by the last decision to go on */
    uint64_t definite_fence; /* the last one that certainly failed */

    uint64_t fence; /* of the last one */
    bool suspect;   /* its worker died: the next one runs alone */
    uint32_t running_count;
    struct ledger_attempt running[LEDGER_RUNNING_MAX]; /* oldest first */

    int64_t hedge_at;     /* one more may start beside them; INT64_MAX: none */
    uint64_t token_slice; /* of the budget, for its retry; 0: none */
    enum rule frozen;     /* nothing follows any more, by this rule; or NONE */

    /* The end of one, until the decision. */
    bool over;
    bool over_is_fatal; /* by code or reason: nothing may follow */
    struct ledger_attempt ended;
    bool over_lost;
    enum rule refused_by; /* the refusal that went before its end */
    bool over_charged;
    enum redial_status over_code;
    char over_reason[SIM_WORD_BYTES];
    struct message_report over_report; /* fence 0: by no report */

    /* The last decision and the last failure that counted. */
    struct decision decision;
    enum redial_status last_code;
    char last_reason[SIM_WORD_BYTES];

    uint64_t final_seq;
    enum event_type final_type;
    uint64_t end_hash; /* of what the final record says */
};

enum { LEDGER_STARTS_MAX = 64 };

/* Attempts that started under one rate. */
struct ledger_rate {
    int64_t since_at; /* of the world; nothing is known of before */
    bool since_empty; /* and nothing was in the bucket then */
    uint64_t count;
    int64_t starts[LEDGER_STARTS_MAX]; /* the last ones */
};

/* How many wait when a submit arrives. */
struct ledger_queues {
    uint32_t method_surely;
    uint32_t method_perhaps;
    uint32_t tenant_surely;
    uint32_t tenant_perhaps;
};

/* What tenants got of a method and priority, pair by pair of competitors. */
struct ledger_share {
    bool compete[PLAN_TENANTS_MAX][PLAN_TENANTS_MAX]; /* without a break */
    uint64_t got[PLAN_TENANTS_MAX][PLAN_TENANTS_MAX]; /* by the first */
};

enum {
    LEDGER_WORKERS_MAX = 600,
    LEDGER_UNCOUNTED_MAX = 1024,
    LEDGER_GHOSTS_MAX = 128,
    LEDGER_STOPS_MAX = 256,
};

/* What the gateway knows of one incarnation of a worker, from its inputs. */
struct ledger_worker {
    char name[2 * SIM_WORD_BYTES]; /* name/instance */
    uint64_t id;
    bool connected;
    bool dead;    /* reaped */
    bool goodbye; /* left on its own */
    int64_t left_at;
    int64_t heard_at;
    int64_t confirmed_at; /* last Poll that said that all is free */
    uint32_t concurrency;
    uint32_t free_total;
    uint32_t offer_count;
    struct message_slots offers[SIM_OFFERS_MAX];
    uint32_t credit[SIM_OFFERS_MAX]; /* by offer */
    uint32_t in_hand_at_death;
    /* Assigned and not yet listed in a Poll, whether they still run or not. */
    uint32_t uncounted;
    struct {
        uint64_t fence;
        uint32_t method;
    } uncounted_of[LEDGER_UNCOUNTED_MAX];
};

/* An attempt that its job left behind: it keeps its places for a while. */
struct ledger_ghost {
    struct engine_token token; /* fence 0: no ghost */
    uint32_t worker;
    uint32_t method;
    uint64_t worker_id; /* of the session in which it became one */
    int64_t started_at;
    bool acked;
    bool solo;
};

struct ledger_key {
    uint32_t spec; /* of the first job, + 1; 0: the key is free */
};

struct ledger {
    uint64_t next_seq;
    int64_t last_wall_ms; /* of the newest record */
    struct ledger_job jobs[PLAN_JOBS_MAX];
    struct ledger_target targets[LEDGER_TARGETS_MAX];
    struct ledger_key keys[PLAN_TENANTS_MAX][PLAN_KEYS + 1];
    struct policy_set *policies[PLAN_POLICIES_MAX]; /* by version */

    uint32_t worker_count; /* incarnations so far */
    struct ledger_worker workers[LEDGER_WORKERS_MAX];
    struct ledger_ghost ghosts[LEDGER_GHOSTS_MAX];

    int64_t recovered_at;
    int64_t ticked_at; /* what was due by then is noticed */
    struct ledger_rate method_rates[PLAN_METHODS_MAX];
    struct ledger_rate tenant_rates[PLAN_TENANTS_MAX];
    struct ledger_queues queues; /* before the submit at hand */
    struct ledger_share shares[PLAN_METHODS_MAX][10];

    /* The step at hand. */
    bool replaying;
    uint64_t seq_before;
    const struct engine_input *input;
    const struct message *message;
    uint32_t touched[64]; /* jobs with records */
    uint32_t touched_count;
    uint32_t starts;
    uint32_t assigns;
    struct engine_token stops[LEDGER_STOPS_MAX]; /* told to stop */
    uint64_t to_stop[LEDGER_STOPS_MAX];          /* and those that must be */
    uint32_t stop_count;
    uint32_t to_stop_count;

    uint64_t rules[32]; /* decisions since the gateway started */

    /* What watchers heard, which must stay true. */
    uint64_t heard[PLAN_JOBS_MAX]; /* end_hash; 0: no end heard of */
};

void
ledger_init(struct sim *sim);

void
ledger_fini(struct sim *sim);

/* Before each input: `message` is where it came from, or NULL. */
void
ledger_before(struct sim *sim, const struct engine_input *input,
              const struct message *message);

/* Each record, each command, in order. */
void
ledger_record(struct sim *sim, const struct record *record);

void
ledger_command(struct sim *sim, const struct engine_command *command);

/* After: what the input came to, and that nothing is left half done. */
void
ledger_after(struct sim *sim, const struct engine_result *result);

/* The gateway is gone; the log says what is true. */
void
ledger_crashed(struct sim *sim);

/* It is back: times run again from what the log says. */
void
ledger_recovering(struct sim *sim);

/* A policy was loaded. */
void
ledger_policy(struct sim *sim, uint32_t version);

/* A finished job was forgotten, with its key. */
void
ledger_trimmed(struct sim *sim, uint32_t spec);

/* Something reaches a peer: it must be on disk. */
void
ledger_spoken(struct sim *sim, const struct message *message);

/* A committed record is published. */
void
ledger_published(struct sim *sim, const struct record *record);

/* Everything that is due happened; and at the end, everything ended. */
void
ledger_check_due(struct sim *sim);

void
ledger_check_end(struct sim *sim);

/* Tells the ends of jobs apart; never 0. */
uint64_t
ledger_end_hash(const struct record *record);

/* Compares the engine's figures with what the ledger counts. */
void
ledger_check_stats(struct sim *sim);

/* How many jobs are not final. */
uint32_t
ledger_live(const struct sim *sim);

/* Compares the engine's view of a job with the model. */
void
ledger_check_view(struct sim *sim, uint32_t spec);

/* ---- Between ledger*.c ------------------------------------------------- */

/* By job.def, not by the engine's own function. */
bool
ledger_is_final(enum job_state state);

/* The policy in force for a job under a version. */
const struct method_policy *
ledger_policy_of(const struct sim *sim, uint32_t spec, uint32_t version);

/* min of the policy's, the job's and the operator's maximum. */
uint32_t
ledger_attempts_max(const struct sim *sim, uint32_t spec, uint32_t version);

/* The running attempt of the job with this fence, or NULL. */
struct ledger_attempt *
ledger_running(struct ledger_job *job, uint64_t fence);

void
ledger_attempt_started(struct sim *sim, uint32_t spec,
                       const struct record *record);

void
ledger_attempt_over(struct sim *sim, uint32_t spec,
                    const struct record *record);

/* A report came too late to count. */
void
ledger_late(struct sim *sim, uint32_t spec, const struct record *record);

/* After ledger_attempt_over(): the decision that follows it. */
void
ledger_decided(struct sim *sim, uint32_t spec, const struct record *record);

/* The row in force for a method in a set. */
const struct method_policy *
ledger_method_policy(const struct sim *sim, const struct policy_set *set,
                     uint32_t method);

const struct tenant_policy *
ledger_tenant_policy(const struct sim *sim, uint32_t tenant);

/* An attempt starts that is not among the running ones yet. */
void
ledger_check_limits(struct sim *sim, uint32_t spec);

/* Rates surely let an attempt of the job start now. */
bool
ledger_limits_let(const struct sim *sim, uint32_t spec);

/* Before a submit, and after it: full queues refuse, others do not. */
void
ledger_count_queues(struct sim *sim, uint32_t spec);

void
ledger_check_queues(struct sim *sim, uint32_t spec,
                    const struct engine_result *result);

/* A retry that may wait for the end of a hold. */
bool
ledger_may_be_held(const struct sim *sim, uint32_t spec);

void
ledger_limits_recovering(struct sim *sim);

/* Another policy is in force. */
void
ledger_limits_policy(struct sim *sim, const struct policy_set *before);

/* Whether attempts of the job may run beside each other, and not in turn. */
bool
ledger_may_hedge(const struct sim *sim, uint32_t spec);

/* An attempt starts that is not among the running ones yet. */
void
ledger_hedge_started(struct sim *sim, uint32_t spec,
                     const struct record *record);

/* One more may start in a while. */
void
ledger_hedge_planned(struct sim *sim, uint32_t spec,
                     const struct decision *decision);

/* Another attempt settled the job. */
void
ledger_hedge_lost(struct sim *sim, uint32_t spec, const struct record *record);

/* A refusal, which may leave others running. */
void
ledger_hedge_refused(struct sim *sim, uint32_t spec,
                     const struct record *record);

/* A rule that ends a job whatever else of it runs. */
bool
ledger_is_fatal(enum rule rule);

/* The attempt is running no more: it is job->ended. */
void
ledger_take_off(struct ledger_job *job, uint64_t fence);

/* The end that an attempt brought about, after its refusal or success. */
void
ledger_settled(struct sim *sim, uint32_t spec, const struct record *record);

/* The job is final; move() follows. */
void
ledger_ended(struct sim *sim, uint32_t spec, const struct record *record);

/* Before an input: what it says about workers. */
void
ledger_hear(struct sim *sim, const struct engine_input *input,
            const struct message *message);

/* After it, if it was accepted. */
void
ledger_heard(struct sim *sim, const struct engine_result *result);

/* True when a connected worker has this id. */
bool
ledger_knows_worker(struct sim *sim, uint64_t id);

/* The incarnation with this name, or NULL. */
struct ledger_worker *
ledger_worker_named(struct sim *sim, struct text name);

/* May this worker be given this job now? */
void
ledger_check_worker(struct sim *sim, uint32_t spec,
                    const struct ledger_worker *worker);

/* It was. */
void
ledger_assigned(struct sim *sim, struct ledger_worker *worker, uint64_t fence,
                uint32_t method);

/* The worker listed it in a Poll. */
void
ledger_counted(struct ledger_worker *worker, uint64_t fence);

/* A new session: nothing that runs is counted so far. */
void
ledger_count_anew(struct sim *sim, struct ledger_worker *worker);

/* This attempt of the job goes on without its job. */
void
ledger_ghost(struct sim *sim, uint32_t spec,
             const struct ledger_attempt *attempt);

/* Its worker, if connected, must be told to stop in this step. */
void
ledger_must_stop(struct sim *sim, uint32_t worker, uint64_t fence);

/* Its end is confirmed, by `worker` if it is not NULL: others do not count. */
void
ledger_lay_ghost(struct sim *sim, const struct ledger_worker *worker,
                 const struct engine_token *token);

/* The worker says Hello again: its ghosts may be gone, or not. */
void
ledger_doubt_ghosts(struct sim *sim, uint32_t worker);

/* Before somebody is heard: what is over by now does not come back. */
void
ledger_end_leases(struct sim *sim);

/* A connected worker serves this method, with or without credit. */
bool
ledger_is_served(const struct sim *sim, uint32_t method);

/* No job waits that a worker could take. */
void
ledger_check_idle(struct sim *sim);

/* All workers are away since the restart. */
void
ledger_workers_away(struct sim *sim);

#endif
