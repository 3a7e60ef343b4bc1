/* SPDX-License-Identifier: Apache-2.0 */
/* Cancel: in any state, at once; a job that is over stays what it is. */
#include "server/app/gateway.h"
#include "server/app/services.h"

#include <stdlib.h>

struct cancel {
    struct rpc_call *call;
    bool closed;
};

static struct rpc_reply *
build(struct rpc_call *call, enum job_state state, bool cancelled)
{
    Redial__V1__CancelResponse response = REDIAL__V1__CANCEL_RESPONSE__INIT;

    response.has_state = true;
    response.state = codec_state(state);
    response.has_cancelled = true;
    response.cancelled = cancelled;
    return rpc_build(call, &response.base);
}

static void
looked_up(struct gateway *gateway, void *ctx, const struct store_answer *found)
{
    struct cancel *cancel = ctx;

    if (cancel->closed) {
        rpc_call_drop(cancel->call);
        free(cancel);
        return;
    }
    rpc_call_on_close(cancel->call, NULL);
    if (found->status == STORE_OK && found->finished_count > 0) {
        pipeline_reply(
            gateway, build(cancel->call,
                           codec_final_state(found->finished[0].type), false));
    } else {
        (void)service_refuse_unfound(gateway, cancel->call, false, NULL);
    }
    free(cancel);
}

static void
on_close(void *owner, struct rpc_call *call)
{
    struct cancel *cancel = owner;

    (void)call;
    cancel->closed = true;
}

static void
look_up(struct gateway *gateway, struct rpc_call *call, struct job_id id)
{
    struct store_request request = {.type = STORE_LOOKUP, .job = id};
    struct cancel *cancel = calloc(1, sizeof(*cancel));

    if (cancel != NULL) {
        cancel->call = call;
    }
    if (cancel == NULL ||
        asks_post(gateway, &request, looked_up, cancel) == NULL) {
        free(cancel);
        pipeline_reply(gateway,
                       rpc_build_error(call, REDIAL_UNAVAILABLE, "STORE_BUSY",
                                       1000, "the store is busy: try again"));
        return;
    }
    rpc_call_set_owner(call, cancel);
    rpc_call_on_close(call, on_close);
}

void
cancel_start(struct gateway *gateway, struct rpc_call *call,
             const Redial__V1__CancelRequest *request)
{
    struct engine_input input = {.type = ENGINE_CANCEL};
    const struct engine_result *result = &gateway->out.result;
    const char *problem;
    uint64_t final_seq;
    bool found = service_find(gateway, request->id, request->key,
                              request->tenant, &input.cancel.id, &problem);

    if (service_refuse_unfound(gateway, call, found, problem)) {
        return;
    }
    input.cancel.reason = text_of(request->reason);
    if (input.cancel.reason.len > WIRE_TEXT_BYTES_MAX) {
        (void)service_refuse_unfound(gateway, call, false,
                                     "reason is longer than 4096 bytes");
        return;
    }
    pipeline_step(gateway, &input, (struct text){NULL, 0});
    if (result->status == REDIAL_OK) {
        pipeline_reply(gateway, build(call, (enum job_state)result->state,
                                      result->changed));
        return;
    }
    final_seq = tail_final(gateway->tail, input.cancel.id);
    if (final_seq != 0) {
        pipeline_reply(
            gateway,
            build(call,
                  codec_final_state(tail_at(gateway->tail, final_seq)->type),
                  false));
        return;
    }
    look_up(gateway, call, input.cancel.id);
}
