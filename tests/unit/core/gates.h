/* SPDX-License-Identifier: Apache-2.0 */
/* An engine on the bench whose targets have breakers with round numbers. */
#ifndef REDIAL_TESTS_UNIT_CORE_GATES_H
#define REDIAL_TESTS_UNIT_CORE_GATES_H

#include "tests/unit/core/rig.h"

/* The worker that all jobs go to. */
extern uint64_t gates_worker;

/*
 * Three failures in a row open it for a second, without jitter; one probe at
 * once, two good ones, then a second of ramp. The worker has `free` places, no
 * job is tried twice, silence and leases are long.
 */
void
gates_begin(uint32_t free);

/* The policy of all breakers, to be changed; then rig_use_policy(). */
struct breaker_policy *
gates_policy(void);

/* Of the target "s". */
struct engine_breaker_stats
gates_stats(void);

void
gates_expect(enum breaker_state state);

/* Job n comes and fails with this code. */
void
gates_fail(uint32_t n, enum redial_status code);

/* Three jobs fail, the numbers from `first`: it opens. */
void
gates_open(uint32_t first);

void
gates_submit(uint32_t n, enum idempotency idempotency, uint64_t deadline_ms);

/* Whether an attempt of the job runs. */
bool
gates_runs(uint32_t n);

const struct engine_result *
gates_act(enum engine_breaker_act act, const char *holder, const char *reason,
          uint64_t expiry_ms);

#endif
