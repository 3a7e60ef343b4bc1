/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exit codes: the table is exit.def. Pure.
 */
#ifndef REDIAL_CLIENT_CLI_EXIT_H
#define REDIAL_CLIENT_CLI_EXIT_H

#include <redial/status.h>
#include <redial/v1/job.pb-c.h>

#include <stddef.h>

enum exit_code {
#define EXIT(name, number, meaning) EXIT_##name = (number),
#include "client/cli/exit.def"
};

struct exit_meaning {
    enum exit_code code;
    const char *meaning;
};

/* All of them, in the order of the numbers. */
extern const struct exit_meaning exit_meanings[];
extern const size_t exit_meaning_count;

/* Of a call that failed with this status, or OK. */
enum exit_code
exit_of_status(enum redial_status status);

/* Of a job that was waited for. */
enum exit_code
exit_of_state(Redial__V1__Job__State state);

/*
 * Of two jobs: what is unfinished counts most, then what failed, then what is
 * not there; anything else before DONE.
 */
enum exit_code
exit_worse(enum exit_code one, enum exit_code other);

#endif
