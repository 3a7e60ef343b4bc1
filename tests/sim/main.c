/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redial-sim: runs seeds, one or many, in several processes; see README.md.
 * Exit code 0 when all went well, else 1.
 */
#include "server/base/check.h"
#include "tests/sim/selftest.h"
#include "tests/sim/sim.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    JOBS_MAX = 64,
    COVERED_BY = 200, /* so many seeds reach everything */
    FAILURES_SHOWN_MAX = 20,
};

/* Between the processes. */
struct shared {
    _Atomic uint64_t next;
    _Atomic uint64_t failures;
    uint64_t end;
    uint64_t running[JOBS_MAX]; /* the seed at hand */
    struct coverage coverage[JOBS_MAX];
};

struct command_line {
    uint64_t from;
    uint64_t count;
    uint32_t jobs;
    bool verbose;
    bool keep_going;
    bool self_test;
    const char *named;
};

static const char usage[] =
    "usage: redial-sim --seed N [--verbose]\n"
    "       redial-sim --seeds FROM COUNT [--jobs N] [--keep-going]\n"
    "       redial-sim --named FILE\n"
    "       redial-sim --self-test\n";

static bool
read_number(const char *word, uint64_t *ret_number)
{
    char *end = NULL;

    if (word == NULL || word[0] < '0' || word[0] > '9') {
        return false;
    }
    errno = 0;
    unsigned long long number = strtoull(word, &end, 10);

    if (errno != 0 || *end != '\0') {
        return false;
    }
    *ret_number = number;
    return true;
}

/* Reads one option at *at, which it moves on. */
static bool
read_option(char **argv, int *at, struct command_line *line)
{
    const char *word = argv[*at];
    uint64_t number = 0;

    if (strcmp(word, "--verbose") == 0) {
        line->verbose = true;
    } else if (strcmp(word, "--keep-going") == 0) {
        line->keep_going = true;
    } else if (strcmp(word, "--self-test") == 0) {
        line->self_test = true;
    } else if (strcmp(word, "--seed") == 0 &&
               read_number(argv[*at + 1], &line->from)) {
        line->count = 1;
        *at += 1;
    } else if (strcmp(word, "--seeds") == 0 &&
               read_number(argv[*at + 1], &line->from) &&
               read_number(argv[*at + 2], &line->count)) {
        *at += 2;
    } else if (strcmp(word, "--jobs") == 0 &&
               read_number(argv[*at + 1], &number) && number > 0 &&
               number <= JOBS_MAX) {
        line->jobs = (uint32_t)number;
        *at += 1;
    } else if (strcmp(word, "--named") == 0 && argv[*at + 1] != NULL) {
        line->named = argv[*at + 1];
        *at += 1;
    } else {
        return false;
    }
    return true;
}

static void
on_abort(int signal)
{
    const struct sim *sim = sim_current();

    (void)signal;
    if (sim != NULL) {
        sim_print_story(sim);
        (void)fprintf(stderr, "seed %" PRIu64 ": ABORT\n", sim->seed);
    }
    _exit((int)VIOLATION_ABORT);
}

/* ---- Many seeds -------------------------------------------------------- */

/* One process: takes seeds until there are no more. */
static _Noreturn void
run_seeds(struct shared *shared, uint32_t index)
{
    for (;;) {
        uint64_t seed = atomic_fetch_add(&shared->next, 1);

        if (seed >= shared->end) {
            exit(0);
        }
        shared->running[index] = seed;
        (void)sim_run(&(struct sim_options){
            .seed = seed,
            .coverage = &shared->coverage[index],
        });
    }
}

static pid_t
start_process(struct shared *shared, uint32_t index)
{
    (void)fflush(stdout);
    pid_t child = fork();

    if (child == 0) {
        run_seeds(shared, index);
    }
    redial_assert(child > 0);
    return child;
}

static void
note_failure(struct shared *shared, uint32_t index, bool keep_going)
{
    uint64_t failures = atomic_fetch_add(&shared->failures, 1) + 1;

    (void)fprintf(stderr, "FAILED seed %" PRIu64 "\n\n",
                  shared->running[index]);
    if (!keep_going || failures >= FAILURES_SHOWN_MAX) {
        atomic_store(&shared->next, shared->end);
    }
}

static void
run_processes(struct shared *shared, const struct command_line *line)
{
    pid_t children[JOBS_MAX] = {0};
    uint32_t running = 0;

    for (; running < line->jobs; running++) {
        children[running] = start_process(shared, running);
    }
    while (running > 0) {
        int status = 0;
        pid_t child = wait(&status);
        uint32_t index = 0;

        redial_assert(child > 0);
        while (children[index] != child) {
            index++;
        }
        if (status == 0) {
            running--;
            continue;
        }
        note_failure(shared, index, line->keep_going);
        children[index] = start_process(shared, index);
    }
}

static int
run_many(const struct command_line *line)
{
    struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
                                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct coverage sum = {0};

    redial_assert(shared != MAP_FAILED);
    atomic_store(&shared->next, line->from);
    shared->end = line->from + line->count;
    run_processes(shared, line);
    for (uint32_t i = 0; i < line->jobs; i++) {
        coverage_add(&sum, &shared->coverage[i]);
    }
    unsigned bad = coverage_print(&sum);
    uint64_t failures = atomic_load(&shared->failures);

    if (failures > 0) {
        printf("%" PRIu64 " seeds failed\n", failures);
        return 1;
    }
    if (bad > 0 && line->count >= COVERED_BY) {
        printf("%u rows marked ! are zero and must not be, or the other way "
               "round\n",
               bad);
        return 1;
    }
    printf("all seeds passed\n");
    return 0;
}

static int
run_one(const struct command_line *line)
{
    static struct coverage coverage;
    uint64_t digest = sim_run(&(struct sim_options){
        .seed = line->from,
        .verbose = line->verbose,
        .coverage = &coverage,
    });

    (void)coverage_print(&coverage);
    printf("seed %" PRIu64 " passed, digest %016" PRIx64 "\n", line->from,
           digest);
    return 0;
}

/* ---- Seeds with a name ------------------------------------------------- */

/* "<seed> <what went wrong once>" on each line; # begins a comment. */
static int
run_named(const char *path)
{
    static struct coverage coverage;
    FILE *file = fopen(path, "r");
    char line[256];
    unsigned number = 0;

    if (file == NULL) {
        (void)fprintf(stderr, "redial-sim: cannot read %s\n", path);
        return 1;
    }
    while (fgets(line, sizeof(line), file) != NULL) {
        char *name = NULL;
        uint64_t seed = strtoull(line, &name, 10);

        if (name == line) {
            continue;
        }
        (void)sim_run(
            &(struct sim_options){.seed = seed, .coverage = &coverage});
        name[strcspn(name, "\n")] = '\0';
        printf("ok %u - seed %" PRIu64 ":%s\n", ++number, seed, name);
        (void)fflush(stdout);
    }
    (void)fclose(file);
    printf("1..%u\n", number);
    return 0;
}

int
main(int argc, char **argv)
{
    struct command_line line = {.jobs = 1};

    (void)signal(SIGABRT, on_abort);
    for (int i = 1; i < argc; i++) {
        if (!read_option(argv, &i, &line)) {
            (void)fputs(usage, stderr);
            return 1;
        }
    }
    if (line.self_test) {
        return selftest_run();
    }
    if (line.named != NULL) {
        return run_named(line.named);
    }
    if (line.count == 0) {
        (void)fputs(usage, stderr);
        return 1;
    }
    return line.count == 1 && line.jobs == 1 ? run_one(&line) : run_many(&line);
}
