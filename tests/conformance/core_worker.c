/* SPDX-License-Identifier: Apache-2.0 */
/* Workers of the pure world: they do what the library does. */
#include "tests/conformance/core.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct core_worker *
core_worker_by_id(uint64_t id)
{
    for (int i = 0; i < core.worker_count; i++) {
        if (core.workers[i].id == id && id != 0) {
            return &core.workers[i];
        }
    }
    return NULL;
}

static void
poll_once(struct world *world, struct core_worker *worker)
{
    static struct engine_token acks[IN_HAND_MAX];
    struct engine_input input = {.type = ENGINE_POLL};
    uint32_t slots = worker->asked.slots;

    worker->dirty = false;
    for (uint32_t i = 0; i < worker->in_hand_count; i++) {
        if (!worker->mute || worker->in_hand[i].acked) {
            worker->in_hand[i].acked = true;
            acks[input.poll.ack_count++] = worker->in_hand[i].token;
        }
    }
    input.poll.worker = worker->id;
    input.poll.acks = acks;
    input.poll.free_total = slots > worker->in_hand_count
                                ? slots - worker->in_hand_count
                                : 0;
    core_step(world, &input);
}

/* Until no worker has anything to say. */
void
core_polls(struct world *world)
{
    for (int round = 0; round < 1000; round++) {
        bool more = false;

        for (int i = 0; i < core.worker_count; i++) {
            struct core_worker *worker = &core.workers[i];

            if (worker->dirty && worker->id != 0 && !worker->mute) {
                poll_once(world, worker);
                more = true;
            }
        }
        if (!more) {
            return;
        }
    }
    world_fail(world, "workers and engine talk without an end");
}

struct core_worker *
core_worker_named(struct world *world, const char *name, bool make)
{
    for (int i = 0; i < core.worker_count; i++) {
        if (strcmp(core.workers[i].name, name) == 0) {
            return &core.workers[i];
        }
    }
    if (!make || core.worker_count == WORKERS_MAX ||
        strlen(name) >= NAME_MAX_BYTES) {
        world_fail(world, "no worker %s", name);
    }
    struct core_worker *worker = &core.workers[core.worker_count++];

    memcpy(worker->name, name, strlen(name) + 1);
    worker->in_hand = core_memory(world,
                                  calloc(IN_HAND_MAX, sizeof(struct hand)));
    return worker;
}

static void
hello(struct world *world, struct core_worker *worker)
{
    static struct engine_token tokens[IN_HAND_MAX];
    struct engine_slots slots = {
        .service = core_text(worker->asked.service),
        .method = core_text(worker->asked.method),
        .count = worker->asked.slots,
    };
    struct engine_input input = {
        .type = ENGINE_HELLO,
        .hello = {.name = core_text(worker->name),
                  .instance = core_text(worker->asked.instance),
                  .methods = &slots,
                  .method_count = 1,
                  .concurrency = worker->asked.slots,
                  .in_hand = tokens,
                  .in_hand_count = worker->in_hand_count},
    };

    for (uint32_t i = 0; i < worker->in_hand_count; i++) {
        tokens[i] = worker->in_hand[i].token;
    }
    core_step(world, &input);
    if (core.out.result.status != REDIAL_OK) {
        world_fail(world, "the worker was refused");
    }
    worker->id = core.out.result.worker;
    worker->heartbeat_at = world->now + HEARTBEAT_MS;
    worker->quiet = false;
    worker->dirty = true;
    if (worker->mute) {
        poll_once(world, worker);
    }
    core_polls(world);
}

void
core_open_worker(struct world *world, const struct worker_asked *asked)
{
    struct core_worker *worker = core_worker_named(world, asked->name, true);

    worker->asked = *asked;
    (void)snprintf(worker->texts[0], 64, "%s", asked->service);
    (void)snprintf(worker->texts[1], 64, "%s", asked->method);
    (void)snprintf(worker->texts[2], 64, "%s", asked->instance);
    worker->asked.service = worker->texts[0];
    worker->asked.method = worker->texts[1];
    worker->asked.instance = worker->texts[2];
    worker->in_hand_count = 0;
    hello(world, worker);
}

static void
worker_goes(struct world *world, struct core_worker *worker,
            enum engine_gone how)
{
    struct engine_input input = {
        .type = ENGINE_WORKER_GONE,
        .gone = {.worker = worker->id, .how = how},
    };

    worker->id = 0;
    if (how != ENGINE_GONE_DROPPED) {
        worker->in_hand_count = 0;
    }
    core_act(world, &input);
}

void
core_change_worker(struct world *world, const char *name, const char *how)
{
    struct core_worker *worker = core_worker_named(world, name, false);

    if (strcmp(how, "dies") == 0) {
        worker_goes(world, worker, ENGINE_GONE_DEAD);
    } else if (strcmp(how, "drops") == 0) {
        worker_goes(world, worker, ENGINE_GONE_DROPPED);
    } else if (strcmp(how, "leaves") == 0) {
        worker_goes(world, worker, ENGINE_GONE_GOODBYE);
    } else if (strcmp(how, "returns") == 0) {
        hello(world, worker);
    } else if (strcmp(how, "returns-empty") == 0) {
        worker->in_hand_count = 0;
        hello(world, worker);
    } else if (strcmp(how, "quiet") == 0) {
        worker->quiet = true;
    } else if (strcmp(how, "mute") == 0) {
        worker->mute = true;
    } else {
        world_fail(world, "a worker cannot do this: %s", how);
    }
}

void
core_put_down(struct core_worker *worker, const struct engine_token *token)
{
    for (uint32_t i = 0; i < worker->in_hand_count; i++) {
        if (core_same_token(&worker->in_hand[i].token, token)) {
            worker->in_hand[i] = worker->in_hand[--worker->in_hand_count];
            worker->dirty = true;
            return;
        }
    }
}
