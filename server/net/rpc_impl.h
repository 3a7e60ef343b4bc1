/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside of RPC; for rpc*.c only.
 *
 * A call and its reply are one object: building turns the one into the other,
 * so that it cannot fail. Calls hang on their connection until they end; those
 * that outlive it hang on the rpc (orphans).
 */
#ifndef REDIAL_SERVER_NET_RPC_IMPL_H
#define REDIAL_SERVER_NET_RPC_IMPL_H

#include "server/base/check.h"
#include "server/base/list.h"
#include "server/net/rpc.h"

#include <stdalign.h>

#define RPC_CALL_MAGIC  0x52504343u
#define RPC_FIRST_BYTES 1536u /* most requests need no more */

struct rpc_call {
    struct rpc_reply reply; /* first: its address is the call's */
    uint32_t magic;
    struct rpc *rpc;
    struct sp_conn_id conn;
    struct sp_request_id request;
    enum sp_role role;
    uint32_t timeout_ms;
    bool is_closed; /* the connection */
    const char *method;
    ProtobufCMessage *input;
    const struct wire_metadata *metadata;
    size_t metadata_count;
    void *owner;
    void (*closed)(void *owner, struct rpc_call *call);
    struct list link;           /* of the connection's calls, or orphans */
    struct sp_message *message; /* built; NULL: nothing to send */
    struct wire_arena arena;
    alignas(max_align_t) uint8_t first[RPC_FIRST_BYTES];
};

/* What this module keeps of a connection. */
struct rpc_conn {
    struct sp_conn_id id;
    enum sp_role role;
    struct list calls;
    struct rpc_reply *deferred_first; /* wait for the connection's queue */
    struct rpc_reply **deferred_last;
    size_t deferred_bytes;
};

struct rpc_service {
    ProtobufCService *service;
    size_t name_len;
};

struct rpc {
    struct sp_server *server;
    const char *server_version;
    struct rpc_hooks hooks;
    struct rpc_service services[SP_ROLE_COUNT][RPC_SERVICES_MAX];
    size_t service_counts[SP_ROLE_COUNT];
    struct rpc_conn **conns; /* by the index of the connection */
    size_t conn_count;
    struct list orphans; /* calls whose connection is gone */
    size_t call_count;
};

/* A call without input; NULL: no memory. */
struct rpc_call *
rpc_call_new(struct rpc *rpc, const struct rpc_conn *conn,
             const struct sp_event *event);

/* Copies what the envelope says into the call; false: budget or memory. */
bool
rpc_call_set_envelope(struct rpc_call *call, const struct wire_call *envelope);

/* Ends the call with a body made by others (ownership moves; may be NULL). */
struct rpc_reply *
rpc_call_finish(struct rpc_call *call, struct sp_message *message);

static inline struct rpc_call *
rpc_call_of(struct rpc_reply *reply)
{
    struct rpc_call *call = container_of(reply, struct rpc_call, reply);

    redial_assert(call->magic == RPC_CALL_MAGIC);
    return call;
}

/* Frees a built reply. */
void
rpc_call_free(struct rpc_call *call);

#endif
