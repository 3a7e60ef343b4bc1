/* SPDX-License-Identifier: Apache-2.0 */
/* Small helpers for struct text. */
#ifndef REDIAL_SERVER_CORE_TEXT_H
#define REDIAL_SERVER_CORE_TEXT_H

#include "server/core/record.h"

#include <string.h>

/* For literals and other terminated strings. */
static inline struct text
text_of(const char *string)
{
    return (struct text){.at = string, .len = (uint32_t)strlen(string)};
}

static inline bool
text_equals(struct text a, struct text b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

/* The first `len_max` bytes, less where that would split a UTF-8 character. */
static inline struct text
text_cut(struct text text, uint32_t len_max)
{
    if (text.len > len_max) {
        text.len = len_max;
        while (text.len > 0 && ((uint8_t)text.at[text.len] & 0xc0) == 0x80) {
            text.len--;
        }
    }
    return text;
}

enum { NUMBER_BYTES_MAX = 20 };

/* Decimal digits, at most NUMBER_BYTES_MAX, no terminator; returns how many. */
static inline uint32_t
text_put_number(char *buf, uint64_t number)
{
    uint32_t len = 1;

    for (uint64_t left = number; left >= 10; left /= 10) {
        len++;
    }
    for (uint32_t i = len; i-- > 0; number /= 10) {
        buf[i] = (char)('0' + number % 10);
    }
    return len;
}

#endif
