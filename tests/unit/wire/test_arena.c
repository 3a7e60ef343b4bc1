/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/arena.h"
#include "proto/limits.h"

#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void
the_budget_is_16_times_the_frame_and_64_kib_at_least(void **state)
{
    (void)state;
    assert_int_equal(wire_arena_budget(0), 65536);
    assert_int_equal(wire_arena_budget(4096), 65536);
    assert_int_equal(wire_arena_budget(4097), 65552);
    assert_int_equal(wire_arena_budget(WIRE_FRAME_BYTES_MAX),
                     16u * WIRE_FRAME_BYTES_MAX);
    assert_true(wire_arena_budget(SIZE_MAX) == SIZE_MAX);
}

static void
memory_is_aligned_and_pieces_do_not_overlap(void **state)
{
    struct wire_arena arena;
    uint8_t *last = NULL;

    (void)state;
    wire_arena_init(&arena, NULL, 0);
    for (size_t size = 1; size < 200; size++) {
        uint8_t *piece = wire_arena_alloc(&arena, size);

        assert_non_null(piece);
        assert_int_equal((uintptr_t)piece % alignof(max_align_t), 0);
        memset(piece, (int)size, size);
        if (last != NULL) {
            assert_int_equal(last[0], size - 1);
            assert_int_equal(last[size - 2], size - 1);
        }
        last = piece;
    }
    wire_arena_fini(&arena);
}

static void
the_budget_holds_to_the_last_piece(void **state)
{
    struct wire_arena arena;
    size_t pieces = 0;

    (void)state;
    wire_arena_init(&arena, NULL, 0);
    wire_arena_reset(&arena, 65536);
    while (wire_arena_alloc(&arena, 64) != NULL) {
        pieces++;
    }
    assert_true(arena.is_exhausted);
    assert_true(pieces >= 1022 && pieces <= 1024);
    assert_true(arena.taken_bytes <= 65536);
    assert_null(wire_arena_alloc(&arena, SIZE_MAX));
    assert_null(wire_arena_alloc(&arena, SIZE_MAX - 8));
    wire_arena_fini(&arena);
}

static void
reset_gives_the_whole_budget_back(void **state)
{
    struct wire_arena arena;

    (void)state;
    wire_arena_init(&arena, NULL, 0);
    wire_arena_reset(&arena, 100000);
    assert_non_null(wire_arena_alloc(&arena, 90000));
    assert_null(wire_arena_alloc(&arena, 90000));
    wire_arena_reset(&arena, 100000);
    assert_false(arena.is_exhausted);
    assert_non_null(wire_arena_alloc(&arena, 90000));
    wire_arena_fini(&arena);
    wire_arena_fini(&arena);
}

static void
the_callers_block_is_used_before_the_heap(void **state)
{
    alignas(max_align_t) uint8_t first[256];
    struct wire_arena arena;
    uint8_t *piece;

    (void)state;
    wire_arena_init(&arena, first, sizeof(first));
    piece = wire_arena_alloc(&arena, 200);
    assert_ptr_equal(piece, first);
    assert_null(arena.blocks);
    assert_non_null(wire_arena_alloc(&arena, 100));
    assert_non_null(arena.blocks);
    wire_arena_reset(&arena, 1000);
    assert_null(arena.blocks);
    assert_ptr_equal(wire_arena_alloc(&arena, 1), first);
    wire_arena_fini(&arena);
}

static void
copies_are_terminated_and_nothing_may_be_copied(void **state)
{
    struct wire_arena arena;

    (void)state;
    wire_arena_init(&arena, NULL, 0);
    assert_string_equal(wire_arena_copy(&arena, "abcdef", 3), "abc");
    assert_string_equal(wire_arena_copy(&arena, NULL, 0), "");
    assert_null(wire_arena_copy(&arena, "", SIZE_MAX));
    wire_arena_fini(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_budget_is_16_times_the_frame_and_64_kib_at_least),
        cmocka_unit_test(memory_is_aligned_and_pieces_do_not_overlap),
        cmocka_unit_test(the_budget_holds_to_the_last_piece),
        cmocka_unit_test(reset_gives_the_whole_budget_back),
        cmocka_unit_test(the_callers_block_is_used_before_the_heap),
        cmocka_unit_test(copies_are_terminated_and_nothing_may_be_copied),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
