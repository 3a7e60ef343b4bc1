/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The SP server: SP REP (requests in, replies in any order out) for any number
 * of REQ peers on ipc, abstract, tcp and tls+tcp, spoken on nng's byte streams.
 *
 *     loop thread                          threads of nng
 *     sp_server_take() <-- events ------- accept, greet, frame, check limits
 *     sp_send(), sp_server_flush() ----->  write
 *
 * Events. sp_server_take() hands them out: OPENED once per connection that
 * completed the greeting, then FRAMEs and WRITABLEs, then CLOSED exactly once.
 * Complete frames are delivered even if their peer is gone already.
 *
 * Requests. Each FRAME is one pending request until sp_send() answers it or
 * its connection is closed. A repeat of a pending request (same header on the
 * same connection) gives no second FRAME: the one reply answers both.
 *
 * Handles. Connections and requests are named by values that are never reused
 * within a process's life, as far as 32-bit generations go: a stale handle is
 * harmless and answered by NOT_FOUND.
 *
 * Writing. sp_send() queues; sp_server_flush() (and sp_server_take(), which
 * calls it) starts the writes, so the replies of one turn of the loop leave
 * in one write per connection. What is queued while a write is on its way
 * leaves together when that write has finished, without the loop.
 *
 * Limits. Everything has one (struct sp_limits). A peer at its limit costs
 * itself only: it is not read, or answered RESOURCE_EXHAUSTED, or closed.
 *
 * Threads. Everything is called from one thread, the loop, except that `wake`
 * is called from nng's threads: it must not block and must not call back.
 * Nothing blocks but sp_server_listen(), sp_server_stop() and
 * sp_server_fini().
 *
 * Teardown: sp_server_close() (no new connections), sp_server_stop() (flush,
 * then close all), sp_server_fini().
 */
#ifndef REDIAL_SERVER_NET_SP_SERVER_H
#define REDIAL_SERVER_NET_SP_SERVER_H

#include <redial/status.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SP_LISTENERS_MAX 16
#define SP_URL_BYTES_MAX 256
#define SP_ERROR_BYTES   256

struct sp_server;
struct sp_listener;
struct sp_frame;
struct sp_message;

/* Who a listener is for. Its connections have this role for life. */
enum sp_role {
    SP_ROLE_AGENT,
    SP_ROLE_WORKER,
    SP_ROLE_ADMIN,
};

#define SP_ROLE_COUNT 3

/* A connection. The zero value names none. */
struct sp_conn_id {
    uint32_t index; /* small, dense: good for an array beside it */
    uint32_t generation;
};

/* A pending request of one connection. The zero value names none. */
struct sp_request_id {
    uint32_t value;
};

struct sp_limits {
    size_t frame_bytes_guest_max; /* one body before authentication */
    size_t frame_bytes_max;       /* one body after it */
    size_t waiting_frames_max;    /* not taken yet, per connection; then it */
    size_t waiting_bytes_max;     /*   is not read */
    uint32_t requests_max;        /* unanswered per connection, to 1,024 */
    size_t queued_bytes_max;      /* replies queued to one connection */
    size_t buffer_bytes_max;      /* all buffers of all connections */
    uint32_t connections_max;     /* of all listeners; 0 (and as the bound of
                                     others): file descriptors less 64;
                                     exceeded by one per further listener */
    uint32_t greeting_ms;         /* from accept to the peer's 8 bytes */
    uint32_t frame_ms;            /* from the first to the last byte of one */
    uint32_t write_ms;            /* without the peer taking a single byte */
    uint32_t linger_ms;           /* a refused peer may read its answer */
    const char *server_version;   /* in refusals that the server itself sends;
                                     not copied: a constant */
};

struct sp_listen_options {
    uint32_t ipc_mode;         /* permissions of the path; 0: 0600 */
    const char *tls_cert_file; /* PEM, tls+tcp: certificate (chain), */
    const char *tls_key_file;  /*   its key, */
    const char *tls_ca_file;   /*   and who signs clients, or NULL: anybody */
    uint32_t connections_max;  /* of this listener; 0: 10,000 */
    uint32_t accepts_per_s;    /* more wait in the backlog; 0: unlimited */
    bool is_authenticated_at_accept; /* large frames from the start */
};

/* Who is there; valid until CLOSED was taken. */
struct sp_peer {
    enum sp_role role;
    bool is_authenticated; /* large frames are allowed */
    bool has_uid;          /* ipc and abstract */
    uint32_t uid;          /* of the peer's process when it connected */
    bool is_tls;
};

enum sp_event_kind {
    SP_OPENED,
    SP_FRAME,
    SP_WRITABLE, /* was over its cap (sp_conn_over_cap()), is not any more */
    SP_CLOSED,
};

struct sp_event {
    enum sp_event_kind kind;
    struct sp_conn_id conn;
    struct sp_request_id request; /* FRAME */
    struct sp_frame *frame;       /* FRAME: owned by the taker, who calls
                                     sp_frame_release() */
    const uint8_t *body;          /* FRAME: inside `frame`, header cut off */
    size_t body_len;
};

/* One number per line of sp_counters.def. */
struct sp_counters {
#define SP_COUNTER(name, text) uint64_t name;
#include "server/net/sp_counters.def"
};

/* The defaults of protocol.md; server_version is "". */
void
sp_limits_default(struct sp_limits *ret_limits);

/*
 * A server without listeners. `limits` is copied. `wake` is called when there
 * is something to take, once until sp_server_take() is called again.
 * RESOURCE_EXHAUSTED: no memory.
 */
enum redial_status
sp_server_create(const struct sp_limits *limits, void (*wake)(void *ctx),
                 void *ctx, struct sp_server **ret_server);

/*
 * Listens at ipc://path, abstract://name, tcp://host:port or
 * tls+tcp://host:port; port 0 takes a free one. At most SP_LISTENERS_MAX.
 * The file mask of the process is changed for the moment of an ipc bind: call
 * it before other threads make files. The listener belongs to the server.
 * INVALID_ARGUMENT, ALREADY_EXISTS (address in use), PERMISSION_DENIED,
 * RESOURCE_EXHAUSTED, UNAVAILABLE; sp_server_error() says more.
 */
enum redial_status
sp_server_listen(struct sp_server *server, const char *url, enum sp_role role,
                 const struct sp_listen_options *options,
                 struct sp_listener **ret_listener);

/* A sentence on the last failed sp_server_listen(). Never NULL. */
const char *
sp_server_error(const struct sp_server *server);

/* Where it listens, with the port that it got. Lives as long as the server. */
const char *
sp_listener_url(const struct sp_listener *listener);

/*
 * Takes up to `max` events, connections in turn, at most 64 of each, and starts
 * the writes that are queued. Call again until it returns 0; only then will
 * `wake` be called for what is new.
 */
size_t
sp_server_take(struct sp_server *server, struct sp_event *ret_events,
               size_t max);

/* Gives a frame back; its body must not be touched any more. */
void
sp_frame_release(struct sp_server *server, struct sp_frame *frame);

/*
 * A reply of `body_len` bytes to be filled in at sp_message_body(). Room for
 * the header is kept in front: a large reply is never copied again.
 * NULL: no memory.
 */
struct sp_message *
sp_message_new(size_t body_len);

uint8_t *
sp_message_body(struct sp_message *message);

size_t
sp_message_body_len(const struct sp_message *message);

/* For a message that was not sent. NULL is fine. */
void
sp_message_free(struct sp_message *message);

/*
 * Answers a request. OK: the message is the server's now. Otherwise it stays
 * the caller's: NOT_FOUND (connection gone, or request answered before),
 * RESOURCE_EXHAUSTED (the connection's queue is full: wait for WRITABLE; a
 * queue that is empty takes a message of any size).
 */
enum redial_status
sp_send(struct sp_server *server, struct sp_conn_id conn,
        struct sp_request_id request, struct sp_message *message);

/*
 * Forgets a request without an answer (its repeat will be a new FRAME).
 * Stale handles are harmless.
 */
void
sp_request_drop(struct sp_server *server, struct sp_conn_id conn,
                struct sp_request_id request);

/* Starts writing what is queued and not under way. */
void
sp_server_flush(struct sp_server *server);

/* From now on large frames are allowed. Stale handles are harmless. */
void
sp_conn_authenticated(struct sp_server *server, struct sp_conn_id conn);

/* Closes it; CLOSED follows. Queued replies are lost. */
void
sp_conn_close(struct sp_server *server, struct sp_conn_id conn);

/* NULL when it is gone. */
const struct sp_peer *
sp_conn_peer(const struct sp_server *server, struct sp_conn_id conn);

/* Bytes queued to it, headers included; 0 when it is gone. */
size_t
sp_conn_queued_bytes(const struct sp_server *server, struct sp_conn_id conn);

/*
 * So much is queued to it that one more frame of any size may not fit, or a
 * send was refused: give it no more work. WRITABLE follows when half of that
 * has left. False when it is gone.
 */
bool
sp_conn_over_cap(const struct sp_server *server, struct sp_conn_id conn);

/* Bytes in all buffers now. */
size_t
sp_server_buffer_bytes(const struct sp_server *server);

/* Connections that are open or greeting now. */
uint32_t
sp_server_connections(const struct sp_server *server);

/* May be called from any thread. */
void
sp_server_counters(const struct sp_server *server,
                   struct sp_counters *ret_counters);

/*
 * Stops accepting, for good; connections go on. Idempotent, does not block.
 */
void
sp_server_close(struct sp_server *server);

/*
 * Writes what is queued, for at most `flush_ms` (peers that do not read lose
 * their replies), then closes every connection and waits for nng to be done
 * with them. Events that were not taken are gone; sp_server_take() returns 0,
 * handles are stale. Implies close. Idempotent. `wake` is not called any more.
 */
void
sp_server_stop(struct sp_server *server, uint32_t flush_ms);

/* Stops if that was not done, and frees. Frames taken before must have been
   released. NULL is fine. */
void
sp_server_fini(struct sp_server *server);

#endif
