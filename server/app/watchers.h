/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watch calls: long-polls over the log, from any cursor.
 *
 * A watcher reads the tail up to what is on disk. Where its cursor is older
 * than the tail it reads the store, page by page. It answers as soon as there
 * is an event for it, or after so many records without one (the cursor that it
 * reached comes back), or when its time is up.
 */
#ifndef REDIAL_SERVER_APP_WATCHERS_H
#define REDIAL_SERVER_APP_WATCHERS_H

#include "server/base/list.h"
#include "server/net/codec.h"

struct gateway;
struct rpc_call;

struct watchers {
    struct list parked;
    uint32_t count;
};

void
watchers_init(struct watchers *watchers);

/* Starts a Watch; the call is ours. */
void
watchers_start(struct gateway *gateway, struct rpc_call *call,
               const Redial__V1__WatchRequest *request);

/* More of the log is on disk: answers whom it concerns. */
void
watchers_look(struct gateway *gateway);

/* Answers everybody, with what there is (before the gateway stops). */
void
watchers_flush(struct gateway *gateway);

#endif
