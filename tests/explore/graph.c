/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/explore/graph.h"

#include "server/base/check.h"

#include <stdlib.h>

void
graph_init(struct graph *graph, uint32_t count_max)
{
    uint32_t size = 1024;

    while (size < count_max * 2) {
        size *= 2;
    }
    *graph = (struct graph){
        .count_max = count_max,
        .table_size = size,
        .nodes = calloc(count_max, sizeof(struct node)),
        .table = calloc(size, sizeof(uint32_t)),
    };
    redial_assert(graph->nodes != NULL && graph->table != NULL);
}

void
graph_fini(struct graph *graph)
{
    for (uint32_t i = 0; i < graph->count; i++) {
        free(graph->nodes[i].snapshot);
    }
    free(graph->nodes);
    free(graph->table);
    free(graph->edges);
}

uint32_t
graph_put(struct graph *graph, uint64_t digest, bool *ret_new)
{
    uint32_t at = (uint32_t)digest & (graph->table_size - 1);

    *ret_new = false;
    while (graph->table[at] != 0) {
        if (graph->nodes[graph->table[at] - 1].digest == digest) {
            return graph->table[at] - 1;
        }
        at = (at + 1) & (graph->table_size - 1);
    }
    if (graph->count == graph->count_max) {
        return GRAPH_NONE;
    }
    graph->nodes[graph->count].digest = digest;
    graph->table[at] = graph->count + 1;
    *ret_new = true;
    return graph->count++;
}

void
graph_add_edge(struct graph *graph, uint32_t from, uint32_t to)
{
    if (graph->edge_count == graph->edge_max) {
        graph->edge_max = graph->edge_max == 0 ? 65536 : graph->edge_max * 2;
        graph->edges = realloc(graph->edges,
                               graph->edge_max * 2 * sizeof(uint32_t));
        redial_assert(graph->edges != NULL);
    }
    graph->edges[graph->edge_count * 2] = from;
    graph->edges[graph->edge_count * 2 + 1] = to;
    graph->edge_count++;
}

/* Backwards from rest, over all moves again and again until nothing is new. */
uint32_t
graph_find_trap(const struct graph *graph)
{
    bool *good = calloc(graph->count, sizeof(bool));
    bool more = true;
    uint32_t trap = 0;

    redial_assert(good != NULL);
    for (uint32_t i = 0; i < graph->count; i++) {
        good[i] = graph->nodes[i].rest || !graph->nodes[i].expanded;
    }
    while (more) {
        more = false;
        for (size_t i = graph->edge_count; i-- > 0;) {
            if (good[graph->edges[i * 2 + 1]] && !good[graph->edges[i * 2]]) {
                good[graph->edges[i * 2]] = true;
                more = true;
            }
        }
    }
    while (trap < graph->count && good[trap]) {
        trap++;
    }
    free(good);
    return trap == graph->count ? GRAPH_NONE : trap;
}
