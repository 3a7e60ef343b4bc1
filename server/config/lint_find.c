/* SPDX-License-Identifier: Apache-2.0 */
#include "server/config/lint_find.h"

#include "server/base/check.h"
#include "server/config/arena.h"
#include "server/config/value.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    TEXT_BYTES = 320,
    FREE_ATTEMPTS_MANY = 1000,
    OKS_MANY = 100, /* for one failure */
};

void
lint_add(struct lint *lint, struct lint_finding **list, enum lint_code code,
         const char *format, ...)
{
    struct lint_finding *finding = config_arena_array(lint->arena, 1,
                                                      sizeof(*finding));
    char text[TEXT_BYTES];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    /* What the load said is not counted again. */
    switch (lint_table[code].severity) {
    case LINT_SEVERITY_WARNING:
        lint->warnings += !lint_table[code].at_load;
        break;
    case LINT_SEVERITY_NOTE:
        lint->notes += !lint_table[code].at_load;
        break;
    }
    if (finding == NULL) {
        return;
    }
    *finding = (struct lint_finding){
        .code = code,
        .text = config_arena_text(lint->arena, text, strlen(text)),
    };
    while (*list != NULL) {
        list = &(*list)->next;
    }
    *list = finding;
}

/* A duration as the configuration writes it, in one of a few buffers. */
struct words {
    char at[4][VALUE_TEXT_BYTES];
    unsigned next;
};

static const char *
duration(struct words *words, uint64_t ms)
{
    char *text = words->at[words->next++ % 4];

    value_duration_print(ms, text);
    return text;
}

/* ---- Codes ----------------------------------------------------------------
 */

static const uint32_t hopeless_codes = 1u << REDIAL_INVALID_ARGUMENT |
                                       1u << REDIAL_UNAUTHENTICATED |
                                       1u << REDIAL_PERMISSION_DENIED |
                                       1u << REDIAL_UNIMPLEMENTED;

static const uint32_t doubtful_codes = 1u << REDIAL_CANCELLED |
                                       1u << REDIAL_NOT_FOUND |
                                       1u << REDIAL_ALREADY_EXISTS |
                                       1u << REDIAL_FAILED_PRECONDITION |
                                       1u << REDIAL_OUT_OF_RANGE |
                                       1u << REDIAL_DATA_LOSS;

/* "A, B"; all names of all codes fit. */
static void
list_codes(uint32_t codes, char text[TEXT_BYTES / 2])
{
    size_t len = 0;

    text[0] = '\0';
    for (unsigned code = 0; code < REDIAL_STATUS_COUNT && len < TEXT_BYTES / 2;
         code++) {
        if ((codes & (1u << code)) != 0) {
            len += (size_t)snprintf(text + len, TEXT_BYTES / 2 - len, "%s%s",
                                    len == 0 ? "" : ", ",
                                    value_code_name((enum redial_status)code));
        }
    }
}

static void
find_codes(struct lint *lint, struct lint_policy *row)
{
    uint32_t codes = row->policy->retry.retryable_codes;
    char names[TEXT_BYTES / 2];

    if ((codes & hopeless_codes) != 0) {
        list_codes(codes & hopeless_codes, names);
        lint_add(lint, &row->findings, LINT_HOPELESS_CODE,
                 "%s: another attempt fails the same way", names);
    }
    if ((codes & doubtful_codes) != 0) {
        list_codes(codes & doubtful_codes, names);
        lint_add(
            lint, &row->findings, LINT_DOUBTFUL_CODE,
            "%s: rarely better at another attempt; make sure that the worker "
            "means it so",
            names);
    }
}

/* ---- Waits and times ------------------------------------------------------
 */

static void
find_backoff(struct lint *lint, struct lint_policy *row)
{
    const struct retry_policy *retry = &row->policy->retry;
    bool grows = retry->jitter != JITTER_DECORRELATED && row->attempts_max > 2;
    struct words words = {.next = 0};

    if (retry->max_backoff_ms < retry->initial_backoff_ms) {
        lint_add(lint, &row->findings, LINT_MAX_BELOW_INITIAL,
                 "maxBackoff %s is below initialBackoff %s: every wait is %s",
                 duration(&words, retry->max_backoff_ms),
                 duration(&words, retry->initial_backoff_ms),
                 duration(&words, retry->max_backoff_ms));
    } else if (grows && retry->backoff_multiplier < 1) {
        lint_add(
            lint, &row->findings, LINT_SHRINKING_BACKOFF,
            "backoffMultiplier %g: each wait is shorter than the one before",
            retry->backoff_multiplier);
    } else if (grows && retry->backoff_multiplier <= 1) {
        lint_add(lint, &row->findings, LINT_CONSTANT_BACKOFF,
                 "backoffMultiplier 1: the waits do not grow while the target "
                 "stays down");
    }
    if (retry->jitter == JITTER_NONE) {
        lint_add(lint, &row->findings, LINT_NO_JITTER,
                 "jobs that failed together come back together");
    }
}

static void
find_times(struct lint *lint, struct lint_policy *row)
{
    const struct method_policy *policy = row->policy;
    uint32_t retries = row->attempts_max - 1;
    struct words words = {.next = 0};

    if (policy->deadline_ms == 0) {
        return;
    }
    const char *timeout = duration(&words, policy->deadline_ms);

    if (policy->attempt_timeout_ms >= policy->deadline_ms) {
        lint_add(
            lint, &row->findings, LINT_TIMEOUT_BELOW_ATTEMPT,
            "attemptTimeout %s is not below timeout %s: after an attempt that "
            "hangs there is no retry",
            duration(&words, policy->attempt_timeout_ms), timeout);
    }
    if (row->retries_fit < retries) {
        lint_add(
            lint, &row->findings, LINT_RETRIES_NEVER_FIT,
            "the waits take %s at least, timeout is %s: %u of %u retries can "
            "ever start",
            duration(&words, row->delay_min_ms), timeout,
            (unsigned)row->retries_fit, (unsigned)retries);
    } else if (row->delay_max_ms >= policy->deadline_ms) {
        lint_add(
            lint, &row->findings, LINT_RETRIES_MAY_NOT_FIT,
            "the waits take up to %s, timeout is %s: not every job has all "
            "retries",
            duration(&words, row->delay_max_ms), timeout);
    }
}

/* ---- Hedging --------------------------------------------------------------
 */

static void
find_hedging(struct lint *lint, struct lint_policy *row)
{
    const struct method_policy *policy = row->policy;
    uint32_t concurrency = policy->limits.concurrency;
    struct words words = {.next = 0};

    if (policy->idempotency != IDEMPOTENCY_YES) {
        lint_add(
            lint, &row->findings, LINT_HEDGING_NOT_IDEMPOTENT,
            "without \"idempotent\": true only jobs that say so themselves "
            "are hedged");
    }
    if (policy->hedging_delay_ms == 0) {
        lint_add(
            lint, &row->findings, LINT_HEDGING_AT_ONCE,
            "no hedgingDelay: every job costs up to %u attempts, also when "
            "nothing fails",
            (unsigned)row->attempts_max);
    }
    if (concurrency > 0) {
        lint_add(lint, &row->findings, LINT_HEDGING_CONCURRENCY,
                 "limits.concurrency %u holds %u hedged jobs of %u attempts%s",
                 (unsigned)concurrency,
                 (unsigned)(concurrency / row->attempts_max),
                 (unsigned)row->attempts_max,
                 concurrency < row->attempts_max
                     ? ": a job waits for its own attempts"
                     : "");
    }
    if (policy->deadline_ms > 0 && row->delay_max_ms >= policy->deadline_ms) {
        lint_add(lint, &row->findings, LINT_HEDGING_TIMEOUT,
                 "the last attempt starts %s after the first, timeout is %s",
                 duration(&words, row->delay_max_ms),
                 duration(&words, policy->deadline_ms));
    }
}

/* ---- All of a policy ------------------------------------------------------
 */

/* Whether one job alone is held back by the rate. */
static void
find_rate(struct lint *lint, struct lint_policy *row)
{
    const struct limit_policy *limits = &row->policy->limits;
    uint64_t need = row->attempts_max;
    uint64_t burst = limits->burst > 0 ? limits->burst : limits->rate;
    struct words words = {.next = 0};

    if (limits->rate == 0 || burst >= need) {
        return;
    }
    /* Long enough for the tokens that are missing, rounded up. */
    uint64_t wait_ms = ((need - burst) * limits->rate_period_ms + limits->rate -
                        1) /
                       limits->rate;

    if (wait_ms > row->delay_max_ms) {
        lint_add(
            lint, &row->findings, LINT_RATE_BELOW_RETRIES,
            "limits.rate lets the %u attempts of one job through in %s, its "
            "waits take %s at most: the rate decides, not the backoff",
            (unsigned)row->attempts_max, duration(&words, wait_ms),
            duration(&words, row->delay_max_ms));
    }
}

void
lint_find_policy(struct lint *lint, const struct config *config,
                 struct lint_policy *row)
{
    const struct retry_policy *retry = &row->policy->retry;

    if (retry->attempts_clamped) {
        lint_add(lint, &row->findings, LINT_ATTEMPTS_CUT,
                 "maxAttempts is cut to maxAttemptsLimit, %u",
                 (unsigned)config->max_attempts_limit);
    }
    lint_find_breaker(lint, &config->policy, row);
    if (row->attempts_max < 2) {
        return;
    }
    find_codes(lint, row);
    if (row->policy->hedged) {
        find_hedging(lint, row);
    } else {
        find_backoff(lint, row);
        find_times(lint, row);
    }
    find_rate(lint, row);
    if (!row->load.guarded) {
        lint_add(
            lint, &row->findings, LINT_UNGUARDED,
            row->policy->hedged
                ? "no budget bounds it: up to %u times the load, also when "
                  "nothing fails"
                : "no retryThrottling and no budget bounds it: %u times the "
                  "load while the target is down",
            (unsigned)row->attempts_max);
    }
}

void
lint_find_all(struct lint *lint, const struct config *config)
{
    if (!config->retries_enabled) {
        lint_add(lint, &lint->findings, LINT_RETRIES_OFF,
                 "retriesEnabled is false: every job has one attempt");
    }
    if (config->free_attempts_max > FREE_ATTEMPTS_MANY) {
        lint_add(lint, &lint->findings, LINT_FREE_ATTEMPTS,
                 "freeAttemptsMax %u: a job that no worker keeps goes round as "
                 "often",
                 (unsigned)config->free_attempts_max);
    }
}

/* ---- Targets --------------------------------------------------------------
 */

bool
lint_throttle_allows(const struct target_policy *target)
{
    return target->tokens_max_milli > 2000;
}

static void
find_throttle(struct lint *lint, struct lint_target *row)
{
    const struct target_policy *target = row->target;
    uint32_t ok_milli = target->tokens_ok_milli;

    if (!lint_throttle_allows(target)) {
        lint_add(
            lint, &row->findings, LINT_THROTTLE_NEVER_ALLOWS,
            "maxTokens %u: one failure leaves no more than half, so nothing "
            "is ever retried",
            (unsigned)(target->tokens_max_milli / 1000));
    }
    if (ok_milli * OKS_MANY < 1000) {
        lint_add(lint, &row->findings, LINT_THROTTLE_REFILLS_SLOWLY,
                 "tokenRatio %g: one failure costs %u successes",
                 (double)ok_milli / 1000,
                 (unsigned)((1000 + ok_milli - 1) / ok_milli));
    }
    if (ok_milli >= 1000) {
        lint_add(lint, &row->findings, LINT_THROTTLE_HARDLY_HOLDS,
                 "tokenRatio %g: it holds only while more than %u%% of all "
                 "attempts fail",
                 (double)ok_milli / 1000,
                 (unsigned)((uint64_t)ok_milli * 100 / (1000 + ok_milli)));
    }
}

static void
find_budget(struct lint *lint, struct lint_target *row)
{
    const struct target_policy *target = row->target;
    uint32_t ratio = target->budget_ratio_milli;
    struct words words = {.next = 0};

    if (target->budget_floor > 0) {
        return;
    }
    if (ratio == 0) {
        lint_add(lint, &row->findings, LINT_BUDGET_NEVER_ALLOWS,
                 "ratio 0 and minPerSecond 0: nothing is ever retried");
    } else if (ratio < 1000) {
        lint_add(lint, &row->findings, LINT_BUDGET_NEEDS_LOAD,
                 "minPerSecond 0: no retry below %u first attempts in %s",
                 (unsigned)((1000 + ratio - 1) / ratio),
                 duration(&words, target->budget_window_ms));
    }
}

/* Whether it has its throttle (budget) from the top, where it is told. */
static bool
inherits_throttle(const struct target_policy *target,
                  const struct target_policy *top)
{
    return target != top && top->has_throttle &&
           target->tokens_max_milli == top->tokens_max_milli &&
           target->tokens_ok_milli == top->tokens_ok_milli;
}

static bool
inherits_budget(const struct target_policy *target,
                const struct target_policy *top)
{
    return target != top && top->has_budget &&
           target->budget_ratio_milli == top->budget_ratio_milli &&
           target->budget_floor == top->budget_floor &&
           target->budget_window_ms == top->budget_window_ms;
}

void
lint_find_target(struct lint *lint, const struct policy_set *set,
                 struct lint_target *row)
{
    const struct target_policy *top = &set->target_fallback;

    if (row->target->has_throttle && !inherits_throttle(row->target, top)) {
        find_throttle(lint, row);
    }
    if (row->target->has_budget && !inherits_budget(row->target, top)) {
        find_budget(lint, row);
    }
}
