/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/life.h"

#include "server/core/apply.h"
#include "server/core/attempt.h"
#include "server/core/emit.h"
#include "server/core/flow.h"
#include "server/core/gate.h"
#include "server/core/hedge.h"
#include "server/core/queue.h"

static int64_t
earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

struct mono
job_deadline(const struct job *job)
{
    if (job->deadline_ms == 0) {
        return MONO_NEVER;
    }
    return (struct mono){job->accepted_ms + duration_ms(job->deadline_ms)};
}

/* The time to live counts while no attempt was made. */
static int64_t
queue_end_ms(const struct job *job)
{
    if (job->queue_ttl_ms == 0 || job->attempts_charged > 0 ||
        job->state == JOB_RUNNING) {
        return INT64_MAX;
    }
    return job->accepted_ms + duration_ms(job->queue_ttl_ms);
}

uint32_t
job_attempts_max(const struct engine *engine, const struct job *job)
{
    struct retry_counts counts = {
        .max_attempts = job->max_attempts,
        .attempts_limit = engine->limits.attempts_limit,
    };

    return retry_attempts_max(job->method->policy, &counts);
}

struct decision
job_decide(const struct engine *engine, const struct job *job, enum rule rule)
{
    return (struct decision){
        .rule = rule,
        .attempts_charged = job->attempts_charged,
        .attempts_free = job->attempts_free,
        .tokens_milli = -1,
        .budget_milli = -1,
        .policy_version = engine->policy->version,
    };
}

void
job_arm(struct engine *engine, struct job *job)
{
    int64_t at = earlier(job_deadline(job).ms, queue_end_ms(job));

    if (!job->waiting &&
        (job->held || job->state == JOB_SCHEDULED ||
         job->state == JOB_BACKOFF ||
         (job->state == JOB_PARKED && job->until_wall_ms != 0) ||
         (job->state == JOB_RUNNING && hedge_may_wait(job)))) {
        at = earlier(at, job->until_ms);
    }
    if (at == INT64_MAX) {
        heap_remove(&engine->job_timers, &job->timer);
    } else if (!heap_has(&job->timer) || job->timer.at != at) {
        heap_set(&engine->job_timers, &job->timer, at);
    }
}

void
job_release_if_done(struct engine *engine, struct job *job)
{
    if (!job_state_is_final((enum job_state)job->state) ||
        job->running != NULL || job->ghosts != NULL) {
        return;
    }
    struct engine_command *command = emit_command(engine, COMMAND_RELEASE, 0);

    command->slot = job->slot;
    command->token.job = job->id;
    flow_released(&engine->flow, engine->now.mono.ms);
    job_free(engine, job);
}

void
job_finish(struct engine *engine, struct job *job, const struct job_end *end)
{
    bool settled = end->attempt != 0;

    queue_remove(engine, job);
    gate_unpark(job);
    if (settled) {
        hedge_lose(engine, job);
    }
    struct record *record = emit_begin(engine, end->event, job);

    record->attempt = settled ? end->attempt : job->attempt;
    record->fence = settled ? end->fence : job->fence;
    record->code = end->code;
    record->reason = end->reason;
    record->text = end->text;
    record->decision = end->decision;
    record->decision.attempts_free = job->attempts_free;
    emit_key(engine, record, job);
    target_add_tokens(engine, record, job->method->target);
    target_give_back(engine, record, job);
    if (end->with_result) {
        record->attachment = ATTACHMENT_RESULT;
    }
    emit_end_job(engine, record, job);
    heap_remove(&engine->job_timers, &job->timer);
    while (job->running != NULL) {
        attempt_make_ghost(engine, job->running);
    }
    job_release_if_done(engine, job);
}

void
job_last_failure(struct engine *engine, const struct job *job,
                 struct job_end *end)
{
    char buf[FAILURE_BYTES_MAX];
    struct text reason;
    struct text text;

    job_get_failure(engine, job, buf, &reason, &text);
    end->code = (enum redial_status)job->failure_code;
    end->reason = emit_text(engine, reason);
    end->text = emit_text(engine, text);
}

/* Nothing was tried: EXPIRED. Else FAILED with what went wrong last. */
void
job_end_by(struct engine *engine, struct job *job, enum rule rule)
{
    struct job_end end = {
        .event = EVENT_JOB_EXPIRED,
        .code = REDIAL_DEADLINE_EXCEEDED,
        .decision = job_decide(engine, job, rule),
    };

    if (job->attempts_charged > 0 || job->state == JOB_RUNNING) {
        end.event = EVENT_JOB_FAILED;
        if (job->failed) {
            job_last_failure(engine, job, &end);
        }
    }
    end.reason = text_of(rule_name(rule));
    job_finish(engine, job, &end);
}

bool
job_end_if_over(struct engine *engine, struct job *job)
{
    int64_t now_ms = engine->now.mono.ms;

    if (job_deadline(job).ms <= now_ms) {
        job_end_by(engine, job, RULE_DEADLINE_EXCEEDED);
        return true;
    }
    if (queue_end_ms(job) <= now_ms) {
        job_end_by(engine, job, RULE_QUEUE_TTL_EXCEEDED);
        return true;
    }
    return false;
}

void
job_enqueue(struct engine *engine, struct job *job)
{
    job->held = false;
    queue_put(engine, job);
    job_arm(engine, job);
}

void
job_go_on(struct engine *engine, struct job *job, uint32_t attempt,
          const struct decision *decision, const struct retry_failure *failure)
{
    enum event_type event = EVENT_RETRY_PLANNED;

    bool beside = job->running != NULL;

    if (beside) {
        event = EVENT_RETRY_PLANNED;
    } else if (decision->rule == RULE_BREAKER_OPEN) {
        event = EVENT_JOB_PARKED;
    } else if (decision->delay_source == DELAY_NONE) {
        event = EVENT_JOB_RELEASED;
    }
    struct record *record = emit_begin(engine, event, job);

    record->attempt = attempt;
    record->code = failure->code;
    record->reason = failure->reason;
    record->decision = *decision;
    if (beside && decision->until_wall_ms == 0) {
        record->decision.until_wall_ms = engine->now.wall.ms;
    }
    target_add_tokens(engine, record, job->method->target);
    if (decision->rule == RULE_RETRY_PLANNED) {
        target_take_retry(engine, record, job);
    }
    emit_end_job(engine, record, job);
    job->until_ms = engine->now.mono.ms + duration_ms(decision->delay_ms);
    if (beside) {
        hedge_wait(engine, job);
    } else if (job->state == JOB_READY ||
               (job->state == JOB_BACKOFF && decision->delay_ms == 0)) {
        job_enqueue(engine, job);
    } else {
        if (job->state == JOB_PARKED) {
            gate_park(job);
        }
        job_arm(engine, job);
    }
}
