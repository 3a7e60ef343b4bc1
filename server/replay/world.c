/* SPDX-License-Identifier: Apache-2.0 */
#include "server/replay/world.h"

#include "server/base/check.h"
#include "server/base/heap.h"
#include "server/base/list.h"
#include "server/core/text.h"

#include <stdlib.h>
#include <string.h>

enum {
    OFFERS_MAX = 256,   /* in one Hello */
    HAND_MAX = 1 << 20, /* attempts at once, over all workers */
    START_MS = 1000000,
};

/* Nobody is ever silent or late here. */
static const uint64_t forever_ms = UINT64_C(1000000000000);

/* An attempt that runs in the replay. */
struct running {
    struct heap_node timer; /* its end */
    struct engine_token token;
    uint64_t worker;
    uint32_t job; /* index in the history */
    int64_t started_ms;
    struct engine_report report; /* what it will come to */
    uint32_t unused;             /* index + 1 of the next free one */
};

struct world {
    const struct history *history;
    enum replay_beyond beyond;
    struct replayed *jobs;
    void *engine_memory;
    struct engine *engine;
    struct engine_outbox out;
    struct now now;
    struct running *running;
    uint32_t running_max;
    uint32_t running_fresh;
    uint32_t running_unused;
    struct heap ends;
    void *ends_memory;
    struct map by_fence;
    void *by_fence_memory;
};

/* ---- Life -------------------------------------------------------------- */

static struct engine_limits
limits_for(const struct history *history, uint32_t attempts_limit)
{
    uint64_t in_hand = 1;

    for (uint32_t i = 0; i < history->worker_count; i++) {
        in_hand += history->workers[i].concurrency;
    }
    /* Names of one kind each; there are no more of them than texts. */
    return (struct engine_limits){
        .jobs_max = history->job_count + 1,
        .attempts_max = in_hand > HAND_MAX ? HAND_MAX : (uint32_t)in_hand,
        .workers_max = history->worker_count + history->offer_count + 1,
        .methods_max = history->method_count + 1,
        .tenants_max = history->text_count + 1,
        .keys_max = 1,
        .attempts_limit = attempts_limit,
        .payload_bytes_max = UINT64_MAX / 2,
        .lease_ms = forever_ms,
        .adopt_ms = forever_ms,
        .silence_ms = forever_ms,
        .grace_ms = 2000,
    };
}

static void
world_fini(struct world *world)
{
    engine_outbox_fini(&world->out);
    free(world->engine_memory);
    free(world->running);
    free(world->ends_memory);
    free(world->by_fence_memory);
}

/* False: no memory; world_fini() is still to be called. */
static bool
world_init(struct world *world, const struct policy_set *policy,
           uint32_t attempts_limit)
{
    struct engine_limits limits = limits_for(world->history, attempts_limit);
    struct hash_key key = {{3, 4}};
    void *memory = NULL;
    size_t size = engine_size(&limits);

    world->running_max = limits.attempts_max * 2;
    world->running = calloc(world->running_max, sizeof(struct running));
    world->ends_memory = malloc(heap_size(world->running_max));
    world->by_fence_memory = calloc(1, map_size(8, world->running_max));
    if (posix_memalign(&memory, 64, size) != 0) {
        return false;
    }
    world->engine_memory = memset(memory, 0, size);
    if (world->running == NULL || world->ends_memory == NULL ||
        world->by_fence_memory == NULL || !engine_outbox_init(&world->out)) {
        return false;
    }
    heap_init(&world->ends, world->ends_memory, world->running_max);
    map_init(&world->by_fence, world->by_fence_memory, 8, world->running_max,
             key);
    world->now.mono.ms = START_MS;
    world->now.wall.ms = world->history->first_wall_ms;
    world->engine = engine_init(world->engine_memory, &limits, policy, 1,
                                world->now);
    return true;
}

/* ---- Attempts ---------------------------------------------------------- */

static struct running *
running_take(struct world *world)
{
    struct running *running;

    if (world->running_unused != 0) {
        running = &world->running[world->running_unused - 1];
        world->running_unused = running->unused;
    } else {
        redial_assert(world->running_fresh < world->running_max);
        running = &world->running[world->running_fresh++];
    }
    *running = (struct running){.unused = 0};
    return running;
}

static void
running_give(struct world *world, struct running *running)
{
    (void)map_remove_u64(&world->by_fence, running->token.fence);
    running->unused = world->running_unused;
    world->running_unused = (uint32_t)(running - world->running) + 1;
}

/* The k-th recorded attempt that counted; NULL: there is none. */
static const struct past_attempt *
past_of(const struct history *history, const struct past_job *job, uint32_t k)
{
    for (uint32_t i = job->first; i != HISTORY_NONE;
         i = history->attempts[i].next) {
        const struct past_attempt *past = &history->attempts[i];

        if (!past->free && past->ended_ms >= 0 && k-- == 0) {
            return past;
        }
    }
    return NULL;
}

/* The newest one that counted: of the job, else of its method, else NULL. */
static const struct past_attempt *
past_last(const struct history *history, const struct past_job *job)
{
    const struct past_attempt *last = NULL;
    uint32_t newest = history->methods[job->method].last_attempt;

    for (uint32_t i = job->first; i != HISTORY_NONE;
         i = history->attempts[i].next) {
        const struct past_attempt *past = &history->attempts[i];

        if (!past->free && past->ended_ms >= 0) {
            last = past;
        }
    }
    if (last == NULL && newest != HISTORY_NONE) {
        last = &history->attempts[newest];
    }
    return last;
}

static void
report_of(const struct history *history, const struct past_attempt *past,
          struct engine_report *ret)
{
    ret->code = past->code;
    ret->reason = history->texts[past->reason];
    ret->has_pushback = past->has_pushback;
    ret->pushback_ms = past->pushback_ms;
    ret->for_target = past->for_target;
    ret->overloaded = past->overloaded;
}

/* Did the k-th one run when an agent cancelled the job? */
static bool
was_cancelled(const struct history *history, const struct past_job *job,
              uint32_t k)
{
    uint32_t count = 0;
    uint32_t cancelled = 0;

    for (uint32_t i = job->first; i != HISTORY_NONE;
         i = history->attempts[i].next) {
        const struct past_attempt *past = &history->attempts[i];

        count += !past->free && past->ended_ms >= 0;
        cancelled += past->free && past->code == REDIAL_CANCELLED &&
                     past->ended_ms == job->cancelled_ms;
    }
    return job->cancelled_ms >= 0 && k >= count && k < count + cancelled;
}

static bool
timed_out(const struct engine_report *report)
{
    return report->code == REDIAL_DEADLINE_EXCEEDED &&
           text_equals(report->reason, text_of("ATTEMPT_TIMEOUT"));
}

/* How the attempt goes; returns how long it takes. */
static int64_t
choose_outcome(struct world *world, struct running *running,
               uint64_t timeout_ms)
{
    const struct history *history = world->history;
    const struct past_job *job = &history->jobs[running->job];
    struct replayed *replayed = &world->jobs[running->job];
    uint32_t k = replayed->attempts++;
    const struct past_attempt *past = past_of(history, job, k);
    int64_t takes_ms = 0;

    if (past == NULL && was_cancelled(history, job, k)) {
        running->report.code = REDIAL_DEADLINE_EXCEEDED;
        running->report.reason = text_of("ATTEMPT_TIMEOUT");
        return (int64_t)timeout_ms;
    }
    if (past == NULL) {
        replayed->beyond++;
        past = past_last(history, job);
        if (world->beyond == BEYOND_REPEATS && past != NULL) {
            report_of(history, past, &running->report);
        }
    } else {
        report_of(history, past, &running->report);
    }
    if (past != NULL) {
        takes_ms = past->ended_ms - past->started_ms;
    }
    if (timed_out(&running->report) || takes_ms > (int64_t)timeout_ms) {
        takes_ms = (int64_t)timeout_ms;
        running->report.code = REDIAL_DEADLINE_EXCEEDED;
        running->report.reason = text_of("ATTEMPT_TIMEOUT");
    }
    return takes_ms;
}

static void
start(struct world *world, const struct engine_command *command)
{
    struct running *running = running_take(world);

    running->token = command->token;
    running->worker = command->worker;
    running->job = history_find(world->history, command->token.job);
    running->started_ms = world->now.mono.ms;
    redial_assert(running->job != HISTORY_NONE);
    int64_t takes_ms = choose_outcome(world, running, command->timeout_ms);

    running->report.token = running->token;
    running->report.worker = running->worker;
    heap_set(&world->ends, &running->timer, world->now.mono.ms + takes_ms);
    bool put = map_put_u64(&world->by_fence, running->token.fence,
                           (uint32_t)(running - world->running));

    redial_assert(put);
    (void)put;
}

/* The gateway wants it to end: it does so at once. */
static void
stop(struct world *world, const struct engine_command *command)
{
    uint32_t index = map_get_u64(&world->by_fence, command->token.fence);

    if (index == MAP_NONE) {
        return;
    }
    struct running *running = &world->running[index];

    running->report.code = REDIAL_CANCELLED;
    running->report.reason = text_of("STOPPED");
    heap_set(&world->ends, &running->timer, world->now.mono.ms);
}

/* ---- Steps ------------------------------------------------------------- */

static void
take_record(struct world *world, const struct record *record)
{
    static const enum job_state states[] = {
        [EVENT_JOB_SUCCEEDED] = JOB_SUCCEEDED,
        [EVENT_JOB_FAILED] = JOB_FAILED,
        [EVENT_JOB_CANCELLED] = JOB_CANCELLED,
        [EVENT_JOB_EXPIRED] = JOB_EXPIRED,
    };

    if (record->type < EVENT_JOB_SUCCEEDED ||
        record->type > EVENT_JOB_EXPIRED) {
        return;
    }
    struct replayed *job =
        &world->jobs[history_find(world->history, record->job)];

    job->state = states[record->type];
    job->rule = record->decision.rule;
    job->ended_ms = world->now.mono.ms - START_MS;
}

static void
step(struct world *world, const struct engine_input *input)
{
    engine_step(world->engine, world->now, input, &world->out);
    for (size_t i = 0; i < world->out.record_count; i++) {
        take_record(world, &world->out.records[i]);
    }
    for (size_t i = 0; i < world->out.command_count; i++) {
        const struct engine_command *command = &world->out.commands[i];

        if (command->type == COMMAND_ASSIGN) {
            start(world, command);
        } else if (command->type == COMMAND_STOP) {
            stop(world, command);
        }
    }
}

/* One worker, or a part of one that ran more methods than a Hello may list. */
static void
join(struct world *world, uint32_t worker, uint32_t part,
     const struct engine_slots *slots, size_t count)
{
    const struct past_worker *past = &world->history->workers[worker];
    char instance[2] = {(char)('a' + part % 26), '\0'};

    step(world, &(struct engine_input){
                    .type = ENGINE_HELLO,
                    .hello = {.name = world->history->texts[past->name],
                              .instance = text_of(instance),
                              .methods = slots,
                              .method_count = count,
                              .concurrency = past->concurrency}});
    step(world,
         &(struct engine_input){.type = ENGINE_POLL,
                                .poll = {.worker = world->out.result.worker,
                                         .free_total = past->concurrency}});
}

/* Without acknowledgements a Poll stays true: what runs is taken off it. */
static void
join_workers(struct world *world)
{
    const struct history *history = world->history;
    struct engine_slots slots[OFFERS_MAX];

    for (uint32_t worker = 0; worker < history->worker_count; worker++) {
        size_t count = 0;
        uint32_t part = 0;

        for (uint32_t i = 0; i < history->offer_count; i++) {
            const struct past_offer *offer = &history->offers[i];
            const struct past_method *method = &history->methods[offer->method];

            if (offer->worker != worker) {
                continue;
            }
            slots[count] = (struct engine_slots){
                .service = history->texts[method->service],
                .method = history->texts[method->name],
                .count = history->workers[worker].concurrency,
            };
            count++;
            if (count == OFFERS_MAX) {
                join(world, worker, part++, slots, count);
                count = 0;
            }
        }
        if (count > 0) {
            join(world, worker, part, slots, count);
        }
    }
}

static void
submit(struct world *world, uint32_t index)
{
    const struct history *history = world->history;
    const struct past_job *job = &history->jobs[index];
    const struct past_method *method = &history->methods[job->method];
    struct engine_input input = {.type = ENGINE_SUBMIT, .submit = job->asked};

    input.submit.service = history->texts[method->service];
    input.submit.method = history->texts[method->name];
    input.submit.tenant = history->texts[job->tenant];
    input.submit.correlation = history->texts[job->correlation];
    step(world, &input);
    world->jobs[index].refused = world->out.result.status != REDIAL_OK;
}

static void
end_attempt(struct world *world, struct running *running)
{
    struct engine_input input = {.type = ENGINE_REPORT,
                                 .report = running->report};

    world->jobs[running->job].busy_ms += world->now.mono.ms -
                                         running->started_ms;
    heap_remove(&world->ends, &running->timer);
    running_give(world, running);
    step(world, &input);
}

/* ---- The run ----------------------------------------------------------- */

/* Something at a time. */
struct timed {
    int64_t at_ms;
    uint32_t job;
};

static int
compare_timed(const void *left, const void *right)
{
    const struct timed *a = left;
    const struct timed *b = right;

    if (a->at_ms != b->at_ms) {
        return a->at_ms < b->at_ms ? -1 : 1;
    }
    return (a->job > b->job) - (a->job < b->job);
}

/* What agents did: Submits in order, and cancels in order. */
struct script {
    struct timed *cancels;
    uint32_t cancel_count;
    uint32_t next_cancel;
    uint32_t next_submit;
};

static bool
script_init(struct script *script, const struct history *history)
{
    *script = (struct script){.next_submit = 0};
    script->cancels = malloc(((size_t)history->job_count + 1) *
                             sizeof(struct timed));
    if (script->cancels == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < history->job_count; i++) {
        if (history->jobs[i].cancelled_ms >= 0) {
            script->cancels[script->cancel_count++] = (struct timed){
                .at_ms = history->jobs[i].cancelled_ms, .job = i};
        }
    }
    qsort(script->cancels, script->cancel_count, sizeof(struct timed),
          compare_timed);
    return true;
}

static int64_t
lesser(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* When anything happens next; INT64_MAX: nothing ever does. */
static int64_t
next_ms(const struct world *world, const struct script *script)
{
    const struct history *history = world->history;
    const struct heap_node *end = heap_first(&world->ends);
    int64_t next = engine_next_wake(world->engine).ms;

    if (end != NULL) {
        next = lesser(next, end->at);
    }
    if (script->next_submit < history->job_count) {
        next = lesser(next, START_MS +
                                history->jobs[script->next_submit].accepted_ms);
    }
    if (script->next_cancel < script->cancel_count) {
        next = lesser(next,
                      START_MS + script->cancels[script->next_cancel].at_ms);
    }
    return next;
}

static void
play(struct world *world, struct script *script)
{
    const struct history *history = world->history;
    int64_t now_ms = world->now.mono.ms - START_MS;
    struct heap_node *end;

    while (script->next_submit < history->job_count &&
           history->jobs[script->next_submit].accepted_ms <= now_ms) {
        submit(world, script->next_submit++);
    }
    while (script->next_cancel < script->cancel_count &&
           script->cancels[script->next_cancel].at_ms <= now_ms) {
        uint32_t job = script->cancels[script->next_cancel++].job;

        step(world,
             &(struct engine_input){.type = ENGINE_CANCEL,
                                    .cancel = {.id = history->jobs[job].id}});
    }
    while ((end = heap_first(&world->ends)) != NULL &&
           end->at <= world->now.mono.ms) {
        end_attempt(world, container_of(end, struct running, timer));
    }
    step(world, &(struct engine_input){.type = ENGINE_TICK});
}

bool
world_run(const struct history *history, const struct policy_set *policy,
          uint32_t attempts_limit, enum replay_beyond beyond,
          struct replayed *ret_jobs)
{
    struct world world = {
        .history = history, .beyond = beyond, .jobs = ret_jobs};
    struct script script = {.cancels = NULL};
    bool good = world_init(&world, policy, attempts_limit) &&
                script_init(&script, history);

    for (uint32_t i = 0; i < history->job_count; i++) {
        ret_jobs[i] = (struct replayed){.ended_ms = -1};
    }
    if (good) {
        int64_t next;

        join_workers(&world);
        while ((next = next_ms(&world, &script)) != INT64_MAX &&
               next < START_MS + (int64_t)forever_ms) {
            int64_t passed = next - world.now.mono.ms;

            if (passed > 0) {
                world.now.mono.ms += passed;
                world.now.wall.ms += passed;
            }
            play(&world, &script);
        }
    }
    free(script.cancels);
    world_fini(&world);
    return good;
}
