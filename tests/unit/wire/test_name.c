/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/limits.h"
#include "proto/name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void
a_name_has_1_to_128_bytes(void **state)
{
    char name[WIRE_NAME_BYTES_MAX + 2];

    (void)state;
    memset(name, 'k', sizeof(name));
    name[WIRE_NAME_BYTES_MAX + 1] = '\0';
    assert_non_null(wire_name_check(WIRE_NAME_WORD, name));
    name[WIRE_NAME_BYTES_MAX] = '\0';
    assert_null(wire_name_check(WIRE_NAME_WORD, name));
    name[1] = '\0';
    assert_null(wire_name_check(WIRE_NAME_WORD, name));
    name[0] = '\0';
    assert_string_equal(wire_name_check(WIRE_NAME_WORD, name), "is missing");
    assert_string_equal(wire_name_check(WIRE_NAME_WORD, NULL), "is missing");
}

static void
a_name_is_printable_ascii_without_space(void **state)
{
    (void)state;
    for (int byte = 0; byte < 256; byte++) {
        char name[1] = {(char)byte};

        if (byte > ' ' && byte < 0x7f) {
            assert_null(wire_name_check_bytes(WIRE_NAME_WORD, name, 1));
        } else {
            assert_non_null(wire_name_check_bytes(WIRE_NAME_WORD, name, 1));
        }
    }
}

static void
services_and_methods_have_no_slash(void **state)
{
    (void)state;
    assert_null(wire_name_check(WIRE_NAME_WORD, "order/17"));
    assert_non_null(wire_name_check(WIRE_NAME_SERVICE, "image/Gen"));
    assert_non_null(wire_name_check(WIRE_NAME_METHOD, "/Generate"));
    assert_null(wire_name_check(WIRE_NAME_SERVICE, "image.ImageGen"));
}

static void
check_utf8(const char *text, size_t len, int is_valid)
{
    assert_int_equal(wire_utf8_is_valid((const uint8_t *)text, len), is_valid);
}

static void
utf8_takes_every_length_at_its_bounds(void **state)
{
    (void)state;
    check_utf8("", 0, 1);
    check_utf8("\x7f", 1, 1);
    check_utf8("\xc2\x80\xdf\xbf", 4, 1);
    check_utf8("\xe0\xa0\x80\xef\xbf\xbf", 6, 1);
    check_utf8("\xed\x9f\xbf\xee\x80\x80", 6, 1);
    check_utf8("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", 8, 1);
}

static void
utf8_refuses_long_forms_surrogates_nul_and_what_is_cut(void **state)
{
    (void)state;
    check_utf8("\0", 1, 0);
    check_utf8("a\0b", 3, 0);
    check_utf8("\x80", 1, 0);
    check_utf8("\xc0\x80", 2, 0);
    check_utf8("\xc1\xbf", 2, 0);
    check_utf8("\xe0\x9f\xbf", 3, 0);
    check_utf8("\xed\xa0\x80", 3, 0);
    check_utf8("\xf0\x8f\xbf\xbf", 4, 0);
    check_utf8("\xf4\x90\x80\x80", 4, 0);
    check_utf8("\xf5\x80\x80\x80", 4, 0);
    check_utf8("\xe2\x82", 2, 0);
    check_utf8("\xe2\x82x", 3, 0);
    check_utf8("\xff", 1, 0);
}

static void
texts_are_cut_between_characters(void **state)
{
    const char *text = "a\xe2\x82\xac"; /* a, euro sign */

    (void)state;
    assert_int_equal(wire_utf8_cut(text, 4, 9), 4);
    assert_int_equal(wire_utf8_cut(text, 4, 4), 4);
    assert_int_equal(wire_utf8_cut(text, 4, 3), 1);
    assert_int_equal(wire_utf8_cut(text, 4, 2), 1);
    assert_int_equal(wire_utf8_cut(text, 4, 1), 1);
    assert_int_equal(wire_utf8_cut(text, 4, 0), 0);
    assert_int_equal(wire_utf8_prefix("ab\xe2\x82", 4), 2);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_has_1_to_128_bytes),
        cmocka_unit_test(a_name_is_printable_ascii_without_space),
        cmocka_unit_test(services_and_methods_have_no_slash),
        cmocka_unit_test(utf8_takes_every_length_at_its_bounds),
        cmocka_unit_test(
            utf8_refuses_long_forms_surrogates_nul_and_what_is_cut),
        cmocka_unit_test(texts_are_cut_between_characters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
