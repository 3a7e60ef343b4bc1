/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is printed: the effective configuration, which must load again, and the
 * files in deploy/ that are made from the tables. With REDIAL_UPDATE=1 in the
 * environment those files are written instead of compared.
 */
#include "server/config/object.h"
#include "server/config/param.h"
#include "tests/unit/config/fixture.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char full[] =
    "{'name': 'g', 'drainTime': '0.5s', 'store': {'ephemeral': true},"
    " 'limits': {'jobsMax': 7, 'bufferBytesMax': '1GiB'},"
    " 'defaultPolicy': {'backoffMultiplier': 1.125, 'jitter': 'equal',"
    "  'retryableStatusCodes': ['unavailable', 10]},"
    " 'maxAttemptsLimit': 4,"
    " 'listeners': [{'url': 'ipc:///a', 'role': 'agent', 'mode': '660'},"
    "  {'url': 'tls+tcp://*:1', 'role': 'worker', 'allowRemote': true,"
    "   'tls': {'cert': '/c', 'key': '/k', 'ca': '/a'}},"
    "  {'url': 'tls+tcp://*:2', 'role': 'worker', 'allowRemote': true,"
    "   'tls': {'cert': '/c', 'key': '/k'}}],"
    " 'plugins': [{'name': 'p', 'plugin': 'exec', 'concurrency': 2,"
    "  'methods': [{'service': 'S', 'method': 'M'}, {'service': 'T',"
    "   'concurrency': 1}], 'config': {'argv': ['/bin/x', '-a \\'b\\' , {}'],"
    "   'n': 1.10, 'e': {}, 'l': [], 'd': [[1, {'k': null}], true]}}],"
    " 'retriesEnabled': false,"
    " 'retryThrottling': {'maxTokens': 1000, 'tokenRatio': 0.001},"
    " 'budget': {'ratio': 0.125, 'minPerSecond': 0, 'window': '1s'},"
    " 'targets': [{'name': 'B', 'retryThrottling':"
    "   {'maxTokens': 1, 'tokenRatio': 999.999}}, {'name': 'A', 'budget':"
    "   {'ratio': 10}}, {'name': 'B', 'budget': {'ratio': 0}}],"
    " 'tenants': [{'name': 'b', 'weight': 1000, 'limits': {'rate': 7,"
    "   'queue': 10000000, 'concurrency': 1000000}}, {'name': '*',"
    "   'weight': 2, 'limits': {'rate': {'perMinute': 5, 'burst': 6}}},"
    "   {'name': 'a/b'}],"
    " 'methodConfig': [{'name': [{}], 'timeout': '3s'},"
    "  {'name': [{'service': 'H'}], 'target': 'A', 'idempotent': true,"
    "   'budget': {'ratio': 10}, 'limits': {'rate': {'perSecond': 3}},"
    "   'hedgingPolicy': {'maxAttempts': 30, 'hedgingDelay': '0.25s',"
    "    'nonFatalStatusCodes': ['unavailable', 10]}},"
    "  {'name': [{'service': 'H', 'method': 'M'}], 'idempotent': true,"
    "   'limits': {'queue': 1, 'rate': {'perMinute': 1000000, 'burst': 1}},"
    "   'hedgingPolicy': {'maxAttempts': 2}},"
    "  {'name': [{'service': 'T'}, {'service': 'S', 'method': 'M'}],"
    "   'waitForReady': false, 'attemptTimeout': '1s', 'maxPushback': '0s',"
    "   'idempotent': false, 'retryIndeterminate': true,"
    "   'limits': {'concurrency': 5}, 'retryPolicy': {'maxAttempts': 9,"
    "    'initialBackoff': '0.0001s', 'maxBackoff': '315576000000s',"
    "    'backoffMultiplier': 1.6000000000000003, 'jitter': 'full',"
    "    'retryableStatusCodes': [14, 'ABORTED'], 'retryableReasons':"
    "    ['A'], 'nonRetryableReasons': ['B', 'C']}},"
    "  {'name': [{'service': 'R'}], 'idempotent': true, 'retryPolicy':"
    "   {'maxAttempts': 2, 'initialBackoff': '1s', 'maxBackoff': '1s',"
    "    'backoffMultiplier': 2, 'retryableReasons': ['A']}}],"
    " 'breaker': {'slowRate': 0.3, 'slowCall': '3s', 'parkedMax': 7,"
    "  'failureCodes': ['INTERNAL'], 'mode': 'metricsOnly'},"
    " 'instanceBreaker': {'maxEjected': 0.25}}";

/* Loads what was printed; it must say the same in every respect. */
static void
assert_round_trip(struct loaded *first)
{
    struct loaded second;
    struct config_report difference = {0};
    char *printed = strdup(loaded_print(first));
    FILE *file = fopen(folder_path("printed.json"), "w");

    assert_non_null(printed);
    assert_non_null(file);
    assert_true(fputs(printed, file) >= 0);
    assert_int_equal(fclose(file), 0);
    load_sources(&second, &(struct config_sources){
                              .file = folder_path("printed.json"),
                          });
    if (second.status != REDIAL_OK) {
        fail_msg("%s", loaded_report(&second));
    }
    assert_true(config_diff(first->config, second.config, &difference));
    assert_int_equal(difference.count, 0);
    assert_string_equal(loaded_print(&second), printed);
    assert_int_equal(second.config->policy.fallback.retry.attempts_clamped,
                     first->config->policy.fallback.retry.attempts_clamped);
    config_report_fini(&difference);
    loaded_fini(&second);
    free(printed);
}

static void
what_is_printed_loads_again(void **state)
{
    struct loaded loaded;

    (void)state;
    load_text(&loaded, "{}");
    assert_round_trip(&loaded);
    loaded_fini(&loaded);
    load_text(&loaded, full);
    if (loaded.status != REDIAL_OK) {
        fail_msg("%s", loaded_report(&loaded));
    }
    assert_round_trip(&loaded);
    loaded_fini(&loaded);
}

static void
nothing_is_left_out_of_the_print(void **state)
{
    struct loaded loaded;

    (void)state;
    load_text(&loaded, full);
    const char *text = loaded_print(&loaded);

    for (size_t i = 0; i < PARAM_COUNT; i++) {
        char key[64];

        (void)snprintf(key, sizeof(key),
                       "\"%s\": ", param_leaf(&param_table[i]));
        assert_non_null(strstr(text, key));
    }
    for (unsigned i = 0; i < FIELD_COUNT; i++) {
        char key[64];

        (void)snprintf(key, sizeof(key), "\"%s\": ", field_table[i].name);
        if (field_table[i].status <= FIELD_STATUS_OPTIONAL &&
            i != FIELD_ROOT_SCHEMA &&
            i != FIELD_RETRY_POLICY_PER_ATTEMPT_TIMEOUT &&
            i != FIELD_BREAKER_FAILURE_THRESHOLD) {
            assert_non_null(strstr(text, key));
        }
    }
    loaded_fini(&loaded);
}

static void
a_plugin_s_configuration_is_only_laid_out_anew(void **state)
{
    struct loaded loaded;

    (void)state;
    load_text(&loaded, full);
    assert_non_null(strstr(loaded_print(&loaded),
                           "      \"config\": {\n"
                           "        \"argv\": [\n"
                           "          \"/bin/x\",\n"
                           "          \"-a \\\"b\\\" , {}\"\n"
                           "        ],\n"
                           "        \"n\": 1.10,\n"
                           "        \"e\": {},\n"
                           "        \"l\": [],\n"
                           "        \"d\": [\n"
                           "          [\n"
                           "            1,\n"
                           "            {\n"
                           "              \"k\": null\n"
                           "            }\n"
                           "          ],\n"
                           "          true\n"
                           "        ]\n"
                           "      }\n"));
    loaded_fini(&loaded);
}

static void
the_policy_part_stands_alone(void **state)
{
    struct loaded loaded;
    struct loaded again;
    struct bytes out;

    (void)state;
    load_text(&loaded, full);
    bytes_init(&out, CONFIG_TEXT_BYTES_MAX);
    config_policy_print(loaded.config, &out);
    assert_true(bytes_append_byte(&out, 0));
    assert_null(strstr((const char *)out.at, "listeners"));
    load_text(&again, (const char *)out.at);
    assert_int_equal(again.status, REDIAL_OK);
    char *first = strdup((const char *)out.at);

    assert_non_null(first);
    bytes_clear(&out);
    config_policy_print(again.config, &out);
    assert_true(bytes_append_byte(&out, 0));
    assert_string_equal((const char *)out.at, first);
    free(first);
    assert_true(again.config->policy.retries_off);
    assert_int_equal(again.config->policy.target_count, 2);
    assert_int_equal(again.config->policy.tenant_count, 2);
    assert_int_equal(again.config->policy.tenant_fallback.limits.burst, 6);
    assert_non_null(strstr((const char *)out.at, "\"maxAttempts\": 9"));
    assert_int_equal(again.config->policy.method_count, 5);
    bytes_fini(&out);
    loaded_fini(&again);
    loaded_fini(&loaded);
}

static const char *
source_path(const char *name)
{
    static char path[1024];
    const char *source = getenv("REDIAL_SOURCE_DIR");

    assert_non_null(source);
    (void)snprintf(path, sizeof(path), "%s/deploy/%s", source, name);
    return path;
}

/* The file holds exactly what is printed. */
static void
assert_in_step(const char *name, void (*print)(struct bytes *out))
{
    const char *path = source_path(name);
    bool update = getenv("REDIAL_UPDATE") != NULL;
    FILE *file = fopen(path, update ? "w" : "r");
    struct bytes out;

    bytes_init(&out, CONFIG_TEXT_BYTES_MAX);
    print(&out);
    assert_false(out.failed);
    assert_non_null(file);
    if (update) {
        assert_int_equal(fwrite(out.at, 1, out.len, file), out.len);
    } else {
        char *held = malloc(out.len + 1);

        assert_non_null(held);
        if (fread(held, 1, out.len + 1, file) != out.len ||
            memcmp(held, out.at, out.len) != 0) {
            fail_msg("%s is not in step with the tables: run this test with "
                     "REDIAL_UPDATE=1",
                     path);
        }
        free(held);
    }
    assert_int_equal(fclose(file), 0);
    bytes_fini(&out);
}

static void
the_schema_is_in_step(void **state)
{
    (void)state;
    assert_in_step("redial.schema.json", config_schema_print);
}

static void
the_reference_page_is_in_step(void **state)
{
    (void)state;
    assert_in_step("configuration.md", config_reference_print);
}

static void
every_example_is_good(void **state)
{
    DIR *directory = opendir(source_path("examples"));
    const struct dirent *entry;
    int count = 0;

    (void)state;
    assert_non_null(directory);
    while ((entry = readdir(directory)) != NULL) {
        char name[512];
        struct loaded loaded;

        if (entry->d_name[0] == '.') {
            continue;
        }
        (void)snprintf(name, sizeof(name), "examples/%s", entry->d_name);
        load_sources(&loaded, &(struct config_sources){
                                  .file = source_path(name),
                              });
        if (loaded.status != REDIAL_OK || loaded.report.count > 0) {
            fail_msg("%s", loaded_report(&loaded));
        }
        assert_round_trip(&loaded);
        loaded_fini(&loaded);
        count++;
    }
    (void)closedir(directory);
    assert_true(count >= 6);
}

static void
words_have_names(void **state)
{
    (void)state;
    assert_string_equal(config_role_name(CONFIG_ROLE_AGENT), "agent");
    assert_string_equal(config_role_name(CONFIG_ROLE_WORKER), "worker");
    assert_string_equal(config_role_name(CONFIG_ROLE_ADMIN), "admin");
    assert_string_equal(config_log_level_name(CONFIG_LOG_DEBUG), "debug");
    assert_string_equal(config_log_level_name(CONFIG_LOG_INFO), "info");
    assert_string_equal(config_log_level_name(CONFIG_LOG_WARN), "warn");
    assert_string_equal(config_log_level_name(CONFIG_LOG_ERROR), "error");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_printed_loads_again),
        cmocka_unit_test(nothing_is_left_out_of_the_print),
        cmocka_unit_test(a_plugin_s_configuration_is_only_laid_out_anew),
        cmocka_unit_test(the_policy_part_stands_alone),
        cmocka_unit_test(the_schema_is_in_step),
        cmocka_unit_test(the_reference_page_is_in_step),
        cmocka_unit_test(every_example_is_good),
        cmocka_unit_test(words_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, folder_fini);
}
