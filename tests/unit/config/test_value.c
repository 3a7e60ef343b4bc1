/* SPDX-License-Identifier: Apache-2.0 */
#include "server/config/value.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void
durations_are_those_of_protobuf(void **state)
{
    static const struct {
        const char *text;
        bool negative;
        uint64_t ms;
    } good[] = {
        {"1s", false, 1000},
        {"0s", false, 0},
        {"0.0s", false, 0},
        {"-0s", false, 0},
        {"-0.000s", false, 0},
        {"1.1s", false, 1100},
        {"0.050s", false, 50},
        {"-100.700s", true, 100700},
        {"3.0000001s", false, 3001},
        {"0.000000001s", false, 1},
        {"-0.000000001s", true, 1},
        {"007s", false, 7000},
        {"1.999999999s", false, 2000},
        {"9223372036.854775807s", false, 9223372036855},
        {"315576000000s", false, 315576000000000},
        {"-315576000000s", true, 315576000000000},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct duration duration;

        assert_true(value_duration_parse(good[i].text, &duration));
        assert_int_equal(duration.ms, good[i].ms);
        assert_int_equal(duration.negative, good[i].negative);
    }
}

static void
anything_else_is_no_duration(void **state)
{
    /* ".050s" is what grpc-go alone accepts. */
    static const char *const bad[] = {
        "",
        "s",
        ".s",
        "0",
        "-",
        "5m",
        "1xs",
        "1,1s",
        "x.3s",
        "3.xs",
        ".050s",
        "3.s",
        "5.3.2s",
        "-s",
        "+1s",
        "1 s",
        " 1s",
        "1s ",
        "1S",
        "1.s",
        "--1s",
        "1e3s",
        "1ss",
        "0x1s",
        "123",
        "1.2345678e7s",
        "3.1234567890s",
        "315576000001s",
        "-315576000001s",
        "99999999999999999999999999s",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct duration duration = {true, 7};

        if (value_duration_parse(bad[i], &duration)) {
            fail_msg("\"%s\" was accepted", bad[i]);
        }
        assert_true(duration.negative);
        assert_int_equal(duration.ms, 7);
    }
}

static void
durations_print_as_short_as_they_read_back(void **state)
{
    static const struct {
        uint64_t ms;
        const char *text;
    } rows[] = {
        {0, "0s"},
        {1, "0.001s"},
        {10, "0.01s"},
        {100, "0.1s"},
        {1000, "1s"},
        {1500, "1.5s"},
        {60000, "60s"},
        {61001, "61.001s"},
        {86400000, "86400s"},
        {315576000000999, "315576000000.999s"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[VALUE_TEXT_BYTES];
        struct duration duration;

        value_duration_print(rows[i].ms, text);
        assert_string_equal(text, rows[i].text);
        assert_true(value_duration_parse(text, &duration));
        assert_int_equal(duration.ms, rows[i].ms);
    }
}

static void
sizes_have_binary_units(void **state)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {
        {"0", 0},
        {"17B", 17},
        {"64KiB", 65536},
        {"6MiB", 6291456},
        {"4GiB", 4294967296},
        {"1TiB", 1099511627776},
        {"9007199254740992", 9007199254740992},
        {"8192TiB", 9007199254740992},
    };
    static const char *const bad[] = {
        "",
        "KiB",
        "-1",
        "1.5MiB",
        "1 MiB",
        "1mib",
        "1MB",
        "1MiBs",
        "0x10",
        "8193TiB",
        "9007199254740993",
        "99999999999999999999",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        uint64_t bytes;

        assert_true(value_bytes_parse(good[i].text, &bytes));
        assert_int_equal(bytes, good[i].bytes);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint64_t bytes = 7;

        if (value_bytes_parse(bad[i], &bytes)) {
            fail_msg("\"%s\" was accepted", bad[i]);
        }
        assert_int_equal(bytes, 7);
    }
}

static void
codes_have_names_in_any_case(void **state)
{
    enum redial_status code = REDIAL_OK;

    (void)state;
    for (int i = 0; i < REDIAL_STATUS_COUNT; i++) {
        assert_true(
            value_code_parse(value_code_name((enum redial_status)i), &code));
        assert_int_equal(code, i);
    }
    assert_true(value_code_parse("Deadline_Exceeded", &code));
    assert_int_equal(code, REDIAL_DEADLINE_EXCEEDED);
    assert_false(value_code_parse("UNAVAILABL", &code));
    assert_false(value_code_parse("UNAVAILABLE ", &code));
    assert_false(value_code_parse("14", &code));
    assert_false(value_code_parse("", &code));
}

static void
words_are_found_whole(void **state)
{
    static const char words[] = "debug|info|warn";
    uint32_t index = 9;
    size_t len;

    (void)state;
    assert_true(value_word_parse(words, "debug", &index));
    assert_int_equal(index, 0);
    assert_true(value_word_parse(words, "warn", &index));
    assert_int_equal(index, 2);
    assert_false(value_word_parse(words, "inf", &index));
    assert_false(value_word_parse(words, "infos", &index));
    assert_false(value_word_parse(words, "", &index));
    assert_false(value_word_parse(words, "info|warn", &index));
    assert_memory_equal(value_word(words, 1, &len), "info", 4);
    assert_int_equal(len, 4);
}

static void
numbers_print_as_short_as_they_read_back(void **state)
{
    static const double numbers[] = {2, 1.6, 0.1, 1.0 / 3, 1e300, 5e-324};
    char text[VALUE_TEXT_BYTES];

    (void)state;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        value_number_print(numbers[i], text);
        assert_true(strtod(text, NULL) == numbers[i]);
    }
    value_number_print(1.6, text);
    assert_string_equal(text, "1.6");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_are_those_of_protobuf),
        cmocka_unit_test(anything_else_is_no_duration),
        cmocka_unit_test(durations_print_as_short_as_they_read_back),
        cmocka_unit_test(sizes_have_binary_units),
        cmocka_unit_test(codes_have_names_in_any_case),
        cmocka_unit_test(words_are_found_whole),
        cmocka_unit_test(numbers_print_as_short_as_they_read_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
