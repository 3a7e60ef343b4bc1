/* SPDX-License-Identifier: Apache-2.0 */
#include "client/clock.h"

#include "proto/check.h"
#include "proto/uuid.h"

#include <errno.h>
#include <sys/random.h>

#define NS_PER_S 1000000000

int64_t
redial_i_now(void)
{
    struct timespec now;

    WIRE_CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

uint64_t
redial_i_wall_ms(void)
{
    struct timespec now;

    WIRE_CHECK(clock_gettime(CLOCK_REALTIME, &now) == 0);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / REDIAL_I_MS;
}

void
redial_i_random(void *bytes, size_t len)
{
    uint8_t *at = bytes;

    while (len > 0) {
        ssize_t got = getrandom(at, len, 0);

        if (got < 0) {
            WIRE_CHECK(errno == EINTR);
            continue;
        }
        at += got;
        len -= (size_t)got;
    }
}

uint64_t
redial_i_random_below(uint64_t bound)
{
    uint64_t number;

    redial_i_random(&number, sizeof(number));
    return number % bound;
}

int64_t
redial_i_after(int64_t at_ns, uint64_t ms)
{
    if (ms >= (uint64_t)(REDIAL_I_NEVER - at_ns) / REDIAL_I_MS) {
        return REDIAL_I_NEVER;
    }
    return at_ns + (int64_t)ms * REDIAL_I_MS;
}

int64_t
redial_i_deadline(struct redial_deadline deadline, uint32_t default_ms)
{
    if (deadline.mono_ns != 0) {
        return deadline.mono_ns;
    }
    return redial_i_after(redial_i_now(), default_ms);
}

uint32_t
redial_i_ms_until(int64_t at_ns, uint32_t max)
{
    int64_t left = at_ns - redial_i_now();

    if (left <= 0) {
        return 0;
    }
    left = left / REDIAL_I_MS + (left % REDIAL_I_MS != 0 ? 1 : 0);
    return left > (int64_t)max ? max : (uint32_t)left;
}

struct timespec
redial_i_timespec(int64_t at_ns)
{
    struct timespec at = {
        .tv_sec = (time_t)(at_ns / NS_PER_S),
        .tv_nsec = (long)(at_ns % NS_PER_S),
    };

    return at;
}

struct redial_deadline
redial_in_ms(uint64_t ms)
{
    struct redial_deadline deadline = {redial_i_after(redial_i_now(), ms)};

    return deadline;
}

struct redial_deadline
redial_never(void)
{
    struct redial_deadline deadline = {REDIAL_I_NEVER};

    return deadline;
}

void
redial_new_id(char ret_id[37])
{
    uint8_t random[WIRE_UUID_RANDOM_BYTES];
    struct wire_uuid uuid;

    redial_i_random(random, sizeof(random));
    uuid = wire_uuid_make(redial_i_wall_ms(), random);
    wire_uuid_format(&uuid, ret_id);
}
