/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of Admin for the tests here; failures are cmocka's. */
#ifndef REDIAL_TESTS_E2E_POLICY_ADMIN_H
#define REDIAL_TESTS_E2E_POLICY_ADMIN_H

#include "client/internal.h"
#include "tests/e2e/harness/harness.h"
#include <redial/v1/admin.pb-c.h>

/* A client of the gateway's admin listener. */
redial_client *
admin_of(const struct test_gateway *gateway);

/* A call that may fail; ret_error is empty when it did not. */
enum redial_status
admin_call(redial_client *admin, const char *method,
           const ProtobufCMessage *request, struct redial_i_response *ret,
           struct redial_error *ret_error);

/* The figures of one target, without its name. */
Redial__V1__Budget
admin_budget(redial_client *admin, const char *target);

/* Returns when the tables reflect all of the log. */
void
admin_wait_projected(redial_client *admin);

#endif
