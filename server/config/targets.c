/* SPDX-License-Identifier: Apache-2.0 */
#include "server/config/targets.h"

#include "server/config/breakers.h"
#include "server/config/report.h"

#include <math.h>
#include <stdlib.h>

/* ---- retryThrottling and budget -------------------------------------------
 */

/*
 * Thousandths, cut off. The number is the nearest double to a decimal text, and
 * so is a whole number of thousandths divided: 0.29 is 290 of them, although
 * 0.29 x 1000 may be less.
 */
static double
cut_to_thousandths(double number)
{
    double thousandths = round(number * 1000);

    return thousandths / 1000 > number ? thousandths - 1 : thousandths;
}

static void
read_ratio(struct loader *loader, const struct spot *spot,
           struct target_policy *policy)
{
    double ratio;

    if (!read_factor(loader->report, spot, &ratio)) {
        return;
    }
    double milli = cut_to_thousandths(ratio);

    if (milli < 1) {
        report_error(loader->report, spot,
                     "a number of which something is left after three "
                     "decimals: at least 0.001");
        return;
    }
    if (milli / 1000 < ratio) {
        report_warning(loader->report, spot, "cut to three decimals: %g",
                       milli / 1000);
    }
    policy->tokens_ok_milli = milli > TARGET_TOKENS_MAX_MILLI
                                  ? TARGET_TOKENS_MAX_MILLI
                                  : (uint32_t)milli;
}

static bool
read_throttle(struct loader *loader, const struct spot *spot,
              struct target_policy *policy)
{
    size_t errors = loader->report->errors;
    struct fields fields;
    uint32_t tokens = 0;

    if (!object_read(loader->report, spot, OBJECT_RETRY_THROTTLING, &fields)) {
        return false;
    }
    struct spot ratio = field_spot(spot, &fields,
                                   FIELD_RETRY_THROTTLING_TOKEN_RATIO);

    if (field_integer(loader->report, spot, &fields,
                      FIELD_RETRY_THROTTLING_MAX_TOKENS, &tokens)) {
        policy->tokens_max_milli = tokens * 1000;
    }
    if (ratio.node != NULL) {
        read_ratio(loader, &ratio, policy);
    }
    policy->has_throttle = loader->report->errors == errors;
    return policy->has_throttle;
}

bool
target_read_budget(struct loader *loader, const struct spot *spot,
                   struct target_policy *policy)
{
    size_t errors = loader->report->errors;
    struct fields fields;
    uint64_t window_ms = TARGET_WINDOW_DEFAULT_MS;

    if (!object_read(loader->report, spot, OBJECT_BUDGET, &fields)) {
        return false;
    }
    policy->budget_floor = TARGET_FLOOR_DEFAULT;
    (void)field_thousandths(loader->report, spot, &fields, FIELD_BUDGET_RATIO,
                            &policy->budget_ratio_milli);
    (void)field_integer(loader->report, spot, &fields,
                        FIELD_BUDGET_MIN_PER_SECOND, &policy->budget_floor);
    (void)field_duration(loader->report, spot, &fields, FIELD_BUDGET_WINDOW,
                         &window_ms);
    policy->budget_window_ms = (uint32_t)window_ms;
    policy->has_budget = loader->report->errors == errors;
    return policy->has_budget;
}

/* ---- Sayings about single targets -----------------------------------------
 */

void
target_add(struct loader *loader, const struct spot *spot,
           const struct target_rule *rule)
{
    struct target_rules *rules = &loader->rules;

    if (rules->count == rules->capacity) {
        size_t capacity = rules->capacity == 0 ? 16 : rules->capacity * 2;
        struct target_rule *at = realloc(rules->at, capacity * sizeof(*at));

        if (at == NULL) {
            loader->no_memory = true;
            return;
        }
        rules->at = at;
        rules->capacity = capacity;
    }
    rules->at[rules->count] = *rule;
    rules->at[rules->count].place = loader_place(loader, spot);
    rules->at[rules->count].order = rules->count;
    rules->count++;
}

/* The entries of targets: each member is a saying of its own. */
static void
read_target(struct loader *loader, const struct spot *spot)
{
    struct target_rule rule = {.order = 0};
    struct text called = {0};
    struct fields fields;
    const char *name = NULL;

    if (!object_read(loader->report, spot, OBJECT_TARGET, &fields)) {
        return;
    }
    struct spot throttle = field_spot(spot, &fields,
                                      FIELD_TARGET_RETRY_THROTTLING);
    struct spot budget = field_spot(spot, &fields, FIELD_TARGET_BUDGET);
    struct spot breaker = field_spot(spot, &fields, FIELD_TARGET_BREAKER);
    bool named = field_text(loader->report, spot, &fields, FIELD_TARGET_NAME,
                            &name);

    if (named) {
        called = loader_copy(loader, name);
    }
    rule.policy.name = called;
    if (throttle.node != NULL &&
        read_throttle(loader, &throttle, &rule.policy) && named) {
        target_add(loader, &throttle, &rule);
    }
    rule = (struct target_rule){.policy = {.name = called}};
    if (budget.node != NULL &&
        target_read_budget(loader, &budget, &rule.policy) && named) {
        target_add(loader, &budget, &rule);
    }
    rule = (struct target_rule){.policy = {.name = called}};
    if (breaker.node != NULL &&
        breaker_read_target(loader, &breaker, &rule.policy, &rule.trial) &&
        named) {
        target_add(loader, &breaker, &rule);
    }
}

/* ---- All together ---------------------------------------------------------
 */

static int
compare_names(const struct target_rule *a, const struct target_rule *b)
{
    return policy_order(a->policy.name, (struct text){0}, b->policy.name,
                        (struct text){0});
}

static int
compare_rules(const void *left, const void *right)
{
    const struct target_rule *a = left;
    const struct target_rule *b = right;
    int order = compare_names(a, b);

    return order != 0 ? order : (a->order > b->order) - (a->order < b->order);
}

static void
join_throttle(struct loader *loader, const struct target_rule *rule,
              const struct target_rule **first, struct target_policy *target)
{
    const struct target_policy *policy = &rule->policy;

    if (!policy->has_throttle) {
        return;
    }
    if (*first == NULL) {
        *first = rule;
        target->has_throttle = true;
        target->tokens_max_milli = policy->tokens_max_milli;
        target->tokens_ok_milli = policy->tokens_ok_milli;
    } else if (policy->tokens_max_milli != target->tokens_max_milli ||
               policy->tokens_ok_milli != target->tokens_ok_milli) {
        loader_report_again(loader, &rule->place, policy->name.at,
                            &(*first)->place, "one throttle for each target");
    }
}

static void
join_budget(struct loader *loader, const struct target_rule *rule,
            const struct target_rule **first, struct target_policy *target)
{
    const struct target_policy *policy = &rule->policy;

    if (!policy->has_budget) {
        return;
    }
    if (*first == NULL) {
        *first = rule;
        target->has_budget = true;
        target->budget_ratio_milli = policy->budget_ratio_milli;
        target->budget_floor = policy->budget_floor;
        target->budget_window_ms = policy->budget_window_ms;
    } else if (policy->budget_ratio_milli != target->budget_ratio_milli ||
               policy->budget_floor != target->budget_floor ||
               policy->budget_window_ms != target->budget_window_ms) {
        loader_report_again(loader, &rule->place, policy->name.at,
                            &(*first)->place, "one budget for each target");
    }
}

static void
join_breaker(struct loader *loader, const struct target_rule *rule,
             const struct target_rule **first, struct target_policy *target)
{
    const struct target_policy *policy = &rule->policy;

    if (!policy->has_breaker) {
        return;
    }
    if (*first == NULL) {
        *first = rule;
        breaker_copy(target, policy);
    } else if (!breaker_equal(policy, target)) {
        loader_report_again(loader, &rule->place, policy->name.at,
                            &(*first)->place, "one breaker for each target");
    }
}

/*
 * Joins the rules for one name from `from` on; returns where the next begin.
 * *ret_breaker: the rule that its breaker is from, NULL: that of the top.
 */
static size_t
join_rules(struct loader *loader, size_t from, struct target_policy *target,
           const struct target_rule **ret_breaker)
{
    const struct target_rule *rules = loader->rules.at;
    const struct target_rule *throttle = NULL;
    const struct target_rule *budget = NULL;
    size_t i = from;

    *ret_breaker = NULL;
    *target = loader->config->policy.target_fallback;
    target->name = rules[from].policy.name;
    for (;
         i < loader->rules.count && compare_names(&rules[from], &rules[i]) == 0;
         i++) {
        join_throttle(loader, &rules[i], &throttle, target);
        join_budget(loader, &rules[i], &budget, target);
        join_breaker(loader, &rules[i], ret_breaker, target);
    }
    return i;
}

static void
keep_rules(struct loader *loader)
{
    struct config *config = loader->config;
    size_t count = loader->rules.count;
    struct target_policy *targets = config_arena_array(config->arena, count,
                                                       sizeof(*targets));
    const struct target_rule **own = config_arena_array(config->arena, count,
                                                        sizeof(*own));
    size_t kept = 0;

    if (count > 0 && (targets == NULL || own == NULL)) {
        return;
    }
    if (count > 0) {
        qsort(loader->rules.at, count, sizeof(loader->rules.at[0]),
              compare_rules);
    }
    for (size_t i = 0; i < count; kept++) {
        i = join_rules(loader, i, &targets[kept], &own[kept]);
    }
    config->policy.targets = targets;
    config->policy.target_count = kept;
    breaker_set_trials(loader, targets, own);
}

static void
read_layer(struct loader *loader, const struct layer *layer)
{
    struct target_policy *fallback = &loader->config->policy.target_fallback;
    struct spot throttle = field_spot(&layer->top, &layer->fields,
                                      FIELD_ROOT_RETRY_THROTTLING);
    struct spot budget = field_spot(&layer->top, &layer->fields,
                                    FIELD_ROOT_BUDGET);
    struct spot breaker = field_spot(&layer->top, &layer->fields,
                                     FIELD_ROOT_BREAKER);
    struct spot instances = field_spot(&layer->top, &layer->fields,
                                       FIELD_ROOT_INSTANCE_BREAKER);
    struct spot array = field_spot(&layer->top, &layer->fields,
                                   FIELD_ROOT_TARGETS);
    const cJSON *node;
    size_t index = 0;

    if (throttle.node != NULL) {
        (void)read_throttle(loader, &throttle, fallback);
    }
    if (budget.node != NULL) {
        (void)target_read_budget(loader, &budget, fallback);
    }
    if (breaker.node != NULL) {
        (void)breaker_read_target(loader, &breaker, fallback, &loader->trial);
    }
    if (instances.node != NULL && loader->sources->no_instances) {
        report_error(loader->report, &instances,
                     "nothing: not supported by this version");
    } else if (instances.node != NULL) {
        breaker_read_instances(loader, &instances);
    }
    if (field_array(loader->report, &layer->top, &layer->fields,
                    FIELD_ROOT_TARGETS) == 0) {
        return;
    }
    cJSON_ArrayForEach(node, array.node)
    {
        struct spot spot = spot_element(&array, index++, node);

        read_target(loader, &spot);
    }
}

void
loader_read_targets(struct loader *loader)
{
    for (const struct layer *layer = loader->layers; layer != NULL;
         layer = layer->next) {
        read_layer(loader, layer);
    }
    keep_rules(loader);
}
