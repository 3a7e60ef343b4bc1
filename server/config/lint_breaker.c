/* SPDX-License-Identifier: Apache-2.0 */
/* What the check finds between a policy and the breaker of its target. */
#include "server/config/lint_find.h"
#include "server/config/value.h"

static const char *
duration(uint64_t ms, char text[VALUE_TEXT_BYTES])
{
    value_duration_print(ms, text);
    return text;
}

static bool
has_rates(const struct breaker_policy *breaker)
{
    return breaker->failure_permille > 0 || breaker->slow_permille > 0;
}

/* Calls that take longer than what the breaker looks at. */
static void
find_times(struct lint *lint, struct lint_policy *row,
           const struct breaker_policy *breaker)
{
    uint64_t limit_ms = row->policy->attempt_timeout_ms;
    char a[VALUE_TEXT_BYTES];
    char b[VALUE_TEXT_BYTES];

    if (has_rates(breaker) && breaker->window_ms <= limit_ms) {
        lint_add(lint, &row->findings, LINT_BREAKER_WINDOW,
                 "the breaker's window %s is not above attemptTimeout %s: "
                 "calls that hang come too late to be counted together",
                 duration(breaker->window_ms, a), duration(limit_ms, b));
    }
    if (breaker->slow_permille > 0 && breaker->slow_ms >= limit_ms) {
        lint_add(lint, &row->findings, LINT_BREAKER_NEVER_SLOW,
                 "the breaker's slowCall %s is not below attemptTimeout %s: no "
                 "call is ever slow",
                 duration(breaker->slow_ms, a), duration(limit_ms, b));
    }
}

/* Whether the rate lets enough calls through for a verdict. */
static void
find_calls(struct lint *lint, struct lint_policy *row,
           const struct breaker_policy *breaker)
{
    const struct limit_policy *limits = &row->policy->limits;

    if (limits->rate == 0 || !has_rates(breaker)) {
        return;
    }
    uint64_t burst = limits->burst > 0 ? limits->burst : limits->rate;
    uint64_t calls = burst + (uint64_t)limits->rate * breaker->window_ms /
                                 limits->rate_period_ms;
    char window[VALUE_TEXT_BYTES];

    if (calls < breaker->calls_min) {
        lint_add(lint, &row->findings, LINT_BREAKER_TOO_FEW_CALLS,
                 "limits.rate lets %u calls start in %s at most, the breaker's "
                 "minimumCalls is %u: without other methods no rate opens it",
                 (unsigned)calls, duration(breaker->window_ms, window),
                 (unsigned)breaker->calls_min);
    }
}

static void
find_one_job(struct lint *lint, struct lint_policy *row,
             const struct breaker_policy *breaker)
{
    if (breaker->consecutive > 0 && row->attempts_max > 1 &&
        row->attempts_max >= breaker->consecutive) {
        lint_add(lint, &row->findings, LINT_BREAKER_ONE_JOB,
                 "the breaker opens after %u failures in a row, one job alone "
                 "makes up to %u: it may stop all others",
                 (unsigned)breaker->consecutive, (unsigned)row->attempts_max);
    }
}

/* What becomes of jobs that wait behind it. */
static void
find_parking(struct lint *lint, struct lint_policy *row,
             const struct breaker_policy *breaker)
{
    const struct method_policy *policy = row->policy;
    char a[VALUE_TEXT_BYTES];
    char b[VALUE_TEXT_BYTES];

    if (policy->reject_when_open || breaker->metrics_only) {
        return;
    }
    if (!policy->wait_for_ready) {
        lint_add(lint, &row->findings, LINT_BREAKER_NOT_WAITING,
                 "waitForReady is false, and yet jobs wait behind the open "
                 "breaker: \"whenOpen\": \"reject\" fails them at once");
    }
    if (policy->deadline_ms > 0 && policy->deadline_ms <= breaker->open_ms) {
        lint_add(lint, &row->findings, LINT_BREAKER_OUTLASTS_JOBS,
                 "timeout %s is not above the breaker's openTime %s: no job "
                 "waits for it long enough",
                 duration(policy->deadline_ms, a),
                 duration(breaker->open_ms, b));
    }
}

/* Names of one entry may have several targets; the first with one is told. */
static const struct target_policy *
find_guarded(const struct policy_set *set, const struct lint_policy *row)
{
    for (size_t i = 0; i < row->name_count; i++) {
        const struct method_policy *name = row->names[i];
        const struct target_policy *target = policy_find_target(
            set, name->target.len > 0 ? name->target : name->service);

        if (target->has_breaker && !target->breaker.disabled) {
            return target;
        }
    }
    const struct target_policy *top = &set->target_fallback;

    return row->name_count == 0 && top->has_breaker && !top->breaker.disabled
               ? top
               : NULL;
}

void
lint_find_breaker(struct lint *lint, const struct policy_set *set,
                  struct lint_policy *row)
{
    const struct target_policy *target = find_guarded(set, row);

    if (target == NULL) {
        return;
    }
    find_times(lint, row, &target->breaker);
    find_calls(lint, row, &target->breaker);
    find_one_job(lint, row, &target->breaker);
    find_parking(lint, row, &target->breaker);
}
