/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of redial-plugin-host that need no gateway: its command line, what
 * it loads, what its guard reads. Whole hosts are run by tests/e2e/plugins.
 */
#include "server/plugins/groups.h"
#include "server/plugins/host/host_options.h"
#include "server/plugins/host/plugin_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { WORDS_MAX = 80 };

/* Reads a command line given as one text. */
static bool
read_line(const char *line, struct host_options *ret_options, char *error,
          size_t error_size)
{
    static char copy[4096];
    char *argv[WORDS_MAX + 1] = {NULL};
    int argc = 1;
    char name[] = "host";
    argv[0] = name;
    snprintf(copy, sizeof(copy), "%s", line);
    char *rest = NULL;
    for (char *word = strtok_r(copy, " ", &rest);
         word != NULL && argc < WORDS_MAX; word = strtok_r(NULL, " ", &rest)) {
        argv[argc++] = word;
    }
    return host_options_read(argc, argv, ret_options, error, error_size);
}

#define NEEDED "--plugin exec --address ipc:///x --name w "

static void
a_command_line_is_read(void **state)
{
    (void)state;
    struct host_options options;
    char error[256] = "";
    assert_true(read_line(NEEDED "--slot a.B/C=4 --slot d.E=2 --slot f/g=h=3 "
                                 "--slot i --concurrency 5 --config-fd 3 "
                                 "--groups-fd 4 --parent-pid 77 "
                                 "--instance abc --token-file /t",
                          &options, error, sizeof(error)));
    assert_string_equal(options.plugin, "exec");
    assert_string_equal(options.address, "ipc:///x");
    assert_string_equal(options.name, "w");
    assert_string_equal(options.instance, "abc");
    assert_string_equal(options.token_file, "/t");
    assert_int_equal(options.concurrency, 5);
    assert_int_equal(options.config_fd, 3);
    assert_int_equal(options.groups_fd, 4);
    assert_int_equal(options.parent_pid, 77);
    assert_int_equal(options.slot_count, 4);
    assert_string_equal(options.slots[0].service, "a.B");
    assert_string_equal(options.slots[0].method, "C");
    assert_int_equal(options.slots[0].concurrency, 4);
    assert_string_equal(options.slots[1].service, "d.E");
    assert_string_equal(options.slots[1].method, "");
    assert_string_equal(options.slots[2].method, "g=h");
    assert_int_equal(options.slots[2].concurrency, 3);
    assert_int_equal(options.slots[3].concurrency, 1);
}

static void
mistakes_in_a_command_line_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        const char *complaint;
    } rows[] = {
        {"", "--plugin is missing"},
        {"--plugin x --address y --name z", "--slot is missing"},
        {NEEDED "--slot a --slots b", "--slots"},
        {NEEDED "--slot", "--slot"},
        {NEEDED "--slot /m=1", "--slot: \"/m=1\" is no good"},
        {NEEDED "--slot s/=1", "is no good"},
        {NEEDED "--slot s/m=x", "is no good"},
        {NEEDED "--slot s/m=10001", "is no good"},
        {NEEDED "--slot s --concurrency 0", "--concurrency: \"0\""},
        {NEEDED "--slot s --config-fd 2", "--config-fd: \"2\""},
        {NEEDED "--slot s --config-fd 3 --config-file f", "exclude"},
        {NEEDED "--slot s word", "\"word\": not expected"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct host_options options;
        char error[256] = "";
        assert_false(read_line(rows[i].line, &options, error, sizeof(error)));
        if (strstr(error, rows[i].complaint) == NULL) {
            fail_msg("%s: %s", rows[i].line, error);
        }
    }
}

static bool
load(const char *name, const struct redial_plugin **ret_table, char *error,
     size_t error_size)
{
    return plugin_file_load(name, getenv("REDIAL_ODD_PLUGIN_DIR"), ret_table,
                            error, error_size);
}

static void
good_plugins_are_loaded_by_name_and_by_path(void **state)
{
    (void)state;
    const struct redial_plugin *table = NULL;
    char error[512] = "";
    assert_true(load("odd_none", &table, error, sizeof(error)));
    assert_string_equal(table->name, "odd");
    /* One of a later version brings more than is known here. */
    assert_true(load("odd_larger", &table, error, sizeof(error)));
    char path[4096];
    snprintf(path, sizeof(path), "%s/exec.so", getenv("REDIAL_PLUGIN_DIR"));
    assert_true(
        plugin_file_load(path, "/nowhere", &table, error, sizeof(error)));
    assert_string_equal(table->name, "exec");
}

static void
what_is_no_good_plugin_is_refused_clearly(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *complaint;
    } rows[] = {
        {"odd_abi", "it speaks version 2 of the plugin ABI, this host version "
                    "1"},
        {"odd_small",
         "its table has 40 bytes, version 1 of the plugin ABI has"},
        {"odd_null", "redial_plugin_v1() returned nothing"},
        {"odd_invoke", "open, invoke or close is missing"},
        {"odd_name", "it has no proper name"},
        {"odd_entry", "is no plugin: it does not export redial_plugin_v1"},
        {"no_such", "No such file"},
        {"/etc/passwd", "/etc/passwd"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct redial_plugin *table = NULL;
        char error[512] = "";
        assert_false(load(rows[i].name, &table, error, sizeof(error)));
        assert_null(table);
        if (strstr(error, rows[i].complaint) == NULL) {
            fail_msg("%s: %s", rows[i].name, error);
        }
    }
}

static void
feed(struct groups *groups, const char *text)
{
    groups_feed(groups, text, strlen(text));
}

static void
groups_come_and_go(void **state)
{
    (void)state;
    static struct groups groups;
    feed(&groups, "+100\n+200\n+300\n");
    assert_int_equal(groups.count, 3);
    feed(&groups, "-200\n-999\n");
    assert_int_equal(groups.count, 2);
    feed(&groups, "+4");
    feed(&groups, "00\n-1");
    assert_int_equal(groups.count, 3);
    feed(&groups, "00\n");
    assert_int_equal(groups.count, 2);
}

static void
noise_never_becomes_a_group(void **state)
{
    (void)state;
    static struct groups groups;
    feed(&groups, "\n+\n-\n+0\n+1\n+-5\n+ 5\n+5x\n5\n++5\n"
                  "+99999999999999999999999999\n+2147483648\n"
                  "+100000000000000000000000000000000000000000000000000\n");
    assert_int_equal(groups.count, 0);
    feed(&groups, "+2147483647\n");
    assert_int_equal(groups.count, 1);
    for (int i = 0; i < GROUPS_MAX + 10; i++) {
        feed(&groups, "+5000000\n");
    }
    assert_int_equal(groups.count, GROUPS_MAX);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_command_line_is_read),
        cmocka_unit_test(mistakes_in_a_command_line_are_named),
        cmocka_unit_test(good_plugins_are_loaded_by_name_and_by_path),
        cmocka_unit_test(what_is_no_good_plugin_is_refused_clearly),
        cmocka_unit_test(groups_come_and_go),
        cmocka_unit_test(noise_never_becomes_a_group),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
