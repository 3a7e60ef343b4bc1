/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REDIAL_TESTS_BENCH_FLOOR_H
#define REDIAL_TESTS_BENCH_FLOOR_H

#include <stddef.h>
#include <stdint.h>

struct floor_load {
    const char *url;
    uint32_t jobs;
    uint32_t connections;
    uint32_t in_flight; /* per connection; beyond 64 the relay drops */
    size_t bytes;
};

/* Prints the line of samples; returns the exit code. */
int
floor_agent(const struct floor_load *load);

/* Ends the process when `error` is not 0. */
void
floor_must(int error, const char *what);

#endif
