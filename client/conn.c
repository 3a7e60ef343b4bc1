/* SPDX-License-Identifier: Apache-2.0 */
#include "client/conn.h"

#include "client/clock.h"
#include "proto/limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GREETING_BYTES 8
#define LENGTH_BYTES   8
#define ID_BYTES       4
#define KIND_MESSAGE   1 /* before the length, ipc only */

/* Protocol numbers of SP. */
#define SP_REQ 0x30
#define SP_REP 0x31

/* What one read takes at most, unless a larger frame is under way. */
#define READ_BYTES 65536

/* nng takes so many pieces in one write. */
#define WRITE_PIECES_MAX 8

struct redial_i_conn {
    struct redial_i_link *link;
    nng_stream *stream;
    bool is_ipc;
    bool is_lost;
    bool is_greeted; /* theirs has come */

    nng_aio *rx;
    uint8_t *buffer; /* what was read and is not consumed: from 0 */
    size_t filled;
    size_t capacity;

    nng_aio *tx;
    bool is_sending;
    size_t greeting_left;
    struct redial_i_list queue; /* frames; the first may be sent in part */
};

bool
redial_i_conn_is_lost(const struct redial_i_conn *conn)
{
    return conn->is_lost;
}

void
redial_i_conn_lose_locked(struct redial_i_conn *conn, const char *why)
{
    struct redial_i_link *link = conn->link;

    if (conn->is_lost) {
        return;
    }
    conn->is_lost = true;
    link->is_ready = false;
    if (why != NULL) {
        (void)snprintf(link->error, sizeof(link->error), "%.180s: %s",
                       link->addresses.items[link->address].url, why);
    }
    redial_i_post_locked(link->loop, &link->hang_up);
}

/* ---- out ---- */

static const uint8_t our_greeting[GREETING_BYTES] = {0, 'S',    'P', 0,
                                                     0, SP_REQ, 0,   0};

static uint8_t *
unconst(const uint8_t *bytes)
{
    union {
        const uint8_t *in;
        uint8_t *out;
    } u = {.in = bytes};

    return u.out;
}

static void
send_locked(struct redial_i_conn *conn)
{
    nng_iov pieces[WRITE_PIECES_MAX];
    unsigned count = 0;

    if (conn->is_sending || conn->is_lost) {
        return;
    }
    if (conn->greeting_left > 0) {
        pieces[count].iov_buf = unconst(our_greeting) + GREETING_BYTES -
                                conn->greeting_left;
        pieces[count++].iov_len = conn->greeting_left;
    }
    REDIAL_I_EACH(node, &conn->queue)
    {
        struct redial_i_frame *frame = REDIAL_I_OF(node, struct redial_i_frame,
                                                   node);

        if (count == WRITE_PIECES_MAX) {
            break;
        }
        pieces[count].iov_buf = frame->bytes + frame->start;
        pieces[count++].iov_len = frame->len - frame->start;
        if (frame->exchange != NULL) {
            frame->exchange->was_sent = true;
        }
    }
    if (count > 0) {
        conn->is_sending = true;
        (void)nng_aio_set_iov(conn->tx, count, pieces);
        nng_stream_send(conn->stream, conn->tx);
    }
}

/* So many bytes have gone out: frames that are complete leave the queue. */
static void
advance_locked(struct redial_i_conn *conn, size_t count)
{
    size_t greeting = count < conn->greeting_left ? count : conn->greeting_left;

    conn->greeting_left -= greeting;
    count -= greeting;
    while (count > 0) {
        struct redial_i_frame *frame = REDIAL_I_OF(conn->queue.next,
                                                   struct redial_i_frame, node);
        size_t left = frame->len - frame->start;

        WIRE_CHECK(!redial_i_list_is_empty(&conn->queue));
        if (count < left) {
            frame->start += count;
            return;
        }
        count -= left;
        redial_i_list_remove(&frame->node);
        if (frame->exchange != NULL) {
            frame->exchange->frame = NULL;
        }
        redial_i_frame_free(frame);
    }
}

/* On a thread of nng. */
static void
sent(void *arg)
{
    struct redial_i_conn *conn = arg;
    struct redial_i_loop *loop = conn->link->loop;
    int result = nng_aio_result(conn->tx);

    redial_i_lock(loop);
    conn->is_sending = false;
    if (result != 0) {
        redial_i_conn_lose_locked(conn, nng_strerror(result));
    } else {
        advance_locked(conn, nng_aio_count(conn->tx));
        send_locked(conn);
    }
    redial_i_unlock(loop);
}

static void
put_be(uint8_t *at, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        at[i] = (uint8_t)(value >> (8 * (bytes - 1 - i)));
    }
}

void
redial_i_conn_send_locked(struct redial_i_conn *conn,
                          struct redial_i_frame *frame, uint32_t id)
{
    uint8_t *header = frame->bytes;

    header[0] = KIND_MESSAGE;
    put_be(header + 1, frame->len - 1 - LENGTH_BYTES, LENGTH_BYTES);
    put_be(header + 1 + LENGTH_BYTES, id, ID_BYTES);
    frame->start = conn->is_ipc ? 0 : 1;
    redial_i_list_append(&conn->queue, &frame->node);
    send_locked(conn);
}

/* ---- in ---- */

static uint64_t
get_be(const uint8_t *at, size_t bytes)
{
    uint64_t value = 0;

    for (size_t i = 0; i < bytes; i++) {
        value = value << 8 | at[i];
    }
    return value;
}

/*
 * The frame at `at`: its header and body lengths. 1: complete, 0: not yet (the
 * body may be known), -1: nothing that SP allows.
 */
static int
look_at_frame(const struct redial_i_conn *conn, const uint8_t *at, size_t len,
              size_t *ret_head, size_t *ret_body)
{
    size_t head = LENGTH_BYTES + (conn->is_ipc ? 1 : 0);
    uint64_t body;

    *ret_head = head;
    *ret_body = 0;
    if (len < head) {
        return 0;
    }
    body = get_be(at + head - LENGTH_BYTES, LENGTH_BYTES);
    if ((conn->is_ipc && at[0] != KIND_MESSAGE) || body < ID_BYTES ||
        body > WIRE_FRAME_BYTES_MAX + ID_BYTES) {
        return -1;
    }
    *ret_body = (size_t)body;
    return len - head >= body ? 1 : 0;
}

/* Room for the frame that has begun. False: no memory. */
static bool
reserve(struct redial_i_conn *conn, size_t bytes)
{
    uint8_t *larger;

    bytes = bytes > READ_BYTES ? bytes : READ_BYTES;
    if (bytes == conn->capacity ||
        (bytes < conn->capacity && conn->filled > bytes)) {
        return true;
    }
    larger = realloc(conn->buffer, bytes);
    if (larger == NULL) {
        return bytes <= conn->capacity;
    }
    conn->buffer = larger;
    conn->capacity = bytes;
    return true;
}

static void
receive_locked(struct redial_i_conn *conn)
{
    nng_iov piece = {
        .iov_buf = conn->buffer + conn->filled,
        .iov_len = conn->capacity - conn->filled,
    };

    if (!conn->is_lost) {
        (void)nng_aio_set_iov(conn->rx, 1, &piece);
        nng_stream_recv(conn->stream, conn->rx);
    }
}

static bool
take_greeting_locked(struct redial_i_conn *conn)
{
    const uint8_t *at = conn->buffer;
    bool is_good = at[0] == 0 && at[1] == 'S' && at[2] == 'P' && at[3] == 0 &&
                   get_be(at + 4, 2) == SP_REP;

    if (!is_good) {
        redial_i_conn_lose_locked(conn, "is not a gateway (no SP REP)");
        return false;
    }
    conn->is_greeted = true;
    nng_aio_set_timeout(conn->rx, NNG_DURATION_INFINITE);
    redial_i_link_connected_locked(conn->link);
    return true;
}

/* Hands out the answers in the buffer; the lock is not held. Returns what is
 * consumed, and how much the frame that has begun needs. */
static size_t
take_frames(struct redial_i_conn *conn, size_t at, size_t *ret_needs,
            bool *ret_is_bad)
{
    size_t head;
    size_t body;
    int state;

    while ((state = look_at_frame(conn, conn->buffer + at, conn->filled - at,
                                  &head, &body)) == 1) {
        const uint8_t *frame = conn->buffer + at + head;

        redial_i_exchange_answer(conn->link, (uint32_t)get_be(frame, ID_BYTES),
                                 frame + ID_BYTES, body - ID_BYTES);
        at += head + body;
    }
    *ret_needs = head + body;
    *ret_is_bad = state < 0;
    return at;
}

/* On a thread of nng: the only one that touches the buffer meanwhile. */
static void
take_input(struct redial_i_conn *conn)
{
    struct redial_i_loop *loop = conn->link->loop;
    size_t used = 0;
    size_t needs = 0;
    bool is_bad = false;

    if (!conn->is_greeted) {
        bool is_good = true;

        redial_i_lock(loop);
        if (conn->filled >= GREETING_BYTES) {
            is_good = take_greeting_locked(conn);
            used = GREETING_BYTES;
        } else {
            receive_locked(conn);
            is_good = false;
        }
        redial_i_unlock(loop);
        if (!is_good) {
            return;
        }
    }
    used = take_frames(conn, used, &needs, &is_bad);
    conn->filled -= used;
    memmove(conn->buffer, conn->buffer + used, conn->filled);
    redial_i_lock(loop);
    if (is_bad) {
        redial_i_conn_lose_locked(conn, "sent what is not a frame");
    } else if (!reserve(conn, needs)) {
        redial_i_conn_lose_locked(conn, "no memory for an answer");
    } else {
        receive_locked(conn);
    }
    redial_i_unlock(loop);
}

static void
received(void *arg)
{
    struct redial_i_conn *conn = arg;
    struct redial_i_loop *loop = conn->link->loop;
    int result = nng_aio_result(conn->rx);

    if (result == 0) {
        conn->filled += nng_aio_count(conn->rx);
        take_input(conn);
        return;
    }
    redial_i_lock(loop);
    redial_i_conn_lose_locked(conn, result == NNG_ETIMEDOUT
                                        ? "no greeting in time"
                                        : nng_strerror(result));
    redial_i_unlock(loop);
}

/* ---- life ---- */

void
redial_i_conn_free(struct redial_i_conn *conn)
{
    struct redial_i_list *node;

    nng_stream_close(conn->stream);
    if (conn->rx != NULL) {
        nng_aio_stop(conn->rx);
    }
    if (conn->tx != NULL) {
        nng_aio_stop(conn->tx);
    }
    nng_stream_free(conn->stream);
    while ((node = redial_i_list_pop(&conn->queue)) != NULL) {
        struct redial_i_frame *frame = REDIAL_I_OF(node, struct redial_i_frame,
                                                   node);

        if (frame->exchange != NULL) {
            frame->exchange->frame = NULL;
        }
        redial_i_frame_free(frame);
    }
    nng_aio_free(conn->rx);
    nng_aio_free(conn->tx);
    free(conn->buffer);
    free(conn);
}

bool
redial_i_conn_open_locked(struct redial_i_link *link, nng_stream *stream,
                          bool is_ipc)
{
    struct redial_i_conn *conn = calloc(1, sizeof(*conn));

    if (conn == NULL) {
        nng_stream_free(stream);
        return false;
    }
    conn->link = link;
    conn->stream = stream;
    conn->is_ipc = is_ipc;
    conn->greeting_left = GREETING_BYTES;
    redial_i_list_init(&conn->queue);
    if (!reserve(conn, READ_BYTES) ||
        nng_aio_alloc(&conn->rx, received, conn) != 0 ||
        nng_aio_alloc(&conn->tx, sent, conn) != 0) {
        redial_i_conn_free(conn); /* nothing was submitted: does not block */
        return false;
    }
    link->conn = conn;
    nng_aio_set_timeout(conn->tx, NNG_DURATION_INFINITE);
    nng_aio_set_timeout(conn->rx, (nng_duration)link->connect_timeout_ms);
    send_locked(conn);
    receive_locked(conn);
    return true;
}
