/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/report.h"

#include "server/core/apply.h"
#include "server/core/attempt.h"
#include "server/core/emit.h"
#include "server/core/life.h"
#include "server/core/outcome.h"
#include "server/core/settle.h"
#include "server/core/worker.h"

static void
answer_late(struct engine *engine)
{
    engine->late_reports++;
    outcome_refuse(engine, REDIAL_NOT_FOUND, "LATE",
                   "the attempt was superseded; forget it");
}

/* Says in the log what came too late to count. */
static void
emit_late(struct engine *engine, struct job *job,
          const struct engine_report *report)
{
    struct record *record = emit_begin(engine, EVENT_ATTEMPT_LATE, job);
    const struct worker *worker = worker_by_id(engine, report->worker);

    record->attempt = report->token.attempt;
    record->fence = report->token.fence;
    if (worker != NULL) {
        record->worker = emit_text(engine, worker_text(worker));
    }
    record->code = (uint32_t)report->code < REDIAL_STATUS_COUNT
                       ? report->code
                       : REDIAL_UNKNOWN;
    record->reason = report->reason;
    record->text = report->text;
    if (report->kind == REPORT_NOT_STARTED) {
        record->code = REDIAL_UNAVAILABLE;
        record->reason = text_of("NOT_STARTED");
    }
    emit_end_job(engine, record, job);
}

/* The worker confirms the end of an attempt that its job left behind. */
static void
report_ghost(struct engine *engine, struct attempt *attempt,
             const struct engine_report *report)
{
    struct job *job = attempt->job;

    if (report->kind == REPORT_PROGRESS) {
        /* Still at it: told again, and not to forget that it must confirm. */
        if (attempt->worker->state == WORKER_CONNECTED) {
            emit_stop(engine, attempt->worker, &report->token);
        }
        return;
    }
    answer_late(engine);
    emit_late(engine, job, report);
    attempt_free(engine, attempt);
    job_release_if_done(engine, job);
}

/* No attempt has this token (any more). */
static void
report_stray(struct engine *engine, struct job *job,
             const struct engine_report *report)
{
    const struct engine_token *token = &report->token;

    if (job->settled && token->fence == job->fence &&
        token->attempt == job->attempt) {
        return; /* said before; said again because the answer was lost */
    }
    answer_late(engine);
    if (job->lost_fence != 0 && token->fence == job->lost_fence &&
        report->kind != REPORT_PROGRESS) {
        job->lost_fence = 0;
        emit_late(engine, job, report);
    }
}

void
report_take(struct engine *engine, const struct engine_report *report)
{
    struct worker *worker = worker_by_id(engine, report->worker);
    struct job *job = job_by_id(engine, report->token.job);

    if (worker != NULL) {
        worker_heard(engine, worker);
    }
    if (job == NULL) {
        answer_late(engine);
        return;
    }
    struct attempt *attempt = attempt_by_token(job, &report->token);

    if (attempt == NULL) {
        report_stray(engine, job, report);
        return;
    }
    /* An id that is void may be one from before a restart: the fence says. */
    if (worker != NULL && worker != attempt->worker) {
        answer_late(engine);
        return;
    }
    attempt->acked = true;
    /* At its deadline a job ends, whatever arrives in the same moment. */
    if (!attempt->ghost) {
        job_end_if_over(engine, job);
    }
    if (attempt->ghost) {
        report_ghost(engine, attempt, report);
        return;
    }
    switch (report->kind) {
    case REPORT_OUTCOME:
        settle_report(engine, attempt);
        break;
    case REPORT_NOT_STARTED:
        settle_never_started(engine, attempt, "NOT_STARTED");
        break;
    case REPORT_PROGRESS:
        break;
    }
}
