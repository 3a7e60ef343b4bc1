/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The attempts of one job on standard error, while they happen. It is there to
 * entertain: when the events cannot be had, nothing is shown.
 */
#ifndef REDIAL_CLIENT_CLI_PROGRESS_H
#define REDIAL_CLIENT_CLI_PROGRESS_H

#include "client/cli/cli.h"

struct progress {
    struct cli *cli;
    char *cursor; /* NULL: not started */
};

/* Before the job is submitted, so that no event is missed. */
void
progress_start(struct progress *progress);

/*
 * Shows what happens to the job until it is final, or --timeout is over, or the
 * events cannot be had. No effect unless started.
 */
void
progress_run(struct progress *progress, const char *job_id);

void
progress_fini(struct progress *progress);

#endif
