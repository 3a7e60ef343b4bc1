/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The envelope of every frame, Call and Reply of redial/v1/rpc.proto, read and
 * written in place.
 *
 * The generated code copies the packed request twice; this reader points into
 * the frame instead, and the writer packs the message straight into the frame.
 * The bytes are the same in both directions (a test compares them).
 *
 * Decoded structures point into the bytes that they were decoded from and are
 * valid as long as those. Texts are not terminated by NUL, but are checked:
 * valid UTF-8 without NUL. Functions are pure and never block.
 */
#ifndef REDIAL_PROTO_ENVELOPE_H
#define REDIAL_PROTO_ENVELOPE_H

#include "proto/limits.h"
#include "proto/unpack.h"
#include <redial/status.h>

#include <protobuf-c/protobuf-c.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wire_text {
    const char *at; /* not terminated */
    size_t len;
};

struct wire_bytes {
    const uint8_t *at;
    size_t len;
};

struct wire_metadata {
    struct wire_text key;
    struct wire_bytes value;
};

struct wire_metadata_list {
    size_t count;
    struct wire_metadata items[WIRE_METADATA_MAX];
};

struct wire_call {
    struct wire_text method; /* "/redial.v1.Gateway/Submit" */
    uint32_t timeout_ms;     /* 0: the caller waits for ever */
    bool has_message;
    bool is_json;              /* decoded: JSON form; nothing else is set */
    struct wire_bytes message; /* packed request */
    struct wire_metadata_list metadata;
};

struct wire_reply {
    enum redial_status status; /* decoded: any number outside is UNKNOWN */
    bool has_message;
    struct wire_text text;     /* a sentence for people */
    struct wire_text reason;   /* a word for programs */
    uint64_t retry_after_ms;   /* 0: not given */
    struct wire_bytes message; /* packed response */
    struct wire_text server_version;
    struct wire_metadata_list metadata;
};

/* A terminated string as a text; NULL is the empty one. */
struct wire_text
wire_text(const char *string);

bool
wire_text_equals(struct wire_text text, const char *string);

/*
 * Reads a Call. The JSON form (first byte '{') succeeds with `is_json` set and
 * the whole frame as `message`. On failure *ret_call is untouched and
 * *ret_error (may be NULL) names the field: INVALID_ARGUMENT.
 */
enum redial_status
wire_call_decode(const uint8_t *bytes, size_t len, struct wire_call *ret_call,
                 struct wire_error *ret_error);

/* Reads a Reply; as above, without the JSON form. */
enum redial_status
wire_reply_decode(const uint8_t *bytes, size_t len,
                  struct wire_reply *ret_reply, struct wire_error *ret_error);

/*
 * The exact size of the frame. Only `message.len` counts of the message, so it
 * can be asked before the message is packed:
 *
 *     call.has_message = true;
 *     call.message.len = protobuf_c_message_get_packed_size(request);
 *     frame = malloc(wire_call_size(&call));
 *     wire_call_encode(&call, request, frame);
 *
 * Empty texts and zero numbers are left out of the frame.
 */
size_t
wire_call_size(const struct wire_call *call);

size_t
wire_reply_size(const struct wire_reply *reply);

/*
 * Writes exactly the size asked above to `out`. With `message` NULL the bytes
 * of `call->message` are copied; otherwise the message is packed in place, and
 * must pack to `call->message.len` bytes (checked).
 */
void
wire_call_encode(const struct wire_call *call, const ProtobufCMessage *message,
                 uint8_t *out);

void
wire_reply_encode(const struct wire_reply *reply,
                  const ProtobufCMessage *message, uint8_t *out);

/* The last value of a key, or NULL. */
const struct wire_bytes *
wire_metadata_find(const struct wire_metadata_list *list, const char *key);

#endif
