/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Workers: they say Hello, give credit, take attempts and report outcomes until
 * these are acknowledged, and heartbeat. That is how they should be; they also
 * refuse, hang, fall silent, lie, repeat themselves, vanish, come back with or
 * without what they had in hand, or die.
 *
 * worker.c is their life, worker_hand.c what they do with attempts.
 */
#ifndef REDIAL_TESTS_SIM_WORKER_H
#define REDIAL_TESTS_SIM_WORKER_H

#include "tests/sim/message.h"
#include "tests/sim/plan.h"

struct sim;

enum worker_life {
    LIFE_DEAD,  /* no process until up_at_ms */
    LIFE_AWAY,  /* alive, not connected until up_at_ms */
    LIFE_HELLO, /* connected, not welcomed yet */
    LIFE_UP,
};

/* One attempt in hand. */
struct execution {
    struct engine_token token; /* fence 0: the place is free */
    uint32_t spec;
    bool begun; /* the upstream may have seen it */
    bool done;  /* there is an outcome to report */
    bool hangs;
    int64_t begin_at_ms;
    int64_t done_at_ms;
    int64_t report_at_ms; /* the next time, once done */
    struct message_report outcome;
};

enum { WORKER_OLD_TOKENS = 4, HEARTBEAT_MS = 2000 };

struct worker_actor {
    struct happening_event wake;
    uint32_t index;
    uint32_t incarnation;
    enum worker_life life;
    uint64_t id; /* from the gateway; 0: not welcomed */
    uint32_t concurrency;
    uint32_t offer_count;
    struct message_slots offers[SIM_OFFERS_MAX];
    int64_t up_at_ms;
    int64_t hello_at_ms; /* again, if not welcomed */
    int64_t poll_at_ms;
    int64_t heartbeat_at_ms;
    int64_t silent_until_ms;
    struct execution hand[SIM_HAND_MAX];
    struct engine_token old[WORKER_OLD_TOKENS]; /* some that it once had */
    uint32_t old_next;
    struct message_report told; /* an outcome that was acknowledged */
};

/* Makes all workers; each comes up soon. */
void
workers_make(struct sim *sim);

/* Everything from now on is well: fresh instances that serve all methods. */
void
workers_heal(struct sim *sim);

void
worker_act(struct sim *sim, uint32_t index);

void
worker_receive(struct sim *sim, const struct message *message);

/* Its connection is gone. */
void
worker_lost_connection(struct sim *sim, uint32_t index);

/* True when no worker has anything in hand. */
bool
workers_are_idle(const struct sim *sim);

static inline uint32_t
worker_peer(uint32_t index)
{
    return PLAN_AGENTS_MAX + index;
}

/* ---- Between worker*.c ------------------------------------------------- */

/* Sets when it acts next. */
void
worker_schedule(struct sim *sim, struct worker_actor *worker);

/* The process is gone with all that it had; `reaped`: the gateway saw it. */
void
worker_die(struct sim *sim, struct worker_actor *worker, bool reaped);

/* Begins and finishes what is due. False: it died of it. */
bool
hand_work(struct sim *sim, struct worker_actor *worker);

/* Reports what is done and not acknowledged, and tells some lies. */
void
hand_report(struct sim *sim, struct worker_actor *worker);

/*
 * When hand_work() or, if wanted, hand_report() has something to do; INT64_MAX:
 * never.
 */
int64_t
hand_next(const struct worker_actor *worker, bool reports);

void
hand_assign(struct sim *sim, struct worker_actor *worker,
            const struct engine_command *command);

void
hand_stop(struct sim *sim, struct worker_actor *worker,
          const struct engine_token *token);

/* The gateway has the report. */
void
hand_reported(struct worker_actor *worker, const struct engine_token *token);

/* Lists the tokens in hand; returns how many. */
uint32_t
hand_list(const struct worker_actor *worker,
          struct engine_token tokens[SIM_HAND_MAX]);

/* How many places are taken, of one offer or (offer_count) of all. */
uint32_t
hand_taken(const struct sim *sim, const struct worker_actor *worker,
           uint32_t offer);

/* Drops what was not begun. */
void
hand_forget(struct worker_actor *worker);

#endif
