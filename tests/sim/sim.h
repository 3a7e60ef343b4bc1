/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One simulated world: everything that one seed runs. No clock, thread or
 * random source but its own, so that a seed always tells the same story.
 *
 *   plan     what the seed decided beforehand
 *   agents   submit jobs, repeat, cancel, watch
 *   workers  take attempts, report, hang, lie, vanish, die
 *   net      connections that lose, repeat, delay and break
 *   gateway  the real engine in a loop like the real one: inputs, groups of
 *            records, commits, releases; crash, recovery, drain, reload
 *   disk     a log of groups and a projection of it
 *   ledger   the judge: knows only what was said and what was committed
 *   chaos    when what breaks on purpose
 */
#ifndef REDIAL_TESTS_SIM_SIM_H
#define REDIAL_TESTS_SIM_SIM_H

#include "server/base/heap.h"
#include "server/base/rng.h"
#include "tests/sim/agent.h"
#include "tests/sim/coverage.h"
#include "tests/sim/disk.h"
#include "tests/sim/gateway.h"
#include "tests/sim/ledger.h"
#include "tests/sim/message.h"
#include "tests/sim/net.h"
#include "tests/sim/plan.h"
#include "tests/sim/worker.h"

#include <stdbool.h>
#include <stdint.h>

enum violation {
#define VIOLATION(name, sentence) VIOLATION_##name,
#include "tests/sim/violation.def"
#undef VIOLATION
    VIOLATION_COUNT
};

/* Faults that are planted in the gateway to see whether they are noticed. */
enum plant {
    PLANT_NONE = 0,
    PLANT_REPLY_EARLY,      /* answers do not wait for their commit */
    PLANT_CHARGE_FORGOTTEN, /* recovery forgets which attempts counted */
    PLANT_FENCE_IGNORED,    /* old tokens pass for the current one */
    PLANT_TOKENS_FORGOTTEN, /* recovery forgets what throttles hold */
    PLANT_HEDGE_TOO_MANY,   /* one more beside the others than allowed */
    PLANT_LOSER_RUNS,       /* nobody is told to stop */
    PLANT_RATE_ONE_MORE,    /* a rate lets one more through */
    PLANT_QUEUE_ONE_MORE,   /* a queue takes one more */
    PLANT_BUDGET_FLOOR,     /* a budget has one more a second */
    PLANT_HOLD_IGNORED,     /* a pushback for all is taken for one */
    PLANT_WEIGHTS_REVERSED, /* who weighs little weighs much */
};

enum {
    SIM_EVENTS_MAX = 65536,
    SIM_LAST_INPUTS = 40,
    SIM_LINE_BYTES = 200,
    SIM_CHAOS_MAX = 40,
};

/* The first moment of every story. */
#define SIM_WALL_START INT64_C(1790000000000)
#define SIM_MONO_START INT64_C(1000000)

struct chaos {
    struct happening_event event;
    enum fault fault;
};

struct sim {
    uint64_t seed;
    enum plant plant;
    bool verbose;
    bool healing; /* nothing breaks any more */
    struct rng rng;
    struct coverage *coverage;

    int64_t mono_ms;
    int64_t wall_ms;
    struct heap events;
    void *event_memory;

    struct plan plan;
    struct net net;
    struct agents agents;
    struct worker_actor workers[PLAN_WORKERS_MAX];
    struct gateway gateway;
    struct disk disk;
    struct ledger ledger;
    uint32_t chaos_count;
    struct chaos chaos[SIM_CHAOS_MAX];

    uint64_t inputs;
    uint64_t restarts;
    uint64_t attempts;
    char last_inputs[SIM_LAST_INPUTS][SIM_LINE_BYTES];
    uint64_t line_count;
};

struct sim_options {
    uint64_t seed;
    enum plant plant;
    bool verbose;
    struct coverage *coverage;
};

/*
 * Runs one seed from its first event to the last check. Returns the digest of
 * the log, which is the same for every run of a seed. A violation ends the
 * process: see sim_fail().
 */
uint64_t
sim_run(const struct sim_options *options);

/* The world that is being run, for a handler of SIGABRT; or NULL. */
struct sim *
sim_current(void);

/* ---- For the parts ----------------------------------------------------- */

/*
 * True where inner consistency (state hashes, views, counts in records) would
 * notice a planted fault at once: there it is left to the promises alone.
 */
static inline bool
sim_only_promises(const struct sim *sim)
{
    return sim->plant == PLANT_CHARGE_FORGOTTEN ||
           sim->plant == PLANT_TOKENS_FORGOTTEN ||
           sim->plant == PLANT_HEDGE_TOO_MANY;
}

/* Rolls the dice for a fault and counts it when it strikes. */
bool
sim_strikes(struct sim *sim, enum fault fault);

/* Counts a fault that was decided elsewhere. */
void
sim_count_fault(struct sim *sim, enum fault fault);

/* Uniform in 0..bound-1; bound > 0. */
uint64_t
sim_below(struct sim *sim, uint64_t bound);

/* Uniform in from..to. */
int64_t
sim_between(struct sim *sim, int64_t from, int64_t to);

/* True in so many of a hundred cases. */
bool
sim_chance(struct sim *sim, uint32_t percent);

/* Sets (or moves) when an event happens, not before now. */
void
sim_schedule(struct sim *sim, struct happening_event *event, int64_t at_ms);

void
sim_unschedule(struct sim *sim, struct happening_event *event);

/* Adds a line to the story: kept as one of the last, printed if verbose. */
void
sim_tell(struct sim *sim, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * Ends the process with the number of the violation as exit code, after
 * printing what, the seed, and the last lines of the story.
 */
_Noreturn void
sim_fail(struct sim *sim, enum violation violation, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Prints the seed and the last lines of the story on stderr. */
void
sim_print_story(const struct sim *sim);

const char *
violation_name(enum violation violation);

/* ---- chaos.c ----------------------------------------------------------- */

/* Lays out restarts, reloads, jumps of the clock and the like over the span. */
void
chaos_plan(struct sim *sim);

/* Does row `index` of that. */
void
chaos_strike(struct sim *sim, uint32_t index);

#endif
