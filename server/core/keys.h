/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Job keys: which job a keyed hash of tenant and key belongs to. Keys of
 * finished jobs stay until they are forgotten; the table is bounded.
 */
#ifndef REDIAL_SERVER_CORE_KEYS_H
#define REDIAL_SERVER_CORE_KEYS_H

#include "server/core/state.h"

/* All zero means: no key. */
bool
key_is_set(const uint8_t key_hash[16]);

/* NULL when it is unknown. */
const struct key_entry *
keys_find(const struct engine *engine, const uint8_t key_hash[16]);

bool
keys_is_full(const struct engine *engine);

/* Enters or overwrites. False: no room. */
bool
keys_put(struct engine *engine, const uint8_t key_hash[16],
         const uint8_t content_hash[16], struct job_id job);

/* An order-free hash over all entries. */
uint64_t
keys_state_hash(const struct engine *engine, const struct hash_key *key);

#endif
