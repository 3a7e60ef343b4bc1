/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of SP on a stream, as far as REP needs them: the greeting, the
 * head of each frame, the backtrace before each body. Pure; any thread.
 *
 *     greeting   00 'S' 'P' 00, protocol (16 bits), 00 00   both ways, once
 *     head       01 on ipc only, then the body's length (64 bits)
 *     body       backtrace, then what the layer above sends
 *     backtrace  words of 4 bytes; the last one has its top bit set (the
 *                request id), those before it were added by devices
 *
 * Numbers are big-endian.
 */
#ifndef REDIAL_SERVER_NET_SP_FRAME_H
#define REDIAL_SERVER_NET_SP_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SP_GREETING_BYTES      8u
#define SP_HEAD_BYTES_MAX      9u
#define SP_BACKTRACE_BYTES_MIN 4u
#define SP_BACKTRACE_BYTES_MAX 32u /* a request id and 7 devices */

enum sp_protocol {
    SP_PROTOCOL_REQ = 0x30,
    SP_PROTOCOL_REP = 0x31,
};

enum sp_framing {
    SP_FRAMING_STREAM, /* tcp, tls+tcp */
    SP_FRAMING_IPC,    /* ipc, abstract */
};

void
sp_greeting_write(enum sp_protocol protocol,
                  uint8_t ret_bytes[SP_GREETING_BYTES]);

bool
sp_greeting_is(const uint8_t bytes[SP_GREETING_BYTES],
               enum sp_protocol protocol);

/* How long a head is. */
size_t
sp_head_size(enum sp_framing framing);

void
sp_head_write(enum sp_framing framing, uint64_t body_len, uint8_t *ret_bytes);

/* False: it is no head. */
bool
sp_head_read(enum sp_framing framing, const uint8_t *bytes,
             uint64_t *ret_body_len);

/*
 * The length of the backtrace that `body` begins with; 0 when none ends within
 * `len` bytes and SP_BACKTRACE_BYTES_MAX.
 */
size_t
sp_backtrace_size(const uint8_t *body, size_t len);

#endif
