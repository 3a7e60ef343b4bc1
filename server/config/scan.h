/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The strict half of reading JSON. cJSON builds the tree, but it accepts what
 * RFC 8259 does not (01, raw control characters, broken UTF-8, trailing text)
 * and knows no lines. So the text is scanned first: every word must be well
 * formed, and each value's place is noted in the order in which the values
 * begin, which is the order in which a walk of cJSON's tree meets them. How
 * words stand to each other is left to cJSON.
 */
#ifndef REDIAL_SERVER_CONFIG_SCAN_H
#define REDIAL_SERVER_CONFIG_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SCAN_DEPTH_MAX = 64 };

/* One value: an object, an array, a string that is no key, a word, a number. */
struct scan_value {
    uint32_t line;  /* from 1; of its key if it has one */
    uint32_t start; /* bytes from the start of the text */
    uint32_t end;   /* behind the last byte */
};

struct scan {
    struct scan_value *values; /* the caller frees */
    size_t count;
    size_t capacity;
    size_t offset;       /* where it stopped */
    const char *problem; /* static; NULL: nothing is wrong */
    bool no_memory;
};

/*
 * Scans the whole text, of at most UINT32_MAX bytes. False: see problem or
 * no_memory. The values are to be freed in either case.
 */
bool
scan_text(struct scan *scan, const char *text, size_t len);

/* The line and column, from 1, of a place in the text. */
void
scan_place(const char *text, size_t offset, uint32_t *ret_line,
           uint32_t *ret_column);

#endif
