/* SPDX-License-Identifier: Apache-2.0 */
/*
 * methodConfig, the policy part: gRPC's service config with gRPC's own rules,
 * and Redial's fields beside it. Each name becomes one row; rows are sorted at
 * the end, which is also how repeated names are found.
 */
#include "server/base/check.h"
#include "server/config/loader.h"
#include "server/config/report.h"
#include "server/config/value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct row {
    struct method_policy policy;
    uint32_t asked; /* attempts, before the limit */
    size_t order;   /* of appearance */
    const char *source;
    uint32_t line;
    const char *path; /* of the name */
};

struct rows {
    struct row *at;
    size_t count;
    size_t capacity;
};

/* What one entry says for all its names. */
struct entry {
    struct method_policy policy;
    uint32_t asked;
};

static struct text
copy_text(struct loader *loader, const char *text)
{
    size_t len = strlen(text);

    return (struct text){
        .at = config_arena_text(loader->config->arena, text, len),
        .len = (uint32_t)len,
    };
}

/* ---- retryPolicy ----------------------------------------------------------
 */

static void
limit_attempts(const struct config *config, uint32_t asked,
               struct retry_policy *retry)
{
    retry->attempts_clamped = asked > config->max_attempts_limit;
    retry->max_attempts = retry->attempts_clamped ? config->max_attempts_limit
                                                  : asked;
}

/* One attempt, with what is not said taken from the default policy. */
static struct retry_policy
no_retry(const struct config *config)
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
        reasons[count++] = copy_text(loader, text);
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

static void
warn_of_codes(struct loader *loader, const struct spot *spot, uint32_t codes)
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
    warn_of_codes(loader, &codes, retry->retryable_codes);
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

static void
read_retry_policy(struct loader *loader, const struct spot *spot,
                  struct entry *entry)
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
        limit_attempts(loader->config, entry->asked, retry);
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

/* ---- methodConfig ---------------------------------------------------------
 */

static void
read_entry(struct loader *loader, const struct spot *spot,
           const struct fields *fields, struct entry *entry)
{
    struct config_report *report = loader->report;
    struct method_policy *policy = &entry->policy;
    struct spot retry = field_spot(spot, fields,
                                   FIELD_METHOD_CONFIG_RETRY_POLICY);
    struct spot limits = field_spot(spot, fields, FIELD_METHOD_CONFIG_LIMITS);
    struct fields inner;
    bool idempotent = false;

    (void)field_bool(report, spot, fields, FIELD_METHOD_CONFIG_WAIT_FOR_READY,
                     &policy->wait_for_ready);
    (void)field_duration(report, spot, fields, FIELD_METHOD_CONFIG_TIMEOUT,
                         &policy->deadline_ms);
    (void)field_duration(report, spot, fields,
                         FIELD_METHOD_CONFIG_ATTEMPT_TIMEOUT,
                         &policy->attempt_timeout_ms);
    (void)field_duration(report, spot, fields, FIELD_METHOD_CONFIG_MAX_PUSHBACK,
                         &policy->retry.max_pushback_ms);
    (void)field_bool(report, spot, fields,
                     FIELD_METHOD_CONFIG_RETRY_INDETERMINATE,
                     &policy->retry_indeterminate);
    if (field_bool(report, spot, fields, FIELD_METHOD_CONFIG_IDEMPOTENT,
                   &idempotent)) {
        policy->idempotency = idempotent ? IDEMPOTENCY_YES : IDEMPOTENCY_NO;
    }
    if (limits.node != NULL &&
        object_read(report, &limits, OBJECT_METHOD_LIMITS, &inner)) {
        (void)field_integer(report, &limits, &inner,
                            FIELD_METHOD_LIMITS_CONCURRENCY,
                            &policy->concurrency);
    }
    if (retry.node != NULL) {
        read_retry_policy(loader, &retry, entry);
    }
}

/* A new row, or NULL when there is no memory. */
static struct row *
add_row(struct loader *loader, struct rows *rows)
{
    if (rows->count == rows->capacity) {
        size_t capacity = rows->capacity == 0 ? 16 : rows->capacity * 2;
        struct row *at = realloc(rows->at, capacity * sizeof(*at));

        if (at == NULL) {
            loader->no_memory = true;
            return NULL;
        }
        rows->at = at;
        rows->capacity = capacity;
    }
    return &rows->at[rows->count++];
}

static void
read_method_name(struct loader *loader, const struct spot *spot,
                 const struct entry *entry, struct rows *rows)
{
    struct config_report *report = loader->report;
    const char *service = "";
    const char *method = "";
    struct fields fields;

    if (!object_read(report, spot, OBJECT_METHOD_NAME, &fields)) {
        return;
    }
    bool has_service = field_text(report, spot, &fields,
                                  FIELD_METHOD_NAME_SERVICE, &service);
    bool has_method = field_text(report, spot, &fields,
                                 FIELD_METHOD_NAME_METHOD, &method);
    struct spot missing = field_spot(spot, &fields, FIELD_METHOD_NAME_SERVICE);

    if (service[0] == '\0' && method[0] != '\0') {
        report_error(report, &missing, "the service of the method \"%s\"",
                     method);
        return;
    }
    if (has_service != (missing.node != NULL) ||
        has_method != (fields.at[FIELD_METHOD_NAME_METHOD] != NULL)) {
        return;
    }
    struct row *row = add_row(loader, rows);

    if (row == NULL) {
        return;
    }
    char path[SPOT_PATH_BYTES];

    spot_path(spot, path);
    *row = (struct row){
        .policy = entry->policy,
        .asked = entry->asked,
        .order = rows->count,
        .source = spot->document->source,
        .line = spot_line(spot),
        .path = copy_text(loader, path).at,
    };
    row->policy.service = copy_text(loader, service);
    row->policy.method = copy_text(loader, method);
}

static void
read_method_config(struct loader *loader, const struct spot *spot,
                   struct rows *rows)
{
    const struct config *config = loader->config;
    struct entry entry = {
        .policy =
            {
                .retry = no_retry(config),
                .attempt_timeout_ms = config->attempt_timeout_ms,
                .wait_for_ready = true,
            },
        .asked = 1,
    };
    struct fields fields;
    const cJSON *node;
    size_t index = 0;

    if (!object_read(loader->report, spot, OBJECT_METHOD_CONFIG, &fields)) {
        return;
    }
    read_entry(loader, spot, &fields, &entry);
    struct spot names = field_spot(spot, &fields, FIELD_METHOD_CONFIG_NAME);

    if (names.node == NULL ||
        (cJSON_IsArray(names.node) && names.node->child == NULL)) {
        report_warning(loader->report, &names,
                       "names no method: the entry has no effect");
        return;
    }
    if (field_array(loader->report, spot, &fields, FIELD_METHOD_CONFIG_NAME) ==
        0) {
        return;
    }
    cJSON_ArrayForEach(node, names.node)
    {
        struct spot name = spot_element(&names, index++, node);

        read_method_name(loader, &name, &entry, rows);
    }
}

/* ---- All together ----------------------------------------------------------
 */

static int
compare_names(const struct row *a, const struct row *b)
{
    return policy_order(a->policy.service, a->policy.method, b->policy.service,
                        b->policy.method);
}

static int
compare_rows(const void *left, const void *right)
{
    const struct row *a = left;
    const struct row *b = right;
    int order = compare_names(a, b);

    return order != 0 ? order : (a->order > b->order) - (a->order < b->order);
}

static void
report_repeated(struct loader *loader, const struct row *first,
                const struct row *again)
{
    char found[2 * VALUE_NAME_BYTES_MAX + 4];
    char allowed[SPOT_PATH_BYTES];

    (void)snprintf(found, sizeof(found), "%s%s%s", again->policy.service.at,
                   again->policy.method.len > 0 ? "/" : "",
                   again->policy.method.at);
    (void)snprintf(allowed, sizeof(allowed),
                   "each name once (it is in %s as well, line %u)",
                   first->source, (unsigned)first->line);
    report_add(loader->report,
               &(struct config_issue){
                   .severity = CONFIG_ERROR,
                   .source = again->source,
                   .line = again->line,
                   .path = again->path,
                   .found = found[0] == '\0' ? "the default for all" : found,
                   .allowed = allowed,
               });
}

/* Moves the rows into the policy set. The one without a name comes first. */
static void
keep_rows(struct loader *loader, struct rows *rows)
{
    struct config *config = loader->config;
    bool has_fallback = rows->count > 0 && rows->at[0].policy.service.len == 0;
    size_t count = rows->count - has_fallback;
    struct method_policy *methods = config_arena_array(config->arena, count,
                                                       sizeof(*methods));
    uint32_t *asked = config_arena_array(config->arena, count, sizeof(*asked));

    if (has_fallback) {
        config->policy.fallback = rows->at[0].policy;
        config->fallback_attempts_asked = rows->at[0].asked;
        config->fallback_given = true;
    }
    if (methods == NULL || asked == NULL) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        methods[i] = rows->at[i + has_fallback].policy;
        asked[i] = rows->at[i + has_fallback].asked;
    }
    config->policy.methods = methods;
    config->policy.method_count = count;
    config->attempts_asked = asked;
}

/* Where nothing else is said. */
static void
set_fallback(struct config *config)
{
    struct method_policy *fallback = &config->policy.fallback;

    *fallback = (struct method_policy){
        .retry = no_retry(config),
        .attempt_timeout_ms = config->attempt_timeout_ms,
        .wait_for_ready = true,
    };
    fallback->retry.jitter = (enum jitter)config->default_policy_jitter;
    fallback->retry.retryable_codes =
        config->default_policy_retryable_status_codes;
    config->fallback_attempts_asked = config->default_policy_max_attempts;
    limit_attempts(config, config->default_policy_max_attempts,
                   &fallback->retry);
}

static void
read_layer(struct loader *loader, const struct layer *layer, struct rows *rows)
{
    struct spot array = field_spot(&layer->top, &layer->fields,
                                   FIELD_ROOT_METHOD_CONFIG);
    const cJSON *node;
    size_t index = 0;

    if (field_array(loader->report, &layer->top, &layer->fields,
                    FIELD_ROOT_METHOD_CONFIG) == 0) {
        return;
    }
    cJSON_ArrayForEach(node, array.node)
    {
        struct spot spot = spot_element(&array, index++, node);

        read_method_config(loader, &spot, rows);
    }
}

void
loader_read_policies(struct loader *loader)
{
    struct rows rows = {0};

    set_fallback(loader->config);
    for (const struct layer *layer = loader->layers; layer != NULL;
         layer = layer->next) {
        read_layer(loader, layer, &rows);
    }
    if (rows.count > 0) {
        qsort(rows.at, rows.count, sizeof(rows.at[0]), compare_rows);
    }
    for (size_t i = 1; i < rows.count; i++) {
        if (compare_names(&rows.at[i - 1], &rows.at[i]) == 0) {
            report_repeated(loader, &rows.at[i - 1], &rows.at[i]);
        }
    }
    keep_rows(loader, &rows);
    free(rows.at);
}
