/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What names may look like. Pure; any thread.
 */
#ifndef REDIAL_PROTO_NAME_H
#define REDIAL_PROTO_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum wire_name {
    WIRE_NAME_WORD,    /* key, correlation id, tenant, worker: 1 to 128
                          printable ASCII characters, no space */
    WIRE_NAME_SERVICE, /* the same without '/' */
    WIRE_NAME_METHOD,  /* the same without '/' */
};

/*
 * NULL if `name` (NULL: missing) is good, otherwise what is wrong with it, as
 * the end of a sentence that begins with the field: "is longer than 128
 * bytes". The string lives for ever.
 */
const char *
wire_name_check(enum wire_name kind, const char *name);

/* The same for bytes that are not terminated. */
const char *
wire_name_check_bytes(enum wire_name kind, const char *name, size_t len);

/* Valid UTF-8 (shortest forms, no surrogates) without NUL. */
bool
wire_utf8_is_valid(const uint8_t *bytes, size_t len);

/*
 * How many bytes the first character takes; 0 if there is none, or it is NUL
 * or broken.
 */
size_t
wire_utf8_character(const uint8_t *bytes, size_t len);

/* The longest prefix that is valid UTF-8 without NUL. */
size_t
wire_utf8_prefix(const char *text, size_t len);

/*
 * The longest prefix of at most `len_max` bytes that does not end inside a
 * character: for cutting texts to their limit.
 */
size_t
wire_utf8_cut(const char *text, size_t len, size_t len_max);

#endif
