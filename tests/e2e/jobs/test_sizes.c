/* SPDX-License-Identifier: Apache-2.0 */
/* The largest payload goes through unharmed; one byte more is refused. */
#include "tests/e2e/harness/harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct test_gateway gateway;
static struct script worker;
static redial_client *client;
static unsigned char *payload;

static int
start(void **state)
{
    (void)state;
    gateway_setup(&gateway);
    gateway_run(&gateway);
    script_open(&worker, &gateway, 2);
    client = client_of(&gateway);
    payload = malloc(REDIAL_PAYLOAD_BYTES_MAX + 1);
    for (size_t i = 0; i <= REDIAL_PAYLOAD_BYTES_MAX; i++) {
        payload[i] = (unsigned char)(i * 2654435761u >> 13);
    }
    return 0;
}

static int
stop(void **state)
{
    (void)state;
    free(payload);
    redial_client_close(client);
    script_close(&worker);
    assert_int_equal(gateway_terminate(&gateway), 0);
    gateway_teardown(&gateway);
    return 0;
}

static void
a_payload_of_4_mib_comes_back_unharmed(void **state)
{
    struct redial_job job = job_of("");
    struct redial_job_info *info = NULL;
    struct redial_error error = {.text = ""};

    (void)state;
    job.payload = payload;
    job.payload_bytes = REDIAL_PAYLOAD_BYTES_MAX;
    assert_int_equal(redial_call(client, &job, patience(), &info, &error),
                     REDIAL_OK);
    assert_int_equal(info->state, REDIAL_JOB_SUCCEEDED);
    assert_int_equal(info->outcome->result_bytes, REDIAL_PAYLOAD_BYTES_MAX);
    assert_memory_equal(info->outcome->result, payload,
                        REDIAL_PAYLOAD_BYTES_MAX);
    redial_job_info_free(info);
}

static void
one_byte_more_is_refused_and_the_field_named(void **state)
{
    struct redial_job job = job_of("");
    struct redial_submitted submitted;
    struct redial_error error = {.text = ""};

    (void)state;
    job.payload = payload;
    job.payload_bytes = REDIAL_PAYLOAD_BYTES_MAX + 1;
    assert_int_equal(
        redial_submit(client, &job, patience(), &submitted, &error),
        REDIAL_INVALID_ARGUMENT);
    assert_non_null(strstr(error.text, "payload"));
}

static void
an_empty_payload_is_a_payload(void **state)
{
    struct redial_job job = job_of("");
    struct redial_job_info *info = NULL;
    struct redial_error error;

    (void)state;
    assert_int_equal(redial_call(client, &job, patience(), &info, &error),
                     REDIAL_OK);
    assert_int_equal(info->state, REDIAL_JOB_SUCCEEDED);
    assert_int_equal(info->outcome->result_bytes, 0);
    redial_job_info_free(info);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_payload_of_4_mib_comes_back_unharmed),
        cmocka_unit_test(one_byte_more_is_refused_and_the_field_named),
        cmocka_unit_test(an_empty_payload_is_a_payload),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
