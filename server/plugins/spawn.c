/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clone(CLONE_VM | CLONE_VFORK) instead of fork(), because nng and other
 * threads' locks do not survive a fork, and instead of posix_spawn(), which
 * offers neither PR_SET_PDEATHSIG nor a hook before the execution. The child
 * runs on a stack of its own; the signals are blocked around it, so that no
 * handler of ours can run in it on shared memory.
 */
#include "server/plugins/spawn.h"

#include "server/base/check.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    CHILD_STACK_BYTES = 64 * 1024,
    /* Descriptors below this one are where the child's own will be. */
    CHILD_FD_FLOOR = SPAWN_FDS_MAX,
};

/*
 * clone() by its other name: the thread sanitizer takes every clone() for a
 * fork(), and would no longer watch the thread that has called it.
 */
int
__clone(int (*run)(void *), void *stack, int flags, void *arg, ...);

struct child {
    const struct spawn_options *options;
    pid_t parent;
    /*
     * To tell the errno of the step that failed; closed by the execution. Not
     * by way of our common memory, which valgrind does not make common.
     */
    int error_fd;
};

/*
 * The child makes its system calls without wrappers: a sanitizer's would note
 * down, in memory that we share, what only the child does (that a call has
 * begun which never comes back, for one).
 */
static int
raw_close_from(int first)
{
#ifdef SYS_close_range
    if (syscall(SYS_close_range, (unsigned)first, ~0u, 0u) == 0) {
        return 0;
    }
#endif
    struct rlimit limit;
    int last = 1048576;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 &&
        limit.rlim_cur < (rlim_t)last) {
        last = (int)limit.rlim_cur;
    }
    for (int fd = first; fd < last; fd++) {
        syscall(SYS_close, fd);
    }
    return 0;
}

/*
 * Puts the wanted descriptors in place: first up above all targets, so that
 * none is overwritten before it has been copied, then down.
 */
static int
arrange_fds(struct child *child)
{
    const struct spawn_options *options = child->options;
    long above[SPAWN_FDS_MAX];
    for (uint32_t i = 0; i < options->fd_count; i++) {
        long fd = options->fds[i];
        if (fd < 0) {
            fd = syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC);
        }
        above[i] = syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, CHILD_FD_FLOOR);
        if (fd < 0 || above[i] < 0) {
            return -1;
        }
    }
    for (uint32_t i = 0; i < options->fd_count; i++) {
        if (syscall(SYS_dup3, above[i], i, 0) < 0) {
            return -1;
        }
    }
    /* The pipe for errors is the last one, and goes with the execution. */
    if (syscall(SYS_dup3, child->error_fd, options->fd_count, O_CLOEXEC) < 0) {
        return -1;
    }
    child->error_fd = (int)options->fd_count;
    return raw_close_from(child->error_fd + 1);
}

/*
 * Back to the defaults and unblocked: the execution would keep ignored what is
 * ignored and blocked what is blocked.
 */
static int
reset_signals(void)
{
    static const uint64_t kernel_default_action[8]; /* larger than any */
    static const uint64_t kernel_empty_set;
    for (int number = 1; number < NSIG; number++) {
        syscall(SYS_rt_sigaction, number, kernel_default_action, NULL,
                sizeof(kernel_empty_set));
    }
    return (int)syscall(SYS_rt_sigprocmask, SIG_SETMASK, &kernel_empty_set,
                        NULL, sizeof(kernel_empty_set));
}

static bool
prepare(struct child *child)
{
    const struct spawn_options *options = child->options;
    long last_signal = options->outlives_parent ? 0 : SIGKILL;
    if (syscall(SYS_setpgid, 0, 0) != 0 ||
        syscall(SYS_prctl, PR_SET_PDEATHSIG, last_signal, 0, 0, 0) != 0) {
        return false;
    }
    if (syscall(SYS_getppid) != child->parent) {
        /* It died before prctl(): nobody will tell us any more. */
        errno = ESRCH;
        return false;
    }
    if (options->cwd != NULL && syscall(SYS_chdir, options->cwd) != 0) {
        return false;
    }
    if (options->before_exec != NULL) {
        options->before_exec(options->ctx, (pid_t)syscall(SYS_getpid));
    }
    return arrange_fds(child) == 0 && reset_signals() == 0;
}

static int
child_main(void *arg)
{
    struct child child = *(const struct child *)arg; /* ours to change */
    const struct spawn_options *options = child.options;
    if (prepare(&child)) {
        syscall(SYS_execve, options->path, options->argv, options->envp);
    }
    int error = errno;
    syscall(SYS_write, child.error_fd, &error, sizeof(error));
    syscall(SYS_exit_group, 127);
    return 127; /* not reached */
}

/* Makes the child and waits until it executes the program or cannot. */
static pid_t
make_child(struct child *child)
{
    uint8_t *stack = mmap(NULL, CHILD_STACK_BYTES, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED) {
        return -1;
    }
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t pid = __clone(child_main, stack + CHILD_STACK_BYTES,
                        CLONE_VM | CLONE_VFORK | SIGCHLD, child);
    int error = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    munmap(stack, CHILD_STACK_BYTES);
    errno = error;
    return pid;
}

/* What the child has written; 0 if the execution has closed the pipe. */
static int
read_error(int fd)
{
    int error = 0;
    ssize_t len;
    do {
        len = read(fd, &error, sizeof(error));
    } while (len < 0 && errno == EINTR);
    return len == (ssize_t)sizeof(error) ? error : 0;
}

int
spawn(const struct spawn_options *options, pid_t *ret_pid)
{
    redial_assert(options->fd_count >= 3 && options->fd_count <= SPAWN_FDS_MAX);
    int ends[2];
    *ret_pid = 0;
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return errno;
    }
    struct child child = {
        .options = options,
        .parent = getpid(),
        .error_fd = fcntl(ends[1], F_DUPFD_CLOEXEC, 2 * SPAWN_FDS_MAX),
    };
    close(ends[1]);
    pid_t pid = child.error_fd < 0 ? -1 : make_child(&child);
    int error = errno;
    if (child.error_fd >= 0) {
        close(child.error_fd);
    }
    if (pid >= 0) {
        error = read_error(ends[0]);
        *ret_pid = pid;
    }
    close(ends[0]);
    if (pid >= 0 && error != 0) {
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
        }
    }
    return error;
}

/* Sets errno when it is not. */
static bool
is_program(const char *path)
{
    struct stat info;
    if (stat(path, &info) != 0 || access(path, X_OK) != 0) {
        return false;
    }
    errno = EACCES;
    return S_ISREG(info.st_mode);
}

int
spawn_find(const char *program, const char *path,
           char ret_path[SPAWN_PATH_BYTES])
{
    const char *folder = path != NULL ? path : "/usr/local/bin:/usr/bin:/bin";
    if (strchr(program, '/') != NULL) {
        folder = NULL;
    }
    int error = ENOENT;
    do {
        size_t len = folder == NULL ? 0 : strcspn(folder, ":");
        char found[SPAWN_PATH_BYTES];
        int printed = snprintf(found, sizeof(found), "%.*s%s%s", (int)len,
                               folder == NULL ? "" : folder,
                               len == 0 ? "" : "/", program);
        if (printed < 0 || (size_t)printed >= sizeof(found)) {
            error = ENAMETOOLONG;
        } else if (is_program(found)) {
            memcpy(ret_path, found, (size_t)printed + 1);
            return 0;
        } else if (errno != ENOENT && errno != ENOTDIR) {
            error = errno;
        }
        folder = folder == NULL || folder[len] == '\0' ? NULL
                                                       : folder + len + 1;
    } while (folder != NULL);
    return error;
}
