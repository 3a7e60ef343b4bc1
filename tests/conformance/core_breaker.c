/* SPDX-License-Identifier: Apache-2.0 */
/* Statements about breakers in the engine: operators, and what it shows. */
#include "tests/conformance/check.h"
#include "tests/conformance/core.h"

#include <stdlib.h>
#include <string.h>

/* breaker open|close|reset TARGET [holder=H] [for=N] [refused CODE] */
static bool
act(struct world *world, const struct statement *statement)
{
    static const char *const words[] = {"open", "close", "reset"};
    struct engine_input input = {
        .type = ENGINE_BREAKER,
        .breaker = {.target = core_text(statement->words[2]),
                    .holder = core_text("ops"),
                    .reason = core_text("the script")},
    };
    enum redial_status expected = REDIAL_OK;
    int what = 0;

    while (what < 3 && strcmp(words[what], statement->words[1]) != 0) {
        what++;
    }
    if (what == 3) {
        return false;
    }
    input.breaker.act = (enum engine_breaker_act)what;
    for (int i = 3; i < statement->count; i++) {
        const char *word = statement->words[i];
        const char *value;

        if ((value = check_option(word, "holder")) != NULL) {
            input.breaker.holder = core_text(value);
        } else if ((value = check_option(word, "for")) != NULL) {
            input.breaker.expiry_ms = (uint64_t)check_number(world, value);
        } else if (strcmp(word, "refused") == 0 && i + 1 < statement->count) {
            expected = (enum redial_status)check_code(world,
                                                      statement->words[++i]);
            world->expectations++;
        } else {
            world_fail(world, "unknown word: %s", word);
        }
    }
    core_act(world, &input);
    if (core.out.result.status != expected) {
        world_fail(world, "the answer is %s",
                   redial_status_name(core.out.result.status));
    }
    return true;
}

static bool
is_named(struct text text, const char *name)
{
    return text.len == strlen(name) && memcmp(text.at, name, text.len) == 0;
}

static void
find(struct world *world, const char *name, struct engine_breaker_stats *ret)
{
    for (uint32_t i = 0; engine_breaker_stats(core.engine, core.now, i, ret);
         i++) {
        if (is_named(ret->target, name)) {
            return;
        }
    }
    world_fail(world, "there is no breaker of %s", name);
}

static void
check_stats_field(struct world *world, const struct engine_breaker_stats *stats,
                  const char *word)
{
    const struct {
        const char *name;
        int64_t value;
    } fields[] = {
        {"forced", stats->forced},
        {"epoch", (int64_t)stats->epoch},
        {"step", stats->step},
        {"until", stats->until_ms < 0 ? -1 : world->now + stats->until_ms},
        {"calls", stats->calls},
        {"failed", stats->failed},
        {"slow", stats->slow},
        {"in-a-row", stats->in_a_row},
        {"in-flight", stats->in_flight},
        {"in-flight-max", stats->in_flight_max},
        {"probes-out", stats->probes_out},
        {"probes-good", stats->probes_good},
        {"waits-for-probe", stats->waits_for_probe},
        {"waiting", (int64_t)stats->waiting},
        {"late", (int64_t)stats->late},
        {"rejected", (int64_t)stats->rejected},
        {"holders", stats->holder_count},
    };
    const char *value;

    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if ((value = check_option(word, fields[i].name)) != NULL) {
            check_range(world, fields[i].name, fields[i].value, value);
            return;
        }
    }
    if ((value = check_option(word, "cause")) == NULL) {
        world_fail(world, "no such field: %s", word);
    }
    if (strcmp(breaker_cause_name(stats->cause), value) != 0) {
        world_fail(world, "the cause is %s", breaker_cause_name(stats->cause));
    }
}

/* breaker NAME STATE [field=value]... */
static void
expect(struct world *world, const struct statement *statement)
{
    struct engine_breaker_stats stats;

    find(world, statement->words[1], &stats);
    if (strcmp(breaker_state_name(stats.state), statement->words[2]) != 0) {
        world_fail(world, "it is %s", breaker_state_name(stats.state));
    }
    for (int i = 3; i < statement->count; i++) {
        check_stats_field(world, &stats, statement->words[i]);
    }
    world->expectations++;
}

void
core_breaker(struct world *world, const struct statement *statement)
{
    if (!act(world, statement)) {
        expect(world, statement);
    }
}

/* no-breaker NAME */
void
core_no_breaker(struct world *world, const struct statement *statement)
{
    struct engine_breaker_stats stats;

    for (uint32_t i = 0; engine_breaker_stats(core.engine, core.now, i, &stats);
         i++) {
        if (is_named(stats.target, statement->words[1]) && stats.has_breaker) {
            world_fail(world, "there is one");
        }
    }
    world->expectations++;
}

/*
 * torn NAME: its row, cut at each length, is refused; with each bit turned it
 * is refused or loads as something, and the engine goes on.
 */
void
core_torn(struct world *world, const struct statement *statement)
{
    static uint8_t row[ENGINE_TARGET_EXPORT_MAX];
    uint32_t index = engine_find_target(core.engine,
                                        core_text(statement->words[1]));
    size_t len = index == ENGINE_NO_SLOT
                     ? 0
                     : engine_export_target(core.engine, index, row);

    if (len == 0) {
        world_fail(world, "it has no row");
    }
    for (size_t cut = 0; cut < len; cut++) {
        struct engine *engine = core_make_engine(world);

        if (engine_load_target(engine, row, cut)) {
            world_fail(world, "%zu of %zu bytes are taken", cut, len);
        }
        free(engine);
    }
    for (size_t bit = 0; bit < len * 8; bit++) {
        struct engine *engine = core_make_engine(world);

        row[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (engine_load_target(engine, row, len)) {
            engine_recover(engine, core.now, 1000, &core.out);
        }
        row[bit / 8] ^= (uint8_t)(1u << bit % 8);
        free(engine);
    }
    world->expectations++;
}
