/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/net.h"

#include "server/base/check.h"
#include "tests/sim/sim.h"

#include <stdlib.h>
#include <string.h>

struct message *
message_new(enum message_type type, uint32_t peer)
{
    struct message *message = calloc(1, sizeof(*message));

    redial_assert(message != NULL);
    message->type = type;
    message->peer = peer;
    message->event.what = HAPPENS_DELIVERY;
    return message;
}

static struct message *
copy(const struct message *message)
{
    struct message *other = message_new(message->type, message->peer);

    *other = *message;
    other->event.timer = (struct heap_node){0};
    return other;
}

/* Inside the gateway, not over a connection. */
static bool
is_internal(enum message_type type)
{
    return type == MESSAGE_CLOSED || type == MESSAGE_REAPED ||
           type == MESSAGE_UNSENT;
}

static void
tell_peer_lost(struct sim *sim, uint32_t peer)
{
    if (peer < PLAN_AGENTS_MAX) {
        agent_lost_connection(sim, peer);
    } else {
        worker_lost_connection(sim, peer - PLAN_AGENTS_MAX);
    }
}

bool
net_connect(struct sim *sim, uint32_t peer)
{
    struct net_link *link = &sim->net.links[peer];

    if (!sim->gateway.up) {
        return false;
    }
    link->connection++;
    link->open = true;
    link->open_here = true;
    link->last_in_ms = sim->mono_ms;
    link->last_out_ms = sim->mono_ms;
    sim->gateway.sessions[peer] = (struct session){
        .connection = link->connection};
    return true;
}

void
net_drop(struct sim *sim, uint32_t peer)
{
    struct net_link *link = &sim->net.links[peer];
    struct session *session = &sim->gateway.sessions[peer];

    if (!link->open) {
        return;
    }
    link->open = false;
    if (sim->gateway.up && session->connection == link->connection) {
        struct message *closed = message_new(MESSAGE_CLOSED, peer);
        int64_t noticed = sim_between(sim, 0, 50);

        if (sim_strikes(sim, FAULT_NET_HALF_OPEN)) {
            noticed = sim_between(sim, 1000, 20000);
        }
        closed->worker = session->worker;
        closed->incarnation = sim->gateway.incarnation;
        closed->connection = link->connection;
        sim_schedule(sim, &closed->event, sim->mono_ms + noticed);
    }
    tell_peer_lost(sim, peer);
}

void
net_drop_all(struct sim *sim)
{
    for (uint32_t i = 0; i < NET_PEERS_MAX; i++) {
        struct net_link *link = &sim->net.links[i];
        bool was_open = link->open;

        link->open = false;
        link->open_here = false;
        sim->gateway.sessions[i] = (struct session){0};
        if (was_open) {
            tell_peer_lost(sim, i);
        }
    }
}

/* When something sent now arrives, behind what was sent before. */
static int64_t
arrival(struct sim *sim, int64_t *last_ms)
{
    int64_t at = sim->mono_ms + sim_between(sim, 0, sim->plan.net_ms_max);

    if (sim_strikes(sim, FAULT_NET_DELAY)) {
        at += sim_between(sim, 500, 4000);
    }
    if (at < *last_ms) {
        at = *last_ms;
    }
    *last_ms = at;
    return at;
}

void
net_to_gateway(struct sim *sim, struct message *message)
{
    uint32_t peer = message->peer;
    struct net_link *link = &sim->net.links[peer];

    message->connection = link->connection;
    if (!link->open || sim_strikes(sim, FAULT_NET_LOSS)) {
        free(message);
        return;
    }
    sim_schedule(sim, &message->event, arrival(sim, &link->last_in_ms));
    if (sim_strikes(sim, FAULT_NET_REPEAT)) {
        struct message *again = copy(message);

        if (again->type == MESSAGE_SUBMIT) {
            again->submit.repeat = true;
        }
        sim_schedule(sim, &again->event, link->last_in_ms);
    }
    if (sim_strikes(sim, FAULT_NET_DROP)) {
        net_drop(sim, peer);
    }
}

void
net_to_peer(struct sim *sim, struct message *message)
{
    struct net_link *link = &sim->net.links[message->peer];

    ledger_spoken(sim, message);
    if (message->connection != link->connection || !link->open ||
        sim_strikes(sim, FAULT_NET_LOSS)) {
        free(message);
        return;
    }
    sim_schedule(sim, &message->event, arrival(sim, &link->last_out_ms));
    if (sim_strikes(sim, FAULT_NET_REPEAT)) {
        sim_schedule(sim, &copy(message)->event, link->last_out_ms);
    }
}

/* What the gateway's own parts tell it. */
static void
deliver_internal(struct sim *sim, struct message *message)
{
    struct net_link *link = &sim->net.links[message->peer];

    if (message->type == MESSAGE_CLOSED &&
        link->connection == message->connection) {
        link->open_here = false;
    }
    if (sim->gateway.up && message->incarnation == sim->gateway.incarnation) {
        gateway_receive(sim, message);
    } else {
        free(message);
    }
}

void
net_deliver(struct sim *sim, struct message *message)
{
    struct net_link *link = &sim->net.links[message->peer];

    if (is_internal(message->type)) {
        deliver_internal(sim, message);
        return;
    }
    if (message->connection != link->connection || !link->open) {
        free(message);
        return;
    }
    if (message->type < MESSAGE_CLOSED) {
        gateway_receive(sim, message);
        return;
    }
    if (message->peer < PLAN_AGENTS_MAX) {
        agent_receive(sim, message);
    } else {
        worker_receive(sim, message);
    }
    free(message);
}
