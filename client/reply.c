/* SPDX-License-Identifier: Apache-2.0 */
#include "client/reply.h"

#include "client/error.h"
#include "proto/envelope.h"
#include "proto/unpack.h"

static enum redial_status
fail_wire(struct redial_error *error, const struct wire_error *problem)
{
    return redial_i_fail(error, REDIAL_INTERNAL, "BAD_ANSWER",
                         "the answer cannot be read: %s", problem->text);
}

enum redial_status
redial_i_reply_unpack(const uint8_t *reply, size_t len,
                      const ProtobufCMessageDescriptor *descriptor,
                      struct wire_arena *arena, ProtobufCMessage **ret_message,
                      struct redial_error *ret_error)
{
    struct wire_reply envelope;
    struct wire_error problem;
    ProtobufCMessage *message;

    if (wire_reply_decode(reply, len, &envelope, &problem) != REDIAL_OK) {
        return fail_wire(ret_error, &problem);
    }
    if (envelope.status != REDIAL_OK) {
        return redial_i_fail_reply(ret_error, &envelope);
    }
    wire_arena_reset(arena, wire_arena_budget(envelope.message.len));
    message = wire_unpack(descriptor, envelope.message.at, envelope.message.len,
                          arena, &problem);
    if (message == NULL) {
        return fail_wire(ret_error, &problem);
    }
    *ret_message = message;
    return REDIAL_OK;
}
