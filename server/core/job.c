/* SPDX-License-Identifier: Apache-2.0 */
/* The table of jobs, and what is kept of each. */
#include "server/core/apply.h"
#include "server/core/names.h"

#include <string.h>

/* job.def as a matrix: the event that makes each move; 0: no such move. */
static const uint8_t moves[JOB_EXPIRED + 1][JOB_EXPIRED + 1] = {
#define JOB_MOVE(from, to, event) [JOB_##from][JOB_##to] = EVENT_##event,
#include "server/core/job.def"
#undef JOB_MOVE
};

/* The events with which a job may stay in its state. */
static bool
may_stay(enum job_state state, enum event_type event)
{
#define JOB_STAY(state_, event_)                            \
    if (state == JOB_##state_ && event == EVENT_##event_) { \
        return true;                                        \
    }
#include "server/core/job.def"
#undef JOB_STAY
    return false;
}

static const char *const state_names[] = {
#define JOB_STATE(name, number, final, waits_for) [number] = #name,
#include "server/core/job.def"
#undef JOB_STATE
};

static const bool state_is_final[] = {
#define JOB_STATE(name, number, final, waits_for) [number] = (final),
#include "server/core/job.def"
#undef JOB_STATE
};

const char *
job_state_name(enum job_state state)
{
    redial_assert((size_t)state <= JOB_EXPIRED);
    return state_names[state];
}

bool
job_state_is_final(enum job_state state)
{
    redial_assert((size_t)state <= JOB_EXPIRED);
    return state_is_final[state];
}

bool
job_move(struct engine *engine, struct job *job, enum job_state to,
         const struct record *record)
{
    if (job->state == to) {
        job->until_wall_ms = 0;
        engine->moves++;
        return may_stay(to, record->type);
    }
    if (moves[job->state][to] != (uint8_t)record->type) {
        return false;
    }
    redial_assert(!job->waiting);
    if (job->state != JOB_NONE) {
        engine->shown[job->state]--;
    }
    engine->shown[to]++;
    engine->moves++;
    if ((job->state == JOB_BACKOFF) != (to == JOB_BACKOFF)) {
        method_count_backoff(job->method, to == JOB_BACKOFF);
    }
    if ((job->state == JOB_PARKED) != (to == JOB_PARKED)) {
        method_count_parked(job->method, to == JOB_PARKED);
    }
    job->state = (uint8_t)to;
    job->state_wall_ms = record->wall_ms;
    job->until_wall_ms = 0;
    return true;
}

/* Where the id's slot is remembered; the end of a UUIDv7 is random. */
static uint32_t
recent_place(struct job_id id)
{
    return ((uint32_t)id.bytes[14] << 8 | id.bytes[15]) % RECENT_JOBS;
}

struct job *
job_by_id(const struct engine *engine, struct job_id id)
{
    struct job *job = slab_at(&engine->jobs,
                              engine->recent_jobs[recent_place(id)]);

    if (job->state != JOB_NONE && memcmp(&job->id, &id, sizeof(id)) == 0) {
        return job;
    }
    uint32_t slot = map_get(&engine->jobs_by_id, id.bytes);

    return slot == MAP_NONE ? NULL : slab_at(&engine->jobs, slot);
}

struct job *
job_make(struct engine *engine, struct job_id id, struct method *method,
         struct tenant *tenant)
{
    struct job *job = slab_take(&engine->jobs);

    if (job == NULL) {
        return NULL;
    }
    job->id = id;
    job->slot = slab_index(&engine->jobs, job);
    job->method = method;
    job->tenant = tenant;
    method_ref(engine, method);
    tenant_ref(engine, tenant);
    engine->recent_jobs[recent_place(id)] = job->slot;
    bool put = map_put(&engine->jobs_by_id, id.bytes, job->slot);

    redial_assert(put);
    (void)put;
    return job;
}

void
job_free(struct engine *engine, struct job *job)
{
    redial_assert(job->running == NULL && job->ghosts == NULL);
    redial_assert(!job->waiting);
    engine->shown[job->state]--;
    engine->payload_bytes -= job->payload_bytes;
    heap_remove(&engine->job_timers, &job->timer);
    list_remove(&job->correlated);
    chunk_free(&engine->texts, job->correlation);
    chunk_free(&engine->texts, job->key);
    chunk_free(&engine->texts, job->failure);
    map_remove(&engine->jobs_by_id, job->id.bytes);
    method_unref(engine, job->method);
    tenant_unref(engine, job->tenant);
    slab_give(&engine->jobs, job);
}

void
job_relocate(struct engine *engine, struct job *job)
{
    struct job *to = slab_take(&engine->jobs);

    redial_assert(to != NULL && !job->waiting && job->ghosts == NULL);
    redial_assert(!heap_has(&job->timer));
    bool correlated = list_is_linked(&job->correlated);
    struct list *at = correlated ? job->correlated.next : NULL;

    list_remove(&job->correlated);
    *to = *job;
    to->slot = slab_index(&engine->jobs, to);
    if (correlated) {
        list_insert_before(at, &to->correlated);
    }
    for (struct attempt *one = to->running; one != NULL; one = one->next) {
        one->job = to;
    }
    map_put(&engine->jobs_by_id, to->id.bytes, to->slot);
    slab_drop(&engine->jobs, job);
}

/* ---- Texts ------------------------------------------------------------- */

/* The pool holds the longest texts of as many jobs as there can be. */
static uint32_t
keep_text(struct engine *engine, const char *at, size_t len)
{
    uint32_t ref = 0;
    bool put = chunk_put(&engine->texts, at, len, &ref);

    redial_assert(put);
    (void)put;
    return ref;
}

struct list *
correlation_bucket(const struct engine *engine, struct text correlation)
{
    uint64_t hash = hash_64(&engine->hash_key, correlation.at, correlation.len);
    uint64_t bucket = ((hash >> 32) * engine->correlation_buckets) >> 32;

    return &engine->correlations[bucket];
}

void
job_set_correlation(struct engine *engine, struct job *job, struct text text)
{
    if (text.len == 0) {
        return;
    }
    struct list *bucket = correlation_bucket(engine, text);

    if (bucket->next == NULL) {
        list_init(bucket);
    }
    list_append(bucket, &job->correlated);
    job->correlation = keep_text(engine, text.at, text.len);
}

void
job_set_key(struct engine *engine, struct job *job, struct text text)
{
    job->key = keep_text(engine, text.at, text.len);
}

void
job_set_failure(struct engine *engine, struct job *job, struct text reason,
                struct text text)
{
    char buf[FAILURE_BYTES_MAX];

    reason = text_cut(reason, REASON_BYTES_MAX);
    text = text_cut(text, TEXT_BYTES_MAX);
    if (reason.len > 0) {
        memcpy(buf, reason.at, reason.len);
    }
    if (text.len > 0) {
        memcpy(buf + reason.len, text.at, text.len);
    }
    chunk_free(&engine->texts, job->failure);
    job->failure = keep_text(engine, buf, (size_t)reason.len + text.len);
    job->failure_reason_len = (uint8_t)reason.len;
}

void
job_get_failure(const struct engine *engine, const struct job *job, char *buf,
                struct text *ret_reason, struct text *ret_text)
{
    uint32_t len = chunk_get(&engine->texts, job->failure, buf,
                             FAILURE_BYTES_MAX);
    uint32_t reason_len = job->failure_reason_len;

    *ret_reason = (struct text){.at = buf, .len = reason_len};
    *ret_text = (struct text){.at = buf + reason_len, .len = len - reason_len};
}

/* ---- Decisions --------------------------------------------------------- */

struct decision
job_decision(const struct job *job)
{
    const struct kept_decision *kept = &job->decision;

    return (struct decision){
        .rule = (enum rule)kept->rule,
        .delay_source = (enum delay_source)kept->delay_source,
        .clamp = (enum clamp)kept->clamp,
        .jitter_permille = kept->jitter_permille,
        .backoff_ms = kept->backoff_ms,
        .delay_ms = kept->delay_ms,
        .attempts_charged = job->attempts_charged,
        .attempts_free = job->attempts_free,
        .attempts_left = kept->attempts_left,
        .tokens_milli = kept->tokens_milli,
        .budget_milli = kept->rule == RULE_NONE ? -1 : kept->budget_milli,
        .until_wall_ms = kept->until_wall_ms,
        .policy_version = kept->policy_version,
    };
}

void
job_set_decision(struct job *job, const struct decision *decision)
{
    job->decision = (struct kept_decision){
        .rule = (uint8_t)decision->rule,
        .delay_source = (uint8_t)decision->delay_source,
        .clamp = (uint8_t)decision->clamp,
        .jitter_permille = decision->jitter_permille,
        .attempts_left = decision->attempts_left,
        .policy_version = decision->policy_version,
        .backoff_ms = decision->backoff_ms,
        .delay_ms = decision->delay_ms,
        .tokens_milli = decision->tokens_milli,
        .budget_milli = decision->budget_milli,
        .until_wall_ms = decision->until_wall_ms,
    };
}
