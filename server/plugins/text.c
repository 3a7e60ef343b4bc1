/* SPDX-License-Identifier: Apache-2.0 */
#include "server/plugins/text.h"

#include <string.h>

/* How many bytes the valid character at `at` has; 0: it is not valid. */
static size_t
character_len(const uint8_t *at, size_t left)
{
    if (at[0] < 0x80) {
        return at[0] >= 0x20 && at[0] != 0x7f   ? 1
               : at[0] == '\n' || at[0] == '\t' ? 1
                                                : 0;
    }
    size_t len = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;
    if (at[0] < 0xc2 || at[0] > 0xf4 || len > left) {
        return 0;
    }
    for (size_t i = 1; i < len; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    /* Longer than need be, surrogates, beyond U+10FFFF. */
    bool bad = (at[0] == 0xe0 && at[1] < 0xa0) ||
               (at[0] == 0xed && at[1] >= 0xa0) ||
               (at[0] == 0xf0 && at[1] < 0x90) ||
               (at[0] == 0xf4 && at[1] >= 0x90);
    return bad ? 0 : len;
}

static bool
is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

size_t
text_clean(char *text, size_t len)
{
    size_t first = 0;
    while (len > 0 && is_space(text[len - 1])) {
        len--;
    }
    while (first < len && is_space(text[first])) {
        first++;
    }
    memmove(text, text + first, len - first);
    len -= first;
    for (size_t i = 0; i < len;) {
        size_t step = character_len((const uint8_t *)text + i, len - i);
        if (step == 0) {
            text[i] = '?';
            step = 1;
        }
        i += step;
    }
    return len;
}

size_t
text_cut(const char *text, size_t len, size_t len_max)
{
    if (len <= len_max) {
        return len;
    }
    size_t end = len_max;
    while (end > 0 && ((uint8_t)text[end] & 0xc0) == 0x80) {
        end--;
    }
    return end;
}

bool
text_is_reason(const char *text, size_t len)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "abcdefghijklmnopqrstuvwxyz0123456789_-.:";
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\0' || strchr(allowed, text[i]) == NULL) {
            return false;
        }
    }
    return len > 0 && len <= REASON_BYTES_MAX;
}
