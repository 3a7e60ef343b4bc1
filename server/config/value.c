/* SPDX-License-Identifier: Apache-2.0 */
#include "server/config/value.h"

#include "server/base/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DURATION_SECONDS_MAX 315576000000ull
#define EXACT_MAX            9007199254740992ull /* 2^53 */

/* Reads digits up to `max`; returns behind them, or NULL: none or too great. */
static const char *
read_digits(const char *at, uint64_t max, uint64_t *ret_number)
{
    const char *start = at;
    uint64_t number = 0;

    for (; *at >= '0' && *at <= '9'; at++) {
        number = number * 10 + (uint64_t)(*at - '0');
        if (number > max) {
            return NULL;
        }
    }
    *ret_number = number;
    return at == start ? NULL : at;
}

/* Reads ".5" as nanoseconds; returns behind it, or NULL. */
static const char *
read_fraction(const char *at, uint64_t *ret_nanos)
{
    const char *start = ++at;
    uint64_t nanos = 0;
    uint64_t unit = 100000000;

    for (; *at >= '0' && *at <= '9'; at++) {
        nanos += unit * (uint64_t)(*at - '0');
        unit /= 10;
    }
    if (at == start || at - start > 9) {
        return NULL;
    }
    *ret_nanos = nanos;
    return at;
}

bool
value_duration_parse(const char *text, struct duration *ret_duration)
{
    bool negative = *text == '-';
    uint64_t seconds = 0;
    uint64_t nanos = 0;
    const char *at = read_digits(text + negative, DURATION_SECONDS_MAX,
                                 &seconds);

    if (at != NULL && *at == '.') {
        at = read_fraction(at, &nanos);
    }
    if (at == NULL || strcmp(at, "s") != 0) {
        return false;
    }
    ret_duration->ms = seconds * 1000 + (nanos + 999999) / 1000000;
    ret_duration->negative = negative && ret_duration->ms > 0;
    return true;
}

void
value_duration_print(uint64_t ms, char text[VALUE_TEXT_BYTES])
{
    unsigned thousandths = (unsigned)(ms % 1000);
    int digits = 3;

    if (thousandths == 0) {
        (void)snprintf(text, VALUE_TEXT_BYTES, "%" PRIu64 "s", ms / 1000);
        return;
    }
    for (; thousandths % 10 == 0; digits--) {
        thousandths /= 10;
    }
    (void)snprintf(text, VALUE_TEXT_BYTES, "%" PRIu64 ".%0*us", ms / 1000,
                   digits, thousandths);
}

bool
value_bytes_parse(const char *text, uint64_t *ret_bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    uint64_t number = 0;
    const char *at = read_digits(text, EXACT_MAX, &number);

    if (at == NULL) {
        return false;
    }
    if (*at == '\0') {
        *ret_bytes = number;
        return true;
    }
    for (unsigned i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(at, units[i]) != 0) {
            continue;
        }
        if (number > EXACT_MAX >> (10 * i)) {
            return false;
        }
        *ret_bytes = number << (10 * i);
        return true;
    }
    return false;
}

static const char *const code_names[REDIAL_STATUS_COUNT] = {
#define REDIAL_STATUS(name, number, text) [number] = #name,
#include <redial/status.def>
};

bool
value_code_parse(const char *text, enum redial_status *ret_code)
{
    for (unsigned i = 0; i < REDIAL_STATUS_COUNT; i++) {
        if (strcasecmp(text, code_names[i]) == 0) {
            *ret_code = (enum redial_status)i;
            return true;
        }
    }
    return false;
}

const char *
value_code_name(enum redial_status code)
{
    redial_assert((unsigned)code < REDIAL_STATUS_COUNT);
    return code_names[code];
}

bool
value_word_parse(const char *words, const char *text, uint32_t *ret_index)
{
    size_t text_len = strlen(text);

    for (uint32_t index = 0;; index++) {
        size_t len = strcspn(words, "|");

        if (len == text_len && memcmp(words, text, len) == 0) {
            *ret_index = index;
            return true;
        }
        if (words[len] == '\0') {
            return false;
        }
        words += len + 1;
    }
}

const char *
value_word(const char *words, uint32_t index, size_t *ret_len)
{
    for (; index > 0; index--) {
        words += strcspn(words, "|");
        redial_assert(*words == '|');
        words++;
    }
    *ret_len = strcspn(words, "|");
    return words;
}

bool
value_is_word(const char *text)
{
    size_t len = strlen(text);

    for (size_t i = 0; i < len; i++) {
        if (text[i] <= ' ' || text[i] > '~') {
            return false;
        }
    }
    return len >= 1;
}

void
value_number_print(double number, char text[VALUE_TEXT_BYTES])
{
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(text, VALUE_TEXT_BYTES, "%.*g", digits, number);
        if (strtod(text, NULL) == number) {
            return;
        }
    }
}
