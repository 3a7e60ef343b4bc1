/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of hedging have in common. */
#ifndef REDIAL_TESTS_UNIT_CORE_HEDGES_H
#define REDIAL_TESTS_UNIT_CORE_HEDGES_H

#include "tests/unit/core/rig.h"

enum { HEDGES_WORKERS_MAX = 16 };

/* By the number of their name; see hedges_join(). */
extern uint64_t hedges_worker[HEDGES_WORKERS_MAX];

/* A hedgingPolicy for all methods, idempotent; UNAVAILABLE is not fatal. */
void
hedges_use(uint32_t max_attempts, uint64_t delay_ms);

/* Workers w0, w1, ... with room for one attempt each. */
void
hedges_join(uint32_t count);

/* All of them say that they live. */
void
hedges_beat(uint32_t count);

/* The token of a running attempt of job n, by its number. */
struct engine_token
hedges_token(uint32_t n, uint32_t number);

/* Reports by whoever runs that attempt. */
void
hedges_succeed(uint32_t n, uint32_t number);

void
hedges_fail(uint32_t n, uint32_t number, enum redial_status code,
            const char *reason);

/* UNAVAILABLE with a pushback; < 0: stop. */
void
hedges_push_back(uint32_t n, uint32_t number, int64_t pushback_ms);

/* How many attempts of job n run. */
uint32_t
hedges_running(uint32_t n);

/* Forgets the events so far, but not the assignments. */
void
hedges_listen(void);

/* The final record, if the job ended this way. */
const struct record *
hedges_ended(enum event_type type, enum redial_status code, const char *reason);

#endif
