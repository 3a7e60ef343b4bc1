/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two kinds of time that the compiler does not let us mix. Durations are
 * measured in `mono`; `wall` is for display and for records only. Who reads
 * the clocks is the caller's business: a program reads both once a turn, a test
 * or the simulator makes them up.
 */
#ifndef REDIAL_SERVER_BASE_CLOCK_H
#define REDIAL_SERVER_BASE_CLOCK_H

#include <stdint.h>

/* Milliseconds of a clock that never goes back; its zero means nothing. */
struct mono {
    int64_t ms;
};

/* Milliseconds since 1970-01-01 UTC; may jump. */
struct wall {
    int64_t ms;
};

struct now {
    struct mono mono;
    struct wall wall;
};

#define MONO_NEVER ((struct mono){INT64_MAX})

#endif
