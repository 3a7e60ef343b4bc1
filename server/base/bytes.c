/* SPDX-License-Identifier: Apache-2.0 */
#include "server/base/bytes.h"

#include "server/base/check.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 256 };

void
bytes_init(struct bytes *bytes, size_t len_max)
{
    redial_assert(len_max <= SIZE_MAX / 2);
    *bytes = (struct bytes){.len_max = len_max};
}

void
bytes_fini(struct bytes *bytes)
{
    free(bytes->at);
    *bytes = (struct bytes){0};
}

void
bytes_clear(struct bytes *bytes)
{
    bytes->len = 0;
    bytes->failed = false;
}

uint8_t *
bytes_reserve(struct bytes *bytes, size_t len)
{
    if (len > bytes->len_max - bytes->len) {
        bytes->failed = true;
        return NULL;
    }
    size_t needed = bytes->len + len;

    if (needed > bytes->capacity || bytes->at == NULL) {
        size_t capacity = bytes->capacity * 2;

        if (capacity < FIRST_CAPACITY) {
            capacity = FIRST_CAPACITY;
        }
        if (capacity < needed) {
            capacity = needed;
        }
        uint8_t *at = realloc(bytes->at, capacity);

        if (at == NULL) {
            bytes->failed = true;
            return NULL;
        }
        bytes->at = at;
        bytes->capacity = capacity;
    }
    return bytes->at + bytes->len;
}

void
bytes_commit(struct bytes *bytes, size_t len)
{
    redial_assert(len <= bytes->capacity - bytes->len);
    bytes->len += len;
}

bool
bytes_append(struct bytes *bytes, const void *data, size_t len)
{
    uint8_t *at = bytes_reserve(bytes, len);

    if (at == NULL) {
        return false;
    }
    if (len > 0) {
        memcpy(at, data, len);
    }
    bytes->len += len;
    return true;
}

bool
bytes_append_byte(struct bytes *bytes, uint8_t byte)
{
    return bytes_append(bytes, &byte, 1);
}

bool
bytes_append_varint(struct bytes *bytes, uint64_t value)
{
    uint8_t buf[VARINT_BYTES_MAX];
    const uint8_t *end = varint_write(buf, value);

    return bytes_append(bytes, buf, (size_t)(end - buf));
}

bool
bytes_append_field(struct bytes *bytes, const void *data, size_t len)
{
    if (len > SIZE_MAX - VARINT_BYTES_MAX) {
        bytes->failed = true;
        return false;
    }
    uint8_t prefix[VARINT_BYTES_MAX];
    size_t prefix_len = (size_t)(varint_write(prefix, len) - prefix);
    uint8_t *at = bytes_reserve(bytes, prefix_len + len);

    if (at == NULL) {
        return false;
    }
    memcpy(at, prefix, prefix_len);
    if (len > 0) {
        memcpy(at + prefix_len, data, len);
    }
    bytes->len += prefix_len + len;
    return true;
}

void
bytes_consume(struct bytes *bytes, size_t len)
{
    redial_assert(len <= bytes->len);
    bytes->len -= len;
    if (bytes->len > 0) {
        memmove(bytes->at, bytes->at + len, bytes->len);
    }
}
