/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/program.h"

#include "client/cli/verb.h"
#include "client/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define NAME    "redial-gateway"
#define WAIT_MS 60000 /* of one poll(); there is another */
#define LOOK_MS 20    /* between looks where there are no pidfds */

/* ---- Where it is -------------------------------------------------------- */

/* redial-gateway in the folder that this program was started from. */
static bool
add_beside(struct text *text)
{
    char self[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
    char *slash;

    if (len <= 0) {
        return false;
    }
    self[len] = '\0';
    slash = strrchr(self, '/');
    if (slash == NULL) {
        return false;
    }
    text_addf(text, "%.*s/" NAME, (int)(slash - self), self);
    if (access(text_string(text), X_OK) != 0) {
        text_clear(text);
        return false;
    }
    return true;
}

static void
find(struct program *program)
{
    const char *given = program->cli->environment("REDIAL_GATEWAY");

    if (given != NULL && given[0] != '\0') {
        text_add(&program->path, given);
    } else if (!add_beside(&program->path)) {
        text_add(&program->path, NAME); /* of PATH */
    }
}

/* ---- Starting ----------------------------------------------------------- */

/*
 * A child must not inherit that SIGPIPE is ignored, which it may be here. Its
 * streams are ours, or the pipe.
 */
static int
spawn(struct program *program, const char **argv, int in_fd)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t defaults;
    int result = posix_spawn_file_actions_init(&actions);

    if (result != 0) {
        return result;
    }
    result = posix_spawnattr_init(&attributes);
    if (result != 0) {
        (void)posix_spawn_file_actions_destroy(&actions);
        return result;
    }
    (void)sigemptyset(&defaults);
    (void)sigaddset(&defaults, SIGPIPE);
    (void)posix_spawnattr_setsigdefault(&attributes, &defaults);
    (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    if (in_fd >= 0) {
        result = posix_spawn_file_actions_adddup2(&actions, in_fd,
                                                  STDIN_FILENO);
    }
    if (result == 0) {
        /* It takes strings that it could write to, but does not. */
        result = posix_spawnp(&program->pid, text_string(&program->path),
                              &actions, &attributes,
                              (char *const *)(uintptr_t)argv, environ);
    }
    (void)posix_spawnattr_destroy(&attributes);
    (void)posix_spawn_file_actions_destroy(&actions);
    return result;
}

static enum exit_code
say_failure(struct program *program, int error)
{
    struct cli *cli = program->cli;

    text_addf(&cli->note, "redial %s: ", cli->args->verb->name);
    text_add_foreign(&cli->note, text_string(&program->path), 0);
    text_addf(&cli->note, " cannot be started: %s\n", strerror(error));
    text_add(&cli->note, "  It is looked for at REDIAL_GATEWAY, beside this "
                         "tool, and in PATH.\n");
    cli_say(cli);
    return EXIT_UNREACHABLE;
}

/* A child that reads no more is no reason to die. */
static void
ignore_pipe(struct program *program)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};

    (void)sigaction(SIGPIPE, &ignore, &program->before_pipe);
}

enum exit_code
program_start(struct program *program, struct cli *cli, const char **argv,
              bool takes_input)
{
    int fds[2] = {-1, -1};
    int error;

    *program = (struct program){.cli = cli, .pid = -1, .in_fd = -1};
    find(program);
    argv[0] = text_string(&program->path);
    if (takes_input && pipe2(fds, O_CLOEXEC) != 0) {
        return say_failure(program, errno);
    }
    /* Who starts us may have said that nobody waits for children. */
    (void)signal(SIGCHLD, SIG_DFL);
    /* What was printed before comes before what the child prints. */
    (void)fflush(cli->out);
    (void)fflush(cli->err);
    error = spawn(program, argv, fds[0]);
    if (takes_input) {
        (void)close(fds[0]);
        (void)fcntl(fds[1], F_SETFL, O_NONBLOCK);
        program->in_fd = fds[1];
        ignore_pipe(program);
    }
    if (error != 0) {
        program->pid = -1;
        return say_failure(program, error);
    }
    return EXIT_DONE;
}

/* ---- Feeding ------------------------------------------------------------ */

enum exit_code
program_write(struct program *program, const void *bytes, size_t len)
{
    const char *at = bytes;
    struct pollfd ready = {.fd = program->in_fd, .events = POLLOUT};

    while (len > 0) {
        ssize_t written = write(program->in_fd, at, len);

        if (written > 0) {
            at += written;
            len -= (size_t)written;
            continue;
        }
        if (written < 0 && errno != EAGAIN && errno != EINTR) {
            return EXIT_FAILED;
        }
        if (cli_is_late(program->cli)) {
            return EXIT_PENDING;
        }
        (void)poll(
            &ready, 1,
            (int)redial_i_ms_until(program->cli->deadline.mono_ns, WAIT_MS));
    }
    return EXIT_DONE;
}

void
program_end_input(struct program *program)
{
    if (program->in_fd >= 0) {
        (void)close(program->in_fd);
        program->in_fd = -1;
        (void)sigaction(SIGPIPE, &program->before_pipe, NULL);
    }
}

/* ---- Its end ------------------------------------------------------------ */

/* Waits a while. True: it has ended, and *ret_status says how. */
static bool
wait_some(struct program *program, int pidfd, int *ret_status)
{
    struct pollfd ended = {.fd = pidfd, .events = POLLIN};
    uint32_t most_ms = pidfd >= 0 ? WAIT_MS : LOOK_MS;
    pid_t pid = waitpid(program->pid, ret_status, WNOHANG);

    if (pid == 0) {
        (void)poll(
            &ended, 1,
            (int)redial_i_ms_until(program->cli->deadline.mono_ns, most_ms));
    }
    return pid != 0;
}

static int
exit_of(struct program *program, int status)
{
    struct cli *cli = program->cli;

    if (WIFEXITED(status)) {
        return WEXITSTATUS(status);
    }
    text_addf(&cli->note, "redial %s: ", cli->args->verb->name);
    text_add_foreign(&cli->note, text_string(&program->path), 0);
    text_addf(&cli->note, " was ended by signal %d (%s)\n", WTERMSIG(status),
              strsignal(WTERMSIG(status)));
    cli_say(cli);
    return EXIT_INTERNAL;
}

int
program_wait(struct program *program)
{
    struct cli *cli = program->cli;
    int pidfd = (int)syscall(SYS_pidfd_open, program->pid, 0);
    bool has_ended = false;
    int status = 0;

    do {
        has_ended = wait_some(program, pidfd, &status);
    } while (!has_ended && !cli_is_late(cli));
    if (pidfd >= 0) {
        (void)close(pidfd);
    }
    if (has_ended) {
        program->pid = -1;
        return exit_of(program, status);
    }
    text_addf(&cli->note, "redial %s: time is up\n", cli->args->verb->name);
    cli_say(cli);
    return EXIT_PENDING;
}

void
program_fini(struct program *program)
{
    program_end_input(program);
    if (program->pid > 0) {
        (void)kill(program->pid, SIGKILL);
        while (waitpid(program->pid, NULL, 0) < 0 && errno == EINTR) {
        }
        program->pid = -1;
    }
    text_fini(&program->path);
}
