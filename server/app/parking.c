/* SPDX-License-Identifier: Apache-2.0 */
#include "server/app/parking.h"

#include "server/app/gateway.h"

#include <stdlib.h>

/* What a caller needs to hear the answer before its own time is up. */
enum { ANSWER_MARGIN_MS = 100 };

bool
parking_init(struct parking *parking)
{
    parking->memory = calloc(1, heap_size(PARKING_MAX));
    if (parking->memory == NULL) {
        return false;
    }
    heap_init(&parking->heap, parking->memory, PARKING_MAX);
    return true;
}

void
parking_fini(struct parking *parking)
{
    free(parking->memory);
    parking->memory = NULL;
}

struct mono
parking_deadline(const struct gateway *gateway, const struct rpc_call *call,
                 uint32_t wait_ms)
{
    uint64_t wait = wait_ms;
    uint32_t timeout = rpc_call_timeout_ms(call);

    if (wait > gateway->config->limits_park_time_ms) {
        wait = gateway->config->limits_park_time_ms;
    }
    if (timeout > 0) {
        uint32_t most = timeout > ANSWER_MARGIN_MS ? timeout - ANSWER_MARGIN_MS
                                                   : 0;

        wait = wait < most ? wait : most;
    }
    return (struct mono){gateway->now.mono.ms + (int64_t)wait};
}

void
parking_add(struct gateway *gateway, struct parked *parked,
            struct mono deadline, parked_due_fn *due)
{
    parked->due = due;
    heap_set(&gateway->parking.heap, &parked->timer, deadline.ms);
}

void
parking_remove(struct gateway *gateway, struct parked *parked)
{
    heap_remove(&gateway->parking.heap, &parked->timer);
}

void
parking_run(struct gateway *gateway)
{
    struct heap *heap = &gateway->parking.heap;
    struct heap_node *node;

    while ((node = heap_first(heap)) != NULL &&
           node->at <= gateway->now.mono.ms) {
        struct parked *parked = (struct parked *)(void *)node;

        heap_remove(heap, node);
        parked->due(gateway, parked);
    }
}

struct mono
parking_next(const struct parking *parking)
{
    const struct heap_node *node = heap_first(&parking->heap);

    return node == NULL ? MONO_NEVER : (struct mono){node->at};
}
