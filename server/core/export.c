/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The projected row of a job: all of its recorded state and nothing else.
 *
 *     format (1 byte) · fields of job_fields.def ·
 *     service · method · tenant · correlation · key · reason · text ·
 *     RUNNING: how many attempts run, and of each, oldest first,
 *         number · fence · started_wall_ms · worker · lease_ms · timeout_ms
 *
 * Format 1 is still read: it has no JOB_FIELD_2, and of the one attempt only
 * worker, lease_ms and timeout_ms; the rest is that of the job.
 *
 * Texts are a length and bytes. Rows are read from disk: any bytes may come.
 */
#include "server/base/varint.h"
#include "server/core/apply.h"
#include "server/core/attempt.h"
#include "server/core/keys.h"
#include "server/core/names.h"
#include "server/core/worker.h"

#include <string.h>

enum { EXPORT_FORMAT = 2, EXPORT_FORMAT_OLDEST = 1 };

/* Far more than any clock will show, and far from overflow. */
static const int64_t wall_ms_max = INT64_C(4000000000000000);

/* ---- Writing ----------------------------------------------------------- */

static uint8_t *
put_B16(uint8_t *at, const uint8_t (*value)[16])
{
    memcpy(at, *value, 16);
    return at + 16;
}

static uint8_t *
put_U64(uint8_t *at, const uint64_t *value)
{
    return varint_write(at, *value);
}

static uint8_t *
put_I64(uint8_t *at, const int64_t *value)
{
    return varint_write(at, zigzag_encode(*value));
}

static uint8_t *
put_U32(uint8_t *at, const uint32_t *value)
{
    return varint_write(at, *value);
}

static uint8_t *
put_U8(uint8_t *at, const uint8_t *value)
{
    return varint_write(at, *value);
}

static uint8_t *
put_FLAG(uint8_t *at, const bool *value)
{
    return varint_write(at, *value ? 1 : 0);
}

static uint8_t *
put_text(uint8_t *at, struct text text)
{
    at = varint_write(at, text.len);
    if (text.len > 0) {
        memcpy(at, text.at, text.len);
    }
    return at + text.len;
}

static uint8_t *
put_chunk(const struct engine *engine, uint8_t *at, uint32_t ref)
{
    uint32_t len = chunk_len(&engine->texts, ref);

    at = varint_write(at, len);
    return at + chunk_get(&engine->texts, ref, (char *)at, len);
}

static uint8_t *
put_attempts(const struct job *job, uint8_t *at)
{
    at = varint_write(at, attempt_count_running(job));
    for (const struct attempt *one = job->running; one != NULL;
         one = one->next) {
        at = put_U32(at, &one->number);
        at = put_U64(at, &one->fence);
        at = put_I64(at, &one->started_wall_ms);
        at = put_text(at, worker_text(one->worker));
        at = put_U64(at, &one->lease_ms);
        at = put_U64(at, &one->timeout_ms);
    }
    return at;
}

static uint8_t *
put_job(const struct engine *engine, const struct job *job, uint8_t *at)
{
    char buf[FAILURE_BYTES_MAX];
    struct text reason;
    struct text text;

#define JOB_FIELD(kind, member) at = put_##kind(at, &job->member);
#include "server/core/job_fields.def"
#undef JOB_FIELD
    at = put_text(at, service_text(job->method->service));
    at = put_text(at, method_text(job->method));
    at = put_text(at, tenant_text(job->tenant));
    at = put_chunk(engine, at, job->correlation);
    at = put_chunk(engine, at, job->key);
    job_get_failure(engine, job, buf, &reason, &text);
    at = put_text(at, reason);
    at = put_text(at, text);
    return job->state == JOB_RUNNING ? put_attempts(job, at) : at;
}

size_t
engine_export_job(const struct engine *engine, uint32_t slot, uint8_t *buf)
{
    const struct job *job = slab_at(&engine->jobs, slot);

    redial_assert(slot < engine->jobs.fresh && job->state != JOB_NONE);
    buf[0] = EXPORT_FORMAT;
    const uint8_t *end = put_job(engine, job, buf + 1);

    redial_assert(end <= buf + ENGINE_EXPORT_MAX);
    return (size_t)(end - buf);
}

/* ---- Reading ----------------------------------------------------------- */

static const uint8_t *
get_B16(const uint8_t *at, const uint8_t *end, uint8_t (*ret_value)[16])
{
    if (end - at < 16) {
        return NULL;
    }
    memcpy(*ret_value, at, 16);
    return at + 16;
}

static const uint8_t *
get_U64(const uint8_t *at, const uint8_t *end, uint64_t *ret_value)
{
    return varint_read(at, end, ret_value);
}

static const uint8_t *
get_I64(const uint8_t *at, const uint8_t *end, int64_t *ret_value)
{
    uint64_t value = 0;

    at = varint_read(at, end, &value);
    *ret_value = zigzag_decode(value);
    return at;
}

/* A number of at most `max`. */
static const uint8_t *
get_number(const uint8_t *at, const uint8_t *end, uint64_t max,
           uint64_t *ret_value)
{
    uint64_t value = 0;

    at = varint_read(at, end, &value);
    if (at == NULL || value > max) {
        return NULL;
    }
    *ret_value = value;
    return at;
}

static const uint8_t *
get_U32(const uint8_t *at, const uint8_t *end, uint32_t *ret_value)
{
    uint64_t value = 0;

    at = get_number(at, end, UINT32_MAX, &value);
    *ret_value = (uint32_t)value;
    return at;
}

static const uint8_t *
get_U8(const uint8_t *at, const uint8_t *end, uint8_t *ret_value)
{
    uint64_t value = 0;

    at = get_number(at, end, UINT8_MAX, &value);
    *ret_value = (uint8_t)value;
    return at;
}

static const uint8_t *
get_FLAG(const uint8_t *at, const uint8_t *end, bool *ret_value)
{
    uint64_t value = 0;

    at = get_number(at, end, 1, &value);
    *ret_value = value == 1;
    return at;
}

static const uint8_t *
get_text(const uint8_t *at, const uint8_t *end, uint32_t len_max,
         struct text *ret_text)
{
    uint64_t len = 0;

    at = get_number(at, end, len_max, &len);
    if (at == NULL || len > (uint64_t)(end - at)) {
        return NULL;
    }
    *ret_text = (struct text){.at = (const char *)at, .len = (uint32_t)len};
    return at + len;
}

/* A row as it is read: the numbers of the job, and what stands beside them. */
struct row {
    struct job job;
    struct text service;
    struct text method;
    struct text tenant;
    struct text correlation;
    struct text key;
    struct text reason;
    struct text text;
    uint64_t running_count;
    struct row_attempt {
        uint32_t number;
        uint64_t fence;
        int64_t started_wall_ms;
        struct text worker;
        uint64_t lease_ms;
        uint64_t timeout_ms;
    } running[ENGINE_RUNNING_MAX];
};

static const uint8_t *
get_numbers(const uint8_t *at, const uint8_t *end, uint32_t format,
            struct job *job)
{
#define JOB_FIELD_2(kind, member) \
    if (format >= 2) {            \
        JOB_FIELD(kind, member)   \
    }
#define JOB_FIELD(kind, member)             \
    at = get_##kind(at, end, &job->member); \
    if (at == NULL) {                       \
        return NULL;                        \
    }
#include "server/core/job_fields.def"
#undef JOB_FIELD
    return at;
}

static const uint8_t *
get_texts(const uint8_t *at, const uint8_t *end, struct row *row)
{
    const struct {
        struct text *text;
        uint32_t len_max;
    } texts[] = {
        {&row->service, NAME_BYTES_MAX}, {&row->method, NAME_BYTES_MAX},
        {&row->tenant, NAME_BYTES_MAX},  {&row->correlation, NAME_BYTES_MAX},
        {&row->key, NAME_BYTES_MAX},     {&row->reason, REASON_BYTES_MAX},
        {&row->text, TEXT_BYTES_MAX},
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        at = get_text(at, end, texts[i].len_max, texts[i].text);
        if (at == NULL) {
            return NULL;
        }
    }
    return at;
}

/* What both formats say of an attempt. */
static const uint8_t *
get_places(const uint8_t *at, const uint8_t *end, struct row_attempt *attempt)
{
    at = get_text(at, end, WORKER_BYTES_MAX, &attempt->worker);
    if (at == NULL || attempt->worker.len == 0) {
        return NULL;
    }
    at = get_U64(at, end, &attempt->lease_ms);
    return at == NULL ? NULL : get_U64(at, end, &attempt->timeout_ms);
}

static const uint8_t *
get_attempt(const uint8_t *at, const uint8_t *end, struct row_attempt *attempt)
{
    at = get_U32(at, end, &attempt->number);
    if (at == NULL) {
        return NULL;
    }
    at = get_U64(at, end, &attempt->fence);
    if (at == NULL) {
        return NULL;
    }
    at = get_I64(at, end, &attempt->started_wall_ms);
    return at == NULL ? NULL : get_places(at, end, attempt);
}

static bool
wall_is_valid(int64_t wall_ms)
{
    return wall_ms >= -wall_ms_max && wall_ms <= wall_ms_max;
}

/* One after the other, and none after the job's last one. */
static bool
attempts_are_valid(const struct row *row)
{
    const struct row_attempt *before = NULL;

    for (uint64_t i = 0; i < row->running_count; i++) {
        const struct row_attempt *attempt = &row->running[i];

        if (attempt->fence == 0 || attempt->fence > row->job.fence ||
            attempt->number > row->job.attempt ||
            !wall_is_valid(attempt->started_wall_ms) ||
            (before != NULL && (attempt->fence <= before->fence ||
                                attempt->number <= before->number))) {
            return false;
        }
        before = attempt;
    }
    return row->running_count > 0;
}

static const uint8_t *
get_attempts(const uint8_t *at, const uint8_t *end, uint32_t format,
             struct row *row)
{
    if (format == 1) {
        row->running_count = 1;
        row->running[0].number = row->job.attempt;
        row->running[0].fence = row->job.fence;
        row->running[0].started_wall_ms = row->job.state_wall_ms;
        return get_places(at, end, &row->running[0]);
    }
    at = get_number(at, end, ENGINE_RUNNING_MAX, &row->running_count);
    for (uint64_t i = 0; at != NULL && i < row->running_count; i++) {
        at = get_attempt(at, end, &row->running[i]);
    }
    return at;
}

static bool
decision_is_valid(const struct kept_decision *decision)
{
    return decision->rule <= RULE_BREAKER_REJECTED &&
           decision->delay_source <= DELAY_TARGET_PUSHBACK &&
           decision->clamp <= CLAMP_ATTEMPTS_LIMIT;
}

static bool
job_is_valid(const struct job *job)
{
    return job->state > JOB_NONE && job->state <= JOB_EXPIRED &&
           !job_state_is_final((enum job_state)job->state) &&
           job->priority < PRIORITY_COUNT &&
           job->idempotency <= IDEMPOTENCY_NO &&
           job->failure_code < REDIAL_STATUS_COUNT &&
           job->frozen <= RULE_BREAKER_REJECTED && job->seq > 0 &&
           job->job_seq > 0 && decision_is_valid(&job->decision) &&
           wall_is_valid(job->accepted_wall_ms) &&
           wall_is_valid(job->state_wall_ms) &&
           wall_is_valid(job->until_wall_ms);
}

static bool
row_decode(const uint8_t *bytes, size_t len, struct row *row)
{
    const uint8_t *end = bytes + len;

    uint32_t format = len == 0 ? 0 : bytes[0];

    if (format < EXPORT_FORMAT_OLDEST || format > EXPORT_FORMAT) {
        return false;
    }
    row->job.decision.budget_milli = -1; /* format 1 knows of none */
    const uint8_t *at = get_numbers(bytes + 1, end, format, &row->job);

    if (at == NULL || !job_is_valid(&row->job)) {
        return false;
    }
    at = get_texts(at, end, row);
    if (at == NULL || row->service.len == 0 || row->method.len == 0) {
        return false;
    }
    if (row->job.state == JOB_RUNNING) {
        at = get_attempts(at, end, format, row);
        if (at == NULL || !attempts_are_valid(row)) {
            return false;
        }
    }
    return at == end;
}

/* ---- Loading ----------------------------------------------------------- */

static void
copy_numbers(struct job *job, const struct job *from)
{
#define JOB_FIELD(kind, member) \
    memcpy(&job->member, &from->member, sizeof(job->member));
#include "server/core/job_fields.def"
#undef JOB_FIELD
}

static bool
load_attempts(struct engine *engine, struct job *job, const struct row *row)
{
    for (uint64_t i = 0; i < row->running_count; i++) {
        const struct row_attempt *attempt = &row->running[i];
        struct worker *worker = worker_await(engine, attempt->worker);
        struct record started = {
            .seq = attempt->fence,
            .attempt = attempt->number,
            .wall_ms = attempt->started_wall_ms,
            .lease_ms = attempt->lease_ms,
            .timeout_ms = attempt->timeout_ms,
        };

        if (worker == NULL ||
            attempt_make(engine, job, worker, &started) == NULL) {
            return false;
        }
    }
    return true;
}

bool
engine_load_job(struct engine *engine, const uint8_t *bytes, size_t len)
{
    struct row row = {0};

    if (!row_decode(bytes, len, &row) || slab_left(&engine->jobs) == 0 ||
        job_by_id(engine, row.job.id) != NULL) {
        return false;
    }
    struct method *method = method_intern(engine, row.service, row.method);
    struct tenant *tenant = tenant_intern(engine, row.tenant);

    if (method == NULL || tenant == NULL) {
        return false;
    }
    if (key_is_set(row.job.key_hash) &&
        !keys_put(engine, row.job.key_hash, row.job.content_hash, row.job.id)) {
        return false;
    }
    struct job *job = job_make(engine, row.job.id, method, tenant);

    copy_numbers(job, &row.job);
    job_set_correlation(engine, job, row.correlation);
    job_set_key(engine, job, row.key);
    job_set_failure(engine, job, row.reason, row.text);
    engine->shown[job->state]++;
    if (job->state == JOB_BACKOFF) {
        method_count_backoff(method, true);
    }
    if (job->state == JOB_PARKED) {
        method_count_parked(method, true);
    }
    engine->payload_bytes += job->payload_bytes;
    return load_attempts(engine, job, &row);
}
