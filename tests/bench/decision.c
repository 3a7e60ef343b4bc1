/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ten thousand retry decisions among ten thousand configured methods, each with
 * a target of its own, to be counted by callgrind (tests/bench/decision_cost).
 * Each is what the engine does for a failure that it knows the method of: the
 * policies of method and target (which the engine finds when a method is first
 * named and when a policy is loaded, and keeps), where throttle, budget and
 * hold stand, and the decision.
 *
 * All kinds of failures come in turn, most of them such that all steps are gone
 * through. Prints how many decisions there were. `--find` looks both policies
 * up by name each time, as when a method is named for the first time.
 */
#include "server/core/retry.h"
#include "server/core/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { METHODS = 10000, DECISIONS = 10000, NAME_BYTES = 32 };

struct names {
    char service[METHODS][NAME_BYTES];
    char method[METHODS][NAME_BYTES];
};

struct bench {
    struct policy_set set;
    struct method_policy *methods;
    struct target_policy *targets;
    struct names *names;
    void *memory;
    struct engine *engine;
    struct engine_outbox out;
    bool find;
};

static struct text
write_name(char *buf, const char *kind, int number)
{
    int len = snprintf(buf, NAME_BYTES, "example.orders.%s%05d", kind, number);

    return (struct text){.at = buf, .len = (uint32_t)len};
}

static void
write_policies(struct bench *bench)
{
    policy_set_default(&bench->set);
    for (int i = 0; i < METHODS; i++) {
        struct method_policy *method = &bench->methods[i];
        struct target_policy *target = &bench->targets[i];

        *method = bench->set.fallback;
        method->service = write_name(bench->names->service[i], "Service", i);
        method->method = write_name(bench->names->method[i], "Method", i);
        method->retry.max_attempts = 5;
        *target = (struct target_policy){
            .name = method->service,
            .has_throttle = true,
            .tokens_max_milli = 10000,
            .tokens_ok_milli = 100,
            .has_budget = true,
            .budget_ratio_milli = 200,
            .budget_floor = 10,
            .budget_window_ms = 10000,
        };
    }
    bench->set.methods = bench->methods;
    bench->set.method_count = METHODS;
    bench->set.targets = bench->targets;
    bench->set.target_count = METHODS;
}

static const struct engine_limits limits = {
    .jobs_max = METHODS,
    .attempts_max = 16,
    .workers_max = 1,
    .methods_max = METHODS,
    .tenants_max = 1,
    .keys_max = 1,
    .attempts_limit = 10,
    .payload_bytes_max = 1,
    .lease_ms = 10000,
    .adopt_ms = 10000,
    .silence_ms = 6000,
    .grace_ms = 2000,
};

/* A job of each method, so that the engine knows all of them. */
static void
name_all(struct bench *bench, struct now now)
{
    for (uint32_t i = 0; i < METHODS; i++) {
        struct engine_input input = {
            .type = ENGINE_SUBMIT,
            .submit = {.service = bench->methods[i].service,
                       .method = bench->methods[i].method},
        };

        memcpy(input.submit.id.bytes, &(uint32_t){i + 1}, sizeof(uint32_t));
        engine_step(bench->engine, now, &input, &bench->out);
    }
}

/* Throttles of another maximum, used budgets, and holds. */
static void
use_targets(struct bench *bench)
{
    struct engine *engine = bench->engine;

    for (uint32_t i = 0; i < engine->targets.fresh; i++) {
        struct target *target = slab_at(&engine->targets, i);

        target->throttle = (struct throttle){.tokens_milli = 7000,
                                             .max_milli = 8000};
        for (uint64_t at = 0; at < BUDGET_SLICES; at++) {
            budget_deposit(&target->budget, target->slice + at, 400);
            budget_take(&target->budget, target->slice + at, RETRY_MILLI);
        }
        target->hold_until_ms = engine->now.mono.ms + 500;
        target->hold_spread_ms = 1000;
    }
}

static bool
set_up(struct bench *bench)
{
    struct now now = {.mono = {1000000}, .wall = {1700000000000}};
    size_t bytes = (engine_size(&limits) + 63) / 64 * 64;

    bench->methods = calloc(METHODS, sizeof(struct method_policy));
    bench->targets = calloc(METHODS, sizeof(struct target_policy));
    bench->names = calloc(1, sizeof(struct names));
    bench->memory = aligned_alloc(64, bytes);
    if (bench->methods == NULL || bench->targets == NULL ||
        bench->names == NULL || bench->memory == NULL ||
        !engine_outbox_init(&bench->out)) {
        return false;
    }
    memset(bench->memory, 0, bytes);
    write_policies(bench);
    bench->engine = engine_init(bench->memory, &limits, &bench->set, 1, now);
    name_all(bench, now);
    use_targets(bench);
    return bench->engine->methods.used == METHODS;
}

/* What callgrind counts; not to be made part of its caller. */
struct decision
bench_decide(struct bench *bench, const struct method *method,
             const struct retry_failure *failure,
             const struct retry_counts *counts);

__attribute__((noinline)) struct decision
bench_decide(struct bench *bench, const struct method *method,
             const struct retry_failure *failure,
             const struct retry_counts *counts)
{
    struct engine *engine = bench->engine;
    const struct method_policy *policy = method->policy;
    struct retry_guard guard = target_guard(engine, method->target);
    struct retry_time time = {
        .now = engine->now,
        .deadline = {engine->now.mono.ms + 60000},
    };

    if (bench->find) {
        struct text service = service_text(method->service);

        policy = policy_find(&bench->set, service, method_text(method));
        method->target->policy = policy_find_target(&bench->set, service);
    }
    return retry_decide(policy, failure, counts, &guard, &time, &engine->rng);
}

static uint32_t
run(struct bench *bench)
{
    uint32_t planned = 0;

    for (uint32_t i = 0; i < DECISIONS; i++) {
        /* A walk over all of them in an order that no cache foresees. */
        uint32_t at = (uint32_t)((uint64_t)i * 7919 % METHODS);
        struct retry_failure failure = {
            .code = i % 8 == 7 ? REDIAL_INTERNAL : REDIAL_UNAVAILABLE,
            .code_is_known = true,
            .has_pushback = i % 4 == 1,
            .pushback_ms = 250,
        };
        struct retry_counts counts = {
            .charged = 1 + i % 5, .backoff_n = i % 5, .attempts_limit = 10};

        planned += bench_decide(bench, slab_at(&bench->engine->methods, at),
                                &failure, &counts)
                       .rule == RULE_RETRY_PLANNED;
    }
    return planned;
}

int
main(int argc, char **argv)
{
    struct bench bench = {.find = argc > 1 && strcmp(argv[1], "--find") == 0};
    uint32_t planned = 0;

    if (set_up(&bench)) {
        planned = run(&bench);
    }
    printf("decisions %d planned %u\n", DECISIONS, planned);
    engine_outbox_fini(&bench.out);
    free(bench.memory);
    free(bench.methods);
    free(bench.targets);
    free(bench.names);
    return planned > DECISIONS / 2 ? 0 : 1;
}
