/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packed answers of Watch back to records, as far as events show them. The
 * inverse of codec_put_event() for all that a replay needs: who, what, when,
 * what the worker said, what the agent asked for. Of decisions only the rule,
 * the delay and the version come back.
 */
#ifndef REDIAL_SERVER_NET_CODEC_READ_EVENTS_H
#define REDIAL_SERVER_NET_CODEC_READ_EVENTS_H

#include "server/net/codec.h"

struct codec_event_reader {
    void *ctx;
    /* Texts are valid during the call. False: stop, there is no memory. */
    bool (*event)(void *ctx, const struct record *record);
    void (*gap)(void *ctx); /* events before the next one are missing */
};

/*
 * Reads one packed WatchResponse: any bytes at all. Events of types that this
 * version does not know, or with ids that are none, are skipped.
 * INVALID_ARGUMENT: not such a message; RESOURCE_EXHAUSTED: no memory.
 */
enum redial_status
codec_read_events(struct text frame, struct wire_arena *arena,
                  const struct codec_event_reader *reader,
                  struct wire_error *ret_error);

#endif
