/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside of the SP server; for sp_*.c only.
 *
 * Model. nng completes three kinds of operations on its own threads: accepts,
 * reads, writes. Each completion locks its connection, moves bytes, submits
 * what comes next, and posts the connection to the server's ready list if the
 * loop has something to do with it. The loop takes connections from that list.
 *
 * Locks. Two: a connection's (its stream, queues, table) and the server's (the
 * lists of connections, accepting). A connection's may be held while the
 * server's is taken, never the other way round. `wake` is called under none.
 *
 * Rules of nng that the code relies on (1.5.2 to 1.11):
 *  - nothing is submitted after our own close: every submit happens under the
 *    connection's lock with `is_closing` looked at;
 *  - nothing is cancelled; a read or write has a timeout of its own, and a
 *    stream that is closed completes what is pending;
 *  - an aio that sleeps does nothing else;
 *  - an aio is stopped and freed by the loop only, never in a callback.
 *
 * Life of a connection: accepted (nng thread) -> in `conns` -> greeted ->
 * OPENED and a slot (loop) -> closing (either) -> no operation pending and all
 * frames taken -> CLOSED (loop) -> freed (loop).
 */
#ifndef REDIAL_SERVER_NET_SP_IMPL_H
#define REDIAL_SERVER_NET_SP_IMPL_H

#include "server/base/check.h"
#include "server/base/list.h"
#include "server/net/sp_frame.h"
#include "server/net/sp_reader.h"
#include "server/net/sp_request.h"
#include "server/net/sp_server.h"

#include <nng/nng.h>
#include <nng/supplemental/tls/tls.h>
#include <nng/supplemental/util/platform.h>

#include <pthread.h>
#include <stdatomic.h>

/* Items of one connection in one round of sp_server_take(). */
#define SP_TURN_ITEMS_MAX 64u

/* A reply in one piece: head, backtrace and body leave from one address. */
#define SP_MESSAGE_ROOM (SP_HEAD_BYTES_MAX + SP_BACKTRACE_BYTES_MAX)

struct sp_message {
    struct sp_message *next;
    size_t body_len;
    size_t start;    /* in bytes: where the head begins, once it is written */
    bool is_reply;   /* and not our greeting */
    uint8_t bytes[]; /* SP_MESSAGE_ROOM, then the body */
};

struct sp_frames {
    struct sp_frame *first;
    struct sp_frame **last;
    size_t count;
    size_t bytes; /* sp_frame_size() of all */
};

struct sp_messages {
    struct sp_message *first;
    struct sp_message **last;
};

struct sp_conn {
    /* Constant after accept. */
    struct sp_server *server;
    struct sp_listener *listener;
    nng_stream *stream;
    nng_aio *recv_aio;
    nng_aio *send_aio;
    enum sp_framing framing;
    pthread_mutex_t lock;

    /* Under `lock`. */
    struct sp_peer peer;
    bool is_closing;    /* closed by us or them: submit nothing more */
    bool is_receiving;  /* recv_aio is pending */
    bool is_sending;    /* send_aio is pending */
    bool is_greeted;    /* the peer's greeting was right */
    bool is_discarding; /* input is thrown away until linger_until */
    bool is_over_cap;   /* a send was refused, WRITABLE is owed */
    bool is_opened;     /* OPENED was taken */

    struct sp_reader reader;
    uint8_t *buffer; /* what was read: [buffer_at, buffer_len) is to parse */
    size_t buffer_size;
    size_t buffer_at;
    size_t buffer_len;
    unsigned small_reads;    /* in a row; shrinks the buffer */
    size_t room_len;         /* of the pending read: goes into the frame */
    nng_time read_deadline;  /* of greeting, frame or lingering; 0: none */
    nng_time paused_since;   /* 0: not paused */
    struct sp_frames frames; /* complete, not taken */
    struct sp_requests requests;

    struct sp_messages queue;   /* not being written yet */
    struct sp_message *writing; /* leaves alone, or */
    uint8_t *flat;              /*   several that leave together */
    uint8_t *write_at;
    size_t write_left;
    size_t write_frames; /* in this write */
    size_t queued_bytes; /* of queue and of this write, unsent */

    size_t charged_bytes; /* its part of the server's buffer_bytes */

    /* Under the server's lock. */
    struct list ready_link;
    struct list all_link;
    struct list starved_link;

    /* The loop's. */
    struct sp_conn_id id; /* generation 0: no slot yet */
    struct list dirty_link;
};

struct sp_listener {
    struct sp_server *server;
    nng_stream_listener *stream_listener;
    nng_aio *accept_aio;
    nng_aio *delay_aio;
    nng_tls_config *tls; /* ours as well as nng's */
    enum sp_role role;
    enum sp_framing framing;
    bool is_tls;
    bool is_authenticated_at_accept;
    uint32_t connections_max;
    uint32_t accepts_per_s;
    char url[SP_URL_BYTES_MAX];

    /* Under the server's lock. */
    uint32_t connections;
    bool is_paused;     /* at a connection limit: nothing is submitted */
    uint32_t allowance; /* accepts left in this second */
    nng_time second;    /* when it began */
};

struct sp_slot {
    struct sp_conn *conn; /* NULL: free */
    uint32_t generation;
    uint32_t next_free; /* slot + 1 */
};

struct sp_server {
    struct sp_limits limits;
    void (*wake)(void *ctx);
    void *ctx;
    nng_aio *tick_aio; /* looks after starved connections; sleeps only */
    struct sp_message *refusal_requests; /* bodies of our own refusals */
    struct sp_message *refusal_frame;

    _Atomic uint64_t counters[sizeof(struct sp_counters) / sizeof(uint64_t)];
    atomic_size_t buffer_bytes;
    atomic_bool is_flushing; /* sp_server_stop() waits for writes */

    pthread_mutex_t lock;
    pthread_cond_t flushed; /* a connection has written all, or is closing */

    /* Under `lock`. */
    struct list ready;            /* connections that the loop should look at */
    struct list conns;            /* all */
    struct list starved;          /* not read for lack of memory */
    bool is_ticking;              /* tick_aio is pending */
    bool is_starved_due;          /* it has run: look after the starved */
    _Atomic uint32_t connections; /* may be read without it */
    uint64_t flush_count;         /* signals of `flushed` */
    bool is_awake;                /* wake was called, take was not */
    bool is_closed;               /* listeners are closed */

    /* The loop's. */
    bool is_stopped;
    struct sp_listener *listeners[SP_LISTENERS_MAX];
    size_t listener_count;
    struct sp_slot *slots;
    uint32_t slot_count;
    uint32_t slot_free;
    struct list dirty; /* something queued, no write started */
    char error[SP_ERROR_BYTES];
};

/* Adds to a counter: sp_count(server, SP_COUNT(frames_in), 1). */
#define SP_COUNT(name) (offsetof(struct sp_counters, name) / sizeof(uint64_t))

static inline void
sp_count(struct sp_server *server, size_t counter, uint64_t amount)
{
    atomic_fetch_add_explicit(&server->counters[counter], amount,
                              memory_order_relaxed);
}

/*
 * Above this much queued a connection gets no more work: one more frame of any
 * size may not fit.
 */
static inline size_t
sp_queued_bytes_high(const struct sp_server *server)
{
    size_t max = server->limits.queued_bytes_max;

    return max > 2 * server->limits.frame_bytes_max
               ? max - server->limits.frame_bytes_max
               : max / 2;
}

/* ---- sp_server.c ---- */

/*
 * Tells the loop to look at the connection (NULL: at the server). Returns
 * whether `wake` is due: the caller calls it when it holds no lock.
 */
bool
sp_post(struct sp_server *server, struct sp_conn *conn);

/* ---- sp_conn.c: caller holds conn->lock, unless said otherwise ---- */

/*
 * Starts serving an accepted stream, which it owns from here on; false: no
 * memory, and the stream is closed. Locks by itself.
 */
bool
sp_conn_start(struct sp_listener *listener, nng_stream *stream);

/* Parses what was read, and reads on if the limits allow it. */
void
sp_conn_continue(struct sp_conn *conn);

/* Closes the stream; what is pending completes. Idempotent. */
void
sp_conn_shut(struct sp_conn *conn);

/* The same for a peer whose input is worth nothing any more, and counts it. */
void
sp_conn_reject(struct sp_conn *conn, size_t counter);

/* Closed, and nothing of nng pending any more. */
bool
sp_conn_is_over(const struct sp_conn *conn);

/*
 * To be called before every unlock: accounts for the memory that the
 * connection holds now, and posts it if the loop has something to do with it.
 * Returns whether `wake` is due after the unlock.
 */
bool
sp_conn_settle(struct sp_conn *conn);

/* Waits for the callbacks and frees everything. Loop, no lock held; the
   connection is over and in no list. */
void
sp_conn_free(struct sp_conn *conn);

/* ---- sp_writer.c: caller holds conn->lock ---- */

/* Puts head and backtrace before the body and queues it; never fails. */
void
sp_conn_queue(struct sp_conn *conn, const struct sp_request *request,
              struct sp_message *message);

/* Queues a copy of a refusal to the backtrace. */
void
sp_conn_refuse(struct sp_conn *conn, const struct sp_frame *frame,
               const struct sp_message *refusal);

/* Starts a write if something is queued and none is pending. */
void
sp_conn_write(struct sp_conn *conn);

/* Queues our greeting. */
void
sp_conn_greet(struct sp_conn *conn);

/* Callback of send_aio. */
void
sp_conn_sent(void *conn);

/* Frees what is queued. */
void
sp_conn_drop_queue(struct sp_conn *conn);

/* ---- sp_starve.c ---- */

/* What the connection holds of the memory of all. Caller holds conn->lock. */
size_t
sp_conn_held_bytes(const struct sp_conn *conn);

/* Memory is short, and this is one of its large users. The same lock. */
bool
sp_conn_is_too_large(const struct sp_conn *conn);

/* Has it looked at again a little later. The same lock. */
void
sp_conn_starve(struct sp_conn *conn);

/* Loop, no lock held: looks again after what waited for memory. */
void
sp_starved_resume(struct sp_server *server);

/* Callback of tick_aio. */
void
sp_starved_tick(void *server);

/* ---- sp_accept.c ---- */

/* Submits the next accept, or a delay; caller holds server->lock. */
void
sp_accept_next(struct sp_listener *listener);

/* Goes on accepting where a limit stopped it; caller holds server->lock. */
void
sp_accept_resume(struct sp_server *server);

/* Callbacks of accept_aio and delay_aio. */
void
sp_accepted(void *listener);

void
sp_accept_delayed(void *listener);

/* ---- sp_listen.c ---- */

/* Stops and frees. No connection of it may be left. NULL is fine. */
void
sp_listener_free(struct sp_listener *listener);

#endif
