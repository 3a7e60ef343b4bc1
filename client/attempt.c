/* SPDX-License-Identifier: Apache-2.0 */
#include "client/clock.h"
#include "client/crew.h"
#include "client/info.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

/*
 * At its limit an attempt is told to stop, and has this long to do so before
 * its end is reported without it. The gateway acts 2 s after the limit.
 */
#define GRACE_MS 1000

/* ---- making one ---- */

static size_t
text_size(const char *text)
{
    return text != NULL ? strlen(text) + 1 : 1;
}

static const char *
put_text(char **at, const char *text)
{
    char *copy = *at;
    size_t size = text_size(text);

    memcpy(copy, text != NULL ? text : "", size);
    *at += size;
    return copy;
}

static const void *
put_bytes(char **at, ProtobufCBinaryData data)
{
    char *copy = *at;

    if (data.len == 0) {
        return NULL;
    }
    memcpy(copy, data.data, data.len);
    *at += data.len;
    return copy;
}

static size_t
memory_size(const Redial__V1__Assignment *from)
{
    size_t size = text_size(from->token->job_id) + text_size(from->key) +
                  text_size(from->correlation_id) + text_size(from->service) +
                  text_size(from->method) + text_size(from->tenant) +
                  text_size(from->content_type) + from->payload.len;

    for (size_t i = 0; i < from->n_metadata; i++) {
        size += text_size(from->metadata[i]->key) +
                from->metadata[i]->value.len;
    }
    return size;
}

static void
copy_work(redial_attempt *attempt, const Redial__V1__Assignment *from)
{
    struct redial_assignment *work = &attempt->work;
    char *at = attempt->memory;

    work->payload = put_bytes(&at, from->payload);
    work->payload_bytes = from->payload.len;
    work->job_id = put_text(&at, from->token->job_id);
    work->key = put_text(&at, from->key);
    work->correlation_id = put_text(&at, from->correlation_id);
    work->service = put_text(&at, from->service);
    work->method = put_text(&at, from->method);
    work->tenant = put_text(&at, from->tenant);
    work->content_type = put_text(&at, from->content_type);
    work->attempt = from->token->attempt;
    work->fence = from->token->fence;
    work->charged_before = from->charged_before;
    work->timeout_ms = from->timeout_ms;
    work->remaining_ms = from->remaining_ms;
    work->idempotent = (enum redial_idempotency)from->idempotent;
    work->metadata = attempt->metadata;
    work->metadata_count = from->n_metadata;
    for (size_t i = 0; i < from->n_metadata; i++) {
        attempt->metadata[i].key = put_text(&at, from->metadata[i]->key);
        attempt->metadata[i].value = put_bytes(&at, from->metadata[i]->value);
        attempt->metadata[i].value_bytes = from->metadata[i]->value.len;
    }
}

static int64_t
attempt_deadline(const struct redial_assignment *work)
{
    int64_t now = redial_i_now();
    int64_t limit = work->timeout_ms != 0
                        ? redial_i_after(now, work->timeout_ms)
                        : REDIAL_I_NEVER;
    int64_t job = work->remaining_ms != 0
                      ? redial_i_after(now, work->remaining_ms)
                      : REDIAL_I_NEVER;

    return limit < job ? limit : job;
}

static void
limit_fire(struct redial_i_timer *timer);

redial_attempt *
redial_i_attempt_new(redial_worker *worker, const Redial__V1__Assignment *from)
{
    redial_attempt *attempt = calloc(1, sizeof(*attempt) + memory_size(from));

    if (attempt == NULL) {
        return NULL;
    }
    if (from->n_metadata > 0) {
        attempt->metadata = calloc(from->n_metadata,
                                   sizeof(*attempt->metadata));
        if (attempt->metadata == NULL) {
            free(attempt);
            return NULL;
        }
    }
    attempt->worker = worker;
    atomic_init(&attempt->is_cancelled, false);
    attempt->timer.fire = limit_fire;
    copy_work(attempt, from);
    attempt->deadline_ns = attempt_deadline(&attempt->work);
    return attempt;
}

void
redial_i_attempt_free(redial_attempt *attempt)
{
    free(attempt->report);
    free(attempt->progress);
    free(attempt->metadata);
    free(attempt);
}

/* ---- finding ---- */

static struct redial_i_list *
bucket_of(redial_worker *worker, const char *job_id)
{
    uint32_t hash = 2166136261u; /* FNV-1a */

    for (; *job_id != '\0'; job_id++) {
        hash = (hash ^ (uint8_t)*job_id) * 16777619u;
    }
    return &worker->buckets[hash % REDIAL_I_BUCKETS];
}

static redial_attempt *
find_locked(redial_worker *worker, const char *job_id, uint32_t number,
            uint64_t fence)
{
    REDIAL_I_EACH(node, bucket_of(worker, job_id))
    {
        redial_attempt *attempt = REDIAL_I_OF(node, struct redial_attempt,
                                              in_hand);

        if (attempt->work.fence == fence && attempt->work.attempt == number &&
            strcmp(attempt->work.job_id, job_id) == 0) {
            return attempt;
        }
    }
    return NULL;
}

void
redial_i_attempts_visit_locked(redial_worker *worker,
                               void (*visit)(redial_attempt *attempt,
                                             void *ctx),
                               void *ctx)
{
    for (size_t i = 0; i < REDIAL_I_BUCKETS && worker->in_hand > 0; i++) {
        REDIAL_I_EACH(node, &worker->buckets[i])
        {
            visit(REDIAL_I_OF(node, struct redial_attempt, in_hand), ctx);
        }
    }
}

static struct redial_i_crew_method *
find_method(redial_worker *worker, const struct redial_assignment *work)
{
    struct redial_i_crew_method *wide = NULL;

    for (size_t i = 0; i < worker->method_count; i++) {
        struct redial_i_crew_method *method = &worker->methods[i];

        if (strcmp(method->service, work->service) != 0) {
            continue;
        }
        if (strcmp(method->method, work->method) == 0) {
            return method;
        }
        if (method->method[0] == '\0') {
            wide = method;
        }
    }
    return wide;
}

/* ---- ends ---- */

void
redial_i_attempt_release_locked(redial_attempt *attempt)
{
    redial_worker *worker = attempt->worker;

    if (attempt->state != REDIAL_I_ATTEMPT_ENDED || !attempt->is_settled ||
        attempt->in_handler || attempt->in_cancel) {
        return;
    }
    redial_i_timer_stop_locked(&worker->loop, &attempt->timer);
    redial_i_list_remove(&attempt->in_hand);
    redial_i_list_remove(&attempt->queue);
    redial_i_list_remove(&attempt->ack);
    redial_i_list_remove(&attempt->ready);
    redial_i_list_remove(&attempt->news);
    redial_i_list_remove(&attempt->cancel);
    worker->in_hand--;
    redial_i_attempt_free(attempt);
}

/* The gateway's side ends; it stays in hand, whatever the program's does. */
static void
forget_locked(redial_attempt *attempt)
{
    if (attempt->is_settled) {
        return;
    }
    attempt->is_settled = true;
    attempt->worker->unsettled--;
    redial_i_list_remove(&attempt->ready);
    redial_i_list_remove(&attempt->ack);
    redial_i_list_remove(&attempt->news);
}

void
redial_i_attempt_settle_locked(redial_attempt *attempt)
{
    forget_locked(attempt);
    redial_i_attempt_release_locked(attempt);
}

/* Puts the report where the next Poll finds it; the first one counts. */
static void
set_report_locked(redial_attempt *attempt, uint8_t *report, size_t bytes)
{
    redial_worker *worker = attempt->worker;

    if (attempt->is_settled || attempt->report != NULL) {
        free(report);
        return;
    }
    redial_i_list_remove(&attempt->news);
    if (report == NULL) {
        /* No memory: the lease will run out, and the gateway learn it so. */
        forget_locked(attempt);
        return;
    }
    attempt->report = report;
    attempt->report_bytes = bytes;
    redial_i_list_append(&worker->ready, &attempt->ready);
    worker->has_to_say = true;
}

void
redial_i_attempt_end_locked(redial_attempt *attempt, uint8_t *report,
                            size_t report_bytes)
{
    redial_worker *worker = attempt->worker;

    WIRE_CHECK(attempt->state != REDIAL_I_ATTEMPT_ENDED);
    redial_i_timer_stop_locked(&worker->loop, &attempt->timer);
    redial_i_list_remove(&attempt->cancel);
    redial_i_list_remove(&attempt->queue);
    worker->in_use--;
    if (attempt->method != NULL) {
        attempt->method->in_use--;
    }
    worker->has_to_say = true; /* a slot is free */
    (void)pthread_cond_broadcast(&worker->changed);
    set_report_locked(attempt, report, report_bytes);
    attempt->state = REDIAL_I_ATTEMPT_ENDED; /* now it may be freed */
    redial_i_attempt_release_locked(attempt);
}

/* ---- stopping ---- */

void
redial_i_attempt_cancel_locked(redial_attempt *attempt)
{
    static const struct redial_outcome outcome = {
        .code = REDIAL_CANCELLED,
        .reason = "NOT_STARTED",
        .text = "stopped before it was started",
    };
    uint8_t *report = NULL;
    size_t bytes = 0;

    if (atomic_exchange(&attempt->is_cancelled, true)) {
        return;
    }
    switch (attempt->state) {
    case REDIAL_I_ATTEMPT_QUEUED:
        (void)redial_i_report_pack(
            attempt, &outcome, REDIAL_COMPLETE_NOT_STARTED, &report, &bytes);
        redial_i_attempt_end_locked(attempt, report, bytes);
        break;
    case REDIAL_I_ATTEMPT_RUNNING:
        redial_i_handlers_cancel_locked(attempt);
        break;
    case REDIAL_I_ATTEMPT_ENDED:
        break;
    }
}

static void
limit_fire(struct redial_i_timer *timer)
{
    redial_attempt *attempt = REDIAL_I_OF(timer, struct redial_attempt, timer);
    redial_worker *worker = attempt->worker;
    uint8_t *report = NULL;
    size_t bytes = 0;

    if (!attempt->is_timed_out) {
        attempt->is_timed_out = true;
        redial_i_timer_start_locked(&worker->loop, timer,
                                    redial_i_after(redial_i_now(), GRACE_MS));
        redial_i_attempt_cancel_locked(attempt); /* may free it */
    } else {
        (void)redial_i_report_pack_failure(
            attempt, REDIAL_DEADLINE_EXCEEDED, "ATTEMPT_TIMEOUT",
            "over its time limit, and still running", &report, &bytes);
        set_report_locked(attempt, report, bytes);
    }
    redial_i_session_pump_locked(worker);
}

void
redial_i_attempt_stop_locked(redial_worker *worker,
                             const Redial__V1__Token *token, bool is_superseded)
{
    redial_attempt *attempt = NULL;

    if (token->job_id != NULL) {
        attempt = find_locked(worker, token->job_id, token->attempt,
                              token->fence);
    }
    if (attempt == NULL) {
        return;
    }
    if (is_superseded) {
        forget_locked(attempt);
    }
    if (attempt->state == REDIAL_I_ATTEMPT_ENDED) {
        redial_i_attempt_release_locked(attempt);
    } else {
        redial_i_attempt_cancel_locked(attempt);
    }
}

/* ---- beginning ---- */

static void
ack_locked(redial_attempt *attempt)
{
    redial_worker *worker = attempt->worker;

    if (!attempt->is_settled && !redial_i_list_is_linked(&attempt->ack)) {
        redial_i_list_append(&worker->acks, &attempt->ack);
    }
    worker->has_to_say = true;
}

static void
refuse_locked(redial_attempt *attempt, const char *reason, const char *text)
{
    struct redial_outcome outcome = {
        .code = REDIAL_UNIMPLEMENTED,
        .reason = reason,
        .text = text,
    };
    uint8_t *report = NULL;
    size_t bytes = 0;

    (void)redial_i_report_pack(attempt, &outcome, REDIAL_COMPLETE_NOT_STARTED,
                               &report, &bytes);
    redial_i_attempt_end_locked(attempt, report, bytes);
}

void
redial_i_attempt_take_locked(redial_attempt *attempt)
{
    redial_worker *worker = attempt->worker;
    redial_attempt *other = find_locked(worker, attempt->work.job_id,
                                        attempt->work.attempt,
                                        attempt->work.fence);

    if (other != NULL) {
        redial_i_attempt_free(attempt);
        ack_locked(other);
        return;
    }
    redial_i_list_append(bucket_of(worker, attempt->work.job_id),
                         &attempt->in_hand);
    worker->in_hand++;
    worker->unsettled++;
    worker->in_use++;
    attempt->method = find_method(worker, &attempt->work);
    ack_locked(attempt);
    if (attempt->method == NULL) {
        refuse_locked(attempt, "UNKNOWN_METHOD",
                      "this worker does not serve the method");
        return;
    }
    attempt->method->in_use++;
    redial_i_timer_start_locked(&worker->loop, &attempt->timer,
                                attempt->deadline_ns);
    if (worker->is_closing) {
        redial_i_attempt_cancel_locked(attempt);
    } else {
        redial_i_handlers_run_locked(attempt);
    }
}

/* ---- what the program does with it ---- */

const struct redial_assignment *
redial_attempt_work(const redial_attempt *attempt)
{
    return &attempt->work;
}

bool
redial_attempt_cancelled(const redial_attempt *attempt)
{
    return atomic_load(&attempt->is_cancelled);
}

struct redial_deadline
redial_attempt_deadline(const redial_attempt *attempt)
{
    struct redial_deadline deadline = {attempt->deadline_ns};

    return deadline;
}

void
redial_attempt_progress(redial_attempt *attempt, const char *text)
{
    redial_worker *worker = attempt->worker;
    char *copy = strdup(text);

    if (copy == NULL) {
        return; /* the next one may get through */
    }
    redial_i_lock(&worker->loop);
    if (attempt->is_settled || attempt->report != NULL) {
        free(copy);
    } else {
        free(attempt->progress);
        attempt->progress = copy;
        if (!redial_i_list_is_linked(&attempt->news)) {
            redial_i_list_append(&worker->news, &attempt->news);
        }
        redial_i_session_pump_locked(worker);
    }
    redial_i_unlock(&worker->loop);
}

/* No callback for it runs in another thread from here on. */
static void
wait_for_cancel_locked(redial_attempt *attempt)
{
    redial_worker *worker = attempt->worker;

    if (redial_i_loop_is_here(&worker->loop)) {
        return; /* it is being completed by that callback */
    }
    while (attempt->in_cancel) {
        (void)redial_i_wait_locked(&worker->loop, &worker->changed,
                                   REDIAL_I_NEVER);
    }
}

void
redial_attempt_complete(redial_attempt *attempt,
                        const struct redial_outcome *outcome, unsigned flags)
{
    redial_worker *worker = attempt->worker;
    uint8_t *report = NULL;
    size_t bytes = 0;

    (void)redial_i_report_pack(attempt, outcome, flags, &report, &bytes);
    redial_i_lock(&worker->loop);
    wait_for_cancel_locked(attempt);
    if (attempt->is_timed_out && attempt->report == NULL) {
        free(report);
        report = NULL;
        (void)redial_i_report_pack_failure(
            attempt, REDIAL_DEADLINE_EXCEEDED, "ATTEMPT_TIMEOUT",
            "over its time limit", &report, &bytes);
    }
    redial_i_attempt_end_locked(attempt, report, bytes);
    redial_i_session_pump_locked(worker);
    redial_i_unlock(&worker->loop);
}
