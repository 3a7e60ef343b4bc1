/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/plugins/http_server.h"

#include "server/plugins/spawn.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* The first line that it writes. */
static int
read_port(int fd)
{
    char line[32] = "";
    size_t len = 0;
    ssize_t part = 1;
    while (part > 0 && strchr(line, '\n') == NULL && len < sizeof(line) - 1) {
        part = read(fd, line + len, sizeof(line) - 1 - len);
        len += part > 0 ? (size_t)part : 0;
    }
    return (int)strtol(line, NULL, 10);
}

bool
http_server_start(struct http_server *ret_server)
{
    char path[SPAWN_PATH_BYTES];
    char script[4096];
    const char *source = getenv("REDIAL_SOURCE_DIR");
    snprintf(script, sizeof(script), "%s/tests/unit/plugins/http_server.py",
             source == NULL ? "." : source);
    const char *const argv[] = {"python3", "-B", script, NULL};
    int input[2], output[2];
    if (spawn_find("python3", getenv("PATH"), path) != 0 ||
        pipe2(input, O_CLOEXEC) != 0 || pipe2(output, O_CLOEXEC) != 0) {
        return false;
    }
    struct spawn_options options = {
        .path = path,
        .argv = argv,
        .envp = (const char *const *)environ,
        .fds = {input[0], output[1], STDERR_FILENO},
        .fd_count = 3,
    };
    struct http_server server = {.input = input[1]};
    if (spawn(&options, &server.pid) != 0) {
        return false;
    }
    close(input[0]);
    close(output[1]);
    server.port = read_port(output[0]);
    close(output[0]);
    *ret_server = server;
    return server.port > 0;
}

bool
http_server_stop(struct http_server *server)
{
    close(server->input);
    return waitpid(server->pid, NULL, 0) == server->pid;
}
