/* SPDX-License-Identifier: Apache-2.0 */
#include "client/clock.h"
#include "client/link.h"

#include <nng/protocol/reqrep0/req.h>

#include <stdlib.h>

static void
exchange_finish(struct redial_i_exchange *exchange, enum redial_i_end end)
{
    exchange->end = end;
    exchange->done(exchange);
}

static nng_duration
exchange_timeout(const struct redial_i_exchange *exchange)
{
    uint32_t ms;

    if (exchange->deadline_ns == REDIAL_I_NEVER) {
        return NNG_DURATION_INFINITE;
    }
    ms = redial_i_ms_until(exchange->deadline_ns, INT32_MAX);
    return ms == 0 ? 1 : (nng_duration)ms; /* 0 has a path of its own */
}

static void
exchange_sent(struct redial_i_exchange *exchange, int result)
{
    if (result == 0) {
        exchange->was_sent = true;
        exchange->is_receiving = true;
        nng_aio_set_timeout(exchange->aio, exchange_timeout(exchange));
        nng_ctx_recv(exchange->ctx, exchange->aio);
        return;
    }
    nng_msg_free(nng_aio_get_msg(exchange->aio));
    nng_aio_set_msg(exchange->aio, NULL);
    exchange_finish(exchange, result == NNG_ETIMEDOUT ? REDIAL_I_TIMEOUT
                                                      : REDIAL_I_CLOSED);
}

/* On a thread of nng: the send or the receive has ended. */
static void
exchange_event(void *arg)
{
    struct redial_i_exchange *exchange = arg;
    int result = nng_aio_result(exchange->aio);

    if (!exchange->is_receiving) {
        exchange_sent(exchange, result);
        return;
    }
    switch (result) {
    case 0:
        exchange->reply = nng_aio_get_msg(exchange->aio);
        nng_aio_set_msg(exchange->aio, NULL);
        exchange_finish(exchange, REDIAL_I_REPLY);
        break;
    case NNG_ETIMEDOUT:
        exchange_finish(exchange, REDIAL_I_TIMEOUT);
        break;
    case NNG_ECLOSED:
    case NNG_ECANCELED:
        exchange_finish(exchange, REDIAL_I_CLOSED);
        break;
    default: /* NNG_ECONNRESET */
        exchange_finish(exchange, REDIAL_I_LOST);
        break;
    }
}

void
redial_i_exchange_free(struct redial_i_exchange *exchange)
{
    (void)nng_ctx_close(exchange->ctx);
    nng_aio_free(exchange->aio);
    free(exchange);
}

static struct redial_i_exchange *
exchange_new(struct redial_i_link *link)
{
    struct redial_i_exchange *exchange = calloc(1, sizeof(*exchange));

    if (exchange == NULL) {
        return NULL;
    }
    exchange->link = link;
    if (nng_aio_alloc(&exchange->aio, exchange_event, exchange) != 0) {
        goto fail_aio;
    }
    if (nng_ctx_open(&exchange->ctx, link->sock) != 0) {
        goto fail_ctx;
    }
    /* Of each context: the socket's own setting does not reach them all. */
    if (nng_ctx_set_ms(exchange->ctx, NNG_OPT_REQ_RESENDTIME,
                       NNG_DURATION_INFINITE) != 0) {
        goto fail_option;
    }
    return exchange;

fail_option:
    (void)nng_ctx_close(exchange->ctx);
fail_ctx:
    nng_aio_free(exchange->aio);
fail_aio:
    free(exchange);
    return NULL;
}

struct redial_i_exchange *
redial_i_exchange_get_locked(struct redial_i_link *link)
{
    struct redial_i_list *node = redial_i_list_pop(&link->idle);
    struct redial_i_exchange *exchange;

    exchange = node != NULL ? REDIAL_I_OF(node, struct redial_i_exchange, node)
                            : exchange_new(link);
    if (exchange != NULL) {
        redial_i_list_append(&link->flying, &exchange->node);
    }
    return exchange;
}

void
redial_i_exchange_start_locked(struct redial_i_exchange *exchange,
                               nng_msg *request, int64_t deadline_ns,
                               void (*done)(struct redial_i_exchange *),
                               void *owner)
{
    WIRE_CHECK(!exchange->link->is_closing);
    exchange->started_ns = redial_i_now();
    exchange->deadline_ns = deadline_ns;
    exchange->connection = exchange->link->connection;
    exchange->done = done;
    exchange->owner = owner;
    exchange->is_receiving = false;
    exchange->was_sent = false;
    exchange->reply = NULL;
    nng_aio_set_msg(exchange->aio, request);
    nng_aio_set_timeout(exchange->aio, exchange_timeout(exchange));
    nng_ctx_send(exchange->ctx, exchange->aio);
}

/* Nothing came back since it was sent, for so long: the peer may be gone
 * without a trace, so try another connection. */
#define SILENCE_MS 2000

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

    if (exchange->done != NULL) {
        if (exchange->end == REDIAL_I_REPLY) {
            link->received_ns = redial_i_now();
            link->has_received = true;
        } else if (shows_silence(exchange)) {
            redial_i_link_drop_locked(link);
        }
    }
    exchange->done = NULL;
    exchange->owner = NULL;
    redial_i_list_remove(&exchange->node);
    redial_i_list_append(&link->idle, &exchange->node);
    if (link->is_closing) {
        (void)pthread_cond_broadcast(&link->changed);
    }
}

void
redial_i_exchanges_stop(struct redial_i_link *link)
{
    redial_i_lock(link->loop);
    while (!redial_i_list_is_empty(&link->flying)) {
        struct redial_i_exchange *exchange = REDIAL_I_OF(
            link->flying.next, struct redial_i_exchange, node);
        bool is_stuck;

        redial_i_unlock(link->loop);
        nng_aio_stop(exchange->aio);
        redial_i_lock(link->loop);
        is_stuck = link->flying.next == &exchange->node;
        if (is_stuck) {
            /* Stopped between its send and its receive: no callback came. */
            redial_i_unlock(link->loop);
            exchange_finish(exchange, REDIAL_I_CLOSED);
            redial_i_lock(link->loop);
        }
    }
    redial_i_unlock(link->loop);
}
