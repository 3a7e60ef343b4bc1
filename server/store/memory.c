/* SPDX-License-Identifier: Apache-2.0 */
#include "server/store/memory.h"

#include "server/base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { GROUPS_FIRST = 256 };

/* ---- Opening ----------------------------------------------------------- */

static bool
is_random(void *bytes, size_t len)
{
    return getrandom(bytes, len, 0) == (ssize_t)len;
}

static enum store_status
memory_open(struct store *store)
{
    const struct store_options *options = &store->options;
    struct memory *memory = calloc(1, sizeof(*memory));
    uint8_t key[16];

    if (memory == NULL) {
        return STORE_NO_MEMORY;
    }
    store->state = memory;
    memory->store = store;
    list_init(&memory->kept);
    list_init(&memory->requests);
    if (!is_random(key, sizeof(key))) {
        store_say(store, "no randomness");
        return STORE_IO;
    }
    memory->hash_key = hash_key_from_bytes(key);
    memory->size = GROUPS_FIRST;
    memory->groups = calloc(memory->size, sizeof(struct store_group *));
    if (memory->groups == NULL ||
        !table_init(&memory->ended, options->finished_max, sizeof(struct ended),
                    memory->hash_key) ||
        !table_init(&memory->correlations, options->finished_max,
                    sizeof(struct correlated), memory->hash_key) ||
        !table_init(&memory->payloads,
                    options->payloads_max + options->finished_max,
                    sizeof(struct payload), memory->hash_key) ||
        !table_init(&memory->keys,
                    options->payloads_max + options->finished_max,
                    sizeof(struct store_key), memory->hash_key)) {
        return STORE_NO_MEMORY;
    }
    return STORE_OK;
}

static enum store_status
memory_recover(struct store *store, const struct store_recovery *callbacks,
               void *ctx, struct store_recovered *ret)
{
    struct store_recovered recovered = {.first_seq = 1, .next_seq = 1};
    uint64_t epoch[2];

    (void)callbacks;
    (void)ctx;
    if (!is_random(epoch, sizeof(epoch))) {
        store_say(store, "no randomness");
        return STORE_IO;
    }
    (void)snprintf(recovered.epoch, sizeof(recovered.epoch), "%016llx%016llx",
                   (unsigned long long)epoch[0], (unsigned long long)epoch[1]);
    atomic_store(&store->first_seq, 1);
    *ret = recovered;
    return STORE_OK;
}

/* ---- Finished jobs ----------------------------------------------------- */

void
memory_hash(const struct memory *memory, const void *correlation, size_t len,
            uint8_t ret[16])
{
    hash_128(&memory->hash_key, correlation, len, ret);
}

static struct ended *
ended_at(const struct memory *memory, uint32_t link)
{
    return table_slot(&memory->ended, link - 1);
}

/* Puts the finished job at the front of those with its correlation id. */
static void
correlate(struct memory *memory, uint32_t slot, const struct work *work)
{
    struct ended *ended = table_slot(&memory->ended, slot);

    memory_hash(memory, work->bytes, work->len, ended->correlation);
    uint32_t place = table_put(&memory->correlations, ended->correlation);

    redial_assert(place != TABLE_NONE); /* one a finished job at most */
    struct correlated *correlated = table_slot(&memory->correlations, place);

    ended->older = correlated->newest;
    if (ended->older != 0) {
        ended_at(memory, ended->older)->newer = slot + 1;
    }
    correlated->newest = slot + 1;
}

static void
uncorrelate(struct memory *memory, struct ended *ended)
{
    struct correlated *correlated = table_get(&memory->correlations,
                                              ended->correlation);

    if (correlated == NULL) {
        return; /* it has none */
    }
    if (ended->older != 0) {
        ended_at(memory, ended->older)->newer = ended->newer;
    }
    if (ended->newer != 0) {
        ended_at(memory, ended->newer)->older = ended->older;
    } else if (ended->older != 0) {
        correlated->newest = ended->older;
    } else {
        table_remove(&memory->correlations, ended->correlation);
    }
}

void
memory_unend(struct memory *memory, const struct job_id *job)
{
    struct ended *ended = table_get(&memory->ended, job->bytes);

    if (ended == NULL) {
        return;
    }
    uncorrelate(memory, ended);
    if (ended->kept != NULL) {
        memory->kept_count--;
        memory->kept_bytes -= ended->kept->len;
        list_remove(&ended->kept->link);
        free(ended->kept);
    }
    table_remove(&memory->ended, job->bytes);
}

static void
end_job(struct memory *memory, const struct work *work)
{
    memory_unend(memory, &work->job);
    uint32_t slot = table_put(&memory->ended, work->job.bytes);

    redial_assert(slot != TABLE_NONE); /* memory_make_room() */
    struct ended *ended = table_slot(&memory->ended, slot);

    ended->shown = (struct store_finished){.job = work->job,
                                           .final_seq = work->seq,
                                           .last_seq = work->seq,
                                           .type = work->type};
    if (work->len > 0) {
        correlate(memory, slot, work);
    }
}

/* ---- Payloads and keys ------------------------------------------------- */

bool
memory_put_payload(struct memory *memory, const struct job_id *job,
                   const void *bytes, size_t len, bool replace)
{
    uint32_t slot = table_find(&memory->payloads, job->bytes);
    void *copy;

    if (slot != TABLE_NONE && !replace) {
        return true;
    }
    copy = malloc(len == 0 ? 1 : len);
    if (copy == NULL) {
        return false;
    }
    slot = table_put(&memory->payloads, job->bytes);
    if (slot == TABLE_NONE) {
        free(copy);
        return false;
    }
    if (len > 0) {
        memcpy(copy, bytes, len);
    }
    struct payload *payload = table_slot(&memory->payloads, slot);

    free(payload->bytes);
    payload->bytes = copy;
    payload->len = len;
    return true;
}

void
memory_delete_payload(struct memory *memory, const struct job_id *job)
{
    struct payload *payload = table_get(&memory->payloads, job->bytes);

    if (payload != NULL) {
        free(payload->bytes);
        table_remove(&memory->payloads, job->bytes);
    }
}

static bool
put_key(struct memory *memory, const struct work *work)
{
    uint32_t slot = table_put(&memory->keys, work->job.bytes);

    if (slot == TABLE_NONE) {
        return false;
    }
    struct store_key *key = table_slot(&memory->keys, slot);

    key->job = work->job;
    memcpy(key->key_hash, work->bytes, 16);
    memcpy(key->content_hash, work->bytes + 16, 16);
    return true;
}

static bool
do_work(struct memory *memory, const struct work *work)
{
    struct ended *ended;

    switch (work->kind) {
    case WORK_PUT_JOB:
    case WORK_DELETE_JOB:
    case WORK_PUT_TARGET:
    case WORK_DELETE_TARGET:
        return true; /* rows are for recovery */
    case WORK_PUT_PAYLOAD:
        return memory_put_payload(memory, &work->job, work->bytes, work->len,
                                  true);
    case WORK_DELETE_PAYLOAD:
        memory_delete_payload(memory, &work->job);
        return true;
    case WORK_KEY:
        return put_key(memory, work);
    case WORK_FINAL:
        end_job(memory, work);
        return true;
    case WORK_LATE:
        ended = table_get(&memory->ended, work->job.bytes);
        if (ended != NULL) {
            ended->shown.last_seq = work->seq;
        }
        return true;
    case WORK_REQUEUED:
        memory_unend(memory, &work->job);
        return true;
    }
    redial_unreachable();
}

/* ---- Groups ------------------------------------------------------------ */

struct store_group *
memory_find(const struct memory *memory, uint64_t seq)
{
    size_t low = 0;
    size_t high = memory->count;

    /* The last one that begins at or before seq. */
    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (store_group_first_seq(memory_group(memory, middle)) <= seq) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == 0) {
        return NULL;
    }
    struct store_group *group = memory_group(memory, low - 1);

    return group_find(group, seq) == NULL ? NULL : group;
}

/* Room in the ring for one more. */
static bool
grow_ring(struct memory *memory)
{
    if (memory->count < memory->size) {
        return true;
    }
    struct store_group **groups = calloc(memory->size * 2,
                                         sizeof(struct store_group *));

    if (groups == NULL) {
        return false;
    }
    for (size_t i = 0; i < memory->count; i++) {
        groups[i] = memory_group(memory, i);
    }
    free((void *)memory->groups);
    memory->groups = groups;
    memory->head = 0;
    memory->size *= 2;
    return true;
}

static enum store_status
keep_group(struct memory *memory, struct store_group *group)
{
    struct work work;
    size_t cursor = 0;

    memory_make_room(memory, group->finals);
    if (group->count > 0) {
        if (!grow_ring(memory)) {
            return STORE_NO_MEMORY;
        }
        memory->groups[(memory->head + memory->count++) & (memory->size - 1)] =
            store_group_ref(group);
        memory->finals += group->finals;
        memory->last_seq = store_group_last_seq(group);
    }
    if (group->watermark != 0) {
        memory->watermark = group->watermark;
    }
    while (group_next_work(group, &cursor, &work)) {
        if (!do_work(memory, &work)) {
            return STORE_NO_MEMORY;
        }
    }
    group_shrink(group);
    if (group->count > 0) {
        memory->bytes += group_memory(group);
    }
    return STORE_OK;
}

/* Answers what waited for these records. */
static void
answer_pending(struct memory *memory)
{
    list_foreach_safe(at, &memory->requests) {
        struct pending *pending = container_of(at, struct pending, link);

        if (pending->asked.after_seq <= memory->last_seq) {
            list_remove(at);
            memory->request_count--;
            answer_request(pending->answer, &pending->asked, &memory_source,
                           memory);
            store_answer(memory->store, pending->answer);
            free(pending);
        }
    }
}

static void
memory_commit(struct store *store, struct store_group *group)
{
    struct memory *memory = memory_of(store);
    enum store_status status = keep_group(memory, group);

    if (status == STORE_OK) {
        atomic_store(&store->committed_seq, memory->last_seq);
        store->stats.kept_bytes = memory->bytes;
    } else {
        store_say(store, "no memory for a group");
    }
    store_finish(store, group, status);
    answer_pending(memory);
}

/* ---- Requests ---------------------------------------------------------- */

static enum store_status
memory_ask(struct store *store, const struct store_request *asked)
{
    struct memory *memory = memory_of(store);
    struct answer *answer;

    if (asked->after_seq > memory->last_seq &&
        memory->request_count >= store->options.requests_max) {
        return STORE_BUSY;
    }
    answer = answer_new(asked->type, asked->ticket);
    if (answer == NULL) {
        return STORE_NO_MEMORY;
    }
    if (asked->after_seq <= memory->last_seq) {
        answer_request(answer, asked, &memory_source, memory);
        store_answer(store, answer);
        return STORE_OK;
    }
    struct pending *pending = calloc(1, sizeof(*pending));

    if (pending == NULL) {
        answer_free(answer);
        return STORE_NO_MEMORY;
    }
    pending->asked = *asked;
    pending->answer = answer;
    list_append(&memory->requests, &pending->link);
    memory->request_count++;
    return STORE_OK;
}

static bool
memory_cancel(struct store *store, uint64_t ticket)
{
    struct memory *memory = memory_of(store);

    list_foreach_safe(at, &memory->requests) {
        struct pending *pending = container_of(at, struct pending, link);

        if (pending->asked.ticket == ticket) {
            list_remove(at);
            memory->request_count--;
            answer_free(pending->answer);
            free(pending);
            return true;
        }
    }
    return false;
}

static bool
memory_retain(struct store *store, uint64_t ticket,
              const struct store_retention *limits)
{
    memory_trim(memory_of(store), ticket, limits);
    return true;
}

/* ---- Closing ----------------------------------------------------------- */

static enum store_status
memory_close(struct store *store)
{
    (void)store;
    return STORE_OK;
}

static void
memory_free(struct store *store)
{
    struct memory *memory = memory_of(store);

    if (memory == NULL) {
        return;
    }
    for (size_t i = 0; i < memory->count; i++) {
        store_group_unref(memory_group(memory, i));
    }
    list_foreach_safe(at, &memory->requests) {
        struct pending *pending = container_of(at, struct pending, link);

        answer_free(pending->answer);
        free(pending);
    }
    list_foreach_safe(at, &memory->kept) {
        free(container_of(at, struct kept, link));
    }
    for (uint32_t i = 0; i < memory->payloads.fresh; i++) {
        struct payload *payload = table_slot(&memory->payloads, i);

        free(payload->bytes);
    }
    free((void *)memory->groups);
    table_fini(&memory->ended);
    table_fini(&memory->correlations);
    table_fini(&memory->payloads);
    table_fini(&memory->keys);
    free(memory);
}

const struct store_backend memory_backend = {
    .open = memory_open,
    .recover = memory_recover,
    .commit = memory_commit,
    .ask = memory_ask,
    .cancel = memory_cancel,
    .trim = memory_retain,
    .close = memory_close,
    .free = memory_free,
    .keeps_rows = false,
};
