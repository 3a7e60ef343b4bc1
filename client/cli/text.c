/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/text.h"

#include "proto/name.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ESCAPE     "\033["
#define PAINT_OFF  ESCAPE "0m"
#define ELLIPSIS   "…"
#define ROOM_FIRST 256

void
text_fini(struct text *text)
{
    free(text->at);
    *text = (struct text){.colour = text->colour};
}

void
text_clear(struct text *text)
{
    text->len = 0;
    text->failed = false;
    if (text->at != NULL) {
        text->at[0] = '\0';
    }
}

const char *
text_string(const struct text *text)
{
    return text->at != NULL ? text->at : "";
}

/* Makes room for `len` more bytes and a NUL. */
static bool
text_reserve(struct text *text, size_t len)
{
    size_t capacity = text->capacity != 0 ? text->capacity : ROOM_FIRST;
    char *at;

    while (capacity - text->len <= len) {
        if (capacity > SIZE_MAX / 2) {
            text->failed = true;
            return false;
        }
        capacity *= 2;
    }
    if (capacity == text->capacity) {
        return true;
    }
    at = realloc(text->at, capacity);
    if (at == NULL) {
        text->failed = true;
        return false;
    }
    text->at = at;
    text->capacity = capacity;
    return true;
}

static void
text_add_bytes(struct text *text, const char *bytes, size_t len)
{
    if (text->failed || !text_reserve(text, len)) {
        return;
    }
    memcpy(text->at + text->len, bytes, len);
    text->len += len;
    text->at[text->len] = '\0';
}

void
text_add(struct text *text, const char *string)
{
    if (string != NULL) {
        text_add_bytes(text, string, strlen(string));
    }
}

void
text_addf(struct text *text, const char *format, ...)
{
    va_list arguments;
    int len;

    va_start(arguments, format);
    len = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (len < 0 || text->failed || !text_reserve(text, (size_t)len)) {
        text->failed = true;
        return;
    }
    va_start(arguments, format);
    (void)vsnprintf(text->at + text->len, (size_t)len + 1, format, arguments);
    va_end(arguments);
    text->len += (size_t)len;
}

static bool
is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/*
 * The next character of a foreign string as it is shown: *ret_shown and its
 * length. Returns how many bytes of the string it stands for.
 */
static size_t
show_character(const char *string, size_t len, const char **ret_shown,
               size_t *ret_shown_len)
{
    const uint8_t *bytes = (const uint8_t *)string;
    size_t taken = wire_utf8_character(bytes, len);

    *ret_shown = "?";
    *ret_shown_len = 1;
    if (is_space(string[0])) {
        for (taken = 1; taken < len && is_space(string[taken]); taken++) {
        }
        *ret_shown = " ";
        return taken;
    }
    if (taken == 0 || bytes[0] < 0x20 || bytes[0] == 0x7f) {
        return 1;
    }
    /* The second set of control characters, U+0080 to U+009F. */
    if (taken == 2 && bytes[0] == 0xc2 && bytes[1] < 0xa0) {
        return taken;
    }
    *ret_shown = string;
    *ret_shown_len = taken;
    return taken;
}

void
text_add_foreign(struct text *text, const char *string, size_t columns)
{
    size_t len = string != NULL ? strlen(string) : 0;
    size_t last = text->len; /* where the last allowed character begins */
    size_t count = 0;
    size_t shown_len;
    const char *shown;

    while (len > 0 && !text->failed) {
        size_t taken = show_character(string, len, &shown, &shown_len);

        if (columns > 0 && count == columns) {
            text->len = last;
            text_add(text, ELLIPSIS);
            return;
        }
        last = text->len;
        text_add_bytes(text, shown, shown_len);
        count++;
        string += taken;
        len -= taken;
    }
}

void
text_add_spaces(struct text *text, size_t count)
{
    while (count-- > 0) {
        text_add_bytes(text, " ", 1);
    }
}

static const char *
paint_code(enum paint paint)
{
    switch (paint) {
    case PAINT_NONE:
        break;
    case PAINT_BOLD:
        return ESCAPE "1m";
    case PAINT_DIM:
        return ESCAPE "2m";
    case PAINT_RED:
        return ESCAPE "31m";
    case PAINT_GREEN:
        return ESCAPE "32m";
    case PAINT_YELLOW:
        return ESCAPE "33m";
    case PAINT_CYAN:
        return ESCAPE "36m";
    }
    return "";
}

void
text_paint(struct text *text, enum paint paint, const char *string)
{
    if (!text->colour || paint == PAINT_NONE) {
        text_add(text, string);
        return;
    }
    text_add(text, paint_code(paint));
    text_add(text, string);
    text_add(text, PAINT_OFF);
}

static bool
begins_character(char c)
{
    return ((unsigned char)c & 0xc0) != 0x80;
}

size_t
text_columns(const char *string)
{
    size_t columns = 0;

    if (string == NULL) {
        return 0;
    }
    for (; *string != '\0'; string++) {
        columns += begins_character(*string) ? 1 : 0;
    }
    return columns;
}

size_t
text_columns_painted(const char *string)
{
    size_t columns = 0;

    for (size_t i = 0; string[i] != '\0'; i++) {
        if (string[i] == ESCAPE[0]) {
            i += strcspn(string + i, "m");
            if (string[i] == '\0') {
                break;
            }
            continue;
        }
        columns += begins_character(string[i]) ? 1 : 0;
    }
    return columns;
}

void
text_cut_line(struct text *text, size_t start, size_t columns)
{
    size_t last = start; /* where the last allowed character begins */
    size_t count = 0;

    if (columns == 0 || text->failed) {
        return;
    }
    for (size_t i = start; i < text->len; i++) {
        if (text->at[i] == ESCAPE[0]) {
            i += strcspn(text->at + i, "m");
            continue;
        }
        if (!begins_character(text->at[i])) {
            continue;
        }
        if (count == columns) {
            text->len = last;
            text->at[last] = '\0';
            text_add(text, ELLIPSIS);
            text_add(text, text->colour ? PAINT_OFF : NULL);
            return;
        }
        last = i;
        count++;
    }
}

void
text_add_wrapped(struct text *text, const char *words, size_t indent,
                 size_t columns)
{
    struct text word = {.at = NULL};
    size_t column = indent;

    while (*words != '\0') {
        size_t len = strcspn(words, " ");
        size_t width;

        text_clear(&word);
        text_addf(&word, "%.*s", (int)len, words);
        width = text_columns(text_string(&word));
        if (column > indent && columns > 0 && column + 1 + width > columns) {
            text_add(text, "\n");
            text_add_spaces(text, indent);
            column = indent;
        } else if (column > indent) {
            text_add(text, " ");
            column++;
        }
        text_add(text, text_string(&word));
        column += width;
        words += len;
        words += *words == ' ' ? 1 : 0;
    }
    text_add(text, "\n");
    text->failed = text->failed || word.failed;
    text_fini(&word);
}
