/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The half of the engine that turns records into state, used by live code and
 * by recovery alike. It reads no clock, no random source and no configuration,
 * and touches recorded state only: what follows from it (queues, timers, the
 * places that an attempt holds) is the caller's business.
 */
#ifndef REDIAL_SERVER_CORE_APPLY_H
#define REDIAL_SERVER_CORE_APPLY_H

#include "server/core/state.h"

/* What a live caller has at hand already; what is NULL is looked up. */
struct known {
    struct job *job;
    struct method *method;
    struct tenant *tenant;
    struct worker *worker;
    struct target *target; /* that the record changes */
    bool is_new;           /* JOB_ACCEPTED: no job has this id */
};

/*
 * Applies a record. Returns the job that it is about in *ret_job, NULL when
 * there is none (any more). False: it cannot follow the state, or there is no
 * room; the state is then not to be used.
 */
bool
apply_record(struct engine *engine, const struct record *record,
             const struct known *known, struct job **ret_job);

/*
 * Moves the job to a state along job.def, and stamps the time when it is
 * another one. False: there is no such move by this event.
 */
bool
job_move(struct engine *engine, struct job *job, enum job_state to,
         const struct record *record);

/* A live job by id, or NULL. */
struct job *
job_by_id(const struct engine *engine, struct job_id id);

/* Makes a job without state; NULL when all slots or names are in use. */
struct job *
job_make(struct engine *engine, struct job_id id, struct method *method,
         struct tenant *tenant);

/* Keeps texts, and enters a correlation id where it can be found. */
void
job_set_correlation(struct engine *engine, struct job *job, struct text text);

void
job_set_key(struct engine *engine, struct job *job, struct text text);

void
job_set_failure(struct engine *engine, struct job *job, struct text reason,
                struct text text);

/* Copies the kept reason and text into `buf` (of FAILURE_BYTES_MAX). */
enum { FAILURE_BYTES_MAX = REASON_BYTES_MAX + TEXT_BYTES_MAX };

void
job_get_failure(const struct engine *engine, const struct job *job, char *buf,
                struct text *ret_reason, struct text *ret_text);

/*
 * Moves the job to the slot that is used next, while recovery has neither
 * queued nor timed it.
 */
void
job_relocate(struct engine *engine, struct job *job);

/* Forgets the job; nothing may refer to it any more. */
void
job_free(struct engine *engine, struct job *job);

struct decision
job_decision(const struct job *job);

void
job_set_decision(struct job *job, const struct decision *decision);

/* The bucket in which jobs with this correlation id stand. */
struct list *
correlation_bucket(const struct engine *engine, struct text correlation);

#endif
