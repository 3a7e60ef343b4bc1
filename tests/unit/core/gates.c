/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/core/gates.h"

#include "server/core/text.h"

#include <string.h>

uint64_t gates_worker;

struct breaker_policy *
gates_policy(void)
{
    return &rig.policy.target_fallback.breaker;
}

void
gates_begin(uint32_t free)
{
    struct target_policy *target = &rig.policy.target_fallback;

    target->has_breaker = true;
    target->failure_codes = 1u << REDIAL_UNKNOWN | 1u << REDIAL_UNAVAILABLE |
                            1u << REDIAL_DEADLINE_EXCEEDED |
                            1u << REDIAL_INTERNAL;
    target->breaker = (struct breaker_policy){
        .window_ms = 10000,
        .calls_min = 10,
        .failure_permille = 500,
        .consecutive = 3,
        .open_ms = 1000,
        .open_ms_max = 60000,
        .multiplier_milli = 2000,
        .probes = 1,
        .probes_needed = 2,
        .trial_ms = 60000,
        .ramp_ms = 1000,
        .ramp_permille = 100,
        .decay_ms = 30000,
    };
    rig_fallback()->retry.max_attempts = 1;
    rig_fallback()->wait_for_ready = true;
    rig.limits.lease_ms = 1000000;
    rig.limits.silence_ms = 900000;
    rig_restart_empty();
    gates_worker = rig_hello("w", "1", 32);
    rig_poll(gates_worker, free);
    rig_seen();
}

struct engine_breaker_stats
gates_stats(void)
{
    struct engine_breaker_stats stats;
    uint32_t index = engine_find_target(rig.engine, text_of("s"));

    assert_true(engine_breaker_stats(rig.engine, rig.now, index, &stats));
    return stats;
}

void
gates_expect(enum breaker_state state)
{
    assert_string_equal(breaker_state_name(gates_stats().state),
                        breaker_state_name(state));
}

void
gates_submit(uint32_t n, enum idempotency idempotency, uint64_t deadline_ms)
{
    struct engine_submit before = rig.submit;

    rig.submit.idempotency = idempotency;
    rig.submit.deadline_ms = deadline_ms;
    rig_submit(n);
    rig.submit = before;
}

bool
gates_runs(uint32_t n)
{
    return rig_is_live(n) && rig_view(n).state == JOB_RUNNING;
}

void
gates_fail(uint32_t n, enum redial_status code)
{
    rig_submit(n);
    rig_fail(gates_worker, rig_token_of(n), code, "DOWN");
}

void
gates_open(uint32_t first)
{
    for (uint32_t i = 0; i < 3; i++) {
        gates_fail(first + i, REDIAL_UNAVAILABLE);
    }
    gates_expect(BREAKER_OPEN);
    rig_poll(gates_worker, 32);
}

const struct engine_result *
gates_act(enum engine_breaker_act act, const char *holder, const char *reason,
          uint64_t expiry_ms)
{
    rig_step(&(struct engine_input){
        .type = ENGINE_BREAKER,
        .breaker = {.target = text_of("s"),
                    .act = act,
                    .holder = text_of(holder),
                    .reason = text_of(reason),
                    .expiry_ms = expiry_ms},
    });
    return &rig.out.result;
}
