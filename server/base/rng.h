/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small seeded random generator (xoshiro256**, Blackman and Vigna 2018,
 * seeded through splitmix64): repeatable, fast, not for secrets.
 */
#ifndef REDIAL_SERVER_BASE_RNG_H
#define REDIAL_SERVER_BASE_RNG_H

#include <stdint.h>

/* What is drawn instead of something random: see rng_init_edge(). */
enum rng_edge {
    RNG_RANDOM = 0,
    RNG_LOWEST = 1,
    RNG_HIGHEST = 2,
};

struct rng {
    uint64_t state[4];
    enum rng_edge edge;
};

void
rng_init(struct rng *rng, uint64_t seed);

/*
 * Always draws the lowest or the highest: for the bounds of what chance may
 * make of a decision, found by the code that decides.
 */
void
rng_init_edge(struct rng *rng, enum rng_edge edge);

/* Any 64 bits. */
uint64_t
rng_next(struct rng *rng);

/* Uniform in 0..bound-1 without bias; bound > 0. */
uint64_t
rng_below(struct rng *rng, uint64_t bound);

/* Uniform in [0, 1), 53 bits. */
double
rng_unit(struct rng *rng);

#endif
