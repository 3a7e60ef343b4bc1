/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/where.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *redial_address;
static const char *redial_runtime_dir;
static const char *runtime_directory;
static const char *xdg_runtime_dir;

static char *
environment(const char *name)
{
    const char *value = strcmp(name, "REDIAL_ADDRESS") == 0 ? redial_address
                        : strcmp(name, "REDIAL_RUNTIME_DIR") == 0
                            ? redial_runtime_dir
                        : strcmp(name, "RUNTIME_DIRECTORY") == 0
                            ? runtime_directory
                        : strcmp(name, "XDG_RUNTIME_DIR") == 0 ? xdg_runtime_dir
                                                               : NULL;

    return (char *)(uintptr_t)value;
}

static int
setup(void **state)
{
    (void)state;
    redial_address = NULL;
    redial_runtime_dir = NULL;
    runtime_directory = NULL;
    xdg_runtime_dir = NULL;
    return 0;
}

static void
found(const struct args *args, enum where_source source, const char *expected)
{
    struct text text = {.at = NULL};

    assert_int_equal(where_add(&text, args, environment), source);
    assert_string_equal(text_string(&text), expected);
    text_fini(&text);
}

static void
options_win_over_everything(void **state)
{
    struct args_item items[] = {{OPTION_ADDRESS, "ipc:///a"},
                                {OPTION_JSON, ""},
                                {OPTION_ADDRESS, "tcp://b:1"}};
    struct args args = {.items = items, .item_count = 3};

    (void)state;
    redial_address = "ipc:///c";
    found(&args, WHERE_OPTION, "ipc:///a tcp://b:1");
}

static void
then_the_environment_then_the_default(void **state)
{
    struct args args = {.item_count = 0};

    (void)state;
    found(&args, WHERE_DEFAULT, "ipc:///run/redial/admin.sock");
    xdg_runtime_dir = "/run/user/7";
    found(&args, WHERE_DEFAULT,
          "ipc:///run/user/7/redial/admin.sock ipc:///run/redial/admin.sock");
    runtime_directory = "/run/x";
    found(&args, WHERE_DEFAULT, "ipc:///run/x/admin.sock");
    redial_runtime_dir = "/run/y";
    found(&args, WHERE_DEFAULT, "ipc:///run/y/admin.sock");
    redial_address = "";
    found(&args, WHERE_DEFAULT, "ipc:///run/y/admin.sock");
    redial_address = "tcp://b:1";
    found(&args, WHERE_ENVIRONMENT, "tcp://b:1");
}

static void
absent_are_only_sockets_of_which_none_is_there(void **state)
{
    (void)state;
    assert_true(where_is_absent("ipc:///nowhere/at/all"));
    assert_true(where_is_absent("ipc:///nowhere/a ipc:///nowhere/b"));
    assert_false(where_is_absent("ipc:///nowhere/a,ipc:///"));
    assert_false(where_is_absent("ipc:///nowhere/a tcp://127.0.0.1:1"));
    assert_false(where_is_absent("tcp://127.0.0.1:1"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(options_win_over_everything, setup),
        cmocka_unit_test_setup(then_the_environment_then_the_default, setup),
        cmocka_unit_test_setup(absent_are_only_sockets_of_which_none_is_there,
                               setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
