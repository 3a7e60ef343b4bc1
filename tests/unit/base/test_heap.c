/* SPDX-License-Identifier: Apache-2.0 */
#include "server/base/heap.h"
#include "server/base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { NODES = 1000 };

static struct heap heap;
static struct heap_node nodes[NODES];

static int
setup(void **state)
{
    void *memory = malloc(heap_size(NODES));

    for (size_t i = 0; i < NODES; i++) {
        nodes[i] = (struct heap_node){0};
    }
    heap_init(&heap, memory, NODES);
    *state = memory;
    return memory == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
    free(*state);
    return 0;
}

/* Each node is where it says it is and not before its parent. */
static void
check_heap(void)
{
    for (uint32_t i = 1; i <= heap.count; i++) {
        const struct heap_node *node = heap.nodes[i - 1];
        const struct heap_node *parent = heap.nodes[i > 1 ? i / 2 - 1 : 0];

        assert_int_equal(node->index, i);
        assert_true(parent->at < node->at ||
                    (parent->at == node->at && parent->order <= node->order));
    }
}

static void
an_empty_heap_has_no_first(void **state)
{
    (void)state;
    assert_null(heap_first(&heap));
    assert_false(heap_has(&nodes[0]));
    heap_remove(&heap, &nodes[0]);
    assert_int_equal(heap.count, 0);
}

static void
nodes_come_out_by_time(void **state)
{
    struct rng rng;

    (void)state;
    rng_init(&rng, 1);
    for (size_t i = 0; i < NODES; i++) {
        heap_set(&heap, &nodes[i], (int64_t)rng_below(&rng, 200) - 100);
    }
    check_heap();
    const struct heap_node *before = NULL;

    for (size_t i = 0; i < NODES; i++) {
        struct heap_node *node = heap_first(&heap);

        assert_non_null(node);
        assert_true(before == NULL || before->at < node->at ||
                    (before->at == node->at && before->order < node->order));
        heap_remove(&heap, node);
        assert_false(heap_has(node));
        before = node;
    }
    assert_null(heap_first(&heap));
}

static void
equal_times_come_out_in_the_order_in_which_they_were_set(void **state)
{
    (void)state;
    for (size_t i = 0; i < 100; i++) {
        heap_set(&heap, &nodes[i], 7);
    }
    /* Setting again counts as new. */
    heap_set(&heap, &nodes[0], 7);
    for (size_t i = 1; i <= 100; i++) {
        struct heap_node *node = heap_first(&heap);

        assert_ptr_equal(node, &nodes[i % 100]);
        heap_remove(&heap, node);
    }
}

static void
any_node_can_be_moved_and_removed(void **state)
{
    struct rng rng;
    uint32_t inside = 0;

    (void)state;
    rng_init(&rng, 2);
    for (size_t round = 0; round < 20000; round++) {
        struct heap_node *node = &nodes[rng_below(&rng, NODES)];

        if (rng_below(&rng, 3) == 0) {
            inside -= heap_has(node) ? 1 : 0;
            heap_remove(&heap, node);
            assert_false(heap_has(node));
        } else {
            inside += heap_has(node) ? 0 : 1;
            heap_set(&heap, node, (int64_t)rng_below(&rng, 1000));
            assert_true(heap_has(node));
        }
        assert_int_equal(heap.count, inside);
        if (round % 100 == 0) {
            check_heap();
        }
    }
    check_heap();
}

static void
extreme_times_keep_their_order(void **state)
{
    (void)state;
    heap_set(&heap, &nodes[0], INT64_MAX);
    heap_set(&heap, &nodes[1], INT64_MIN);
    heap_set(&heap, &nodes[2], 0);
    assert_ptr_equal(heap_first(&heap), &nodes[1]);
    heap_remove(&heap, &nodes[1]);
    assert_ptr_equal(heap_first(&heap), &nodes[2]);
    heap_remove(&heap, &nodes[2]);
    assert_ptr_equal(heap_first(&heap), &nodes[0]);
}

int
main(void)
{
#define HEAP_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        HEAP_TEST(an_empty_heap_has_no_first),
        HEAP_TEST(nodes_come_out_by_time),
        HEAP_TEST(equal_times_come_out_in_the_order_in_which_they_were_set),
        HEAP_TEST(any_node_can_be_moved_and_removed),
        HEAP_TEST(extreme_times_keep_their_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
