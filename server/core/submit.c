/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/submit.h"

#include "server/core/apply.h"
#include "server/core/emit.h"
#include "server/core/flow.h"
#include "server/core/gate.h"
#include "server/core/keys.h"
#include "server/core/life.h"
#include "server/core/names.h"
#include "server/core/outcome.h"
#include "server/core/uuid.h"

#include <string.h>

/* ---- Refusals ---------------------------------------------------------- */

static const char *const refusal_names[] = {
#define REFUSAL(name, sentence) [ENGINE_REFUSED_##name] = #name,
#include "server/core/refusal.def"
#undef REFUSAL
};

static const char *const refusal_sentences[] = {
#define REFUSAL(name, sentence) [ENGINE_REFUSED_##name] = (sentence),
#include "server/core/refusal.def"
#undef REFUSAL
};

const char *
engine_refusal_name(enum engine_refusal refusal)
{
    redial_assert((size_t)refusal < ENGINE_REFUSAL_COUNT);
    return refusal_names[refusal];
}

/* Returns false, so that checks can be chained. */
static bool
refuse(struct engine *engine, enum redial_status status,
       enum engine_refusal refusal, uint64_t retry_after_ms)
{
    outcome_refuse(engine, status, refusal_names[refusal],
                   refusal_sentences[refusal]);
    engine->out->result.retry_after_ms = retry_after_ms;
    engine->refusals[refusal]++;
    return false;
}

/* One that can come back when some job has left. */
static bool
refuse_full(struct engine *engine, enum engine_refusal refusal)
{
    return refuse(engine, REDIAL_RESOURCE_EXHAUSTED, refusal,
                  flow_retry_after_ms(&engine->flow, 0, engine->now.mono.ms));
}

/* ---- Checks ------------------------------------------------------------ */

static bool
names_are_valid(struct engine *engine, const struct engine_submit *submit)
{
    if (submit->service.len == 0 || submit->service.len > NAME_BYTES_MAX) {
        return outcome_invalid(engine, "service: 1 to 128 bytes");
    }
    if (submit->method.len == 0 || submit->method.len > NAME_BYTES_MAX) {
        return outcome_invalid(engine, "method: 1 to 128 bytes");
    }
    if (submit->tenant.len > NAME_BYTES_MAX) {
        return outcome_invalid(engine, "tenant: at most 128 bytes");
    }
    if (submit->correlation.len > NAME_BYTES_MAX) {
        return outcome_invalid(engine, "correlation_id: at most 128 bytes");
    }
    if (submit->key.len > NAME_BYTES_MAX) {
        return outcome_invalid(engine, "key: at most 128 bytes");
    }
    if ((submit->key.len > 0) != key_is_set(submit->key_hash)) {
        return outcome_invalid(engine, "key: without its hash");
    }
    return true;
}

static bool
numbers_are_valid(struct engine *engine, const struct engine_submit *submit)
{
    static const uint8_t no_id[16];

    if (memcmp(submit->id.bytes, no_id, sizeof(no_id)) == 0) {
        return outcome_invalid(engine, "id: all zero");
    }
    if (submit->priority >= PRIORITY_COUNT) {
        return outcome_invalid(engine, "priority: 0 to 9");
    }
    if ((uint32_t)submit->idempotency > IDEMPOTENCY_NO) {
        return outcome_invalid(engine, "idempotent: not one of its values");
    }
    if (submit->not_before_ms > (uint64_t)DURATION_MS_MAX) {
        return outcome_invalid(engine, "not_before_ms: too far away");
    }
    if (submit->deadline_ms > (uint64_t)DURATION_MS_MAX) {
        return outcome_invalid(engine, "deadline_ms: too far away");
    }
    if (submit->queue_ttl_ms > (uint64_t)DURATION_MS_MAX) {
        return outcome_invalid(engine, "queue_ttl_ms: too far away");
    }
    if (submit->attempt_timeout_ms > (uint64_t)DURATION_MS_MAX) {
        return outcome_invalid(engine, "attempt_timeout_ms: too long");
    }
    return true;
}

/* ---- The same job again ------------------------------------------------ */

static void
answer_with(struct engine *engine, struct job_id id, const struct job *job)
{
    struct engine_result *result = &engine->out->result;

    result->job = id;
    if (job != NULL) {
        result->slot = job->slot;
        result->state = (int)job_shown(job);
    }
}

/* True when the id or the key is known and the answer given. */
static bool
is_repeat(struct engine *engine, const struct engine_submit *submit)
{
    const struct job *job = job_by_id(engine, submit->id);
    struct job_id id = submit->id;

    if (job == NULL) {
        if (submit->key.len == 0) {
            return false;
        }
        const struct key_entry *entry = keys_find(engine, submit->key_hash);

        if (entry == NULL) {
            return false;
        }
        id = entry->job;
        if (memcmp(entry->content_hash, submit->content_hash, 16) != 0) {
            refuse(engine, REDIAL_ALREADY_EXISTS, ENGINE_REFUSED_KEY_REUSED, 0);
            engine->out->result.job = id;
            return true;
        }
        job = job_by_id(engine, id);
    }
    engine->duplicate_submits++;
    engine->out->result.deduplicated = true;
    answer_with(engine, id, job);
    return true;
}

/* ---- Room -------------------------------------------------------------- */

static bool
has_room(struct engine *engine, const struct engine_submit *submit)
{
    if (engine->draining) {
        return refuse(engine, REDIAL_UNAVAILABLE, ENGINE_REFUSED_DRAINING,
                      RETRY_AFTER_MIN_MS);
    }
    if (engine->jobs.used >= engine->limits.jobs_max) {
        return refuse_full(engine, ENGINE_REFUSED_JOBS_FULL);
    }
    if (engine->payload_bytes > engine->limits.payload_bytes_max ||
        submit->payload_bytes >
            engine->limits.payload_bytes_max - engine->payload_bytes) {
        return refuse_full(engine, ENGINE_REFUSED_PAYLOAD_BYTES_FULL);
    }
    if (submit->key.len > 0 && keys_is_full(engine)) {
        return refuse_full(engine, ENGINE_REFUSED_KEY_TABLE_FULL);
    }
    return true;
}

static bool
names_have_room(struct engine *engine, const struct known *known)
{
    if (known->method == NULL || !method_may_be_used(engine, known->method)) {
        return refuse_full(engine, ENGINE_REFUSED_METHODS_FULL);
    }
    if (known->tenant == NULL || !tenant_may_be_used(engine, known->tenant)) {
        return refuse_full(engine, ENGINE_REFUSED_TENANTS_FULL);
    }
    return true;
}

/* By the flow of the queue that is full. */
static bool
refuse_queue(struct engine *engine, enum engine_refusal refusal,
             const struct limit *limit, struct flow *flow)
{
    return refuse(engine, REDIAL_RESOURCE_EXHAUSTED, refusal,
                  flow_retry_after_ms(flow, limit_interval_us(limit),
                                      engine->now.mono.ms));
}

/* The sentence with how many wait, in the texts of the outbox. */
static const char *
tell_waiting(struct engine *engine, struct text sentence, uint64_t waiting)
{
    static const char wait[] = " jobs wait for it"; /* with its terminator */
    struct engine_outbox *out = engine->out;
    char *begin = out->texts + out->text_bytes;
    char *at = begin + sentence.len;

    redial_assert(out->text_bytes + sentence.len + NUMBER_BYTES_MAX + 2 +
                      sizeof(wait) <=
                  out->text_bytes_max);
    memcpy(begin, sentence.at, sentence.len);
    *at++ = ';';
    *at++ = ' ';
    at += text_put_number(at, waiting);
    memcpy(at, wait, sizeof(wait));
    out->text_bytes += (size_t)(at - begin) + sizeof(wait);
    return begin;
}

/* The breaker of its target may want no more of them. */
static bool
target_lets_wait(struct engine *engine, const struct method *method)
{
    struct target *target = method->target;
    uint64_t after_ms = 0;
    bool full = false;

    if (gate_may_wait(target, method->policy, engine->now.mono.ms, &full,
                      &after_ms)) {
        return true;
    }
    enum engine_refusal refusal = full ? ENGINE_REFUSED_PARKED_FULL
                                       : ENGINE_REFUSED_BREAKER_OPEN;

    refuse(engine, full ? REDIAL_RESOURCE_EXHAUSTED : REDIAL_UNAVAILABLE,
           refusal, after_ms);
    engine->out->result.message = tell_waiting(
        engine, text_of(refusal_sentences[refusal]),
        target->waiting + target->parked);
    return false;
}

/*
 * A job with a not-before time does not wait yet, and when its time comes it is
 * an accepted one, which stays: only what would wait now is refused.
 */
static bool
queues_have_room(struct engine *engine, const struct engine_submit *submit,
                 const struct known *known)
{
    struct method *method = known->method;
    struct tenant *tenant = known->tenant;

    if (submit->not_before_ms > 0) {
        return true;
    }
    if (!target_lets_wait(engine, method)) {
        return false;
    }
    if (!limit_may_wait(&method->limit, method->waiting)) {
        method->refused++;
        return refuse_queue(engine, ENGINE_REFUSED_QUEUE_FULL, &method->limit,
                            &method->flow);
    }
    if (!limit_may_wait(&tenant->limit, tenant->waiting)) {
        tenant->refused++;
        return refuse_queue(engine, ENGINE_REFUSED_TENANT_QUEUE_FULL,
                            &tenant->limit, &tenant->flow);
    }
    return true;
}

/* ---- Acceptance -------------------------------------------------------- */

static uint64_t
tighter(uint64_t policy_ms, uint64_t job_ms)
{
    if (policy_ms == 0 || (job_ms != 0 && job_ms < policy_ms)) {
        return job_ms;
    }
    return policy_ms;
}

/* A correlation id that says no more than the job's own id is left out. */
static struct text
own_correlation(const struct engine_submit *submit)
{
    struct text none = {0};

    if (uuid_equals(submit->correlation, submit->id)) {
        return none;
    }
    return submit->correlation;
}

static struct job *
accept(struct engine *engine, const struct engine_submit *submit,
       const struct known *known)
{
    struct record *record = emit_begin(engine, EVENT_JOB_ACCEPTED, NULL);

    record->job_seq = 1;
    record->job = submit->id;
    record->correlation = own_correlation(submit);
    record->tenant = submit->tenant;
    record->service = submit->service;
    record->method = submit->method;
    record->key = submit->key;
    record->traceparent = submit->traceparent;
    record->priority = submit->priority;
    record->idempotency = submit->idempotency;
    record->not_before_ms = submit->not_before_ms;
    record->deadline_ms = tighter(known->method->policy->deadline_ms,
                                  submit->deadline_ms);
    record->queue_ttl_ms = submit->queue_ttl_ms;
    record->max_attempts = submit->max_attempts;
    record->attempt_timeout_ms = submit->attempt_timeout_ms;
    record->payload_bytes = submit->payload_bytes;
    memcpy(record->key_hash, submit->key_hash, sizeof(record->key_hash));
    if (submit->key.len > 0) {
        memcpy(record->content_hash, submit->content_hash,
               sizeof(record->content_hash));
    }
    record->decision.policy_version = engine->policy->version;
    record->attachment = ATTACHMENT_PAYLOAD;
    struct job *job = emit_end(engine, record, known);

    job->accepted_ms = engine->now.mono.ms;
    return job;
}

static void
schedule(struct engine *engine, struct job *job)
{
    struct record *record = emit_begin(engine, EVENT_JOB_SCHEDULED, job);
    int64_t delay_ms = duration_ms(job->not_before_ms);

    record->decision = job_decide(engine, job, RULE_SCHEDULED);
    record->decision.delay_source = DELAY_NOT_BEFORE;
    record->decision.delay_ms = (uint64_t)delay_ms;
    record->decision.until_wall_ms = engine->now.wall.ms + delay_ms;
    emit_end_job(engine, record, job);
    job->until_ms = engine->now.mono.ms + delay_ms;
    job_arm(engine, job);
}

void
submit_take(struct engine *engine, const struct engine_submit *submit)
{
    if (!names_are_valid(engine, submit) ||
        !numbers_are_valid(engine, submit)) {
        engine->refusals[ENGINE_REFUSED_INVALID_ARGUMENT]++;
        return;
    }
    if (is_repeat(engine, submit) || !has_room(engine, submit)) {
        return;
    }
    struct known known = {
        .method = method_intern(engine, submit->service, submit->method),
        .tenant = tenant_intern(engine, submit->tenant),
        .is_new = true,
    };

    if (!names_have_room(engine, &known) ||
        !queues_have_room(engine, submit, &known)) {
        return;
    }
    struct job *job = accept(engine, submit, &known);

    if (submit->not_before_ms > 0) {
        schedule(engine, job);
        answer_with(engine, job->id, job);
        return;
    }
    job_enqueue(engine, job);
    answer_with(engine, job->id, job);
    if (gate_end_early(engine, job)) {
        engine->out->result.state = JOB_EXPIRED;
    }
}

void
submit_cancel(struct engine *engine, struct job_id id, struct text reason)
{
    struct job *job = job_by_id(engine, id);
    struct engine_result *result = &engine->out->result;

    if (job == NULL) {
        outcome_refuse(engine, REDIAL_NOT_FOUND, "UNKNOWN_JOB",
                       "no live job has this id");
        return;
    }
    result->job = id;
    result->slot = job->slot;
    result->state = job->state;
    if (job_state_is_final((enum job_state)job->state) ||
        job_end_if_over(engine, job)) {
        return;
    }
    result->state = JOB_CANCELLED;
    result->changed = true;
    job_finish(engine, job,
               &(struct job_end){
                   .event = EVENT_JOB_CANCELLED,
                   .code = REDIAL_CANCELLED,
                   .reason = text_of(rule_name(RULE_CANCELLED)),
                   .text = reason,
                   .decision = job_decide(engine, job, RULE_CANCELLED),
               });
}
