/* SPDX-License-Identifier: Apache-2.0 */
#include "client/link.h"

#include "client/clock.h"
#include "client/conn.h"
#include "client/error.h"
#include "proto/limits.h"
#include "proto/name.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_TIMEOUT_MS 3000

/* Pauses between rounds over the addresses: doubling, times 0.5 to 1.5. */
#define PAUSE_FIRST_MS 100
#define PAUSE_MAX_MS   3000

/* Before the first attempt after a good connection: spreads a herd. */
#define PAUSE_LOST_MS 50

/* ---- what every call carries ---- */

#define METADATA_MAX       16
#define METADATA_BYTES_MAX 4096

static char *
add_metadata(struct redial_i_link *link, char *at, const char *key,
             const char *prefix, struct wire_bytes value)
{
    struct wire_metadata *item = &link->metadata.items[link->metadata.count++];
    size_t key_len = strlen(key);
    size_t prefix_len = strlen(prefix);

    /* Texts with their lengths: nothing here ends with a NUL. */
    /* NOLINTNEXTLINE(bugprone-not-null-terminated-result) */
    memcpy(at, key, key_len);
    item->key.at = at;
    item->key.len = key_len;
    at += key_len;
    /* NOLINTNEXTLINE(bugprone-not-null-terminated-result) */
    memcpy(at, prefix, prefix_len);
    if (value.len > 0) {
        memcpy(at + prefix_len, value.at, value.len);
    }
    item->value.at = (const uint8_t *)at;
    item->value.len = prefix_len + value.len;
    return at + item->value.len;
}

static enum redial_status
check_metadata(const struct redial_connection *connection, size_t *ret_bytes,
               struct redial_error *error)
{
    size_t bytes = 0;

    if (connection->metadata_count > METADATA_MAX) {
        return redial_i_fail(error, REDIAL_INVALID_ARGUMENT, "",
                             "connection.metadata: more than %d entries",
                             METADATA_MAX);
    }
    for (size_t i = 0; i < connection->metadata_count; i++) {
        const struct redial_metadata *item = &connection->metadata[i];
        const char *problem = wire_name_check(WIRE_NAME_WORD, item->key);

        if (problem != NULL) {
            return redial_i_fail(error, REDIAL_INVALID_ARGUMENT, "",
                                 "connection.metadata[%zu].key: %s", i,
                                 problem);
        }
        if (item->value_bytes > METADATA_BYTES_MAX) {
            return redial_i_fail(error, REDIAL_INVALID_ARGUMENT, "",
                                 "connection.metadata[%zu].value: more than "
                                 "%d bytes",
                                 i, METADATA_BYTES_MAX);
        }
        bytes += strlen(item->key) + item->value_bytes;
    }
    bytes += connection->token != NULL ? strlen(connection->token) : 0;
    if (bytes > METADATA_BYTES_MAX) {
        return redial_i_fail(error, REDIAL_INVALID_ARGUMENT, "",
                             "connection.metadata: more than %d bytes",
                             METADATA_BYTES_MAX);
    }
    *ret_bytes = bytes;
    return REDIAL_OK;
}

static enum redial_status
copy_metadata(struct redial_i_link *link,
              const struct redial_connection *connection,
              struct redial_error *error)
{
    static const char key[] = "authorization";
    static const char prefix[] = "Bearer ";
    enum redial_status status;
    struct wire_bytes value;
    size_t bytes = 0;
    char *at;

    status = check_metadata(connection, &bytes, error);
    if (status != REDIAL_OK) {
        return status;
    }
    at = malloc(bytes + sizeof(key) + sizeof(prefix));
    if (at == NULL) {
        return redial_i_fail_memory(error);
    }
    link->metadata_bytes = at;
    link->has_token = connection->token != NULL;
    if (link->has_token) {
        value.at = (const uint8_t *)connection->token;
        value.len = strlen(connection->token);
        at = add_metadata(link, at, key, prefix, value);
    }
    for (size_t i = 0; i < connection->metadata_count; i++) {
        value.at = connection->metadata[i].value;
        value.len = connection->metadata[i].value_bytes;
        at = add_metadata(link, at, connection->metadata[i].key, "", value);
    }
    return REDIAL_OK;
}

/* ---- frames ---- */

/* Field 4 of Call, bytes: tag and length come last in the frame. */
#define MESSAGE_TAG           0x22
#define MESSAGE_TAG_BYTES_MAX 6

static size_t
put_varint(uint8_t *at, size_t value)
{
    size_t len = 0;

    while (value >= 0x80) {
        at[len++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    at[len++] = (uint8_t)value;
    return len;
}

static struct wire_call
call_of(const struct redial_i_link *link, const char *path, uint32_t timeout_ms)
{
    struct wire_call call = {
        .method = wire_text(path),
        .timeout_ms = timeout_ms,
        .metadata = link->metadata,
    };

    return call;
}

size_t
redial_i_link_request_bytes_max(const struct redial_i_link *link,
                                const char *path)
{
    struct wire_call call = call_of(link, path, UINT32_MAX);

    return WIRE_FRAME_BYTES_MAX - wire_call_size(&call) - MESSAGE_TAG_BYTES_MAX;
}

struct redial_i_frame *
redial_i_link_frame(const struct redial_i_link *link, const char *path,
                    uint32_t timeout_ms, size_t len, uint8_t **ret_message)
{
    struct wire_call call = call_of(link, path, timeout_ms);
    size_t head = wire_call_size(&call);
    uint8_t tag[1 + 10] = {MESSAGE_TAG};
    size_t tag_len = 1 + put_varint(tag + 1, len);
    size_t size = REDIAL_I_SP_HEADER_BYTES + head + tag_len + len;
    struct redial_i_frame *frame = malloc(sizeof(*frame) + size);
    uint8_t *at;

    if (frame == NULL) {
        return NULL;
    }
    memset(frame, 0, sizeof(*frame));
    frame->len = size;
    at = frame->bytes + REDIAL_I_SP_HEADER_BYTES;
    wire_call_encode(&call, NULL, at);
    memcpy(at + head, tag, tag_len);
    *ret_message = at + head + tag_len;
    return frame;
}

void
redial_i_frame_free(struct redial_i_frame *frame)
{
    free(frame);
}

/* ---- up ---- */

static void
ready_locked(struct redial_i_link *link)
{
    link->is_ready = true;
    link->up(link->ctx);
}

static void
greeting_done(struct redial_i_exchange *exchange)
{
    struct redial_i_link *link = exchange->link;
    bool is_answered = exchange->end == REDIAL_I_REPLY;
    uint64_t connection;

    redial_i_lock(link->loop);
    connection = exchange->connection;
    redial_i_exchange_end_locked(exchange);
    if (connection == link->connection && link->conn != NULL &&
        !redial_i_conn_is_lost(link->conn) && !link->is_closing) {
        /* Whatever it said: if the token is bad, each call will hear it. */
        if (is_answered) {
            ready_locked(link);
        } else {
            redial_i_link_drop_locked(link, "no answer to the first call");
        }
    }
    redial_i_unlock(link->loop);
}

/* A token is shown in a small call first, which lifts the size limit. */
static void
show_token_locked(struct redial_i_link *link)
{
    struct redial_i_exchange *exchange = redial_i_exchange_get_locked(link);
    struct redial_i_frame *frame = NULL;
    uint8_t *at;

    if (exchange != NULL) {
        frame = redial_i_link_frame(link, "/redial.v1.Admin/Health",
                                    link->connect_timeout_ms, 0, &at);
    }
    if (frame == NULL) {
        if (exchange != NULL) {
            redial_i_exchange_end_locked(exchange);
        }
        redial_i_link_drop_locked(link, "no memory");
        return;
    }
    redial_i_exchange_start_locked(
        exchange, frame,
        redial_i_after(redial_i_now(), link->connect_timeout_ms), greeting_done,
        NULL);
}

void
redial_i_link_connected_locked(struct redial_i_link *link)
{
    if (link->is_closing) {
        return;
    }
    link->connection++;
    link->has_received = false;
    link->error[0] = '\0';
    if (link->has_token) {
        show_token_locked(link);
    } else {
        ready_locked(link);
    }
}

/* ---- down, and again ---- */

static uint64_t
round_pause_ms(uint32_t rounds)
{
    uint64_t ms = PAUSE_MAX_MS;

    if (rounds < 5 && (uint64_t)PAUSE_FIRST_MS << rounds < ms) {
        ms = (uint64_t)PAUSE_FIRST_MS << rounds;
    }
    return ms / 2 + redial_i_random_below(ms + 1);
}

/* The address at hand has failed, or its connection has ended. */
static void
next_address_locked(struct redial_i_link *link, bool was_good)
{
    uint64_t ms = 0;

    if (link->is_closing) {
        return;
    }
    if (was_good) {
        link->rounds = 0;
        link->address = 0;
        ms = redial_i_random_below(PAUSE_LOST_MS);
    } else if (++link->address == link->addresses.count) {
        link->address = 0;
        ms = round_pause_ms(link->rounds++);
    }
    redial_i_timer_start_locked(link->loop, &link->pause,
                                redial_i_after(redial_i_now(), ms));
}

/* On the loop's thread: the connection is lost, or the link is closing. */
static void
hang_up(struct redial_i_task *task)
{
    struct redial_i_link *link = REDIAL_I_OF(task, struct redial_i_link,
                                             hang_up);
    struct redial_i_conn *conn = link->conn;

    if (conn == NULL || !redial_i_conn_is_lost(conn)) {
        return;
    }
    redial_i_unlock(link->loop);
    redial_i_conn_free(conn); /* from here on no answer comes */
    redial_i_lock(link->loop);
    link->conn = NULL;
    redial_i_exchanges_cut_locked(link, link->is_closing ? REDIAL_I_CLOSED
                                                         : REDIAL_I_LOST);
    next_address_locked(link, link->has_received);
    link->has_received = false;
    (void)pthread_cond_broadcast(&link->changed);
}

void
redial_i_link_drop_locked(struct redial_i_link *link, const char *why)
{
    if (link->conn != NULL) {
        redial_i_conn_lose_locked(link->conn, why);
    }
}

/* ---- dialing ---- */

/* On a thread of nng. */
static void
dialed(void *arg)
{
    struct redial_i_link *link = arg;
    int result = nng_aio_result(link->dial);
    nng_stream *stream = result == 0 ? nng_aio_get_output(link->dial, 0) : NULL;
    const struct redial_i_address *address;

    redial_i_lock(link->loop);
    address = &link->addresses.items[link->address];
    if (stream != NULL && link->is_closing) {
        nng_stream_free(stream);
    } else if (stream != NULL) {
        if (!redial_i_conn_open_locked(link, stream, address->is_ipc)) {
            next_address_locked(link, false);
        }
    } else {
        (void)snprintf(link->error, sizeof(link->error), "%.180s: %s",
                       address->url,
                       result == NNG_ETIMEDOUT ? "no connection in time"
                                               : nng_strerror(result));
        next_address_locked(link, false);
    }
    redial_i_unlock(link->loop);
}

static void
pause_fire(struct redial_i_timer *timer)
{
    struct redial_i_link *link = REDIAL_I_OF(timer, struct redial_i_link,
                                             pause);

    if (!link->is_closing) {
        nng_stream_dialer_dial(link->addresses.items[link->address].dialer,
                               link->dial);
    }
}

/* ---- life ---- */

enum redial_status
redial_i_link_init(struct redial_i_link *link, struct redial_i_loop *loop,
                   const struct redial_connection *connection,
                   struct redial_error *ret_error)
{
    enum redial_status status;

    link->loop = loop;
    link->pause.fire = pause_fire;
    link->hang_up.run = hang_up;
    redial_i_exchanges_init(link);
    redial_i_cond_init(&link->changed);
    link->connect_timeout_ms = connection->connect_timeout_ms != 0
                                   ? connection->connect_timeout_ms
                                   : CONNECT_TIMEOUT_MS;
    (void)snprintf(link->error, sizeof(link->error), "not connected yet");
    status = redial_i_addresses_init(&link->addresses, connection, ret_error);
    if (status == REDIAL_OK) {
        status = copy_metadata(link, connection, ret_error);
    }
    if (status != REDIAL_OK) {
        return status;
    }
    if (nng_aio_alloc(&link->dial, dialed, link) != 0) {
        return redial_i_fail_memory(ret_error);
    }
    nng_aio_set_timeout(link->dial, (nng_duration)link->connect_timeout_ms);
    return REDIAL_OK;
}

void
redial_i_link_start(struct redial_i_link *link)
{
    redial_i_lock(link->loop);
    redial_i_timer_start_locked(link->loop, &link->pause, redial_i_now());
    redial_i_unlock(link->loop);
}

void
redial_i_link_stop(struct redial_i_link *link)
{
    if (link->loop == NULL || link->is_closing) {
        return;
    }
    redial_i_lock(link->loop);
    link->is_closing = true;
    link->is_ready = false;
    redial_i_timer_stop_locked(link->loop, &link->pause);
    redial_i_unlock(link->loop);
    if (link->dial != NULL) {
        nng_aio_stop(link->dial); /* its callback has run: no more streams */
    }
    redial_i_lock(link->loop);
    if (link->conn != NULL) {
        redial_i_conn_lose_locked(link->conn, NULL);
    }
    while (link->conn != NULL || !redial_i_list_is_empty(&link->flying) ||
           !redial_i_list_is_empty(&link->waiting)) {
        (void)redial_i_wait_locked(link->loop, &link->changed, REDIAL_I_NEVER);
    }
    redial_i_unlock(link->loop);
}

void
redial_i_link_fini(struct redial_i_link *link)
{
    if (link->loop == NULL) {
        return;
    }
    redial_i_exchanges_fini(link);
    nng_aio_free(link->dial);
    redial_i_addresses_fini(&link->addresses);
    free(link->metadata_bytes);
    (void)pthread_cond_destroy(&link->changed);
}
