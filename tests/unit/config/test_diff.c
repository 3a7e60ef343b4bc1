/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/config/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PLUGIN(name, seed)                                             \
    "{'name': '" name "', 'plugin': 'fault', 'config': {'seed': " seed \
    "}, 'methods': [{'service': 'S'}]}"

/* The difference between two texts as it is printed. */
static bool
diff(const char *old_text, const char *new_text, const char *expected)
{
    struct loaded old;
    struct loaded new;
    struct config_report report = {0};
    struct bytes out;

    load_text(&old, old_text);
    load_text(&new, new_text);
    assert_non_null(old.config);
    assert_non_null(new.config);
    bytes_init(&out, CONFIG_TEXT_BYTES_MAX);
    bool reloadable = config_diff(old.config, new.config, &report);

    config_report_print(&report, &out);
    assert_true(bytes_append_byte(&out, 0));
    assert_string_equal((const char *)out.at, expected);
    assert_int_equal(report.errors, 0);
    bytes_fini(&out);
    config_report_fini(&report);
    loaded_fini(&old);
    loaded_fini(&new);
    return reloadable;
}

static void
what_says_the_same_is_no_change(void **state)
{
    (void)state;
    assert_true(diff("{}", "{}", ""));
    assert_true(diff("{}", "{'name': 'redial', 'drainTime': '30.0s'}", ""));
    assert_true(diff("{'methodConfig': [{'name': [{'service': 'S'},"
                     " {'service': 'T'}], 'timeout': '1s'}]}",
                     "{'methodConfig': [{'name': [{'service': 'T'}],"
                     " 'timeout': '1.0s'}, {'name': [{'service': 'S'}],"
                     " 'timeout': '1s', 'waitForReady': true}]}",
                     ""));
    assert_true(
        diff("{'plugins': [" PLUGIN("a", "1") ", " PLUGIN("b", "2") "]}",
             "{'plugins': [" PLUGIN("b", "2") ", " PLUGIN("a", "1") "]}", ""));
}

static void
what_a_reload_can_do_is_allowed(void **state)
{
    (void)state;
    assert_true(diff(
        "{}",
        "{'drainTime': '5s', 'log': {'level': 'debug'},"
        " 'retention': {'failedJobs': 7},"
        " 'defaultPolicy': {'backoffMultiplier': 1.5,"
        " 'retryableStatusCodes': [14]}}",
        "changes: drainTime: \"30s\" -> \"5s\"\n"
        "changes: log.level: \"info\" -> \"debug\"\n"
        "changes: defaultPolicy.backoffMultiplier: 2 -> 1.5\n"
        "changes: defaultPolicy.retryableStatusCodes: [\"DEADLINE_EXCEEDED\", "
        "\"RESOURCE_EXHAUSTED\", \"ABORTED\", \"UNAVAILABLE\"] -> "
        "[\"UNAVAILABLE\"]\n"
        "changes: retention.failedJobs: 100000 -> 7\n"));
}

static void
changed_policies_are_named(void **state)
{
    (void)state;
    assert_true(
        diff("{'methodConfig': [{'name': [{'service': 'A'}, {'service': 'B'},"
             " {'service': 'C', 'method': 'M'}]}]}",
             "{'methodConfig': [{'name': [{}, {'service': 'C'},"
             " {'service': 'D', 'method': 'N'}]}, {'name': [{'service': 'B'}],"
             " 'idempotent': true}, {'name': [{'service': 'A'}]}]}",
             "changes: methodConfig[{}]: none -> there\n"
             "changes: methodConfig[B]: there -> there, with another policy\n"
             "changes: methodConfig[C]: none -> there\n"
             "changes: methodConfig[C/M]: there -> none\n"
             "changes: methodConfig[D/N]: none -> there\n"));
}

static void
changed_guards_targets_and_tenants_are_named(void **state)
{
    (void)state;
    assert_true(diff(
        "{'retryThrottling': {'maxTokens': 9, 'tokenRatio': 0.1},"
        " 'targets': [{'name': 'A', 'budget': {'ratio': 1}},"
        "  {'name': 'B', 'budget': {'ratio': 1}}],"
        " 'tenants': [{'name': 'x'}, {'name': 'y'}]}",
        "{'retriesEnabled': false,"
        " 'retryThrottling': {'maxTokens': 9, 'tokenRatio': 0.25},"
        " 'budget': {'ratio': 0.5, 'minPerSecond': 3, 'window': '1.5s'},"
        " 'targets': [{'name': 'B', 'budget': {'ratio': 2}},"
        "  {'name': 'C', 'budget': {'ratio': 1}}],"
        " 'tenants': [{'weight': 1}, {'name': 'x', 'weight': 2},"
        "  {'name': 'z'}]}",
        "changes: retriesEnabled: true -> false\n"
        "changes: retryThrottling: maxTokens 9, tokenRatio 0.1 -> maxTokens "
        "9, tokenRatio 0.25\n"
        "changes: budget: none -> ratio 0.5, minPerSecond 3, window 1.5s\n"
        "changes: targets[A]: there -> none\n"
        "changes: targets[B]: there -> there, with another text\n"
        "changes: targets[C]: none -> there\n"
        "changes: tenants[*]: none -> there\n"
        "changes: tenants[x]: there -> there, with another text\n"
        "changes: tenants[y]: there -> none\n"
        "changes: tenants[z]: none -> there\n"));
}

static void
changed_breakers_are_named_by_what_they_mean(void **state)
{
    (void)state;
    assert_true(diff(
        "{'attemptTimeout': '1s', 'breaker': {}, 'targets': [{'name': 'A'}],"
        " 'methodConfig': [{'name': [{'service': 'S'}], 'breaker': {}}]}",
        "{'attemptTimeout': '1s', 'instanceBreaker': {'jitter': 0},"
        " 'breaker': {'failureThreshold': 3, 'openTimeMultiplier': 1},"
        " 'methodConfig': [{'name': [{'service': 'S'}], 'whenOpen': 'reject',"
        "  'breaker': {'probes': 2}}]}",
        "changes: methodConfig[S]: there -> there, with another policy\n"
        "changes: breaker: opens at 50 % failures of at least 20 calls in "
        "30s, for 5s to 300s -> opens after 3 failures in a row, for 60s\n"
        "changes: instanceBreaker: none -> opens at 50 % failures of at least "
        "20 calls in 30s or after 5 failures in a row, for 5s to 300s\n"
        "changes: targets[S]: there -> there, with another text\n"));
    assert_true(diff("{'attemptTimeout': '1s', 'breaker': {}}",
                     "{'attemptTimeout': '1s', 'breaker': {'parkedMax': 1}}",
                     "changes: breaker: opens at 50 % failures of at least 20 "
                     "calls in 30s, for 5s to 300s -> the same, with other "
                     "details\n"));
}

static void
a_policy_changes_with_its_target_limits_and_hedging(void **state)
{
    static const char *const texts[] = {
        "{'methodConfig': [{'name': [{'service': 'A'}], 'target': 'T'}]}",
        "{'methodConfig': [{'name': [{'service': 'A'}], 'target': 'U'}]}",
        "{'methodConfig': [{'name': [{'service': 'A'}], 'limits':"
        " {'rate': 5}}]}",
        "{'methodConfig': [{'name': [{'service': 'A'}], 'limits':"
        " {'rate': {'perMinute': 5}}}]}",
        "{'methodConfig': [{'name': [{'service': 'A'}], 'limits':"
        " {'rate': {'perMinute': 5, 'burst': 1}}}]}",
        "{'methodConfig': [{'name': [{'service': 'A'}], 'limits':"
        " {'queue': 5}}]}",
        "{'methodConfig': [{'name': [{'service': 'A'}], 'hedgingPolicy':"
        " {'maxAttempts': 2}}]}",
        "{'methodConfig': [{'name': [{'service': 'A'}], 'hedgingPolicy':"
        " {'maxAttempts': 2, 'hedgingDelay': '1s'}}]}",
    };

    (void)state;
    for (size_t i = 1; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_true(diff(texts[i - 1], texts[i],
                         "changes: methodConfig[A]: there -> there, with "
                         "another policy\n"));
    }
}

/* Both are cut to ten, and still the operator changed something. */
static void
a_change_beyond_the_limit_is_a_change(void **state)
{
    (void)state;
    assert_true(
        diff("{'methodConfig': [{'name': [{'service': 'A'}], 'retryPolicy':"
             " {'maxAttempts': 20, 'initialBackoff': '1s', 'maxBackoff': '1s',"
             " 'backoffMultiplier': 1, 'retryableStatusCodes': [14]}}]}",
             "{'methodConfig': [{'name': [{'service': 'A'}], 'retryPolicy':"
             " {'maxAttempts': 30, 'initialBackoff': '1s', 'maxBackoff': '1s',"
             " 'backoffMultiplier': 1, 'retryableStatusCodes': [14]}}]}",
             "changes: methodConfig[A]: there -> there, with another "
             "policy\n"));
}

static void
what_needs_a_restart_is_refused(void **state)
{
    (void)state;
    assert_false(diff("{}", "{'limits': {'jobsMax': 5}, 'drainTime': '5s'}",
                      "changes: drainTime: \"30s\" -> \"5s\"\n"
                      "needs a restart: limits.jobsMax: 1100000 -> 5\n"));
    assert_false(diff("{}", "{'store': {'dir': '/x', 'ephemeral': true}}",
                      "needs a restart: store.dir: \"/var/lib/redial\" -> "
                      "\"/x\"\n"
                      "needs a restart: store.ephemeral: false -> true\n"));
    assert_false(diff("{}",
                      "{'listeners': [{'url': 'ipc:///a', 'role': 'agent'}]}",
                      "needs a restart: listeners: 3 of them -> 1 of them\n"));
    assert_false(
        diff("{'plugins': [" PLUGIN("a", "1") ", " PLUGIN("b", "1") "]}",
             "{'plugins': [" PLUGIN("b", "2") ", " PLUGIN("c", "1") "]}",
             "needs a restart: plugins[a]: there -> none\n"
             "needs a restart: plugins[b]: there -> there, with "
             "another text\n"
             "needs a restart: plugins[c]: none -> there\n"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_says_the_same_is_no_change),
        cmocka_unit_test(what_a_reload_can_do_is_allowed),
        cmocka_unit_test(changed_policies_are_named),
        cmocka_unit_test(changed_guards_targets_and_tenants_are_named),
        cmocka_unit_test(changed_breakers_are_named_by_what_they_mean),
        cmocka_unit_test(a_policy_changes_with_its_target_limits_and_hedging),
        cmocka_unit_test(a_change_beyond_the_limit_is_a_change),
        cmocka_unit_test(what_needs_a_restart_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, folder_fini);
}
