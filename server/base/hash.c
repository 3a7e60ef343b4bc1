/* SPDX-License-Identifier: Apache-2.0 */
#include "server/base/hash.h"

#include <string.h>

static uint64_t
rotate_left(uint64_t value, unsigned bits)
{
    return (value << bits) | (value >> (64 - bits));
}

static uint64_t
load_le64(const uint8_t *at)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < 8; i++) {
        value |= (uint64_t)at[i] << (8 * i);
    }
    return value;
}

static void
store_le64(uint8_t *at, uint64_t value)
{
    for (unsigned i = 0; i < 8; i++) {
        at[i] = (uint8_t)(value >> (8 * i));
    }
}

static inline void
sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotate_left(v[1], 13) ^ v[0];
    v[3] = rotate_left(v[3], 16) ^ v[2];
    v[0] = rotate_left(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = rotate_left(v[1], 17) ^ v[2];
    v[3] = rotate_left(v[3], 21) ^ v[0];
    v[2] = rotate_left(v[2], 32);
}

static void
sip_start(uint64_t v[4], const struct hash_key *key)
{
    v[0] = key->words[0] ^ UINT64_C(0x736f6d6570736575);
    v[1] = key->words[1] ^ UINT64_C(0x646f72616e646f6d);
    v[2] = key->words[0] ^ UINT64_C(0x6c7967656e657261);
    v[3] = key->words[1] ^ UINT64_C(0x7465646279746573);
}

/* Takes in one word with the two rounds of SipHash-2-4. */
static inline void
sip_word(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    sip_round(v);
    sip_round(v);
    v[0] ^= word;
}

/* The four closing rounds; may be called again for another 64 bits. */
static uint64_t
sip_squeeze(uint64_t v[4])
{
    for (unsigned i = 0; i < 4; i++) {
        sip_round(v);
    }
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* The last word: what is left over, and the length in the top byte. */
static uint64_t
sip_last_word(const uint8_t *tail, uint64_t len)
{
    uint64_t word = len << 56;

    for (unsigned i = 0; i < len % 8; i++) {
        word |= (uint64_t)tail[i] << (8 * i);
    }
    return word;
}

struct hash_key
hash_key_from_bytes(const uint8_t bytes[16])
{
    return (struct hash_key){{load_le64(bytes), load_le64(bytes + 8)}};
}

uint64_t
hash_64(const struct hash_key *key, const void *data, size_t len)
{
    const uint8_t *at = data;
    uint64_t v[4];

    sip_start(v, key);
    for (size_t left = len; left >= 8; left -= 8, at += 8) {
        sip_word(v, load_le64(at));
    }
    sip_word(v, sip_last_word(at, len));
    v[2] ^= 0xff;
    return sip_squeeze(v);
}

void
hash_begin(struct hash *hash, const struct hash_key *key)
{
    hash->len = 0;
    sip_start(hash->v, key);
    hash->v[1] ^= 0xee; /* sets the wide variant apart */
}

void
hash_add(struct hash *hash, const void *data, size_t len)
{
    const uint8_t *at = data;

    for (; len > 0 && hash->len % 8 != 0; len--) {
        hash->tail[hash->len % 8] = *at++;
        hash->len++;
        if (hash->len % 8 == 0) {
            sip_word(hash->v, load_le64(hash->tail));
        }
    }
    for (; len >= 8; len -= 8, at += 8) {
        sip_word(hash->v, load_le64(at));
        hash->len += 8;
    }
    for (; len > 0; len--) {
        hash->tail[hash->len % 8] = *at++;
        hash->len++;
    }
}

void
hash_add_field(struct hash *hash, const void *data, size_t len)
{
    uint8_t prefix[8];

    store_le64(prefix, len);
    hash_add(hash, prefix, sizeof(prefix));
    hash_add(hash, data, len);
}

void
hash_end(struct hash *hash, uint8_t ret_hash[HASH_128_BYTES])
{
    sip_word(hash->v, sip_last_word(hash->tail, hash->len));
    hash->v[2] ^= 0xee;
    store_le64(ret_hash, sip_squeeze(hash->v));
    hash->v[1] ^= 0xdd;
    store_le64(ret_hash + 8, sip_squeeze(hash->v));
}

void
hash_128(const struct hash_key *key, const void *data, size_t len,
         uint8_t ret_hash[HASH_128_BYTES])
{
    struct hash hash;

    hash_begin(&hash, key);
    hash_add(&hash, data, len);
    hash_end(&hash, ret_hash);
}
