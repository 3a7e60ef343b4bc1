/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table of fixed capacity from job ids (or other 16 bytes) to slots of one
 * size. Memory is taken at once and touched only as far as it is used. Slots
 * keep their place; a new one is all zero.
 */
#ifndef REDIAL_SERVER_STORE_TABLE_H
#define REDIAL_SERVER_STORE_TABLE_H

#include "server/base/map.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TABLE_NONE ((uint32_t)MAP_NONE)

struct table {
    struct map map;
    void *map_memory;
    uint8_t *slots;
    uint32_t *free_slots; /* a stack */
    uint32_t free_count;
    uint32_t fresh; /* slots from here on were never used */
    size_t slot_bytes;
};

/* False: no memory. */
bool
table_init(struct table *table, uint32_t count_max, size_t slot_bytes,
           struct hash_key hash_key);

/* A zeroed one is allowed. What slots own is the caller's. */
void
table_fini(struct table *table);

/* TABLE_NONE: not in it. */
uint32_t
table_find(const struct table *table, const uint8_t key[16]);

void *
table_slot(const struct table *table, uint32_t slot);

/* table_find() and table_slot(); NULL: not in it. */
void *
table_get(const struct table *table, const uint8_t key[16]);

/* Finds or makes it; TABLE_NONE: it is full. */
uint32_t
table_put(struct table *table, const uint8_t key[16]);

/* No effect when it is not in it. */
void
table_remove(struct table *table, const uint8_t key[16]);

#endif
