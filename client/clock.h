/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time and chance: the only places where the library asks the system for
 * either. Any thread; never blocks.
 */
#ifndef REDIAL_CLIENT_CLOCK_H
#define REDIAL_CLIENT_CLOCK_H

#include <redial/client.h>

#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* Stands for "never" wherever a point in time is meant. */
#define REDIAL_I_NEVER INT64_MAX

#define REDIAL_I_MS 1000000

/* The monotonic clock, nanoseconds. Greater than 0. */
int64_t
redial_i_now(void);

/* Since 1970 UTC, milliseconds. */
uint64_t
redial_i_wall_ms(void);

/* Fills with random bytes; the process ends if the system has none. */
void
redial_i_random(void *bytes, size_t len);

/* Uniform in [0, bound), bound > 0: for jitter, not for secrets. */
uint64_t
redial_i_random_below(uint64_t bound);

/* The point in time of a deadline; {0} is `default_ms` from now. */
int64_t
redial_i_deadline(struct redial_deadline deadline, uint32_t default_ms);

/* From now to `at_ns`, rounded up: at least 0, at most `max`. */
uint32_t
redial_i_ms_until(int64_t at_ns, uint32_t max);

/* `at_ns` plus milliseconds, never beyond REDIAL_I_NEVER. */
int64_t
redial_i_after(int64_t at_ns, uint64_t ms);

/* For pthread_cond_timedwait() on the monotonic clock. */
struct timespec
redial_i_timespec(int64_t at_ns);

#endif /* REDIAL_CLIENT_CLOCK_H */
