/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/explore/moves.h"

#include "tests/explore/world.h"

#include <stdio.h>

enum said { SAYS_OK, SAYS_FAILED, SAYS_OVERLOADED, SAYS_NOT_STARTED, SAID };

enum change { DIES, DROPS, RETURNS, RETURNS_EMPTY, CHANGES };

enum act { OPENS, CLOSES, RESETS, ACTS };

/* Ranges of numbers of moves. */
enum {
    TICK = 0,
    SUBMIT = 1,
    CANCEL = SUBMIT + KINDS,
    CHANGE = CANCEL + JOBS,
    ACT = CHANGE + WORKERS * CHANGES,
    REPORT = ACT + ACTS,
    END = REPORT + WORKERS * HAND_MAX * SAID,
};

_Static_assert(END < 256, "a move fits into a byte");

static const char *const worker_names[WORKERS] = {"v", "w"};

/* ---- What is possible -------------------------------------------------- */

static bool
may_act(enum act act)
{
    const struct target *target = world_target();

    if (target == NULL || options.no_operator) {
        return false;
    }
    switch (act) {
    case OPENS:
        return target->holder_count == 0;
    case CLOSES:
        return target->holder_count > 0;
    case RESETS:
        return target->breaker.state != BREAKER_CLOSED;
    case ACTS:
        break;
    }
    return false;
}

static bool
may_change(uint32_t worker, enum change change)
{
    const struct explored_worker *of = &world->workers[worker];

    switch (change) {
    case DIES:
        return of->id != 0 || of->count > 0;
    case DROPS:
        return of->id != 0 && !options.no_loss;
    case RETURNS:
        return of->id == 0;
    case RETURNS_EMPTY:
        return of->id == 0 && of->count > 0;
    case CHANGES:
        break;
    }
    return false;
}

/* A number for a new job: any that is free, they are all alike. */
static uint32_t
free_number(void)
{
    uint32_t number = 0;

    while (number < JOBS && world_job(number) != NULL) {
        number++;
    }
    return number;
}

uint32_t
moves_list(move *ret_moves)
{
    uint32_t count = 0;

    if (engine_next_wake(world_engine()).ms <=
        world->now.mono.ms + HORIZON_MS) {
        ret_moves[count++] = TICK;
    }
    if (world_engine()->jobs.used < options.jobs) {
        for (uint32_t kind = 0; kind < KINDS; kind++) {
            ret_moves[count++] = (move)(SUBMIT + kind);
        }
    }
    for (uint32_t number = 0; number < JOBS; number++) {
        const struct job *job = world_job(number);

        if (job != NULL && !job_state_is_final((enum job_state)job->state)) {
            ret_moves[count++] = (move)(CANCEL + number);
        }
    }
    for (uint32_t worker = 0; worker < WORKERS; worker++) {
        for (int change = 0; change < CHANGES; change++) {
            if (may_change(worker, (enum change)change)) {
                ret_moves[count++] = (move)(CHANGE + worker * CHANGES +
                                            (uint32_t)change);
            }
        }
    }
    for (int act = 0; act < ACTS; act++) {
        if (may_act((enum act)act)) {
            ret_moves[count++] = (move)(ACT + act);
        }
    }
    for (uint32_t worker = 0; worker < WORKERS; worker++) {
        for (uint32_t i = 0;
             i < world->workers[worker].count && world->workers[worker].id != 0;
             i++) {
            for (uint32_t said = 0; said < SAID; said++) {
                ret_moves[count++] =
                    (move)(REPORT + (worker * HAND_MAX + i) * SAID + said);
            }
        }
    }
    redial_assert(count <= MOVES_MAX);
    return count;
}

/* ---- Making them ------------------------------------------------------- */

static void
heartbeats(void)
{
    for (uint32_t i = 0; i < WORKERS; i++) {
        if (world->workers[i].id != 0) {
            world_step(&(struct engine_input){
                .type = ENGINE_HEARTBEAT, .heartbeat = world->workers[i].id});
        }
    }
}

/* To the next wake-up: who is there shows life, then the gateway looks. */
static void
tick(void)
{
    int64_t wake_ms = engine_next_wake(world_engine()).ms;

    if (wake_ms > world->now.mono.ms) {
        world->now.wall.ms += wake_ms - world->now.mono.ms;
        world->now.mono.ms = wake_ms;
        heartbeats();
    }
    world_step(&(struct engine_input){.type = ENGINE_TICK});
}

static void
submit(uint32_t kind)
{
    uint32_t number = free_number();
    struct engine_input input = {
        .type = ENGINE_SUBMIT,
        .submit = {.id = {{[0] = 1, [15] = (uint8_t)(number + 1)}},
                   .service = text_of("s"),
                   .method = text_of("m"),
                   .priority = PRIORITY_DEFAULT,
                   .payload_bytes = 1},
    };

    world->kind[number] = (uint8_t)kind;
    if (kind == KIND_HURRIED) {
        input.submit.idempotency = IDEMPOTENCY_NO;
        input.submit.deadline_ms = 3000;
    } else {
        input.submit.idempotency = IDEMPOTENCY_YES;
    }
    world_step(&input);
}

static void
cancel(uint32_t number)
{
    struct engine_input input = {.type = ENGINE_CANCEL};

    input.cancel.id = world_job(number)->id;
    input.cancel.reason = text_of("r");
    world_step(&input);
}

static void
go(uint32_t number, enum engine_gone how)
{
    static const char *const names[WORKERS] = {"v/1", "w/1"};
    struct explored_worker *worker = &world->workers[number];
    struct engine_input input = {
        .type = ENGINE_WORKER_GONE,
        .gone = {.worker = worker->id, .how = how},
    };

    if (worker->id == 0) {
        input.gone.name = text_of(names[number]);
    }
    worker->id = 0;
    if (how == ENGINE_GONE_DEAD) {
        worker->count = 0;
    }
    world_step(&input);
}

static void
change_worker(uint32_t number, enum change change)
{
    switch (change) {
    case DIES:
        go(number, ENGINE_GONE_DEAD);
        break;
    case DROPS:
        go(number, ENGINE_GONE_DROPPED);
        break;
    case RETURNS_EMPTY:
        world->workers[number].count = 0;
        world_hello(number);
        break;
    case RETURNS:
        world_hello(number);
        break;
    case CHANGES:
        break;
    }
}

static void
act_on_breaker(enum act act)
{
    static const enum engine_breaker_act acts[ACTS] = {
        [OPENS] = ENGINE_BREAKER_OPEN,
        [CLOSES] = ENGINE_BREAKER_CLOSE,
        [RESETS] = ENGINE_BREAKER_RESET,
    };

    world_step(&(struct engine_input){
        .type = ENGINE_BREAKER,
        .breaker = {.target = text_of("s"),
                    .act = acts[act],
                    .holder = text_of("ops"),
                    .reason = text_of("test"),
                    .expiry_ms = options.deep ? 4000 : 0},
    });
}

static void
report(uint32_t number, uint32_t place, enum said said)
{
    struct explored_worker *worker = &world->workers[number];
    struct engine_input input = {
        .type = ENGINE_REPORT,
        .report = {.worker = worker->id,
                   .token = worker->hand[place].token,
                   .kind = said == SAYS_NOT_STARTED ? REPORT_NOT_STARTED
                                                    : REPORT_OUTCOME,
                   .code = said == SAYS_OK ? REDIAL_OK : REDIAL_UNAVAILABLE,
                   .overloaded = said == SAYS_OVERLOADED},
    };

    for (uint32_t i = place; i + 1 < worker->count; i++) {
        worker->hand[i] = worker->hand[i + 1];
    }
    worker->count--;
    worker->dirty = true;
    world_step(&input);
}

void
moves_make(move made, bool high)
{
    uint32_t number = made;

    outcome = (struct outcome){.problem = NULL};
    world_chance(high ? RNG_HIGHEST : RNG_LOWEST);
    if (number == TICK) {
        tick();
    } else if (number < CANCEL) {
        submit(number - SUBMIT);
    } else if (number < CHANGE) {
        cancel(number - CANCEL);
    } else if (number < ACT) {
        change_worker((number - CHANGE) / CHANGES,
                      (enum change)((number - CHANGE) % CHANGES));
    } else if (number < REPORT) {
        act_on_breaker((enum act)(number - ACT));
    } else {
        number -= REPORT;
        report(number / SAID / HAND_MAX, number / SAID % HAND_MAX,
               (enum said)(number % SAID));
    }
    world_chance(RNG_LOWEST);
}

bool
moves_reports_on(move made, uint64_t *ret_fence)
{
    uint32_t number = made;

    if (number < REPORT) {
        return false;
    }
    number -= REPORT;
    *ret_fence = world->workers[number / SAID / HAND_MAX]
                     .hand[number / SAID % HAND_MAX]
                     .fence;
    return true;
}

/* ---- For people -------------------------------------------------------- */

static void
describe_report(uint32_t number, char text[MOVE_TEXT_BYTES])
{
    static const char *const words[SAID] = {
        "succeeds", "fails", "fails, overloaded", "was never started"};
    const struct explored_worker *worker =
        &world->workers[number / SAID / HAND_MAX];
    const struct hand *hand = &worker->hand[number / SAID % HAND_MAX];

    (void)snprintf(text, MOVE_TEXT_BYTES, "worker %s: attempt %u of job %u %s",
                   worker_names[number / SAID / HAND_MAX],
                   (unsigned)hand->token.attempt, (unsigned)hand->job + 1,
                   words[number % SAID]);
}

void
moves_describe(move made, char text[MOVE_TEXT_BYTES])
{
    static const char *const changes[CHANGES] = {
        "dies", "drops its connection", "returns", "returns with empty hands"};
    static const char *const acts[ACTS] = {"holds the breaker open",
                                           "lets go of the breaker",
                                           "resets the breaker"};
    uint32_t number = made;

    if (number == TICK) {
        (void)snprintf(text, MOVE_TEXT_BYTES, "time: %lld ms pass",
                       (long long)(engine_next_wake(world_engine()).ms -
                                   world->now.mono.ms));
    } else if (number < CANCEL) {
        (void)snprintf(text, MOVE_TEXT_BYTES, "agent: submits job %u, %s",
                       (unsigned)free_number() + 1,
                       number - SUBMIT == KIND_HURRIED
                           ? "not idempotent, with a deadline"
                           : "idempotent");
    } else if (number < CHANGE) {
        (void)snprintf(text, MOVE_TEXT_BYTES, "agent: cancels job %u",
                       (unsigned)(number - CANCEL) + 1);
    } else if (number < ACT) {
        (void)snprintf(text, MOVE_TEXT_BYTES, "worker %s: %s",
                       worker_names[(number - CHANGE) / CHANGES],
                       changes[(number - CHANGE) % CHANGES]);
    } else if (number < REPORT) {
        (void)snprintf(text, MOVE_TEXT_BYTES, "operator: %s",
                       acts[number - ACT]);
    } else {
        describe_report(number - REPORT, text);
    }
}
