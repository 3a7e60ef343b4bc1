/* SPDX-License-Identifier: Apache-2.0 */
#include "server/base/varint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const uint64_t samples[] = {
    0,
    1,
    127,
    128,
    16383,
    16384,
    UINT32_MAX,
    UINT64_MAX,
    UINT64_MAX - 1,
    INT64_MAX,
    UINT64_C(1) << 63,
};

enum { SAMPLES = sizeof(samples) / sizeof(samples[0]) };

static void
numbers_come_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < SAMPLES; i++) {
        uint8_t buf[VARINT_BYTES_MAX];
        const uint8_t *end = varint_write(buf, samples[i]);
        uint64_t value = 0;

        assert_ptr_equal(varint_read(buf, end, &value), end);
        assert_true(value == samples[i]);
    }
}

static void
a_number_that_is_cut_off_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < SAMPLES; i++) {
        uint8_t buf[VARINT_BYTES_MAX];
        const uint8_t *end = varint_write(buf, samples[i]);

        for (const uint8_t *cut = buf; cut < end; cut++) {
            uint64_t value = 42;

            assert_null(varint_read(buf, cut, &value));
            assert_int_equal(value, 42);
        }
    }
}

static void
padding_and_overflow_are_refused(void **state)
{
    static const uint8_t padded[] = {0x80, 0x00};
    static const uint8_t too_big[] = {0xff, 0xff, 0xff, 0xff, 0xff,
                                      0xff, 0xff, 0xff, 0xff, 0x02};
    static const uint8_t too_long[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                       0xff, 0xff, 0xff, 0xff, 0x01};
    uint64_t value = 42;

    (void)state;
    assert_null(varint_read(padded, padded + sizeof(padded), &value));
    assert_null(varint_read(too_big, too_big + sizeof(too_big), &value));
    assert_null(varint_read(too_long, too_long + sizeof(too_long), &value));
    assert_int_equal(value, 42);
}

static void
small_signed_numbers_stay_small(void **state)
{
    (void)state;
    assert_int_equal(zigzag_encode(0), 0);
    assert_int_equal(zigzag_encode(-1), 1);
    assert_int_equal(zigzag_encode(1), 2);
    assert_true(zigzag_encode(INT64_MIN) == UINT64_MAX);
    for (size_t i = 0; i < SAMPLES; i++) {
        assert_true(zigzag_encode(zigzag_decode(samples[i])) == samples[i]);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_come_back),
        cmocka_unit_test(a_number_that_is_cut_off_is_refused),
        cmocka_unit_test(padding_and_overflow_are_refused),
        cmocka_unit_test(small_signed_numbers_stay_small),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
