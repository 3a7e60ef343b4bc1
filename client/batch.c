/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many jobs in one Submit.
 *
 * There is no timer: while one Submit is under way, jobs gather, and all that
 * have gathered when it is answered go out in the next. Alone, a job leaves at
 * once; under load, batches grow by themselves.
 *
 * After a lost connection the jobs of a batch go back to the front of the
 * queue, in order, marked: the next Submit with them says `repeat`, so that the
 * gateway looks their ids up everywhere. Repeated and fresh ones do not travel
 * together, because the look-up costs.
 */
#include "client/error.h"
#include "client/info.h"
#include "client/op.h"
#include "proto/limits.h"

#include <stdlib.h>
#include <string.h>

#define SUBMIT_PATH "/redial.v1.Gateway/Submit"

/* Coalesced Submits under way at a time. More do not help: the gateway answers
 * when its group is on disk, and what comes meanwhile makes the next group. */
#define SUBMITS_FLYING_MAX 1

/* Single calls that wait at the gateway for their end; beyond, sharing one
 * Submit and one Await costs less. */
#define LONE_FLYING_MAX 4

/* An answer to a Submit takes this long at most, milliseconds; then the
 * connection is taken for dead and the jobs are sent again. */
#define ANSWER_MS 30000

/* Fields 2 and 3 of SubmitRequest, varints, and room for both. */
#define WAIT_MS_TAG    0x10
#define REPEAT_TAG     0x18
#define TAIL_BYTES_MAX 8

struct batch {
    redial_client *client;
    struct redial_i_list ops;
    size_t count;
    bool is_lone;
};

/* ---- landing ---- */

/* Off the batch. False: the program has lost interest, and the op may be gone.
 */
static bool
land_locked(struct redial_i_op *op)
{
    op->state = REDIAL_I_OP_LANDED;
    if (op->waiter != NULL) {
        return true;
    }
    if (op->done == NULL) {
        redial_i_op_free(op); /* given up, or called back already */
        return false;
    }
    return !op->is_done; /* else: the callback is yet to come, and frees it */
}

static void
fail_op_locked(struct redial_i_op *op, const struct redial_error *error)
{
    if (land_locked(op)) {
        redial_i_op_fail(op, error);
        redial_i_op_end_locked(op);
    }
}

static void
fail_all_locked(struct batch *batch, const struct redial_error *error)
{
    struct redial_i_list *node;

    while ((node = redial_i_list_pop(&batch->ops)) != NULL) {
        fail_op_locked(REDIAL_I_OF(node, struct redial_i_op, node), error);
    }
}

/* Not answered: back to the front of the queue, but for those whose time is up.
 */
static void
requeue_locked(struct batch *batch, bool was_sent)
{
    redial_client *client = batch->client;
    struct redial_i_list *front = client->queue.next;
    struct redial_i_list *node;
    int64_t now = redial_i_now();

    while ((node = redial_i_list_pop(&batch->ops)) != NULL) {
        struct redial_i_op *op = REDIAL_I_OF(node, struct redial_i_op, node);

        op->was_sent = op->was_sent || was_sent;
        if (!land_locked(op)) {
            continue;
        }
        if (op->deadline_ns <= now) {
            struct redial_error error;

            (void)redial_i_fail_late_locked(client, op->was_sent, &error);
            redial_i_op_fail(op, &error);
            redial_i_op_end_locked(op);
            continue;
        }
        op->state = REDIAL_I_OP_QUEUED;
        redial_i_list_insert(front, &op->node);
        client->queued_jobs++;
        client->queued_bytes += op->len;
    }
}

static void
set_result(struct redial_i_op *op, const Redial__V1__SubmitResult *result)
{
    const Redial__V1__Status *status = result->status;
    struct redial_error error;

    if (result->id != NULL) {
        redial_i_copy_text(op->id, sizeof(op->id), result->id,
                           strlen(result->id));
    }
    op->job_state = (enum redial_job_state)result->state;
    op->deduplicated = result->deduplicated;
    op->status = REDIAL_OK;
    if (status != NULL && status->code != REDIAL__V1__CODE__OK) {
        (void)redial_i_fail(&error, redial_i_status(status->code),
                            status->reason != NULL ? status->reason : "", "%s",
                            status->message != NULL ? status->message : "");
        error.retry_after_ms = status->retry_after_ms;
        redial_i_op_fail(op, &error);
    }
}

/* Accepted, and its end is wanted: it is in the answer, or is waited for. */
static void
go_on_waiting_locked(struct redial_i_op *op, struct redial_job_info *info)
{
    op->entry.waiter = op->waiter;
    if (info != NULL && redial_job_state_is_final(info->state)) {
        op->entry.info = info;
        op->entry.is_ended = true;
        redial_i_op_end_locked(op);
        return;
    }
    redial_job_info_free(info);
    op->is_done = true;
    redial_i_await_add_locked(op->client, &op->entry);
}

/* `info`: of a lone job, or NULL; taken over. */
static void
take_results_locked(struct batch *batch,
                    const Redial__V1__SubmitResponse *answer,
                    struct redial_job_info *info)
{
    struct redial_i_list *node;
    size_t i = 0;

    while ((node = redial_i_list_pop(&batch->ops)) != NULL) {
        struct redial_i_op *op = REDIAL_I_OF(node, struct redial_i_op, node);
        const Redial__V1__SubmitResult *result = answer->results[i++];

        if (!land_locked(op)) {
            continue;
        }
        set_result(op, result);
        if (op->is_call && op->status == REDIAL_OK) {
            go_on_waiting_locked(op, info);
            info = NULL;
        } else {
            redial_i_op_end_locked(op);
        }
    }
    redial_job_info_free(info);
}

/* ---- the answer ---- */

struct answer {
    struct wire_arena arena;
    const Redial__V1__SubmitResponse *message; /* NULL: see error */
    struct redial_job_info *info;
    struct redial_error error;
};

/* Without the lock: this is where the time goes. */
static void
read_answer(const struct batch *batch, const struct redial_i_exchange *exchange,
            struct answer *answer)
{
    ProtobufCMessage *message;
    const Redial__V1__SubmitResponse *response;

    if (redial_i_reply_unpack(exchange->reply, exchange->reply_len,
                              &redial__v1__submit_response__descriptor,
                              &answer->arena, &message,
                              &answer->error) != REDIAL_OK) {
        return;
    }
    response = (const Redial__V1__SubmitResponse *)message;
    if (response->n_results != batch->count) {
        (void)redial_i_fail(&answer->error, REDIAL_INTERNAL, "BAD_ANSWER",
                            "the answer has %zu results for %zu jobs",
                            response->n_results, batch->count);
        return;
    }
    answer->message = response;
    if (batch->is_lone && response->results[0]->job != NULL) {
        answer->info = redial_i_job_info(response->results[0]->job);
    }
}

static void
land_batch_locked(struct batch *batch, enum redial_i_end end, bool was_sent,
                  struct answer *answer)
{
    struct redial_error error;

    switch (end) {
    case REDIAL_I_REPLY:
        if (answer->message != NULL) {
            take_results_locked(batch, answer->message, answer->info);
        } else {
            fail_all_locked(batch, &answer->error);
        }
        break;
    case REDIAL_I_LOST:
    case REDIAL_I_TIMEOUT:
        if (!batch->client->is_closing) {
            requeue_locked(batch, was_sent);
        }
        break;
    case REDIAL_I_CLOSED:
        break;
    }
    if (!redial_i_list_is_empty(&batch->ops)) {
        (void)redial_i_fail_closing(&error);
        fail_all_locked(batch, &error);
    }
}

static void
batch_done(struct redial_i_exchange *exchange)
{
    struct redial_i_loop *loop = exchange->link->loop;
    struct batch *batch = exchange->owner; /* never changed meanwhile */
    redial_client *client = batch->client;
    struct answer answer = {.message = NULL};

    wire_arena_init(&answer.arena, NULL, 0);
    if (exchange->end == REDIAL_I_REPLY) {
        read_answer(batch, exchange, &answer);
    }
    redial_i_lock(loop);
    land_batch_locked(batch, exchange->end, exchange->was_sent, &answer);
    redial_i_exchange_end_locked(exchange);
    if (batch->is_lone) {
        client->lone_flying--;
    } else {
        client->submits_flying--;
    }
    redial_i_submit_pump_locked(client);
    redial_i_await_pump_locked(client);
    redial_i_unlock(loop);
    wire_arena_fini(&answer.arena);
    free(batch);
}

/* ---- sending ---- */

static size_t
put_tail(uint8_t *at, uint32_t wait_ms, bool is_repeat)
{
    size_t len = 0;

    if (wait_ms > 0) {
        at[len++] = WAIT_MS_TAG;
        while (wait_ms >= 0x80) {
            at[len++] = (uint8_t)(wait_ms | 0x80);
            wait_ms >>= 7;
        }
        at[len++] = (uint8_t)wait_ms;
    }
    if (is_repeat) {
        at[len++] = REPEAT_TAG;
        at[len++] = 1;
    }
    return len;
}

/* Takes from the queue what goes together; returns the bytes. */
static size_t
fill_batch_locked(struct batch *batch, int64_t *ret_deadline)
{
    redial_client *client = batch->client;
    size_t max = redial_i_link_request_bytes_max(&client->link, SUBMIT_PATH) -
                 TAIL_BYTES_MAX;
    size_t bytes = 0;
    bool is_repeat = false;
    int64_t deadline = 0;

    while (batch->count < WIRE_SUBMIT_JOBS_MAX &&
           !redial_i_list_is_empty(&client->queue)) {
        struct redial_i_op *op = REDIAL_I_OF(client->queue.next,
                                             struct redial_i_op, node);

        if (batch->count > 0 &&
            (op->len > max - bytes || op->was_sent != is_repeat)) {
            break;
        }
        is_repeat = op->was_sent;
        bytes += op->len;
        deadline = op->deadline_ns > deadline ? op->deadline_ns : deadline;
        redial_i_op_unqueue_locked(op);
        op->state = REDIAL_I_OP_FLYING;
        redial_i_list_append(&batch->ops, &op->node);
        batch->count++;
    }
    *ret_deadline = deadline;
    return bytes;
}

static struct redial_i_frame *
batch_frame(const struct batch *batch, size_t bytes, uint32_t wait_ms,
            int64_t deadline_ns)
{
    const struct redial_i_op *first = REDIAL_I_OF(batch->ops.next,
                                                  struct redial_i_op, node);
    uint8_t tail[TAIL_BYTES_MAX];
    size_t tail_len = put_tail(tail, wait_ms, first->was_sent);
    uint8_t *at;
    struct redial_i_frame *msg = redial_i_link_frame(
        &batch->client->link, SUBMIT_PATH,
        redial_i_ms_until(deadline_ns, INT32_MAX), bytes + tail_len, &at);

    if (msg == NULL) {
        return NULL;
    }
    REDIAL_I_EACH(node, &batch->ops)
    {
        const struct redial_i_op *op = REDIAL_I_OF(node, struct redial_i_op,
                                                   node);

        memcpy(at, op->bytes, op->len);
        at += op->len;
    }
    memcpy(at, tail, tail_len);
    return msg;
}

/* Sends the batch; false: no memory, and its jobs have failed. */
static bool
send_batch_locked(struct batch *batch, size_t bytes, uint32_t wait_ms,
                  int64_t deadline_ns)
{
    redial_client *client = batch->client;
    int64_t latest = redial_i_after(redial_i_now(), ANSWER_MS);
    struct redial_i_exchange *exchange;
    struct redial_error error;
    struct redial_i_frame *msg;

    deadline_ns = deadline_ns < latest ? deadline_ns : latest;
    msg = batch_frame(batch, bytes, wait_ms, deadline_ns);
    exchange = msg != NULL ? redial_i_exchange_get_locked(&client->link) : NULL;
    if (exchange == NULL) {
        if (msg != NULL) {
            redial_i_frame_free(msg);
        }
        (void)redial_i_fail_memory(&error);
        fail_all_locked(batch, &error);
        free(batch);
        return false;
    }
    redial_i_exchange_start_locked(exchange, msg, deadline_ns, batch_done,
                                   batch);
    return true;
}

static struct batch *
batch_new(redial_client *client, bool is_lone)
{
    struct batch *batch = calloc(1, sizeof(*batch));

    if (batch != NULL) {
        batch->client = client;
        batch->is_lone = is_lone;
        redial_i_list_init(&batch->ops);
    }
    return batch;
}

void
redial_i_submit_pump_locked(redial_client *client)
{
    while (client->link.is_ready &&
           client->submits_flying < SUBMITS_FLYING_MAX &&
           !redial_i_list_is_empty(&client->queue)) {
        struct batch *batch = batch_new(client, false);
        int64_t deadline_ns;
        size_t bytes;

        if (batch == NULL) {
            return; /* the jobs stay, until their deadlines */
        }
        bytes = fill_batch_locked(batch, &deadline_ns);
        if (send_batch_locked(batch, bytes, 0, deadline_ns)) {
            client->submits_flying++;
        }
    }
}

bool
redial_i_op_send_alone_locked(struct redial_i_op *op)
{
    redial_client *client = op->client;
    struct batch *batch;

    if (!client->link.is_ready || client->submits_flying > 0 ||
        client->lone_flying >= LONE_FLYING_MAX ||
        !redial_i_list_is_empty(&client->queue)) {
        return false;
    }
    batch = batch_new(client, true);
    if (batch == NULL) {
        return false;
    }
    op->state = REDIAL_I_OP_FLYING;
    redial_i_list_append(&batch->ops, &op->node);
    batch->count = 1;
    if (send_batch_locked(batch, op->len,
                          redial_i_ms_until(op->deadline_ns, WIRE_PARK_MS_MAX),
                          op->deadline_ns)) {
        client->lone_flying++;
    }
    return true;
}

/* ---- the end ---- */

void
redial_i_submit_close_locked(redial_client *client)
{
    struct redial_error error;

    (void)redial_i_fail_closing(&error);
    while (!redial_i_list_is_empty(&client->queue)) {
        struct redial_i_op *op = REDIAL_I_OF(client->queue.next,
                                             struct redial_i_op, node);

        redial_i_op_unqueue_locked(op);
        redial_i_op_fail(op, &error);
        redial_i_op_end_locked(op);
    }
}
