/* SPDX-License-Identifier: Apache-2.0 */
#include "server/app/ids.h"

#include "proto/uuid.h"
#include "server/base/check.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

static int64_t
read_ms(clockid_t clock)
{
    struct timespec at;

    (void)clock_gettime(clock, &at);
    return (int64_t)at.tv_sec * 1000 + at.tv_nsec / 1000000;
}

struct now
ids_now(void)
{
    return (struct now){
        .mono = {read_ms(CLOCK_MONOTONIC)},
        .wall = {read_ms(CLOCK_REALTIME)},
    };
}

void
ids_random(void *bytes, size_t len)
{
    uint8_t *at = bytes;

    while (len > 0) {
        ssize_t got = getrandom(at, len, 0);

        redial_assert(got > 0 || errno == EINTR);
        if (got > 0) {
            at += got;
            len -= (size_t)got;
        }
    }
}

struct job_id
ids_make(struct wall wall)
{
    uint8_t random[WIRE_UUID_RANDOM_BYTES];
    struct wire_uuid uuid;
    struct job_id id;

    ids_random(random, sizeof(random));
    uuid = wire_uuid_make((uint64_t)wall.ms, random);
    memcpy(id.bytes, uuid.bytes, sizeof(id.bytes));
    return id;
}
