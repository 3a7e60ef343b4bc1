/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that wait for something, and the time at which each is answered anyway.
 */
#ifndef REDIAL_SERVER_APP_PARKING_H
#define REDIAL_SERVER_APP_PARKING_H

#include "server/base/clock.h"
#include "server/base/heap.h"

#include <stdbool.h>
#include <stdint.h>

struct gateway;
struct parked;
struct rpc_call;

enum { PARKING_MAX = 1 << 20 };

typedef void
parked_due_fn(struct gateway *gateway, struct parked *parked);

/* Part of whatever waits. A zeroed one is not parked. */
struct parked {
    struct heap_node timer;
    parked_due_fn *due;
};

struct parking {
    struct heap heap;
    void *memory;
};

/* False: no memory. */
bool
parking_init(struct parking *parking);

void
parking_fini(struct parking *parking);

/* Until when a call may wait: the least of what it says and what we allow. */
struct mono
parking_deadline(const struct gateway *gateway, const struct rpc_call *call,
                 uint32_t wait_ms);

/* Calls `due` once at `deadline`, unless parking_remove() comes first. */
void
parking_add(struct gateway *gateway, struct parked *parked,
            struct mono deadline, parked_due_fn *due);

/* No effect when it is not parked. */
void
parking_remove(struct gateway *gateway, struct parked *parked);

/* Runs what is due now. */
void
parking_run(struct gateway *gateway);

/* MONO_NEVER: nothing is parked. */
struct mono
parking_next(const struct parking *parking);

#endif
