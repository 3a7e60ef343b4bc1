/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cli/fake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int
teardown(void **state)
{
    (void)state;
    fake_end();
    return 0;
}

#define UNCONST(string) ((char *)(uintptr_t)(string))

static void
answer_health(bool ready)
{
    Redial__V1__HealthResponse response = REDIAL__V1__HEALTH_RESPONSE__INIT;

    response.has_ready = true;
    response.ready = ready;
    response.why = ready ? NULL : UNCONST("draining");
    response.version = UNCONST("0.1.0");
    response.epoch = UNCONST("abc");
    response.has_durable = true;
    response.durable = true;
    fake_answer("Health", &response.base);
}

static void
health_exits_by_readiness(void **state)
{
    (void)state;
    fake_begin("health");
    answer_health(true);
    assert_int_equal(fake_run(), EXIT_DONE);
    assert_string_equal(fake_out(), "ready  version 0.1.0  durable  log abc\n");
    fake_begin("health");
    answer_health(false);
    assert_int_equal(fake_run(), EXIT_FAILED);
    assert_string_equal(fake_out(), "not ready: draining  version 0.1.0  "
                                    "durable  log abc\n");
    fake_begin("health");
    fake_refuse("Health", REDIAL_UNAVAILABLE, "NOT_CONNECTED", "refused");
    assert_int_equal(fake_run(), EXIT_UNREACHABLE);
}

static void
health_is_the_gateways_answer_in_json(void **state)
{
    (void)state;
    fake_begin("health -j");
    answer_health(true);
    assert_int_equal(fake_run(), EXIT_DONE);
    assert_string_equal(fake_out(),
                        "{\"ready\":true,\"version\":\"0.1.0\",\"epoch\":"
                        "\"abc\",\"durable\":true}\n");
}

/* Limits of the method, and two tenants. */
struct limits_part {
    Redial__V1__LimitStats limits;
    Redial__V1__TenantStats nobody;
    Redial__V1__TenantStats tenant;
    Redial__V1__TenantStats *tenants[2];
};

static void
fill_limits(struct limits_part *part)
{
    redial__v1__limit_stats__init(&part->limits);
    part->limits.has_concurrency = true;
    part->limits.concurrency = 8;
    part->limits.has_rate = true;
    part->limits.rate = 7;
    part->limits.has_rate_period_ms = true;
    part->limits.rate_period_ms = 60000;
    part->limits.has_queue = true;
    part->limits.queue = 100;
    redial__v1__tenant_stats__init(&part->nobody);
    part->nobody.has_weight = true;
    part->nobody.weight = 1;
    redial__v1__tenant_stats__init(&part->tenant);
    part->tenant.tenant = UNCONST("acme");
    part->tenant.has_ready = true;
    part->tenant.ready = 12;
    part->tenant.has_weight = true;
    part->tenant.weight = 3;
    part->tenant.waits_for = UNCONST("turn");
    part->tenants[0] = &part->nobody;
    part->tenants[1] = &part->tenant;
}

static void
answer_stats(void)
{
    Redial__V1__StatsResponse stats = REDIAL__V1__STATS_RESPONSE__INIT;
    Redial__V1__StateCount ready = REDIAL__V1__STATE_COUNT__INIT;
    Redial__V1__StateCount none = REDIAL__V1__STATE_COUNT__INIT;
    Redial__V1__StateCount *states[] = {&ready, &none};
    Redial__V1__MethodStats method = REDIAL__V1__METHOD_STATS__INIT;
    Redial__V1__MethodStats *methods[] = {&method};
    struct limits_part part;
    Redial__V1__Counter counter = REDIAL__V1__COUNTER__INIT;
    Redial__V1__Counter retries = REDIAL__V1__COUNTER__INIT;
    Redial__V1__Counter *counters[] = {&retries, &counter};

    ready.has_state = true;
    ready.state = REDIAL__V1__JOB__STATE__READY;
    ready.has_jobs = true;
    ready.jobs = 12;
    none.has_state = true;
    none.state = REDIAL__V1__JOB__STATE__PARKED;
    method.service = UNCONST("image.ImageGen");
    method.method = UNCONST("Generate");
    method.has_ready = true;
    method.ready = 12;
    method.has_oldest_ready_ms = true;
    method.oldest_ready_ms = 4200;
    fill_limits(&part);
    method.limits = &part.limits;
    method.waits_for = UNCONST("token");
    stats.tenants = part.tenants;
    stats.n_tenants = 2;
    retries.name = UNCONST("RETRY_PLANNED");
    retries.has_value = true;
    retries.value = 45;
    counter.name = UNCONST("jobs_accepted");
    counter.has_value = true;
    counter.value = 99;
    stats.states = states;
    stats.n_states = 2;
    stats.methods = methods;
    stats.n_methods = 1;
    stats.counters = counters;
    stats.n_counters = 2;
    stats.has_oldest_ready_ms = true;
    stats.oldest_ready_ms = 4200;
    stats.has_failed_kept = true;
    stats.failed_kept = 3;
    stats.has_projection_lag_records = true;
    stats.projection_lag_records = 120;
    stats.has_projection_lag_bytes = true;
    stats.projection_lag_bytes = 34000;
    stats.has_sync_p50_us = true;
    stats.sync_p50_us = 1234;
    stats.has_sync_p99_us = true;
    stats.sync_p99_us = 8050;
    stats.has_first_seq = true;
    stats.first_seq = 1;
    stats.has_head_seq = true;
    stats.head_seq = 5000;
    stats.epoch = UNCONST("abc");
    stats.has_uptime_ms = true;
    stats.uptime_ms = 3723000;
    fake_answer("Stats", &stats.base);
}

static void
stats_show_what_to_alert_on(void **state)
{
    (void)state;
    fake_begin("stats");
    answer_stats();
    assert_int_equal(fake_run(), EXIT_DONE);
    assert_string_equal(
        fake_out(),
        "jobs             READY 12\n"
        "oldest READY     4.2 s\n"
        "FAILED           3 kept\n"
        "projection lag   120 records, 33 KiB\n"
        "sync             p50 1.23 ms, p99 8.05 ms\n"
        "workers          0, connections 0\n"
        "payloads         0 B in memory\n"
        "events           1 to 5000 of log abc\n"
        "up               1 h 2 m\n"
        "\n"
        "METHOD                   READY  RUNNING  OLDEST  WORKERS  WAITS FOR"
        "  LIMITS\n"
        "image.ImageGen/Generate     12        0   4.2 s        0  token    "
        "  8 places, 7/min, queue 100\n"
        "\n"
        "TENANT  READY  RUNNING  WEIGHT  WAITS FOR  LIMITS\n"
        "(none)      0        0       1\n"
        "acme       12        0       3  turn\n"
        "\n"
        "DECISION       TIMES\n"
        "RETRY_PLANNED     45  the failure is retryable and all limits allow "
        "it\n");
}

static void
stats_may_show_every_counter(void **state)
{
    (void)state;
    fake_begin("stats -v");
    answer_stats();
    assert_int_equal(fake_run(), EXIT_DONE);
    assert_non_null(strstr(fake_out(), "\njobs_accepted  99\n"));
}

static void
answer_reload(bool applied)
{
    Redial__V1__ReloadResponse response = REDIAL__V1__RELOAD_RESPONSE__INIT;
    char *lines[] = {UNCONST("log.level: info, now debug")};
    char *errors[] = {UNCONST("redial.json:3: error: no")};

    response.has_applied = true;
    response.applied = applied;
    response.changes = lines;
    response.n_changes = applied ? 1 : 0;
    response.errors = errors;
    response.n_errors = applied ? 0 : 1;
    response.has_policy_version = true;
    response.policy_version = 2;
    fake_answer("Reload", &response.base);
}

static void
reload_prints_what_changed(void **state)
{
    (void)state;
    fake_begin("reload");
    answer_reload(true);
    assert_int_equal(fake_run(), EXIT_DONE);
    assert_string_equal(fake_out(), "log.level: info, now debug\n"
                                    "applied: 1 change, policy version 2\n");
}

static void
a_reload_that_is_refused_says_what_is_wrong(void **state)
{
    (void)state;
    fake_begin("reload");
    answer_reload(false);
    assert_int_equal(fake_run(), EXIT_REFUSED);
    assert_string_equal(fake_out(), "");
    assert_non_null(strstr(fake_err(), "redial.json:3: error: no\nrefused: "));
    fake_begin("reload --json");
    answer_reload(false);
    assert_int_equal(fake_run(), EXIT_REFUSED);
    assert_non_null(strstr(fake_out(), "\"applied\":false"));
}

static void
the_tool_explains_itself_without_a_gateway(void **state)
{
    (void)state;
    fake_begin("version");
    assert_int_equal(fake_run(), EXIT_DONE);
    assert_int_equal(strncmp(fake_out(), "redial ", 7), 0);
    fake_begin("version --json");
    assert_int_equal(fake_run(), EXIT_DONE);
    assert_int_equal(strncmp(fake_out(), "{\"version\":\"", 12), 0);
    fake_begin("help");
    assert_int_equal(fake_run(), EXIT_DONE);
    assert_non_null(strstr(fake_out(), "Exit codes:"));
    fake_begin("help events");
    assert_int_equal(fake_run(), EXIT_DONE);
    assert_non_null(strstr(fake_out(), "Usage: redial events"));
    fake_begin("help nothing");
    assert_int_equal(fake_run(), EXIT_USAGE);
    fake_begin("help policy explain");
    assert_int_equal(fake_run(), EXIT_DONE);
    assert_non_null(strstr(fake_out(), "Usage: redial policy explain"));
    fake_begin("help policy");
    assert_int_equal(fake_run(), EXIT_DONE);
    assert_non_null(strstr(fake_out(), "\n  policy simulate  "));
    fake_begin("help policy nothing");
    assert_int_equal(fake_run(), EXIT_USAGE);
    fake_begin("help policy_check");
    assert_int_equal(fake_run(), EXIT_USAGE);
    fake_begin("help events now");
    assert_int_equal(fake_run(), EXIT_USAGE);
    fake_begin("completion bash");
    assert_int_equal(fake_run(), EXIT_DONE);
    fake_begin("completion fish");
    assert_int_equal(fake_run(), EXIT_USAGE);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(health_exits_by_readiness),
        cmocka_unit_test(health_is_the_gateways_answer_in_json),
        cmocka_unit_test(stats_show_what_to_alert_on),
        cmocka_unit_test(stats_may_show_every_counter),
        cmocka_unit_test(reload_prints_what_changed),
        cmocka_unit_test(a_reload_that_is_refused_says_what_is_wrong),
        cmocka_unit_test(the_tool_explains_itself_without_a_gateway),
    };

    return cmocka_run_group_tests(tests, NULL, teardown);
}
