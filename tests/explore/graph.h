/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The states that were found, how each was reached first, and all moves between
 * them, to look from behind: from where can a state of rest be reached?
 */
#ifndef REDIAL_TESTS_EXPLORE_GRAPH_H
#define REDIAL_TESTS_EXPLORE_GRAPH_H

#include "tests/explore/moves.h"

#define GRAPH_NONE UINT32_MAX

struct node {
    uint64_t digest;
    uint32_t parent;
    uint16_t depth;
    move made; /* from the parent */
    bool high; /* chance drew the highest */
    bool rest; /* nothing is left to be done */
    bool expanded;
    void *snapshot; /* until it is expanded */
};

struct graph {
    struct node *nodes;
    uint32_t count;
    uint32_t count_max;
    uint32_t *table; /* number + 1 of nodes, by digest */
    uint32_t table_size;
    uint32_t *edges; /* from, to */
    size_t edge_count;
    size_t edge_max;
};

void
graph_init(struct graph *graph, uint32_t count_max);

void
graph_fini(struct graph *graph);

/* The node of this digest; *ret_new: it was not known. Full: GRAPH_NONE. */
uint32_t
graph_put(struct graph *graph, uint64_t digest, bool *ret_new);

void
graph_add_edge(struct graph *graph, uint32_t from, uint32_t to);

/*
 * A state from which no sequence of moves leads to rest, or GRAPH_NONE. States
 * that were not expanded are taken to have a way out.
 */
uint32_t
graph_find_trap(const struct graph *graph);

#endif
