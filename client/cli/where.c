/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/where.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define IPC         "ipc://"
#define SOCKET      "/admin.sock"
#define RUN_DEFAULT "/run/redial"

static bool
is_given(const char *string)
{
    return string != NULL && string[0] != '\0';
}

static void
add_socket(struct text *text, const char *directory, const char *below)
{
    text_addf(text, "%s" IPC "%s%s" SOCKET, text->len > 0 ? " " : "", directory,
              below);
}

static void
add_default(struct text *text, where_environment environment)
{
    const char *directory = environment("REDIAL_RUNTIME_DIR");

    if (!is_given(directory)) {
        directory = environment("RUNTIME_DIRECTORY");
    }
    if (is_given(directory)) {
        add_socket(text, directory, "");
        return;
    }
    directory = environment("XDG_RUNTIME_DIR");
    if (is_given(directory)) {
        add_socket(text, directory, "/redial");
    }
    add_socket(text, RUN_DEFAULT, "");
}

enum where_source
where_add(struct text *text, const struct args *args,
          where_environment environment)
{
    size_t count = args_count(args, OPTION_ADDRESS);

    for (size_t i = 0; i < count; i++) {
        text_addf(text, "%s%s", i > 0 ? " " : "",
                  args_nth(args, OPTION_ADDRESS, i));
    }
    if (count > 0) {
        return WHERE_OPTION;
    }
    if (is_given(environment("REDIAL_ADDRESS"))) {
        text_add(text, environment("REDIAL_ADDRESS"));
        return WHERE_ENVIRONMENT;
    }
    add_default(text, environment);
    return WHERE_DEFAULT;
}

bool
where_is_absent(const char *addresses)
{
    char path[128];

    for (;;) {
        addresses += strspn(addresses, ", ");
        size_t len = strcspn(addresses, ", ");

        if (len == 0) {
            return true;
        }
        if (strncmp(addresses, IPC, strlen(IPC)) != 0 ||
            len - strlen(IPC) >= sizeof(path)) {
            return false;
        }
        (void)snprintf(path, sizeof(path), "%.*s", (int)(len - strlen(IPC)),
                       addresses + strlen(IPC));
        if (access(path, F_OK) == 0) {
            return false;
        }
        addresses += len;
    }
}
