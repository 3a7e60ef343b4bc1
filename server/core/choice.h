/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which worker gets an attempt. Offers with credit stand in lists by how loaded
 * their worker is: sixteen classes, each an eighth of a worker's places wide,
 * where recent failures weigh up to a full load. The choice looks at the lowest
 * class that has an offer and takes the least loaded of the first few there,
 * which stand longest without having been chosen.
 *
 * So the chosen one is never in a higher class than any other worker with
 * credit: at least as good, to an eighth of its places, as the better of two or
 * of any number drawn at random, for any number of workers. A choice costs O(1)
 * and a worker is moved when its class changes, at most as often as it starts
 * or ends an attempt.
 *
 * A job prefers a worker where it has not just failed and does not run already;
 * the same one is better than none.
 */
#ifndef REDIAL_SERVER_CORE_CHOICE_H
#define REDIAL_SERVER_CORE_CHOICE_H

#include "server/base/list.h"

#include <stdbool.h>
#include <stdint.h>

enum { LOAD_CLASSES = 16 };

struct engine;
struct job;
struct offer;
struct worker;

/* The offers of a method, or of a service, that have credit. */
struct credit {
    struct list classes[LOAD_CLASSES];
    uint32_t mask; /* bit c: class c has offers */
};

void
credit_init(struct credit *credit);

/* Last of its class. The offer must be in no list. */
void
credit_put(struct offer *offer);

/* First of its class, so that it is found before others. */
void
credit_prefer(struct offer *offer);

void
credit_remove(struct offer *offer);

/* The class of a connected worker, now. */
uint32_t
choice_class(const struct worker *worker);

/*
 * The offer under which to start the job, or NULL when nobody who was heard
 * lately has credit; with `idle_only` one whose worker has nothing in hand, or
 * NULL when none is found among the first few.
 */
struct offer *
choice_make(const struct engine *engine, const struct job *job, bool idle_only);

#endif
