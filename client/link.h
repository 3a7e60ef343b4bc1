/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection to a gateway at a time, kept up, and exchanges over it.
 *
 * A link is an nng REQ socket with one dialer at a time, and a pool of contexts
 * with one asynchronous operation each: an exchange. nng's resend timer is off.
 * What to do when the connection is lost with a request under way is known only
 * to who asked; so the exchange ends with REDIAL_I_LOST and they decide.
 *
 * Dialing blocks, so it has a thread of its own, which also does the pauses
 * between attempts: nng would start a storm.
 *
 * The rules for operations of nng that this file keeps (each was a hang or a
 * crash): receive only once the send is complete; never stop an operation from
 * a callback or with the lock held; never start one on a link that stops; never
 * close a dialer that has only just been started.
 */
#ifndef REDIAL_CLIENT_LINK_H
#define REDIAL_CLIENT_LINK_H

#include "client/address.h"
#include "client/loop.h"
#include "proto/envelope.h"

#include <stdatomic.h>

enum redial_i_end {
    REDIAL_I_REPLY,   /* `reply` is there */
    REDIAL_I_LOST,    /* sent, perhaps; the connection is gone */
    REDIAL_I_TIMEOUT, /* the deadline has come; see was_sent */
    REDIAL_I_CLOSED,  /* the link stops */
};

struct redial_i_link;

struct redial_i_exchange {
    struct redial_i_link *link;
    struct redial_i_list node; /* of the link: idle or flying */
    nng_ctx ctx;
    nng_aio *aio;
    bool is_receiving;
    int64_t started_ns;
    int64_t deadline_ns;
    uint64_t connection; /* of the link, at the start */

    /*
     * Called once for each start, without the lock, on a thread of nng. It
     * takes `reply` over, takes the lock and then calls
     * redial_i_exchange_end_locked(). It must not wait.
     */
    void (*done)(struct redial_i_exchange *exchange);
    void *owner; /* of who started it; only under the lock */

    enum redial_i_end end;
    atomic_bool was_sent; /* may be asked under the lock at any time */
    nng_msg *reply;
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

    nng_socket sock;
    bool has_sock;
    nng_dialer dialer;
    bool has_dialer;
    bool is_dialing;
    bool has_timed_out; /* this dialer, by connect_timer */
    int64_t dialing_since_ns;
    struct redial_i_timer connect_timer;
    uint32_t pipe; /* id of the connection; 0: none */
    bool is_lost;  /* the connection at hand is, or shall be */
    bool is_ready;
    bool is_closing;
    uint64_t connection;           /* how many there were */
    int64_t received_ns;           /* the last answer on any */
    bool has_received;             /* on this connection */
    size_t address;                /* index of the one in use or tried */
    uint32_t rounds;               /* over all addresses, in vain */
    char error[REDIAL_TEXT_BYTES]; /* of the last attempt to connect */

    pthread_t thread;
    bool has_thread;
    pthread_cond_t changed;

    struct redial_i_list idle;
    struct redial_i_list flying;
};

/* Checks the options and opens the socket. `up` and `ctx` see above. */
enum redial_status
redial_i_link_init(struct redial_i_link *link, struct redial_i_loop *loop,
                   const struct redial_connection *connection,
                   struct redial_error *ret_error);

/* Starts to connect. False: no thread. */
bool
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

/* Gives the connection up and makes a new one. */
void
redial_i_link_drop_locked(struct redial_i_link *link);

/*
 * A Call with room for `len` bytes of packed request at *ret_message, or NULL
 * when memory is out. Needs no lock.
 */
nng_msg *
redial_i_link_frame(const struct redial_i_link *link, const char *path,
                    uint32_t timeout_ms, size_t len, uint8_t **ret_message);

/* The largest packed request that fits into a frame with this path. */
size_t
redial_i_link_request_bytes_max(const struct redial_i_link *link,
                                const char *path);

/* An exchange to start; NULL when memory is out. */
struct redial_i_exchange *
redial_i_exchange_get_locked(struct redial_i_link *link);

/* Takes `request` over. The link must be ready. */
void
redial_i_exchange_start_locked(struct redial_i_exchange *exchange,
                               nng_msg *request, int64_t deadline_ns,
                               void (*done)(struct redial_i_exchange *),
                               void *owner);

/* Back to the pool: at the end, or instead of a start. */
void
redial_i_exchange_end_locked(struct redial_i_exchange *exchange);

/* For link.c: ends all that are flying, blocking; the link is closing. */
void
redial_i_exchanges_stop(struct redial_i_link *link);

/* For link.c: an idle one, which is in no list any more. */
void
redial_i_exchange_free(struct redial_i_exchange *exchange);

#endif /* REDIAL_CLIENT_LINK_H */
