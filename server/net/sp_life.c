/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making and ending an SP server. See sp_impl.h for the model.
 */
#include "proto/wire.h"
#include "server/net/sp_impl.h"
#include "server/net/sp_server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define DESCRIPTORS_RESERVED 64u /* store, logs, plugins */
#define CONNECTIONS_FALLBACK 1024u

/* ---- limits ---- */

void
sp_limits_default(struct sp_limits *ret_limits)
{
    const struct sp_limits limits = {
        .frame_bytes_guest_max = WIRE_FRAME_BYTES_GUEST_MAX,
        .frame_bytes_max = WIRE_FRAME_BYTES_MAX,
        .waiting_frames_max = 16,
        .waiting_bytes_max = 8u << 20,
        .requests_max = 1024,
        .queued_bytes_max = 16u << 20,
        .buffer_bytes_max = 512u << 20,
        .connections_max = 0,
        .greeting_ms = 3000,
        .frame_ms = 60000,
        .write_ms = 60000,
        .linger_ms = 2000,
        .server_version = "",
    };

    *ret_limits = limits;
}

/* File descriptors that connections may use. */
static uint32_t
descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 ||
        limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur > UINT32_MAX) {
        return CONNECTIONS_FALLBACK;
    }
    return limit.rlim_cur > 2 * DESCRIPTORS_RESERVED
               ? (uint32_t)limit.rlim_cur - DESCRIPTORS_RESERVED
               : (uint32_t)limit.rlim_cur / 2 + 1;
}

/* The body of a refusal that needs no loop. */
static struct sp_message *
refusal(const struct sp_limits *limits, const char *reason, const char *text)
{
    struct wire_reply reply;
    struct sp_message *message;

    memset(&reply, 0, sizeof(reply));
    reply.status = REDIAL_RESOURCE_EXHAUSTED;
    reply.reason = wire_text(reason);
    reply.text = wire_text(text);
    reply.server_version = wire_text(limits->server_version);
    message = sp_message_new(wire_reply_size(&reply));
    if (message != NULL) {
        wire_reply_encode(&reply, NULL, sp_message_body(message));
    }
    return message;
}

/* ---- making ---- */

static bool
cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attributes;
    bool is_good;

    if (pthread_condattr_init(&attributes) != 0) {
        return false;
    }
    is_good = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
              pthread_cond_init(cond, &attributes) == 0;
    (void)pthread_condattr_destroy(&attributes);
    return is_good;
}

static void
set_limits(struct sp_server *server, const struct sp_limits *limits)
{
    uint32_t most = descriptors();

    server->limits = *limits;
    if (limits->connections_max == 0 || limits->connections_max > most) {
        server->limits.connections_max = most;
    }
    if (limits->requests_max > SP_REQUESTS_MAX) {
        server->limits.requests_max = SP_REQUESTS_MAX;
    }
}

enum redial_status
sp_server_create(const struct sp_limits *limits, void (*wake)(void *ctx),
                 void *ctx, struct sp_server **ret_server)
{
    struct sp_server *server = calloc(1, sizeof(*server));

    if (server == NULL) {
        return REDIAL_RESOURCE_EXHAUSTED;
    }
    set_limits(server, limits);
    server->wake = wake;
    server->ctx = ctx;
    list_init(&server->ready);
    list_init(&server->conns);
    list_init(&server->starved);
    list_init(&server->dirty);
    if (!cond_init(&server->flushed)) {
        free(server);
        return REDIAL_RESOURCE_EXHAUSTED;
    }
    (void)pthread_mutex_init(&server->lock, NULL);
    server->refusal_requests = refusal(
        &server->limits, "TOO_MANY_REQUESTS",
        "too many requests of this connection wait for an answer");
    server->refusal_frame = refusal(
        &server->limits, "FRAME_TOO_LARGE",
        "the request is larger than this connection may send");
    if (server->refusal_requests == NULL || server->refusal_frame == NULL ||
        nng_aio_alloc(&server->tick_aio, sp_starved_tick, server) != 0) {
        sp_server_fini(server);
        return REDIAL_RESOURCE_EXHAUSTED;
    }
    *ret_server = server;
    return REDIAL_OK;
}

/* ---- ending ---- */

void
sp_server_close(struct sp_server *server)
{
    (void)pthread_mutex_lock(&server->lock);
    server->is_closed = true;
    (void)pthread_mutex_unlock(&server->lock);
    for (size_t i = 0; i < server->listener_count; i++) {
        nng_stream_listener_close(server->listeners[i]->stream_listener);
    }
}

/* No connection is added after this; the loop alone changes the list. */
static void
stop_accepting(struct sp_server *server)
{
    sp_server_close(server);
    for (size_t i = 0; i < server->listener_count; i++) {
        nng_aio_stop(server->listeners[i]->accept_aio);
        nng_aio_stop(server->listeners[i]->delay_aio);
    }
}

/*
 * What still comes in is read and thrown away: a stream that is closed with
 * input unread may lose what was written to it.
 */
static void
discard_input(struct sp_server *server, nng_time until)
{
    list_foreach(at, &server->conns) {
        struct sp_conn *conn = container_of(at, struct sp_conn, all_link);

        (void)pthread_mutex_lock(&conn->lock);
        conn->is_discarding = true;
        conn->read_deadline = until + (nng_time)server->limits.linger_ms;
        sp_conn_continue(conn);
        (void)sp_conn_settle(conn);
        (void)pthread_mutex_unlock(&conn->lock);
    }
}

static bool
is_anything_queued(struct sp_server *server)
{
    bool is_queued = false;

    list_foreach(at, &server->conns) {
        struct sp_conn *conn = container_of(at, struct sp_conn, all_link);

        (void)pthread_mutex_lock(&conn->lock);
        is_queued = !conn->is_closing && conn->queued_bytes > 0;
        (void)pthread_mutex_unlock(&conn->lock);
        if (is_queued) {
            break;
        }
    }
    return is_queued;
}

static struct timespec
monotonic_after(uint32_t delay_ms)
{
    struct timespec at;

    (void)clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += (time_t)(delay_ms / 1000);
    at.tv_nsec += (long)(delay_ms % 1000) * 1000000L;
    if (at.tv_nsec >= 1000000000L) {
        at.tv_nsec -= 1000000000L;
        at.tv_sec++;
    }
    return at;
}

static void
flush_all(struct sp_server *server, uint32_t flush_ms)
{
    struct timespec deadline = monotonic_after(flush_ms);
    bool is_late = false;

    atomic_store(&server->is_flushing, true);
    sp_server_flush(server);
    discard_input(server, nng_clock() + (nng_time)flush_ms);
    while (!is_late) {
        uint64_t seen;

        (void)pthread_mutex_lock(&server->lock);
        seen = server->flush_count;
        (void)pthread_mutex_unlock(&server->lock);
        if (!is_anything_queued(server)) {
            break;
        }
        (void)pthread_mutex_lock(&server->lock);
        while (server->flush_count == seen && !is_late) {
            is_late = pthread_cond_timedwait(&server->flushed, &server->lock,
                                             &deadline) == ETIMEDOUT;
        }
        (void)pthread_mutex_unlock(&server->lock);
    }
    atomic_store(&server->is_flushing, false);
}

static void
end_conns(struct sp_server *server)
{
    struct list *link;

    list_foreach(at, &server->conns) {
        struct sp_conn *conn = container_of(at, struct sp_conn, all_link);

        (void)pthread_mutex_lock(&conn->lock);
        sp_conn_shut(conn);
        (void)pthread_mutex_unlock(&conn->lock);
    }
    while ((link = list_pop(&server->conns)) != NULL) {
        struct sp_conn *conn = container_of(link, struct sp_conn, all_link);

        nng_aio_stop(conn->recv_aio); /* its callback was the last to post */
        nng_aio_stop(conn->send_aio);
        (void)pthread_mutex_lock(&server->lock);
        list_remove(&conn->ready_link);
        list_remove(&conn->starved_link);
        (void)pthread_mutex_unlock(&server->lock);
        list_remove(&conn->dirty_link);
        sp_conn_free(conn);
    }
    atomic_store(&server->connections, 0);
}

void
sp_server_stop(struct sp_server *server, uint32_t flush_ms)
{
    if (server->is_stopped) {
        return;
    }
    stop_accepting(server);
    (void)pthread_mutex_lock(&server->lock);
    server->is_awake = true; /* wake is not called any more */
    (void)pthread_mutex_unlock(&server->lock);
    flush_all(server, flush_ms);
    end_conns(server);
    nng_aio_stop(server->tick_aio);
    server->is_stopped = true;
    free(server->slots);
    server->slots = NULL;
    server->slot_count = 0;
}

void
sp_server_fini(struct sp_server *server)
{
    if (server == NULL) {
        return;
    }
    if (server->tick_aio != NULL) {
        sp_server_stop(server, 0);
        nng_aio_free(server->tick_aio);
    }
    for (size_t i = 0; i < server->listener_count; i++) {
        sp_listener_free(server->listeners[i]);
    }
    sp_message_free(server->refusal_requests);
    sp_message_free(server->refusal_frame);
    (void)pthread_cond_destroy(&server->flushed);
    (void)pthread_mutex_destroy(&server->lock);
    free(server);
}
