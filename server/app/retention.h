/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long things are kept: asks the store from time to time to drop what is
 * beyond the configured limits, and forgets the keys that went with it.
 */
#ifndef REDIAL_SERVER_APP_RETENTION_H
#define REDIAL_SERVER_APP_RETENTION_H

#include "server/base/clock.h"

#include <stdint.h>

struct gateway;
struct store_answer;

/* Starts trimming when it is time. */
void
retention_run(struct gateway *gateway);

/* When retention_run() has something to do. */
struct mono
retention_next(const struct gateway *gateway);

/* The store has dropped something. */
void
retention_trimmed(struct gateway *gateway, const struct store_answer *answer);

/* The oldest event that is kept. */
uint64_t
retention_first_seq(const struct gateway *gateway);

#endif
