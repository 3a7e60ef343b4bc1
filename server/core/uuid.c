/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/uuid.h"

/* The digit's value, or -1. */
static int
digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* A hyphen stands before these bytes of the id. */
static bool
has_hyphen(uint32_t byte)
{
    return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

/* The next byte of the id, or -1 where the text is none. */
static int
next_byte(struct text text, uint32_t byte, uint32_t *at)
{
    if (has_hyphen(byte) && text.at[(*at)++] != '-') {
        return -1;
    }
    int high = digit(text.at[*at]);
    int low = digit(text.at[*at + 1]);

    *at += 2;
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

bool
uuid_parse(struct text text, struct job_id *ret_id)
{
    struct job_id id;
    uint32_t at = 0;

    if (text.len != UUID_TEXT_BYTES) {
        return false;
    }
    for (uint32_t i = 0; i < sizeof(id.bytes); i++) {
        int byte = next_byte(text, i, &at);

        if (byte < 0) {
            return false;
        }
        id.bytes[i] = (uint8_t)byte;
    }
    *ret_id = id;
    return true;
}

bool
uuid_equals(struct text text, struct job_id id)
{
    uint32_t at = 0;

    if (text.len != UUID_TEXT_BYTES) {
        return false;
    }
    for (uint32_t i = 0; i < sizeof(id.bytes); i++) {
        if (next_byte(text, i, &at) != id.bytes[i]) {
            return false;
        }
    }
    return true;
}

void
uuid_write(struct job_id id, char *buf)
{
    static const char digits[] = "0123456789abcdef";
    char *at = buf;

    for (uint32_t i = 0; i < sizeof(id.bytes); i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            *at++ = '-';
        }
        *at++ = digits[id.bytes[i] >> 4];
        *at++ = digits[id.bytes[i] & 15];
    }
}
