/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every end of an attempt takes the same way: its record, its places given up
 * (or kept by a ghost), the decision, and what the decision says.
 */
#include "server/core/settle.h"

#include "server/core/attempt.h"
#include "server/core/emit.h"
#include "server/core/gate.h"
#include "server/core/hedge.h"
#include "server/core/life.h"
#include "server/core/queue.h"
#include "server/core/worker.h"

#include <string.h>

/* How an attempt ended badly. */
struct ending {
    enum event_type event; /* ATTEMPT_FAILED or ATTEMPT_LOST */
    struct retry_failure failure;
    struct text text;
    bool free;
    bool worker_dead;
    bool keep_ghost;
    bool with_result;
    uint32_t attempt; /* the one that ended */
    uint64_t fence;
};

struct retry_counts
settle_counts(const struct engine *engine, const struct job *job)
{
    struct retry_counts counts = {
        .charged = job->attempts_charged,
        .free = job->attempts_free,
        .free_streak = job->free_streak,
        .backoff_n = job->backoff_n,
        .previous_ms = job->previous_delay_ms,
        .kills = job->kills,
        .max_attempts = job->max_attempts,
        .attempts_limit = engine->limits.attempts_limit,
        .running = attempt_count_running(job),
        .may_hedge = hedge_allowed(job),
        .frozen = (enum rule)job->frozen,
        .idempotency = (enum idempotency)job->idempotency,
    };

    if (counts.idempotency == IDEMPOTENCY_UNSET) {
        counts.idempotency = job->method->policy->idempotency;
    }
    return counts;
}

uint64_t
settle_hold_ms(const struct method_policy *policy,
               const struct retry_failure *failure)
{
    if (!failure->has_pushback || !failure->for_target ||
        failure->pushback_ms < 0) {
        return 0;
    }
    uint64_t pushback_ms = (uint64_t)failure->pushback_ms;
    uint64_t max_ms = policy->retry.max_pushback_ms;

    return pushback_ms < max_ms ? pushback_ms : max_ms;
}

/* What the worker asked for, and what it asked for all retries of the target.
 */
static void
ask_for(struct engine *engine, struct record *record, const struct job *job,
        const struct retry_failure *failure)
{
    const struct method *method = job->method;

    record->has_pushback = failure->has_pushback;
    record->pushback_ms = failure->has_pushback ? failure->pushback_ms : 0;
    record->overloaded = failure->overloaded;
    record->for_target = failure->has_pushback && failure->for_target;
    target_hold(engine, record, method->target,
                settle_hold_ms(method->policy, failure));
}

static void
emit_ending(struct engine *engine, struct attempt *attempt,
            const struct ending *ending)
{
    struct job *job = attempt->job;
    struct record *record = emit_begin(engine, ending->event, job);

    record->attempt = attempt->number;
    record->fence = attempt->fence;
    record->worker = emit_text(engine, worker_text(attempt->worker));
    record->code = ending->failure.code;
    record->reason = ending->failure.reason;
    record->text = ending->text;
    record->charged = !ending->free;
    record->final_lost = ending->worker_dead;
    if (ending->worker_dead && attempt->alone) {
        record->decision.rule = RULE_POISON; /* counts towards it */
    }
    ask_for(engine, record, job, &ending->failure);
    emit_end_job(engine, record, job);
}

static struct decision
decide(struct engine *engine, const struct job *job,
       const struct ending *ending)
{
    const struct method_policy *policy = job->method->policy;
    struct retry_counts counts = settle_counts(engine, job);
    struct retry_time time = {
        .now = engine->now,
        .deadline = job_deadline(job),
    };
    struct retry_guard guard = target_guard(engine, job->method->target);
    struct decision decision;

    if (ending->free &&
        !(ending->failure.uncertain && counts.idempotency == IDEMPOTENCY_NO &&
          !policy->retry_indeterminate)) {
        decision = retry_decide_free(policy, &counts, &time, &engine->rng);
    } else {
        decision = retry_decide(policy, &ending->failure, &counts, &guard,
                                &time, &engine->rng);
    }
    decision.policy_version = engine->policy->version;
    target_count(engine, job->method->target, decision.rule);
    return decision;
}

/* Rules that take the place of the failure's own reason. */
static bool
rule_is_reason(enum rule rule)
{
    return rule == RULE_POISON || rule == RULE_INDETERMINATE ||
           rule == RULE_DEADLINE_WOULD_EXPIRE;
}

static void
emit_refusal(struct engine *engine, struct job *job,
             const struct ending *ending, const struct decision *decision)
{
    struct record *record = emit_begin(engine, EVENT_RETRY_REFUSED, job);

    record->attempt = ending->attempt;
    record->code = ending->failure.code;
    record->reason = ending->failure.reason;
    record->decision = *decision;
    target_add_tokens(engine, record, job->method->target);
    if (job->running != NULL) {
        target_give_back(engine, record, job); /* of one that was planned */
    }
    emit_end_job(engine, record, job);
}

/* Ends the job with this failure, whatever else of it runs. */
static void
fail(struct engine *engine, struct job *job, const struct ending *ending,
     const struct decision *decision)
{
    struct job_end end = {
        .event = EVENT_JOB_FAILED,
        .code = ending->failure.code,
        .reason = ending->failure.reason,
        .text = ending->text,
        .decision = *decision,
        .with_result = ending->with_result,
        .attempt = ending->attempt,
        .fence = ending->fence,
    };

    /* What never started did not really fail. */
    if (ending->free && job->failed) {
        job_last_failure(engine, job, &end);
    }
    if (rule_is_reason(decision->rule)) {
        end.reason = text_of(rule_name(decision->rule));
    }
    job_finish(engine, job, &end);
}

static bool
goes_on(enum rule rule)
{
    return rule == RULE_RETRY_PLANNED || rule == RULE_BREAKER_OPEN ||
           rule == RULE_FREE_RETRY;
}

bool
settle_is_end_of_all(const struct method_policy *policy,
                     const struct retry_failure *failure, enum rule rule)
{
    if (rule == RULE_OVERLOADED_MARK) {
        return retry_is_fatal(policy, failure);
    }
    return rule == RULE_NON_RETRYABLE_REASON ||
           rule == RULE_NON_RETRYABLE_CODE || rule == RULE_POISON ||
           rule == RULE_INDETERMINATE;
}

static void
follow(struct engine *engine, struct job *job, const struct ending *ending)
{
    struct decision decision = decide(engine, job, ending);

    if (goes_on(decision.rule)) {
        job_go_on(engine, job, ending->attempt, &decision, &ending->failure);
        return;
    }
    emit_refusal(engine, job, ending, &decision);
    if (job->running == NULL ||
        settle_is_end_of_all(job->method->policy, &ending->failure,
                             decision.rule)) {
        fail(engine, job, ending, &decision);
    } else {
        job_arm(engine, job);
    }
}

/* What is lost says something of its worker, not of its target. */
static void
settle_permit(struct engine *engine, struct attempt *attempt,
              const struct ending *ending)
{
    const struct retry_failure *failure = &ending->failure;

    gate_settle(
        engine, attempt,
        &(struct gate_outcome){
            .code = failure->code,
            .reason = failure->reason,
            .overloaded = failure->overloaded,
            .timed_out = ending->event == EVENT_ATTEMPT_FAILED &&
                         failure->uncertain,
            .says_naught = ending->free || ending->event == EVENT_ATTEMPT_LOST,
            .hint_ms = failure->has_pushback && failure->for_target &&
                               failure->pushback_ms > 0
                           ? (uint64_t)failure->pushback_ms
                           : 0,
        });
}

static void
settle(struct engine *engine, struct attempt *attempt, struct ending *ending)
{
    struct job *job = attempt->job;

    ending->attempt = attempt->number;
    ending->fence = attempt->fence;
    queue_remove(engine, job); /* a hedge that waits is decided on anew */
    job->held = false;
    emit_ending(engine, attempt, ending);
    if (attempt->fence == job->fence) {
        job->settled = engine->report != NULL;
    }
    memcpy(&job->last_worker, attempt->worker->key, sizeof(job->last_worker));
    if (!ending->free) {
        worker_note_outcome(engine, attempt->worker, false);
    }
    settle_permit(engine, attempt, ending);
    if (ending->keep_ghost) {
        attempt_make_ghost(engine, attempt);
    } else {
        attempt_free(engine, attempt);
    }
    follow(engine, job, ending);
}

/* ---- Reports ----------------------------------------------------------- */

static void
settle_success(struct engine *engine, struct attempt *attempt)
{
    struct job *job = attempt->job;
    struct record *record = emit_begin(engine, EVENT_ATTEMPT_SUCCEEDED, job);
    uint32_t number = attempt->number;
    uint64_t fence = attempt->fence;

    record->attempt = number;
    record->fence = fence;
    record->worker = emit_text(engine, worker_text(attempt->worker));
    record->charged = true;
    emit_end_job(engine, record, job);
    worker_note_outcome(engine, attempt->worker, true);
    gate_settle(engine, attempt, &(struct gate_outcome){.code = REDIAL_OK});
    attempt_free(engine, attempt);
    struct job_end end = {
        .event = EVENT_JOB_SUCCEEDED,
        .reason = engine->report->reason,
        .text = engine->report->text,
        .decision = job_decide(engine, job, RULE_SUCCEEDED),
        .with_result = engine->report->result_bytes > 0,
        .attempt = number,
        .fence = fence,
    };

    target_refund(engine, job->method->target, &end.decision);
    job_finish(engine, job, &end);
}

void
settle_report(struct engine *engine, struct attempt *attempt)
{
    const struct engine_report *report = engine->report;

    if (report->code == REDIAL_OK) {
        settle_success(engine, attempt);
        return;
    }
    bool known = (uint32_t)report->code < REDIAL_STATUS_COUNT;
    bool timed_out = report->code == REDIAL_DEADLINE_EXCEEDED &&
                     text_equals(report->reason, text_of("ATTEMPT_TIMEOUT"));
    struct ending ending = {
        .event = EVENT_ATTEMPT_FAILED,
        .failure =
            {
                .code = known ? report->code : REDIAL_UNKNOWN,
                .code_is_known = known,
                .reason = report->reason,
                .overloaded = report->overloaded,
                .has_pushback = report->has_pushback,
                .pushback_ms = report->pushback_ms,
                .for_target = report->for_target,
                .uncertain = timed_out,
            },
        .text = report->text,
        .with_result = report->result_bytes > 0,
    };

    settle(engine, attempt, &ending);
}

void
settle_never_started(struct engine *engine, struct attempt *attempt,
                     const char *reason)
{
    struct ending ending = {
        .event = EVENT_ATTEMPT_FAILED,
        .failure = {.code = REDIAL_UNAVAILABLE,
                    .code_is_known = true,
                    .reason = text_of(reason)},
        .free = true,
    };

    settle(engine, attempt, &ending);
}

/* ---- Time and absence -------------------------------------------------- */

void
settle_timeout(struct engine *engine, struct attempt *attempt)
{
    struct ending ending = {
        .event = EVENT_ATTEMPT_FAILED,
        .failure = {.code = REDIAL_DEADLINE_EXCEEDED,
                    .code_is_known = true,
                    .reason = text_of("ATTEMPT_TIMEOUT"),
                    .uncertain = true},
        .keep_ghost = true,
    };

    settle(engine, attempt, &ending);
}

/* A report may still come: it is late, and worth one record. */
static void
settle_lost(struct engine *engine, struct attempt *attempt,
            struct ending *ending)
{
    struct job *job = attempt->job;

    ending->event = EVENT_ATTEMPT_LOST;
    ending->failure.code = REDIAL_UNAVAILABLE;
    ending->failure.code_is_known = true;
    ending->failure.reason = text_of("WORKER_LOST");
    ending->failure.uncertain = true;
    job->lost_fence = attempt->fence;
    settle(engine, attempt, ending);
}

void
settle_lease_over(struct engine *engine, struct attempt *attempt)
{
    struct ending ending = {.free = !attempt->acked};

    if (attempt->worker->state == WORKER_CONNECTED) {
        emit_stop(engine, attempt->worker,
                  &(struct engine_token){
                      .job = attempt->job->id,
                      .attempt = attempt->number,
                      .fence = attempt->fence,
                  });
    }
    ending.text = text_of(attempt->acked ? "the lease ran out"
                                         : "the lease ran out before the "
                                           "worker acknowledged");
    settle_lost(engine, attempt, &ending);
}

void
settle_worker_gone(struct engine *engine, struct attempt *attempt)
{
    struct ending ending = {
        .worker_dead = attempt->end == ATTEMPT_WORKER_DEAD,
    };

    ending.text = text_of(ending.worker_dead ? "the worker died"
                                             : "the worker did not return");
    settle_lost(engine, attempt, &ending);
}

/* ---- What was put off -------------------------------------------------- */

void
settle_run(struct engine *engine)
{
    for (int i = 0; i < ENGINE_MOVES_MAX && engine_has_budget(engine); i++) {
        struct list *first = list_first(&engine->ending);

        if (first == NULL) {
            return;
        }
        struct attempt *attempt = container_of(first, struct attempt, ending);

        /* Ghosts are not put off, but a job may end meanwhile. */
        if (attempt->ghost) {
            struct job *job = attempt->job;

            attempt_free(engine, attempt);
            job_release_if_done(engine, job);
            continue;
        }
        if (job_end_if_over(engine, attempt->job)) {
            continue;
        }
        switch (attempt->end) {
        case ATTEMPT_NEVER_STARTED:
            settle_never_started(engine, attempt, "NOT_STARTED");
            break;
        case ATTEMPT_WORKER_LOST:
        case ATTEMPT_WORKER_DEAD:
            settle_worker_gone(engine, attempt);
            break;
        case ATTEMPT_GOES_ON:
            list_remove(&attempt->ending);
            break;
        }
    }
    engine->more = engine->more || !list_is_empty(&engine->ending);
}
