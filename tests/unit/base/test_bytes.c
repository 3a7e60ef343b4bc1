/* SPDX-License-Identifier: Apache-2.0 */
#include "server/base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void
appends_gather_up_to_the_maximum(void **state)
{
    struct bytes bytes;

    (void)state;
    bytes_init(&bytes, 1000);
    for (size_t i = 0; i < 1000; i++) {
        assert_true(bytes_append_byte(&bytes, (uint8_t)i));
    }
    assert_false(bytes.failed);
    assert_false(bytes_append_byte(&bytes, 1));
    assert_true(bytes.failed);
    assert_int_equal(bytes.len, 1000);
    for (size_t i = 0; i < 1000; i++) {
        assert_int_equal(bytes.at[i], (uint8_t)i);
    }
    bytes_clear(&bytes);
    assert_false(bytes.failed);
    assert_int_equal(bytes.len, 0);
    assert_true(bytes_append(&bytes, "abc", 3));
    assert_memory_equal(bytes.at, "abc", 3);
    bytes_fini(&bytes);
    bytes_fini(&bytes);
}

static void
what_is_reserved_counts_once_committed(void **state)
{
    struct bytes bytes;

    (void)state;
    bytes_init(&bytes, 100);
    uint8_t *at = bytes_reserve(&bytes, 100);

    assert_non_null(at);
    memset(at, 7, 100);
    assert_int_equal(bytes.len, 0);
    bytes_commit(&bytes, 60);
    assert_int_equal(bytes.len, 60);
    assert_null(bytes_reserve(&bytes, 41));
    assert_non_null(bytes_reserve(&bytes, 40));
    bytes_fini(&bytes);
}

static void
a_field_goes_in_whole_or_not_at_all(void **state)
{
    struct bytes bytes;

    (void)state;
    bytes_init(&bytes, 6);
    assert_false(bytes_append_field(&bytes, "abcdef", 6));
    assert_int_equal(bytes.len, 0);
    assert_false(bytes_append_field(&bytes, "abcdef", SIZE_MAX));
    bytes_clear(&bytes);
    assert_true(bytes_append_field(&bytes, "abcd", 4));
    assert_true(bytes_append_field(&bytes, NULL, 0));
    assert_int_equal(bytes.len, 6);
    assert_memory_equal(bytes.at, "\4abcd\0", 6);
    bytes_fini(&bytes);
}

static void
numbers_are_varints(void **state)
{
    struct bytes bytes;
    uint64_t value = 0;

    (void)state;
    bytes_init(&bytes, 100);
    assert_true(bytes_append_varint(&bytes, 300));
    assert_int_equal(bytes.len, 2);
    assert_non_null(varint_read(bytes.at, bytes.at + bytes.len, &value));
    assert_int_equal(value, 300);
    bytes_fini(&bytes);
}

static void
consumed_bytes_are_gone_from_the_front(void **state)
{
    struct bytes bytes;

    (void)state;
    bytes_init(&bytes, 100);
    bytes_consume(&bytes, 0);
    assert_true(bytes_append(&bytes, "hello world", 11));
    bytes_consume(&bytes, 6);
    assert_int_equal(bytes.len, 5);
    assert_memory_equal(bytes.at, "world", 5);
    bytes_consume(&bytes, 5);
    assert_int_equal(bytes.len, 0);
    bytes_fini(&bytes);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appends_gather_up_to_the_maximum),
        cmocka_unit_test(what_is_reserved_counts_once_committed),
        cmocka_unit_test(a_field_goes_in_whole_or_not_at_all),
        cmocka_unit_test(numbers_are_varints),
        cmocka_unit_test(consumed_bytes_are_gone_from_the_front),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
