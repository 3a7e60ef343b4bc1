/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All memory of the engine, laid out once. Tables are as large as the limits
 * say and sized for the worst case, so that no step can run out of anything
 * but what it checks at the door (jobs, keys, names, workers, payload bytes).
 * Nothing here writes to a table: pages are touched only as they are used.
 */
#include "server/core/state.h"

#include <stdlib.h>

enum {
    ALIGN = 64,
    OUTBOX_TEXT_BYTES = 4 * 1024 * 1024,
    OFFERS_SPARE = 4 * OFFERS_PER_WORKER_MAX,
    OFFERS_PER_WORKER = 16, /* on average */
    /* How far the store may lag, in records: as many rows may be stale. */
    STALE_ROWS_MAX = 500000,
    /* Longest texts of a job: correlation, key, reason with text. */
    CHUNKS_PER_JOB = 5 + 5 + 14,
};

_Static_assert((NAME_BYTES_MAX + 2 + CHUNK_DATA_BYTES - 1) / CHUNK_DATA_BYTES ==
                   5,
               "a name takes five chunks");
_Static_assert((REASON_BYTES_MAX + TEXT_BYTES_MAX + 2 + CHUNK_DATA_BYTES - 1) /
                       CHUNK_DATA_BYTES ==
                   14,
               "a failure takes fourteen chunks");

/* Hands out aligned pieces; without a base it only counts. */
struct layout {
    char *base;
    size_t used;
};

static void *
piece(struct layout *layout, size_t bytes)
{
    size_t at = (layout->used + ALIGN - 1) / ALIGN * ALIGN;

    layout->used = at + bytes;
    return layout->base == NULL ? NULL : layout->base + at;
}

static void
place_slab(struct layout *layout, struct slab *slab, size_t item_bytes,
           uint32_t count_max)
{
    slab_init(slab, piece(layout, item_bytes * count_max), item_bytes,
              count_max);
}

static void
place_map(struct layout *layout, struct map *map, uint32_t key_bytes,
          uint32_t count_max, struct hash_key key)
{
    map_init(map, piece(layout, map_size(key_bytes, count_max)), key_bytes,
             count_max, key);
}

static void
place_heap(struct layout *layout, struct heap *heap, uint32_t count_max)
{
    heap_init(heap, piece(layout, heap_size(count_max)), count_max);
}

/*
 * In the middle of recovery there may be more than the limits say: rows show
 * jobs as they were later, beside others that end in records still to come.
 * The limits hold again at its end, and for all that live code lets in.
 */
uint32_t
engine_slots_max(const struct engine_limits *limits)
{
    uint32_t stale = limits->jobs_max < STALE_ROWS_MAX ? limits->jobs_max
                                                       : STALE_ROWS_MAX;

    return limits->jobs_max + stale;
}

static void
place_tables(struct layout *layout, struct engine *engine)
{
    const struct engine_limits *limits = &engine->limits;
    struct hash_key key = engine->hash_key;
    uint32_t jobs = engine_slots_max(limits);
    uint32_t attempts = limits->attempts_max * 2;
    uint32_t methods = limits->methods_max * 2;
    uint32_t tenants = limits->tenants_max * 2;
    /* Awaited workers exist only as long as attempts name them. */
    uint32_t workers = limits->workers_max + attempts + 1;
    uint32_t offers = limits->workers_max * OFFERS_PER_WORKER + OFFERS_SPARE;
    /* Each lane has a job, or is the spare of its level. */
    uint32_t lanes = limits->jobs_max + methods * PRIORITY_COUNT;
    uint32_t services = methods * 2; /* with those that workers serve whole */
    /* One for each method, those that are kept, and those of one reload. */
    uint32_t targets = methods * 3;

    place_slab(layout, &engine->jobs, sizeof(struct job), jobs);
    place_slab(layout, &engine->attempts, sizeof(struct attempt), attempts);
    place_slab(layout, &engine->workers, sizeof(struct worker), workers);
    place_slab(layout, &engine->offers, sizeof(struct offer), offers);
    place_slab(layout, &engine->lanes, sizeof(struct lane), lanes);
    place_slab(layout, &engine->tenants, sizeof(struct tenant), tenants);
    place_slab(layout, &engine->services, sizeof(struct service), services);
    place_slab(layout, &engine->methods, sizeof(struct method), methods);
    place_slab(layout, &engine->targets, sizeof(struct target), targets);
    place_slab(layout, &engine->keys, sizeof(struct key_entry),
               limits->keys_max);
    place_map(layout, &engine->jobs_by_id, 16, jobs, key);
    place_map(layout, &engine->workers_by_name, 16, workers, key);
    place_map(layout, &engine->lanes_by_key, 8, lanes, key);
    place_map(layout, &engine->tenants_by_name, 16, tenants, key);
    place_map(layout, &engine->services_by_name, 16, services, key);
    place_map(layout, &engine->methods_by_name, 16, methods, key);
    place_map(layout, &engine->targets_by_name, 16, targets, key);
    place_map(layout, &engine->keys_by_hash, 16, limits->keys_max, key);
    chunk_init(&engine->texts, piece(layout, chunk_size(jobs * CHUNKS_PER_JOB)),
               jobs * CHUNKS_PER_JOB);
    engine->correlation_buckets = jobs;
    engine->correlations = piece(layout, (size_t)jobs * sizeof(struct list));
    place_heap(layout, &engine->job_timers, jobs);
    place_heap(layout, &engine->attempt_timers, attempts);
    place_heap(layout, &engine->worker_timers, workers);
    place_heap(layout, &engine->target_timers, targets);
    place_heap(layout, &engine->gate_timers, targets);
    place_heap(layout, &engine->method_timers, methods);
    place_heap(layout, &engine->tenant_timers, tenants);
    engine->targets_kept_max = methods;
}

size_t
engine_size(const struct engine_limits *limits)
{
    struct engine counted = {.limits = *limits};
    struct layout layout = {0};

    piece(&layout, sizeof(struct engine));
    place_tables(&layout, &counted);
    return layout.used;
}

static void
check_limits(const struct engine_limits *limits)
{
    redial_assert(limits->jobs_max > 0 && limits->jobs_max <= 1u << 26);
    redial_assert(limits->attempts_max > 0 && limits->attempts_max <= 1u << 26);
    redial_assert(limits->workers_max > 0 && limits->workers_max <= 1u << 20);
    redial_assert(limits->methods_max > 0 && limits->methods_max <= 1u << 20);
    redial_assert(limits->tenants_max > 0 && limits->keys_max <= 1u << 30);
}

struct engine *
engine_init(void *memory, const struct engine_limits *limits,
            const struct policy_set *policy, uint64_t seed, struct now now)
{
    struct layout layout = {.base = memory};
    struct engine *engine = piece(&layout, sizeof(struct engine));

    check_limits(limits);
    engine->limits = *limits;
    engine->policy = policy;
    engine->now = now;
    engine->next_seq = 1;
    engine->patience_until_ms = INT64_MIN;
    rng_init(&engine->rng, seed);
    engine->hash_key.words[0] = rng_next(&engine->rng);
    engine->hash_key.words[1] = rng_next(&engine->rng);
    /* Ids from before a restart must not look like new ones. */
    engine->generation = rng_next(&engine->rng) ^ (uint64_t)now.wall.ms;
    engine->forgot_ms = now.mono.ms;
    flow_init(&engine->flow, now.mono.ms);
    place_tables(&layout, engine);
    list_init(&engine->ring);
    list_init(&engine->tenants_with_room);
    list_init(&engine->open_gates);
    list_init(&engine->unparking);
    list_init(&engine->hopeless);
    list_init(&engine->ending);
    list_init(&engine->unused_tenants);
    list_init(&engine->unused_services);
    list_init(&engine->unused_methods);
    list_init(&engine->blank_targets);
    list_init(&engine->kept_targets);
    list_init(&engine->changed_targets);
    return engine;
}

bool
engine_outbox_init(struct engine_outbox *outbox)
{
    *outbox = (struct engine_outbox){.text_bytes_max = OUTBOX_TEXT_BYTES};
    outbox->records = malloc(ENGINE_RECORDS_MAX * sizeof(struct record));
    outbox->commands = malloc(ENGINE_COMMANDS_MAX *
                              sizeof(struct engine_command));
    outbox->texts = malloc(OUTBOX_TEXT_BYTES);
    if (outbox->records == NULL || outbox->commands == NULL ||
        outbox->texts == NULL) {
        engine_outbox_fini(outbox);
        return false;
    }
    return true;
}

void
engine_outbox_fini(struct engine_outbox *outbox)
{
    free(outbox->records);
    free(outbox->commands);
    free(outbox->texts);
    *outbox = (struct engine_outbox){0};
}
