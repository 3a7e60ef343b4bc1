/* SPDX-License-Identifier: Apache-2.0 */
/* What came out of the engine, record by record, against the reference. */
#include "tests/unit/core/rig.h"
#include "tests/unit/core/story.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void
story_object(struct story *story, const char *format, ...)
{
    va_list arguments;

    if (story->wrong[0] != '\0') {
        return;
    }
    va_start(arguments, format);
    (void)vsnprintf(story->wrong, sizeof(story->wrong), format, arguments);
    va_end(arguments);
}

static bool
is_word(struct text text, const char *word)
{
    return text.len == strlen(word) &&
           (text.len == 0 || memcmp(text.at, word, text.len) == 0);
}

static struct story_job *
job_of(struct story *story, const struct record *record)
{
    int number = record->job.bytes[15];

    if (number >= story->job_count) {
        story_object(story, "%s is about a job that never was",
                     event_type_name(record->type));
        return NULL;
    }
    return &story->jobs[number];
}

/* ---- Starts ------------------------------------------------------------ */

static void
follow_accepted(struct story *story, struct story_job *job,
                const struct record *record)
{
    uint64_t deadline = story->policy->deadline_ms[job->method];
    const struct engine_submit *submit = &story->input->submit;

    if (deadline == 0 ||
        (submit->deadline_ms != 0 && submit->deadline_ms < deadline)) {
        deadline = submit->deadline_ms;
    }
    if (record->deadline_ms != deadline) {
        story_object(story, "deadline %" PRIu64 ", not %" PRIu64,
                     record->deadline_ms, deadline);
    }
    struct reference_target *guard = &story->guards[job->method / 2];

    if (guard->slice_at == 0) {
        guard->slice = 1;
        guard->slice_at = rig.now.mono.ms;
    }
    job->accepted = true;
    job->due_at = rig.now.mono.ms;
    job->ttl_at = submit->queue_ttl_ms == 0
                      ? INT64_MAX
                      : rig.now.mono.ms + (int64_t)submit->queue_ttl_ms;
    job->reference.deadline_at = deadline == 0
                                     ? INT64_MAX
                                     : rig.now.mono.ms + (int64_t)deadline;
}

static void
follow_started(struct story *story, struct story_job *job,
               const struct record *record)
{
    uint64_t timeout = story->policy->timeout_ms[job->method];

    if (job->timeout_ms != 0 && job->timeout_ms < timeout) {
        timeout = job->timeout_ms;
    }
    if (job->reference.deadline_at - rig.now.mono.ms < (int64_t)timeout) {
        timeout = (uint64_t)(job->reference.deadline_at - rig.now.mono.ms);
    }
    if (job->reference.charged > 0 &&
        rig.now.mono.ms < story->guards[job->method / 2].hold_until) {
        story_object(story, "a retry of what is held");
    }
    if (job->running || job->over || record->attempt != job->attempt + 1) {
        story_object(story, "attempt %u starts beside the last one",
                     record->attempt);
    }
    if (rig.now.mono.ms < job->due_at ||
        rig.now.mono.ms >= job->reference.deadline_at) {
        story_object(story, "attempt %u starts at %" PRId64 ", due at %" PRId64,
                     record->attempt, rig.now.mono.ms, job->due_at);
    }
    if (record->timeout_ms != timeout) {
        story_object(story, "a limit of %" PRIu64 " ms, not %" PRIu64,
                     record->timeout_ms, timeout);
    }
    story_follow_target(story, job, record);
    job->running = true;
    job->acked = false;
    job->attempt = record->attempt;
    job->started_at = rig.now.mono.ms;
    job->timeout_at = rig.now.mono.ms + (int64_t)timeout +
                      (int64_t)rig.limits.grace_ms;
    job->token = (struct engine_token){
        .job = record->job, .attempt = record->attempt, .fence = record->seq};
}

/* ---- Ends of attempts -------------------------------------------------- */

/* How it must have ended, from the input at hand. */
static struct reference_failure
expect_failure(struct story *story, const struct story_job *job)
{
    const struct engine_input *input = story->input;
    const struct engine_report *report = &input->report;
    int64_t now = rig.now.mono.ms;

    if (input->type == ENGINE_REPORT &&
        report->token.fence == job->token.fence) {
        if (report->kind == REPORT_NOT_STARTED) {
            return (struct reference_failure){
                .code = REDIAL_UNAVAILABLE,
                .reason = "NOT_STARTED",
                .free = true,
            };
        }
        return (struct reference_failure){
            .code = (uint32_t)report->code,
            .reason = report->reason.len == 0 ? "" : report->reason.at,
            .overloaded = report->overloaded,
            .has_pushback = report->has_pushback,
            .for_target = report->for_target,
            .pushback_ms = report->pushback_ms,
            .uncertain = report->code == REDIAL_DEADLINE_EXCEEDED &&
                         is_word(report->reason, "ATTEMPT_TIMEOUT"),
        };
    }
    if (input->type == ENGINE_WORKER_GONE) {
        return (struct reference_failure){
            .code = REDIAL_UNAVAILABLE,
            .reason = "WORKER_LOST",
            .uncertain = true,
            .killed = story->lone_death,
        };
    }
    if (now >= job->timeout_at) {
        return (struct reference_failure){
            .code = REDIAL_DEADLINE_EXCEEDED,
            .reason = "ATTEMPT_TIMEOUT",
            .uncertain = true,
        };
    }
    if (!story->leases || job->acked ||
        now < job->started_at + (int64_t)rig.limits.lease_ms) {
        story_object(story, "attempt %u ends out of nothing", job->attempt);
    }
    return (struct reference_failure){
        .code = REDIAL_UNAVAILABLE,
        .reason = "WORKER_LOST",
        .uncertain = true,
        .free = true,
    };
}

static void
follow_over(struct story *story, struct story_job *job,
            const struct record *record)
{
    struct reference_failure failure = expect_failure(story, job);
    uint32_t code = failure.code < REFERENCE_CODES ? failure.code
                                                   : REDIAL_UNKNOWN;
    bool lost = strcmp(failure.reason, "WORKER_LOST") == 0 &&
                story->input->type != ENGINE_REPORT;

    if (!job->running || record->fence != job->token.fence ||
        record->charged == failure.free || (uint32_t)record->code != code ||
        !is_word(record->reason, failure.reason) ||
        (record->type == EVENT_ATTEMPT_LOST) != lost) {
        story_object(story, "%s with code %d, %.*s: not %u, %s",
                     event_type_name(record->type), (int)record->code,
                     (int)record->reason.len, record->reason.at, code,
                     failure.reason);
    }
    job->running = false;
    job->over = true;
    job->failure = failure;
    reference_count(&job->reference, &failure);
    if (!failure.free) {
        job->suspect = story->input->type == ENGINE_WORKER_GONE;
        job->failed = true;
        job->last_code = code;
        job->last_reason = failure.reason;
    }
    story_follow_target(story, job, record);
    job->answer = reference_decide(&story->policy->reference[job->method],
                                   &story->guards[job->method / 2],
                                   &job->reference, &failure, rig.now.mono.ms);
}

/* ---- Decisions --------------------------------------------------------- */

static bool
numbers_agree(const struct story *story, const struct story_job *job,
              const struct decision *recorded)
{
    return recorded->attempts_charged == job->reference.charged &&
           recorded->attempts_free == job->reference.free &&
           recorded->attempts_left == job->answer.left &&
           recorded->tokens_milli == job->answer.tokens &&
           (recorded->tokens_max_milli > 0) == job->answer.charged &&
           recorded->budget_milli ==
               job->answer.left_over -
                   (recorded->rule == RULE_RETRY_PLANNED && job->answer.takes
                        ? 1000
                        : 0) &&
           recorded->policy_version == story->version;
}

static void
compare(struct story *story, const struct story_job *job,
        const struct decision *recorded)
{
    const struct reference_answer *answer = &job->answer;
    enum rule rule = reference_in_time(answer, &job->reference, rig.now.mono.ms,
                                       recorded->delay_ms);
    const char *objection = reference_objection(
        &story->policy->reference[job->method], answer, recorded);
    bool waits = rule == RULE_RETRY_PLANNED ||
                 (rule == RULE_FREE_RETRY && answer->source != DELAY_NONE);
    int64_t until = waits ? rig.now.wall.ms + (int64_t)recorded->delay_ms : 0;

    story->rules[rule]++;
    if (recorded->rule != rule) {
        story_object(story, "rule %s, not %s", rule_name(recorded->rule),
                     rule_name(rule));
    } else if (objection != NULL) {
        story_object(story,
                     "%s: %s, %s, clamp %s, backoff %" PRIu64 ", delay %" PRIu64
                     ", factor %u",
                     rule_name(rule), objection,
                     delay_source_name(recorded->delay_source),
                     clamp_name(recorded->clamp), recorded->backoff_ms,
                     recorded->delay_ms, recorded->jitter_permille);
    } else if (!numbers_agree(story, job, recorded)) {
        story_object(story,
                     "%s: %u charged, %u free, %u left, %" PRId64
                     " tokens, %" PRId64 " in the budget; not %u, %u, %u, "
                     "%" PRId64 ", %" PRId64,
                     rule_name(rule), recorded->attempts_charged,
                     recorded->attempts_free, recorded->attempts_left,
                     recorded->tokens_milli, recorded->budget_milli,
                     job->reference.charged, job->reference.free, answer->left,
                     answer->tokens, answer->left_over);
    } else if (recorded->until_wall_ms != until) {
        story_object(story, "until %" PRId64 ", not %" PRId64,
                     recorded->until_wall_ms, until);
    }
}

static void
follow_goes_on(struct story *story, struct story_job *job,
               const struct record *record)
{
    const struct decision *decision = &record->decision;
    bool at_once = job->answer.rule == RULE_FREE_RETRY &&
                   job->answer.source == DELAY_NONE;

    if (!job->over || job->decided ||
        (record->type == EVENT_JOB_RELEASED) != at_once) {
        story_object(story, "%s out of nothing", event_type_name(record->type));
        return;
    }
    compare(story, job, decision);
    if (decision->rule == RULE_DEADLINE_WOULD_EXPIRE || job->answer.ends) {
        story_object(story, "it goes on by %s", rule_name(decision->rule));
    }
    story_follow_target(story, job, record);
    reference_went_on(&job->reference, &job->answer, decision);
    job->over = false;
    job->due_at = rig.now.mono.ms + (int64_t)decision->delay_ms;
}

static void
follow_refused(struct story *story, struct story_job *job,
               const struct record *record)
{
    if (!job->over || job->decided) {
        story_object(story, "a refusal out of nothing");
        return;
    }
    compare(story, job, &record->decision);
    job->decided = true;
    job->decision = record->decision;
}

/* ---- Ends of jobs ------------------------------------------------------ */

/* The reason that a failed job must give. */
static const char *
reason_of(const struct story_job *job)
{
    enum rule rule = job->decision.rule;

    if (rule == RULE_POISON || rule == RULE_INDETERMINATE ||
        rule == RULE_DEADLINE_WOULD_EXPIRE) {
        return rule_name(rule);
    }
    return job->failure.free && job->failed ? job->last_reason
                                            : job->failure.reason;
}

static void
follow_refused_end(struct story *story, struct story_job *job,
                   const struct record *record)
{
    uint32_t code = job->failure.code < REFERENCE_CODES ? job->failure.code
                                                        : REDIAL_UNKNOWN;

    if (job->failure.free && job->failed) {
        code = job->last_code;
    }
    if (record->type != EVENT_JOB_FAILED || !job->decided ||
        record->decision.rule != job->decision.rule ||
        (uint32_t)record->code != code ||
        !is_word(record->reason, reason_of(job))) {
        story_object(story, "%s by %s, code %d, %.*s: not %s, %u, %s",
                     event_type_name(record->type),
                     rule_name(record->decision.rule), (int)record->code,
                     (int)record->reason.len, record->reason.at,
                     rule_name(job->decision.rule), code, reason_of(job));
    }
}

/* No attempt's end brought it about: time, or the agent. */
static void
follow_plain_end(struct story *story, struct story_job *job,
                 const struct record *record)
{
    int64_t now = rig.now.mono.ms;
    bool tried = job->running || job->reference.charged > 0;
    enum event_type event = EVENT_JOB_CANCELLED;
    enum rule rule = RULE_CANCELLED;

    if (story->input->type != ENGINE_CANCEL ||
        now >= job->reference.deadline_at || (!tried && now >= job->ttl_at)) {
        event = tried ? EVENT_JOB_FAILED : EVENT_JOB_EXPIRED;
        rule = RULE_DEADLINE_EXCEEDED;
        if (now < job->reference.deadline_at) {
            rule = RULE_QUEUE_TTL_EXCEEDED;
        }
        if (now < job->reference.deadline_at && (tried || now < job->ttl_at)) {
            story_object(story, "it ends before its time");
        }
    }
    if (record->type != event || record->decision.rule != rule ||
        (rule != RULE_CANCELLED && !is_word(record->reason, rule_name(rule)))) {
        story_object(story, "%s by %s, not %s by %s",
                     event_type_name(record->type),
                     rule_name(record->decision.rule), event_type_name(event),
                     rule_name(rule));
    }
    if (rule == RULE_DEADLINE_EXCEEDED && job->failed &&
        (uint32_t)record->code != job->last_code) {
        story_object(story, "it does not say what failed last");
    }
}

static void
follow_succeeded(struct story *story, struct story_job *job,
                 const struct record *record)
{
    if (record->type == EVENT_ATTEMPT_SUCCEEDED) {
        if (!job->running || story->input->type != ENGINE_REPORT ||
            story->input->report.code != REDIAL_OK) {
            story_object(story, "a success out of nothing");
        }
        reference_succeed(&job->reference, &story->guards[job->method / 2]);
        job->running = false;
        job->decided = true;
        return;
    }
    if (!job->decided || job->over || record->decision.rule != RULE_SUCCEEDED ||
        record->decision.attempts_charged != job->reference.charged) {
        story_object(story, "it succeeds by %s",
                     rule_name(record->decision.rule));
    }
    if (record->decision.tokens_milli !=
        reference_tokens(&story->guards[job->method / 2])) {
        story_object(story, "%" PRId64 " tokens after an OK, not %" PRId64,
                     record->decision.tokens_milli,
                     reference_tokens(&story->guards[job->method / 2]));
    }
    story_follow_target(story, job, record);
    job->ended = true;
}

static void
follow_end(struct story *story, struct story_job *job,
           const struct record *record)
{
    if (job->over) {
        follow_refused_end(story, job, record);
    } else {
        follow_plain_end(story, job, record);
    }
    story_follow_target(story, job, record);
    job->over = false;
    job->running = false;
    job->ended = true;
}

/* ---- A step ------------------------------------------------------------ */

static void
follow(struct story *story, struct story_job *job, const struct record *record)
{
    if (job->ended && record->type != EVENT_ATTEMPT_LATE) {
        story_object(story, "%s after the end", event_type_name(record->type));
        return;
    }
    switch (record->type) {
    case EVENT_JOB_ACCEPTED:
        follow_accepted(story, job, record);
        return;
    case EVENT_JOB_SCHEDULED:
        job->due_at = rig.now.mono.ms + (int64_t)job->not_before_ms;
        return;
    case EVENT_ATTEMPT_STARTED:
        follow_started(story, job, record);
        return;
    case EVENT_ATTEMPT_FAILED:
    case EVENT_ATTEMPT_LOST:
        follow_over(story, job, record);
        return;
    case EVENT_RETRY_PLANNED:
    case EVENT_JOB_RELEASED:
        follow_goes_on(story, job, record);
        return;
    case EVENT_RETRY_REFUSED:
        follow_refused(story, job, record);
        return;
    case EVENT_ATTEMPT_SUCCEEDED:
    case EVENT_JOB_SUCCEEDED:
        follow_succeeded(story, job, record);
        return;
    case EVENT_JOB_FAILED:
    case EVENT_JOB_CANCELLED:
    case EVENT_JOB_EXPIRED:
        follow_end(story, job, record);
        return;
    case EVENT_ATTEMPT_LATE:
        return;
    case EVENT_JOB_PARKED:
    case EVENT_JOB_REQUEUED:
    case EVENT_ATTEMPT_PROGRESS:
    case EVENT_BREAKER_OPENED:
    case EVENT_BREAKER_HALF_OPEN:
    case EVENT_BREAKER_RAMP:
    case EVENT_BREAKER_CLOSED:
    case EVENT_BREAKER_FORCED:
    case EVENT_BREAKER_RELEASED:
    case EVENT_BUDGET_EXHAUSTED:
    case EVENT_BUDGET_RECOVERED:
    case EVENT_WORKER_JOINED:
    case EVENT_WORKER_LEFT:
    case EVENT_WORKER_QUIET:
    case EVENT_GATEWAY_STARTED:
    case EVENT_GATEWAY_DRAINING:
    case EVENT_GATEWAY_RELOADED:
    case EVENT_GATEWAY_DEGRADED:
    case EVENT_GATEWAY_RECOVERED:
        break;
    }
    story_object(story, "%s is nothing of this story",
                 event_type_name(record->type));
}

void
story_follow(struct story *story)
{
    for (size_t i = 0; i < rig.out.record_count; i++) {
        const struct record *record = &rig.out.records[i];
        struct story_job *job;

        if (!event_type_is_about_job(record->type)) {
            story_follow_own(story, record);
            continue;
        }
        job = job_of(story, record);
        if (job == NULL) {
            return;
        }
        if (story->telling) {
            printf("    job %d %s %s %s delay %" PRIu64 "\n",
                   (int)(job - story->jobs), event_type_name(record->type),
                   rule_name(record->decision.rule),
                   delay_source_name(record->decision.delay_source),
                   record->decision.delay_ms);
        }
        follow(story, job, record);
        if (story->wrong[0] != '\0') {
            return;
        }
    }
}
