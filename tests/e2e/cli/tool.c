/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/e2e/cli/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define LINE_BYTES 2048

/* The command line, and where its streams go; -1: nowhere. */
struct spawning {
    char program[512];
    char address[128];
    char line[LINE_BYTES];
    char *argv[TOOL_WORDS_MAX + 1];
    int in;
    int out;
    int err;
};

static void
split(struct spawning *spawning, const char *line)
{
    size_t count = 1;

    (void)snprintf(spawning->line, sizeof(spawning->line), "%s", line);
    spawning->argv[0] = spawning->program;
    for (char *at = spawning->line; at != NULL; count++) {
        char *space = strchr(at, ' ');

        assert_true(count < TOOL_WORDS_MAX);
        spawning->argv[count] = at;
        if (space != NULL) {
            *space++ = '\0';
        }
        for (char *c = at; *c != '\0'; c++) {
            *c = *c == '_' ? ' ' : *c;
        }
        at = space;
    }
}

static pid_t
spawn(struct spawning *spawning, const struct test_gateway *gateway,
      const char *line)
{
    char *environment[] = {spawning->address, NULL};
    posix_spawn_file_actions_t actions;
    pid_t pid;

    assert_non_null(getenv("REDIAL_BUILD_DIR"));
    (void)snprintf(spawning->program, sizeof(spawning->program),
                   "%s/bin/redial", getenv("REDIAL_BUILD_DIR"));
    (void)snprintf(spawning->address, sizeof(spawning->address),
                   "REDIAL_ADDRESS=%s", gateway->admin);
    split(spawning, line);
    assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
    (void)posix_spawn_file_actions_adddup2(&actions, spawning->in,
                                           STDIN_FILENO);
    (void)posix_spawn_file_actions_adddup2(&actions, spawning->out,
                                           STDOUT_FILENO);
    (void)posix_spawn_file_actions_adddup2(&actions, spawning->err,
                                           STDERR_FILENO);
    assert_int_equal(posix_spawn(&pid, spawning->program, &actions, NULL,
                                 spawning->argv, environment),
                     0);
    (void)posix_spawn_file_actions_destroy(&actions);
    return pid;
}

static int
reap(pid_t pid)
{
    int status = 0;

    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* A file without a name, in the gateway's folder. */
static int
scratch_file(const struct test_gateway *gateway)
{
    char path[96];
    int fd;

    (void)snprintf(path, sizeof(path), "%s/stream-XXXXXX", gateway->dir);
    fd = mkostemp(path, O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(unlink(path), 0);
    return fd;
}

static size_t
read_back(int fd, char *text)
{
    ssize_t len = pread(fd, text, TOOL_TEXT_BYTES - 1, 0);

    assert_true(len >= 0);
    text[len] = '\0';
    (void)close(fd);
    return (size_t)len;
}

void
tool_run(const struct test_gateway *gateway, const char *line,
         const char *input, struct tool_result *ret_result)
{
    struct spawning spawning = {
        .in = scratch_file(gateway),
        .out = scratch_file(gateway),
        .err = scratch_file(gateway),
    };
    size_t input_len = input != NULL ? strlen(input) : 0;

    if (input_len > 0) {
        assert_int_equal(pwrite(spawning.in, input, input_len, 0), input_len);
    }
    ret_result->code = reap(spawn(&spawning, gateway, line));
    (void)close(spawning.in);
    ret_result->out_len = read_back(spawning.out, ret_result->out);
    (void)read_back(spawning.err, ret_result->err);
}

void
tool_start(struct tool *tool, const struct test_gateway *gateway,
           const char *line)
{
    struct spawning spawning = {.in = scratch_file(gateway),
                                .err = STDERR_FILENO};
    int fds[2];

    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    spawning.out = fds[1];
    *tool = (struct tool){.out_fd = fds[0]};
    tool->pid = spawn(&spawning, gateway, line);
    (void)close(fds[1]);
    (void)close(spawning.in);
}

/* Reads some more; false: its end, or too late. */
static bool
read_more(struct tool *tool, int64_t deadline)
{
    struct pollfd ready = {.fd = tool->out_fd, .events = POLLIN};
    int64_t left = deadline - now_ms();
    ssize_t len;

    if (left <= 0 || poll(&ready, 1, (int)left) <= 0) {
        return false;
    }
    len = read(tool->out_fd, tool->out + tool->out_len,
               sizeof(tool->out) - 1 - tool->out_len);
    if (len <= 0) {
        return false;
    }
    tool->out_len += (size_t)len;
    tool->out[tool->out_len] = '\0';
    return true;
}

void
tool_wait_for(struct tool *tool, const char *word)
{
    int64_t deadline = now_ms() + PATIENCE_MS;

    while (strstr(tool->out, word) == NULL) {
        if (!read_more(tool, deadline)) {
            fail_msg("\"%s\" did not come; there was: %s", word, tool->out);
        }
    }
}

int
tool_wait(struct tool *tool)
{
    int64_t deadline = now_ms() + PATIENCE_MS;

    while (read_more(tool, deadline)) {
    }
    (void)close(tool->out_fd);
    if (now_ms() >= deadline) {
        (void)kill(tool->pid, SIGKILL);
    }
    return reap(tool->pid);
}

void
tool_stop(struct tool *tool)
{
    (void)kill(tool->pid, SIGTERM);
    (void)tool_wait(tool);
}
