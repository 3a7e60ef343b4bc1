/* SPDX-License-Identifier: Apache-2.0 */
#include "client/link.h"

#include "client/clock.h"
#include "client/error.h"
#include "proto/limits.h"
#include "proto/name.h"

#include <nng/protocol/reqrep0/req.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_TIMEOUT_MS 3000

/* Pauses between rounds over the addresses: doubling, times 0.5 to 1.5. */
#define PAUSE_FIRST_MS 100
#define PAUSE_MAX_MS   3000

/* Before the first attempt after a good connection: spreads a herd. */
#define PAUSE_LOST_MS 50

/* A dialer younger than this must not be closed by another thread (nng then
 * may lose the end of the dial). */
#define DIALER_YOUNG_MS 250

/* The pipe of a dial that succeeded is there by then, or never. */
#define PIPE_MS 1000

/* The id and length that SP puts before a body, generously. */
#define SP_HEADER_BYTES 64

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

    memcpy(at, key, key_len);
    item->key.at = at;
    item->key.len = key_len;
    at += key_len;
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

nng_msg *
redial_i_link_frame(const struct redial_i_link *link, const char *path,
                    uint32_t timeout_ms, size_t len, uint8_t **ret_message)
{
    struct wire_call call = call_of(link, path, timeout_ms);
    size_t head = wire_call_size(&call);
    uint8_t tag[1 + 10] = {MESSAGE_TAG};
    size_t tag_len = 1 + put_varint(tag + 1, len);
    nng_msg *msg;
    uint8_t *at;

    if (nng_msg_alloc(&msg, head + tag_len + len) != 0) {
        return NULL;
    }
    at = nng_msg_body(msg);
    wire_call_encode(&call, NULL, at);
    memcpy(at + head, tag, tag_len);
    *ret_message = at + head + tag_len;
    return msg;
}

/* ---- the connection ---- */

void
redial_i_link_drop_locked(struct redial_i_link *link)
{
    if (link->pipe != 0) {
        link->is_lost = true;
        link->is_ready = false;
        (void)pthread_cond_broadcast(&link->changed);
    }
}

static void
link_ready_locked(struct redial_i_link *link)
{
    link->is_ready = true;
    link->up(link->ctx);
}

static void
greeting_done(struct redial_i_exchange *exchange)
{
    struct redial_i_link *link = exchange->link;
    enum redial_i_end end = exchange->end;
    uint64_t connection;

    if (exchange->reply != NULL) {
        nng_msg_free(exchange->reply);
    }
    redial_i_lock(link->loop);
    connection = exchange->connection;
    redial_i_exchange_end_locked(exchange);
    if (connection == link->connection && link->pipe != 0 && !link->is_lost &&
        !link->is_closing) {
        /* Whatever it said: if the token is bad, each call will hear it. */
        if (end == REDIAL_I_REPLY) {
            link_ready_locked(link);
        } else {
            redial_i_link_drop_locked(link);
        }
    }
    redial_i_unlock(link->loop);
}

/* A token is shown in a small call first, which lifts the size limit. */
static void
link_greet_locked(struct redial_i_link *link)
{
    struct redial_i_exchange *exchange;
    nng_msg *msg;
    uint8_t *at;

    if (!link->has_token) {
        link_ready_locked(link);
        return;
    }
    msg = redial_i_link_frame(link, "/redial.v1.Admin/Health",
                              link->connect_timeout_ms, 0, &at);
    exchange = redial_i_exchange_get_locked(link);
    if (msg == NULL || exchange == NULL) {
        if (msg != NULL) {
            nng_msg_free(msg);
        }
        if (exchange != NULL) {
            redial_i_exchange_end_locked(exchange);
        }
        redial_i_link_drop_locked(link);
        return;
    }
    redial_i_exchange_start_locked(
        exchange, msg, redial_i_after(redial_i_now(), link->connect_timeout_ms),
        greeting_done, NULL);
}

/* On a thread of nng: a pipe of the socket comes or goes. */
static void
pipe_event(nng_pipe pipe, nng_pipe_ev event, void *arg)
{
    struct redial_i_link *link = arg;
    uint32_t id = (uint32_t)nng_pipe_id(pipe);
    int dialer = nng_dialer_id(nng_pipe_dialer(pipe));
    bool is_wanted;

    redial_i_lock(link->loop);
    is_wanted = link->has_dialer && dialer == nng_dialer_id(link->dialer) &&
                !link->is_closing && (link->pipe == 0 || link->pipe == id);
    if (event == NNG_PIPE_EV_ADD_PRE && is_wanted) {
        link->pipe = id;
    } else if (event == NNG_PIPE_EV_REM_POST && link->pipe == id) {
        link->is_lost = true;
        link->is_ready = false;
    }
    (void)pthread_cond_broadcast(&link->changed);
    redial_i_unlock(link->loop);
    if (event == NNG_PIPE_EV_ADD_PRE && !is_wanted) {
        (void)nng_pipe_close(pipe); /* nng dialed again by itself */
    }
}

static void
connect_timer_fire(struct redial_i_timer *timer)
{
    struct redial_i_link *link = REDIAL_I_OF(timer, struct redial_i_link,
                                             connect_timer);
    nng_dialer dialer = link->dialer;

    if (link->is_dialing && link->has_dialer) {
        link->has_timed_out = true;
        redial_i_unlock(link->loop);
        (void)nng_dialer_close(dialer);
        redial_i_lock(link->loop);
    }
}

static void
note_error(struct redial_i_link *link, int result)
{
    const char *url = link->addresses.items[link->address].url;

    if (link->has_timed_out) {
        (void)snprintf(link->error, sizeof(link->error),
                       "%s: no connection within %u ms", url,
                       (unsigned)link->connect_timeout_ms);
    } else {
        (void)snprintf(link->error, sizeof(link->error), "%s: %s", url,
                       result != 0 ? nng_strerror(result)
                                   : "not a peer of SP's REQ protocol");
    }
}

/* Dials the address at hand; true: there is a connection. */
static bool
link_dial_locked(struct redial_i_link *link)
{
    const struct redial_i_address *address =
        &link->addresses.items[link->address];
    nng_dialer dialer;
    int64_t until;
    int result = redial_i_address_dialer(address, link->sock, &dialer);

    link->has_timed_out = false;
    if (result != 0) {
        note_error(link, result);
        return false;
    }
    link->dialer = dialer;
    link->has_dialer = true;
    link->is_dialing = true;
    link->dialing_since_ns = redial_i_now();
    redial_i_timer_start_locked(
        link->loop, &link->connect_timer,
        redial_i_after(link->dialing_since_ns, link->connect_timeout_ms));
    redial_i_unlock(link->loop);
    result = nng_dialer_start(dialer, 0);
    redial_i_lock(link->loop);
    link->is_dialing = false;
    redial_i_timer_stop_locked(link->loop, &link->connect_timer);
    (void)pthread_cond_broadcast(&link->changed);

    until = redial_i_after(redial_i_now(), PIPE_MS);
    while (result == 0 && link->pipe == 0 && !link->is_closing &&
           redial_i_wait_locked(link->loop, &link->changed, until)) {
    }
    if (result != 0 || link->pipe == 0 || link->is_lost) {
        note_error(link, result);
        return false;
    }
    return true;
}

/* Uses the connection until it is lost. */
static void
link_stay_locked(struct redial_i_link *link)
{
    link->connection++;
    link->has_received = false;
    link->error[0] = '\0';
    link_greet_locked(link);
    while (!link->is_lost && !link->is_closing) {
        (void)redial_i_wait_locked(link->loop, &link->changed, REDIAL_I_NEVER);
    }
    link->is_ready = false;
    if (!link->is_closing) {
        (void)snprintf(link->error, sizeof(link->error), "%s: connection lost",
                       link->addresses.items[link->address].url);
    }
}

static void
link_hang_up_locked(struct redial_i_link *link)
{
    nng_dialer dialer = link->dialer;

    if (link->has_dialer) {
        link->has_dialer = false;
        redial_i_unlock(link->loop);
        (void)nng_dialer_close(dialer);
        redial_i_lock(link->loop);
    }
    link->pipe = 0;
    link->is_lost = false;
}

static void
link_pause_locked(struct redial_i_link *link, uint64_t ms)
{
    int64_t until = redial_i_after(redial_i_now(), ms);

    while (!link->is_closing && redial_i_now() < until) {
        (void)redial_i_wait_locked(link->loop, &link->changed, until);
    }
}

static uint64_t
round_pause_ms(uint32_t rounds)
{
    uint64_t ms = PAUSE_MAX_MS;

    if (rounds < 5 && (uint64_t)PAUSE_FIRST_MS << rounds < ms) {
        ms = (uint64_t)PAUSE_FIRST_MS << rounds;
    }
    return ms / 2 + redial_i_random_below(ms + 1);
}

static void *
run_dialing(void *arg)
{
    struct redial_i_link *link = arg;

    redial_i_lock(link->loop);
    while (!link->is_closing) {
        bool was_good = false;

        if (link_dial_locked(link)) {
            link_stay_locked(link);
            was_good = link->has_received;
        }
        link_hang_up_locked(link);
        if (was_good) {
            link->rounds = 0;
            link->address = 0;
            link_pause_locked(link, redial_i_random_below(PAUSE_LOST_MS));
        } else if (++link->address == link->addresses.count) {
            link->address = 0;
            link_pause_locked(link, round_pause_ms(link->rounds));
            link->rounds++;
        }
    }
    link->has_thread = false;
    (void)pthread_cond_broadcast(&link->changed);
    redial_i_unlock(link->loop);
    return NULL;
}

/* ---- life ---- */

enum redial_status
redial_i_link_init(struct redial_i_link *link, struct redial_i_loop *loop,
                   const struct redial_connection *connection,
                   struct redial_error *ret_error)
{
    enum redial_status status;

    link->loop = loop;
    link->connect_timer.fire = connect_timer_fire;
    redial_i_list_init(&link->idle);
    redial_i_list_init(&link->flying);
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
    if (nng_req0_open(&link->sock) != 0) {
        return redial_i_fail_memory(ret_error);
    }
    link->has_sock = true;
    if (nng_socket_set_size(link->sock, NNG_OPT_RECVMAXSZ,
                            WIRE_FRAME_BYTES_MAX + SP_HEADER_BYTES) != 0 ||
        nng_pipe_notify(link->sock, NNG_PIPE_EV_ADD_PRE, pipe_event, link) !=
            0 ||
        nng_pipe_notify(link->sock, NNG_PIPE_EV_REM_POST, pipe_event, link) !=
            0) {
        return redial_i_fail_memory(ret_error);
    }
    return REDIAL_OK;
}

bool
redial_i_link_start(struct redial_i_link *link)
{
    bool is_started;

    redial_i_lock(link->loop);
    link->has_thread = pthread_create(&link->thread, NULL, run_dialing, link) ==
                       0;
    is_started = link->has_thread;
    redial_i_unlock(link->loop);
    return is_started;
}

/* Ends the dialing thread, which may be inside of nng. */
static void
stop_dialing(struct redial_i_link *link)
{
    bool was_started;

    redial_i_lock(link->loop);
    was_started = link->has_thread;
    link->is_closing = true;
    link->is_ready = false;
    (void)pthread_cond_broadcast(&link->changed);
    while (link->is_dialing) {
        int64_t old = redial_i_after(link->dialing_since_ns, DIALER_YOUNG_MS);
        nng_dialer dialer = link->dialer;

        if (redial_i_now() >= old) {
            redial_i_unlock(link->loop);
            (void)nng_dialer_close(dialer);
            redial_i_lock(link->loop);
            break;
        }
        (void)redial_i_wait_locked(link->loop, &link->changed, old);
    }
    redial_i_unlock(link->loop);
    if (was_started) {
        WIRE_CHECK(pthread_join(link->thread, NULL) == 0);
    }
}

void
redial_i_link_stop(struct redial_i_link *link)
{
    if (link->loop != NULL && !link->is_closing) {
        stop_dialing(link);
        redial_i_exchanges_stop(link);
    }
}

void
redial_i_link_fini(struct redial_i_link *link)
{
    struct redial_i_list *node;

    if (link->loop == NULL) {
        return;
    }
    while ((node = redial_i_list_pop(&link->idle)) != NULL) {
        redial_i_exchange_free(
            REDIAL_I_OF(node, struct redial_i_exchange, node));
    }
    if (link->has_sock) {
        (void)nng_close(link->sock);
    }
    redial_i_addresses_fini(&link->addresses);
    free(link->metadata_bytes);
    (void)pthread_cond_destroy(&link->changed);
}
