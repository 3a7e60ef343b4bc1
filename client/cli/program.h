/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gateway's program, run as a child for what needs no running gateway: it
 * alone reads configurations and decides. No shell is between; the child writes
 * to our own standard output and error.
 */
#ifndef REDIAL_CLIENT_CLI_PROGRAM_H
#define REDIAL_CLIENT_CLI_PROGRAM_H

#include "client/cli/cli.h"

#include <signal.h>
#include <sys/types.h>

struct program {
    struct cli *cli;
    pid_t pid;
    int in_fd;                    /* its standard input, or -1 */
    struct sigaction before_pipe; /* what SIGPIPE did, while in_fd is open */
    struct text path;             /* for words about it */
};

/*
 * Starts it: argv[0] is filled in, the rest ends with NULL. The program is
 * REDIAL_GATEWAY if that is set, or redial-gateway beside this one, or that of
 * PATH. `takes_input`: its standard input is program->in_fd, which never
 * blocks; otherwise it is ours. EXIT_DONE, or the user has been told.
 * program_fini() in either case.
 */
enum exit_code
program_start(struct program *program, struct cli *cli, const char **argv,
              bool takes_input);

/*
 * Writes all to its standard input, waiting for it as long as --timeout allows.
 * EXIT_DONE; EXIT_FAILED: it reads no more; EXIT_PENDING: time is up.
 */
enum exit_code
program_write(struct program *program, const void *bytes, size_t len);

/* Closes its standard input: there is nothing more. */
void
program_end_input(struct program *program);

/*
 * Waits for its end: how it exited, which is what we exit with; or EXIT_PENDING
 * when --timeout is over, EXIT_INTERNAL when a signal ended it, and the user
 * has been told.
 */
int
program_wait(struct program *program);

/* Ends the child at once if it still runs; frees everything. */
void
program_fini(struct program *program);

#endif
