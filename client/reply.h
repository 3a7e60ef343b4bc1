/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REDIAL_CLIENT_REPLY_H
#define REDIAL_CLIENT_REPLY_H

#include "proto/arena.h"
#include <redial/client.h>

#include <protobuf-c/protobuf-c.h>

/*
 * Takes an answer apart. OK: *ret_message is the response, in `arena`.
 * Otherwise *ret_error says what the gateway said, or what was wrong with the
 * bytes. Any thread, no lock.
 */
enum redial_status
redial_i_reply_unpack(const uint8_t *reply, size_t len,
                      const ProtobufCMessageDescriptor *descriptor,
                      struct wire_arena *arena, ProtobufCMessage **ret_message,
                      struct redial_error *ret_error);

#endif /* REDIAL_CLIENT_REPLY_H */
