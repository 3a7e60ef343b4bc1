/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The recorded jobs once more, through the real engine under another policy and
 * a clock of its own: each job arrives when it arrived, is cancelled when it
 * was cancelled, and its attempts go as they went.
 *
 * What stands for the world. Workers: those that were recorded, all there from
 * the start, each with the methods it ran and room for as many attempts as it
 * ever had in hand. The k-th attempt of a job takes as long and ends like its
 * k-th recorded one that counted. An attempt beyond the record repeats the
 * job's last one, or, by choice, succeeds after the same time; a job that never
 * had one takes the newest of its method. One that ran when its job was
 * cancelled runs until then. An attempt that the policy gives less time ends
 * with ATTEMPT_TIMEOUT; one that timed out then does so again, with the time
 * that it has now. A lost worker is a failure UNAVAILABLE/WORKER_LOST.
 * Changes of policy, drains and restarts of the past are not repeated.
 */
#ifndef REDIAL_SERVER_REPLAY_WORLD_H
#define REDIAL_SERVER_REPLAY_WORLD_H

#include "server/replay/history.h"

/* What attempts beyond the record come to. */
enum replay_beyond {
    BEYOND_REPEATS,
    BEYOND_SUCCEEDS,
};

/* What became of one job. */
struct replayed {
    enum job_state state; /* JOB_NONE: it was never final */
    enum rule rule;
    uint32_t attempts; /* that counted or came to an end */
    uint32_t beyond;   /* of those, the ones that no record tells of */
    int64_t ended_ms;  /* -1: never */
    int64_t busy_ms;   /* its attempts together */
    bool refused;      /* at the door, by a limit */
};

/*
 * Runs all of `history` under `policy`. `ret_jobs` has room for
 * history->job_count. False: no memory. Blocks until it is done.
 */
bool
world_run(const struct history *history, const struct policy_set *policy,
          uint32_t attempts_limit, enum replay_beyond beyond,
          struct replayed *ret_jobs);

#endif
