/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls that hand jobs in. How they travel is in batch.c.
 */
#include "client/error.h"
#include "client/job.h"
#include "client/op.h"

#include <stdlib.h>
#include <string.h>

/* ---- the queue ---- */

static bool
has_room(const redial_client *client, size_t len)
{
    return client->queued_jobs == 0 ||
           (client->queued_jobs < client->queue_jobs_max &&
            len <= client->queue_bytes_max &&
            client->queued_bytes <= client->queue_bytes_max - len);
}

/* Waits for room and queues. False: the deadline, or closing. */
static bool
queue_wait_locked(struct redial_i_op *op)
{
    redial_client *client = op->client;

    while (!client->is_closing && !has_room(client, op->len)) {
        redial_i_submit_pump_locked(client);
        if (has_room(client, op->len)) {
            break;
        }
        if (!redial_i_wait_locked(&client->loop, &client->room,
                                  op->deadline_ns)) {
            return false;
        }
    }
    if (client->is_closing) {
        return false;
    }
    redial_i_op_queue_locked(op);
    return true;
}

/* The thread gives up: the op is freed now or by its batch. */
static void
abandon_locked(struct redial_i_op *op)
{
    switch (op->state) {
    case REDIAL_I_OP_FLYING:
        op->waiter = NULL;
        return;
    case REDIAL_I_OP_QUEUED:
        redial_i_op_unqueue_locked(op);
        break;
    case REDIAL_I_OP_NEW:
    case REDIAL_I_OP_LANDED:
        break;
    }
    redial_i_op_free(op);
}

/* ---- many ---- */

struct many {
    redial_client *client;
    const struct redial_job *jobs;
    size_t count;
    int64_t deadline_ns;
    struct redial_i_op **ops; /* NULL beyond what was queued */
    struct redial_i_waiter waiter;
};

static const struct redial_job *
job_at(const struct many *many, size_t i)
{
    return (
        const struct redial_job *)(const void *)((const char *)many->jobs +
                                                 i * many->jobs->struct_size);
}

static enum redial_status
check_all(const struct many *many, bool is_alone, struct redial_error *error)
{
    struct redial_job job;

    for (size_t i = 0; i < many->count; i++) {
        enum redial_status status;

        if (job_at(many, i)->struct_size != many->jobs->struct_size) {
            return redial_i_fail(error, REDIAL_INVALID_ARGUMENT, "",
                                 "jobs[%zu].struct_size differs from jobs[0]'s",
                                 i);
        }
        status = redial_i_job_check(job_at(many, i),
                                    is_alone ? REDIAL_I_ALONE : i, &job, error);
        if (status != REDIAL_OK) {
            return status;
        }
    }
    return REDIAL_OK;
}

/* Queues as many as there are; stops at the deadline or without memory. */
static enum redial_status
queue_all(struct many *many, struct redial_error *error)
{
    redial_client *client = many->client;

    for (size_t i = 0; i < many->count; i++) {
        struct redial_job job;
        struct redial_i_op *op;
        bool is_queued;

        (void)redial_i_job_check(job_at(many, i), i, &job, NULL);
        op = redial_i_op_new(client, &job, many->deadline_ns);
        if (op == NULL) {
            return redial_i_fail_memory(error);
        }
        many->ops[i] = op;
        op->waiter = &many->waiter;
        redial_i_lock(&client->loop);
        is_queued = queue_wait_locked(op);
        many->waiter.pending += is_queued ? 1 : 0;
        redial_i_unlock(&client->loop);
        if (!is_queued) {
            break; /* what is said about each comes in collect() */
        }
    }
    return REDIAL_OK;
}

static void
wait_for_all_locked(struct many *many)
{
    redial_client *client = many->client;

    redial_i_submit_pump_locked(client);
    while (many->waiter.pending > 0 &&
           redial_i_wait_locked(&client->loop, &many->waiter.cond,
                                many->deadline_ns)) {
    }
}

/* Takes one result, or says why there is none, and frees the op. */
static void
collect_locked(struct many *many, size_t i, const struct redial_error *why,
               struct redial_submitted *ret)
{
    redial_client *client = many->client;
    struct redial_i_op *op = many->ops[i];

    if (op != NULL && op->is_done) {
        redial_i_op_result(op, ret);
        redial_i_op_free(op);
        return;
    }
    memset(ret, 0, sizeof(*ret));
    if (op != NULL) {
        memcpy(ret->id, op->id, sizeof(ret->id));
    }
    if (why != NULL) {
        ret->error = *why;
    } else if (client->is_closing) {
        (void)redial_i_fail_closing(&ret->error);
    } else {
        (void)redial_i_fail_late_locked(
            client,
            op != NULL && (op->was_sent || op->state == REDIAL_I_OP_FLYING),
            &ret->error);
    }
    if (op != NULL) {
        abandon_locked(op);
    }
}

/* The first that is not OK is the status of the whole. */
static enum redial_status
submit_all(struct many *many, struct redial_submitted *ret_submitted,
           struct redial_error *error)
{
    redial_client *client = many->client;
    const struct redial_error *first = NULL;
    struct redial_error why;
    enum redial_status status = queue_all(many, &why);

    redial_i_lock(&client->loop);
    wait_for_all_locked(many);
    for (size_t i = 0; i < many->count; i++) {
        collect_locked(many, i, status != REDIAL_OK ? &why : NULL,
                       &ret_submitted[i]);
        if (first == NULL && ret_submitted[i].error.status != REDIAL_OK) {
            first = &ret_submitted[i].error;
        }
    }
    redial_i_unlock(&client->loop);
    return first != NULL ? redial_i_fail_with(error, first) : REDIAL_OK;
}

static enum redial_status
run_many(struct many *many, struct redial_submitted *ret_submitted,
         struct redial_error *error)
{
    redial_client *client = many->client;
    enum redial_status status;

    redial_i_lock(&client->loop);
    status = redial_i_enter_locked(client, error);
    redial_i_unlock(&client->loop);
    if (status != REDIAL_OK) {
        return status;
    }
    redial_i_cond_init(&many->waiter.cond);
    status = submit_all(many, ret_submitted, error);
    (void)pthread_cond_destroy(&many->waiter.cond);
    redial_i_lock(&client->loop);
    redial_i_leave_locked(client);
    redial_i_unlock(&client->loop);
    return status;
}

enum redial_status
redial_submit_many(redial_client *client, const struct redial_job *jobs,
                   size_t count, struct redial_deadline deadline,
                   struct redial_submitted *ret_submitted,
                   struct redial_error *ret_error)
{
    struct many many = {
        .client = client,
        .jobs = jobs,
        .count = count,
        .deadline_ns = redial_i_deadline(deadline, client->timeout_ms),
    };
    enum redial_status status;

    if (count == 0) {
        return REDIAL_OK;
    }
    status = check_all(&many, false, ret_error);
    if (status != REDIAL_OK) {
        return status;
    }
    many.ops = calloc(count, sizeof(struct redial_i_op *));
    if (many.ops == NULL) {
        return redial_i_fail_memory(ret_error);
    }
    status = run_many(&many, ret_submitted, ret_error);
    free(many.ops);
    return status;
}

/* ---- one ---- */

enum redial_status
redial_submit(redial_client *client, const struct redial_job *job,
              struct redial_deadline deadline,
              struct redial_submitted *ret_submitted,
              struct redial_error *ret_error)
{
    struct redial_i_op *op = NULL;
    struct many many = {
        .client = client,
        .jobs = job,
        .count = 1,
        .deadline_ns = redial_i_deadline(deadline, client->timeout_ms),
        .ops = &op,
    };
    struct redial_submitted submitted;
    enum redial_status status = check_all(&many, true, ret_error);

    if (status == REDIAL_OK) {
        status = run_many(&many, &submitted, ret_error);
    }
    if (status == REDIAL_OK) {
        *ret_submitted = submitted;
    }
    return status;
}

/* ---- asynchronous ---- */

static void
async_timeout(struct redial_i_timer *timer)
{
    struct redial_i_op *op = REDIAL_I_OF(timer, struct redial_i_op, timer);
    struct redial_error error;

    (void)redial_i_fail_late_locked(
        op->client, op->was_sent || op->state == REDIAL_I_OP_FLYING, &error);
    if (op->state == REDIAL_I_OP_QUEUED) {
        redial_i_op_unqueue_locked(op);
    }
    redial_i_op_fail(op, &error);
    redial_i_op_end_locked(op);
}

/* On the loop's thread: calls back, without the lock. */
static void
report_all(struct redial_i_task *task)
{
    redial_client *client = REDIAL_I_OF(task, struct redial_client,
                                        report_task);
    struct redial_i_list *link;

    while ((link = redial_i_list_pop(&client->reports)) != NULL) {
        struct redial_i_op *op = REDIAL_I_OF(link, struct redial_i_op, report);
        struct redial_submitted submitted;

        redial_i_op_result(op, &submitted);
        redial_i_unlock(&client->loop);
        op->done(op->ctx, &submitted);
        redial_i_lock(&client->loop);
        op->done = NULL;
        if (op->state == REDIAL_I_OP_LANDED) {
            redial_i_op_free(op);
        }
    }
}

void
redial_i_submit_init(redial_client *client)
{
    redial_i_list_init(&client->queue);
    redial_i_list_init(&client->reports);
    client->report_task.run = report_all;
}

static enum redial_status
queue_async_locked(struct redial_i_op *op, struct redial_error *error)
{
    redial_client *client = op->client;

    if (!has_room(client, op->len)) {
        return redial_i_fail(
            error, REDIAL_RESOURCE_EXHAUSTED, "CLIENT_QUEUE_FULL",
            "%llu jobs with %llu bytes wait to be sent already",
            (unsigned long long)client->queued_jobs,
            (unsigned long long)client->queued_bytes);
    }
    redial_i_timer_start_locked(&client->loop, &op->timer, op->deadline_ns);
    redial_i_op_queue_locked(op);
    redial_i_submit_pump_locked(client);
    return REDIAL_OK;
}

enum redial_status
redial_submit_async(redial_client *client, const struct redial_job *job,
                    struct redial_deadline deadline, redial_submit_done done,
                    void *ctx, struct redial_error *ret_error)
{
    struct redial_job copy;
    struct redial_i_op *op;
    enum redial_status status = redial_i_job_check(job, REDIAL_I_ALONE, &copy,
                                                   ret_error);

    if (status != REDIAL_OK) {
        return status;
    }
    op = redial_i_op_new(client, &copy,
                         redial_i_deadline(deadline, client->timeout_ms));
    if (op == NULL) {
        return redial_i_fail_memory(ret_error);
    }
    op->done = done;
    op->ctx = ctx;
    op->timer.fire = async_timeout;
    redial_i_lock(&client->loop);
    status = redial_i_enter_locked(client, ret_error);
    if (status == REDIAL_OK) {
        status = queue_async_locked(op, ret_error);
        redial_i_leave_locked(client);
    }
    redial_i_unlock(&client->loop);
    if (status != REDIAL_OK) {
        redial_i_op_free(op);
    }
    return status;
}

/* ---- to the end ---- */

static void
wait_for_end_locked(struct redial_i_op *op)
{
    redial_client *client = op->client;

    if (!redial_i_op_send_alone_locked(op)) {
        if (!queue_wait_locked(op)) {
            return;
        }
        redial_i_submit_pump_locked(client);
    }
    while (op->waiter->pending > 0 &&
           redial_i_wait_locked(&client->loop, &op->waiter->cond,
                                op->deadline_ns)) {
    }
}

/* What came of it; the op is freed or abandoned. */
static enum redial_status
end_call_locked(struct redial_i_op *op, struct redial_job_info **ret_info,
                struct redial_error *error)
{
    redial_client *client = op->client;
    enum redial_status status = REDIAL_OK;

    if (op->entry.is_ended && op->entry.info != NULL) {
        *ret_info = op->entry.info;
        op->entry.info = NULL;
    } else if (op->entry.is_ended) {
        status = redial_i_fail_with(error, &op->entry.error);
    } else if (op->is_done && op->status != REDIAL_OK) {
        struct redial_submitted submitted;

        redial_i_op_result(op, &submitted);
        status = redial_i_fail_with(error, &submitted.error);
    } else if (client->is_closing) {
        status = redial_i_fail_closing(error);
    } else if (op->is_done) {
        status = redial_i_fail(error, REDIAL_DEADLINE_EXCEEDED, "NOT_FINAL",
                               "accepted, but not final at the deadline");
    } else {
        status = redial_i_fail_late_locked(
            client, op->was_sent || op->state == REDIAL_I_OP_FLYING, error);
    }
    redial_i_await_remove_locked(client, &op->entry);
    abandon_locked(op);
    return status;
}

enum redial_status
redial_call(redial_client *client, const struct redial_job *job,
            struct redial_deadline deadline, struct redial_job_info **ret_info,
            struct redial_error *ret_error)
{
    struct redial_i_waiter waiter = {.pending = 1};
    struct redial_job copy;
    struct redial_i_op *op;
    enum redial_status status = redial_i_job_check(job, REDIAL_I_ALONE, &copy,
                                                   ret_error);

    if (status != REDIAL_OK) {
        return status;
    }
    op = redial_i_op_new(client, &copy,
                         redial_i_deadline(deadline, client->timeout_ms));
    if (op == NULL) {
        return redial_i_fail_memory(ret_error);
    }
    redial_i_cond_init(&waiter.cond);
    waiter.deadline_ns = op->deadline_ns;
    op->waiter = &waiter;
    op->is_call = true;
    redial_i_lock(&client->loop);
    status = redial_i_enter_locked(client, ret_error);
    if (status == REDIAL_OK) {
        wait_for_end_locked(op);
        status = end_call_locked(op, ret_info, ret_error);
        redial_i_leave_locked(client);
    } else {
        redial_i_op_free(op);
    }
    redial_i_unlock(&client->loop);
    (void)pthread_cond_destroy(&waiter.cond);
    return status;
}
