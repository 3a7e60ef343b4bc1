/* SPDX-License-Identifier: Apache-2.0 */
/* Many methods and tenants behind one breaker. */
#include "server/core/state.h"
#include "tests/unit/core/gates.h"

#include <stdio.h>
#include <string.h>

enum { METHODS = 400 };

static uint32_t
count_gated(void)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < rig.engine->methods.fresh; i++) {
        const struct method *method = slab_at(&rig.engine->methods, i);

        count += method->gate != GATE_NONE;
    }
    return count;
}

static void
submit_to_all(void)
{
    for (uint32_t i = 0; i < METHODS; i++) {
        char name[8];

        snprintf(name, sizeof(name), "m%u", i);
        rig.submit.method = text_of(name);
        rig_submit(1000 + i);
    }
    rig.submit.method = text_of("m");
}

static void
begin_with_many(void)
{
    struct engine_slots slots = {.service = text_of("s")};

    rig.limits.jobs_max = METHODS + 50;
    rig.limits.attempts_max = METHODS + 50;
    rig.limits.methods_max = METHODS + 8;
    gates_begin(32);
    rig_step(&(struct engine_input){.type = ENGINE_HELLO,
                                    .hello = {.name = text_of("all"),
                                              .instance = text_of("1"),
                                              .methods = &slots,
                                              .method_count = 1,
                                              .concurrency = METHODS + 50}});
    uint64_t all = rig.out.result.worker;

    gates_open(1);
    rig_poll(all, METHODS + 50);
    submit_to_all();
}

static void
of_many_methods_each_waits_and_each_comes_back(void **state)
{
    (void)state;
    begin_with_many();
    assert_int_equal(count_gated(), METHODS);
    assert_int_equal(gates_stats().waiting, METHODS);
    rig_seen();
    rig_advance(1000);
    assert_int_equal(rig.assigned_count, 1);
    for (uint32_t i = 0; i < METHODS; i++) {
        struct rig_assigned next = rig.assigned[rig.assigned_count - 1];

        if (gates_stats().state != BREAKER_HALF_OPEN) {
            break;
        }
        rig_succeed(next.worker, next.token);
    }
    gates_expect(BREAKER_RAMP);
    assert_int_equal(gates_stats().in_flight, 1);
    assert_true(count_gated() > METHODS - 10);
    rig_advance(1000);
    gates_expect(BREAKER_CLOSED);
    assert_int_equal(count_gated(), 0);
    assert_int_equal(rig.assigned_count, METHODS);
}

static void
one_that_lets_go_of_a_place_lets_in_just_one(void **state)
{
    (void)state;
    begin_with_many();
    gates_policy()->ramp_ms = 1000000;
    rig_use_policy();
    rig_seen();
    rig_advance(1000);
    while (gates_stats().state == BREAKER_HALF_OPEN) {
        struct rig_assigned next = rig.assigned[rig.assigned_count - 1];

        rig_succeed(next.worker, next.token);
    }
    for (uint32_t i = 0; i < 20; i++) {
        uint32_t before = rig.assigned_count;
        struct rig_assigned next = rig.assigned[before - 1];

        rig_succeed(next.worker, next.token);
        assert_int_equal(rig.assigned_count, before + 1);
        assert_int_equal(gates_stats().in_flight, 1);
    }
}

static void
a_slow_tenant_does_not_keep_the_ramp_to_itself(void **state)
{
    (void)state;
    gates_begin(32);
    gates_policy()->probes_needed = 1;
    gates_policy()->ramp_permille = 500;
    gates_policy()->ramp_ms = 100000;
    for (uint32_t n = 1; n <= 4; n++) {
        rig_submit(n);
    }
    rig.policy.tenant_fallback.limits.concurrency = 1;
    rig_use_policy();
    for (uint32_t n = 1; n <= 3; n++) {
        rig_fail(gates_worker, rig_token_of(n), REDIAL_UNAVAILABLE, "DOWN");
    }
    gates_expect(BREAKER_OPEN);
    rig_succeed(gates_worker, rig_token_of(4));
    rig.submit.tenant = text_of("slow");
    rig_submit(20);
    rig_submit(21);
    rig_submit(22);
    rig.submit.tenant = text_of("quick");
    rig_submit(30);
    rig_submit(31);
    rig_submit(32);
    rig.submit.tenant = text_of("probe");
    gates_submit(10, IDEMPOTENCY_YES, 0);
    rig.submit.tenant = text_of("");
    rig_advance(1000);
    rig_succeed(gates_worker, rig_token_of(10));
    gates_expect(BREAKER_RAMP);
    assert_int_equal(gates_stats().in_flight_max, 2);
    assert_true(gates_runs(20));
    for (uint32_t n = 30; n <= 32; n++) {
        assert_true(gates_runs(n));
        rig_succeed(gates_worker, rig_token_of(n));
    }
    assert_true(gates_runs(20));
    assert_false(gates_runs(21));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        rig_test(of_many_methods_each_waits_and_each_comes_back),
        rig_test(one_that_lets_go_of_a_place_lets_in_just_one),
        rig_test(a_slow_tenant_does_not_keep_the_ramp_to_itself),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
