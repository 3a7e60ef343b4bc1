/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "What if we had had that policy?" Reads recorded events, replays the jobs
 * through the core under another policy (world.h says what stands for the
 * world), and prints the difference in attempts, waits and outcomes.
 *
 * A mode of its own of the gateway's program; it opens no store and no socket.
 */
#ifndef REDIAL_SERVER_REPLAY_REPLAY_H
#define REDIAL_SERVER_REPLAY_REPLAY_H

#include "server/core/policy.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct replay_options {
    const struct policy_set *policy;
    const char *policy_name; /* for the heading: a file's name */
    uint32_t attempts_limit;
    bool json;
};

enum replay_result {
    REPLAY_DONE = 0,
    REPLAY_BAD_INPUT, /* not what is expected; said on `errors` */
    REPLAY_NO_MEMORY,
    REPLAY_NO_OUTPUT, /* the report could not be written */
};

/* The longest frame that is read. */
enum { REPLAY_FRAME_BYTES_MAX = 16 * 1024 * 1024 };

/*
 * `in` holds packed redial.v1.WatchResponse messages, each after its length in
 * four bytes, big end first, in the order of their events. Blocks.
 */
enum replay_result
replay_run(const struct replay_options *options, FILE *in, FILE *out,
           FILE *errors);

#endif
