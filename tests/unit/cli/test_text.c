/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void
foreign_reads(const char *string, size_t columns, const char *expected)
{
    struct text text = {.at = NULL};

    text_add_foreign(&text, string, columns);
    assert_string_equal(text_string(&text), expected);
    text_fini(&text);
}

static void
an_empty_text_is_an_empty_string(void **state)
{
    struct text text = {.at = NULL};

    (void)state;
    assert_string_equal(text_string(&text), "");
    text_add(&text, NULL);
    text_add_foreign(&text, NULL, 0);
    assert_string_equal(text_string(&text), "");
    text_fini(&text);
}

static void
a_text_grows_as_it_must(void **state)
{
    struct text text = {.at = NULL};

    (void)state;
    for (int i = 0; i < 1000; i++) {
        text_addf(&text, "%d,", i);
    }
    assert_int_equal(text.len, 3890);
    assert_false(text.failed);
    assert_string_equal(text_string(&text) + 3880, "7,998,999,");
    text_clear(&text);
    assert_string_equal(text_string(&text), "");
    text_fini(&text);
}

static void
words_of_others_cannot_reach_the_terminal(void **state)
{
    (void)state;
    foreign_reads("plain words", 0, "plain words");
    foreign_reads("\033[2Jboo\a", 0, "?[2Jboo?");
    foreign_reads("two\nlines\r\n\tand tabs", 0, "two lines and tabs");
    foreign_reads("\302\233m and \177", 0, "?m and ?");
    foreign_reads("broken \377 utf", 0, "broken ? utf");
    foreign_reads("gr\303\274n", 0, "gr\303\274n");
}

static void
words_of_others_are_cut_by_characters(void **state)
{
    (void)state;
    foreign_reads("abcdef", 6, "abcdef");
    foreign_reads("abcdef", 5, "abcd…");
    foreign_reads("\303\244\303\244\303\244", 2, "\303\244…");
    foreign_reads("abc", 1, "…");
}

static void
columns_are_characters(void **state)
{
    (void)state;
    assert_int_equal(text_columns(NULL), 0);
    assert_int_equal(text_columns("abc"), 3);
    assert_int_equal(text_columns("×1.15…"), 6);
}

static void
paint_is_left_out_without_colours(void **state)
{
    struct text text = {.at = NULL};

    (void)state;
    text_paint(&text, PAINT_RED, "a");
    text.colour = true;
    text_paint(&text, PAINT_RED, "b");
    text_paint(&text, PAINT_NONE, "c");
    assert_string_equal(text_string(&text), "a\033[31mb\033[0mc");
    text_fini(&text);
}

static void
a_line_is_cut_around_its_paint(void **state)
{
    struct text text = {.colour = true};
    size_t start;

    (void)state;
    text_add(&text, "before\n");
    start = text.len;
    text_paint(&text, PAINT_RED, "abcdef");
    text_cut_line(&text, start, 6);
    assert_string_equal(text_string(&text), "before\n\033[31mabcdef\033[0m");
    text_cut_line(&text, start, 4);
    assert_string_equal(text_string(&text), "before\n\033[31mabc…\033[0m");
    text_cut_line(&text, start, 0);
    assert_string_equal(text_string(&text), "before\n\033[31mabc…\033[0m");
    text_fini(&text);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_text_is_an_empty_string),
        cmocka_unit_test(a_text_grows_as_it_must),
        cmocka_unit_test(words_of_others_cannot_reach_the_terminal),
        cmocka_unit_test(words_of_others_are_cut_by_characters),
        cmocka_unit_test(columns_are_characters),
        cmocka_unit_test(paint_is_left_out_without_colours),
        cmocka_unit_test(a_line_is_cut_around_its_paint),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
