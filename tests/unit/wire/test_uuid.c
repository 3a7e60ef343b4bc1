/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/uuid.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t random_ones[WIRE_UUID_RANDOM_BYTES] = {
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
static const uint8_t random_zeros[WIRE_UUID_RANDOM_BYTES];

/* The example of RFC 9562, A.6. */
static void
the_example_of_the_standard_comes_out(void **state)
{
    static const uint8_t random[WIRE_UUID_RANDOM_BYTES] = {
        0x0c, 0xc3, 0x18, 0xc4, 0xdc, 0x0c, 0x0c, 0x07, 0x39, 0x8f};
    struct wire_uuid uuid = wire_uuid_make(0x017f22e279b0u, random);
    char text[WIRE_UUID_TEXT_LEN + 1];

    (void)state;
    wire_uuid_format(&uuid, text);
    assert_string_equal(text, "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
}

static void
version_variant_and_time_hold_for_any_randomness(void **state)
{
    static const uint64_t times[] = {0, 1, 1700000000000u, 0xffffffffffffu};

    (void)state;
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        struct wire_uuid ones = wire_uuid_make(times[i], random_ones);
        struct wire_uuid zeros = wire_uuid_make(times[i], random_zeros);

        assert_true(wire_uuid_is_v7(&ones));
        assert_true(wire_uuid_is_v7(&zeros));
        assert_int_equal(wire_uuid_wall_ms(&ones), times[i]);
        assert_int_equal(wire_uuid_wall_ms(&zeros), times[i]);
    }
}

static void
later_ids_sort_after_earlier_ones(void **state)
{
    struct wire_uuid early = wire_uuid_make(1699999999999u, random_ones);
    struct wire_uuid late = wire_uuid_make(1700000000000u, random_zeros);

    (void)state;
    assert_true(memcmp(early.bytes, late.bytes, WIRE_UUID_BYTES) < 0);
}

static void
text_and_bytes_round_trip_in_either_case(void **state)
{
    const char *lower = "01890a5d-ac96-774b-bcce-b302099a8057";
    const char *upper = "01890A5D-AC96-774B-BCCE-B302099A8057";
    char text[WIRE_UUID_TEXT_LEN + 1];
    struct wire_uuid a;
    struct wire_uuid b;

    (void)state;
    assert_true(wire_uuid_parse(lower, strlen(lower), &a));
    assert_true(wire_uuid_parse(upper, strlen(upper), &b));
    assert_memory_equal(a.bytes, b.bytes, WIRE_UUID_BYTES);
    wire_uuid_format(&a, text);
    assert_string_equal(text, lower);
}

static void
what_is_no_uuid_is_refused_at_every_position(void **state)
{
    const char *good = "01890a5d-ac96-774b-bcce-b302099a8057";
    struct wire_uuid uuid = {{7}};

    (void)state;
    for (size_t i = 0; i < WIRE_UUID_TEXT_LEN; i++) {
        char text[WIRE_UUID_TEXT_LEN + 1];

        memcpy(text, good, sizeof(text));
        text[i] = text[i] == '-' ? '0' : 'g';
        assert_false(wire_uuid_parse(text, WIRE_UUID_TEXT_LEN, &uuid));
        text[i] = '-';
        assert_int_equal(wire_uuid_parse(text, WIRE_UUID_TEXT_LEN, &uuid),
                         good[i] == '-');
    }
    uuid.bytes[0] = 7;
    assert_false(wire_uuid_parse(good, WIRE_UUID_TEXT_LEN - 1, &uuid));
    assert_false(wire_uuid_parse("", 0, &uuid));
    assert_int_equal(uuid.bytes[0], 7);
}

static void
other_versions_are_read_and_told_apart(void **state)
{
    const char *text = "919108f7-52d1-4320-9bac-f847db4148a8";
    struct wire_uuid uuid;

    (void)state;
    assert_true(wire_uuid_parse(text, strlen(text), &uuid));
    assert_false(wire_uuid_is_v7(&uuid));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_of_the_standard_comes_out),
        cmocka_unit_test(version_variant_and_time_hold_for_any_randomness),
        cmocka_unit_test(later_ids_sort_after_earlier_ones),
        cmocka_unit_test(text_and_bytes_round_trip_in_either_case),
        cmocka_unit_test(what_is_no_uuid_is_refused_at_every_position),
        cmocka_unit_test(other_versions_are_read_and_told_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
