/* SPDX-License-Identifier: Apache-2.0 */
#include "client/saying.h"

#include "client/clock.h"
#include "client/error.h"
#include "proto/limits.h"

#include <stdlib.h>
#include <string.h>

/* Pauses after "not now": doubling, times 0.5 to 1.5. */
#define PAUSE_FIRST_MS 50
#define PAUSE_MAX_MS   3000

struct redial_i_saying *
redial_i_saying_new(redial_worker *worker)
{
    struct redial_i_saying *saying = calloc(1, sizeof(*saying));

    if (saying != NULL) {
        saying->worker = worker;
        saying->hellos = worker->hellos;
        redial_i_list_init(&saying->acks);
        redial_i_list_init(&saying->reports);
    }
    return saying;
}

void
redial_i_saying_undo_locked(struct redial_i_saying *saying)
{
    redial_worker *worker = saying->worker;

    if (!redial_i_list_is_empty(&saying->acks) ||
        !redial_i_list_is_empty(&saying->reports)) {
        worker->has_to_say = true;
    }
    redial_i_list_splice(worker->acks.next, &saying->acks);
    redial_i_list_splice(worker->ready.next, &saying->reports);
}

void
redial_i_session_pause_locked(redial_worker *worker, uint64_t at_least_ms)
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

void
redial_i_saying_refused_locked(struct redial_i_saying *saying,
                               const struct redial_error *error)
{
    redial_worker *worker = saying->worker;

    if (error->status == REDIAL_NOT_FOUND ||
        error->status == REDIAL_FAILED_PRECONDITION ||
        error->status == REDIAL_UNAUTHENTICATED ||
        error->status == REDIAL_PERMISSION_DENIED) {
        /* It does not know this worker: a new Hello, which may be refused. */
        if (worker->session == REDIAL_I_SESSION_ON &&
            saying->hellos == worker->hellos) {
            worker->session = REDIAL_I_SESSION_NONE;
        }
    }
    redial_i_session_pause_locked(worker, error->retry_after_ms);
}

/* ---- messages with reports ---- */

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

struct redial_i_frame *
redial_i_frame_with(redial_worker *worker, const char *path,
                    uint32_t timeout_ms, const ProtobufCMessage *base,
                    const struct redial_i_chunks *chunks)
{
    size_t len = protobuf_c_message_get_packed_size(base);
    size_t count = chunks != NULL ? chunks->count : 0;
    struct redial_i_frame *msg;
    uint8_t *at;

    for (size_t i = 0; i < count; i++) {
        len += chunk_size(chunks->items[i].len);
    }
    msg = redial_i_link_frame(&worker->link, path, timeout_ms, len, &at);
    if (msg == NULL) {
        return NULL;
    }
    at += protobuf_c_message_pack(base, at);
    for (size_t i = 0; i < count; i++) {
        const struct redial_i_chunk *chunk = &chunks->items[i];

        at += put_head(at, chunks->tag, chunk->len);
        memcpy(at, chunk->bytes, chunk->len);
        at += chunk->len;
    }
    return msg;
}

size_t
redial_i_take_reports_locked(struct redial_i_saying *saying,
                             struct redial_i_chunk *chunks, size_t base_bytes)
{
    redial_worker *worker = saying->worker;
    size_t left = redial_i_link_request_bytes_max(&worker->link,
                                                  REDIAL_I_POLL_PATH);
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
    saying->report_count = count;
    return count;
}

static bool
is_transient(const Redial__V1__Status *status)
{
    return status != NULL &&
           (status->code == REDIAL__V1__CODE__UNAVAILABLE ||
            status->code == REDIAL__V1__CODE__RESOURCE_EXHAUSTED);
}

static bool
is_any_transient(Redial__V1__ReportAck **acks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (is_transient(acks[i]->status)) {
            return true;
        }
    }
    return false;
}

static size_t
list_length(const struct redial_i_list *head)
{
    size_t length = 0;

    for (const struct redial_i_list *at = head->next; at != head;
         at = at->next) {
        length++;
    }
    return length;
}

void
redial_i_settle_reports_locked(struct redial_i_saying *saying,
                               Redial__V1__ReportAck **acks, size_t count)
{
    redial_worker *worker = saying->worker;
    bool is_any = is_any_transient(acks, count);
    /* Some were taken out meanwhile: the order does not tell whose is whose,
     * so all are said again, which is harmless. */
    bool is_shifted = list_length(&saying->reports) != saying->report_count;
    struct redial_i_list *node;

    for (size_t i = 0; (node = redial_i_list_pop(&saying->reports)) != NULL;
         i++) {
        redial_attempt *attempt = REDIAL_I_OF(node, struct redial_attempt,
                                              ready);

        if (is_any &&
            (is_shifted || (i < count && is_transient(acks[i]->status)))) {
            redial_i_list_append(&worker->ready, &attempt->ready);
            worker->has_to_say = true;
        } else {
            redial_i_attempt_settle_locked(attempt);
        }
    }
    if (is_any) {
        redial_i_session_pause_locked(worker, 0);
    }
}

void
redial_i_stop_all_locked(redial_worker *worker, Redial__V1__Token **tokens,
                         size_t count, bool is_superseded)
{
    for (size_t i = 0; i < count; i++) {
        redial_i_attempt_stop_locked(worker, tokens[i], is_superseded);
    }
}

/* ---- answers ---- */

void
redial_i_answer_read(struct redial_i_answer *answer,
                     const struct redial_i_exchange *exchange,
                     const ProtobufCMessageDescriptor *descriptor)
{
    answer->message = NULL;
    answer->has_reply = exchange->end == REDIAL_I_REPLY;
    wire_arena_init(&answer->arena, NULL, 0);
    if (answer->has_reply) {
        (void)redial_i_reply_unpack(exchange->reply, exchange->reply_len,
                                    descriptor, &answer->arena,
                                    &answer->message, &answer->error);
    }
}
