/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the programs of this repository that link libredial statically (the
 * tool): calls of any method with its protobuf messages, so that answers can be
 * printed as they came. Not for other programs, and not exported.
 */
#ifndef REDIAL_CLIENT_INTERNAL_H
#define REDIAL_CLIENT_INTERNAL_H

#include "proto/arena.h"
#include <redial/client.h>
#include <redial/v1/event.pb-c.h>

#include <protobuf-c/protobuf-c.h>

/*
 * A method of the wire: {&redial__v1__admin__descriptor, "Stats", true}.
 * `is_repeatable`: after a lost connection it may be said again.
 */
struct redial_i_method {
    const ProtobufCServiceDescriptor *service;
    const char *name;
    bool is_repeatable;
};

struct redial_i_response {
    const ProtobufCMessage *message; /* lives in the arena */
    struct wire_arena arena;
};

/*
 * Calls and waits for the answer. On success *ret_response must be given back
 * with redial_i_response_fini(). Any thread.
 */
enum redial_status
redial_i_call(redial_client *client, const struct redial_i_method *method,
              const ProtobufCMessage *request, struct redial_deadline deadline,
              struct redial_i_response *ret_response,
              struct redial_error *ret_error);

/* A zeroed one is fine. */
void
redial_i_response_fini(struct redial_i_response *response);

/*
 * The event that redial_watch_next() gave last, as it came; NULL before the
 * first, and for a gap that the gateway reported beside the events (then see
 * redial_i_watch_gap()). Lives until the next call with this watch.
 */
const Redial__V1__Event *
redial_i_watch_message(const redial_watch *watch);

const Redial__V1__Gap *
redial_i_watch_gap(const redial_watch *watch);

#endif /* REDIAL_CLIENT_INTERNAL_H */
