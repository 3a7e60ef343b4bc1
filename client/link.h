/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection to a gateway at a time, kept up, and exchanges over it: the
 * REQ half of SP, spoken over nng's byte streams.
 *
 * Why not nng's REQ socket: in the oldest release that we support (1.5.2) its
 * close waits for ever when an answer arrives at that moment (the body of a
 * message is read on an operation that is stopped already, and the one reaper
 * thread of the process waits for it); half of its pauses before dialing again
 * are negative, that is none; and how a dial ended is only known to who blocks
 * in it. Streams have none of that, and no thread waits anywhere. On the wire
 * there is no difference. No resend timer: what to do when the connection is
 * lost with a request under way is known only to who asked, so the exchange
 * ends with REDIAL_I_LOST and they decide.
 *
 *   link.c      dials, pauses, dials again
 *   conn.c      one stream: greeting, frames in and out
 *   exchange.c  requests and their answers
 *
 * All state is guarded by the loop's lock. Operations of nng are submitted with
 * the lock held and only while the connection is not closing; they are stopped,
 * and the stream is closed, without the lock, on the loop's thread.
 */
#ifndef REDIAL_CLIENT_LINK_H
#define REDIAL_CLIENT_LINK_H

#include "client/address.h"
#include "client/loop.h"
#include "proto/envelope.h"

/* Requests under way at a time; the gateway answers 1,024. More wait. */
#define REDIAL_I_SLOTS 1000

enum redial_i_end {
    REDIAL_I_REPLY,   /* `reply` is there */
    REDIAL_I_LOST,    /* the connection is gone; see was_sent */
    REDIAL_I_TIMEOUT, /* the deadline has come; see was_sent */
    REDIAL_I_CLOSED,  /* the link stops */
};

struct redial_i_link;
struct redial_i_conn;

/* A request on its way: the SP header and a Call. */
struct redial_i_frame {
    struct redial_i_list node;          /* of the connection's queue */
    struct redial_i_exchange *exchange; /* NULL: nobody waits any more */
    size_t len;                         /* of bytes */
    size_t start;                       /* of what is sent, in bytes */
    uint8_t bytes[];
};

struct redial_i_exchange {
    struct redial_i_link *link;
    struct redial_i_list node;    /* of the link: idle, waiting or flying */
    uint32_t id;                  /* of SP; 0: no slot */
    struct redial_i_frame *frame; /* not sent completely yet; or NULL */
    struct redial_i_timer timer;  /* the deadline */
    int64_t started_ns;
    uint64_t connection; /* of the link, when it was sent */

    /*
     * Called once for each start, without the lock, on a thread of nng or the
     * loop's. It takes the lock and calls redial_i_exchange_end_locked(). The
     * reply lives until it returns. It must not wait.
     */
    void (*done)(struct redial_i_exchange *exchange);
    void *owner; /* of who started it; only under the lock */

    enum redial_i_end end;
    bool was_sent; /* at least its first byte; under the lock */
    const uint8_t *reply;
    size_t reply_len;
};

struct redial_i_link {
    struct redial_i_loop *loop;
    /* Called with the lock held. The link has become ready. */
    void (*up)(void *ctx);
    void *ctx;

    struct redial_i_addresses addresses;
    uint32_t connect_timeout_ms;
    struct wire_metadata_list metadata; /* of every call */
    char *metadata_bytes;               /* what it points into */
    bool has_token;

    nng_aio *dial;
    struct redial_i_timer pause; /* then it dials (again) */
    struct redial_i_conn *conn;  /* the one at hand, or NULL */
    struct redial_i_task hang_up;
    bool is_ready;
    bool is_closing;
    uint64_t connection;           /* how many there were */
    int64_t received_ns;           /* the last answer on any */
    bool has_received;             /* on this connection */
    size_t address;                /* index of the one in use or tried */
    uint32_t rounds;               /* over all addresses, in vain */
    char error[REDIAL_TEXT_BYTES]; /* of the last attempt to connect */
    pthread_cond_t changed;        /* for who stops the link */

    struct redial_i_list idle;
    struct redial_i_list waiting; /* for a slot */
    struct redial_i_list flying;
    struct redial_i_exchange *slots[REDIAL_I_SLOTS];
    uint16_t free_slots[REDIAL_I_SLOTS];
    size_t free_slot_count;
    uint32_t ids; /* counts up */
};

/* Checks the options. `up` and `ctx`: see above. */
enum redial_status
redial_i_link_init(struct redial_i_link *link, struct redial_i_loop *loop,
                   const struct redial_connection *connection,
                   struct redial_error *ret_error);

/* Starts to connect. */
void
redial_i_link_start(struct redial_i_link *link);

/*
 * Ends all exchanges with REDIAL_I_CLOSED, and the connection. Blocks; without
 * the lock, not from a callback. The loop must still run. Twice is fine.
 */
void
redial_i_link_stop(struct redial_i_link *link);

/* After the stop. A zeroed one is fine. */
void
redial_i_link_fini(struct redial_i_link *link);

/* Gives the connection up, for this reason, and makes a new one. */
void
redial_i_link_drop_locked(struct redial_i_link *link, const char *why);

/* For conn.c: the greeting has succeeded. */
void
redial_i_link_connected_locked(struct redial_i_link *link);

/*
 * A Call with room for `len` bytes of packed request at *ret_message, or NULL
 * when memory is out. Needs no lock.
 */
struct redial_i_frame *
redial_i_link_frame(const struct redial_i_link *link, const char *path,
                    uint32_t timeout_ms, size_t len, uint8_t **ret_message);

/* NULL is fine. */
void
redial_i_frame_free(struct redial_i_frame *frame);

/* The largest packed request that fits into a frame with this path. */
size_t
redial_i_link_request_bytes_max(const struct redial_i_link *link,
                                const char *path);

/* ---- exchange.c ---- */

void
redial_i_exchanges_init(struct redial_i_link *link);

void
redial_i_exchanges_fini(struct redial_i_link *link);

/* An exchange to start; NULL when memory is out. */
struct redial_i_exchange *
redial_i_exchange_get_locked(struct redial_i_link *link);

/* Takes the request over. The link must be ready, or greeting. */
void
redial_i_exchange_start_locked(struct redial_i_exchange *exchange,
                               struct redial_i_frame *request,
                               int64_t deadline_ns,
                               void (*done)(struct redial_i_exchange *),
                               void *owner);

/* Back to the pool: at the end, or instead of a start. */
void
redial_i_exchange_end_locked(struct redial_i_exchange *exchange);

/* For conn.c: an answer. Without the lock; calls `done`. */
void
redial_i_exchange_answer(struct redial_i_link *link, uint32_t id,
                         const uint8_t *reply, size_t reply_len);

/* For link.c: all that are under way end so. Releases the lock meanwhile. */
void
redial_i_exchanges_cut_locked(struct redial_i_link *link,
                              enum redial_i_end end);

#endif /* REDIAL_CLIENT_LINK_H */
