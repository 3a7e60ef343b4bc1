/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the pure world share: core.c, core_worker.c, core_verb.c.
 */
#ifndef REDIAL_TESTS_CONFORMANCE_CORE_H
#define REDIAL_TESTS_CONFORMANCE_CORE_H

#include "server/config/config.h"
#include "tests/conformance/world.h"

enum {
    WORKERS_MAX = 16,
    CONFIGS_MAX = 16,
    DRAWS_MAX = 64,
    IN_HAND_MAX = 4096,
    HEARTBEAT_MS = 2000,
    ROUNDS_MAX = 10000000,
};

struct hand {
    struct engine_token token;
    bool acked;
};

struct core_worker {
    char name[NAME_MAX_BYTES];
    struct worker_asked asked;
    char texts[3][64]; /* of asked */
    uint64_t id;       /* 0: not connected */
    bool quiet;        /* no heartbeats */
    bool mute;         /* does not acknowledge */
    bool dirty;        /* has something to say in a poll */
    int64_t heartbeat_at;
    struct hand *in_hand;
    uint32_t in_hand_count;
};

struct core {
    struct engine_limits limits;
    struct engine *engine;
    struct engine_outbox out;
    struct now now;
    uint64_t seed;
    struct config *configs[CONFIGS_MAX];
    int config_count;
    uint8_t *log; /* all records: length, bytes */
    size_t log_len;
    size_t log_max;
    struct core_worker workers[WORKERS_MAX];
    int worker_count;
    uint64_t draws[DRAWS_MAX]; /* that the script wrote down */
    int draw_count;
    int drawn;
    uint64_t last_bound;
};

extern struct core core;

struct text
core_text(const char *string);

/* Fails the row when there is none. */
void *
core_memory(struct world *world, void *memory);

/* One input and all that comes out, but no polls after it. */
void
core_step(struct world *world, const struct engine_input *input);

/* The same, then workers say what they have to. core.out.result stays. */
void
core_act(struct world *world, const struct engine_input *input);

/* Moves both clocks, and lets nothing happen. */
void
core_move_to(struct world *world, int64_t to);

/* An engine out of rows as of now and of all records, as after a crash. */
struct engine *
core_rebuild(struct world *world, bool rows);

/* Takes records and commands out of core.out. */
void
core_take_output(struct world *world);

bool
core_same_token(const struct engine_token *a, const struct engine_token *b);

/* ---- Workers ----------------------------------------------------------- */

struct core_worker *
core_worker_by_id(uint64_t id);

struct core_worker *
core_worker_named(struct world *world, const char *name, bool make);

/* Until no worker has anything to say. */
void
core_polls(struct world *world);

/* The worker has no more to do with it. */
void
core_put_down(struct core_worker *worker, const struct engine_token *token);

void
core_open_worker(struct world *world, const struct worker_asked *asked);

void
core_change_worker(struct world *world, const char *name, const char *how);

/* An empty one of the limits and the policy in force; to be freed. */
struct engine *
core_make_engine(struct world *world);

/* ---- Breakers (core_breaker.c) ----------------------------------------- */

void
core_breaker(struct world *world, const struct statement *statement);

void
core_no_breaker(struct world *world, const struct statement *statement);

void
core_torn(struct world *world, const struct statement *statement);

/* The verbs that only this world has. */
bool
core_verb(struct world *world, const struct statement *statement);

#endif
