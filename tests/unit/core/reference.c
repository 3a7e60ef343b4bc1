/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/core/reference.h"

#include <string.h>

/* Wide enough for each product below; ISO C has no name for it. */
__extension__ typedef unsigned __int128 wide;

/* ---- Words and codes --------------------------------------------------- */

static bool
says(const char *const *words, const char *reason)
{
    for (int i = 0; i < REFERENCE_WORDS_MAX; i++) {
        if (words[i] != NULL && reason[0] != '\0' &&
            strcmp(words[i], reason) == 0) {
            return true;
        }
    }
    return false;
}

/* Step 4: nonRetryableReasons > retryableReasons > retryableStatusCodes. */
static enum rule
may_be_retried(const struct reference_policy *policy,
               const struct reference_failure *failure)
{
    if (says(policy->never, failure->reason)) {
        return RULE_NON_RETRYABLE_REASON;
    }
    if (says(policy->always, failure->reason)) {
        return RULE_NONE;
    }
    if (failure->code < REFERENCE_CODES && policy->retryable[failure->code]) {
        return RULE_NONE;
    }
    return RULE_NON_RETRYABLE_CODE;
}

/* ---- Counting ---------------------------------------------------------- */

uint32_t
reference_attempts(const struct reference_policy *policy,
                   const struct reference_job *job)
{
    uint32_t most = policy->max_attempts;

    if (policy->attempts_most < most) {
        most = policy->attempts_most;
    }
    if (job->own_max != 0 && job->own_max < most) {
        most = job->own_max;
    }
    return most;
}

/* The operator's limit took something away that was asked for. */
static bool
is_cut_by_operator(const struct reference_policy *policy,
                   const struct reference_job *job)
{
    uint32_t asked = policy->max_attempts;

    if (job->own_max != 0 && job->own_max < asked) {
        asked = job->own_max;
    }
    return asked > policy->attempts_most;
}

void
reference_count(struct reference_job *job,
                const struct reference_failure *failure)
{
    if (failure->free) {
        job->free++;
        job->free_in_a_row++;
    } else {
        job->charged++;
        job->free_in_a_row = 0;
        job->token = 0; /* what was taken was used */
    }
    if (failure->killed) {
        job->kills++;
    }
}

/* ---- Targets ----------------------------------------------------------- */

int64_t
reference_tokens(const struct reference_target *target)
{
    if (!target->has_throttle) {
        return -1;
    }
    if (target->tokens_then == 0) {
        return target->tokens_most;
    }
    /* As full as it was then: to the nearest thousandth, a half is up. */
    return (2 * target->tokens * target->tokens_most + target->tokens_then) /
           (2 * target->tokens_then);
}

void
reference_settle_tokens(struct reference_target *target)
{
    int64_t tokens = reference_tokens(target);

    if (tokens >= 0) {
        target->tokens = tokens;
        target->tokens_then = target->tokens_most;
    }
}

static int64_t
slice_ms(const struct reference_target *target)
{
    return target->window_ms / REFERENCE_SLICES;
}

uint64_t
reference_slice(const struct reference_target *target, int64_t now_ms)
{
    return target->slice +
           (uint64_t)((now_ms - target->slice_at) / slice_ms(target));
}

void
reference_enter(struct reference_target *target, uint64_t slice, int64_t amount)
{
    if (target->entry_count < REFERENCE_ENTRIES_MAX) {
        target->entries[target->entry_count++] = (struct reference_entry){
            .slice = slice, .amount = amount};
    }
}

int64_t
reference_left(const struct reference_target *target, int64_t now_ms)
{
    int64_t left = target->floor * target->window_ms;

    if (!target->has_budget) {
        return -1;
    }
    uint64_t now = reference_slice(target, now_ms);

    for (int i = 0; i < target->entry_count; i++) {
        if (target->entries[i].slice + REFERENCE_SLICES > now) {
            left += target->entries[i].amount;
        }
    }
    return left < 0 ? 0 : left;
}

bool
reference_hold(struct reference_target *target,
               const struct reference_policy *policy,
               const struct reference_failure *failure, int64_t now_ms)
{
    int64_t length = failure->pushback_ms;

    if (!failure->for_target || !failure->has_pushback) {
        return false;
    }
    if (length > (int64_t)policy->pushback_most_ms) {
        length = (int64_t)policy->pushback_most_ms;
    }
    if (length <= 0 || now_ms + length <= target->hold_until) {
        return false;
    }
    target->hold_until = now_ms + length;
    target->hold_ms = length;
    return true;
}

/* A fifth of the hold, at least a second, at most a minute. */
int64_t
reference_spread_ms(const struct reference_target *target)
{
    int64_t spread = target->hold_ms / 5;

    return spread < 1000 ? 1000 : spread > 60000 ? 60000 : spread;
}

void
reference_reload(struct reference_target *target,
                 const struct reference_target *wanted, int64_t now_ms)
{
    int64_t before_ms = slice_ms(target);

    target->retries_off = wanted->retries_off;
    target->has_throttle = wanted->has_throttle;
    target->tokens_most = wanted->tokens_most;
    target->tokens_per_ok = wanted->tokens_per_ok;
    target->has_budget = wanted->has_budget;
    target->ratio = wanted->ratio;
    target->floor = wanted->floor;
    if (target->slice_at != 0 && slice_ms(wanted) != before_ms) {
        target->slice = reference_slice(target, now_ms);
        target->slice_at = now_ms;
    }
    target->window_ms = wanted->window_ms;
}

void
reference_succeed(struct reference_job *job, struct reference_target *target)
{
    int64_t tokens = reference_tokens(target);

    job->charged++;
    job->free_in_a_row = 0;
    job->token = 0;
    if (tokens >= 0) {
        reference_settle_tokens(target);
        target->tokens = tokens + target->tokens_per_ok;
        if (target->tokens > target->tokens_most) {
            target->tokens = target->tokens_most;
        }
    }
}

/* ---- The decision ------------------------------------------------------ */

static bool
must_not_run_again(const struct reference_policy *policy,
                   const struct reference_job *job,
                   const struct reference_failure *failure)
{
    bool not_idempotent = job->says_idempotency ? job->not_idempotent
                                                : policy->not_idempotent;

    return failure->uncertain && not_idempotent && !policy->may_run_again;
}

static enum rule
decide_free(const struct reference_policy *policy,
            const struct reference_job *job, struct reference_answer *answer)
{
    answer->clamp = CLAMP_NONE;
    if (job->free >= policy->free_most) {
        return RULE_FREE_EXHAUSTED;
    }
    /* The first in a row goes at once, the next ones wait longer and longer. */
    if (job->free_in_a_row > 1) {
        answer->source = DELAY_BACKOFF;
        answer->backoff = job->free_in_a_row - 1;
        answer->last_ms = 0;
    }
    return RULE_FREE_RETRY;
}

static void
charge(struct reference_target *target, struct reference_answer *answer)
{
    if (!target->has_throttle) {
        return;
    }
    reference_settle_tokens(target);
    target->tokens = target->tokens < 1000 ? 0 : target->tokens - 1000;
    answer->tokens = target->tokens;
    answer->charged = true;
}

/* Steps 3 to 7, and the stop of 8. */
static enum rule
why_not(const struct reference_policy *policy, struct reference_target *target,
        const struct reference_job *job,
        const struct reference_failure *failure,
        struct reference_answer *answer)
{
    bool stop = failure->has_pushback && failure->pushback_ms < 0;

    if (job->kills >= 2) {
        return RULE_POISON;
    }
    if (must_not_run_again(policy, job, failure)) {
        return RULE_INDETERMINATE;
    }
    enum rule rule = failure->overloaded ? RULE_OVERLOADED_MARK
                                         : may_be_retried(policy, failure);

    if (rule == RULE_NONE || stop) {
        charge(target, answer);
    }
    if (rule != RULE_NONE) {
        return rule;
    }
    if (target->retries_off) {
        return RULE_RETRIES_OFF;
    }
    /* Only while more than half of them are left. */
    if (answer->tokens >= 0 && 2 * answer->tokens <= target->tokens_most) {
        return RULE_THROTTLED;
    }
    if (answer->left_over >= 0 && answer->left_over < 1000) {
        return RULE_BUDGET_EXHAUSTED;
    }
    if (job->charged >= reference_attempts(policy, job)) {
        return RULE_ATTEMPTS_EXHAUSTED;
    }
    return stop ? RULE_PUSHBACK_STOP : RULE_NONE;
}

/* Steps 8 and 9. */
static void
find_delay(const struct reference_policy *policy,
           const struct reference_job *job,
           const struct reference_failure *failure,
           struct reference_answer *answer)
{
    if (failure->has_pushback) {
        answer->source = DELAY_PUSHBACK;
        answer->exact_ms = (uint64_t)failure->pushback_ms;
        if (answer->exact_ms > policy->pushback_most_ms) {
            answer->exact_ms = policy->pushback_most_ms;
            answer->clamp = CLAMP_MAX_PUSHBACK;
        }
    } else if (policy->in_turn) {
        answer->source = DELAY_HEDGE;
        answer->exact_ms = policy->turn_ms;
    } else {
        answer->source = DELAY_BACKOFF;
        answer->backoff = job->backoffs + 1;
        answer->last_ms = job->last_backoff_ms;
    }
}

struct reference_answer
reference_decide(const struct reference_policy *policy,
                 struct reference_target *target,
                 const struct reference_job *job,
                 const struct reference_failure *failure, int64_t now_ms)
{
    uint32_t most = reference_attempts(policy, job);
    struct reference_answer answer = {
        .source = DELAY_NONE,
        .clamp = is_cut_by_operator(policy, job) ? CLAMP_ATTEMPTS_LIMIT
                                                 : CLAMP_NONE,
        .left = job->charged < most ? most - job->charged : 0,
        .tokens = -1,
        .left_over = -1,
    };

    if (failure->free && !must_not_run_again(policy, job, failure)) {
        answer.rule = decide_free(policy, job, &answer);
        answer.ends = answer.rule != RULE_FREE_RETRY;
        return answer;
    }
    answer.tokens = reference_tokens(target);
    answer.left_over = reference_left(target, now_ms);
    answer.rule = why_not(policy, target, job, failure, &answer);
    if (answer.rule != RULE_NONE) {
        answer.ends = true;
        return answer;
    }
    answer.rule = RULE_RETRY_PLANNED;
    find_delay(policy, job, failure, &answer);
    if (target->hold_until > now_ms) {
        answer.hold_ms = target->hold_until - now_ms;
        answer.spread_ms = reference_spread_ms(target);
    }
    answer.takes = answer.left_over >= 0 && job->token == 0;
    return answer;
}

/* ---- Delays ------------------------------------------------------------ */

/* A whole number and a fraction of one, as over / by. */
struct fraction {
    wide over;
    wide by;
};

/* initial * multiplier^(n-1), as soon as it is more than max: some such. */
static struct fraction
grown(const struct reference_policy *policy, uint32_t n)
{
    struct fraction delay = {policy->initial_ms, 1};

    for (uint32_t i = 1; i < n; i++) {
        if (policy->multiplier_over >= policy->multiplier_by &&
            delay.over > delay.by * policy->max_ms) {
            break;
        }
        delay.over *= policy->multiplier_over;
        delay.by *= policy->multiplier_by;
    }
    return delay;
}

/* Rounded either way at one half; never more than a hair beside it. */
static bool
is_rounded(struct fraction exact, uint64_t whole)
{
    wide scaled = exact.by * whole;
    wide beside = scaled > exact.over ? scaled - exact.over
                                      : exact.over - scaled;
    wide hair = exact.over / 500000000000u;

    return 2 * beside <= exact.by + hair;
}

static const char *
object_to_power(const struct reference_policy *policy,
                const struct reference_answer *answer,
                const struct decision *recorded)
{
    struct fraction exact = grown(policy, answer->backoff);
    uint64_t nominal = recorded->backoff_ms;

    if (exact.over > exact.by * policy->max_ms) {
        return nominal != policy->max_ms ? "the backoff is not its maximum"
               : recorded->clamp != CLAMP_MAX_BACKOFF ? "no word of the maximum"
                                                      : NULL;
    }
    if (recorded->clamp != answer->clamp) {
        return "another clamp";
    }
    /* It waits at least a millisecond. */
    if (2 * exact.over < exact.by) {
        return nominal != 1 ? "less than a millisecond" : NULL;
    }
    return is_rounded(exact, nominal) ? NULL : "another backoff";
}

/* s = min(cap, U(base, 3 * s_prev)), s_0 = base */
static const char *
object_to_decorrelated(const struct reference_policy *policy,
                       const struct reference_answer *answer,
                       const struct decision *recorded)
{
    uint64_t from = policy->initial_ms;
    uint64_t last = answer->last_ms == 0 ? from : answer->last_ms;
    uint64_t to = 3 * last < from ? from : 3 * last;
    uint64_t most = policy->max_ms;
    uint64_t delay = recorded->delay_ms;

    if (recorded->backoff_ms != (to < most ? to : most)) {
        return "another upper end";
    }
    if (delay > most || delay > to || (delay < from && delay != most)) {
        return "the delay is out of its range";
    }
    if (delay < most || to <= most) {
        return recorded->clamp == answer->clamp ? NULL : "another clamp";
    }
    /* Drawn as the maximum, or cut down to it: both look like this. */
    return recorded->clamp == CLAMP_MAX_BACKOFF ||
                   (from <= most && recorded->clamp == answer->clamp)
               ? NULL
               : "no word of the maximum";
}

/* Whole milliseconds: a lower end may be rounded down. */
static bool
is_drawn(enum reference_jitter jitter, wide d, wide delay)
{
    switch (jitter) {
    case REFERENCE_A6:
        return 5 * delay + 4 >= 4 * d && 5 * delay <= 6 * d;
    case REFERENCE_FULL:
        return delay <= d;
    case REFERENCE_EQUAL:
        return 2 * delay + 1 >= d && delay <= d;
    case REFERENCE_EXACT:
        return delay == d;
    case REFERENCE_DECORRELATED:
        break; /* has ends of its own */
    }
    return true;
}

static const char *
object_to_backoff(const struct reference_policy *policy,
                  const struct reference_answer *answer,
                  const struct decision *recorded)
{
    const char *objection;
    uint64_t factor = 0;

    if (policy->jitter == REFERENCE_DECORRELATED) {
        objection = object_to_decorrelated(policy, answer, recorded);
    } else {
        objection = object_to_power(policy, answer, recorded);
    }
    if (objection != NULL) {
        return objection;
    }
    if (!is_drawn(policy->jitter, recorded->backoff_ms, recorded->delay_ms)) {
        return "the delay is out of its range";
    }
    /* The factor that was drawn and the delay tell the same, cut off. */
    if (policy->jitter != REFERENCE_EXACT) {
        factor = (uint64_t)((wide)recorded->delay_ms * 1000 /
                            recorded->backoff_ms);
    }
    return recorded->jitter_permille == factor ? NULL : "another factor";
}

static const char *
object_to_exact(const struct reference_answer *answer,
                const struct decision *recorded)
{
    if (recorded->delay_ms != answer->exact_ms) {
        return "another delay";
    }
    if (recorded->backoff_ms != 0 || recorded->jitter_permille != 0) {
        return "a jitter where none is due";
    }
    return recorded->clamp == answer->clamp ? NULL : "another clamp";
}

/* The target's hold took the place of the delay. */
static const char *
object_to_hold(const struct reference_answer *answer,
               const struct decision *recorded)
{
    int64_t delay = (int64_t)recorded->delay_ms;

    if (answer->hold_ms == 0) {
        return "nothing is held";
    }
    if (delay < answer->hold_ms ||
        delay > answer->hold_ms + answer->spread_ms) {
        return "the delay is not at the end of the hold";
    }
    if (answer->source != DELAY_BACKOFF &&
        recorded->delay_ms < answer->exact_ms) {
        return "the delay was longer without the hold";
    }
    if ((recorded->backoff_ms != 0) != (answer->source == DELAY_BACKOFF)) {
        return "a backoff, or none";
    }
    return recorded->jitter_permille ==
                   (uint64_t)(delay * 1000 / answer->hold_ms)
               ? NULL
               : "another factor";
}

const char *
reference_objection(const struct reference_policy *policy,
                    const struct reference_answer *answer,
                    const struct decision *recorded)
{
    if (!answer->ends && recorded->delay_source == DELAY_TARGET_PUSHBACK) {
        return object_to_hold(answer, recorded);
    }
    if (recorded->delay_source != answer->source) {
        return "another source of the delay";
    }
    if (!answer->ends && (int64_t)recorded->delay_ms < answer->hold_ms) {
        return "back before the hold ends";
    }
    if (answer->source == DELAY_BACKOFF) {
        return object_to_backoff(policy, answer, recorded);
    }
    return object_to_exact(answer, recorded);
}

enum rule
reference_in_time(const struct reference_answer *answer,
                  const struct reference_job *job, int64_t now_ms,
                  uint64_t delay_ms)
{
    if (answer->ends || job->deadline_at == INT64_MAX) {
        return answer->rule;
    }
    wide start = (wide)now_ms + delay_ms;

    return start >= (wide)job->deadline_at ? RULE_DEADLINE_WOULD_EXPIRE
                                           : answer->rule;
}

void
reference_went_on(struct reference_job *job,
                  const struct reference_answer *answer,
                  const struct decision *recorded)
{
    if (answer->rule != RULE_RETRY_PLANNED) {
        return;
    }
    /* Where a hold took its place, the plain backoff counts. */
    bool held = recorded->delay_source == DELAY_TARGET_PUSHBACK;

    if (answer->source == DELAY_BACKOFF) {
        job->backoffs++;
        job->last_backoff_ms = held ? recorded->backoff_ms : recorded->delay_ms;
    } else if (answer->source == DELAY_PUSHBACK || held) {
        job->backoffs = 0;
        job->last_backoff_ms = 0;
    }
}
