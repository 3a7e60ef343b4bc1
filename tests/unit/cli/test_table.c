/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void
cells_are_aligned_by_their_characters(void **state)
{
    struct table table = {.columns = 3, .right = 2};
    struct text text = {.at = NULL};

    (void)state;
    table_add(&table, "ID", PAINT_NONE);
    table_add(&table, "N", PAINT_NONE);
    table_add(&table, "WHAT", PAINT_NONE);
    table_add(&table, "a…b", PAINT_NONE);
    table_add(&table, "10", PAINT_NONE);
    table_add(&table, NULL, PAINT_NONE);
    table_add(&table, "", PAINT_NONE);
    table_add(&table, "7", PAINT_NONE);
    table_add(&table, "x", PAINT_NONE);
    table_print(&table, 1, &text);
    assert_string_equal(text_string(&text), " ID    N  WHAT\n"
                                            " a…b  10\n"
                                            "       7  x\n");
    table_fini(&table);
    text_fini(&text);
}

static void
colours_take_no_room(void **state)
{
    struct table table = {.columns = 2};
    struct text text = {.colour = true};

    (void)state;
    table_add(&table, "ab", PAINT_GREEN);
    table_add(&table, "c", PAINT_NONE);
    table_add(&table, "abcd", PAINT_NONE);
    table_add(&table, "e", PAINT_NONE);
    table_print(&table, 0, &text);
    assert_string_equal(text_string(&text),
                        "\033[32mab\033[0m    c\nabcd  e\n");
    table_fini(&table);
    text_fini(&text);
}

static void
many_rows_fit(void **state)
{
    struct table table = {.columns = 2};
    struct text cell = {.at = NULL};
    struct text text = {.at = NULL};

    (void)state;
    for (int i = 0; i < 1000; i++) {
        text_addf(&cell, "%d", i);
        table_add_text(&table, &cell, PAINT_NONE);
        table_add(&table, "x", PAINT_NONE);
    }
    table_print(&table, 0, &text);
    assert_int_equal(text.len, 1000 * 7);
    assert_string_equal(text_string(&text) + 999 * 7, "999  x\n");
    table_fini(&table);
    text_fini(&cell);
    text_fini(&text);
}

static void
an_empty_table_prints_nothing(void **state)
{
    struct table table = {.columns = 2};
    struct text text = {.at = NULL};

    (void)state;
    table_print(&table, 4, &text);
    assert_string_equal(text_string(&text), "");
    table_fini(&table);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cells_are_aligned_by_their_characters),
        cmocka_unit_test(colours_take_no_room),
        cmocka_unit_test(many_rows_fit),
        cmocka_unit_test(an_empty_table_prints_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
