/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A gateway so small that all that can happen to it can be tried: the real
 * engine, two workers, at most three live jobs, an operator, and a clock that
 * moves to the next wake-up alone.
 *
 * All of it lies in one flat block, the engine behind struct world, so that a
 * snapshot is a copy of the block and a restore is a copy back to the same
 * place (the engine points into itself). Lines of the block that are as at the
 * start are not kept.
 */
#ifndef REDIAL_TESTS_EXPLORE_WORLD_H
#define REDIAL_TESTS_EXPLORE_WORLD_H

#include "server/core/state.h"

enum {
    WORKERS = 2,
    JOBS = 3,
    PROBES = 2,
    HAND_MAX = 8,
    STARTS_MAX = 16,
    HORIZON_MS = 100000, /* what is later does not come */
};

/* How the jobs are: probes come from the first kind alone. */
enum job_kind { KIND_IDEMPOTENT, KIND_HURRIED, KINDS };

struct hand {
    struct engine_token token;
    uint64_t fence;
    uint8_t job;
};

struct explored_worker {
    uint64_t id;  /* 0: not connected */
    uint64_t key; /* by which a job remembers it */
    uint8_t count;
    bool dirty;
    struct hand hand[HAND_MAX];
};

struct world {
    struct now now;
    struct explored_worker workers[WORKERS];
    uint8_t kind[JOBS]; /* of the live ones */
};

/* What one configuration is. */
struct world_options {
    uint32_t jobs;    /* live at once */
    bool no_operator; /* nobody opens, closes, resets */
    bool no_loss;     /* connections do not drop, workers only die */
    bool deep;        /* rates, slow calls, decay, more time between */
};

/* What came out of the last move, for the invariants. */
struct start {
    uint64_t fence;
    uint8_t state; /* of the breaker as it started */
    bool forced;
};

struct outcome {
    struct start starts[STARTS_MAX];
    uint32_t start_count;
    uint32_t draws;      /* of chance */
    const char *problem; /* that only the records show; NULL: none */
};

extern struct world_options options;
extern struct world *world;
extern struct outcome outcome;

void
world_init(void);

void
world_fini(void);

struct engine *
world_engine(void);

struct target *
world_target(void);

/* How much the worker takes at once. */
uint32_t
world_slots(uint32_t worker);

/* The live job at this number, or NULL. */
struct job *
world_job(uint32_t number);

/* One input, the polls that follow, what came out. */
void
world_step(const struct engine_input *input);

void
world_poll(void);

void
world_hello(uint32_t worker);

/* What chance gives in the next steps. */
void
world_chance(enum rng_edge edge);

/* ---- Snapshots --------------------------------------------------------- */

/* To be freed with free(). */
void *
world_save(void);

void
world_restore(const void *snapshot);

/* ---- The log, for samples ---------------------------------------------- */

void
world_log_begin(void);

/* Whether the log since then rebuilds the state; ends the log. */
bool
world_log_rebuilds(void);

#endif
