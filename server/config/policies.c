/* SPDX-License-Identifier: Apache-2.0 */
/*
 * methodConfig: gRPC's service config, and Redial's fields beside it. Each name
 * becomes one row; rows are sorted at the end, which is also how repeated names
 * are found.
 */
#include "server/base/check.h"
#include "server/config/breakers.h"
#include "server/config/hedge.h"
#include "server/config/loader.h"
#include "server/config/report.h"
#include "server/config/targets.h"
#include "server/config/usage.h"
#include "server/config/value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct row {
    struct method_policy policy;
    uint32_t asked;     /* attempts, before the limit */
    uint32_t entry;     /* of config->entries */
    size_t order;       /* of appearance */
    struct place place; /* of the name */
};

struct rows {
    struct row *at;
    size_t count;
    size_t capacity;
    struct config_entry *entries; /* that the rows come from */
    size_t entry_count;
};

/* ---- methodConfig ---------------------------------------------------------
 */

/* retryPolicy or hedgingPolicy, once all else of the entry is known. */
static void
read_attempts(struct loader *loader, const struct spot *spot,
              const struct fields *fields, struct policy_entry *entry)
{
    struct spot retry = field_spot(spot, fields,
                                   FIELD_METHOD_CONFIG_RETRY_POLICY);
    struct spot hedging = field_spot(spot, fields,
                                     FIELD_METHOD_CONFIG_HEDGING_POLICY);

    if (retry.node != NULL) {
        retry_read(loader, &retry, entry);
    }
    if (hedging.node == NULL) {
        return;
    }
    if (retry.node != NULL) {
        report_error(loader->report, &hedging,
                     "either retryPolicy or hedgingPolicy");
        return;
    }
    hedge_read(loader, &hedging, entry);
}

static void
read_entry(struct loader *loader, const struct spot *spot,
           const struct fields *fields, struct policy_entry *entry)
{
    struct config_report *report = loader->report;
    struct method_policy *policy = &entry->policy;
    struct spot limits = field_spot(spot, fields, FIELD_METHOD_CONFIG_LIMITS);
    const char *target = NULL;
    bool idempotent = false;
    uint32_t when_open = 0;

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
    if (field_word(report, spot, fields, FIELD_METHOD_CONFIG_WHEN_OPEN,
                   &when_open)) {
        policy->reject_when_open = when_open == WHEN_OPEN_REJECT;
    }
    if (field_text(report, spot, fields, FIELD_METHOD_CONFIG_TARGET, &target)) {
        policy->target = loader_copy(loader, target);
    }
    if (limits.node != NULL) {
        usage_read(report, &limits, &policy->limits);
    }
    read_attempts(loader, spot, fields, entry);
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
                 const struct policy_entry *entry, struct rows *rows)
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
    *row = (struct row){
        .policy = entry->policy,
        .asked = entry->asked,
        .entry = (uint32_t)rows->entry_count,
        .order = rows->count,
        .place = loader_place(loader, spot),
    };
    row->policy.service = loader_copy(loader, service);
    row->policy.method = loader_copy(loader, method);
}

/* What an entry says of the target of each of its rows from `from` on. */
static void
add_rule(struct loader *loader, const struct spot *spot,
         struct target_rule *rule, const struct rows *rows, size_t from)
{
    for (size_t i = from; i < rows->count; i++) {
        const struct method_policy *row = &rows->at[i].policy;

        rule->policy.name = row->target.len > 0 ? row->target : row->service;
        if (rule->policy.name.len == 0) {
            report_error(loader->report, spot,
                         "nothing beside the name {}, which means any target: "
                         "give a target, or say it at the top");
            return;
        }
        if (i == from || policy_order(rule->policy.name, (struct text){0},
                                      rows->at[i - 1].policy.service,
                                      (struct text){0}) != 0) {
            target_add(loader, spot, rule);
        }
        if (row->target.len > 0) {
            return;
        }
    }
}

/* The budget and the breaker of an entry. */
static void
read_guards(struct loader *loader, const struct spot *spot,
            const struct fields *fields, const struct rows *rows, size_t from)
{
    struct spot budget = field_spot(spot, fields, FIELD_METHOD_CONFIG_BUDGET);
    struct spot breaker = field_spot(spot, fields, FIELD_METHOD_CONFIG_BREAKER);
    struct target_rule rule = {.order = 0};

    if (budget.node != NULL &&
        target_read_budget(loader, &budget, &rule.policy)) {
        add_rule(loader, &budget, &rule, rows, from);
    }
    rule = (struct target_rule){.order = 0};
    if (breaker.node != NULL &&
        breaker_read_target(loader, &breaker, &rule.policy, &rule.trial)) {
        add_rule(loader, &breaker, &rule, rows, from);
    }
}

/* Keeps where the rows that were just added come from. */
static void
add_entry(struct loader *loader, const struct spot *spot, struct rows *rows)
{
    struct place place = loader_place(loader, spot);

    if (rows->entries != NULL) {
        rows->entries[rows->entry_count++] = (struct config_entry){
            .path = place.path,
            .source = loader_copy(loader, place.source).at,
            .line = place.line,
        };
    }
}

static void
read_method_config(struct loader *loader, const struct spot *spot,
                   struct rows *rows)
{
    const struct config *config = loader->config;
    struct policy_entry entry = {
        .policy =
            {
                .retry = retry_none(config),
                .attempt_timeout_ms = config->attempt_timeout_ms,
                .wait_for_ready = true,
            },
        .asked = 1,
    };
    struct fields fields;
    const cJSON *node;
    size_t first = rows->count;
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
    read_guards(loader, spot, &fields, rows, first);
    if (rows->count > first) {
        add_entry(loader, spot, rows);
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

    (void)snprintf(found, sizeof(found), "%s%s%s", again->policy.service.at,
                   again->policy.method.len > 0 ? "/" : "",
                   again->policy.method.at);
    loader_report_again(loader, &again->place,
                        found[0] == '\0' ? "the default for all" : found,
                        &first->place, "each name once");
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
    uint32_t *entries = config_arena_array(config->arena, count,
                                           sizeof(*entries));

    if (has_fallback) {
        config->policy.fallback = rows->at[0].policy;
        config->fallback_attempts_asked = rows->at[0].asked;
        config->fallback_entry = rows->at[0].entry;
        config->fallback_given = true;
    }
    if (methods == NULL || asked == NULL || entries == NULL) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        methods[i] = rows->at[i + has_fallback].policy;
        asked[i] = rows->at[i + has_fallback].asked;
        entries[i] = rows->at[i + has_fallback].entry;
    }
    config->policy.methods = methods;
    config->policy.method_count = count;
    config->attempts_asked = asked;
    config->method_entries = entries;
}

/* Where nothing else is said. */
static void
set_fallback(struct config *config)
{
    struct method_policy *fallback = &config->policy.fallback;

    *fallback = (struct method_policy){
        .retry = retry_none(config),
        .attempt_timeout_ms = config->attempt_timeout_ms,
        .wait_for_ready = true,
    };
    fallback->retry.jitter = (enum jitter)config->default_policy_jitter;
    fallback->retry.retryable_codes =
        config->default_policy_retryable_status_codes;
    config->fallback_attempts_asked = config->default_policy_max_attempts;
    retry_limit(config, config->default_policy_max_attempts, &fallback->retry);
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

/* Room for the entries of all layers; NULL: there are none, or no memory. */
static struct config_entry *
make_entries(const struct loader *loader)
{
    size_t count = 0;

    for (const struct layer *layer = loader->layers; layer != NULL;
         layer = layer->next) {
        const cJSON *array = layer->fields.at[FIELD_ROOT_METHOD_CONFIG];

        count += array == NULL ? 0 : (size_t)cJSON_GetArraySize(array);
    }
    return config_arena_array(loader->config->arena, count,
                              sizeof(struct config_entry));
}

void
loader_read_policies(struct loader *loader)
{
    struct rows rows = {0};

    loader->config->policy.retries_off = !loader->config->retries_enabled;
    set_fallback(loader->config);
    rows.entries = make_entries(loader);
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
    loader->config->entries = rows.entries;
    loader->config->entry_count = rows.entry_count;
    free(rows.at);
}
