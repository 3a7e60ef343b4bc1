/* SPDX-License-Identifier: Apache-2.0 */
#include "client/op.h"

#include "client/error.h"
#include "client/job.h"

#include <stdlib.h>
#include <string.h>

struct redial_i_op *
redial_i_op_new(redial_client *client, const struct redial_job *job,
                int64_t deadline_ns)
{
    struct redial_i_op *op = calloc(1, sizeof(*op));

    if (op == NULL) {
        return NULL;
    }
    op->client = client;
    op->deadline_ns = deadline_ns;
    if (job->id != NULL) {
        redial_i_copy_text(op->id, sizeof(op->id), job->id, strlen(job->id));
    } else {
        redial_new_id(op->id);
    }
    op->entry.id = op->id;
    if (!redial_i_job_pack(job, op->id, &op->bytes, &op->len)) {
        free(op);
        return NULL;
    }
    return op;
}

void
redial_i_op_free(struct redial_i_op *op)
{
    if (op != NULL) {
        redial_job_info_free(op->entry.info);
        free(op->error);
        free(op->bytes);
        free(op);
    }
}

void
redial_i_op_fail(struct redial_i_op *op, const struct redial_error *error)
{
    op->status = error->status;
    if (op->error == NULL) {
        op->error = malloc(sizeof(*op->error));
    }
    if (op->error != NULL) {
        *op->error = *error;
    }
}

void
redial_i_op_result(const struct redial_i_op *op,
                   struct redial_submitted *ret_submitted)
{
    memcpy(ret_submitted->id, op->id, sizeof(ret_submitted->id));
    ret_submitted->state = op->job_state;
    ret_submitted->deduplicated = op->deduplicated;
    if (op->error != NULL) {
        ret_submitted->error = *op->error;
        return;
    }
    ret_submitted->error.status = op->status;
    ret_submitted->error.retry_after_ms = 0;
    ret_submitted->error.reason[0] = '\0';
    ret_submitted->error.text[0] = '\0';
}

void
redial_i_op_end_locked(struct redial_i_op *op)
{
    op->is_done = true;
    if (op->waiter != NULL) {
        op->waiter->pending--;
        if (op->waiter->pending == 0) {
            (void)pthread_cond_signal(&op->waiter->cond);
        }
    } else if (op->done != NULL) {
        redial_i_timer_stop_locked(&op->client->loop, &op->timer);
        redial_i_list_append(&op->client->reports, &op->report);
        redial_i_post_locked(&op->client->loop, &op->client->report_task);
    } else if (op->state == REDIAL_I_OP_LANDED) {
        redial_i_op_free(op);
    }
}

void
redial_i_op_queue_locked(struct redial_i_op *op)
{
    redial_client *client = op->client;

    op->state = REDIAL_I_OP_QUEUED;
    redial_i_list_append(&client->queue, &op->node);
    client->queued_jobs++;
    client->queued_bytes += op->len;
}

void
redial_i_op_unqueue_locked(struct redial_i_op *op)
{
    redial_client *client = op->client;

    op->state = REDIAL_I_OP_LANDED;
    redial_i_list_remove(&op->node);
    client->queued_jobs--;
    client->queued_bytes -= op->len;
    (void)pthread_cond_broadcast(&client->room);
}
