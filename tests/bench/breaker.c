/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attempts through one breaker, to be counted by callgrind
 * (tests/bench/breaker_cost): each asks, takes a permit and settles it. Most
 * succeed; so many fail that it opens, probes, ramps and closes all the time.
 */
#include "server/core/breaker.h"

#include <stdio.h>

enum { ATTEMPTS = 100000, STEP_MS = 3 };

static const struct breaker_policy policy = {
    .window_ms = 30000,
    .calls_min = 20,
    .failure_permille = 500,
    .slow_permille = 800,
    .slow_ms = 500,
    .consecutive = 5,
    .open_ms = 50,
    .open_ms_max = 1000,
    .multiplier_milli = 2000,
    .jitter_permille = 200,
    .probes = 2,
    .probes_needed = 3,
    .trial_ms = 1000,
    .ramp_ms = 500,
    .ramp_permille = 100,
    .decay_ms = 1000,
};

struct bench {
    struct breaker breaker;
    struct rng rng;
    int64_t now_ms;
    uint32_t moves;
    uint32_t refused;
};

static void
make(struct bench *bench, struct breaker_move move)
{
    if (move.moves) {
        breaker_apply(&bench->breaker, &move, bench->now_ms);
        bench->moves++;
    }
}

/* What callgrind counts; not to be made part of its caller. */
void
bench_attempt(struct bench *bench, const struct breaker_result *result);

__attribute__((noinline)) void
bench_attempt(struct bench *bench, const struct breaker_result *result)
{
    struct breaker_moment moment = {
        .policy = &policy, .rng = &bench->rng, .now_ms = bench->now_ms};
    int64_t until_ms;
    bool late;

    make(bench, breaker_due(&bench->breaker, &moment));
    if (breaker_ask(&bench->breaker, &policy, bench->now_ms, &until_ms) ==
        BREAKER_REFUSES) {
        bench->refused++;
        return;
    }
    struct breaker_permit permit = breaker_take(&bench->breaker, &policy,
                                                bench->now_ms);

    make(bench,
         breaker_settle(&bench->breaker, &moment, &permit, result, &late));
}

int
main(void)
{
    static struct bench bench = {.now_ms = 1000};

    rng_init(&bench.rng, 1);
    for (uint32_t i = 0; i < ATTEMPTS; i++) {
        bool down = i % 2000 > 1900;
        struct breaker_result result = {
            .class = down || i % 50 == 0 ? BREAKER_FAILURE : BREAKER_SUCCESS,
            .slow = i % 7 == 0,
        };

        bench_attempt(&bench, &result);
        bench.now_ms += STEP_MS;
    }
    printf("attempts %d moves %u refused %u\n", ATTEMPTS, bench.moves,
           bench.refused);
    return bench.moves > 100 && bench.refused < ATTEMPTS / 2 ? 0 : 1;
}
