/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/arena.h"

#include "proto/limits.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#define ALIGNMENT       alignof(max_align_t)
#define BLOCK_BYTES_MIN 4096u
#define BLOCK_BYTES_MAX 262144u

struct wire_arena_block {
    struct wire_arena_block *next;
    alignas(max_align_t) uint8_t bytes[];
};

static void *
allocator_alloc(void *arena, size_t size)
{
    return wire_arena_alloc(arena, size);
}

/* protobuf-c gives pieces back one by one; an arena only all at once. */
static void
allocator_free(void *arena, void *pointer)
{
    (void)arena;
    (void)pointer;
}

static void
free_blocks(struct wire_arena *arena)
{
    while (arena->blocks != NULL) {
        struct wire_arena_block *block = arena->blocks;

        arena->blocks = block->next;
        free(block);
    }
}

/* Makes a block with at least `bytes` free; what is left of the old is lost. */
static bool
add_block(struct wire_arena *arena, size_t bytes)
{
    size_t size = arena->block_bytes > bytes ? arena->block_bytes : bytes;
    struct wire_arena_block *block = malloc(sizeof(*block) + size);

    if (block == NULL) {
        return false;
    }
    block->next = arena->blocks;
    arena->blocks = block;
    arena->at = block->bytes;
    arena->left = size;
    if (arena->block_bytes < BLOCK_BYTES_MAX) {
        arena->block_bytes *= 2;
    }
    return true;
}

size_t
wire_arena_budget(size_t frame_bytes)
{
    if (frame_bytes > SIZE_MAX / WIRE_ARENA_FACTOR) {
        return SIZE_MAX;
    }
    frame_bytes *= WIRE_ARENA_FACTOR;
    return frame_bytes > WIRE_ARENA_BYTES_MIN ? frame_bytes
                                              : WIRE_ARENA_BYTES_MIN;
}

void
wire_arena_init(struct wire_arena *arena, void *first, size_t first_bytes)
{
    memset(arena, 0, sizeof(*arena));
    arena->allocator.alloc = allocator_alloc;
    arena->allocator.free = allocator_free;
    arena->allocator.allocator_data = arena;
    arena->first = first;
    arena->first_bytes = first != NULL ? first_bytes : 0;
    wire_arena_reset(arena, WIRE_ARENA_BYTES_MIN);
}

void
wire_arena_reset(struct wire_arena *arena, size_t budget_bytes)
{
    free_blocks(arena);
    arena->at = arena->first;
    arena->left = arena->first_bytes;
    arena->taken_bytes = 0;
    arena->budget_bytes = budget_bytes;
    arena->block_bytes = BLOCK_BYTES_MIN;
    arena->is_exhausted = false;
}

void
wire_arena_fini(struct wire_arena *arena)
{
    free_blocks(arena);
    arena->at = NULL;
    arena->left = 0;
}

void *
wire_arena_alloc(struct wire_arena *arena, size_t bytes)
{
    size_t budget_left = arena->budget_bytes - arena->taken_bytes;
    void *memory;

    if (bytes > budget_left || budget_left - bytes < ALIGNMENT) {
        arena->is_exhausted = true;
        return NULL;
    }
    bytes = (bytes + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
    if (bytes == 0) {
        bytes = ALIGNMENT;
    }
    if (bytes > arena->left && !add_block(arena, bytes)) {
        arena->is_exhausted = true;
        return NULL;
    }
    memory = arena->at;
    arena->at += bytes;
    arena->left -= bytes;
    arena->taken_bytes += bytes;
    return memory;
}

char *
wire_arena_copy(struct wire_arena *arena, const void *bytes, size_t len)
{
    char *copy = len < SIZE_MAX ? wire_arena_alloc(arena, len + 1) : NULL;

    if (copy == NULL) {
        return NULL;
    }
    if (len > 0) {
        memcpy(copy, bytes, len);
    }
    copy[len] = '\0';
    return copy;
}
