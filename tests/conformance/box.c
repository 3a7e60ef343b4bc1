/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/conformance/box.h"

#include "server/core/breaker.h"
#include "tests/conformance/check.h"

#include <stdio.h>
#include <string.h>

enum { PERMITS_MAX = 128, ROUNDS_MAX = 1000 };

/* Far from zero, which some fields mean something by. */
static const int64_t zero_ms = 1000000;

struct named_permit {
    char name[NAME_MAX_BYTES];
    struct breaker_permit permit;
};

static struct {
    struct breaker breaker;
    struct breaker_policy policy;
    struct breaker_move last;
    struct rng rng;
    uint32_t moves;
    uint32_t late;
    struct named_permit permits[PERMITS_MAX];
    int permit_count;
} box;

static int64_t
now_ms(const struct world *world)
{
    return zero_ms + world->now;
}

static struct breaker_moment
moment(const struct world *world)
{
    return (struct breaker_moment){
        .policy = &box.policy, .rng = &box.rng, .now_ms = now_ms(world)};
}

static void
make(const struct world *world, struct breaker_move move)
{
    if (move.moves) {
        breaker_apply(&box.breaker, &move, now_ms(world));
        box.last = move;
        box.moves++;
    }
}

void
box_advance(struct world *world, int64_t to)
{
    for (int round = 0; round < ROUNDS_MAX; round++) {
        int64_t next = breaker_next_ms(&box.breaker, &box.policy);

        if (next > zero_ms + to) {
            world->now = to;
            return;
        }
        if (next > now_ms(world)) {
            world->now = next - zero_ms;
        }
        struct breaker_moment at = moment(world);

        make(world, breaker_due(&box.breaker, &at));
    }
    world_fail(world, "time does not come to %lld", (long long)to);
}

/* ---- Policy ------------------------------------------------------------ */

static void
use_defaults(void)
{
    rng_init(&box.rng, 5);
    box.policy = (struct breaker_policy){
        .window_ms = 30000,
        .calls_min = 20,
        .failure_permille = 500,
        .slow_ms = 1000,
        .open_ms = 5000,
        .open_ms_max = 300000,
        .multiplier_milli = 2000,
        .probes = 1,
        .probes_needed = 3,
        .trial_ms = 60000,
        .ramp_ms = 10000,
        .ramp_permille = 100,
        .decay_ms = 30000,
        .hint_ms_max = 60000,
    };
}

static void
set_field(struct world *world, const char *word)
{
    const struct {
        const char *name;
        uint32_t *at;
    } fields[] = {
        {"window", &box.policy.window_ms},
        {"calls-min", &box.policy.calls_min},
        {"failure", &box.policy.failure_permille},
        {"slow", &box.policy.slow_permille},
        {"consecutive", &box.policy.consecutive},
        {"open", &box.policy.open_ms},
        {"open-max", &box.policy.open_ms_max},
        {"multiplier", &box.policy.multiplier_milli},
        {"jitter", &box.policy.jitter_permille},
        {"probes", &box.policy.probes},
        {"needed", &box.policy.probes_needed},
        {"forgiven", &box.policy.probe_failures},
        {"trial", &box.policy.trial_ms},
        {"ramp", &box.policy.ramp_ms},
        {"ramp-from", &box.policy.ramp_permille},
        {"decay", &box.policy.decay_ms},
        {"hint-max", &box.policy.hint_ms_max},
    };
    const char *value;

    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if ((value = check_option(word, fields[i].name)) != NULL) {
            *fields[i].at = (uint32_t)check_number(world, value);
            return;
        }
    }
    if (strcmp(word, "metrics-only") == 0) {
        box.policy.metrics_only = true;
    } else if (strcmp(word, "disabled") == 0) {
        box.policy.disabled = true;
    } else {
        world_fail(world, "no such field: %s", word);
    }
}

/* box policy [field=value | metrics-only | disabled]... */
static void
do_policy(struct world *world, const struct statement *statement)
{
    if (box.policy.window_ms == 0) {
        use_defaults();
    }
    for (int i = 2; i < statement->count; i++) {
        set_field(world, statement->words[i]);
    }
}

/* ---- Permits ----------------------------------------------------------- */

static struct named_permit *
named(struct world *world, const char *name)
{
    for (int i = 0; i < box.permit_count; i++) {
        if (strcmp(box.permits[i].name, name) == 0) {
            return &box.permits[i];
        }
    }
    world_fail(world, "there is no permit %s", name);
}

static struct breaker_permit
take(struct world *world)
{
    int64_t until_ms;

    if (breaker_ask(&box.breaker, &box.policy, now_ms(world), &until_ms) ==
        BREAKER_REFUSES) {
        world_fail(world, "it refuses");
    }
    return breaker_take(&box.breaker, &box.policy, now_ms(world));
}

/* box take P [normal|probe|ramped] */
static void
do_take(struct world *world, const struct statement *statement)
{
    static const char *const kinds[] = {"none", "normal", "probe", "ramped"};
    struct named_permit *permit = &box.permits[box.permit_count];

    if (box.permit_count == PERMITS_MAX) {
        world_fail(world, "too many permits");
    }
    box.permit_count++;
    (void)snprintf(permit->name, sizeof(permit->name), "%s",
                   statement->words[2]);
    permit->permit = take(world);
    if (statement->count > 3) {
        world->expectations++;
        if (strcmp(kinds[permit->permit.kind], statement->words[3]) != 0) {
            world_fail(world, "it is %s", kinds[permit->permit.kind]);
        }
    }
}

/* box refuses [until T|never] */
static void
expect_refusal(struct world *world, const struct statement *statement)
{
    int64_t until_ms;

    world->expectations++;
    if (breaker_ask(&box.breaker, &box.policy, now_ms(world), &until_ms) !=
        BREAKER_REFUSES) {
        world_fail(world, "it admits");
    }
    if (statement->count == 3) {
        if (until_ms != INT64_MAX) {
            world_fail(world, "until %lld", (long long)(until_ms - zero_ms));
        }
    } else if (statement->count == 4) {
        check_range(world, "until", until_ms - zero_ms, statement->words[3]);
    }
}

static bool
read_result(const char *word, struct breaker_result *ret)
{
    static const struct {
        const char *name;
        enum breaker_class class;
        bool slow;
    } results[] = {
        {"good", BREAKER_SUCCESS, false},
        {"bad", BREAKER_FAILURE, false},
        {"slow", BREAKER_SUCCESS, true},
        {"slow-bad", BREAKER_FAILURE, true},
        {"shed", BREAKER_NEUTRAL, false},
        {"cancelled", BREAKER_NEUTRAL, false},
        {"ignored", BREAKER_IGNORED, false},
    };

    for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++) {
        if (strcmp(results[i].name, word) == 0) {
            *ret = (struct breaker_result){.class = results[i].class,
                                           .slow = results[i].slow};
            return true;
        }
    }
    return false;
}

static bool
settle(struct world *world, struct breaker_permit *permit,
       const struct breaker_result *result)
{
    struct breaker_moment at = moment(world);
    bool late;

    make(world, breaker_settle(&box.breaker, &at, permit, result, &late));
    box.late += late;
    return late;
}

/* box RESULT P [late|late-or-not] [hint=N] */
static void
do_settle(struct world *world, const struct statement *statement,
          struct breaker_result *result)
{
    struct named_permit *permit = named(world, statement->words[2]);
    bool late = false;
    bool either = false;

    for (int i = 3; i < statement->count; i++) {
        const char *word = statement->words[i];
        const char *value = check_option(word, "hint");

        if (value != NULL) {
            result->hint_ms = (uint64_t)check_number(world, value);
        } else if (strcmp(word, "late") == 0) {
            late = true;
        } else if (strcmp(word, "late-or-not") == 0) {
            either = true;
        } else {
            world_fail(world, "unknown word: %s", word);
        }
    }
    if (settle(world, &permit->permit, result) != late && !either) {
        world_fail(world, "it is%s late", late ? " not" : "");
    }
}

/* box run N RESULT */
static void
do_run(struct world *world, const struct statement *statement)
{
    int64_t count = check_number(world, statement->words[2]);
    struct breaker_result result;

    if (!read_result(statement->words[3], &result)) {
        world_fail(world, "no such result");
    }
    for (int64_t i = 0; i < count; i++) {
        struct breaker_permit permit = take(world);

        (void)settle(world, &permit, &result);
    }
}

/* box hangs P: it has run for the slow limit */
static void
do_hangs(struct world *world, const struct statement *statement)
{
    struct breaker_moment at = moment(world);

    make(world, breaker_note_slow(&box.breaker, &at,
                                  &named(world, statement->words[2])->permit));
}

/* ---- Operators, restart ------------------------------------------------ */

static void
do_force(struct world *world, const struct statement *statement)
{
    (void)statement;
    make(world, breaker_force(&box.breaker, true));
}

static void
do_release(struct world *world, const struct statement *statement)
{
    (void)statement;
    make(world, breaker_force(&box.breaker, false));
}

static void
do_reset(struct world *world, const struct statement *statement)
{
    (void)statement;
    make(world, breaker_reset(&box.breaker));
}

/* box restart LEFT: what is volatile is gone, with all that was in flight */
static void
do_restart(struct world *world, const struct statement *statement)
{
    struct breaker kept = {
        .epoch = box.breaker.epoch,
        .since_ms = box.breaker.since_ms,
        .reopen_ms = box.breaker.reopen_ms,
        .load = box.breaker.load,
        .state = box.breaker.state,
        .step = box.breaker.step,
        .forced = box.breaker.forced,
    };

    box.breaker = kept;
    make(world, breaker_restart(&box.breaker, (uint64_t)check_number(
                                                  world, statement->words[2])));
}

/* ---- Expectations ------------------------------------------------------ */

static void
check_box_field(struct world *world, const char *word)
{
    const struct breaker *breaker = &box.breaker;
    int64_t next = breaker_next_ms(breaker, &box.policy);
    const struct {
        const char *name;
        int64_t value;
    } fields[] = {
        {"epoch", (int64_t)breaker->epoch},
        {"step", breaker->step},
        {"step-now", breaker_step_now(breaker, &box.policy, now_ms(world))},
        {"calls", breaker->sum.calls},
        {"failed", breaker->sum.failed},
        {"slow", breaker->sum.slow},
        {"in-a-row", breaker->in_a_row},
        {"in-flight", breaker->in_flight},
        {"probes-out", breaker->probes_out},
        {"probes-good", breaker->probes_good},
        {"load", breaker->load},
        {"moves", box.moves},
        {"late", box.late},
        {"open-for", (int64_t)box.last.open_ms},
        {"jitter", box.last.jitter_permille},
        {"next", next == INT64_MAX ? -1 : next - zero_ms},
        {"blank", breaker_is_blank(breaker, &box.policy, now_ms(world))},
        {"forced", breaker->forced},
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
    if (strcmp(breaker_cause_name(box.last.cause), value) != 0) {
        world_fail(world, "the cause is %s",
                   breaker_cause_name(box.last.cause));
    }
}

/* box is STATE [field=value]... */
static void
expect_state(struct world *world, const struct statement *statement)
{
    const char *state = breaker_state_name(
        (enum breaker_state)box.breaker.state);

    if (strcmp(state, statement->words[2]) != 0) {
        world_fail(world, "it is %s", state);
    }
    for (int i = 3; i < statement->count; i++) {
        check_box_field(world, statement->words[i]);
    }
    world->expectations++;
}

/* box asked N: asking N times changes nothing */
static void
expect_still(struct world *world, const struct statement *statement)
{
    struct breaker before = box.breaker;
    int64_t count = check_number(world, statement->words[2]);

    for (int64_t i = 0; i < count; i++) {
        int64_t until_ms;

        (void)breaker_ask(&box.breaker, &box.policy, now_ms(world), &until_ms);
        (void)breaker_next_ms(&box.breaker, &box.policy);
        (void)breaker_step_now(&box.breaker, &box.policy, now_ms(world));
    }
    if (memcmp(&before, &box.breaker, sizeof(before)) != 0) {
        world_fail(world, "asking has changed it");
    }
    world->expectations++;
}

/* box twice P: settled already; with a copy of the permit nothing moves */
static void
expect_twice(struct world *world, const struct statement *statement)
{
    struct named_permit *permit = named(world, statement->words[2]);
    static const struct breaker_result results[] = {{.class = BREAKER_SUCCESS},
                                                    {.class = BREAKER_FAILURE}};

    for (int i = 0; i < 2; i++) {
        struct breaker before = box.breaker;

        (void)settle(world, &permit->permit, &results[i]);
        if (memcmp(&before, &box.breaker, sizeof(before)) != 0) {
            world_fail(world, "a second settlement has changed it");
        }
    }
    world->expectations++;
}

void
box_verb(struct world *world, const struct statement *statement)
{
    static const struct {
        const char *verb;
        int words;
        void (*act)(struct world *, const struct statement *);
    } verbs[] = {
        {"policy", 2, do_policy},       {"take", 3, do_take},
        {"refuses", 2, expect_refusal}, {"run", 4, do_run},
        {"hangs", 3, do_hangs},         {"force", 2, do_force},
        {"release", 2, do_release},     {"reset", 2, do_reset},
        {"restart", 3, do_restart},     {"is", 3, expect_state},
        {"asked", 3, expect_still},     {"twice", 3, expect_twice},
    };
    struct breaker_result result;

    if (box.policy.window_ms == 0) {
        use_defaults();
    }
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (statement->count >= verbs[i].words &&
            strcmp(verbs[i].verb, statement->words[1]) == 0) {
            verbs[i].act(world, statement);
            return;
        }
    }
    if (statement->count < 3 || !read_result(statement->words[1], &result)) {
        world_fail(world, "unknown verb of the box");
    }
    do_settle(world, statement, &result);
}
