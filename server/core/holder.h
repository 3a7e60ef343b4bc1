/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operators and the breaker of a target. Each holds it open by a name of his
 * own, with a reason and perhaps an expiry; it is forced open while anybody
 * does. So two operators do not undo each other, and what is forgotten expires.
 */
#ifndef REDIAL_SERVER_CORE_HOLDER_H
#define REDIAL_SERVER_CORE_HOLDER_H

#include "server/core/state.h"

/* ENGINE_BREAKER. */
void
holder_act(struct engine *engine, const struct engine_breaker *input);

/* The first expiry (mono); INT64_MAX: none. */
int64_t
holder_next_ms(const struct target *target);

/* When all will have let go (mono); INT64_MAX: not known. */
int64_t
holder_last_ms(const struct target *target);

/* Those whose time is over let go. */
void
holder_expire(struct engine *engine, struct target *target);

/* All let go: no policy gives the target a breaker any more. */
void
holder_drop_all(struct engine *engine, struct target *target);

/* What a BREAKER_FORCED or _RELEASED changes in the list; false: damage. */
bool
holder_apply(struct target *target, const struct record *record,
             int64_t now_ms);

/* Times after recovery. */
void
holder_restore(struct target *target, int64_t wall_ms, int64_t now_ms);

#endif
