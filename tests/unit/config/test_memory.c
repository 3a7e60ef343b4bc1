/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every allocation of a load fails once: nothing leaks, and what is loaded is
 * whole or refused. The linker sends our allocations here (--wrap), cJSON's
 * come by its hooks.
 */
#include "server/config/lint.h"
#include "tests/unit/config/fixture.h"

#include <cjson/cJSON.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void *
__real_malloc(size_t size);
void *
__real_calloc(size_t count, size_t size);
void *
__real_realloc(void *old, size_t size);
char *
__real_strdup(const char *text);

void *
__wrap_malloc(size_t size);
void *
__wrap_calloc(size_t count, size_t size);
void *
__wrap_realloc(void *old, size_t size);
char *
__wrap_strdup(const char *text);

static long countdown = -1; /* 0: the next allocation fails; -1: none */
static bool has_failed;

static bool
fails_now(void)
{
    if (countdown < 0) {
        return false;
    }
    if (countdown-- > 0) {
        return false;
    }
    has_failed = true;
    return true;
}

void *
__wrap_malloc(size_t size)
{
    return fails_now() ? NULL : __real_malloc(size);
}

void *
__wrap_calloc(size_t count, size_t size)
{
    return fails_now() ? NULL : __real_calloc(count, size);
}

void *
__wrap_realloc(void *old, size_t size)
{
    return fails_now() ? NULL : __real_realloc(old, size);
}

char *
__wrap_strdup(const char *text)
{
    return fails_now() ? NULL : __real_strdup(text);
}

static const char text[] =
    "{'name': 'g', 'store': {'dir': '/s'}, 'loadBalancingPolicy': 'x',"
    " 'listeners': [{'url': 'tls+tcp://*:1', 'role': 'agent',"
    "  'allowRemote': true, 'tls': {'cert': '/c', 'key': '/k'}}],"
    " 'plugins': [{'name': 'p', 'plugin': 'exec',"
    "  'methods': [{'service': 'S'}], 'config': {'a': [1, 2]}}],"
    " 'retryThrottling': {'maxTokens': 9, 'tokenRatio': 0.1},"
    " 'targets': [{'name': 'T', 'budget': {'ratio': 0.1}, 'breaker': {}}],"
    " 'breaker': {'slowRate': 0.5, 'slowCall': '1s'}, 'instanceBreaker': {},"
    " 'tenants': [{'name': 'a', 'limits': {'rate': 5}}, {'weight': 2}],"
    " 'methodConfig': [{'name': [{'service': 'H'}], 'target': 'U',"
    "  'budget': {'ratio': 1}, 'hedgingPolicy': {'maxAttempts': 2}},"
    "  {'name': [{'service': 'S'}, {}], 'retryPolicy':"
    "  {'maxAttempts': 20, 'initialBackoff': '1s', 'maxBackoff': '9s',"
    "   'backoffMultiplier': 2, 'retryableStatusCodes': [14],"
    "   'retryableReasons': ['A']}}]}";

static void
load_all(struct loaded *loaded)
{
    static const char *const environment[] = {
        "REDIAL_LIMITS_JOBS_MAX=5",
        "REDIAL_NAM=x",
        "XDG_RUNTIME_DIR=/run/user/1",
        NULL,
    };
    static const char *const sets[] = {"log.level=debug"};

    load_sources(loaded, &(struct config_sources){
                             .file = folder_path("redial.json"),
                             .environment = ENVIRONMENT(environment),
                             .sets = sets,
                             .set_count = 1,
                         });
}

static void
a_load_survives_every_failing_allocation(void **state)
{
    struct cJSON_Hooks hooks = {.malloc_fn = __wrap_malloc, .free_fn = free};
    struct loaded whole;
    long steps = 0;

    (void)state;
    cJSON_InitHooks(&hooks);
    folder_write("redial.json", text);
    folder_write("conf.d/a.json", "{'drainTime': '1s'}");
    load_all(&whole);
    assert_int_equal(whole.status, REDIAL_OK);
    const char *expected = loaded_print(&whole);

    do {
        struct loaded loaded;

        has_failed = false;
        countdown = steps++;
        load_all(&loaded);
        countdown = -1;
        if (loaded.status == REDIAL_OK) {
            assert_string_equal(loaded_print(&loaded), expected);
        } else {
            assert_true(loaded.report.errors > 0 ||
                        loaded.status == REDIAL_RESOURCE_EXHAUSTED);
        }
        loaded_fini(&loaded);
    } while (has_failed);
    assert_true(steps > 100);
    loaded_fini(&whole);
    cJSON_InitHooks(NULL);
}

static void
a_refusal_survives_every_failing_allocation(void **state)
{
    static const char *const sets[] = {
        "limits.jobsMax=0",
        "listeners=[{\"url\":\"x\"},{\"url\":\"x\",\"url\":\"y\"}]",
        "methodConfig=[{\"name\":[{\"service\":\"S\"},{\"service\":\"S\"}]}]",
    };
    struct config_sources sources = {
        .no_files = true,
        .sets = sets,
        .set_count = 3,
    };
    long steps = 0;

    (void)state;
    do {
        struct loaded loaded;

        has_failed = false;
        countdown = steps++;
        load_sources(&loaded, &sources);
        countdown = -1;
        assert_int_not_equal(loaded.status, REDIAL_OK);
        loaded_fini(&loaded);
    } while (has_failed);
    assert_true(steps > 30);
}

static void
a_check_survives_every_failing_allocation(void **state)
{
    struct loaded loaded;
    long steps = 0;

    (void)state;
    folder_write("redial.json", text);
    load_all(&loaded);
    assert_int_equal(loaded.status, REDIAL_OK);
    do {
        struct bytes out;

        has_failed = false;
        countdown = steps++;
        struct lint *lint = lint_create(loaded.config);

        bytes_init(&out, CONFIG_TEXT_BYTES_MAX);
        if (lint != NULL) {
            lint_print(lint, &out);
            lint_print_json(lint, &loaded.report, &out);
            assert_int_equal(out.failed, has_failed);
        } else {
            assert_true(has_failed);
        }
        countdown = -1;
        bytes_fini(&out);
        lint_free(lint);
    } while (has_failed);
    assert_true(steps > 10);
    loaded_fini(&loaded);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_load_survives_every_failing_allocation),
        cmocka_unit_test(a_check_survives_every_failing_allocation),
        cmocka_unit_test(a_refusal_survives_every_failing_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, folder_fini);
}
