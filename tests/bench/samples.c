/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/samples.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int64_t
clock_ns(void)
{
    struct timespec at;

    (void)clock_gettime(CLOCK_MONOTONIC, &at);
    return (int64_t)at.tv_sec * 1000000000 + at.tv_nsec;
}

void
samples_init(struct samples *samples, size_t count_max)
{
    *samples = (struct samples){.count_max = count_max};
    samples->us = calloc(count_max, sizeof(*samples->us));
    if (samples->us == NULL || pthread_mutex_init(&samples->lock, NULL) != 0) {
        (void)fprintf(stderr, "out of memory\n");
        exit(1);
    }
}

void
samples_fini(struct samples *samples)
{
    free(samples->us);
    (void)pthread_mutex_destroy(&samples->lock);
}

void
samples_begin(struct samples *samples)
{
    samples->began_ns = clock_ns();
}

void
samples_add(struct samples *samples, int64_t began_ns)
{
    int64_t now = clock_ns();

    (void)pthread_mutex_lock(&samples->lock);
    if (samples->count < samples->count_max) {
        samples->us[samples->count++] = (uint32_t)((now - began_ns) / 1000);
    }
    samples->ended_ns = now;
    (void)pthread_mutex_unlock(&samples->lock);
}

void
samples_add_failed(struct samples *samples)
{
    (void)pthread_mutex_lock(&samples->lock);
    samples->failed++;
    (void)pthread_mutex_unlock(&samples->lock);
}

static int
compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

static uint32_t
percentile(const struct samples *samples, size_t permille)
{
    return samples->count == 0
               ? 0
               : samples->us[(samples->count - 1) * permille / 1000];
}

void
samples_print(struct samples *samples)
{
    double s = (double)(samples->ended_ns - samples->began_ns) / 1e9;

    qsort(samples->us, samples->count, sizeof(samples->us[0]), compare);
    (void)printf("{\"count\":%zu,\"per_s\":%.0f,\"p50_us\":%u,\"p99_us\":%u,"
                 "\"failed\":%zu,\"lost\":%zu}\n",
                 samples->count,
                 samples->count == 0 ? 0.0 : (double)samples->count / s,
                 percentile(samples, 500), percentile(samples, 990),
                 samples->failed, samples->lost);
    /* An agent of the floor ends without the exit handlers. */
    (void)fflush(stdout);
}
