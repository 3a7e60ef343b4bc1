/* SPDX-License-Identifier: Apache-2.0 */
/*
 * explore [--deep] [--jobs N] [--no-operator] [--no-loss]
 *         [--states N] [--depth N]
 *
 * Breadth first over all that can happen; the first state in which something
 * does not hold ends it, with the shortest list of moves that leads there.
 */
#include "tests/explore/check.h"
#include "tests/explore/digest.h"
#include "tests/explore/graph.h"
#include "tests/explore/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SAMPLES = 200, TWINS_EVERY = 97 };

static struct graph graph;
static uint64_t moves_made;
static uint64_t again; /* moves to a state that was known */
static uint64_t twins; /* of those: compared by all that can follow */
static bool full;

static double
seconds(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* ---- Paths ------------------------------------------------------------- */

/* From the start to the node; to be freed. */
static uint32_t *
path_to(uint32_t node, uint32_t *ret_length)
{
    uint32_t length = graph.nodes[node].depth;
    uint32_t *path = malloc((length + 1) * sizeof(uint32_t));

    redial_assert(path != NULL);
    *ret_length = length;
    for (uint32_t i = length + 1; i-- > 0;) {
        path[i] = node;
        node = graph.nodes[node].parent;
    }
    return path;
}

static void
begin(void)
{
    for (uint32_t i = 0; i < WORKERS; i++) {
        world_hello(i);
    }
}

static void
print_state(void)
{
    const struct target *target = world_target();

    if (target != NULL) {
        printf("      %s%s, %u of %u probes out, %u good, %u in flight;",
               breaker_state_name((enum breaker_state)target->breaker.state),
               target->breaker.forced ? " (held)" : "",
               (unsigned)target->breaker.probes_out, (unsigned)PROBES,
               (unsigned)target->breaker.probes_good,
               (unsigned)target->breaker.in_flight);
    }
    for (uint32_t i = 0; i < JOBS; i++) {
        const struct job *job = world_job(i);

        if (job != NULL) {
            printf(" job %u %s", (unsigned)i + 1,
                   job_state_name(job_shown(job)));
        }
    }
    putchar('\n');
}

static void
show_move(move made, bool high)
{
    char text[MOVE_TEXT_BYTES];

    moves_describe(made, text);
    moves_make(made, high);
    printf("  %6lld %s%s\n", (long long)world->now.mono.ms - 1000000, text,
           outcome.draws == 0 ? ""
           : high             ? " (chance: highest)"
                              : " (chance: lowest)");
    print_state();
}

/* Plays it again from the start, in words. */
static void
show_path(const void *start, uint32_t node)
{
    uint32_t length;
    uint32_t *path = path_to(node, &length);

    world_restore(start);
    for (uint32_t i = 1; i <= length; i++) {
        show_move(graph.nodes[path[i]].made, graph.nodes[path[i]].high);
    }
    free(path);
}

/* ---- Samples ----------------------------------------------------------- */

/* The same moves again give the same state, and its log rebuilds it. */
static const char *
replay(const void *start, uint32_t node)
{
    uint32_t length;
    uint32_t *path = path_to(node, &length);
    const char *problem = NULL;

    (void)start;
    for (uint32_t i = 1; i <= length; i++) {
        moves_make(graph.nodes[path[i]].made, graph.nodes[path[i]].high);
    }
    if (digest_state() != graph.nodes[node].digest) {
        problem = "the same moves lead to another state";
    } else if (!world_log_rebuilds()) {
        problem = "the log rebuilds another state";
    }
    free(path);
    return problem;
}

/* ---- Expansion --------------------------------------------------------- */

static int
compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* All states that can follow, sorted; returns how many. */
static uint32_t
successors(const void *snapshot, uint64_t ret_digests[MOVES_MAX * 2])
{
    move moves[MOVES_MAX];
    uint32_t found = 0;

    world_restore(snapshot);
    uint32_t count = moves_list(moves);

    for (uint32_t i = 0; i < count * 2; i++) {
        world_restore(snapshot);
        moves_make(moves[i / 2], i % 2 == 1);
        ret_digests[found++] = digest_state();
    }
    qsort(ret_digests, found, sizeof(uint64_t), compare);
    return found;
}

/* Two states that count as one: the same must be possible in both. */
static bool
are_alike(const void *a, const void *b)
{
    uint64_t digests[2][MOVES_MAX * 2];
    uint32_t counts[2] = {successors(a, digests[0]), successors(b, digests[1])};

    return counts[0] == counts[1] &&
           memcmp(digests[0], digests[1], counts[0] * sizeof(uint64_t)) == 0;
}

/* Now and then for a state that was reached again and still has a snapshot. */
static const char *
compare_twin(uint32_t known)
{
    if (++again % TWINS_EVERY != 0 || graph.nodes[known].snapshot == NULL) {
        return NULL;
    }
    void *own = world_save();
    bool alike = are_alike(graph.nodes[known].snapshot, own);

    world_restore(own);
    free(own);
    twins++;
    return alike ? NULL : "two states that count as one can go on differently";
}

/* Makes the move from the state at hand. The node it leads to, or an end. */
static const char *
try_move(uint32_t from, move made, bool high, uint32_t *ret_to)
{
    check_before(made);
    moves_make(made, high);
    moves_made++;
    const char *problem = check_after(made);
    bool new;
    uint32_t to = graph_put(&graph, digest_state(), &new);

    *ret_to = to;
    if (to == GRAPH_NONE) {
        full = true;
        return problem;
    }
    if (new) {
        graph.nodes[to].parent = from;
        graph.nodes[to].depth = (uint16_t)(graph.nodes[from].depth + 1);
        graph.nodes[to].made = made;
        graph.nodes[to].high = high;
        graph.nodes[to].rest = check_is_at_rest();
        graph.nodes[to].snapshot = world_save();
    } else if (problem == NULL) {
        uint32_t draws = outcome.draws;

        problem = compare_twin(to);
        outcome.draws = draws;
    }
    graph_add_edge(&graph, from, to);
    return problem;
}

static void
fail(const void *start, uint32_t from, move made, bool high,
     const char *problem)
{
    uint32_t depth = graph.nodes[from].depth + 1u;

    printf("does not hold after %u moves: %s\n", depth, problem);
    show_path(start, from);
    show_move(made, high);
}

static bool
expand(const void *start, uint32_t node)
{
    move moves[MOVES_MAX];
    void *snapshot = graph.nodes[node].snapshot;
    uint32_t to;

    world_restore(snapshot);
    uint32_t count = moves_list(moves);

    for (uint32_t i = 0; i < count; i++) {
        for (int high = 0; high < 2; high++) {
            world_restore(snapshot);
            const char *problem = try_move(node, moves[i], high == 1, &to);

            if (problem != NULL) {
                fail(start, node, moves[i], high == 1, problem);
                return false;
            }
            if (outcome.draws == 0) {
                break;
            }
        }
    }
    graph.nodes[node].expanded = true;
    graph.nodes[node].snapshot = NULL;
    free(snapshot);
    return true;
}

static bool
explore(const void *start, uint32_t depth_max)
{
    for (uint32_t node = 0; node < graph.count && !full; node++) {
        if (graph.nodes[node].depth >= depth_max) {
            break;
        }
        if (!expand(start, node)) {
            return false;
        }
    }
    return true;
}

static bool
find_trap(const void *start)
{
    uint32_t trap = graph_find_trap(&graph);

    if (trap == GRAPH_NONE) {
        return true;
    }
    printf("does not hold after %u moves: a state has no way out\n",
           (unsigned)graph.nodes[trap].depth);
    show_path(start, trap);
    return false;
}

static bool
replay_samples(const void *nothing, const void *start)
{
    for (uint32_t i = 0; i < SAMPLES; i++) {
        uint32_t node = (uint32_t)((uint64_t)graph.count * i / SAMPLES);

        world_restore(nothing);
        world_log_begin();
        begin();
        const char *problem = replay(start, node);

        if (problem != NULL) {
            printf("does not hold: %s\n", problem);
            show_path(start, node);
            return false;
        }
    }
    return true;
}

static void
print_numbers(double took)
{
    uint32_t expanded = 0;
    uint32_t longest = 0;

    for (uint32_t i = 0; i < graph.count; i++) {
        expanded += graph.nodes[i].expanded;
        longest = graph.nodes[i].depth > longest ? graph.nodes[i].depth
                                                 : longest;
    }
    printf("%u states, %llu moves, longest path %u, %llu twins compared, "
           "%.1f seconds: %s\n",
           (unsigned)graph.count, (unsigned long long)moves_made,
           (unsigned)longest, (unsigned long long)twins, took,
           expanded == graph.count ? "closed, nothing else can be reached"
                                   : "bounded");
}

static bool
read_options(int argc, char **argv, uint32_t *ret_states, uint32_t *ret_depth)
{
    options.jobs = JOBS;
    for (int i = 1; i < argc; i++) {
        uint32_t number = i + 1 < argc
                              ? (uint32_t)strtoul(argv[i + 1], NULL, 10)
                              : 0;

        if (strcmp(argv[i], "--deep") == 0) {
            options.deep = true;
        } else if (strcmp(argv[i], "--no-operator") == 0) {
            options.no_operator = true;
        } else if (strcmp(argv[i], "--no-loss") == 0) {
            options.no_loss = true;
        } else if (number == 0) {
            return false;
        } else if (strcmp(argv[i], "--jobs") == 0 && number <= JOBS) {
            options.jobs = number;
            i++;
        } else if (strcmp(argv[i], "--states") == 0) {
            *ret_states = number;
            i++;
        } else if (strcmp(argv[i], "--depth") == 0) {
            *ret_depth = number;
            i++;
        } else {
            return false;
        }
    }
    return true;
}

int
main(int argc, char **argv)
{
    uint32_t states_max = 4000000;
    uint32_t depth_max = UINT16_MAX;

    if (!read_options(argc, argv, &states_max, &depth_max)) {
        (void)fprintf(stderr, "usage: explore [--deep] [--jobs N] "
                              "[--no-operator] [--no-loss] [--states N] "
                              "[--depth N]\n");
        return 2;
    }
    double from = seconds();
    bool new;

    world_init();
    graph_init(&graph, states_max);
    void *nothing = world_save();

    begin();
    void *start = world_save();
    uint32_t root = graph_put(&graph, digest_state(), &new);

    graph.nodes[root].snapshot = world_save();
    graph.nodes[root].rest = true;
    graph.nodes[root].parent = root;
    bool holds = explore(start, depth_max) && find_trap(start) &&
                 replay_samples(nothing, start);

    print_numbers(seconds() - from);
    free(nothing);
    free(start);
    graph_fini(&graph);
    world_fini();
    return holds ? 0 : 1;
}
