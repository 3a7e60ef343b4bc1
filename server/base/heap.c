/* SPDX-License-Identifier: Apache-2.0 */
#include "server/base/heap.h"

#include "server/base/check.h"

static bool
is_before(const struct heap_node *a, const struct heap_node *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

/* Places count from 1: the parent of place i is i / 2. */
static void
place(struct heap *heap, struct heap_node *node, uint32_t index)
{
    heap->nodes[index - 1] = node;
    node->index = index;
}

/* Moves a hole at `index` up to where `node` belongs, and fills it. */
static void
sift_up(struct heap *heap, struct heap_node *node, uint32_t index)
{
    while (index > 1) {
        struct heap_node *parent = heap->nodes[index / 2 - 1];

        if (!is_before(node, parent)) {
            break;
        }
        place(heap, parent, index);
        index /= 2;
    }
    place(heap, node, index);
}

static void
sift_down(struct heap *heap, struct heap_node *node, uint32_t index)
{
    while (index <= heap->count / 2) {
        uint32_t child = index * 2;

        if (child < heap->count &&
            is_before(heap->nodes[child], heap->nodes[child - 1])) {
            child++;
        }
        if (!is_before(heap->nodes[child - 1], node)) {
            break;
        }
        place(heap, heap->nodes[child - 1], index);
        index = child;
    }
    place(heap, node, index);
}

/* Puts the node where it belongs, from a hole at `index`. */
static void
settle(struct heap *heap, struct heap_node *node, uint32_t index)
{
    if (index > 1 && is_before(node, heap->nodes[index / 2 - 1])) {
        sift_up(heap, node, index);
    } else {
        sift_down(heap, node, index);
    }
}

size_t
heap_size(uint32_t count_max)
{
    return (size_t)count_max * sizeof(struct heap_node *);
}

void
heap_init(struct heap *heap, void *memory, uint32_t count_max)
{
    redial_assert(count_max < UINT32_MAX / 2);
    *heap = (struct heap){.nodes = memory, .count_max = count_max};
}

void
heap_set(struct heap *heap, struct heap_node *node, int64_t at)
{
    uint32_t index = node->index;

    if (index == 0) {
        redial_assert(heap->count < heap->count_max);
        index = ++heap->count;
    } else {
        redial_assert(heap->nodes[index - 1] == node);
    }
    node->at = at;
    node->order = heap->next_order++;
    settle(heap, node, index);
}

void
heap_remove(struct heap *heap, struct heap_node *node)
{
    uint32_t index = node->index;

    if (index == 0) {
        return;
    }
    redial_assert(heap->nodes[index - 1] == node);
    struct heap_node *last = heap->nodes[heap->count - 1];

    heap->count--;
    node->index = 0;
    if (last != node) {
        settle(heap, last, index);
    }
}
