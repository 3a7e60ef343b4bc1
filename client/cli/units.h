/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Durations, sizes and points in time, as people write and read them. Pure.
 */
#ifndef REDIAL_CLIENT_CLI_UNITS_H
#define REDIAL_CLIENT_CLI_UNITS_H

#include "client/cli/text.h"

#include <stdint.h>

/* The longest duration that is understood: 10 years, in ms. */
#define UNITS_DURATION_MS_MAX UINT64_C(315360000000)

/*
 * "500ms", "2s", "1.5s", "3m", "1h", "2d", "1h30m" to milliseconds. NULL: good;
 * otherwise what is wrong, as the end of a sentence that begins with the text:
 * "has no unit". The string lives for ever.
 */
const char *
units_parse_duration(const char *string, uint64_t *ret_ms);

/* Decimal digits to a number within bounds; false otherwise. */
bool
units_parse_number(const char *string, uint64_t min, uint64_t max,
                   uint64_t *ret_number);

/* Two units at most: "850 ms", "9.2 s", "41 s", "2 m 3 s", "3 h 2 m". */
void
units_add_duration(struct text *text, uint64_t ms);

/* From `from_ms` to `to_ms` as a duration; "0 ms" if that is in the past. */
void
units_add_between(struct text *text, int64_t from_ms, int64_t to_ms);

/* A number of thousandths: "7.5", "-8", "0.125". */
void
units_add_milli(struct text *text, int64_t milli);

/* "512 B", "2.1 KiB", "3 MiB". */
void
units_add_bytes(struct text *text, uint64_t bytes);

/* "2026-01-31T23:59:59.123Z", of milliseconds since 1970 UTC. */
void
units_add_wall(struct text *text, int64_t wall_ms);

#endif
