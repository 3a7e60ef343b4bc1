/* SPDX-License-Identifier: Apache-2.0 */
/*
 * budget.exhausted and budget.recovered: when retries of a target stop being
 * let through, by throttle or budget, and when they are again.
 *
 *     THROTTLE  exhausted while tokens <= maxTokens / 2
 *     BUDGET    exhausted once less than one retry is left and the budget was
 *               used: a retry was taken within the window, or refused. So a
 *               target that is merely quiet says nothing. Recovered as soon as
 *               one retry is left.
 *
 * Looked at once per step, after all that the step did: a change, a reload, a
 * restart, or the time at which the window lets go of enough.
 *
 * Exhausted is said at once. Recovered is said at the flip too, but not within
 * FLIP_MS of the exhausted before it: then at the end of that time, and not at
 * all when it has flipped back. So there is at most one pair per target, reason
 * and second, whatever the traffic does at the threshold.
 */
#include "server/core/emit.h"
#include "server/core/gate.h"
#include "server/core/hold.h"
#include "server/core/state.h"

enum { FLIP_MS = 1000 };

static const char *const reason_names[TARGET_REASONS] = {
    [TARGET_THROTTLE] = "THROTTLE",
    [TARGET_BUDGET] = "BUDGET",
};

void
target_note_change(struct engine *engine, struct target *target)
{
    if (!list_is_linked(&target->changed)) {
        list_append(&engine->changed_targets, &target->changed);
    }
}

/* ---- Records ----------------------------------------------------------- */

static void
emit_own(struct engine *engine, enum event_type type, struct target *target,
         const char *reason)
{
    struct retry_guard guard = target_guard(engine, target);
    struct record *record = emit_begin(engine, type, NULL);

    record->target = emit_text(engine, target_text(target));
    record->target_index = target->index;
    record->reason = text_of(reason);
    record->decision.tokens_milli = guard.tokens_milli;
    record->decision.budget_milli = guard.budget_milli;
    record->decision.policy_version = engine->policy->version;
    /* Both as they are: with a new maximum from now on. */
    if (type != EVENT_GATEWAY_RELOADED && guard.tokens_milli >= 0) {
        record->decision.tokens_max_milli = guard.tokens_max_milli;
    }
    emit_end(engine, record, &(struct known){0});
}

/* ---- Flips ------------------------------------------------------------- */

static bool
is_exhausted(const struct engine *engine, const struct target *target,
             enum target_reason reason)
{
    struct retry_guard guard = target_guard(engine, target);

    if (reason == TARGET_THROTTLE) {
        return !throttle_allows(guard.tokens_milli, guard.tokens_max_milli);
    }
    if (budget_allows(guard.budget_milli)) {
        return false;
    }
    return target->told[TARGET_BUDGET] || target->budget_refused ||
           budget_taken(&target->budget, target_slice(engine, target)) > 0;
}

/* When time alone will let a retry through; INT64_MAX: never. */
static int64_t
budget_back_ms(const struct engine *engine, const struct target *target)
{
    uint64_t slice = target_slice(engine, target);

    for (uint64_t i = 1; i <= BUDGET_SLICES; i++) {
        if (budget_allows(
                budget_left(&target->budget, target->policy, slice + i))) {
            return target->slice_at_ms +
                   (int64_t)(slice + i - target->slice) * target->slice_ms;
        }
    }
    return INT64_MAX;
}

/* Says what flipped; returns when to look again, INT64_MAX: no need. */
static int64_t
look_at(struct engine *engine, struct target *target, enum target_reason reason)
{
    int64_t now_ms = engine->now.mono.ms;
    int64_t quiet_until_ms = target->told_ms[reason] + FLIP_MS;

    if (is_exhausted(engine, target, reason)) {
        if (!target->told[reason]) {
            emit_own(engine, EVENT_BUDGET_EXHAUSTED, target,
                     reason_names[reason]);
            target->told_ms[reason] = now_ms;
        }
        return reason == TARGET_BUDGET ? budget_back_ms(engine, target)
                                       : INT64_MAX;
    }
    if (!target->told[reason]) {
        return INT64_MAX;
    }
    if (now_ms < quiet_until_ms) {
        return quiet_until_ms;
    }
    emit_own(engine, EVENT_BUDGET_RECOVERED, target, reason_names[reason]);
    return INT64_MAX;
}

static void
look(struct engine *engine, struct target *target)
{
    int64_t at_ms = INT64_MAX;

    gate_look(engine, target);
    if (!target->policy->has_throttle && target->throttle.max_milli > 0) {
        emit_own(engine, EVENT_GATEWAY_RELOADED, target,
                 reason_names[TARGET_THROTTLE]);
    }
    for (enum target_reason i = TARGET_THROTTLE; i < TARGET_REASONS; i++) {
        int64_t again_ms = look_at(engine, target, i);

        at_ms = again_ms < at_ms ? again_ms : at_ms;
    }
    target->budget_refused = false;
    if (at_ms == INT64_MAX) {
        heap_remove(&engine->target_timers, &target->timer);
    } else {
        heap_set(&engine->target_timers, &target->timer, at_ms);
    }
}

/* ---- What is too much -------------------------------------------------- */

static void
forget(struct engine *engine, struct target *target)
{
    for (enum target_reason i = TARGET_THROTTLE; i < TARGET_REASONS; i++) {
        if (target->told[i]) {
            emit_own(engine, EVENT_BUDGET_RECOVERED, target, reason_names[i]);
        }
    }
    emit_own(engine, EVENT_GATEWAY_RELOADED, target, "TARGET");
    target->hold_until_ms = INT64_MIN;
    heap_remove(&engine->target_timers, &target->timer);
    heap_remove(&engine->gate_timers, &target->gate_timer);
    list_remove(&target->changed);
}

void
targets_run(struct engine *engine)
{
    while (engine_has_budget(engine)) {
        struct list *first = list_pop(&engine->changed_targets);

        if (first != NULL) {
            struct target *target = container_of(first, struct target, changed);

            look(engine, target);
            list_remove(&target->changed); /* by what it said itself */
            continue;
        }
        struct target *old = engine->targets_kept > engine->targets_kept_max
                                 ? target_to_forget(engine)
                                 : NULL;

        if (old == NULL) {
            return;
        }
        forget(engine, old);
    }
    engine->more = true;
}

/* ---- Reload and restart ------------------------------------------------ */

void
targets_take_policy(struct engine *engine)
{
    for (uint32_t i = 0; i < engine->targets.fresh; i++) {
        struct target *target = slab_at(&engine->targets, i);
        uint64_t slice = target_slice(engine, target);

        target->policy = policy_find_target(engine->policy,
                                            target_text(target));
        int64_t slice_ms = budget_slice_ms(target->policy);

        /* Slices of another length from now on; the count goes on. */
        if (slice_ms != target->slice_ms) {
            target->slice = slice;
            target->slice_at_ms = engine->now.mono.ms;
            target->slice_ms = slice_ms;
        }
        gate_take_policy(engine, target);
        target_note_change(engine, target);
    }
}

static void
restore(const struct engine *engine, struct target *target, int64_t wall_ms)
{
    int64_t now_ms = engine->now.mono.ms;
    int64_t length_ms = target->hold_until_wall_ms - target->hold_wall_ms;
    int64_t left_ms = target->hold_until_wall_ms - wall_ms;

    target->slice_at_ms = now_ms;
    if (target->budget.newest != 0) {
        target->slice = target->budget.newest;
        if (wall_ms > target->budget_wall_ms) {
            target->slice_at_ms -= wall_ms - target->budget_wall_ms;
        }
    }
    if (left_ms > length_ms) {
        left_ms = length_ms;
    }
    if (target->hold_until_wall_ms != 0 && left_ms > 0) {
        target->hold_until_ms = now_ms + left_ms;
        target->hold_spread_ms = hold_spread_ms(length_ms);
    }
    for (enum target_reason i = TARGET_THROTTLE; i < TARGET_REASONS; i++) {
        target->told_ms[i] = now_ms;
    }
}

void
targets_restore(struct engine *engine, int64_t wall_ms)
{
    for (uint32_t i = 0; i < engine->targets.fresh; i++) {
        struct target *target = slab_at(&engine->targets, i);

        restore(engine, target, wall_ms);
        gate_restore(engine, target, wall_ms);
        target_note_change(engine, target);
    }
}
