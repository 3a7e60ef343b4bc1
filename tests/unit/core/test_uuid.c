/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/uuid.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct job_id id = {{0x01, 0x90, 0xab, 0xcd, 0xef, 0x01, 0x72,
                                  0x34, 0x85, 0x67, 0x89, 0x0a, 0xbc, 0xde,
                                  0xf0, 0x12}};

static void
an_id_is_read_in_any_case(void **state)
{
    (void)state;
    struct job_id parsed;

    assert_true(
        uuid_parse(text_of("0190abcd-ef01-7234-8567-890abcdef012"), &parsed));
    assert_memory_equal(&parsed, &id, sizeof(id));
    assert_true(
        uuid_parse(text_of("0190ABCD-EF01-7234-8567-890ABCDEF012"), &parsed));
    assert_memory_equal(&parsed, &id, sizeof(id));
    assert_true(
        uuid_equals(text_of("0190ABCD-EF01-7234-8567-890abcdef012"), id));
}

static void
what_is_no_id_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "0190abcd-ef01-7234-8567-890abcdef01",
        "0190abcd-ef01-7234-8567-890abcdef0123",
        "0190abcdef01-7234-8567-890abcdef0123",
        "0190abcd_ef01-7234-8567-890abcdef012",
        "0190abcd-ef01-7234-8567_890abcdef012",
        "0190abcd-ef01-7234-8567-890abcdef01g",
        "g190abcd-ef01-7234-8567-890abcdef012",
        "0190abcd-ef01-7234-8567-890abcdef:12",
        "0190abcd-ef01-7234-8567-890abcdef@12",
        "0190abcd-ef01-7234-8567-890abcdef`12",
        "0190abcd-ef01-7234-8567-890abcdef/12",
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct job_id parsed = id;

        assert_false(uuid_parse(text_of(bad[i]), &parsed));
        assert_memory_equal(&parsed, &id, sizeof(id));
        assert_false(uuid_equals(text_of(bad[i]), id));
    }
}

static void
another_id_is_not_equal(void **state)
{
    (void)state;
    struct job_id other = id;

    other.bytes[15]++;
    assert_false(
        uuid_equals(text_of("0190abcd-ef01-7234-8567-890abcdef012"), other));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_id_is_read_in_any_case),
        cmocka_unit_test(what_is_no_id_is_refused),
        cmocka_unit_test(another_id_is_not_equal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
