/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who gets the next attempt. A method stands in the ring while it could start
 * one: it has jobs that are not blocked by their tenants, a free place, a token
 * of its rate, and is not known to lack credit. One that finds no worker stands
 * among the starved of its service until a worker that serves it has credit
 * again; one without a token has a timer for the millisecond of the next. So
 * blocked methods cost nothing.
 */
#ifndef REDIAL_SERVER_CORE_DISPATCH_H
#define REDIAL_SERVER_CORE_DISPATCH_H

#include "server/core/state.h"

/* Puts the method where it belongs, after a change of its jobs or limits. */
void
dispatch_update(struct engine *engine, struct method *method);

/* Whether it stands in the ring, and may have credit. */
bool
dispatch_may_start(const struct method *method);

/* The method has a new policy: its limits change at once. */
void
dispatch_take_policy(struct engine *engine, struct method *method);

/* After recovery: rates start from empty buckets. */
void
dispatch_empty_buckets(struct engine *engine);

/* Brings back one method or tenant that has a token again, if one has. */
bool
dispatch_token_due(struct engine *engine);

/* Whether some worker that serves it has credit. */
bool
dispatch_has_credit(const struct method *method);

/* Out of the ring, or a list of its target, until there is. */
void
dispatch_starve(struct engine *engine, struct method *method);

/* There is credit again. */
void
dispatch_wake(struct engine *engine, struct method *method);

void
dispatch_wake_service(struct engine *engine, struct service *service);

/* Workers came or went: jobs that do not wait for one may have to fail. */
void
dispatch_workers_changed(struct engine *engine, struct method *method);

void
dispatch_service_changed(struct engine *engine, struct service *service);

/* Starts what can be started, within the step's budget. */
void
dispatch_run(struct engine *engine);

#endif
