/* SPDX-License-Identifier: Apache-2.0 */
/*
 * retryPolicy: gRPC's own rules (gRFC A6) and Redial's fields beside them.
 * Internal to server/config.
 */
#ifndef REDIAL_SERVER_CONFIG_RETRY_H
#define REDIAL_SERVER_CONFIG_RETRY_H

#include "server/config/loader.h"

#include <stdint.h>

/* What one methodConfig says for all its names. */
struct policy_entry {
    struct method_policy policy;
    uint32_t asked; /* attempts, before the limit */
};

/* One attempt, with what is not said taken from the default policy. */
struct retry_policy
retry_none(const struct config *config);

/* Sets max_attempts to what was asked for, cut to maxAttemptsLimit. */
void
retry_limit(const struct config *config, uint32_t asked,
            struct retry_policy *retry);

/* Warns of codes at the spot that another attempt does not help. */
void
retry_warn_codes(struct loader *loader, const struct spot *spot,
                 uint32_t codes);

/* Reads the retryPolicy at the spot, which is a member of its methodConfig. */
void
retry_read(struct loader *loader, const struct spot *spot,
           struct policy_entry *entry);

#endif
