/* SPDX-License-Identifier: Apache-2.0 */
/* What an input came to: fills the result in the outbox. Texts are static. */
#ifndef REDIAL_SERVER_CORE_OUTCOME_H
#define REDIAL_SERVER_CORE_OUTCOME_H

#include "server/core/state.h"

static inline void
outcome_refuse(struct engine *engine, enum redial_status status,
               const char *reason, const char *message)
{
    struct engine_result *result = &engine->out->result;

    result->status = status;
    result->reason = reason;
    result->message = message;
}

/* Names the field. Returns false, so that checks can be chained. */
static inline bool
outcome_invalid(struct engine *engine, const char *message)
{
    outcome_refuse(engine, REDIAL_INVALID_ARGUMENT, "INVALID_ARGUMENT",
                   message);
    return false;
}

#endif
