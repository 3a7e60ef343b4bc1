/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A chunk is the reference of the next one (0: last) and data. The first two
 * data bytes of a text are its length. References count from 1, so that zeroed
 * memory and the empty text need no setting up.
 */
#include "server/base/chunk.h"

#include "server/base/check.h"

#include <string.h>

enum { LENGTH_BYTES = 2 };

_Static_assert(CHUNK_BYTES == CHUNK_DATA_BYTES + sizeof(uint32_t),
               "a chunk is a reference and data");

static uint8_t *
chunk_at(const struct chunk_pool *pool, uint32_t ref)
{
    redial_assert(ref != 0 && ref <= pool->fresh);
    return pool->chunks + (size_t)(ref - 1) * CHUNK_BYTES;
}

static uint32_t
next_of(const uint8_t *chunk)
{
    uint32_t next;

    memcpy(&next, chunk, sizeof(next));
    return next;
}

static void
set_next(uint8_t *chunk, uint32_t next)
{
    memcpy(chunk, &next, sizeof(next));
}

static uint8_t *
data_of(uint8_t *chunk)
{
    return chunk + sizeof(uint32_t);
}

/* There must be one left. */
static uint32_t
take_chunk(struct chunk_pool *pool)
{
    uint32_t ref = pool->unused;

    if (ref != 0) {
        pool->unused = next_of(chunk_at(pool, ref));
    } else {
        ref = ++pool->fresh;
    }
    pool->used++;
    return ref;
}

/* What of `len` bytes fits into a chunk that has `taken` bytes already. */
static size_t
part_of(size_t len, size_t taken)
{
    size_t room = CHUNK_DATA_BYTES - taken;

    return len < room ? len : room;
}

size_t
chunk_size(uint32_t count_max)
{
    return (size_t)count_max * CHUNK_BYTES;
}

void
chunk_init(struct chunk_pool *pool, void *memory, uint32_t count_max)
{
    *pool = (struct chunk_pool){.chunks = memory, .count_max = count_max};
}

uint32_t
chunk_needed(size_t len)
{
    redial_assert(len <= CHUNK_TEXT_MAX);
    if (len == 0) {
        return 0;
    }
    return (uint32_t)((len + LENGTH_BYTES + CHUNK_DATA_BYTES - 1) /
                      CHUNK_DATA_BYTES);
}

bool
chunk_put(struct chunk_pool *pool, const char *text, size_t len,
          uint32_t *ret_ref)
{
    if (chunk_needed(len) > chunk_left(pool)) {
        return false;
    }
    if (len == 0) {
        *ret_ref = 0;
        return true;
    }
    uint32_t first = take_chunk(pool);
    uint8_t *chunk = chunk_at(pool, first);
    uint16_t length = (uint16_t)len;
    size_t part = part_of(len, LENGTH_BYTES);

    memcpy(data_of(chunk), &length, LENGTH_BYTES);
    memcpy(data_of(chunk) + LENGTH_BYTES, text, part);
    while (part < len) {
        uint32_t next = take_chunk(pool);

        set_next(chunk, next);
        chunk = chunk_at(pool, next);
        size_t more = part_of(len - part, 0);

        memcpy(data_of(chunk), text + part, more);
        part += more;
    }
    set_next(chunk, 0);
    *ret_ref = first;
    return true;
}

uint32_t
chunk_len(const struct chunk_pool *pool, uint32_t ref)
{
    uint16_t length = 0;

    if (ref != 0) {
        memcpy(&length, data_of(chunk_at(pool, ref)), LENGTH_BYTES);
    }
    return length;
}

uint32_t
chunk_get(const struct chunk_pool *pool, uint32_t ref, char *buf, size_t size)
{
    size_t len = chunk_len(pool, ref);
    size_t taken = LENGTH_BYTES;
    size_t done = 0;

    if (len > size) {
        len = size;
    }
    while (done < len) {
        uint8_t *chunk = chunk_at(pool, ref);
        size_t part = part_of(len - done, taken);

        memcpy(buf + done, data_of(chunk) + taken, part);
        done += part;
        taken = 0;
        ref = next_of(chunk);
    }
    return (uint32_t)len;
}

bool
chunk_equals(const struct chunk_pool *pool, uint32_t ref, const char *text,
             size_t len)
{
    size_t taken = LENGTH_BYTES;
    size_t done = 0;

    if (chunk_len(pool, ref) != len) {
        return false;
    }
    while (done < len) {
        uint8_t *chunk = chunk_at(pool, ref);
        size_t part = part_of(len - done, taken);

        if (memcmp(data_of(chunk) + taken, text + done, part) != 0) {
            return false;
        }
        done += part;
        taken = 0;
        ref = next_of(chunk);
    }
    return true;
}

void
chunk_free(struct chunk_pool *pool, uint32_t ref)
{
    while (ref != 0) {
        uint8_t *chunk = chunk_at(pool, ref);
        uint32_t next = next_of(chunk);

        set_next(chunk, pool->unused);
        pool->unused = ref;
        pool->used--;
        ref = next;
    }
}
