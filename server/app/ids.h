/* SPDX-License-Identifier: Apache-2.0 */
/* Ids that the gateway gives, and randomness from the system. */
#ifndef REDIAL_SERVER_APP_IDS_H
#define REDIAL_SERVER_APP_IDS_H

#include "server/base/clock.h"
#include "server/core/record.h"

#include <stddef.h>
#include <stdint.h>

/* Both clocks, once a turn. */
struct now
ids_now(void);

/* Random bytes; never fails (the system's source cannot, after boot). */
void
ids_random(void *bytes, size_t len);

/* A fresh UUIDv7. */
struct job_id
ids_make(struct wall wall);

#endif
