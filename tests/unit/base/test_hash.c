/* SPDX-License-Identifier: Apache-2.0 */
#include "server/base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* The key and the inputs of the published vectors: 00 01 02 ... */
static struct hash_key
counting_key(void)
{
    uint8_t bytes[16];

    for (uint8_t i = 0; i < 16; i++) {
        bytes[i] = i;
    }
    return hash_key_from_bytes(bytes);
}

static void
fill_counting(uint8_t *buf, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        buf[i] = (uint8_t)i;
    }
}

static void
sixty_four_bits_match_the_published_vectors(void **state)
{
    static const struct {
        size_t len;
        uint64_t hash;
    } vectors[] = {
        {0, UINT64_C(0x726fdb47dd0e0e31)},
        {1, UINT64_C(0x74f839c593dc67fd)},
        {8, UINT64_C(0x93f5f5799a932462)},
        {15, UINT64_C(0xa129ca6149be45e5)},
    };
    struct hash_key key = counting_key();
    uint8_t input[64];

    (void)state;
    fill_counting(input, sizeof(input));
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        assert_true(hash_64(&key, input, vectors[i].len) == vectors[i].hash);
    }
}

static void
a_hundred_and_twenty_eight_bits_match_the_published_vectors(void **state)
{
    static const uint8_t empty[16] = {0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25,
                                      0xa8, 0xe6, 0x6d, 0xf6, 0x72, 0x14,
                                      0xc7, 0x55, 0x02, 0x93};
    static const uint8_t one[16] = {0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99,
                                    0xaf, 0x44, 0x34, 0x76, 0x59, 0x11,
                                    0x9b, 0x22, 0xfc, 0x45};
    struct hash_key key = counting_key();
    uint8_t input[1] = {0};
    uint8_t hash[16];

    (void)state;
    hash_128(&key, input, 0, hash);
    assert_memory_equal(hash, empty, 16);
    hash_128(&key, input, 1, hash);
    assert_memory_equal(hash, one, 16);
}

static void
pieces_hash_like_the_whole(void **state)
{
    struct hash_key key = counting_key();
    uint8_t input[100];
    uint8_t whole[16];
    uint8_t pieced[16];

    (void)state;
    fill_counting(input, sizeof(input));
    for (size_t len = 0; len <= sizeof(input); len++) {
        hash_128(&key, input, len, whole);
        for (size_t piece = 1; piece < 20; piece++) {
            struct hash hash;

            hash_begin(&hash, &key);
            for (size_t at = 0; at < len; at += piece) {
                hash_add(&hash, input + at,
                         len - at < piece ? len - at : piece);
            }
            hash_end(&hash, pieced);
            assert_memory_equal(pieced, whole, 16);
        }
    }
}

static void
fields_keep_their_borders(void **state)
{
    struct hash_key key = counting_key();
    uint8_t one[16];
    uint8_t two[16];
    struct hash hash;

    (void)state;
    hash_begin(&hash, &key);
    hash_add_field(&hash, "ab", 2);
    hash_add_field(&hash, "c", 1);
    hash_end(&hash, one);
    hash_begin(&hash, &key);
    hash_add_field(&hash, "a", 1);
    hash_add_field(&hash, "bc", 2);
    hash_end(&hash, two);
    assert_memory_not_equal(one, two, 16);
}

static void
another_key_gives_another_hash(void **state)
{
    struct hash_key key = counting_key();
    struct hash_key other = key;

    (void)state;
    other.words[1] ^= 1;
    assert_true(hash_64(&key, "x", 1) != hash_64(&other, "x", 1));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sixty_four_bits_match_the_published_vectors),
        cmocka_unit_test(
            a_hundred_and_twenty_eight_bits_match_the_published_vectors),
        cmocka_unit_test(pieces_hash_like_the_whole),
        cmocka_unit_test(fields_keep_their_borders),
        cmocka_unit_test(another_key_gives_another_hash),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
