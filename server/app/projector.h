/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing the tables behind the log: rows of jobs, rows of targets.
 *
 * Each live job whose newest record is not in its row stands in a queue, by the
 * first such record. When the front is 100,000 records behind, groups take rows
 * from there, at most two per record; an idle gateway takes them sooner. A job
 * that ends before its turn never gets a row at all. Targets stand in a queue
 * of their own in the same way; the front of both that is older goes first, and
 * the watermark is below both.
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

/* A target, by its index in the engine, where another may follow it. */
struct projector_target {
    uint64_t first_seq; /* as above; 0: clean */
    uint64_t first_bytes;
    uint64_t last_seq;
    uint32_t next; /* + 1 */
    bool has_row;
    uint32_t name_len; /* 0: none so far */
    char name[128];
};

struct projector {
    struct projector_slot *slots;
    struct projector_target *targets;
    uint32_t target_count;
    uint32_t first_target; /* + 1 */
    uint32_t last_target;  /* + 1 */
    uint32_t first;        /* + 1 */
    uint32_t last;         /* + 1 */
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

/*
 * The record, which the engine has applied, changed this target. `index`
 * ENGINE_NO_SLOT: it forgot it. False: no memory.
 */
bool
projector_note_target(struct gateway *gateway, struct text name, uint32_t index,
                      uint64_t seq);

/* A recovered target has this row. False: no memory. */
bool
projector_load_target(struct gateway *gateway, struct text name,
                      uint32_t index);

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
