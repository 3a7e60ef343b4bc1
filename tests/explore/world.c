/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/explore/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LINE = 64,
    LOG_BYTES_MAX = 1 << 22,
    RECORDED_MAX = 4096,
};

struct world_options options;
struct world *world;
struct outcome outcome;

static struct engine *engine;
static char *block;
static char *initial; /* the block as it was at the start */
static size_t block_bytes;
static uint32_t line_count;
static struct engine_outbox out;
static struct policy_set policy;

/* ---- Chance ------------------------------------------------------------ */

uint64_t
__real_rng_next(struct rng *rng);

uint64_t
__wrap_rng_next(struct rng *rng);

uint64_t
__real_rng_below(struct rng *rng, uint64_t bound);

uint64_t
__wrap_rng_below(struct rng *rng, uint64_t bound);

double
__real_rng_unit(struct rng *rng);

double
__wrap_rng_unit(struct rng *rng);

/* The linker puts these in between: who draws nothing need not run twice. */
uint64_t
__wrap_rng_next(struct rng *rng)
{
    outcome.draws++;
    return __real_rng_next(rng);
}

uint64_t
__wrap_rng_below(struct rng *rng, uint64_t bound)
{
    outcome.draws += bound > 1;
    return __real_rng_below(rng, bound);
}

double
__wrap_rng_unit(struct rng *rng)
{
    outcome.draws++;
    return __real_rng_unit(rng);
}

void
world_chance(enum rng_edge edge)
{
    engine->rng.edge = edge;
}

/* ---- Configuration ----------------------------------------------------- */

static const struct engine_limits limits = {
    .jobs_max = JOBS,
    .attempts_max = 16,
    .workers_max = WORKERS,
    .methods_max = 1,
    .tenants_max = 1,
    .keys_max = 1,
    .attempts_limit = 10,
    .payload_bytes_max = 1000,
    .lease_ms = 1000,
    .adopt_ms = 1000,
    .silence_ms = 1000000000,
    .grace_ms = 1000,
};

/* Times are multiples of the least by which held jobs are spread. */
static void
make_breaker(struct breaker_policy *breaker)
{
    *breaker = (struct breaker_policy){
        .window_ms = 4000000000,
        .consecutive = 2,
        .open_ms = 1000,
        .open_ms_max = 1000,
        .multiplier_milli = 2000,
        .jitter_permille = 1000,
        .probes = PROBES,
        .probes_needed = PROBES,
        .trial_ms = 2000,
        .ramp_ms = 1000,
        .ramp_permille = 100,
        .hint_ms_max = 2000,
    };
    if (options.deep) {
        breaker->window_ms = 10000;
        breaker->calls_min = 2;
        breaker->failure_permille = 500;
        breaker->slow_permille = 500;
        breaker->slow_ms = 1000;
        breaker->consecutive = 0;
        breaker->open_ms_max = 2000;
        breaker->decay_ms = 4000;
    }
}

static void
make_policy(void)
{
    static struct target_policy target = {
        .has_breaker = true,
        .failure_codes = 1u << REDIAL_UNAVAILABLE |
                         1u << REDIAL_DEADLINE_EXCEEDED,
    };

    policy_set_default(&policy);
    make_breaker(&target.breaker);
    policy.fallback.retry.max_attempts = 2;
    policy.fallback.retry.initial_backoff_ms = 1000;
    policy.fallback.retry.max_backoff_ms = 1000;
    policy.fallback.retry.jitter = JITTER_NONE;
    policy.fallback.retry.free_attempts_max = 1;
    policy.fallback.attempt_timeout_ms = 1000;
    policy.target_fallback = target;
}

/* ---- The log ----------------------------------------------------------- */

static uint8_t *log_bytes;
static size_t log_len;
static bool logging;

void
world_log_begin(void)
{
    log_len = 0;
    logging = true;
}

static void
log_record(const struct record *record)
{
    size_t most = sizeof(size_t) + record_encoded_max(record, 0);

    redial_assert(log_len + most <= LOG_BYTES_MAX);
    size_t len = record_encode(record, (struct text){0},
                               log_bytes + log_len + sizeof(size_t));

    memcpy(log_bytes + log_len, &len, sizeof(len));
    log_len += sizeof(len) + len;
}

bool
world_log_rebuilds(void)
{
    size_t size = (engine_size(&limits) + LINE - 1) / LINE * LINE;
    void *memory = aligned_alloc(LINE, size);
    bool same = true;

    redial_assert(memory != NULL);
    memset(memory, 0, size);
    struct engine *rebuilt = engine_init(memory, &limits, &policy, 1,
                                         world->now);

    for (size_t at = 0; at < log_len && same;) {
        struct record record;
        size_t len;

        memcpy(&len, log_bytes + at, sizeof(len));
        at += sizeof(len);
        same = record_decode(log_bytes + at, len, &record) &&
               engine_apply(rebuilt, &record);
        at += len;
    }
    same = same && engine_state_hash(rebuilt) == engine_state_hash(engine);
    free(memory);
    logging = false;
    return same;
}

/* ---- Looking ----------------------------------------------------------- */

struct engine *
world_engine(void)
{
    return engine;
}

struct target *
world_target(void)
{
    for (uint32_t i = 0; i < engine->targets.fresh; i++) {
        struct target *target = slab_at(&engine->targets, i);

        if (target->name_len > 0) {
            return target;
        }
    }
    return NULL;
}

uint32_t
world_slots(uint32_t worker)
{
    return worker + 1;
}

static struct job_id
id_of(uint32_t number)
{
    return (struct job_id){{[0] = 1, [15] = (uint8_t)(number + 1)}};
}

struct job *
world_job(uint32_t number)
{
    uint32_t slot = engine_find(engine, id_of(number));

    return slot == ENGINE_NO_SLOT ? NULL : slab_at(&engine->jobs, slot);
}

/* ---- What comes out ---------------------------------------------------- */

static uint8_t
number_of(struct job_id id)
{
    return (uint8_t)(id.bytes[15] - 1);
}

static struct explored_worker *
worker_of(uint64_t id)
{
    for (uint32_t i = 0; i < WORKERS; i++) {
        if (world->workers[i].id == id) {
            return &world->workers[i];
        }
    }
    return NULL;
}

static void
take_assignment(const struct engine_command *command)
{
    struct explored_worker *worker = worker_of(command->worker);

    if (worker == NULL || worker->count == HAND_MAX) {
        outcome.problem = "an attempt goes to a worker that is not there";
        return;
    }
    worker->hand[worker->count++] = (struct hand){
        .token = command->token,
        .fence = command->token.fence,
        .job = number_of(command->token.job),
    };
    worker->dirty = true;
}

/* Follows the breaker through the records of a step, in their order. */
static void
take_records(uint8_t state, bool forced)
{
    for (size_t i = 0; i < out.record_count; i++) {
        const struct record *record = &out.records[i];

        if (record->breaker.epoch != 0) {
            state = (uint8_t)record->breaker.state;
            forced = record->breaker.forced != 0;
        }
        if (record->type == EVENT_ATTEMPT_STARTED) {
            redial_assert(outcome.start_count < STARTS_MAX);
            outcome.starts[outcome.start_count++] = (struct start){
                .fence = record->fence, .state = state, .forced = forced};
        }
        if (logging) {
            log_record(record);
        }
    }
}

/* Who failed of late only ranks workers: a thousand times as many states. */
static void
forget_failures(void)
{
    for (uint32_t i = 0; i < engine->workers.fresh; i++) {
        struct worker *worker = slab_at(&engine->workers, i);

        worker->failures = 0;
    }
}

static void
step(const struct engine_input *input)
{
    const struct target *target = world_target();
    uint8_t state = target == NULL ? BREAKER_CLOSED : target->breaker.state;
    bool forced = target != NULL && target->breaker.forced;

    engine_step(engine, world->now, input, &out);
    forget_failures();
    take_records(state, forced);
    for (size_t i = 0; i < out.command_count; i++) {
        if (out.commands[i].type == COMMAND_ASSIGN) {
            take_assignment(&out.commands[i]);
        }
    }
}

static void
poll_once(struct explored_worker *worker)
{
    struct engine_token acks[HAND_MAX];
    struct engine_input input = {.type = ENGINE_POLL};
    uint32_t slots = world_slots((uint32_t)(worker - world->workers));

    worker->dirty = false;
    for (uint32_t i = 0; i < worker->count; i++) {
        acks[i] = worker->hand[i].token;
    }
    input.poll.worker = worker->id;
    input.poll.acks = acks;
    input.poll.ack_count = worker->count;
    input.poll.free_total = worker->count < slots ? slots - worker->count : 0;
    step(&input);
}

void
world_poll(void)
{
    for (int round = 0; round < 100; round++) {
        bool more = false;

        for (uint32_t i = 0; i < WORKERS; i++) {
            if (world->workers[i].dirty && world->workers[i].id != 0) {
                poll_once(&world->workers[i]);
                more = true;
            }
        }
        if (!more) {
            return;
        }
    }
    outcome.problem = "workers and engine talk without an end";
}

void
world_step(const struct engine_input *input)
{
    outcome.start_count = 0;
    step(input);
    if (input->type == ENGINE_SUBMIT && out.result.status != REDIAL_OK) {
        outcome.problem = "a job was refused";
    }
    world_poll();
}

static uint64_t
key_of(uint64_t id)
{
    uint64_t key = 0;

    for (uint32_t i = 0; i < engine->workers.fresh; i++) {
        const struct worker *worker = slab_at(&engine->workers, i);

        if (worker->id == id) {
            memcpy(&key, worker->key, sizeof(key));
        }
    }
    return key;
}

void
world_hello(uint32_t number)
{
    static const char *const names[WORKERS] = {"v", "w"};
    struct explored_worker *worker = &world->workers[number];
    struct engine_token tokens[HAND_MAX];
    struct engine_slots slots = {.service = text_of("s"),
                                 .method = text_of("m"),
                                 .count = world_slots(number)};
    struct engine_input input = {
        .type = ENGINE_HELLO,
        .hello = {.name = text_of(names[number]),
                  .instance = text_of("1"),
                  .methods = &slots,
                  .method_count = 1,
                  .concurrency = world_slots(number),
                  .in_hand = tokens,
                  .in_hand_count = worker->count},
    };

    for (uint32_t i = 0; i < worker->count; i++) {
        tokens[i] = worker->hand[i].token;
    }
    outcome.start_count = 0;
    step(&input);
    if (out.result.status != REDIAL_OK) {
        outcome.problem = "a worker was refused";
    }
    worker->id = out.result.worker;
    worker->key = key_of(worker->id);
    worker->dirty = true;
    world_poll();
}

/* ---- Life -------------------------------------------------------------- */

void
world_init(void)
{
    size_t head = (sizeof(struct world) + LINE - 1) / LINE * LINE;

    make_policy();
    block_bytes = (head + engine_size(&limits) + LINE - 1) / LINE * LINE;
    line_count = (uint32_t)(block_bytes / LINE);
    block = aligned_alloc(LINE, block_bytes);
    initial = aligned_alloc(LINE, block_bytes);
    log_bytes = malloc(LOG_BYTES_MAX);
    redial_assert(block != NULL && initial != NULL && log_bytes != NULL);
    bool has_outbox = engine_outbox_init(&out);

    redial_assert(has_outbox);
    memset(block, 0, block_bytes);
    world = (struct world *)(void *)block;
    world->now = (struct now){.mono = {1000000}, .wall = {1700000000000}};
    engine = engine_init(block + head, &limits, &policy, 1, world->now);
    memcpy(initial, block, block_bytes);
}

void
world_fini(void)
{
    free(block);
    free(initial);
    free(log_bytes);
    engine_outbox_fini(&out);
}

/* ---- Snapshots --------------------------------------------------------- */

struct snapshot {
    uint32_t count;
    uint32_t lines[]; /* their numbers, then their bytes */
};

static bool
line_is_new(uint32_t line)
{
    size_t at = (size_t)line * LINE;

    return memcmp(block + at, initial + at, LINE) != 0;
}

/* Numbers of the lines that differ from the start. */
static uint32_t
find_lines(uint32_t *ret_lines)
{
    enum { PAGE_LINES = 64 };
    uint32_t count = 0;

    for (uint32_t page = 0; page < line_count; page += PAGE_LINES) {
        uint32_t end = page + PAGE_LINES < line_count ? page + PAGE_LINES
                                                      : line_count;
        size_t at = (size_t)page * LINE;

        if (memcmp(block + at, initial + at, (size_t)(end - page) * LINE) ==
            0) {
            continue;
        }
        for (uint32_t line = page; line < end; line++) {
            if (line_is_new(line)) {
                ret_lines[count++] = line;
            }
        }
    }
    return count;
}

static uint32_t *
line_room(void)
{
    static uint32_t *room;

    if (room == NULL) {
        room = malloc(line_count * sizeof(uint32_t));
        redial_assert(room != NULL);
    }
    return room;
}

void *
world_save(void)
{
    uint32_t *lines = line_room();
    uint32_t count = find_lines(lines);
    struct snapshot *snapshot = malloc(sizeof(struct snapshot) +
                                       count * (sizeof(uint32_t) + LINE));

    redial_assert(snapshot != NULL);
    snapshot->count = count;
    memcpy(snapshot->lines, lines, count * sizeof(uint32_t));
    char *bytes = (char *)(snapshot->lines + count);

    for (uint32_t i = 0; i < count; i++) {
        memcpy(bytes + (size_t)i * LINE, block + (size_t)lines[i] * LINE, LINE);
    }
    return snapshot;
}

void
world_restore(const void *saved)
{
    const struct snapshot *snapshot = saved;
    const char *bytes = (const char *)(snapshot->lines + snapshot->count);
    uint32_t *lines = line_room();
    uint32_t count = find_lines(lines);

    for (uint32_t i = 0; i < count; i++) {
        size_t at = (size_t)lines[i] * LINE;

        memcpy(block + at, initial + at, LINE);
    }
    for (uint32_t i = 0; i < snapshot->count; i++) {
        memcpy(block + (size_t)snapshot->lines[i] * LINE,
               bytes + (size_t)i * LINE, LINE);
    }
}
