/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of the check and their figures; what is found is in lint_find.c. */
#include "server/config/lint.h"

#include "server/config/arena.h"
#include "server/config/lint_find.h"
#include "server/core/backoff.h"

#include <stdlib.h>

const struct lint_row lint_table[LINT_COUNT] = {
#define LINT(name, word_, severity_, at_load_) \
    [LINT_##name] = {                          \
        .word = word_,                         \
        .severity = LINT_SEVERITY_##severity_, \
        .at_load = at_load_,                   \
    },
#include "server/config/lint.def"
};

/* ---- Waits ----------------------------------------------------------------
 */

static uint64_t
lesser(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t
greater(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* a + b, which stays at the greatest number. */
static uint64_t
add(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static uint64_t
multiply(uint64_t a, uint64_t b)
{
    return a != 0 && b > UINT64_MAX / a ? UINT64_MAX : a * b;
}

void
lint_delay_range(const struct retry_policy *retry, uint32_t n,
                 uint64_t *ret_shortest_ms, uint64_t *longest_ms)
{
    struct retry_policy plain = *retry;

    plain.jitter = JITTER_NONE;
    uint64_t d = backoff_draw(&plain, n, 0, NULL).delay_ms;
    uint64_t from = retry->initial_backoff_ms;
    uint64_t before = n == 1 ? from : *longest_ms;

    switch (retry->jitter) {
    case JITTER_DEFAULT:
        *ret_shortest_ms = d * 4 / 5;
        *longest_ms = d * 6 / 5;
        return;
    case JITTER_FULL:
        *ret_shortest_ms = 0;
        *longest_ms = d;
        return;
    case JITTER_EQUAL:
        *ret_shortest_ms = d / 2;
        *longest_ms = d;
        return;
    case JITTER_DECORRELATED:
        *ret_shortest_ms = lesser(from, retry->max_backoff_ms);
        *longest_ms = lesser(greater(from, multiply(before, 3)),
                             retry->max_backoff_ms);
        return;
    case JITTER_NONE:
        *ret_shortest_ms = d;
        *longest_ms = d;
        return;
    }
}

/* All waits together, and how many retries begin before the deadline. */
static void
add_delays(struct lint_policy *row)
{
    const struct method_policy *policy = row->policy;
    uint64_t deadline_ms = policy->deadline_ms;
    uint64_t longest_ms = 0;

    for (uint32_t n = 1; n < row->attempts_max; n++) {
        uint64_t shortest_ms = 0;

        if (policy->hedged) {
            longest_ms = policy->hedging_delay_ms;
        } else {
            lint_delay_range(&policy->retry, n, &shortest_ms, &longest_ms);
        }
        row->delay_min_ms = add(row->delay_min_ms, shortest_ms);
        row->delay_max_ms = add(row->delay_max_ms, longest_ms);
        if (deadline_ms == 0 || row->delay_min_ms < deadline_ms) {
            row->retries_fit = n;
        }
    }
}

/* ---- Load -----------------------------------------------------------------
 */

/* What one target's guards make of `worst`. */
static struct lint_load
bound_load(const struct lint_policy *row, const struct target_policy *target)
{
    struct lint_load load = {
        .worst_milli = (uint64_t)row->attempts_max * 1000,
        .bound_milli = (uint64_t)row->attempts_max * 1000,
    };

    if (target->has_throttle && !row->policy->hedged) {
        load.guarded = true;
        bool allows = lint_throttle_allows(target);
        uint64_t milli = 1000 + (allows ? target->tokens_ok_milli : 0);

        if (milli < load.bound_milli) {
            load.bound_milli = milli;
            load.bound_once = allows ? target->tokens_max_milli / 2000 : 0;
        }
    }
    if (target->has_budget) {
        uint64_t milli = 1000 + target->budget_ratio_milli;

        load.guarded |= milli < load.worst_milli;
        if (milli < load.bound_milli) {
            load.bound_milli = milli;
            load.bound_once = 0;
            load.bound_per_second = target->budget_floor;
        }
    }
    return load;
}

/* The loosest of the bounds of all names' targets. */
static void
add_load(const struct policy_set *set, struct lint_policy *row)
{
    bool guarded = true;

    row->load = (struct lint_load){0};
    for (size_t i = 0; i < row->name_count; i++) {
        const struct method_policy *name = row->names[i];
        struct text target = name->target.len > 0 ? name->target
                                                  : name->service;
        struct lint_load load = bound_load(row,
                                           policy_find_target(set, target));

        guarded &= load.guarded;
        if (load.bound_milli > row->load.bound_milli ||
            (load.bound_milli == row->load.bound_milli &&
             load.bound_per_second > row->load.bound_per_second)) {
            row->load = load;
        }
    }
    row->load.guarded = guarded;
    if (row->name_count == 0) {
        row->load = bound_load(row, &set->target_fallback);
    }
}

/* ---- Rows -----------------------------------------------------------------
 */

static void
fill_policy(struct lint *lint, const struct config *config,
            struct lint_policy *row)
{
    const struct policy_set *set = &config->policy;

    row->attempts_max = set->retries_off ? 1 : row->policy->retry.max_attempts;
    add_delays(row);
    add_load(set, row);
    lint_find_policy(lint, config, row);
}

/* Names of each entry together: counted, then put behind each other. */
static void
group_names(struct lint *lint, const struct config *config)
{
    const struct policy_set *set = &config->policy;
    size_t total = set->method_count + config->fallback_given;
    const struct method_policy **names = config_arena_array(lint->arena, total,
                                                            sizeof(*names));
    size_t from = 0;

    for (size_t i = 0; i < set->method_count; i++) {
        lint->policies[config->method_entries[i]].name_count++;
    }
    if (config->fallback_given) {
        lint->policies[config->fallback_entry].name_count++;
    }
    for (size_t i = 0; names != NULL && i < config->entry_count; i++) {
        lint->policies[i].names = names + from;
        from += lint->policies[i].name_count;
        lint->policies[i].name_count = 0;
    }
    for (size_t i = 0; names != NULL && i < total; i++) {
        bool is_fallback = i == set->method_count;
        struct lint_policy *row =
            &lint->policies[is_fallback ? config->fallback_entry
                                        : config->method_entries[i]];
        size_t place = (size_t)(row->names - names) + row->name_count++;

        names[place] = is_fallback ? &set->fallback : &set->methods[i];
        row->policy = names[place];
    }
}

static void
add_policies(struct lint *lint, const struct config *config)
{
    size_t count = config->entry_count + !config->fallback_given;

    lint->policies = config_arena_array(lint->arena, count,
                                        sizeof(lint->policies[0]));
    if (lint->policies == NULL) {
        return;
    }
    for (size_t i = 0; i < config->entry_count; i++) {
        lint->policies[i].entry = &config->entries[i];
    }
    group_names(lint, config);
    if (!config->fallback_given) {
        lint->policies[count - 1].policy = &config->policy.fallback;
    }
    for (size_t i = 0; i < count && !config_arena_failed(lint->arena); i++) {
        fill_policy(lint, config, &lint->policies[i]);
    }
    lint->policy_count = count;
}

static void
add_targets(struct lint *lint, const struct policy_set *set)
{
    lint->targets = config_arena_array(lint->arena, set->target_count + 1,
                                       sizeof(lint->targets[0]));
    if (lint->targets == NULL) {
        return;
    }
    if (set->target_fallback.has_throttle || set->target_fallback.has_budget ||
        set->target_fallback.has_breaker) {
        lint->targets[lint->target_count++].target = &set->target_fallback;
    }
    for (size_t i = 0; i < set->target_count; i++) {
        lint->targets[lint->target_count++].target = &set->targets[i];
    }
    for (size_t i = 0; i < lint->target_count; i++) {
        lint_find_target(lint, set, &lint->targets[i]);
    }
}

struct lint *
lint_create(const struct config *config)
{
    struct lint *lint = calloc(1, sizeof(*lint));

    if (lint == NULL) {
        return NULL;
    }
    lint->arena = config_arena_create();
    if (lint->arena == NULL) {
        free(lint);
        return NULL;
    }
    lint->instances = &config->policy.instances;
    lint_find_all(lint, config);
    add_policies(lint, config);
    add_targets(lint, &config->policy);
    if (config_arena_failed(lint->arena)) {
        lint_free(lint);
        return NULL;
    }
    return lint;
}

void
lint_free(struct lint *lint)
{
    if (lint == NULL) {
        return;
    }
    config_arena_free(lint->arena);
    free(lint);
}
