/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/holder.h"

#include "server/core/emit.h"
#include "server/core/gate.h"
#include "server/core/outcome.h"

#include <string.h>

static struct text
name_of(const struct holder *holder)
{
    return (struct text){.at = holder->name, .len = holder->name_len};
}

static struct holder *
find(struct target *target, struct text name)
{
    for (uint32_t i = 0; i < target->holder_count; i++) {
        if (text_equals(name_of(&target->holders[i]), name)) {
            return &target->holders[i];
        }
    }
    return NULL;
}

/* ---- Apply ------------------------------------------------------------- */

static bool
add(struct target *target, const struct record *record, int64_t now_ms)
{
    struct holder *holder = find(target, record->holder);
    int64_t until_wall_ms = record->decision.until_wall_ms;

    if (holder == NULL) {
        if (target->holder_count == ENGINE_HOLDERS_MAX) {
            return false;
        }
        holder = &target->holders[target->holder_count++];
    }
    *holder = (struct holder){
        .since_wall_ms = record->wall_ms,
        .until_wall_ms = until_wall_ms,
        .until_ms = until_wall_ms == 0
                        ? INT64_MAX
                        : now_ms + (until_wall_ms - record->wall_ms),
        .name_len = record->holder.len,
        .reason_len = record->reason.len,
    };
    memcpy(holder->name, record->holder.at, record->holder.len);
    if (record->reason.len > 0) {
        memcpy(holder->reason, record->reason.at, record->reason.len);
    }
    return true;
}

/* The others keep their order; what is unused is zero. */
static bool
drop(struct target *target, struct text name)
{
    struct holder *holder = find(target, name);

    if (holder == NULL) {
        return false;
    }
    uint32_t after = target->holder_count -
                     (uint32_t)(holder - target->holders) - 1;

    memmove(holder, holder + 1, after * sizeof(*holder));
    target->holder_count--;
    target->holders[target->holder_count] = (struct holder){0};
    return true;
}

bool
holder_apply(struct target *target, const struct record *record, int64_t now_ms)
{
    if (record->type != EVENT_BREAKER_FORCED &&
        record->type != EVENT_BREAKER_RELEASED) {
        return true;
    }
    if (record->holder.len == 0 || record->holder.len > NAME_BYTES_MAX ||
        record->reason.len > REASON_BYTES_MAX) {
        return false;
    }
    return record->type == EVENT_BREAKER_FORCED ? add(target, record, now_ms)
                                                : drop(target, record->holder);
}

void
holder_restore(struct target *target, int64_t wall_ms, int64_t now_ms)
{
    for (uint32_t i = 0; i < target->holder_count; i++) {
        struct holder *holder = &target->holders[i];
        int64_t length_ms = holder->until_wall_ms - holder->since_wall_ms;
        int64_t left_ms = holder->until_wall_ms - wall_ms;

        if (holder->until_wall_ms == 0) {
            holder->until_ms = INT64_MAX;
            continue;
        }
        left_ms = left_ms < length_ms ? left_ms : length_ms;
        holder->until_ms = now_ms + (left_ms > 0 ? left_ms : 0);
    }
}

/* ---- Times ------------------------------------------------------------- */

int64_t
holder_next_ms(const struct target *target)
{
    int64_t next_ms = INT64_MAX;

    for (uint32_t i = 0; i < target->holder_count; i++) {
        int64_t until_ms = target->holders[i].until_ms;

        next_ms = until_ms < next_ms ? until_ms : next_ms;
    }
    return next_ms;
}

int64_t
holder_last_ms(const struct target *target)
{
    int64_t last_ms = INT64_MIN;

    for (uint32_t i = 0; i < target->holder_count; i++) {
        int64_t until_ms = target->holders[i].until_ms;

        last_ms = until_ms > last_ms ? until_ms : last_ms;
    }
    return target->holder_count == 0 ? INT64_MAX : last_ms;
}

/* ---- Records ----------------------------------------------------------- */

/* The move that follows, or where the breaker stands already. */
static struct breaker_move
move_to(const struct target *target, bool forced)
{
    const struct breaker *breaker = &target->breaker;
    struct breaker_move move = breaker_force(breaker, forced);

    if (move.moves) {
        return move;
    }
    return (struct breaker_move){
        .to = (enum breaker_state)breaker->state,
        .cause = BREAKER_CAUSE_OPERATOR,
        .epoch = breaker->epoch,
        .step = breaker->step,
        .forced = breaker->forced,
        .load = breaker->load,
    };
}

static void
record_release(struct engine *engine, struct target *target,
               const struct holder *holder, const char *reason)
{
    struct breaker_move move = move_to(target, target->holder_count > 1);
    struct record *record = emit_begin(engine, EVENT_BREAKER_RELEASED, NULL);

    record->target = emit_text(engine, target_text(target));
    record->holder = emit_text(engine, name_of(holder));
    record->reason = text_of(reason);
    gate_note(target, &move, record);
    record->decision.policy_version = engine->policy->version;
    emit_end(engine, record, &(struct known){0});
    if (target->holder_count == 0) {
        gate_let_go(engine, target, true);
    }
    gate_update(engine, target);
}

void
holder_expire(struct engine *engine, struct target *target)
{
    uint32_t i = 0;

    while (i < target->holder_count) {
        if (target->holders[i].until_ms <= engine->now.mono.ms) {
            record_release(engine, target, &target->holders[i], "EXPIRED");
        } else {
            i++;
        }
    }
}

void
holder_drop_all(struct engine *engine, struct target *target)
{
    while (target->holder_count > 0) {
        record_release(engine, target, &target->holders[0], "NO_BREAKER");
    }
}

/* ---- Operators --------------------------------------------------------- */

static bool
is_valid(struct engine *engine, const struct engine_breaker *input)
{
    if (input->target.len == 0 || input->target.len > NAME_BYTES_MAX) {
        return outcome_invalid(engine, "target: 1 to 128 bytes");
    }
    if (input->act == ENGINE_BREAKER_RESET) {
        return true;
    }
    if (input->holder.len == 0 || input->holder.len > NAME_BYTES_MAX) {
        return outcome_invalid(engine, "holder: 1 to 128 bytes");
    }
    if (input->reason.len > REASON_BYTES_MAX) {
        return outcome_invalid(engine, "reason: at most 128 bytes");
    }
    if (input->expiry_ms > (uint64_t)DURATION_MS_MAX) {
        return outcome_invalid(engine, "expiry: too far away");
    }
    return true;
}

/* One that is used, or that the policy names; NULL: said why. */
static struct target *
find_target(struct engine *engine, struct text name)
{
    const struct target_policy *policy = policy_find_target(engine->policy,
                                                            name);
    uint32_t index = engine_find_target(engine, name);
    struct target *target = NULL;

    if (index != ENGINE_NO_SLOT) {
        target = slab_at(&engine->targets, index);
        policy = target->policy;
    } else if (policy->name.len > 0 && policy->has_breaker) {
        target = target_intern(engine, name);
    }
    if (target == NULL) {
        outcome_refuse(engine, REDIAL_NOT_FOUND, "UNKNOWN_TARGET",
                       "no job and no policy has named this target");
        return NULL;
    }
    if (!policy->has_breaker) {
        outcome_refuse(engine, REDIAL_FAILED_PRECONDITION, "NO_BREAKER",
                       "no policy gives this target a breaker");
        return NULL;
    }
    return target;
}

static void
hold(struct engine *engine, struct target *target,
     const struct engine_breaker *input)
{
    if (find(target, input->holder) == NULL &&
        target->holder_count == ENGINE_HOLDERS_MAX) {
        outcome_refuse(engine, REDIAL_RESOURCE_EXHAUSTED, "HOLDERS_FULL",
                       "as many operators as there may be hold it open");
        return;
    }
    struct breaker_move move = move_to(target, true);
    struct record *record = emit_begin(engine, EVENT_BREAKER_FORCED, NULL);

    record->target = emit_text(engine, target_text(target));
    record->holder = input->holder;
    record->reason = input->reason;
    gate_note(target, &move, record);
    if (input->expiry_ms > 0) {
        record->decision.until_wall_ms = engine->now.wall.ms +
                                         (int64_t)input->expiry_ms;
    }
    record->decision.policy_version = engine->policy->version;
    emit_end(engine, record, &(struct known){0});
    gate_update(engine, target);
}

void
holder_act(struct engine *engine, const struct engine_breaker *input)
{
    struct target *target = is_valid(engine, input)
                                ? find_target(engine, input->target)
                                : NULL;

    if (target == NULL) {
        return;
    }
    if (input->act == ENGINE_BREAKER_OPEN) {
        hold(engine, target, input);
    } else if (input->act == ENGINE_BREAKER_RESET) {
        struct breaker_move move = breaker_reset(&target->breaker);

        gate_move(engine, target, &move);
        gate_let_go(engine, target, true);
    } else {
        const struct holder *holder = find(target, input->holder);

        if (holder == NULL) {
            outcome_refuse(engine, REDIAL_NOT_FOUND, "UNKNOWN_HOLDER",
                           "nobody of this name holds it open");
            return;
        }
        record_release(engine, target, holder, "CLOSED");
    }
}
