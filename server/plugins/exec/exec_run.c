/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A run ends when the program itself has exited, not when its pipes close: what
 * it started may keep them open for as long as it likes. The order is: see that
 * it has exited (without reaping it, so that its number stays taken), kill the
 * rest of its group, say that the group is over, reap, read what is left in the
 * pipes, complete.
 */
#include "server/plugins/exec/exec_run.h"

#include "server/plugins/exec/exec_launch.h"
#include "server/plugins/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    READ_BYTES = 65536,
    /* One program may not keep the thread busy with its output alone. */
    READS_MAX = 4,
    /* Where a sandbox forbids pidfd_open(). */
    POLL_MS = 10,
};

struct exec_run *
exec_run_new(const struct exec_config *config,
             const struct redial_plugin_host *host,
             struct redial_plugin_call call,
             const struct redial_plugin_attempt *attempt)
{
    struct exec_run *run = calloc(1, sizeof(*run));
    if (run == NULL) {
        return NULL;
    }
    run->config = config;
    run->host = host;
    run->call = call;
    run->attempt = attempt;
    run->kill_at_ms = INT64_MAX;
    bytes_init(&run->output, (size_t)config->output_bytes_max);
    exec_notes_init(&run->notes, (size_t)config->stderr_bytes_max);
    for (int i = 0; i < EXEC_END_COUNT; i++) {
        run->watches[i] = (struct exec_watch){run, (enum exec_end)i, -1};
    }
    return run;
}

static void
close_fd(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
        *fd = -1;
    }
}

static void
close_all(struct exec_run *run)
{
    for (int i = 0; i < EXEC_END_COUNT; i++) {
        close_fd(&run->watches[i].fd);
    }
}

void
exec_run_free(struct exec_run *run)
{
    close_all(run);
    bytes_fini(&run->output);
    free(run);
}

static void
complete(struct exec_run *run, enum redial_status code, const char *reason,
         const char *text)
{
    struct redial_plugin_outcome outcome = {
        .struct_size = sizeof(outcome),
        .code = code,
        .reason = reason,
        .text = text,
        .flags = run->notes.has_pushback ? REDIAL_PLUGIN_HAS_PUSHBACK : 0,
        .pushback_ms = run->notes.pushback_ms,
    };
    if (code == REDIAL_OK) {
        outcome.result = run->output.at;
        outcome.result_bytes = run->output.len;
        outcome.content_type = run->config->content_type;
    }
    run->is_done = true;
    run->host->complete(run->host->ctx, run->call, &outcome);
}

static void
fail_to_start(struct exec_run *run, const char *what, int error)
{
    char text[512];
    char reason[EXEC_REASON_BYTES];
    char why[128];
    enum redial_status code = exec_spawn_code(run->config, error, reason);
    snprintf(text, sizeof(text), "cannot %s %s: %s", what,
             run->config->argv.items[0], strerror_r(error, why, sizeof(why)));
    complete(run, code, reason, text);
}

/* Runs in the child: see spawn.h. */
static void
report_group(void *ctx, pid_t pid)
{
    const struct exec_run *run = ctx;
    run->host->group_started(run->host->ctx, pid);
}

/* Pipes: our ends into the watches, the program's into `theirs`. */
static int
make_pipes(struct exec_run *run, int theirs[3])
{
    for (int i = EXEC_STDIN; i <= EXEC_STDERR; i++) {
        int ends[2];
        theirs[i] = -1;
        if (i == EXEC_STDIN && run->attempt->payload_bytes == 0) {
            continue;
        }
        if (pipe2(ends, O_CLOEXEC) != 0) {
            return errno;
        }
        int ours = i == EXEC_STDIN ? ends[1] : ends[0];
        theirs[i] = i == EXEC_STDIN ? ends[0] : ends[1];
        run->watches[i].fd = ours;
        if (fcntl(ours, F_SETFL, O_NONBLOCK) != 0) {
            return errno;
        }
    }
    return 0;
}

static int
spawn_program(struct exec_run *run, const struct exec_launch *launch)
{
    char path[SPAWN_PATH_BYTES];
    int error = spawn_find(launch->argv[0], getenv("PATH"), path);
    if (error != 0) {
        return error;
    }
    int theirs[3] = {-1, -1, -1};
    struct spawn_options options = {
        .path = path,
        .argv = (const char *const *)launch->argv,
        .envp = (const char *const *)launch->envp,
        .cwd = run->config->cwd,
        .fd_count = 3,
        .before_exec = report_group,
        .ctx = run,
    };
    error = make_pipes(run, theirs);
    if (error == 0) {
        memcpy(options.fds, theirs, sizeof(theirs));
        error = spawn(&options, &run->pid);
    }
    for (int i = 0; i < 3; i++) {
        close_fd(&theirs[i]);
    }
    if (error != 0 && run->pid != 0) {
        run->host->group_ended(run->host->ctx, run->pid);
        run->pid = 0;
    }
    return error;
}

/* Returns 0 or an errno value: the program must then be killed. */
static int
watch_program(struct exec_run *run, int epoll_fd)
{
    run->watches[EXEC_EXIT].fd = (int)syscall(SYS_pidfd_open, run->pid, 0);
    run->must_poll = run->watches[EXEC_EXIT].fd < 0;
    for (int i = 0; i < EXEC_END_COUNT; i++) {
        struct epoll_event event = {
            .events = i == EXEC_STDIN ? EPOLLOUT : EPOLLIN,
            .data.ptr = &run->watches[i],
        };
        if (run->watches[i].fd >= 0 &&
            epoll_ctl(epoll_fd, EPOLL_CTL_ADD, run->watches[i].fd, &event) !=
                0) {
            return errno;
        }
    }
    return 0;
}

/* Kills the group and reaps its leader, which must have exited or will. */
static int
end_group(struct exec_run *run)
{
    int status = 0;
    kill(-run->pid, SIGKILL);
    run->host->group_ended(run->host->ctx, run->pid);
    while (waitpid(run->pid, &status, 0) < 0 && errno == EINTR) {
    }
    run->pid = 0;
    return status;
}

void
exec_run_start(struct exec_run *run, int epoll_fd)
{
    struct exec_launch launch;
    const char *field = "";
    char text[128];
    int error = 0;
    switch (exec_launch_init(&launch, run->config, run->attempt, &field)) {
    case EXEC_LAUNCH_OK:
        error = spawn_program(run, &launch);
        break;
    case EXEC_LAUNCH_NO_MEMORY:
        error = ENOMEM;
        break;
    case EXEC_LAUNCH_REFUSED:
        snprintf(text, sizeof(text),
                 "the job's %s begins with '-', which an option does", field);
        complete(run, REDIAL_INVALID_ARGUMENT, "ARGUMENT_REFUSED", text);
        break;
    }
    exec_launch_fini(&launch);
    if (error != 0) {
        fail_to_start(run, "execute", error);
    } else if (!run->is_done) {
        error = watch_program(run, epoll_fd);
        if (error != 0) {
            end_group(run);
            fail_to_start(run, "watch", error);
        }
    }
}

static void
kill_group(struct exec_run *run, int number)
{
    kill(-run->pid, number);
}

static void
write_input(struct exec_run *run, struct exec_watch *watch)
{
    const char *payload = run->attempt->payload;
    size_t left = run->attempt->payload_bytes - run->sent;
    ssize_t written = write(watch->fd, payload + run->sent, left);
    if (written > 0) {
        run->sent += (size_t)written;
    } else if (errno != EAGAIN && errno != EINTR) {
        close_fd(&watch->fd); /* it does not read to the end: its choice */
        return;
    }
    if (run->sent == run->attempt->payload_bytes) {
        close_fd(&watch->fd);
    }
}

static void
take_output(struct exec_run *run, const char *data, size_t len)
{
    if (!run->is_too_large && !bytes_append(&run->output, data, len)) {
        run->is_too_large = true;
        kill_group(run, SIGKILL);
    }
}

static void
take_notes(struct exec_run *run, const char *data, size_t len)
{
    exec_notes_add(&run->notes, data, len);
    if (run->notes.progress[0] != '\0') {
        run->host->progress(run->host->ctx, run->call, run->notes.progress);
        run->notes.progress[0] = '\0';
    }
}

/* Reads what is there; false when there is nothing more, now or ever. */
static bool
read_some(struct exec_run *run, struct exec_watch *watch)
{
    char data[READ_BYTES];
    ssize_t len = read(watch->fd, data, sizeof(data));
    if (len > 0 && watch->end == EXEC_STDOUT) {
        take_output(run, data, (size_t)len);
    } else if (len > 0) {
        take_notes(run, data, (size_t)len);
    } else if (len == 0 || (errno != EAGAIN && errno != EINTR)) {
        close_fd(&watch->fd);
    }
    return len > 0;
}

static void
complete_exited(struct exec_run *run, int status)
{
    char reason[EXEC_REASON_BYTES];
    enum redial_status code = exec_code(run->config, status, reason);
    const char *text = exec_notes_end(&run->notes);
    if (run->is_stopping && run->why == REDIAL_PLUGIN_STOP_TIMEOUT) {
        complete(run, REDIAL_DEADLINE_EXCEEDED, "ATTEMPT_TIMEOUT", text);
    } else if (run->is_stopping) {
        complete(run, REDIAL_CANCELLED, "CANCELLED", text);
    } else if (run->is_too_large) {
        complete(run, REDIAL_INTERNAL, "RESULT_TOO_LARGE", text);
    } else if (code != REDIAL_OK && run->notes.reason[0] != '\0') {
        complete(run, code, run->notes.reason, text);
    } else {
        complete(run, code, reason, text);
    }
}

static void
handle_exit(struct exec_run *run)
{
    siginfo_t info = {0};
    if (waitid(P_PID, (id_t)run->pid, &info, WEXITED | WNOHANG | WNOWAIT) !=
            0 ||
        info.si_pid == 0) {
        return;
    }
    int status = end_group(run);
    for (int end = EXEC_STDOUT; end <= EXEC_STDERR; end++) {
        /* A pipe holds so much; others may be writing into it. */
        size_t left = (size_t)run->config->output_bytes_max + 1048576;
        while (run->watches[end].fd >= 0 && left >= READ_BYTES &&
               read_some(run, &run->watches[end])) {
            left -= READ_BYTES;
        }
    }
    close_all(run);
    complete_exited(run, status);
}

void
exec_run_handle(struct exec_watch *watch)
{
    struct exec_run *run = watch->run;
    if (run->is_done || watch->fd < 0) {
        return; /* an earlier event of the same batch ended it */
    }
    switch (watch->end) {
    case EXEC_STDIN:
        write_input(run, watch);
        break;
    case EXEC_STDOUT:
    case EXEC_STDERR:
        for (int i = 0; i < READS_MAX && watch->fd >= 0; i++) {
            if (!read_some(run, watch)) {
                break;
            }
        }
        break;
    case EXEC_EXIT:
        handle_exit(run);
        break;
    }
}

void
exec_run_stop(struct exec_run *run, enum redial_plugin_stop why, int64_t now_ms)
{
    if (run->is_done || run->pid == 0 || run->is_stopping) {
        return;
    }
    run->is_stopping = true;
    run->why = why;
    if (run->config->grace_ms == 0) {
        kill_group(run, SIGKILL);
        return;
    }
    kill_group(run, SIGTERM);
    run->kill_at_ms = now_ms + run->config->grace_ms;
}

int64_t
exec_run_tick(struct exec_run *run, int64_t now_ms)
{
    if (run->is_done || run->pid == 0) {
        return INT64_MAX;
    }
    if (now_ms >= run->kill_at_ms) {
        kill_group(run, SIGKILL);
        run->kill_at_ms = INT64_MAX;
    }
    if (run->must_poll) {
        handle_exit(run);
        return now_ms + POLL_MS;
    }
    return run->kill_at_ms;
}
