/* SPDX-License-Identifier: Apache-2.0 */
#include "server/base/chunk.h"
#include "server/base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { CHUNKS = 200 };

static struct chunk_pool pool;
static char text[CHUNK_TEXT_MAX];
static char buf[CHUNK_TEXT_MAX];

static int
setup(void **state)
{
    void *memory = calloc(1, chunk_size(CHUNKS));

    chunk_init(&pool, memory, CHUNKS);
    for (size_t i = 0; i < sizeof(text); i++) {
        text[i] = (char)(i % 251);
    }
    *state = memory;
    return memory == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
    free(*state);
    return 0;
}

static void
the_empty_text_takes_no_room(void **state)
{
    uint32_t ref = 99;

    (void)state;
    assert_true(chunk_put(&pool, text, 0, &ref));
    assert_int_equal(ref, 0);
    assert_int_equal(pool.used, 0);
    assert_int_equal(chunk_len(&pool, 0), 0);
    assert_int_equal(chunk_get(&pool, 0, buf, sizeof(buf)), 0);
    assert_true(chunk_equals(&pool, 0, "", 0));
    assert_false(chunk_equals(&pool, 0, "x", 1));
    chunk_free(&pool, 0);
}

static void
every_length_comes_back_whole_and_cut(void **state)
{
    (void)state;
    for (size_t len = 1; len < 300; len++) {
        uint32_t ref = 0;

        assert_true(chunk_put(&pool, text, len, &ref));
        assert_int_equal(pool.used, chunk_needed(len));
        assert_int_equal(chunk_len(&pool, ref), len);
        memset(buf, 1, len + 1);
        assert_int_equal(chunk_get(&pool, ref, buf, sizeof(buf)), len);
        assert_memory_equal(buf, text, len);
        assert_int_equal(buf[len], 1);
        assert_int_equal(chunk_get(&pool, ref, buf, len / 2), len / 2);
        assert_memory_equal(buf, text, len / 2);
        assert_true(chunk_equals(&pool, ref, text, len));
        assert_false(chunk_equals(&pool, ref, text, len - 1));
        memcpy(buf, text, len);
        buf[len - 1] ^= 1;
        assert_false(chunk_equals(&pool, ref, buf, len));
        chunk_free(&pool, ref);
        assert_int_equal(pool.used, 0);
    }
}

static void
a_full_pool_refuses_without_effect(void **state)
{
    size_t most = (size_t)CHUNKS * CHUNK_DATA_BYTES - 2;
    uint32_t ref = 0;
    uint32_t none = 77;

    (void)state;
    assert_false(chunk_put(&pool, text, most + 1, &none));
    assert_int_equal(none, 77);
    assert_int_equal(pool.used, 0);
    assert_true(chunk_put(&pool, text, most, &ref));
    assert_int_equal(chunk_left(&pool), 0);
    assert_false(chunk_put(&pool, "x", 1, &none));
    assert_int_equal(chunk_get(&pool, ref, buf, sizeof(buf)), most);
    assert_memory_equal(buf, text, most);
    chunk_free(&pool, ref);
    assert_true(chunk_put(&pool, "x", 1, &ref));
}

static void
returned_chunks_are_used_before_untouched_ones(void **state)
{
    (void)state;
    for (size_t round = 0; round < 1000; round++) {
        uint32_t ref = 0;

        assert_true(chunk_put(&pool, text, 100, &ref));
        chunk_free(&pool, ref);
    }
    assert_int_equal(pool.fresh, chunk_needed(100));
}

static void
random_use_keeps_every_text(void **state)
{
    enum { TEXTS = 20 };
    struct {
        uint32_t ref;
        size_t from;
        size_t len;
    } kept[TEXTS] = {{0, 0, 0}};
    struct rng rng;
    uint32_t used = 0;

    (void)state;
    rng_init(&rng, 4);
    for (size_t round = 0; round < 20000; round++) {
        size_t i = rng_below(&rng, TEXTS);

        assert_true(
            chunk_equals(&pool, kept[i].ref, text + kept[i].from, kept[i].len));
        used -= chunk_needed(kept[i].len);
        chunk_free(&pool, kept[i].ref);
        kept[i].ref = 0;
        kept[i].from = rng_below(&rng, 1000);
        kept[i].len = rng_below(&rng, 600);
        if (!chunk_put(&pool, text + kept[i].from, kept[i].len, &kept[i].ref)) {
            assert_true(used + chunk_needed(kept[i].len) > CHUNKS);
            kept[i].len = 0;
        }
        used += chunk_needed(kept[i].len);
        assert_int_equal(pool.used, used);
    }
}

static void
the_longest_text_needs_its_bound(void **state)
{
    (void)state;
    assert_int_equal(chunk_needed(1), 1);
    assert_int_equal(chunk_needed(CHUNK_DATA_BYTES - 2), 1);
    assert_int_equal(chunk_needed(CHUNK_DATA_BYTES - 1), 2);
    assert_int_equal(chunk_needed(CHUNK_TEXT_MAX),
                     (CHUNK_TEXT_MAX + 2 + CHUNK_DATA_BYTES - 1) /
                         CHUNK_DATA_BYTES);
}

int
main(void)
{
#define CHUNK_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CHUNK_TEST(the_empty_text_takes_no_room),
        CHUNK_TEST(every_length_comes_back_whole_and_cut),
        CHUNK_TEST(a_full_pool_refuses_without_effect),
        CHUNK_TEST(returned_chunks_are_used_before_untouched_ones),
        CHUNK_TEST(random_use_keeps_every_text),
        CHUNK_TEST(the_longest_text_needs_its_bound),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
