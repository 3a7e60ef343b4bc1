/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request, one answer, one thread that waits for it.
 */
#include "client/agent.h"
#include "client/clock.h"
#include "client/error.h"
#include "client/info.h"
#include "client/job.h"
#include "proto/limits.h"
#include <redial/v1/admin.pb-c.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A thread in redial_i_call(). */
struct caller {
    struct redial_i_list node; /* of the client */
    struct redial_i_waiter waiter;
    struct redial_i_exchange *exchange; /* under way, or NULL */
    bool is_done;
    bool was_sent; /* once, perhaps */
    enum redial_i_end end;
    uint8_t *reply; /* a copy; NULL: no memory */
    size_t reply_len;
};

struct call {
    const ProtobufCMessage *request;
    size_t request_bytes;
    char path[WIRE_PATH_BYTES_MAX + 1];
    bool is_repeatable;
    int64_t deadline_ns;
};

struct redial_i_waiter *
redial_i_caller_waiter(struct redial_i_list *node)
{
    return &REDIAL_I_OF(node, struct caller, node)->waiter;
}

static void
caller_done(struct redial_i_exchange *exchange)
{
    struct redial_i_loop *loop = exchange->link->loop;
    uint8_t *copy = NULL;
    struct caller *caller;

    if (exchange->end == REDIAL_I_REPLY) {
        copy = malloc(exchange->reply_len + 1);
        if (copy != NULL) {
            memcpy(copy, exchange->reply, exchange->reply_len);
        }
    }
    redial_i_lock(loop);
    caller = exchange->owner;
    if (caller != NULL) {
        caller->is_done = true;
        caller->end = exchange->end;
        caller->was_sent = caller->was_sent || exchange->was_sent;
        caller->reply = copy;
        caller->reply_len = exchange->reply_len;
        caller->exchange = NULL;
        copy = NULL;
        (void)pthread_cond_signal(&caller->waiter.cond);
    }
    redial_i_exchange_end_locked(exchange);
    redial_i_unlock(loop);
    free(copy);
}

static bool
start_locked(redial_client *client, struct caller *caller,
             const struct call *call)
{
    struct redial_i_exchange *exchange;
    struct redial_i_frame *msg;
    uint8_t *at;

    msg = redial_i_link_frame(&client->link, call->path,
                              redial_i_ms_until(call->deadline_ns, INT32_MAX),
                              call->request_bytes, &at);
    if (msg == NULL) {
        return false;
    }
    exchange = redial_i_exchange_get_locked(&client->link);
    if (exchange == NULL) {
        redial_i_frame_free(msg);
        return false;
    }
    (void)protobuf_c_message_pack(call->request, at);
    caller->exchange = exchange;
    caller->is_done = false;
    redial_i_exchange_start_locked(exchange, msg, call->deadline_ns,
                                   caller_done, caller);
    return true;
}

static bool
was_sent(const struct caller *caller)
{
    return caller->was_sent ||
           (caller->exchange != NULL && caller->exchange->was_sent);
}

/*
 * One turn of waiting: for the connection, or for the answer. True: it is over,
 * with the answer in caller->reply or the status in *ret_status.
 */
static bool
wait_turn_locked(redial_client *client, struct caller *caller,
                 const struct call *call, enum redial_status *ret_status,
                 struct redial_error *error)
{
    if (caller->is_done && caller->end == REDIAL_I_REPLY) {
        if (caller->reply == NULL) {
            *ret_status = redial_i_fail_memory(error);
        }
        return true;
    }
    if (client->is_closing ||
        (caller->is_done && caller->end == REDIAL_I_CLOSED)) {
        *ret_status = redial_i_fail_closing(error);
        return true;
    }
    if (caller->is_done && caller->end == REDIAL_I_LOST && caller->was_sent &&
        !call->is_repeatable) {
        *ret_status = redial_i_fail(
            error, REDIAL_UNAVAILABLE, "CONNECTION_LOST",
            "the connection was lost before the answer; it may have been done");
        return true;
    }
    if (redial_i_now() >= call->deadline_ns ||
        (caller->is_done && caller->end == REDIAL_I_TIMEOUT)) {
        *ret_status = redial_i_fail_late_locked(client, was_sent(caller),
                                                error);
        return true;
    }
    if (caller->exchange == NULL && client->link.is_ready &&
        !start_locked(client, caller, call)) {
        *ret_status = redial_i_fail_memory(error);
        return true;
    }
    (void)redial_i_wait_locked(&client->loop, &caller->waiter.cond,
                               call->deadline_ns);
    return false;
}

struct reply {
    uint8_t *bytes;
    size_t len;
};

static enum redial_status
run_call(redial_client *client, const struct call *call,
         struct reply *ret_reply, struct redial_error *error)
{
    struct caller caller = {.is_done = false};
    enum redial_status status;

    redial_i_cond_init(&caller.waiter.cond);
    redial_i_lock(&client->loop);
    status = redial_i_enter_locked(client, error);
    if (status == REDIAL_OK) {
        redial_i_list_append(&client->callers, &caller.node);
        while (!wait_turn_locked(client, &caller, call, &status, error)) {
        }
        redial_i_list_remove(&caller.node);
        if (caller.exchange != NULL) {
            caller.exchange->owner = NULL; /* comes back to nobody */
        }
        redial_i_leave_locked(client);
    }
    redial_i_unlock(&client->loop);
    (void)pthread_cond_destroy(&caller.waiter.cond);
    if (status == REDIAL_OK) {
        ret_reply->bytes = caller.reply;
        ret_reply->len = caller.reply_len;
    }
    return status;
}

static enum redial_status
prepare_call(redial_client *client, const struct redial_i_method *method,
             const ProtobufCMessage *request, struct call *call,
             struct redial_error *error)
{
    (void)snprintf(call->path, sizeof(call->path), "/%s/%s",
                   method->service->name, method->name);
    call->request = request;
    call->request_bytes = protobuf_c_message_get_packed_size(request);
    call->is_repeatable = method->is_repeatable;
    if (call->request_bytes >
        redial_i_link_request_bytes_max(&client->link, call->path)) {
        return redial_i_fail(error, REDIAL_INVALID_ARGUMENT, "",
                             "the request is too large: %zu bytes",
                             call->request_bytes);
    }
    return REDIAL_OK;
}

enum redial_status
redial_i_call(redial_client *client, const struct redial_i_method *method,
              const ProtobufCMessage *request, struct redial_deadline deadline,
              struct redial_i_response *ret_response,
              struct redial_error *ret_error)
{
    const ProtobufCMethodDescriptor *descriptor =
        protobuf_c_service_descriptor_get_method_by_name(method->service,
                                                         method->name);
    struct call call = {
        .deadline_ns = redial_i_deadline(deadline, client->timeout_ms),
    };
    ProtobufCMessage *message;
    struct wire_arena arena;
    enum redial_status status;
    struct reply reply;

    WIRE_CHECK(descriptor != NULL);
    status = prepare_call(client, method, request, &call, ret_error);
    if (status == REDIAL_OK) {
        status = run_call(client, &call, &reply, ret_error);
    }
    if (status != REDIAL_OK) {
        return status;
    }
    wire_arena_init(&arena, NULL, 0);
    status = redial_i_reply_unpack(reply.bytes, reply.len, descriptor->output,
                                   &arena, &message, ret_error);
    free(reply.bytes);
    if (status != REDIAL_OK) {
        wire_arena_fini(&arena);
        return status;
    }
    ret_response->message = message;
    ret_response->arena = arena;
    return REDIAL_OK;
}

void
redial_i_response_fini(struct redial_i_response *response)
{
    wire_arena_fini(&response->arena);
    response->message = NULL;
}

/* ---- the simple calls ---- */

enum redial_status
redial_get(redial_client *client, struct redial_job_ref ref,
           struct redial_deadline deadline, struct redial_job_info **ret_info,
           struct redial_error *ret_error)
{
    static const struct redial_i_method method = {
        &redial__v1__gateway__descriptor, "Get", true};
    Redial__V1__GetRequest request = REDIAL__V1__GET_REQUEST__INIT;
    struct redial_i_response response;
    const Redial__V1__GetResponse *answer;
    struct redial_job_info *info;
    enum redial_status status;

    status = redial_i_check_ref(ref, ret_error);
    if (status != REDIAL_OK) {
        return status;
    }
    request.id = redial_i_unconst(ref.id);
    request.key = redial_i_unconst(ref.key);
    request.tenant = redial_i_unconst(ref.tenant);
    status = redial_i_call(client, &method, &request.base, deadline, &response,
                           ret_error);
    if (status != REDIAL_OK) {
        return status;
    }
    answer = (const Redial__V1__GetResponse *)response.message;
    if (answer->job == NULL) {
        status = redial_i_fail(ret_error, REDIAL_NOT_FOUND, "", "no such job");
    } else {
        info = redial_i_job_info(answer->job);
        if (info == NULL) {
            status = redial_i_fail_memory(ret_error);
        } else {
            *ret_info = info;
        }
    }
    redial_i_response_fini(&response);
    return status;
}

enum redial_status
redial_cancel(redial_client *client, struct redial_job_ref ref,
              const char *reason, struct redial_deadline deadline,
              struct redial_cancelled *ret_cancelled,
              struct redial_error *ret_error)
{
    static const struct redial_i_method method = {
        &redial__v1__gateway__descriptor, "Cancel", true};
    Redial__V1__CancelRequest request = REDIAL__V1__CANCEL_REQUEST__INIT;
    struct redial_i_response response;
    const Redial__V1__CancelResponse *answer;
    enum redial_status status;

    status = redial_i_check_ref(ref, ret_error);
    if (status != REDIAL_OK) {
        return status;
    }
    if (reason != NULL && strlen(reason) > WIRE_TEXT_BYTES_MAX) {
        return redial_i_fail(ret_error, REDIAL_INVALID_ARGUMENT, "",
                             "reason is longer than %u bytes",
                             WIRE_TEXT_BYTES_MAX);
    }
    request.id = redial_i_unconst(ref.id);
    request.key = redial_i_unconst(ref.key);
    request.tenant = redial_i_unconst(ref.tenant);
    request.reason = redial_i_unconst(reason);
    status = redial_i_call(client, &method, &request.base, deadline, &response,
                           ret_error);
    if (status == REDIAL_OK) {
        answer = (const Redial__V1__CancelResponse *)response.message;
        ret_cancelled->state = (enum redial_job_state)answer->state;
        ret_cancelled->cancelled = answer->cancelled;
        redial_i_response_fini(&response);
    }
    return status;
}

static void
copy_string(char *to, size_t size, const char *from)
{
    redial_i_copy_text(to, size, from, from != NULL ? strlen(from) : 0);
}

enum redial_status
redial_health(redial_client *client, struct redial_deadline deadline,
              struct redial_health *ret_health, struct redial_error *ret_error)
{
    static const struct redial_i_method method = {
        &redial__v1__admin__descriptor, "Health", true};
    Redial__V1__HealthRequest request = REDIAL__V1__HEALTH_REQUEST__INIT;
    struct redial_i_response response;
    const Redial__V1__HealthResponse *answer;
    enum redial_status status = redial_i_call(client, &method, &request.base,
                                              deadline, &response, ret_error);

    if (status == REDIAL_OK) {
        answer = (const Redial__V1__HealthResponse *)response.message;
        ret_health->ready = answer->ready;
        ret_health->durable = answer->durable;
        copy_string(ret_health->why, sizeof(ret_health->why), answer->why);
        copy_string(ret_health->version, sizeof(ret_health->version),
                    answer->version);
        copy_string(ret_health->epoch, sizeof(ret_health->epoch),
                    answer->epoch);
        redial_i_response_fini(&response);
    }
    return status;
}
