/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory for decoding one untrusted message: handed out front to back, never
 * beyond a budget, and given back all at once.
 *
 * Not thread-safe: an arena belongs to one thread at a time.
 */
#ifndef REDIAL_PROTO_ARENA_H
#define REDIAL_PROTO_ARENA_H

#include <protobuf-c/protobuf-c.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wire_arena_block;

struct wire_arena {
    ProtobufCAllocator allocator;    /* for protobuf-c; free does nothing */
    struct wire_arena_block *blocks; /* on the heap, newest first */
    uint8_t *at;                     /* next free byte */
    size_t left;                     /* free bytes from there */
    size_t taken_bytes;              /* handed out since the last reset */
    size_t budget_bytes;             /* bound of taken_bytes */
    size_t block_bytes;              /* size of the next block */
    uint8_t *first;                  /* caller's own first block, or NULL */
    size_t first_bytes;
    bool is_exhausted; /* a request was refused */
};

/* 16 times the frame, at least 64 KiB. */
size_t
wire_arena_budget(size_t frame_bytes);

/*
 * Makes an empty arena. `first` (may be NULL) is memory of the caller of
 * `first_bytes` that is used before the heap is; it must outlive the arena and
 * be aligned for any type.
 */
void
wire_arena_init(struct wire_arena *arena, void *first, size_t first_bytes);

/*
 * Gives everything back; what was allocated from the arena is gone. The next
 * message may use `budget_bytes`.
 */
void
wire_arena_reset(struct wire_arena *arena, size_t budget_bytes);

/* Gives everything back for good. A zeroed arena is fine. */
void
wire_arena_fini(struct wire_arena *arena);

/*
 * Memory aligned for any type, not cleared, until reset or fini. NULL when the
 * budget or the machine is exhausted; `is_exhausted` is then set.
 */
void *
wire_arena_alloc(struct wire_arena *arena, size_t bytes);

/* A copy of `len` bytes with a NUL after them, or NULL as above. */
char *
wire_arena_copy(struct wire_arena *arena, const void *bytes, size_t len);

#endif
