/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/selftest.h"

#include "server/base/check.h"
#include "tests/sim/sim.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SEEDS_MAX = 40 };

struct planted {
    enum plant plant;
    enum violation expected;
    const char *sentence;
};

static const struct planted planted[] = {
    {PLANT_REPLY_EARLY, VIOLATION_SPOKE_EARLY, "a reply before its commit"},
    {PLANT_CHARGE_FORGOTTEN, VIOLATION_TOO_MANY_TRIES,
     "charged attempts that a restart forgets"},
    {PLANT_FENCE_IGNORED, VIOLATION_FENCE, "a fence that nobody compares"},
    {PLANT_TOKENS_FORGOTTEN, VIOLATION_THROTTLE,
     "tokens that a restart forgets"},
    {PLANT_HEDGE_TOO_MANY, VIOLATION_TOO_MANY_TRIES,
     "a hedge beyond the limit"},
    {PLANT_LOSER_RUNS, VIOLATION_STOP, "a loser that is not stopped"},
    {PLANT_RATE_ONE_MORE, VIOLATION_RATE, "a rate of one too many"},
    {PLANT_QUEUE_ONE_MORE, VIOLATION_QUEUE, "a queue that is one too long"},
    {PLANT_BUDGET_FLOOR, VIOLATION_BUDGET, "a budget of one too many"},
    {PLANT_HOLD_IGNORED, VIOLATION_HOLD, "a target that is not held"},
    {PLANT_WEIGHTS_REVERSED, VIOLATION_SHARE, "weights that are reversed"},
};

/* How the seed ends with the fault planted, in a process of its own. */
static enum violation
run_planted(uint64_t seed, enum plant plant)
{
    static struct coverage coverage;
    int status = 0;

    (void)fflush(stdout);
    pid_t child = fork();

    redial_assert(child >= 0);
    if (child == 0) {
        int null = open("/dev/null", O_WRONLY);

        (void)dup2(null, STDERR_FILENO);
        (void)sim_run(&(struct sim_options){
            .seed = seed, .plant = plant, .coverage = &coverage});
        exit(0);
    }
    pid_t ended = waitpid(child, &status, 0);

    redial_assert(ended == child);
    (void)ended;
    return WIFEXITED(status) ? (enum violation)WEXITSTATUS(status)
                             : VIOLATION_ABORT;
}

/* Other promises may notice first; the one that is meant must notice too. */
static bool
is_caught(const struct planted *row, unsigned number)
{
    unsigned others = 0;

    for (uint64_t seed = 1; seed <= SEEDS_MAX; seed++) {
        enum violation found = run_planted(seed, row->plant);

        if (found == row->expected) {
            printf("ok %u - %s is caught (seed %" PRIu64
                   ", %s; %u seeds by other promises)\n",
                   number, row->sentence, seed, violation_name(found), others);
            return true;
        }
        others += found != VIOLATION_NONE;
    }
    printf("not ok %u - %s is not caught as %s in %d seeds\n", number,
           row->sentence, violation_name(row->expected), SEEDS_MAX);
    return false;
}

static bool
tells_the_same_story(unsigned number)
{
    static struct coverage coverage;
    const struct sim_options options = {.seed = 4711, .coverage = &coverage};
    uint64_t once = sim_run(&options);
    uint64_t twice = sim_run(&options);

    printf("%s %u - a seed tells the same story twice\n",
           once == twice ? "ok" : "not ok", number);
    return once == twice;
}

int
selftest_run(void)
{
    unsigned count = sizeof(planted) / sizeof(planted[0]);
    bool good = true;

    for (unsigned i = 0; i < count; i++) {
        good = is_caught(&planted[i], i + 1) && good;
    }
    good = tells_the_same_story(count + 1) && good;
    printf("1..%u\n", count + 1);
    return good ? 0 : 1;
}
