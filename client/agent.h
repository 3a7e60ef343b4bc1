/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of struct redial_client, and what its parts know of each other:
 *
 *   client.c   open and close
 *   call.c     one request, one answer, a thread that waits
 *   submit.c   jobs of many threads in one Submit
 *   await.c    the waits of many threads in one Await
 *   watch.c    streams of events
 *
 * One lock, the loop's, guards all of it. Waiting threads have a condition
 * each, so that an answer wakes exactly those whom it concerns.
 */
#ifndef REDIAL_CLIENT_AGENT_H
#define REDIAL_CLIENT_AGENT_H

#include "client/internal.h"
#include "client/link.h"
#include "client/loop.h"
#include "client/reply.h"
#include <redial/v1/gateway.pb-c.h>

struct redial_client {
    struct redial_i_loop loop;
    struct redial_i_link link;
    uint32_t timeout_ms;
    uint32_t queue_jobs_max;
    uint64_t queue_bytes_max;
    bool is_closing;
    size_t inside; /* threads of the program that are in a call */
    pthread_cond_t left;

    struct redial_i_list callers; /* struct redial_i_caller */
    struct redial_i_list watches;

    /* submit.c */
    struct redial_i_list queue; /* struct redial_i_op, to be sent */
    uint64_t queued_jobs;
    uint64_t queued_bytes;
    unsigned submits_flying; /* coalesced ones */
    unsigned lone_flying;
    pthread_cond_t room;          /* in the queue */
    struct redial_i_list reports; /* asynchronous ones to call back */
    struct redial_i_task report_task;

    /* await.c */
    struct redial_i_list unasked; /* struct redial_i_entry */
    unsigned awaits_flying;
    struct redial_i_timer await_pause; /* armed: ask again only then */
};

/* ---- client.c ---- */

/*
 * Every public call is between these; enter fails with CANCELLED when the
 * client is being closed. With the lock held, both.
 */
enum redial_status
redial_i_enter_locked(redial_client *client, struct redial_error *ret_error);

void
redial_i_leave_locked(redial_client *client);

/* What to say at the deadline of something. */
enum redial_status
redial_i_fail_late_locked(const redial_client *client, bool was_sent,
                          struct redial_error *ret_error);

enum redial_status
redial_i_fail_closing(struct redial_error *ret_error);

/* ---- call.c ---- */

struct redial_i_waiter;

/* The condition of a member of `callers`. */
struct redial_i_waiter *
redial_i_caller_waiter(struct redial_i_list *node);

/* ---- submit.c ---- */

void
redial_i_submit_init(redial_client *client);

/* Sends what is queued, if the time has come. */
void
redial_i_submit_pump_locked(redial_client *client);

/* Ends everything that is queued, with CANCELLED. The link has stopped. */
void
redial_i_submit_close_locked(redial_client *client);

/* ---- await.c ---- */

/* One thread that waits for one or more jobs. */
struct redial_i_waiter {
    pthread_cond_t cond;
    int64_t deadline_ns; /* the gateway need not wait longer */
    size_t pending;      /* entries or jobs that have not ended */
    size_t ended;        /* entries */
};

struct redial_i_await_batch;

/* One job that is waited for. */
struct redial_i_entry {
    struct redial_i_list node;          /* unasked */
    struct redial_i_await_batch *batch; /* asked */
    size_t slot;                        /* in the batch */
    struct redial_i_waiter *waiter;
    const char *id;
    bool is_ended;
    struct redial_job_info *info; /* the end: this, or the error */
    struct redial_error error;
};

/* The entry must be zero but for waiter and id. */
void
redial_i_await_add_locked(redial_client *client, struct redial_i_entry *entry);

/* Takes it out, wherever it is. */
void
redial_i_await_remove_locked(redial_client *client,
                             struct redial_i_entry *entry);

void
redial_i_await_init(redial_client *client);

void
redial_i_await_pump_locked(redial_client *client);

/* Ends every entry that is left, with CANCELLED. The link has stopped. */
void
redial_i_await_close_locked(redial_client *client);

/* ---- watch.c ---- */

/* The link is up, or the client closes: goes on, or gives up. */
void
redial_i_watch_pump_locked(redial_client *client);

#endif /* REDIAL_CLIENT_AGENT_H */
