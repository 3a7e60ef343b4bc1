/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/config/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct row {
    const char *listener; /* one object's inside */
    const char *issues;   /* as loaded_issues() says, below listeners[0] */
};

static void
check(const struct row *rows, size_t count)
{
    int failed = 0;

    for (size_t i = 0; i < count; i++) {
        struct loaded loaded;
        char text[1024];

        (void)snprintf(text, sizeof(text), "{'listeners': [{%s}]}",
                       rows[i].listener);
        load_text(&loaded, text);
        if (strcmp(loaded_issues(&loaded, "listeners[0]"), rows[i].issues) !=
            0) {
            print_error("%s: expected <%s>, got <%s>\n", rows[i].listener,
                        rows[i].issues, loaded_issues(&loaded, "listeners[0]"));
            failed++;
        }
        loaded_fini(&loaded);
    }
    assert_int_equal(failed, 0);
}

static void
only_this_machine_may_connect_unless_it_is_said(void **state)
{
    static const struct row rows[] = {
        {"'url': 'ipc:///run/a.sock', 'role': 'agent'", ""},
        {"'url': 'tcp://127.0.0.1:7400', 'role': 'agent'", ""},
        {"'url': 'tcp://127.8.9.1:0', 'role': 'worker'", ""},
        {"'url': 'tcp://localhost:65535', 'role': 'agent'", ""},
        {"'url': 'tcp://[::1]:7400', 'role': 'agent'", ""},
        {"'url': 'tcp://0.0.0.0:7400', 'role': 'agent'", "!url"},
        {"'url': 'tcp://*:7400', 'role': 'agent'", "!url"},
        {"'url': 'tcp://:7400', 'role': 'agent'", "!url"},
        {"'url': 'tcp://[::]:7400', 'role': 'agent'", "!url"},
        {"'url': 'tcp://[::ffff:127.0.0.1]:7400', 'role': 'agent'", "!url"},
        {"'url': 'tcp://10.0.0.1:7400', 'role': 'agent'", "!url"},
        {"'url': 'tcp://1270.0.0.1:7400', 'role': 'agent'", "!url"},
        {"'url': 'tcp://127.0.0.1.example:7400', 'role': 'agent'", "!url"},
        {"'url': 'tcp://localhost.example:7400', 'role': 'agent'", "!url"},
        {"'url': 'tcp://gateway:7400', 'role': 'agent',"
         " 'allowRemote': false",
         "!url"},
        {"'url': 'tcp://gateway:7400', 'role': 'agent', 'allowRemote': true",
         ""},
        {"'url': 'tcp://*:7400', 'role': 'worker', 'allowRemote': true", ""},
        {"'url': 'tcp://*:7400', 'role': 'agent', 'allowRemote': 1",
         "!allowRemote !url"},
        {"'url': 'tls+tcp://*:7400', 'role': 'agent',"
         " 'tls': {'cert': '/c', 'key': '/k', 'ca': '/a'}",
         "!url"},
    };

    (void)state;
    check(rows, sizeof(rows) / sizeof(rows[0]));
}

static void
addresses_are_checked(void **state)
{
    static const struct row rows[] = {
        {"'role': 'agent'", "!url"},
        {"'url': 5, 'role': 'agent'", "!url"},
        {"'url': '', 'role': 'agent'", "!url"},
        {"'url': 'http://localhost:80', 'role': 'agent'", "!url"},
        {"'url': 'localhost:80', 'role': 'agent'", "!url"},
        {"'url': 'ipc://relative', 'role': 'agent'", "!url"},
        {"'url': 'ipc://', 'role': 'agent'", "!url"},
        {"'url': 'tcp://localhost', 'role': 'agent'", "!url"},
        {"'url': 'tcp://localhost:', 'role': 'agent'", "!url"},
        {"'url': 'tcp://localhost:65536', 'role': 'agent'", "!url"},
        {"'url': 'tcp://localhost:-1', 'role': 'agent'", "!url"},
        {"'url': 'tcp://localhost:1x', 'role': 'agent'", "!url"},
        {"'url': 'tcp://localhost:1/x', 'role': 'agent'", "!url"},
        {"'url': 'tcp://local/host:1', 'role': 'agent'", "!url"},
        {"'url': 'tcp://::1:7400', 'role': 'agent'", "!url"},
        {"'url': 'tcp://[::1:7400', 'role': 'agent'", "!url"},
        {"'url': 'tcp://[::1]7400', 'role': 'agent'", "!url"},
        {"'url': 'ipc:///a'", "!role"},
        {"'url': 'ipc:///a', 'role': 'viewer'", "!role"},
        {"'url': 'tcp://localhost:1', 'role': 'admin'", "!url"},
        {"'url': 'ipc:///a', 'role': 'agent', 'port': 5", "!port"},
    };

    (void)state;
    check(rows, sizeof(rows) / sizeof(rows[0]));
}

static void
modes_and_certificates_belong_to_their_transport(void **state)
{
    static const struct row rows[] = {
        {"'url': 'ipc:///a', 'role': 'agent', 'mode': '0660'", ""},
        {"'url': 'ipc:///a', 'role': 'agent', 'mode': '600'", ""},
        {"'url': 'ipc:///a', 'role': 'agent', 'mode': '0666'", "?mode"},
        {"'url': 'ipc:///a', 'role': 'agent', 'mode': '0o600'", "!mode"},
        {"'url': 'ipc:///a', 'role': 'agent', 'mode': '1777'", "!mode"},
        {"'url': 'ipc:///a', 'role': 'agent', 'mode': '0680'", "!mode"},
        {"'url': 'ipc:///a', 'role': 'agent', 'mode': '00600'", "!mode"},
        {"'url': 'ipc:///a', 'role': 'agent', 'mode': 384", "!mode"},
        {"'url': 'tcp://localhost:1', 'role': 'agent', 'mode': '0600'",
         "!mode"},
        {"'url': 'tls+tcp://localhost:1', 'role': 'agent',"
         " 'tls': {'cert': '/c', 'key': '/k', 'ca': '/a'}",
         ""},
        {"'url': 'tls+tcp://localhost:1', 'role': 'agent'", "!tls"},
        {"'url': 'tls+tcp://localhost:1', 'role': 'agent', 'tls': {}",
         "!tls.cert !tls.key"},
        {"'url': 'tls+tcp://localhost:1', 'role': 'agent',"
         " 'tls': {'cert': 'c', 'key': '-----BEGIN'}",
         "!tls.cert !tls.key"},
        {"'url': 'tcp://localhost:1', 'role': 'agent',"
         " 'tls': {'cert': '/c', 'key': '/k'}",
         "!tls"},
        {"'url': 'ipc:///a', 'role': 'agent', 'tls': {}", "!tls"},
    };

    (void)state;
    check(rows, sizeof(rows) / sizeof(rows[0]));
}

static void
a_listener_says_what_was_written(void **state)
{
    struct loaded loaded;

    (void)state;
    load_text(&loaded,
              "{'listeners': [{'url': 'ipc:///a', 'role': 'worker',"
              " 'mode': '0660'}, {'url': 'tls+tcp://[::]:0', 'role': 'agent',"
              " 'allowRemote': true, 'tls': {'cert': '/c', 'key': '/k',"
              " 'ca': '/a'}}]}");
    assert_int_equal(loaded.config->listener_count, 2);
    const struct config_listener *ipc = &loaded.config->listeners[0];
    const struct config_listener *tls = &loaded.config->listeners[1];

    assert_string_equal(ipc->url, "ipc:///a");
    assert_int_equal(ipc->role, CONFIG_ROLE_WORKER);
    assert_int_equal(ipc->mode, 0660);
    assert_false(ipc->allow_remote);
    assert_null(ipc->tls_cert);
    assert_true(tls->allow_remote);
    assert_string_equal(tls->tls_cert, "/c");
    assert_string_equal(tls->tls_key, "/k");
    assert_string_equal(tls->tls_ca, "/a");
    loaded_fini(&loaded);
}

static void
addresses_come_once(void **state)
{
    struct loaded loaded;

    (void)state;
    load_text(&loaded, "{'listeners': [{'url': 'ipc:///a', 'role': 'agent'},"
                       " {'url': 'tcp://[::1]:0', 'role': 'agent'},"
                       " {'url': 'ipc:///a', 'role': 'worker'},"
                       " {'url': 'tcp://[::1]:0', 'role': 'worker'}]}");
    assert_string_equal(loaded_issues(&loaded, ""), "!listeners[2].url");
    loaded_fini(&loaded);
    load_text(&loaded, "{'listeners': []}");
    assert_string_equal(loaded_issues(&loaded, ""), "!listeners");
    loaded_fini(&loaded);
}

static void
paths_of_sockets_fit(void **state)
{
    char url[256];
    char text[512];

    (void)state;
    for (int len = 107; len <= 108; len++) {
        struct loaded loaded;

        (void)snprintf(url, sizeof(url), "ipc:///%0*d", len - 1, 0);
        (void)snprintf(text, sizeof(text),
                       "{'listeners': [{'url': '%s', 'role': 'agent'}]}", url);
        load_text(&loaded, text);
        assert_string_equal(loaded_issues(&loaded, ""),
                            len == 107 ? "" : "!listeners[0].url");
        loaded_fini(&loaded);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_this_machine_may_connect_unless_it_is_said),
        cmocka_unit_test(addresses_are_checked),
        cmocka_unit_test(modes_and_certificates_belong_to_their_transport),
        cmocka_unit_test(a_listener_says_what_was_written),
        cmocka_unit_test(addresses_come_once),
        cmocka_unit_test(paths_of_sockets_fit),
    };

    return cmocka_run_group_tests(tests, NULL, folder_fini);
}
