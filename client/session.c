/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a worker says to the gateway, and when.
 *
 * A Poll is always parked at the gateway: assignments and stops come as its
 * answer. When there is something to say (assignments to acknowledge, reports,
 * slots that became free), a newer Poll says it at once and takes the parked
 * one's place, which the gateway answers empty. While that exchange is under
 * way (two Polls flying), what comes gathers for the next one: batches grow
 * with the load, and nothing waits for a timer. So one kind of message carries
 * all the work. Report is for what must not park: heartbeats, progress,
 * goodbye.
 *
 * Credits are absolute, so a Poll that is lost does no harm. A report is ready
 * again when the Poll that carried it is lost, until one is answered.
 */
#include "client/clock.h"
#include "client/crew.h"
#include "client/error.h"
#include "client/info.h"
#include "client/job.h"
#include "proto/arena.h"
#include "proto/limits.h"
#include "proto/unpack.h"

#include <stdlib.h>
#include <string.h>

#define HELLO_PATH  "/redial.v1.Worker/Hello"
#define POLL_PATH   "/redial.v1.Worker/Poll"
#define REPORT_PATH "/redial.v1.Worker/Report"

#define HELLO_TIMEOUT_MS  10000
#define REPORT_TIMEOUT_MS 10000
#define ANSWER_SLACK_MS   10000

#define POLLS_FLYING_MAX 2

/* Pauses after "not now": doubling, times 0.5 to 1.5. */
#define PAUSE_FIRST_MS 50
#define PAUSE_MAX_MS   3000

/* An empty answer sooner than this is no parking: do not ask in a loop. */
#define PARKED_MS 20

/* Field numbers 5 of PollRequest and 2 of ReportRequest, as tags. */
#define POLL_REPORTS_TAG   0x2a
#define REPORT_REPORTS_TAG 0x12

/* Something said to the gateway, with what goes back if it gets lost. */
struct saying {
    redial_worker *worker;
    struct redial_i_list acks;    /* attempts */
    struct redial_i_list reports; /* attempts, in the order of the message */
    uint64_t hellos;              /* as of the start */
    bool is_goodbye;
};

static struct saying *
saying_new(redial_worker *worker)
{
    struct saying *saying = calloc(1, sizeof(*saying));

    if (saying != NULL) {
        saying->worker = worker;
        saying->hellos = worker->hellos;
        redial_i_list_init(&saying->acks);
        redial_i_list_init(&saying->reports);
    }
    return saying;
}

/* What it said is to be said again. */
static void
saying_undo_locked(struct saying *saying)
{
    redial_worker *worker = saying->worker;

    if (!redial_i_list_is_empty(&saying->acks) ||
        !redial_i_list_is_empty(&saying->reports)) {
        worker->has_to_say = true;
    }
    redial_i_list_splice(worker->acks.next, &saying->acks);
    redial_i_list_splice(worker->ready.next, &saying->reports);
}

/* ---- pauses and ends ---- */

static void
pause_fire(struct redial_i_timer *timer)
{
    redial_i_session_pump_locked(
        REDIAL_I_OF(timer, struct redial_worker, pause));
}

static void
pause_locked(redial_worker *worker, uint64_t at_least_ms)
{
    uint32_t doublings = worker->failures < 6 ? worker->failures : 6;
    uint64_t ms = (uint64_t)PAUSE_FIRST_MS << doublings;

    ms = ms < PAUSE_MAX_MS ? ms : PAUSE_MAX_MS;
    ms = ms / 2 + redial_i_random_below(ms + 1);
    ms = ms > at_least_ms ? ms : at_least_ms;
    worker->failures++;
    worker->pause_until_ns = redial_i_after(redial_i_now(), ms);
    redial_i_timer_start_locked(&worker->loop, &worker->pause,
                                worker->pause_until_ns);
}

static void
refuse_locked(redial_worker *worker, const struct redial_error *error)
{
    worker->session = REDIAL_I_SESSION_REFUSED;
    worker->refusal = *error;
    redial_i_timer_stop_locked(&worker->loop, &worker->heartbeat);
    (void)pthread_cond_broadcast(&worker->changed);
}

/* The gateway has said no to a Poll or a Report. */
static void
complain_locked(redial_worker *worker, const struct redial_error *error)
{
    if (error->status == REDIAL_NOT_FOUND ||
        error->status == REDIAL_FAILED_PRECONDITION ||
        error->status == REDIAL_UNAUTHENTICATED ||
        error->status == REDIAL_PERMISSION_DENIED) {
        /* It does not know this worker: a new Hello, which may be refused. */
        if (worker->session == REDIAL_I_SESSION_ON) {
            worker->session = REDIAL_I_SESSION_NONE;
        }
    }
    pause_locked(worker, error->retry_after_ms);
}

/* ---- messages with reports ---- */

struct chunk {
    const uint8_t *bytes;
    size_t len;
};

static size_t
put_head(uint8_t *at, uint8_t tag, size_t len)
{
    size_t used = 0;

    at[used++] = tag;
    while (len >= 0x80) {
        at[used++] = (uint8_t)(len | 0x80);
        len >>= 7;
    }
    at[used++] = (uint8_t)len;
    return used;
}

static size_t
chunk_size(size_t len)
{
    uint8_t head[11];

    return put_head(head, 0, len) + len;
}

/* The base message, and the chunks as further fields with this tag. */
static nng_msg *
frame_with(redial_worker *worker, const char *path, uint32_t timeout_ms,
           const ProtobufCMessage *base, uint8_t tag,
           const struct chunk *chunks, size_t count)
{
    size_t len = protobuf_c_message_get_packed_size(base);
    nng_msg *msg;
    uint8_t *at;

    for (size_t i = 0; i < count; i++) {
        len += chunk_size(chunks[i].len);
    }
    msg = redial_i_link_frame(&worker->link, path, timeout_ms, len, &at);
    if (msg == NULL) {
        return NULL;
    }
    at += protobuf_c_message_pack(base, at);
    for (size_t i = 0; i < count; i++) {
        at += put_head(at, tag, chunks[i].len);
        memcpy(at, chunks[i].bytes, chunks[i].len);
        at += chunks[i].len;
    }
    return msg;
}

/* Moves reports that are ready into the saying, as many as fit. */
static size_t
take_reports_locked(struct saying *saying, struct chunk *chunks,
                    size_t base_bytes)
{
    redial_worker *worker = saying->worker;
    size_t left = redial_i_link_request_bytes_max(&worker->link, POLL_PATH);
    size_t count = 0;

    left = left > base_bytes ? left - base_bytes : 0;
    while (count < WIRE_POLL_ITEMS_MAX &&
           !redial_i_list_is_empty(&worker->ready)) {
        redial_attempt *attempt = REDIAL_I_OF(worker->ready.next,
                                              struct redial_attempt, ready);
        size_t size = chunk_size(attempt->report_bytes);

        if (size > left) {
            break;
        }
        left -= size;
        chunks[count].bytes = attempt->report;
        chunks[count].len = attempt->report_bytes;
        count++;
        redial_i_list_remove(&attempt->ready);
        redial_i_list_append(&saying->reports, &attempt->ready);
    }
    return count;
}

static bool
is_transient(const Redial__V1__Status *status)
{
    return status != NULL &&
           (status->code == REDIAL__V1__CODE__UNAVAILABLE ||
            status->code == REDIAL__V1__CODE__RESOURCE_EXHAUSTED);
}

/* Answered: each report is acknowledged, or not wanted any more, unless the
 * gateway says of it that it could not take it just now. */
static void
settle_reports_locked(struct saying *saying, Redial__V1__ReportAck **acks,
                      size_t count)
{
    redial_worker *worker = saying->worker;
    struct redial_i_list *node;
    size_t i = 0;

    while ((node = redial_i_list_pop(&saying->reports)) != NULL) {
        redial_attempt *attempt = REDIAL_I_OF(node, struct redial_attempt,
                                              ready);

        if (i < count && is_transient(acks[i]->status)) {
            redial_i_list_append(&worker->ready, &attempt->ready);
            worker->has_to_say = true;
            pause_locked(worker, acks[i]->status->retry_after_ms);
        } else {
            redial_i_attempt_settle_locked(attempt);
        }
        i++;
    }
}

static void
stop_all_locked(redial_worker *worker, Redial__V1__Token **tokens, size_t count,
                bool is_superseded)
{
    for (size_t i = 0; i < count; i++) {
        redial_i_attempt_stop_locked(worker, tokens[i], is_superseded);
    }
}

/* What every answer ends with. */
static void
end_locked(redial_worker *worker, struct redial_i_exchange *exchange)
{
    redial_i_exchange_end_locked(exchange);
    redial_i_session_pump_locked(worker);
}

/* ---- answers ---- */

struct answer {
    struct wire_arena arena;
    ProtobufCMessage *message; /* NULL: see error, if there was a reply */
    bool has_reply;
    struct redial_error error;
};

static void
answer_read(struct answer *answer, nng_msg *reply,
            const ProtobufCMessageDescriptor *descriptor)
{
    answer->message = NULL;
    answer->has_reply = reply != NULL;
    wire_arena_init(&answer->arena, NULL, 0);
    if (reply != NULL) {
        (void)redial_i_reply_unpack(reply, descriptor, &answer->arena,
                                    &answer->message, &answer->error);
        nng_msg_free(reply);
    }
}

/* ---- Hello ---- */

static void
hello_accepted_locked(redial_worker *worker,
                      const Redial__V1__HelloResponse *response)
{
    struct redial_i_list *node;

    worker->session = REDIAL_I_SESSION_ON;
    worker->was_on = true;
    worker->failures = 0;
    worker->worker_id = response->worker_id;
    if (response->heartbeat_ms != 0) {
        worker->heartbeat_ms = response->heartbeat_ms;
    }
    if (response->result_bytes_max != 0 &&
        response->result_bytes_max <= WIRE_RESULT_BYTES_MAX) {
        worker->result_bytes_max = response->result_bytes_max;
    }
    /* What it listed needs no acknowledgement any more. */
    while ((node = redial_i_list_pop(&worker->acks)) != NULL) {
    }
    worker->has_to_say = true;
    stop_all_locked(worker, response->stop, response->n_stop, true);
    redial_i_timer_start_locked(
        &worker->loop, &worker->heartbeat,
        redial_i_after(redial_i_now(), worker->heartbeat_ms));
    (void)pthread_cond_broadcast(&worker->changed);
}

static bool
is_for_good(enum redial_status status)
{
    return status == REDIAL_UNAUTHENTICATED ||
           status == REDIAL_PERMISSION_DENIED ||
           status == REDIAL_INVALID_ARGUMENT || status == REDIAL_UNIMPLEMENTED;
}

static void
hello_done(struct redial_i_exchange *exchange)
{
    redial_worker *worker = exchange->owner;
    struct answer answer;

    answer_read(&answer, exchange->reply,
                &redial__v1__hello_response__descriptor);
    redial_i_lock(&worker->loop);
    if (exchange->connection != worker->link.connection ||
        worker->session != REDIAL_I_SESSION_HELLO) {
        /* Overtaken by a new connection. */
    } else if (answer.message != NULL) {
        hello_accepted_locked(
            worker, (const Redial__V1__HelloResponse *)answer.message);
    } else {
        worker->session = REDIAL_I_SESSION_NONE;
        if (answer.has_reply && is_for_good(answer.error.status)) {
            refuse_locked(worker, &answer.error);
        } else {
            pause_locked(worker,
                         answer.has_reply ? answer.error.retry_after_ms : 0);
        }
    }
    end_locked(worker, exchange);
    redial_i_unlock(&worker->loop);
    wire_arena_fini(&answer.arena);
}

struct in_hand {
    Redial__V1__Token tokens[REDIAL_I_IN_HAND_MAX];
    Redial__V1__Token *pointers[REDIAL_I_IN_HAND_MAX];
    size_t count;
};

static void
list_token(redial_attempt *attempt, void *ctx)
{
    struct in_hand *list = ctx;

    if (!attempt->is_settled && list->count < REDIAL_I_IN_HAND_MAX) {
        redial_i_token_fill(attempt, &list->tokens[list->count]);
        list->pointers[list->count] = &list->tokens[list->count];
        list->count++;
    }
}

static void
fill_slots(const redial_worker *worker, Redial__V1__MethodSlots *slots,
           Redial__V1__MethodSlots **pointers)
{
    for (size_t i = 0; i < worker->method_count; i++) {
        struct redial_i_crew_method *method = &worker->methods[i];

        redial__v1__method_slots__init(&slots[i]);
        slots[i].service = method->service;
        slots[i].method = method->method[0] != '\0' ? method->method : NULL;
        slots[i].has_concurrency = true;
        slots[i].concurrency = method->concurrency;
        pointers[i] = &slots[i];
    }
}

static nng_msg *
hello_frame_locked(redial_worker *worker, struct in_hand *in_hand)
{
    Redial__V1__HelloRequest request = REDIAL__V1__HELLO_REQUEST__INIT;
    Redial__V1__MethodSlots slots[REDIAL_I_METHODS_MAX];
    Redial__V1__MethodSlots *pointers[REDIAL_I_METHODS_MAX];

    fill_slots(worker, slots, pointers);
    redial_i_attempts_visit_locked(worker, list_token, in_hand);
    request.name = worker->name;
    request.instance = worker->instance;
    request.version = worker->version[0] != '\0' ? worker->version : NULL;
    request.n_methods = worker->method_count;
    request.methods = pointers;
    request.has_concurrency = true;
    request.concurrency = worker->concurrency;
    request.n_labels = worker->labels->n_labels;
    request.labels = worker->labels->labels;
    request.n_in_hand = in_hand->count;
    request.in_hand = in_hand->pointers;
    return frame_with(worker, HELLO_PATH, HELLO_TIMEOUT_MS, &request.base, 0,
                      NULL, 0);
}

static void
send_hello_locked(redial_worker *worker)
{
    struct in_hand *in_hand = calloc(1, sizeof(*in_hand));
    struct redial_i_exchange *exchange = NULL;
    nng_msg *msg = NULL;

    if (in_hand != NULL) {
        msg = hello_frame_locked(worker, in_hand);
        free(in_hand);
    }
    if (msg != NULL) {
        exchange = redial_i_exchange_get_locked(&worker->link);
    }
    if (exchange == NULL) {
        if (msg != NULL) {
            nng_msg_free(msg);
        }
        pause_locked(worker, 0);
        return;
    }
    worker->session = REDIAL_I_SESSION_HELLO;
    worker->hellos++;
    redial_i_exchange_start_locked(
        exchange, msg, redial_i_after(redial_i_now(), HELLO_TIMEOUT_MS),
        hello_done, worker);
}

/* ---- Poll ---- */

struct poll_answer {
    struct answer answer;
    const Redial__V1__PollResponse *response;
    redial_attempt **attempts; /* NULL where memory was out */
};

/* Without the lock: this is where the time goes. */
static void
poll_read(struct poll_answer *poll, redial_worker *worker, nng_msg *reply)
{
    answer_read(&poll->answer, reply, &redial__v1__poll_response__descriptor);
    poll->response = (const Redial__V1__PollResponse *)poll->answer.message;
    poll->attempts = NULL;
    if (poll->response == NULL || poll->response->n_assignments == 0) {
        return;
    }
    poll->attempts = calloc(poll->response->n_assignments,
                            sizeof(redial_attempt *));
    for (size_t i = 0;
         poll->attempts != NULL && i < poll->response->n_assignments; i++) {
        const Redial__V1__Assignment *work = poll->response->assignments[i];

        if (work->token != NULL) {
            poll->attempts[i] = redial_i_attempt_new(worker, work);
        }
    }
}

/* A worker that has said Hello again has not listed these: the gateway gives
 * them to somebody, so they must not be started here. */
static void
take_assignments_locked(struct poll_answer *poll, const struct saying *saying)
{
    size_t count = poll->attempts != NULL ? poll->response->n_assignments : 0;

    for (size_t i = 0; i < count; i++) {
        redial_attempt *attempt = poll->attempts[i];

        if (attempt == NULL) {
            continue;
        }
        if (saying->hellos == saying->worker->hellos) {
            redial_i_attempt_take_locked(attempt);
        } else {
            redial_i_attempt_free(attempt);
        }
    }
}

static bool
is_empty(const Redial__V1__PollResponse *response)
{
    return response->n_assignments == 0 && response->n_stop == 0 &&
           response->n_report_acks == 0;
}

static void
poll_accepted_locked(struct poll_answer *poll, struct saying *saying,
                     int64_t started_ns)
{
    redial_worker *worker = saying->worker;
    const Redial__V1__PollResponse *response = poll->response;
    struct redial_i_list *node;

    worker->failures = 0;
    while ((node = redial_i_list_pop(&saying->acks)) != NULL) {
    }
    settle_reports_locked(saying, response->report_acks,
                          response->n_report_acks);
    take_assignments_locked(poll, saying);
    stop_all_locked(worker, response->stop, response->n_stop, false);
    if (response->drain) {
        worker->is_draining = true;
    }
    if (is_empty(response) && worker->polls_flying == 0 &&
        !worker->has_to_say &&
        redial_i_now() < redial_i_after(started_ns, PARKED_MS)) {
        pause_locked(worker, 0);
    }
}

static void
poll_done(struct redial_i_exchange *exchange)
{
    struct saying *saying = exchange->owner;
    redial_worker *worker = saying->worker;
    struct poll_answer poll;

    poll_read(&poll, worker, exchange->reply);
    redial_i_lock(&worker->loop);
    worker->polls_flying--;
    if (poll.response != NULL) {
        poll_accepted_locked(&poll, saying, exchange->started_ns);
    } else {
        saying_undo_locked(saying);
        if (poll.answer.has_reply) {
            complain_locked(worker, &poll.answer.error);
        }
    }
    end_locked(worker, exchange);
    redial_i_unlock(&worker->loop);
    free(poll.attempts);
    wire_arena_fini(&poll.answer.arena);
    free(saying);
}

static uint32_t
free_slots(const redial_worker *worker, uint32_t concurrency, uint32_t in_use)
{
    uint32_t free_here = concurrency > in_use ? concurrency - in_use : 0;
    uint32_t room = worker->unsettled < REDIAL_I_IN_HAND_MAX
                        ? REDIAL_I_IN_HAND_MAX - (uint32_t)worker->unsettled
                        : 0;

    if (worker->is_draining || worker->is_closing) {
        return 0;
    }
    return free_here < room ? free_here : room;
}

static void
fill_credits(redial_worker *worker, Redial__V1__MethodCredit *credits,
             Redial__V1__MethodCredit **pointers)
{
    for (size_t i = 0; i < worker->method_count; i++) {
        struct redial_i_crew_method *method = &worker->methods[i];

        redial__v1__method_credit__init(&credits[i]);
        credits[i].service = method->service;
        credits[i].method = method->method[0] != '\0' ? method->method : NULL;
        credits[i].has_free = true;
        credits[i].free = free_slots(worker, method->concurrency,
                                     method->in_use);
        pointers[i] = &credits[i];
    }
}

/* Moves what is to be acknowledged into the saying and the message. */
static size_t
take_acks_locked(struct saying *saying, Redial__V1__Token *tokens,
                 Redial__V1__Token **pointers)
{
    redial_worker *worker = saying->worker;
    size_t count = 0;

    while (count < WIRE_POLL_ITEMS_MAX &&
           !redial_i_list_is_empty(&worker->acks)) {
        redial_attempt *attempt = REDIAL_I_OF(worker->acks.next,
                                              struct redial_attempt, ack);

        redial_i_token_fill(attempt, &tokens[count]);
        pointers[count] = &tokens[count];
        count++;
        redial_i_list_remove(&attempt->ack);
        redial_i_list_append(&saying->acks, &attempt->ack);
    }
    return count;
}

/* Room for one Poll while it is packed: too much for a stack. */
struct poll_room {
    Redial__V1__Token tokens[WIRE_POLL_ITEMS_MAX];
    Redial__V1__Token *token_pointers[WIRE_POLL_ITEMS_MAX];
    struct chunk chunks[WIRE_POLL_ITEMS_MAX];
    Redial__V1__MethodCredit credits[REDIAL_I_METHODS_MAX];
    Redial__V1__MethodCredit *credit_pointers[REDIAL_I_METHODS_MAX];
};

static nng_msg *
poll_frame_locked(struct saying *saying, struct poll_room *room)
{
    redial_worker *worker = saying->worker;
    Redial__V1__PollRequest request = REDIAL__V1__POLL_REQUEST__INIT;
    size_t count;

    fill_credits(worker, room->credits, room->credit_pointers);
    request.has_worker_id = true;
    request.worker_id = worker->worker_id;
    request.has_free_total = true;
    request.free_total = free_slots(worker, worker->concurrency,
                                    worker->in_use);
    request.n_credits = worker->method_count;
    request.credits = room->credit_pointers;
    request.n_acks = take_acks_locked(saying, room->tokens,
                                      room->token_pointers);
    request.acks = room->token_pointers;
    request.has_wait_ms = true;
    request.wait_ms = WIRE_PARK_MS_MAX;
    count = take_reports_locked(
        saying, room->chunks,
        redial__v1__poll_request__get_packed_size(&request));
    return frame_with(worker, POLL_PATH, WIRE_PARK_MS_MAX + ANSWER_SLACK_MS,
                      &request.base, POLL_REPORTS_TAG, room->chunks, count);
}

static bool
send_poll_locked(redial_worker *worker)
{
    struct poll_room *room = malloc(sizeof(*room));
    struct saying *saying = saying_new(worker);
    struct redial_i_exchange *exchange = NULL;
    nng_msg *msg = NULL;

    if (room != NULL && saying != NULL) {
        msg = poll_frame_locked(saying, room);
    }
    free(room);
    if (msg != NULL) {
        exchange = redial_i_exchange_get_locked(&worker->link);
    }
    if (exchange == NULL) {
        if (saying != NULL) {
            saying_undo_locked(saying);
            free(saying);
        }
        if (msg != NULL) {
            nng_msg_free(msg);
        }
        pause_locked(worker, 0);
        return false;
    }
    worker->has_to_say = !redial_i_list_is_empty(&worker->acks) ||
                         !redial_i_list_is_empty(&worker->ready);
    worker->polls_flying++;
    redial_i_exchange_start_locked(
        exchange, msg,
        redial_i_after(redial_i_now(), WIRE_PARK_MS_MAX + ANSWER_SLACK_MS),
        poll_done, saying);
    return true;
}

/* ---- Report: heartbeat, progress, goodbye ---- */

static void
report_accepted_locked(struct saying *saying,
                       const Redial__V1__ReportResponse *response)
{
    redial_worker *worker = saying->worker;

    worker->failures = 0;
    settle_reports_locked(saying, response->acks, response->n_acks);
    stop_all_locked(worker, response->stop, response->n_stop, false);
    if (saying->is_goodbye && worker->unsettled == 0) {
        worker->is_drained = true;
        redial_i_timer_stop_locked(&worker->loop, &worker->heartbeat);
        (void)pthread_cond_broadcast(&worker->changed);
    }
}

static void
report_done(struct redial_i_exchange *exchange)
{
    struct saying *saying = exchange->owner;
    redial_worker *worker = saying->worker;
    struct answer answer;

    answer_read(&answer, exchange->reply,
                &redial__v1__report_response__descriptor);
    redial_i_lock(&worker->loop);
    worker->is_reporting = false;
    if (answer.message != NULL) {
        report_accepted_locked(
            saying, (const Redial__V1__ReportResponse *)answer.message);
    } else {
        saying_undo_locked(saying);
        if (answer.has_reply) {
            complain_locked(worker, &answer.error);
        }
    }
    end_locked(worker, exchange);
    redial_i_unlock(&worker->loop);
    wire_arena_fini(&answer.arena);
    free(saying);
}

/* Packs the progress of the attempts that have news; the caller frees each. */
static size_t
take_news_locked(redial_worker *worker, struct chunk *chunks)
{
    struct redial_i_list *node;
    size_t count = 0;

    while (count < WIRE_POLL_ITEMS_MAX &&
           (node = redial_i_list_pop(&worker->news)) != NULL) {
        redial_attempt *attempt = REDIAL_I_OF(node, struct redial_attempt,
                                              news);
        uint8_t *bytes;

        if (redial_i_report_pack_progress(attempt, attempt->progress, &bytes,
                                          &chunks[count].len)) {
            chunks[count++].bytes = bytes;
        }
        free(attempt->progress);
        attempt->progress = NULL;
    }
    return count;
}

static void
free_chunks(struct chunk *chunks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        union {
            const uint8_t *in;
            void *out;
        } u = {.in = chunks[i].bytes};

        free(u.out);
    }
}

/* What was said in Polls that still park is said again, for an answer at once.
 */
static void
recall_report(redial_attempt *attempt, void *ctx)
{
    redial_worker *worker = ctx;

    if (attempt->report != NULL && !attempt->is_settled) {
        redial_i_list_remove(&attempt->ready);
        redial_i_list_append(&worker->ready, &attempt->ready);
    }
}

static nng_msg *
report_frame_locked(struct saying *saying, struct chunk *chunks)
{
    redial_worker *worker = saying->worker;
    Redial__V1__ReportRequest request = REDIAL__V1__REPORT_REQUEST__INIT;
    size_t news = 0;
    size_t count;
    nng_msg *msg;

    request.has_worker_id = true;
    request.worker_id = worker->worker_id;
    if (saying->is_goodbye) {
        redial_i_attempts_visit_locked(worker, recall_report, worker);
        count = take_reports_locked(saying, chunks, 64);
        request.has_goodbye = redial_i_list_is_empty(&worker->ready);
        request.goodbye = request.has_goodbye;
    } else {
        news = take_news_locked(worker, chunks);
        count = news;
    }
    msg = frame_with(worker, REPORT_PATH, REPORT_TIMEOUT_MS, &request.base,
                     REPORT_REPORTS_TAG, chunks, count);
    free_chunks(chunks, news);
    return msg;
}

static void
send_report_locked(redial_worker *worker, bool is_goodbye)
{
    struct chunk *chunks = calloc(WIRE_POLL_ITEMS_MAX, sizeof(*chunks));
    struct saying *saying = saying_new(worker);
    struct redial_i_exchange *exchange = NULL;
    nng_msg *msg = NULL;

    if (chunks != NULL && saying != NULL) {
        saying->is_goodbye = is_goodbye;
        msg = report_frame_locked(saying, chunks);
    }
    free(chunks);
    if (msg != NULL) {
        exchange = redial_i_exchange_get_locked(&worker->link);
    }
    if (exchange == NULL) {
        if (saying != NULL) {
            saying_undo_locked(saying);
            free(saying);
        }
        if (msg != NULL) {
            nng_msg_free(msg);
        }
        pause_locked(worker, 0);
        return;
    }
    worker->is_reporting = true;
    redial_i_exchange_start_locked(
        exchange, msg, redial_i_after(redial_i_now(), REPORT_TIMEOUT_MS),
        report_done, saying);
}

static void
heartbeat_fire(struct redial_i_timer *timer)
{
    redial_worker *worker = REDIAL_I_OF(timer, struct redial_worker, heartbeat);

    if (worker->link.is_ready && worker->session == REDIAL_I_SESSION_ON &&
        !worker->is_reporting && !worker->is_drained) {
        send_report_locked(worker, false);
    }
    redial_i_timer_start_locked(
        &worker->loop, timer,
        redial_i_after(redial_i_now(), worker->heartbeat_ms));
}

/* ---- what is next ---- */

/* Finished, and so is everything in hand. True: nothing else is to be said. */
static bool
say_goodbye_locked(redial_worker *worker)
{
    if (!worker->is_draining || worker->in_use > 0 || worker->is_corked) {
        return false;
    }
    if (worker->session == REDIAL_I_SESSION_NONE && worker->unsettled == 0) {
        worker->is_drained = true; /* nobody knows us, and nothing to tell */
        (void)pthread_cond_broadcast(&worker->changed);
        return true;
    }
    if (worker->session == REDIAL_I_SESSION_ON) {
        if (!worker->is_reporting && worker->link.is_ready) {
            send_report_locked(worker, true);
        }
        return true;
    }
    return false;
}

void
redial_i_session_pump_locked(redial_worker *worker)
{
    if (worker->is_drained || worker->session == REDIAL_I_SESSION_REFUSED ||
        worker->pause_until_ns > redial_i_now()) {
        return;
    }
    if (say_goodbye_locked(worker) || !worker->link.is_ready) {
        return;
    }
    if (worker->session == REDIAL_I_SESSION_NONE) {
        send_hello_locked(worker);
    }
    if (worker->session != REDIAL_I_SESSION_ON) {
        return;
    }
    if (!worker->is_reporting && !redial_i_list_is_empty(&worker->news)) {
        send_report_locked(worker, false);
    }
    if (worker->is_corked) {
        return;
    }
    while (worker->polls_flying == 0 ||
           (worker->has_to_say && worker->polls_flying < POLLS_FLYING_MAX)) {
        if (!send_poll_locked(worker)) {
            return;
        }
    }
}

void
redial_i_session_up(void *ctx)
{
    redial_worker *worker = ctx;

    if (worker->session != REDIAL_I_SESSION_REFUSED) {
        worker->session = REDIAL_I_SESSION_NONE;
    }
    worker->pause_until_ns = 0;
    redial_i_timer_stop_locked(&worker->loop, &worker->pause);
    redial_i_session_pump_locked(worker);
}

void
redial_i_session_init(redial_worker *worker)
{
    worker->heartbeat_ms = 2000;
    worker->result_bytes_max = WIRE_RESULT_BYTES_MAX;
    worker->pause.fire = pause_fire;
    worker->heartbeat.fire = heartbeat_fire;
    worker->link.up = redial_i_session_up;
    worker->link.ctx = worker;
}
