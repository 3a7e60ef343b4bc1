/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Untrusted bytes to a protobuf-c message, within a budget.
 *
 * protobuf-c itself accepts NUL bytes and broken UTF-8 inside strings and then
 * forgets their length; so the bytes are scanned first, guided by the
 * descriptor, nested messages included.
 */
#ifndef REDIAL_PROTO_UNPACK_H
#define REDIAL_PROTO_UNPACK_H

#include "proto/arena.h"
#include <redial/status.h>

#include <protobuf-c/protobuf-c.h>

#include <stddef.h>
#include <stdint.h>

#define WIRE_ERROR_BYTES 256

/* Why something was refused: a sentence that names the field path. */
struct wire_error {
    enum redial_status status;
    char text[WIRE_ERROR_BYTES]; /* "jobs[3].key: not valid UTF-8" */
};

/*
 * Decodes a message into `arena`; it lives until the arena is reset. The bytes
 * are not referenced afterwards. Unknown fields are accepted (and cost budget).
 * NULL on failure, and *ret_error says why: INVALID_ARGUMENT for bytes that
 * are wrong, RESOURCE_EXHAUSTED for too much nesting or an exhausted arena.
 */
ProtobufCMessage *
wire_unpack(const ProtobufCMessageDescriptor *descriptor, const uint8_t *bytes,
            size_t len, struct wire_arena *arena, struct wire_error *ret_error);

/* The scan alone: REDIAL_OK, or as above. Allocates nothing. */
enum redial_status
wire_scan(const ProtobufCMessageDescriptor *descriptor, const uint8_t *bytes,
          size_t len, struct wire_error *ret_error);

/* Sets both members; the text is cut to fit. Returns `status`. */
enum redial_status
wire_error_set(struct wire_error *error, enum redial_status status,
               const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
