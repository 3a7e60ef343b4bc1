/* SPDX-License-Identifier: Apache-2.0 */
#include "server/replay/figures.h"

#include <stdlib.h>

/* Whether it may have reached its upstream. */
static bool
was_started(const struct past_attempt *attempt)
{
    return !attempt->free || attempt->code == REDIAL_CANCELLED;
}

void
figures_of_record(const struct history *history, struct replayed *ret_jobs)
{
    for (uint32_t i = 0; i < history->job_count; i++) {
        const struct past_job *job = &history->jobs[i];
        struct replayed *to = &ret_jobs[i];

        *to = (struct replayed){
            .state = job->state, .rule = job->rule, .ended_ms = job->ended_ms};
        for (uint32_t at = job->first; at != HISTORY_NONE;
             at = history->attempts[at].next) {
            const struct past_attempt *attempt = &history->attempts[at];
            int64_t end_ms = attempt->ended_ms < 0 ? history->last_ms
                                                   : attempt->ended_ms;

            if (was_started(attempt)) {
                to->attempts++;
                to->busy_ms += end_ms - attempt->started_ms;
            }
        }
    }
}

static int
compare_ms(const void *left, const void *right)
{
    const int64_t *a = left;
    const int64_t *b = right;

    return (*a > *b) - (*a < *b);
}

/* The smallest one that at least `percent` of them do not exceed. */
static int64_t
percentile(const int64_t *sorted, uint32_t count, uint32_t percent)
{
    uint64_t rank = ((uint64_t)count * percent + 99) / 100;

    return count == 0 ? -1 : sorted[rank == 0 ? 0 : rank - 1];
}

static void
add(const struct past_job *job, const struct replayed *replayed,
    struct figures *figures)
{
    int64_t took_ms = replayed->ended_ms - job->accepted_ms;

    figures->jobs++;
    figures->attempts += replayed->attempts;
    figures->beyond += replayed->beyond;
    figures->busy_ms += (uint64_t)replayed->busy_ms;
    if (replayed->refused) {
        figures->refused++;
    } else if (replayed->state == JOB_NONE) {
        figures->open++;
    } else {
        figures->by_state[replayed->state]++;
        figures->rules[replayed->rule]++;
        if (took_ms > replayed->busy_ms) {
            figures->wait_ms += (uint64_t)(took_ms - replayed->busy_ms);
        }
    }
}

void
figures_sum(const struct history *history, const struct replayed *jobs,
            uint32_t method, int64_t *scratch, struct figures *ret_figures)
{
    uint32_t count = 0;

    *ret_figures = (struct figures){.jobs = 0};
    for (uint32_t i = 0; i < history->job_count; i++) {
        const struct past_job *job = &history->jobs[i];

        if (method != HISTORY_NONE && job->method != method) {
            continue;
        }
        add(job, &jobs[i], ret_figures);
        if (jobs[i].state != JOB_NONE) {
            scratch[count++] = jobs[i].ended_ms - job->accepted_ms;
        }
    }
    qsort(scratch, count, sizeof(*scratch), compare_ms);
    ret_figures->p50_ms = percentile(scratch, count, 50);
    ret_figures->p95_ms = percentile(scratch, count, 95);
    ret_figures->longest_ms = percentile(scratch, count, 100);
}
