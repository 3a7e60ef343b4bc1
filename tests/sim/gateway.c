/* SPDX-License-Identifier: Apache-2.0 */
/* The loop: inputs in, records and commands out, and who is told what. */
#include "tests/sim/gateway.h"

#include "server/base/check.h"
#include "tests/sim/sim.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TURN_INPUTS_MAX = 64,
    WAKES_MAX = 3000, /* in one turn: each moves something, or it is a loop */
};

struct now
gateway_now(const struct sim *sim)
{
    return (struct now){
        .mono = {sim->mono_ms + sim->gateway.mono_shift},
        .wall = {sim->wall_ms},
    };
}

/* The world's time of the engine's next wake; INT64_MAX: never. */
static int64_t
next_wake(const struct sim *sim)
{
    struct mono wake = engine_next_wake(sim->gateway.engine);

    return wake.ms == MONO_NEVER.ms ? INT64_MAX
                                    : wake.ms - sim->gateway.mono_shift;
}

void
gateway_schedule(struct sim *sim)
{
    int64_t at = next_wake(sim);

    if (!list_is_empty(&sim->gateway.inbox)) {
        at = sim->mono_ms;
    }
    if (at == INT64_MAX) {
        sim_unschedule(sim, &sim->gateway.turn);
    } else {
        sim_schedule(sim, &sim->gateway.turn, at);
    }
}

void
gateway_receive(struct sim *sim, struct message *message)
{
    list_append(&sim->gateway.inbox, &message->inbox);
    sim->gateway.inbox_count++;
    if (sim->gateway.up) {
        int64_t at = sim->mono_ms + sim_between(sim, 0, 2);

        if (!heap_has(&sim->gateway.turn.timer) ||
            sim->gateway.turn.timer.at > at) {
            sim_schedule(sim, &sim->gateway.turn, at);
        }
    }
}

/* ---- Commands ---------------------------------------------------------- */

/* The peer whose session has this worker id, or NET_PEERS_MAX. */
static uint32_t
peer_of(const struct sim *sim, uint64_t worker)
{
    for (uint32_t i = 0; i < NET_PEERS_MAX; i++) {
        if (worker != 0 && sim->gateway.sessions[i].worker == worker) {
            return i;
        }
    }
    return NET_PEERS_MAX;
}

static void
take_command(struct sim *sim, const struct engine_command *command)
{
    uint32_t peer = peer_of(sim, command->worker);

    ledger_command(sim, command);
    switch (command->type) {
    case COMMAND_ASSIGN:
    case COMMAND_STOP:
        if (peer != NET_PEERS_MAX || command->type == COMMAND_ASSIGN) {
            struct message *message = message_new(
                command->type == COMMAND_ASSIGN ? MESSAGE_ASSIGN : MESSAGE_STOP,
                peer);

            message->command = *command;
            message->worker = command->worker;
            message->connection = peer == NET_PEERS_MAX
                                      ? 0
                                      : sim->gateway.sessions[peer].connection;
            gateway_release_later(sim, message);
        }
        break;
    case COMMAND_FORGET:
        if (peer != NET_PEERS_MAX) {
            sim->gateway.sessions[peer].worker = 0;
        }
        break;
    case COMMAND_RELEASE:
        break;
    }
}

/* ---- Steps ------------------------------------------------------------- */

/* What the caller attaches: tells whose work a result is. */
static struct text
attachment(const struct sim *sim, const struct record *record, char *buf)
{
    uint64_t fence = 0;

    if (record->attachment == ATTACHMENT_NONE) {
        return (struct text){0};
    }
    if (record->attachment == ATTACHMENT_RESULT &&
        sim->ledger.message != NULL) {
        fence = sim->ledger.message->report.truth.fence;
    }
    int len = snprintf(buf, SIM_WORD_BYTES, "%" PRIu64, fence);

    return (struct text){.at = buf, .len = (uint32_t)len};
}

static void
tell_record(struct sim *sim, const struct record *record)
{
    uint32_t spec = spec_of(sim, record->job);

    if (spec == PLAN_JOBS_MAX) {
        sim_tell(sim, "    %" PRIu64 " %s %.*s", record->seq,
                 event_type_name(record->type), (int)record->worker.len,
                 record->worker.at);
        return;
    }
    sim_tell(sim, "    %" PRIu64 " %s job %u %.*s %s", record->seq,
             event_type_name(record->type), spec, (int)record->worker.len,
             record->worker.at, rule_name(record->decision.rule));
}

/* Its row is due; the index that the record names must be its own. */
static void
note_target(struct sim *sim, const struct record *record)
{
    struct text name = record->target.len > 0 ? record->target
                                              : record->service;
    uint32_t number = ledger_target_named(sim, name);
    struct engine_target_stats stats;

    if (!engine_target_stats(sim->gateway.engine, gateway_now(sim),
                             record->target_index, &stats) ||
        stats.name.len != name.len ||
        memcmp(stats.name.at, name.at, name.len) != 0) {
        sim_fail(sim, VIOLATION_VIEW, "target %u is not %.*s",
                 record->target_index, (int)name.len, name.at);
    }
    if (sim->gateway.dirty_targets[number] == 0) {
        sim->gateway.dirty_targets[number] = record->seq;
    }
}

void
gateway_gather(struct sim *sim, const struct engine_input *input,
               const struct message *message)
{
    struct gateway *gateway = &sim->gateway;
    struct engine_outbox *out = &gateway->outbox;
    struct gateway_group *group = &gateway->groups[gateway->open];

    /* What a Hello brings about is for the worker's new id. */
    if (input != NULL && input->type == ENGINE_HELLO) {
        gateway->sessions[message->peer] = (struct session){
            .connection = message->connection,
            .worker = out->result.status == REDIAL_OK ? out->result.worker : 0,
        };
    }
    for (size_t i = 0; i < out->record_count; i++) {
        const struct record *record = &out->records[i];
        char buf[SIM_WORD_BYTES];

        if (sim->verbose) {
            tell_record(sim, record);
        }
        ledger_record(sim, record);
        disk_group_add(&group->disk, record, attachment(sim, record, buf));
        uint32_t spec = spec_of(sim, record->job);

        if (spec != PLAN_JOBS_MAX && gateway->dirty[spec] == 0) {
            gateway->dirty[spec] = record->seq;
        }
        if (record->target_index != ENGINE_NO_SLOT) {
            note_target(sim, record);
        }
    }
    for (size_t i = 0; i < out->command_count; i++) {
        if (sim->plant == PLANT_LOSER_RUNS &&
            out->commands[i].type == COMMAND_STOP) {
            continue;
        }
        take_command(sim, &out->commands[i]);
    }
    ledger_after(sim, &out->result);
}

static void
count_answer(struct sim *sim, const struct engine_result *result)
{
    const char *reason = result->reason == NULL ? "" : result->reason;

    if (result->deduplicated) {
        reason = "(deduplicated)";
    }
#define ANSWER(name, code, word)                                          \
    if (result->status == REDIAL_##code && strcmp(reason, (word)) == 0) { \
        sim->coverage->answers[ANSWER_##name]++;                          \
        return;                                                           \
    }
#include "tests/sim/answer.def"
#undef ANSWER
    sim_fail(sim, VIOLATION_ANSWER, "status %d, reason %s: unknown",
             (int)result->status, reason);
}

void
gateway_step(struct sim *sim, const struct engine_input *input,
             const struct message *message)
{
    struct gateway *gateway = &sim->gateway;

    sim->inputs++;
    ledger_before(sim, input, message);
    engine_step(gateway->engine, gateway_now(sim), input, &gateway->outbox);
    count_answer(sim, &gateway->outbox.result);
    gateway_gather(sim, input, message);
    if (gateway->outbox.result.reason != NULL) {
        sim_tell(sim, "    -> %s", gateway->outbox.result.reason);
    }
}

/* Nothing may come of a tick before the engine asks for one. */
static void
tick_early(struct sim *sim)
{
    struct engine_input tick = {.type = ENGINE_TICK};

    gateway_step(sim, &tick, NULL);
    if (sim->gateway.outbox.record_count > 0 ||
        sim->gateway.outbox.command_count > 0) {
        sim_fail(sim, VIOLATION_WAKE, "%zu records came before their time",
                 sim->gateway.outbox.record_count);
    }
}

static void
tick(struct sim *sim)
{
    struct engine_input input = {.type = ENGINE_TICK};
    uint32_t wakes = 0;

    while (next_wake(sim) <= sim->mono_ms) {
        sim_tell(sim, "tick");
        gateway_step(sim, &input, NULL);
        if (++wakes > WAKES_MAX) {
            sim_fail(sim, VIOLATION_WAKE, "the engine never sleeps");
        }
    }
    if (sim_strikes(sim, FAULT_EARLY_TICK)) {
        tick_early(sim);
    }
}

void
gateway_turn(struct sim *sim)
{
    struct gateway *gateway = &sim->gateway;

    if (!gateway->up) {
        gateway_start(sim);
        return;
    }
    for (uint32_t i = 0; i < TURN_INPUTS_MAX; i++) {
        struct list *first = list_pop(&gateway->inbox);

        if (first == NULL) {
            break;
        }
        struct message *message = container_of(first, struct message, inbox);

        gateway->inbox_count--;
        gateway_take(sim, message);
        free(message);
    }
    tick(sim);
    ledger_check_due(sim);
    if (sim_chance(sim, 30)) {
        ledger_check_idle(sim);
    }
    if (sim_chance(sim, 10)) {
        ledger_check_stats(sim);
    }
    gateway_close_group(sim);
    gateway_schedule(sim);
}

bool
gateway_is_idle(const struct sim *sim)
{
    const struct gateway *gateway = &sim->gateway;
    const struct gateway_group *open = &gateway->groups[gateway->open];

    return gateway->up && list_is_empty(&gateway->inbox) &&
           gateway->in_pipe == 0 && open->disk.count == 0 &&
           list_is_empty(&open->releases);
}
