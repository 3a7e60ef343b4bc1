/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reading half of a connection, and its life. See sp_impl.h.
 */
#include "server/net/sp_impl.h"

#include <stdlib.h>
#include <string.h>

#define BUFFER_BYTES_MIN 2048u
#define BUFFER_BYTES_MAX 65536u
#define SMALL_READS_MAX  64u /* so many in a row shrink the buffer */

/* ---- closing ---- */

void
sp_conn_shut(struct sp_conn *conn)
{
    if (!conn->is_closing) {
        conn->is_closing = true;
        nng_stream_close(conn->stream);
    }
}

bool
sp_conn_is_over(const struct sp_conn *conn)
{
    return conn->is_closing && !conn->is_receiving && !conn->is_sending;
}

void
sp_conn_reject(struct sp_conn *conn, size_t counter)
{
    sp_count(conn->server, counter, 1);
    conn->buffer_at = conn->buffer_len;
    sp_conn_shut(conn);
}

/* ---- frames ---- */

static bool
may_queue(const struct sp_conn *conn)
{
    const struct sp_limits *limits = &conn->server->limits;

    return conn->frames.count < limits->waiting_frames_max &&
           conn->frames.bytes < limits->waiting_bytes_max;
}

static void
take_in(struct sp_conn *conn)
{
    struct sp_frame *frame = sp_reader_take(&conn->reader);

    conn->read_deadline = 0;
    sp_count(conn->server, SP_COUNT(frames_in), 1);
    switch (sp_requests_add(&conn->requests, frame->bytes, frame->backtrace_len,
                            &frame->request_value)) {
    case SP_REQUEST_NEW:
        frame->next = NULL;
        *conn->frames.last = frame;
        conn->frames.last = &frame->next;
        conn->frames.count++;
        conn->frames.bytes += sp_frame_size(frame);
        return;
    case SP_REQUEST_PENDING:
        sp_count(conn->server, SP_COUNT(requests_joined), 1);
        break;
    case SP_REQUEST_FULL:
        sp_count(conn->server, SP_COUNT(requests_refused), 1);
        sp_conn_refuse(conn, frame, conn->server->refusal_requests);
        break;
    }
    free(frame);
}

/*
 * Answers a frame that is over the limit, and then only listens until the peer
 * has had the time to read that: closing at once, with input unread, would
 * take the answer away from it.
 */
static void
refuse_large(struct sp_conn *conn)
{
    struct sp_frame *frame = sp_reader_take(&conn->reader);

    sp_count(conn->server, SP_COUNT(frames_too_large), 1);
    sp_conn_refuse(conn, frame, conn->server->refusal_frame);
    free(frame);
    conn->is_discarding = true;
    conn->read_deadline = nng_clock() +
                          (nng_time)conn->server->limits.linger_ms;
}

static void
handle(struct sp_conn *conn, enum sp_reader_result result)
{
    switch (result) {
    case SP_READER_MORE:
        break;
    case SP_READER_GREETED:
        conn->is_greeted = true;
        conn->read_deadline = 0;
        break;
    case SP_READER_FRAME:
        take_in(conn);
        break;
    case SP_READER_TOO_LARGE:
        refuse_large(conn);
        break;
    case SP_READER_BAD:
        sp_conn_reject(conn, conn->is_greeted ? SP_COUNT(frames_bad)
                                              : SP_COUNT(greeting_failures));
        break;
    case SP_READER_NO_MEMORY:
        sp_conn_reject(conn, SP_COUNT(out_of_memory));
        break;
    }
}

/* ---- reading ---- */

/* Gives the buffer a size that suits the last reads; false: no memory. */
static bool
fit_buffer(struct sp_conn *conn)
{
    size_t size = conn->buffer_size;
    uint8_t *buffer;

    if (size == 0) {
        size = BUFFER_BYTES_MIN;
    } else if (conn->buffer_len == size && size < BUFFER_BYTES_MAX) {
        size *= 2;
    } else if (conn->small_reads >= SMALL_READS_MAX &&
               size > BUFFER_BYTES_MIN) {
        size /= 2;
        conn->small_reads = 0;
    }
    conn->buffer_at = 0;
    conn->buffer_len = 0;
    if (size == conn->buffer_size) {
        return true;
    }
    buffer = realloc(conn->buffer, size);
    if (buffer == NULL) {
        return conn->buffer_size > 0;
    }
    conn->buffer = buffer;
    conn->buffer_size = size;
    return true;
}

/* How long the next read may take. */
static nng_duration
read_timeout(struct sp_conn *conn)
{
    nng_time now;

    if (conn->is_greeted && !conn->is_discarding &&
        sp_reader_is_idle(&conn->reader)) {
        conn->read_deadline = 0;
        return NNG_DURATION_INFINITE;
    }
    now = nng_clock();
    if (conn->read_deadline == 0) {
        conn->read_deadline = now + (nng_time)conn->server->limits.frame_ms;
    } else if (conn->paused_since != 0) {
        conn->read_deadline += now - conn->paused_since; /* not their fault */
    }
    return conn->read_deadline > now ? (nng_duration)(conn->read_deadline - now)
                                     : 1;
}

static void
receive(struct sp_conn *conn)
{
    nng_duration timeout = read_timeout(conn);
    nng_iov iov[2];
    unsigned count = 0;
    uint8_t *room;

    conn->paused_since = 0;
    if (!fit_buffer(conn)) {
        sp_conn_reject(conn, SP_COUNT(out_of_memory));
        return;
    }
    conn->room_len = sp_reader_room(&conn->reader, &room);
    if (conn->room_len > 0) {
        iov[count].iov_buf = room;
        iov[count++].iov_len = conn->room_len;
    }
    iov[count].iov_buf = conn->buffer;
    iov[count++].iov_len = conn->buffer_size;
    (void)nng_aio_set_iov(conn->recv_aio, count, iov);
    nng_aio_set_timeout(conn->recv_aio, timeout);
    conn->is_receiving = true;
    nng_stream_recv(conn->stream, conn->recv_aio);
}

static void
parse(struct sp_conn *conn)
{
    size_t used;

    while (conn->buffer_at < conn->buffer_len && may_queue(conn) &&
           !conn->is_discarding) {
        enum sp_reader_result result = sp_reader_feed(
            &conn->reader, conn->buffer + conn->buffer_at,
            conn->buffer_len - conn->buffer_at, &used);

        conn->buffer_at += used;
        handle(conn, result);
    }
    if (conn->is_discarding) {
        conn->buffer_at = conn->buffer_len;
    }
}

/* The peer's own backlog allows no read. */
static bool
is_backed_up(const struct sp_conn *conn)
{
    return conn->buffer_at < conn->buffer_len || !may_queue(conn) ||
           conn->queued_bytes >= conn->server->limits.queued_bytes_max;
}

void
sp_conn_continue(struct sp_conn *conn)
{
    bool is_starving;

    if (conn->is_receiving) {
        return;
    }
    parse(conn);
    if (conn->is_closing) {
        return;
    }
    is_starving = !conn->is_discarding && sp_conn_is_too_large(conn);
    if (!conn->is_discarding && (is_backed_up(conn) || is_starving)) {
        if (conn->paused_since == 0) {
            conn->paused_since = nng_clock();
            sp_count(conn->server, SP_COUNT(reads_paused), 1);
        }
        if (is_starving) {
            sp_conn_starve(conn);
        }
        return;
    }
    receive(conn);
}

/* `len` bytes were read: first into the frame, the rest into the buffer. */
static void
absorb(struct sp_conn *conn, size_t len)
{
    size_t in_room = len < conn->room_len ? len : conn->room_len;

    sp_count(conn->server, SP_COUNT(bytes_in), len);
    conn->small_reads = len < conn->buffer_size / 8 ? conn->small_reads + 1 : 0;
    conn->buffer_len = len - in_room;
    if (in_room > 0) {
        handle(conn, sp_reader_filled(&conn->reader, in_room));
    }
}

static void
read_failed(struct sp_conn *conn, int result)
{
    if (result != NNG_ETIMEDOUT || conn->is_discarding) {
        sp_conn_shut(conn);
    } else if (!conn->is_greeted) {
        sp_conn_reject(conn, SP_COUNT(greeting_timeouts));
    } else {
        sp_conn_reject(conn, SP_COUNT(frames_stalled));
    }
}

static void
conn_received(void *arg)
{
    struct sp_conn *conn = arg;
    struct sp_server *server = conn->server;
    int result = nng_aio_result(conn->recv_aio);
    size_t len = nng_aio_count(conn->recv_aio);
    bool is_wake_due;

    (void)pthread_mutex_lock(&conn->lock);
    conn->is_receiving = false;
    if (result == 0 && len > 0) {
        absorb(conn, len);
    } else {
        read_failed(conn, result);
    }
    sp_conn_continue(conn);
    is_wake_due = sp_conn_settle(conn);
    (void)pthread_mutex_unlock(&conn->lock);
    if (is_wake_due) {
        server->wake(server->ctx);
    }
}

/* ---- for the loop ---- */

bool
sp_conn_settle(struct sp_conn *conn)
{
    struct sp_server *server = conn->server;
    size_t held = sp_conn_held_bytes(conn);
    bool is_opening = conn->is_greeted && !conn->is_opened;
    bool is_writable = conn->is_over_cap &&
                       conn->queued_bytes <= sp_queued_bytes_high(server) / 2;

    if (held >= conn->charged_bytes) {
        atomic_fetch_add(&server->buffer_bytes, held - conn->charged_bytes);
    } else {
        atomic_fetch_sub(&server->buffer_bytes, conn->charged_bytes - held);
    }
    conn->charged_bytes = held;
    if (atomic_load(&server->is_flushing)) {
        (void)pthread_mutex_lock(&server->lock);
        server->flush_count++;
        (void)pthread_cond_signal(&server->flushed);
        (void)pthread_mutex_unlock(&server->lock);
    }
    if (is_opening || is_writable || conn->frames.count > 0 ||
        sp_conn_is_over(conn)) {
        return sp_post(server, conn);
    }
    return false;
}

/* ---- birth and death ---- */

static void
free_frames(struct sp_conn *conn)
{
    while (conn->frames.first != NULL) {
        struct sp_frame *frame = conn->frames.first;

        conn->frames.first = frame->next;
        free(frame);
    }
}

void
sp_conn_free(struct sp_conn *conn)
{
    if (conn->recv_aio != NULL) {
        nng_aio_stop(conn->recv_aio);
        nng_aio_free(conn->recv_aio);
    }
    if (conn->send_aio != NULL) {
        nng_aio_stop(conn->send_aio);
        nng_aio_free(conn->send_aio);
    }
    nng_stream_free(conn->stream);
    atomic_fetch_sub(&conn->server->buffer_bytes, conn->charged_bytes);
    free_frames(conn);
    sp_conn_drop_queue(conn);
    sp_reader_fini(&conn->reader);
    sp_requests_fini(&conn->requests);
    (void)pthread_mutex_destroy(&conn->lock);
    free(conn->buffer);
    free(conn);
}

/* What nng knows about the peer. */
static void
describe_peer(struct sp_conn *conn)
{
    const struct sp_listener *listener = conn->listener;
    uint64_t uid;

    conn->peer.role = listener->role;
    conn->peer.is_authenticated = listener->is_authenticated_at_accept;
    conn->peer.is_tls = listener->is_tls;
    if (conn->framing == SP_FRAMING_IPC &&
        nng_stream_get_uint64(conn->stream, NNG_OPT_IPC_PEER_UID, &uid) == 0) {
        conn->peer.has_uid = true;
        conn->peer.uid = (uint32_t)uid;
    }
}

static struct sp_conn *
conn_alloc(struct sp_listener *listener, nng_stream *stream)
{
    const struct sp_limits *limits = &listener->server->limits;
    struct sp_conn *conn = calloc(1, sizeof(*conn));

    if (conn == NULL) {
        nng_stream_free(stream);
        return NULL;
    }
    conn->server = listener->server;
    conn->listener = listener;
    conn->stream = stream;
    conn->framing = listener->framing;
    conn->frames.last = &conn->frames.first;
    conn->queue.last = &conn->queue.first;
    (void)pthread_mutex_init(&conn->lock, NULL);
    sp_requests_init(&conn->requests, limits->requests_max);
    sp_reader_init(&conn->reader, conn->framing,
                   listener->is_authenticated_at_accept
                       ? limits->frame_bytes_max
                       : limits->frame_bytes_guest_max);
    if (nng_aio_alloc(&conn->recv_aio, conn_received, conn) != 0 ||
        nng_aio_alloc(&conn->send_aio, sp_conn_sent, conn) != 0) {
        sp_conn_free(conn);
        return NULL;
    }
    return conn;
}

bool
sp_conn_start(struct sp_listener *listener, nng_stream *stream)
{
    struct sp_server *server = listener->server;
    struct sp_conn *conn = conn_alloc(listener, stream);
    bool is_wake_due;

    if (conn == NULL) {
        sp_count(server, SP_COUNT(out_of_memory), 1);
        return false;
    }
    describe_peer(conn);
    (void)pthread_mutex_lock(&server->lock);
    list_append(&server->conns, &conn->all_link);
    (void)pthread_mutex_unlock(&server->lock);
    (void)pthread_mutex_lock(&conn->lock);
    conn->read_deadline = nng_clock() + (nng_time)server->limits.greeting_ms;
    sp_conn_greet(conn);
    sp_conn_continue(conn);
    is_wake_due = sp_conn_settle(conn);
    (void)pthread_mutex_unlock(&conn->lock);
    if (is_wake_due) {
        server->wake(server->ctx);
    }
    return true;
}
