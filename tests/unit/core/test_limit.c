/* SPDX-License-Identifier: Apache-2.0 */
/* Rates to the millisecond, places and queues: at, below and above each. */
#include "server/core/flow.h"
#include "server/core/limit.h"
#include "tests/unit/core/books.h"
#include "tests/unit/core/rig.h"

#include <string.h>

enum { MINUTE_MS = 60000, HOUR_MS = 60 * MINUTE_MS };

static struct text
text(const char *string)
{
    return (struct text){.at = string, .len = (uint32_t)strlen(string)};
}

static struct limit_policy *
limits(void)
{
    return &rig_fallback()->limits;
}

static void
set_rate(uint32_t rate, uint32_t period_ms, uint32_t burst)
{
    limits()->rate = rate;
    limits()->rate_period_ms = period_ms;
    limits()->burst = burst;
    rig_use_policy();
}

/* A worker that always has room for more. */
static uint64_t
join(void)
{
    uint64_t worker = rig_hello("w", "1", 1000000);

    rig_poll(worker, 1000000);
    return worker;
}

static void
submit_many(uint32_t from, uint32_t count)
{
    for (uint32_t n = from; n < from + count; n++) {
        assert_int_equal(rig_submit(n)->status, REDIAL_OK);
    }
}

/* ---- The bucket -------------------------------------------------------- */

static void
a_bucket_starts_empty_and_never_holds_more_than_its_burst(void **state)
{
    struct limit_policy policy = {
        .rate = 10, .rate_period_ms = 1000, .burst = 3};
    struct limit limit;

    (void)state;
    limit_init(&limit, &policy, 5000);
    assert_int_equal(limit_tokens(&limit, 5000), 0);
    assert_int_equal(limit_tokens(&limit, 5099), 0);
    assert_int_equal(limit_tokens(&limit, 5100), 1);
    assert_int_equal(limit_tokens(&limit, 5299), 2);
    assert_int_equal(limit_tokens(&limit, 5300), 3);
    assert_int_equal(limit_tokens(&limit, 1 << 30), 3);
    assert_int_equal(limit_tokens_at_ms(&limit, 5000, 3), 5300);
    assert_int_equal(limit_tokens_at_ms(&limit, 5000, 4), INT64_MAX);
    policy.burst = 0;
    limit_init(&limit, &policy, 0);
    assert_int_equal(limit_burst(&limit), 10);
    assert_int_equal(limit_tokens(&limit, 999), 9);
    assert_int_equal(limit_tokens(&limit, 1000), 10);
}

static void
a_fraction_of_a_token_is_never_lost(void **state)
{
    struct limit_policy policy = {
        .rate = 7, .rate_period_ms = MINUTE_MS, .burst = 1};
    struct limit limit;
    int64_t now_ms = 0;

    (void)state;
    limit_init(&limit, &policy, 0);
    for (uint32_t n = 1; n <= 7 * 60 * 10; n++) {
        now_ms = limit_tokens_at_ms(&limit, now_ms, 1);
        assert_int_equal(now_ms, ((int64_t)n * MINUTE_MS + 6) / 7);
        assert_int_equal(limit_tokens(&limit, now_ms - 1), 0);
        assert_int_equal(limit_tokens(&limit, now_ms), 1);
        limit_take(&limit, now_ms);
    }
    assert_int_equal(now_ms, 10 * HOUR_MS);
}

static void
the_largest_numbers_do_not_overflow(void **state)
{
    struct limit_policy policy = {
        .rate = UINT32_MAX, .rate_period_ms = MINUTE_MS, .burst = UINT32_MAX};
    struct limit_policy second = {
        .rate = UINT32_MAX, .rate_period_ms = 1000, .burst = UINT32_MAX};
    struct limit limit;

    (void)state;
    limit_init(&limit, &policy, INT64_MIN / 2);
    assert_int_equal(limit_tokens(&limit, INT64_MAX / 2), LIMIT_NONE);
    limit_take(&limit, INT64_MAX / 2);
    assert_int_equal(limit_tokens(&limit, INT64_MAX / 2), LIMIT_NONE);
    limit_set(&limit, &second, INT64_MAX / 2);
    limit_set(&limit, &policy, INT64_MAX / 2);
    assert_int_equal(limit.level, UINT64_C(4294967294) * MINUTE_MS + 59940);
    policy = (struct limit_policy){.rate = 1, .rate_period_ms = MINUTE_MS};
    limit_init(&limit, &policy, 0);
    assert_int_equal(limit_tokens(&limit, INT64_MAX), 1);
    assert_int_equal(limit_tokens_at_ms(&limit, 1, 1), MINUTE_MS);
}

static void
new_limits_keep_what_is_in_the_bucket(void **state)
{
    struct limit_policy ten = {.rate = 10, .rate_period_ms = 1000};
    struct limit_policy four = {.rate = 4, .rate_period_ms = 1000};
    struct limit_policy minute = {.rate = 60, .rate_period_ms = MINUTE_MS};
    struct limit_policy none = {0};
    struct limit limit;

    (void)state;
    limit_init(&limit, &ten, 0);
    limit_set(&limit, &four, 350); /* three and a half */
    assert_int_equal(limit_tokens(&limit, 350), 3);
    assert_int_equal(limit_tokens(&limit, 474), 3);
    assert_int_equal(limit_tokens(&limit, 475), 4);
    limit_set(&limit, &ten, 10000);
    assert_int_equal(limit_tokens(&limit, 10000), 4); /* clamped before */
    limit_set(&limit, &minute, 10050); /* four and a half, and 3 ms of 4/s */
    assert_int_equal(limit_tokens(&limit, 10546), 4);
    assert_int_equal(limit_tokens(&limit, 10547), 5);
    limit_set(&limit, &none, 11000);
    assert_int_equal(limit_tokens(&limit, 11000), LIMIT_NONE);
    limit_set(&limit, &ten, 12000);
    assert_int_equal(limit_tokens(&limit, 12000), 0);
}

/* ---- Rates ------------------------------------------------------------- */

static int
setup_patient(void **state)
{
    rig_setup(state);
    rig.limits.silence_ms = HOUR_MS;
    rig.limits.lease_ms = HOUR_MS;
    rig_restart_empty();
    return 0;
}

#define patient_test(name) \
    cmocka_unit_test_setup_teardown(name, setup_patient, rig_teardown)

static void
attempts_start_at_the_millisecond_of_their_tokens(void **state)
{
    (void)state;
    set_rate(7, MINUTE_MS, 1);
    join();
    submit_many(1, 3);
    assert_int_equal(rig.assigned_count, 0);
    rig_advance(8571);
    assert_int_equal(rig.assigned_count, 0);
    assert_int_equal(engine_next_wake(rig.engine).ms, rig.now.mono.ms + 1);
    rig_advance(1);
    assert_int_equal(rig.assigned_count, 1);
    rig_advance(8570);
    assert_int_equal(rig.assigned_count, 1);
    rig_advance(1); /* after 17,142.9 ms */
    assert_int_equal(rig.assigned_count, 2);
    books_check(rig.engine);
}

static void
seven_per_minute_are_4200_in_ten_hours(void **state)
{
    (void)state;
    set_rate(7, MINUTE_MS, 1);
    uint64_t worker = join();
    uint32_t started = 0;
    uint32_t next = 1;

    submit_many(next, 2);
    next += 2;
    for (uint32_t minute = 1; minute <= 600; minute++) {
        for (uint32_t second = 0; second < 60; second++) {
            rig_seen();
            rig_advance(1000);
            rig_heartbeat(worker);
            for (uint32_t i = 0; i < rig.assigned_count; i++) {
                rig_succeed(worker, rig_token(i));
                rig_submit(next++);
                started++;
            }
        }
        assert_int_equal(started, 7 * minute);
    }
}

static void
a_burst_starts_at_once_and_no_more(void **state)
{
    (void)state;
    set_rate(2, 1000, 5);
    join();
    rig_advance(2499);
    rig_seen();
    submit_many(1, 10);
    assert_int_equal(rig.assigned_count, 4);
    rig_advance(1);
    assert_int_equal(rig.assigned_count, 5);
    rig_advance(499);
    assert_int_equal(rig.assigned_count, 5);
    rig_advance(1);
    assert_int_equal(rig.assigned_count, 6);
    rig_advance(2000);
    assert_int_equal(rig.assigned_count, 10);
    /* With nothing to start there is nothing to wake for. */
    struct engine_method_stats stats;

    assert_true(engine_method_stats(rig.engine, rig.now, 0, &stats));
    assert_int_equal(stats.waits_for, ENGINE_WAITS_FOR_NOTHING);
    assert_int_equal(stats.limits.tokens, 0);
    assert_int_equal(stats.limits.burst, 5);
    assert_int_equal(stats.limits.rate, 2);
}

static void
retries_take_tokens_too(void **state)
{
    (void)state;
    set_rate(1, 1000, 1);
    uint64_t worker = join();

    rig_advance(1000);
    rig_submit(1);
    rig.report.has_pushback = true;
    rig.report.pushback_ms = 0;
    rig_fail(worker, rig_token_of(1), REDIAL_UNAVAILABLE, "DOWN");
    assert_int_equal(rig.assigned_count, 1);
    rig_advance(999);
    assert_int_equal(rig.assigned_count, 1);
    rig_advance(1);
    assert_int_equal(rig.assigned_count, 2);
}

static void
a_restart_empties_the_bucket(void **state)
{
    (void)state;
    set_rate(10, 1000, 10);
    rig_advance(5000);
    submit_many(1, 3);
    rig_restart();
    join();
    assert_int_equal(rig.assigned_count, 0);
    rig_advance(99);
    assert_int_equal(rig.assigned_count, 0);
    rig_advance(1);
    assert_int_equal(rig.assigned_count, 1);
}

static void
a_long_recovery_does_not_fill_the_buckets(void **state)
{
    (void)state;
    set_rate(10, 1000, 10);
    rig_restart_empty();
    rig.now.mono.ms += 5000;
    rig.now.wall.ms += 5000;
    engine_recover(rig.engine, rig.now, 1, &rig.out);
    join();
    submit_many(1, 3);
    rig_advance(99);
    assert_int_equal(rig.assigned_count, 0);
    rig_advance(1);
    assert_int_equal(rig.assigned_count, 1);
}

static void
a_name_that_was_forgotten_does_not_bring_a_full_bucket(void **state)
{
    (void)state;
    set_rate(1, 1000, 1);
    uint64_t worker = rig_hello("w", "1", 100);

    (void)worker;
    rig_advance(10000);
    static char names[64][8];

    /* Twice the places, so that the oldest names are forgotten. */
    for (uint32_t i = 0; i < 32; i++) {
        names[i][0] = (char)('a' + (int)i % 26);
        names[i][1] = (char)('a' + (int)i / 26);
        rig.submit.method = text(names[i]);
        rig_submit(100 + i);
        rig_cancel(100 + i);
    }
    struct engine_method_stats stats;
    uint32_t fresh = 0;

    for (uint32_t i = 0; engine_method_stats(rig.engine, rig.now, i, &stats);
         i++) {
        fresh += stats.limits.tokens == 0;
    }
    assert_true(fresh > 0);
}

static void
a_reload_changes_the_rate_at_once(void **state)
{
    (void)state;
    set_rate(1, MINUTE_MS, 1);
    join();
    submit_many(1, 20);
    rig_advance(30000);
    assert_int_equal(rig.assigned_count, 0);
    set_rate(10, 1000, 1); /* half a token is there */
    rig_advance(49);
    assert_int_equal(rig.assigned_count, 0);
    rig_advance(1);
    assert_int_equal(rig.assigned_count, 1);
    set_rate(1, MINUTE_MS, 1);
    rig_advance(59999);
    assert_int_equal(rig.assigned_count, 1);
    rig_advance(1);
    assert_int_equal(rig.assigned_count, 2);
    set_rate(0, 0, 0);
    assert_int_equal(rig.assigned_count, 20);
    books_check(rig.engine);
}

/* ---- Places ------------------------------------------------------------ */

static void
a_reload_below_what_runs_just_waits(void **state)
{
    (void)state;
    limits()->concurrency = 4;
    rig_use_policy();
    uint64_t worker = join();

    submit_many(1, 8);
    assert_int_equal(rig.assigned_count, 4);
    limits()->concurrency = 2;
    rig_use_policy();
    rig_succeed(worker, rig_token(0));
    rig_succeed(worker, rig_token(1));
    assert_int_equal(rig.assigned_count, 4);
    rig_succeed(worker, rig_token(2));
    assert_int_equal(rig.assigned_count, 5);
    limits()->concurrency = 3;
    rig_use_policy();
    assert_int_equal(rig.assigned_count, 6);
}

static void
a_suspect_needs_a_place_and_a_token_too(void **state)
{
    (void)state;
    limits()->concurrency = 1;
    set_rate(1, 1000, 1);
    uint64_t worker = join();

    rig_advance(1000);
    rig_submit(1);
    rig_gone(worker, ENGINE_GONE_DEAD);
    worker = rig_hello("w", "2", 4);
    rig_poll(worker, 4);
    rig_seen();
    rig_advance(999);
    assert_int_equal(rig.assigned_count, 0);
    rig_heartbeat(worker);
    rig_advance(1);
    assert_int_equal(rig.assigned_count, 1);
    rig_submit(2);
    rig_advance(5000);
    assert_int_equal(rig.assigned_count, 1);
    books_check(rig.engine);
}

/* ---- Queues ------------------------------------------------------------ */

static void
a_submit_beyond_the_queue_is_refused(void **state)
{
    (void)state;
    limits()->queue = 3;
    rig_use_policy();
    submit_many(1, 3);
    rig_seen();
    struct engine_result result = *rig_submit(4);

    assert_int_equal(result.status, REDIAL_RESOURCE_EXHAUSTED);
    assert_string_equal(result.reason, "QUEUE_FULL");
    assert_non_null(strstr(result.message, "limits.queue"));
    assert_int_equal(result.retry_after_ms, 1000); /* nothing is known yet */
    rig_expect("");
    assert_false(rig_is_live(4));
    struct engine_stats stats;
    struct engine_method_stats method;

    engine_stats(rig.engine, rig.now, &stats);
    assert_int_equal(stats.refused_submits, 1);
    assert_int_equal(stats.refusals[ENGINE_REFUSED_QUEUE_FULL], 1);
    assert_true(engine_method_stats(rig.engine, rig.now, 0, &method));
    assert_int_equal(method.limits.refused, 1);
    assert_int_equal(method.limits.queue, 3);
    assert_int_equal(method.waits_for, ENGINE_WAITS_FOR_WORKER);
    rig_cancel(2);
    assert_int_equal(rig_submit(4)->status, REDIAL_OK);
    assert_int_equal(rig_submit(5)->status, REDIAL_RESOURCE_EXHAUSTED);
    limits()->queue = 4;
    rig_use_policy();
    assert_int_equal(rig_submit(5)->status, REDIAL_OK);
    limits()->queue = 1;
    rig_use_policy();
    assert_int_equal(rig_view(5).shown, JOB_READY); /* who is in stays */
    assert_int_equal(rig_submit(6)->status, REDIAL_RESOURCE_EXHAUSTED);
}

static void
repeats_and_keys_are_answered_when_the_queue_is_full(void **state)
{
    (void)state;
    limits()->queue = 1;
    rig_use_policy();
    rig.submit.key = text("k");
    rig.submit.key_hash[0] = 1;
    rig_submit(1);
    assert_true(rig_submit(1)->deduplicated);
    assert_true(rig_submit(2)->deduplicated);
    rig.submit.content_hash[0] = 9;
    assert_string_equal(rig_submit(3)->reason, "KEY_REUSED");
    rig.submit.key_hash[0] = 2;
    assert_string_equal(rig_submit(3)->reason, "QUEUE_FULL");
}

static void
a_scheduled_job_counts_when_it_is_due_and_is_kept_then(void **state)
{
    (void)state;
    limits()->queue = 2;
    rig_use_policy();
    rig.submit.not_before_ms = 100;
    submit_many(1, 5);
    rig.submit.not_before_ms = 0;
    submit_many(11, 2);
    assert_string_equal(rig_submit(13)->reason, "QUEUE_FULL");
    rig_advance(100);
    assert_int_equal(rig_view(5).shown, JOB_READY);
    assert_string_equal(rig_submit(13)->reason, "QUEUE_FULL");
    for (uint32_t n = 1; n <= 5; n++) {
        rig_cancel(n);
        assert_string_equal(rig_submit(13)->reason, "QUEUE_FULL");
    }
    rig_cancel(11);
    assert_int_equal(rig_submit(13)->status, REDIAL_OK);
}

static void
a_retry_is_never_refused_by_a_queue(void **state)
{
    (void)state;
    limits()->queue = 1;
    limits()->concurrency = 1;
    rig_use_policy();
    uint64_t worker = join();

    rig_submit(1);
    rig_submit(2);
    rig_fail(worker, rig_token_of(1), REDIAL_UNAVAILABLE, "DOWN");
    rig_heartbeat(worker);
    rig_submit(3);
    rig_advance(1000);
    assert_int_equal(rig_view(1).shown, JOB_READY);
    assert_int_equal(rig_view(3).shown, JOB_READY);
    assert_string_equal(rig_submit(4)->reason, "QUEUE_FULL");
}

static void
retry_after_follows_the_rate_limit(void **state)
{
    (void)state;
    limits()->queue = 1;
    set_rate(6, MINUTE_MS, 1);
    rig_submit(1);
    assert_int_equal(rig_submit(2)->retry_after_ms, 10000);
    /* One after the other, and never longer than half a minute. */
    assert_int_equal(rig_submit(3)->retry_after_ms, 20000);
    assert_int_equal(rig_submit(4)->retry_after_ms, 30000);
    assert_int_equal(rig_submit(5)->retry_after_ms, 30000);
    rig_advance(10000);
    assert_int_equal(rig_submit(6)->retry_after_ms, 30000);
}

static void
retry_after_follows_how_quickly_the_queue_drains(void **state)
{
    struct flow flow;

    (void)state;
    flow_init(&flow, 0);
    assert_int_equal(flow_retry_after_ms(&flow, 0, 0), 1000);
    for (int64_t at_ms = 250; at_ms <= 10000; at_ms += 250) {
        flow_released(&flow, at_ms);
    }
    assert_int_equal(flow_retry_after_ms(&flow, 0, 10000), 250);
    assert_int_equal(flow_retry_after_ms(&flow, 0, 10000), 500);
    assert_int_equal(flow_retry_after_ms(&flow, 0, 10100), 650);
    /* It stands still: the longer, the later. */
    assert_int_equal(flow_retry_after_ms(&flow, 0, 15000), 5000);
    assert_int_equal(flow_retry_after_ms(&flow, 0, 60000), 30000);
    /* A slow one is measured over a longer time. */
    flow_released(&flow, 30000);
    flow_released(&flow, 42000);
    assert_int_equal(flow_retry_after_ms(&flow, 0, 42000), 12000);
    /* A limit that is tighter than what was measured counts. */
    for (int64_t at_ms = 42001; at_ms <= 43001; at_ms++) {
        flow_released(&flow, at_ms);
    }
    assert_int_equal(flow_retry_after_ms(&flow, 0, 43001), 100);
    assert_int_equal(flow_retry_after_ms(&flow, 2000000, 43001), 2001);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            a_bucket_starts_empty_and_never_holds_more_than_its_burst),
        cmocka_unit_test(a_fraction_of_a_token_is_never_lost),
        cmocka_unit_test(the_largest_numbers_do_not_overflow),
        cmocka_unit_test(new_limits_keep_what_is_in_the_bucket),
        patient_test(attempts_start_at_the_millisecond_of_their_tokens),
        rig_test(seven_per_minute_are_4200_in_ten_hours),
        rig_test(a_burst_starts_at_once_and_no_more),
        rig_test(retries_take_tokens_too),
        rig_test(a_restart_empties_the_bucket),
        rig_test(a_long_recovery_does_not_fill_the_buckets),
        rig_test(a_name_that_was_forgotten_does_not_bring_a_full_bucket),
        patient_test(a_reload_changes_the_rate_at_once),
        rig_test(a_reload_below_what_runs_just_waits),
        rig_test(a_suspect_needs_a_place_and_a_token_too),
        rig_test(a_submit_beyond_the_queue_is_refused),
        rig_test(repeats_and_keys_are_answered_when_the_queue_is_full),
        rig_test(a_scheduled_job_counts_when_it_is_due_and_is_kept_then),
        rig_test(a_retry_is_never_refused_by_a_queue),
        rig_test(retry_after_follows_the_rate_limit),
        cmocka_unit_test(retry_after_follows_how_quickly_the_queue_drains),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
