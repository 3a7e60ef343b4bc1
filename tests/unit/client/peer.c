/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/client/peer.h"

#include "client/clock.h"
#include "proto/check.h"

#include <nng/nng.h>
#include <nng/supplemental/tls/tls.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NEXT_MS   10000
#define URL_BYTES 160
#define CONNS     64
#define FRAME_MAX (WIRE_FRAME_BYTES_MAX + 64)

/*
 * SP spoken by hand over nng's byte streams, like the gateway does: the REP
 * socket of some releases of nng stops accepting for good when a peer leaves
 * during the greeting. One thread reads each connection.
 */
struct conn {
    struct peer *peer;
    nng_stream *stream;
    nng_aio *rx;
    nng_aio *tx;
    pthread_t thread;
    uint64_t serial; /* of all connections of the peer */
};

struct peer {
    pthread_mutex_t lock; /* also held while a reply is written */
    pthread_cond_t arrived;
    char directory[64];
    char url[URL_BYTES];
    bool is_ipc;
    char *cert_key_file;
    nng_stream_listener *listener;
    nng_aio *accept;
    pthread_t thread;
    bool is_running;
    uint64_t conns_made;
    size_t conn_count;
    struct conn conns[CONNS];
    struct peer_request *first; /* in the order of arrival */
    pthread_mutex_t handler_lock;
    peer_handler handler;
    void *handler_ctx;
};

/*
 * nng counts the users of a dialer with an atomic that the thread sanitizer
 * does not see, because the library is not built with it; so it takes the end
 * of a dialer for a race with its last use.
 */
REDIAL_API const char *
__tsan_default_suppressions(void);

const char *
__tsan_default_suppressions(void)
{
    return "race:pthread_mutex_destroy\n";
}

static const ProtobufCMethodDescriptor *
find_method(struct wire_text path)
{
    static const ProtobufCServiceDescriptor *const services[] = {
        &redial__v1__gateway__descriptor,
        &redial__v1__worker__descriptor,
        &redial__v1__admin__descriptor,
    };
    char name[WIRE_PATH_BYTES_MAX + 1];

    for (size_t i = 0; i < 3; i++) {
        for (unsigned j = 0; j < services[i]->n_methods; j++) {
            (void)snprintf(name, sizeof(name), "/%s/%s", services[i]->name,
                           services[i]->methods[j].name);
            if (wire_text_equals(path, name)) {
                return &services[i]->methods[j];
            }
        }
    }
    return NULL;
}

static void
request_free(struct peer_request *request)
{
    wire_arena_fini(&request->arena);
    free(request);
}

/* Reads the body of a message; a bad one is a defect of the client. */
static struct peer_request *
request_read(struct conn *conn, const uint8_t *body, size_t len)
{
    struct peer_request *request = calloc(1, sizeof(*request));
    const struct wire_bytes *authorization;
    struct wire_error error;
    struct wire_call call;

    WIRE_CHECK(request != NULL && len >= 4);
    WIRE_CHECK(len - 4 <= WIRE_FRAME_BYTES_MAX);
    request->peer = conn->peer;
    request->conn = conn->serial;
    memcpy(request->id, body, 4);
    WIRE_CHECK(wire_call_decode(body + 4, len - 4, &call, &error) == REDIAL_OK);
    request->timeout_ms = call.timeout_ms;
    request->method = find_method(call.method);
    WIRE_CHECK(request->method != NULL);
    authorization = wire_metadata_find(&call.metadata, "authorization");
    if (authorization != NULL &&
        authorization->len < sizeof(request->authorization)) {
        memcpy(request->authorization, authorization->at, authorization->len);
    }
    wire_arena_init(&request->arena, NULL, 0);
    wire_arena_reset(&request->arena, wire_arena_budget(call.message.len));
    request->message = wire_unpack(request->method->input, call.message.at,
                                   call.message.len, &request->arena, &error);
    WIRE_CHECK(request->message != NULL);
    return request;
}

static void
request_arrived(struct peer *peer, struct peer_request *request)
{
    struct peer_request **end = &peer->first;
    bool is_handled = false;

    (void)pthread_mutex_lock(&peer->handler_lock);
    if (peer->handler != NULL) {
        is_handled = peer->handler(peer->handler_ctx, request);
    }
    (void)pthread_mutex_unlock(&peer->handler_lock);
    if (is_handled) {
        return;
    }
    (void)pthread_mutex_lock(&peer->lock);
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = request;
    (void)pthread_cond_broadcast(&peer->arrived);
    (void)pthread_mutex_unlock(&peer->lock);
}

/* ---- connections ---- */

/* All of it, or false. */
static bool
transfer(struct conn *conn, bool is_read, uint8_t *bytes, size_t len)
{
    nng_aio *aio = is_read ? conn->rx : conn->tx;

    while (len > 0) {
        nng_iov iov = {.iov_buf = bytes, .iov_len = len};

        WIRE_CHECK(nng_aio_set_iov(aio, 1, &iov) == 0);
        if (is_read) {
            nng_stream_recv(conn->stream, aio);
        } else {
            nng_stream_send(conn->stream, aio);
        }
        nng_aio_wait(aio);
        if (nng_aio_result(aio) != 0 || nng_aio_count(aio) == 0) {
            return false;
        }
        bytes += nng_aio_count(aio);
        len -= nng_aio_count(aio);
    }
    return true;
}

static bool
read_frame(struct conn *conn, uint8_t *body, size_t *ret_len)
{
    uint8_t header[9];
    size_t skip = conn->peer->is_ipc ? 1 : 0;
    size_t len = 0;

    if (!transfer(conn, true, header, skip + 8)) {
        return false;
    }
    for (size_t i = 0; i < 8; i++) {
        len = len << 8 | header[skip + i];
    }
    WIRE_CHECK(len <= FRAME_MAX);
    *ret_len = len;
    return transfer(conn, true, body, len);
}

static void *
run_conn(void *arg)
{
    static const uint8_t greeting[8] = {0, 'S', 'P', 0, 0, 0x31, 0, 0};
    struct conn *conn = arg;
    uint8_t *body = malloc(FRAME_MAX);
    uint8_t theirs[8];
    uint8_t ours[8];
    size_t len;

    WIRE_CHECK(body != NULL);
    memcpy(ours, greeting, sizeof(ours));
    if (transfer(conn, false, ours, 8) && transfer(conn, true, theirs, 8)) {
        WIRE_CHECK(theirs[5] == 0x30); /* REQ */
        while (read_frame(conn, body, &len)) {
            request_arrived(conn->peer, request_read(conn, body, len));
        }
    }
    free(body);
    return NULL;
}

static void
add_conn(struct peer *peer, nng_stream *stream)
{
    struct conn *conn;

    (void)pthread_mutex_lock(&peer->lock);
    WIRE_CHECK(peer->conn_count < CONNS);
    conn = &peer->conns[peer->conn_count];
    conn->peer = peer;
    conn->stream = stream;
    conn->serial = ++peer->conns_made;
    WIRE_CHECK(nng_aio_alloc(&conn->rx, NULL, NULL) == 0);
    WIRE_CHECK(nng_aio_alloc(&conn->tx, NULL, NULL) == 0);
    WIRE_CHECK(pthread_create(&conn->thread, NULL, run_conn, conn) == 0);
    peer->conn_count++;
    (void)pthread_mutex_unlock(&peer->lock);
}

static void *
run_accept(void *arg)
{
    struct peer *peer = arg;

    for (;;) {
        int result;

        nng_stream_listener_accept(peer->listener, peer->accept);
        nng_aio_wait(peer->accept);
        result = nng_aio_result(peer->accept);
        if (result == NNG_ECLOSED || result == NNG_ECANCELED) {
            return NULL;
        }
        if (result == 0) {
            add_conn(peer, nng_aio_get_output(peer->accept, 0));
        }
    }
}

/* ---- life ---- */

struct peer *
peer_new(const char *url)
{
    struct peer *peer = calloc(1, sizeof(*peer));
    pthread_condattr_t attributes;

    WIRE_CHECK(peer != NULL);
    (void)pthread_mutex_init(&peer->lock, NULL);
    (void)pthread_mutex_init(&peer->handler_lock, NULL);
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&peer->arrived, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    if (url != NULL) {
        (void)snprintf(peer->url, sizeof(peer->url), "%s", url);
        return peer;
    }
    (void)snprintf(peer->directory, sizeof(peer->directory),
                   "/tmp/redial-test-XXXXXX");
    WIRE_CHECK(mkdtemp(peer->directory) != NULL);
    (void)snprintf(peer->url, sizeof(peer->url), "ipc://%s/socket",
                   peer->directory);
    return peer;
}

const char *
peer_url(struct peer *peer)
{
    return peer->url;
}

void
peer_use_tls(struct peer *peer, const char *cert_key_file)
{
    peer->cert_key_file = strdup(cert_key_file);
}

/* Port 0 becomes the real one, also for the next start. */
static void
note_port(struct peer *peer)
{
    char *zero = strstr(peer->url, ":0");
    int port;

    if (zero != NULL && zero[2] == '\0') {
        WIRE_CHECK(nng_stream_listener_get_int(
                       peer->listener, NNG_OPT_TCP_BOUND_PORT, &port) == 0);
        (void)snprintf(zero, 8, ":%d", port);
    }
}

static void
set_tls(struct peer *peer)
{
    nng_tls_config *tls;

    WIRE_CHECK(nng_tls_config_alloc(&tls, NNG_TLS_MODE_SERVER) == 0);
    WIRE_CHECK(nng_tls_config_cert_key_file(tls, peer->cert_key_file, NULL) ==
               0);
    WIRE_CHECK(nng_stream_listener_set_ptr(peer->listener, NNG_OPT_TLS_CONFIG,
                                           tls) == 0);
    nng_tls_config_free(tls);
}

void
peer_start(struct peer *peer)
{
    WIRE_CHECK(!peer->is_running);
    peer->is_ipc = strncmp(peer->url, "ipc:", 4) == 0;
    WIRE_CHECK(nng_stream_listener_alloc(&peer->listener, peer->url) == 0);
    if (peer->cert_key_file != NULL) {
        set_tls(peer);
    }
    WIRE_CHECK(nng_aio_alloc(&peer->accept, NULL, NULL) == 0);
    WIRE_CHECK(nng_stream_listener_listen(peer->listener) == 0);
    note_port(peer);
    peer->is_running = true;
    WIRE_CHECK(pthread_create(&peer->thread, NULL, run_accept, peer) == 0);
}

/* Stopped operations cannot be started again: the thread comes to its end. */
static void
close_conn(struct conn *conn)
{
    nng_aio_stop(conn->rx);
    nng_aio_stop(conn->tx);
    nng_stream_close(conn->stream);
    WIRE_CHECK(pthread_join(conn->thread, NULL) == 0);
    nng_stream_free(conn->stream);
    nng_aio_free(conn->rx);
    nng_aio_free(conn->tx);
}

void
peer_stop(struct peer *peer)
{
    struct peer_request *request;
    size_t count;

    if (!peer->is_running) {
        return;
    }
    nng_stream_listener_close(peer->listener);
    WIRE_CHECK(pthread_join(peer->thread, NULL) == 0);
    nng_stream_listener_free(peer->listener);
    nng_aio_free(peer->accept);
    (void)pthread_mutex_lock(&peer->lock);
    peer->is_running = false;
    count = peer->conn_count;
    peer->conn_count = 0; /* nobody writes to them any more */
    (void)pthread_mutex_unlock(&peer->lock);
    for (size_t i = 0; i < count; i++) {
        close_conn(&peer->conns[i]);
    }
    while ((request = peer->first) != NULL) {
        peer->first = request->next;
        request_free(request);
    }
}

void
peer_free(struct peer *peer)
{
    peer_stop(peer);
    if (peer->directory[0] != '\0') {
        (void)unlink(strstr(peer->url, "://") + 3); /* nng is late with it */
        (void)rmdir(peer->directory);
    }
    (void)pthread_cond_destroy(&peer->arrived);
    (void)pthread_mutex_destroy(&peer->lock);
    (void)pthread_mutex_destroy(&peer->handler_lock);
    free(peer->cert_key_file);
    free(peer);
}

void
peer_handle(struct peer *peer, peer_handler handler, void *ctx)
{
    (void)pthread_mutex_lock(&peer->handler_lock);
    peer->handler = handler;
    peer->handler_ctx = ctx;
    (void)pthread_mutex_unlock(&peer->handler_lock);
}

/* ---- requests ---- */

static struct peer_request *
take_locked(struct peer *peer, const char *method, bool is_taken)
{
    for (struct peer_request **at = &peer->first; *at != NULL;
         at = &(*at)->next) {
        struct peer_request *request = *at;

        if (method == NULL || strcmp(request->method->name, method) == 0) {
            if (is_taken) {
                *at = request->next;
                request->next = NULL;
            }
            return request;
        }
    }
    return NULL;
}

struct peer_request *
peer_next(struct peer *peer, const char *method)
{
    struct timespec until = redial_i_timespec(
        redial_i_after(redial_i_now(), NEXT_MS));
    struct peer_request *request;

    (void)pthread_mutex_lock(&peer->lock);
    while ((request = take_locked(peer, method, true)) == NULL &&
           pthread_cond_timedwait(&peer->arrived, &peer->lock, &until) == 0) {
    }
    (void)pthread_mutex_unlock(&peer->lock);
    return request;
}

bool
peer_has(struct peer *peer, const char *method)
{
    bool has;

    (void)pthread_mutex_lock(&peer->lock);
    has = take_locked(peer, method, false) != NULL;
    (void)pthread_mutex_unlock(&peer->lock);
    return has;
}

/* The whole frame at once: one write. */
static void
write_reply(struct conn *conn, const struct peer_request *request,
            const struct wire_reply *reply, const ProtobufCMessage *message)
{
    size_t skip = conn->peer->is_ipc ? 1 : 0;
    size_t len = 4 + wire_reply_size(reply);
    uint8_t *frame = malloc(skip + 8 + len);

    WIRE_CHECK(frame != NULL);
    frame[0] = 1;
    for (size_t i = 0; i < 8; i++) {
        frame[skip + i] = (uint8_t)(len >> (8 * (7 - i)));
    }
    memcpy(frame + skip + 8, request->id, 4);
    wire_reply_encode(reply, message, frame + skip + 12);
    (void)transfer(conn, false, frame, skip + 8 + len);
    free(frame);
}

static void
send_reply(struct peer_request *request, struct wire_reply *reply,
           const ProtobufCMessage *message)
{
    struct peer *peer = request->peer;

    (void)pthread_mutex_lock(&peer->lock);
    for (size_t i = 0; i < peer->conn_count; i++) {
        if (peer->conns[i].serial == request->conn) {
            write_reply(&peer->conns[i], request, reply, message);
        }
    }
    (void)pthread_mutex_unlock(&peer->lock);
    request_free(request);
}

void
peer_answer(struct peer_request *request, const ProtobufCMessage *response)
{
    struct wire_reply reply = {
        .status = REDIAL_OK,
        .has_message = true,
        .server_version = wire_text("0.1.0-test"),
    };

    WIRE_CHECK(response->descriptor == request->method->output);
    reply.message.len = protobuf_c_message_get_packed_size(response);
    send_reply(request, &reply, response);
}

void
peer_refuse(struct peer_request *request, enum redial_status status,
            const char *reason, const char *text)
{
    struct wire_reply reply = {
        .status = status,
        .reason = wire_text(reason),
        .text = wire_text(text),
    };

    send_reply(request, &reply, NULL);
}

void
peer_refuse_for(struct peer_request *request, enum redial_status status,
                uint64_t retry_after_ms)
{
    struct wire_reply reply = {
        .status = status,
        .retry_after_ms = retry_after_ms,
    };

    send_reply(request, &reply, NULL);
}

void
peer_drop(struct peer_request *request)
{
    request_free(request);
}
