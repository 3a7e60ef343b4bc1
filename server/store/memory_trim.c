/* SPDX-License-Identifier: Apache-2.0 */
/* The same three kinds of steps as trim.c, but all at once. */
#include "server/base/check.h"
#include "server/store/memory.h"

#include <stdlib.h>
#include <string.h>

struct cut {
    struct memory *memory;
    struct answer *answer; /* NULL: nothing to report so far, or no memory */
    uint64_t ticket;
};

static struct answer *
answer_of(struct cut *cut)
{
    if (cut->answer == NULL) {
        cut->answer = answer_new(STORE_TRIMMED, cut->ticket);
    }
    return cut->answer;
}

static void
post(struct cut *cut)
{
    struct store *store = cut->memory->store;
    uint64_t first_seq = cut->memory->count == 0
                             ? 1
                             : store_group_first_seq(
                                   memory_group(cut->memory, 0));

    atomic_store(&store->first_seq, first_seq);
    store->stats.kept_bytes = cut->memory->bytes;
    if (cut->answer != NULL) {
        cut->answer->shown.first_seq = first_seq;
        cut->answer->shown.complete = true;
        store_answer(store, cut->answer);
    }
}

/* ---- Forgetting -------------------------------------------------------- */

static void
forget_key(struct cut *cut, const struct job_id *job)
{
    struct store_key *key = table_get(&cut->memory->keys, job->bytes);

    if (key == NULL) {
        return;
    }
    /* Without memory the key stays in the engine: it is still true. */
    if (answer_of(cut) != NULL) {
        (void)answer_add_key(cut->answer, key);
    }
    table_remove(&cut->memory->keys, job->bytes);
}

/* False: no memory, then the job is forgotten like any other. */
static bool
keep_failed(struct memory *memory, const struct store_group *group,
            const struct group_mark *mark, struct ended *ended)
{
    const struct store_entry *entry = store_group_entry(group, mark->index);
    struct record record;
    struct kept *kept = malloc(sizeof(*kept) + entry->len);

    if (kept == NULL) {
        return false;
    }
    store_group_record(group, mark->index, &record);
    *kept = (struct kept){.job = mark->job,
                          .wall_ms = record.wall_ms,
                          .final_seq = entry->seq,
                          .len = entry->len};
    memcpy(kept->stored, store_group_bytes(group, entry), entry->len);
    list_append(&memory->kept, &kept->link);
    memory->kept_count++;
    memory->kept_bytes += kept->len;
    ended->kept = kept;
    return true;
}

static void
forget_job(struct cut *cut, const struct store_group *group,
           const struct group_mark *mark)
{
    struct memory *memory = cut->memory;
    struct ended *ended = table_get(&memory->ended, mark->job.bytes);

    if (ended == NULL ||
        ended->shown.final_seq != store_group_entry(group, mark->index)->seq) {
        return; /* requeued since */
    }
    if (mark->type != EVENT_JOB_FAILED ||
        !keep_failed(memory, group, mark, ended)) {
        memory_unend(memory, &mark->job);
    }
    if (mark->keyed) {
        forget_key(cut, &mark->job);
    }
}

/* The oldest group that is not forgotten; NULL: none, or above the watermark.
 */
static struct store_group *
next_to_forget(const struct memory *memory)
{
    if (memory->forgotten == memory->count) {
        return NULL;
    }
    struct store_group *group = memory_group(memory, memory->forgotten);

    return store_group_last_seq(group) > memory->watermark ? NULL : group;
}

static void
forget_group(struct cut *cut, struct store_group *group)
{
    size_t count = group_mark_count(group->marks.len);
    struct group_mark mark;

    for (size_t i = 0; i < count; i++) {
        bool ok = group_mark(group->marks.at, i, &mark);

        redial_assert(ok);
        if (group_is_final(mark.type)) {
            forget_job(cut, group, &mark);
        }
    }
    cut->memory->finals -= group->finals;
    cut->memory->forgotten++;
}

/* ---- Dropping ---------------------------------------------------------- */

/* NULL: none may go. */
static struct store_group *
next_to_drop(const struct memory *memory)
{
    if (memory->count < 2) {
        return NULL;
    }
    struct store_group *group = memory_group(memory, 0);

    return store_group_last_seq(group) > memory->watermark ? NULL : group;
}

static void
keep_payloads(struct memory *memory, const struct store_group *group)
{
    size_t count = group_mark_count(group->marks.len);
    struct group_mark mark;
    struct record record;

    for (size_t i = 0; i < count; i++) {
        (void)group_mark(group->marks.at, i, &mark);
        if (mark.type != EVENT_JOB_ACCEPTED) {
            continue;
        }
        const struct ended *ended = table_get(&memory->ended, mark.job.bytes);

        if (ended != NULL && ended->shown.type == EVENT_JOB_FAILED) {
            store_group_record(group, mark.index, &record);
            (void)memory_put_payload(memory, &mark.job, record.attached.at,
                                     record.attached.len, false);
        }
    }
}

static void
drop_group(struct cut *cut, struct store_group *group)
{
    struct memory *memory = cut->memory;

    if (memory->forgotten == 0) {
        forget_group(cut, group);
    }
    keep_payloads(memory, group);
    memory->bytes -= group_memory(group);
    memory->groups[memory->head] = NULL;
    memory->head = (memory->head + 1) & (memory->size - 1);
    memory->count--;
    memory->forgotten--;
    store_group_unref(group);
    (void)answer_of(cut); /* the first seq has moved */
}

static void
prune_oldest(struct memory *memory)
{
    struct kept *kept = container_of(list_first(&memory->kept), struct kept,
                                     link);
    struct job_id job = kept->job;

    memory_delete_payload(memory, &job);
    memory_unend(memory, &job);
}

/* ---- Why --------------------------------------------------------------- */

static bool
is_older(const struct store_retention *limits, int64_t wall_ms, uint64_t age_ms)
{
    return age_ms != 0 && wall_ms < limits->now_wall_ms &&
           (uint64_t)(limits->now_wall_ms - wall_ms) > age_ms;
}

static bool
is_over(uint64_t value, uint64_t limit)
{
    return limit != 0 && value > limit;
}

static void
prune(struct memory *memory, const struct store_retention *limits)
{
    struct list *first;

    while ((first = list_first(&memory->kept)) != NULL) {
        const struct kept *kept = container_of(first, struct kept, link);

        if (!is_older(limits, kept->wall_ms, limits->failed_age_ms) &&
            !is_over(memory->kept_count, limits->failed_count) &&
            !is_over(memory->kept_bytes, limits->failed_bytes)) {
            return;
        }
        prune_oldest(memory);
    }
}

void
memory_trim(struct memory *memory, uint64_t ticket,
            const struct store_retention *limits)
{
    struct cut cut = {.memory = memory, .ticket = ticket};
    struct store_group *group;

    while ((group = next_to_forget(memory)) != NULL &&
           (is_older(limits, group->wall_ms, limits->finished_age_ms) ||
            is_over(memory->finals, limits->finished_count))) {
        forget_group(&cut, group);
    }
    while ((group = next_to_drop(memory)) != NULL &&
           (is_older(limits, group->wall_ms, limits->events_age_ms) ||
            is_over(memory->bytes, limits->events_bytes))) {
        drop_group(&cut, group);
    }
    prune(memory, limits);
    (void)answer_of(&cut);
    post(&cut);
}

void
memory_make_room(struct memory *memory, uint32_t finals)
{
    struct cut cut = {.memory = memory};
    const struct map *ended = &memory->ended.map;
    struct store_group *group;

    while (ended->count_max - ended->count < finals &&
           !list_is_empty(&memory->kept)) {
        prune_oldest(memory);
    }
    while (ended->count_max - ended->count < finals &&
           (group = next_to_forget(memory)) != NULL) {
        forget_group(&cut, group);
    }
    while (memory->bytes > memory->store->options.memory_bytes_max &&
           (group = next_to_drop(memory)) != NULL) {
        drop_group(&cut, group);
    }
    if (cut.answer != NULL) {
        post(&cut);
    }
}
