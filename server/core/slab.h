/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table of equal items in the caller's memory. Free items are zero but for
 * the link in their first four bytes, and items that were never used are not
 * touched, so that a large table costs nothing until it fills. The item last
 * given back is the first to be used again.
 */
#ifndef REDIAL_SERVER_CORE_SLAB_H
#define REDIAL_SERVER_CORE_SLAB_H

#include "server/base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slab {
    char *memory; /* zero at the start */
    size_t item_bytes;
    uint32_t count_max;
    uint32_t fresh; /* items ever used; those after are untouched */
    uint32_t used;
    uint32_t unused; /* index + 1 of the first free one; 0: none */
};

static inline void
slab_init(struct slab *slab, void *memory, size_t item_bytes,
          uint32_t count_max)
{
    redial_assert(item_bytes >= sizeof(uint32_t));
    *slab = (struct slab){
        .memory = memory, .item_bytes = item_bytes, .count_max = count_max};
}

static inline void *
slab_at(const struct slab *slab, uint32_t index)
{
    return slab->memory + (size_t)index * slab->item_bytes;
}

static inline uint32_t
slab_index(const struct slab *slab, const void *item)
{
    return (uint32_t)((size_t)((const char *)item - slab->memory) /
                      slab->item_bytes);
}

static inline uint32_t
slab_left(const struct slab *slab)
{
    return slab->count_max - slab->used;
}

/* A zeroed item, or NULL when all are in use. */
static inline void *
slab_take(struct slab *slab)
{
    uint32_t index;

    if (slab->unused != 0) {
        index = slab->unused - 1;
        uint32_t *link = slab_at(slab, index);

        slab->unused = *link;
        *link = 0;
    } else if (slab->fresh < slab->count_max) {
        index = slab->fresh++;
    } else {
        return NULL;
    }
    slab->used++;
    return slab_at(slab, index);
}

static inline void
slab_give(struct slab *slab, void *item)
{
    redial_assert(slab->used > 0);
    memset(item, 0, slab->item_bytes);
    *(uint32_t *)item = slab->unused;
    slab->unused = slab_index(slab, item) + 1;
    slab->used--;
}

/*
 * Makes the free items below `count_max` the only ones to be used from now on,
 * low ones first. Those above that are in use must be taken out with
 * slab_drop(), for which there must be room below. `is_used` tells.
 */
static inline void
slab_shrink(struct slab *slab, uint32_t count_max,
            bool (*is_used)(const void *item))
{
    redial_assert(slab->used <= count_max);
    slab->count_max = count_max;
    slab->unused = 0;
    if (slab->fresh > count_max) {
        slab->fresh = count_max;
    }
    for (uint32_t i = slab->fresh; i-- > 0;) {
        void *item = slab_at(slab, i);

        if (!is_used(item)) {
            *(uint32_t *)item = slab->unused;
            slab->unused = i + 1;
        }
    }
}

static inline void
slab_drop(struct slab *slab, void *item)
{
    memset(item, 0, slab->item_bytes);
    slab->used--;
}

#endif
