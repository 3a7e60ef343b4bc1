/* SPDX-License-Identifier: Apache-2.0 */
/* What breaks on purpose, and when. */
#include "tests/sim/sim.h"

static void
plan_one(struct sim *sim, enum fault fault, int64_t at_ms)
{
    struct chaos *chaos = &sim->chaos[sim->chaos_count];

    if (sim->chaos_count == SIM_CHAOS_MAX) {
        return;
    }
    *chaos = (struct chaos){
        .event = {.what = HAPPENS_CHAOS, .who = sim->chaos_count},
        .fault = fault,
    };
    sim->chaos_count++;
    sim_schedule(sim, &chaos->event, at_ms);
}

static void
plan_some(struct sim *sim, enum fault fault, int64_t least, int64_t most)
{
    for (int64_t i = sim_between(sim, least, most); i > 0; i--) {
        plan_one(sim, fault,
                 SIM_MONO_START + sim_between(sim, 1000, sim->plan.span_ms));
    }
}

void
chaos_plan(struct sim *sim)
{
    plan_some(sim, FAULT_CRASH, 1, 5);
    plan_some(sim, FAULT_RESTART, 1, 2);
    plan_some(sim, FAULT_RELOAD, 0, 4);
    plan_some(sim, FAULT_WALL_FORWARD, 0, 2);
    plan_some(sim, FAULT_WALL_BACK, 0, 2);
    plan_some(sim, FAULT_TRIM, 0, 8);
    plan_some(sim, FAULT_DEGRADED, 0, 2);
}

void
chaos_strike(struct sim *sim, uint32_t index)
{
    struct chaos *chaos = &sim->chaos[index];

    if (sim->healing) {
        return;
    }
    if (!sim->gateway.up) {
        sim_schedule(sim, &chaos->event, sim->mono_ms + 1000);
    } else if (chaos->fault == FAULT_CRASH) {
        gateway_crash(sim);
    } else if (chaos->fault == FAULT_RESTART && sim->gateway.draining) {
        gateway_stop(sim);
    } else if (chaos->fault == FAULT_RESTART) {
        gateway_drain(sim);
        sim_schedule(sim, &chaos->event,
                     sim->mono_ms + sim_between(sim, 100, 8000));
    } else if (chaos->fault == FAULT_RELOAD) {
        gateway_reload(sim);
    } else if (chaos->fault == FAULT_TRIM) {
        gateway_trim(sim);
    } else if (chaos->fault == FAULT_DEGRADED) {
        gateway_degrade(sim);
    } else {
        sim_count_fault(sim, chaos->fault);
        sim->wall_ms += (chaos->fault == FAULT_WALL_FORWARD ? 1 : -1) *
                        sim_between(sim, 1, 3600000);
    }
}
