/* SPDX-License-Identifier: Apache-2.0 */
#include "server/config/print.h"

#include "server/config/breakers.h"
#include "server/config/object.h"
#include "server/config/param.h"
#include "server/config/usage.h"
#include "server/config/value.h"

#include <stdio.h>
#include <string.h>

static const char *
name_of(enum field field)
{
    return field_table[field].name;
}

/* Whether the group goes on from one parameter to the next. */
static bool
same_group(const struct param *a, const struct param *b)
{
    size_t len = param_group_len(a);

    return len == param_group_len(b) && memcmp(a->path, b->path, len) == 0;
}

/* All parameters, or those of one group only. */
static void
print_params(struct json_out *json, const struct config *config,
             const char *only_group)
{
    for (size_t i = 0; i < PARAM_COUNT; i++) {
        const struct param *param = &param_table[i];
        size_t len = param_group_len(param);
        char group[SPOT_PATH_BYTES];

        (void)snprintf(group, sizeof(group), "%.*s", (int)len, param->path);
        if (only_group != NULL && strcmp(group, only_group) != 0) {
            continue;
        }
        if (len > 0 && (i == 0 || !same_group(param, param - 1))) {
            json_open(json, group, '{');
        }
        json_key(json, param_leaf(param));
        param_print(param, config, json->out);
        if (len > 0 &&
            (i + 1 == PARAM_COUNT || !same_group(param, param + 1))) {
            json_close(json, '}');
        }
    }
}

static void
print_listener(struct json_out *json, const struct config_listener *listener)
{
    json_open(json, NULL, '{');
    json_string(json, name_of(FIELD_LISTENER_URL), listener->url);
    json_string(json, name_of(FIELD_LISTENER_ROLE),
                config_role_name(listener->role));
    if (strncmp(listener->url, "ipc:", 4) == 0) {
        char mode[8];

        (void)snprintf(mode, sizeof(mode), "%04o", (unsigned)listener->mode);
        json_string(json, name_of(FIELD_LISTENER_MODE), mode);
    } else {
        json_bool(json, name_of(FIELD_LISTENER_ALLOW_REMOTE),
                  listener->allow_remote);
    }
    if (listener->tls_cert != NULL) {
        json_open(json, name_of(FIELD_LISTENER_TLS), '{');
        json_string(json, name_of(FIELD_TLS_CERT), listener->tls_cert);
        json_string(json, name_of(FIELD_TLS_KEY), listener->tls_key);
        if (listener->tls_ca != NULL) {
            json_string(json, name_of(FIELD_TLS_CA), listener->tls_ca);
        }
        json_close(json, '}');
    }
    json_close(json, '}');
}

void
print_listeners(struct json_out *json, const struct config *config)
{
    json_open(json, name_of(FIELD_ROOT_LISTENERS), '[');
    for (size_t i = 0; i < config->listener_count; i++) {
        print_listener(json, &config->listeners[i]);
    }
    json_close(json, ']');
}

void
print_plugin(struct json_out *json, const struct config_plugin *plugin)
{
    json_open(json, NULL, '{');
    json_string(json, name_of(FIELD_PLUGIN_NAME), plugin->name);
    json_string(json, name_of(FIELD_PLUGIN_PLUGIN), plugin->plugin);
    json_u64(json, name_of(FIELD_PLUGIN_CONCURRENCY), plugin->concurrency);
    json_open(json, name_of(FIELD_PLUGIN_METHODS), '[');
    for (size_t i = 0; i < plugin->method_count; i++) {
        const struct config_plugin_method *method = &plugin->methods[i];

        json_open(json, NULL, '{');
        json_string(json, name_of(FIELD_PLUGIN_METHOD_SERVICE),
                    method->service);
        if (method->method[0] != '\0') {
            json_string(json, name_of(FIELD_PLUGIN_METHOD_METHOD),
                        method->method);
        }
        json_u64(json, name_of(FIELD_PLUGIN_METHOD_CONCURRENCY),
                 method->concurrency);
        json_close(json, '}');
    }
    json_close(json, ']');
    json_text(json, name_of(FIELD_PLUGIN_CONFIG), plugin->config,
              plugin->config_bytes);
    json_close(json, '}');
}

static void
print_reasons(struct json_out *json, enum field field,
              const struct text *reasons, uint32_t count)
{
    if (count == 0) {
        return;
    }
    json_open(json, name_of(field), '[');
    for (uint32_t i = 0; i < count; i++) {
        json_key(json, NULL);
        json_text_string(json->out, reasons[i].at, reasons[i].len);
    }
    json_close(json, ']');
}

static void
print_retry(struct json_out *json, const struct retry_policy *retry,
            uint32_t attempts_asked)
{
    const char *words = field_table[FIELD_RETRY_POLICY_JITTER].detail;
    char factor[VALUE_TEXT_BYTES];
    size_t len;
    const char *jitter = value_word(words, (uint32_t)retry->jitter, &len);

    value_number_print(retry->backoff_multiplier, factor);
    json_open(json, name_of(FIELD_METHOD_CONFIG_RETRY_POLICY), '{');
    json_u64(json, name_of(FIELD_RETRY_POLICY_MAX_ATTEMPTS), attempts_asked);
    json_duration(json, name_of(FIELD_RETRY_POLICY_INITIAL_BACKOFF),
                  retry->initial_backoff_ms);
    json_duration(json, name_of(FIELD_RETRY_POLICY_MAX_BACKOFF),
                  retry->max_backoff_ms);
    json_key(json, name_of(FIELD_RETRY_POLICY_BACKOFF_MULTIPLIER));
    json_text_raw(json->out, factor, strlen(factor));
    json_key(json, name_of(FIELD_RETRY_POLICY_JITTER));
    json_text_string(json->out, jitter, len);
    if (retry->retryable_codes != 0) {
        json_key(json, name_of(FIELD_RETRY_POLICY_RETRYABLE_STATUS_CODES));
        json_text_codes(json->out, retry->retryable_codes);
    }
    print_reasons(json, FIELD_RETRY_POLICY_RETRYABLE_REASONS,
                  retry->retryable_reasons, retry->retryable_reason_count);
    print_reasons(json, FIELD_RETRY_POLICY_NON_RETRYABLE_REASONS,
                  retry->non_retryable_reasons,
                  retry->non_retryable_reason_count);
    json_close(json, '}');
}

static void
print_hedging(struct json_out *json, const struct method_policy *policy,
              uint32_t attempts_asked)
{
    json_open(json, name_of(FIELD_METHOD_CONFIG_HEDGING_POLICY), '{');
    json_u64(json, name_of(FIELD_HEDGING_POLICY_MAX_ATTEMPTS), attempts_asked);
    json_duration(json, name_of(FIELD_HEDGING_POLICY_HEDGING_DELAY),
                  policy->hedging_delay_ms);
    json_key(json, name_of(FIELD_HEDGING_POLICY_NON_FATAL_STATUS_CODES));
    json_text_codes(json->out, policy->retry.retryable_codes);
    json_close(json, '}');
}

static void
print_usage(struct json_out *json, const char *key,
            const struct limit_policy *limits)
{
    if (limits->concurrency == 0 && limits->rate == 0 && limits->queue == 0) {
        return;
    }
    json_open(json, key, '{');
    if (limits->concurrency > 0) {
        json_u64(json, name_of(FIELD_USAGE_CONCURRENCY), limits->concurrency);
    }
    if (limits->rate > 0) {
        json_open(json, name_of(FIELD_USAGE_RATE), '{');
        json_u64(json,
                 name_of(limits->rate_period_ms == USAGE_SECOND_MS
                             ? FIELD_RATE_PER_SECOND
                             : FIELD_RATE_PER_MINUTE),
                 limits->rate);
        if (limits->burst > 0) {
            json_u64(json, name_of(FIELD_RATE_BURST), limits->burst);
        }
        json_close(json, '}');
    }
    if (limits->queue > 0) {
        json_u64(json, name_of(FIELD_USAGE_QUEUE), limits->queue);
    }
    json_close(json, '}');
}

void
print_guards(struct json_out *json, const struct target_policy *target)
{
    char ratio[VALUE_TEXT_BYTES];

    if (target->has_throttle) {
        value_number_print((double)target->tokens_ok_milli / 1000, ratio);
        json_open(json, name_of(FIELD_TARGET_RETRY_THROTTLING), '{');
        json_u64(json, name_of(FIELD_RETRY_THROTTLING_MAX_TOKENS),
                 target->tokens_max_milli / 1000);
        json_key(json, name_of(FIELD_RETRY_THROTTLING_TOKEN_RATIO));
        json_text_raw(json->out, ratio, strlen(ratio));
        json_close(json, '}');
    }
    if (target->has_budget) {
        value_number_print((double)target->budget_ratio_milli / 1000, ratio);
        json_open(json, name_of(FIELD_TARGET_BUDGET), '{');
        json_key(json, name_of(FIELD_BUDGET_RATIO));
        json_text_raw(json->out, ratio, strlen(ratio));
        json_u64(json, name_of(FIELD_BUDGET_MIN_PER_SECOND),
                 target->budget_floor);
        json_duration(json, name_of(FIELD_BUDGET_WINDOW),
                      target->budget_window_ms);
        json_close(json, '}');
    }
    breaker_print_target(json, target);
}

void
print_target(struct json_out *json, const struct target_policy *target)
{
    json_open(json, NULL, '{');
    json_string(json, name_of(FIELD_TARGET_NAME), target->name.at);
    print_guards(json, target);
    json_close(json, '}');
}

void
print_tenant(struct json_out *json, const struct tenant_policy *tenant)
{
    json_open(json, NULL, '{');
    json_string(json, name_of(FIELD_TENANT_NAME),
                tenant->name.len == 0 ? "*" : tenant->name.at);
    json_u64(json, name_of(FIELD_TENANT_WEIGHT), tenant->weight);
    print_usage(json, name_of(FIELD_TENANT_LIMITS), &tenant->limits);
    json_close(json, '}');
}

static void
print_name(struct json_out *json, const struct method_policy *policy)
{
    json_open(json, name_of(FIELD_METHOD_CONFIG_NAME), '[');
    json_open(json, NULL, '{');
    if (policy->service.len > 0) {
        json_string(json, name_of(FIELD_METHOD_NAME_SERVICE),
                    policy->service.at);
    }
    if (policy->method.len > 0) {
        json_string(json, name_of(FIELD_METHOD_NAME_METHOD), policy->method.at);
    }
    json_close(json, '}');
    json_close(json, ']');
}

void
print_method_policy(struct json_out *json, const struct method_policy *policy,
                    uint32_t attempts_asked)
{
    json_open(json, NULL, '{');
    print_name(json, policy);
    json_bool(json, name_of(FIELD_METHOD_CONFIG_WAIT_FOR_READY),
              policy->wait_for_ready);
    if (policy->deadline_ms > 0) {
        json_duration(json, name_of(FIELD_METHOD_CONFIG_TIMEOUT),
                      policy->deadline_ms);
    }
    json_duration(json, name_of(FIELD_METHOD_CONFIG_ATTEMPT_TIMEOUT),
                  policy->attempt_timeout_ms);
    json_duration(json, name_of(FIELD_METHOD_CONFIG_MAX_PUSHBACK),
                  policy->retry.max_pushback_ms);
    if (policy->target.len > 0) {
        json_string(json, name_of(FIELD_METHOD_CONFIG_TARGET),
                    policy->target.at);
    }
    json_string(json, name_of(FIELD_METHOD_CONFIG_WHEN_OPEN),
                policy->reject_when_open ? "reject" : "park");
    print_usage(json, name_of(FIELD_METHOD_CONFIG_LIMITS), &policy->limits);
    if (policy->idempotency != IDEMPOTENCY_UNSET) {
        json_bool(json, name_of(FIELD_METHOD_CONFIG_IDEMPOTENT),
                  policy->idempotency == IDEMPOTENCY_YES);
    }
    json_bool(json, name_of(FIELD_METHOD_CONFIG_RETRY_INDETERMINATE),
              policy->retry_indeterminate);
    if (policy->hedged) {
        print_hedging(json, policy, attempts_asked);
    } else if (attempts_asked > 1) {
        print_retry(json, &policy->retry, attempts_asked);
    }
    json_close(json, '}');
}

static void
print_policies(struct json_out *json, const struct config *config)
{
    const struct policy_set *set = &config->policy;

    json_open(json, name_of(FIELD_ROOT_METHOD_CONFIG), '[');
    if (config->fallback_given) {
        print_method_policy(json, &set->fallback,
                            config->fallback_attempts_asked);
    }
    for (size_t i = 0; i < set->method_count; i++) {
        print_method_policy(json, &set->methods[i], config->attempts_asked[i]);
    }
    json_close(json, ']');
    print_guards(json, &set->target_fallback);
    breaker_print_instances(json, &set->instances);
    json_open(json, name_of(FIELD_ROOT_TARGETS), '[');
    for (size_t i = 0; i < set->target_count; i++) {
        print_target(json, &set->targets[i]);
    }
    json_close(json, ']');
    json_open(json, name_of(FIELD_ROOT_TENANTS), '[');
    if (config->tenant_fallback_given) {
        print_tenant(json, &set->tenant_fallback);
    }
    for (size_t i = 0; i < set->tenant_count; i++) {
        print_tenant(json, &set->tenants[i]);
    }
    json_close(json, ']');
}

void
config_print(const struct config *config, struct bytes *out)
{
    struct json_out json = {.out = out, .empty = true};

    json_open(&json, NULL, '{');
    print_params(&json, config, NULL);
    print_listeners(&json, config);
    json_open(&json, name_of(FIELD_ROOT_PLUGINS), '[');
    for (size_t i = 0; i < config->plugin_count; i++) {
        print_plugin(&json, &config->plugins[i]);
    }
    json_close(&json, ']');
    print_policies(&json, config);
    json_close(&json, '}');
    (void)bytes_append_byte(out, '\n');
}

void
config_policy_print(const struct config *config, struct bytes *out)
{
    static const char *const paths[] = {
        "maxAttemptsLimit", "retriesEnabled", "freeAttemptsMax",
        "maxPushback",      "attemptTimeout",
    };
    struct json_out json = {.out = out, .empty = true};

    json_open(&json, NULL, '{');
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        json_key(&json, paths[i]);
        param_print(param_find(paths[i]), config, out);
    }
    print_params(&json, config, "defaultPolicy");
    print_policies(&json, config);
    json_close(&json, '}');
    (void)bytes_append_byte(out, '\n');
}

const char *
config_log_level_name(enum config_log_level level)
{
    switch (level) {
    case CONFIG_LOG_DEBUG:
        return "debug";
    case CONFIG_LOG_INFO:
        return "info";
    case CONFIG_LOG_WARN:
        return "warn";
    case CONFIG_LOG_ERROR:
        return "error";
    }
    return "unknown";
}
