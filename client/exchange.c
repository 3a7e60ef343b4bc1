/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests and their answers. The id of a request names a slot, and counts, so
 * that a late answer to an earlier request in the same slot is recognised.
 */
#include "client/clock.h"
#include "client/conn.h"

#include <stdlib.h>

/* Ids of SP requests have the highest bit set. */
#define ID_MARK      0x80000000u
#define ID_SLOT_BITS 10

_Static_assert(REDIAL_I_SLOTS <= 1 << ID_SLOT_BITS, "slots fit into an id");

/* Nothing came back since it was sent, for so long: the peer may be gone
 * without a trace, so try another connection. */
#define SILENCE_MS 2000

void
redial_i_exchanges_init(struct redial_i_link *link)
{
    redial_i_list_init(&link->idle);
    redial_i_list_init(&link->waiting);
    redial_i_list_init(&link->flying);
    for (uint16_t i = 0; i < REDIAL_I_SLOTS; i++) {
        link->free_slots[i] = i;
    }
    link->free_slot_count = REDIAL_I_SLOTS;
}

void
redial_i_exchanges_fini(struct redial_i_link *link)
{
    struct redial_i_list *node;

    while ((node = redial_i_list_pop(&link->idle)) != NULL) {
        free(REDIAL_I_OF(node, struct redial_i_exchange, node));
    }
}

/* ---- slots ---- */

static size_t
slot_of(uint32_t id)
{
    return id & ((1u << ID_SLOT_BITS) - 1);
}

static void
send_locked(struct redial_i_exchange *exchange)
{
    struct redial_i_link *link = exchange->link;
    uint16_t slot = link->free_slots[--link->free_slot_count];

    exchange->id = ID_MARK | ++link->ids << ID_SLOT_BITS | slot;
    link->slots[slot] = exchange;
    redial_i_list_append(&link->flying, &exchange->node);
    exchange->connection = link->connection;
    redial_i_conn_send_locked(link->conn, exchange->frame, exchange->id);
}

/* Nobody waits for it any more; a frame that is not sent is not sent. */
static void
take_off_locked(struct redial_i_exchange *exchange)
{
    struct redial_i_link *link = exchange->link;
    struct redial_i_frame *frame = exchange->frame;

    redial_i_timer_stop_locked(link->loop, &exchange->timer);
    redial_i_list_remove(&exchange->node);
    if (exchange->id != 0) {
        link->slots[slot_of(exchange->id)] = NULL;
        link->free_slots[link->free_slot_count++] = (uint16_t)slot_of(
            exchange->id);
        exchange->id = 0;
    }
    exchange->frame = NULL;
    if (frame == NULL) {
        return;
    }
    frame->exchange = NULL;
    if (!exchange->was_sent) {
        redial_i_list_remove(&frame->node);
        redial_i_frame_free(frame);
    } /* else nng may be at it: the connection frees it */
}

/* A slot has become free: the next that waits for one. */
static void
send_next_locked(struct redial_i_link *link)
{
    struct redial_i_list *node;

    if (link->conn == NULL || redial_i_conn_is_lost(link->conn) ||
        link->free_slot_count == 0) {
        return;
    }
    node = redial_i_list_pop(&link->waiting);
    if (node != NULL) {
        send_locked(REDIAL_I_OF(node, struct redial_i_exchange, node));
    }
}

/* ---- ends ---- */

static void
deadline_fire(struct redial_i_timer *timer)
{
    struct redial_i_exchange *exchange = REDIAL_I_OF(
        timer, struct redial_i_exchange, timer);
    struct redial_i_loop *loop = exchange->link->loop;

    take_off_locked(exchange);
    exchange->end = REDIAL_I_TIMEOUT;
    redial_i_unlock(loop);
    exchange->done(exchange);
    redial_i_lock(loop);
}

void
redial_i_exchange_answer(struct redial_i_link *link, uint32_t id,
                         const uint8_t *reply, size_t reply_len)
{
    struct redial_i_exchange *exchange = NULL;

    redial_i_lock(link->loop);
    if (slot_of(id) < REDIAL_I_SLOTS) {
        exchange = link->slots[slot_of(id)];
    }
    if (exchange == NULL || exchange->id != id) {
        redial_i_unlock(link->loop); /* late, or never asked for */
        return;
    }
    link->received_ns = redial_i_now();
    link->has_received = true;
    take_off_locked(exchange);
    exchange->end = REDIAL_I_REPLY;
    exchange->reply = reply;
    exchange->reply_len = reply_len;
    redial_i_unlock(link->loop);
    exchange->done(exchange);
}

static void
cut_list_locked(struct redial_i_link *link, struct redial_i_list *list,
                enum redial_i_end end)
{
    while (!redial_i_list_is_empty(list)) {
        struct redial_i_exchange *exchange = REDIAL_I_OF(
            list->next, struct redial_i_exchange, node);

        take_off_locked(exchange);
        exchange->end = end;
        redial_i_unlock(link->loop);
        exchange->done(exchange);
        redial_i_lock(link->loop);
    }
}

void
redial_i_exchanges_cut_locked(struct redial_i_link *link, enum redial_i_end end)
{
    cut_list_locked(link, &link->flying, end);
    cut_list_locked(link, &link->waiting, end);
}

/* ---- for users ---- */

struct redial_i_exchange *
redial_i_exchange_get_locked(struct redial_i_link *link)
{
    struct redial_i_list *node = redial_i_list_pop(&link->idle);
    struct redial_i_exchange *exchange;

    if (node != NULL) {
        return REDIAL_I_OF(node, struct redial_i_exchange, node);
    }
    exchange = calloc(1, sizeof(*exchange));
    if (exchange != NULL) {
        exchange->link = link;
        exchange->timer.fire = deadline_fire;
    }
    return exchange;
}

void
redial_i_exchange_start_locked(struct redial_i_exchange *exchange,
                               struct redial_i_frame *request,
                               int64_t deadline_ns,
                               void (*done)(struct redial_i_exchange *),
                               void *owner)
{
    struct redial_i_link *link = exchange->link;

    WIRE_CHECK(!link->is_closing && link->conn != NULL);
    exchange->started_ns = redial_i_now();
    exchange->done = done;
    exchange->owner = owner;
    exchange->was_sent = false;
    exchange->reply = NULL;
    exchange->reply_len = 0;
    exchange->frame = request;
    request->exchange = exchange;
    redial_i_timer_start_locked(link->loop, &exchange->timer, deadline_ns);
    if (link->free_slot_count > 0) {
        send_locked(exchange);
    } else {
        redial_i_list_append(&link->waiting, &exchange->node);
    }
}

static bool
shows_silence(const struct redial_i_exchange *exchange)
{
    const struct redial_i_link *link = exchange->link;

    return exchange->end == REDIAL_I_TIMEOUT && exchange->was_sent &&
           exchange->connection == link->connection &&
           link->received_ns < exchange->started_ns &&
           redial_i_now() >= redial_i_after(exchange->started_ns, SILENCE_MS);
}

void
redial_i_exchange_end_locked(struct redial_i_exchange *exchange)
{
    struct redial_i_link *link = exchange->link;

    if (exchange->done != NULL && shows_silence(exchange)) {
        redial_i_link_drop_locked(link, "no answer, no sign of life");
    }
    exchange->done = NULL;
    exchange->owner = NULL;
    redial_i_list_append(&link->idle, &exchange->node);
    send_next_locked(link);
}
