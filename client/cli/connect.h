/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connection of a verb that calls the gateway: where, with which token, and
 * whether anybody is there.
 */
#ifndef REDIAL_CLIENT_CLI_CONNECT_H
#define REDIAL_CLIENT_CLI_CONNECT_H

#include "client/cli/cli.h"

/*
 * Sets cli->client and cli->caller. On failure the status is in cli->error as
 * well, and cli->is_misused says whether the command line is to blame. Without
 * --timeout a gateway that is not there is given up soon.
 */
enum redial_status
cli_connect(struct cli *cli);

#endif
