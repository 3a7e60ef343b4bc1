/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/keys.h"

#include "server/core/apply.h"

#include <string.h>

static const uint8_t no_key[16];

bool
key_is_set(const uint8_t key_hash[16])
{
    return memcmp(key_hash, no_key, sizeof(no_key)) != 0;
}

const struct key_entry *
keys_find(const struct engine *engine, const uint8_t key_hash[16])
{
    uint32_t index = map_get(&engine->keys_by_hash, key_hash);

    return index == MAP_NONE ? NULL : slab_at(&engine->keys, index);
}

bool
keys_is_full(const struct engine *engine)
{
    return slab_left(&engine->keys) == 0;
}

bool
keys_put(struct engine *engine, const uint8_t key_hash[16],
         const uint8_t content_hash[16], struct job_id job)
{
    uint32_t index = map_get(&engine->keys_by_hash, key_hash);
    struct key_entry *entry;

    if (index != MAP_NONE) {
        entry = slab_at(&engine->keys, index);
    } else {
        entry = slab_take(&engine->keys);
        if (entry == NULL) {
            return false;
        }
        bool put = map_put(&engine->keys_by_hash, key_hash,
                           slab_index(&engine->keys, entry));

        redial_assert(put);
        (void)put;
    }
    memcpy(entry->content_hash, content_hash, sizeof(entry->content_hash));
    entry->job = job;
    return true;
}

bool
engine_load_key(struct engine *engine, const uint8_t key_hash[16],
                const uint8_t content_hash[16], struct job_id job)
{
    if (!key_is_set(key_hash)) {
        return false;
    }
    return keys_put(engine, key_hash, content_hash, job);
}

void
engine_forget_key(struct engine *engine, const uint8_t key_hash[16],
                  struct job_id job)
{
    const struct key_entry *entry = keys_find(engine, key_hash);
    const struct job *live = job_by_id(engine, job);

    if (entry == NULL || memcmp(&entry->job, &job, sizeof(job)) != 0) {
        return;
    }
    /* A live job's key is in use. */
    if (live != NULL && !job_state_is_final((enum job_state)live->state)) {
        return;
    }
    uint32_t index = map_remove(&engine->keys_by_hash, key_hash);

    slab_give(&engine->keys, slab_at(&engine->keys, index));
}

bool
engine_find_key(const struct engine *engine, const uint8_t key_hash[16],
                struct job_id *ret_id)
{
    const struct key_entry *entry = key_is_set(key_hash)
                                        ? keys_find(engine, key_hash)
                                        : NULL;

    if (entry == NULL) {
        return false;
    }
    *ret_id = entry->job;
    return true;
}

uint64_t
keys_state_hash(const struct engine *engine, const struct hash_key *key)
{
    uint32_t cursor = 0;
    uint8_t buf[16 + 16 + sizeof(struct job_id)];
    uint32_t index;
    uint64_t sum = 0;

    while (map_next(&engine->keys_by_hash, &cursor, buf, &index)) {
        const struct key_entry *entry = slab_at(&engine->keys, index);

        memcpy(buf + 16, entry->content_hash, 16);
        memcpy(buf + 32, &entry->job, sizeof(entry->job));
        sum += hash_64(key, buf, sizeof(buf));
    }
    return sum;
}
