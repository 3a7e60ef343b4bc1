/* SPDX-License-Identifier: Apache-2.0 */
#include "server/net/rpc.h"

#include "server/net/rpc_impl.h"

#include <stdlib.h>
#include <string.h>

/* Room for "{"status":...}" around a sentence of ours. */
#define JSON_BYTES_MAX 1024u

/* ---- making ---- */

enum redial_status
rpc_create(struct sp_server *server, const char *server_version,
           const struct rpc_hooks *hooks, struct rpc **ret_rpc)
{
    struct rpc *rpc = calloc(1, sizeof(*rpc));

    if (rpc == NULL) {
        return REDIAL_RESOURCE_EXHAUSTED;
    }
    rpc->server = server;
    rpc->server_version = server_version;
    rpc->hooks = *hooks;
    list_init(&rpc->orphans);
    *ret_rpc = rpc;
    return REDIAL_OK;
}

void
rpc_register(struct rpc *rpc, enum sp_role role, ProtobufCService *service)
{
    size_t *count = &rpc->service_counts[role];

    redial_assert(*count < RPC_SERVICES_MAX);
    rpc->services[role][*count].service = service;
    rpc->services[role][*count].name_len = strlen(service->descriptor->name);
    (*count)++;
}

/* ---- connections ---- */

static struct rpc_conn *
find_conn(const struct rpc *rpc, struct sp_conn_id id)
{
    struct rpc_conn *conn = id.index < rpc->conn_count ? rpc->conns[id.index]
                                                       : NULL;

    return conn != NULL && conn->id.generation == id.generation ? conn : NULL;
}

static bool
grow_conns(struct rpc *rpc, size_t index)
{
    size_t count = rpc->conn_count > 0 ? rpc->conn_count : 64;
    struct rpc_conn **conns;

    while (count <= index) {
        count *= 2;
    }
    conns = realloc(rpc->conns, count * sizeof(*conns));
    if (conns == NULL) {
        return false;
    }
    for (size_t i = rpc->conn_count; i < count; i++) {
        conns[i] = NULL;
    }
    rpc->conns = conns;
    rpc->conn_count = count;
    return true;
}

static struct rpc_conn *
add_conn(struct rpc *rpc, struct sp_conn_id id)
{
    const struct sp_peer *peer = sp_conn_peer(rpc->server, id);
    struct rpc_conn *conn;

    if (id.index >= rpc->conn_count && !grow_conns(rpc, id.index)) {
        return NULL;
    }
    conn = calloc(1, sizeof(*conn));
    if (conn == NULL) {
        return NULL;
    }
    conn->id = id;
    conn->role = peer != NULL ? peer->role : SP_ROLE_AGENT;
    conn->deferred_last = &conn->deferred_first;
    list_init(&conn->calls);
    rpc->conns[id.index] = conn;
    return conn;
}

static void
open_conn(struct rpc *rpc, struct sp_conn_id id)
{
    if (add_conn(rpc, id) == NULL) {
        sp_conn_close(rpc->server, id);
        return;
    }
    if (rpc->hooks.opened != NULL) {
        rpc->hooks.opened(rpc->hooks.ctx, id);
    }
}

static void
free_conn(struct rpc *rpc, struct rpc_conn *conn)
{
    while (conn->deferred_first != NULL) {
        struct rpc_reply *reply = conn->deferred_first;

        conn->deferred_first = reply->next;
        rpc_call_free(rpc_call_of(reply));
    }
    rpc->conns[conn->id.index] = NULL;
    free(conn);
}

/*
 * Tells the owners. Each call moves to the orphans before its hook runs, so a
 * hook may end any call.
 */
static void
close_conn(struct rpc *rpc, struct rpc_conn *conn)
{
    struct sp_conn_id id = conn->id;
    struct list *link;

    list_foreach(at, &conn->calls) {
        container_of(at, struct rpc_call, link)->is_closed = true;
    }
    while ((link = list_pop(&conn->calls)) != NULL) {
        struct rpc_call *call = container_of(link, struct rpc_call, link);

        list_append(&rpc->orphans, link);
        if (call->closed != NULL) {
            call->closed(call->owner, call);
        }
    }
    free_conn(rpc, conn);
    if (rpc->hooks.closed != NULL) {
        rpc->hooks.closed(rpc->hooks.ctx, id);
    }
}

/* ---- calls ---- */

/* A reply that no service made. */
static void
answer(struct rpc *rpc, struct rpc_reply *reply)
{
    if (rpc->hooks.reply != NULL) {
        rpc->hooks.reply(rpc->hooks.ctx, reply);
    } else {
        rpc_release(rpc, reply);
    }
}

static void
answer_error(struct rpc_call *call, const struct wire_error *error)
{
    struct rpc *rpc = call->rpc;

    answer(rpc,
           rpc_build_error(call, error->status, NULL, 0, "%s", error->text));
}

/* People who send JSON are told so in JSON. */
static void
answer_json(struct rpc_call *call)
{
    static const char sentence[] =
        "the JSON form of calls is not implemented: send a protobuf "
        "redial.v1.Call";
    struct rpc *rpc = call->rpc;
    struct sp_message *message = NULL;
    struct wire_json json;

    wire_json_init(&json, JSON_BYTES_MAX);
    wire_json_raw(&json, "{\"status\":{\"code\":\"UNIMPLEMENTED\",");
    wire_json_raw(&json, "\"message\":\"");
    wire_json_raw(&json, sentence);
    wire_json_raw(&json, "\",\"reason\":\"JSON_FORM\"},\"server_version\":");
    wire_json_string(&json, rpc->server_version, strlen(rpc->server_version));
    wire_json_raw(&json, "}");
    if (json.status == REDIAL_OK) {
        message = sp_message_new(json.len);
    }
    if (message != NULL) {
        memcpy(sp_message_body(message), json.text, json.len);
    }
    wire_json_fini(&json);
    answer(rpc, rpc_call_finish(call, message));
}

/* Called by service functions that answer at once. */
static void
closure(const ProtobufCMessage *response, void *closure_data)
{
    struct rpc_call *call = closure_data;
    struct rpc *rpc = call->rpc;

    if (response != NULL) {
        answer(rpc, rpc_build(call, response));
    } else {
        answer(rpc, rpc_build_error(call, REDIAL_INTERNAL, NULL, 0,
                                    "the service gave no response"));
    }
}

/* The service and the method's number of "/service/method", or NULL. */
static ProtobufCService *
find_method(const struct rpc *rpc, enum sp_role role, const char *path,
            unsigned *ret_method)
{
    const char *slash = path[0] == '/' ? strchr(path + 1, '/') : NULL;
    size_t len = slash != NULL ? (size_t)(slash - path) - 1 : 0;

    for (size_t i = 0; slash != NULL && i < rpc->service_counts[role]; i++) {
        const struct rpc_service *row = &rpc->services[role][i];
        const ProtobufCServiceDescriptor *descriptor = row->service->descriptor;
        const ProtobufCMethodDescriptor *method;

        if (row->name_len != len ||
            memcmp(descriptor->name, path + 1, len) != 0) {
            continue;
        }
        method = protobuf_c_service_descriptor_get_method_by_name(descriptor,
                                                                  slash + 1);
        if (method == NULL) {
            return NULL;
        }
        *ret_method = (unsigned)(method - descriptor->methods);
        return row->service;
    }
    return NULL;
}

/* Unpacks the input and gives the call to its service. */
static void
invoke(struct rpc_call *call, const struct wire_call *envelope)
{
    struct rpc *rpc = call->rpc;
    struct wire_error error;
    ProtobufCService *service;
    unsigned method = 0;

    service = find_method(rpc, call->role, call->method, &method);
    if (service == NULL) {
        (void)wire_error_set(&error, REDIAL_UNIMPLEMENTED,
                             "no such method here: %.128s", call->method);
        answer_error(call, &error);
        return;
    }
    call->input = wire_unpack(service->descriptor->methods[method].input,
                              envelope->message.at, envelope->message.len,
                              &call->arena, &error);
    if (call->input == NULL) {
        answer_error(call, &error);
        return;
    }
    service->invoke(service, method, call->input, closure, call);
}

/* OK, or why the call goes no further. */
static enum redial_status
open_envelope(struct rpc_call *call, const struct sp_event *event,
              struct wire_call *ret_envelope, struct wire_error *error)
{
    const struct rpc_hooks *hooks = &call->rpc->hooks;
    enum redial_status status = wire_call_decode(event->body, event->body_len,
                                                 ret_envelope, error);

    if (status != REDIAL_OK || ret_envelope->is_json) {
        return status;
    }
    if (ret_envelope->method.len == 0 ||
        ret_envelope->method.len > WIRE_PATH_BYTES_MAX) {
        return wire_error_set(error, REDIAL_INVALID_ARGUMENT, "method: %s",
                              ret_envelope->method.len == 0
                                  ? "is missing"
                                  : "is longer than 258 bytes");
    }
    if (!rpc_call_set_envelope(call, ret_envelope)) {
        return wire_error_set(error, REDIAL_RESOURCE_EXHAUSTED,
                              "out of memory");
    }
    if (hooks->guard == NULL) {
        return REDIAL_OK;
    }
    error->text[0] = '\0';
    status = hooks->guard(hooks->ctx, call, error);
    if (status != REDIAL_OK) {
        error->status = status;
        if (error->text[0] == '\0') {
            return wire_error_set(error, status, "%s",
                                  redial_status_text(status));
        }
    }
    return status;
}

static void
handle_frame(struct rpc *rpc, const struct sp_event *event)
{
    struct rpc_conn *conn = find_conn(rpc, event->conn);
    struct rpc_call *call = conn != NULL ? rpc_call_new(rpc, conn, event)
                                         : NULL;
    struct wire_call envelope;
    struct wire_error error;

    if (call == NULL) {
        sp_conn_close(rpc->server, event->conn);
        return;
    }
    list_append(&conn->calls, &call->link);
    if (open_envelope(call, event, &envelope, &error) != REDIAL_OK) {
        answer_error(call, &error);
    } else if (envelope.is_json) {
        answer_json(call);
    } else {
        invoke(call, &envelope);
    }
}

/* ---- replies ---- */

/* False: the connection's queue is full; the reply stays the caller's. */
static bool
send_reply(struct rpc *rpc, struct rpc_call *call)
{
    enum redial_status status = sp_send(rpc->server, call->conn, call->request,
                                        call->message);

    if (status == REDIAL_RESOURCE_EXHAUSTED) {
        return false;
    }
    if (status == REDIAL_OK) {
        call->message = NULL; /* the server's now */
    }
    rpc_call_free(call);
    return true;
}

void
rpc_release(struct rpc *rpc, struct rpc_reply *reply)
{
    struct rpc_call *call = rpc_call_of(reply);
    struct rpc_conn *conn = find_conn(rpc, call->conn);

    if (conn == NULL || call->message == NULL) {
        rpc_call_free(call);
        return;
    }
    if (conn->deferred_first == NULL && send_reply(rpc, call)) {
        return;
    }
    reply->next = NULL;
    *conn->deferred_last = reply;
    conn->deferred_last = &reply->next;
    conn->deferred_bytes += sp_message_body_len(call->message);
}

void
rpc_reply_drop(struct rpc *rpc, struct rpc_reply *reply)
{
    struct rpc_call *call = rpc_call_of(reply);

    sp_request_drop(rpc->server, call->conn, call->request);
    rpc_call_free(call);
}

static void
resume_conn(struct rpc *rpc, struct rpc_conn *conn)
{
    while (conn->deferred_first != NULL) {
        struct rpc_reply *reply = conn->deferred_first;
        struct rpc_reply *next = reply->next;
        size_t bytes = sp_message_body_len(rpc_call_of(reply)->message);

        if (!send_reply(rpc, rpc_call_of(reply))) {
            return;
        }
        conn->deferred_bytes -= bytes;
        conn->deferred_first = next;
        if (next == NULL) {
            conn->deferred_last = &conn->deferred_first;
        }
    }
    if (rpc->hooks.writable != NULL &&
        !sp_conn_over_cap(rpc->server, conn->id)) {
        rpc->hooks.writable(rpc->hooks.ctx, conn->id);
    }
}

/* ---- the entry ---- */

void
rpc_dispatch(struct rpc *rpc, const struct sp_event *event)
{
    struct rpc_conn *conn;

    switch (event->kind) {
    case SP_OPENED:
        open_conn(rpc, event->conn);
        return;
    case SP_FRAME:
        handle_frame(rpc, event);
        sp_frame_release(rpc->server, event->frame);
        return;
    case SP_WRITABLE:
        conn = find_conn(rpc, event->conn);
        if (conn != NULL) {
            resume_conn(rpc, conn);
        }
        return;
    case SP_CLOSED:
        conn = find_conn(rpc, event->conn);
        if (conn != NULL) {
            close_conn(rpc, conn);
        }
        return;
    }
}

size_t
rpc_conn_deferred_bytes(const struct rpc *rpc, struct sp_conn_id id)
{
    const struct rpc_conn *conn = find_conn(rpc, id);

    return conn != NULL ? conn->deferred_bytes : 0;
}

size_t
rpc_calls(const struct rpc *rpc)
{
    return rpc->call_count;
}

static void
drop_calls(struct list *calls)
{
    struct list *link;

    while ((link = list_first(calls)) != NULL) {
        rpc_call_drop(container_of(link, struct rpc_call, link));
    }
}

void
rpc_fini(struct rpc *rpc)
{
    if (rpc == NULL) {
        return;
    }
    drop_calls(&rpc->orphans);
    for (size_t i = 0; i < rpc->conn_count; i++) {
        if (rpc->conns[i] != NULL) {
            drop_calls(&rpc->conns[i]->calls);
            free_conn(rpc, rpc->conns[i]);
        }
    }
    redial_assert(rpc->call_count == 0);
    free(rpc->conns);
    free(rpc);
}
