/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/config/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void
plugins_are_checked(void **state)
{
    static const struct {
        const char *plugin;
        const char *issues;
    } rows[] = {
        {"'name': 'p', 'plugin': 'http', 'methods': [{'service': 'S'}]", ""},
        {"'name': 'p', 'plugin': '/lib/p.so', 'methods': [{'service': 'S'}]",
         ""},
        {"'name': 'p', 'plugin': 'p.so', 'methods': [{'service': 'S'}]",
         "!plugin"},
        {"'name': 'p', 'plugin': 'HTTP', 'methods': [{'service': 'S'}]",
         "!plugin"},
        {"'name': 'p', 'plugin': '', 'methods': [{'service': 'S'}]", "!plugin"},
        {"", "!name !plugin !methods"},
        {"'name': 'a b', 'plugin': 'exec', 'methods': [{'service': 'S'}]",
         "!name"},
        {"'name': 'a/b', 'plugin': 'exec', 'methods': [{'service': 'S'}]",
         "!name"},
        {"'name': '', 'plugin': 'exec', 'methods': [{'service': 'S'}]",
         "!name"},
        {"'name': 'p', 'plugin': 'exec', 'methods': []", "!methods"},
        {"'name': 'p', 'plugin': 'exec', 'methods': 'S'", "!methods"},
        {"'name': 'p', 'plugin': 'exec', 'methods': ['S', {}]",
         "!methods[0] !methods[1].service"},
        {"'name': 'p', 'plugin': 'exec', 'methods': [{'service': 'S',"
         " 'method': 'M'}, {'service': 'S'}, {'service': 'S', 'method': 'M'}]",
         "!methods[2]"},
        {"'name': 'p', 'plugin': 'exec', 'concurrency': 0,"
         " 'methods': [{'service': 'S'}]",
         "!concurrency"},
        {"'name': 'p', 'plugin': 'exec', 'concurrency': 10001,"
         " 'methods': [{'service': 'S'}]",
         "!concurrency"},
        {"'name': 'p', 'plugin': 'exec', 'concurrency': 10000,"
         " 'methods': [{'service': 'S', 'concurrency': 10000}]",
         ""},
        {"'name': 'p', 'plugin': 'exec', 'concurrency': 3,"
         " 'methods': [{'service': 'S', 'concurrency': 4}]",
         "!methods[0].concurrency"},
        {"'name': 'p', 'plugin': 'exec', 'methods': [{'service': 'S'}],"
         " 'config': '{}'",
         "!config"},
        {"'name': 'p', 'plugin': 'exec', 'methods': [{'service': 'S'}],"
         " 'settings': {}",
         "!settings"},
    };
    int failed = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct loaded loaded;
        char text[1024];

        (void)snprintf(text, sizeof(text), "{'plugins': [{%s}]}",
                       rows[i].plugin);
        load_text(&loaded, text);
        if (strcmp(loaded_issues(&loaded, "plugins[0]"), rows[i].issues) != 0) {
            print_error("%s: expected <%s>, got <%s>\n", rows[i].plugin,
                        rows[i].issues, loaded_issues(&loaded, "plugins[0]"));
            failed++;
        }
        loaded_fini(&loaded);
    }
    assert_int_equal(failed, 0);
}

static void
a_plugin_says_what_was_written(void **state)
{
    struct loaded loaded;

    (void)state;
    load_text(&loaded,
              "{'plugins': [{'name': 'p', 'plugin': 'fault', 'concurrency': 4,"
              " 'methods': [{'service': 'S', 'method': 'M',"
              " 'concurrency': 2}, {'service': 'T'}],"
              " 'config': { 'seed': 1.10, 'a': [1,\n 2] }},"
              " {'name': 'q', 'plugin': '/q.so',"
              " 'methods': [{'service': 'S'}]}]}");
    assert_int_equal(loaded.config->plugin_count, 2);
    const struct config_plugin *p = &loaded.config->plugins[0];
    const struct config_plugin *q = &loaded.config->plugins[1];

    assert_string_equal(p->name, "p");
    assert_string_equal(p->plugin, "fault");
    assert_true(p->built_in);
    assert_int_equal(p->concurrency, 4);
    assert_int_equal(p->method_count, 2);
    assert_string_equal(p->methods[0].method, "M");
    assert_int_equal(p->methods[0].concurrency, 2);
    assert_string_equal(p->methods[1].service, "T");
    assert_string_equal(p->methods[1].method, "");
    assert_int_equal(p->methods[1].concurrency, 4);
    /* Byte for byte: numbers are not ours to change. */
    assert_string_equal(p->config, "{ \"seed\": 1.10, \"a\": [1,\n 2] }");
    assert_int_equal(p->config_bytes, strlen(p->config));
    assert_false(q->built_in);
    assert_int_equal(q->concurrency, 1);
    assert_string_equal(q->config, "{}");
    assert_int_equal(q->config_bytes, 2);
    loaded_fini(&loaded);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plugins_are_checked),
        cmocka_unit_test(a_plugin_says_what_was_written),
    };

    return cmocka_run_group_tests(tests, NULL, folder_fini);
}
