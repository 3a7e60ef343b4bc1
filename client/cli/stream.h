/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events in order, from a cursor on: the loop around Watch that several verbs
 * need.
 */
#ifndef REDIAL_CLIENT_CLI_STREAM_H
#define REDIAL_CLIENT_CLI_STREAM_H

#include "client/cli/cli.h"

struct stream {
    struct cli *cli;
    Redial__V1__WatchFilter *filter; /* NULL: all */
    char *cursor;                    /* owned; where it goes on */
    bool is_over;                    /* `take` wants no more */
    bool is_at_head;                 /* there was nothing newer just now */

    /* One event; gaps come as events of the type stream.gap. False: enough. */
    bool (*take)(void *ctx, const Redial__V1__Event *event);
    void *ctx;

    /* Instead of that, if it is set: every answer as it came. */
    bool (*take_answer)(void *ctx, const Redial__V1__WatchResponse *answer);
};

/* Frees the cursor. */
void
stream_fini(struct stream *stream);

/* One Watch that waits up to `wait_ms`; the cursor moves on. */
enum redial_status
stream_turn(struct stream *stream, uint32_t wait_ms);

/* The cursor of the newest event; free() it. NULL: cli->error says why. */
char *
stream_head(struct cli *cli);

/* Is `cursor` at `place` or later, in the same log? */
bool
stream_is_behind(const char *cursor, const char *place);

/*
 * The cursor behind which everything since `wall_ms` lies, found by halving;
 * free() it. NULL: cli->error says why.
 */
char *
stream_since(struct cli *cli, int64_t wall_ms);

#endif
