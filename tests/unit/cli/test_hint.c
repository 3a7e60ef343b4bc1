/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/hint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct redial_error error;
static struct hint hint;
static struct text text;

static const char *
hint_for(enum redial_status status)
{
    error.status = status;
    hint.error = &error;
    hint.verb = "show";
    hint.addresses = "ipc:///run/redial/admin.sock";
    text_clear(&text);
    hint_add(&text, &hint);
    return text_string(&text);
}

static int
setup(void **state)
{
    (void)state;
    error = (struct redial_error){.status = REDIAL_OK};
    hint = (struct hint){.source = WHERE_DEFAULT};
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    text_fini(&text);
    return 0;
}

static void
an_unreachable_gateway_is_to_be_started(void **state)
{
    (void)state;
    (void)snprintf(error.reason, sizeof(error.reason), "NOT_CONNECTED");
    assert_string_equal(
        hint_for(REDIAL_UNAVAILABLE),
        "  Is the gateway running? Start it with: redial-gateway --config "
        "FILE\n"
        "  Address: ipc:///run/redial/admin.sock (the default; another: "
        "--address URL or REDIAL_ADDRESS)\n");
}

static void
a_gateway_that_refuses_now_says_when_to_come_back(void **state)
{
    (void)state;
    hint.source = WHERE_ENVIRONMENT;
    error.retry_after_ms = 1500;
    assert_string_equal(hint_for(REDIAL_UNAVAILABLE),
                        "  Address: ipc:///run/redial/admin.sock (from "
                        "REDIAL_ADDRESS)\n"
                        "  Come back in 1.5 s.\n");
}

static void
a_socket_of_another_user_is_explained(void **state)
{
    (void)state;
    (void)snprintf(error.text, sizeof(error.text), "Permission denied");
    assert_non_null(strstr(hint_for(REDIAL_UNAVAILABLE), "another user"));
}

static void
a_late_answer_names_the_job_that_may_exist(void **state)
{
    (void)state;
    assert_non_null(strstr(hint_for(REDIAL_DEADLINE_EXCEEDED), "--timeout"));
    hint.job_id = "the-id";
    assert_string_equal(hint_for(REDIAL_DEADLINE_EXCEEDED),
                        "  The job goes on, if the gateway has it: redial "
                        "await the-id\n");
}

static void
every_refusal_says_what_to_do(void **state)
{
    static const enum redial_status statuses[] = {
        REDIAL_INVALID_ARGUMENT,   REDIAL_NOT_FOUND,
        REDIAL_ALREADY_EXISTS,     REDIAL_PERMISSION_DENIED,
        REDIAL_RESOURCE_EXHAUSTED, REDIAL_UNIMPLEMENTED,
        REDIAL_INTERNAL,           REDIAL_UNAUTHENTICATED,
    };

    (void)state;
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        assert_true(strlen(hint_for(statuses[i])) > 10);
    }
    assert_string_equal(hint_for(REDIAL_INVALID_ARGUMENT),
                        "  See: redial show --help\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_unreachable_gateway_is_to_be_started, setup),
        cmocka_unit_test_setup(
            a_gateway_that_refuses_now_says_when_to_come_back, setup),
        cmocka_unit_test_setup(a_socket_of_another_user_is_explained, setup),
        cmocka_unit_test_setup(a_late_answer_names_the_job_that_may_exist,
                               setup),
        cmocka_unit_test_setup(every_refusal_says_what_to_do, setup),
    };

    return cmocka_run_group_tests(tests, NULL, teardown);
}
