/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The world of the pure core: one engine, a clock that only the script moves, a
 * random source that it may write down, and workers that behave as the library
 * does: they acknowledge at once, ask for more and show that they live.
 */
#include "tests/conformance/core.h"

#include "tests/conformance/box.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct core core;

/* ---- The random source ------------------------------------------------- */

uint64_t
__real_rng_below(struct rng *rng, uint64_t bound);

uint64_t
__wrap_rng_below(struct rng *rng, uint64_t bound);

/* What the script wrote down comes first; the linker puts this in between. */
uint64_t
__wrap_rng_below(struct rng *rng, uint64_t bound)
{
    core.last_bound = bound;
    if (core.drawn < core.draw_count) {
        uint64_t value = core.draws[core.drawn++];

        return value < bound ? value : bound - 1;
    }
    return __real_rng_below(rng, bound);
}

/* ---- The log ----------------------------------------------------------- */

struct text
core_text(const char *string)
{
    return (struct text){
        .at = string,
        .len = string == NULL ? 0 : (uint32_t)strlen(string),
    };
}

void *
core_memory(struct world *world, void *memory)
{
    if (memory == NULL) {
        world_fail(world, "no memory");
    }
    return memory;
}

static void
log_record(struct world *world, const struct record *record)
{
    size_t need = core.log_len + sizeof(size_t) + record_encoded_max(record, 0);

    if (need > core.log_max) {
        core.log_max = need * 2;
        core.log = core_memory(world, realloc(core.log, core.log_max));
    }
    size_t len = record_encode(record, (struct text){0},
                               core.log + core.log_len + sizeof(size_t));

    memcpy(core.log + core.log_len, &len, sizeof(len));
    core.log_len += sizeof(len) + len;
}

static void
replay(struct world *world, struct engine *engine)
{
    size_t at = 0;

    while (at < core.log_len) {
        struct record record;
        size_t len;

        memcpy(&len, core.log + at, sizeof(len));
        at += sizeof(len);
        if (!record_decode(core.log + at, len, &record) ||
            !engine_apply(engine, &record)) {
            world_fail(world, "the log cannot be read again");
        }
        at += len;
    }
}

struct engine *
core_make_engine(struct world *world)
{
    size_t size = (engine_size(&core.limits) + 63) / 64 * 64;
    void *memory = core_memory(world, aligned_alloc(64, size));

    memset(memory, 0, size);
    return engine_init(memory, &core.limits,
                       config_policy(core.configs[core.config_count - 1]),
                       core.seed, core.now);
}

/* An engine out of rows as of now and of all records, as after a crash. */
struct engine *
core_rebuild(struct world *world, bool rows)
{
    static uint8_t row[ENGINE_EXPORT_MAX];
    struct engine *engine = core_make_engine(world);
    uint32_t slot = rows ? engine_next_job(core.engine, ENGINE_NO_SLOT)
                         : ENGINE_NO_SLOT;

    while (slot != ENGINE_NO_SLOT) {
        if (!job_state_is_final(engine_state(core.engine, slot))) {
            size_t len = engine_export_job(core.engine, slot, row);

            if (!engine_load_job(engine, row, len)) {
                world_fail(world, "a row cannot be read again");
            }
        }
        slot = engine_next_job(core.engine, slot);
    }
    static uint8_t target[ENGINE_TARGET_EXPORT_MAX];
    struct engine_target_stats stats;

    for (uint32_t i = 0;
         rows && engine_target_stats(core.engine, core.now, i, &stats); i++) {
        size_t len = engine_export_target(core.engine, i, target);

        if (len > 0 && !engine_load_target(engine, target, len)) {
            world_fail(world, "the row of a target cannot be read again");
        }
    }
    replay(world, engine);
    if (engine_state_hash(engine) != engine_state_hash(core.engine)) {
        world_fail(world, "the log rebuilds another state");
    }
    return engine;
}

/* ---- What comes out ---------------------------------------------------- */

static struct job_id
id_of(int job)
{
    struct job_id id = {
        {0x01, 0x90, [14] = (uint8_t)(job >> 8), [15] = (uint8_t)(job + 1)}};

    id.bytes[13] = 1;
    return id;
}

static int
job_of(const struct world *world, struct job_id id)
{
    for (int job = 0; job < world->job_count; job++) {
        struct job_id own = id_of(job);

        if (memcmp(&own, &id, sizeof(id)) == 0) {
            return job;
        }
    }
    world_fail(world, "a record of an unknown job");
}

bool
core_same_token(const struct engine_token *a, const struct engine_token *b)
{
    return memcmp(&a->job, &b->job, sizeof(a->job)) == 0 &&
           a->attempt == b->attempt && a->fence == b->fence;
}

static void
take_assignment(struct world *world, const struct engine_command *command)
{
    struct core_worker *worker = core_worker_by_id(command->worker);

    if (worker == NULL || worker->in_hand_count == IN_HAND_MAX ||
        world->call_count == SEEN_MAX) {
        world_fail(world, "an assignment that nobody can take");
    }
    worker->in_hand[worker->in_hand_count++] = (struct hand){
        .token = command->token};
    worker->dirty = true;
    struct call *call = &world->calls[world->call_count++];

    *call = (struct call){
        .job = job_of(world, command->token.job),
        .at = world->now,
        .token = command->token,
        .timeout_ms = command->timeout_ms,
        .remaining_ms = command->remaining_ms,
        .charged_before = command->charged_before,
    };
    memcpy(call->worker, worker->name, sizeof(call->worker));
}

static void
take_stop(struct world *world, const struct engine_command *command)
{
    for (size_t i = 0; i < world->call_count; i++) {
        if (core_same_token(&world->calls[i].token, &command->token)) {
            world->calls[i].stopped = true;
        }
    }
}

void
core_take_output(struct world *world)
{
    for (size_t i = 0; i < core.out.record_count; i++) {
        const struct record *record = &core.out.records[i];
        int job = event_type_is_about_job(record->type)
                      ? job_of(world, record->job)
                      : NO_JOB;

        log_record(world, record);
        (void)world_note(world, record, job, world->now);
    }
    for (size_t i = 0; i < core.out.command_count; i++) {
        const struct engine_command *command = &core.out.commands[i];

        if (command->type == COMMAND_ASSIGN) {
            take_assignment(world, command);
        } else if (command->type == COMMAND_STOP) {
            take_stop(world, command);
        }
    }
}

void
core_step(struct world *world, const struct engine_input *input)
{
    engine_step(core.engine, core.now, input, &core.out);
    core_take_output(world);
}

void
core_act(struct world *world, const struct engine_input *input)
{
    core_step(world, input);
    struct engine_result result = core.out.result;

    core_polls(world);
    core.out.result = result;
}

/* ---- Life -------------------------------------------------------------- */

/* The gateway's own sizes would only cost time here. */
static void
take_limits(const struct config *config)
{
    core.limits = (struct engine_limits){
        .jobs_max = JOBS_MAX,
        .attempts_max = JOBS_MAX,
        .workers_max = WORKERS_MAX,
        .methods_max = 32,
        .tenants_max = 32,
        .keys_max = 64,
        .attempts_limit = config->max_attempts_limit,
        .payload_bytes_max = config->limits_live_payload_bytes_max,
        .lease_ms = config->worker_lease_ms,
        .adopt_ms = config->worker_adopt_ms,
        .silence_ms = config->worker_silence_ms,
        .grace_ms = config->worker_grace_ms,
    };
}

/* Reads the configuration out of a file; NULL: refused. */
static struct config *
load(struct world *world, const char *json)
{
    char path[256];
    const char *folder = getenv("TMPDIR");
    struct config *config = NULL;
    struct config_report report = {0};

    (void)snprintf(path, sizeof(path), "%s/redial-conformance-XXXXXX",
                   folder == NULL ? "/tmp" : folder);
    int fd = mkstemp(path);
    size_t len = strlen(json);

    if (fd < 0 || write(fd, json, len) != (ssize_t)len || close(fd) != 0) {
        world_fail(world, "%s cannot be written", path);
    }
    (void)config_load(
        &(struct config_sources){
            .file = path, .policy_version = (uint32_t)core.config_count + 1},
        &config, &report);
    (void)unlink(path);
    for (size_t i = 0; config == NULL && i < report.count; i++) {
        printf("    %s: found %s; allowed: %s\n", report.issues[i].path,
               report.issues[i].found, report.issues[i].allowed);
    }
    config_report_fini(&report);
    return config;
}

static bool
core_use_policy(struct world *world, const char *json, bool refused)
{
    struct config *config = load(world, json);

    (void)refused;
    if (config == NULL) {
        return false;
    }
    if (core.config_count == CONFIGS_MAX) {
        world_fail(world, "too many policies");
    }
    core.configs[core.config_count++] = config;
    if (core.engine != NULL) {
        core_act(world,
                 &(struct engine_input){.type = ENGINE_POLICY,
                                        .policy = config_policy(config)});
        return true;
    }
    take_limits(config);
    core.seed = core.seed == 0 ? 4711 : core.seed;
    if (!engine_outbox_init(&core.out)) {
        world_fail(world, "no memory");
    }
    core.engine = core_make_engine(world);
    return true;
}

void
core_move_to(struct world *world, int64_t to)
{
    core.now.mono.ms += to - world->now;
    core.now.wall.ms += to - world->now;
    world->now = to;
}

/* The next thing to happen up to `end`: a timer, a sign of life, the end. */
static int64_t
next_time(const struct world *world, int64_t end)
{
    int64_t zero = core.now.mono.ms - world->now;
    int64_t wake = engine_next_wake(core.engine).ms;
    int64_t next = wake == INT64_MAX || wake - zero > end ? end : wake - zero;

    for (int i = 0; i < core.worker_count; i++) {
        const struct core_worker *worker = &core.workers[i];

        if (worker->id != 0 && !worker->quiet && worker->heartbeat_at < next) {
            next = worker->heartbeat_at;
        }
    }
    return next < world->now ? world->now : next;
}

static void
core_advance(struct world *world, int64_t end)
{
    if (end < world->now) {
        world_fail(world, "it is %lld already", (long long)world->now);
    }
    if (core.engine == NULL) { /* the row is about a breaker alone */
        box_advance(world, end);
        return;
    }
    for (int round = 0; round < ROUNDS_MAX; round++) {
        core_move_to(world, next_time(world, end));
        for (int i = 0; i < core.worker_count; i++) {
            struct core_worker *worker = &core.workers[i];

            if (worker->id != 0 && !worker->quiet &&
                worker->heartbeat_at <= world->now) {
                worker->heartbeat_at = world->now + HEARTBEAT_MS;
                core_step(world,
                          &(struct engine_input){.type = ENGINE_HEARTBEAT,
                                                 .heartbeat = worker->id});
            }
        }
        core_act(world, &(struct engine_input){.type = ENGINE_TICK});
        if (world->now == end &&
            engine_next_wake(core.engine).ms > core.now.mono.ms) {
            return;
        }
    }
    world_fail(world, "time does not come to %lld", (long long)end);
}

/* ---- Agents and reports ------------------------------------------------ */

static struct answer
answer_of(const struct world *world)
{
    const struct engine_result *result = &core.out.result;
    struct answer answer = {
        .status = result->status,
        .job = NO_JOB,
        .deduplicated = result->deduplicated,
        .changed = result->changed,
        .retry_after_ms = result->retry_after_ms,
    };
    static const struct job_id none;

    if (result->reason != NULL) {
        (void)snprintf(answer.reason, sizeof(answer.reason), "%s",
                       result->reason);
    }
    if (memcmp(&result->job, &none, sizeof(none)) != 0) {
        answer.job = job_of(world, result->job);
    }
    return answer;
}

/* Good enough a hash for scripts. */
static void
hash_text(const char *text, uint8_t hash[16])
{
    for (size_t i = 0; text != NULL && text[i] != '\0'; i++) {
        hash[i % 16] = (uint8_t)(hash[i % 16] * 31 + (uint8_t)text[i] + 1);
    }
}

enum { TEXTS = 5, TEXT_BYTES = 160 };

/* A copy that is spoilt as soon as the engine has seen it. */
static struct text
lend(char room[TEXT_BYTES], const char *string)
{
    (void)snprintf(room, TEXT_BYTES, "%s", string == NULL ? "" : string);
    return core_text(room);
}

static struct answer
core_submit(struct world *world, const struct asked *asked)
{
    static char rooms[TEXTS][TEXT_BYTES];
    struct engine_input input = {
        .type = ENGINE_SUBMIT,
        .submit = {.id = id_of(asked->job),
                   .key = lend(rooms[0], asked->key),
                   .correlation = lend(rooms[1], asked->correlation),
                   .tenant = lend(rooms[2], asked->tenant),
                   .service = lend(rooms[3], asked->service),
                   .method = lend(rooms[4], asked->method),
                   .priority = asked->priority,
                   .idempotency = asked->idempotency,
                   .not_before_ms = asked->not_before_ms,
                   .deadline_ms = asked->deadline_ms,
                   .queue_ttl_ms = asked->queue_ttl_ms,
                   .max_attempts = asked->max_attempts,
                   .attempt_timeout_ms = asked->attempt_timeout_ms,
                   .payload_bytes = asked->payload_bytes},
    };

    if (asked->key != NULL) {
        hash_text(asked->key, input.submit.key_hash);
        hash_text(asked->content, input.submit.content_hash);
    }
    core_step(world, &input);
    struct engine_result result = core.out.result;

    memset(rooms, '?', sizeof(rooms));
    core_polls(world);
    core.out.result = result;
    return answer_of(world);
}

static struct answer
core_cancel(struct world *world, int job)
{
    struct engine_input input = {.type = ENGINE_CANCEL};

    input.cancel.id = id_of(job);
    input.cancel.reason = core_text("cancelled by the script");
    core_act(world, &input);
    return answer_of(world);
}

static struct answer
core_report(struct world *world, const struct call *call,
            const struct said *said)
{
    struct core_worker *worker = core_worker_named(world, call->worker, false);
    struct engine_input input = {
        .type = ENGINE_REPORT,
        .report = {.worker = worker->id,
                   .token = call->token,
                   .kind = said->kind,
                   .code = (enum redial_status)said->code,
                   .reason = core_text(said->reason),
                   .text = core_text(said->text),
                   .has_pushback = said->has_pushback,
                   .pushback_ms = said->pushback_ms,
                   .for_target = said->for_target,
                   .overloaded = said->overloaded},
    };

    if (said->kind != REPORT_PROGRESS) {
        core_put_down(worker, &call->token);
    }
    core_act(world, &input);
    return answer_of(world);
}

/* As the library does: it says so itself, at the limit. */
static void
core_time_out(struct world *world, const struct call *call)
{
    int64_t at = call->at + (int64_t)call->timeout_ms;

    if (at > world->now) {
        core_advance(world, at);
    }
    (void)core_report(world, call,
                      &(struct said){.code = REDIAL_DEADLINE_EXCEEDED,
                                     .reason = "ATTEMPT_TIMEOUT"});
}

static bool
core_await(struct world *world, int job, enum event_type type, uint32_t attempt)
{
    return world_find(world, job, type, attempt) != NULL;
}

static bool
core_await_stop(struct world *world, const struct call *call)
{
    (void)world;
    return call->stopped;
}

static const char *
core_state_of(struct world *world, int job)
{
    static char scratch[ENGINE_VIEW_BYTES];
    struct job_view view;
    uint32_t slot = engine_find(core.engine, id_of(job));

    (void)world;
    if (slot == ENGINE_NO_SLOT ||
        !engine_view(core.engine, slot, scratch, &view)) {
        return "NONE";
    }
    return job_state_name(view.shown);
}

void
core_world(struct world *ret_world)
{
    static const struct world_ops ops = {
        .use_policy = core_use_policy,
        .open_worker = core_open_worker,
        .change_worker = core_change_worker,
        .submit = core_submit,
        .cancel = core_cancel,
        .report = core_report,
        .time_out = core_time_out,
        .advance = core_advance,
        .await = core_await,
        .await_stop = core_await_stop,
        .state_of = core_state_of,
        .verb = core_verb,
    };

    core.now = (struct now){.mono = {1000000}, .wall = {1700000000000}};
    *ret_world = (struct world){.ops = &ops, .wall_zero_ms = core.now.wall.ms};
}

void
core_close(struct world *world)
{
    if (core.engine == NULL) {
        return;
    }
    free(core_rebuild(world, false));
    free(core_rebuild(world, true));
    free(core.engine);
    engine_outbox_fini(&core.out);
    for (int i = 0; i < core.config_count; i++) {
        config_free(core.configs[i]);
    }
    for (int i = 0; i < core.worker_count; i++) {
        free(core.workers[i].in_hand);
    }
    free(core.log);
    free(world->seen);
    free(world->calls);
}
