/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gateway: what the loop owns, and where its parts find each other. Each
 * part has a header of its own with its functions; this one holds the whole.
 *
 * Everything here belongs to the loop thread.
 */
#ifndef REDIAL_SERVER_APP_GATEWAY_H
#define REDIAL_SERVER_APP_GATEWAY_H

#include "server/app/asks.h"
#include "server/app/contents.h"
#include "server/app/log.h"
#include "server/app/mailboxes.h"
#include "server/app/parking.h"
#include "server/app/pipeline.h"
#include "server/app/projector.h"
#include "server/app/waiters.h"
#include "server/app/watchers.h"
#include "server/base/clock.h"
#include "server/config/config.h"
#include "server/core/engine.h"
#include "server/events/tail.h"
#include "server/net/codec.h"
#include "server/net/rpc.h"
#include "server/store/store.h"

#include <stdbool.h>
#include <stdint.h>

/* How the process ends. Distinct, so that a supervisor can tell. */
enum gateway_exit {
    GATEWAY_EXIT_OK = 0,
    GATEWAY_EXIT_USAGE = 2,
    GATEWAY_EXIT_CONFIG = 3,
    GATEWAY_EXIT_STORE_IN_USE = 4,
    GATEWAY_EXIT_STORE = 5, /* cannot be opened or recovered */
    GATEWAY_EXIT_LISTEN = 6,
    GATEWAY_EXIT_STORE_WRITE = 7, /* a write failed: the restart recovers */
    GATEWAY_EXIT_INTERNAL = 70,
};

struct supervisor;

struct gateway {
    /* Configuration: what is in force, and where it came from. */
    struct config *config;
    struct config_sources sources;
    uint32_t policy_version;

    /* The core and what is around it. */
    void *engine_memory;
    struct engine *engine;
    struct engine_outbox out;
    struct codec_rules rules;

    /* The log. */
    struct store *store;
    struct store_recovered recovered;
    struct tail *tail;
    struct pipeline pipeline;
    struct projector projector;
    struct asks asks;

    /* Peers. */
    struct sp_server *sp;
    struct rpc *rpc;
    struct contents contents;
    struct parking parking;
    struct waiters waiters;
    struct mailboxes mailboxes;
    struct watchers watchers;
    struct supervisor *plugins;                  /* NULL: none are configured */
    const char *listener_urls[SP_LISTENERS_MAX]; /* with their ports */

    /* Retention: when to look next, and what was seen last. */
    struct mono retention_next;
    struct mono retention_idle;
    uint64_t retention_seen;

    /* The turn. */
    struct now now;
    struct mono started;
    struct scratch scratch;
    struct codec_source source; /* of events */
    int wake_fd;
    int signal_fd;
    int epoll_fd;
    bool recovered_done;
    bool draining;
    struct mono drain_deadline;
    bool stop_now;
    bool degraded;
    uint64_t failed_since_start;
    enum gateway_exit exit;
};

#endif
