/* SPDX-License-Identifier: Apache-2.0 */
/* Events as their subscribers got them, back to records: for replays. */
#include "server/net/codec_read_events.h"

#include <string.h>

/* A rule that this version does not know counts as none. */
static enum rule
rule_from_name(const char *name)
{
    static const enum rule rules[] = {
#define RULE(name, number, sentence) RULE_##name,
#include "server/core/rule.def"
#undef RULE
    };

    for (size_t i = 0; name != NULL && i < sizeof(rules) / sizeof(rules[0]);
         i++) {
        if (strcmp(rule_name(rules[i]), name) == 0) {
            return rules[i];
        }
    }
    return RULE_NONE;
}

static void
read_names(const Redial__V1__Event *event, struct record *record)
{
    record->correlation = text_of(event->correlation_id);
    record->tenant = text_of(event->tenant);
    record->service = text_of(event->service);
    record->method = text_of(event->method);
    record->worker = text_of(event->worker);
    record->reason = text_of(event->reason);
    record->text = text_of(event->text);
    record->target = text_of(event->target);
}

static void
read_attempt(const Redial__V1__Event *event, struct record *record)
{
    record->attempt = event->attempt;
    record->fence = event->fence;
    record->code = (enum redial_status)event->code;
    record->charged = event->has_charged && event->charged;
    record->has_pushback = event->has_pushback_ms;
    record->pushback_ms = event->pushback_ms;
    record->for_target = event->for_target;
    record->overloaded = event->overloaded;
    record->hedge = event->hedge;
    record->timeout_ms = event->timeout_ms;
}

static void
read_accepted(const Redial__V1__Event *event, struct record *record)
{
    record->priority = event->has_priority ? event->priority : 5;
    record->idempotency = (enum idempotency)event->idempotent;
    record->not_before_ms = event->not_before_ms;
    record->deadline_ms = event->deadline_ms;
    record->queue_ttl_ms = event->queue_ttl_ms;
    record->max_attempts = event->max_attempts;
    record->attempt_timeout_ms = event->attempt_timeout_ms;
    record->payload_bytes = event->payload_bytes;
}

/* False: it has no type that is known, or no usable id; to be ignored. */
static bool
read_event(const Redial__V1__Event *event, struct record *record)
{
    struct text type = text_of(event->type);

    if (!event_type_from_name(type, &record->type) ||
        (uint32_t)event->code >= REDIAL_STATUS_COUNT ||
        (uint32_t)event->idempotent > IDEMPOTENCY_NO) {
        return false;
    }
    if (event_type_is_about_job(record->type) &&
        !codec_id(event->job_id, &record->job)) {
        return false;
    }
    record->seq = event->seq;
    record->job_seq = event->job_seq;
    record->wall_ms = event->wall_ms;
    record->since_accepted_ms = event->since_accepted_ms;
    read_names(event, record);
    read_attempt(event, record);
    if (record->type == EVENT_JOB_ACCEPTED) {
        read_accepted(event, record);
    }
    if (event->decision != NULL) {
        record->decision.rule = rule_from_name(event->decision->rule);
        record->decision.delay_ms = event->decision->delay_ms;
        record->decision.policy_version = event->decision->policy_version;
    }
    return true;
}

enum redial_status
codec_read_events(struct text frame, struct wire_arena *arena,
                  const struct codec_event_reader *reader,
                  struct wire_error *ret_error)
{
    wire_arena_reset(arena, wire_arena_budget(frame.len));
    const Redial__V1__WatchResponse *response =
        (const Redial__V1__WatchResponse *)wire_unpack(
            &redial__v1__watch_response__descriptor, (const uint8_t *)frame.at,
            frame.len, arena, ret_error);

    if (response == NULL) {
        return ret_error->status;
    }
    if (response->gap != NULL) {
        reader->gap(reader->ctx);
    }
    for (size_t i = 0; i < response->n_events; i++) {
        struct record record = {0};

        if (read_event(response->events[i], &record) &&
            !reader->event(reader->ctx, &record)) {
            return wire_error_set(ret_error, REDIAL_RESOURCE_EXHAUSTED,
                                  "out of memory");
        }
    }
    return REDIAL_OK;
}
