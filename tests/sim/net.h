/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections between the gateway and its peers (agents first, then workers).
 * Each keeps its messages in order, as a stream does; what was sent on one
 * connection never arrives on the next. Losing a message without losing the
 * connection stands for a peer that swallowed it.
 */
#ifndef REDIAL_TESTS_SIM_NET_H
#define REDIAL_TESTS_SIM_NET_H

#include "tests/sim/message.h"
#include "tests/sim/plan.h"

struct sim;

enum { NET_PEERS_MAX = PLAN_AGENTS_MAX + PLAN_WORKERS_MAX };

struct net_link {
    uint32_t connection; /* number of the last one */
    bool open;           /* as the peer sees it */
    bool open_here;      /* as the gateway sees it */
    int64_t last_in_ms;  /* arrival of the last message each way */
    int64_t last_out_ms;
};

struct net {
    struct net_link links[NET_PEERS_MAX];
};

/* A zeroed message; freed when it was delivered or lost. */
struct message *
message_new(enum message_type type, uint32_t peer);

/* The peer opens a new connection; false when nobody listens. */
bool
net_connect(struct sim *sim, uint32_t peer);

/* The peer's connection is gone; the gateway hears of it, mostly. */
void
net_drop(struct sim *sim, uint32_t peer);

/* All connections are gone with the gateway. */
void
net_drop_all(struct sim *sim);

/* Takes the message over. */
void
net_to_gateway(struct sim *sim, struct message *message);

void
net_to_peer(struct sim *sim, struct message *message);

/* What arrived, at its time. */
void
net_deliver(struct sim *sim, struct message *message);

#endif
