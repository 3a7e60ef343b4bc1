/* SPDX-License-Identifier: Apache-2.0 */
#include "server/store/answer.h"

#include "server/base/check.h"
#include "server/store/group.h"

#include <stdlib.h>
#include <string.h>

/* A job with more records than this shows only the newest of them. */
enum { TIMELINE_RECORDS_MAX = 10000 };

/* ---- Building ---------------------------------------------------------- */

struct answer *
answer_new(enum store_request_type type, uint64_t ticket)
{
    struct answer *answer = calloc(1, sizeof(*answer));

    if (answer != NULL) {
        answer->shown.type = type;
        answer->shown.ticket = ticket;
    }
    return answer;
}

void
answer_free(struct answer *answer)
{
    if (answer == NULL) {
        return;
    }
    for (size_t i = 0; i < answer->shown.group_count; i++) {
        store_group_unref(answer->shown.groups[i]);
    }
    free((void *)answer->shown.groups);
    free(answer->shown.finished);
    free(answer->shown.keys);
    free(answer->bytes);
    free(answer);
}

/* Room for one more element in an array that grows in powers of two. */
static void *
grow(void *array, size_t count, size_t size)
{
    if (count != 0 && (count & (count - 1)) != 0) {
        return array;
    }
    return realloc(array, (count == 0 ? 1 : count * 2) * size);
}

bool
answer_add_group(struct answer *answer, struct store_group *group)
{
    struct store_answer *shown = &answer->shown;
    void *groups = grow((void *)shown->groups, shown->group_count,
                        sizeof(group));

    if (groups == NULL) {
        store_group_unref(group);
        return false;
    }
    shown->groups = groups;
    shown->groups[shown->group_count++] = group;
    return true;
}

bool
answer_add_finished(struct answer *answer,
                    const struct store_finished *finished)
{
    struct store_answer *shown = &answer->shown;
    void *array = grow(shown->finished, shown->finished_count,
                       sizeof(*finished));

    if (array == NULL) {
        return false;
    }
    shown->finished = array;
    shown->finished[shown->finished_count++] = *finished;
    return true;
}

bool
answer_add_key(struct answer *answer, const struct store_key *key)
{
    struct store_answer *shown = &answer->shown;
    void *keys = grow(shown->keys, shown->key_count, sizeof(*key));

    if (keys == NULL) {
        return false;
    }
    shown->keys = keys;
    shown->keys[shown->key_count++] = *key;
    return true;
}

bool
answer_set_bytes(struct answer *answer, const void *bytes, size_t len)
{
    void *copy = malloc(len == 0 ? 1 : len);

    if (copy == NULL) {
        return false;
    }
    if (len > 0) {
        memcpy(copy, bytes, len);
    }
    answer->bytes = copy;
    answer->shown.bytes = copy;
    answer->shown.byte_count = len;
    return true;
}

bool
answer_take_listed(struct answer *answer, const struct store_request *request,
                   const struct store_finished *finished)
{
    if (request->type == STORE_FINISHED &&
        (request->finished.types & STORE_TYPE_BIT(finished->type)) == 0) {
        return true;
    }
    return answer_add_finished(answer, finished);
}

/* ---- Ranges ------------------------------------------------------------ */

static enum store_status
read_range(struct answer *answer, const struct store_request *request,
           const struct source *source, void *ctx)
{
    uint64_t seq = request->range.from_seq;
    uint64_t records = 0;
    size_t bytes = 0;

    if (seq < answer->shown.first_seq) {
        seq = answer->shown.first_seq;
    }
    while (records < request->range.records_max &&
           (bytes == 0 || bytes < request->range.bytes_max)) {
        struct store_group *group;
        enum store_status status = source->group_at(ctx, seq, &group);

        if (status == STORE_NOT_FOUND) {
            return STORE_OK;
        }
        if (status != STORE_OK) {
            return status;
        }
        uint64_t last_seq = store_group_last_seq(group);

        records += last_seq + 1 - seq;
        bytes += group->bytes.len;
        seq = last_seq + 1;
        if (!answer_add_group(answer, group)) {
            return STORE_NO_MEMORY;
        }
    }
    return STORE_OK;
}

/* ---- One job ----------------------------------------------------------- */

/* A record on the way back through a job's records. */
struct step {
    struct store_group *group; /* a reference */
    const struct store_entry *entry;
    struct record record;
};

static void
step_fini(struct step *step)
{
    store_group_unref(step->group);
    step->group = NULL;
}

/* Goes to the record with this seq, of this job; keeps a group that holds it
 * already. */
static enum store_status
step_to(struct step *step, uint64_t seq, const struct job_id *job,
        const struct source *source, void *ctx)
{
    if (step->group == NULL || group_find(step->group, seq) == NULL) {
        struct store_group *group = NULL;
        enum store_status status = source->group_at(ctx, seq, &group);

        if (status == STORE_NOT_FOUND) {
            status = source->failed(ctx, job, seq, &group);
        }
        if (status != STORE_OK) {
            return status;
        }
        step_fini(step);
        step->group = group;
    }
    step->entry = group_find(step->group, seq);
    redial_assert(step->entry != NULL);
    store_group_record(step->group,
                       (size_t)(step->entry - step->group->entries),
                       &step->record);
    return memcmp(step->record.job.bytes, job->bytes, sizeof(job->bytes)) == 0
               ? STORE_OK
               : STORE_NOT_FOUND;
}

/* Turns newest first into oldest first. */
static void
reverse_entries(struct store_group *group)
{
    for (size_t i = 0, j = group->count; i + 1 < j; i++) {
        struct store_entry entry = group->entries[i];

        group->entries[i] = group->entries[--j];
        group->entries[j] = entry;
    }
}

/* Copies the job's records, from the last one back, into one group. */
static enum store_status
collect(struct answer *answer, const struct job_id *job, uint64_t seq,
        const struct source *source, void *ctx)
{
    struct store_group *group = store_group_new(NULL);
    struct step step = {0};
    enum store_status status = group == NULL ? STORE_NO_MEMORY : STORE_OK;

    while (status == STORE_OK && seq != 0 &&
           group->count < TIMELINE_RECORDS_MAX) {
        status = step_to(&step, seq, job, source, ctx);
        if (status == STORE_NOT_FOUND && group->count > 0) {
            /* Trimmed: what is left is what there is. */
            status = STORE_OK;
            break;
        }
        if (status != STORE_OK) {
            break;
        }
        if (!group_copy_record(group, step.entry,
                               store_group_bytes(step.group, step.entry))) {
            status = STORE_NO_MEMORY;
        }
        answer->shown.complete = step.record.job_seq == 1;
        seq = step.record.prev_seq;
    }
    step_fini(&step);
    if (status != STORE_OK) {
        store_group_unref(group);
        return status;
    }
    reverse_entries(group);
    return answer_add_group(answer, group) ? STORE_OK : STORE_NO_MEMORY;
}

static enum store_status
read_timeline(struct answer *answer, const struct store_request *request,
              const struct source *source, void *ctx)
{
    struct store_finished finished;
    uint64_t seq = request->timeline.last_seq;
    enum store_status status = source->finished(ctx, &request->job, &finished);

    if (status == STORE_OK) {
        if (!answer_add_finished(answer, &finished)) {
            return STORE_NO_MEMORY;
        }
        seq = finished.last_seq > seq ? finished.last_seq : seq;
    } else if (status != STORE_NOT_FOUND || seq == 0) {
        return status;
    }
    status = collect(answer, &request->job, seq, source, ctx);
    if (status == STORE_NOT_FOUND && answer->shown.finished_count > 0 &&
        seq != finished.final_seq) {
        /* What came late is gone; the final record may have stayed. */
        status = collect(answer, &request->job, finished.final_seq, source,
                         ctx);
    }
    return status;
}

static enum store_status
look_up(struct answer *answer, const struct store_request *request,
        const struct source *source, void *ctx)
{
    struct store_finished finished;
    struct step step = {0};
    enum store_status status = source->finished(ctx, &request->job, &finished);

    if (status != STORE_OK) {
        return status;
    }
    if (!answer_add_finished(answer, &finished)) {
        return STORE_NO_MEMORY;
    }
    if (!request->lookup.with_record) {
        return STORE_OK;
    }
    status = step_to(&step, finished.final_seq, &request->job, source, ctx);
    if (status == STORE_OK) {
        struct store_group *group = store_group_new(NULL);

        if (group == NULL ||
            !group_copy_record(group, step.entry,
                               store_group_bytes(step.group, step.entry))) {
            store_group_unref(group);
            status = STORE_NO_MEMORY;
        } else if (!answer_add_group(answer, group)) {
            status = STORE_NO_MEMORY;
        }
    }
    step_fini(&step);
    return status;
}

/* Shows the payload of the accepted record that `step` stands on. */
static enum store_status
show_payload(struct answer *answer, struct step *step)
{
    struct store_group *group = step->group;

    if (step->record.type != EVENT_JOB_ACCEPTED) {
        return STORE_NOT_FOUND;
    }
    answer->shown.bytes = (const uint8_t *)step->record.attached.at;
    answer->shown.byte_count = step->record.attached.len;
    step->group = NULL;
    return answer_add_group(answer, group) ? STORE_OK : STORE_NO_MEMORY;
}

static enum store_status
read_payload(struct answer *answer, const struct store_request *request,
             const struct source *source, void *ctx)
{
    struct store_finished finished;
    struct step step = {0};
    uint64_t seq = request->payload.accepted_seq;
    enum store_status status = source->payload(ctx, &request->job, answer);

    if (status != STORE_NOT_FOUND) {
        return status;
    }
    if (seq == 0) {
        seq = request->payload.last_seq;
    }
    if (seq == 0) {
        status = source->finished(ctx, &request->job, &finished);
        if (status != STORE_OK) {
            return status;
        }
        seq = finished.final_seq;
    }
    status = step_to(&step, seq, &request->job, source, ctx);
    while (status == STORE_OK && step.record.prev_seq != 0) {
        status = step_to(&step, step.record.prev_seq, &request->job, source,
                         ctx);
    }
    if (status == STORE_OK) {
        status = show_payload(answer, &step);
    }
    step_fini(&step);
    return status;
}

/* ---- Lists ------------------------------------------------------------- */

static int
newest_first(const void *a, const void *b)
{
    const struct store_finished *left = a;
    const struct store_finished *right = b;

    return memcmp(right->job.bytes, left->job.bytes, sizeof(left->job.bytes));
}

static enum store_status
read_correlated(struct answer *answer, const struct store_request *request,
                const struct source *source, void *ctx)
{
    struct store_answer *shown = &answer->shown;

    shown->complete = true;
    enum store_status status = source->correlated(ctx, request, answer);

    if (shown->finished_count > 1) {
        size_t kept = 1;

        qsort(shown->finished, shown->finished_count, sizeof(*shown->finished),
              newest_first);
        for (size_t i = 1; i < shown->finished_count; i++) {
            if (newest_first(&shown->finished[i - 1], &shown->finished[i]) !=
                0) {
                shown->finished[kept++] = shown->finished[i];
            }
        }
        shown->finished_count = kept;
    }
    if (shown->finished_count > request->correlated.jobs_max) {
        shown->finished_count = request->correlated.jobs_max;
        shown->complete = false;
    }
    return status;
}

void
answer_request(struct answer *answer, const struct store_request *request,
               const struct source *source, void *ctx)
{
    enum store_status status = STORE_NOT_FOUND;

    answer->shown.first_seq = source->first_seq(ctx);
    switch (request->type) {
    case STORE_READ_RANGE:
        status = read_range(answer, request, source, ctx);
        break;
    case STORE_READ_TIMELINE:
        status = read_timeline(answer, request, source, ctx);
        break;
    case STORE_LOOKUP:
        status = look_up(answer, request, source, ctx);
        break;
    case STORE_PAYLOAD:
        status = read_payload(answer, request, source, ctx);
        break;
    case STORE_CORRELATED:
        status = read_correlated(answer, request, source, ctx);
        break;
    case STORE_FINISHED:
        status = source->list(ctx, request, answer);
        break;
    case STORE_TRIMMED:
        redial_unreachable(); /* no request */
    }
    answer->shown.status = status;
}
