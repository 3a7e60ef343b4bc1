/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One mailbox per worker: what the engine wants it to know, until a Poll of the
 * worker takes it. Assignments and stops get in when the engine decides, and
 * out when their batch is released and a Poll is parked.
 */
#ifndef REDIAL_SERVER_APP_MAILBOXES_H
#define REDIAL_SERVER_APP_MAILBOXES_H

#include "proto/limits.h"
#include "server/app/parking.h"
#include "server/base/bytes.h"
#include "server/base/list.h"
#include "server/base/map.h"
#include "server/core/engine.h"
#include "server/net/sp_server.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gateway;
struct rpc_call;

struct mailbox {
    struct parked parked; /* first; its parked Poll */
    struct list dirty;    /* of mailboxes that may have something to deliver */
    struct list mail;
    struct gateway *gateway;
    uint64_t worker;
    struct sp_conn_id conn;
    bool connected;
    bool must_answer; /* the Poll does not park */
    bool drain;       /* tell the worker to finish */
    struct rpc_call *poll;
    uint64_t poll_serial;
    struct bytes acks; /* packed report_acks of the Poll */
    uint32_t place;
    char name[WIRE_NAME_BYTES_MAX + 1];
    char instance[WIRE_NAME_BYTES_MAX + 1];
};

struct mailboxes {
    struct mailbox **items;
    uint32_t count; /* places in use, holes included */
    uint32_t count_max;
    struct map by_worker;
    void *map_memory;
    struct list dirty;
};

/* False: no memory. */
bool
mailboxes_init(struct mailboxes *mailboxes, uint32_t workers_max);

void
mailboxes_fini(struct mailboxes *mailboxes);

/* NULL: no such worker. */
struct mailbox *
mailbox_find(struct gateway *gateway, uint64_t worker);

/* The worker has said Hello on this connection. NULL: no room. */
struct mailbox *
mailbox_open(struct gateway *gateway, uint64_t worker, struct sp_conn_id conn);

/* Notes who the worker is; texts of at most 128 bytes. */
void
mailbox_name(struct mailbox *mailbox, struct text name, struct text instance);

/* NULL: it never said Hello, or is forgotten. */
struct mailbox *
mailbox_find_instance(struct gateway *gateway, const char *name,
                      const char *instance);

/* A newer Poll of the worker: answers the parked one empty. */
void
mailbox_replace(struct mailbox *mailbox, struct sp_conn_id conn);

/* Appends and removes the stops that wait, as field `field`. */
void
mailbox_take_stops(struct mailbox *mailbox, uint32_t field, struct bytes *out);

/*
 * Parks a Poll (after mailbox_replace()) until there is something or
 * `deadline`. With `must_answer` it is answered when the open
 * batch is released.
 */
void
mailbox_park(struct mailbox *mailbox, struct rpc_call *call, bool must_answer,
             struct mono deadline);

/* Commands of the engine. */
void
mailboxes_assign(struct gateway *gateway, const struct engine_command *command);

void
mailboxes_stop(struct gateway *gateway, const struct engine_command *command);

void
mailboxes_forget(struct gateway *gateway, uint64_t worker);

/* The connection is gone, and what was not handed over with it. */
void
mailboxes_closed(struct gateway *gateway, struct sp_conn_id conn);

/* Tells every worker to finish. */
void
mailboxes_drain(struct gateway *gateway);

/* Answers the Polls that are due, from batches that are released. */
void
mailboxes_deliver(struct gateway *gateway);

/* True when a Poll waits for just this batch to be released. */
bool
mailboxes_need_serial(const struct gateway *gateway, uint64_t serial);

#endif
