/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How often what occurred. One `struct coverage` per process, in memory that
 * the parent shares, all plain counters; sums are taken at the end. A counter
 * that is zero after many seeds is a failure, except for the rows that the core
 * cannot reach yet, which must then stay zero: coverage_print() knows them.
 */
#ifndef REDIAL_TESTS_SIM_COVERAGE_H
#define REDIAL_TESTS_SIM_COVERAGE_H

#include "server/core/engine.h"

#include <stdbool.h>
#include <stdint.h>

enum fault {
#define FAULT(name, rate, sentence) FAULT_##name,
#include "tests/sim/fault.def"
#undef FAULT
    FAULT_COUNT
};

enum move {
#define JOB_MOVE(from, to, event) MOVE_##from##_##to,
#include "server/core/job.def"
#undef JOB_MOVE
    MOVE_COUNT
};

enum answer {
#define ANSWER(name, status, reason) ANSWER_##name,
#include "tests/sim/answer.def"
#undef ANSWER
    ANSWER_COUNT
};

/* What becomes of attempts beside each other. */
enum hedging {
    HEDGING_PLANNED,
    HEDGING_STARTED, /* beside others */
    HEDGING_STAYED,  /* others ran, so the job stayed RUNNING */
    HEDGING_LOST,
    HEDGING_REFUSED, /* when its time had come */
    HEDGING_COUNT,
};

/* What guards a target. */
enum guard {
    GUARD_BUDGET_TAKEN,
    GUARD_GIVEN_BACK,
    GUARD_HELD,
    GUARD_COUNT,
};

/* Where limits were looked at. */
enum limiting {
    LIMITING_COUNTED, /* a start under a rate */
    LIMITING_SHARED,  /* a grant while tenants compete */
    LIMITING_COUNT,
};

struct coverage {
    uint64_t seeds;
    uint64_t jobs;
    uint64_t inputs;
    uint64_t restarts;
    uint64_t records;
    uint64_t commits;
    uint64_t attempts;
    uint64_t jobs_least; /* of one seed; and so on */
    uint64_t inputs_least;
    uint64_t restarts_least;
    uint64_t states[16];
    uint64_t moves[MOVE_COUNT];
    uint64_t events[128];
    uint64_t exits[64];     /* final states by rule */
    uint64_t decisions[64]; /* all decisions by rule */
    uint64_t faults[FAULT_COUNT];
    uint64_t answers[ANSWER_COUNT];
    uint64_t delay_sources[8];
    uint64_t clamps[8];
    uint64_t jitters[8];
    uint64_t hedging[HEDGING_COUNT];
    uint64_t guards[GUARD_COUNT];
    uint64_t limits[LIMITING_COUNT];
};

/* Adds `from` to `to`. */
void
coverage_add(struct coverage *to, const struct coverage *from);

/*
 * Prints the tables. Returns how many rows are zero that must not be, or not
 * zero although they cannot be reached.
 */
unsigned
coverage_print(const struct coverage *coverage);

const char *
fault_name(enum fault fault);

#endif
