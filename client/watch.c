/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Following events: a long-poll Watch is always under way, at most one, and at
 * most one answer waits unread. Two positions: where the reader is, which the
 * program sees as the cursor, and where the next Watch starts, which is behind
 * the newest answer. A Watch that was lost is simply asked again from there, so
 * nothing is missed or seen twice.
 */
#include "client/agent.h"
#include "client/clock.h"
#include "client/error.h"
#include "client/info.h"
#include "client/job.h"
#include "proto/limits.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WATCH_PATH "/redial.v1.Gateway/Watch"

/* The answer comes this much after its own waiting time at the latest. */
#define ANSWER_SLACK_MS 10000

/* After an answer that says neither yes nor no: pause, so that a gateway that
 * drains is not asked in a tight loop. */
#define PAUSE_MS 100

/* "epoch:seq" */
#define CURSOR_BYTES 192

#define FILTER_WORDS_MAX 1000

/* One answer. */
struct batch {
    struct wire_arena arena;
    const Redial__V1__WatchResponse *message;
    bool gave_gap;
    size_t next; /* event to give */
};

struct redial_watch {
    struct redial_i_list node; /* of the client */
    redial_client *client;
    struct redial_i_waiter waiter;
    Redial__V1__WatchFilter *filter; /* unpacked copy, on the heap */

    struct redial_i_exchange *exchange; /* under way, or NULL */
    char ask[CURSOR_BYTES];             /* where the next one starts */
    int64_t not_before_ns;              /* and when, at the earliest */
    struct batch *incoming;             /* unread answer, or NULL */
    bool has_failed;                    /* `error` is unread */
    struct redial_error error;          /* the last, or status OK */

    /* Only the reader's thread: */
    struct batch *batch;
    char cursor[CURSOR_BYTES];
    struct redial_i_event event;
    const Redial__V1__Event *message;
    const Redial__V1__Gap *gap;
};

/* ---- answers ---- */

static void
batch_free(struct batch *batch)
{
    if (batch != NULL) {
        wire_arena_fini(&batch->arena);
        free(batch);
    }
}

static struct batch *
batch_read(const struct redial_i_exchange *exchange, struct redial_error *error)
{
    struct batch *batch = calloc(1, sizeof(*batch));
    ProtobufCMessage *message;

    if (batch == NULL) {
        (void)redial_i_fail_memory(error);
        return NULL;
    }
    wire_arena_init(&batch->arena, NULL, 0);
    if (redial_i_reply_unpack(exchange->reply, exchange->reply_len,
                              &redial__v1__watch_response__descriptor,
                              &batch->arena, &message, error) != REDIAL_OK) {
        batch_free(batch);
        return NULL;
    }
    batch->message = (const Redial__V1__WatchResponse *)message;
    return batch;
}

static bool
is_empty(const Redial__V1__WatchResponse *message)
{
    return message->n_events == 0 && message->gap == NULL;
}

static void
copy_cursor(char to[CURSOR_BYTES], const char *from)
{
    if (from != NULL && from[0] != '\0') {
        redial_i_copy_text(to, CURSOR_BYTES, from, strlen(from));
    }
}

/* Says whether the answer is "not now": the same question comes again. */
static bool
is_transient(const struct redial_error *error)
{
    return error->status == REDIAL_UNAVAILABLE ||
           error->status == REDIAL_RESOURCE_EXHAUSTED ||
           error->status == REDIAL_DEADLINE_EXCEEDED;
}

static void
take_answer_locked(redial_watch *watch, struct batch *batch,
                   const struct redial_error *error, int64_t asked_ns)
{
    int64_t now = redial_i_now();

    watch->error.status = REDIAL_OK;
    if (batch != NULL && is_empty(batch->message)) {
        copy_cursor(watch->ask, batch->message->cursor);
        batch_free(batch);
        if (now < redial_i_after(asked_ns, PAUSE_MS)) {
            watch->not_before_ns = redial_i_after(now, PAUSE_MS);
        }
    } else if (batch != NULL) {
        copy_cursor(watch->ask, batch->message->cursor);
        watch->incoming = batch;
    } else if (is_transient(error)) {
        uint64_t ms = error->retry_after_ms;

        watch->not_before_ns = redial_i_after(now,
                                              ms > PAUSE_MS ? ms : PAUSE_MS);
        watch->error = *error;
    } else {
        watch->has_failed = true;
        watch->error = *error;
    }
}

static void
start_locked(redial_watch *watch);

static void
watch_done(struct redial_i_exchange *exchange)
{
    struct redial_i_loop *loop = exchange->link->loop;
    bool has_reply = exchange->end == REDIAL_I_REPLY;
    struct redial_error error;
    struct batch *batch = NULL;
    redial_watch *watch;

    if (has_reply) {
        batch = batch_read(exchange, &error);
    }
    redial_i_lock(loop);
    watch = exchange->owner;
    if (watch == NULL) {
        batch_free(batch);
    } else {
        watch->exchange = NULL;
        if (has_reply) {
            take_answer_locked(watch, batch, &error, exchange->started_ns);
        }
        (void)pthread_cond_signal(&watch->waiter.cond);
    }
    redial_i_exchange_end_locked(exchange);
    if (watch != NULL) {
        start_locked(watch);
    }
    redial_i_unlock(loop);
}

/* ---- questions ---- */

static void
fill_request(const redial_watch *watch, Redial__V1__WatchRequest *request)
{
    request->filter = watch->filter;
    request->cursor = redial_i_unconst(watch->ask);
    request->has_max = true;
    request->max = WIRE_WATCH_EVENTS_MAX;
    request->has_wait_ms = true;
}

/* Asks, if it may and nothing is under way or unread. Without memory it is
 * tried again by the reader. */
static void
start_locked(redial_watch *watch)
{
    redial_client *client = watch->client;
    Redial__V1__WatchRequest request = REDIAL__V1__WATCH_REQUEST__INIT;
    struct redial_i_exchange *exchange;
    struct redial_i_frame *msg;
    uint8_t *at;

    if (!client->link.is_ready || watch->exchange != NULL ||
        watch->incoming != NULL || watch->has_failed ||
        watch->not_before_ns > redial_i_now()) {
        return;
    }
    fill_request(watch, &request);
    request.wait_ms = WIRE_PARK_MS_MAX;
    msg = redial_i_link_frame(
        &client->link, WATCH_PATH, WIRE_PARK_MS_MAX + ANSWER_SLACK_MS,
        redial__v1__watch_request__get_packed_size(&request), &at);
    if (msg == NULL) {
        return;
    }
    exchange = redial_i_exchange_get_locked(&client->link);
    if (exchange == NULL) {
        redial_i_frame_free(msg);
        return;
    }
    (void)redial__v1__watch_request__pack(&request, at);
    watch->exchange = exchange;
    redial_i_exchange_start_locked(
        exchange, msg,
        redial_i_after(redial_i_now(), WIRE_PARK_MS_MAX + ANSWER_SLACK_MS),
        watch_done, watch);
}

void
redial_i_watch_pump_locked(redial_client *client)
{
    REDIAL_I_EACH(node, &client->watches)
    {
        start_locked(REDIAL_I_OF(node, struct redial_watch, node));
    }
}

/* ---- reading ---- */

static void
give_event(redial_watch *watch)
{
    struct batch *batch = watch->batch;
    const Redial__V1__WatchResponse *answer;
    const Redial__V1__Event *message;

    WIRE_CHECK(batch != NULL);
    answer = batch->message;
    if (answer->gap != NULL && !batch->gave_gap) {
        batch->gave_gap = true;
        watch->message = NULL;
        watch->gap = answer->gap;
        redial_i_event_fill_gap(&watch->event, answer->gap);
    } else {
        message = answer->events[batch->next++];
        watch->message = message;
        watch->gap = message->gap;
        redial_i_event_fill(&watch->event, message);
        if (message->seq != 0) {
            (void)snprintf(watch->cursor, sizeof(watch->cursor), "%s:%" PRIu64,
                           watch->event.event.epoch, message->seq);
        }
    }
    if (batch->next == answer->n_events) {
        copy_cursor(watch->cursor, answer->cursor);
    }
}

static bool
has_more(const struct batch *batch)
{
    return batch != NULL && (batch->next < batch->message->n_events ||
                             (batch->message->gap != NULL && !batch->gave_gap));
}

static enum redial_status
fail_late_locked(const redial_watch *watch, struct redial_error *error)
{
    if (watch->exchange != NULL && watch->exchange->was_sent) {
        return redial_i_fail(error, REDIAL_DEADLINE_EXCEEDED, "NO_EVENT",
                             "no event so far");
    }
    if (watch->not_before_ns > redial_i_now() &&
        watch->error.status != REDIAL_OK) {
        return redial_i_fail_with(error, &watch->error); /* said last */
    }
    return redial_i_fail_late_locked(watch->client, false, error);
}

/* Waits until there is a batch to read. */
static enum redial_status
next_batch_locked(redial_watch *watch, int64_t deadline_ns,
                  struct redial_error *error)
{
    redial_client *client = watch->client;

    for (;;) {
        int64_t until = deadline_ns;

        if (watch->incoming != NULL) {
            watch->batch = watch->incoming;
            watch->incoming = NULL;
            start_locked(watch); /* the next, while this is read */
            return REDIAL_OK;
        }
        if (watch->has_failed) {
            watch->has_failed = false;
            return redial_i_fail_with(error, &watch->error);
        }
        start_locked(watch);
        if (client->is_closing) {
            return redial_i_fail_closing(error);
        }
        if (redial_i_now() >= deadline_ns) {
            copy_cursor(watch->cursor, watch->ask); /* all is read */
            return fail_late_locked(watch, error);
        }
        if (watch->exchange == NULL && client->link.is_ready &&
            watch->not_before_ns < until) {
            until = watch->not_before_ns;
        }
        (void)redial_i_wait_locked(&client->loop, &watch->waiter.cond, until);
    }
}

enum redial_status
redial_watch_next(redial_watch *watch, struct redial_deadline deadline,
                  const struct redial_event **ret_event,
                  struct redial_error *ret_error)
{
    redial_client *client = watch->client;
    int64_t deadline_ns = redial_i_deadline(deadline, client->timeout_ms);
    enum redial_status status = REDIAL_OK;

    if (!has_more(watch->batch)) {
        batch_free(watch->batch);
        watch->batch = NULL;
        redial_i_lock(&client->loop);
        status = next_batch_locked(watch, deadline_ns, ret_error);
        redial_i_unlock(&client->loop);
    }
    if (status == REDIAL_OK) {
        give_event(watch);
        *ret_event = &watch->event.event;
    }
    return status;
}

const char *
redial_watch_cursor(const redial_watch *watch)
{
    return watch->cursor;
}

const Redial__V1__Event *
redial_i_watch_message(const redial_watch *watch)
{
    return watch->message;
}

const Redial__V1__Gap *
redial_i_watch_gap(const redial_watch *watch)
{
    return watch->gap;
}

/* ---- open and close ---- */

static enum redial_status
check_words(const char *field, const char *const *words, size_t count,
            struct redial_error *error)
{
    if (count > FILTER_WORDS_MAX) {
        return redial_i_fail(error, REDIAL_INVALID_ARGUMENT, "",
                             "%s: more than %d", field, FILTER_WORDS_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        enum redial_status status = redial_i_check_word(
            field, words[i] != NULL ? words[i] : "", error);

        if (status != REDIAL_OK) {
            return status;
        }
    }
    return REDIAL_OK;
}

static enum redial_status
check_filter(const struct redial_filter *filter, struct redial_error *error)
{
    const struct {
        const char *field;
        const char *word;
    } words[] = {
        {"filter.correlation_id", filter->correlation_id},
        {"filter.key", filter->key},
        {"filter.tenant", filter->tenant},
        {"filter.service", filter->service},
        {"filter.method", filter->method},
    };
    enum redial_status status;

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        status = redial_i_check_word(words[i].field, words[i].word, error);
        if (status != REDIAL_OK) {
            return status;
        }
    }
    status = check_words("filter.job_ids", filter->job_ids,
                         filter->job_id_count, error);
    return status != REDIAL_OK ? status
                               : check_words("filter.types", filter->types,
                                             filter->type_count, error);
}

static char **
unconst_words(const char *const *words)
{
    union {
        const char *const *in;
        char **out;
    } u = {.in = words};

    return u.out;
}

/* A deep copy: packed and unpacked again. NULL: no memory. */
static Redial__V1__WatchFilter *
copy_filter(const struct redial_filter *filter)
{
    Redial__V1__WatchFilter message = REDIAL__V1__WATCH_FILTER__INIT;
    Redial__V1__WatchFilter *copy = NULL;
    uint8_t *bytes;
    size_t len;

    message.correlation_id = redial_i_unconst(filter->correlation_id);
    message.key = redial_i_unconst(filter->key);
    message.tenant = redial_i_unconst(filter->tenant);
    message.service = redial_i_unconst(filter->service);
    message.method = redial_i_unconst(filter->method);
    message.job_ids = unconst_words(filter->job_ids);
    message.n_job_ids = filter->job_id_count;
    message.types = unconst_words(filter->types);
    message.n_types = filter->type_count;
    len = redial__v1__watch_filter__get_packed_size(&message);
    bytes = malloc(len + 1);
    if (bytes != NULL) {
        (void)redial__v1__watch_filter__pack(&message, bytes);
        copy = redial__v1__watch_filter__unpack(NULL, len, bytes);
        free(bytes);
    }
    return copy;
}

static void
watch_free(redial_watch *watch)
{
    batch_free(watch->batch);
    batch_free(watch->incoming);
    if (watch->filter != NULL) {
        redial__v1__watch_filter__free_unpacked(watch->filter, NULL);
    }
    (void)pthread_cond_destroy(&watch->waiter.cond);
    free(watch);
}

/* The first question does not wait: it finds the place, and shows whether the
 * gateway accepts the filter. Its events are the first batch. */
static enum redial_status
find_place(redial_watch *watch, struct redial_deadline deadline,
           struct redial_error *error)
{
    static const struct redial_i_method method = {
        &redial__v1__gateway__descriptor, "Watch", true};
    Redial__V1__WatchRequest request = REDIAL__V1__WATCH_REQUEST__INIT;
    struct redial_i_response response;
    enum redial_status status;

    fill_request(watch, &request);
    status = redial_i_call(watch->client, &method, &request.base, deadline,
                           &response, error);
    if (status != REDIAL_OK) {
        return status;
    }
    watch->batch = calloc(1, sizeof(*watch->batch));
    if (watch->batch == NULL) {
        redial_i_response_fini(&response);
        return redial_i_fail_memory(error);
    }
    watch->batch->arena = response.arena;
    watch->batch->message = (const Redial__V1__WatchResponse *)response.message;
    copy_cursor(watch->ask, watch->batch->message->cursor);
    if (is_empty(watch->batch->message)) {
        copy_cursor(watch->cursor, watch->ask);
    }
    return REDIAL_OK;
}

static redial_watch *
watch_new(redial_client *client, const struct redial_filter *filter,
          const char *cursor)
{
    redial_watch *watch = calloc(1, sizeof(*watch));

    if (watch == NULL) {
        return NULL;
    }
    redial_i_cond_init(&watch->waiter.cond);
    watch->client = client;
    copy_cursor(watch->ask, cursor);
    copy_cursor(watch->cursor, cursor);
    watch->filter = copy_filter(filter);
    if (watch->filter == NULL) {
        watch_free(watch);
        return NULL;
    }
    return watch;
}

static enum redial_status
check_place(const struct redial_filter *filter, const char *cursor,
            struct redial_error *error)
{
    if (cursor != NULL && strlen(cursor) >= CURSOR_BYTES) {
        return redial_i_fail(error, REDIAL_INVALID_ARGUMENT, "",
                             "cursor is longer than %d bytes",
                             CURSOR_BYTES - 1);
    }
    return check_filter(filter, error);
}

enum redial_status
redial_watch_open(redial_client *client, const struct redial_filter *filter,
                  const char *cursor, struct redial_deadline deadline,
                  redial_watch **ret_watch, struct redial_error *ret_error)
{
    struct redial_filter copy = {0};
    enum redial_status status;
    redial_watch *watch;

    if (filter != NULL) {
        memcpy(&copy, filter,
               filter->struct_size < sizeof(copy) ? filter->struct_size
                                                  : sizeof(copy));
    }
    status = check_place(&copy, cursor, ret_error);
    if (status != REDIAL_OK) {
        return status;
    }
    watch = watch_new(client, &copy, cursor);
    if (watch == NULL) {
        return redial_i_fail_memory(ret_error);
    }
    status = find_place(watch, deadline, ret_error);
    if (status != REDIAL_OK) {
        watch_free(watch);
        return status;
    }
    redial_i_lock(&client->loop);
    redial_i_list_append(&client->watches, &watch->node);
    start_locked(watch);
    redial_i_unlock(&client->loop);
    *ret_watch = watch;
    return REDIAL_OK;
}

void
redial_watch_close(redial_watch *watch)
{
    redial_client *client;

    if (watch == NULL) {
        return;
    }
    client = watch->client;
    redial_i_lock(&client->loop);
    redial_i_list_remove(&watch->node);
    if (watch->exchange != NULL) {
        watch->exchange->owner = NULL; /* its answer goes to nobody */
    }
    redial_i_unlock(&client->loop);
    watch_free(watch);
}
