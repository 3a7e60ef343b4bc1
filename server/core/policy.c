/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/policy.h"

#include <string.h>

static int
text_order(struct text a, struct text b)
{
    uint32_t common = a.len < b.len ? a.len : b.len;
    int order = common == 0 ? 0 : memcmp(a.at, b.at, common);

    if (order != 0) {
        return order;
    }
    return (a.len > b.len) - (a.len < b.len);
}

int
policy_order(struct text service_a, struct text method_a, struct text service_b,
             struct text method_b)
{
    int order = text_order(service_a, service_b);

    return order != 0 ? order : text_order(method_a, method_b);
}

/* The row with exactly these names, or NULL. */
static const struct method_policy *
find_exact(const struct policy_set *set, struct text service,
           struct text method)
{
    size_t from = 0;
    size_t to = set->method_count;

    while (from < to) {
        size_t middle = from + (to - from) / 2;
        const struct method_policy *row = &set->methods[middle];
        int order = policy_order(service, method, row->service, row->method);

        if (order == 0) {
            return row;
        }
        if (order < 0) {
            to = middle;
        } else {
            from = middle + 1;
        }
    }
    return NULL;
}

const struct method_policy *
policy_find(const struct policy_set *set, struct text service,
            struct text method)
{
    const struct method_policy *row = find_exact(set, service, method);

    if (row == NULL && method.len > 0) {
        row = find_exact(set, service, (struct text){0});
    }
    return row == NULL ? &set->fallback : row;
}

const struct target_policy *
policy_find_target(const struct policy_set *set, struct text name)
{
    size_t from = 0;
    size_t to = set->target_count;

    while (from < to) {
        size_t middle = from + (to - from) / 2;
        int order = text_order(name, set->targets[middle].name);

        if (order == 0) {
            return &set->targets[middle];
        }
        if (order < 0) {
            to = middle;
        } else {
            from = middle + 1;
        }
    }
    return &set->target_fallback;
}

const struct tenant_policy *
policy_find_tenant(const struct policy_set *set, struct text name)
{
    size_t from = 0;
    size_t to = set->tenant_count;

    while (from < to) {
        size_t middle = from + (to - from) / 2;
        int order = text_order(name, set->tenants[middle].name);

        if (order == 0) {
            return &set->tenants[middle];
        }
        if (order < 0) {
            to = middle;
        } else {
            from = middle + 1;
        }
    }
    return &set->tenant_fallback;
}

void
policy_set_default(struct policy_set *ret_set)
{
    *ret_set = (struct policy_set){
        .fallback =
            {
                .retry =
                    {
                        .max_attempts = 3,
                        .initial_backoff_ms = 1000,
                        .max_backoff_ms = 60000,
                        .backoff_multiplier = 2.0,
                        .jitter = JITTER_DEFAULT,
                        .retryable_codes = 1u << REDIAL_UNAVAILABLE |
                                           1u << REDIAL_DEADLINE_EXCEEDED |
                                           1u << REDIAL_RESOURCE_EXHAUSTED |
                                           1u << REDIAL_ABORTED,
                        .max_pushback_ms = 3600000,
                        .free_attempts_max = 100,
                    },
                .attempt_timeout_ms = 600000,
                .wait_for_ready = true,
            },
        .tenant_fallback = {.weight = 1},
    };
}
