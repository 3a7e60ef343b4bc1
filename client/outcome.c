/* SPDX-License-Identifier: Apache-2.0 */
#include "client/crew.h"
#include "client/error.h"
#include "client/info.h"
#include "client/job.h"
#include "proto/limits.h"
#include "proto/name.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
redial_i_token_fill(const redial_attempt *attempt, Redial__V1__Token *token)
{
    redial__v1__token__init(token);
    token->job_id = redial_i_unconst(attempt->work.job_id);
    token->has_attempt = true;
    token->attempt = attempt->work.attempt;
    token->has_fence = true;
    token->fence = attempt->work.fence;
}

/* Texts come from programs: one bad byte must not spoil the whole message. */
static char *
clean_text(char *to, size_t size, const char *from)
{
    size_t len;

    if (from == NULL) {
        return NULL;
    }
    len = strnlen(from, size);
    if (!wire_utf8_is_valid((const uint8_t *)from, strlen(from))) {
        len = len < size ? len : size - 1;
        for (size_t i = 0; i < len; i++) {
            to[i] = (unsigned char)from[i] < 0x80 ? from[i] : '?';
        }
        to[len] = '\0';
        return to;
    }
    redial_i_copy_text(to, size, from, strlen(from));
    return to;
}

static bool
pack_report(const Redial__V1__AttemptReport *report, uint8_t **ret_report,
            size_t *ret_bytes)
{
    size_t len = redial__v1__attempt_report__get_packed_size(report);
    uint8_t *bytes = malloc(len + 1);

    if (bytes == NULL) {
        return false;
    }
    (void)redial__v1__attempt_report__pack(report, bytes);
    *ret_report = bytes;
    *ret_bytes = len;
    return true;
}

static bool
pack_checked(const redial_attempt *attempt,
             const struct redial_outcome *outcome, unsigned flags,
             uint8_t **ret_report, size_t *ret_bytes)
{
    Redial__V1__AttemptReport report = REDIAL__V1__ATTEMPT_REPORT__INIT;
    Redial__V1__Outcome message = REDIAL__V1__OUTCOME__INIT;
    Redial__V1__Token token;
    char reason[WIRE_REASON_BYTES_MAX + 1];
    char type[WIRE_CONTENT_TYPE_BYTES_MAX + 1];
    char text[WIRE_TEXT_BYTES_MAX + 1];
    union {
        const void *in;
        uint8_t *out;
    } result = {.in = outcome->result};

    redial_i_token_fill(attempt, &token);
    report.token = &token;
    report.outcome = &message;
    message.has_code = true;
    message.code = (Redial__V1__Code)outcome->code;
    message.reason = clean_text(reason, sizeof(reason), outcome->reason);
    message.text = clean_text(text, sizeof(text), outcome->text);
    message.has_pushback_ms = outcome->has_pushback;
    message.pushback_ms = outcome->pushback_ms;
    message.has_for_target = outcome->has_pushback &&
                             (flags & REDIAL_COMPLETE_FOR_TARGET) != 0;
    message.for_target = message.has_for_target;
    message.has_result = outcome->result_bytes > 0;
    message.result.data = result.out;
    message.result.len = outcome->result_bytes;
    message.content_type = clean_text(type, sizeof(type),
                                      outcome->content_type);
    report.has_overloaded = (flags & REDIAL_COMPLETE_OVERLOADED) != 0;
    report.overloaded = report.has_overloaded;
    report.has_not_started = (flags & REDIAL_COMPLETE_NOT_STARTED) != 0;
    report.not_started = report.has_not_started;
    return pack_report(&report, ret_report, ret_bytes);
}

bool
redial_i_report_pack_failure(const redial_attempt *attempt,
                             enum redial_status code, const char *reason,
                             const char *text, uint8_t **ret_report,
                             size_t *ret_bytes)
{
    struct redial_outcome outcome = {
        .code = code,
        .reason = reason,
        .text = text,
    };

    return pack_checked(attempt, &outcome, 0, ret_report, ret_bytes);
}

bool
redial_i_report_pack(const redial_attempt *attempt,
                     const struct redial_outcome *outcome, unsigned flags,
                     uint8_t **ret_report, size_t *ret_bytes)
{
    size_t max = attempt->worker->result_bytes_max;
    char text[REDIAL_TEXT_BYTES];

    if ((int)outcome->code < 0 || (int)outcome->code >= REDIAL_STATUS_COUNT) {
        (void)snprintf(text, sizeof(text), "the handler gave the code %d",
                       (int)outcome->code);
        return redial_i_report_pack_failure(attempt, REDIAL_INTERNAL,
                                            "BAD_OUTCOME", text, ret_report,
                                            ret_bytes);
    }
    if (outcome->result_bytes > max ||
        (outcome->result == NULL && outcome->result_bytes > 0)) {
        (void)snprintf(text, sizeof(text),
                       "the result has %zu bytes, %zu are allowed",
                       outcome->result_bytes, max);
        return redial_i_report_pack_failure(attempt, REDIAL_INTERNAL,
                                            "RESULT_TOO_LARGE", text,
                                            ret_report, ret_bytes);
    }
    return pack_checked(attempt, outcome, flags, ret_report, ret_bytes);
}

bool
redial_i_report_pack_progress(const redial_attempt *attempt,
                              const char *progress, uint8_t **ret_report,
                              size_t *ret_bytes)
{
    Redial__V1__AttemptReport report = REDIAL__V1__ATTEMPT_REPORT__INIT;
    Redial__V1__Token token;
    char text[WIRE_TEXT_BYTES_MAX + 1];

    redial_i_token_fill(attempt, &token);
    report.token = &token;
    report.progress = clean_text(text, sizeof(text), progress);
    return pack_report(&report, ret_report, ret_bytes);
}
