/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Retry-After header (RFC 9110, section 10.2.3). Pure.
 */
#ifndef REDIAL_SERVER_PLUGINS_HTTP_RETRY_AFTER_H
#define REDIAL_SERVER_PLUGINS_HTTP_RETRY_AFTER_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Reads a number of seconds, or a date in any of the three forms of HTTP
 * (section 5.6.7), and sets how many milliseconds after `now_ms` (since 1970
 * UTC) that is: 0 for a date in the past, at most 100 years. Returns false for
 * everything else.
 */
bool
retry_after_read(const char *value, int64_t now_ms, int64_t *ret_ms);

#endif
