/* SPDX-License-Identifier: Apache-2.0 */
#include "client/clock.h"
#include "client/saying.h"
#include "proto/limits.h"

#include <stdlib.h>

#define TIMEOUT_MS 10000

/* Field 2 of ReportRequest. */
#define REPORTS_TAG 0x12

static void
report_accepted_locked(struct redial_i_saying *saying,
                       const Redial__V1__ReportResponse *response)
{
    redial_worker *worker = saying->worker;

    worker->failures = 0;
    redial_i_settle_reports_locked(saying, response->acks, response->n_acks);
    redial_i_stop_all_locked(worker, response->stop, response->n_stop, false);
    if (saying->is_goodbye && worker->unsettled == 0) {
        worker->is_drained = true;
        redial_i_timer_stop_locked(&worker->loop, &worker->heartbeat);
        (void)pthread_cond_broadcast(&worker->changed);
    }
}

static void
report_done(struct redial_i_exchange *exchange)
{
    struct redial_i_saying *saying = exchange->owner;
    redial_worker *worker = saying->worker;
    struct redial_i_answer answer;

    redial_i_answer_read(&answer, exchange,
                         &redial__v1__report_response__descriptor);
    redial_i_lock(&worker->loop);
    worker->is_reporting = false;
    if (answer.message != NULL) {
        report_accepted_locked(
            saying, (const Redial__V1__ReportResponse *)answer.message);
    } else {
        redial_i_saying_undo_locked(saying);
        if (answer.has_reply) {
            redial_i_saying_refused_locked(saying, &answer.error);
        }
    }
    redial_i_exchange_end_locked(exchange);
    redial_i_session_pump_locked(worker);
    redial_i_unlock(&worker->loop);
    wire_arena_fini(&answer.arena);
    free(saying);
}

/* Packs the progress of the attempts that have news; the caller frees each. */
static size_t
take_news_locked(redial_worker *worker, struct redial_i_chunk *chunks)
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
free_chunks(struct redial_i_chunk *chunks, size_t count)
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

static struct redial_i_frame *
report_frame_locked(struct redial_i_saying *saying, struct redial_i_chunk *room)
{
    redial_worker *worker = saying->worker;
    Redial__V1__ReportRequest request = REDIAL__V1__REPORT_REQUEST__INIT;
    struct redial_i_chunks chunks = {REPORTS_TAG, room, 0};
    size_t news = 0;
    struct redial_i_frame *msg;

    request.has_worker_id = true;
    request.worker_id = worker->worker_id;
    if (saying->is_goodbye) {
        redial_i_attempts_visit_locked(worker, recall_report, worker);
        chunks.count = redial_i_take_reports_locked(saying, room, 64);
        request.has_goodbye = redial_i_list_is_empty(&worker->ready);
        request.goodbye = request.has_goodbye;
    } else {
        news = take_news_locked(worker, room);
        chunks.count = news;
    }
    msg = redial_i_frame_with(worker, REDIAL_I_REPORT_PATH, TIMEOUT_MS,
                              &request.base, &chunks);
    free_chunks(room, news);
    return msg;
}

void
redial_i_report_send_locked(redial_worker *worker, bool is_goodbye)
{
    struct redial_i_chunk *chunks = calloc(WIRE_POLL_ITEMS_MAX,
                                           sizeof(*chunks));
    struct redial_i_saying *saying = redial_i_saying_new(worker);
    struct redial_i_exchange *exchange = NULL;
    struct redial_i_frame *msg = NULL;

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
            redial_i_saying_undo_locked(saying);
            free(saying);
        }
        if (msg != NULL) {
            redial_i_frame_free(msg);
        }
        redial_i_session_pause_locked(worker, 0);
        return;
    }
    worker->is_reporting = true;
    redial_i_exchange_start_locked(exchange, msg,
                                   redial_i_after(redial_i_now(), TIMEOUT_MS),
                                   report_done, saying);
}
