/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Accepting. A peer over a limit is not accepted and thrown out (stock clients
 * come back at once, and make a storm of it): it waits in the backlog until
 * there is room. See sp_impl.h.
 */
#include "server/net/sp_impl.h"

#define SECOND_MS        1000u
#define NO_RESOURCES_MS  100 /* out of descriptors or memory: try then */
#define FAILED_ACCEPT_MS 1   /* a peer that left: go on, but never spin */

/* Takes one accept of this second's allowance; else the time to wait, ms. */
static nng_duration
rate_delay(struct sp_listener *listener)
{
    nng_time now;

    if (listener->accepts_per_s == 0) {
        return 0;
    }
    now = nng_clock();
    if (now - listener->second >= SECOND_MS) {
        listener->second = now;
        listener->allowance = listener->accepts_per_s;
    }
    if (listener->allowance == 0) {
        return (nng_duration)(listener->second + SECOND_MS - now);
    }
    listener->allowance--;
    return 0;
}

void
sp_accept_next(struct sp_listener *listener)
{
    struct sp_server *server = listener->server;
    nng_duration delay_ms;

    if (server->is_closed) {
        return;
    }
    if (listener->connections >= listener->connections_max ||
        server->connections >= server->limits.connections_max) {
        listener->is_paused = true;
        sp_count(server, SP_COUNT(accept_pauses), 1);
        return;
    }
    delay_ms = rate_delay(listener);
    if (delay_ms > 0) {
        sp_count(server, SP_COUNT(accept_delays), 1);
        nng_sleep_aio(delay_ms, listener->delay_aio);
        return;
    }
    nng_stream_listener_accept(listener->stream_listener, listener->accept_aio);
}

void
sp_accept_resume(struct sp_server *server)
{
    for (size_t i = 0; i < server->listener_count; i++) {
        struct sp_listener *listener = server->listeners[i];

        if (listener->is_paused) {
            listener->is_paused = false;
            sp_accept_next(listener);
        }
    }
}

void
sp_accept_delayed(void *arg)
{
    struct sp_listener *listener = arg;

    (void)pthread_mutex_lock(&listener->server->lock);
    sp_accept_next(listener);
    (void)pthread_mutex_unlock(&listener->server->lock);
}

static void
accept_failed(struct sp_listener *listener, int result)
{
    struct sp_server *server = listener->server;
    bool is_short = result == NNG_ENOFILES || result == NNG_ENOMEM;

    (void)pthread_mutex_lock(&server->lock);
    if (!server->is_closed) {
        sp_count(server, SP_COUNT(accept_errors), 1);
        nng_sleep_aio(is_short ? NO_RESOURCES_MS : FAILED_ACCEPT_MS,
                      listener->delay_aio);
    }
    (void)pthread_mutex_unlock(&server->lock);
}

static void
add_connections(struct sp_listener *listener, int amount)
{
    struct sp_server *server = listener->server;

    (void)pthread_mutex_lock(&server->lock);
    listener->connections += (uint32_t)amount;
    server->connections += (uint32_t)amount;
    (void)pthread_mutex_unlock(&server->lock);
}

void
sp_accepted(void *arg)
{
    struct sp_listener *listener = arg;
    struct sp_server *server = listener->server;
    int result = nng_aio_result(listener->accept_aio);

    if (result != 0) {
        accept_failed(listener, result);
        return;
    }
    sp_count(server, SP_COUNT(accepted), 1);
    add_connections(listener, 1);
    if (!sp_conn_start(listener, nng_aio_get_output(listener->accept_aio, 0))) {
        add_connections(listener, -1);
    }
    (void)pthread_mutex_lock(&server->lock);
    sp_accept_next(listener);
    (void)pthread_mutex_unlock(&server->lock);
}
