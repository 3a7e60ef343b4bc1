/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/e2e/examples/program.h"

#include "tests/e2e/harness/harness.h"

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

void
program_start(struct program *program, const char *address,
              const char *const *argv)
{
    char path[512];
    char variable[128];
    char *environment[] = {variable, NULL};
    posix_spawn_file_actions_t actions;
    int fds[2];

    memset(program, 0, sizeof(*program));
    assert_non_null(getenv("REDIAL_BUILD_DIR"));
    (void)snprintf(path, sizeof(path), "%s/bin/examples/%s",
                   getenv("REDIAL_BUILD_DIR"), argv[0]);
    (void)snprintf(variable, sizeof(variable), "REDIAL_ADDRESS=%s", address);
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
    (void)posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO);
    (void)posix_spawn_file_actions_adddup2(&actions, fds[1], STDERR_FILENO);
    assert_int_equal(posix_spawn(&program->pid, path, &actions, NULL,
                                 (char *const *)(uintptr_t)argv, environment),
                     0);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)close(fds[1]);
    program->fd = fds[0];
}

/* Reads what comes; false at the end, or after too long. */
static bool
read_more(struct program *program, int64_t deadline_ms)
{
    struct pollfd ready = {.fd = program->fd, .events = POLLIN};
    int64_t left_ms = deadline_ms - now_ms();
    ssize_t len;

    if (left_ms <= 0 || program->len == sizeof(program->text) - 1 ||
        poll(&ready, 1, (int)left_ms) <= 0) {
        return false;
    }
    len = read(program->fd, program->text + program->len,
               sizeof(program->text) - 1 - program->len);
    if (len <= 0) {
        return false;
    }
    program->len += (size_t)len;
    program->text[program->len] = '\0';
    return true;
}

void
program_wait_for(struct program *program, const char *words)
{
    int64_t deadline_ms = now_ms() + PATIENCE_MS;

    while (strstr(program->text, words) == NULL) {
        if (!read_more(program, deadline_ms)) {
            fail_msg("\"%s\" did not come, but: %s", words, program->text);
        }
    }
}

int
program_wait(struct program *program)
{
    int64_t deadline_ms = now_ms() + PATIENCE_MS;
    int status = 0;

    while (read_more(program, deadline_ms)) {
    }
    if (now_ms() >= deadline_ms) {
        (void)kill(program->pid, SIGKILL);
    }
    while (waitpid(program->pid, &status, 0) < 0 && errno == EINTR) {
    }
    (void)close(program->fd);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int
program_end(struct program *program, int number)
{
    (void)kill(program->pid, number);
    return program_wait(program);
}
