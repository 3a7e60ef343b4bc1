/* SPDX-License-Identifier: Apache-2.0 */
/* What is told of the breakers of targets. */
#include "server/core/breaker_window.h"
#include "server/core/gate.h"
#include "server/core/holder.h"
#include "server/core/state.h"

/* When time alone changes something, from now; -1: never. */
static int64_t
until_ms(const struct target *target, int64_t now_ms)
{
    const struct breaker *breaker = &target->breaker;
    int64_t at_ms = INT64_MAX;

    if (breaker->forced) {
        at_ms = holder_last_ms(target);
    } else if (target->policy->has_breaker) {
        at_ms = breaker_next_ms(breaker, &target->policy->breaker);
    }
    if (at_ms == INT64_MAX) {
        return -1;
    }
    return at_ms > now_ms ? at_ms - now_ms : 0;
}

static void
list_holders(const struct target *target, struct engine_breaker_stats *stats)
{
    stats->holder_count = target->holder_count;
    for (uint32_t i = 0; i < target->holder_count; i++) {
        const struct holder *holder = &target->holders[i];

        stats->holders[i] = (struct engine_holder){
            .name = {.at = holder->name, .len = holder->name_len},
            .reason = {.at = holder->reason, .len = holder->reason_len},
            .since_wall_ms = holder->since_wall_ms,
            .until_wall_ms = holder->until_wall_ms,
        };
    }
}

/* The window as it is by now: it goes on without anything that happens. */
static void
count_window(const struct target *target, int64_t now_ms,
             struct engine_breaker_stats *stats)
{
    struct breaker copy = target->breaker;

    if (target->policy->has_breaker) {
        window_advance(&copy, &target->policy->breaker, now_ms);
    }
    stats->calls = copy.sum.calls;
    stats->failed = copy.sum.failed;
    stats->slow = copy.sum.slow;
}

bool
engine_breaker_stats(const struct engine *engine, struct now now,
                     uint32_t index, struct engine_breaker_stats *ret_stats)
{
    if (index >= engine->targets.fresh) {
        return false;
    }
    const struct target *target = slab_at(&engine->targets, index);
    const struct breaker *breaker = &target->breaker;
    const struct breaker_policy *policy = &target->policy->breaker;
    int64_t again_ms;
    bool offers = gate_ask(engine, target, &again_ms) == BREAKER_ADMITS_PROBE;

    *ret_stats = (struct engine_breaker_stats){
        .target = target_text(target),
        .has_breaker = target->policy->has_breaker,
        .state = (enum breaker_state)breaker->state,
        .cause = (enum breaker_cause)target->breaker_cause,
        .forced = breaker->forced,
        .epoch = breaker->epoch,
        .step = breaker_step_now(breaker, policy, now.mono.ms),
        .since_wall_ms = target->breaker_wall_ms,
        .until_ms = until_ms(target, now.mono.ms),
        .in_a_row = breaker->in_a_row,
        .in_flight = breaker->in_flight,
        .in_flight_max = breaker_limit(breaker, policy, now.mono.ms),
        .probes_out = breaker->probes_out,
        .probes_good = breaker->probes_good,
        .waits_for_probe = offers && list_is_empty(&target->gated),
        .waiting = target->waiting + target->parked,
        .late = target->late,
        .rejected = target->rejected,
        .policy = target->policy->has_breaker ? policy : NULL,
    };
    count_window(target, now.mono.ms, ret_stats);
    list_holders(target, ret_stats);
    return true;
}
