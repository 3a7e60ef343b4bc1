/* SPDX-License-Identifier: Apache-2.0 */
#include "server/net/sp_reader.h"

#include "server/base/check.h"

#include <stdlib.h>
#include <string.h>

#define CAPACITY_MIN   4096u /* of a frame that has not arrived whole */
#define ROOM_BYTES_MIN 4096u /* less than this goes through the buffer */

void
sp_reader_init(struct sp_reader *reader, enum sp_framing framing,
               size_t body_bytes_max)
{
    redial_assert(body_bytes_max > SP_BACKTRACE_BYTES_MAX);
    memset(reader, 0, sizeof(*reader));
    reader->framing = framing;
    reader->state = SP_READER_GREETING;
    reader->body_bytes_max = body_bytes_max;
}

void
sp_reader_fini(struct sp_reader *reader)
{
    free(reader->frame);
    reader->frame = NULL;
}

size_t
sp_frame_size(const struct sp_frame *frame)
{
    return sizeof(*frame) + frame->capacity;
}

size_t
sp_reader_held_bytes(const struct sp_reader *reader)
{
    return reader->frame != NULL ? sp_frame_size(reader->frame) : 0;
}

bool
sp_reader_is_idle(const struct sp_reader *reader)
{
    return reader->state == SP_READER_HEAD && reader->head_len == 0;
}

/* Gives the frame room for `capacity` bytes; false: no memory. */
static bool
set_capacity(struct sp_reader *reader, size_t capacity)
{
    struct sp_frame *frame = reader->frame;
    bool is_new = frame == NULL;

    frame = realloc(frame, sizeof(*frame) + capacity);
    if (frame == NULL) {
        return false;
    }
    if (is_new) {
        memset(frame, 0, sizeof(*frame));
    }
    frame->capacity = capacity;
    reader->frame = frame;
    return true;
}

static size_t
smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/*
 * Makes room for what is there (`len` more bytes), and some for what is still
 * to come, twice as much each time.
 */
static bool
make_room(struct sp_reader *reader, size_t len)
{
    size_t body_len = (size_t)reader->body_len;
    size_t have = reader->frame != NULL ? reader->frame->len : 0;
    size_t capacity = reader->frame != NULL ? reader->frame->capacity : 0;
    size_t wanted = smaller(body_len, have + len);

    if (wanted <= capacity && capacity > 0) {
        return true;
    }
    if (wanted < body_len) {
        wanted = wanted > CAPACITY_MIN ? wanted : CAPACITY_MIN;
        wanted = wanted > 2 * capacity ? wanted : 2 * capacity;
        wanted = smaller(wanted, body_len);
    }
    return set_capacity(reader, wanted);
}

/* Collects a greeting or a head of `size` bytes; true when it is complete. */
static bool
collect(struct sp_reader *reader, size_t size, const uint8_t *bytes, size_t len,
        size_t *used)
{
    size_t part = smaller(size - reader->head_len, len - *used);

    memcpy(reader->head + reader->head_len, bytes + *used, part);
    reader->head_len += part;
    *used += part;
    return reader->head_len == size;
}

static enum sp_reader_result
finish_frame(struct sp_reader *reader)
{
    struct sp_frame *frame = reader->frame;

    frame->backtrace_len = sp_backtrace_size(frame->bytes, frame->len);
    if (frame->backtrace_len == 0) {
        return SP_READER_BAD;
    }
    reader->state = SP_READER_HEAD;
    return SP_READER_FRAME;
}

/* Appends to the body what belongs to it. */
static enum sp_reader_result
feed_body(struct sp_reader *reader, const uint8_t *bytes, size_t len,
          size_t *used)
{
    size_t part = len - *used;

    if (!make_room(reader, part)) {
        return SP_READER_NO_MEMORY;
    }
    part = smaller(part, (size_t)reader->body_len - reader->frame->len);
    memcpy(reader->frame->bytes + reader->frame->len, bytes + *used, part);
    *used += part;
    return sp_reader_filled(reader, part);
}

/* Looks for the backtrace of a frame that will not be read. */
static enum sp_reader_result
feed_oversize(struct sp_reader *reader, const uint8_t *bytes, size_t len,
              size_t *used)
{
    struct sp_frame *frame;
    size_t part;

    if (reader->frame == NULL &&
        !set_capacity(reader, SP_BACKTRACE_BYTES_MAX)) {
        return SP_READER_NO_MEMORY;
    }
    frame = reader->frame;
    part = smaller(SP_BACKTRACE_BYTES_MAX - frame->len, len - *used);
    memcpy(frame->bytes + frame->len, bytes + *used, part);
    frame->len += part;
    *used += part;
    frame->backtrace_len = sp_backtrace_size(frame->bytes, frame->len);
    if (frame->backtrace_len > 0) {
        return SP_READER_TOO_LARGE;
    }
    return frame->len == SP_BACKTRACE_BYTES_MAX ? SP_READER_BAD
                                                : SP_READER_MORE;
}

/* A greeting or a head, and what follows from it. */
static enum sp_reader_result
feed_start(struct sp_reader *reader, const uint8_t *bytes, size_t len,
           size_t *used)
{
    bool is_greeting = reader->state == SP_READER_GREETING;
    size_t size = is_greeting ? SP_GREETING_BYTES
                              : sp_head_size(reader->framing);

    if (!collect(reader, size, bytes, len, used)) {
        return SP_READER_MORE;
    }
    reader->head_len = 0;
    if (is_greeting) {
        reader->state = SP_READER_HEAD;
        return sp_greeting_is(reader->head, SP_PROTOCOL_REQ) ? SP_READER_GREETED
                                                             : SP_READER_BAD;
    }
    if (!sp_head_read(reader->framing, reader->head, &reader->body_len) ||
        reader->body_len < SP_BACKTRACE_BYTES_MIN) {
        return SP_READER_BAD;
    }
    reader->state = reader->body_len > reader->body_bytes_max
                        ? SP_READER_OVERSIZE
                        : SP_READER_BODY;
    return SP_READER_MORE;
}

enum sp_reader_result
sp_reader_feed(struct sp_reader *reader, const uint8_t *bytes, size_t len,
               size_t *ret_used)
{
    enum sp_reader_result result = SP_READER_MORE;
    size_t used = 0;

    while (used < len && result == SP_READER_MORE) {
        switch (reader->state) {
        case SP_READER_GREETING:
        case SP_READER_HEAD:
            redial_assert(reader->frame == NULL);
            result = feed_start(reader, bytes, len, &used);
            break;
        case SP_READER_BODY:
            result = feed_body(reader, bytes, len, &used);
            break;
        case SP_READER_OVERSIZE:
            result = feed_oversize(reader, bytes, len, &used);
            break;
        }
    }
    *ret_used = used;
    return result;
}

size_t
sp_reader_room(struct sp_reader *reader, uint8_t **ret_room)
{
    struct sp_frame *frame = reader->frame;

    if (reader->state != SP_READER_BODY || frame == NULL ||
        reader->body_len - frame->len < ROOM_BYTES_MIN) {
        return 0;
    }
    if (frame->capacity == frame->len && !make_room(reader, 1)) {
        return 0; /* feeding will run into it again, and say so */
    }
    frame = reader->frame;
    *ret_room = frame->bytes + frame->len;
    return frame->capacity - frame->len;
}

enum sp_reader_result
sp_reader_filled(struct sp_reader *reader, size_t len)
{
    struct sp_frame *frame = reader->frame;

    frame->len += len;
    redial_assert(frame->len <= frame->capacity);
    if (frame->len < reader->body_len) {
        return SP_READER_MORE;
    }
    return finish_frame(reader);
}

struct sp_frame *
sp_reader_take(struct sp_reader *reader)
{
    struct sp_frame *frame = reader->frame;

    redial_assert(frame != NULL);
    reader->frame = NULL;
    return frame;
}
