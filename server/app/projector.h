/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing the tables behind the log.
 *
 * Each live job whose newest record is not in its row stands in a queue, by the
 * first such record. When the front is 100,000 records behind, groups take rows
 * from there, at most two per record; an idle gateway takes them sooner. A job
 * that ends before its turn never gets a row at all. The watermark is below the
 * front of the queue.
 */
#ifndef REDIAL_SERVER_APP_PROJECTOR_H
#define REDIAL_SERVER_APP_PROJECTOR_H

#include "server/core/record.h"

#include <stdbool.h>
#include <stdint.h>

struct gateway;

struct projector_slot {
    uint64_t first_seq;   /* oldest record that is not in the row; 0: clean */
    uint64_t first_bytes; /* of the log before that record */
    uint64_t last_seq;
    uint32_t next; /* slot in the queue, + 1; 0: none */
    uint32_t prev;
    struct job_id job;
    bool has_row;
    bool failed; /* then its payload stays in the store */
};

struct projector {
    struct projector_slot *slots;
    uint32_t first; /* + 1 */
    uint32_t last;  /* + 1 */
    uint64_t waiting;
    uint64_t watermark;       /* newest handed over */
    uint64_t log_bytes;       /* of all records since the start */
    uint64_t watermark_bytes; /* of those up to the watermark */
    int64_t idle_since_ms;    /* mono, of the last record; 0: none yet */
};

/* False: no memory. */
bool
projector_init(struct projector *projector, uint32_t slots, uint64_t watermark);

void
projector_fini(struct projector *projector);

/* A record of so many bytes was added to the log. */
void
projector_count(struct gateway *gateway, size_t bytes);

/* The record just counted is about a job. */
void
projector_note(struct gateway *gateway, const struct record *record);

/* A recovered job has this row. */
void
projector_load(struct gateway *gateway, uint32_t slot, struct job_id job);

/* Recovery has moved a job to another slot: it keeps its place in the queue. */
void
projector_move(struct gateway *gateway, uint32_t from, uint32_t to);

/* The slot is free: its row, if there is one, goes. */
void
projector_drop(struct gateway *gateway, uint32_t slot);

/* Adds to the open group what is due. */
void
projector_fill(struct gateway *gateway);

/* How far the tables are behind. */
uint64_t
projector_lag_records(const struct gateway *gateway);

uint64_t
projector_lag_bytes(const struct gateway *gateway);

/* When idle work is due; INT64_MAX: none. Milliseconds, monotonic. */
int64_t
projector_next_ms(const struct gateway *gateway);

#endif
