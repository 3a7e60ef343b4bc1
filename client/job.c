/* SPDX-License-Identifier: Apache-2.0 */
#include "client/job.h"

#include "client/error.h"
#include "proto/check.h"
#include "proto/limits.h"
#include "proto/name.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Field 1 of SubmitRequest, a message. */
#define JOBS_TAG 0x0a

#define PRIORITY_LEVELS 10

/* ---- checks ---- */

/* "jobs[3].key is longer than 128 bytes" */
static enum redial_status __attribute__((format(printf, 4, 5)))
bad_field(struct redial_error *error, size_t index, const char *field,
          const char *format, ...)
{
    char problem[REDIAL_TEXT_BYTES / 2];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(problem, sizeof(problem), format, arguments);
    va_end(arguments);
    if (index == REDIAL_I_ALONE) {
        return redial_i_fail(error, REDIAL_INVALID_ARGUMENT, "", "job.%s %s",
                             field, problem);
    }
    return redial_i_fail(error, REDIAL_INVALID_ARGUMENT, "", "jobs[%zu].%s %s",
                         index, field, problem);
}

static enum redial_status
check_names(const struct redial_job *job, size_t index,
            struct redial_error *error)
{
    const struct {
        const char *field;
        const char *value;
        enum wire_name kind;
        bool is_needed;
    } names[] = {
        {"service", job->service, WIRE_NAME_SERVICE, true},
        {"method", job->method, WIRE_NAME_METHOD, true},
        {"id", job->id, WIRE_NAME_WORD, false},
        {"key", job->key, WIRE_NAME_WORD, false},
        {"correlation_id", job->correlation_id, WIRE_NAME_WORD, false},
        {"tenant", job->tenant, WIRE_NAME_WORD, false},
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *problem;

        if (names[i].value == NULL && !names[i].is_needed) {
            continue;
        }
        problem = wire_name_check(names[i].kind, names[i].value);
        if (problem != NULL) {
            return bad_field(error, index, names[i].field, "%s", problem);
        }
    }
    return REDIAL_OK;
}

static enum redial_status
check_metadata(const struct redial_job *job, size_t index,
               struct redial_error *error)
{
    size_t bytes = 0;

    if (job->metadata_count > WIRE_METADATA_MAX) {
        return bad_field(error, index, "metadata", "has more than %u entries",
                         WIRE_METADATA_MAX);
    }
    for (size_t i = 0; i < job->metadata_count; i++) {
        const struct redial_metadata *item = &job->metadata[i];
        const char *problem = wire_name_check(WIRE_NAME_WORD, item->key);

        if (problem != NULL) {
            return bad_field(error, index, "metadata", "[%zu].key %s", i,
                             problem);
        }
        bytes += strlen(item->key);
        if (item->value_bytes > WIRE_METADATA_BYTES_MAX - bytes) {
            return bad_field(error, index, "metadata",
                             "is larger than %u bytes",
                             WIRE_METADATA_BYTES_MAX);
        }
        bytes += item->value_bytes;
    }
    return REDIAL_OK;
}

static enum redial_status
check_content(const struct redial_job *job, size_t index,
              struct redial_error *error)
{
    const char *type = job->content_type;

    if (job->payload_bytes > WIRE_PAYLOAD_BYTES_MAX) {
        return bad_field(error, index, "payload",
                         "is larger than %u bytes (it has %zu)",
                         WIRE_PAYLOAD_BYTES_MAX, job->payload_bytes);
    }
    if (job->payload == NULL && job->payload_bytes > 0) {
        return bad_field(error, index, "payload", "is NULL, but has bytes");
    }
    if (type != NULL &&
        (strlen(type) > WIRE_CONTENT_TYPE_BYTES_MAX ||
         !wire_utf8_is_valid((const uint8_t *)type, strlen(type)))) {
        return bad_field(error, index, "content_type",
                         "must be UTF-8 of at most %u bytes",
                         WIRE_CONTENT_TYPE_BYTES_MAX);
    }
    if (job->priority < 0 || job->priority > PRIORITY_LEVELS) {
        return bad_field(error, index, "priority",
                         "must be 0 or REDIAL_PRIORITY(0) to (9)");
    }
    if ((int)job->idempotent < REDIAL_IDEMPOTENCY_UNSET ||
        (int)job->idempotent > REDIAL_NOT_IDEMPOTENT) {
        return bad_field(error, index, "idempotent", "has an unknown value");
    }
    return REDIAL_OK;
}

enum redial_status
redial_i_job_check(const struct redial_job *job, size_t index,
                   struct redial_job *ret_job, struct redial_error *ret_error)
{
    struct redial_job copy = {0};
    enum redial_status status;

    if (job->struct_size < offsetof(struct redial_job, payload)) {
        return bad_field(ret_error, index, "struct_size", "is not set");
    }
    memcpy(&copy, job,
           job->struct_size < sizeof(copy) ? job->struct_size : sizeof(copy));
    status = check_names(&copy, index, ret_error);
    if (status == REDIAL_OK) {
        status = check_content(&copy, index, ret_error);
    }
    if (status == REDIAL_OK) {
        status = check_metadata(&copy, index, ret_error);
    }
    if (status == REDIAL_OK) {
        *ret_job = copy;
    }
    return status;
}

enum redial_status
redial_i_check_word(const char *field, const char *word,
                    struct redial_error *ret_error)
{
    const char *problem = word == NULL ? NULL
                                       : wire_name_check(WIRE_NAME_WORD, word);

    if (problem == NULL) {
        return REDIAL_OK;
    }
    return redial_i_fail(ret_error, REDIAL_INVALID_ARGUMENT, "", "%s %s", field,
                         problem);
}

enum redial_status
redial_i_check_ref(struct redial_job_ref ref, struct redial_error *ret_error)
{
    enum redial_status status;

    if ((ref.id == NULL) == (ref.key == NULL)) {
        return redial_i_fail(ret_error, REDIAL_INVALID_ARGUMENT, "",
                             "ref: give either id or key");
    }
    status = redial_i_check_word("ref.id", ref.id, ret_error);
    if (status == REDIAL_OK) {
        status = redial_i_check_word("ref.key", ref.key, ret_error);
    }
    if (status == REDIAL_OK) {
        status = redial_i_check_word("ref.tenant", ref.tenant, ret_error);
    }
    return status;
}

/* ---- packing ---- */

static uint8_t *
unconst_bytes(const void *bytes)
{
    union {
        const void *in;
        uint8_t *out;
    } u = {.in = bytes};

    return u.out;
}

static void
fill_durations(Redial__V1__JobSpec *spec, const struct redial_job *job)
{
    spec->has_not_before_ms = job->not_before_ms != 0;
    spec->not_before_ms = job->not_before_ms;
    spec->has_deadline_ms = job->deadline_ms != 0;
    spec->deadline_ms = job->deadline_ms;
    spec->has_queue_ttl_ms = job->queue_ttl_ms != 0;
    spec->queue_ttl_ms = job->queue_ttl_ms;
    spec->has_max_attempts = job->max_attempts != 0;
    spec->max_attempts = job->max_attempts;
    spec->has_attempt_timeout_ms = job->attempt_timeout_ms != 0;
    spec->attempt_timeout_ms = job->attempt_timeout_ms;
}

static void
fill_spec(Redial__V1__JobSpec *spec, const struct redial_job *job,
          const char *id)
{
    spec->id = redial_i_unconst(id);
    spec->key = redial_i_unconst(job->key);
    spec->correlation_id = redial_i_unconst(job->correlation_id);
    spec->service = redial_i_unconst(job->service);
    spec->method = redial_i_unconst(job->method);
    spec->tenant = redial_i_unconst(job->tenant);
    spec->content_type = redial_i_unconst(job->content_type);
    spec->has_payload = job->payload_bytes > 0;
    spec->payload.data = unconst_bytes(job->payload);
    spec->payload.len = job->payload_bytes;
    spec->has_priority = job->priority != 0;
    spec->priority = job->priority != 0 ? (uint32_t)job->priority - 1 : 0;
    spec->has_idempotent = job->idempotent != REDIAL_IDEMPOTENCY_UNSET;
    spec->idempotent = (Redial__V1__Idempotency)job->idempotent;
    fill_durations(spec, job);
}

static void
fill_metadata(Redial__V1__Metadata *items, Redial__V1__Metadata **pointers,
              const struct redial_job *job)
{
    for (size_t i = 0; i < job->metadata_count; i++) {
        redial__v1__metadata__init(&items[i]);
        items[i].key = redial_i_unconst(job->metadata[i].key);
        items[i].has_value = true;
        items[i].value.data = unconst_bytes(job->metadata[i].value);
        items[i].value.len = job->metadata[i].value_bytes;
        pointers[i] = &items[i];
    }
}

static size_t
put_head(uint8_t *at, size_t len)
{
    size_t used = 0;

    at[used++] = JOBS_TAG;
    while (len >= 0x80) {
        at[used++] = (uint8_t)(len | 0x80);
        len >>= 7;
    }
    at[used++] = (uint8_t)len;
    return used;
}

bool
redial_i_job_pack(const struct redial_job *job, const char *id,
                  uint8_t **ret_bytes, size_t *ret_len)
{
    Redial__V1__JobSpec spec = REDIAL__V1__JOB_SPEC__INIT;
    Redial__V1__Metadata items[WIRE_METADATA_MAX];
    Redial__V1__Metadata *pointers[WIRE_METADATA_MAX];
    uint8_t head[11];
    size_t head_len;
    uint8_t *bytes;
    size_t len;

    fill_spec(&spec, job, id);
    fill_metadata(items, pointers, job);
    spec.n_metadata = job->metadata_count;
    spec.metadata = pointers;
    len = redial__v1__job_spec__get_packed_size(&spec);
    head_len = put_head(head, len);
    bytes = malloc(head_len + len);
    if (bytes == NULL) {
        return false;
    }
    memcpy(bytes, head, head_len);
    WIRE_CHECK(redial__v1__job_spec__pack(&spec, bytes + head_len) == len);
    *ret_bytes = bytes;
    *ret_len = head_len + len;
    return true;
}
