/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The findings of the check; see lint.h. Each function adds to its row and to
 * the counts. Without memory the arena remembers. Internal to server/config.
 */
#ifndef REDIAL_SERVER_CONFIG_LINT_FIND_H
#define REDIAL_SERVER_CONFIG_LINT_FIND_H

#include "server/config/lint.h"

/* A full bucket lets a retry through after one failure. */
bool
lint_throttle_allows(const struct target_policy *target);

/* Adds a finding to the list. */
void
lint_add(struct lint *lint, struct lint_finding **list, enum lint_code code,
         const char *format, ...) __attribute__((format(printf, 4, 5)));

/* What the breaker of its target means for a policy; lint_breaker.c. */
void
lint_find_breaker(struct lint *lint, const struct policy_set *set,
                  struct lint_policy *row);

void
lint_find_all(struct lint *lint, const struct config *config);

/* The figures of the row are filled in. */
void
lint_find_policy(struct lint *lint, const struct config *config,
                 struct lint_policy *row);

void
lint_find_target(struct lint *lint, const struct policy_set *set,
                 struct lint_target *row);

#endif
