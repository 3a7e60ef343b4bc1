/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/limits.h"
#include "proto/name.h"
#include "server/net/codec.h"
#include "server/net/json_check.h"

#include <inttypes.h>
#include <string.h>

/* ---- Submit ------------------------------------------------------------ */

void
codec_limits_default(struct codec_limits *ret_limits)
{
    *ret_limits = (struct codec_limits){
        .payload_bytes_max = WIRE_PAYLOAD_BYTES_MAX,
        .result_bytes_max = WIRE_RESULT_BYTES_MAX,
        .text_bytes_max = WIRE_TEXT_BYTES_MAX,
        .metadata_bytes_max = WIRE_METADATA_BYTES_MAX,
        .metadata_max = WIRE_METADATA_MAX,
        .name_bytes_max = WIRE_NAME_BYTES_MAX,
        .service_bytes_max = WIRE_SERVICE_BYTES_MAX,
        .method_bytes_max = WIRE_METHOD_BYTES_MAX,
    };
}

static enum redial_status
refuse(struct wire_error *error, const char *field, const char *problem)
{
    return wire_error_set(error, REDIAL_INVALID_ARGUMENT, "%s %s", field,
                          problem);
}

/* A name that may be absent, which is the same as empty. */
struct name_field {
    const char *field;
    enum wire_name kind;
    bool required;
    uint32_t bytes_max;
};

static enum redial_status
take_name(const struct name_field *rule, const char *value,
          struct text *ret_text, struct wire_error *error)
{
    const char *problem;

    *ret_text = text_of(value);
    if (ret_text->len == 0) {
        return rule->required ? refuse(error, rule->field, "is missing")
                              : REDIAL_OK;
    }
    problem = wire_name_check(rule->kind, value);
    if (problem != NULL) {
        return refuse(error, rule->field, problem);
    }
    if (ret_text->len > rule->bytes_max) {
        return wire_error_set(error, REDIAL_INVALID_ARGUMENT,
                              "%s has %" PRIu32 " bytes; at most %" PRIu32
                              " are allowed",
                              rule->field, ret_text->len, rule->bytes_max);
    }
    return REDIAL_OK;
}

static enum redial_status
take_names(const Redial__V1__JobSpec *spec, const struct codec_limits *limits,
           struct engine_submit *ret, struct wire_error *error)
{
    const struct {
        struct name_field rule;
        const char *value;
        struct text *to;
    } names[] = {
        {{"service", WIRE_NAME_SERVICE, true, limits->service_bytes_max},
         spec->service,
         &ret->service},
        {{"method", WIRE_NAME_METHOD, true, limits->method_bytes_max},
         spec->method,
         &ret->method},
        {{"key", WIRE_NAME_WORD, false, limits->name_bytes_max},
         spec->key,
         &ret->key},
        {{"correlation_id", WIRE_NAME_WORD, false, limits->name_bytes_max},
         spec->correlation_id,
         &ret->correlation},
        {{"tenant", WIRE_NAME_WORD, false, limits->name_bytes_max},
         spec->tenant,
         &ret->tenant},
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        enum redial_status status = take_name(&names[i].rule, names[i].value,
                                              names[i].to, error);

        if (status != REDIAL_OK) {
            return status;
        }
    }
    return REDIAL_OK;
}

static enum redial_status
take_metadata(const Redial__V1__JobSpec *spec,
              const struct codec_limits *limits, struct engine_submit *ret,
              struct wire_error *error)
{
    size_t total = 0;

    if (spec->n_metadata > limits->metadata_max) {
        return wire_error_set(error, REDIAL_INVALID_ARGUMENT,
                              "metadata has %zu entries; at most %" PRIu32
                              " are allowed",
                              spec->n_metadata, limits->metadata_max);
    }
    for (size_t i = 0; i < spec->n_metadata; i++) {
        const Redial__V1__Metadata *pair = spec->metadata[i];

        if (pair->key == NULL || pair->key[0] == '\0') {
            return refuse(error, "metadata.key", "is missing");
        }
        total += strlen(pair->key) + pair->value.len;
        if (strcmp(pair->key, "traceparent") == 0 &&
            pair->value.len <= WIRE_NAME_BYTES_MAX) {
            ret->traceparent = (struct text){(const char *)pair->value.data,
                                             (uint32_t)pair->value.len};
        }
    }
    if (total > limits->metadata_bytes_max) {
        return wire_error_set(error, REDIAL_INVALID_ARGUMENT,
                              "metadata has %zu bytes; at most %zu are "
                              "allowed",
                              total, limits->metadata_bytes_max);
    }
    return REDIAL_OK;
}

/* The place is told as people count: from 1. */
static enum redial_status
check_json(const char *json, struct wire_error *error)
{
    size_t at = 0;
    const char *problem = json_check(json, strlen(json), &at);

    return problem == NULL
               ? REDIAL_OK
               : wire_error_set(error, REDIAL_INVALID_ARGUMENT,
                                "payload_json is not JSON: at byte %zu: %s",
                                at + 1, problem);
}

static enum redial_status
take_content(const Redial__V1__JobSpec *spec, const struct codec_limits *limits,
             struct engine_submit *ret, struct wire_error *error)
{
    size_t payload = spec->payload.len;
    int given = (spec->has_payload ? 1 : 0) +
                (spec->payload_text != NULL ? 1 : 0) +
                (spec->payload_json != NULL ? 1 : 0);

    if (given > 1) {
        return refuse(error, "payload",
                      "stands beside payload_text or payload_json: give one");
    }
    if (spec->payload_text != NULL) {
        payload = strlen(spec->payload_text);
    }
    if (spec->payload_json != NULL) {
        payload = strlen(spec->payload_json);
    }
    if (payload > limits->payload_bytes_max) {
        return wire_error_set(error, REDIAL_INVALID_ARGUMENT,
                              "payload has %zu bytes; at most %zu are "
                              "allowed",
                              payload, limits->payload_bytes_max);
    }
    if (spec->content_type != NULL &&
        strlen(spec->content_type) > WIRE_CONTENT_TYPE_BYTES_MAX) {
        return refuse(error, "content_type", "is longer than 128 bytes");
    }
    if (spec->payload_json != NULL &&
        check_json(spec->payload_json, error) != REDIAL_OK) {
        return REDIAL_INVALID_ARGUMENT;
    }
    ret->payload_bytes = payload;
    return take_metadata(spec, limits, ret, error);
}

static enum redial_status
take_numbers(const Redial__V1__JobSpec *spec, struct engine_submit *ret,
             struct wire_error *error)
{
    const uint64_t year_ms = UINT64_C(366) * 24 * 3600 * 1000;

    if (spec->priority > 9) {
        return wire_error_set(error, REDIAL_INVALID_ARGUMENT,
                              "priority is %" PRIu32 "; 0 to 9 are allowed",
                              spec->priority);
    }
    if (spec->not_before_ms > year_ms || spec->deadline_ms > year_ms ||
        spec->queue_ttl_ms > year_ms || spec->attempt_timeout_ms > year_ms) {
        return refuse(error,
                      spec->not_before_ms > year_ms  ? "not_before_ms"
                      : spec->deadline_ms > year_ms  ? "deadline_ms"
                      : spec->queue_ttl_ms > year_ms ? "queue_ttl_ms"
                                                     : "attempt_timeout_ms",
                      "is more than a year (31622400000)");
    }
    if (spec->idempotent < 0 ||
        spec->idempotent > REDIAL__V1__IDEMPOTENCY__NOT_IDEMPOTENT) {
        return refuse(error, "idempotent", "is not one of its three values");
    }
    ret->priority = spec->priority;
    ret->idempotency = (enum idempotency)spec->idempotent;
    ret->not_before_ms = spec->not_before_ms;
    ret->deadline_ms = spec->deadline_ms;
    ret->queue_ttl_ms = spec->queue_ttl_ms;
    ret->max_attempts = spec->max_attempts;
    ret->attempt_timeout_ms = spec->attempt_timeout_ms;
    return REDIAL_OK;
}

void
codec_key_hash(const struct codec_hash_keys *keys, struct text tenant,
               struct text key, uint8_t ret_hash[16])
{
    struct hash hash;

    hash_begin(&hash, &keys->key);
    hash_add_field(&hash, tenant.at, tenant.len);
    hash_add_field(&hash, key.at, key.len);
    hash_end(&hash, ret_hash);
}

/* Service, method, content type and payload: what a key stands for. */
static void
hash_content(const struct codec_hash_keys *keys,
             const Redial__V1__JobSpec *spec, const struct engine_submit *job,
             uint8_t ret_hash[16])
{
    struct hash hash;
    struct text type = text_of(spec->content_type);

    hash_begin(&hash, &keys->content);
    hash_add_field(&hash, job->service.at, job->service.len);
    hash_add_field(&hash, job->method.at, job->method.len);
    hash_add_field(&hash, type.at, type.len);
    hash_add_field(&hash, spec->payload.data, spec->payload.len);
    if (spec->payload_text != NULL) {
        hash_add_field(&hash, spec->payload_text, strlen(spec->payload_text));
    }
    if (spec->payload_json != NULL) {
        hash_add_field(&hash, spec->payload_json, strlen(spec->payload_json));
    }
    hash_end(&hash, ret_hash);
}

enum redial_status
codec_submit(const Redial__V1__JobSpec *spec, const struct codec_rules *rules,
             struct engine_submit *ret, bool *ret_has_id,
             struct wire_error *ret_error)
{
    struct engine_submit job = {.priority = 0};
    enum redial_status status;
    bool has_id = spec->id != NULL && spec->id[0] != '\0';

    if (has_id && !codec_id(spec->id, &job.id)) {
        return refuse(ret_error, "id", "is not a UUID");
    }
    status = take_names(spec, &rules->limits, &job, ret_error);
    if (status == REDIAL_OK) {
        status = take_numbers(spec, &job, ret_error);
    }
    if (status == REDIAL_OK) {
        status = take_content(spec, &rules->limits, &job, ret_error);
    }
    if (status != REDIAL_OK) {
        return status;
    }
    if (job.key.len > 0) {
        codec_key_hash(&rules->hash_keys, job.tenant, job.key, job.key_hash);
        hash_content(&rules->hash_keys, spec, &job, job.content_hash);
    }
    *ret = job;
    *ret_has_id = has_id;
    return REDIAL_OK;
}

/* ---- Job --------------------------------------------------------------- */

void
codec_job_of_view(const struct job_view *view, struct scratch *scratch,
                  Redial__V1__Job *ret_job, Redial__V1__Outcome *ret_failure)
{
    Redial__V1__Job *job = ret_job;

    redial__v1__job__init(job);
    job->id = scratch_id(scratch, view->id);
    job->key = scratch_text(scratch, view->key);
    job->correlation_id = view->correlation.len > 0
                              ? scratch_text(scratch, view->correlation)
                              : job->id;
    job->service = scratch_text(scratch, view->service);
    job->method = scratch_text(scratch, view->method);
    job->tenant = scratch_text(scratch, view->tenant);
    job->has_priority = true;
    job->priority = view->priority;
    job->has_state = true;
    job->state = codec_state(view->shown);
    job->has_accepted_wall_ms = true;
    job->accepted_wall_ms = view->accepted_wall_ms;
    job->has_state_since_wall_ms = true;
    job->state_since_wall_ms = view->state_wall_ms;
    job->has_next_wall_ms = view->until_wall_ms > 0;
    job->next_wall_ms = view->until_wall_ms;
    job->has_deadline_wall_ms = view->deadline_wall_ms > 0;
    job->deadline_wall_ms = view->deadline_wall_ms;
    job->has_attempts_charged = true;
    job->attempts_charged = view->attempts_charged;
    job->has_attempts_free = view->attempts_free > 0;
    job->attempts_free = view->attempts_free;
    job->has_max_attempts = true;
    job->max_attempts = view->max_attempts;
    job->has_job_seq = true;
    job->job_seq = view->job_seq;
    job->has_payload_bytes = true;
    job->payload_bytes = view->payload_bytes;
    if (view->last_code != REDIAL_OK) {
        redial__v1__outcome__init(ret_failure);
        ret_failure->has_code = true;
        ret_failure->code = (Redial__V1__Code)view->last_code;
        ret_failure->reason = scratch_text(scratch, view->last_reason);
        ret_failure->text = scratch_text(scratch, view->last_text);
        job->last_failure = ret_failure;
    }
}

enum job_state
codec_final_state(enum event_type type)
{
    if (type == EVENT_JOB_SUCCEEDED) {
        return JOB_SUCCEEDED;
    }
    if (type == EVENT_JOB_CANCELLED) {
        return JOB_CANCELLED;
    }
    return type == EVENT_JOB_EXPIRED ? JOB_EXPIRED : JOB_FAILED;
}

void
codec_job_of_final(const struct record *final, struct scratch *scratch,
                   Redial__V1__Job *ret_job, Redial__V1__Outcome *ret_outcome)
{
    Redial__V1__Job *job = ret_job;
    Redial__V1__Outcome *outcome = ret_outcome;
    struct content result;

    redial__v1__job__init(job);
    job->id = scratch_id(scratch, final->job);
    job->key = scratch_text(scratch, final->key);
    job->correlation_id = final->correlation.len > 0
                              ? scratch_text(scratch, final->correlation)
                              : job->id;
    job->service = scratch_text(scratch, final->service);
    job->method = scratch_text(scratch, final->method);
    job->tenant = scratch_text(scratch, final->tenant);
    job->has_state = true;
    job->state = codec_state(codec_final_state(final->type));
    job->has_accepted_wall_ms = true;
    job->accepted_wall_ms = final->wall_ms - (int64_t) final->since_accepted_ms;
    job->has_state_since_wall_ms = true;
    job->state_since_wall_ms = final->wall_ms;
    job->has_attempts_charged = true;
    job->attempts_charged = final->decision.attempts_charged;
    job->has_attempts_free = final->decision.attempts_free > 0;
    job->attempts_free = final->decision.attempts_free;
    job->has_job_seq = true;
    job->job_seq = final->job_seq;
    redial__v1__outcome__init(outcome);
    outcome->has_code = true;
    outcome->code = (Redial__V1__Code) final->code;
    outcome->reason = scratch_text(scratch, final->reason);
    outcome->text = scratch_text(scratch, final->text);
    if (final->attached.len > 0 &&
        content_read((const uint8_t *) final->attached.at, final->attached.len,
                     &result)) {
        outcome->has_result = true;
        outcome->result.data = (uint8_t *)(uintptr_t)result.payload;
        outcome->result.len = result.payload_bytes;
        if (result.content_type[0] != '\0') {
            outcome->content_type = unconst(result.content_type);
        }
    }
    job->outcome = outcome;
}

void
codec_put_live_job(struct bytes *out, uint32_t field,
                   const struct job_view *view, struct scratch *scratch)
{
    Redial__V1__Job job;
    Redial__V1__Outcome failure;
    Redial__V1__Decision decision;

    scratch_clear(scratch);
    codec_job_of_view(view, scratch, &job, &failure);
    if (view->decision.rule != RULE_NONE) {
        codec_decision(&view->decision, &decision);
        job.decision = &decision;
    }
    codec_put(out, field, &job.base);
}

void
codec_put_final_job(struct bytes *out, uint32_t field,
                    const struct record *final, struct scratch *scratch)
{
    Redial__V1__Job job;
    Redial__V1__Outcome outcome;
    Redial__V1__Decision decision;

    scratch_clear(scratch);
    codec_job_of_final(final, scratch, &job, &outcome);
    if (final->decision.rule != RULE_NONE) {
        codec_decision(&final->decision, &decision);
        job.decision = &decision;
    }
    codec_put(out, field, &job.base);
}
