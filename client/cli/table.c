/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/table.h"

#include <stdlib.h>
#include <string.h>

#define BETWEEN     2 /* columns */
#define CELLS_FIRST 64

void
table_fini(struct table *table)
{
    free(table->cells);
    text_fini(&table->strings);
    table->cells = NULL;
    table->count = 0;
    table->capacity = 0;
}

static bool
grow(struct table *table)
{
    size_t capacity = table->capacity != 0 ? table->capacity * 2 : CELLS_FIRST;
    struct table_cell *cells;

    if (table->count < table->capacity) {
        return true;
    }
    cells = realloc(table->cells, capacity * sizeof(*cells));
    if (cells == NULL) {
        table->failed = true;
        return false;
    }
    table->cells = cells;
    table->capacity = capacity;
    return true;
}

void
table_add(struct table *table, const char *string, enum paint paint)
{
    if (table->failed || !grow(table)) {
        return;
    }
    table->cells[table->count++] = (struct table_cell){table->strings.len,
                                                       paint};
    /* The NUL between two strings is one more byte of the text. */
    text_addf(&table->strings, "%s%c", string != NULL ? string : "", '\0');
    table->failed = table->strings.failed;
}

void
table_add_text(struct table *table, struct text *cell, enum paint paint)
{
    table->failed = table->failed || cell->failed;
    table_add(table, text_string(cell), paint);
    text_clear(cell);
}

static const char *
cell_string(const struct table *table, size_t index)
{
    return table->strings.at + table->cells[index].start;
}

void
table_measure(const struct table *table, size_t *ret_widths)
{
    for (size_t i = 0; i < table->count; i++) {
        size_t width = text_columns(cell_string(table, i));

        if (width > ret_widths[i % table->columns]) {
            ret_widths[i % table->columns] = width;
        }
    }
}

static void
print_cell(const struct table *table, size_t index, size_t width,
           struct text *text)
{
    const char *string = cell_string(table, index);
    size_t column = index % table->columns;
    size_t spaces = width - text_columns(string);
    bool is_right = (table->right >> column & 1) != 0;
    bool is_last = column + 1 == table->columns;

    text_add_spaces(text, is_right ? spaces : 0);
    text_paint(text, table->cells[index].paint, string);
    if (is_last) {
        /* No spaces at the end of the line. */
        while (text->len > 0 && text->at[text->len - 1] == ' ') {
            text->len--;
        }
        text_add(text, "\n");
        return;
    }
    text_add_spaces(text, (is_right ? 0 : spaces) + BETWEEN);
}

void
table_print(const struct table *table, size_t indent, struct text *text)
{
    size_t widths[TABLE_COLUMNS_MAX] = {0};

    if (table->failed) {
        text->failed = true;
        return;
    }
    table_measure(table, widths);
    for (size_t i = 0; i < table->count; i++) {
        if (i % table->columns == 0) {
            text_add_spaces(text, indent);
        }
        print_cell(table, i, widths[i % table->columns], text);
    }
}
