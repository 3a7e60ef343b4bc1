/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What live jobs carry and the engine does not see: payload, content type and
 * metadata, by slot of the engine, in the stored form of net/codec.
 *
 * Above limits.memoryPayloadBytesMax the content of jobs that the store has a
 * payload row for is dropped from memory, and read back when an attempt starts.
 */
#ifndef REDIAL_SERVER_APP_CONTENTS_H
#define REDIAL_SERVER_APP_CONTENTS_H

#include "server/core/record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gateway;

enum { PROGRESS_BYTES_MAX = 256 };

struct content_slot {
    char *bytes;            /* owned; NULL: not in memory */
    char *progress;         /* the last one that the worker told; owned */
    uint64_t accepted_seq;  /* where the log has it */
    uint64_t stored_serial; /* the batch with its payload row; 0: none yet */
    uint32_t len;
    bool live;
};

struct contents {
    struct content_slot *slots;
    uint32_t count;
    uint32_t hand;  /* where the next sweep begins */
    uint64_t bytes; /* in memory */
    uint64_t bytes_max;
};

/* Memory is touched as slots are used. False: no memory. */
bool
contents_init(struct contents *contents, uint32_t slots, uint64_t bytes_max);

void
contents_fini(struct contents *contents);

/* A job was accepted: its bytes (from malloc) become ours. Empty: recovered. */
void
contents_adopt(struct gateway *gateway, uint32_t slot, struct text bytes);

/*
 * The same for a JOB_ACCEPTED that is replayed: copies what is attached to it.
 * False: no memory.
 */
bool
contents_copy(struct gateway *gateway, uint32_t slot,
              const struct record *accepted);

/* The slot is free again. */
void
contents_drop(struct gateway *gateway, uint32_t slot);

/* Recovery has moved a job to another slot, which is free here. */
void
contents_move(struct gateway *gateway, uint32_t from, uint32_t to);

/* The bytes, or an empty text when they have to be read from the store. */
struct text
contents_get(const struct gateway *gateway, uint32_t slot);

/* The batch with this serial carries the payload row. */
void
contents_stored(struct gateway *gateway, uint32_t slot, uint64_t serial);

bool
contents_is_stored(const struct gateway *gateway, uint32_t slot);

/* Keeps a copy, cut to PROGRESS_BYTES_MAX. */
void
contents_set_progress(struct gateway *gateway, uint32_t slot,
                      struct text progress);

/* Terminated; NULL: none. */
const char *
contents_progress(const struct gateway *gateway, uint32_t slot);

/* Drops from memory what may be, while there is too much. Bounded work. */
void
contents_trim(struct gateway *gateway);

#endif
