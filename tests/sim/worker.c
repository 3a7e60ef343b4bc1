/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/worker.h"

#include "tests/sim/sim.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
choose_offers(struct sim *sim, struct worker_actor *worker)
{
    worker->concurrency = (uint32_t)sim_between(sim, 1, 6);
    worker->offer_count = 0;
    for (uint32_t i = 0; i < sim->plan.methods; i++) {
        if (sim_chance(sim, 50) && worker->offer_count < SIM_OFFERS_MAX) {
            worker->offers[worker->offer_count++] = (struct message_slots){
                .method = i,
                .count = (uint32_t)sim_between(sim, 1, 4),
            };
        }
    }
    /* All of a service instead: never both, which would be ambiguous. */
    if (worker->offer_count == 0 || sim_chance(sim, 20)) {
        worker->offers[0] = (struct message_slots){
            .method = (uint32_t)sim_below(sim, sim->plan.methods),
            .whole_service = true,
            .count = (uint32_t)sim_between(sim, 1, 4),
        };
        worker->offer_count = 1;
    }
}

/* Every method, with room for all: one offer for each service. */
static void
choose_all_offers(struct sim *sim, struct worker_actor *worker)
{
    worker->concurrency = SIM_HAND_MAX / 2;
    worker->offer_count = 0;
    for (uint32_t i = 0; i < sim->plan.methods; i++) {
        bool known = false;

        for (uint32_t k = 0; k < worker->offer_count; k++) {
            known = known ||
                    strcmp(sim->plan.method[worker->offers[k].method].service,
                           sim->plan.method[i].service) == 0;
        }
        if (!known) {
            worker->offers[worker->offer_count++] = (struct message_slots){
                .method = i,
                .whole_service = true,
                .count = SIM_HAND_MAX / 2,
            };
        }
    }
}

void
workers_make(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->plan.workers; i++) {
        struct worker_actor *worker = &sim->workers[i];

        worker->wake.what = HAPPENS_PEER;
        worker->wake.who = worker_peer(i);
        worker->index = i;
        worker->up_at_ms = sim->mono_ms + sim_between(sim, 0, 3000);
        choose_offers(sim, worker);
        sim_schedule(sim, &worker->wake, worker->up_at_ms);
    }
}

void
worker_die(struct sim *sim, struct worker_actor *worker, bool reaped)
{
    uint32_t peer = worker_peer(worker->index);

    if (reaped && sim->gateway.up && sim->net.links[peer].open) {
        struct message *message = message_new(MESSAGE_REAPED, peer);

        message->worker = sim->gateway.sessions[peer].worker;
        message->incarnation = sim->gateway.incarnation;
        message->connection = sim->net.links[peer].connection;
        sim_schedule(sim, &message->event,
                     sim->mono_ms + sim_between(sim, 0, 20));
        sim->net.links[peer].open = false;
        sim->net.links[peer].open_here = false;
    }
    worker->life = LIFE_DEAD; /* before it hears of its connection */
    net_drop(sim, peer);
    sim_tell(sim, "w%u.%u dies", worker->index, worker->incarnation);
    memset(worker->hand, 0, sizeof(worker->hand));
    worker->life = LIFE_DEAD;
    worker->id = 0;
    worker->incarnation++;
    worker->up_at_ms = sim->mono_ms + sim_between(sim, 200, 8000);
    if (sim_strikes(sim, FAULT_WORKER_LEARNS)) {
        choose_offers(sim, worker);
    }
    worker_schedule(sim, worker);
}

void
workers_heal(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->plan.workers; i++) {
        struct worker_actor *worker = &sim->workers[i];

        worker_die(sim, worker, false);
        choose_all_offers(sim, worker);
        worker->silent_until_ms = 0;
        worker->up_at_ms = sim->mono_ms + sim_between(sim, 0, 1000);
        worker_schedule(sim, worker);
    }
}

void
worker_lost_connection(struct sim *sim, uint32_t index)
{
    struct worker_actor *worker = &sim->workers[index];

    worker->id = 0;
    if (worker->life == LIFE_DEAD) {
        return;
    }
    worker->life = LIFE_AWAY;
    worker->up_at_ms = sim->mono_ms + sim_between(sim, 1, 6000);
    if (sim_strikes(sim, FAULT_WORKER_REBORN)) {
        memset(worker->hand, 0, sizeof(worker->hand));
        worker->incarnation++;
    }
    worker_schedule(sim, worker);
}

bool
workers_are_idle(const struct sim *sim)
{
    for (uint32_t i = 0; i < sim->plan.workers; i++) {
        if (hand_next(&sim->workers[i], true) != INT64_MAX) {
            return false;
        }
    }
    return true;
}

/* ---- Saying things ----------------------------------------------------- */

static struct message *
from(const struct worker_actor *worker, enum message_type type)
{
    struct message *message = message_new(type, worker_peer(worker->index));

    message->worker = worker->id;
    return message;
}

static void
say_hello(struct sim *sim, struct worker_actor *worker)
{
    struct message *message = from(worker, MESSAGE_HELLO);

    (void)snprintf(message->hello.instance, sizeof(message->hello.instance),
                   "i%u", worker->incarnation);
    message->hello.concurrency = worker->concurrency;
    message->hello.offer_count = worker->offer_count;
    memcpy(message->hello.offers, worker->offers, sizeof(worker->offers));
    message->hello.hand_count = hand_list(worker, message->hello.hand);
    worker->id = 0;
    worker->life = LIFE_HELLO;
    worker->hello_at_ms = sim->mono_ms + sim_between(sim, 500, 3000);
    net_to_gateway(sim, message);
}

static void
say_poll(struct sim *sim, struct worker_actor *worker)
{
    struct message *message = from(worker, MESSAGE_POLL);
    uint32_t taken = hand_taken(sim, worker, worker->offer_count);

    message->poll.free_total = taken < worker->concurrency
                                   ? worker->concurrency - taken
                                   : 0;
    message->poll.credit_count = worker->offer_count;
    for (uint32_t i = 0; i < worker->offer_count; i++) {
        struct message_slots *credit = &message->poll.credits[i];

        *credit = worker->offers[i];
        taken = hand_taken(sim, worker, i);
        credit->count = taken < credit->count ? credit->count - taken : 0;
    }
    message->poll.ack_count = hand_list(worker, message->poll.acks);
    worker->poll_at_ms = sim->mono_ms + sim_between(sim, 200, 2000);
    net_to_gateway(sim, message);
}

/* It leaves in good order, if it has nothing in hand. */
static bool
say_goodbye(struct sim *sim, struct worker_actor *worker)
{
    struct engine_token tokens[SIM_HAND_MAX];

    if (hand_list(worker, tokens) > 0 ||
        !sim_strikes(sim, FAULT_WORKER_GOODBYE)) {
        return false;
    }
    net_to_gateway(sim, from(worker, MESSAGE_GOODBYE));
    worker->life = LIFE_DEAD;
    worker->id = 0;
    worker->incarnation++;
    worker->up_at_ms = sim->mono_ms + sim_between(sim, 1000, 10000);
    return true;
}

/* ---- Acting ------------------------------------------------------------ */

static int64_t
earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

void
worker_schedule(struct sim *sim, struct worker_actor *worker)
{
    int64_t next = INT64_MAX;

    switch (worker->life) {
    case LIFE_DEAD:
        next = worker->up_at_ms;
        break;
    case LIFE_AWAY:
        next = earlier(worker->up_at_ms, hand_next(worker, false));
        break;
    case LIFE_HELLO:
        next = earlier(worker->hello_at_ms, hand_next(worker, false));
        break;
    case LIFE_UP:
        next = earlier(earlier(worker->poll_at_ms, worker->heartbeat_at_ms),
                       hand_next(worker, true));
        break;
    }
    if (worker->life != LIFE_DEAD && next < worker->silent_until_ms) {
        next = worker->silent_until_ms;
    }
    /* What it cannot do now it tries again shortly. */
    sim_schedule(sim, &worker->wake,
                 next <= sim->mono_ms ? sim->mono_ms + 1 : next);
}

/* Connects and says Hello, when it is time to. */
static void
come_up(struct sim *sim, struct worker_actor *worker)
{
    if (sim->mono_ms < worker->up_at_ms) {
        return;
    }
    if (!net_connect(sim, worker_peer(worker->index))) {
        worker->up_at_ms = sim->mono_ms + sim_between(sim, 100, 1000);
        return;
    }
    if (worker->life == LIFE_AWAY) {
        if (sim_strikes(sim, FAULT_WORKER_FORGETS)) {
            hand_forget(worker);
        }
        if (sim_strikes(sim, FAULT_WORKER_LEARNS)) {
            choose_offers(sim, worker);
        }
    }
    say_hello(sim, worker);
}

static void
be_up(struct sim *sim, struct worker_actor *worker)
{
    int64_t now = sim->mono_ms;

    if (sim_strikes(sim, FAULT_WORKER_SILENT)) {
        worker->silent_until_ms = now + sim_between(sim, 2000, 15000);
        return;
    }
    if (sim_strikes(sim, FAULT_WORKER_DIES)) {
        worker_die(sim, worker, sim_chance(sim, 60));
        return;
    }
    hand_report(sim, worker);
    if (worker->life != LIFE_UP || say_goodbye(sim, worker)) {
        return;
    }
    if (worker->heartbeat_at_ms <= now) {
        worker->heartbeat_at_ms = now + HEARTBEAT_MS;
        net_to_gateway(sim, from(worker, MESSAGE_HEARTBEAT));
    }
    if (worker->life == LIFE_UP && worker->poll_at_ms <= now) {
        say_poll(sim, worker);
    }
}

void
worker_act(struct sim *sim, uint32_t index)
{
    struct worker_actor *worker = &sim->workers[index];

    if (worker->life != LIFE_DEAD && !hand_work(sim, worker)) {
        return; /* dead, and scheduled for its next life */
    }
    if (worker->life == LIFE_DEAD || sim->mono_ms >= worker->silent_until_ms) {
        switch (worker->life) {
        case LIFE_DEAD:
        case LIFE_AWAY:
            come_up(sim, worker);
            break;
        case LIFE_HELLO:
            if (worker->hello_at_ms <= sim->mono_ms) {
                say_hello(sim, worker);
            }
            break;
        case LIFE_UP:
            be_up(sim, worker);
            break;
        }
    }
    worker_schedule(sim, worker);
}

static void
welcomed(struct sim *sim, struct worker_actor *worker,
         const struct engine_result *result)
{
    if (worker->life != LIFE_HELLO && worker->life != LIFE_UP) {
        return;
    }
    if (result->status != REDIAL_OK) {
        worker->hello_at_ms = sim->mono_ms + sim_between(sim, 500, 2000);
        return;
    }
    /* The answer to a repeated Hello is newer and counts. */
    worker->id = result->worker;
    worker->life = LIFE_UP;
    worker->poll_at_ms = sim->mono_ms;
    worker->heartbeat_at_ms = sim->mono_ms + HEARTBEAT_MS;
}

void
worker_receive(struct sim *sim, const struct message *message)
{
    struct worker_actor *worker =
        &sim->workers[message->peer - PLAN_AGENTS_MAX];
    const struct engine_result *result = &message->answer.result;
    bool mine = message->worker == worker->id && worker->life == LIFE_UP;

    switch ((int)message->type) {
    case MESSAGE_WELCOME:
        welcomed(sim, worker, result);
        break;
    case MESSAGE_POLLED:
        /* Only refusals are answered: it must say Hello again. */
        if (mine) {
            say_hello(sim, worker);
        }
        break;
    case MESSAGE_REPORTED:
        hand_reported(worker, &message->answer.token);
        break;
    case MESSAGE_ASSIGN:
        if (mine) {
            hand_assign(sim, worker, &message->command);
            worker->poll_at_ms = earlier(
                worker->poll_at_ms, sim->mono_ms + sim_between(sim, 0, 50));
        }
        break;
    default:
        if (mine) {
            hand_stop(sim, worker, &message->command.token);
        }
        break;
    }
    worker_schedule(sim, worker);
}
