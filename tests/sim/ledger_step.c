/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger around one input: what it came to; and around one crash. */
#include "tests/sim/ledger.h"
#include "tests/sim/sim.h"

#include <inttypes.h>
#include <string.h>

/* ---- Steps ------------------------------------------------------------- */

void
ledger_before(struct sim *sim, const struct engine_input *input,
              const struct message *message)
{
    struct ledger *ledger = &sim->ledger;

    ledger->input = input;
    ledger->message = message;
    ledger->seq_before = ledger->next_seq;
    ledger->touched_count = 0;
    ledger->starts = 0;
    ledger->assigns = 0;
    ledger->stop_count = 0;
    ledger->to_stop_count = 0;
    if (input != NULL && input->type == ENGINE_SUBMIT) {
        ledger_count_queues(sim, message->submit.spec);
    }
    ledger_hear(sim, input, message);
}

static void
after_submit(struct sim *sim, const struct engine_result *result)
{
    uint32_t asked = sim->ledger.message->submit.spec;
    const struct spec *spec = &sim->agents.specs[asked];
    const struct ledger_job *job = &sim->ledger.jobs[asked];
    uint32_t owner = spec->key == 0
                         ? 0
                         : sim->ledger.keys[spec->tenant][spec->key].spec;
    bool made = job->accepted_seq >= sim->ledger.seq_before;
    bool said = result->status == REDIAL_OK && !result->deduplicated;

    if (made != said ||
        (made && memcmp(&result->job, &spec->id, sizeof(spec->id)) != 0)) {
        sim_fail(sim, VIOLATION_ANSWER, "job %u: acknowledged, not made",
                 asked);
    }
    if (made) {
        return;
    }
    if (result->status == REDIAL_OK) {
        uint32_t joined = spec_of(sim, result->job);

        /* Itself, or the first one with its key and content. */
        if (joined != asked &&
            (owner == 0 || joined != owner - 1 ||
             sim->agents.specs[joined].content != spec->content)) {
            sim_fail(sim, VIOLATION_DUPLICATE, "job %u joined %u", asked,
                     joined);
        }
        if (sim->ledger.jobs[joined].state == JOB_NONE) {
            sim_fail(sim, VIOLATION_DUPLICATE, "job %u joined nothing", asked);
        }
        return;
    }
    if (result->status == REDIAL_ALREADY_EXISTS &&
        (owner == 0 || sim->agents.specs[owner - 1].content == spec->content)) {
        sim_fail(sim, VIOLATION_DUPLICATE, "job %u: nobody has its key", asked);
    }
    if (result->status == REDIAL_RESOURCE_EXHAUSTED && owner != 0 &&
        sim->agents.specs[owner - 1].content == spec->content) {
        sim_fail(sim, VIOLATION_DUPLICATE, "job %u was refused, not joined",
                 asked);
    }
}

static void
after_cancel(struct sim *sim, const struct engine_result *result)
{
    uint32_t spec = spec_of(sim, sim->ledger.input->cancel.id);
    enum job_state state = spec == PLAN_JOBS_MAX ? JOB_NONE
                                                 : sim->ledger.jobs[spec].state;

    if (result->status == REDIAL_OK
            ? !ledger_is_final(state)
            : state != JOB_NONE && !ledger_is_final(state)) {
        sim_fail(sim, VIOLATION_ANSWER, "job %u: cancel left it in %s", spec,
                 job_state_name(state));
    }
    bool ended = sim->ledger.touched_count > 0 && state == JOB_CANCELLED;

    if (result->status == REDIAL_OK && result->changed != ended) {
        sim_fail(sim, VIOLATION_ANSWER, "job %u: cancelled or not, but %s",
                 spec, job_state_name(state));
    }
}

static bool
is_stopped(const struct ledger *ledger, uint64_t fence)
{
    for (uint32_t i = 0; i < ledger->stop_count; i++) {
        if (ledger->stops[i].fence == fence) {
            return true;
        }
    }
    return false;
}

/* Whoever runs what nobody waits for is told so, and nobody else. */
static void
check_stops(struct sim *sim)
{
    struct ledger *ledger = &sim->ledger;

    for (uint32_t i = 0; i < ledger->to_stop_count; i++) {
        if (!is_stopped(ledger, ledger->to_stop[i])) {
            sim_fail(sim, VIOLATION_STOP, "fence %" PRIu64 " is not stopped",
                     ledger->to_stop[i]);
        }
    }
    for (uint32_t i = 0; i < ledger->stop_count; i++) {
        const struct engine_token *token = &ledger->stops[i];
        uint32_t spec = spec_of(sim, token->job);

        if (spec != PLAN_JOBS_MAX &&
            ledger_running(&ledger->jobs[spec], token->fence) != NULL) {
            sim_fail(sim, VIOLATION_STOP, "job %u is stopped, and runs", spec);
        }
    }
}

/* What a worker lists in vain in its Hello. */
static void
stop_strangers(struct sim *sim, const struct engine_hello *hello)
{
    for (size_t i = 0; i < hello->in_hand_count; i++) {
        const struct engine_token *token = &hello->in_hand[i];
        uint32_t spec = spec_of(sim, token->job);

        if ((spec == PLAN_JOBS_MAX ||
             ledger_running(&sim->ledger.jobs[spec], token->fence) == NULL) &&
            !is_stopped(&sim->ledger, token->fence)) {
            sim_fail(sim, VIOLATION_STOP, "fence %" PRIu64 " of a Hello",
                     token->fence);
        }
    }
}

void
ledger_after(struct sim *sim, const struct engine_result *result)
{
    struct ledger *ledger = &sim->ledger;

    for (uint32_t i = 0; i < ledger->touched_count; i++) {
        uint32_t spec = ledger->touched[i];

        if (ledger->jobs[spec].over) {
            sim_fail(sim, VIOLATION_RECORD, "job %u: no decision", spec);
        }
        ledger_check_view(sim, spec);
    }
    if (ledger->starts != ledger->assigns) {
        sim_fail(sim, VIOLATION_RECORD, "%u starts, %u assignments",
                 ledger->starts, ledger->assigns);
    }
    if (ledger->input == NULL) {
        return;
    }
    if (ledger->input->type == ENGINE_HELLO && result->status == REDIAL_OK) {
        stop_strangers(sim, &ledger->input->hello);
    }
    check_stops(sim);
    if (ledger->input->type == ENGINE_SUBMIT) {
        after_submit(sim, result);
        ledger_check_queues(sim, ledger->message->submit.spec, result);
    } else if (ledger->input->type == ENGINE_CANCEL) {
        after_cancel(sim, result);
    } else if (ledger->input->type == ENGINE_GATEWAY &&
               ledger->next_seq != ledger->seq_before + 1) {
        sim_fail(sim, VIOLATION_RECORD, "no record of %s",
                 event_type_name(ledger->input->gateway.type));
    }
    if (ledger->input->type == ENGINE_TICK) {
        ledger->ticked_at = sim->mono_ms;
    }
    ledger_heard(sim, result);
    ledger->input = NULL;
    ledger->message = NULL;
}

void
ledger_trimmed(struct sim *sim, uint32_t spec)
{
    const struct spec *own = &sim->agents.specs[spec];

    if (own->key != 0 &&
        sim->ledger.keys[own->tenant][own->key].spec == spec + 1) {
        sim->ledger.keys[own->tenant][own->key].spec = 0;
    }
}

/* ---- Crash and recovery ------------------------------------------------ */

void
ledger_crashed(struct sim *sim)
{
    struct ledger *ledger = &sim->ledger;
    uint64_t count = sim->disk.count;

    memset(ledger->jobs, 0, sizeof(ledger->jobs));
    memset(ledger->keys, 0, sizeof(ledger->keys));
    ledger_targets_crashed(sim);
    ledger->next_seq = 1;
    ledger->last_wall_ms = 0;
    ledger->replaying = true;
    for (uint64_t seq = 1; seq <= count; seq++) {
        struct record record;

        disk_read(sim, seq, &record);
        ledger_record(sim, &record);
    }
    ledger->replaying = false;
    for (uint32_t i = 0; i < sim->agents.spec_count; i++) {
        const struct spec *spec = &sim->agents.specs[i];
        const struct ledger_job *job = &ledger->jobs[i];

        if (sim->disk.trimmed[i]) {
            ledger_trimmed(sim, i);
        }
        if (spec->state == SPEC_ACKED &&
            ledger->jobs[spec->job].state == JOB_NONE) {
            sim_fail(sim, VIOLATION_LOST_JOB,
                     "job %u was acknowledged and is not in the log",
                     spec->job);
        }
        if (ledger->heard[i] != 0 && ledger->heard[i] != job->end_hash) {
            sim_fail(sim, VIOLATION_TWO_ENDS,
                     "job %u: its published end is not in the log", i);
        }
        if (spec->cancelled && ledger->jobs[spec->job].state != JOB_CANCELLED) {
            sim_fail(sim, VIOLATION_LOST_JOB,
                     "job %u was cancelled and is not any more", spec->job);
        }
    }
}

/* What is left of a duration until a wall time, seen from `now`. */
static int64_t
remaining(int64_t until_wall_ms, int64_t now_wall_ms, uint64_t original_ms)
{
    int64_t left = until_wall_ms - now_wall_ms;

    if (left < 0) {
        return 0;
    }
    return left > (int64_t)original_ms ? (int64_t)original_ms : left;
}

void
ledger_recovering(struct sim *sim)
{
    struct ledger *ledger = &sim->ledger;
    int64_t wall = sim->wall_ms;
    int64_t now = sim->mono_ms;

    ledger->recovered_at = now;
    /* A clock behind the log: no time has passed. */
    if (wall < ledger->last_wall_ms) {
        wall = ledger->last_wall_ms;
        sim_count_fault(sim, FAULT_WALL_BEHIND_LOG);
    }
    for (uint32_t i = 0; i < sim->agents.spec_count; i++) {
        struct ledger_job *job = &ledger->jobs[i];

        if (job->state == JOB_NONE || ledger_is_final(job->state)) {
            continue;
        }
        job->refused_by = RULE_NONE;
        if (job->deadline_ms > 0) {
            job->deadline_at = now + remaining(job->accepted_wall_ms +
                                                   (int64_t)job->deadline_ms,
                                               wall, job->deadline_ms);
        }
        if (job->queue_ttl_ms > 0) {
            job->queue_end_at = now + remaining(job->accepted_wall_ms +
                                                    (int64_t)job->queue_ttl_ms,
                                                wall, job->queue_ttl_ms);
        }
        job->accepted_at = now - (wall > job->accepted_wall_ms
                                      ? wall - job->accepted_wall_ms
                                      : 0);
        job->due_at = now;
        if (job->hedge_at != INT64_MAX) {
            job->hedge_at = now + remaining(job->until_wall_ms, wall,
                                            job->until_delay_ms);
        }
        if (job->state == JOB_SCHEDULED || job->state == JOB_BACKOFF) {
            job->due_at = now + remaining(job->until_wall_ms, wall,
                                          job->until_delay_ms);
        }
        for (uint32_t k = 0; k < job->running_count; k++) {
            job->running[k].ack = ACK_UNKNOWN;
            job->running[k].started_at = INT64_MIN;
            job->running[k].solo = false;
        }
    }
    ledger_targets_recovering(sim, wall);
    ledger_limits_recovering(sim);
    ledger->ticked_at = INT64_MIN;
    memset(ledger->rules, 0, sizeof(ledger->rules));
    ledger_workers_away(sim);
}
