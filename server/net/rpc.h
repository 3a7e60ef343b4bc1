/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls and replies over the SP server.
 *
 *     sp FRAME --> rpc_dispatch() --> service->invoke(input, closure, call)
 *                                           ... now, or much later ...
 *     rpc_build(call, response) --> reply --> rpc_release(reply)
 *
 * Services are those that protoc-c generates: a struct with a ProtobufCService
 * first, whose functions get (service, input, closure, closure_data). The
 * closure data is the `struct rpc_call *`. A function either answers at once
 * (by the closure or by rpc_build()), or keeps the call and answers later.
 *
 * Persist, then speak: building a reply ends the call and packs the bytes;
 * releasing it sends them. In between the loop keeps replies in lists of its
 * own, by their `next`.
 *
 * Replies that this module makes itself (malformed, unknown method, closure)
 * go to hooks.reply like all others.
 *
 * All of it runs on the loop thread. Nothing blocks.
 */
#ifndef REDIAL_SERVER_NET_RPC_H
#define REDIAL_SERVER_NET_RPC_H

#include "proto/wire.h"
#include "server/net/sp_server.h"
#include <redial/status.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RPC_SERVICES_MAX 16

struct rpc;
struct rpc_call;

/* A reply that was built. Only `next` is for others. */
struct rpc_reply {
    struct rpc_reply *next; /* free for the holder's lists */
};

/* All may be NULL; `ctx` goes to each. They must not call rpc_dispatch(). */
struct rpc_hooks {
    void *ctx;

    /* Takes a reply that this module built itself. NULL: released at once. */
    void (*reply)(void *ctx, struct rpc_reply *reply);

    /*
     * Looks at every call before its service does: OK, or the status to answer
     * with (its reason and text may be set by *ret_error; reason is the status
     * name then). Lifting the frame limit is its business, too:
     * sp_conn_authenticated().
     */
    enum redial_status (*guard)(void *ctx, struct rpc_call *call,
                                struct wire_error *ret_error);

    void (*opened)(void *ctx, struct sp_conn_id conn);

    /* After the hooks of its calls (rpc_call_on_close()) have run. */
    void (*closed)(void *ctx, struct sp_conn_id conn);

    /* Below half of its cap again, and nothing of this module waits. */
    void (*writable)(void *ctx, struct sp_conn_id conn);
};

/* `hooks` is copied; `server_version` must live as long as the rpc. */
enum redial_status
rpc_create(struct sp_server *server, const char *server_version,
           const struct rpc_hooks *hooks, struct rpc **ret_rpc);

/*
 * Frees it with every call and deferred reply that still exists; no hook is
 * called. Replies in the loop's lists must have been released or dropped.
 * NULL is fine.
 */
void
rpc_fini(struct rpc *rpc);

/*
 * Serves `service` to connections of this role; the same service may serve
 * several roles. It is not owned and must outlive the rpc.
 */
void
rpc_register(struct rpc *rpc, enum sp_role role, ProtobufCService *service);

/*
 * Handles one event of sp_server_take(), of any kind. A FRAME is released
 * before this returns.
 */
void
rpc_dispatch(struct rpc *rpc, const struct sp_event *event);

/* ---- a call: valid from invoke until it is built or dropped ---- */

struct sp_conn_id
rpc_call_conn(const struct rpc_call *call);

enum sp_role
rpc_call_role(const struct rpc_call *call);

/* The caller's patience, milliseconds; 0: for ever. */
uint32_t
rpc_call_timeout_ms(const struct rpc_call *call);

/* "/redial.v1.Gateway/Submit" */
const char *
rpc_call_method(const struct rpc_call *call);

/* The input of the service function; lives as long as the call. */
const ProtobufCMessage *
rpc_call_input(const struct rpc_call *call);

/* NULL: no such metadata. Not terminated. */
const struct wire_bytes *
rpc_call_metadata(const struct rpc_call *call, const char *key);

/* The connection was closed; an answer will go nowhere. */
bool
rpc_call_is_closed(const struct rpc_call *call);

/* Memory that lives as long as the call, within its budget; or NULL. */
void *
rpc_call_alloc(struct rpc_call *call, size_t bytes);

/*
 * A pointer of the service that keeps the call. NULL at first.
 */
void
rpc_call_set_owner(struct rpc_call *call, void *owner);

void *
rpc_call_owner(const struct rpc_call *call);

/*
 * Asks to be told when the call's connection closes before the answer. The
 * hook may end its call, any other call as well; if it does not, the owner
 * does later. Without a hook the owner just answers as usual, to nobody.
 */
void
rpc_call_on_close(struct rpc_call *call,
                  void (*closed)(void *owner, struct rpc_call *call));

/*
 * Ends the call with a response of status OK. The response is packed now and
 * not referenced afterwards. Never fails: a response over the frame limit
 * becomes RESOURCE_EXHAUSTED / RESPONSE_TOO_LARGE, and without memory the
 * connection is closed and the reply is empty.
 */
struct rpc_reply *
rpc_build(struct rpc_call *call, const ProtobufCMessage *response);

/* The same with a response that is packed already; the bytes are copied. */
struct rpc_reply *
rpc_build_packed(struct rpc_call *call, const uint8_t *response, size_t len);

/*
 * Ends the call with a failure. `reason` is a word for programs (NULL: the
 * name of the status); retry_after_ms 0: not given; the text is cut at 4 KiB.
 */
struct rpc_reply *
rpc_build_error(struct rpc_call *call, enum redial_status status,
                const char *reason, uint64_t retry_after_ms, const char *format,
                ...) __attribute__((format(printf, 5, 6)));

/*
 * Sends a reply and frees it; harmless if the connection is gone. If the
 * connection's queue is full the reply waits in order, and its bytes count for
 * rpc_conn_deferred_bytes(): ask sp_conn_over_cap() before building much.
 * It leaves at the next sp_server_flush() or sp_server_take().
 */
void
rpc_release(struct rpc *rpc, struct rpc_reply *reply);

/* Frees a reply without sending it; the request stays unanswered. */
void
rpc_reply_drop(struct rpc *rpc, struct rpc_reply *reply);

/* Ends a call without an answer. */
void
rpc_call_drop(struct rpc_call *call);

/* Bytes of replies that wait for the connection's queue. */
size_t
rpc_conn_deferred_bytes(const struct rpc *rpc, struct sp_conn_id conn);

/* Calls that are not ended yet: for shutdown and statistics. */
size_t
rpc_calls(const struct rpc *rpc);

#endif
