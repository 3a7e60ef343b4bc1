/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/apply.h"

#include "server/core/attempt.h"
#include "server/core/keys.h"
#include "server/core/names.h"
#include "server/core/worker.h"

#include <string.h>

static bool
names_fit(const struct record *record)
{
    return record->service.len > 0 && record->service.len <= NAME_BYTES_MAX &&
           record->method.len > 0 && record->method.len <= NAME_BYTES_MAX &&
           record->tenant.len <= NAME_BYTES_MAX &&
           record->correlation.len <= NAME_BYTES_MAX &&
           record->key.len <= NAME_BYTES_MAX &&
           record->priority < PRIORITY_COUNT;
}

/* The job of an ACCEPTED, still without what its texts and key say. */
static struct job *
make_job(struct engine *engine, const struct record *record,
         const struct known *known)
{
    struct method *method = known->method;
    struct tenant *tenant = known->tenant;

    if (method == NULL) {
        method = method_intern(engine, record->service, record->method);
    }
    if (tenant == NULL) {
        tenant = tenant_intern(engine, record->tenant);
    }
    if (method == NULL || tenant == NULL) {
        return NULL;
    }
    return job_make(engine, record->job, method, tenant);
}

static bool
apply_accepted(struct engine *engine, const struct record *record,
               const struct known *known, struct job **ret_job)
{
    if (record->prev_seq != 0 || record->job_seq != 1 || !names_fit(record)) {
        return false;
    }
    if (key_is_set(record->key_hash) &&
        !keys_put(engine, record->key_hash, record->content_hash,
                  record->job)) {
        return false;
    }
    struct job *job = make_job(engine, record, known);

    if (job == NULL) {
        return false;
    }
    memcpy(job->key_hash, record->key_hash, sizeof(job->key_hash));
    memcpy(job->content_hash, record->content_hash, sizeof(job->content_hash));
    job->accepted_wall_ms = record->wall_ms;
    job->not_before_ms = record->not_before_ms;
    job->deadline_ms = record->deadline_ms;
    job->queue_ttl_ms = record->queue_ttl_ms;
    job->attempt_timeout_ms = record->attempt_timeout_ms;
    job->payload_bytes = record->payload_bytes;
    job->max_attempts = record->max_attempts;
    job->priority = (uint8_t)record->priority;
    job->idempotency = (uint8_t)record->idempotency;
    job_set_correlation(engine, job, record->correlation);
    job_set_key(engine, job, record->key);
    engine->payload_bytes += record->payload_bytes;
    *ret_job = job;
    return job_move(engine, job, JOB_READY, record);
}

static bool
apply_started(struct engine *engine, struct job *job,
              const struct record *record, const struct known *known)
{
    struct worker *worker = known->worker;

    if (!job_move(engine, job, JOB_RUNNING, record) ||
        record->worker.len > WORKER_BYTES_MAX ||
        attempt_count_running(job) == ENGINE_RUNNING_MAX) {
        return false;
    }
    if (worker == NULL) {
        worker = worker_await(engine, record->worker);
    }
    if (worker == NULL || attempt_make(engine, job, worker, record) == NULL) {
        return false;
    }
    job->attempt = record->attempt;
    job->fence = record->seq;
    if (record->decision.rule == RULE_HEDGE_PLANNED) {
        job_set_decision(job, &record->decision);
        job->until_wall_ms = record->decision.until_wall_ms;
    }
    return true;
}

/* What the token was for did start, unless it is still to come. */
static void
settle_token(struct job *job)
{
    if (!job_has_retry_planned(job)) {
        job->budget_slice = 0;
    }
}

/* An attempt that failed or was lost. */
static bool
apply_failed(struct engine *engine, struct job *job,
             const struct record *record)
{
    if (job->state != JOB_RUNNING) {
        return false;
    }
    if (record->charged) {
        job->attempts_charged++;
        job->free_streak = 0;
        settle_token(job);
        job->failed = true;
        job->failure_code = (uint8_t)record->code;
        job_set_failure(engine, job, record->reason, record->text);
        job->suspect = record->final_lost;
    } else {
        job->attempts_free++;
        job->free_streak++;
    }
    if (record->decision.rule == RULE_POISON && job->kills < UINT8_MAX) {
        job->kills++;
    }
    return true;
}

static bool
apply_succeeded(struct job *job)
{
    if (job->state != JOB_RUNNING) {
        return false;
    }
    job->attempts_charged++;
    job->free_streak = 0;
    settle_token(job);
    job->suspect = false;
    return true;
}

/* The moves that a decision makes. */
static bool
apply_decided(struct engine *engine, struct job *job, enum job_state to,
              const struct record *record)
{
    const struct decision *decision = &record->decision;

    if (!job_move(engine, job, to, record)) {
        return false;
    }
    job_set_decision(job, decision);
    if (record->budget_delta_milli < 0) {
        job->budget_slice = record->budget_slice;
    }
    if (to == JOB_SCHEDULED || to == JOB_BACKOFF || to == JOB_PARKED ||
        to == JOB_RUNNING) {
        job->until_wall_ms = decision->until_wall_ms;
    }
    return true;
}

/* A hold may take the place of both; only a backoff has a nominal length. */
static bool
is_after_pushback(const struct decision *decision)
{
    return decision->delay_source == DELAY_PUSHBACK ||
           (decision->delay_source == DELAY_TARGET_PUSHBACK &&
            decision->backoff_ms == 0);
}

static bool
apply_planned(struct engine *engine, struct job *job,
              const struct record *record)
{
    const struct decision *decision = &record->decision;

    enum job_state to = job->running != NULL ? JOB_RUNNING : JOB_BACKOFF;

    if (!apply_decided(engine, job, to, record)) {
        return false;
    }
    if (decision->rule != RULE_RETRY_PLANNED) {
        return true;
    }
    if (is_after_pushback(decision)) {
        job->backoff_n = 0;
        job->previous_delay_ms = 0;
    } else if (decision->delay_source != DELAY_HEDGE) {
        job->backoff_n++;
        job->previous_delay_ms = decision->delay_source == DELAY_BACKOFF
                                     ? decision->delay_ms
                                     : decision->backoff_ms;
    }
    return true;
}

/* Nothing follows. Others that run go on; not even a free one may then. */
static bool
apply_refused(struct job *job, const struct record *record)
{
    enum rule rule = record->decision.rule;

    job_set_decision(job, &record->decision);
    job->until_wall_ms = 0;
    if (record->budget_delta_milli > 0) {
        job->budget_slice = 0;
    }
    if (job->running != NULL && rule != RULE_ATTEMPTS_EXHAUSTED) {
        job->frozen = (uint8_t)rule;
    }
    return job->state == JOB_RUNNING;
}

static bool
apply_job_event(struct engine *engine, struct job *job,
                const struct record *record, const struct known *known)
{
    switch (record->type) {
    case EVENT_JOB_SCHEDULED:
        return apply_decided(engine, job, JOB_SCHEDULED, record);
    case EVENT_JOB_PARKED:
        return apply_decided(engine, job, JOB_PARKED, record);
    case EVENT_JOB_RELEASED:
        return apply_decided(engine, job, JOB_READY, record);
    case EVENT_JOB_SUCCEEDED:
        return apply_decided(engine, job, JOB_SUCCEEDED, record);
    case EVENT_JOB_FAILED:
        return apply_decided(engine, job, JOB_FAILED, record);
    case EVENT_JOB_CANCELLED:
        return apply_decided(engine, job, JOB_CANCELLED, record);
    case EVENT_JOB_EXPIRED:
        return apply_decided(engine, job, JOB_EXPIRED, record);
    case EVENT_ATTEMPT_STARTED:
        return apply_started(engine, job, record, known);
    case EVENT_ATTEMPT_SUCCEEDED:
        return apply_succeeded(job);
    case EVENT_ATTEMPT_FAILED:
    case EVENT_ATTEMPT_LOST:
        return apply_failed(engine, job, record);
    case EVENT_RETRY_PLANNED:
        return apply_planned(engine, job, record);
    case EVENT_RETRY_REFUSED:
        return apply_refused(job, record);
    case EVENT_ATTEMPT_LATE:
        return true;
    case EVENT_JOB_ACCEPTED:     /* its id is live already */
    case EVENT_JOB_REQUEUED:     /* made of a job that is live no more */
    case EVENT_ATTEMPT_PROGRESS: /* never in the log */
    case EVENT_BREAKER_OPENED:
    case EVENT_BREAKER_HALF_OPEN:
    case EVENT_BREAKER_RAMP:
    case EVENT_BREAKER_CLOSED:
    case EVENT_BREAKER_FORCED:
    case EVENT_BREAKER_RELEASED:
    case EVENT_BUDGET_EXHAUSTED:
    case EVENT_BUDGET_RECOVERED:
    case EVENT_WORKER_JOINED:
    case EVENT_WORKER_LEFT:
    case EVENT_WORKER_QUIET:
    case EVENT_GATEWAY_STARTED:
    case EVENT_GATEWAY_DRAINING:
    case EVENT_GATEWAY_RELOADED:
    case EVENT_GATEWAY_DEGRADED:
    case EVENT_GATEWAY_RECOVERED:
        return false;
    }
    return false;
}

bool
apply_record(struct engine *engine, const struct record *record,
             const struct known *known, struct job **ret_job)
{
    struct job *job = known->job;

    *ret_job = NULL;
    engine->next_seq = record->seq + 1;
    engine->last_wall_ms = record->wall_ms;
    if (target_is_changed_by(record) &&
        !target_apply(engine, record, known->target)) {
        return false;
    }
    if (!event_type_is_about_job(record->type)) {
        return true;
    }
    if (job == NULL && !known->is_new) {
        job = job_by_id(engine, record->job);
    }
    if (job == NULL) {
        /* Without an ACCEPTED it is about a job that ended long ago. */
        if (record->type != EVENT_JOB_ACCEPTED) {
            return true;
        }
        if (!apply_accepted(engine, record, known, &job)) {
            return false;
        }
    } else if (record->seq <= job->seq) {
        return true; /* the loaded row reflects it */
    } else if (record->prev_seq != job->seq ||
               record->job_seq != job->job_seq + 1 ||
               !apply_job_event(engine, job, record, known)) {
        return false;
    }
    job->seq = record->seq;
    job->job_seq = record->job_seq;
    *ret_job = job;
    return true;
}
