/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Putting out records and commands. A record is begun (all that it has in
 * common is filled in), completed by the caller, and ended: ending applies it
 * at once, so that state and log never differ.
 *
 *     struct record *record = emit_begin(engine, EVENT_JOB_CANCELLED, job);
 *     record->text = reason;
 *     emit_end(engine, record, &(struct known){.job = job});
 *
 * Only one may be open at a time. The budget of the step (engine_has_budget())
 * is asked before a job is moved, so that there is always room here.
 */
#ifndef REDIAL_SERVER_CORE_EMIT_H
#define REDIAL_SERVER_CORE_EMIT_H

#include "server/core/apply.h"
#include "server/core/state.h"

/* `job` is NULL for events that are about none. */
struct record *
emit_begin(struct engine *engine, enum event_type type, const struct job *job);

/* Returns the job, which JOB_ACCEPTED makes. */
struct job *
emit_end(struct engine *engine, struct record *record,
         const struct known *known);

/* The same for a job that is known, as most are. */
void
emit_end_job(struct engine *engine, struct record *record, struct job *job);

/* A copy that lives as long as the outbox's records. */
struct text
emit_text(struct engine *engine, struct text text);

/* Adds the job's key, if it has one, to a record. */
void
emit_key(struct engine *engine, struct record *record, const struct job *job);

struct engine_command *
emit_command(struct engine *engine, enum engine_command_type type,
             uint64_t worker);

void
emit_stop(struct engine *engine, const struct worker *worker,
          const struct engine_token *token);

#endif
