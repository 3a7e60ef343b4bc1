/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/limits.h"
#include "proto/name.h"
#include "server/net/codec.h"

#include <string.h>

static enum redial_status
refuse(struct wire_error *error, const char *field, const char *problem)
{
    return wire_error_set(error, REDIAL_INVALID_ARGUMENT, "%s %s", field,
                          problem);
}

static enum redial_status
take_token(const Redial__V1__Token *token, struct engine_token *ret,
           struct wire_error *error)
{
    if (token == NULL) {
        return refuse(error, "token", "is missing");
    }
    if (!codec_id(token->job_id, &ret->job)) {
        return refuse(error, "token.job_id", "is not a UUID");
    }
    ret->attempt = token->attempt;
    ret->fence = token->fence;
    return REDIAL_OK;
}

static enum redial_status
take_tokens(Redial__V1__Token *const *tokens, size_t count,
            struct engine_token *ret, struct wire_error *error)
{
    for (size_t i = 0; i < count; i++) {
        enum redial_status status = take_token(tokens[i], &ret[i], error);

        if (status != REDIAL_OK) {
            return status;
        }
    }
    return REDIAL_OK;
}

static enum redial_status
take_slots(const char *service, const char *method, uint32_t count,
           struct engine_slots *ret, struct wire_error *error)
{
    const char *problem = wire_name_check(WIRE_NAME_SERVICE, service);

    if (problem != NULL) {
        return refuse(error, "service", problem);
    }
    if (method != NULL && method[0] != '\0') {
        problem = wire_name_check(WIRE_NAME_METHOD, method);
        if (problem != NULL) {
            return refuse(error, "method", problem);
        }
    }
    ret->service = text_of(service);
    ret->method = text_of(method);
    ret->count = count;
    return REDIAL_OK;
}

enum redial_status
codec_hello(const Redial__V1__HelloRequest *request, struct engine_slots *slots,
            struct engine_token *tokens, struct engine_hello *ret,
            struct wire_error *ret_error)
{
    const char *problem = wire_name_check(WIRE_NAME_WORD, request->name);
    enum redial_status status;

    if (problem != NULL) {
        return refuse(ret_error, "name", problem);
    }
    problem = wire_name_check(WIRE_NAME_WORD, request->instance);
    if (problem != NULL) {
        return refuse(ret_error, "instance", problem);
    }
    if (request->n_methods == 0) {
        return refuse(ret_error, "methods", "is empty: offer at least one");
    }
    for (size_t i = 0; i < request->n_methods; i++) {
        const Redial__V1__MethodSlots *method = request->methods[i];

        status = take_slots(method->service, method->method,
                            method->concurrency, &slots[i], ret_error);
        if (status != REDIAL_OK) {
            return status;
        }
    }
    status = take_tokens(request->in_hand, request->n_in_hand, tokens,
                         ret_error);
    if (status != REDIAL_OK) {
        return status;
    }
    *ret = (struct engine_hello){
        .name = text_of(request->name),
        .instance = text_of(request->instance),
        .methods = slots,
        .method_count = request->n_methods,
        .concurrency = request->concurrency,
        .in_hand = tokens,
        .in_hand_count = request->n_in_hand,
    };
    return REDIAL_OK;
}

enum redial_status
codec_poll(const Redial__V1__PollRequest *request, struct engine_slots *slots,
           struct engine_token *tokens, struct engine_poll *ret,
           struct wire_error *ret_error)
{
    enum redial_status status;

    for (size_t i = 0; i < request->n_credits; i++) {
        const Redial__V1__MethodCredit *credit = request->credits[i];

        status = take_slots(credit->service, credit->method, credit->free,
                            &slots[i], ret_error);
        if (status != REDIAL_OK) {
            return status;
        }
    }
    status = take_tokens(request->acks, request->n_acks, tokens, ret_error);
    if (status != REDIAL_OK) {
        return status;
    }
    *ret = (struct engine_poll){
        .worker = request->worker_id,
        .free_total = request->free_total,
        .credits = slots,
        .credit_count = request->n_credits,
        .acks = tokens,
        .ack_count = request->n_acks,
    };
    return REDIAL_OK;
}

static enum redial_status
take_outcome(const Redial__V1__Outcome *outcome,
             const struct codec_limits *limits, struct engine_report *ret,
             struct wire_error *error)
{
    ret->reason = text_of(outcome->reason);
    ret->text = text_of(outcome->text);
    ret->has_pushback = outcome->has_pushback_ms;
    ret->pushback_ms = outcome->pushback_ms;
    ret->for_target = outcome->has_pushback_ms && outcome->for_target;
    ret->result_bytes = outcome->result.len;
    if ((unsigned)outcome->code >= REDIAL_STATUS_COUNT) {
        return refuse(error, "outcome.code", "is not a status code (0 to 16)");
    }
    ret->code = (enum redial_status)outcome->code;
    if (ret->reason.len > 0) {
        const char *problem = wire_name_check(WIRE_NAME_WORD, outcome->reason);

        if (problem != NULL) {
            return refuse(error, "outcome.reason", problem);
        }
    }
    if (ret->result_bytes > limits->result_bytes_max) {
        return wire_error_set(error, REDIAL_INVALID_ARGUMENT,
                              "outcome.result has %zu bytes; at most %zu are "
                              "allowed",
                              outcome->result.len, limits->result_bytes_max);
    }
    if (ret->text.len > limits->text_bytes_max) {
        ret->text.len = (uint32_t)wire_utf8_cut(ret->text.at, ret->text.len,
                                                limits->text_bytes_max);
    }
    return REDIAL_OK;
}

enum redial_status
codec_report(const Redial__V1__AttemptReport *report, uint64_t worker,
             const struct codec_limits *limits, struct engine_report *ret,
             struct wire_error *ret_error)
{
    struct engine_report made = {.worker = worker};
    enum redial_status status;

    status = take_token(report->token, &made.token, ret_error);
    if (status != REDIAL_OK) {
        return status;
    }
    made.overloaded = report->overloaded;
    made.kind = REPORT_PROGRESS;
    made.text = text_of(report->progress);
    if (report->outcome != NULL) {
        made.kind = REPORT_OUTCOME;
        status = take_outcome(report->outcome, limits, &made, ret_error);
    }
    /* With an outcome as well: that says why. */
    if (report->not_started) {
        made.kind = REPORT_NOT_STARTED;
    }
    if (status != REDIAL_OK) {
        return status;
    }
    *ret = made;
    return REDIAL_OK;
}

static void
fill_token(const struct engine_token *token, struct scratch *scratch,
           Redial__V1__Token *ret)
{
    redial__v1__token__init(ret);
    ret->job_id = scratch_id(scratch, token->job);
    ret->has_attempt = true;
    ret->attempt = token->attempt;
    ret->has_fence = true;
    ret->fence = token->fence;
}

void
codec_put_token(struct bytes *out, uint32_t field,
                const struct engine_token *token)
{
    struct scratch scratch;
    Redial__V1__Token message;

    scratch_clear(&scratch);
    fill_token(token, &scratch, &message);
    codec_put(out, field, &message.base);
}

void
codec_put_assignment(struct bytes *out, uint32_t field,
                     const struct engine_command *command,
                     const struct job_view *view, const struct content *content)
{
    struct scratch scratch;
    Redial__V1__Token token;
    Redial__V1__Assignment message = REDIAL__V1__ASSIGNMENT__INIT;
    Redial__V1__Metadata pairs[WIRE_METADATA_MAX];
    Redial__V1__Metadata *list[WIRE_METADATA_MAX];
    const uint8_t *at = content->metadata;

    scratch_clear(&scratch);
    fill_token(&command->token, &scratch, &token);
    message.token = &token;
    message.service = scratch_text(&scratch, view->service);
    message.method = scratch_text(&scratch, view->method);
    message.correlation_id = view->correlation.len > 0
                                 ? scratch_text(&scratch, view->correlation)
                                 : token.job_id;
    message.key = scratch_text(&scratch, view->key);
    message.tenant = scratch_text(&scratch, view->tenant);
    message.has_payload = true;
    message.payload.data = (uint8_t *)(uintptr_t)content->payload;
    message.payload.len = content->payload_bytes;
    if (content->content_type[0] != '\0') {
        message.content_type = unconst(content->content_type);
    }
    for (uint32_t i = 0; i < content->metadata_count; i++) {
        content_metadata(&at, &pairs[i]);
        list[i] = &pairs[i];
    }
    message.metadata = list;
    message.n_metadata = content->metadata_count;
    message.has_timeout_ms = true;
    message.timeout_ms = command->timeout_ms;
    message.has_remaining_ms = command->remaining_ms > 0;
    message.remaining_ms = command->remaining_ms;
    message.has_charged_before = true;
    message.charged_before = command->charged_before;
    message.has_idempotent = view->idempotency != IDEMPOTENCY_UNSET;
    message.idempotent = (Redial__V1__Idempotency)view->idempotency;
    codec_put(out, field, &message.base);
}
