/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The copy is made by one walk that runs twice: first with no memory, to learn
 * how much it needs, then with exactly that much.
 */
#include "client/info.h"

#include "proto/check.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

enum redial_status
redial_i_status(int64_t code)
{
    return code >= 0 && code < REDIAL_STATUS_COUNT ? (enum redial_status)code
                                                   : REDIAL_UNKNOWN;
}

static const char *
text_or_empty(const char *text)
{
    return text != NULL ? text : "";
}

/* ---- memory ---- */

struct copier {
    uint8_t *memory; /* NULL: only measure */
    size_t used;
};

/* NULL while measuring. */
static void *
take(struct copier *copier, size_t bytes, size_t alignment)
{
    uint8_t *at;

    copier->used = (copier->used + alignment - 1) & ~(alignment - 1);
    at = copier->memory != NULL ? copier->memory + copier->used : NULL;
    copier->used += bytes;
    return at;
}

static const char *
copy_text(struct copier *copier, const char *text)
{
    size_t size;
    char *copy;

    if (text == NULL || text[0] == '\0') {
        return "";
    }
    size = strlen(text) + 1;
    copy = take(copier, size, 1);
    if (copy != NULL) {
        memcpy(copy, text, size);
    }
    return copy;
}

static const void *
copy_bytes(struct copier *copier, ProtobufCBinaryData data)
{
    void *copy;

    if (data.len == 0) {
        return NULL;
    }
    copy = take(copier, data.len, alignof(max_align_t));
    if (copy != NULL) {
        memcpy(copy, data.data, data.len);
    }
    return copy;
}

/* ---- the parts of a job ---- */

static void
fill_decision(struct redial_decision *decision,
              const Redial__V1__Decision *message)
{
    decision->rule = text_or_empty(message->rule);
    decision->delay_ms = message->delay_ms;
    decision->delay_source = text_or_empty(message->delay_source);
    decision->backoff_ms = message->backoff_ms;
    decision->jitter_permille = message->jitter_permille;
    decision->clamp = text_or_empty(message->clamp);
    decision->attempts_charged = message->attempts_charged;
    decision->attempts_free = message->attempts_free;
    decision->attempts_left = message->attempts_left;
    decision->has_tokens = message->has_tokens_milli;
    decision->tokens_milli = message->tokens_milli;
    decision->until_wall_ms = message->until_wall_ms;
    decision->policy_version = message->policy_version;
    decision->tokens_max_milli = message->tokens_max_milli;
    decision->has_budget = message->has_budget_milli;
    decision->budget_milli = message->budget_milli;
}

static const struct redial_decision *
copy_decision(struct copier *copier, const Redial__V1__Decision *message)
{
    struct redial_decision decision;
    struct redial_decision *copy;

    if (message == NULL) {
        return NULL;
    }
    fill_decision(&decision, message);
    decision.rule = copy_text(copier, message->rule);
    decision.delay_source = copy_text(copier, message->delay_source);
    decision.clamp = copy_text(copier, message->clamp);
    copy = take(copier, sizeof(*copy), alignof(struct redial_decision));
    if (copy != NULL) {
        *copy = decision;
    }
    return copy;
}

static const struct redial_outcome *
copy_outcome(struct copier *copier, const Redial__V1__Outcome *message)
{
    struct redial_outcome outcome = {0};
    struct redial_outcome *copy;

    if (message == NULL) {
        return NULL;
    }
    outcome.code = redial_i_status(message->code);
    outcome.reason = copy_text(copier, message->reason);
    outcome.text = copy_text(copier, message->text);
    outcome.has_pushback = message->has_pushback_ms;
    outcome.pushback_ms = message->pushback_ms;
    outcome.result = copy_bytes(copier, message->result);
    outcome.result_bytes = message->result.len;
    outcome.content_type = copy_text(copier, message->content_type);
    outcome.for_target = message->for_target;
    copy = take(copier, sizeof(*copy), alignof(struct redial_outcome));
    if (copy != NULL) {
        *copy = outcome;
    }
    return copy;
}

static void
copy_attempt(struct copier *copier, const Redial__V1__Attempt *message,
             struct redial_attempt_info *ret_attempt)
{
    struct redial_attempt_info attempt = {
        .number = message->number,
        .fence = message->fence,
        .worker = copy_text(copier, message->worker),
        .state = copy_text(copier, message->state),
        .started_wall_ms = message->started_wall_ms,
        .ended_wall_ms = message->ended_wall_ms,
        .charged = message->charged,
        .outcome = copy_outcome(copier, message->outcome),
        .decision = copy_decision(copier, message->decision),
    };

    if (ret_attempt != NULL) {
        *ret_attempt = attempt;
    }
}

static const struct redial_attempt_info *
copy_attempts(struct copier *copier, const Redial__V1__Job *job)
{
    struct redial_attempt_info *attempts;

    if (job->n_attempts == 0) {
        return NULL;
    }
    attempts = take(copier, job->n_attempts * sizeof(*attempts),
                    alignof(struct redial_attempt_info));
    for (size_t i = 0; i < job->n_attempts; i++) {
        copy_attempt(copier, job->attempts[i],
                     attempts != NULL ? &attempts[i] : NULL);
    }
    return attempts;
}

static enum redial_job_state
job_state(int64_t state)
{
    return state >= REDIAL_JOB_STATE_UNSPECIFIED && state <= REDIAL_JOB_EXPIRED
               ? (enum redial_job_state)state
               : REDIAL_JOB_STATE_UNSPECIFIED;
}

static void
copy_names(struct copier *copier, const Redial__V1__Job *job,
           struct redial_job_info *info)
{
    info->id = copy_text(copier, job->id);
    info->key = copy_text(copier, job->key);
    info->correlation_id = copy_text(
        copier, job->correlation_id != NULL ? job->correlation_id : job->id);
    info->service = copy_text(copier, job->service);
    info->method = copy_text(copier, job->method);
    info->tenant = copy_text(copier, job->tenant);
    info->progress = copy_text(copier, job->progress);
}

static struct redial_job_info *
copy_job(struct copier *copier, const Redial__V1__Job *job)
{
    struct redial_job_info info = {
        .state = job_state(job->state),
        .priority = job->priority,
        .accepted_wall_ms = job->accepted_wall_ms,
        .state_since_wall_ms = job->state_since_wall_ms,
        .next_wall_ms = job->next_wall_ms,
        .deadline_wall_ms = job->deadline_wall_ms,
        .attempts_charged = job->attempts_charged,
        .attempts_free = job->attempts_free,
        .max_attempts = job->max_attempts,
        .job_seq = job->job_seq,
        .payload_bytes = job->payload_bytes,
        .history_trimmed = job->history_trimmed,
        .attempt_count = job->n_attempts,
    };
    struct redial_job_info *copy = take(copier, sizeof(*copy),
                                        alignof(struct redial_job_info));

    copy_names(copier, job, &info);
    info.outcome = copy_outcome(copier, job->outcome);
    info.last_failure = copy_outcome(copier, job->last_failure);
    info.decision = copy_decision(copier, job->decision);
    info.attempts = copy_attempts(copier, job);
    if (copy != NULL) {
        *copy = info;
    }
    return copy;
}

struct redial_job_info *
redial_i_job_info(const Redial__V1__Job *job)
{
    struct copier copier = {0};
    struct redial_job_info *info;
    size_t size;

    (void)copy_job(&copier, job);
    size = copier.used;
    copier.memory = malloc(size);
    if (copier.memory == NULL) {
        return NULL;
    }
    copier.used = 0;
    info = copy_job(&copier, job); /* the first thing in the memory */
    WIRE_CHECK(copier.used == size && (void *)info == copier.memory);
    return info;
}

void
redial_job_info_free(struct redial_job_info *info)
{
    free(info);
}

/* ---- states ---- */

static const char *const state_names[] = {
    [REDIAL_JOB_STATE_UNSPECIFIED] = "STATE_UNSPECIFIED",
    [REDIAL_JOB_SCHEDULED] = "SCHEDULED",
    [REDIAL_JOB_READY] = "READY",
    [REDIAL_JOB_RUNNING] = "RUNNING",
    [REDIAL_JOB_BACKOFF] = "BACKOFF",
    [REDIAL_JOB_PARKED] = "PARKED",
    [REDIAL_JOB_SUCCEEDED] = "SUCCEEDED",
    [REDIAL_JOB_FAILED] = "FAILED",
    [REDIAL_JOB_CANCELLED] = "CANCELLED",
    [REDIAL_JOB_EXPIRED] = "EXPIRED",
};

const char *
redial_job_state_name(enum redial_job_state state)
{
    return state_names[job_state((int64_t)state)];
}

bool
redial_job_state_is_final(enum redial_job_state state)
{
    return state >= REDIAL_JOB_SUCCEEDED && state <= REDIAL_JOB_EXPIRED;
}

/* ---- events ---- */

static void
fill_gap(struct redial_gap *gap, const Redial__V1__Gap *message)
{
    gap->epoch = text_or_empty(message->epoch);
    gap->from_seq = message->from_seq;
    gap->to_seq = message->to_seq;
    gap->reason = text_or_empty(message->reason);
}

static void
fill_event_names(struct redial_event *to, const Redial__V1__Event *message)
{
    to->type = text_or_empty(message->type);
    to->epoch = text_or_empty(message->epoch);
    to->gateway = text_or_empty(message->gateway);
    to->correlation_id = text_or_empty(message->correlation_id);
    to->tenant = text_or_empty(message->tenant);
    to->service = text_or_empty(message->service);
    to->method = text_or_empty(message->method);
    to->job_id = text_or_empty(message->job_id);
    to->key = text_or_empty(message->key);
    to->worker = text_or_empty(message->worker);
    to->reason = text_or_empty(message->reason);
    to->text = text_or_empty(message->text);
    to->traceparent = text_or_empty(message->traceparent);
    to->target = text_or_empty(message->target);
}

static enum redial_idempotency
idempotency(int64_t value)
{
    return value >= REDIAL_IDEMPOTENCY_UNSET && value <= REDIAL_NOT_IDEMPOTENT
               ? (enum redial_idempotency)value
               : REDIAL_IDEMPOTENCY_UNSET;
}

/* What belongs to some types only. */
static void
fill_event_details(struct redial_event *to, const Redial__V1__Event *message)
{
    to->has_pushback = message->has_pushback_ms;
    to->pushback_ms = message->pushback_ms;
    to->for_target = message->for_target;
    to->overloaded = message->overloaded;
    to->hedge = message->hedge;
    to->timeout_ms = message->timeout_ms;
    to->priority = message->priority;
    to->idempotent = idempotency(message->idempotent);
    to->not_before_ms = message->not_before_ms;
    to->deadline_ms = message->deadline_ms;
    to->queue_ttl_ms = message->queue_ttl_ms;
    to->max_attempts = message->max_attempts;
    to->attempt_timeout_ms = message->attempt_timeout_ms;
    to->payload_bytes = message->payload_bytes;
}

void
redial_i_event_fill(struct redial_i_event *event,
                    const Redial__V1__Event *message)
{
    struct redial_event *to = &event->event;

    memset(event, 0, sizeof(*event));
    fill_event_names(to, message);
    to->seq = message->seq;
    to->job_seq = message->job_seq;
    to->wall_ms = message->wall_ms;
    to->since_accepted_ms = message->since_accepted_ms;
    to->attempt = message->attempt;
    to->fence = message->fence;
    to->has_code = message->has_code;
    to->code = redial_i_status(message->code);
    to->charged = message->charged;
    fill_event_details(to, message);
    if (message->decision != NULL) {
        fill_decision(&event->decision, message->decision);
        to->decision = &event->decision;
    }
    if (message->gap != NULL) {
        fill_gap(&event->gap, message->gap);
        to->gap = &event->gap;
    }
}

void
redial_i_event_fill_gap(struct redial_i_event *event,
                        const Redial__V1__Gap *gap)
{
    Redial__V1__Event message = REDIAL__V1__EVENT__INIT;

    redial_i_event_fill(event, &message);
    event->event.type = "stream.gap";
    event->event.epoch = text_or_empty(gap->epoch);
    event->event.reason = text_or_empty(gap->reason);
    fill_gap(&event->gap, gap);
    event->event.gap = &event->gap;
}
