/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Persist, then speak: groups of records, what hangs on them, and the
 * projection that is written behind, in slices, with later groups.
 */
#include "server/base/check.h"
#include "tests/sim/gateway.h"
#include "tests/sim/sim.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void
gateway_open_group(struct sim *sim)
{
    struct gateway *gateway = &sim->gateway;
    struct gateway_group *group = &gateway->groups[gateway->open];

    disk_group_init(&group->disk);
    list_init(&group->releases);
}

static struct gateway_group *
oldest(struct gateway *gateway)
{
    uint32_t count = GATEWAY_PIPE_MAX + 1;

    return &gateway->groups[(gateway->open + count - gateway->in_pipe) % count];
}

/* ---- Releases ---------------------------------------------------------- */

static void
say(struct sim *sim, struct message *message)
{
    struct gateway *gateway = &sim->gateway;

    if (message->type == MESSAGE_ASSIGN &&
        (message->peer == NET_PEERS_MAX ||
         !sim->net.links[message->peer].open_here ||
         sim->net.links[message->peer].connection != message->connection ||
         sim_strikes(sim, FAULT_NET_UNSENT))) {
        ledger_spoken(sim, message);
        message->type = MESSAGE_UNSENT;
        message->incarnation = gateway->incarnation;
        if (message->peer == NET_PEERS_MAX) {
            message->peer = 0;
        }
        sim_schedule(sim, &message->event,
                     sim->mono_ms + sim_between(sim, 0, 3));
        return;
    }
    net_to_peer(sim, message);
}

void
gateway_release_later(struct sim *sim, struct message *message)
{
    struct gateway *gateway = &sim->gateway;

    message->after_seq = sim->ledger.next_seq - 1;
    if (sim->plant == PLANT_REPLY_EARLY) {
        say(sim, message);
        return;
    }
    list_append(&gateway->groups[gateway->open].releases, &message->inbox);
}

void
gateway_publish(struct sim *sim)
{
    struct gateway *gateway = &sim->gateway;

    while (gateway->published < sim->disk.count) {
        struct record record;

        disk_read(sim, ++gateway->published, &record);
        ledger_published(sim, &record);
    }
}

/* ---- Projection -------------------------------------------------------- */

/* The job that waits longest for its row, or any; PLAN_JOBS_MAX: none. */
static uint32_t
choose_dirty(struct sim *sim)
{
    const struct gateway *gateway = &sim->gateway;
    uint32_t count = sim->agents.spec_count;
    uint32_t found = PLAN_JOBS_MAX;
    bool any = sim_chance(sim, 30);
    uint32_t from = any ? (uint32_t)sim_below(sim, count) : 0;

    for (uint32_t i = 0; i < count; i++) {
        uint32_t spec = (from + i) % count;

        if (gateway->dirty[spec] == 0) {
            continue;
        }
        if (any) {
            return spec;
        }
        if (found == PLAN_JOBS_MAX ||
            gateway->dirty[spec] < gateway->dirty[found]) {
            found = spec;
        }
    }
    return found;
}

static void
project_job(struct sim *sim, struct disk_group *group, uint32_t spec)
{
    struct gateway *gateway = &sim->gateway;
    uint8_t buf[ENGINE_EXPORT_MAX];
    struct text row = {.at = (const char *)buf};

    gateway->dirty[spec] = 0;
    if (sim->ledger.jobs[spec].final_seq != 0) {
        disk_group_work(group, ROW_DELETE, spec, (struct text){0});
        return;
    }
    uint32_t slot = engine_find(gateway->engine, sim->agents.specs[spec].id);

    if (slot == ENGINE_NO_SLOT) {
        sim_fail(sim, VIOLATION_VIEW, "job %u cannot be exported", spec);
    }
    row.len = (uint32_t)engine_export_job(gateway->engine, slot, buf);
    if (row.len == 0 || row.len > ENGINE_EXPORT_MAX) {
        sim_fail(sim, VIOLATION_VIEW, "job %u: a row of %u bytes", spec,
                 row.len);
    }
    disk_group_work(group, ROW_PUT, spec, row);
}

/* As far as the engine knows it; by name, as the index is none for good. */
static void
project_target(struct sim *sim, struct disk_group *group, uint32_t number)
{
    const char *name = sim->ledger.targets[number].name;
    uint8_t buf[ENGINE_TARGET_EXPORT_MAX];
    struct text row = {.at = (const char *)buf};
    struct engine_target_stats stats;

    for (uint32_t i = 0;
         engine_target_stats(sim->gateway.engine, gateway_now(sim), i, &stats);
         i++) {
        if (stats.name.len == strlen(name) &&
            memcmp(stats.name.at, name, stats.name.len) == 0) {
            row.len = (uint32_t)engine_export_target(sim->gateway.engine, i,
                                                     buf);
            break;
        }
    }
    sim->gateway.dirty_targets[number] = 0;
    disk_group_work(group, ROW_TARGET, number, row);
}

/* Some of those that changed. */
static void
project_targets(struct sim *sim, struct disk_group *group)
{
    for (uint32_t i = 0; i < LEDGER_TARGETS_MAX; i++) {
        if (sim->gateway.dirty_targets[i] != 0 && sim->plan.projection > 0 &&
            !sim_only_promises(sim) && sim_chance(sim, 20)) {
            project_target(sim, group, i);
        }
    }
}

/* A slice of what is to be written behind, and the new watermark. */
static void
project(struct sim *sim, struct disk_group *group)
{
    struct gateway *gateway = &sim->gateway;
    uint64_t watermark = sim->ledger.next_seq - 1;
    /* Where only promises count, all depends on the log. */
    uint64_t most = sim_only_promises(sim)
                        ? 0
                        : (uint64_t)sim->plan.projection * group->count;

    for (uint64_t i = sim_below(sim, most + 1); i > 0; i--) {
        uint32_t spec = choose_dirty(sim);

        if (spec == PLAN_JOBS_MAX) {
            break;
        }
        project_job(sim, group, spec);
    }
    project_targets(sim, group);
    for (uint32_t i = 0; i < LEDGER_TARGETS_MAX; i++) {
        uint64_t dirty = gateway->dirty_targets[i];

        if (dirty != 0 && dirty - 1 < watermark) {
            watermark = dirty - 1;
        }
    }
    for (uint32_t i = 0; i < sim->agents.spec_count; i++) {
        if (gateway->dirty[i] != 0 && gateway->dirty[i] - 1 < watermark) {
            watermark = gateway->dirty[i] - 1;
        }
    }
    group->watermark = watermark;
}

/* ---- Groups ------------------------------------------------------------ */

void
gateway_close_group(struct sim *sim)
{
    struct gateway *gateway = &sim->gateway;
    struct gateway_group *group = &gateway->groups[gateway->open];
    int64_t at = sim->mono_ms + sim_between(sim, 0, sim->plan.commit_ms_max);

    if (gateway->in_pipe == sim->plan.groups_in_pipe ||
        (group->disk.count == 0 && group->disk.work_count == 0 &&
         list_is_empty(&group->releases))) {
        return;
    }
    project(sim, &group->disk);
    group->disk.state_hash = engine_state_hash(gateway->engine);
    if (sim_strikes(sim, FAULT_STORE_SLOW)) {
        at += sim_between(sim, 100, 3000);
    }
    if (at < gateway->last_done_ms) {
        at = gateway->last_done_ms;
    }
    gateway->last_done_ms = at;
    group->done_at_ms = at;
    gateway->in_pipe++;
    gateway->open = (gateway->open + 1) % (GATEWAY_PIPE_MAX + 1);
    gateway_open_group(sim);
    if (gateway->in_pipe == 1) {
        sim_schedule(sim, &gateway->commit, at);
    }
}

/* The shadow lives on the log alone, and is none the worse for it. */
static void
show_shadow(struct sim *sim, const struct disk_group *group)
{
    struct gateway *gateway = &sim->gateway;

    /* Keys first: what was forgotten made room for what was accepted. */
    for (uint32_t i = 0; i < group->work_count; i++) {
        if (group->work[i].type == ROW_TRIM) {
            const struct spec *spec = &sim->agents.specs[group->work[i].spec];

            engine_forget_key(gateway->shadow, spec->key_hash, spec->id);
        }
    }
    for (uint32_t i = 0; i < group->count; i++) {
        struct record record;

        disk_read(sim, group->first_seq + i, &record);
        if (!engine_apply(gateway->shadow, &record)) {
            sim_fail(sim, VIOLATION_RECOVERY,
                     "record %" PRIu64 " (%s) cannot be applied", record.seq,
                     event_type_name(record.type));
        }
    }
    if (!sim_only_promises(sim) &&
        engine_state_hash(gateway->shadow) != group->state_hash) {
        sim_fail(sim, VIOLATION_STATE_HASH, "after seq %" PRIu64,
                 sim->disk.count);
    }
}

void
gateway_commit_oldest(struct sim *sim)
{
    struct gateway *gateway = &sim->gateway;
    struct gateway_group *group = oldest(gateway);

    if (group->disk.count > 0 && group->disk.first_seq != sim->disk.count + 1) {
        sim_fail(sim, VIOLATION_ORDER, "a group begins with %" PRIu64,
                 group->disk.first_seq);
    }
    disk_commit(&sim->disk, &group->disk);
    sim->coverage->commits++;
    show_shadow(sim, &group->disk);
}

void
gateway_drop_oldest(struct sim *sim)
{
    struct gateway_group *group = oldest(&sim->gateway);
    struct list *link;

    while ((link = list_pop(&group->releases)) != NULL) {
        free(container_of(link, struct message, inbox));
    }
    disk_group_fini(&group->disk);
    sim->gateway.in_pipe--;
}

void
gateway_committed(struct sim *sim)
{
    struct gateway *gateway = &sim->gateway;
    struct gateway_group *group = oldest(gateway);
    struct list *link;

    redial_assert(gateway->in_pipe > 0);
    gateway_commit_oldest(sim);
    gateway_publish(sim);
    while ((link = list_pop(&group->releases)) != NULL) {
        say(sim, container_of(link, struct message, inbox));
    }
    gateway_drop_oldest(sim);
    if (gateway->in_pipe > 0) {
        sim_schedule(sim, &gateway->commit, oldest(gateway)->done_at_ms);
    }
    gateway_close_group(sim);
}

void
gateway_drop_groups(struct sim *sim)
{
    struct gateway *gateway = &sim->gateway;

    /* The open one as well: it becomes the last of the pipe. */
    gateway->in_pipe++;
    gateway->open = (gateway->open + 1) % (GATEWAY_PIPE_MAX + 1);
    while (gateway->in_pipe > 0) {
        gateway_drop_oldest(sim);
    }
    sim_unschedule(sim, &gateway->commit);
}
