/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Job ids: UUID version 7 of RFC 9562, which sort by the time they were made.
 * Time and randomness are passed in. Pure; any thread.
 */
#ifndef REDIAL_PROTO_UUID_H
#define REDIAL_PROTO_UUID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_UUID_BYTES        16
#define WIRE_UUID_TEXT_LEN     36
#define WIRE_UUID_RANDOM_BYTES 10

struct wire_uuid {
    uint8_t bytes[WIRE_UUID_BYTES]; /* in the order of the text */
};

/*
 * `wall_ms`: since 1970 UTC, 48 bits are used. Of the 80 random bits, 74 are
 * used: 12 right after the time (put a counter there, first two bytes, top
 * four bits ignored, for ids that also sort within one millisecond).
 */
struct wire_uuid
wire_uuid_make(uint64_t wall_ms, const uint8_t random[WIRE_UUID_RANDOM_BYTES]);

/* Milliseconds since 1970 that a version 7 UUID carries. */
uint64_t
wire_uuid_wall_ms(const struct wire_uuid *uuid);

bool
wire_uuid_is_v7(const struct wire_uuid *uuid);

/*
 * Reads exactly 36 characters, 8-4-4-4-12 hexadecimal digits of either case,
 * of any version. False leaves *ret_uuid alone.
 */
bool
wire_uuid_parse(const char *text, size_t len, struct wire_uuid *ret_uuid);

/* Writes 36 lower case characters and a NUL. */
void
wire_uuid_format(const struct wire_uuid *uuid,
                 char ret_text[WIRE_UUID_TEXT_LEN + 1]);

#endif
