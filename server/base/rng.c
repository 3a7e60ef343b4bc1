/* SPDX-License-Identifier: Apache-2.0 */
#include "server/base/rng.h"

#include "server/base/check.h"

static uint64_t
rotate_left(uint64_t value, unsigned bits)
{
    return (value << bits) | (value >> (64 - bits));
}

static uint64_t
splitmix64(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

void
rng_init(struct rng *rng, uint64_t seed)
{
    for (unsigned i = 0; i < 4; i++) {
        rng->state[i] = splitmix64(&seed);
    }
    rng->edge = RNG_RANDOM;
}

void
rng_init_edge(struct rng *rng, enum rng_edge edge)
{
    rng_init(rng, 0);
    rng->edge = edge;
}

uint64_t
rng_next(struct rng *rng)
{
    if (rng->edge != RNG_RANDOM) {
        return rng->edge == RNG_LOWEST ? 0 : UINT64_MAX;
    }
    uint64_t *s = rng->state;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

uint64_t
rng_below(struct rng *rng, uint64_t bound)
{
    redial_assert(bound > 0);
    if (rng->edge != RNG_RANDOM) {
        return rng->edge == RNG_LOWEST ? 0 : bound - 1;
    }
    /* Numbers below 2^64 mod bound would make small results likelier. */
    uint64_t threshold = (0 - bound) % bound;
    uint64_t value;

    do {
        value = rng_next(rng);
    } while (value < threshold);
    return value % bound;
}

double
rng_unit(struct rng *rng)
{
    return (double)(rng_next(rng) >> 11) * 0x1.0p-53;
}
