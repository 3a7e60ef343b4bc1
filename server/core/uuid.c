/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/uuid.h"

/* The digit's value, or -1. */
static int
digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool
uuid_parse(struct text text, struct job_id *ret_id)
{
    struct job_id id;
    uint32_t at = 0;

    if (text.len != UUID_TEXT_BYTES) {
        return false;
    }
    for (uint32_t i = 0; i < sizeof(id.bytes); i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            if (text.at[at++] != '-') {
                return false;
            }
        }
        int high = digit(text.at[at]);
        int low = digit(text.at[at + 1]);

        if (high < 0 || low < 0) {
            return false;
        }
        id.bytes[i] = (uint8_t)(high << 4 | low);
        at += 2;
    }
    *ret_id = id;
    return true;
}
