/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What --help prints, and the completion of shells: both made of the tables.
 * Pure.
 */
#ifndef REDIAL_CLIENT_CLI_HELP_H
#define REDIAL_CLIENT_CLI_HELP_H

#include "client/cli/text.h"
#include "client/cli/verb.h"

/* All verbs, and the exit codes. */
void
help_add_overview(struct text *text);

/* One verb: its words, options and examples. */
void
help_add_verb(struct text *text, const struct verb *verb);

/* The verbs whose first word it is. */
void
help_add_group(struct text *text, const struct verb_group *group);

/* The script that deploy/completion/redial.bash is a copy of. */
void
help_add_bash(struct text *text);

#endif
