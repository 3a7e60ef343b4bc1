/* SPDX-License-Identifier: Apache-2.0 */
#include "server/store/store.h"

#include "server/base/check.h"
#include "server/store/backend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    PIPE_DEFAULT = 4,
    REQUESTS_DEFAULT = 1024,
    FINISHED_DEFAULT = 200000,
    PAYLOADS_DEFAULT = 1100000,
    MEMORY_DEFAULT = 64 * 1024 * 1024,
};

static const char *const status_texts[] = {
#define STORE_STATUS(name, text) [STORE_##name] = (text),
    STORE_STATUSES(STORE_STATUS)
#undef STORE_STATUS
};

const char *
store_status_text(enum store_status status)
{
    redial_assert((size_t)status <
                  sizeof(status_texts) / sizeof(status_texts[0]));
    return status_texts[status];
}

/* ---- For the backends -------------------------------------------------- */

uint64_t
store_clock_us(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

void
store_say(struct store *store, const char *detail)
{
    (void)pthread_mutex_lock(&store->lock);
    (void)snprintf(store->said, sizeof(store->said), "%s", detail);
    (void)pthread_mutex_unlock(&store->lock);
}

/* Moves what threads said to where the loop reads it. Caller holds the lock. */
static void
hear_locked(struct store *store)
{
    if (store->said[0] != '\0') {
        memcpy(store->detail, store->said, sizeof(store->detail));
        store->said[0] = '\0';
    }
}

static void
hear(struct store *store)
{
    (void)pthread_mutex_lock(&store->lock);
    hear_locked(store);
    (void)pthread_mutex_unlock(&store->lock);
}

void
store_finish(struct store *store, struct store_group *group,
             enum store_status status)
{
    group->status = status;
    (void)pthread_mutex_lock(&store->lock);
    if (status == STORE_OK) {
        struct store_stats *stats = &store->stats;

        stats->groups++;
        stats->records += group->count;
        stats->bytes += group->bytes.len;
        stats->sync_us_last = group->sync_us;
        if (group->sync_us > stats->sync_us_max) {
            stats->sync_us_max = group->sync_us;
        }
    }
    list_append(&store->done, &group->link);
    (void)pthread_mutex_unlock(&store->lock);
    atomic_fetch_sub(&store->pipe_len, 1);
}

void
store_answer(struct store *store, struct answer *answer)
{
    (void)pthread_mutex_lock(&store->lock);
    list_append(&store->answers, &answer->link);
    (void)pthread_mutex_unlock(&store->lock);
}

void
store_wake(const struct store *store)
{
    if (store->options.wake != NULL) {
        store->options.wake(store->options.ctx);
    }
}

/* ---- Life -------------------------------------------------------------- */

static void
set_defaults(struct store_options *options)
{
    if (options->pipe_max == 0) {
        options->pipe_max = PIPE_DEFAULT;
    }
    if (options->requests_max == 0) {
        options->requests_max = REQUESTS_DEFAULT;
    }
    if (options->memory_bytes_max == 0) {
        options->memory_bytes_max = MEMORY_DEFAULT;
    }
    if (options->finished_max == 0) {
        options->finished_max = FINISHED_DEFAULT;
    }
    if (options->payloads_max == 0) {
        options->payloads_max = PAYLOADS_DEFAULT;
    }
}

struct store *
store_new(const struct store_options *options)
{
    struct store *store = calloc(1, sizeof(*store));

    if (store == NULL) {
        return NULL;
    }
    store->options = *options;
    set_defaults(&store->options);
    if (options->dir != NULL) {
        store->dir = strdup(options->dir);
        if (store->dir == NULL) {
            goto fail;
        }
        store->options.dir = store->dir;
    }
    if (pthread_mutex_init(&store->lock, NULL) != 0) {
        goto fail;
    }
    list_init(&store->taken);
    list_init(&store->taken_answers);
    list_init(&store->done);
    list_init(&store->answers);
    store->backend = options->dir == NULL ? &memory_backend : &disk_backend;
    return store;

fail:
    free(store->dir);
    free(store);
    return NULL;
}

enum store_status
store_open(struct store *store)
{
    redial_assert(store->life == STORE_LIFE_NEW);
    enum store_status status = store->backend->open(store);

    hear(store);
    store->life = status == STORE_OK ? STORE_LIFE_OPEN : STORE_LIFE_CLOSED;
    return status;
}

const char *
store_detail(const struct store *store)
{
    return store->detail;
}

enum store_status
store_recover(struct store *store, const struct store_recovery *callbacks,
              void *ctx, struct store_recovered *ret)
{
    redial_assert(store->life == STORE_LIFE_OPEN);
    enum store_status status = store->backend->recover(store, callbacks, ctx,
                                                       ret);

    hear(store);
    if (status == STORE_OK) {
        store->life = STORE_LIFE_RUNNING;
        store->handed_seq = ret->next_seq - 1;
        store->handed_watermark = ret->watermark;
    }
    return status;
}

bool
store_keeps_rows(const struct store *store)
{
    return store->backend->keeps_rows;
}

enum store_status
store_close(struct store *store)
{
    if (store->life == STORE_LIFE_NEW || store->life == STORE_LIFE_CLOSED) {
        store->life = STORE_LIFE_CLOSED;
        return STORE_OK;
    }
    enum store_status status = store->backend->close(store);

    store->life = STORE_LIFE_CLOSED;
    hear(store);
    return status;
}

void
store_free(struct store *store)
{
    struct store_group *group;
    struct store_answer *answer;

    if (store == NULL) {
        return;
    }
    (void)store_close(store);
    while ((group = store_take_done(store)) != NULL) {
        store_group_unref(group);
    }
    while ((answer = store_take_answer(store)) != NULL) {
        store_answer_free(answer);
    }
    store->backend->free(store);
    (void)pthread_mutex_destroy(&store->lock);
    free(store->dir);
    free(store);
}

/* ---- Committing -------------------------------------------------------- */

uint32_t
store_pipe_free(const struct store *store)
{
    uint32_t len = atomic_load(&store->pipe_len);

    return len >= store->options.pipe_max ? 0 : store->options.pipe_max - len;
}

void
store_commit(struct store *store, struct store_group *group)
{
    redial_assert(store->life == STORE_LIFE_RUNNING);
    redial_assert(store_pipe_free(store) > 0);
    if (group->count > 0) {
        redial_assert(store_group_first_seq(group) == store->handed_seq + 1);
        store->handed_seq = store_group_last_seq(group);
    }
    if (group->watermark != 0) {
        redial_assert(group->watermark >= store->handed_watermark);
        redial_assert(group->watermark <= store->handed_seq);
        store->handed_watermark = group->watermark;
    }
    /* Next time as big as this one, but forget a rare big one. */
    store->bytes_hint -= store->bytes_hint / 8;
    store->count_hint -= store->count_hint / 8;
    if (group->bytes.len > store->bytes_hint) {
        store->bytes_hint = group->bytes.len;
    }
    if (group->count > store->count_hint) {
        store->count_hint = group->count;
    }
    atomic_fetch_add(&store->pipe_len, 1);
    store->backend->commit(store, store_group_ref(group));
}

struct store_group *
store_take_done(struct store *store)
{
    if (list_is_empty(&store->taken)) {
        (void)pthread_mutex_lock(&store->lock);
        hear_locked(store);
        list_splice(&store->taken, &store->done);
        (void)pthread_mutex_unlock(&store->lock);
    }
    struct list *link = list_pop(&store->taken);

    return link == NULL ? NULL : container_of(link, struct store_group, link);
}

bool
store_is_degraded(const struct store *store)
{
    return atomic_load(&store->degraded);
}

/* ---- Reading and trimming ---------------------------------------------- */

enum store_status
store_ask(struct store *store, const struct store_request *request)
{
    redial_assert(store->life == STORE_LIFE_RUNNING);
    redial_assert(request->ticket != 0);
    return store->backend->ask(store, request);
}

bool
store_cancel(struct store *store, uint64_t ticket)
{
    return store->backend->cancel(store, ticket);
}

struct store_answer *
store_take_answer(struct store *store)
{
    if (list_is_empty(&store->taken_answers)) {
        (void)pthread_mutex_lock(&store->lock);
        hear_locked(store);
        list_splice(&store->taken_answers, &store->answers);
        (void)pthread_mutex_unlock(&store->lock);
    }
    struct list *link = list_pop(&store->taken_answers);

    return link == NULL ? NULL
                        : &container_of(link, struct answer, link)->shown;
}

void
store_answer_free(struct store_answer *answer)
{
    if (answer != NULL) {
        answer_free(container_of(answer, struct answer, shown));
    }
}

bool
store_trim(struct store *store, uint64_t ticket,
           const struct store_retention *retention)
{
    redial_assert(store->life == STORE_LIFE_RUNNING);
    redial_assert(ticket != 0);
    return store->backend->trim(store, ticket, retention);
}

void
store_stats(struct store *store, struct store_stats *ret)
{
    (void)pthread_mutex_lock(&store->lock);
    *ret = store->stats;
    (void)pthread_mutex_unlock(&store->lock);
    ret->committed_seq = atomic_load(&store->committed_seq);
    ret->first_seq = atomic_load(&store->first_seq);
    ret->pipe_len = atomic_load(&store->pipe_len);
}
