/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One job on its way into the gateway: queued, flying in a batch, done.
 *
 * Who frees it: with a waiting thread, that thread, unless it gives up while
 * the job flies: then the batch does. Without one (asynchronous), whichever
 * comes last of the callback and the end of the batch.
 */
#ifndef REDIAL_CLIENT_OP_H
#define REDIAL_CLIENT_OP_H

#include "client/agent.h"
#include "client/clock.h"

enum redial_i_op_state {
    REDIAL_I_OP_NEW,
    REDIAL_I_OP_QUEUED,
    REDIAL_I_OP_FLYING,
    REDIAL_I_OP_LANDED, /* in no list of the client any more */
};

struct redial_i_op {
    struct redial_i_list node; /* of the queue or of the batch */
    redial_client *client;
    enum redial_i_op_state state;
    bool was_sent; /* at least once, perhaps */
    bool is_done;  /* the result below is there */
    int64_t deadline_ns;
    uint8_t *bytes; /* packed, with tag and length */
    size_t len;

    /* Waiting thread; or NULL. */
    struct redial_i_waiter *waiter;

    /* Asynchronous. */
    redial_submit_done done;
    void *ctx;
    struct redial_i_timer timer;
    struct redial_i_list report; /* of client->reports */

    /* redial_call(): goes on to wait for the end of the job. */
    bool is_call;
    struct redial_i_entry entry;

    /* The result; OK if error is NULL and is_failed is false. */
    char id[REDIAL_NAME_BYTES]; /* from the start; the gateway's at the end */
    enum redial_job_state job_state;
    bool deduplicated;
    enum redial_status status;
    struct redial_error *error; /* with status not OK; NULL: no memory */
};

/*
 * A new one for a checked job, or NULL when memory is out. It gets the job's id
 * or a fresh one. No lock.
 */
struct redial_i_op *
redial_i_op_new(redial_client *client, const struct redial_job *job,
                int64_t deadline_ns);

/* NULL is fine. No lock needed. */
void
redial_i_op_free(struct redial_i_op *op);

/* Sets a result that is not OK. */
void
redial_i_op_fail(struct redial_i_op *op, const struct redial_error *error);

/* Copies the result to where the program wants it. */
void
redial_i_op_result(const struct redial_i_op *op,
                   struct redial_submitted *ret_submitted);

/*
 * It is done, for better or worse: wakes the thread, or has the program called
 * back. Frees it if nobody is interested any more.
 */
void
redial_i_op_end_locked(struct redial_i_op *op);

/* Into the queue, which has room. */
void
redial_i_op_queue_locked(struct redial_i_op *op);

/* Out of the queue. */
void
redial_i_op_unqueue_locked(struct redial_i_op *op);

/* Sends it alone in a Submit that waits for its end, if that may be. */
bool
redial_i_op_send_alone_locked(struct redial_i_op *op);

#endif /* REDIAL_CLIENT_OP_H */
