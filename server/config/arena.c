/* SPDX-License-Identifier: Apache-2.0 */
#include "server/config/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct chunk {
    alignas(max_align_t) struct chunk *next;
};

struct config_arena {
    struct chunk *chunks;
    bool failed;
};

struct config_arena *
config_arena_create(void)
{
    return calloc(1, sizeof(struct config_arena));
}

void
config_arena_free(struct config_arena *arena)
{
    if (arena == NULL) {
        return;
    }
    struct chunk *chunk = arena->chunks;

    while (chunk != NULL) {
        struct chunk *next = chunk->next;

        free(chunk);
        chunk = next;
    }
    free(arena);
}

void *
config_arena_array(struct config_arena *arena, size_t count, size_t size)
{
    if (count == 0) {
        return NULL;
    }
    if (size > (SIZE_MAX / 2) / count) {
        arena->failed = true;
        return NULL;
    }
    struct chunk *chunk = calloc(1, sizeof(*chunk) + count * size);

    if (chunk == NULL) {
        arena->failed = true;
        return NULL;
    }
    chunk->next = arena->chunks;
    arena->chunks = chunk;
    return chunk + 1;
}

const char *
config_arena_text(struct config_arena *arena, const char *text, size_t len)
{
    char *copy = config_arena_array(arena, len + 1, 1);

    if (copy == NULL) {
        return "";
    }
    if (len > 0) {
        memcpy(copy, text, len);
    }
    return copy;
}

bool
config_arena_failed(const struct config_arena *arena)
{
    return arena->failed;
}
