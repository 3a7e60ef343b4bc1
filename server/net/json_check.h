/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a text is JSON (RFC 8259): one value of any kind, nothing behind it.
 * Walks it once without memory; that it is UTF-8 is checked elsewhere.
 */
#ifndef REDIAL_SERVER_NET_JSON_CHECK_H
#define REDIAL_SERVER_NET_JSON_CHECK_H

#include <stddef.h>

/* Arrays and objects within each other; deeper is refused. */
enum { JSON_CHECK_DEPTH_MAX = 512 };

/* NULL: it is. Otherwise what is wrong, and the byte (from 0) where. */
const char *
json_check(const char *text, size_t len, size_t *ret_at);

#endif
