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
#include "client/saying.h"
#include "proto/limits.h"

#include <stdlib.h>

#define HELLO_TIMEOUT_MS 10000

/* Until the gateway has said its own. */
#define HEARTBEAT_MS 2000

#define POLLS_FLYING_MAX 2

static void
refuse_locked(redial_worker *worker, const struct redial_error *error)
{
    worker->session = REDIAL_I_SESSION_REFUSED;
    worker->refusal = *error;
    redial_i_timer_stop_locked(&worker->loop, &worker->heartbeat);
    (void)pthread_cond_broadcast(&worker->changed);
}

/* ---- Hello ---- */

static void
hello_accepted_locked(redial_worker *worker,
                      const Redial__V1__HelloResponse *response)
{
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
    while (redial_i_list_pop(&worker->acks) != NULL) {
    }
    worker->has_to_say = true;
    redial_i_stop_all_locked(worker, response->stop, response->n_stop, true);
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
    struct redial_i_answer answer;

    redial_i_answer_read(&answer, exchange,
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
            redial_i_session_pause_locked(
                worker, answer.has_reply ? answer.error.retry_after_ms : 0);
        }
    }
    redial_i_exchange_end_locked(exchange);
    redial_i_session_pump_locked(worker);
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

static struct redial_i_frame *
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
    return redial_i_frame_with(worker, REDIAL_I_HELLO_PATH, HELLO_TIMEOUT_MS,
                               &request.base, NULL);
}

static void
send_hello_locked(redial_worker *worker)
{
    struct in_hand *in_hand = calloc(1, sizeof(*in_hand));
    struct redial_i_exchange *exchange = NULL;
    struct redial_i_frame *msg = NULL;

    if (in_hand != NULL) {
        msg = hello_frame_locked(worker, in_hand);
        free(in_hand);
    }
    if (msg != NULL) {
        exchange = redial_i_exchange_get_locked(&worker->link);
    }
    if (exchange == NULL) {
        if (msg != NULL) {
            redial_i_frame_free(msg);
        }
        redial_i_session_pause_locked(worker, 0);
        return;
    }
    worker->session = REDIAL_I_SESSION_HELLO;
    worker->hellos++;
    redial_i_exchange_start_locked(
        exchange, msg, redial_i_after(redial_i_now(), HELLO_TIMEOUT_MS),
        hello_done, worker);
}

/* ---- what is next ---- */

static void
pause_fire(struct redial_i_timer *timer)
{
    redial_i_session_pump_locked(
        REDIAL_I_OF(timer, struct redial_worker, pause));
}

static void
heartbeat_fire(struct redial_i_timer *timer)
{
    redial_worker *worker = REDIAL_I_OF(timer, struct redial_worker, heartbeat);

    if (worker->link.is_ready && worker->session == REDIAL_I_SESSION_ON &&
        !worker->is_reporting && !worker->is_drained) {
        redial_i_report_send_locked(worker, false);
    }
    redial_i_timer_start_locked(
        &worker->loop, timer,
        redial_i_after(redial_i_now(), worker->heartbeat_ms));
}

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
            redial_i_report_send_locked(worker, true);
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
        redial_i_report_send_locked(worker, false);
    }
    if (worker->is_corked) {
        return;
    }
    while (worker->polls_flying == 0 ||
           (worker->has_to_say && worker->polls_flying < POLLS_FLYING_MAX)) {
        if (!redial_i_poll_send_locked(worker)) {
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
    worker->heartbeat_ms = HEARTBEAT_MS;
    worker->result_bytes_max = WIRE_RESULT_BYTES_MAX;
    worker->pause.fire = pause_fire;
    worker->heartbeat.fire = heartbeat_fire;
    worker->link.up = redial_i_session_up;
    worker->link.ctx = worker;
}
