/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One stream that speaks SP: for link.c and exchange.c only.
 */
#ifndef REDIAL_CLIENT_CONN_H
#define REDIAL_CLIENT_CONN_H

#include "client/link.h"

/* Bytes before the Call in a frame: kind (ipc only), length, request id. */
#define REDIAL_I_SP_HEADER_BYTES 13

/*
 * Takes a fresh stream over and starts the greeting; link->conn is set. False:
 * no memory, and the stream is freed.
 */
bool
redial_i_conn_open_locked(struct redial_i_link *link, nng_stream *stream,
                          bool is_ipc);

/* Has something ended it? Then it must be closed. */
bool
redial_i_conn_is_lost(const struct redial_i_conn *conn);

/* Submits nothing more. `why` may be NULL; the first reason stays. */
void
redial_i_conn_lose_locked(struct redial_i_conn *conn, const char *why);

/* Sends a frame, which is taken over, under this id. */
void
redial_i_conn_send_locked(struct redial_i_conn *conn,
                          struct redial_i_frame *frame, uint32_t id);

/*
 * Stops its operations and frees it, with the frames that are not sent. Without
 * the lock, once it is lost; blocks until a callback that runs has returned.
 */
void
redial_i_conn_free(struct redial_i_conn *conn);

#endif /* REDIAL_CLIENT_CONN_H */
