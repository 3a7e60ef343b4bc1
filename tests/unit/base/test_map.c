/* SPDX-License-Identifier: Apache-2.0 */
#include "server/base/map.h"
#include "server/base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { COUNT_MAX = 300 };

static const struct hash_key hash_key = {{1, 2}};

struct fixture {
    struct map map;
    uint8_t *memory;
    size_t bytes;
};

static int
setup(void **state, uint32_t key_bytes)
{
    static struct fixture fixture;

    fixture.bytes = map_size(key_bytes, COUNT_MAX);
    fixture.memory = calloc(1, fixture.bytes);
    map_init(&fixture.map, fixture.memory, key_bytes, COUNT_MAX, hash_key);
    *state = &fixture;
    return fixture.memory == NULL ? -1 : 0;
}

static int
setup_8(void **state)
{
    return setup(state, 8);
}

static int
setup_16(void **state)
{
    return setup(state, 16);
}

static int
teardown(void **state)
{
    struct fixture *fixture = *state;

    free(fixture->memory);
    return 0;
}

static void
an_empty_map_has_nothing(void **state)
{
    struct fixture *fixture = *state;
    uint32_t cursor = 0;
    uint32_t value = 0;

    assert_int_equal(map_get_u64(&fixture->map, 0), MAP_NONE);
    assert_int_equal(map_remove_u64(&fixture->map, 0), MAP_NONE);
    assert_false(map_next(&fixture->map, &cursor, NULL, &value));
}

static void
a_value_is_found_replaced_and_removed(void **state)
{
    struct map *map = &((struct fixture *)*state)->map;

    assert_true(map_put_u64(map, 0, 7));
    assert_true(map_put_u64(map, UINT64_MAX, 0));
    assert_int_equal(map_get_u64(map, 0), 7);
    assert_int_equal(map_get_u64(map, UINT64_MAX), 0);
    assert_true(map_put_u64(map, 0, 8));
    assert_int_equal(map->count, 2);
    assert_int_equal(map_remove_u64(map, 0), 8);
    assert_int_equal(map_get_u64(map, 0), MAP_NONE);
    assert_int_equal(map->count, 1);
}

static void
a_full_map_refuses_new_keys_only(void **state)
{
    struct map *map = &((struct fixture *)*state)->map;

    for (uint32_t i = 0; i < COUNT_MAX; i++) {
        assert_true(map_put_u64(map, i, i));
    }
    assert_false(map_put_u64(map, COUNT_MAX, 1));
    assert_true(map_put_u64(map, 5, 55));
    assert_int_equal(map_get_u64(map, 5), 55);
    assert_int_equal(map_remove_u64(map, 9), 9);
    assert_true(map_put_u64(map, COUNT_MAX, 1));
}

static void
the_largest_value_is_kept(void **state)
{
    struct map *map = &((struct fixture *)*state)->map;

    assert_true(map_put_u64(map, 1, MAP_NONE - 1));
    assert_int_equal(map_get_u64(map, 1), MAP_NONE - 1);
}

/* Against a plain array: small key space, so that runs grow and shrink. */
static void
random_use_agrees_with_an_array(void **state)
{
    enum { KEYS = 400 };
    struct map *map = &((struct fixture *)*state)->map;
    uint32_t model[KEYS];
    uint32_t count = 0;
    struct rng rng;

    rng_init(&rng, 3);
    memset(model, 0xff, sizeof(model));
    for (uint32_t round = 0; round < 100000; round++) {
        uint64_t key = rng_below(&rng, KEYS);

        if (rng_below(&rng, 2) == 0) {
            assert_int_equal(map_remove_u64(map, key), model[key]);
            count -= model[key] != MAP_NONE ? 1 : 0;
            model[key] = MAP_NONE;
        } else {
            bool fits = model[key] != MAP_NONE || count < COUNT_MAX;

            assert_int_equal(map_put_u64(map, key, round), fits);
            if (fits) {
                count += model[key] == MAP_NONE ? 1 : 0;
                model[key] = round;
            }
        }
        assert_int_equal(map->count, count);
    }
    for (uint64_t key = 0; key < KEYS; key++) {
        assert_int_equal(map_get_u64(map, key), model[key]);
    }
}

static void
a_walk_meets_every_entry_once(void **state)
{
    struct map *map = &((struct fixture *)*state)->map;
    bool met[COUNT_MAX] = {false};
    uint32_t cursor = 0;
    uint32_t value = 0;
    uint64_t key = 0;

    for (uint32_t i = 0; i < COUNT_MAX; i++) {
        assert_true(map_put_u64(map, i * UINT64_C(1000003), i));
    }
    for (uint32_t i = 0; i < COUNT_MAX; i++) {
        assert_true(map_next(map, &cursor, &key, &value));
        assert_int_equal(key, value * UINT64_C(1000003));
        assert_false(met[value]);
        met[value] = true;
    }
    assert_false(map_next(map, &cursor, &key, &value));
}

static void
all_sixteen_bytes_of_a_key_count(void **state)
{
    struct map *map = &((struct fixture *)*state)->map;
    uint8_t key[16] = {0};

    for (uint32_t i = 0; i < 16; i++) {
        memset(key, 0, sizeof(key));
        key[i] = 1;
        assert_true(map_put(map, key, i));
    }
    assert_int_equal(map->count, 16);
    for (uint32_t i = 0; i < 16; i++) {
        memset(key, 0, sizeof(key));
        key[i] = 1;
        assert_int_equal(map_get(map, key), i);
    }
    for (uint32_t i = 0; i < 16; i += 2) {
        memset(key, 0, sizeof(key));
        key[i] = 1;
        assert_int_equal(map_remove(map, key), i);
    }
    assert_int_equal(map->count, 8);
}

static void
an_emptied_map_leaves_no_mark_behind(void **state)
{
    struct fixture *fixture = *state;
    struct map *map = &fixture->map;
    uint32_t cursor = 0;
    uint32_t value = 0;

    for (uint32_t round = 0; round < 50; round++) {
        for (uint64_t i = 0; i < COUNT_MAX; i++) {
            assert_true(map_put_u64(map, round * 1000 + i, 1));
        }
        for (uint64_t i = 0; i < COUNT_MAX; i++) {
            assert_int_equal(map_remove_u64(map, round * 1000 + i), 1);
        }
    }
    assert_int_equal(map->count, 0);
    assert_false(map_next(map, &cursor, NULL, &value));
}

int
main(void)
{
#define MAP_TEST(name, setup) \
    cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        MAP_TEST(an_empty_map_has_nothing, setup_8),
        MAP_TEST(a_value_is_found_replaced_and_removed, setup_8),
        MAP_TEST(a_full_map_refuses_new_keys_only, setup_8),
        MAP_TEST(the_largest_value_is_kept, setup_8),
        MAP_TEST(random_use_agrees_with_an_array, setup_8),
        MAP_TEST(a_walk_meets_every_entry_once, setup_8),
        MAP_TEST(all_sixteen_bytes_of_a_key_count, setup_16),
        MAP_TEST(an_emptied_map_leaves_no_mark_behind, setup_8),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
