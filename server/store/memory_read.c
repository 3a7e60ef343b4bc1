/* SPDX-License-Identifier: Apache-2.0 */
#include "server/store/memory.h"

#include <stdlib.h>
#include <string.h>

static uint64_t
source_first_seq(void *ctx)
{
    struct memory *memory = ctx;

    return atomic_load(&memory->store->first_seq);
}

static enum store_status
source_group_at(void *ctx, uint64_t seq, struct store_group **ret)
{
    struct store_group *group = memory_find(ctx, seq);

    if (group == NULL) {
        return STORE_NOT_FOUND;
    }
    *ret = store_group_ref(group);
    return STORE_OK;
}

static enum store_status
source_finished(void *ctx, const struct job_id *job, struct store_finished *ret)
{
    struct memory *memory = ctx;
    const struct ended *ended = table_get(&memory->ended, job->bytes);

    if (ended == NULL) {
        return STORE_NOT_FOUND;
    }
    *ret = ended->shown;
    return STORE_OK;
}

static enum store_status
source_failed(void *ctx, const struct job_id *job, uint64_t final_seq,
              struct store_group **ret)
{
    struct memory *memory = ctx;
    const struct ended *ended = table_get(&memory->ended, job->bytes);

    if (ended == NULL || ended->kept == NULL ||
        ended->kept->final_seq != final_seq) {
        return STORE_NOT_FOUND;
    }
    return group_of_record(ended->kept->stored, ended->kept->len, ret);
}

static enum store_status
source_payload(void *ctx, const struct job_id *job, struct answer *answer)
{
    struct memory *memory = ctx;
    const struct payload *payload = table_get(&memory->payloads, job->bytes);

    if (payload == NULL) {
        return STORE_NOT_FOUND;
    }
    return answer_set_bytes(answer, payload->bytes, payload->len)
               ? STORE_OK
               : STORE_NO_MEMORY;
}

static enum store_status
source_correlated(void *ctx, const struct store_request *request,
                  struct answer *answer)
{
    struct memory *memory = ctx;
    uint8_t hash[16];

    memory_hash(memory, request->correlated.id, request->correlated.id_len,
                hash);
    const struct correlated *correlated = table_get(&memory->correlations,
                                                    hash);
    uint32_t link = correlated == NULL ? 0 : correlated->newest;

    while (link != 0 &&
           answer->shown.finished_count <= request->correlated.jobs_max) {
        const struct ended *ended = table_slot(&memory->ended, link - 1);

        if (!answer_take_listed(answer, request, &ended->shown)) {
            return STORE_NO_MEMORY;
        }
        link = ended->older;
    }
    return STORE_OK;
}

/* ---- Lists ------------------------------------------------------------- */

static int
ascending(const void *a, const void *b)
{
    return memcmp(((const struct store_finished *)a)->job.bytes,
                  ((const struct store_finished *)b)->job.bytes,
                  sizeof(struct job_id));
}

static int
descending(const void *a, const void *b)
{
    return ascending(b, a);
}

/* Leaves the first jobs_max in order. */
static void
cut_list(const struct store_request *request, struct store_answer *shown)
{
    if (shown->finished_count > 0) {
        qsort(shown->finished, shown->finished_count, sizeof(*shown->finished),
              request->finished.descending ? descending : ascending);
    }
    if (shown->finished_count > request->finished.jobs_max) {
        shown->finished_count = request->finished.jobs_max;
        shown->complete = false;
    }
}

static bool
is_beyond(const struct store_request *request, const struct job_id *job)
{
    static const struct job_id start;
    int order = memcmp(job->bytes, request->job.bytes, sizeof(job->bytes));

    return memcmp(&request->job, &start, sizeof(start)) == 0 ||
           (request->finished.descending ? order < 0 : order > 0);
}

/* All slots, in no order: of twice as many as wanted the better half stays. */
static enum store_status
source_list(void *ctx, const struct store_request *request,
            struct answer *answer)
{
    struct memory *memory = ctx;
    struct store_answer *shown = &answer->shown;

    shown->complete = true;
    for (uint32_t i = 0; i < memory->ended.fresh; i++) {
        const struct ended *ended = table_slot(&memory->ended, i);

        if (ended->shown.final_seq == 0 ||
            !is_beyond(request, &ended->shown.job)) {
            continue;
        }
        if (!answer_take_listed(answer, request, &ended->shown)) {
            return STORE_NO_MEMORY;
        }
        if (shown->finished_count >= 2 * (size_t)request->finished.jobs_max) {
            cut_list(request, shown);
        }
    }
    cut_list(request, shown);
    shown->reached = shown->finished_count == 0
                         ? request->job
                         : shown->finished[shown->finished_count - 1].job;
    return STORE_OK;
}

const struct source memory_source = {
    .first_seq = source_first_seq,
    .group_at = source_group_at,
    .finished = source_finished,
    .failed = source_failed,
    .payload = source_payload,
    .correlated = source_correlated,
    .list = source_list,
};
