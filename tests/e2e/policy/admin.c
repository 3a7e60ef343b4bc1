/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/e2e/policy/admin.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { LOOK_MS = 20 };

redial_client *
admin_of(const struct test_gateway *gateway)
{
    struct redial_client_options options = {
        .struct_size = sizeof(options),
        .connection.addresses = gateway->admin,
    };
    struct redial_error error = {.text = ""};
    redial_client *admin = NULL;

    assert_int_equal(redial_client_open(&options, &admin, &error), REDIAL_OK);
    return admin;
}

enum redial_status
admin_call(redial_client *admin, const char *method,
           const ProtobufCMessage *request, struct redial_i_response *ret,
           struct redial_error *ret_error)
{
    const struct redial_i_method called = {&redial__v1__admin__descriptor,
                                           method, true};

    *ret = (struct redial_i_response){0};
    *ret_error = (struct redial_error){.text = ""};
    return redial_i_call(admin, &called, request, patience(), ret, ret_error);
}

Redial__V1__Budget
admin_budget(redial_client *admin, const char *target)
{
    Redial__V1__BudgetsRequest request = REDIAL__V1__BUDGETS_REQUEST__INIT;
    const Redial__V1__BudgetsResponse *got;
    struct redial_i_response response;
    struct redial_error error;
    Redial__V1__Budget budget;
    char name[64];

    (void)snprintf(name, sizeof(name), "%s", target);
    request.target = name;
    if (admin_call(admin, "Budgets", &request.base, &response, &error) !=
        REDIAL_OK) {
        fail_msg("Budgets: %s", error.text);
    }
    got = (const Redial__V1__BudgetsResponse *)response.message;
    assert_int_equal(got->n_budgets, 1);
    assert_string_equal(got->budgets[0]->target, target);
    budget = *got->budgets[0];
    budget.target = NULL;
    redial_i_response_fini(&response);
    return budget;
}

void
admin_wait_projected(redial_client *admin)
{
    Redial__V1__StatsRequest request = REDIAL__V1__STATS_REQUEST__INIT;
    int64_t deadline = now_ms() + PATIENCE_MS;
    uint64_t lag = 1;

    while (lag > 0) {
        struct redial_i_response response;
        struct redial_error error;

        assert_true(now_ms() < deadline);
        assert_int_equal(
            admin_call(admin, "Stats", &request.base, &response, &error),
            REDIAL_OK);
        lag = ((const Redial__V1__StatsResponse *)response.message)
                  ->projection_lag_records;
        redial_i_response_fini(&response);
        (void)poll(NULL, 0, lag > 0 ? LOOK_MS : 0);
    }
}
