/* SPDX-License-Identifier: Apache-2.0 */
#include "server/store/table.h"

#include "server/base/check.h"

#include <stdlib.h>
#include <string.h>

enum { KEY_BYTES = 16 };

bool
table_init(struct table *table, uint32_t count_max, size_t slot_bytes,
           struct hash_key hash_key)
{
    *table = (struct table){.slot_bytes = slot_bytes};
    table->map_memory = calloc(1, map_size(KEY_BYTES, count_max));
    table->slots = calloc(count_max, slot_bytes);
    table->free_slots = calloc(count_max, sizeof(*table->free_slots));
    if (table->map_memory == NULL || table->slots == NULL ||
        table->free_slots == NULL) {
        table_fini(table);
        return false;
    }
    map_init(&table->map, table->map_memory, KEY_BYTES, count_max, hash_key);
    return true;
}

void
table_fini(struct table *table)
{
    free(table->map_memory);
    free(table->slots);
    free(table->free_slots);
    *table = (struct table){0};
}

uint32_t
table_find(const struct table *table, const uint8_t key[16])
{
    return map_get(&table->map, key);
}

void *
table_slot(const struct table *table, uint32_t slot)
{
    redial_assert(slot < table->fresh);
    return table->slots + slot * table->slot_bytes;
}

void *
table_get(const struct table *table, const uint8_t key[16])
{
    uint32_t slot = table_find(table, key);

    return slot == TABLE_NONE ? NULL : table_slot(table, slot);
}

uint32_t
table_put(struct table *table, const uint8_t key[16])
{
    uint32_t slot = table_find(table, key);

    if (slot != TABLE_NONE) {
        return slot;
    }
    slot = table->free_count > 0 ? table->free_slots[table->free_count - 1]
                                 : table->fresh;
    if (!map_put(&table->map, key, slot)) {
        return TABLE_NONE;
    }
    if (table->free_count > 0) {
        table->free_count--;
    } else {
        table->fresh++;
    }
    return slot;
}

void
table_remove(struct table *table, const uint8_t key[16])
{
    uint32_t slot = map_remove(&table->map, key);

    if (slot != TABLE_NONE) {
        memset(table_slot(table, slot), 0, table->slot_bytes);
        table->free_slots[table->free_count++] = slot;
    }
}
