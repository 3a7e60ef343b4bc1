/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/name.h"

#include "proto/limits.h"

#include <string.h>

#define TEXT_OF(number)  #number
#define LIMIT_OF(number) "is longer than " TEXT_OF(number) " bytes"

_Static_assert(WIRE_NAME_BYTES_MAX == 128 && WIRE_SERVICE_BYTES_MAX == 128 &&
                   WIRE_METHOD_BYTES_MAX == 128,
               "the sentence below names the limit");

const char *
wire_name_check_bytes(enum wire_name kind, const char *name, size_t len)
{
    if (len == 0) {
        return "is missing";
    }
    if (len > WIRE_NAME_BYTES_MAX) {
        return LIMIT_OF(128);
    }
    for (size_t i = 0; i < len; i++) {
        if (name[i] <= ' ' || name[i] > '~') {
            return "holds a character that is not printable ASCII, or a space";
        }
        if (kind != WIRE_NAME_WORD && name[i] == '/') {
            return "holds a '/'";
        }
    }
    return NULL;
}

const char *
wire_name_check(enum wire_name kind, const char *name)
{
    return wire_name_check_bytes(kind, name, name != NULL ? strlen(name) : 0);
}

/* Follows table 3-7 of the Unicode standard. */
size_t
wire_utf8_character(const uint8_t *at, size_t len)
{
    uint8_t low = 0x80;
    uint8_t high = 0xbf;
    size_t size;

    if (len == 0 || at[0] == 0) {
        return 0;
    }
    if (at[0] < 0x80) {
        return 1;
    }
    if (at[0] < 0xc2 || at[0] > 0xf4) {
        return 0;
    }
    size = at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
    if (len < size) {
        return 0;
    }
    if (at[0] == 0xe0) {
        low = 0xa0; /* no longer form than needed */
    } else if (at[0] == 0xed) {
        high = 0x9f; /* no surrogates */
    } else if (at[0] == 0xf0) {
        low = 0x90;
    } else if (at[0] == 0xf4) {
        high = 0x8f; /* nothing beyond U+10FFFF */
    }
    if (at[1] < low || at[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < size; i++) {
        if (at[i] < 0x80 || at[i] > 0xbf) {
            return 0;
        }
    }
    return size;
}

size_t
wire_utf8_prefix(const char *text, size_t len)
{
    const uint8_t *bytes = (const uint8_t *)text;
    size_t at = 0;

    while (at < len) {
        size_t size = wire_utf8_character(bytes + at, len - at);

        if (size == 0) {
            break;
        }
        at += size;
    }
    return at;
}

bool
wire_utf8_is_valid(const uint8_t *bytes, size_t len)
{
    return wire_utf8_prefix((const char *)bytes, len) == len;
}

size_t
wire_utf8_cut(const char *text, size_t len, size_t len_max)
{
    size_t cut = len_max;

    if (len <= len_max) {
        return len;
    }
    while (cut > 0 && ((uint8_t)text[cut] & 0xc0u) == 0x80) {
        cut--;
    }
    return cut;
}
