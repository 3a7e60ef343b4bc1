/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unsigned LEB128: seven bits a byte, low ones first, the high bit says that
 * more follow. Signed numbers go through zigzag. Readers take hostile bytes.
 */
#ifndef REDIAL_SERVER_BASE_VARINT_H
#define REDIAL_SERVER_BASE_VARINT_H

#include <stddef.h>
#include <stdint.h>

enum { VARINT_BYTES_MAX = 10 };

/* Writes 1 to VARINT_BYTES_MAX bytes; returns the place behind them. */
static inline uint8_t *
varint_write(uint8_t *at, uint64_t value)
{
    while (value >= 0x80) {
        *at++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *at++ = (uint8_t)value;
    return at;
}

/*
 * Returns the place behind the number, or NULL (*ret_value untouched) when it
 * is cut off by `end`, longer than 64 bits, or padded with zero bits: each
 * number has exactly one form.
 */
static inline const uint8_t *
varint_read(const uint8_t *at, const uint8_t *end, uint64_t *ret_value)
{
    uint64_t value = 0;

    for (unsigned shift = 0; at != end && shift < 64; shift += 7) {
        uint8_t byte = *at++;

        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            if ((byte == 0 && shift > 0) || (shift == 63 && byte > 1)) {
                return NULL;
            }
            *ret_value = value;
            return at;
        }
    }
    return NULL;
}

static inline uint64_t
zigzag_encode(int64_t value)
{
    return ((uint64_t)value << 1) ^ (value < 0 ? UINT64_MAX : 0);
}

static inline int64_t
zigzag_decode(uint64_t value)
{
    return (int64_t)((value >> 1) ^ ((value & 1) != 0 ? UINT64_MAX : 0));
}

#endif
