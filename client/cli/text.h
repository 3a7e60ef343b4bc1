/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text under construction: everything that the tool prints is put together
 * here first, so that the functions that format are pure and can be tested.
 *
 * Failure (no memory) is sticky: write everything, then look once. A zeroed one
 * is an empty text. Not thread-safe.
 */
#ifndef REDIAL_CLIENT_CLI_TEXT_H
#define REDIAL_CLIENT_CLI_TEXT_H

#include <stdbool.h>
#include <stddef.h>

enum paint {
    PAINT_NONE,
    PAINT_BOLD,
    PAINT_DIM,
    PAINT_RED,
    PAINT_GREEN,
    PAINT_YELLOW,
    PAINT_CYAN,
};

struct text {
    char *at; /* terminated by NUL once something was written, or NULL */
    size_t len;
    size_t capacity;
    bool colour; /* text_paint() paints; set by the owner */
    bool failed;
};

void
text_fini(struct text *text);

/* Forgets the text and a failure; keeps memory and colour. */
void
text_clear(struct text *text);

/* What is there, "" if nothing is. Lives until the next change. */
const char *
text_string(const struct text *text);

/* Our own words; NULL adds nothing. */
void
text_add(struct text *text, const char *string);

void
text_addf(struct text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * Words of others, on one line and without harm to a terminal: white space
 * becomes one space, other control characters become "?". At most `columns`
 * characters, the last of them "…" if there were more; 0: no limit. NULL adds
 * nothing.
 */
void
text_add_foreign(struct text *text, const char *string, size_t columns);

void
text_add_spaces(struct text *text, size_t count);

/*
 * Words and a line end. The cursor is at column `indent`; where a line would be
 * longer than `columns` (0: never) it is broken between words, and goes on at
 * `indent`.
 */
void
text_add_wrapped(struct text *text, const char *words, size_t indent,
                 size_t columns);

/* Adds a string in a colour. */
void
text_paint(struct text *text, enum paint paint, const char *string);

/* How many columns a string takes: its characters. NULL: 0. */
size_t
text_columns(const char *string);

/* The same where sequences that paint take none. */
size_t
text_columns_painted(const char *string);

/*
 * Cuts the line that begins at `start` to `columns` characters; sequences that
 * paint take none. 0: no limit.
 */
void
text_cut_line(struct text *text, size_t start, size_t columns);

#endif
