/* SPDX-License-Identifier: Apache-2.0 */
#include "server/base/check.h"
#include "server/config/breakers.h"
#include "server/config/param.h"
#include "server/config/print.h"
#include "server/config/report.h"
#include "server/config/value.h"

#include <stdio.h>
#include <string.h>

enum {
    TEXT_BYTES_MAX = CONFIG_FILE_BYTES_MAX * 8,
    NAME_BYTES = 2 * VALUE_NAME_BYTES_MAX + 32,
};

/* The two sides of a comparison, as text. */
struct sides {
    struct bytes old;
    struct bytes new;
};

static void
begin(struct sides *sides)
{
    bytes_init(&sides->old, TEXT_BYTES_MAX);
    bytes_init(&sides->new, TEXT_BYTES_MAX);
}

static bool
are_equal(const struct sides *sides)
{
    return sides->old.len == sides->new.len &&
           (sides->old.len == 0 ||
            memcmp(sides->old.at, sides->new.at, sides->old.len) == 0);
}

static void
end(struct sides *sides)
{
    bytes_fini(&sides->old);
    bytes_fini(&sides->new);
}

static void
add(struct config_report *report, enum config_severity severity,
    const char *path, const char *found, const char *allowed)
{
    report_add(report, &(struct config_issue){
                           .severity = severity,
                           .path = path,
                           .found = found,
                           .allowed = allowed,
                       });
}

static void
compare_params(const struct config *old, const struct config *new,
               struct config_report *report)
{
    for (size_t i = 0; i < PARAM_COUNT; i++) {
        const struct param *param = &param_table[i];
        struct sides sides;

        if (param_equal(param, old, new)) {
            continue;
        }
        begin(&sides);
        param_print(param, old, &sides.old);
        param_print(param, new, &sides.new);
        (void)bytes_append_byte(&sides.old, 0);
        (void)bytes_append_byte(&sides.new, 0);
        add(report,
            param->when == PARAM_WHEN_RELOAD ? CONFIG_CHANGE : CONFIG_RESTART,
            param->path, sides.old.failed ? "" : (const char *)sides.old.at,
            sides.new.failed ? "" : (const char *)sides.new.at);
        end(&sides);
    }
}

static void
compare_listeners(const struct config *old, const struct config *new,
                  struct config_report *report)
{
    struct sides sides;
    char counts[2][VALUE_TEXT_BYTES];

    begin(&sides);
    print_listeners(&(struct json_out){.out = &sides.old, .empty = true}, old);
    print_listeners(&(struct json_out){.out = &sides.new, .empty = true}, new);
    if (!are_equal(&sides)) {
        (void)snprintf(counts[0], sizeof(counts[0]), "%zu of them",
                       old->listener_count);
        (void)snprintf(counts[1], sizeof(counts[1]), "%zu of them",
                       new->listener_count);
        add(report, CONFIG_RESTART, "listeners", counts[0], counts[1]);
    }
    end(&sides);
}

static const struct config_plugin *
find_plugin(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->plugin_count; i++) {
        if (strcmp(config->plugins[i].name, name) == 0) {
            return &config->plugins[i];
        }
    }
    return NULL;
}

/* NULL: not there. Not both. */
static void
compare_plugin(const char *name, const struct config_plugin *old,
               const struct config_plugin *new, struct config_report *report)
{
    struct sides sides;
    char path[NAME_BYTES];

    (void)snprintf(path, sizeof(path), "plugins[%s]", name);
    if (old == NULL || new == NULL) {
        add(report, CONFIG_RESTART, path, old == NULL ? "none" : "there",
            old == NULL ? "there" : "none");
        return;
    }
    begin(&sides);
    print_plugin(&(struct json_out){.out = &sides.old, .empty = true}, old);
    print_plugin(&(struct json_out){.out = &sides.new, .empty = true}, new);
    if (!are_equal(&sides)) {
        add(report, CONFIG_RESTART, path, "there", "there, with another text");
    }
    end(&sides);
}

static void
compare_plugins(const struct config *old, const struct config *new,
                struct config_report *report)
{
    for (size_t i = 0; i < old->plugin_count; i++) {
        const struct config_plugin *plugin = &old->plugins[i];

        compare_plugin(plugin->name, plugin, find_plugin(new, plugin->name),
                       report);
    }
    for (size_t i = 0; i < new->plugin_count; i++) {
        const struct config_plugin *plugin = &new->plugins[i];

        if (find_plugin(old, plugin->name) == NULL) {
            compare_plugin(plugin->name, NULL, plugin, report);
        }
    }
}

/* One methodConfig name on both sides; NULL: not there. */
struct policy_pair {
    const struct method_policy *old;
    uint32_t old_asked;
    const struct method_policy *new;
    uint32_t new_asked;
};

static void
compare_policy(const struct policy_pair *pair, struct config_report *report)
{
    const struct method_policy *any = pair->old == NULL ? pair->new : pair->old;
    struct sides sides;
    char path[NAME_BYTES];

    redial_assert(any != NULL);
    (void)snprintf(path, sizeof(path), "methodConfig[%s%s%s]",
                   any->service.len > 0 ? any->service.at : "{}",
                   any->method.len > 0 ? "/" : "", any->method.at);
    if (pair->old == NULL || pair->new == NULL) {
        add(report, CONFIG_CHANGE, path, pair->old == NULL ? "none" : "there",
            pair->old == NULL ? "there" : "none");
        return;
    }
    begin(&sides);
    print_method_policy(&(struct json_out){.out = &sides.old, .empty = true},
                        pair->old, pair->old_asked);
    print_method_policy(&(struct json_out){.out = &sides.new, .empty = true},
                        pair->new, pair->new_asked);
    if (!are_equal(&sides)) {
        add(report, CONFIG_CHANGE, path, "there", "there, with another policy");
    }
    end(&sides);
}

static void
compare_fallback(const struct config *old, const struct config *new,
                 struct config_report *report)
{
    struct policy_pair pair = {
        .old = old->fallback_given ? &old->policy.fallback : NULL,
        .old_asked = old->fallback_attempts_asked,
        .new = new->fallback_given ? &new->policy.fallback : NULL,
        .new_asked = new->fallback_attempts_asked,
    };

    if (pair.old != NULL || pair.new != NULL) {
        compare_policy(&pair, report);
    }
}

/* Walks both sorted lists at once. */
static void
compare_policies(const struct config *old, const struct config *new,
                 struct config_report *report)
{
    size_t i = 0;
    size_t j = 0;

    compare_fallback(old, new, report);
    while (i < old->policy.method_count || j < new->policy.method_count) {
        const struct method_policy *a = i < old->policy.method_count
                                            ? &old->policy.methods[i]
                                            : NULL;
        const struct method_policy *b = j < new->policy.method_count
                                            ? &new->policy.methods[j]
                                            : NULL;
        int order = a == NULL   ? 1
                    : b == NULL ? -1
                                : policy_order(a->service, a->method,
                                               b->service, b->method);
        struct policy_pair pair = {
            .old = order <= 0 ? a : NULL,
            .old_asked = order <= 0 ? old->attempts_asked[i] : 0,
            .new = order >= 0 ? b : NULL,
            .new_asked = order >= 0 ? new->attempts_asked[j] : 0,
        };

        compare_policy(&pair, report);
        i += order <= 0;
        j += order >= 0;
    }
}

/* In a few words; "none". */
static void
describe_guard(const struct target_policy *target, bool throttle,
               char text[NAME_BYTES])
{
    char window[VALUE_TEXT_BYTES];

    if (!(throttle ? target->has_throttle : target->has_budget)) {
        (void)snprintf(text, NAME_BYTES, "none");
    } else if (throttle) {
        (void)snprintf(text, NAME_BYTES, "maxTokens %u, tokenRatio %g",
                       (unsigned)target->tokens_max_milli / 1000,
                       (double)target->tokens_ok_milli / 1000);
    } else {
        value_duration_print(target->budget_window_ms, window);
        (void)snprintf(text, NAME_BYTES, "ratio %g, minPerSecond %u, window %s",
                       (double)target->budget_ratio_milli / 1000,
                       (unsigned)target->budget_floor, window);
    }
}

/* Throttle and budget of every target that has none of its own. */
static void
compare_guards(const struct config *old, const struct config *new,
               struct config_report *report)
{
    static const struct {
        const char *path;
        bool throttle;
    } guards[] = {{"retryThrottling", true}, {"budget", false}};

    for (size_t i = 0; i < 2; i++) {
        char texts[2][NAME_BYTES];

        describe_guard(&old->policy.target_fallback, guards[i].throttle,
                       texts[0]);
        describe_guard(&new->policy.target_fallback, guards[i].throttle,
                       texts[1]);
        if (strcmp(texts[0], texts[1]) != 0) {
            add(report, CONFIG_CHANGE, guards[i].path, texts[0], texts[1]);
        }
    }
}

/*
 * One breaker on both sides, which hold its whole text; NULL: there is none.
 */
static void
compare_breaker(const char *path, const struct breaker_policy *old,
                const struct breaker_policy *new, const struct sides *sides,
                struct config_report *report)
{
    char texts[2][BREAKER_TEXT_BYTES] = {"none", "none"};

    if (are_equal(sides)) {
        return;
    }
    if (old != NULL) {
        breaker_describe(old, texts[0]);
    }
    if (new != NULL) {
        breaker_describe(new, texts[1]);
    }
    add(report, CONFIG_CHANGE, path, texts[0],
        strcmp(texts[0], texts[1]) == 0 ? "the same, with other details"
                                        : texts[1]);
}

static void
compare_breakers(const struct config *old, const struct config *new,
                 struct config_report *report)
{
    const struct policy_set *a = &old->policy;
    const struct policy_set *b = &new->policy;
    struct sides sides;

    begin(&sides);
    breaker_print_target(&(struct json_out){.out = &sides.old, .empty = true},
                         &a->target_fallback);
    breaker_print_target(&(struct json_out){.out = &sides.new, .empty = true},
                         &b->target_fallback);
    compare_breaker(
        "breaker",
        a->target_fallback.has_breaker ? &a->target_fallback.breaker : NULL,
        b->target_fallback.has_breaker ? &b->target_fallback.breaker : NULL,
        &sides, report);
    end(&sides);
    begin(&sides);
    breaker_print_instances(
        &(struct json_out){.out = &sides.old, .empty = true}, &a->instances);
    breaker_print_instances(
        &(struct json_out){.out = &sides.new, .empty = true}, &b->instances);
    compare_breaker("instanceBreaker",
                    a->instances.has_breaker ? &a->instances.breaker : NULL,
                    b->instances.has_breaker ? &b->instances.breaker : NULL,
                    &sides, report);
    end(&sides);
}

/* A sorted list of rows that begin with their name. */
struct list {
    const char *path;
    void (*print)(struct json_out *json, const void *row);
    const void *rows[2]; /* old, new */
    size_t counts[2];
    size_t row_bytes;
};

/* Rows begin with their name. */
static void
name_row(const struct list *list, const struct text *name,
         char ret_path[NAME_BYTES])
{
    const char *word = name == NULL || name->len == 0 ? "*" : name->at;

    (void)snprintf(ret_path, NAME_BYTES, "%s[%s]", list->path, word);
}

/* NULL: not there. Not both. */
static void
compare_row(const struct list *list, const void *old, const void *new,
            struct config_report *report)
{
    struct sides sides;
    char path[NAME_BYTES];

    if (old == NULL) {
        name_row(list, new, path);
        add(report, CONFIG_CHANGE, path, "none", "there");
        return;
    }
    name_row(list, old, path);
    if (new == NULL) {
        add(report, CONFIG_CHANGE, path, "there", "none");
        return;
    }
    begin(&sides);
    list->print(&(struct json_out){.out = &sides.old, .empty = true}, old);
    list->print(&(struct json_out){.out = &sides.new, .empty = true}, new);
    if (!are_equal(&sides)) {
        add(report, CONFIG_CHANGE, path, "there", "there, with another text");
    }
    end(&sides);
}

static void
compare_lists(const struct list *list, struct config_report *report)
{
    size_t at[2] = {0, 0};

    while (at[0] < list->counts[0] || at[1] < list->counts[1]) {
        const void *rows[2];

        for (size_t i = 0; i < 2; i++) {
            rows[i] = at[i] < list->counts[i] ? (const char *)list->rows[i] +
                                                    at[i] * list->row_bytes
                                              : NULL;
        }
        int order = rows[0] == NULL ? 1
                    : rows[1] == NULL
                        ? -1
                        : policy_order(
                              *(const struct text *)rows[0], (struct text){0},
                              *(const struct text *)rows[1], (struct text){0});

        compare_row(list, order <= 0 ? rows[0] : NULL,
                    order >= 0 ? rows[1] : NULL, report);
        at[0] += order <= 0;
        at[1] += order >= 0;
    }
}

static void
print_target_row(struct json_out *json, const void *row)
{
    print_target(json, row);
}

static void
print_tenant_row(struct json_out *json, const void *row)
{
    print_tenant(json, row);
}

static void
compare_targets_and_tenants(const struct config *old, const struct config *new,
                            struct config_report *report)
{
    const struct policy_set *a = &old->policy;
    const struct policy_set *b = &new->policy;
    const struct list lists[] = {
        {"targets",
         print_target_row,
         {a->targets, b->targets},
         {a->target_count, b->target_count},
         sizeof(struct target_policy)},
        {"tenants",
         print_tenant_row,
         {&a->tenant_fallback, &b->tenant_fallback},
         {old->tenant_fallback_given, new->tenant_fallback_given},
         sizeof(struct tenant_policy)},
        {"tenants",
         print_tenant_row,
         {a->tenants, b->tenants},
         {a->tenant_count, b->tenant_count},
         sizeof(struct tenant_policy)},
    };

    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        compare_lists(&lists[i], report);
    }
}

bool
config_diff(const struct config *old, const struct config *new,
            struct config_report *report)
{
    size_t restarts = report->restarts;

    compare_params(old, new, report);
    compare_listeners(old, new, report);
    compare_plugins(old, new, report);
    compare_policies(old, new, report);
    compare_guards(old, new, report);
    compare_breakers(old, new, report);
    compare_targets_and_tenants(old, new, report);
    return report->restarts == restarts;
}
