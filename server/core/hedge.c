/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/hedge.h"

#include "server/core/attempt.h"
#include "server/core/emit.h"
#include "server/core/life.h"
#include "server/core/queue.h"

bool
hedge_allowed(const struct job *job)
{
    const struct method_policy *policy = job->method->policy;
    enum idempotency idempotency = (enum idempotency)job->idempotency;

    if (idempotency == IDEMPOTENCY_UNSET) {
        idempotency = policy->idempotency;
    }
    return policy->hedged && idempotency == IDEMPOTENCY_YES;
}

bool
hedge_may_wait(const struct job *job)
{
    return job->until_wall_ms != 0 && !job->suspect && hedge_allowed(job);
}

/* How many more may start beside `running`, by the policy in force. */
static uint32_t
attempts_left(const struct engine *engine, const struct job *job,
              uint32_t running)
{
    uint32_t max = job_attempts_max(engine, job);
    uint32_t taken = job->attempts_charged + running;

    return taken < max ? max - taken : 0;
}

void
hedge_plan(const struct engine *engine, const struct job *job,
           struct record *record)
{
    uint32_t running = attempt_count_running(job) + 1;
    uint32_t left = attempts_left(engine, job, running);
    int64_t delay_ms = duration_ms(job->method->policy->hedging_delay_ms);

    record->hedge = job->running != NULL;
    if (!hedge_allowed(job) || job->suspect || left == 0 ||
        running == ENGINE_RUNNING_MAX || engine->policy->retries_off ||
        engine->now.mono.ms + delay_ms >= job_deadline(job).ms) {
        return;
    }
    record->decision = job_decide(engine, job, RULE_HEDGE_PLANNED);
    record->decision.delay_source = DELAY_HEDGE;
    record->decision.delay_ms = (uint64_t)delay_ms;
    record->decision.until_wall_ms = engine->now.wall.ms + delay_ms;
    record->decision.attempts_left = left;
}

void
hedge_wait(struct engine *engine, struct job *job)
{
    if (hedge_may_wait(job) && job->until_ms <= engine->now.mono.ms) {
        job_enqueue(engine, job);
    } else {
        job_arm(engine, job);
    }
}

void
hedge_take_policy(struct engine *engine)
{
    for (uint32_t i = 0; i < engine->workers.fresh; i++) {
        struct worker *worker = slab_at(&engine->workers, i);

        if (worker->state == WORKER_NONE) {
            continue;
        }
        list_foreach(at, &worker->attempts) {
            struct attempt *attempt = container_of(at, struct attempt,
                                                   of_worker);
            struct job *job = attempt->job;

            if (!attempt->ghost && job->until_wall_ms != 0 && !job->waiting &&
                !job->held) {
                hedge_wait(engine, job);
            }
        }
    }
}

/* What forbids one more to start now; RULE_NONE: nothing does. */
static enum rule
find_refusal(struct engine *engine, const struct job *job)
{
    uint32_t running = attempt_count_running(job);

    if (engine->policy->retries_off) {
        return RULE_RETRIES_OFF;
    }
    if (attempts_left(engine, job, running) == 0 ||
        running >= ENGINE_RUNNING_MAX) {
        return RULE_ATTEMPTS_EXHAUSTED;
    }
    /* One that follows a failure was let through when that was decided. */
    if (job->decision.rule != RULE_HEDGE_PLANNED) {
        return RULE_NONE;
    }
    enum rule rule = target_refuses(engine, job->method->target);

    target_count(engine, job->method->target, rule);
    return rule;
}

bool
hedge_admit(struct engine *engine, struct job *job)
{
    if (!hedge_may_wait(job)) {
        engine->moves++; /* a new policy may find many of them waiting */
        queue_remove(engine, job);
        job_arm(engine, job);
        return false;
    }
    enum rule rule = find_refusal(engine, job);

    if (rule != RULE_NONE) {
        hedge_freeze(engine, job, rule);
        return false;
    }
    return true;
}

void
hedge_freeze(struct engine *engine, struct job *job, enum rule rule)
{
    queue_remove(engine, job);
    struct retry_guard guard = target_guard(engine, job->method->target);
    struct record *record = emit_begin(engine, EVENT_RETRY_REFUSED, job);

    record->attempt = job->attempt;
    record->decision = job_decide(engine, job, rule);
    record->decision.tokens_milli = guard.tokens_milli;
    record->decision.budget_milli = guard.budget_milli;
    record->decision.attempts_left = attempts_left(engine, job,
                                                   attempt_count_running(job));
    target_give_back(engine, record, job);
    emit_end_job(engine, record, job);
    job_arm(engine, job);
}

void
hedge_lose(struct engine *engine, struct job *job)
{
    while (job->running != NULL) {
        struct attempt *attempt = job->running;
        struct record *record = emit_begin(engine, EVENT_ATTEMPT_FAILED, job);

        record->attempt = attempt->number;
        record->fence = attempt->fence;
        record->worker = emit_text(engine, worker_text(attempt->worker));
        record->code = REDIAL_CANCELLED;
        record->reason = text_of(rule_name(RULE_HEDGE_LOST));
        record->decision = job_decide(engine, job, RULE_HEDGE_LOST);
        emit_end_job(engine, record, job);
        attempt_make_ghost(engine, attempt);
    }
}
