/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Round trips of one run: how many, how long, how many got lost; and the one
 * line of JSON that tests/bench/run reads. Any thread may add.
 */
#ifndef REDIAL_TESTS_BENCH_SAMPLES_H
#define REDIAL_TESTS_BENCH_SAMPLES_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

struct samples {
    pthread_mutex_t lock;
    uint32_t *us; /* one per round trip */
    size_t count;
    size_t count_max;
    size_t failed; /* ended otherwise than wanted */
    size_t lost;   /* never answered */
    int64_t began_ns;
    int64_t ended_ns; /* of the last round trip */
};

/* Room for `count_max` round trips; ends the process without memory. */
void
samples_init(struct samples *samples, size_t count_max);

void
samples_fini(struct samples *samples);

/* The clock starts. */
void
samples_begin(struct samples *samples);

/* One more that was begun at `began_ns` has ended now. */
void
samples_add(struct samples *samples, int64_t began_ns);

void
samples_add_failed(struct samples *samples);

/* {"count":…,"per_s":…,"p50_us":…,"p99_us":…,"failed":…,"lost":…} */
void
samples_print(struct samples *samples);

/* Monotonic nanoseconds. */
int64_t
clock_ns(void);

#endif
