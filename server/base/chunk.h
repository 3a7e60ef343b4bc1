/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bounded pool of small chunks that keeps texts of any length up to
 * CHUNK_TEXT_MAX as chains: no fragmentation, no compaction, every operation
 * linear in the text alone. Memory is the caller's, zero at the start, and
 * touched only as far as the pool was ever filled.
 *
 * A text is named by a reference; 0 is the empty text, which takes no room.
 */
#ifndef REDIAL_SERVER_BASE_CHUNK_H
#define REDIAL_SERVER_BASE_CHUNK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CHUNK_BYTES = 32,      /* of memory for each chunk */
    CHUNK_DATA_BYTES = 28, /* of those, for text */
    CHUNK_TEXT_MAX = 65535,
};

struct chunk_pool {
    uint8_t *chunks;
    uint32_t count_max;
    uint32_t used;   /* chunks in use */
    uint32_t fresh;  /* chunks ever used; those after are untouched */
    uint32_t unused; /* head of the chain of returned chunks; 0: none */
};

/* Bytes for `count_max` chunks. */
size_t
chunk_size(uint32_t count_max);

/* Makes an empty pool in `memory`: chunk_size() zero bytes, 4-aligned. */
void
chunk_init(struct chunk_pool *pool, void *memory, uint32_t count_max);

/* How many chunks a text of `len` bytes takes. */
uint32_t
chunk_needed(size_t len);

/* How many chunks are left. */
static inline uint32_t
chunk_left(const struct chunk_pool *pool)
{
    return pool->count_max - pool->used;
}

/*
 * Keeps a copy of the text (at most CHUNK_TEXT_MAX bytes, asserted). Returns
 * false, without effect, when chunk_needed() exceeds chunk_left().
 */
bool
chunk_put(struct chunk_pool *pool, const char *text, size_t len,
          uint32_t *ret_ref);

/* The length of the text. */
uint32_t
chunk_len(const struct chunk_pool *pool, uint32_t ref);

/* Copies at most `size` bytes of the text; returns how many. */
uint32_t
chunk_get(const struct chunk_pool *pool, uint32_t ref, char *buf, size_t size);

bool
chunk_equals(const struct chunk_pool *pool, uint32_t ref, const char *text,
             size_t len);

/* Gives the text's chunks back. 0 is allowed. */
void
chunk_free(struct chunk_pool *pool, uint32_t ref);

#endif
