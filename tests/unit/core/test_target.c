/* SPDX-License-Identifier: Apache-2.0 */
/* The table of targets: which one a method has, rows, and what is forgotten. */
#include "server/core/text.h"
#include "tests/unit/core/rig.h"

#include <stdio.h>
#include <string.h>

static void
use_throttle(void)
{
    rig.policy.target_fallback = (struct target_policy){
        .has_throttle = true,
        .tokens_max_milli = 10000,
        .tokens_ok_milli = 100,
    };
    rig_use_policy();
}

/* A worker for one service; goes away again after one attempt. */
static void
one_attempt(const char *service, uint32_t job, enum redial_status code)
{
    struct engine_slots slots = {
        .service = text_of(service), .method = text_of("m"), .count = 1};
    struct engine_input hello = {
        .type = ENGINE_HELLO,
        .hello = {.name = text_of("w"),
                  .instance = text_of(service),
                  .methods = &slots,
                  .method_count = 1,
                  .concurrency = 1},
    };

    rig_step(&hello);
    uint64_t worker = rig.out.result.worker;

    rig_poll(worker, 1);
    rig.submit.service = text_of(service);
    rig_submit(job);
    rig_fail(worker, rig_token_of(job), code, "");
    rig_gone(worker, ENGINE_GONE_GOODBYE);
    assert_false(rig_is_live(job));
}

static uint32_t
rows(void)
{
    struct engine_target_stats stats;
    uint8_t buf[ENGINE_TARGET_EXPORT_MAX];
    uint32_t count = 0;

    for (uint32_t i = 0; engine_target_stats(rig.engine, rig.now, i, &stats);
         i++) {
        count += engine_export_target(rig.engine, i, buf) > 0;
    }
    return count;
}

/* ---- Bounds ------------------------------------------------------------ */

static void
what_remembers_nothing_gives_way_without_a_word(void **state)
{
    (void)state;
    rig.limits.methods_max = 1;
    rig_restart_empty();
    use_throttle();
    for (uint32_t i = 1; i <= 50; i++) {
        char service[16];

        snprintf(service, sizeof(service), "s%u", i);
        one_attempt(service, i, REDIAL_OK);
    }
    assert_int_equal(rows(), 0);
    assert_null(strstr(rig.trace, "gateway"));
}

static void
too_many_that_remember_are_forgotten_oldest_first(void **state)
{
    (void)state;
    rig.limits.methods_max = 1;
    rig_restart_empty();
    rig_fallback()->retry.max_attempts = 1;
    use_throttle();
    for (uint32_t i = 1; i <= 50; i++) {
        char service[16];

        snprintf(service, sizeof(service), "s%u", i);
        one_attempt(service, i, REDIAL_UNAVAILABLE);
        /* Two of methods in use or known, two that are kept. */
        assert_true(rows() <= 4);
        assert_int_equal(rig_target(service).tokens_milli, 9000);
    }
    const struct record *forgotten = rig_record(EVENT_GATEWAY_RELOADED);

    rig_assert_text(forgotten->reason, "TARGET");
    rig_assert_text(forgotten->target, "s46");
    assert_int_equal(rig_target("s47").tokens_milli, 9000);
    rig_check_replay();
    one_attempt("s1", 51, REDIAL_UNAVAILABLE); /* as if it had never been */
    assert_int_equal(rig_target("s1").tokens_milli, 9000);
}

static void
an_exhausted_target_recovers_before_it_is_forgotten(void **state)
{
    (void)state;
    rig.limits.methods_max = 1;
    rig_restart_empty();
    use_throttle();
    rig.policy.target_fallback.tokens_max_milli = 1000;
    rig_use_policy();
    for (uint32_t i = 1; i <= 6; i++) {
        char service[16];

        snprintf(service, sizeof(service), "s%u", i);
        one_attempt(service, i, REDIAL_UNAVAILABLE);
    }
    assert_non_null(strstr(rig.trace, "budget.recovered gateway.reloaded"));
    rig_assert_text(rig_record(EVENT_BUDGET_RECOVERED)->target, "s2");
}

/* ---- Which one --------------------------------------------------------- */

static void
a_reload_moves_methods_and_their_waiting_retries(void **state)
{
    (void)state;
    use_throttle();
    uint64_t worker = rig_hello("w", "1", 2);

    rig_poll(worker, 2);
    rig_submit(1);
    rig_fail(worker, rig_token_of(1), REDIAL_UNAVAILABLE, "");
    assert_int_equal(rig_target("s").retries_waiting, 1);
    rig_fallback()->target = text_of("upstream");
    rig_use_policy();
    assert_int_equal(rig_target("s").retries_waiting, 0);
    assert_int_equal(rig_target("s").tokens_milli, 9000);
    assert_int_equal(rig_target("upstream").retries_waiting, 1);
    assert_int_equal(rig_target("upstream").tokens_milli, 10000);
    rig_poll(worker, 2);
    rig_advance(1000);
    assert_int_equal(rig_target("upstream").retries_waiting, 0);
    rig_fail(worker, rig_token_of(1), REDIAL_UNAVAILABLE, "");
    rig_assert_text(rig_record(EVENT_RETRY_PLANNED)->target, "upstream");
}

static void
a_token_of_one_target_is_not_given_back_to_another(void **state)
{
    (void)state;
    rig.policy.target_fallback = (struct target_policy){
        .has_budget = true, .budget_floor = 1, .budget_window_ms = 1000};
    rig_use_policy();
    uint64_t worker = rig_hello("w", "1", 3);

    rig_poll(worker, 3);
    rig_submit(1);
    rig_fail(worker, rig_token_of(1), REDIAL_UNAVAILABLE, "");
    assert_int_equal(rig_target("s").budget_milli, 0);
    rig_fallback()->target = text_of("upstream");
    rig_use_policy();
    rig_submit(2);
    rig_fail(worker, rig_token_of(2), REDIAL_UNAVAILABLE, "");
    assert_int_equal(rig_target("upstream").budget_milli, 0);
    rig_cancel(1);
    assert_int_equal(rig_target("upstream").budget_milli, 0);
    assert_int_equal(rig_target("s").budget_milli, 0);
    rig_cancel(2);
    assert_int_equal(rig_target("upstream").budget_milli, 1000);
}

static void
policies_of_targets_go_by_name(void **state)
{
    (void)state;
    use_throttle();
    rig.targets[0] = (struct target_policy){.name = text_of("s"),
                                            .has_throttle = true,
                                            .tokens_max_milli = 4000,
                                            .tokens_ok_milli = 1};
    rig.policy.targets = rig.targets;
    rig.policy.target_count = 1;
    rig_use_policy();
    rig_submit(1);
    rig.submit.service = text_of("t");
    rig_submit(2);
    assert_int_equal(rig_target("s").tokens_max_milli, 4000);
    assert_int_equal(rig_target("t").tokens_max_milli, 10000);
    assert_false(rig_target("t").has_budget);
}

/* ---- Rows -------------------------------------------------------------- */

/* Something of everything. */
static size_t
make_row(uint8_t *buf)
{
    use_throttle();
    rig.policy.target_fallback.has_budget = true;
    rig.policy.target_fallback.budget_ratio_milli = 200;
    rig.policy.target_fallback.budget_floor = 10;
    rig.policy.target_fallback.budget_window_ms = 10000;
    rig_use_policy();
    uint64_t worker = rig_hello("w", "1", 2);

    rig_poll(worker, 2);
    rig_submit(1);
    rig.report.has_pushback = true;
    rig.report.for_target = true;
    rig.report.pushback_ms = 5000;
    rig_fail(worker, rig_token_of(1), REDIAL_UNAVAILABLE, "");
    return engine_export_target(rig.engine, 0, buf);
}

static void
a_row_holds_all_that_is_recorded(void **state)
{
    (void)state;
    uint8_t buf[ENGINE_TARGET_EXPORT_MAX];
    uint8_t again[ENGINE_TARGET_EXPORT_MAX];
    size_t len = make_row(buf);

    assert_true(len > 10);
    rig_restart_empty();
    assert_true(engine_load_target(rig.engine, buf, len));
    assert_int_equal(engine_export_target(rig.engine, 0, again), len);
    assert_memory_equal(again, buf, len);
    /* An older row of the same name does not take its place. */
    struct engine_target_stats before = rig_target("s");

    assert_true(engine_load_target(rig.engine, buf, len));
    assert_int_equal(rig_target("s").tokens_milli, before.tokens_milli);
    rig_restart_empty(); /* there is no log that explains it */
}

static void
of_two_rows_the_newer_one_counts(void **state)
{
    (void)state;
    uint8_t old[ENGINE_TARGET_EXPORT_MAX];
    uint8_t young[ENGINE_TARGET_EXPORT_MAX];
    size_t old_len = make_row(old);

    rig_submit(2);
    rig_fail(rig.assigned[0].worker, rig_token_of(2), REDIAL_UNAVAILABLE, "");
    size_t young_len = engine_export_target(rig.engine, 0, young);

    assert_int_equal(rig_target("s").tokens_milli, 8000);
    rig_restart_empty();
    assert_true(engine_load_target(rig.engine, young, young_len));
    assert_true(engine_load_target(rig.engine, old, old_len));
    assert_int_equal(rig_target("s").tokens_milli, 8000);
    rig_restart_empty();
    assert_true(engine_load_target(rig.engine, old, old_len));
    assert_true(engine_load_target(rig.engine, young, young_len));
    assert_int_equal(rig_target("s").tokens_milli, 8000);
    rig_restart_empty();
}

/* Whether it was filled up again or never charged must not make a difference.
 */
static void
a_full_throttle_is_the_same_as_none_that_was_charged(void **state)
{
    (void)state;
    struct record record = {
        .type = EVENT_ATTEMPT_STARTED,
        .seq = 1,
        .service = text_of("s"),
        .budget_slice = 5,
        .budget_delta_milli = 200,
    };

    assert_true(engine_apply(rig.engine, &record));
    uint64_t hash = engine_state_hash(rig.engine);

    rig_restart_empty();
    record.decision.tokens_milli = 4000;
    record.decision.tokens_max_milli = 4000;
    assert_true(engine_apply(rig.engine, &record));
    assert_int_equal(engine_state_hash(rig.engine), hash);
    rig_restart_empty();
    record.decision.tokens_milli = 3999;
    assert_true(engine_apply(rig.engine, &record));
    assert_int_not_equal(engine_state_hash(rig.engine), hash);
    rig_restart_empty();
}

static void
damaged_rows_are_refused_or_harmless(void **state)
{
    (void)state;
    uint8_t buf[ENGINE_TARGET_EXPORT_MAX];
    size_t len = make_row(buf);

    rig_restart_empty();
    for (size_t i = 0; i < len; i++) {
        assert_false(engine_load_target(rig.engine, buf, i));
    }
    assert_int_equal(rows(), 0);
    for (size_t i = 0; i < len; i++) {
        for (int bit = 0; bit < 8; bit++) {
            uint8_t damaged[ENGINE_TARGET_EXPORT_MAX];

            memcpy(damaged, buf, len);
            damaged[i] ^= (uint8_t)(1u << bit);
            engine_load_target(rig.engine, damaged, len);
            engine_state_hash(rig.engine);
        }
    }
    rig_restart_empty();
    buf[len] = 0;
    assert_false(engine_load_target(rig.engine, buf, len + 1));
}

static void
records_out_of_range_are_damage(void **state)
{
    (void)state;
    struct record record = {
        .type = EVENT_ATTEMPT_STARTED,
        .seq = 1,
        .service = text_of("s"),
        .budget_slice = 1,
        .budget_delta_milli = INT64_MIN,
    };

    rig_restart_empty();
    assert_false(engine_apply(rig.engine, &record));
    rig_restart_empty();
    record.budget_delta_milli = 200;
    record.budget_slice = UINT64_MAX;
    assert_false(engine_apply(rig.engine, &record));
    rig_restart_empty();
    record.budget_slice = 1;
    record.service = text_of("");
    assert_false(engine_apply(rig.engine, &record));
    rig_restart_empty();
    record.service = text_of("s");
    record.decision.tokens_max_milli = 1000;
    record.decision.tokens_milli = 1001;
    assert_false(engine_apply(rig.engine, &record));
    rig_restart_empty();
    /* Its job is gone; its target is not. */
    record.decision.tokens_milli = 500;
    assert_true(engine_apply(rig.engine, &record));
    assert_int_equal(rows(), 1);
    rig_restart_empty();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        rig_test(what_remembers_nothing_gives_way_without_a_word),
        rig_test(too_many_that_remember_are_forgotten_oldest_first),
        rig_test(an_exhausted_target_recovers_before_it_is_forgotten),
        rig_test(a_reload_moves_methods_and_their_waiting_retries),
        rig_test(a_token_of_one_target_is_not_given_back_to_another),
        rig_test(policies_of_targets_go_by_name),
        rig_test(a_row_holds_all_that_is_recorded),
        rig_test(of_two_rows_the_newer_one_counts),
        rig_test(a_full_throttle_is_the_same_as_none_that_was_charged),
        rig_test(damaged_rows_are_refused_or_harmless),
        rig_test(records_out_of_range_are_damage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
