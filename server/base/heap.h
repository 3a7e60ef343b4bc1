/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A binary heap of timers. Elements are intrusive: each carries a node that
 * knows its place, so that one can be moved or taken out in O(log n). Equal
 * times come out in the order in which they were set. The array of pointers is
 * the caller's memory, whose pages are touched only as far as the heap grew.
 *
 *     struct job { struct heap_node timer; ... };
 *
 *     heap_set(&timers, &job->timer, at_ms);
 *     while ((node = heap_first(&timers)) != NULL && node->at <= now_ms) {
 *         heap_remove(&timers, node);
 *         ... container_of(node, struct job, timer) ...
 *     }
 */
#ifndef REDIAL_SERVER_BASE_HEAP_H
#define REDIAL_SERVER_BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A zeroed node is in no heap. Fields are the heap's to write. */
struct heap_node {
    int64_t at;     /* when, in the caller's unit */
    uint64_t order; /* tie-break: grows with each heap_set() */
    uint32_t index; /* place in the array from 1; 0: in no heap */
};

struct heap {
    struct heap_node **nodes;
    uint32_t count;
    uint32_t count_max;
    uint64_t next_order;
};

/* Bytes for `count_max` nodes. */
size_t
heap_size(uint32_t count_max);

/* Makes an empty heap in `memory` (heap_size() bytes, any content, aligned). */
void
heap_init(struct heap *heap, void *memory, uint32_t count_max);

static inline bool
heap_has(const struct heap_node *node)
{
    return node->index != 0;
}

/*
 * Puts the node in, or moves it when it is in already (it then counts as newly
 * set among equals). The heap must have room (asserted): size it for all that
 * can be in it.
 */
void
heap_set(struct heap *heap, struct heap_node *node, int64_t at);

/* Takes the node out; no effect when it is in no heap. */
void
heap_remove(struct heap *heap, struct heap_node *node);

/* The earliest node, or NULL. O(1). */
static inline struct heap_node *
heap_first(const struct heap *heap)
{
    return heap->count == 0 ? NULL : heap->nodes[0];
}

#endif
