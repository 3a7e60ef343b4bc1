/* SPDX-License-Identifier: Apache-2.0 */
#include "server/net/sp_frame.h"

#include <string.h>

#define IPC_MESSAGE 1u /* the only kind of message there is on ipc */

void
sp_greeting_write(enum sp_protocol protocol,
                  uint8_t ret_bytes[SP_GREETING_BYTES])
{
    const uint8_t bytes[SP_GREETING_BYTES] = {
        0, 'S', 'P', 0, (uint8_t)(protocol >> 8), (uint8_t)protocol, 0, 0};

    memcpy(ret_bytes, bytes, sizeof(bytes));
}

bool
sp_greeting_is(const uint8_t bytes[SP_GREETING_BYTES],
               enum sp_protocol protocol)
{
    uint8_t expected[SP_GREETING_BYTES];

    sp_greeting_write(protocol, expected);
    return memcmp(bytes, expected, sizeof(expected)) == 0;
}

size_t
sp_head_size(enum sp_framing framing)
{
    return framing == SP_FRAMING_IPC ? 9 : 8;
}

void
sp_head_write(enum sp_framing framing, uint64_t body_len, uint8_t *ret_bytes)
{
    if (framing == SP_FRAMING_IPC) {
        *ret_bytes++ = IPC_MESSAGE;
    }
    for (unsigned i = 0; i < 8; i++) {
        ret_bytes[i] = (uint8_t)(body_len >> (56 - 8 * i));
    }
}

bool
sp_head_read(enum sp_framing framing, const uint8_t *bytes,
             uint64_t *ret_body_len)
{
    uint64_t body_len = 0;

    if (framing == SP_FRAMING_IPC && *bytes++ != IPC_MESSAGE) {
        return false;
    }
    for (unsigned i = 0; i < 8; i++) {
        body_len = body_len << 8 | bytes[i];
    }
    *ret_body_len = body_len;
    return true;
}

size_t
sp_backtrace_size(const uint8_t *body, size_t len)
{
    for (size_t at = 0; at + 4 <= len && at < SP_BACKTRACE_BYTES_MAX; at += 4) {
        if ((body[at] & 0x80u) != 0) {
            return at + 4;
        }
    }
    return 0;
}
