/* SPDX-License-Identifier: Apache-2.0 */
#include "server/app/retention.h"

#include "server/app/gateway.h"

enum {
    RETENTION_EVERY_MS = 5000,
    RETENTION_TICKET = 1, /* never a place in memory: see asks.c */
};

static struct store_retention
limits_of(const struct gateway *gateway)
{
    const struct config *config = gateway->config;

    return (struct store_retention){
        .now_wall_ms = gateway->now.wall.ms,
        .events_age_ms = config->retention_events_time_ms,
        .events_bytes = config->retention_events_bytes,
        .finished_age_ms = config->retention_finished_time_ms,
        .finished_count = config->retention_finished_jobs,
        .failed_age_ms = config->retention_failed_time_ms,
        .failed_count = config->retention_failed_jobs,
        .failed_bytes = config->retention_failed_bytes,
    };
}

void
retention_run(struct gateway *gateway)
{
    struct store_retention limits;

    if (gateway->now.mono.ms < gateway->retention_next.ms) {
        return;
    }
    gateway->retention_next.ms = gateway->now.mono.ms + RETENTION_EVERY_MS;
    if (tail_committed(gateway->tail) == gateway->retention_seen &&
        gateway->now.mono.ms < gateway->retention_idle.ms) {
        return;
    }
    /* Nothing new: ages alone need a look only once a minute. */
    gateway->retention_seen = tail_committed(gateway->tail);
    gateway->retention_idle.ms = gateway->now.mono.ms + 60000;
    limits = limits_of(gateway);
    (void)store_trim(gateway->store, RETENTION_TICKET, &limits);
}

struct mono
retention_next(const struct gateway *gateway)
{
    return gateway->retention_next;
}

void
retention_trimmed(struct gateway *gateway, const struct store_answer *answer)
{
    if (answer->first_seq > gateway->recovered.first_seq) {
        gateway->recovered.first_seq = answer->first_seq;
    }
    for (size_t i = 0; i < answer->key_count; i++) {
        engine_forget_key(gateway->engine, answer->keys[i].key_hash,
                          answer->keys[i].job);
    }
}

uint64_t
retention_first_seq(const struct gateway *gateway)
{
    uint64_t first = gateway->recovered.first_seq;

    return first == 0 ? 1 : first;
}
