/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each key has a home: its hash scaled to the number of slots. An entry lies at
 * its home or, when others were there first, in the next free slot after it,
 * wrapping round. Invariant: no slot between an entry's home and its place is
 * empty. Removal restores it by moving later entries of the run back.
 */
#include "server/base/map.h"

#include "server/base/check.h"

#include <string.h>

static uint8_t *
entry_at(const struct map *map, uint32_t slot)
{
    return map->entries + (size_t)slot * (map->key_bytes + sizeof(uint32_t));
}

/* The entry's value + 1; 0: the slot is empty. */
static uint32_t
entry_mark(const struct map *map, const uint8_t *entry)
{
    uint32_t mark;

    memcpy(&mark, entry + map->key_bytes, sizeof(mark));
    return mark;
}

static void
entry_set_mark(const struct map *map, uint8_t *entry, uint32_t mark)
{
    memcpy(entry + map->key_bytes, &mark, sizeof(mark));
}

static uint32_t
home_of(const struct map *map, const void *key)
{
    uint64_t hash = hash_64(&map->hash_key, key, map->key_bytes) >> 32;

    return (uint32_t)((hash * map->slots) >> 32);
}

static uint32_t
slot_after(const struct map *map, uint32_t slot)
{
    return slot + 1 == map->slots ? 0 : slot + 1;
}

static bool
key_equals(const struct map *map, const uint8_t *entry, const void *key)
{
    if (map->key_bytes == 16) {
        return memcmp(entry, key, 16) == 0;
    }
    return memcmp(entry, key, 8) == 0;
}

/* The slot of the key, or the empty one where it would go. */
static uint32_t
probe(const struct map *map, const void *key)
{
    uint32_t slot = home_of(map, key);

    for (;;) {
        const uint8_t *entry = entry_at(map, slot);

        if (entry_mark(map, entry) == 0 || key_equals(map, entry, key)) {
            return slot;
        }
        slot = slot_after(map, slot);
    }
}

/* How far `slot` lies behind `from`, going round. */
static uint32_t
distance(const struct map *map, uint32_t from, uint32_t slot)
{
    return slot >= from ? slot - from : slot + (map->slots - from);
}

/* Empties the slot and closes the run behind it. */
static void
close_gap(struct map *map, uint32_t gap)
{
    uint32_t slot = gap;

    for (;;) {
        slot = slot_after(map, slot);
        uint8_t *entry = entry_at(map, slot);

        if (entry_mark(map, entry) == 0) {
            break;
        }
        uint32_t home = home_of(map, entry);

        /* It may move back only as far as its home. */
        if (distance(map, home, slot) >= distance(map, gap, slot)) {
            memcpy(entry_at(map, gap), entry,
                   map->key_bytes + sizeof(uint32_t));
            gap = slot;
        }
    }
    entry_set_mark(map, entry_at(map, gap), 0);
}

uint32_t
map_capacity_for(uint32_t count_max)
{
    redial_assert(count_max < UINT32_MAX / 2 - 8);
    return count_max + count_max / 2 + 8;
}

size_t
map_size(uint32_t key_bytes, uint32_t count_max)
{
    return (size_t)map_capacity_for(count_max) * (key_bytes + sizeof(uint32_t));
}

void
map_init(struct map *map, void *memory, uint32_t key_bytes, uint32_t count_max,
         struct hash_key hash_key)
{
    redial_assert(key_bytes == 8 || key_bytes == 16);
    *map = (struct map){
        .entries = memory,
        .slots = map_capacity_for(count_max),
        .count_max = count_max,
        .key_bytes = key_bytes,
        .hash_key = hash_key,
    };
}

uint32_t
map_get(const struct map *map, const void *key)
{
    /* An empty slot has the mark 0, which becomes MAP_NONE. */
    return entry_mark(map, entry_at(map, probe(map, key))) - 1;
}

bool
map_put(struct map *map, const void *key, uint32_t value)
{
    redial_assert(value != MAP_NONE);
    uint8_t *entry = entry_at(map, probe(map, key));

    if (entry_mark(map, entry) == 0) {
        if (map->count == map->count_max) {
            return false;
        }
        map->count++;
        memcpy(entry, key, map->key_bytes);
    }
    entry_set_mark(map, entry, value + 1);
    return true;
}

uint32_t
map_remove(struct map *map, const void *key)
{
    uint32_t slot = probe(map, key);
    uint32_t value = entry_mark(map, entry_at(map, slot)) - 1;

    if (value != MAP_NONE) {
        close_gap(map, slot);
        map->count--;
    }
    return value;
}

uint32_t
map_get_u64(const struct map *map, uint64_t key)
{
    redial_assert(map->key_bytes == sizeof(key));
    return map_get(map, &key);
}

bool
map_put_u64(struct map *map, uint64_t key, uint32_t value)
{
    redial_assert(map->key_bytes == sizeof(key));
    return map_put(map, &key, value);
}

uint32_t
map_remove_u64(struct map *map, uint64_t key)
{
    redial_assert(map->key_bytes == sizeof(key));
    return map_remove(map, &key);
}

bool
map_next(const struct map *map, uint32_t *cursor, void *ret_key,
         uint32_t *ret_value)
{
    for (; *cursor < map->slots; (*cursor)++) {
        const uint8_t *entry = entry_at(map, *cursor);
        uint32_t mark = entry_mark(map, entry);

        if (mark != 0) {
            if (ret_key != NULL) {
                memcpy(ret_key, entry, map->key_bytes);
            }
            *ret_value = mark - 1;
            (*cursor)++;
            return true;
        }
    }
    return false;
}
