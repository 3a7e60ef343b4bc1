/* SPDX-License-Identifier: Apache-2.0 */
/* What workers say of themselves: Hello, Poll, heartbeats, and their leaving.
 */
#ifndef REDIAL_SERVER_CORE_SESSION_H
#define REDIAL_SERVER_CORE_SESSION_H

#include "server/core/state.h"

void
session_hello(struct engine *engine, const struct engine_hello *hello);

void
session_poll(struct engine *engine, const struct engine_poll *poll);

void
session_heartbeat(struct engine *engine, uint64_t id);

void
session_gone(struct engine *engine, uint64_t id, struct text name,
             enum engine_gone how);

/* An assignment was not handed to the stream. */
void
session_unsent(struct engine *engine, const struct engine_token *token);

/* Marks all that the worker has in hand as to be ended; frees its ghosts. */
void
session_end_attempts(struct engine *engine, struct worker *worker,
                     enum attempt_end end);

#endif
