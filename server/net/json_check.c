/* SPDX-License-Identifier: Apache-2.0 */
#include "server/net/json_check.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct scan {
    const char *start;
    const char *at;
    const char *end;
    const char *problem;
    uint32_t depth;
    uint8_t
        objects[JSON_CHECK_DEPTH_MAX / 8]; /* bit: an object, not an array */
};

static bool
fail(struct scan *scan, const char *problem)
{
    scan->problem = problem;
    return false;
}

/* The next byte; NUL at the end, which no JSON has outside of escapes. */
static char
peek(const struct scan *scan)
{
    return scan->at < scan->end ? *scan->at : '\0';
}

static void
skip_space(struct scan *scan)
{
    while (peek(scan) == ' ' || peek(scan) == '\t' || peek(scan) == '\n' ||
           peek(scan) == '\r') {
        scan->at++;
    }
}

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool
is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Behind the backslash. */
static bool
take_escape(struct scan *scan)
{
    char c = peek(scan);

    if (c == '\0' || strchr("\"\\/bfnrtu", c) == NULL) {
        return fail(scan, "no such escape");
    }
    scan->at++;
    for (int i = 0; c == 'u' && i < 4; i++) {
        if (!is_hex(peek(scan))) {
            return fail(scan, "\\u needs four hexadecimal digits");
        }
        scan->at++;
    }
    return true;
}

/* At its first quote. */
static bool
take_string(struct scan *scan)
{
    scan->at++;
    while (scan->at < scan->end) {
        unsigned char c = (unsigned char)*scan->at;

        if (c < 0x20) {
            return fail(scan, "a control character in a string");
        }
        scan->at++;
        if (c == '"') {
            return true;
        }
        if (c == '\\' && !take_escape(scan)) {
            return false;
        }
    }
    return fail(scan, "the string does not end");
}

static bool
take_digits(struct scan *scan)
{
    if (!is_digit(peek(scan))) {
        return fail(scan, "a digit is missing");
    }
    while (is_digit(peek(scan))) {
        scan->at++;
    }
    return true;
}

static bool
take_number(struct scan *scan)
{
    if (peek(scan) == '-') {
        scan->at++;
    }
    if (peek(scan) == '0') {
        scan->at++;
    } else if (!take_digits(scan)) {
        return false;
    }
    if (peek(scan) == '.') {
        scan->at++;
        if (!take_digits(scan)) {
            return false;
        }
    }
    if (peek(scan) == 'e' || peek(scan) == 'E') {
        scan->at++;
        if (peek(scan) == '+' || peek(scan) == '-') {
            scan->at++;
        }
        return take_digits(scan);
    }
    return true;
}

static bool
take_word(struct scan *scan)
{
    static const char *const words[] = {"true", "false", "null"};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        size_t len = strlen(words[i]);

        if ((size_t)(scan->end - scan->at) >= len &&
            memcmp(scan->at, words[i], len) == 0) {
            scan->at += len;
            return true;
        }
    }
    return fail(scan, "a value is missing");
}

static bool
take_scalar(struct scan *scan)
{
    if (peek(scan) == '"') {
        return take_string(scan);
    }
    return peek(scan) == '-' || is_digit(peek(scan)) ? take_number(scan)
                                                     : take_word(scan);
}

/* ---- Nesting ----------------------------------------------------------- */

static bool
in_object(const struct scan *scan)
{
    uint32_t level = scan->depth - 1;

    return (scan->objects[level / 8] >> level % 8 & 1) != 0;
}

static bool
enter(struct scan *scan)
{
    uint32_t level = scan->depth;
    uint8_t bit = (uint8_t)(1u << level % 8);

    if (level == JSON_CHECK_DEPTH_MAX) {
        return fail(scan, "nested more than 512 deep");
    }
    if (peek(scan) == '{') {
        scan->objects[level / 8] |= bit;
    } else {
        scan->objects[level / 8] &= (uint8_t)~bit;
    }
    scan->depth++;
    scan->at++;
    return true;
}

/* The name of a member, and its colon. */
static bool
take_name(struct scan *scan)
{
    skip_space(scan);
    if (peek(scan) != '"') {
        return fail(scan, "a name in quotes is missing");
    }
    if (!take_string(scan)) {
        return false;
    }
    skip_space(scan);
    if (peek(scan) != ':') {
        return fail(scan, "a colon is missing");
    }
    scan->at++;
    return true;
}

/* True when the innermost ends here. */
static bool
leave(struct scan *scan)
{
    skip_space(scan);
    if (scan->depth == 0 || peek(scan) != (in_object(scan) ? '}' : ']')) {
        return false;
    }
    scan->at++;
    scan->depth--;
    return true;
}

/* Behind a value: out of what ends with it, and to the place of the next. */
static bool
go_on(struct scan *scan)
{
    while (leave(scan)) {
    }
    if (scan->depth == 0) {
        return scan->at == scan->end ||
               fail(scan, "something stands behind the value");
    }
    if (peek(scan) != ',') {
        return fail(scan, in_object(scan) ? "neither a comma nor }"
                                          : "neither a comma nor ]");
    }
    scan->at++;
    return !in_object(scan) || take_name(scan);
}

/* From the place of a value to that of the next, or to the end. */
static bool
take_value(struct scan *scan)
{
    skip_space(scan);
    if (peek(scan) != '{' && peek(scan) != '[') {
        return take_scalar(scan) && go_on(scan);
    }
    if (!enter(scan)) {
        return false;
    }
    if (leave(scan)) {
        return go_on(scan);
    }
    return !in_object(scan) || take_name(scan);
}

const char *
json_check(const char *text, size_t len, size_t *ret_at)
{
    struct scan scan = {.start = text, .at = text, .end = text + len};

    do {
        if (!take_value(&scan)) {
            *ret_at = (size_t)(scan.at - scan.start);
            return scan.problem;
        }
    } while (scan.depth > 0);
    return NULL;
}
