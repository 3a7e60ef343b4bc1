/* SPDX-License-Identifier: Apache-2.0 */
#include "client/clock.h"
#include "client/saying.h"
#include "proto/limits.h"

#include <stdlib.h>

/* An answer comes this much after the time of parking at the latest. */
#define ANSWER_SLACK_MS 10000

/* An empty answer sooner than this is no parking: do not ask in a loop. */
#define PARKED_MS 20

/* Field 5 of PollRequest. */
#define REPORTS_TAG 0x2a

struct poll_answer {
    struct redial_i_answer answer;
    const Redial__V1__PollResponse *response;
    redial_attempt **attempts; /* NULL where memory was out */
};

/* Without the lock: this is where the time goes. */
static void
poll_read(struct poll_answer *poll, redial_worker *worker,
          const struct redial_i_exchange *exchange)
{
    redial_i_answer_read(&poll->answer, exchange,
                         &redial__v1__poll_response__descriptor);
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
take_assignments_locked(struct poll_answer *poll,
                        const struct redial_i_saying *saying)
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
poll_accepted_locked(struct poll_answer *poll, struct redial_i_saying *saying,
                     int64_t started_ns)
{
    redial_worker *worker = saying->worker;
    const Redial__V1__PollResponse *response = poll->response;

    worker->failures = 0;
    while (redial_i_list_pop(&saying->acks) != NULL) {
    }
    redial_i_settle_reports_locked(saying, response->report_acks,
                                   response->n_report_acks);
    take_assignments_locked(poll, saying);
    redial_i_stop_all_locked(worker, response->stop, response->n_stop, false);
    if (response->drain) {
        worker->is_draining = true;
    }
    if (is_empty(response) && worker->polls_flying == 0 &&
        !worker->has_to_say &&
        redial_i_now() < redial_i_after(started_ns, PARKED_MS)) {
        redial_i_session_pause_locked(worker, 0);
    }
}

static void
poll_done(struct redial_i_exchange *exchange)
{
    struct redial_i_saying *saying = exchange->owner;
    redial_worker *worker = saying->worker;
    struct poll_answer poll;

    poll_read(&poll, worker, exchange);
    redial_i_lock(&worker->loop);
    worker->polls_flying--;
    if (poll.response != NULL) {
        poll_accepted_locked(&poll, saying, exchange->started_ns);
    } else {
        redial_i_saying_undo_locked(saying);
        if (poll.answer.has_reply) {
            redial_i_saying_refused_locked(saying, &poll.answer.error);
        }
    }
    redial_i_exchange_end_locked(exchange);
    redial_i_session_pump_locked(worker);
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
take_acks_locked(struct redial_i_saying *saying, Redial__V1__Token *tokens,
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
    struct redial_i_chunk chunks[WIRE_POLL_ITEMS_MAX];
    Redial__V1__MethodCredit credits[REDIAL_I_METHODS_MAX];
    Redial__V1__MethodCredit *credit_pointers[REDIAL_I_METHODS_MAX];
};

static struct redial_i_frame *
poll_frame_locked(struct redial_i_saying *saying, struct poll_room *room)
{
    redial_worker *worker = saying->worker;
    Redial__V1__PollRequest request = REDIAL__V1__POLL_REQUEST__INIT;
    struct redial_i_chunks chunks = {REPORTS_TAG, room->chunks, 0};

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
    chunks.count = redial_i_take_reports_locked(
        saying, room->chunks,
        redial__v1__poll_request__get_packed_size(&request));
    return redial_i_frame_with(worker, REDIAL_I_POLL_PATH,
                               WIRE_PARK_MS_MAX + ANSWER_SLACK_MS,
                               &request.base, &chunks);
}

bool
redial_i_poll_send_locked(redial_worker *worker)
{
    struct poll_room *room = malloc(sizeof(*room));
    struct redial_i_saying *saying = redial_i_saying_new(worker);
    struct redial_i_exchange *exchange = NULL;
    struct redial_i_frame *msg = NULL;

    if (room != NULL && saying != NULL) {
        msg = poll_frame_locked(saying, room);
    }
    free(room);
    if (msg != NULL) {
        exchange = redial_i_exchange_get_locked(&worker->link);
    }
    if (exchange == NULL) {
        if (saying != NULL) {
            redial_i_saying_undo_locked(saying);
            free(saying);
        }
        if (msg != NULL) {
            redial_i_frame_free(msg);
        }
        redial_i_session_pause_locked(worker, 0);
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
