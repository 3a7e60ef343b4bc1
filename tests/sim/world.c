/* SPDX-License-Identifier: Apache-2.0 */
/* Time, dice, and the story of one seed from its first event to its end. */
#include "server/base/check.h"
#include "server/base/hash.h"
#include "tests/sim/sim.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    JOBS_LEAST = 300,
    INPUTS_LEAST = 5000,
    RESTARTS_LEAST = 2,
    EVENTS_MOST = 3000000,
};

/* How long all may take once everything is well. */
static const int64_t quiet_ms_max = INT64_C(6) * 3600 * 1000;

static struct sim *current;

static const char *const violation_names[VIOLATION_COUNT] = {
#define VIOLATION(name, sentence) [VIOLATION_##name] = #name,
#include "tests/sim/violation.def"
#undef VIOLATION
};

static const char *const violation_sentences[VIOLATION_COUNT] = {
#define VIOLATION(name, sentence) [VIOLATION_##name] = (sentence),
#include "tests/sim/violation.def"
#undef VIOLATION
};

struct sim *
sim_current(void)
{
    return current;
}

const char *
violation_name(enum violation violation)
{
    return violation_names[violation];
}

/* ---- Dice -------------------------------------------------------------- */

uint64_t
sim_below(struct sim *sim, uint64_t bound)
{
    return rng_below(&sim->rng, bound);
}

int64_t
sim_between(struct sim *sim, int64_t from, int64_t to)
{
    return from + (int64_t)rng_below(&sim->rng, (uint64_t)(to - from) + 1);
}

bool
sim_chance(struct sim *sim, uint32_t percent)
{
    return rng_below(&sim->rng, 100) < percent;
}

void
sim_count_fault(struct sim *sim, enum fault fault)
{
    sim->coverage->faults[fault]++;
    sim_tell(sim, "  ! %s", fault_name(fault));
}

bool
sim_strikes(struct sim *sim, enum fault fault)
{
    uint32_t rate = sim->plan.fault_permille[fault];

    if (sim->healing || rate == 0 || rng_below(&sim->rng, 1000) >= rate) {
        return false;
    }
    sim_count_fault(sim, fault);
    return true;
}

/* ---- The story --------------------------------------------------------- */

void
sim_tell(struct sim *sim, const char *format, ...)
{
    char *line = sim->last_inputs[sim->line_count++ % SIM_LAST_INPUTS];
    int len = snprintf(line, SIM_LINE_BYTES, "%9" PRId64 "  ",
                       sim->mono_ms - SIM_MONO_START);
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(line + len, SIM_LINE_BYTES - (size_t)len, format,
                    arguments);
    va_end(arguments);
    if (sim->verbose) {
        printf("%s\n", line);
    }
}

void
sim_print_story(const struct sim *sim)
{
    uint64_t from = sim->line_count > SIM_LAST_INPUTS
                        ? sim->line_count - SIM_LAST_INPUTS
                        : 0;

    (void)fflush(stdout);
    (void)fprintf(stderr, "the last of seed %" PRIu64 ":\n", sim->seed);
    for (uint64_t i = from; i < sim->line_count; i++) {
        (void)fprintf(stderr, "%s\n", sim->last_inputs[i % SIM_LAST_INPUTS]);
    }
}

_Noreturn void
sim_fail(struct sim *sim, enum violation violation, const char *format, ...)
{
    char what[SIM_LINE_BYTES];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(what, sizeof(what), format, arguments);
    va_end(arguments);
    sim_print_story(sim);
    (void)fprintf(stderr,
                  "seed %" PRIu64 ": %s: %s: %s\n"
                  "again: redial-sim --seed %" PRIu64 " --verbose\n",
                  sim->seed, violation_names[violation],
                  violation_sentences[violation], what, sim->seed);
    exit((int)violation);
}

/* ---- Events ------------------------------------------------------------ */

void
sim_schedule(struct sim *sim, struct happening_event *event, int64_t at_ms)
{
    if (sim->events.count == SIM_EVENTS_MAX) {
        sim_fail(sim, VIOLATION_RUN, "too many events at once");
    }
    heap_set(&sim->events, &event->timer,
             at_ms < sim->mono_ms ? sim->mono_ms : at_ms);
}

void
sim_unschedule(struct sim *sim, struct happening_event *event)
{
    heap_remove(&sim->events, &event->timer);
}

static void
happen(struct sim *sim, struct happening_event *event)
{
    switch (event->what) {
    case HAPPENS_DELIVERY:
        net_deliver(sim, container_of(event, struct message, event));
        break;
    case HAPPENS_PEER:
        if (event->who < PLAN_AGENTS_MAX) {
            agent_act(sim, event->who);
        } else {
            worker_act(sim, event->who - PLAN_AGENTS_MAX);
        }
        break;
    case HAPPENS_TURN:
        gateway_turn(sim);
        break;
    case HAPPENS_COMMIT:
        gateway_committed(sim);
        break;
    case HAPPENS_CHAOS:
        chaos_strike(sim, event->who);
        break;
    }
}

/* Lets the next event happen; false when there is none. */
static bool
step(struct sim *sim)
{
    struct heap_node *node = heap_first(&sim->events);

    if (node == NULL) {
        return false;
    }
    heap_remove(&sim->events, node);
    sim->wall_ms += node->at - sim->mono_ms;
    sim->mono_ms = node->at;
    happen(sim, container_of(node, struct happening_event, timer));
    return true;
}

/* ---- One seed ---------------------------------------------------------- */

static void
sim_init(struct sim *sim, const struct sim_options *options)
{
    sim->seed = options->seed;
    sim->plant = options->plant;
    sim->verbose = options->verbose;
    sim->coverage = options->coverage;
    sim->mono_ms = SIM_MONO_START;
    sim->wall_ms = SIM_WALL_START;
    rng_init(&sim->rng, options->seed);
    sim->event_memory = malloc(heap_size(SIM_EVENTS_MAX));
    redial_assert(sim->event_memory != NULL);
    heap_init(&sim->events, sim->event_memory, SIM_EVENTS_MAX);
    plan_make(&sim->plan, &sim->rng);
    disk_init(&sim->disk);
    ledger_init(sim);
    gateway_init(sim);
    agents_make(sim);
    workers_make(sim);
    chaos_plan(sim);
}

static void
sim_fini(struct sim *sim)
{
    struct heap_node *node;

    while ((node = heap_first(&sim->events)) != NULL) {
        struct happening_event *event = container_of(
            node, struct happening_event, timer);

        heap_remove(&sim->events, node);
        if (event->what == HAPPENS_DELIVERY) {
            free(container_of(event, struct message, event));
        }
    }
    gateway_fini(sim);
    ledger_fini(sim);
    disk_fini(&sim->disk);
    free(sim->event_memory);
}

/* Things go wrong until all agents have had their say. */
static void
live_through_chaos(struct sim *sim)
{
    int64_t end = SIM_MONO_START + sim->plan.span_ms;
    uint64_t events = 0;

    while (sim->mono_ms < end) {
        if (!step(sim) || ++events > EVENTS_MOST) {
            sim_fail(sim, VIOLATION_RUN, "the story has no end");
        }
    }
}

/* Ghosts may keep a slot for a while after their job. */
static bool
all_slots_are_free(const struct sim *sim)
{
    for (uint32_t i = 0; i < sim->plan.limits.jobs_max; i++) {
        if (sim->gateway.slots[i] != 0) {
            return false;
        }
    }
    return true;
}

static bool
all_is_done(const struct sim *sim)
{
    return sim->inputs >= INPUTS_LEAST && gateway_is_idle(sim) &&
           workers_are_idle(sim) && all_slots_are_free(sim) &&
           agents_are_done(sim) && ledger_live(sim) == 0;
}

static void
live_until_done(struct sim *sim)
{
    int64_t until = sim->mono_ms + quiet_ms_max;
    uint64_t events = 0;

    while (!all_is_done(sim)) {
        if (!step(sim) || sim->mono_ms > until || ++events > EVENTS_MOST) {
            ledger_check_end(sim);
            sim_fail(sim, VIOLATION_STUCK, "something never ends");
        }
    }
}

/*
 * Nothing goes wrong any more, but for one last crash: everything that was
 * accepted must end, and still be ended after it.
 */
static void
heal(struct sim *sim)
{
    if (sim->restarts < RESTARTS_LEAST) {
        gateway_crash(sim);
    }
    sim->healing = true;
    sim_tell(sim, "all is well from now on");
    if (sim->gateway.up && sim->gateway.draining) {
        gateway_stop(sim);
    }
    workers_heal(sim);
    live_until_done(sim);
    ledger_check_end(sim);
    gateway_crash(sim);
    live_until_done(sim);
    ledger_check_end(sim);
}

static void
count_seed(struct sim *sim)
{
    struct coverage own = {
        .seeds = 1,
        .attempts = sim->attempts,
        .inputs = sim->inputs,
        .restarts = sim->restarts,
        .inputs_least = sim->inputs,
        .restarts_least = sim->restarts,
    };

    for (uint32_t i = 0; i < sim->agents.spec_count; i++) {
        own.jobs += sim->ledger.jobs[i].state != JOB_NONE;
    }
    own.jobs_least = own.jobs;
    coverage_add(sim->coverage, &own);
    if (own.jobs < JOBS_LEAST || own.restarts < RESTARTS_LEAST) {
        sim_fail(sim, VIOLATION_RUN,
                 "only %" PRIu64 " jobs, %" PRIu64 " restarts", own.jobs,
                 own.restarts);
    }
}

uint64_t
sim_run(const struct sim_options *options)
{
    static const struct hash_key digest_key = {{3, 4}};
    struct sim *sim = calloc(1, sizeof(*sim));

    redial_assert(sim != NULL);
    current = sim;
    sim_init(sim, options);
    live_through_chaos(sim);
    heal(sim);
    count_seed(sim);
    uint64_t digest = hash_64(&digest_key, sim->disk.log.at, sim->disk.log.len);

    sim_fini(sim);
    current = NULL;
    free(sim);
    return digest;
}
