/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The payload of a job: from the command line, a file or standard input.
 */
#ifndef REDIAL_CLIENT_CLI_PAYLOAD_H
#define REDIAL_CLIENT_CLI_PAYLOAD_H

#include "client/cli/args.h"

#include <stdio.h>

struct payload {
    void *bytes; /* owned, or NULL */
    size_t len;
    bool is_json; /* given by --json-data */
};

/*
 * Reads the payload that the options name; without one it is empty. False:
 * `ret_problem` says what is wrong, one sentence. payload_fini() in either
 * case.
 */
bool
payload_read(struct payload *payload, const struct args *args, FILE *in,
             char *ret_problem, size_t problem_size);

void
payload_fini(struct payload *payload);

#endif
