/* SPDX-License-Identifier: Apache-2.0 */
/* What agents ask for: a job done, or a job cancelled. */
#ifndef REDIAL_SERVER_CORE_SUBMIT_H
#define REDIAL_SERVER_CORE_SUBMIT_H

#include "server/core/state.h"

void
submit_take(struct engine *engine, const struct engine_submit *submit);

void
submit_cancel(struct engine *engine, struct job_id id, struct text reason);

#endif
