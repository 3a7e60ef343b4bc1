/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting for jobs to be final, which several verbs do.
 */
#ifndef REDIAL_CLIENT_CLI_WAIT_H
#define REDIAL_CLIENT_CLI_WAIT_H

#include "client/cli/cli.h"

struct wait {
    struct cli *cli;
    /* What is still waited for; the strings are the caller's or `kept`. */
    const char **ids;
    size_t id_count;
    const char **keys;
    size_t key_count;
    const char *correlation_id; /* asked once, then its pending ids */
    const char *tenant;
    char **kept; /* copies of pending ids */
    size_t kept_count;
    enum exit_code code; /* so far */

    /* Called for each job that is final, once. */
    void (*done)(struct cli *cli, const Redial__V1__Job *job);
};

/* Zeroed, with cli and done set. Room for `count` ids and as many keys. */
bool
wait_init(struct wait *wait, struct cli *cli, size_t count);

void
wait_fini(struct wait *wait);

/*
 * Waits until all are final or --timeout is over, says what is missing or still
 * pending, and gives the exit code of it all.
 */
enum exit_code
wait_run(struct wait *wait);

/* The usual `done`: a line, with --json an object, with --result the bytes. */
void
wait_print_job(struct cli *cli, const Redial__V1__Job *job);

#endif
