/* SPDX-License-Identifier: Apache-2.0 */
/* Random policies, said to the engine and to the reference. */
#include "tests/unit/core/rig.h"
#include "tests/unit/core/story.h"

#include <string.h>

static const char *const services[STORY_METHODS] = {"s", "s", "t"};
static const char *const methods[STORY_METHODS] = {"m", "n", "m"};

/* Multipliers as fractions, and as what the engine takes. */
static const struct {
    uint32_t over;
    uint32_t by;
    double real;
} multipliers[] = {
    {2, 1, 2.0},   {3, 2, 1.5},   {8, 5, 1.6}, {1, 1, 1.0},
    {11, 10, 1.1}, {10, 1, 10.0}, {1, 2, 0.5}, {1000000, 1, 1000000.0},
};

static const char *const words[] = {
    "BUG", "QUOTA", "BUSY", "NOT_STARTED", "WORKER_LOST", "ATTEMPT_TIMEOUT"};

static struct text
text(const char *string)
{
    return (struct text){.at = string, .len = (uint32_t)strlen(string)};
}

static uint64_t
pick(struct rng *rng, const uint64_t *numbers, size_t count)
{
    return numbers[rng_below(rng, count)];
}

#define PICK(rng, ...)                         \
    pick(rng, (const uint64_t[]){__VA_ARGS__}, \
         sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

static uint32_t
draw_words(struct rng *rng, const char **ret_words, struct text *ret_texts)
{
    uint32_t count = 0;

    memset(ret_words, 0, REFERENCE_WORDS_MAX * sizeof(*ret_words));
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (count < REFERENCE_WORDS_MAX && rng_below(rng, 5) == 0) {
            ret_words[count] = words[i];
            ret_texts[count] = text(words[i]);
            count++;
        }
    }
    return count;
}

static void
draw_reference(struct rng *rng, struct reference_policy *policy)
{
    size_t multiplier = rng_below(rng,
                                  sizeof(multipliers) / sizeof(multipliers[0]));

    *policy = (struct reference_policy){
        .max_attempts = (uint32_t)PICK(rng, 1, 2, 3, 4, 6, 9, 12),
        .attempts_most = rig.limits.attempts_limit,
        .initial_ms = PICK(rng, 1, 3, 10, 333, 1000, 5000),
        .max_ms = PICK(rng, 1, 7, 499, 60013, 7000001),
        .multiplier_over = multipliers[multiplier].over,
        .multiplier_by = multipliers[multiplier].by,
        .jitter = (enum reference_jitter)rng_below(rng, 5),
        .pushback_most_ms = PICK(rng, 0, 50, 5000, 3600000),
        .free_most = (uint32_t)PICK(rng, 1, 2, 5, 9),
        .not_idempotent = rng_below(rng, 3) == 0,
        .may_run_again = rng_below(rng, 2) == 0,
    };
    uint64_t often = PICK(rng, 2, 8, 9, 10, 10, 10);

    for (int i = 1; i < REFERENCE_CODES; i++) {
        policy->retryable[i] = rng_below(rng, 10) < often;
    }
}

static enum jitter
jitter_of(enum reference_jitter jitter)
{
    switch (jitter) {
    case REFERENCE_A6:
        return JITTER_DEFAULT;
    case REFERENCE_FULL:
        return JITTER_FULL;
    case REFERENCE_EQUAL:
        return JITTER_EQUAL;
    case REFERENCE_DECORRELATED:
        return JITTER_DECORRELATED;
    case REFERENCE_EXACT:
        break;
    }
    return JITTER_NONE;
}

static double
real_of(const struct reference_policy *policy)
{
    for (size_t i = 0; i < sizeof(multipliers) / sizeof(multipliers[0]); i++) {
        if (multipliers[i].over == policy->multiplier_over &&
            multipliers[i].by == policy->multiplier_by) {
            return multipliers[i].real;
        }
    }
    fail_msg("no such multiplier");
    return 0;
}

static void
draw_row(struct story_policy *policy, int index, struct rng *rng)
{
    struct reference_policy *said = &policy->reference[index];
    struct method_policy *row = &policy->rows[index];

    draw_reference(rng, said);
    *row = (struct method_policy){
        .service = text(services[index]),
        .method = text(methods[index]),
        .retry =
            {
                .max_attempts = said->max_attempts,
                .initial_backoff_ms = said->initial_ms,
                .max_backoff_ms = said->max_ms,
                .backoff_multiplier = real_of(said),
                .jitter = jitter_of(said->jitter),
                .max_pushback_ms = said->pushback_most_ms,
                .free_attempts_max = said->free_most,
                .non_retryable_reasons = policy->words[index][0],
                .retryable_reasons = policy->words[index][1],
            },
        .attempt_timeout_ms = PICK(rng, 100, 1500, 600000),
        .deadline_ms = PICK(rng, 0, 0, 0, 2000, 90000),
        .wait_for_ready = true,
        .idempotency = said->not_idempotent     ? IDEMPOTENCY_NO
                       : rng_below(rng, 2) == 0 ? IDEMPOTENCY_YES
                                                : IDEMPOTENCY_UNSET,
        .retry_indeterminate = said->may_run_again,
    };
    row->retry.non_retryable_reason_count = draw_words(rng, said->never,
                                                       policy->words[index][0]);
    row->retry.retryable_reason_count = draw_words(rng, said->always,
                                                   policy->words[index][1]);
    for (uint32_t i = 0; i < REFERENCE_CODES; i++) {
        row->retry.retryable_codes |= said->retryable[i] ? 1u << i : 0;
    }
    /* Half of them as server/config hands them over: cut already. */
    if (said->max_attempts > said->attempts_most && rng_below(rng, 2) == 0) {
        row->retry.max_attempts = said->attempts_most;
        row->retry.attempts_clamped = true;
    }
    /* Jobs of s/n are never idempotent for sure: they go in turn. */
    if (index == 1) {
        said->in_turn = rng_below(rng, 2) == 0;
        said->turn_ms = PICK(rng, 0, 5, 800);
        row->hedged = said->in_turn;
        row->hedging_delay_ms = said->turn_ms;
        row->idempotency = said->not_idempotent ? IDEMPOTENCY_NO
                                                : IDEMPOTENCY_UNSET;
    }
    policy->timeout_ms[index] = row->attempt_timeout_ms;
    policy->deadline_ms[index] = row->deadline_ms;
}

static void
draw_targets(struct story_policy *policy, struct rng *rng)
{
    static const char *const names[STORY_TARGETS] = {"s", "t"};
    bool off = rng_below(rng, 25) == 0;

    for (int i = 0; i < STORY_TARGETS; i++) {
        struct reference_target *wanted = &policy->wanted[i];

        *wanted = (struct reference_target){
            .retries_off = off,
            .has_throttle = rng_below(rng, 2) == 0,
            .tokens_most = (int64_t)PICK(rng, 1000, 2000, 4000, 10000, 100000),
            .tokens_per_ok = (int64_t)PICK(rng, 1, 100, 546, 1600, 20000),
            .has_budget = rng_below(rng, 3) == 0,
            .ratio = (int64_t)PICK(rng, 0, 200, 1000),
            .floor = (int64_t)PICK(rng, 0, 1, 10),
            .window_ms = (int64_t)PICK(rng, 1000, 10000, 60000),
        };
        policy->targets[i] = (struct target_policy){
            .name = text(names[i]),
            .has_throttle = wanted->has_throttle,
            .tokens_max_milli = (uint32_t)wanted->tokens_most,
            .tokens_ok_milli = (uint32_t)wanted->tokens_per_ok,
            .has_budget = wanted->has_budget,
            .budget_ratio_milli = (uint32_t)wanted->ratio,
            .budget_floor = (uint32_t)wanted->floor,
            .budget_window_ms = (uint32_t)wanted->window_ms,
        };
    }
    policy->set.retries_off = off;
    policy->set.targets = policy->targets;
    policy->set.target_count = STORY_TARGETS;
}

void
story_make_policy(struct story *story, struct rng *rng)
{
    struct story_policy *policy = &story->policies[story->version % 2];

    memset(policy, 0, sizeof(*policy));
    policy_set_default(&policy->set);
    policy->set.version = ++story->version;
    for (int i = 0; i < STORY_METHODS; i++) {
        draw_row(policy, i, rng);
    }
    draw_targets(policy, rng);
    policy->set.methods = policy->rows;
    policy->set.method_count = STORY_METHODS;
    story->policy = policy;
}
