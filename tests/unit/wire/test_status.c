/* SPDX-License-Identifier: Apache-2.0 */
#include <redial/status.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void
the_table_is_dense_and_has_grpc_numbers(void **state)
{
    (void)state;
    assert_int_equal(REDIAL_OK, 0);
    assert_int_equal(REDIAL_RESOURCE_EXHAUSTED, 8);
    assert_int_equal(REDIAL_UNAVAILABLE, 14);
    assert_int_equal(REDIAL_UNAUTHENTICATED, REDIAL_STATUS_COUNT - 1);
}

static void
every_name_leads_back_to_its_status(void **state)
{
    (void)state;
    for (int i = 0; i < REDIAL_STATUS_COUNT; i++) {
        enum redial_status status = REDIAL_INTERNAL;

        assert_int_equal(
            redial_status_from_name(redial_status_name((enum redial_status)i),
                                    &status),
            1);
        assert_int_equal(status, i);
        assert_true(redial_status_text((enum redial_status)i)[0] != '\0');
    }
}

static void
names_are_read_in_any_case_with_prefix_or_as_a_number(void **state)
{
    enum redial_status status = REDIAL_OK;

    (void)state;
    assert_true(redial_status_from_name("not_found", &status));
    assert_int_equal(status, REDIAL_NOT_FOUND);
    assert_true(redial_status_from_name("Redial_Data_Loss", &status));
    assert_int_equal(status, REDIAL_DATA_LOSS);
    assert_true(redial_status_from_name("16", &status));
    assert_int_equal(status, REDIAL_UNAUTHENTICATED);
    assert_true(redial_status_from_name("0", &status));
    assert_int_equal(status, REDIAL_OK);
}

static void
what_is_no_name_changes_nothing(void **state)
{
    static const char *const wrong[] = {
        "", "17", "-1", "1x", "OKAY", "REDIAL_", " OK", "99999999999999999999"};
    enum redial_status status = REDIAL_ABORTED;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_false(redial_status_from_name(wrong[i], &status));
    }
    assert_false(redial_status_from_name(NULL, &status));
    assert_int_equal(status, REDIAL_ABORTED);
}

static void
a_number_from_a_newer_peer_is_unknown(void **state)
{
    (void)state;
    assert_string_equal(redial_status_name((enum redial_status)99), "UNKNOWN");
    assert_string_equal(redial_status_text((enum redial_status)99),
                        redial_status_text(REDIAL_UNKNOWN));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_dense_and_has_grpc_numbers),
        cmocka_unit_test(every_name_leads_back_to_its_status),
        cmocka_unit_test(names_are_read_in_any_case_with_prefix_or_as_a_number),
        cmocka_unit_test(what_is_no_name_changes_nothing),
        cmocka_unit_test(a_number_from_a_newer_peer_is_unknown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
