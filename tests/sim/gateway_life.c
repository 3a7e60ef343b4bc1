/* SPDX-License-Identifier: Apache-2.0 */
/* Start and recovery, crash, drain, stop; reload and retention. */
#include "server/base/check.h"
#include "tests/sim/gateway.h"
#include "tests/sim/sim.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void *
new_memory(const struct engine_limits *limits)
{
    size_t size = (engine_size(limits) + 63) / 64 * 64;
    void *memory = aligned_alloc(64, size);

    redial_assert(memory != NULL);
    memset(memory, 0, size);
    return memory;
}

/* Overwrites the engine, so that nothing of it can be used by mistake. */
static void
free_memory(const struct engine_limits *limits, void *memory)
{
    if (memory != NULL) {
        memset(memory, 0xdd, engine_size(limits) / 64);
        free(memory);
    }
}

static void
load_policy(struct sim *sim, uint32_t version)
{
    struct gateway *gateway = &sim->gateway;

    gateway->policy_version = version;
    gateway->policy = plan_policy_new(&sim->plan, sim->seed, version);
    plan_policy_slip(gateway->policy,
                     &(struct plan_slip){
                         .hedges = sim->plant == PLANT_HEDGE_TOO_MANY,
                         .starts = sim->plant == PLANT_RATE_ONE_MORE,
                         .queue = sim->plant == PLANT_QUEUE_ONE_MORE,
                         .floor = sim->plant == PLANT_BUDGET_FLOOR,
                         .topsy_turvy = sim->plant == PLANT_WEIGHTS_REVERSED,
                     });
    ledger_policy(sim, version);
}

void
gateway_init(struct sim *sim)
{
    struct gateway *gateway = &sim->gateway;
    struct now start = {.mono = {1}, .wall = {SIM_WALL_START}};

    gateway->turn.what = HAPPENS_TURN;
    gateway->commit.what = HAPPENS_COMMIT;
    list_init(&gateway->inbox);
    gateway->slots = calloc(sim->plan.limits.jobs_max,
                            sizeof(gateway->slots[0]));
    redial_assert(gateway->slots != NULL);
    if (!engine_outbox_init(&gateway->outbox)) {
        sim_fail(sim, VIOLATION_RUN, "no memory for the outbox");
    }
    load_policy(sim, 1);
    gateway->shadow_memory = new_memory(&sim->plan.limits);
    gateway->shadow = engine_init(gateway->shadow_memory, &sim->plan.limits,
                                  sim->ledger.policies[1], 1, start);
    sim_schedule(sim, &gateway->turn, sim->mono_ms);
}

static void
shut_down(struct sim *sim)
{
    struct gateway *gateway = &sim->gateway;
    struct list *link;

    gateway_drop_groups(sim);
    while ((link = list_pop(&gateway->inbox)) != NULL) {
        free(container_of(link, struct message, inbox));
    }
    free_memory(&sim->plan.limits, gateway->memory);
    gateway->memory = NULL;
    gateway->engine = NULL;
    gateway->up = false;
    gateway->draining = false;
    gateway->inbox_count = 0;
    gateway->last_done_ms = 0;
    sim_unschedule(sim, &gateway->turn);
}

void
gateway_fini(struct sim *sim)
{
    struct gateway *gateway = &sim->gateway;

    if (gateway->up) {
        shut_down(sim);
    }
    free_memory(&sim->plan.limits, gateway->shadow_memory);
    engine_outbox_fini(&gateway->outbox);
    plan_policy_free(gateway->policy);
    free(gateway->slots);
}

/* ---- Start ------------------------------------------------------------- */

static void
load_rows(struct sim *sim)
{
    struct engine *engine = sim->gateway.engine;

    for (uint32_t i = 0; i < LEDGER_TARGETS_MAX; i++) {
        const struct disk_row *row = &sim->disk.targets[i];

        if (row->present && !engine_load_target(engine, row->bytes, row->len)) {
            sim_fail(sim, VIOLATION_RECOVERY, "the row of target %u", i);
        }
    }
    for (uint32_t i = 0; i < sim->agents.spec_count; i++) {
        const struct disk_row *row = &sim->disk.rows[i];
        const struct spec *spec = &sim->agents.specs[i];
        const struct ledger_job *job = &sim->ledger.jobs[i];

        if (row->present) {
            if (!engine_load_job(engine, row->bytes, row->len)) {
                sim_fail(sim, VIOLATION_RECOVERY, "the row of job %u", i);
            }
        } else if (spec->key != 0 && job->accepted_seq != 0 &&
                   job->accepted_seq <= sim->disk.watermark &&
                   !sim->disk.trimmed[i] &&
                   !engine_load_key(engine, spec->key_hash, spec->content_hash,
                                    spec->id)) {
            sim_fail(sim, VIOLATION_RECOVERY, "the key of job %u", i);
        }
    }
}

/* Planted faults: what was charged is free, no throttle was ever charged. */
static void
forget(const struct sim *sim, struct record *record)
{
    if (sim->plant == PLANT_CHARGE_FORGOTTEN &&
        record->type == EVENT_ATTEMPT_FAILED) {
        record->charged = false;
        record->decision.attempts_charged = 0;
    }
    if (sim->plant == PLANT_TOKENS_FORGOTTEN) {
        record->decision.tokens_max_milli = 0;
    }
}

/* The record may change a target: its row is older. */
static void
note_target(struct sim *sim, const struct record *record)
{
    bool own = record->target.len > 0 && !event_type_is_about_job(record->type);

    if (record->decision.tokens_max_milli == 0 && record->budget_slice == 0 &&
        record->hold_until_wall_ms == 0 && !own) {
        return;
    }
    uint32_t number = ledger_target_named(
        sim, record->target.len > 0 ? record->target : record->service);

    if (sim->gateway.dirty_targets[number] == 0) {
        sim->gateway.dirty_targets[number] = record->seq;
    }
}

static void
apply_log(struct sim *sim)
{
    struct gateway *gateway = &sim->gateway;

    for (uint64_t seq = sim->disk.watermark + 1; seq <= sim->disk.count;
         seq++) {
        struct record record;

        disk_read(sim, seq, &record);
        uint32_t spec = spec_of(sim, record.job);

        if (spec != PLAN_JOBS_MAX && gateway->dirty[spec] == 0) {
            gateway->dirty[spec] = seq;
        }
        note_target(sim, &record);
        forget(sim, &record);
        if (!engine_apply(gateway->engine, &record)) {
            sim_fail(sim, VIOLATION_RECOVERY,
                     "record %" PRIu64 " (%s) cannot be applied", seq,
                     event_type_name(record.type));
        }
    }
    if (!sim_only_promises(sim) && engine_state_hash(gateway->engine) !=
                                       engine_state_hash(gateway->shadow)) {
        sim_fail(sim, VIOLATION_STATE_HASH,
                 "after recovery of %" PRIu64 " records from %" PRIu64,
                 sim->disk.count, sim->disk.watermark);
    }
}

static void
find_slots(struct sim *sim)
{
    struct gateway *gateway = &sim->gateway;

    memset(gateway->slots, 0,
           sim->plan.limits.jobs_max * sizeof(gateway->slots[0]));
    for (uint32_t i = 0; i < sim->agents.spec_count; i++) {
        uint32_t slot = engine_find(gateway->engine, sim->agents.specs[i].id);

        if (slot == ENGINE_NO_SLOT) {
            continue;
        }
        if (slot >= sim->plan.limits.jobs_max || gateway->slots[slot] != 0) {
            sim_fail(sim, VIOLATION_SLOT, "job %u got slot %u again", i, slot);
        }
        gateway->slots[slot] = i + 1;
        gateway->slot_of[i] = slot;
    }
}

void
gateway_start(struct sim *sim)
{
    struct gateway *gateway = &sim->gateway;

    gateway->up = true;
    gateway->incarnation++;
    /* The zero of a monotonic clock means nothing. */
    gateway->mono_shift = sim_between(sim, -900000, 100000000);
    gateway->memory = new_memory(&sim->plan.limits);
    gateway->engine = engine_init(gateway->memory, &sim->plan.limits,
                                  gateway->policy, rng_next(&sim->rng),
                                  gateway_now(sim));
    gateway_open_group(sim);
    memset(gateway->dirty, 0, sizeof(gateway->dirty));
    memset(gateway->dirty_targets, 0, sizeof(gateway->dirty_targets));
    load_rows(sim);
    apply_log(sim);
    sim_tell(sim, "start %u, %" PRIu64 " records, watermark %" PRIu64,
             gateway->incarnation, sim->disk.count, sim->disk.watermark);
    struct now now = gateway_now(sim);

    /* The store knows the newest record: time does not run backwards. */
    if (now.wall.ms < sim->ledger.last_wall_ms) {
        now.wall.ms = sim->ledger.last_wall_ms;
    }
    ledger_recovering(sim);
    ledger_before(sim, NULL, NULL);
    engine_recover(gateway->engine, now, sim->disk.count + 1, &gateway->outbox);
    find_slots(sim);
    gateway_gather(sim, NULL, NULL);
    for (uint32_t i = 0; i < sim->agents.spec_count; i++) {
        ledger_check_view(sim, i);
    }
    gateway_publish(sim);
    if (!sim->healing && sim_chance(sim, 10)) {
        sim_count_fault(sim, FAULT_CRASH_EARLY);
        gateway_crash(sim);
        return;
    }
    gateway_close_group(sim);
    gateway_schedule(sim);
}

/* ---- Ends -------------------------------------------------------------- */

/* Back after a while, perhaps with another policy and another wall clock. */
static void
plan_restart(struct sim *sim)
{
    struct gateway *gateway = &sim->gateway;

    sim->restarts++;
    if (!sim->healing && gateway->policy_version < PLAN_POLICIES_MAX - 4 &&
        sim_chance(sim, 30)) {
        sim_count_fault(sim, FAULT_RELOAD_AT_START);
        plan_policy_free(gateway->policy);
        load_policy(sim, gateway->policy_version + 1);
    }
    if (!sim->healing && sim_chance(sim, 15)) {
        sim_count_fault(sim, FAULT_WALL_BACK);
        sim->wall_ms -= sim_between(sim, 1000, 100000);
    } else if (!sim->healing && sim_chance(sim, 10)) {
        sim_count_fault(sim, FAULT_WALL_FORWARD_AWAY);
        sim->wall_ms += sim_between(sim, 1000, 3600000);
    }
    sim_schedule(sim, &gateway->turn,
                 sim->mono_ms + sim_between(sim, 10, 10000));
}

void
gateway_crash(struct sim *sim)
{
    struct gateway *gateway = &sim->gateway;
    uint32_t saved = 0;

    if (!gateway->up) {
        return;
    }
    sim_count_fault(sim, FAULT_CRASH);
    gateway_close_group(sim);
    saved = (uint32_t)sim_below(sim, gateway->in_pipe + 1);
    sim_tell(sim, "crash: %u of %u groups are saved", saved, gateway->in_pipe);
    if (saved > 0) {
        sim_count_fault(sim, FAULT_CRASH_UNSPOKEN);
    }
    if (saved < gateway->in_pipe) {
        sim_count_fault(sim, FAULT_CRASH_LOSES);
    }
    for (; saved > 0; saved--) {
        gateway_commit_oldest(sim);
        gateway_drop_oldest(sim);
    }
    shut_down(sim);
    net_drop_all(sim);
    ledger_crashed(sim);
    plan_restart(sim);
}

void
gateway_drain(struct sim *sim)
{
    struct engine_input input = {.type = ENGINE_DRAIN};

    if (!sim->gateway.up || sim->gateway.draining) {
        return;
    }
    sim_tell(sim, "drain");
    sim->gateway.draining = true;
    gateway_step(sim, &input, NULL);
    gateway_close_group(sim);
    gateway_schedule(sim);
}

void
gateway_stop(struct sim *sim)
{
    struct gateway *gateway = &sim->gateway;

    if (!gateway->up) {
        return;
    }
    sim_tell(sim, "stop");
    sim_count_fault(sim, FAULT_RESTART);
    while (gateway->in_pipe > 0) {
        gateway_committed(sim);
    }
    gateway_close_group(sim);
    while (gateway->in_pipe > 0) {
        gateway_committed(sim);
    }
    shut_down(sim);
    net_drop_all(sim);
    ledger_crashed(sim);
    plan_restart(sim);
}

/* ---- While it runs ----------------------------------------------------- */

void
gateway_reload(struct sim *sim)
{
    struct gateway *gateway = &sim->gateway;
    struct policy_set *before = gateway->policy;
    struct engine_input input = {.type = ENGINE_POLICY};
    struct engine_input note = {.type = ENGINE_GATEWAY};

    if (!gateway->up || gateway->policy_version >= PLAN_POLICIES_MAX - 1) {
        return;
    }
    sim_count_fault(sim, FAULT_RELOAD);
    load_policy(sim, gateway->policy_version + 1);
    sim_tell(sim, "reload: policy %u", gateway->policy_version);
    input.policy = gateway->policy;
    gateway_step(sim, &input, NULL);
    plan_policy_free(before);
    note.gateway.type = EVENT_GATEWAY_RELOADED;
    note.gateway.text = plan_text("another policy");
    gateway_step(sim, &note, NULL);
    gateway_close_group(sim);
    gateway_schedule(sim);
}

void
gateway_degrade(struct sim *sim)
{
    struct engine_input note = {.type = ENGINE_GATEWAY};

    if (!sim->gateway.up) {
        return;
    }
    sim_count_fault(sim, FAULT_DEGRADED);
    note.gateway.type = EVENT_GATEWAY_DEGRADED;
    note.gateway.text = plan_text("the disk is full");
    gateway_step(sim, &note, NULL);
    note.gateway.type = EVENT_GATEWAY_RECOVERED;
    gateway_step(sim, &note, NULL);
    gateway_close_group(sim);
    gateway_schedule(sim);
}

/* Everything about the job is on disk, and nobody can ask for it again. */
static bool
may_be_trimmed(const struct sim *sim, uint32_t index)
{
    const struct spec *spec = &sim->agents.specs[index];
    const struct ledger_job *job = &sim->ledger.jobs[index];

    return spec->key != 0 && job->final_seq != 0 &&
           job->final_seq <= sim->disk.watermark && !sim->disk.trimmed[index] &&
           sim->ledger.keys[spec->tenant][spec->key].spec == index + 1 &&
           engine_find(sim->gateway.engine, spec->id) == ENGINE_NO_SLOT;
}

void
gateway_trim(struct sim *sim)
{
    struct gateway *gateway = &sim->gateway;
    struct disk_group *group = &gateway->groups[gateway->open].disk;

    if (!gateway->up) {
        return;
    }
    for (uint32_t i = 0; i < sim->agents.spec_count; i++) {
        const struct spec *spec = &sim->agents.specs[i];

        if (!may_be_trimmed(sim, i) || sim_chance(sim, 40)) {
            continue;
        }
        sim_count_fault(sim, FAULT_TRIM);
        disk_group_work(group, ROW_TRIM, i, (struct text){0});
        engine_forget_key(gateway->engine, spec->key_hash, spec->id);
        ledger_trimmed(sim, i);
    }
    gateway_close_group(sim);
}
