/* SPDX-License-Identifier: Apache-2.0 */
#include "server/replay/history.h"

#include "server/core/text.h"

#include <stdlib.h>
#include <string.h>

enum { KNOWN_MIN = 1024 };

/* What an entry of `known` is about. */
enum kind { KIND_TEXT, KIND_JOB, KIND_METHOD, KIND_WORKER, KIND_OFFER };

/* Nobody here chooses names against us. */
static const struct hash_key known_key = {{1, 2}};

/* ---- Memory ------------------------------------------------------------ */

/* Room for one more item: doubles at each power of two. */
static bool
has_room(void **items, uint32_t count, size_t item_bytes)
{
    if (count != 0 && (count & (count - 1)) != 0) {
        return true;
    }
    size_t capacity = count == 0 ? 1 : (size_t)count * 2;
    void *grown = realloc(*items, capacity * item_bytes);

    if (grown == NULL) {
        return false;
    }
    *items = grown;
    return true;
}

static bool
known_resize(struct history *history, uint32_t count_max)
{
    void *memory = calloc(1, map_size(16, count_max));
    struct map fresh;
    uint32_t cursor = 0;
    uint32_t value;
    uint8_t key[16];

    if (memory == NULL) {
        return false;
    }
    map_init(&fresh, memory, 16, count_max, known_key);
    while (history->known_memory != NULL &&
           map_next(&history->known, &cursor, key, &value)) {
        (void)map_put(&fresh, key, value);
    }
    free(history->known_memory);
    history->known = fresh;
    history->known_memory = memory;
    history->known_max = count_max;
    return true;
}

static void
known_key_of(enum kind kind, const void *data, size_t len, uint8_t ret[16])
{
    struct hash hash;
    uint8_t tag = (uint8_t)kind;

    hash_begin(&hash, &known_key);
    hash_add(&hash, &tag, 1);
    hash_add(&hash, data, len);
    hash_end(&hash, ret);
}

/* Enters `index` under the key. */
static bool
known_put(struct history *history, const uint8_t key[16], uint32_t index)
{
    if (history->known.count == history->known_max &&
        !known_resize(history, history->known_max * 2)) {
        return false;
    }
    return map_put(&history->known, key, index);
}

bool
history_init(struct history *history)
{
    *history = (struct history){.text_count = 0};
    if (!known_resize(history, KNOWN_MIN) ||
        !has_room((void **)&history->texts, 0, sizeof(struct text))) {
        return false;
    }
    history->texts[history->text_count++] = (struct text){0};
    return true;
}

void
history_fini(struct history *history)
{
    for (uint32_t i = 1; i < history->text_count; i++) {
        free((void *)(uintptr_t)history->texts[i].at);
    }
    free(history->jobs);
    free(history->attempts);
    free(history->methods);
    free(history->workers);
    free(history->offers);
    free(history->texts);
    free(history->known_memory);
    *history = (struct history){.text_count = 0};
}

/* ---- Names ------------------------------------------------------------- */

static bool
keep_text(struct history *history, struct text text, uint32_t *ret_index)
{
    uint8_t key[16];

    *ret_index = 0;
    if (text.len == 0) {
        return true;
    }
    known_key_of(KIND_TEXT, text.at, text.len, key);
    uint32_t index = map_get(&history->known, key);

    if (index != MAP_NONE) {
        *ret_index = index;
        return true;
    }
    char *copy = malloc(text.len);

    if (copy == NULL || !has_room((void **)&history->texts, history->text_count,
                                  sizeof(struct text))) {
        free(copy);
        return false;
    }
    memcpy(copy, text.at, text.len);
    *ret_index = history->text_count++;
    history->texts[*ret_index] = (struct text){.at = copy, .len = text.len};
    return known_put(history, key, *ret_index);
}

static bool
keep_method(struct history *history, const struct record *record,
            uint32_t *ret_index)
{
    uint32_t names[2];
    uint8_t key[16];

    if (!keep_text(history, record->service, &names[0]) ||
        !keep_text(history, record->method, &names[1])) {
        return false;
    }
    known_key_of(KIND_METHOD, names, sizeof(names), key);
    *ret_index = map_get(&history->known, key);
    if (*ret_index != MAP_NONE) {
        return true;
    }
    if (!has_room((void **)&history->methods, history->method_count,
                  sizeof(struct past_method))) {
        return false;
    }
    *ret_index = history->method_count++;
    history->methods[*ret_index] = (struct past_method){
        .service = names[0], .name = names[1], .last_attempt = HISTORY_NONE};
    return known_put(history, key, *ret_index);
}

/* The name before the incarnation: "image-worker" of "image-worker/81c4". */
static struct text
worker_kind(struct text name)
{
    const char *slash = name.len == 0 ? NULL : memchr(name.at, '/', name.len);

    if (slash != NULL) {
        name.len = (uint32_t)(slash - name.at);
    }
    return name;
}

static bool
keep_worker(struct history *history, struct text name, uint32_t *ret_index)
{
    uint32_t text;
    uint8_t key[16];

    if (!keep_text(history, worker_kind(name), &text)) {
        return false;
    }
    known_key_of(KIND_WORKER, &text, sizeof(text), key);
    *ret_index = map_get(&history->known, key);
    if (*ret_index != MAP_NONE) {
        return true;
    }
    if (!has_room((void **)&history->workers, history->worker_count,
                  sizeof(struct past_worker))) {
        return false;
    }
    *ret_index = history->worker_count++;
    history->workers[*ret_index] = (struct past_worker){.name = text};
    return known_put(history, key, *ret_index);
}

static bool
keep_offer(struct history *history, uint32_t worker, uint32_t method)
{
    struct past_offer offer = {.worker = worker, .method = method};
    uint8_t key[16];

    known_key_of(KIND_OFFER, &offer, sizeof(offer), key);
    if (map_get(&history->known, key) != MAP_NONE) {
        return true;
    }
    if (!has_room((void **)&history->offers, history->offer_count,
                  sizeof(struct past_offer))) {
        return false;
    }
    history->offers[history->offer_count] = offer;
    return known_put(history, key, history->offer_count++);
}

/* ---- Jobs -------------------------------------------------------------- */

uint32_t
history_find(const struct history *history, struct job_id id)
{
    uint8_t key[16];

    known_key_of(KIND_JOB, id.bytes, sizeof(id.bytes), key);
    uint32_t index = map_get(&history->known, key);

    return index == MAP_NONE ? HISTORY_NONE : index;
}

static bool
add_accepted(struct history *history, const struct record *record)
{
    struct past_job job = {
        .id = record->job,
        .accepted_ms = history->last_ms,
        .ended_ms = -1,
        .cancelled_ms = -1,
        .first = HISTORY_NONE,
        .last = HISTORY_NONE,
        .asked =
            {
                .id = record->job,
                .priority = record->priority,
                .idempotency = record->idempotency,
                .not_before_ms = record->not_before_ms,
                .deadline_ms = record->deadline_ms,
                .queue_ttl_ms = record->queue_ttl_ms,
                .max_attempts = record->max_attempts,
                .attempt_timeout_ms = record->attempt_timeout_ms,
                .payload_bytes = record->payload_bytes,
            },
    };
    uint8_t key[16];

    if (!keep_method(history, record, &job.method) ||
        !keep_text(history, record->tenant, &job.tenant) ||
        !keep_text(history, record->correlation, &job.correlation) ||
        !has_room((void **)&history->jobs, history->job_count,
                  sizeof(struct past_job))) {
        return false;
    }
    known_key_of(KIND_JOB, record->job.bytes, sizeof(record->job.bytes), key);
    history->jobs[history->job_count] = job;
    return known_put(history, key, history->job_count++);
}

static bool
add_started(struct history *history, struct past_job *job,
            const struct record *record)
{
    struct past_attempt attempt = {
        .next = HISTORY_NONE,
        .number = record->attempt,
        .started_ms = history->last_ms,
        .ended_ms = -1,
    };

    if (!keep_worker(history, record->worker, &attempt.worker) ||
        !keep_offer(history, attempt.worker, job->method) ||
        !has_room((void **)&history->attempts, history->attempt_count,
                  sizeof(struct past_attempt))) {
        return false;
    }
    uint32_t index = history->attempt_count++;
    struct past_worker *worker = &history->workers[attempt.worker];

    history->attempts[index] = attempt;
    if (job->last == HISTORY_NONE) {
        job->first = index;
    } else {
        history->attempts[job->last].next = index;
    }
    job->last = index;
    job->attempts++;
    worker->in_hand++;
    if (worker->in_hand > worker->concurrency) {
        worker->concurrency = worker->in_hand;
    }
    return true;
}

/* Ends are few behind their starts: the last attempts of the job. */
static bool
add_ended(struct history *history, struct past_job *job,
          const struct record *record)
{
    uint32_t index = job->first;

    while (index != HISTORY_NONE &&
           (history->attempts[index].number != record->attempt ||
            history->attempts[index].ended_ms >= 0)) {
        index = history->attempts[index].next;
    }
    if (index == HISTORY_NONE) {
        return true;
    }
    struct past_attempt *attempt = &history->attempts[index];

    if (!keep_text(history, record->reason, &attempt->reason)) {
        return false;
    }
    attempt->ended_ms = history->last_ms;
    attempt->code = record->type == EVENT_ATTEMPT_SUCCEEDED ? REDIAL_OK
                                                            : record->code;
    attempt->free = !record->charged && record->type != EVENT_ATTEMPT_SUCCEEDED;
    attempt->lost = record->type == EVENT_ATTEMPT_LOST;
    attempt->has_pushback = record->has_pushback;
    attempt->for_target = record->for_target;
    attempt->overloaded = record->overloaded;
    attempt->pushback_ms = record->pushback_ms;
    job->attempts_free += attempt->free;
    history->workers[attempt->worker].in_hand--;
    if (!attempt->free) {
        history->methods[job->method].last_attempt = index;
    }
    return true;
}

/* Whatever still ran goes with its job. */
static void
end_running(struct history *history, const struct past_job *job)
{
    for (uint32_t i = job->first; i != HISTORY_NONE;
         i = history->attempts[i].next) {
        struct past_attempt *attempt = &history->attempts[i];

        if (attempt->ended_ms < 0) {
            history->workers[attempt->worker].in_hand--;
            attempt->ended_ms = history->last_ms;
            attempt->code = REDIAL_CANCELLED;
            attempt->free = true;
        }
    }
}

static void
add_final(struct history *history, struct past_job *job,
          const struct record *record)
{
    static const enum job_state states[] = {
        [EVENT_JOB_SUCCEEDED] = JOB_SUCCEEDED,
        [EVENT_JOB_FAILED] = JOB_FAILED,
        [EVENT_JOB_CANCELLED] = JOB_CANCELLED,
        [EVENT_JOB_EXPIRED] = JOB_EXPIRED,
    };

    end_running(history, job);
    job->state = states[record->type];
    job->rule = record->decision.rule;
    job->ended_ms = history->last_ms;
    if (record->type == EVENT_JOB_CANCELLED) {
        job->cancelled_ms = history->last_ms;
    }
}

static bool
add_to_job(struct history *history, struct past_job *job,
           const struct record *record)
{
    if (job->ended_ms >= 0) {
        return true; /* late; nothing follows a final state */
    }
    if (record->type == EVENT_ATTEMPT_STARTED) {
        return add_started(history, job, record);
    }
    if (record->type == EVENT_ATTEMPT_SUCCEEDED ||
        record->type == EVENT_ATTEMPT_FAILED ||
        record->type == EVENT_ATTEMPT_LOST) {
        return add_ended(history, job, record);
    }
    if (record->type >= EVENT_JOB_SUCCEEDED &&
        record->type <= EVENT_JOB_EXPIRED) {
        add_final(history, job, record);
    }
    return true;
}

bool
history_add(struct history *history, const struct record *record)
{
    if (!history->started) {
        history->started = true;
        history->first_wall_ms = record->wall_ms;
    }
    if (record->wall_ms - history->first_wall_ms > history->last_ms) {
        history->last_ms = record->wall_ms - history->first_wall_ms;
    }
    if (!event_type_is_about_job(record->type)) {
        return true;
    }
    uint32_t index = history_find(history, record->job);

    if (record->type == EVENT_JOB_ACCEPTED) {
        return index != HISTORY_NONE || add_accepted(history, record);
    }
    if (index == HISTORY_NONE) {
        history->headless++;
        return true;
    }
    return add_to_job(history, &history->jobs[index], record);
}
