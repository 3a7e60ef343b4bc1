/* SPDX-License-Identifier: Apache-2.0 */
/* What records do to targets: budgets, holds, and what is said of them. */
#include "tests/unit/core/rig.h"
#include "tests/unit/core/story.h"

#include <inttypes.h>
#include <string.h>

/* Slices are counted from anywhere: where from, the first one tells. */
static void
check_slice(struct story *story, int target, uint64_t recorded, uint64_t slice)
{
    if (story->slice_base[target] == 0) {
        story->slice_base[target] = recorded - slice;
    }
    if (recorded != story->slice_base[target] + slice) {
        story_object(story, "slice %" PRIu64 ", not %" PRIu64, recorded,
                     story->slice_base[target] + slice);
    }
}

/* What the record must enter into the budget; *ret_slice 0: nothing. */
static int64_t
expect_entry(struct story *story, const struct story_job *job,
             const struct record *record, uint64_t *ret_slice)
{
    const struct reference_target *guard = &story->guards[job->method / 2];

    *ret_slice = reference_slice(guard, rig.now.mono.ms);
    switch ((int)record->type) {
    case EVENT_ATTEMPT_STARTED:
        if (guard->has_budget && guard->ratio > 0 && record->attempt == 1) {
            return guard->ratio;
        }
        break;
    case EVENT_RETRY_PLANNED:
        if (job->answer.takes && record->decision.rule == RULE_RETRY_PLANNED) {
            return -1000;
        }
        break;
    case EVENT_JOB_SUCCEEDED:
    case EVENT_JOB_FAILED:
    case EVENT_JOB_CANCELLED:
    case EVENT_JOB_EXPIRED:
        /* A retry that never started. */
        if (job->reference.token != 0 && !job->running) {
            *ret_slice = job->reference.token;
            return 1000;
        }
        break;
    default:
        break;
    }
    *ret_slice = 0;
    return 0;
}

static void
follow_hold(struct story *story, const struct story_job *job,
            const struct record *record)
{
    struct reference_target *guard = &story->guards[job->method / 2];
    int64_t until = 0;

    if ((record->type == EVENT_ATTEMPT_FAILED) &&
        reference_hold(guard, &story->policy->reference[job->method],
                       &job->failure, rig.now.mono.ms)) {
        until = rig.now.wall.ms + guard->hold_ms;
    }
    if (record->hold_until_wall_ms != until) {
        story_object(story, "held until %" PRId64 ", not %" PRId64,
                     record->hold_until_wall_ms, until);
    }
    int64_t released_at = guard->hold_until + reference_spread_ms(guard);

    if (released_at > story->released_at) {
        story->released_at = released_at;
    }
}

void
story_follow_target(struct story *story, struct story_job *job,
                    const struct record *record)
{
    uint64_t slice;
    int64_t amount = expect_entry(story, job, record, &slice);

    follow_hold(story, job, record);
    if (record->budget_delta_milli != amount ||
        (record->budget_slice != 0) != (slice != 0)) {
        story_object(story, "%s: %" PRId64 " for the budget, not %" PRId64,
                     event_type_name(record->type), record->budget_delta_milli,
                     amount);
        return;
    }
    if (slice == 0) {
        return;
    }
    check_slice(story, job->method / 2, record->budget_slice, slice);
    reference_enter(&story->guards[job->method / 2], slice, amount);
    if (record->type == EVENT_RETRY_PLANNED) {
        job->reference.token = slice;
    }
}

void
story_follow_own(struct story *story, const struct record *record)
{
    struct reference_target *guard;
    bool exhausted = record->type == EVENT_BUDGET_EXHAUSTED;
    bool throttle = record->reason.len == strlen("THROTTLE") &&
                    memcmp(record->reason.at, "THROTTLE", record->reason.len) ==
                        0;

    if (record->target.len != 1) {
        return; /* of a worker or the gateway */
    }
    guard = &story->guards[record->target.at[0] == 's' ? 0 : 1];
    if (record->type == EVENT_GATEWAY_RELOADED) {
        if (!throttle || guard->has_throttle) {
            story_object(story, "a target is forgotten");
        }
        guard->tokens_then = 0;
        return;
    }
    int64_t tokens = reference_tokens(guard);
    int64_t left = reference_left(guard, rig.now.mono.ms);
    bool empty = throttle ? tokens >= 0 && 2 * tokens <= guard->tokens_most
                          : left >= 0 && left < 1000;

    if (record->decision.tokens_milli != tokens ||
        record->decision.budget_milli != left || empty != exhausted) {
        story_object(story,
                     "%s: %" PRId64 " tokens, %" PRId64 " left, not %" PRId64
                     ", %" PRId64,
                     event_type_name(record->type),
                     record->decision.tokens_milli,
                     record->decision.budget_milli, tokens, left);
    }
    reference_settle_tokens(guard);
}
