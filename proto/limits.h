/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every limit that both sides of the wire know. Sizes are bytes; `_MAX` is
 * inclusive. A peer may be configured lower, never higher.
 */
#ifndef REDIAL_PROTO_LIMITS_H
#define REDIAL_PROTO_LIMITS_H

/* What a job carries, and what an attempt gives back. */
#define WIRE_PAYLOAD_BYTES_MAX 4194304u
#define WIRE_RESULT_BYTES_MAX  4194304u

/* One SP body: before the peer has shown who it is, and after. */
#define WIRE_FRAME_BYTES_GUEST_MAX 65536u
#define WIRE_FRAME_BYTES_MAX       6291456u

/* Ids, keys, correlation ids, tenants, worker names: printable, no space. */
#define WIRE_NAME_BYTES_MAX    128u
#define WIRE_SERVICE_BYTES_MAX 128u
#define WIRE_METHOD_BYTES_MAX  128u

/* "/" service "/" method, as a Call names it. */
#define WIRE_PATH_BYTES_MAX (WIRE_SERVICE_BYTES_MAX + WIRE_METHOD_BYTES_MAX + 2)

/* Metadata of one call or job: entries, and bytes of all keys and values. */
#define WIRE_METADATA_MAX       32u
#define WIRE_METADATA_BYTES_MAX 8192u

/* Sentences for people, and words for programs. */
#define WIRE_TEXT_BYTES_MAX         4096u
#define WIRE_REASON_BYTES_MAX       128u
#define WIRE_CONTENT_TYPE_BYTES_MAX 128u

/* Items of one batch. */
#define WIRE_SUBMIT_JOBS_MAX  1000u
#define WIRE_POLL_ITEMS_MAX   1000u
#define WIRE_AWAIT_IDS_MAX    1000u
#define WIRE_WATCH_EVENTS_MAX 1000u

/* A parked call is answered after this long at the latest, milliseconds. */
#define WIRE_PARK_MS_MAX 20000u

/* Messages inside messages, counted from the outermost one. */
#define WIRE_DEPTH_MAX 8u

/* What decoding one frame may allocate: factor of its size, and the floor. */
#define WIRE_ARENA_FACTOR    16u
#define WIRE_ARENA_BYTES_MIN 65536u

#endif
