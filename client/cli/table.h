/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of cells, aligned. Pure.
 */
#ifndef REDIAL_CLIENT_CLI_TABLE_H
#define REDIAL_CLIENT_CLI_TABLE_H

#include "client/cli/text.h"

#define TABLE_COLUMNS_MAX 12

struct table_cell {
    size_t start; /* in `strings` */
    enum paint paint;
};

/*
 * Zero it and set `columns` and `right`. Cells go in one by one; a full row is
 * followed by the next.
 */
struct table {
    size_t columns;
    unsigned right;      /* bit n: column n is aligned to the right */
    struct text strings; /* of all cells, each with a NUL */
    struct table_cell *cells;
    size_t count;
    size_t capacity;
    bool failed;
};

void
table_fini(struct table *table);

/* `string` is our own, or made safe before; NULL is an empty cell. */
void
table_add(struct table *table, const char *string, enum paint paint);

/* What was formatted for this cell, which is then cleared. */
void
table_add_text(struct table *table, struct text *cell, enum paint paint);

/* How wide each column is; `ret_widths` has TABLE_COLUMNS_MAX zeros. */
void
table_measure(const struct table *table, size_t *ret_widths);

/* All rows, with two spaces between columns and `indent` before. */
void
table_print(const struct table *table, size_t indent, struct text *text);

#endif
