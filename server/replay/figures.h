/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What became of many jobs, in numbers: the same for what was recorded and for
 * what a replay came to, so that the two can stand side by side.
 */
#ifndef REDIAL_SERVER_REPLAY_FIGURES_H
#define REDIAL_SERVER_REPLAY_FIGURES_H

#include "server/replay/world.h"

enum { FIGURES_RULES_MAX = 64 };

struct figures {
    uint32_t jobs;
    uint32_t by_state[JOB_EXPIRED + 1]; /* final ones */
    uint32_t open;                      /* not final at the end */
    uint32_t refused;                   /* at the door */
    uint64_t attempts;
    uint64_t beyond;  /* attempts that no record tells of */
    uint64_t busy_ms; /* of all attempts together */
    uint64_t wait_ms; /* of all final jobs: their time less their attempts */
    int64_t p50_ms;   /* from acceptance to the end, of final jobs; -1: none */
    int64_t p95_ms;
    int64_t longest_ms;
    uint32_t rules[FIGURES_RULES_MAX]; /* why final jobs ended */
};

/* The recorded jobs in the form of replayed ones. */
void
figures_of_record(const struct history *history, struct replayed *ret_jobs);

/*
 * Sums up the jobs of one method, or of all (HISTORY_NONE). `scratch` has room
 * for history->job_count numbers.
 */
void
figures_sum(const struct history *history, const struct replayed *jobs,
            uint32_t method, int64_t *scratch, struct figures *ret_figures);

#endif
