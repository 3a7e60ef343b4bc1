/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/client/peer.h"

#include "client/clock.h"
#include "proto/check.h"

#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/supplemental/tls/tls.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SLOTS     128
#define NEXT_MS   10000
#define URL_BYTES 160

enum slot_state { SLOT_RECEIVES, SLOT_HELD, SLOT_SENDS };

struct slot {
    struct peer *peer;
    nng_ctx ctx;
    nng_aio *aio;
    enum slot_state state;
};

struct peer {
    pthread_mutex_t lock;
    pthread_cond_t arrived;
    char directory[64];
    char url[URL_BYTES];
    char *cert_key_file;
    nng_socket sock;
    bool is_running;
    unsigned generation;
    struct slot slots[SLOTS];
    struct peer_request *first; /* in the order of arrival */
    pthread_mutex_t handler_lock;
    peer_handler handler;
    void *handler_ctx;
};

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
request_read(struct slot *slot, nng_msg *msg)
{
    struct peer_request *request = calloc(1, sizeof(*request));
    const struct wire_bytes *authorization;
    struct wire_error error;
    struct wire_call call;

    WIRE_CHECK(request != NULL);
    WIRE_CHECK(wire_call_decode(nng_msg_body(msg), nng_msg_len(msg), &call,
                                &error) == REDIAL_OK);
    WIRE_CHECK(nng_msg_len(msg) <= WIRE_FRAME_BYTES_MAX);
    request->peer = slot->peer;
    request->slot = (size_t)(slot - slot->peer->slots);
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
slot_received(struct slot *slot)
{
    struct peer *peer = slot->peer;
    nng_msg *msg = nng_aio_get_msg(slot->aio);
    struct peer_request *request = request_read(slot, msg);
    bool is_handled = false;

    nng_msg_free(msg);
    (void)pthread_mutex_lock(&peer->lock);
    slot->state = SLOT_HELD;
    request->generation = peer->generation;
    (void)pthread_mutex_unlock(&peer->lock);
    (void)pthread_mutex_lock(&peer->handler_lock);
    if (peer->handler != NULL) {
        is_handled = peer->handler(peer->handler_ctx, request);
    }
    (void)pthread_mutex_unlock(&peer->handler_lock);
    if (!is_handled) {
        struct peer_request **end = &peer->first;

        (void)pthread_mutex_lock(&peer->lock);
        while (*end != NULL) {
            end = &(*end)->next;
        }
        *end = request;
        (void)pthread_cond_broadcast(&peer->arrived);
        (void)pthread_mutex_unlock(&peer->lock);
    }
}

static void
slot_event(void *arg)
{
    struct slot *slot = arg;
    enum slot_state state = slot->state;
    int result = nng_aio_result(slot->aio);

    if (result != 0) {
        if (state == SLOT_SENDS) {
            nng_msg_free(nng_aio_get_msg(slot->aio));
        }
        if (result == NNG_ECLOSED || result == NNG_ECANCELED) {
            return;
        }
    }
    if (state == SLOT_RECEIVES && result == 0) {
        slot_received(slot);
        return;
    }
    slot->state = SLOT_RECEIVES;
    nng_ctx_recv(slot->ctx, slot->aio);
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
note_port(struct peer *peer, nng_listener listener)
{
    char *zero = strstr(peer->url, ":0");
    int port;

    if (zero != NULL && zero[2] == '\0') {
        WIRE_CHECK(
            nng_listener_get_int(listener, NNG_OPT_TCP_BOUND_PORT, &port) == 0);
        (void)snprintf(zero, 8, ":%d", port);
    }
}

static void
listen_at(struct peer *peer)
{
    nng_listener listener;

    WIRE_CHECK(nng_listener_create(&listener, peer->sock, peer->url) == 0);
    if (peer->cert_key_file != NULL) {
        nng_tls_config *tls;

        WIRE_CHECK(nng_tls_config_alloc(&tls, NNG_TLS_MODE_SERVER) == 0);
        WIRE_CHECK(
            nng_tls_config_cert_key_file(tls, peer->cert_key_file, NULL) == 0);
        WIRE_CHECK(nng_listener_set_ptr(listener, NNG_OPT_TLS_CONFIG, tls) ==
                   0);
        nng_tls_config_free(tls);
    }
    WIRE_CHECK(nng_listener_start(listener, 0) == 0);
    note_port(peer, listener);
}

void
peer_start(struct peer *peer)
{
    WIRE_CHECK(!peer->is_running);
    WIRE_CHECK(nng_rep0_open(&peer->sock) == 0);
    WIRE_CHECK(nng_socket_set_size(peer->sock, NNG_OPT_RECVMAXSZ, 0) == 0);
    for (size_t i = 0; i < SLOTS; i++) {
        struct slot *slot = &peer->slots[i];

        slot->peer = peer;
        slot->state = SLOT_RECEIVES;
        WIRE_CHECK(nng_ctx_open(&slot->ctx, peer->sock) == 0);
        WIRE_CHECK(nng_aio_alloc(&slot->aio, slot_event, slot) == 0);
        nng_ctx_recv(slot->ctx, slot->aio);
    }
    peer->is_running = true;
    listen_at(peer);
}

void
peer_stop(struct peer *peer)
{
    struct peer_request *request;

    if (!peer->is_running) {
        return;
    }
    (void)pthread_mutex_lock(&peer->lock);
    peer->generation++;
    peer->is_running = false;
    (void)pthread_mutex_unlock(&peer->lock);
    for (size_t i = 0; i < SLOTS; i++) {
        nng_aio_stop(peer->slots[i].aio);
    }
    (void)nng_close(peer->sock);
    for (size_t i = 0; i < SLOTS; i++) {
        nng_aio_free(peer->slots[i].aio);
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

static void
send_reply(struct peer_request *request, struct wire_reply *reply,
           const ProtobufCMessage *message)
{
    struct peer *peer = request->peer;
    struct slot *slot = &peer->slots[request->slot];
    bool is_current;
    nng_msg *msg;

    (void)pthread_mutex_lock(&peer->lock);
    is_current = peer->is_running && peer->generation == request->generation;
    if (is_current) {
        WIRE_CHECK(slot->state == SLOT_HELD);
        WIRE_CHECK(nng_msg_alloc(&msg, wire_reply_size(reply)) == 0);
        wire_reply_encode(reply, message, nng_msg_body(msg));
        slot->state = SLOT_SENDS;
        nng_aio_set_msg(slot->aio, msg);
        nng_ctx_send(slot->ctx, slot->aio);
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
peer_drop(struct peer_request *request)
{
    request_free(request);
}
