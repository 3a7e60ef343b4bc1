/* SPDX-License-Identifier: Apache-2.0 */
#include "server/config/scan.h"

#include <stdlib.h>
#include <string.h>

struct scanner {
    struct scan *scan;
    const char *start;
    const char *at;
    const char *end;
    uint32_t line;
    uint32_t key_line; /* of the key whose value comes next; 0: none */
    uint32_t depth;
    size_t open[SCAN_DEPTH_MAX]; /* values that are not closed yet */
};

static bool
fail(struct scanner *s, const char *at, const char *problem)
{
    s->at = at;
    s->scan->problem = problem;
    return false;
}

static bool
add_value(struct scanner *s, const char *from, const char *to)
{
    struct scan *scan = s->scan;

    if (scan->count == scan->capacity) {
        size_t capacity = scan->capacity == 0 ? 256 : scan->capacity * 2;
        struct scan_value *values = realloc(scan->values,
                                            capacity * sizeof(*values));

        if (values == NULL) {
            scan->no_memory = true;
            return false;
        }
        scan->values = values;
        scan->capacity = capacity;
    }
    scan->values[scan->count++] = (struct scan_value){
        .line = s->key_line != 0 ? s->key_line : s->line,
        .start = (uint32_t)(from - s->start),
        .end = (uint32_t)(to - s->start),
    };
    s->key_line = 0;
    return true;
}

static void
skip_space(struct scanner *s)
{
    for (; s->at < s->end; s->at++) {
        if (*s->at == '\n') {
            s->line++;
        } else if (*s->at != ' ' && *s->at != '\t' && *s->at != '\r') {
            return;
        }
    }
}

/* How many bytes the character at `at` takes; 0: not UTF-8. */
static size_t
utf8_length(const char *at, const char *end)
{
    const uint8_t *b = (const uint8_t *)at;
    size_t left = (size_t)(end - at);
    uint8_t low = 0x80;
    uint8_t high = 0xbf;
    size_t len;

    if (b[0] < 0x80) {
        return 1;
    }
    if (b[0] >= 0xc2 && b[0] <= 0xdf) {
        len = 2;
    } else if (b[0] >= 0xe0 && b[0] <= 0xef) {
        len = 3;
        low = b[0] == 0xe0 ? 0xa0 : 0x80;
        high = b[0] == 0xed ? 0x9f : 0xbf;
    } else if (b[0] >= 0xf0 && b[0] <= 0xf4) {
        len = 4;
        low = b[0] == 0xf0 ? 0x90 : 0x80;
        high = b[0] == 0xf4 ? 0x8f : 0xbf;
    } else {
        return 0;
    }
    if (left < len || b[1] < low || b[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < len; i++) {
        if (b[i] < 0x80 || b[i] > 0xbf) {
            return 0;
        }
    }
    return len;
}

static bool
is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') ||
           (c >= 'A' && c <= 'F');
}

/* `at` is behind a backslash; returns behind the escape, or NULL. */
static const char *
skip_escape(struct scanner *s, const char *at)
{
    if (at < s->end && *at != '\0' && strchr("\"\\/bfnrt", *at) != NULL) {
        return at + 1;
    }
    if (s->end - at < 5 || *at != 'u') {
        (void)fail(s, at, "no such escape");
        return NULL;
    }
    for (int i = 1; i <= 4; i++) {
        if (!is_hex(at[i])) {
            (void)fail(s, at, "\\u takes four hexadecimal digits");
            return NULL;
        }
    }
    if (memcmp(at + 1, "0000", 4) == 0) {
        (void)fail(s, at, "the character NUL is not allowed");
        return NULL;
    }
    return at + 5;
}

/* Sets s->at behind the string that begins there. */
static bool
skip_string(struct scanner *s)
{
    const char *at = s->at + 1;

    while (at < s->end && *at != '"') {
        if ((uint8_t)*at < 0x20) {
            return fail(s, at, "a control character inside a string");
        }
        if (*at == '\\') {
            at = skip_escape(s, at + 1);
            if (at == NULL) {
                return false;
            }
            continue;
        }
        size_t len = utf8_length(at, s->end);

        if (len == 0) {
            return fail(s, at, "not valid UTF-8");
        }
        at += len;
    }
    if (at == s->end) {
        return fail(s, s->at, "a string without its closing quote");
    }
    s->at = at + 1;
    return true;
}

static const char *
skip_digits(const char *at, const char *end)
{
    while (at < end && *at >= '0' && *at <= '9') {
        at++;
    }
    return at;
}

/* Whether a number or a word can end here. */
static bool
is_end_of_word(const char *at, const char *end)
{
    return at == end || (*at != '\0' && strchr(" \t\r\n,:]}", *at) != NULL);
}

/* Sets s->at behind the number that begins there. */
static bool
skip_number(struct scanner *s)
{
    static const char problem[] = "not a JSON number";
    const char *at = s->at + (*s->at == '-');
    const char *digits = at;

    at = skip_digits(at, s->end);
    if (at == digits || (*digits == '0' && at != digits + 1)) {
        return fail(s, s->at, problem);
    }
    if (at < s->end && *at == '.') {
        digits = at + 1;
        at = skip_digits(digits, s->end);
        if (at == digits) {
            return fail(s, s->at, problem);
        }
    }
    if (at < s->end && (*at == 'e' || *at == 'E')) {
        digits = at + 1;
        if (digits < s->end && (*digits == '+' || *digits == '-')) {
            digits++;
        }
        at = skip_digits(digits, s->end);
        if (at == digits) {
            return fail(s, s->at, problem);
        }
    }
    if (!is_end_of_word(at, s->end)) {
        return fail(s, s->at, problem);
    }
    s->at = at;
    return true;
}

static bool
skip_word(struct scanner *s)
{
    static const char *const words[] = {"true", "false", "null"};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        size_t len = strlen(words[i]);

        if ((size_t)(s->end - s->at) >= len &&
            memcmp(s->at, words[i], len) == 0 &&
            is_end_of_word(s->at + len, s->end)) {
            s->at += len;
            return true;
        }
    }
    return fail(s, s->at,
                *s->at == '/' || *s->at == '#' ? "JSON has no comments"
                                               : "not JSON");
}

static bool
open_value(struct scanner *s)
{
    if (s->depth == SCAN_DEPTH_MAX) {
        return fail(s, s->at, "nested too deeply");
    }
    if (!add_value(s, s->at, s->at)) {
        return false;
    }
    s->open[s->depth++] = s->scan->count - 1;
    s->at++;
    return true;
}

static bool
close_value(struct scanner *s)
{
    if (s->depth == 0) {
        return fail(s, s->at, "closes nothing");
    }
    struct scan_value *value = &s->scan->values[s->open[--s->depth]];

    if ((s->start[value->start] == '{') != (*s->at == '}')) {
        return fail(s, s->at, "the wrong closing bracket");
    }
    s->at++;
    value->end = (uint32_t)(s->at - s->start);
    return true;
}

/* The next character that is no space, without going there; NUL at the end. */
static char
peek(const struct scanner *s)
{
    for (const char *at = s->at; at < s->end; at++) {
        if (strchr(" \t\r\n", *at) == NULL || *at == '\0') {
            return *at;
        }
    }
    return '\0';
}

static bool
scan_string(struct scanner *s)
{
    const char *from = s->at;

    if (!skip_string(s)) {
        return false;
    }
    if (peek(s) == ':') {
        s->key_line = s->line;
        return true;
    }
    return add_value(s, from, s->at);
}

static bool
scan_item(struct scanner *s)
{
    const char *from = s->at;

    switch (*from) {
    case '{':
    case '[':
        return open_value(s);
    case '}':
    case ']':
        return close_value(s);
    case ',':
    case ':':
        s->at++;
        return true;
    case '"':
        return scan_string(s);
    case '-':
        return skip_number(s) && add_value(s, from, s->at);
    default:
        if (*from >= '0' && *from <= '9') {
            return skip_number(s) && add_value(s, from, s->at);
        }
        return skip_word(s) && add_value(s, from, s->at);
    }
}

bool
scan_text(struct scan *scan, const char *text, size_t len)
{
    struct scanner s = {
        .scan = scan,
        .start = text,
        .at = text,
        .end = text + len,
        .line = 1,
    };
    bool good = true;

    *scan = (struct scan){0};
    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        good = fail(&s, s.at, "a byte order mark; save without one");
    }
    while (good) {
        skip_space(&s);
        if (s.at == s.end) {
            break;
        }
        good = scan_item(&s);
    }
    if (good && s.depth > 0) {
        s.at = text + scan->values[s.open[s.depth - 1]].start;
        good = fail(&s, s.at, "not closed");
    }
    scan->offset = (size_t)(s.at - text);
    return good;
}

void
scan_place(const char *text, size_t offset, uint32_t *ret_line,
           uint32_t *ret_column)
{
    uint32_t line = 1;
    uint32_t column = 1;

    for (size_t i = 0; i < offset; i++) {
        if (text[i] == '\n') {
            line++;
            column = 1;
        } else {
            column++;
        }
    }
    *ret_line = line;
    *ret_column = column;
}
