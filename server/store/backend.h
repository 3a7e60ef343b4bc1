/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside of the store: what its two kinds, on disk (disk.h) and in memory
 * (memory.c), have in common, and what sets them apart.
 *
 * One lock, a leaf: never held while calling SQLite, the wake callback, or
 * anything else that may take time.
 */
#ifndef REDIAL_SERVER_STORE_BACKEND_H
#define REDIAL_SERVER_STORE_BACKEND_H

#include "server/base/list.h"
#include "server/store/answer.h"
#include "server/store/group.h"
#include "server/store/store.h"

#include <pthread.h>
#include <stdatomic.h>

struct store_backend {
    /* Sets store->backend; on failure the detail, by store_say(). */
    enum store_status (*open)(struct store *store);
    enum store_status (*recover)(struct store *store,
                                 const struct store_recovery *callbacks,
                                 void *ctx, struct store_recovered *ret);
    /* The group is in no list and its reference is the callee's. */
    void (*commit)(struct store *store, struct store_group *group);
    enum store_status (*ask)(struct store *store,
                             const struct store_request *request);
    bool (*cancel)(struct store *store, uint64_t ticket);
    bool (*trim)(struct store *store, uint64_t ticket,
                 const struct store_retention *retention);
    enum store_status (*close)(struct store *store);
    void (*free)(struct store *store);
    bool keeps_rows;
};

extern const struct store_backend disk_backend;
extern const struct store_backend memory_backend;

enum store_life {
    STORE_LIFE_NEW,
    STORE_LIFE_OPEN,
    STORE_LIFE_RUNNING,
    STORE_LIFE_CLOSED,
};

struct store {
    const struct store_backend *backend;
    void *state; /* the backend's */
    struct store_options options;
    char *dir; /* copy behind options.dir */

    /* The loop's. */
    enum store_life life;
    char detail[STORE_DETAIL_BYTES];
    struct list taken;         /* groups moved out of done */
    struct list taken_answers; /* moved out of answers */
    uint64_t handed_seq;
    uint64_t handed_watermark;
    size_t bytes_hint; /* how big groups were lately */
    size_t count_hint;

    /* Any thread. */
    atomic_uint pipe_len; /* handed over, not finished */
    atomic_bool degraded;
    atomic_uint_fast64_t committed_seq;
    atomic_uint_fast64_t first_seq; /* oldest kept */

    pthread_mutex_t lock;
    struct list done; /* finished groups */
    struct list answers;
    char said[STORE_DETAIL_BYTES]; /* detail, on its way to the loop */
    struct store_stats stats;
};

/* Any thread: the detail that the loop sees when it next takes something. */
void
store_say(struct store *store, const char *detail);

/* Gives a finished group, with its reference, to the loop. No wake. */
void
store_finish(struct store *store, struct store_group *group,
             enum store_status status);

/* Gives an answer to the loop. No wake. */
void
store_answer(struct store *store, struct answer *answer);

void
store_wake(const struct store *store);

/* Of a clock that never goes back. */
uint64_t
store_clock_us(void);

#endif
