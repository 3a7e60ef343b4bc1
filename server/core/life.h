/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The steps of a live job's life that more than one input can cause. Each puts
 * out its record and then lets the volatile rest follow: queue, timer, slot.
 */
#ifndef REDIAL_SERVER_CORE_LIFE_H
#define REDIAL_SERVER_CORE_LIFE_H

#include "server/core/retry.h"
#include "server/core/state.h"

/* How a job ends, besides the event that says so. */
struct job_end {
    enum event_type event; /* one of the final ones */
    enum redial_status code;
    struct text reason;
    struct text text;
    struct decision decision;
    bool with_result; /* the report at hand has one: attach it */
    uint32_t attempt; /* that settled it: others that run lose; 0: none did */
    uint64_t fence;   /* of that attempt */
};

/* When the job's deadline is (mono); MONO_NEVER: it has none. */
struct mono
job_deadline(const struct job *job);

/* The most attempts that it may be charged with, as things stand. */
uint32_t
job_attempts_max(const struct engine *engine, const struct job *job);

/* A decision that names the rule and where the counts stand. */
struct decision
job_decide(const struct engine *engine, const struct job *job, enum rule rule);

/* Sets the timer to what is due next in the job's present state. */
void
job_arm(struct engine *engine, struct job *job);

/*
 * Ends it: out of its queue, what runs told to stop, slot released. With an
 * attempt that settled it, others that run are recorded as lost to that one.
 */
void
job_finish(struct engine *engine, struct job *job, const struct job_end *end);

/* The last failure that was charged, as a job's end. Texts are the outbox's. */
void
job_last_failure(struct engine *engine, const struct job *job,
                 struct job_end *end);

/*
 * Whether its deadline, or its time to live where that still counts, has
 * passed; if so ends it as the design says and returns true.
 */
bool
job_end_if_over(struct engine *engine, struct job *job);

/* Ends it by this rule, as what passed its deadline: EXPIRED, or FAILED. */
void
job_end_by(struct engine *engine, struct job *job, enum rule rule);

/* Its time has come: READY as it stands, or a due SCHEDULED or BACKOFF. */
void
job_enqueue(struct engine *engine, struct job *job);

/*
 * Goes to BACKOFF or PARKED, or back to READY, by the decision on the failure
 * of this attempt; stays RUNNING while others run.
 */
void
job_go_on(struct engine *engine, struct job *job, uint32_t attempt,
          const struct decision *decision, const struct retry_failure *failure);

/* Frees the slot when the job is final and no attempt holds a place. */
void
job_release_if_done(struct engine *engine, struct job *job);

#endif
