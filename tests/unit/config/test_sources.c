/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/config/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* As much of the sources as a test uses. */
static void
load_with(struct loaded *loaded, const char *const *environment,
          const char *const *sets, size_t set_count)
{
    load_sources(loaded, &(struct config_sources){
                             .no_files = true,
                             .environment = ENVIRONMENT(environment),
                             .sets = sets,
                             .set_count = set_count,
                         });
}

static void
without_sources_there_are_defaults(void **state)
{
    struct loaded loaded;

    (void)state;
    load_with(&loaded, NULL, NULL, 0);
    assert_int_equal(loaded.status, REDIAL_OK);
    assert_int_equal(loaded.report.count, 0);
    const struct config *config = loaded.config;

    assert_string_equal(config->name, "redial");
    assert_string_equal(config->store_dir, "/var/lib/redial");
    assert_int_equal(config->limits_jobs_max, 1100000);
    assert_int_equal(config->worker_lease_ms, 10000);
    assert_int_equal(config->retention_failed_time_ms, 7u * 86400000);
    assert_int_equal(config->listener_count, 3);
    assert_string_equal(config->listeners[0].url,
                        "ipc:///run/redial/agent.sock");
    assert_string_equal(config->listeners[1].url,
                        "ipc:///run/redial/worker.sock");
    assert_int_equal(config->listeners[2].role, CONFIG_ROLE_ADMIN);
    assert_int_equal(config->listeners[2].mode, 0600);
    assert_int_equal(config->plugin_count, 0);
    assert_int_equal(config->policy.method_count, 0);
    loaded_fini(&loaded);
}

static void
a_later_source_wins(void **state)
{
    static const char *const environment[] = {
        "REDIAL_LIMITS_WORKERS_MAX=4",
        "REDIAL_LIMITS_METHODS_MAX=4",
        NULL,
    };
    static const char *const sets[] = {"limits.methodsMax=5"};
    struct loaded loaded;

    (void)state;
    folder_write("redial.json",
                 "{'limits': {'jobsMax': 1, 'keysMax': 1, 'tenantsMax': 1,"
                 " 'workersMax': 1, 'methodsMax': 1}}");
    folder_write("conf.d/20-b.json",
                 "{'limits': {'tenantsMax': 3, 'workersMax': 3}}");
    folder_write("conf.d/10-a.json",
                 "{'limits': {'keysMax': 2, 'tenantsMax': 2}}");
    folder_write("conf.d/.hidden.json", "{'limits': {'jobsMax': 9}}");
    folder_write("conf.d/30-c.txt", "{'limits': {'jobsMax': 9}}");
    load_sources(&loaded, &(struct config_sources){
                              .file = folder_path("redial.json"),
                              .environment = ENVIRONMENT(environment),
                              .sets = sets,
                              .set_count = 1,
                              .policy_version = 7,
                          });
    assert_string_equal(loaded_report(&loaded), "");
    assert_int_equal(loaded.config->limits_jobs_max, 1);
    assert_int_equal(loaded.config->limits_keys_max, 2);
    assert_int_equal(loaded.config->limits_tenants_max, 3);
    assert_int_equal(loaded.config->limits_workers_max, 4);
    assert_int_equal(loaded.config->limits_methods_max, 5);
    assert_int_equal(config_policy(loaded.config)->version, 7);
    loaded_fini(&loaded);
    folder_remove("conf.d/20-b.json");
    folder_remove("conf.d/10-a.json");
    folder_remove("conf.d/.hidden.json");
    folder_remove("conf.d/30-c.txt");
}

static void
policies_and_plugins_come_together(void **state)
{
    struct loaded loaded;

    (void)state;
    folder_write("redial.json",
                 "{'methodConfig': [{'name': [{'service': 'S'}]}],"
                 " 'plugins': [{'name': 'a', 'plugin': 'exec',"
                 " 'methods': [{'service': 'S'}]}],"
                 " 'listeners': [{'url': 'ipc:///a', 'role': 'agent'}]}");
    folder_write("conf.d/a.json",
                 "{'methodConfig': [{'name': [{'service': 'T'}]},\n"
                 " {'name': [{'service': 'S'}]}],"
                 " 'plugins': [{'name': 'b', 'plugin': 'exec',"
                 " 'methods': [{'service': 'T'}]}, {'name': 'a',"
                 " 'plugin': 'exec', 'methods': [{'service': 'T'}]}],"
                 " 'listeners': [{'url': 'ipc:///b', 'role': 'agent'},"
                 " {'url': 'ipc:///a', 'role': 'worker'}]}");
    load_sources(&loaded, &(struct config_sources){
                              .file = folder_path("redial.json"),
                          });
    assert_string_equal(
        loaded_report(&loaded),
        "conf.d/a.json:2: error: plugins[1].name: found \"a\"; allowed: a name "
        "that no other plugin has\n"
        "conf.d/a.json:2: error: methodConfig[1].name[0]: found S; allowed: "
        "each name once (see methodConfig[0].name[0] in redial.json, line "
        "1)\n");
    loaded_fini(&loaded);
    folder_write("conf.d/a.json",
                 "{'methodConfig': [{'name': [{'service': 'T'}]}],"
                 " 'plugins': [{'name': 'b', 'plugin': 'exec',"
                 " 'methods': [{'service': 'T'}]}],"
                 " 'listeners': [{'url': 'ipc:///b', 'role': 'agent'}]}");
    load_sources(&loaded, &(struct config_sources){
                              .file = folder_path("redial.json"),
                          });
    assert_int_equal(loaded.status, REDIAL_OK);
    assert_int_equal(loaded.config->policy.method_count, 2);
    assert_int_equal(loaded.config->plugin_count, 2);
    assert_int_equal(loaded.config->listener_count, 1);
    assert_string_equal(loaded.config->listeners[0].url, "ipc:///b");
    loaded_fini(&loaded);
    folder_remove("conf.d/a.json");
}

static void
errors_of_all_sources_come_together(void **state)
{
    static const char *const environment[] = {
        "REDIAL_LIMITS_KEYS_MAX=none",
        "REDIAL_DRAIN_TIME=5",
        "REDIAL_METHOD_CONFIG=[{",
        NULL,
    };
    static const char *const sets[] = {
        "limits.jobsMx=5", "log.level=Info", "name", "a.b.c=1", "=1",
    };
    struct loaded loaded;

    (void)state;
    folder_write("redial.json", "{'limits': {'jobsMax': 0}}");
    folder_write("conf.d/a.json", "{\n'limits': {'jobsMax': 0}");
    load_sources(&loaded, &(struct config_sources){
                              .file = folder_path("redial.json"),
                              .environment = ENVIRONMENT(environment),
                              .sets = sets,
                              .set_count = 5,
                          });
    assert_string_equal(
        loaded_report(&loaded),
        "redial.json:1: error: limits.jobsMax: found 0; allowed: an integer "
        "from 1 to 10000000\n"
        "conf.d/a.json:1: error: column 1: not closed\n"
        "REDIAL_DRAIN_TIME: error: drainTime: found \"5\"; allowed: a duration "
        "from \"0s\" to \"3600s\", such as \"1.5s\"\n"
        "REDIAL_LIMITS_KEYS_MAX: error: limits.keysMax: found \"none\"; "
        "allowed: an integer from 1 to 10000000\n"
        "--set limits.jobsMx: error: limits.jobsMx: found an unknown field; "
        "allowed: a known field; did you mean \"jobsMax\"?\n"
        "--set log.level: error: log.level: found \"Info\"; allowed: one of "
        "\"debug\", \"info\", \"warn\", \"error\"\n"
        "--set name: error: without a value: path=value\n"
        "--set a.b.c: error: a: found an unknown field; allowed: a known "
        "field\n"
        "--set : error: [\"\"]: found an unknown field; allowed: a known "
        "field\n"
        "REDIAL_METHOD_CONFIG: error: methodConfig: found \"[{\"; allowed: an "
        "array of 0 to 65536 objects\n");
    loaded_fini(&loaded);
    folder_remove("conf.d/a.json");
}

static void
variables_are_plain_text(void **state)
{
    static const char *const environment[] = {
        "REDIAL_NAME=gate-\"7\"",
        "REDIAL_STORE_EPHEMERAL=true",
        "REDIAL_STORE_DIR=",
        "REDIAL_LIMITS_BUFFER_BYTES_MAX=1GiB",
        "REDIAL_LIMITS_QUEUED_BYTES_MAX=16777216",
        "REDIAL_DEFAULT_POLICY_MAX_ATTEMPTS=7",
        "REDIAL_DEFAULT_POLICY_INITIAL_BACKOFF=0.25s",
        "REDIAL_DEFAULT_POLICY_MAX_BACKOFF=5s",
        "REDIAL_DEFAULT_POLICY_BACKOFF_MULTIPLIER=1.5",
        "REDIAL_DEFAULT_POLICY_RETRYABLE_STATUS_CODES=aborted, 14,Internal",
        "REDIAL_DEFAULT_POLICY_JITTER=full",
        "REDIAL_LISTENERS=[{\"url\":\"ipc:///x\",\"role\":\"worker\"}]",
        "REDIAL_METHOD_CONFIG=[{\"name\":[{\"service\":\"S\"}]}]",
        "REDIAL_RETRIES_ENABLED=false",
        "REDIAL_RETRY_THROTTLING={\"maxTokens\":9,\"tokenRatio\":0.5}",
        "REDIAL_BUDGET={\"ratio\":0.25}",
        "REDIAL_TARGETS=[{\"name\":\"T\",\"budget\":{\"ratio\":1}}]",
        "REDIAL_TENANTS=[{\"name\":\"a\",\"weight\":7}]",
        NULL,
    };
    static const char *const sets[] = {
        "defaultPolicy.retryableStatusCodes=[\"ABORTED\"]",
    };
    struct loaded loaded;

    (void)state;
    load_with(&loaded, environment, NULL, 0);
    assert_string_equal(loaded_report(&loaded), "");
    const struct config *config = loaded.config;
    const struct retry_policy *retry = &config->policy.fallback.retry;

    assert_true(config->policy.retries_off);
    assert_int_equal(config->policy.target_fallback.tokens_max_milli, 9000);
    assert_int_equal(config->policy.target_fallback.budget_ratio_milli, 250);
    assert_int_equal(config->policy.targets[0].budget_ratio_milli, 1000);
    assert_int_equal(config->policy.tenants[0].weight, 7);
    assert_string_equal(config->name, "gate-\"7\"");
    assert_true(config->store_ephemeral);
    assert_string_equal(config->store_dir, "/var/lib/redial");
    assert_int_equal(config->limits_buffer_bytes_max, 1073741824);
    assert_int_equal(retry->max_attempts, 7);
    assert_int_equal(retry->initial_backoff_ms, 250);
    assert_int_equal(retry->max_backoff_ms, 5000);
    assert_true(retry->backoff_multiplier == 1.5);
    assert_int_equal(retry->jitter, JITTER_FULL);
    assert_int_equal(retry->retryable_codes, 1u << REDIAL_ABORTED |
                                                 1u << REDIAL_UNAVAILABLE |
                                                 1u << REDIAL_INTERNAL);
    assert_int_equal(config->listener_count, 1);
    assert_int_equal(config->listeners[0].role, CONFIG_ROLE_WORKER);
    assert_int_equal(config->policy.method_count, 1);
    loaded_fini(&loaded);
    load_with(&loaded, environment, sets, 1);
    assert_int_equal(loaded.config->policy.fallback.retry.retryable_codes,
                     1u << REDIAL_ABORTED);
    loaded_fini(&loaded);
}

static void
an_empty_list_of_codes_is_refused(void **state)
{
    static const char *const environment[] = {
        "REDIAL_DEFAULT_POLICY_RETRYABLE_STATUS_CODES=,",
        NULL,
    };
    struct loaded loaded;

    (void)state;
    load_with(&loaded, environment, NULL, 0);
    assert_string_equal(loaded_issues(&loaded, "defaultPolicy"),
                        "!retryableStatusCodes");
    loaded_fini(&loaded);
}

/* Orchestrators inject variables of their own; clients have theirs. */
static void
only_near_misses_of_variables_are_told(void **state)
{
    static const char *const environment[] = {
        "REDIAL_SERVICE_HOST=10.0.0.1",
        "REDIAL_PORT_7400_TCP=tcp://10.0.0.1:7400",
        "REDIAL_SOURCE_DIR=/src",
        "REDIAL_JOB_ID=5",
        "REDIAL_LIMITS_JOBSMAX=5",
        "REDIAL_STOREDIR=/x",
        "REDIAL_LOG_LEVL=debug",
        "REDIALNAME=x",
        "PATH=/bin",
        NULL,
    };
    struct loaded loaded;

    (void)state;
    load_with(&loaded, environment, NULL, 0);
    assert_int_equal(loaded.status, REDIAL_OK);
    assert_string_equal(
        loaded_report(&loaded),
        "REDIAL_LIMITS_JOBSMAX: warning: found an unknown variable; ignored; "
        "did you mean REDIAL_LIMITS_JOBS_MAX?\n"
        "REDIAL_STOREDIR: warning: found an unknown variable; ignored; did you "
        "mean REDIAL_STORE_DIR?\n"
        "REDIAL_LOG_LEVL: warning: found an unknown variable; ignored; did you "
        "mean REDIAL_LOG_LEVEL?\n");
    loaded_fini(&loaded);
}

static void
directories_of_the_machine_are_defaults(void **state)
{
    static const char *const both[] = {
        "XDG_RUNTIME_DIR=/run/user/1000",
        "RUNTIME_DIRECTORY=/run/redial-a",
        "STATE_DIRECTORY=/var/lib/redial-a",
        NULL,
    };
    static const char *const session[] = {"XDG_RUNTIME_DIR=/run/user/1000",
                                          NULL};
    static const char *const odd[] = {
        "XDG_RUNTIME_DIR=relative",
        "STATE_DIRECTORY=a:b",
        NULL,
    };
    static const char *const sets[] = {
        "runtimeDir=/run/redial",
        "store.dir=/var/lib/redial",
    };
    struct loaded loaded;

    (void)state;
    load_with(&loaded, both, NULL, 0);
    assert_string_equal(loaded.config->runtime_dir, "/run/redial-a");
    assert_string_equal(loaded.config->store_dir, "/var/lib/redial-a");
    assert_string_equal(loaded.config->listeners[0].url,
                        "ipc:///run/redial-a/agent.sock");
    loaded_fini(&loaded);
    load_with(&loaded, session, NULL, 0);
    assert_string_equal(loaded.config->runtime_dir, "/run/user/1000/redial");
    loaded_fini(&loaded);
    load_with(&loaded, odd, NULL, 0);
    assert_string_equal(loaded.config->runtime_dir, "/run/redial");
    assert_string_equal(loaded.config->store_dir, "/var/lib/redial");
    loaded_fini(&loaded);
    load_with(&loaded, both, sets, 2);
    assert_string_equal(loaded.config->runtime_dir, "/run/redial");
    assert_string_equal(loaded.config->store_dir, "/var/lib/redial");
    loaded_fini(&loaded);
}

static void
a_program_without_breakers_of_instances_says_so(void **state)
{
    struct loaded loaded;

    (void)state;
    folder_write("redial.json", "{\"instanceBreaker\": {}}");
    load_sources(&loaded, &(struct config_sources){
                              .file = folder_path("redial.json"),
                              .no_instances = true,
                          });
    assert_int_equal(loaded.status, REDIAL_INVALID_ARGUMENT);
    assert_string_equal(
        loaded_report(&loaded),
        "redial.json:1: error: instanceBreaker: found an object; allowed: "
        "nothing: not supported by this version\n");
    loaded_fini(&loaded);
}

static void
what_is_named_must_be_there(void **state)
{
    struct loaded loaded;

    (void)state;
    load_sources(&loaded, &(struct config_sources){
                              .file = folder_path("missing.json"),
                          });
    assert_int_equal(loaded.status, REDIAL_NOT_FOUND);
    assert_string_equal(loaded_report(&loaded),
                        "missing.json: error: cannot be read: No such file or "
                        "directory\n");
    loaded_fini(&loaded);
    folder_write("redial.json", "{}");
    load_sources(&loaded, &(struct config_sources){
                              .file = folder_path("redial.json"),
                              .fragments = folder_path("missing.d"),
                          });
    assert_int_equal(loaded.status, REDIAL_NOT_FOUND);
    loaded_fini(&loaded);
    load_sources(&loaded, &(struct config_sources){.file = folder()});
    assert_int_equal(loaded.status, REDIAL_NOT_FOUND);
    loaded_fini(&loaded);
}

static void
fragments_are_bounded(void **state)
{
    struct loaded loaded;
    char name[64];

    (void)state;
    folder_write("redial.json", "{}");
    for (int count = 0; count <= CONFIG_FRAGMENTS_MAX; count++) {
        (void)snprintf(name, sizeof(name), "conf.d/%03d.json", count);
        folder_write(name, "{}");
        if (count < CONFIG_FRAGMENTS_MAX - 1) {
            continue;
        }
        load_sources(&loaded, &(struct config_sources){
                                  .file = folder_path("redial.json"),
                              });
        assert_int_equal(loaded.status, count == CONFIG_FRAGMENTS_MAX
                                            ? REDIAL_INVALID_ARGUMENT
                                            : REDIAL_OK);
        loaded_fini(&loaded);
    }
    for (int count = 0; count <= CONFIG_FRAGMENTS_MAX; count++) {
        (void)snprintf(name, sizeof(name), "conf.d/%03d.json", count);
        folder_remove(name);
    }
}

static void
check_is_load_without_the_configuration(void **state)
{
    static const char *const sets[] = {"limits.jobsMax=0"};
    struct config_sources sources = {.no_files = true};
    struct config_report report = {0};

    (void)state;
    assert_int_equal(config_check(&sources, &report), REDIAL_OK);
    assert_int_equal(report.count, 0);
    sources.sets = sets;
    sources.set_count = 1;
    assert_int_equal(config_check(&sources, &report), REDIAL_INVALID_ARGUMENT);
    assert_int_equal(report.errors, 1);
    /* What is in the report already does not count against the next. */
    sources.set_count = 0;
    assert_int_equal(config_check(&sources, &report), REDIAL_OK);
    assert_int_equal(report.errors, 1);
    config_report_fini(&report);
    config_free(NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_sources_there_are_defaults),
        cmocka_unit_test(a_later_source_wins),
        cmocka_unit_test(policies_and_plugins_come_together),
        cmocka_unit_test(errors_of_all_sources_come_together),
        cmocka_unit_test(variables_are_plain_text),
        cmocka_unit_test(an_empty_list_of_codes_is_refused),
        cmocka_unit_test(only_near_misses_of_variables_are_told),
        cmocka_unit_test(directories_of_the_machine_are_defaults),
        cmocka_unit_test(a_program_without_breakers_of_instances_says_so),
        cmocka_unit_test(what_is_named_must_be_there),
        cmocka_unit_test(fragments_are_bounded),
        cmocka_unit_test(check_is_load_without_the_configuration),
    };

    return cmocka_run_group_tests(tests, NULL, folder_fini);
}
