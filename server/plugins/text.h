/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What programs and servers write, made fit for an outcome. Pure.
 */
#ifndef REDIAL_SERVER_PLUGINS_TEXT_H
#define REDIAL_SERVER_PLUGINS_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TEXT_BYTES_MAX = 4096,  /* of an outcome's text */
    REASON_BYTES_MAX = 128, /* of its reason */
};

/*
 * Makes valid UTF-8 of `len` bytes in place, which is never longer: what is not
 * becomes '?', other control characters than tab and newline too, and white
 * space at both ends goes. Returns the new length; adds no NUL.
 */
size_t
text_clean(char *text, size_t len);

/* The longest prefix of valid UTF-8 that has at most `len_max` bytes. */
size_t
text_cut(const char *text, size_t len, size_t len_max);

/*
 * Whether this is a word that can be a reason: 1 to 128 of A-Z a-z 0-9 _ - . :
 */
bool
text_is_reason(const char *text, size_t len);

#endif
