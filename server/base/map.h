/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hash map of fixed capacity from keys of 8 or 16 bytes to 32-bit values
 * (usually: slots of a table). Open addressing with linear probing, at most two
 * thirds full; removal shifts entries back, so that no tombstones gather. All
 * memory is the caller's and must be zero at the start; pages are touched only
 * as entries come to lie on them.
 *
 * Keys are hashed with SipHash under the caller's key: peers may choose them.
 */
#ifndef REDIAL_SERVER_BASE_MAP_H
#define REDIAL_SERVER_BASE_MAP_H

#include "server/base/hash.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What map_get() says when there is nothing; not allowed as a value. */
#define MAP_NONE UINT32_MAX

struct map {
    uint8_t *entries; /* key bytes, then value + 1 (0: empty) */
    uint32_t slots;
    uint32_t count;
    uint32_t count_max;
    uint32_t key_bytes; /* 8 or 16 */
    struct hash_key hash_key;
};

/* Places needed so that `count_max` entries stay quick to find. */
uint32_t
map_capacity_for(uint32_t count_max);

/* Bytes for `count_max` entries with keys of `key_bytes` (8 or 16). */
size_t
map_size(uint32_t key_bytes, uint32_t count_max);

/* Makes an empty map in `memory`: map_size() zero bytes, no alignment. */
void
map_init(struct map *map, void *memory, uint32_t key_bytes, uint32_t count_max,
         struct hash_key hash_key);

/* The value under the key, or MAP_NONE. `key` has key_bytes bytes. */
uint32_t
map_get(const struct map *map, const void *key);

/*
 * Sets the value under the key, whether it is there or not. Returns false,
 * without effect, when the key is new and the map holds count_max entries.
 */
bool
map_put(struct map *map, const void *key, uint32_t value);

/* Returns the value that was removed, or MAP_NONE. */
uint32_t
map_remove(struct map *map, const void *key);

/* The same for maps with 8-byte keys. */
uint32_t
map_get_u64(const struct map *map, uint64_t key);

bool
map_put_u64(struct map *map, uint64_t key, uint32_t value);

uint32_t
map_remove_u64(struct map *map, uint64_t key);

/*
 * Walks all entries, in no useful order: starts with *cursor = 0, returns false
 * at the end. The map must not change meanwhile. `ret_key` has key_bytes bytes
 * and may be NULL.
 */
bool
map_next(const struct map *map, uint32_t *cursor, void *ret_key,
         uint32_t *ret_value);

#endif
