/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loop's side of the SP server. See sp_impl.h for the model.
 */
#include "server/net/sp_server.h"

#include "server/net/sp_impl.h"

#include <stdlib.h>
#include <string.h>

/* ---- posting ---- */

bool
sp_post(struct sp_server *server, struct sp_conn *conn)
{
    bool is_wake_due;

    (void)pthread_mutex_lock(&server->lock);
    if (conn != NULL && !list_is_linked(&conn->ready_link)) {
        list_append(&server->ready, &conn->ready_link);
    }
    is_wake_due = !server->is_awake;
    server->is_awake = true;
    (void)pthread_mutex_unlock(&server->lock);
    return is_wake_due;
}

/* The next connection to look at; NULL: none, and `wake` is armed again. */
static struct sp_conn *
next_ready(struct sp_server *server)
{
    struct list *link;

    (void)pthread_mutex_lock(&server->lock);
    link = list_pop(&server->ready);
    if (link == NULL) {
        server->is_awake = false;
    }
    (void)pthread_mutex_unlock(&server->lock);
    return link != NULL ? container_of(link, struct sp_conn, ready_link) : NULL;
}

/* ---- slots ---- */

static bool
grow_slots(struct sp_server *server)
{
    uint32_t count = server->slot_count > 0 ? 2 * server->slot_count : 64;
    struct sp_slot *slots = realloc(server->slots,
                                    count * sizeof(*server->slots));

    if (slots == NULL) {
        return false;
    }
    for (uint32_t i = count; i > server->slot_count; i--) {
        slots[i - 1].conn = NULL;
        slots[i - 1].generation = 0;
        slots[i - 1].next_free = server->slot_free;
        server->slot_free = i;
    }
    server->slots = slots;
    server->slot_count = count;
    return true;
}

static bool
assign_slot(struct sp_server *server, struct sp_conn *conn)
{
    struct sp_slot *slot;
    uint32_t index;

    if (server->slot_free == 0 && !grow_slots(server)) {
        return false;
    }
    index = server->slot_free - 1;
    slot = &server->slots[index];
    server->slot_free = slot->next_free;
    slot->conn = conn;
    slot->generation++;
    if (slot->generation == 0) {
        slot->generation = 1;
    }
    conn->id.index = index;
    conn->id.generation = slot->generation;
    return true;
}

static void
free_slot(struct sp_server *server, const struct sp_conn *conn)
{
    struct sp_slot *slot = &server->slots[conn->id.index];

    slot->conn = NULL;
    slot->next_free = server->slot_free;
    server->slot_free = conn->id.index + 1;
}

static struct sp_conn *
conn_of(const struct sp_server *server, struct sp_conn_id id)
{
    if (id.index >= server->slot_count || id.generation == 0 ||
        server->slots[id.index].generation != id.generation) {
        return NULL;
    }
    return server->slots[id.index].conn;
}

/* Ends a locked region of the loop. */
static void
unlock(struct sp_conn *conn)
{
    struct sp_server *server = conn->server;
    bool is_wake_due = sp_conn_settle(conn);

    (void)pthread_mutex_unlock(&conn->lock);
    if (is_wake_due) {
        server->wake(server->ctx);
    }
}

/* ---- taking ---- */

struct taking {
    struct sp_event *events;
    size_t count;
    size_t max;
};

static void
give(struct taking *taking, enum sp_event_kind kind, struct sp_conn *conn)
{
    struct sp_event *event = &taking->events[taking->count++];

    memset(event, 0, sizeof(*event));
    event->kind = kind;
    event->conn = conn->id;
}

static void
give_frame(struct taking *taking, struct sp_conn *conn)
{
    struct sp_frame *frame = conn->frames.first;
    struct sp_event *event = &taking->events[taking->count];

    give(taking, SP_FRAME, conn);
    event->request.value = frame->request_value;
    event->frame = frame;
    event->body = frame->bytes + frame->backtrace_len;
    event->body_len = frame->len - frame->backtrace_len;
    conn->frames.first = frame->next;
    if (conn->frames.first == NULL) {
        conn->frames.last = &conn->frames.first;
    }
    conn->frames.count--;
    conn->frames.bytes -= sp_frame_size(frame);
    atomic_fetch_add(&conn->server->buffer_bytes, sp_frame_size(frame));
}

/* What there is of a connection; more is parsed as room is made for it. */
static void
take_frames(struct taking *taking, struct sp_conn *conn)
{
    for (size_t items = 0;
         items < SP_TURN_ITEMS_MAX && taking->count < taking->max; items++) {
        if (conn->frames.first == NULL) {
            sp_conn_continue(conn);
        }
        if (conn->frames.first == NULL) {
            return;
        }
        give_frame(taking, conn);
    }
    sp_conn_continue(conn);
}

static void
open_conn(struct taking *taking, struct sp_conn *conn)
{
    struct sp_server *server = conn->server;

    conn->is_opened = true;
    if (!assign_slot(server, conn)) {
        sp_count(server, SP_COUNT(out_of_memory), 1);
        sp_conn_shut(conn);
        return;
    }
    sp_count(server, SP_COUNT(opened), 1);
    give(taking, SP_OPENED, conn);
}

/* Takes a connection that is over out of everything. */
static void
bury(struct sp_conn *conn)
{
    struct sp_server *server = conn->server;

    (void)pthread_mutex_lock(&server->lock);
    list_remove(&conn->ready_link);
    list_remove(&conn->all_link);
    list_remove(&conn->starved_link);
    conn->listener->connections--;
    server->connections--;
    sp_accept_resume(server);
    (void)pthread_mutex_unlock(&server->lock);
    list_remove(&conn->dirty_link);
    sp_conn_free(conn);
}

static void
take_conn(struct taking *taking, struct sp_conn *conn)
{
    struct sp_server *server = conn->server;
    size_t queued_low = sp_queued_bytes_high(server) / 2;
    bool is_over;

    (void)pthread_mutex_lock(&conn->lock);
    if (conn->is_greeted && !conn->is_opened) {
        open_conn(taking, conn);
    }
    if (conn->id.generation != 0) {
        take_frames(taking, conn);
    }
    if (conn->is_over_cap && conn->queued_bytes <= queued_low &&
        taking->count < taking->max) {
        conn->is_over_cap = false;
        if (!conn->is_closing) {
            give(taking, SP_WRITABLE, conn);
        }
    }
    is_over = sp_conn_is_over(conn) && taking->count < taking->max &&
              (conn->frames.first == NULL || conn->id.generation == 0);
    if (!is_over) {
        unlock(conn);
        return;
    }
    (void)pthread_mutex_unlock(&conn->lock);
    if (conn->id.generation != 0) {
        sp_count(server, SP_COUNT(closed), 1);
        give(taking, SP_CLOSED, conn);
        free_slot(server, conn);
    }
    bury(conn);
}

size_t
sp_server_take(struct sp_server *server, struct sp_event *ret_events,
               size_t max)
{
    struct taking taking = {ret_events, 0, max};

    if (server->is_stopped) {
        return 0;
    }
    sp_server_flush(server);
    sp_starved_resume(server);
    while (taking.count < max) {
        struct sp_conn *conn = next_ready(server);

        if (conn == NULL) {
            break;
        }
        take_conn(&taking, conn);
    }
    return taking.count;
}

void
sp_frame_release(struct sp_server *server, struct sp_frame *frame)
{
    atomic_fetch_sub(&server->buffer_bytes, sp_frame_size(frame));
    free(frame);
}

/* ---- sending ---- */

enum redial_status
sp_send(struct sp_server *server, struct sp_conn_id id,
        struct sp_request_id request_id, struct sp_message *message)
{
    struct sp_conn *conn = conn_of(server, id);
    const struct sp_request *request;
    enum redial_status status = REDIAL_OK;

    if (conn == NULL) {
        sp_count(server, SP_COUNT(replies_orphaned), 1);
        return REDIAL_NOT_FOUND;
    }
    (void)pthread_mutex_lock(&conn->lock);
    request = sp_requests_find(&conn->requests, request_id.value);
    if (conn->is_closing || request == NULL) {
        sp_count(server, SP_COUNT(replies_orphaned), 1);
        status = REDIAL_NOT_FOUND;
    } else if (conn->queued_bytes > 0 &&
               conn->queued_bytes + message->body_len + SP_MESSAGE_ROOM >
                   server->limits.queued_bytes_max) {
        sp_count(server, SP_COUNT(sends_over_cap), 1);
        conn->is_over_cap = true;
        status = REDIAL_RESOURCE_EXHAUSTED;
    } else {
        sp_conn_queue(conn, request, message);
        sp_requests_remove(&conn->requests, request_id.value);
        if (conn->queued_bytes > sp_queued_bytes_high(server)) {
            conn->is_over_cap = true;
        }
        if (!list_is_linked(&conn->dirty_link)) {
            list_append(&server->dirty, &conn->dirty_link);
        }
    }
    unlock(conn);
    return status;
}

void
sp_request_drop(struct sp_server *server, struct sp_conn_id id,
                struct sp_request_id request)
{
    struct sp_conn *conn = conn_of(server, id);

    if (conn != NULL) {
        (void)pthread_mutex_lock(&conn->lock);
        sp_requests_remove(&conn->requests, request.value);
        unlock(conn);
    }
}

void
sp_server_flush(struct sp_server *server)
{
    struct list *link;

    while ((link = list_pop(&server->dirty)) != NULL) {
        struct sp_conn *conn = container_of(link, struct sp_conn, dirty_link);

        (void)pthread_mutex_lock(&conn->lock);
        sp_conn_write(conn);
        unlock(conn);
    }
}

/* ---- connections ---- */

void
sp_conn_authenticated(struct sp_server *server, struct sp_conn_id id)
{
    struct sp_conn *conn = conn_of(server, id);

    if (conn != NULL && !conn->peer.is_authenticated) {
        (void)pthread_mutex_lock(&conn->lock);
        conn->peer.is_authenticated = true;
        conn->reader.body_bytes_max = server->limits.frame_bytes_max;
        unlock(conn);
    }
}

void
sp_conn_close(struct sp_server *server, struct sp_conn_id id)
{
    struct sp_conn *conn = conn_of(server, id);

    if (conn != NULL) {
        (void)pthread_mutex_lock(&conn->lock);
        conn->buffer_at = conn->buffer_len;
        sp_conn_shut(conn);
        unlock(conn);
    }
}

const struct sp_peer *
sp_conn_peer(const struct sp_server *server, struct sp_conn_id id)
{
    const struct sp_conn *conn = conn_of(server, id);

    return conn != NULL ? &conn->peer : NULL;
}

size_t
sp_conn_queued_bytes(const struct sp_server *server, struct sp_conn_id id)
{
    struct sp_conn *conn = conn_of(server, id);
    size_t bytes = 0;

    if (conn != NULL) {
        (void)pthread_mutex_lock(&conn->lock);
        bytes = conn->queued_bytes;
        (void)pthread_mutex_unlock(&conn->lock);
    }
    return bytes;
}

bool
sp_conn_over_cap(const struct sp_server *server, struct sp_conn_id id)
{
    struct sp_conn *conn = conn_of(server, id);
    bool is_over = false;

    if (conn != NULL) {
        (void)pthread_mutex_lock(&conn->lock);
        is_over = conn->is_over_cap;
        (void)pthread_mutex_unlock(&conn->lock);
    }
    return is_over;
}

/* ---- figures ---- */

size_t
sp_server_buffer_bytes(const struct sp_server *server)
{
    return atomic_load(&server->buffer_bytes);
}

uint32_t
sp_server_connections(const struct sp_server *server)
{
    return atomic_load(&server->connections);
}

void
sp_server_counters(const struct sp_server *server,
                   struct sp_counters *ret_counters)
{
    size_t i = 0;

#define SP_COUNTER(name, text)                                        \
    ret_counters->name = atomic_load_explicit(&server->counters[i++], \
                                              memory_order_relaxed);
#include "server/net/sp_counters.def"
}
