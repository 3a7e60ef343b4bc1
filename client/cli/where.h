/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the gateway is, when nobody says: its socket for tools, admin.sock, in
 * its runtime directory. Pure but for where_is_absent(), which looks at files.
 */
#ifndef REDIAL_CLIENT_CLI_WHERE_H
#define REDIAL_CLIENT_CLI_WHERE_H

#include "client/cli/args.h"
#include "client/cli/text.h"

/* As getenv(). */
typedef char *(*where_environment)(const char *name);

enum where_source {
    WHERE_OPTION,
    WHERE_ENVIRONMENT,
    WHERE_DEFAULT,
};

/*
 * Adds the addresses, separated by spaces: those of --address, or
 * REDIAL_ADDRESS, or the default sockets. The gateway's runtime directory is
 * REDIAL_RUNTIME_DIR, or RUNTIME_DIRECTORY (service managers set it), or else
 * it is looked for in XDG_RUNTIME_DIR/redial and in /run/redial.
 */
enum where_source
where_add(struct text *text, const struct args *args,
          where_environment environment);

/*
 * True when all addresses are sockets in files, and none of the files is there:
 * then nobody has to wait to know that the gateway does not run.
 */
bool
where_is_absent(const char *addresses);

#endif
