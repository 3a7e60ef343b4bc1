/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verbs about policies, with the real programs.
 */
#include "tests/e2e/cli/tool.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define HUGE_BYTES ((off_t)1 << 30) /* a hole: it takes no room */

static struct test_gateway gateway;
static char config_path[96];
static struct tool_result result;

#define GOOD                                                         \
    "{\"methodConfig\":[{\"name\":[{}],\"retryPolicy\":{"            \
    "\"maxAttempts\":3,\"initialBackoff\":\"0.02s\",\"maxBackoff\":" \
    "\"0.05s\",\"backoffMultiplier\":1,\"retryableStatusCodes\":["   \
    "\"UNAVAILABLE\"]}}]}"

static void
write_config(const char *text)
{
    int fd = open(config_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    (void)close(fd);
}

static int
setup(void **state)
{
    (void)state;
    gateway_setup(&gateway);
    (void)snprintf(config_path, sizeof(config_path), "%s/redial.json",
                   gateway.dir);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    gateway_teardown(&gateway);
    return 0;
}

/* Runs the tool and checks how it exits. */
static void
run(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void
run(int code, const char *format, ...)
{
    char line[1024];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    tool_run(&gateway, line, NULL, &result);
    if (result.code != code) {
        print_message("redial %s\n%s%s", line, result.out, result.err);
    }
    assert_int_equal(result.code, code);
}

static void
says(const char *text, const char *words)
{
    if (strstr(text, words) == NULL) {
        fail_msg("\"%s\" is not in: %s", words, text);
    }
}

/* ---- check -------------------------------------------------------------- */

static void
a_good_policy_is_good(void **state)
{
    (void)state;
    write_config(GOOD);
    run(0, "policy check %s", config_path);
}

static void
what_is_wrong_with_a_policy_is_told(void **state)
{
    (void)state;
    write_config("{\n\"methodConfg\": []\n}");
    run(3, "policy check %s", config_path);
    says(result.err, "redial.json:2: ");
    says(result.err, "methodConfig");
    write_config("{");
    run(3, "policy check %s", config_path);
    write_config("");
    run(3, "policy check %s", config_path);
}

static void
a_file_that_is_none_is_told(void **state)
{
    int fd;

    (void)state;
    run(3, "policy check /nowhere/redial.json");
    says(result.err, "/nowhere/redial.json: ");
    says(result.err, "No such file or directory");
    run(3, "policy check %s", gateway.dir);
    says(result.err, "Is a directory");
    fd = open(config_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_int_equal(ftruncate(fd, HUGE_BYTES), 0);
    (void)close(fd);
    run(3, "policy check %s", config_path);
    says(result.err, "redial.json: ");
    run(2, "policy check one two");
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_good_policy_is_good),
        TEST(what_is_wrong_with_a_policy_is_told),
        TEST(a_file_that_is_none_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
