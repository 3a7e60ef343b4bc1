/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/choice.h"

#include "server/core/state.h"

#include <string.h>

enum {
    SCAN_MAX = 16,       /* workers looked at for one choice */
    SILENT_MAX = 64,     /* silent ones passed over once somebody is found */
    LOAD_FULL = 1024,    /* a worker with nothing free */
    CLASS_LOAD = 128,    /* width of a class */
    AVOIDED = 1024 * 64, /* worse than any load */
};

/* ---- Lists of credit --------------------------------------------------- */

void
credit_init(struct credit *credit)
{
    for (uint32_t i = 0; i < LOAD_CLASSES; i++) {
        list_init(&credit->classes[i]);
    }
    credit->mask = 0;
}

static struct credit *
credit_of(const struct offer *offer)
{
    return offer->method != NULL ? &offer->method->credit
                                 : &offer->service->credit;
}

void
credit_put(struct offer *offer)
{
    struct credit *credit = credit_of(offer);
    uint32_t class = offer->worker->load_class;

    offer->load_class = class;
    list_append(&credit->classes[class], &offer->with_credit);
    credit->mask |= 1u << class;
}

void
credit_prefer(struct offer *offer)
{
    struct list *list = &credit_of(offer)->classes[offer->load_class];

    list_remove(&offer->with_credit);
    list_prepend(list, &offer->with_credit);
}

void
credit_remove(struct offer *offer)
{
    struct credit *credit = credit_of(offer);
    uint32_t class = offer->load_class;

    list_remove(&offer->with_credit);
    if (list_is_empty(&credit->classes[class])) {
        credit->mask &= ~(1u << class);
    }
}

/* ---- Burden ------------------------------------------------------------ */

static uint32_t
load_of(const struct worker *worker)
{
    return (uint32_t)((uint64_t)worker->in_hand * LOAD_FULL /
                      worker->concurrency) +
           worker->failures;
}

uint32_t
choice_class(const struct worker *worker)
{
    uint32_t class = load_of(worker) / CLASS_LOAD;

    return class < LOAD_CLASSES ? class : LOAD_CLASSES - 1;
}

static uint64_t
worker_hash(const struct worker *worker)
{
    uint64_t hash;

    memcpy(&hash, worker->key, sizeof(hash));
    return hash;
}

/* Less is better. */
static uint32_t
burden(const struct worker *worker, const struct job *job)
{
    uint32_t load = load_of(worker);

    if (job->last_worker != 0 && job->last_worker == worker_hash(worker)) {
        load += AVOIDED;
    }
    for (const struct attempt *at = job->running; at != NULL; at = at->next) {
        if (at->worker == worker) {
            load += AVOIDED;
        }
    }
    return load;
}

/* ---- The choice -------------------------------------------------------- */

struct choice {
    const struct job *job;
    struct offer *offer;
    uint32_t burden;
    uint32_t looked_at;
    uint32_t silent;
    bool idle_only;
    int64_t heard_since_ms; /* who is silent for longer gets nothing */
};

static bool
has_seen_enough(const struct choice *choice)
{
    return choice->looked_at >= SCAN_MAX ||
           (choice->offer != NULL && choice->silent >= SILENT_MAX);
}

static void
look_at(struct choice *choice, struct offer *offer)
{
    const struct worker *worker = offer->worker;
    uint32_t found = burden(worker, choice->job);

    if (worker->heard_ms <= choice->heard_since_ms) {
        choice->silent++; /* the tick will take it out of the list */
        return;
    }
    choice->looked_at++;
    if ((!choice->idle_only || worker->in_hand == 0) &&
        (choice->offer == NULL || found < choice->burden)) {
        choice->offer = offer;
        choice->burden = found;
    }
}

/* Upwards, as long as a higher class may have a better one. */
static void
scan(const struct credit *credit, struct choice *choice)
{
    uint32_t mask = credit->mask;

    choice->looked_at = 0;
    choice->silent = 0;
    while (mask != 0 && !has_seen_enough(choice)) {
        uint32_t class = (uint32_t)__builtin_ctz(mask);

        if (choice->offer != NULL && choice->burden < class * CLASS_LOAD) {
            return;
        }
        mask &= mask - 1;
        list_foreach(at, &credit->classes[class]) {
            look_at(choice, container_of(at, struct offer, with_credit));
            if (has_seen_enough(choice)) {
                break;
            }
        }
    }
}

struct offer *
choice_make(const struct engine *engine, const struct job *job, bool idle_only)
{
    const struct method *method = job->method;
    struct choice choice = {
        .job = job,
        .idle_only = idle_only,
        .heard_since_ms = engine->now.mono.ms -
                          duration_ms(engine->limits.silence_ms),
    };

    scan(&method->credit, &choice);
    scan(&method->service->credit, &choice);
    return choice.offer;
}
