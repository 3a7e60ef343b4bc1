/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guard: a small process that outlives its host for a moment, in order to
 * kill the process groups that the host leaves behind, even if the gateway is
 * gone as well. It reads what the host reports (groups.h) from a pipe, and the
 * pipe ends with the host. It is this same program, started with --guard.
 */
#ifndef REDIAL_SERVER_PLUGINS_HOST_GUARD_H
#define REDIAL_SERVER_PLUGINS_HOST_GUARD_H

#include <sys/types.h>

struct guard {
    pid_t pid;
    int fd; /* to report to */
};

/* Starts one. Returns 0 or an errno value. */
int
guard_start(struct guard *ret_guard);

/* Ends it and waits for that. */
void
guard_stop(struct guard *guard);

/* What it does itself; standard input is the pipe. Returns its exit code. */
int
guard_run(void);

#endif
