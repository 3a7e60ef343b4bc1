/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages as JSON text, by one walk over their descriptors.
 *
 * Names as in the schema (snake_case). 64-bit integers are strings, except
 * fields that end in `_ms`, which are plain integers like all shorter ones.
 * Enums by name (by number if unknown). Bytes in base64. Repeated fields are
 * arrays. Fields that are not set are left out. Strings come out as UTF-8 with
 * control characters escaped, broken sequences replaced by U+FFFD.
 *
 * The text is one line. Failure is sticky: write everything, then look at the
 * status once. Not thread-safe.
 */
#ifndef REDIAL_PROTO_JSON_OUT_H
#define REDIAL_PROTO_JSON_OUT_H

#include <redial/status.h>

#include <protobuf-c/protobuf-c.h>

#include <stddef.h>
#include <stdint.h>

struct wire_json {
    char *text; /* terminated by NUL once something was written */
    size_t len;
    size_t capacity;
    size_t len_max;
    enum redial_status status; /* OK, or RESOURCE_EXHAUSTED: maximum reached
                                  or out of memory; text is then cut */
};

/* An empty text that may grow to `len_max` bytes (without the NUL). */
void
wire_json_init(struct wire_json *json, size_t len_max);

/* Frees the text. A zeroed one is fine. */
void
wire_json_fini(struct wire_json *json);

/* Forgets the text and a failure, keeps the memory. */
void
wire_json_reset(struct wire_json *json);

/* `{…}` of a message; NULL gives `null`. */
void
wire_json_message(struct wire_json *json, const ProtobufCMessage *message);

/* The pieces, for what surrounds messages: */

/* Text as it is: punctuation, literals. */
void
wire_json_raw(struct wire_json *json, const char *text);

/* A quoted and escaped string. */
void
wire_json_string(struct wire_json *json, const char *text, size_t len);

/* `"name":` of a member; the comma before it is the caller's. */
void
wire_json_name(struct wire_json *json, const char *name);

void
wire_json_int(struct wire_json *json, int64_t value);

void
wire_json_uint(struct wire_json *json, uint64_t value);

/* A quoted base64 (RFC 4648, padded). */
void
wire_json_base64(struct wire_json *json, const uint8_t *bytes, size_t len);

#endif
