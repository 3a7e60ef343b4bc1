/* SPDX-License-Identifier: Apache-2.0 */
/*
 * retryThrottling, budget and breaker of targets. They may be said at the top
 * (for every target), in targets, and the last two in a methodConfig as well:
 * all sayings about one target must agree. Internal to server/config.
 */
#ifndef REDIAL_SERVER_CONFIG_TARGETS_H
#define REDIAL_SERVER_CONFIG_TARGETS_H

#include "server/config/loader.h"

#include <stdbool.h>

enum {
    TARGET_TOKENS_MAX_MILLI = 1000000, /* of gRPC's bucket: 1,000 tokens */
    TARGET_FLOOR_DEFAULT = 10,
    TARGET_WINDOW_DEFAULT_MS = 10000,
};

/*
 * Reads the budget at the spot into `policy`. False: it has errors, which are
 * reported.
 */
bool
target_read_budget(struct loader *loader, const struct spot *spot,
                   struct target_policy *policy);

/* Notes what was said of rule->policy.name at the spot: a copy of the rule. */
void
target_add(struct loader *loader, const struct spot *spot,
           const struct target_rule *rule);

#endif
