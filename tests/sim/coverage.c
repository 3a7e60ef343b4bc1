/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/coverage.h"

#include "server/base/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct row {
    const char *table;
    const char *name;
    uint64_t count;
    bool later; /* not built yet: must be zero */
};

struct printer {
    unsigned bad;
    const char *table;
    unsigned column;
};

static const char *const fault_names[FAULT_COUNT] = {
#define FAULT(name, rate, sentence) [FAULT_##name] = #name,
#include "tests/sim/fault.def"
#undef FAULT
};

static const char *const answer_names[ANSWER_COUNT] = {
#define ANSWER(name, status, reason) [ANSWER_##name] = #name,
#include "tests/sim/answer.def"
#undef ANSWER
};

static const char *const jitter_names[] = {
    [JITTER_DEFAULT] = "default", [JITTER_FULL] = "full",
    [JITTER_EQUAL] = "equal",     [JITTER_DECORRELATED] = "decorrelated",
    [JITTER_NONE] = "none",
};

static const char *const hedging_names[HEDGING_COUNT] = {
    [HEDGING_PLANNED] = "one more is planned",
    [HEDGING_STARTED] = "one starts beside others",
    [HEDGING_STAYED] = "the job stays RUNNING",
    [HEDGING_LOST] = "one lost to another",
    [HEDGING_REFUSED] = "one is refused in its time",
};

static const char *const guard_names[GUARD_COUNT] = {
    [GUARD_BUDGET_TAKEN] = "a retry takes from a budget",
    [GUARD_GIVEN_BACK] = "a budget gets one back",
    [GUARD_HELD] = "a pushback holds a target",
};

static const char *const limiting_names[LIMITING_COUNT] = {
    [LIMITING_COUNTED] = "a start under a rate",
    [LIMITING_SHARED] = "a grant while tenants compete",
};

/* What the core cannot reach before breakers and requeueing. */
static bool
event_is_later(enum event_type type)
{
    return type == EVENT_JOB_PARKED || type == EVENT_JOB_REQUEUED ||
           type == EVENT_ATTEMPT_PROGRESS ||
           (type >= EVENT_BREAKER_OPENED && type <= EVENT_BREAKER_RELEASED);
}

static bool
rule_is_later(enum rule rule)
{
    return rule == RULE_BREAKER_OPEN || rule == RULE_BREAKER_REJECTED;
}

const char *
fault_name(enum fault fault)
{
    return fault_names[fault];
}

void
coverage_add(struct coverage *to, const struct coverage *from)
{
    /* Nothing but counters, so they are added as an array. */
    _Static_assert(sizeof(*to) % sizeof(uint64_t) == 0, "only counters");
    uint64_t least[3] = {to->jobs_least, to->inputs_least, to->restarts_least};
    uint64_t other[3] = {from->jobs_least, from->inputs_least,
                         from->restarts_least};
    uint64_t *sum = &to->seeds;
    const uint64_t *add = &from->seeds;

    for (size_t i = 0; i < sizeof(*to) / sizeof(uint64_t); i++) {
        sum[i] += add[i];
    }
    for (size_t i = 0; i < 3; i++) {
        if (other[i] != 0 && (least[i] == 0 || other[i] < least[i])) {
            least[i] = other[i];
        }
    }
    to->jobs_least = least[0];
    to->inputs_least = least[1];
    to->restarts_least = least[2];
}

static void
print_row(struct printer *printer, const struct row *row)
{
    bool bad = row->later != (row->count == 0);

    if (printer->table == NULL || strcmp(printer->table, row->table) != 0) {
        printf("%s%s\n", printer->table == NULL ? "" : "\n\n", row->table);
        printer->table = row->table;
        printer->column = 0;
    }
    if (printer->column > 0 && printer->column % 3 == 0) {
        printf("\n");
    }
    printer->column++;
    printf("  %-32.32s %9" PRIu64 "%s", row->name, row->count, bad ? "!" : " ");
    printer->bad += bad;
}

static void
print_moves(struct printer *printer, const struct coverage *coverage)
{
#define JOB_STATE(name, number, final, waits_for)                    \
    if (JOB_##name != JOB_NONE) {                                    \
        print_row(printer, &(struct row){"states reached", #name,    \
                                         coverage->states[number],   \
                                         JOB_##name == JOB_PARKED}); \
    }
#include "server/core/job.def"
#undef JOB_STATE
#define JOB_MOVE(from, to, event)                                         \
    print_row(printer, &(struct row){"moves", #from " -> " #to,           \
                                     coverage->moves[MOVE_##from##_##to], \
                                     JOB_##from == JOB_PARKED ||          \
                                         JOB_##to == JOB_PARKED});
#include "server/core/job.def"
#undef JOB_MOVE
}

static void
print_records(struct printer *printer, const struct coverage *coverage)
{
#define EVENT(name, number, string, about_job)                           \
    print_row(printer,                                                   \
              &(struct row){"records", string, coverage->events[number], \
                            event_is_later(EVENT_##name)});
#include "server/core/event.def"
#undef EVENT
#define RULE(name, number, sentence)                                         \
    print_row(printer,                                                       \
              &(struct row){"decisions", #name, coverage->decisions[number], \
                            rule_is_later(RULE_##name)});
#include "server/core/rule.def"
#undef RULE
}

/* Rules that can end a job. */
static bool
is_exit(enum rule rule)
{
    return rule != RULE_NONE && rule != RULE_RETRY_PLANNED &&
           rule != RULE_FREE_RETRY && rule != RULE_SCHEDULED &&
           rule != RULE_BREAKER_OPEN && rule != RULE_HEDGE_PLANNED &&
           rule != RULE_HEDGE_LOST;
}

static void
print_rest(struct printer *printer, const struct coverage *coverage)
{
#define RULE(name, number, sentence)                                   \
    if (is_exit(RULE_##name)) {                                        \
        print_row(printer, &(struct row){"exit reasons", #name,        \
                                         coverage->exits[number],      \
                                         rule_is_later(RULE_##name)}); \
    }
#include "server/core/rule.def"
#undef RULE
    for (int i = DELAY_BACKOFF; i <= DELAY_TARGET_PUSHBACK; i++) {
        print_row(
            printer,
            &(struct row){"delays", delay_source_name((enum delay_source)i),
                          coverage->delay_sources[i], i == DELAY_BREAKER});
    }
    for (int i = CLAMP_MAX_BACKOFF; i <= CLAMP_ATTEMPTS_LIMIT; i++) {
        print_row(printer, &(struct row){"clamps", clamp_name((enum clamp)i),
                                         coverage->clamps[i], false});
    }
    for (int i = JITTER_DEFAULT; i <= JITTER_NONE; i++) {
        print_row(printer, &(struct row){"jitter", jitter_names[i],
                                         coverage->jitters[i], false});
    }
    for (int i = 0; i < HEDGING_COUNT; i++) {
        print_row(printer, &(struct row){"hedging", hedging_names[i],
                                         coverage->hedging[i], false});
    }
    for (int i = 0; i < GUARD_COUNT; i++) {
        print_row(printer, &(struct row){"targets", guard_names[i],
                                         coverage->guards[i], false});
    }
    for (int i = 0; i < LIMITING_COUNT; i++) {
        print_row(printer, &(struct row){"limits", limiting_names[i],
                                         coverage->limits[i], false});
    }
    for (int i = 0; i < ANSWER_COUNT; i++) {
        print_row(printer, &(struct row){"answers", answer_names[i],
                                         coverage->answers[i], false});
    }
    for (int i = 0; i < FAULT_COUNT; i++) {
        print_row(printer, &(struct row){"faults", fault_names[i],
                                         coverage->faults[i], false});
    }
}

unsigned
coverage_print(const struct coverage *coverage)
{
    struct printer printer = {0};

    print_moves(&printer, coverage);
    print_records(&printer, coverage);
    print_rest(&printer, coverage);
    printf("\n\n%" PRIu64 " seeds, %" PRIu64 " jobs, %" PRIu64
           " attempts, %" PRIu64 " inputs, %" PRIu64 " records, %" PRIu64
           " commits, %" PRIu64 " restarts\n",
           coverage->seeds, coverage->jobs, coverage->attempts,
           coverage->inputs, coverage->records, coverage->commits,
           coverage->restarts);
    printf("at least %" PRIu64 " jobs, %" PRIu64 " inputs and %" PRIu64
           " restarts in each seed\n",
           coverage->jobs_least, coverage->inputs_least,
           coverage->restarts_least);
    return printer.bad;
}
