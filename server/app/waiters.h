/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that wait for outcomes of jobs: Await, and Submit with wait_ms.
 *
 * A wait call has items, one per job. An item that is live is linked to its
 * slot and filled when the job's final record is made; an item that is not is
 * looked up in the tail, then in the store. Await answers when at least one is
 * final, Submit when all are; both when their time is up.
 */
#ifndef REDIAL_SERVER_APP_WAITERS_H
#define REDIAL_SERVER_APP_WAITERS_H

#include "server/app/parking.h"
#include "server/base/bytes.h"
#include "server/base/list.h"
#include "server/core/engine.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ask;
struct gateway;
struct rpc_call;
struct rpc_reply;
struct wait_call;

enum wait_state {
    WAIT_LIVE,    /* linked to its slot */
    WAIT_LOOKUP,  /* the store is asked */
    WAIT_FINAL,   /* `job` is packed */
    WAIT_MISSING, /* nobody knows it */
    WAIT_UNREAD,  /* the store could not say: ask again */
    WAIT_REFUSED, /* Submit: it was not accepted; never waited for */
};

struct wait_item {
    struct list link; /* of its slot */
    struct wait_call *call;
    struct ask *ask;
    enum wait_state state;
    uint32_t slot;
    struct job_id id;
    uint64_t final_seq; /* when it was known */
    uint8_t *job;       /* packed Job as a field of the answer; owned */
    size_t job_bytes;
    void *user; /* of the service; not owned */
};

/* Builds the reply; every item is settled or the time is up. */
typedef struct rpc_reply *
wait_answer_fn(struct gateway *gateway, struct wait_call *call);

struct wait_call {
    struct parked parked; /* first */
    struct list ready;
    struct gateway *gateway;
    struct rpc_call *call;
    wait_answer_fn *answer;
    bool all;           /* wait for all, not just for one */
    bool late;          /* time is up: answered when all is looked up */
    uint32_t job_field; /* number of the field that packed jobs are */
    size_t count;
    size_t live;
    size_t lookups;
    size_t finals;
    void *user; /* of the service, from malloc(); freed with the call */
    struct wait_item items[];
};

struct waiters {
    struct list *slots; /* by slot; zeroed: nobody waits */
    uint32_t count;
    struct list ready; /* calls to be answered at the end of the turn */
};

/* False: no memory. */
bool
waiters_init(struct waiters *waiters, uint32_t slots);

void
waiters_fini(struct waiters *waiters);

/* A call with `count` items, all zero. NULL: no memory. */
struct wait_call *
wait_call_new(struct gateway *gateway, struct rpc_call *call, size_t count,
              wait_answer_fn *answer);

/*
 * Finds out where item `index` stands, its id being set: links it to its live
 * job, packs its outcome, or asks the store.
 */
void
wait_call_look(struct gateway *gateway, struct wait_call *call, size_t index);

/* All items have been looked at: answers at once or parks until `deadline`. */
void
wait_call_start(struct gateway *gateway, struct wait_call *call,
                struct mono deadline);

/* A final record was made: fills the items that wait for its job. */
void
waiters_final(struct gateway *gateway, const struct record *final);

/* Answers the calls that became ready in this turn. */
void
waiters_run(struct gateway *gateway);

#endif
