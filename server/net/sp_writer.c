/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writing half of a connection: one write at a time, and whatever is
 * queued when it has finished leaves together in the next one. See sp_impl.h.
 */
#include "server/net/sp_impl.h"

#include <stdlib.h>
#include <string.h>

#define FLAT_BYTES_MAX  65536u /* of messages that leave together */
#define LARGE_BYTES_MIN 16384u /* leaves alone, without being copied */

/* ---- messages ---- */

struct sp_message *
sp_message_new(size_t body_len)
{
    struct sp_message *message;

    if (body_len > SIZE_MAX - SP_MESSAGE_ROOM - sizeof(*message)) {
        return NULL;
    }
    message = malloc(sizeof(*message) + SP_MESSAGE_ROOM + body_len);
    if (message == NULL) {
        return NULL;
    }
    message->next = NULL;
    message->body_len = body_len;
    message->start = SP_MESSAGE_ROOM;
    message->is_reply = false;
    return message;
}

uint8_t *
sp_message_body(struct sp_message *message)
{
    return message->bytes + SP_MESSAGE_ROOM;
}

size_t
sp_message_body_len(const struct sp_message *message)
{
    return message->body_len;
}

void
sp_message_free(struct sp_message *message)
{
    free(message);
}

/* With everything before the body. */
static size_t
message_size(const struct sp_message *message)
{
    return SP_MESSAGE_ROOM - message->start + message->body_len;
}

/* ---- the queue ---- */

static void
enqueue(struct sp_conn *conn, struct sp_message *message)
{
    message->next = NULL;
    *conn->queue.last = message;
    conn->queue.last = &message->next;
    conn->queued_bytes += message_size(message);
}

static struct sp_message *
dequeue(struct sp_conn *conn)
{
    struct sp_message *message = conn->queue.first;

    conn->queue.first = message->next;
    if (conn->queue.first == NULL) {
        conn->queue.last = &conn->queue.first;
    }
    return message;
}

static void
queue_reply(struct sp_conn *conn, const uint8_t *backtrace,
            size_t backtrace_len, struct sp_message *message)
{
    size_t head_len = sp_head_size(conn->framing);
    uint8_t *at;

    message->start = SP_MESSAGE_ROOM - backtrace_len - head_len;
    message->is_reply = true;
    at = message->bytes + message->start;
    sp_head_write(conn->framing, backtrace_len + message->body_len, at);
    memcpy(at + head_len, backtrace, backtrace_len);
    enqueue(conn, message);
}

void
sp_conn_queue(struct sp_conn *conn, const struct sp_request *request,
              struct sp_message *message)
{
    queue_reply(conn, request->backtrace, request->backtrace_len, message);
}

void
sp_conn_refuse(struct sp_conn *conn, const struct sp_frame *frame,
               const struct sp_message *refusal)
{
    struct sp_message *message;

    /* Who sends and never reads gets no more of them. */
    if (conn->queued_bytes >= conn->server->limits.queued_bytes_max) {
        return;
    }
    message = sp_message_new(refusal->body_len);
    if (message == NULL) {
        return;
    }
    memcpy(sp_message_body(message), refusal->bytes + SP_MESSAGE_ROOM,
           refusal->body_len);
    queue_reply(conn, frame->bytes, frame->backtrace_len, message);
    sp_conn_write(conn);
}

void
sp_conn_greet(struct sp_conn *conn)
{
    struct sp_message *message = sp_message_new(0);

    if (message == NULL) {
        sp_count(conn->server, SP_COUNT(out_of_memory), 1);
        sp_conn_shut(conn);
        return;
    }
    message->start = SP_MESSAGE_ROOM - SP_GREETING_BYTES;
    sp_greeting_write(SP_PROTOCOL_REP, message->bytes + message->start);
    enqueue(conn, message);
    sp_conn_write(conn);
}

void
sp_conn_drop_queue(struct sp_conn *conn)
{
    while (conn->queue.first != NULL) {
        sp_message_free(dequeue(conn));
    }
    sp_message_free(conn->writing);
    free(conn->flat);
    conn->writing = NULL;
    conn->flat = NULL;
    conn->write_left = 0;
    conn->queued_bytes = 0;
}

/* ---- writing ---- */

/* How many bytes of how many messages leave together. */
static size_t
batch_size(const struct sp_conn *conn, size_t *ret_count)
{
    const struct sp_message *message = conn->queue.first;
    size_t size = message_size(message);
    size_t count = 1;

    while (message->next != NULL && size < LARGE_BYTES_MIN * count) {
        size_t next_size = message_size(message->next);

        if (next_size >= LARGE_BYTES_MIN || size + next_size > FLAT_BYTES_MAX) {
            break;
        }
        message = message->next;
        size += next_size;
        count++;
    }
    *ret_count = count;
    return size;
}

/* Copies the next `count` messages into one piece of `size` bytes. */
static bool
flatten(struct sp_conn *conn, size_t size, size_t count)
{
    uint8_t *flat = malloc(size);
    uint8_t *at = flat;

    if (flat == NULL) {
        return false;
    }
    conn->write_frames = 0;
    for (size_t i = 0; i < count; i++) {
        struct sp_message *message = dequeue(conn);

        memcpy(at, message->bytes + message->start, message_size(message));
        at += message_size(message);
        conn->write_frames += message->is_reply ? 1 : 0;
        sp_message_free(message);
    }
    conn->flat = flat;
    conn->write_at = flat;
    conn->write_left = size;
    return true;
}

/* Chooses what leaves next. */
static void
next_write(struct sp_conn *conn)
{
    size_t count;
    size_t size = batch_size(conn, &count);

    if (count > 1 && flatten(conn, size, count)) {
        return;
    }
    conn->writing = dequeue(conn);
    conn->write_at = conn->writing->bytes + conn->writing->start;
    conn->write_left = message_size(conn->writing);
    conn->write_frames = conn->writing->is_reply ? 1 : 0;
}

void
sp_conn_write(struct sp_conn *conn)
{
    nng_iov iov;

    if (conn->is_sending || conn->is_closing) {
        return;
    }
    if (conn->write_left == 0) {
        if (conn->queue.first == NULL) {
            return;
        }
        next_write(conn);
    }
    iov.iov_buf = conn->write_at;
    iov.iov_len = conn->write_left;
    (void)nng_aio_set_iov(conn->send_aio, 1, &iov);
    nng_aio_set_timeout(conn->send_aio,
                        (nng_duration)conn->server->limits.write_ms);
    conn->is_sending = true;
    nng_stream_send(conn->stream, conn->send_aio);
}

/* `len` bytes have left. */
static void
written(struct sp_conn *conn, size_t len)
{
    redial_assert(len <= conn->write_left);
    sp_count(conn->server, SP_COUNT(bytes_out), len);
    conn->write_at += len;
    conn->write_left -= len;
    conn->queued_bytes -= len;
    if (conn->write_left == 0) {
        sp_count(conn->server, SP_COUNT(frames_out), conn->write_frames);
        sp_message_free(conn->writing);
        free(conn->flat);
        conn->writing = NULL;
        conn->flat = NULL;
    }
}

void
sp_conn_sent(void *arg)
{
    struct sp_conn *conn = arg;
    struct sp_server *server = conn->server;
    int result = nng_aio_result(conn->send_aio);
    size_t len = nng_aio_count(conn->send_aio);
    bool is_wake_due;

    (void)pthread_mutex_lock(&conn->lock);
    conn->is_sending = false;
    if (result == 0 && len > 0) {
        written(conn, len);
        sp_conn_write(conn);
    } else {
        if (result == NNG_ETIMEDOUT) {
            sp_count(server, SP_COUNT(writes_stalled), 1);
        }
        sp_conn_shut(conn);
    }
    sp_conn_continue(conn); /* a full queue may have stopped the reading */
    is_wake_due = sp_conn_settle(conn);
    (void)pthread_mutex_unlock(&conn->lock);
    if (is_wake_due) {
        server->wake(server->ctx);
    }
}
