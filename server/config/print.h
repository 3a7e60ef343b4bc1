/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parts of a configuration as JSON, in the form in which they may be given.
 * Internal to server/config.
 */
#ifndef REDIAL_SERVER_CONFIG_PRINT_H
#define REDIAL_SERVER_CONFIG_PRINT_H

#include "server/config/config.h"
#include "server/config/json_out.h"

#include <stdint.h>

/* "listeners": [...] */
void
print_listeners(struct json_out *json, const struct config *config);

/* {...}, an element of plugins. */
void
print_plugin(struct json_out *json, const struct config_plugin *plugin);

/* {...}, an element of methodConfig, with `attempts_asked` as maxAttempts. */
void
print_method_policy(struct json_out *json, const struct method_policy *policy,
                    uint32_t attempts_asked);

/* The throttle and the budget, those that there are, as members of what is
 * open. */
void
print_guards(struct json_out *json, const struct target_policy *target);

/* {...}, an element of targets, with what it has from the top. */
void
print_target(struct json_out *json, const struct target_policy *target);

/* {...}, an element of tenants. */
void
print_tenant(struct json_out *json, const struct tenant_policy *tenant);

#endif
