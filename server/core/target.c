/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/target.h"

#include "server/core/emit.h"
#include "server/core/gate.h"
#include "server/core/hold.h"
#include "server/core/state.h"

#include <string.h>

/* The same in every engine: slices of a target are stored. */
static const struct hash_key slice_key = {
    {UINT64_C(0x72656469616c2e74), UINT64_C(0x61726765742e7631)}};

/* Slices begin below this, far from any overflow: 2^40. */
enum { SLICE_BITS = 40, BLANK_SEARCH_MAX = 16 };

struct text
target_text(const struct target *target)
{
    return (struct text){.at = target->name, .len = target->name_len};
}

/* ---- The table --------------------------------------------------------- */

static void
hash_name(const struct engine *engine, struct text name, uint8_t ret_key[16])
{
    hash_128(&engine->hash_key, name.at, name.len, ret_key);
}

static bool
throttle_is_full(const struct throttle *throttle)
{
    return throttle->tokens_milli >= throttle->max_milli;
}

bool
target_remembers(const struct target *target)
{
    return !throttle_is_full(&target->throttle) || target->budget.newest != 0 ||
           target->hold_until_wall_ms != 0 || target->told[TARGET_THROTTLE] ||
           target->told[TARGET_BUDGET] || target->breaker.epoch != 0;
}

/* Among those that no method uses, by what they remember. */
static void
place_unused(struct engine *engine, struct target *target)
{
    if (list_is_linked(&target->unused)) {
        list_remove(&target->unused);
        engine->targets_kept -= target->kept;
    }
    target->kept = false;
    if (target->refs > 0) {
        return;
    }
    target->kept = target_remembers(target);
    engine->targets_kept += target->kept;
    list_append(target->kept ? &engine->kept_targets : &engine->blank_targets,
                &target->unused);
}

bool
target_is_blank(const struct engine *engine, const struct target *target)
{
    return breaker_is_blank(&target->breaker, &target->policy->breaker,
                            engine->now.mono.ms) &&
           target->holder_count == 0 && target->parked == 0 &&
           list_is_empty(&target->parked_jobs) &&
           list_is_empty(&target->timeless_jobs);
}

static struct target *
first_blank(const struct engine *engine, const struct list *unused)
{
    uint32_t looked_at = 0;

    list_foreach(at, unused) {
        struct target *target = container_of(at, struct target, unused);

        if (target_is_blank(engine, target)) {
            return target;
        }
        if (++looked_at == BLANK_SEARCH_MAX) {
            break;
        }
    }
    return NULL;
}

struct target *
target_to_forget(const struct engine *engine)
{
    return first_blank(engine, &engine->kept_targets);
}

/* Whose place is taken: of those that no method uses, what matters least. */
static struct target *
find_oldest(const struct engine *engine)
{
    struct target *target = first_blank(engine, &engine->blank_targets);

    if (target == NULL) {
        target = first_blank(engine, &engine->kept_targets);
    }
    struct list *first = list_first(&engine->blank_targets);

    if (first == NULL) {
        first = list_first(&engine->kept_targets);
    }
    if (target == NULL && first != NULL) {
        target = container_of(first, struct target, unused);
    }
    return target;
}

/* A free place: a fresh one, or that of a target that remembers nothing. */
static struct target *
take_place(struct engine *engine)
{
    struct target *target = slab_take(&engine->targets);

    if (target != NULL) {
        target->index = slab_index(&engine->targets, target);
        return target;
    }
    /* More were left at once than a step can forget: without a record then. */
    target = find_oldest(engine);
    if (target == NULL) {
        return NULL;
    }
    uint32_t index = target->index;
    uint8_t key[16];

    list_remove(&target->unused);
    list_remove(&target->changed);
    list_remove(&target->open_gate);
    list_remove(&target->unparking);
    heap_remove(&engine->target_timers, &target->timer);
    heap_remove(&engine->gate_timers, &target->gate_timer);
    engine->targets_kept -= target->kept;
    hash_name(engine, target_text(target), key);
    map_remove(&engine->targets_by_name, key);
    *target = (struct target){.index = index};
    return target;
}

static uint64_t
first_slice(struct text name)
{
    return (hash_64(&slice_key, name.at, name.len) >> (64 - SLICE_BITS)) + 1;
}

struct target *
target_intern(struct engine *engine, struct text name)
{
    uint8_t key[16];

    redial_assert(name.len > 0 && name.len <= NAME_BYTES_MAX);
    hash_name(engine, name, key);
    uint32_t index = map_get(&engine->targets_by_name, key);

    if (index != MAP_NONE) {
        return slab_at(&engine->targets, index);
    }
    struct target *target = take_place(engine);

    if (target == NULL) {
        return NULL;
    }
    target->name_len = name.len;
    memcpy(target->name, name.at, name.len);
    target->policy = policy_find_target(engine->policy, name);
    target->slice_ms = budget_slice_ms(target->policy);
    target->slice = first_slice(name);
    target->slice_at_ms = engine->now.mono.ms;
    target->hold_until_ms = INT64_MIN;
    target->generation = ++engine->target_generation;
    list_init(&target->gated);
    list_init(&target->unfit);
    list_init(&target->parked_jobs);
    list_init(&target->timeless_jobs);
    bool put = map_put(&engine->targets_by_name, key, target->index);

    redial_assert(put);
    (void)put;
    place_unused(engine, target);
    return target;
}

const struct target *
target_find(const struct engine *engine, struct text name)
{
    uint8_t key[16];

    hash_name(engine, name, key);
    uint32_t index = map_get(&engine->targets_by_name, key);

    return index == MAP_NONE ? NULL : slab_at(&engine->targets, index);
}

struct target *
target_hold_for(struct engine *engine, struct text service,
                const struct method_policy *policy)
{
    struct target *target = target_intern(
        engine, policy->target.len > 0 ? policy->target : service);

    redial_assert(target != NULL);
    target_ref(engine, target);
    return target;
}

void
target_ref(struct engine *engine, struct target *target)
{
    if (target->refs++ == 0) {
        place_unused(engine, target);
    }
}

void
target_unref(struct engine *engine, struct target *target)
{
    redial_assert(target->refs > 0);
    if (--target->refs == 0) {
        place_unused(engine, target);
    }
}

/* ---- Decisions --------------------------------------------------------- */

uint64_t
target_slice_at(const struct target *target, int64_t at_ms)
{
    int64_t passed_ms = at_ms - target->slice_at_ms;

    return target->slice + (uint64_t)(passed_ms / target->slice_ms);
}

uint64_t
target_slice(const struct engine *engine, const struct target *target)
{
    return target_slice_at(target, engine->now.mono.ms);
}

struct retry_guard
target_guard_at(const struct engine *engine, const struct target *target,
                struct mono now)
{
    const struct target_policy *policy = target->policy;
    struct retry_guard guard = {
        .retries_off = engine->policy->retries_off,
        .tokens_milli = throttle_tokens(&target->throttle, policy),
        .budget_milli = -1,
        .hold_until_ms = target->hold_until_ms,
        .hold_spread_ms = target->hold_spread_ms,
    };

    gate_guard(target, &guard);

    if (policy->has_throttle) {
        guard.tokens_max_milli = (int64_t)policy->tokens_max_milli;
    }
    if (policy->has_budget) {
        guard.budget_milli = budget_left(&target->budget, policy,
                                         target_slice_at(target, now.ms));
    }
    return guard;
}

struct retry_guard
target_guard(const struct engine *engine, const struct target *target)
{
    return target_guard_at(engine, target, engine->now.mono);
}

struct retry_guard
target_guard_unused(const struct engine *engine, struct text name)
{
    const struct target_policy *policy = policy_find_target(engine->policy,
                                                            name);
    struct target unused = {
        .policy = policy,
        .slice_ms = budget_slice_ms(policy),
        .slice = first_slice(name),
        .slice_at_ms = engine->now.mono.ms,
        .hold_until_ms = INT64_MIN,
    };

    return target_guard(engine, &unused);
}

/* False: it is no longer than what holds already. */
static bool
hold_longer(int64_t *until_ms, int64_t *spread_ms, struct mono now,
            int64_t length_ms)
{
    if (length_ms == 0 || now.ms + length_ms <= *until_ms) {
        return false;
    }
    *until_ms = now.ms + length_ms;
    *spread_ms = hold_spread_ms(length_ms);
    return true;
}

void
target_guard_hold(struct retry_guard *guard, struct mono now,
                  uint64_t pushback_ms)
{
    (void)hold_longer(&guard->hold_until_ms, &guard->hold_spread_ms, now,
                      duration_ms(pushback_ms));
}

enum rule
target_refuses(const struct engine *engine, const struct target *target)
{
    struct retry_guard guard = target_guard(engine, target);

    return retry_refused_by_guard(&guard);
}

int64_t
target_held_until_ms(const struct target *target)
{
    return target->hold_until_ms;
}

/* ---- What a record does to a target ------------------------------------ */

/* Names the target, unless the service does. */
static void
name_target(struct engine *engine, struct record *record,
            const struct target *target)
{
    record->target_index = target->index;
    if (!text_equals(record->service, target_text(target))) {
        record->target = emit_text(engine, target_text(target));
    }
}

void
target_add_tokens(struct engine *engine, struct record *record,
                  struct target *target)
{
    if (record->decision.tokens_max_milli > 0) {
        name_target(engine, record, target);
    }
}

void
target_take_hedge(struct engine *engine, struct record *record,
                  const struct target *target)
{
    if (!target->policy->has_budget) {
        return;
    }
    uint64_t slice = target_slice(engine, target);
    int64_t left_milli = budget_left(&target->budget, target->policy, slice);

    name_target(engine, record, target);
    record->budget_slice = slice;
    record->budget_delta_milli = -RETRY_MILLI;
    record->decision.budget_milli = left_milli > RETRY_MILLI
                                        ? left_milli - RETRY_MILLI
                                        : 0;
}

void
target_take_retry(struct engine *engine, struct record *record,
                  const struct job *job)
{
    const struct target *target = job->method->target;

    if (job->budget_slice == 0) {
        target_take_hedge(engine, record, target);
    } else if (target->policy->has_budget) {
        record->decision.budget_milli += RETRY_MILLI; /* it took none */
    }
}

void
target_give_back(struct engine *engine, struct record *record,
                 const struct job *job)
{
    if (job->budget_slice == 0 ||
        (job->running != NULL && !job_has_retry_planned(job))) {
        return;
    }
    name_target(engine, record, job->method->target);
    record->budget_slice = job->budget_slice;
    record->budget_delta_milli = RETRY_MILLI;
}

void
target_deposit(struct engine *engine, struct record *record,
               struct target *target)
{
    const struct target_policy *policy = target->policy;

    if (!policy->has_budget || policy->budget_ratio_milli == 0) {
        return;
    }
    name_target(engine, record, target);
    record->budget_slice = target_slice(engine, target);
    record->budget_delta_milli = (int64_t)policy->budget_ratio_milli;
}

void
target_hold(struct engine *engine, struct record *record, struct target *target,
            uint64_t pushback_ms)
{
    int64_t length_ms = duration_ms(pushback_ms);

    if (hold_longer(&target->hold_until_ms, &target->hold_spread_ms,
                    engine->now.mono, length_ms)) {
        name_target(engine, record, target);
        record->hold_until_wall_ms = engine->now.wall.ms + length_ms;
    }
}

void
target_refund(const struct engine *engine, const struct target *target,
              struct decision *decision)
{
    struct retry_guard guard = target_guard(engine, target);
    int64_t tokens_milli = throttle_after_success(guard.tokens_milli,
                                                  target->policy);

    decision->budget_milli = guard.budget_milli;
    decision->tokens_milli = tokens_milli;
    if (tokens_milli != guard.tokens_milli) {
        decision->tokens_max_milli = guard.tokens_max_milli;
    }
}

void
target_count(struct engine *engine, struct target *target, enum rule rule)
{
    if (rule == RULE_RETRY_PLANNED) {
        target->retries_allowed++;
    } else if (rule == RULE_BREAKER_REJECTED) {
        target->rejected++;
    } else if (rule == RULE_THROTTLED || rule == RULE_BUDGET_EXHAUSTED) {
        target->retries_refused++;
        if (rule == RULE_BUDGET_EXHAUSTED) {
            target->budget_refused = true;
            target_note_change(engine, target);
        }
    }
}

/* ---- Apply ------------------------------------------------------------- */

bool
target_is_changed_by(const struct record *record)
{
    return record->decision.tokens_max_milli > 0 || record->budget_slice > 0 ||
           record->hold_until_wall_ms != 0 ||
           (record->target.len > 0 && !event_type_is_about_job(record->type));
}

static void
apply_tokens(struct target *target, const struct decision *decision)
{
    if (decision->tokens_max_milli == 0) {
        return;
    }
    target->throttle = (struct throttle){
        .tokens_milli = decision->tokens_milli,
        .max_milli = decision->tokens_max_milli,
    };
    /* Full is the same as never charged. */
    if (throttle_is_full(&target->throttle)) {
        target->throttle = (struct throttle){0};
    }
}

static void
apply_budget(struct target *target, const struct record *record)
{
    uint64_t newest = target->budget.newest;

    if (record->budget_slice == 0) {
        return;
    }
    if (record->budget_delta_milli > 0 &&
        record->type == EVENT_ATTEMPT_STARTED) {
        budget_deposit(&target->budget, record->budget_slice,
                       record->budget_delta_milli);
    } else {
        budget_take(&target->budget, record->budget_slice,
                    -record->budget_delta_milli);
    }
    if (target->budget.newest == 0) {
        target->budget_wall_ms = 0;
    } else if (target->budget.newest != newest) {
        target->budget_wall_ms = record->wall_ms;
    }
}

static bool
is_about_throttle(const struct record *record)
{
    return text_equals(record->reason, text_of("THROTTLE"));
}

/* Records that are about the target itself. */
static void
apply_own(struct target *target, const struct record *record)
{
    enum target_reason reason = is_about_throttle(record) ? TARGET_THROTTLE
                                                          : TARGET_BUDGET;

    if (record->type == EVENT_BUDGET_EXHAUSTED) {
        target->told[reason] = true;
    } else if (record->type == EVENT_BUDGET_RECOVERED) {
        target->told[reason] = false;
    } else if (record->type == EVENT_GATEWAY_RELOADED) {
        target->throttle = (struct throttle){0};
        if (reason != TARGET_THROTTLE) {
            target->budget = (struct budget){0};
            target->budget_wall_ms = 0;
            target->hold_until_wall_ms = 0;
            target->hold_wall_ms = 0;
            target->told[TARGET_THROTTLE] = false;
            target->told[TARGET_BUDGET] = false;
            target->breaker = (struct breaker){0};
            target->holder_count = 0;
        }
    }
}

static bool
is_sound(const struct record *record)
{
    const struct decision *decision = &record->decision;

    return record->target.len <= NAME_BYTES_MAX &&
           record->service.len <= NAME_BYTES_MAX &&
           record->target.len + record->service.len > 0 &&
           decision->tokens_max_milli >= 0 &&
           decision->tokens_max_milli <= UINT32_MAX &&
           (decision->tokens_max_milli == 0 ||
            (decision->tokens_milli >= 0 &&
             decision->tokens_milli <= decision->tokens_max_milli)) &&
           record->budget_slice <= (uint64_t)INT64_MAX / 2 &&
           record->budget_delta_milli >= -(int64_t)UINT32_MAX &&
           record->budget_delta_milli <= (int64_t)UINT32_MAX;
}

bool
target_apply(struct engine *engine, const struct record *record,
             struct target *target)
{
    if (!is_sound(record)) {
        return false;
    }
    if (target == NULL) {
        target = target_intern(
            engine, record->target.len > 0 ? record->target : record->service);
    }
    if (target == NULL) {
        return false;
    }
    if (record->seq <= target->seq) {
        return true; /* the loaded row reflects it */
    }
    apply_tokens(target, &record->decision);
    apply_budget(target, record);
    if (record->hold_until_wall_ms != 0) {
        target->hold_until_wall_ms = record->hold_until_wall_ms;
        target->hold_wall_ms = record->wall_ms;
    }
    if (!event_type_is_about_job(record->type)) {
        apply_own(target, record);
    }
    if (record->breaker.epoch != 0 &&
        !gate_apply(target, record, engine->now.mono.ms)) {
        return false;
    }
    target->seq = record->seq;
    place_unused(engine, target);
    return true;
}

void
target_restore_row(struct engine *engine, struct target *target,
                   const struct target *row)
{
    target->seq = row->seq;
    target->throttle = row->throttle;
    target->budget = row->budget;
    target->budget_wall_ms = row->budget_wall_ms;
    target->hold_until_wall_ms = row->hold_until_wall_ms;
    target->hold_wall_ms = row->hold_wall_ms;
    memcpy(target->told, row->told, sizeof(target->told));
    target->breaker = row->breaker;
    target->breaker_wall_ms = row->breaker_wall_ms;
    target->breaker_open_ms = row->breaker_open_ms;
    target->breaker_cause = row->breaker_cause;
    target->holder_count = row->holder_count;
    memcpy(target->holders, row->holders, sizeof(target->holders));
    place_unused(engine, target);
}
