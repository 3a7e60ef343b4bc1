/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What to do next, after something failed. Pure.
 */
#ifndef REDIAL_CLIENT_CLI_HINT_H
#define REDIAL_CLIENT_CLI_HINT_H

#include "client/cli/text.h"
#include "client/cli/where.h"
#include <redial/client.h>

struct hint {
    const struct redial_error *error;
    const char *verb;
    const char *addresses;
    enum where_source source; /* of the addresses */
    const char *job_id;       /* of a job that may exist, or NULL */
};

/* Indented lines, each with its end; nothing if there is nothing to say. */
void
hint_add(struct text *text, const struct hint *hint);

#endif
