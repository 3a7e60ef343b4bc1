/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starts a program as a child that does not outlive its parent and inherits
 * nothing that it was not given.
 *
 * The child is made with shared memory (as vfork() does), so it is safe in a
 * process with threads, nng's among them, and cheap in a large one. Between
 * that moment and the execution of the program the calling thread waits.
 *
 * The child gets PR_SET_PDEATHSIG: the kernel kills it when the *thread* that
 * called spawn() ends. Call it from one that lives as long as the process or as
 * long as the child is wanted.
 */
#ifndef REDIAL_SERVER_PLUGINS_SPAWN_H
#define REDIAL_SERVER_PLUGINS_SPAWN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    SPAWN_FDS_MAX = 8, /* open in the child, the first three included */
};

struct spawn_options {
    const char *path;        /* of the program: no search */
    const char *const *argv; /* ends with NULL */
    const char *const *envp; /* ends with NULL */
    const char *cwd;         /* NULL: the caller's */
    /*
     * Descriptors of the caller that become 0, 1, 2, ... of the child; -1
     * stands for /dev/null. All others are closed.
     */
    int fds[SPAWN_FDS_MAX];
    uint32_t fd_count; /* 3 at least */
    /*
     * Called in the child as the leader of its new process group, just before
     * the program is executed; NULL: not called. May use only what is safe
     * in a signal handler.
     */
    void (*before_exec)(void *ctx, pid_t pid);
    void *ctx;
    bool outlives_parent; /* no PR_SET_PDEATHSIG: it ends by itself */
};

/*
 * Starts the program as the leader of a process group of its own, with default
 * signal dispositions and nothing blocked. Returns 0, or an errno value that
 * tells why it could not be executed: there is then no child any more, but
 * *ret_pid is what it was if before_exec() may have been called, otherwise 0.
 */
int
spawn(const struct spawn_options *options, pid_t *ret_pid);

/* Room for spawn_find(). */
enum { SPAWN_PATH_BYTES = 4096 };

/*
 * The path of `program`: itself if it has a '/', else the first executable file
 * in the folders of `path` (as in $PATH; NULL: the standard ones). Returns 0 or
 * an errno value.
 */
int
spawn_find(const char *program, const char *path,
           char ret_path[SPAWN_PATH_BYTES]);

#endif
