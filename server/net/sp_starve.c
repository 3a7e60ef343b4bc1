/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happens when the buffers of all connections together near their limit:
 * the large users are not read until it is better. See sp_impl.h.
 */
#include "server/net/sp_impl.h"

#define STARVED_TICK_MS 100
#define SHARE_BYTES_MIN 65536u /* who holds less is read to the last */

size_t
sp_conn_held_bytes(const struct sp_conn *conn)
{
    return conn->buffer_size + sp_reader_held_bytes(&conn->reader) +
           conn->frames.bytes + conn->queued_bytes;
}

bool
sp_conn_is_too_large(const struct sp_conn *conn)
{
    const struct sp_server *server = conn->server;
    size_t max = server->limits.buffer_bytes_max;
    size_t held = sp_conn_held_bytes(conn);
    size_t total = atomic_load(&server->buffer_bytes) - conn->charged_bytes +
                   held; /* what was just read is not charged yet */

    if (total < max - max / 8) {
        return false;
    }
    if (total >= max) {
        return held > SHARE_BYTES_MIN;
    }
    return held > SHARE_BYTES_MIN && held > total / 16;
}

void
sp_conn_starve(struct sp_conn *conn)
{
    struct sp_server *server = conn->server;

    sp_count(server, SP_COUNT(reads_paused_memory), 1);
    (void)pthread_mutex_lock(&server->lock);
    if (!list_is_linked(&conn->starved_link)) {
        list_append(&server->starved, &conn->starved_link);
    }
    if (!server->is_ticking) {
        server->is_ticking = true;
        nng_sleep_aio(STARVED_TICK_MS, server->tick_aio);
    }
    (void)pthread_mutex_unlock(&server->lock);
}

void
sp_starved_tick(void *arg)
{
    struct sp_server *server = arg;
    bool is_due;

    (void)pthread_mutex_lock(&server->lock);
    server->is_ticking = false;
    server->is_starved_due = true;
    (void)pthread_mutex_unlock(&server->lock);
    is_due = sp_post(server, NULL);
    if (is_due) {
        server->wake(server->ctx);
    }
}

/* Takes one starved connection, or NULL. */
static struct sp_conn *
next_starved(struct sp_server *server, struct list *starved)
{
    struct list *link;

    (void)pthread_mutex_lock(&server->lock);
    link = list_pop(starved);
    (void)pthread_mutex_unlock(&server->lock);
    return link != NULL ? container_of(link, struct sp_conn, starved_link)
                        : NULL;
}

/*
 * A connection that stays starved for longer than a frame may take is closed:
 * otherwise many half-read frames could hold all memory for ever.
 */
void
sp_starved_resume(struct sp_server *server)
{
    struct list starved;
    struct sp_conn *conn;

    list_init(&starved);
    (void)pthread_mutex_lock(&server->lock);
    if (server->is_starved_due) {
        server->is_starved_due = false;
        list_splice(&starved, &server->starved);
    }
    (void)pthread_mutex_unlock(&server->lock);
    while ((conn = next_starved(server, &starved)) != NULL) {
        bool is_wake_due;

        (void)pthread_mutex_lock(&conn->lock);
        if (conn->paused_since != 0 && !sp_reader_is_idle(&conn->reader) &&
            nng_clock() - conn->paused_since > server->limits.frame_ms) {
            sp_conn_reject(conn, SP_COUNT(frames_stalled));
        }
        sp_conn_continue(conn);
        is_wake_due = sp_conn_settle(conn);
        (void)pthread_mutex_unlock(&conn->lock);
        if (is_wake_due) {
            server->wake(server->ctx);
        }
    }
}
