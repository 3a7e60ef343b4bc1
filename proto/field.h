/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bottom of protobuf's encoding: varints, and one field after another.
 * For the files of this folder. Pure.
 */
#ifndef REDIAL_PROTO_FIELD_H
#define REDIAL_PROTO_FIELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Wire types; 3, 4 (groups), 6 and 7 are refused. */
enum field_type {
    FIELD_VARINT = 0,
    FIELD_FIXED64 = 1,
    FIELD_BYTES = 2,
    FIELD_FIXED32 = 5,
};

struct field_reader {
    const uint8_t *at;
    const uint8_t *end;
};

struct field {
    uint32_t number;
    enum field_type type;
    uint64_t value;       /* VARINT, and the length of BYTES */
    const uint8_t *bytes; /* BYTES: contents; fixed: 8 or 4 bytes */
};

/* Reads one varint of at most 10 bytes; false: cut short or too long. */
static inline bool
field_varint(struct field_reader *reader, uint64_t *ret_value)
{
    const uint8_t *at = reader->at;
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 70 && at < reader->end; shift += 7) {
        uint8_t byte = *at++;

        value |= (uint64_t)(byte & 0x7fu) << shift;
        if (byte < 0x80) {
            reader->at = at;
            *ret_value = value;
            return true;
        }
    }
    return false;
}

/*
 * Reads the next field. False when it is malformed or reaches beyond the end;
 * ask `at < end` first.
 */
static inline bool
field_next(struct field_reader *reader, struct field *ret_field)
{
    uint64_t tag;
    size_t left;

    if (!field_varint(reader, &tag) || tag >> 3 == 0 || tag > UINT32_MAX) {
        return false;
    }
    ret_field->number = (uint32_t)(tag >> 3);
    ret_field->bytes = reader->at;
    ret_field->value = 0;
    left = (size_t)(reader->end - reader->at);
    switch (tag & 7) {
    case FIELD_VARINT:
        ret_field->type = FIELD_VARINT;
        return field_varint(reader, &ret_field->value);
    case FIELD_BYTES:
        ret_field->type = FIELD_BYTES;
        if (!field_varint(reader, &ret_field->value) ||
            ret_field->value > (uint64_t)(reader->end - reader->at)) {
            return false;
        }
        ret_field->bytes = reader->at;
        reader->at += ret_field->value;
        return true;
    case FIELD_FIXED64:
        ret_field->type = FIELD_FIXED64;
        reader->at += left >= 8 ? 8 : 0;
        return left >= 8;
    case FIELD_FIXED32:
        ret_field->type = FIELD_FIXED32;
        reader->at += left >= 4 ? 4 : 0;
        return left >= 4;
    default:
        return false;
    }
}

static inline size_t
field_varint_size(uint64_t value)
{
    size_t size = 1;

    for (; value >= 0x80; value >>= 7) {
        size++;
    }
    return size;
}

/* Each writer returns where the next byte goes. */
static inline uint8_t *
field_write_varint(uint8_t *out, uint64_t value)
{
    for (; value >= 0x80; value >>= 7) {
        *out++ = (uint8_t)(value | 0x80);
    }
    *out++ = (uint8_t)value;
    return out;
}

static inline uint8_t *
field_write_tag(uint8_t *out, uint32_t number, enum field_type type)
{
    return field_write_varint(out, (uint64_t)number << 3 | (uint64_t)type);
}

static inline uint8_t *
field_write_bytes(uint8_t *out, uint32_t number, const void *bytes, size_t len)
{
    out = field_write_tag(out, number, FIELD_BYTES);
    out = field_write_varint(out, len);
    if (len > 0) {
        memcpy(out, bytes, len);
    }
    return out + len;
}

/* Sizes with tags, for field numbers below 16 (one byte of tag). */
static inline size_t
field_bytes_size(size_t len)
{
    return 1 + field_varint_size(len) + len;
}

static inline size_t
field_number_size(uint64_t value)
{
    return 1 + field_varint_size(value);
}

#endif
