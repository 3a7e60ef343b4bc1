/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One direction of one connection: bytes in, frames out. Pure but for malloc.
 *
 * Bytes come in any pieces: either fed from a buffer, or, inside of a large
 * frame, read straight to where they belong (sp_reader_room()). A frame's
 * memory grows with the bytes that have arrived, never with the length that
 * its head claims.
 *
 * Not thread-safe.
 */
#ifndef REDIAL_SERVER_NET_SP_READER_H
#define REDIAL_SERVER_NET_SP_READER_H

#include "server/net/sp_frame.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A request as it came in. */
struct sp_frame {
    struct sp_frame *next;  /* for the holder's queue */
    size_t capacity;        /* of bytes */
    size_t len;             /* in bytes so far */
    size_t backtrace_len;   /* known when the frame is complete */
    uint32_t request_value; /* for the holder */
    uint8_t bytes[];        /* backtrace, body */
};

enum sp_reader_result {
    SP_READER_MORE,      /* everything used, nothing complete */
    SP_READER_GREETED,   /* the greeting was right */
    SP_READER_FRAME,     /* sp_reader_take() has a frame */
    SP_READER_TOO_LARGE, /* the frame is over the limit; its backtrace is
                            known: sp_reader_take() has that. Feed no more. */
    SP_READER_BAD,       /* no SP REQ peer. Feed no more. */
    SP_READER_NO_MEMORY, /* Feed no more. */
};

enum sp_reader_state {
    SP_READER_GREETING,
    SP_READER_HEAD,
    SP_READER_BODY,
    SP_READER_OVERSIZE, /* reads the backtrace of what is too large */
};

struct sp_reader {
    enum sp_framing framing;
    enum sp_reader_state state;
    size_t body_bytes_max; /* may be raised at any time */
    uint64_t body_len;     /* of the present frame, backtrace included */
    size_t head_len;       /* bytes of greeting or head so far */
    uint8_t head[SP_HEAD_BYTES_MAX];
    struct sp_frame *frame; /* NULL, partial, or complete and not taken */
};

void
sp_reader_init(struct sp_reader *reader, enum sp_framing framing,
               size_t body_bytes_max);

/* Frees the partial frame. */
void
sp_reader_fini(struct sp_reader *reader);

/*
 * Uses up to `len` bytes, at most to the end of one frame; *ret_used says how
 * many. A complete frame must be taken before more is fed.
 */
enum sp_reader_result
sp_reader_feed(struct sp_reader *reader, const uint8_t *bytes, size_t len,
               size_t *ret_used);

/*
 * Where the next bytes of the present frame may be read to, and how many at
 * most; 0: nowhere (or they are too few to bother), feed them.
 */
size_t
sp_reader_room(struct sp_reader *reader, uint8_t **ret_room);

/* That many bytes were put into the room. MORE or FRAME. */
enum sp_reader_result
sp_reader_filled(struct sp_reader *reader, size_t len);

/* Hands out the complete frame. */
struct sp_frame *
sp_reader_take(struct sp_reader *reader);

/* Between two frames (or greeted only just now). */
bool
sp_reader_is_idle(const struct sp_reader *reader);

/* What a frame occupies. */
size_t
sp_frame_size(const struct sp_frame *frame);

/* What the partial frame occupies. */
size_t
sp_reader_held_bytes(const struct sp_reader *reader);

#endif
