/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One call: what it says, and how it becomes a reply.
 */
#include "server/net/rpc_impl.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- life ---- */

struct rpc_call *
rpc_call_new(struct rpc *rpc, const struct rpc_conn *conn,
             const struct sp_event *event)
{
    struct rpc_call *call = malloc(sizeof(*call));

    if (call == NULL) {
        return NULL;
    }
    memset(call, 0, offsetof(struct rpc_call, arena));
    call->magic = RPC_CALL_MAGIC;
    call->rpc = rpc;
    call->conn = conn->id;
    call->request = event->request;
    call->role = conn->role;
    call->method = "";
    wire_arena_init(&call->arena, call->first, sizeof(call->first));
    wire_arena_reset(&call->arena, wire_arena_budget(event->body_len));
    rpc->call_count++;
    return call;
}

/* The call has no use for its input any more. */
static void
end_call(struct rpc_call *call)
{
    list_remove(&call->link);
    wire_arena_fini(&call->arena);
    call->rpc->call_count--;
    call->input = NULL;
    call->metadata_count = 0;
    call->closed = NULL;
}

struct rpc_reply *
rpc_call_finish(struct rpc_call *call, struct sp_message *message)
{
    redial_assert(call->magic == RPC_CALL_MAGIC);
    if (message == NULL && !call->is_closed) {
        sp_conn_close(call->rpc->server, call->conn); /* no memory */
    }
    end_call(call);
    call->message = message;
    call->reply.next = NULL;
    return &call->reply;
}

void
rpc_call_free(struct rpc_call *call)
{
    call->magic = 0;
    sp_message_free(call->message);
    free(call);
}

void
rpc_call_drop(struct rpc_call *call)
{
    redial_assert(call->magic == RPC_CALL_MAGIC);
    sp_request_drop(call->rpc->server, call->conn, call->request);
    end_call(call);
    rpc_call_free(call);
}

/* ---- the envelope ---- */

static bool
copy_metadata(struct rpc_call *call, const struct wire_metadata_list *list)
{
    struct wire_metadata *copies;

    if (list->count == 0) {
        return true;
    }
    copies = wire_arena_alloc(&call->arena, list->count * sizeof(*copies));
    if (copies == NULL) {
        return false;
    }
    for (size_t i = 0; i < list->count; i++) {
        const struct wire_metadata *entry = &list->items[i];
        char *key = wire_arena_copy(&call->arena, entry->key.at,
                                    entry->key.len);
        char *value = wire_arena_copy(&call->arena, entry->value.at,
                                      entry->value.len);

        if (key == NULL || value == NULL) {
            return false;
        }
        copies[i].key.at = key;
        copies[i].key.len = entry->key.len;
        copies[i].value.at = (const uint8_t *)value;
        copies[i].value.len = entry->value.len;
    }
    call->metadata = copies;
    call->metadata_count = list->count;
    return true;
}

bool
rpc_call_set_envelope(struct rpc_call *call, const struct wire_call *envelope)
{
    char *method = wire_arena_copy(&call->arena, envelope->method.at,
                                   envelope->method.len);

    if (method == NULL) {
        return false;
    }
    call->method = method;
    call->timeout_ms = envelope->timeout_ms;
    return copy_metadata(call, &envelope->metadata);
}

struct sp_conn_id
rpc_call_conn(const struct rpc_call *call)
{
    return call->conn;
}

enum sp_role
rpc_call_role(const struct rpc_call *call)
{
    return call->role;
}

uint32_t
rpc_call_timeout_ms(const struct rpc_call *call)
{
    return call->timeout_ms;
}

const char *
rpc_call_method(const struct rpc_call *call)
{
    return call->method;
}

const ProtobufCMessage *
rpc_call_input(const struct rpc_call *call)
{
    return call->input;
}

const struct wire_bytes *
rpc_call_metadata(const struct rpc_call *call, const char *key)
{
    for (size_t i = call->metadata_count; i > 0; i--) {
        if (wire_text_equals(call->metadata[i - 1].key, key)) {
            return &call->metadata[i - 1].value;
        }
    }
    return NULL;
}

bool
rpc_call_is_closed(const struct rpc_call *call)
{
    return call->is_closed;
}

void *
rpc_call_alloc(struct rpc_call *call, size_t bytes)
{
    return wire_arena_alloc(&call->arena, bytes);
}

void
rpc_call_set_owner(struct rpc_call *call, void *owner)
{
    call->owner = owner;
}

void *
rpc_call_owner(const struct rpc_call *call)
{
    return call->owner;
}

void
rpc_call_on_close(struct rpc_call *call,
                  void (*closed)(void *owner, struct rpc_call *call))
{
    call->closed = closed;
}

/* ---- building ---- */

/* NULL: too large, or no memory. */
static struct sp_message *
encode(const struct wire_reply *reply, const ProtobufCMessage *response)
{
    size_t size = wire_reply_size(reply);
    struct sp_message *message;

    if (size > WIRE_FRAME_BYTES_MAX) {
        return NULL;
    }
    message = sp_message_new(size);
    if (message != NULL) {
        wire_reply_encode(reply, response, sp_message_body(message));
    }
    return message;
}

static struct rpc_reply *
build_response(struct rpc_call *call, const ProtobufCMessage *response,
               const uint8_t *packed, size_t len)
{
    struct wire_reply reply;
    struct sp_message *message;

    redial_assert(call->magic == RPC_CALL_MAGIC);
    memset(&reply, 0, sizeof(reply));
    reply.status = REDIAL_OK;
    reply.has_message = true;
    reply.message.at = packed;
    reply.message.len = len;
    reply.server_version = wire_text(call->rpc->server_version);
    message = encode(&reply, response);
    if (message == NULL) {
        return rpc_build_error(call, REDIAL_RESOURCE_EXHAUSTED,
                               "RESPONSE_TOO_LARGE", 0,
                               "the response would have %zu bytes", len);
    }
    return rpc_call_finish(call, message);
}

struct rpc_reply *
rpc_build(struct rpc_call *call, const ProtobufCMessage *response)
{
    return build_response(call, response, NULL,
                          protobuf_c_message_get_packed_size(response));
}

struct rpc_reply *
rpc_build_packed(struct rpc_call *call, const uint8_t *response, size_t len)
{
    return build_response(call, NULL, response, len);
}

struct rpc_reply *
rpc_build_error(struct rpc_call *call, enum redial_status status,
                const char *reason, uint64_t retry_after_ms, const char *format,
                ...)
{
    char text[WIRE_TEXT_BYTES_MAX + 1];
    struct wire_reply reply;
    va_list arguments;

    redial_assert(call->magic == RPC_CALL_MAGIC);
    redial_assert(status != REDIAL_OK);
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    memset(&reply, 0, sizeof(reply));
    reply.status = status;
    reply.text = wire_text(text);
    reply.text.len = wire_utf8_prefix(text, reply.text.len);
    reply.reason = wire_text(reason != NULL ? reason
                                            : redial_status_name(status));
    reply.retry_after_ms = retry_after_ms;
    reply.server_version = wire_text(call->rpc->server_version);
    return rpc_call_finish(call, encode(&reply, NULL));
}
