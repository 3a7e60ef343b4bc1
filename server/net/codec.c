/* SPDX-License-Identifier: Apache-2.0 */
#include "server/net/codec.h"

#include "proto/name.h"

#include <string.h>

void
scratch_clear(struct scratch *scratch)
{
    scratch->used = 0;
}

char *
scratch_text(struct scratch *scratch, struct text text)
{
    size_t left = SCRATCH_BYTES - scratch->used;
    size_t len = text.len;
    char *copy = scratch->at + scratch->used;

    if (len == 0 || left < 2) {
        return NULL;
    }
    if (len > left - 1) {
        len = wire_utf8_cut(text.at, len, left - 1);
    }
    memcpy(copy, text.at, len);
    copy[len] = '\0';
    scratch->used += len + 1;
    return copy;
}

char *
scratch_id(struct scratch *scratch, struct job_id id)
{
    struct wire_uuid uuid;
    char buf[WIRE_UUID_TEXT_LEN + 1];

    memcpy(uuid.bytes, id.bytes, sizeof(uuid.bytes));
    wire_uuid_format(&uuid, buf);
    return scratch_text(scratch, (struct text){buf, WIRE_UUID_TEXT_LEN});
}

struct text
text_of(const char *string)
{
    if (string == NULL) {
        return (struct text){NULL, 0};
    }
    return (struct text){string, (uint32_t)strlen(string)};
}

bool
codec_id(const char *string, struct job_id *ret_id)
{
    struct wire_uuid uuid;

    if (string == NULL || !wire_uuid_parse(string, strlen(string), &uuid)) {
        return false;
    }
    memcpy(ret_id->bytes, uuid.bytes, sizeof(ret_id->bytes));
    return true;
}

void
codec_put_joined(struct bytes *out, uint32_t field,
                 const ProtobufCMessage *message, struct text extra)
{
    size_t len = protobuf_c_message_get_packed_size(message);
    uint8_t *at;

    /* Wire type 2: length-delimited. */
    bytes_append_varint(out, (uint64_t)field << 3 | 2);
    bytes_append_varint(out, len + extra.len);
    at = bytes_reserve(out, len);
    if (at != NULL) {
        bytes_commit(out, protobuf_c_message_pack(message, at));
    }
    bytes_append(out, extra.at, extra.len);
}

void
codec_put(struct bytes *out, uint32_t field, const ProtobufCMessage *message)
{
    codec_put_joined(out, field, message, (struct text){NULL, 0});
}

Redial__V1__Job__State
codec_state(enum job_state state)
{
    return (Redial__V1__Job__State)state;
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
    to->has_until_wall_ms = decision->until_wall_ms > 0;
    to->until_wall_ms = decision->until_wall_ms;
    if (decision->clamp != CLAMP_NONE) {
        to->clamp = unconst(clamp_name(decision->clamp));
    }
}

void
codec_put_event(struct bytes *out, uint32_t field,
                const struct codec_source *source, const struct record *record,
                struct scratch *scratch)
{
    Redial__V1__Event event = REDIAL__V1__EVENT__INIT;
    Redial__V1__Decision decision;
    bool about_job = record->job_seq > 0;

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
    if (about_job) {
        event.has_job_seq = true;
        event.job_seq = record->job_seq;
        event.has_since_accepted_ms = true;
        event.since_accepted_ms = record->since_accepted_ms;
        event.job_id = scratch_id(scratch, record->job);
        event.correlation_id = record->correlation.len > 0
                                   ? scratch_text(scratch, record->correlation)
                                   : event.job_id;
        event.service = scratch_text(scratch, record->service);
        event.method = scratch_text(scratch, record->method);
        event.key = scratch_text(scratch, record->key);
        event.traceparent = scratch_text(scratch, record->traceparent);
    }
    if (record->attempt > 0) {
        event.has_attempt = true;
        event.attempt = record->attempt;
        event.has_fence = true;
        event.fence = record->fence;
        event.has_charged = record->charged;
        event.charged = record->charged;
    }
    if (record->reason.len > 0 || record->code != REDIAL_OK ||
        record->type == EVENT_ATTEMPT_SUCCEEDED) {
        event.has_code = true;
        event.code = (Redial__V1__Code)record->code;
    }
    if (record->decision.rule != RULE_NONE) {
        codec_decision(&record->decision, &decision);
        event.decision = &decision;
    }
    codec_put(out, field, &event.base);
}
