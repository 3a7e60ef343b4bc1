/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A gateway played by the test: it speaks SP REP and the wire messages.
 *
 * The test takes requests one by one and answers them as it likes, or gives a
 * function that answers all of a method at once, on a thread of its own. A peer
 * can be stopped (which cuts its connections) and started again at its address.
 *
 * Waiting always ends: peer_next() gives up after 10 s, and the test fails.
 */
#ifndef TESTS_UNIT_CLIENT_PEER_H
#define TESTS_UNIT_CLIENT_PEER_H

#include "proto/wire.h"
#include <redial/client.h>
#include <redial/v1/admin.pb-c.h>
#include <redial/v1/gateway.pb-c.h>
#include <redial/v1/worker.pb-c.h>

struct peer;

struct peer_request {
    struct peer *peer;
    uint64_t conn; /* serial number of the connection */
    uint8_t id[4]; /* of SP */
    const ProtobufCMethodDescriptor *method;
    uint32_t timeout_ms;
    char authorization[64];
    const ProtobufCMessage *message; /* the request; in the arena */
    struct wire_arena arena;
    struct peer_request *next;
};

/* NULL `url`: ipc in a fresh directory. Not listening yet. */
struct peer *
peer_new(const char *url);

void
peer_free(struct peer *peer);

/* What clients dial: with the port that tcp chose. */
const char *
peer_url(struct peer *peer);

/* Listens at the same address as before. */
void
peer_start(struct peer *peer);

/* TLS for the next start: certificate and key in one PEM file. */
void
peer_use_tls(struct peer *peer, const char *cert_key_file);

/* Cuts all connections; requests not answered are forgotten. */
void
peer_stop(struct peer *peer);

/*
 * The next request of this method ("Submit"; NULL: any), within 10 s; others
 * stay in line. It must be answered or dropped. NULL: none came.
 */
struct peer_request *
peer_next(struct peer *peer, const char *method);

/* Is one there already? */
bool
peer_has(struct peer *peer, const char *method);

/* Answers OK with a response and frees the request. */
void
peer_answer(struct peer_request *request, const ProtobufCMessage *response);

/* Answers with a failure and frees the request. */
void
peer_refuse(struct peer_request *request, enum redial_status status,
            const char *reason, const char *text);

/* The same, to come back after so many milliseconds. */
void
peer_refuse_for(struct peer_request *request, enum redial_status status,
                uint64_t retry_after_ms);

/* Never answers it. */
void
peer_drop(struct peer_request *request);

/*
 * Called for each request that arrives, on a thread of its own, before
 * peer_next() sees it. True: it was answered (or kept). One request at a time.
 */
typedef bool (*peer_handler)(void *ctx, struct peer_request *request);

void
peer_handle(struct peer *peer, peer_handler handler, void *ctx);

#endif /* TESTS_UNIT_CLIENT_PEER_H */
