/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a program is started with: its words and its environment, made of the
 * configuration and the attempt.
 */
#ifndef REDIAL_SERVER_PLUGINS_EXEC_EXEC_LAUNCH_H
#define REDIAL_SERVER_PLUGINS_EXEC_EXEC_LAUNCH_H

#include "server/base/bytes.h"
#include "server/plugins/exec/exec_config.h"
#include <redial/plugin.h>

struct exec_launch {
    struct bytes texts; /* all words and variables, each with its NUL */
    char **argv;
    char **envp;
};

enum exec_launch_verdict {
    EXEC_LAUNCH_OK,
    EXEC_LAUNCH_REFUSED, /* *ret_field has a value that must not be an
                            argument */
    EXEC_LAUNCH_NO_MEMORY,
};

/* Zeroes and fills it; exec_launch_fini() is due in any case. */
enum exec_launch_verdict
exec_launch_init(struct exec_launch *launch, const struct exec_config *config,
                 const struct redial_plugin_attempt *attempt,
                 const char **ret_field);

void
exec_launch_fini(struct exec_launch *launch);

#endif
