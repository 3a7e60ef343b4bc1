/* SPDX-License-Identifier: Apache-2.0 */
/* The load generator: agents that submit, a worker that echoes. */
#ifndef REDIAL_TESTS_BENCH_LOAD_H
#define REDIAL_TESTS_BENCH_LOAD_H

#include <stdbool.h>
#include <stdint.h>

struct load_options {
    const char *address;
    uint32_t jobs;
    uint32_t connections;
    uint32_t in_flight;   /* per connection */
    uint32_t bytes;       /* payload */
    uint32_t concurrency; /* of the worker */
    bool keys;            /* a key on every job */
    bool wait;            /* one call per job: Submit with wait_ms */
    uint32_t fail_every;  /* worker: every n-th attempt fails once; 0: none */
};

/* Returns the exit code. */
int
load_agent(const struct load_options *options);

/* Runs until SIGTERM. */
int
load_worker(const struct load_options *options);

#endif
