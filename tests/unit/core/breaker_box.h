/* SPDX-License-Identifier: Apache-2.0 */
/* One breaker with a clock of its own, for tests of the machine. */
#ifndef REDIAL_TESTS_UNIT_CORE_BREAKER_BOX_H
#define REDIAL_TESTS_UNIT_CORE_BREAKER_BOX_H

#include "server/core/breaker.h"

struct box {
    struct breaker breaker;
    struct breaker_policy policy;
    struct breaker_move last;
    struct rng rng;
    int64_t now_ms;
    int moves;
    int late;
};

extern struct box box;

#define GOOD    ((struct breaker_result){.class = BREAKER_SUCCESS})
#define BAD     ((struct breaker_result){.class = BREAKER_FAILURE})
#define IGNORED ((struct breaker_result){.class = BREAKER_IGNORED})
#define NEUTRAL ((struct breaker_result){.class = BREAKER_NEUTRAL})
#define SLOW    ((struct breaker_result){.slow = true}) /* and good */

int
box_setup(void **state);

struct breaker_moment
box_moment(void);

void
box_make(struct breaker_move move);

enum breaker_answer
box_ask(void);

int64_t
box_refused_until(void);

struct breaker_permit
box_take(void);

void
box_settle(struct breaker_permit *permit, struct breaker_result result);

void
box_note_slow(struct breaker_permit *permit);

void
box_run(int count, struct breaker_result result);

void
box_pass(int64_t ms);

void
box_expect(enum breaker_state state);

void
box_open_it(void);

void
box_to_half_open(void);

void
box_to_ramp(void);

#endif
