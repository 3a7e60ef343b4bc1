/* SPDX-License-Identifier: Apache-2.0 */
#include "server/net/codec.h"

#include "proto/name.h"

#include <string.h>

void
scratch_clear(struct scratch *scratch)
{
    scratch->used = 0;
}

char *
scratch_text(struct scratch *scratch, struct text text)
{
    size_t left = SCRATCH_BYTES - scratch->used;
    size_t len = text.len;
    char *copy = scratch->at + scratch->used;

    if (len == 0 || left < 2) {
        return NULL;
    }
    if (len > left - 1) {
        len = wire_utf8_cut(text.at, len, left - 1);
    }
    memcpy(copy, text.at, len);
    copy[len] = '\0';
    scratch->used += len + 1;
    return copy;
}

char *
scratch_id(struct scratch *scratch, struct job_id id)
{
    struct wire_uuid uuid;
    char buf[WIRE_UUID_TEXT_LEN + 1];

    memcpy(uuid.bytes, id.bytes, sizeof(uuid.bytes));
    wire_uuid_format(&uuid, buf);
    return scratch_text(scratch, (struct text){buf, WIRE_UUID_TEXT_LEN});
}

struct text
text_of(const char *string)
{
    if (string == NULL) {
        return (struct text){NULL, 0};
    }
    return (struct text){string, (uint32_t)strlen(string)};
}

bool
codec_id(const char *string, struct job_id *ret_id)
{
    struct wire_uuid uuid;

    if (string == NULL || !wire_uuid_parse(string, strlen(string), &uuid)) {
        return false;
    }
    memcpy(ret_id->bytes, uuid.bytes, sizeof(ret_id->bytes));
    return true;
}

void
codec_put_joined(struct bytes *out, uint32_t field,
                 const ProtobufCMessage *message, struct text extra)
{
    size_t len = protobuf_c_message_get_packed_size(message);
    uint8_t *at;

    /* Wire type 2: length-delimited. */
    bytes_append_varint(out, (uint64_t)field << 3 | 2);
    bytes_append_varint(out, len + extra.len);
    at = bytes_reserve(out, len);
    if (at != NULL) {
        bytes_commit(out, protobuf_c_message_pack(message, at));
    }
    bytes_append(out, extra.at, extra.len);
}

void
codec_put(struct bytes *out, uint32_t field, const ProtobufCMessage *message)
{
    codec_put_joined(out, field, message, (struct text){NULL, 0});
}

Redial__V1__Job__State
codec_state(enum job_state state)
{
    return (Redial__V1__Job__State)state;
}
