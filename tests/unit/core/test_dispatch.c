/* SPDX-License-Identifier: Apache-2.0 */
/* Who is next, and where it goes. */
#include "tests/unit/core/rig.h"

#include <stdio.h>
#include <string.h>

static struct text
text(const char *string)
{
    return (struct text){.at = string, .len = (uint32_t)strlen(string)};
}

static uint32_t
number_of(struct engine_token token)
{
    return (uint32_t)token.job.bytes[14] << 8 | token.job.bytes[15];
}

/* Says what is free; the order of what comes then is in rig.assigned. */
static void
take(uint64_t worker, uint32_t free)
{
    rig_seen();
    rig_poll_acks(worker, free, NULL, 0);
    assert_int_equal(rig.assigned_count, free);
}

/* A slow start: jobs wait until there is a worker with that many places. */
static uint64_t
join(uint32_t concurrency)
{
    return rig_hello("w", "1", concurrency);
}

static void
higher_priorities_go_first(void **state)
{
    (void)state;
    for (uint32_t n = 0; n < 5; n++) {
        rig.submit.priority = n;
        rig_submit(n + 1);
    }
    take(join(5), 5);
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(number_of(rig_token(i)), 5 - i);
    }
}

static void
within_a_lane_first_come_is_first_served(void **state)
{
    (void)state;
    for (uint32_t n = 1; n <= 6; n++) {
        rig_submit(n);
    }
    rig_cancel(3);
    take(join(5), 5);
    static const uint32_t order[] = {1, 2, 4, 5, 6};

    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(number_of(rig_token(i)), order[i]);
    }
}

static void
of_eight_grants_one_goes_to_a_lower_priority(void **state)
{
    (void)state;
    for (uint32_t n = 1; n <= 40; n++) {
        rig.submit.priority = 9;
        rig_submit(n);
    }
    for (uint32_t n = 101; n <= 110; n++) {
        rig.submit.priority = n % 2;
        rig_submit(n);
    }
    take(join(32), 32);
    uint32_t since = 0;
    uint32_t priority[2] = {0};

    for (uint32_t i = 0; i < 32; i++) {
        if (number_of(rig_token(i)) > 100) {
            priority[number_of(rig_token(i)) % 2]++;
            since = 0;
        } else {
            since++;
        }
        assert_true(since < 8);
    }
    /* And it is not always the same lower one. */
    assert_int_equal(priority[0], 2);
    assert_int_equal(priority[1], 2);
}

static void
tenants_take_turns(void **state)
{
    (void)state;
    rig.submit.tenant = text("greedy");
    for (uint32_t n = 1; n <= 30; n++) {
        rig_submit(n);
    }
    rig.submit.tenant = text("modest");
    for (uint32_t n = 101; n <= 105; n++) {
        rig_submit(n);
    }
    rig.submit.tenant = text("");
    for (uint32_t n = 201; n <= 205; n++) {
        rig_submit(n);
    }
    take(join(15), 15);
    for (uint32_t i = 0; i < 15; i++) {
        static const uint32_t turn[] = {0, 1, 2};

        assert_int_equal(number_of(rig_token(i)) / 100, turn[i % 3]);
    }
}

/* Jobs 101.. have failed once and are due again; they wait. */
static uint64_t
make_retries(uint32_t count)
{
    uint64_t worker = rig_hello("w", "0", count);

    rig_poll(worker, count);
    for (uint32_t n = 101; n <= 100 + count; n++) {
        rig_submit(n);
    }
    rig_poll(worker, 0);
    for (uint32_t n = 101; n <= 100 + count; n++) {
        rig_fail(worker, rig_token_of(n), REDIAL_UNAVAILABLE, "DOWN");
    }
    rig_advance(1000);
    assert_int_equal(rig_view(101).shown, JOB_READY);
    return worker;
}

static void
first_attempts_go_first_but_of_eight_grants_one_is_a_retry(void **state)
{
    (void)state;
    make_retries(6);
    for (uint32_t n = 1; n <= 40; n++) {
        rig_submit(n);
    }
    take(join(32), 32);
    uint32_t since = 0;
    uint32_t retries = 0;

    for (uint32_t i = 0; i < 32; i++) {
        bool retry = number_of(rig_token(i)) > 100;

        retries += retry;
        since = retry ? 0 : since + 1;
        assert_true(since < 8);
    }
    assert_int_equal(retries, 4);
}

static void
both_shares_hold_at_once(void **state)
{
    (void)state;
    rig.submit.priority = 9;
    make_retries(6);
    for (uint32_t n = 1; n <= 38; n++) {
        rig_submit(n);
    }
    rig.submit.priority = 2;
    for (uint32_t n = 201; n <= 206; n++) {
        rig_submit(n);
    }
    take(join(32), 32);
    uint32_t since_retry = 0;
    uint32_t since_lower = 0;

    for (uint32_t i = 0; i < 32; i++) {
        uint32_t kind = number_of(rig_token(i)) / 100;

        since_retry = kind == 1 ? 0 : since_retry + 1;
        since_lower = kind == 2 ? 0 : since_lower + 1;
        assert_true(since_retry < 8);
        assert_true(since_lower < 8);
    }
}

static void
a_method_keeps_to_its_concurrency(void **state)
{
    (void)state;
    rig_fallback()->limits.concurrency = 3;
    for (uint32_t n = 1; n <= 10; n++) {
        rig_submit(n);
    }
    uint64_t worker = join(10);

    rig_seen();
    rig_poll_acks(worker, 10, NULL, 0);
    assert_int_equal(rig.assigned_count, 3);
    rig_succeed(worker, rig_token(0));
    assert_int_equal(rig.assigned_count, 4);
    rig_fail(worker, rig_token(1), REDIAL_UNAVAILABLE, "DOWN");
    assert_int_equal(rig.assigned_count, 5);
    rig_fallback()->limits.concurrency = 0;
    rig_use_policy();
    assert_int_equal(rig.assigned_count, 10);
}

static void
a_retry_prefers_another_worker(void **state)
{
    (void)state;
    uint64_t first = rig_hello("w", "1", 4);

    rig_poll(first, 4);
    rig_submit(1);
    uint64_t second = rig_hello("w", "2", 4);

    rig_poll(second, 4);
    rig_fail(first, rig_token(0), REDIAL_UNAVAILABLE, "DOWN");
    rig_advance(1000);
    assert_int_equal(rig.assigned_count, 2);
    assert_int_equal(rig.assigned[1].worker, second);
}

static void
the_same_worker_is_better_than_none(void **state)
{
    (void)state;
    uint64_t only = rig_hello("w", "1", 4);

    rig_poll(only, 4);
    rig_submit(1);
    rig_fail(only, rig_token(0), REDIAL_UNAVAILABLE, "DOWN");
    rig_advance(1000);
    assert_int_equal(rig.assigned_count, 2);
    assert_int_equal(rig.assigned[1].worker, only);
}

static void
the_least_loaded_worker_is_chosen(void **state)
{
    (void)state;
    uint64_t small = rig_hello("w", "1", 2);
    uint64_t large = rig_hello("w", "2", 8);

    rig_poll(small, 2);
    rig_poll(large, 8);
    rig_seen();
    for (uint32_t n = 1; n <= 10; n++) {
        rig_submit(n);
    }
    uint32_t of_small = 0;

    for (uint32_t i = 0; i < 5; i++) {
        of_small += rig.assigned[i].worker == small;
    }
    assert_int_equal(of_small, 1);
    assert_int_equal(rig.assigned_count, 10);
}

static void
recent_failures_weigh(void **state)
{
    (void)state;
    rig_fallback()->retry.retryable_codes = 0;
    uint64_t bad = rig_hello("w", "1", 20);

    rig_poll(bad, 20);
    for (uint32_t n = 1; n <= 5; n++) {
        rig_submit(n);
        rig_fail(bad, rig_token_of(n), REDIAL_INTERNAL, "BROKEN");
    }
    uint64_t good = rig_hello("w", "2", 20);

    rig_poll(good, 20);
    rig_seen();
    for (uint32_t n = 11; n <= 15; n++) {
        rig_submit(n);
        assert_int_equal(rig.assigned[n - 11].worker, good);
    }
    /* Forgiven once it works again. */
    for (uint32_t n = 21; n <= 35; n++) {
        rig_submit(n);
    }
    assert_int_equal(rig.assigned_count, 20);
    uint32_t of_bad = 0;

    for (uint32_t i = 0; i < rig.assigned_count; i++) {
        if (rig.assigned[i].worker == bad) {
            rig_succeed(bad, rig.assigned[i].token);
            of_bad++;
        }
    }
    assert_true(of_bad > 0);
}

static void
pushback_starts_the_backoff_anew(void **state)
{
    (void)state;
    rig_fallback()->retry.max_attempts = 10;
    uint64_t worker = join(1);
    static const int64_t pushback_ms[] = {-1, -1, 123, -1, -1};
    static const uint64_t delay_ms[] = {1000, 2000, 123, 1000, 2000};

    rig_poll(worker, 1);
    rig_submit(1);
    for (uint32_t i = 0; i < 5; i++) {
        rig.report.has_pushback = pushback_ms[i] >= 0;
        rig.report.pushback_ms = pushback_ms[i];
        rig_fail(worker, rig_token_of(1), REDIAL_UNAVAILABLE, "DOWN");
        assert_int_equal(rig_record(EVENT_RETRY_PLANNED)->decision.delay_ms,
                         delay_ms[i]);
        rig_advance((int64_t)delay_ms[i] - 1);
        assert_int_equal(rig_view(1).state, JOB_BACKOFF);
        rig_advance(1);
        rig_heartbeat(worker);
        assert_int_equal(rig_view(1).state, JOB_RUNNING);
    }
}

static void
pushback_zero_goes_again_in_the_same_step(void **state)
{
    (void)state;
    uint64_t worker = join(1);

    rig_poll(worker, 1);
    rig_submit(1);
    rig_expect("worker.joined job.accepted attempt.started");
    rig.report.has_pushback = true;
    rig_fail(worker, rig_token_of(1), REDIAL_UNAVAILABLE, "DOWN");
    rig_expect("attempt.failed retry.planned attempt.started");
}

static void
the_policy_in_force_decides(void **state)
{
    (void)state;
    uint64_t worker = join(1);

    rig_poll(worker, 1);
    rig_submit(1);
    rig_fallback()->retry.max_attempts = 1;
    rig.policy.version = 8;
    rig_use_policy();
    rig_fail(worker, rig_token_of(1), REDIAL_UNAVAILABLE, "DOWN");
    assert_int_equal(rig_record(EVENT_JOB_FAILED)->decision.rule,
                     RULE_ATTEMPTS_EXHAUSTED);
    assert_int_equal(rig_record(EVENT_JOB_FAILED)->decision.policy_version, 8);
}

static void
figures_are_exact(void **state)
{
    (void)state;
    struct engine_stats stats;
    uint64_t worker = join(1);

    rig_poll(worker, 1);
    rig_submit(1);
    rig_advance(100);
    rig_submit(2);
    rig.submit.not_before_ms = 100;
    rig_submit(3);
    rig_advance(50);
    engine_stats(rig.engine, rig.now, &stats);
    assert_int_equal(stats.jobs[JOB_RUNNING], 1);
    assert_int_equal(stats.jobs[JOB_READY], 1);
    assert_int_equal(stats.jobs[JOB_SCHEDULED], 1);
    assert_int_equal(stats.oldest_ready_ms, 50);
    assert_int_equal(stats.workers, 1);
    assert_int_equal(stats.methods, 1);
    assert_int_equal(stats.rules[RULE_SCHEDULED], 1);
    rig_cancel(2);
    engine_stats(rig.engine, rig.now, &stats);
    assert_int_equal(stats.rules[RULE_CANCELLED], 1);
    assert_int_equal(stats.jobs[JOB_READY], 0);
    assert_int_equal(stats.oldest_ready_ms, 0);
}

static void
a_retry_prefers_even_a_busier_worker(void **state)
{
    (void)state;
    uint64_t first = rig_hello("w", "1", 4);

    rig_poll(first, 4);
    rig_submit(1);
    rig_poll(first, 0);
    uint64_t second = rig_hello("w", "2", 4);

    rig_poll(second, 4);
    rig_submit(2);
    rig_submit(3);
    rig_poll(first, 3);
    /* It never started: that does not count against the worker. */
    rig_report_kind(first, rig_token_of(1), REPORT_NOT_STARTED);
    assert_int_equal(rig.assigned_count, 4);
    assert_int_equal(rig.assigned[3].worker, second);
}

static void
equal_workers_take_turns(void **state)
{
    (void)state;
    uint64_t workers[20];
    char instance[8];

    rig.limits.workers_max = 20;
    rig_restart_empty();
    for (uint32_t i = 0; i < 20; i++) {
        snprintf(instance, sizeof(instance), "%u", i);
        workers[i] = rig_hello("w", instance, 4);
        rig_poll(workers[i], 4);
    }
    rig_seen();
    for (uint32_t n = 0; n < 20; n++) {
        rig_submit(n + 1);
        rig_succeed(rig.assigned[n].worker, rig_token(n));
        for (uint32_t i = 0; i < n; i++) {
            assert_int_not_equal(rig.assigned[i].worker,
                                 rig.assigned[n].worker);
        }
    }
}

static void
a_new_set_replaces_the_old_one(void **state)
{
    (void)state;
    struct method_policy row = rig.policy.fallback;
    struct policy_set next = rig.policy;
    uint64_t worker = join(1);

    rig_poll(worker, 1);
    rig_submit(1);
    row.service = text("s");
    row.method = text("m");
    row.retry.max_attempts = 1;
    next.methods = &row;
    next.method_count = 1;
    next.version = 8;
    rig_step(&(struct engine_input){.type = ENGINE_POLICY, .policy = &next});
    assert_int_equal(rig_view(1).max_attempts, 1);
    rig_fail(worker, rig_token_of(1), REDIAL_UNAVAILABLE, "DOWN");
    assert_int_equal(rig_record(EVENT_JOB_FAILED)->decision.rule,
                     RULE_ATTEMPTS_EXHAUSTED);
    rig_use_policy();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        rig_test(higher_priorities_go_first),
        rig_test(within_a_lane_first_come_is_first_served),
        rig_test(of_eight_grants_one_goes_to_a_lower_priority),
        rig_test(tenants_take_turns),
        rig_test(first_attempts_go_first_but_of_eight_grants_one_is_a_retry),
        rig_test(both_shares_hold_at_once),
        rig_test(a_method_keeps_to_its_concurrency),
        rig_test(a_retry_prefers_another_worker),
        rig_test(the_same_worker_is_better_than_none),
        rig_test(the_least_loaded_worker_is_chosen),
        rig_test(recent_failures_weigh),
        rig_test(pushback_starts_the_backoff_anew),
        rig_test(pushback_zero_goes_again_in_the_same_step),
        rig_test(the_policy_in_force_decides),
        rig_test(figures_are_exact),
        rig_test(a_retry_prefers_even_a_busier_worker),
        rig_test(equal_workers_take_turns),
        rig_test(a_new_set_replaces_the_old_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
