/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/uuid.h"

#include <string.h>

/* Where a '-' stands in the text. */
static bool
is_dash(size_t at)
{
    return at == 8 || at == 13 || at == 18 || at == 23;
}

/* The value of a hexadecimal digit, or 16. */
static uint8_t
digit_value(char digit)
{
    if (digit >= '0' && digit <= '9') {
        return (uint8_t)(digit - '0');
    }
    if (digit >= 'a' && digit <= 'f') {
        return (uint8_t)(digit - 'a' + 10);
    }
    if (digit >= 'A' && digit <= 'F') {
        return (uint8_t)(digit - 'A' + 10);
    }
    return 16;
}

struct wire_uuid
wire_uuid_make(uint64_t wall_ms, const uint8_t random[WIRE_UUID_RANDOM_BYTES])
{
    struct wire_uuid uuid;

    for (size_t i = 0; i < 6; i++) {
        uuid.bytes[i] = (uint8_t)(wall_ms >> (40 - 8 * i));
    }
    memcpy(uuid.bytes + 6, random, WIRE_UUID_RANDOM_BYTES);
    uuid.bytes[6] = (uint8_t)(0x70 | (uuid.bytes[6] & 0x0f)); /* version 7 */
    uuid.bytes[8] = (uint8_t)(0x80 | (uuid.bytes[8] & 0x3f)); /* variant */
    return uuid;
}

uint64_t
wire_uuid_wall_ms(const struct wire_uuid *uuid)
{
    uint64_t wall_ms = 0;

    for (size_t i = 0; i < 6; i++) {
        wall_ms = wall_ms << 8 | uuid->bytes[i];
    }
    return wall_ms;
}

bool
wire_uuid_is_v7(const struct wire_uuid *uuid)
{
    return uuid->bytes[6] >> 4 == 7 && uuid->bytes[8] >> 6 == 2;
}

bool
wire_uuid_parse(const char *text, size_t len, struct wire_uuid *ret_uuid)
{
    struct wire_uuid uuid = {{0}};
    size_t digits = 0;

    if (len != WIRE_UUID_TEXT_LEN) {
        return false;
    }
    for (size_t at = 0; at < WIRE_UUID_TEXT_LEN; at++) {
        uint8_t value = digit_value(text[at]);

        if (is_dash(at)) {
            if (text[at] != '-') {
                return false;
            }
            continue;
        }
        if (value > 15) {
            return false;
        }
        uuid.bytes[digits / 2] = (uint8_t)(uuid.bytes[digits / 2] << 4 | value);
        digits++;
    }
    *ret_uuid = uuid;
    return true;
}

void
wire_uuid_format(const struct wire_uuid *uuid,
                 char ret_text[WIRE_UUID_TEXT_LEN + 1])
{
    static const char digits[] = "0123456789abcdef";
    size_t digit = 0;

    for (size_t at = 0; at < WIRE_UUID_TEXT_LEN; at++) {
        uint8_t byte;

        if (is_dash(at)) {
            ret_text[at] = '-';
            continue;
        }
        byte = uuid->bytes[digit / 2];
        ret_text[at] = digits[digit % 2 == 0 ? byte >> 4 : byte & 0x0f];
        digit++;
    }
    ret_text[WIRE_UUID_TEXT_LEN] = '\0';
}
