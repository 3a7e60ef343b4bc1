/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hedgingPolicy, as gRPC has it (gRFC A6). Internal to server/config.
 */
#ifndef REDIAL_SERVER_CONFIG_HEDGE_H
#define REDIAL_SERVER_CONFIG_HEDGE_H

#include "server/config/retry.h"

/*
 * Reads the hedgingPolicy at the spot into the entry, whose idempotency is
 * known by then. Where that does not allow attempts side by side, a warning.
 */
void
hedge_read(struct loader *loader, const struct spot *spot,
           struct policy_entry *entry);

#endif
