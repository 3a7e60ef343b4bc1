/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who gets the next attempt. A method stands in the ring while it has waiting
 * jobs, is below its concurrency and is not known to lack credit; a method that
 * finds no worker leaves the ring and stands among the starved of its service
 * until a worker that serves it has credit again. So blocked methods cost
 * nothing.
 */
#ifndef REDIAL_SERVER_CORE_DISPATCH_H
#define REDIAL_SERVER_CORE_DISPATCH_H

#include "server/core/state.h"

/* Puts the method where it belongs, after a change of its jobs or limits. */
void
dispatch_update(struct engine *engine, struct method *method);

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
