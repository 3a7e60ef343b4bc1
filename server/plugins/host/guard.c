/* SPDX-License-Identifier: Apache-2.0 */
#include "server/plugins/host/guard.h"

#include "server/plugins/groups.h"
#include "server/plugins/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int
guard_start(struct guard *ret_guard)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return errno;
    }
    static const char *const argv[] = {"redial-plugin-host", "--guard", NULL};
    struct spawn_options options = {
        .path = "/proc/self/exe",
        .argv = argv,
        .envp = (const char *const *)environ,
        .fds = {ends[0], -1, STDERR_FILENO},
        .fd_count = 3,
        .outlives_parent = true,
    };
    int error = spawn(&options, &ret_guard->pid);
    close(ends[0]);
    if (error != 0) {
        close(ends[1]);
        return error;
    }
    ret_guard->fd = ends[1];
    return 0;
}

void
guard_stop(struct guard *guard)
{
    close(guard->fd);
    while (waitpid(guard->pid, NULL, 0) < 0 && errno == EINTR) {
    }
}

int
guard_run(void)
{
    static struct groups groups;
    /* It has its own end, the pipe's, and is in nobody's way till then. */
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGTERM, &ignore, NULL);
    sigaction(SIGINT, &ignore, NULL);
    sigaction(SIGHUP, &ignore, NULL);
    while (groups_read(&groups, STDIN_FILENO)) {
    }
    groups_kill(&groups);
    return 0;
}
