/* SPDX-License-Identifier: Apache-2.0 */
/* Breakers after a restart, under a new policy, and in a full table. */
#include "server/core/text.h"
#include "tests/unit/core/gates.h"

#include <stdlib.h>
#include <string.h>

/* What an open time of ten seconds, four of them gone, is after a leap. */
static void
check_leap(int64_t leap_ms, int64_t least_ms)
{
    gates_begin(32);
    gates_policy()->open_ms = 10000;
    rig_use_policy();
    gates_open(1);
    rig_submit(10);
    rig_advance(4000);
    rig.now.wall.ms += leap_ms;
    rig_restart();
    gates_expect(BREAKER_OPEN);
    assert_int_equal(gates_stats().epoch, 2);
    assert_in_range(gates_stats().until_ms, least_ms, least_ms + 1000);
    gates_worker = rig_hello("w", "2", 8);
    rig_poll(gates_worker, 8);
    assert_false(gates_runs(10));
    rig_advance(least_ms + 1000);
    gates_expect(BREAKER_HALF_OPEN);
    assert_true(gates_runs(10));
}

static void
a_clock_that_went_back_an_hour_gives_all_of_the_time_again(void **state)
{
    (void)state;
    check_leap(-3600000, 10000); /* as far as the log shows */
}

static void
a_clock_that_went_on_an_hour_leaves_nothing_but_jitter(void **state)
{
    (void)state;
    check_leap(3600000, 0);
}

static void
a_year_is_as_good_as_an_hour(void **state)
{
    (void)state;
    check_leap(INT64_C(31536000000), 0);
}

static void
half_open_comes_back_as_open_with_nothing_left(void **state)
{
    (void)state;
    gates_begin(32);
    gates_open(1);
    rig_submit(10);
    rig_submit(11);
    rig_advance(1000);
    struct engine_token probe = rig_token_of(10);

    rig_restart();
    gates_expect(BREAKER_OPEN);
    assert_int_equal(gates_stats().epoch, 3);
    assert_true(gates_stats().until_ms <= 1000);
    /* The worker comes back with the probe: it is no probe any more. */
    gates_worker = rig_hello_with("w", "1", 8, &probe, 1);
    rig_poll(gates_worker, 8);
    assert_int_equal(gates_stats().in_flight, 0);
    rig_succeed(gates_worker, probe);
    gates_expect(BREAKER_OPEN);
    assert_int_equal(gates_stats().probes_good, 0);
    rig_advance(1000);
    gates_expect(BREAKER_HALF_OPEN);
    assert_true(gates_runs(11));
}

static void
a_ramp_begins_anew(void **state)
{
    (void)state;
    gates_begin(32);
    gates_policy()->probes_needed = 1;
    rig_use_policy();
    gates_open(1);
    rig_submit(10);
    rig_advance(1000);
    rig_succeed(gates_worker, rig_token_of(10));
    gates_expect(BREAKER_RAMP);
    rig_advance(900);
    rig_restart();
    gates_expect(BREAKER_RAMP);
    rig_advance(999);
    gates_expect(BREAKER_RAMP);
    rig_advance(1);
    gates_expect(BREAKER_CLOSED);
}

static void
a_closed_one_keeps_its_step_and_takes_a_new_epoch(void **state)
{
    (void)state;
    gates_begin(32);
    gates_policy()->probes_needed = 1;
    gates_policy()->ramp_ms = 0;
    rig_use_policy();
    gates_open(1);
    rig_submit(10);
    rig_advance(1000);
    rig_succeed(gates_worker, rig_token_of(10));
    gates_expect(BREAKER_CLOSED);
    assert_int_equal(gates_stats().step, 1);
    uint64_t epoch = gates_stats().epoch;

    rig_restart();
    assert_int_equal(gates_stats().step, 1);
    assert_int_equal(gates_stats().epoch, epoch + 1);
    rig.now.wall.ms += 3600000; /* healthy for long */
    rig_restart();
    assert_int_equal(gates_stats().step, 0);
}

enum { TARGETS = 7 };

static const char *const services[TARGETS] = {"t0", "t1", "t2", "t3",
                                              "t4", "t5", "t6"};

static uint32_t
count_half_open(void)
{
    struct engine_breaker_stats stats;
    uint32_t count = 0;

    for (uint32_t i = 0; engine_breaker_stats(rig.engine, rig.now, i, &stats);
         i++) {
        count += stats.state == BREAKER_HALF_OPEN;
    }
    return count;
}

static void
many_open_ones_do_not_probe_together_after_a_restart(void **state)
{
    (void)state;
    struct engine_slots slots[TARGETS];

    rig.limits.methods_max = 16;
    gates_begin(32);
    gates_policy()->consecutive = 1;
    rig_use_policy();
    for (uint32_t i = 0; i < TARGETS; i++) {
        slots[i] = (struct engine_slots){.service = text_of(services[i])};
    }
    rig_step(&(struct engine_input){.type = ENGINE_HELLO,
                                    .hello = {.name = text_of("v"),
                                              .instance = text_of("1"),
                                              .methods = slots,
                                              .method_count = TARGETS,
                                              .concurrency = 32}});
    uint64_t worker = rig.out.result.worker;

    rig_poll(worker, 32);
    for (uint32_t i = 0; i < TARGETS; i++) {
        rig.submit.service = text_of(services[i]);
        rig_submit(1 + i);
        rig_fail(worker, rig_token_of(1 + i), REDIAL_UNAVAILABLE, "DOWN");
    }
    rig.now.wall.ms += 3600000; /* all of them are long over */
    rig_restart();
    rig_tick();
    assert_true(count_half_open() < 2);
    rig_advance(500);
    assert_in_range(count_half_open(), 1, TARGETS - 1);
    rig_advance(501);
    assert_int_equal(count_half_open(), TARGETS);
}

/* ---- Reload ------------------------------------------------------------ */

static void
a_reload_keeps_window_state_and_step(void **state)
{
    (void)state;
    gates_begin(32);
    gates_fail(1, REDIAL_UNAVAILABLE);
    gates_fail(2, REDIAL_UNAVAILABLE);
    rig_use_policy();
    assert_int_equal(gates_stats().calls, 2);
    gates_fail(3, REDIAL_UNAVAILABLE);
    gates_expect(BREAKER_OPEN);
    rig_use_policy();
    gates_expect(BREAKER_OPEN);
    assert_int_equal(gates_stats().epoch, 1);
}

static void
a_shorter_open_time_counts_from_when_it_opened(void **state)
{
    (void)state;
    gates_begin(32);
    gates_policy()->open_ms = 60000;
    rig_use_policy();
    gates_open(1);
    rig_advance(4000);
    gates_policy()->open_ms = 5000;
    rig_use_policy();
    assert_int_equal(gates_stats().until_ms, 1000);
    gates_policy()->open_ms = 60000; /* a longer one changes nothing */
    rig_use_policy();
    assert_int_equal(gates_stats().until_ms, 1000);
    rig_advance(1000);
    gates_expect(BREAKER_HALF_OPEN);
}

static void
without_a_breaker_all_are_let_go_and_the_epoch_stays(void **state)
{
    (void)state;
    gates_begin(32);
    gates_open(1);
    gates_act(ENGINE_BREAKER_OPEN, "ann", "", 0);
    rig_submit(10);
    uint64_t epoch = gates_stats().epoch;

    rig.policy.target_fallback.has_breaker = false;
    rig_use_policy();
    rig_tick();
    assert_true(gates_runs(10));
    assert_int_equal(gates_stats().holder_count, 0);
    gates_expect(BREAKER_CLOSED);
    assert_true(gates_stats().epoch > epoch);
    rig.policy.target_fallback.has_breaker = true;
    rig_use_policy();
    rig_submit(11);
    assert_true(gates_runs(11));
}

static void
metrics_only_tells_and_holds_nothing_up(void **state)
{
    (void)state;
    gates_begin(32);
    gates_policy()->metrics_only = true;
    rig_use_policy();
    gates_open(1);
    rig_submit(10);
    assert_true(gates_runs(10));
    gates_act(ENGINE_BREAKER_OPEN, "ann", "", 0);
    rig_submit(11);
    assert_false(gates_runs(11)); /* an operator counts for more */
}

static void
a_disabled_one_never_opens(void **state)
{
    (void)state;
    gates_begin(32);
    gates_policy()->disabled = true;
    rig_use_policy();
    for (uint32_t n = 1; n < 30; n++) {
        gates_fail(n, REDIAL_UNAVAILABLE);
        rig_poll(gates_worker, 32);
    }
    gates_expect(BREAKER_CLOSED);
}

/* ---- The table --------------------------------------------------------- */

static void
rows_of_the_first_format_have_no_breaker(void **state)
{
    (void)state;
    uint8_t row[ENGINE_TARGET_EXPORT_MAX];

    gates_begin(32);
    rig.report.has_pushback = true;
    rig.report.for_target = true;
    rig.report.pushback_ms = 1000;
    rig_fallback()->retry.max_pushback_ms = 60000;
    rig_use_policy();
    gates_fail(1, REDIAL_UNAVAILABLE);
    rig.report = (struct engine_report){0};
    size_t len = engine_export_target(rig.engine, 0, row);

    /* Nine numbers of one byte each stand behind what was there before. */
    assert_true(len > 9);
    row[0] = 1;
    rig_restart_empty();
    assert_false(engine_load_target(rig.engine, row, len));
    assert_true(engine_load_target(rig.engine, row, len - 9));
    gates_expect(BREAKER_CLOSED);
    rig_restart_empty();
}

static void
a_row_that_is_torn_at_any_byte_is_refused(void **state)
{
    (void)state;
    uint8_t row[ENGINE_TARGET_EXPORT_MAX];

    gates_begin(32);
    gates_open(1);
    gates_act(ENGINE_BREAKER_OPEN, "ann", "a release", 5000);
    gates_act(ENGINE_BREAKER_OPEN, "bob", "", 0);
    size_t len = engine_export_target(rig.engine, 0, row);

    rig_restart_empty();
    for (size_t cut = 0; cut < len; cut++) {
        assert_false(engine_load_target(rig.engine, row, cut));
    }
    assert_true(engine_load_target(rig.engine, row, len));
    gates_expect(BREAKER_OPEN);
    assert_int_equal(gates_stats().holder_count, 2);
    rig_assert_text(gates_stats().holders[0].reason, "a release");
    rig_restart_empty();
}

static void
a_million_idle_breakers_take_their_bytes_and_no_more(void **state)
{
    (void)state;
    enum { COUNT = 1000000 };
    struct breaker *many = calloc(COUNT, sizeof(*many));
    uint64_t admitted = 0;

    gates_begin(1);
    assert_non_null(many);
    for (uint32_t i = 0; i < COUNT; i++) {
        int64_t until_ms;

        admitted += breaker_ask(&many[i], gates_policy(), 1, &until_ms) ==
                    BREAKER_ADMITS;
    }
    print_message("%zu bytes each, %zu MB\n", sizeof(*many),
                  COUNT * sizeof(*many) / 1000000);
    assert_int_equal(admitted, COUNT);
    assert_true(sizeof(*many) <= BREAKER_BYTES_MAX);
    free(many);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        rig_test(a_clock_that_went_back_an_hour_gives_all_of_the_time_again),
        rig_test(a_clock_that_went_on_an_hour_leaves_nothing_but_jitter),
        rig_test(a_year_is_as_good_as_an_hour),
        rig_test(half_open_comes_back_as_open_with_nothing_left),
        rig_test(a_ramp_begins_anew),
        rig_test(a_closed_one_keeps_its_step_and_takes_a_new_epoch),
        rig_test(many_open_ones_do_not_probe_together_after_a_restart),
        rig_test(a_reload_keeps_window_state_and_step),
        rig_test(a_shorter_open_time_counts_from_when_it_opened),
        rig_test(without_a_breaker_all_are_let_go_and_the_epoch_stays),
        rig_test(metrics_only_tells_and_holds_nothing_up),
        rig_test(a_disabled_one_never_opens),
        rig_test(rows_of_the_first_format_have_no_breaker),
        rig_test(a_row_that_is_torn_at_any_byte_is_refused),
        rig_test(a_million_idle_breakers_take_their_bytes_and_no_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
