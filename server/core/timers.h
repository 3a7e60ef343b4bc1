/* SPDX-License-Identifier: Apache-2.0 */
/* What time alone causes: done by ENGINE_TICK, within the step's budget. */
#ifndef REDIAL_SERVER_CORE_TIMERS_H
#define REDIAL_SERVER_CORE_TIMERS_H

#include "server/core/state.h"

void
timers_run(struct engine *engine);

/* The earliest time at which timers_run() has something to do. */
struct mono
timers_next(const struct engine *engine);

#endif
