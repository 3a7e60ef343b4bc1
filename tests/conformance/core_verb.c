/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs that only the pure world has. */
#include "tests/conformance/box.h"
#include "tests/conformance/check.h"
#include "tests/conformance/core.h"

#include <stdlib.h>
#include <string.h>

/* draws N...: what the random source gives next */
static void
do_draws(struct world *world, const struct statement *statement)
{
    core.draw_count = 0;
    core.drawn = 0;
    _Static_assert((int)SCRIPT_WORDS_MAX <= (int)DRAWS_MAX,
                   "all words of a line fit");
    for (int i = 1; i < statement->count && i < SCRIPT_WORDS_MAX; i++) {
        core.draws[core.draw_count] = (uint64_t)check_number(
            world, statement->words[i]);
        core.draw_count++;
    }
}

/* drawn-below N: the bound of the last draw */
static void
expect_bound(struct world *world, const struct statement *statement)
{
    check_range(world, "the bound", (int64_t)core.last_bound,
                statement->words[1]);
    world->expectations++;
}

/* restart [N]: down for N ms; recovers from rows and log */
static void
do_restart(struct world *world, const struct statement *statement)
{
    struct engine_stats stats;

    engine_stats(core.engine, core.now, &stats);
    free(core_rebuild(world, false));
    struct engine *engine = core_rebuild(world, true);

    free(core.engine);
    core.engine = engine;
    for (int i = 0; i < core.worker_count; i++) {
        core.workers[i].id = 0;
        core.workers[i].dirty = false;
    }
    if (statement->count > 1) {
        core_move_to(world,
                     world->now + check_number(world, statement->words[1]));
    }
    engine_recover(engine, core.now, stats.next_seq, &core.out);
    core_take_output(world);
}

/* stall N: the gateway is stopped for N ms; it hears before it looks up */
static void
do_stall(struct world *world, const struct statement *statement)
{
    core_move_to(world, world->now + check_number(world, statement->words[1]));
}

/* wall N: the wall clock jumps by N */
static void
do_wall(struct world *world, const struct statement *statement)
{
    core.now.wall.ms += check_number(world, statement->words[1]);
}

/* unsent J: the frame with its last attempt was not handed to the stream */
static void
do_unsent(struct world *world, const struct statement *statement)
{
    int job = world_job(world, statement->words[1], false);
    const struct call *call = world_call(world, job, 0);

    core_put_down(core_worker_named(world, call->worker, false), &call->token);
    core_act(world, &(struct engine_input){.type = ENGINE_UNSENT,
                                           .unsent = call->token});
}

/* seed N: of the random source; before the first policy */
static void
do_seed(struct world *world, const struct statement *statement)
{
    core.seed = (uint64_t)check_number(world, statement->words[1]);
}

/* count rule RULE N | count late|duplicates|refused|jobs|STATE N */
static void
expect_count(struct world *world, const struct statement *statement)
{
    struct engine_stats stats;
    const char *what = statement->words[1];
    const char *value = statement->words[statement->count - 1];
    int64_t found = -1;

    engine_stats(core.engine, core.now, &stats);
    if (strcmp(what, "rule") == 0 && statement->count == 4) {
        for (int rule = 0; rule < 32; rule++) {
            if (strcmp(rule_name((enum rule)rule), statement->words[2]) == 0) {
                found = (int64_t)stats.rules[rule];
                break;
            }
        }
    } else if (strcmp(what, "late") == 0) {
        found = (int64_t)stats.late_reports;
    } else if (strcmp(what, "duplicates") == 0) {
        found = (int64_t)stats.duplicate_submits;
    } else if (strcmp(what, "refused") == 0) {
        found = (int64_t)stats.refused_submits;
    } else {
        for (int state = 0; state <= JOB_EXPIRED; state++) {
            if (strcmp(job_state_name((enum job_state)state), what) == 0) {
                found = (int64_t)stats.jobs[state];
            }
        }
    }
    check_range(world, what, found, value);
    world->expectations++;
}

/* idle: no job is live and no payload is held */
static void
expect_idle(struct world *world, const struct statement *statement)
{
    struct engine_stats stats;

    (void)statement;
    engine_stats(core.engine, core.now, &stats);
    for (int state = 1; state <= JOB_EXPIRED; state++) {
        if (stats.jobs[state] != 0) {
            world_fail(world, "a job is still %s",
                       job_state_name((enum job_state)state));
        }
    }
    if (stats.payload_bytes != 0) {
        world_fail(world, "payloads are still held");
    }
    world->expectations++;
}

/* Not found: false. */
static bool
find_target(const char *string, struct engine_target_stats *ret_stats)
{
    struct text name = core_text(string);
    uint32_t index = 0;

    while (engine_target_stats(core.engine, core.now, index, ret_stats)) {
        if (ret_stats->name.len == name.len &&
            memcmp(ret_stats->name.at, name.at, name.len) == 0) {
            return true;
        }
        index++;
    }
    return false;
}

/* target NAME [field=value]... */
static void
expect_target(struct world *world, const struct statement *statement)
{
    struct engine_target_stats stats;

    if (!find_target(statement->words[1], &stats)) {
        world_fail(world, "there is no target %s", statement->words[1]);
    }
    const struct {
        const char *name;
        int64_t value;
    } fields[] = {
        {"tokens", stats.tokens_milli},
        {"tokens-max", stats.tokens_max_milli},
        {"throttled", stats.throttle_exhausted},
        {"budget", stats.budget_milli},
        {"budget-exhausted", stats.budget_exhausted},
        {"waiting", (int64_t)stats.retries_waiting},
        {"allowed", (int64_t)stats.retries_allowed},
        {"refused", (int64_t)stats.retries_refused},
        {"hold", (int64_t)stats.hold_ms},
    };

    for (int i = 2; i < statement->count; i++) {
        bool known = false;

        for (size_t j = 0; j < sizeof(fields) / sizeof(fields[0]); j++) {
            const char *value = check_option(statement->words[i],
                                             fields[j].name);

            if (value != NULL) {
                check_range(world, fields[j].name, fields[j].value, value);
                known = true;
            }
        }
        if (!known) {
            world_fail(world, "no such field: %s", statement->words[i]);
        }
    }
    world->expectations++;
}

/* no-target NAME */
static void
expect_no_target(struct world *world, const struct statement *statement)
{
    struct engine_target_stats stats;

    if (find_target(statement->words[1], &stats)) {
        world_fail(world, "there is one");
    }
    world->expectations++;
}

bool
core_verb(struct world *world, const struct statement *statement)
{
    static const struct {
        const char *verb;
        int words;
        void (*act)(struct world *, const struct statement *);
    } verbs[] = {
        {"draws", 2, do_draws},
        {"drawn-below", 2, expect_bound},
        {"restart", 1, do_restart},
        {"wall", 2, do_wall},
        {"stall", 2, do_stall},
        {"unsent", 2, do_unsent},
        {"seed", 2, do_seed},
        {"count", 3, expect_count},
        {"idle", 1, expect_idle},
        {"target", 2, expect_target},
        {"no-target", 2, expect_no_target},
        {"box", 2, box_verb},
        {"breaker", 3, core_breaker},
        {"no-breaker", 2, core_no_breaker},
        {"torn", 2, core_torn},
    };

    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (strcmp(verbs[i].verb, statement->words[0]) == 0 &&
            statement->count >= verbs[i].words) {
            verbs[i].act(world, statement);
            return true;
        }
    }
    return false;
}
