/* SPDX-License-Identifier: Apache-2.0 */
#include "server/config/retry.h"

#include "server/config/report.h"
#include "server/config/value.h"

#include <string.h>

void
retry_limit(const struct config *config, uint32_t asked,
            struct retry_policy *retry)
{
    retry->attempts_clamped = asked > config->max_attempts_limit;
    retry->max_attempts = retry->attempts_clamped ? config->max_attempts_limit
                                                  : asked;
}

struct retry_policy
retry_none(const struct config *config)
{
    return (struct retry_policy){
        .max_attempts = 1,
        .initial_backoff_ms = config->default_policy_initial_backoff_ms,
        .max_backoff_ms = config->default_policy_max_backoff_ms,
        .backoff_multiplier =
            (double)config->default_policy_backoff_multiplier / 1000,
        .jitter = JITTER_DEFAULT,
        .max_pushback_ms = config->max_pushback_ms,
        .free_attempts_max = config->free_attempts_max,
    };
}

/* The reasons of an array; 0 when it is not given or was reported. */
static uint32_t
read_reasons(struct loader *loader, const struct spot *parent,
             const struct fields *fields, enum field field,
             const struct text **ret_reasons)
{
    struct spot array = field_spot(parent, fields, field);
    const cJSON *node;
    uint32_t count = 0;

    if (array.node == NULL) {
        return 0;
    }
    size_t total = (size_t)cJSON_GetArraySize(array.node);
    struct text *reasons = NULL;

    if (!cJSON_IsArray(array.node) || total > POLICY_REASONS_MAX) {
        report_error(loader->report, &array, "an array of at most %d reasons",
                     POLICY_REASONS_MAX);
        return 0;
    }
    reasons = config_arena_array(loader->config->arena, total,
                                 sizeof(*reasons));
    if (reasons == NULL) {
        return 0;
    }
    cJSON_ArrayForEach(node, array.node)
    {
        struct spot spot = spot_element(&array, count, node);
        const char *text = "";

        (void)read_reason(loader->report, &spot, &text);
        reasons[count++] = loader_copy(loader, text);
    }
    *ret_reasons = reasons;
    return count;
}

static void
warn_of_both_reasons(struct loader *loader, const struct spot *spot,
                     const struct retry_policy *retry)
{
    for (uint32_t i = 0; i < retry->retryable_reason_count; i++) {
        const struct text *reason = &retry->retryable_reasons[i];

        for (uint32_t j = 0; j < retry->non_retryable_reason_count; j++) {
            const struct text *other = &retry->non_retryable_reasons[j];

            if (reason->len == other->len &&
                memcmp(reason->at, other->at, reason->len) == 0) {
                report_warning(loader->report, spot,
                               "%s is in both lists of reasons; it is not "
                               "retried",
                               reason->at);
                break;
            }
        }
    }
}

void
loader_warn_codes(struct loader *loader, const struct config_issue *place,
                  uint32_t codes)
{
    static const enum redial_status hopeless[] = {
        REDIAL_INVALID_ARGUMENT,
        REDIAL_UNAUTHENTICATED,
        REDIAL_PERMISSION_DENIED,
        REDIAL_UNIMPLEMENTED,
    };

    for (size_t i = 0; i < sizeof(hopeless) / sizeof(hopeless[0]); i++) {
        if ((codes & (1u << hopeless[i])) != 0) {
            struct config_issue issue = *place;

            issue.severity = CONFIG_WARNING;
            issue.found = value_code_name(hopeless[i]);
            issue.allowed = "another attempt fails the same way: it hides a "
                            "defect and costs time";
            report_add(loader->report, &issue);
        }
    }
}

void
retry_warn_codes(struct loader *loader, const struct spot *spot, uint32_t codes)
{
    char path[SPOT_PATH_BYTES];

    spot_path(spot, path);
    loader_warn_codes(loader,
                      &(struct config_issue){
                          .source = spot->document->source,
                          .line = spot_line(spot),
                          .path = path,
                      },
                      codes);
}

static void
warn_of_retry(struct loader *loader, const struct spot *spot,
              const struct fields *fields, const struct retry_policy *retry)
{
    struct spot attempts = field_spot(spot, fields,
                                      FIELD_RETRY_POLICY_MAX_ATTEMPTS);
    struct spot longest = field_spot(spot, fields,
                                     FIELD_RETRY_POLICY_MAX_BACKOFF);
    struct spot factor = field_spot(spot, fields,
                                    FIELD_RETRY_POLICY_BACKOFF_MULTIPLIER);
    struct spot codes = field_spot(spot, fields,
                                   FIELD_RETRY_POLICY_RETRYABLE_STATUS_CODES);

    if (retry->attempts_clamped) {
        report_warning(loader->report, &attempts,
                       "cut to maxAttemptsLimit, which is %u",
                       (unsigned)retry->max_attempts);
    }
    if (retry->max_backoff_ms < retry->initial_backoff_ms) {
        report_warning(loader->report, &longest,
                       "less than initialBackoff: every wait is this long");
    }
    if (retry->backoff_multiplier < 1) {
        report_warning(loader->report, &factor,
                       "less than 1: each wait is shorter than the last");
    }
    retry_warn_codes(loader, &codes, retry->retryable_codes);
    warn_of_both_reasons(loader, spot, retry);
}

static void
read_codes_or_reasons(struct loader *loader, const struct spot *spot,
                      const struct fields *fields, struct retry_policy *retry)
{
    struct spot codes = field_spot(spot, fields,
                                   FIELD_RETRY_POLICY_RETRYABLE_STATUS_CODES);
    bool empty = cJSON_IsArray(codes.node) && codes.node->child == NULL;

    retry->retryable_reason_count = read_reasons(
        loader, spot, fields, FIELD_RETRY_POLICY_RETRYABLE_REASONS,
        &retry->retryable_reasons);
    retry->non_retryable_reason_count = read_reasons(
        loader, spot, fields, FIELD_RETRY_POLICY_NON_RETRYABLE_REASONS,
        &retry->non_retryable_reasons);
    if (codes.node != NULL && !empty) {
        (void)read_codes(loader->report, &codes, &retry->retryable_codes);
    } else if (retry->retryable_reason_count == 0) {
        report_error(loader->report, &codes,
                     "an array of at least one status code (or "
                     "retryableReasons)");
    }
}

void
retry_read(struct loader *loader, const struct spot *spot,
           struct policy_entry *entry)
{
    struct config_report *report = loader->report;
    struct retry_policy *retry = &entry->policy.retry;
    struct fields fields;
    uint32_t jitter = 0;

    if (!object_read(report, spot, OBJECT_RETRY_POLICY, &fields)) {
        return;
    }
    struct spot factor = field_spot(spot, &fields,
                                    FIELD_RETRY_POLICY_BACKOFF_MULTIPLIER);

    if (field_integer(report, spot, &fields, FIELD_RETRY_POLICY_MAX_ATTEMPTS,
                      &entry->asked)) {
        retry_limit(loader->config, entry->asked, retry);
    }
    (void)field_duration(report, spot, &fields,
                         FIELD_RETRY_POLICY_INITIAL_BACKOFF,
                         &retry->initial_backoff_ms);
    (void)field_duration(report, spot, &fields, FIELD_RETRY_POLICY_MAX_BACKOFF,
                         &retry->max_backoff_ms);
    if (factor.node != NULL) {
        (void)read_factor(report, &factor, &retry->backoff_multiplier);
    }
    if (field_word(report, spot, &fields, FIELD_RETRY_POLICY_JITTER, &jitter)) {
        retry->jitter = (enum jitter)jitter;
    }
    read_codes_or_reasons(loader, spot, &fields, retry);
    if (field_duration(report, spot, &fields,
                       FIELD_RETRY_POLICY_PER_ATTEMPT_TIMEOUT,
                       &entry->policy.attempt_timeout_ms) &&
        cJSON_GetObjectItemCaseSensitive(spot->parent->node,
                                         "attemptTimeout") != NULL) {
        struct spot timeout = field_spot(
            spot, &fields, FIELD_RETRY_POLICY_PER_ATTEMPT_TIMEOUT);

        report_error(report, &timeout,
                     "nothing: attemptTimeout is given and says the same");
    }
    warn_of_retry(loader, spot, &fields, retry);
}
