/* SPDX-License-Identifier: Apache-2.0 */
/* A breaker of a target in the engine: from closed to closed again. */
#include "server/core/text.h"
#include "tests/unit/core/gates.h"

#include <string.h>

static uint64_t
shown(enum job_state state)
{
    struct engine_stats stats;

    engine_stats(rig.engine, rig.now, &stats);
    return stats.jobs[state];
}

static void
the_opening_event_names_the_attempt_that_did_it(void **state)
{
    (void)state;
    gates_begin(32);
    gates_fail(1, REDIAL_UNAVAILABLE);
    gates_fail(2, REDIAL_UNAVAILABLE);
    gates_expect(BREAKER_CLOSED);
    gates_fail(3, REDIAL_INTERNAL);
    const struct record *opened = rig_record(EVENT_BREAKER_OPENED);

    gates_expect(BREAKER_OPEN);
    rig_assert_text(opened->target, "s");
    rig_assert_text(opened->worker, "w/1");
    rig_assert_text(opened->reason, "DOWN");
    rig_assert_text(opened->text, "01900000-0000-0000-0000-000000000003 1");
    assert_int_equal(opened->code, REDIAL_INTERNAL);
    assert_int_equal(opened->attempt, 1);
    assert_int_equal(opened->breaker.state, BREAKER_OPEN);
    assert_int_equal(opened->breaker.cause, BREAKER_CAUSE_CONSECUTIVE);
    assert_int_equal(opened->breaker.epoch, 1);
    assert_int_equal(opened->breaker.open_ms, 1000);
    assert_int_equal(opened->breaker.in_a_row, 3);
}

static void
it_opens_waits_tries_and_comes_back(void **state)
{
    (void)state;
    gates_begin(32);
    gates_open(1);
    rig_seen();
    for (uint32_t n = 10; n < 20; n++) {
        rig_submit(n);
    }
    assert_int_equal(rig.assigned_count, 0);
    assert_int_equal(rig_view(10).state, JOB_READY);
    assert_int_equal(rig_view(10).shown, JOB_PARKED);
    rig_assert_text(rig_view(10).target, "s");
    assert_int_equal(rig_view(10).until_wall_ms, rig.now.wall.ms + 1000);
    assert_int_equal(shown(JOB_PARKED), 10);
    assert_int_equal(shown(JOB_READY), 0);
    assert_int_equal(gates_stats().waiting, 10);
    rig_seen();
    rig_advance(999);
    rig_expect("");
    rig_advance(1);
    assert_int_equal(rig.assigned_count, 1); /* one probe */
    assert_int_equal(shown(JOB_PARKED), 9);
    rig_expect("breaker.half_open attempt.started");
    rig_succeed(gates_worker, rig_token_of(10));
}

static void
two_good_probes_and_a_ramp_bring_all_back(void **state)
{
    (void)state;
    gates_begin(32);
    gates_open(1);
    for (uint32_t n = 10; n < 20; n++) {
        rig_submit(n);
    }
    rig_seen();
    rig_advance(1000);
    rig_succeed(gates_worker, rig_token_of(10));
    assert_int_equal(rig.assigned_count, 2);
    gates_expect(BREAKER_HALF_OPEN);
    rig_succeed(gates_worker, rig_token_of(11));
    gates_expect(BREAKER_RAMP);
    assert_int_equal(rig.assigned_count, 3); /* one at a time */
    assert_int_equal(shown(JOB_READY), 7);
    rig_succeed(gates_worker, rig_token_of(12));
    assert_int_equal(rig.assigned_count, 4);
    rig_advance(1000);
    gates_expect(BREAKER_CLOSED);
    rig_expect("breaker.half_open attempt.started attempt.succeeded "
               "job.succeeded attempt.started attempt.succeeded "
               "breaker.ramp job.succeeded attempt.started "
               "attempt.succeeded job.succeeded attempt.started "
               "breaker.closed attempt.started attempt.started "
               "attempt.started attempt.started attempt.started "
               "attempt.started");
}

static void
a_bad_probe_opens_it_for_longer(void **state)
{
    (void)state;
    gates_begin(32);
    gates_open(1);
    rig_submit(10);
    rig_submit(11);
    rig_advance(1000);
    rig_fail(gates_worker, rig_token_of(10), REDIAL_UNAVAILABLE, "DOWN");
    const struct record *opened = rig_record(EVENT_BREAKER_OPENED);

    assert_int_equal(opened->breaker.cause, BREAKER_CAUSE_PROBE_BAD);
    assert_int_equal(opened->breaker.step, 2);
    assert_int_equal(opened->breaker.open_ms, 2000);
    assert_int_equal(opened->breaker.waiting, 1);
    assert_false(gates_runs(11));
    rig_advance(2000);
    assert_true(gates_runs(11));
}

static void
a_restart_keeps_what_is_left_of_the_time_and_takes_a_new_epoch(void **state)
{
    (void)state;
    gates_begin(32);
    gates_policy()->open_ms = 10000;
    rig_use_policy();
    gates_open(1);
    rig_submit(10);
    rig_advance(4000);
    assert_int_equal(gates_stats().epoch, 1);
    rig_restart();
    gates_expect(BREAKER_OPEN);
    assert_int_equal(gates_stats().epoch, 2);
    assert_int_equal(gates_stats().step, 1);
    assert_int_equal(gates_stats().cause, BREAKER_CAUSE_RESTART);
    assert_in_range(gates_stats().until_ms, 6000, 7000);
    assert_int_equal(rig_view(10).shown, JOB_PARKED);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        rig_test(the_opening_event_names_the_attempt_that_did_it),
        rig_test(it_opens_waits_tries_and_comes_back),
        rig_test(two_good_probes_and_a_ramp_bring_all_back),
        rig_test(a_bad_probe_opens_it_for_longer),
        rig_test(
            a_restart_keeps_what_is_left_of_the_time_and_takes_a_new_epoch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
