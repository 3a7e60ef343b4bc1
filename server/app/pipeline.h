/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Persist, then speak.
 *
 * What the turns of the loop change and answer is gathered in the open batch. A
 * batch is handed to the store as one group as soon as the store has room, and
 * the next one is opened: the commit does not block the next turn. When a
 * batch's group is on disk, and all before it, the batch is released: its
 * replies are sent, its assignments delivered, its events seen. A batch without
 * records (answers to reads) still waits for its turn, because what it says may
 * rest on records before it.
 *
 * A batch's serial is what others hold on to: "not before serial n".
 */
#ifndef REDIAL_SERVER_APP_PIPELINE_H
#define REDIAL_SERVER_APP_PIPELINE_H

#include "server/core/engine.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct batch;
struct gateway;
struct rpc_reply;
struct store_group;

enum { PIPELINE_SAMPLES = 512 };

struct pipeline {
    struct batch *oldest; /* not released yet; the open one is the last */
    struct batch *open;
    uint64_t released_serial;           /* newest released */
    uint64_t lag_records;               /* handed over and not on disk */
    uint32_t sync_us[PIPELINE_SAMPLES]; /* ring of measured commits */
    uint64_t syncs;
};

/* False: no memory. */
bool
pipeline_init(struct pipeline *pipeline);

/* Drops what was not released. */
void
pipeline_fini(struct gateway *gateway);

/* The serial of the open batch. */
uint64_t
pipeline_serial(const struct gateway *gateway);

bool
pipeline_is_released(const struct gateway *gateway, uint64_t serial);

/*
 * One engine step, and everything that follows from it inside this process.
 * `attached` goes behind the record that asks for it; on JOB_ACCEPTED its bytes
 * (from malloc) become the contents' (see result.deduplicated).
 */
void
pipeline_step(struct gateway *gateway, const struct engine_input *input,
              struct text attached);

/* The same for records that are in gateway->out already (recovery). */
void
pipeline_absorb(struct gateway *gateway, struct text attached);

/* Sends the reply when the open batch is released. NULL is allowed. */
void
pipeline_reply(struct gateway *gateway, struct rpc_reply *reply);

/* The open batch's group, made when first asked for. */
struct store_group *
pipeline_group(struct gateway *gateway);

/* Ends a turn: hands over what is there, if there is room. */
void
pipeline_end_turn(struct gateway *gateway);

/* Takes finished groups and releases their batches. */
void
pipeline_collect(struct gateway *gateway);

/* True when nothing waits for the disk or for release. */
bool
pipeline_is_idle(const struct gateway *gateway);

/* The p-th percentile of recent syncs in microseconds; 0: none yet. */
uint32_t
pipeline_sync_us(const struct pipeline *pipeline, unsigned percent);

#endif
