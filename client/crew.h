/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of struct redial_worker, and what its parts know of each other:
 *
 *   worker.c    open, drain, close
 *   session.c   what is said to the gateway, and when; Hello
 *   poll.c, report.c, saying.c   the other messages
 *   attempt.c   attempts in hand, from the assignment to the acknowledgement
 *   handlers.c  the threads that run them
 *   outcome.c   reports, packed
 *
 * One lock, the loop's, guards all of it.
 *
 * An attempt has two sides that end in either order: the program's (its handler
 * has completed it: then its slot is free) and the gateway's (its report is
 * acknowledged, or is not wanted any more). It is freed when both have.
 */
#ifndef REDIAL_CLIENT_CREW_H
#define REDIAL_CLIENT_CREW_H

#include "client/link.h"
#include "client/loop.h"
#include "client/reply.h"
#include <redial/v1/worker.pb-c.h>
#include <redial/worker.h>

#include <stdatomic.h>

/* The gateway takes no more tokens in one message. */
#define REDIAL_I_IN_HAND_MAX 1000

#define REDIAL_I_BUCKETS 1024

#define REDIAL_I_METHODS_MAX 256

struct redial_i_crew_method {
    char service[REDIAL_NAME_BYTES];
    char method[REDIAL_NAME_BYTES]; /* "": every method */
    uint32_t concurrency;
    uint32_t in_use;
    redial_handler handler;
    redial_handler cancel;
    void *ctx;
    bool is_async;
};

enum redial_i_attempt_state {
    REDIAL_I_ATTEMPT_QUEUED,  /* for a thread */
    REDIAL_I_ATTEMPT_RUNNING, /* its handler has been called */
    REDIAL_I_ATTEMPT_ENDED,   /* completed, or never to be run */
};

struct redial_attempt {
    redial_worker *worker;
    struct redial_i_crew_method *method; /* NULL: nobody serves it */
    struct redial_assignment work;       /* its texts are in `memory` */

    enum redial_i_attempt_state state;
    bool is_settled;   /* the gateway's side has ended */
    bool is_timed_out; /* its limit has passed */
    bool in_handler;   /* a thread may still look at it */
    bool in_cancel;    /* the callback runs */
    atomic_bool is_cancelled;
    int64_t deadline_ns;         /* of the limit */
    struct redial_i_timer timer; /* the limit, then the grace */

    uint8_t *report; /* packed AttemptReport: how it ended; NULL: not yet */
    size_t report_bytes;
    char *progress; /* not sent yet; or NULL */

    struct redial_i_list in_hand; /* of the worker's bucket */
    struct redial_i_list queue;   /* waits for its handler */
    struct redial_i_list ack;     /* to be acknowledged, or in a Poll */
    struct redial_i_list ready;   /* report to be sent, or in a Poll */
    struct redial_i_list news;    /* progress to be sent */
    struct redial_i_list cancel;  /* callback to be made */

    struct redial_metadata *metadata;
    char memory[];
};

enum redial_i_session {
    REDIAL_I_SESSION_NONE,    /* to be introduced */
    REDIAL_I_SESSION_HELLO,   /* Hello under way */
    REDIAL_I_SESSION_ON,      /* worker_id is good */
    REDIAL_I_SESSION_REFUSED, /* for good; see refusal */
};

struct redial_worker {
    struct redial_i_loop loop;
    struct redial_i_link link;

    char name[REDIAL_NAME_BYTES];
    char instance[REDIAL_NAME_BYTES];
    char version[REDIAL_NAME_BYTES];
    Redial__V1__HelloRequest *labels; /* only for its labels */
    struct redial_i_crew_method *methods;
    size_t method_count;
    uint32_t concurrency;

    /* session.c */
    enum redial_i_session session;
    bool was_on;
    struct redial_error refusal;
    uint64_t worker_id;
    uint32_t heartbeat_ms;
    atomic_size_t result_bytes_max; /* also read without the lock */
    uint64_t hellos;                /* how many were sent */
    unsigned polls_flying;
    bool has_to_say; /* more than the newest Poll said */
    bool is_corked;  /* a batch of handlers runs; say it all afterwards */
    bool is_reporting;
    int64_t pause_until_ns;
    uint32_t failures; /* in a row */
    struct redial_i_timer pause;
    struct redial_i_timer heartbeat;

    /* attempt.c */
    struct redial_i_list buckets[REDIAL_I_BUCKETS];
    size_t in_hand; /* all attempts that exist */
    size_t unsettled;
    uint32_t in_use; /* slots */
    struct redial_i_list acks;
    struct redial_i_list ready;
    struct redial_i_list news;

    /* handlers.c */
    struct redial_i_list pool_queue;
    pthread_cond_t pool_work;
    pthread_t *threads; /* room for `concurrency` */
    uint32_t thread_count;
    uint32_t threads_idle;
    bool is_pool_closing;
    struct redial_i_list loop_queue;
    struct redial_i_task loop_task;
    struct redial_i_list cancels;
    struct redial_i_task cancel_task;

    bool is_draining;
    bool is_drained;
    bool is_closing;
    pthread_cond_t changed; /* any of: session, in_use, is_drained, in_cancel */
};

/* ---- session.c ---- */

void
redial_i_session_init(redial_worker *worker);

/* The link has become ready. */
void
redial_i_session_up(void *worker);

/* Says whatever there is to say and may be said now. */
void
redial_i_session_pump_locked(redial_worker *worker);

/* ---- attempt.c ---- */

/* A copy of an assignment, not yet in hand; NULL: no memory. No lock. */
redial_attempt *
redial_i_attempt_new(redial_worker *worker, const Redial__V1__Assignment *from);

/* Frees one that is not in hand. No lock. */
void
redial_i_attempt_free(redial_attempt *attempt);

/* Takes it in hand and gives it to its handler, or frees it if it is in hand
 * already. To be acknowledged either way. */
void
redial_i_attempt_take_locked(redial_attempt *attempt);

/* The gateway wants it to stop. `is_superseded`: nor does it want a report. */
void
redial_i_attempt_stop_locked(redial_worker *worker,
                             const Redial__V1__Token *token,
                             bool is_superseded);

/* Tells its handler to stop, or takes it from the queue. */
void
redial_i_attempt_cancel_locked(redial_attempt *attempt);

/* The gateway's side has ended. May free it. */
void
redial_i_attempt_settle_locked(redial_attempt *attempt);

/*
 * The program's side has ended, with this packed report (taken over; NULL: no
 * memory for one). May free it.
 */
void
redial_i_attempt_end_locked(redial_attempt *attempt, uint8_t *report,
                            size_t report_bytes);

/* Frees it if nobody needs it. */
void
redial_i_attempt_release_locked(redial_attempt *attempt);

/* Calls `visit` for all in hand; it may free the one it is given. */
void
redial_i_attempts_visit_locked(redial_worker *worker,
                               void (*visit)(redial_attempt *attempt,
                                             void *ctx),
                               void *ctx);

/* ---- handlers.c ---- */

void
redial_i_handlers_init(redial_worker *worker);

/* Queues it for its handler. */
void
redial_i_handlers_run_locked(redial_attempt *attempt);

/* Queues the call of its cancel callback. */
void
redial_i_handlers_cancel_locked(redial_attempt *attempt);

/* Ends the threads, which must have nothing to do. No lock. */
void
redial_i_handlers_stop(redial_worker *worker);

/* ---- outcome.c ---- */

/*
 * Packs the report of an outcome (checked, cut, or replaced by an INTERNAL
 * one). False: no memory.
 */
bool
redial_i_report_pack(const redial_attempt *attempt,
                     const struct redial_outcome *outcome, unsigned flags,
                     uint8_t **ret_report, size_t *ret_bytes);

bool
redial_i_report_pack_failure(const redial_attempt *attempt,
                             enum redial_status code, const char *reason,
                             const char *text, uint8_t **ret_report,
                             size_t *ret_bytes);

bool
redial_i_report_pack_progress(const redial_attempt *attempt,
                              const char *progress, uint8_t **ret_report,
                              size_t *ret_bytes);

/* Refers to the attempt. */
void
redial_i_token_fill(const redial_attempt *attempt, Redial__V1__Token *token);

#endif /* REDIAL_CLIENT_CREW_H */
