/* SPDX-License-Identifier: Apache-2.0 */
#include "server/plugins/exec/exec_notes.h"
#include "server/plugins/settings.h"
#include "server/plugins/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void
check_clean(const char *from, const char *wanted)
{
    char text[256];
    size_t len = strlen(from);
    memcpy(text, from, len);
    text[text_clean(text, len)] = '\0';
    assert_string_equal(text, wanted);
}

static void
texts_become_valid(void **state)
{
    (void)state;
    check_clean("", "");
    check_clean(" \n\t ", "");
    check_clean("  a b\r\n", "a b");
    check_clean("\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80",
                "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80");
    check_clean("a\x01\x7f\x1b[0m", "a???[0m");
    check_clean("\xc0\xaf", "??");           /* longer than need be */
    check_clean("\xe0\x80\xaf", "???");      /* the same */
    check_clean("\xed\xa0\x80", "???");      /* a surrogate */
    check_clean("\xf4\x90\x80\x80", "????"); /* beyond Unicode */
    check_clean("\xf5\x80\x80\x80", "????");
    check_clean("\xe2\x82", "??"); /* cut off */
    check_clean("\x80"
                "a",
                "?a");
}

static void
texts_are_cut_between_characters(void **state)
{
    (void)state;
    assert_int_equal(text_cut("abc", 3, 5), 3);
    assert_int_equal(text_cut("abc", 3, 2), 2);
    assert_int_equal(text_cut("a\xe2\x82\xac", 4, 3), 1);
    assert_int_equal(text_cut("a\xe2\x82\xac"
                              "b",
                              5, 4),
                     4);
}

static void
reasons_are_words(void **state)
{
    (void)state;
    char long_word[130];
    memset(long_word, 'A', sizeof(long_word));
    assert_true(text_is_reason("SCRIPT_VALIDATION", 17));
    assert_true(text_is_reason("http.503:a-b", 12));
    assert_true(text_is_reason(long_word, 128));
    assert_false(text_is_reason(long_word, 129));
    assert_false(text_is_reason("", 0));
    assert_false(text_is_reason("two words", 9));
    assert_false(text_is_reason("a\0b", 3));
    assert_false(text_is_reason("a\n", 2));
}

static void
notes_do_not_depend_on_how_they_arrive(void **state)
{
    (void)state;
    static const char written[] = "one\nREDIAL-REASON: BUSY\ntwo\n"
                                  "REDIAL-PUSHBACK-MS: -1\r\nthree";
    static struct exec_notes notes;
    for (size_t step = 1; step <= sizeof(written); step++) {
        exec_notes_init(&notes, 100);
        for (size_t at = 0; at < sizeof(written) - 1; at += step) {
            size_t left = sizeof(written) - 1 - at;
            exec_notes_add(&notes, written + at, left < step ? left : step);
        }
        assert_string_equal(exec_notes_end(&notes), "one\ntwo\nthree");
        assert_string_equal(notes.reason, "BUSY");
        assert_true(notes.has_pushback);
        assert_int_equal(notes.pushback_ms, -1);
    }
}

static void
notes_are_bounded(void **state)
{
    (void)state;
    static struct exec_notes notes;
    static char flood[100000];
    memset(flood, 'x', sizeof(flood));
    exec_notes_init(&notes, TEXT_BYTES_MAX);
    exec_notes_add(&notes, flood, sizeof(flood));
    assert_int_equal(strlen(exec_notes_end(&notes)), TEXT_BYTES_MAX);
    exec_notes_init(&notes, 0);
    exec_notes_add(&notes, "text\nREDIAL-REASON: R\n", 22);
    assert_string_equal(exec_notes_end(&notes), "");
    assert_string_equal(notes.reason, "R");
    /* A line that is just as long as the buffer, and its newline. */
    exec_notes_init(&notes, TEXT_BYTES_MAX);
    exec_notes_add(&notes, flood, EXEC_LINE_BYTES_MAX);
    exec_notes_add(&notes, "\nREDIAL-REASON: R2\n", 19);
    assert_int_equal(strlen(exec_notes_end(&notes)), EXEC_LINE_BYTES_MAX);
    assert_string_equal(notes.reason, "R2");
}

static void
complaints_are_bounded(void **state)
{
    (void)state;
    char text[16] = "";
    struct setting_error error = {text, sizeof(text), 0};
    settings_complain(&error, "%s", "0123456789");
    settings_complain(&error, "%s", "abcdefghij");
    assert_string_equal(text, "0123456789; abc");
    settings_complain(&error, "%s", "more");
    assert_string_equal(text, "0123456789; abc");
}

static void
the_nearest_name_is_found(void **state)
{
    (void)state;
    static const char *const names[] = {"argv", "cwd", "env", "inherit_env",
                                        NULL};
    assert_string_equal(settings_nearest("args", names), "argv");
    assert_string_equal(settings_nearest("inherit-env", names), "inherit_env");
    assert_null(settings_nearest("something", names));
    assert_string_equal(settings_nearest("", names), "cwd");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_become_valid),
        cmocka_unit_test(texts_are_cut_between_characters),
        cmocka_unit_test(reasons_are_words),
        cmocka_unit_test(notes_do_not_depend_on_how_they_arrive),
        cmocka_unit_test(notes_are_bounded),
        cmocka_unit_test(complaints_are_bounded),
        cmocka_unit_test(the_nearest_name_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
