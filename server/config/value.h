/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values as the configuration writes them: durations, sizes, codes, names.
 * Pure. Outputs are untouched on failure. Internal to server/config.
 */
#ifndef REDIAL_SERVER_CONFIG_VALUE_H
#define REDIAL_SERVER_CONFIG_VALUE_H

#include <redial/status.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    VALUE_TEXT_BYTES = 32,      /* enough for any number, size or duration */
    VALUE_NAME_BYTES_MAX = 128, /* of services, methods, reasons, plugins */
};

/* The longest duration of protobuf, 10,000 years. */
#define VALUE_DURATION_MS_MAX 315576000999000ull

struct duration {
    bool negative; /* never together with 0 */
    uint64_t ms;   /* away from 0: "0.0001s" is 1 */
};

/*
 * A Duration as proto3 JSON writes it: [-]digits[.1 to 9 digits]s, at most
 * 315,576,000,000 seconds. "1.5s", "-0s"; not "1", ".5s", "1.s", "5m", "1e3s".
 */
bool
value_duration_parse(const char *text, struct duration *ret_duration);

/* "1.5s", without needless zeros. */
void
value_duration_print(uint64_t ms, char text[VALUE_TEXT_BYTES]);

/* Digits, and B, KiB, MiB, GiB or TiB if anything; less than 2^53. */
bool
value_bytes_parse(const char *text, uint64_t *ret_bytes);

/* A code's name in any case. "OK" is one. */
bool
value_code_parse(const char *text, enum redial_status *ret_code);

/* The canonical name of a code. */
const char *
value_code_name(enum redial_status code);

/* The index of a word in "a|b|c". */
bool
value_word_parse(const char *words, const char *text, uint32_t *ret_index);

/* The word at the index; its length in *ret_len. It must exist. */
const char *
value_word(const char *words, uint32_t index, size_t *ret_len);

/* Printable ASCII without space, not empty. */
bool
value_is_word(const char *text);

/* The shortest decimal text that reads back as the same number. */
void
value_number_print(double number, char text[VALUE_TEXT_BYTES]);

#endif
