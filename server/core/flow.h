/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How quickly jobs leave, to say to whom comes too many when to come back:
 * refused ones are told to return one after the other at the measured rate.
 */
#ifndef REDIAL_SERVER_CORE_FLOW_H
#define REDIAL_SERVER_CORE_FLOW_H

#include "server/core/state.h"

enum {
    FLOW_WINDOW_MS = 1000,
    RETRY_AFTER_MIN_MS = 100,
    RETRY_AFTER_MAX_MS = 30000,
};

/* A slot became free. */
void
flow_released(struct engine *engine);

/* Somebody was refused for want of one; when shall he try again? */
uint64_t
flow_retry_after_ms(struct engine *engine);

#endif
