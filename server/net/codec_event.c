/* SPDX-License-Identifier: Apache-2.0 */
/* Records and decisions as watchers, and whoever asks why, see them. */
#include "server/net/codec.h"

static void
put_delay(const struct decision *decision, Redial__V1__Decision *to)
{
    if (decision->delay_source == DELAY_NONE) {
        return;
    }
    to->delay_source = unconst(delay_source_name(decision->delay_source));
    to->has_delay_ms = true;
    to->delay_ms = decision->delay_ms;
    to->has_backoff_ms = decision->backoff_ms > 0;
    to->backoff_ms = decision->backoff_ms;
    to->has_jitter_permille = decision->jitter_permille > 0;
    to->jitter_permille = decision->jitter_permille;
}

void
codec_decision(const struct decision *decision,
               Redial__V1__Decision *ret_decision)
{
    Redial__V1__Decision *to = ret_decision;

    redial__v1__decision__init(to);
    to->rule = unconst(rule_name(decision->rule));
    to->has_attempts_charged = true;
    to->attempts_charged = decision->attempts_charged;
    to->has_attempts_free = decision->attempts_free > 0;
    to->attempts_free = decision->attempts_free;
    to->has_attempts_left = true;
    to->attempts_left = decision->attempts_left;
    to->has_policy_version = true;
    to->policy_version = decision->policy_version;
    to->has_tokens_milli = decision->tokens_milli >= 0;
    to->tokens_milli = decision->tokens_milli;
    to->has_tokens_max_milli = decision->tokens_max_milli > 0;
    to->tokens_max_milli = decision->tokens_max_milli;
    to->has_budget_milli = decision->budget_milli >= 0;
    to->budget_milli = decision->budget_milli;
    to->has_until_wall_ms = decision->until_wall_ms > 0;
    to->until_wall_ms = decision->until_wall_ms;
    if (decision->clamp != CLAMP_NONE) {
        to->clamp = unconst(clamp_name(decision->clamp));
    }
    put_delay(decision, to);
}

static void
put_names(const struct record *record, struct scratch *scratch,
          Redial__V1__Event *event)
{
    event->job_id = scratch_id(scratch, record->job);
    event->correlation_id = record->correlation.len > 0
                                ? scratch_text(scratch, record->correlation)
                                : event->job_id;
    event->service = scratch_text(scratch, record->service);
    event->method = scratch_text(scratch, record->method);
    event->key = scratch_text(scratch, record->key);
    event->traceparent = scratch_text(scratch, record->traceparent);
}

static void
put_attempt(const struct record *record, Redial__V1__Event *event)
{
    event->has_attempt = true;
    event->attempt = record->attempt;
    event->has_fence = true;
    event->fence = record->fence;
    event->has_charged = record->charged;
    event->charged = record->charged;
    event->has_hedge = record->hedge;
    event->hedge = record->hedge;
    event->has_timeout_ms = record->timeout_ms > 0;
    event->timeout_ms = record->timeout_ms;
    event->has_pushback_ms = record->has_pushback;
    event->pushback_ms = record->pushback_ms;
    event->has_for_target = record->for_target;
    event->for_target = record->for_target;
    event->has_overloaded = record->overloaded;
    event->overloaded = record->overloaded;
}

/* What the agent asked for: on acceptance. */
static void
put_wishes(const struct record *record, Redial__V1__Event *event)
{
    event->has_priority = true;
    event->priority = record->priority;
    event->has_idempotent = record->idempotency != IDEMPOTENCY_UNSET;
    event->idempotent = (Redial__V1__Idempotency)record->idempotency;
    event->has_not_before_ms = record->not_before_ms > 0;
    event->not_before_ms = record->not_before_ms;
    event->has_deadline_ms = record->deadline_ms > 0;
    event->deadline_ms = record->deadline_ms;
    event->has_queue_ttl_ms = record->queue_ttl_ms > 0;
    event->queue_ttl_ms = record->queue_ttl_ms;
    event->has_max_attempts = record->max_attempts > 0;
    event->max_attempts = record->max_attempts;
    event->has_attempt_timeout_ms = record->attempt_timeout_ms > 0;
    event->attempt_timeout_ms = record->attempt_timeout_ms;
    event->has_payload_bytes = true;
    event->payload_bytes = record->payload_bytes;
}

/* What a target has left; nothing was decided about a job. -1: it has none. */
static void
put_left(const struct decision *left, Redial__V1__Decision *to)
{
    redial__v1__decision__init(to);
    to->has_tokens_milli = left->tokens_milli >= 0;
    to->tokens_milli = left->tokens_milli;
    to->has_tokens_max_milli = left->tokens_max_milli > 0;
    to->tokens_max_milli = left->tokens_max_milli;
    to->has_budget_milli = left->budget_milli >= 0;
    to->budget_milli = left->budget_milli;
    to->has_policy_version = true;
    to->policy_version = left->policy_version;
}

void
codec_put_event(struct bytes *out, uint32_t field,
                const struct codec_source *source, const struct record *record,
                struct scratch *scratch)
{
    Redial__V1__Event event = REDIAL__V1__EVENT__INIT;
    Redial__V1__Decision decision;

    scratch_clear(scratch);
    event.has_schema = true;
    event.schema = 1;
    event.epoch = unconst(source->epoch);
    event.gateway = unconst(source->gateway);
    event.has_seq = true;
    event.seq = record->seq;
    event.has_wall_ms = true;
    event.wall_ms = record->wall_ms;
    event.type = unconst(event_type_name(record->type));
    event.text = scratch_text(scratch, record->text);
    event.reason = scratch_text(scratch, record->reason);
    event.worker = scratch_text(scratch, record->worker);
    event.tenant = scratch_text(scratch, record->tenant);
    event.target = scratch_text(scratch, record->target);
    if (record->job_seq > 0) {
        event.has_job_seq = true;
        event.job_seq = record->job_seq;
        event.has_since_accepted_ms = true;
        event.since_accepted_ms = record->since_accepted_ms;
        put_names(record, scratch, &event);
    }
    if (record->attempt > 0) {
        put_attempt(record, &event);
    }
    if (record->type == EVENT_JOB_ACCEPTED) {
        put_wishes(record, &event);
    }
    if (record->reason.len > 0 || record->code != REDIAL_OK ||
        record->type == EVENT_ATTEMPT_SUCCEEDED) {
        event.has_code = true;
        event.code = (Redial__V1__Code)record->code;
    }
    if (record->decision.rule != RULE_NONE) {
        codec_decision(&record->decision, &decision);
        event.decision = &decision;
    } else if (record->type == EVENT_BUDGET_EXHAUSTED ||
               record->type == EVENT_BUDGET_RECOVERED) {
        put_left(&record->decision, &decision);
        event.decision = &decision;
    }
    codec_put(out, field, &event.base);
}
