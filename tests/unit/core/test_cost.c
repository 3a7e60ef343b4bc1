/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Grants cost the same however much is blocked: ten thousand of them beside a
 * thousand blocked tenants and a thousand blocked methods, measured in the time
 * of this thread. A scan of the blocked ones would cost a hundred times more.
 */
#include "server/core/engine.h"
#include "tests/unit/core/books.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

enum { BLOCKED = 1000, GRANTS = 10000, AT_ONCE = 50 };

static struct bench {
    struct policy_set policy;
    struct tenant_policy free_tenant;
    struct method_policy free_method;
    struct now now;
    void *memory;
    struct engine *engine;
    struct engine_outbox out;
    uint32_t next_job;
    uint64_t worker;
    struct engine_token running[AT_ONCE];
    uint32_t running_count;
} bench;

static struct text
text(const char *string)
{
    return (struct text){.at = string, .len = (uint32_t)strlen(string)};
}

static void
step(const struct engine_input *input)
{
    engine_step(bench.engine, bench.now, input, &bench.out);
    for (size_t i = 0; i < bench.out.command_count; i++) {
        if (bench.out.commands[i].type == COMMAND_ASSIGN) {
            assert_true(bench.running_count < AT_ONCE);
            bench.running[bench.running_count++] = bench.out.commands[i].token;
        }
    }
}

static void
submit(const char *tenant, const char *method)
{
    struct engine_input input = {
        .type = ENGINE_SUBMIT,
        .submit = {.tenant = text(tenant),
                   .service = text("s"),
                   .method = text(method),
                   .priority = 5},
    };

    bench.next_job++;
    memcpy(input.submit.id.bytes, &bench.next_job, sizeof(bench.next_job));
    step(&input);
    assert_int_equal(bench.out.result.status, REDIAL_OK);
}

static void
poll(uint32_t free)
{
    step(&(struct engine_input){
        .type = ENGINE_POLL,
        .poll = {.worker = bench.worker,
                 .free_total = free,
                 .acks = bench.running,
                 .ack_count = bench.running_count},
    });
}

/* A worker for all of the service; "free" is limited by nothing. */
static void
start_bench(void)
{
    struct engine_limits limits = {
        .jobs_max = 20000,
        .attempts_max = 4000,
        .workers_max = 4,
        .methods_max = 2 * BLOCKED,
        .tenants_max = 2 * BLOCKED,
        .keys_max = 16,
        .attempts_limit = 10,
        .payload_bytes_max = 1 << 20,
        .lease_ms = 10000,
        .adopt_ms = 10000,
        .silence_ms = 6000,
        .grace_ms = 2000,
    };
    size_t size = (engine_size(&limits) + 63) / 64 * 64;

    memset(&bench, 0, sizeof(bench));
    policy_set_default(&bench.policy);
    bench.free_tenant = bench.policy.tenant_fallback;
    bench.free_tenant.name = text("free");
    bench.free_method = bench.policy.fallback;
    bench.free_method.service = text("s");
    bench.free_method.method = text("free");
    bench.policy.tenants = &bench.free_tenant;
    bench.policy.tenant_count = 1;
    bench.policy.methods = &bench.free_method;
    bench.policy.method_count = 1;
    bench.policy.fallback.limits.rate = 1;
    bench.policy.fallback.limits.rate_period_ms = 60000;
    bench.policy.tenant_fallback.limits.rate = 1;
    bench.policy.tenant_fallback.limits.rate_period_ms = 60000;
    bench.now = (struct now){.mono = {1000000}, .wall = {1700000000000}};
    bench.memory = aligned_alloc(64, size);
    assert_non_null(bench.memory);
    memset(bench.memory, 0, size);
    bench.engine = engine_init(bench.memory, &limits, &bench.policy, 1,
                               bench.now);
    assert_true(engine_outbox_init(&bench.out));
    struct engine_slots slots = {.service = text("s")};

    step(&(struct engine_input){
        .type = ENGINE_HELLO,
        .hello = {.name = text("w"),
                  .instance = text("1"),
                  .methods = &slots,
                  .method_count = 1,
                  .concurrency = AT_ONCE},
    });
    bench.worker = bench.out.result.worker;
}

static void
end_bench(void)
{
    books_check(bench.engine);
    engine_outbox_fini(&bench.out);
    free(bench.memory);
}

/* Each waits for a token for a minute, with two jobs. */
static void
block(const char *prefix, bool tenants)
{
    char name[16];

    for (uint32_t i = 0; i < 2 * BLOCKED; i++) {
        snprintf(name, sizeof(name), "%s%u", prefix, i % BLOCKED);
        submit(tenants ? name : "free", tenants ? "free" : name);
    }
}

static int64_t
cpu_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Each end of an attempt makes room for the next. */
static int64_t
grant_all(void)
{
    int64_t since = cpu_us();

    for (uint32_t i = 0; i < AT_ONCE; i++) {
        submit("free", "free");
    }
    poll(AT_ONCE);
    for (uint32_t grant = AT_ONCE; grant < GRANTS; grant++) {
        assert_int_equal(bench.running_count, AT_ONCE);
        submit("free", "free");
        struct engine_input input = {
            .type = ENGINE_REPORT,
            .report = {.worker = bench.worker,
                       .token = bench.running[grant % AT_ONCE]},
        };

        bench.running[grant % AT_ONCE] = bench.running[--bench.running_count];
        step(&input);
        poll(AT_ONCE - bench.running_count);
    }
    return cpu_us() - since;
}

/* The best of three runs, with this much in the way. */
static int64_t
cost(bool tenants, bool methods)
{
    int64_t best = INT64_MAX;

    for (uint32_t run = 0; run < 3; run++) {
        start_bench();
        if (tenants) {
            block("t", true);
        }
        if (methods) {
            block("m", false);
        }
        int64_t found = grant_all();

        best = found < best ? found : best;
        end_bench();
    }
    return best;
}

static void
blocked_tenants_and_methods_do_not_make_grants_slower(void **state)
{
    int64_t alone = cost(false, false);

    (void)state;
    assert_true(cost(true, false) < 4 * alone);
    assert_true(cost(false, true) < 4 * alone);
    int64_t both = cost(true, true);

    print_message(
        "10,000 grants: %lld us alone, %lld us beside 2,000 blocked\n",
        (long long)alone, (long long)both);
    assert_true(both < 4 * alone);
}

/* Ends attempts one by one; each end brings back one lane of the tenant. */
static int64_t
one_place(uint32_t methods)
{
    char name[16];
    int64_t since;

    start_bench();
    bench.free_tenant.limits.concurrency = 1;
    bench.policy.methods = NULL;
    bench.policy.method_count = 0;
    bench.policy.fallback.limits.rate = 0;
    step(
        &(struct engine_input){.type = ENGINE_POLICY, .policy = &bench.policy});
    for (uint32_t i = 0; i < 2 * BLOCKED; i++) {
        snprintf(name, sizeof(name), "m%u", i % methods);
        submit("free", name);
    }
    poll(AT_ONCE);
    since = cpu_us();
    for (uint32_t i = 0; i < 2 * BLOCKED; i++) {
        assert_int_equal(bench.running_count, 1);
        struct engine_input input = {
            .type = ENGINE_REPORT,
            .report = {.worker = bench.worker, .token = bench.running[0]},
        };

        bench.running_count = 0;
        step(&input);
    }
    since = cpu_us() - since;
    assert_int_equal(bench.running_count, 0);
    end_bench();
    return since;
}

static void
a_place_of_a_tenant_costs_the_same_over_a_thousand_methods(void **state)
{
    int64_t few = INT64_MAX;
    int64_t many = INT64_MAX;

    (void)state;
    for (uint32_t run = 0; run < 3; run++) {
        int64_t found = one_place(2);

        few = found < few ? found : few;
        found = one_place(BLOCKED);
        many = found < many ? found : many;
    }
    print_message("2,000 places: %lld us with 2 methods, %lld us with 1,000\n",
                  (long long)few, (long long)many);
    assert_true(many < 6 * few);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            a_place_of_a_tenant_costs_the_same_over_a_thousand_methods),
        cmocka_unit_test(blocked_tenants_and_methods_do_not_make_grants_slower),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
