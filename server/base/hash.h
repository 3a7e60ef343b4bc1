/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SipHash-2-4 (Aumasson and Bernstein, 2012; the algorithm is in the public
 * domain), 64 and 128 bits wide: a keyed hash whose collisions nobody can
 * arrange who does not know the key. Byte order does not change the result.
 *
 * Not for secrets that must outlive the key, nor for passwords.
 */
#ifndef REDIAL_SERVER_BASE_HASH_H
#define REDIAL_SERVER_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

enum { HASH_128_BYTES = 16 };

struct hash_key {
    uint64_t words[2];
};

/* The key that is stored or configured as 16 bytes. */
struct hash_key
hash_key_from_bytes(const uint8_t bytes[16]);

uint64_t
hash_64(const struct hash_key *key, const void *data, size_t len);

void
hash_128(const struct hash_key *key, const void *data, size_t len,
         uint8_t ret_hash[HASH_128_BYTES]);

/*
 * The 128-bit hash of bytes that come in pieces: hash_begin(), hash_add() any
 * number of times, hash_end(). Only the concatenation counts, so separate
 * fields with their lengths: hash_add_field() does.
 */
struct hash {
    uint64_t v[4];
    uint64_t len;    /* bytes added so far */
    uint8_t tail[8]; /* those of the word that is not full yet */
};

void
hash_begin(struct hash *hash, const struct hash_key *key);

void
hash_add(struct hash *hash, const void *data, size_t len);

/* Adds the length (8 bytes, little-endian) and then the bytes. */
void
hash_add_field(struct hash *hash, const void *data, size_t len);

void
hash_end(struct hash *hash, uint8_t ret_hash[HASH_128_BYTES]);

#endif
