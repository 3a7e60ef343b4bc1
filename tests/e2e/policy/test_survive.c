/* SPDX-License-Identifier: Apache-2.0 */
/* What guards a target outlives kill -9: from the log, and from its row. */
#include "tests/e2e/policy/admin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct test_gateway gateway;
static struct script worker;
static redial_client *client;
static redial_client *admin;

static int
start(void **state)
{
    static const char *const sets[] = {
        "defaultPolicy.initialBackoff=0.1s",
        "retryThrottling={\"maxTokens\":8,\"tokenRatio\":0.5}",
        NULL,
    };

    (void)state;
    gateway_setup(&gateway);
    gateway.sets = sets;
    gateway_run(&gateway);
    script_open(&worker, &gateway, 8);
    client = client_of(&gateway);
    admin = admin_of(&gateway);
    return 0;
}

static int
stop(void **state)
{
    (void)state;
    redial_client_close(admin);
    redial_client_close(client);
    script_close(&worker);
    gateway_teardown(&gateway);
    return 0;
}

static void
run_job(const char *payload)
{
    struct redial_job job = job_of(payload);

    redial_job_info_free(final_of(client, submit_job(client, &job).id));
}

static void
restart(void)
{
    gateway_kill(&gateway);
    gateway_run(&gateway);
}

static void
the_throttle_keeps_its_fill_when_the_log_is_replayed(void **state)
{
    (void)state;
    run_job("fail 1 UNAVAILABLE BUSY 5");
    assert_int_equal(admin_budget(admin, "test").tokens_milli, 7500);
    restart();
    assert_int_equal(admin_budget(admin, "test").tokens_milli, 7500);
    assert_int_equal(admin_budget(admin, "test").tokens_max_milli, 8000);
}

static void
the_throttle_keeps_its_fill_below_the_watermark(void **state)
{
    (void)state;
    admin_wait_projected(admin);
    restart();
    assert_int_equal(admin_budget(admin, "test").tokens_milli, 7500);
    /* And on top of the row. */
    run_job("fail 2 UNAVAILABLE BUSY 5");
    assert_int_equal(admin_budget(admin, "test").tokens_milli, 6000);
    restart();
    assert_int_equal(admin_budget(admin, "test").tokens_milli, 6000);
    admin_wait_projected(admin);
    restart();
    assert_int_equal(admin_budget(admin, "test").tokens_milli, 6000);
}

static void
a_full_throttle_needs_no_row(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        run_job("ok");
    }
    assert_int_equal(admin_budget(admin, "test").tokens_milli, 8000);
    admin_wait_projected(admin);
    restart();
    run_job("ok");
    assert_int_equal(admin_budget(admin, "test").tokens_milli, 8000);
}

static void
the_fill_ratio_stays_when_the_throttle_is_another(void **state)
{
    static const char *const sets[] = {
        "defaultPolicy.initialBackoff=0.1s",
        "retryThrottling={\"maxTokens\":16,\"tokenRatio\":0.5}",
        NULL,
    };

    (void)state;
    run_job("fail 2 UNAVAILABLE BUSY 5");
    assert_int_equal(admin_budget(admin, "test").tokens_milli, 6500);
    admin_wait_projected(admin);
    gateway_kill(&gateway);
    gateway.sets = sets;
    gateway_run(&gateway);
    assert_int_equal(admin_budget(admin, "test").tokens_milli, 13000);
    assert_int_equal(admin_budget(admin, "test").tokens_max_milli, 16000);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_throttle_keeps_its_fill_when_the_log_is_replayed),
        cmocka_unit_test(the_throttle_keeps_its_fill_below_the_watermark),
        cmocka_unit_test(a_full_throttle_needs_no_row),
        cmocka_unit_test(the_fill_ratio_stays_when_the_throttle_is_another),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
