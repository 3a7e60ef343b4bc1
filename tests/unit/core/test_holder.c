/* SPDX-License-Identifier: Apache-2.0 */
/* Operators who hold a breaker open. */
#include "server/core/text.h"
#include "tests/unit/core/gates.h"

#include <string.h>

static void
held_open_nothing_goes_and_the_event_says_who(void **state)
{
    (void)state;
    gates_begin(32);
    rig_submit(1);
    gates_act(ENGINE_BREAKER_OPEN, "ann", "a release", 0);
    const struct record *forced = rig_record(EVENT_BREAKER_FORCED);

    rig_assert_text(forced->target, "s");
    rig_assert_text(forced->holder, "ann");
    rig_assert_text(forced->reason, "a release");
    assert_int_equal(forced->breaker.forced, 1);
    rig_submit(2);
    assert_int_equal(rig_view(2).shown, JOB_PARKED);
    assert_int_equal(rig_view(2).until_wall_ms, 0);
    assert_int_equal(gates_stats().until_ms, -1);
    rig_advance(200000);
    assert_false(gates_runs(2));
    rig_seen();
    gates_act(ENGINE_BREAKER_CLOSE, "ann", "", 0);
    gates_expect(BREAKER_RAMP); /* it was closed below */
    assert_true(gates_runs(1));
    rig_assert_text(rig_record(EVENT_BREAKER_RELEASED)->holder, "ann");
}

static void
two_operators_must_both_let_go(void **state)
{
    (void)state;
    gates_begin(32);
    rig_submit(1);
    gates_act(ENGINE_BREAKER_OPEN, "ann", "", 0);
    gates_act(ENGINE_BREAKER_OPEN, "bob", "", 0);
    rig_submit(2);
    gates_act(ENGINE_BREAKER_CLOSE, "ann", "", 0);
    assert_true(gates_stats().forced);
    assert_int_equal(gates_stats().holder_count, 1);
    gates_act(ENGINE_BREAKER_CLOSE, "ann", "", 0);
    assert_int_equal(rig.out.result.status, REDIAL_NOT_FOUND);
    assert_string_equal(rig.out.result.reason, "UNKNOWN_HOLDER");
    assert_true(gates_stats().forced);
    gates_act(ENGINE_BREAKER_CLOSE, "bob", "", 0);
    assert_false(gates_stats().forced);
}

static void
an_expiry_lets_go_by_itself(void **state)
{
    (void)state;
    gates_begin(32);
    rig_submit(1);
    gates_act(ENGINE_BREAKER_OPEN, "ann", "", 5000);
    gates_act(ENGINE_BREAKER_OPEN, "bob", "", 3000);
    rig_submit(2);
    assert_int_equal(rig_view(2).until_wall_ms, rig.now.wall.ms + 5000);
    assert_int_equal(gates_stats().until_ms, 5000);
    rig_seen();
    rig_advance(3000);
    rig_assert_text(rig_record(EVENT_BREAKER_RELEASED)->reason, "EXPIRED");
    assert_true(gates_stats().forced);
    rig_advance(2000);
    assert_false(gates_stats().forced);
}

static void
saying_it_again_replaces_reason_and_expiry(void **state)
{
    (void)state;
    gates_begin(32);
    rig_submit(1);
    gates_act(ENGINE_BREAKER_OPEN, "ann", "one", 1000);
    gates_act(ENGINE_BREAKER_OPEN, "ann", "two", 0);
    assert_int_equal(gates_stats().holder_count, 1);
    rig_assert_text(gates_stats().holders[0].reason, "two");
    assert_int_equal(gates_stats().holders[0].until_wall_ms, 0);
    rig_advance(5000);
    assert_true(gates_stats().forced);
}

static void
one_operator_too_many_is_refused(void **state)
{
    (void)state;
    gates_begin(32);
    rig_submit(1);
    for (char name[2] = "a"; name[0] < 'a' + ENGINE_HOLDERS_MAX; name[0]++) {
        assert_int_equal(gates_act(ENGINE_BREAKER_OPEN, name, "", 0)->status,
                         REDIAL_OK);
    }
    gates_act(ENGINE_BREAKER_OPEN, "z", "", 0);
    assert_int_equal(rig.out.result.status, REDIAL_RESOURCE_EXHAUSTED);
    assert_string_equal(rig.out.result.reason, "HOLDERS_FULL");
    assert_int_equal(rig.out.record_count, 0);
    gates_act(ENGINE_BREAKER_OPEN, "a", "again", 0);
    assert_int_equal(rig.out.result.status, REDIAL_OK);
}

static void
what_makes_no_sense_is_refused_and_changes_nothing(void **state)
{
    (void)state;
    gates_begin(32);
    gates_act(ENGINE_BREAKER_OPEN, "", "", 0);
    assert_int_equal(rig.out.result.status, REDIAL_INVALID_ARGUMENT);
    gates_act(ENGINE_BREAKER_OPEN, "ann", "", UINT64_MAX);
    assert_int_equal(rig.out.result.status, REDIAL_INVALID_ARGUMENT);
    rig_step(&(struct engine_input){
        .type = ENGINE_BREAKER,
        .breaker = {.target = text_of("nobody"), .holder = text_of("ann")}});
    assert_int_equal(rig.out.result.status, REDIAL_NOT_FOUND);
    rig.policy.target_fallback.has_breaker = false;
    rig_use_policy();
    gates_act(ENGINE_BREAKER_OPEN, "ann", "", 0);
    assert_int_equal(rig.out.result.status, REDIAL_FAILED_PRECONDITION);
    assert_string_equal(rig.out.result.reason, "NO_BREAKER");
}

static void
its_own_timer_does_nothing_while_it_is_held(void **state)
{
    (void)state;
    gates_begin(32);
    gates_open(1);
    gates_act(ENGINE_BREAKER_OPEN, "ann", "", 0);
    rig_submit(10);
    rig_seen();
    rig_advance(100000);
    gates_expect(BREAKER_OPEN);
    rig_expect("");
}

static void
let_go_after_it_had_opened_it_looks_for_probes_at_once(void **state)
{
    (void)state;
    gates_begin(32);
    gates_open(1);
    gates_act(ENGINE_BREAKER_OPEN, "ann", "", 0);
    rig_submit(10);
    gates_act(ENGINE_BREAKER_CLOSE, "ann", "", 0);
    rig_tick();
    gates_expect(BREAKER_HALF_OPEN);
    assert_true(gates_runs(10));
}

static void
a_reset_leaves_who_holds_it(void **state)
{
    (void)state;
    gates_begin(32);
    gates_open(1);
    gates_act(ENGINE_BREAKER_OPEN, "ann", "", 0);
    gates_act(ENGINE_BREAKER_RESET, "", "", 0);
    gates_expect(BREAKER_CLOSED);
    assert_true(gates_stats().forced);
    assert_int_equal(gates_stats().step, 0);
    rig_submit(10);
    assert_false(gates_runs(10));
}

static void
holders_survive_a_restart_and_their_time_is_clamped(void **state)
{
    (void)state;
    gates_begin(32);
    rig_submit(1);
    gates_act(ENGINE_BREAKER_OPEN, "ann", "why", 0);
    gates_act(ENGINE_BREAKER_OPEN, "bob", "", 5000);
    rig.now.wall.ms -= 3600000;
    rig_restart();
    assert_int_equal(gates_stats().holder_count, 2);
    rig_assert_text(gates_stats().holders[0].reason, "why");
    rig_advance(4999);
    assert_int_equal(gates_stats().holder_count, 2);
    rig_advance(1);
    assert_int_equal(gates_stats().holder_count, 1);
    rig.now.wall.ms += INT64_C(31536000000);
    rig_restart();
    assert_true(gates_stats().forced);
    gates_act(ENGINE_BREAKER_CLOSE, "ann", "", 0);
    assert_false(gates_stats().forced);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        rig_test(held_open_nothing_goes_and_the_event_says_who),
        rig_test(two_operators_must_both_let_go),
        rig_test(an_expiry_lets_go_by_itself),
        rig_test(saying_it_again_replaces_reason_and_expiry),
        rig_test(one_operator_too_many_is_refused),
        rig_test(what_makes_no_sense_is_refused_and_changes_nothing),
        rig_test(its_own_timer_does_nothing_while_it_is_held),
        rig_test(let_go_after_it_had_opened_it_looks_for_probes_at_once),
        rig_test(a_reset_leaves_who_holds_it),
        rig_test(holders_survive_a_restart_and_their_time_is_clamped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
