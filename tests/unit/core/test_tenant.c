/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits of tenants: one that has no room stops nobody else, and what waits
 * for it comes back as soon as there is room, wherever it can be started.
 */
#include "tests/unit/core/books.h"
#include "tests/unit/core/rig.h"

#include <string.h>

static struct text
text(const char *string)
{
    return (struct text){.at = string, .len = (uint32_t)strlen(string)};
}

/* Every tenant but "free" has these limits. */
static struct tenant_policy unlimited = {.weight = 1};

static struct limit_policy *
limits(void)
{
    unlimited.name = text("free");
    rig.policy.tenants = &unlimited;
    rig.policy.tenant_count = 1;
    return &rig.policy.tenant_fallback.limits;
}

static void
submit_for(const char *tenant, const char *method, uint32_t n)
{
    rig.submit.tenant = text(tenant);
    rig.submit.method = text(method);
    assert_int_equal(rig_submit(n)->status, REDIAL_OK);
}

/* A worker "name/1" for the method with many places, all free. */
static uint64_t
join(const char *name, const char *method, uint32_t places)
{
    struct engine_slots slots = {
        .service = text("s"), .method = text(method), .count = places};

    rig_step(&(struct engine_input){.type = ENGINE_HELLO,
                                    .hello = {.name = text(name),
                                              .instance = text("1"),
                                              .methods = &slots,
                                              .method_count = 1,
                                              .concurrency = places}});
    uint64_t worker = rig.out.result.worker;

    rig_poll(worker, places);
    return worker;
}

static uint32_t
number_of(struct engine_token token)
{
    return (uint32_t)token.job.bytes[14] << 8 | token.job.bytes[15];
}

static struct engine_tenant_stats
stats_of(const char *tenant)
{
    struct engine_tenant_stats stats;

    for (uint32_t i = 0; engine_tenant_stats(rig.engine, rig.now, i, &stats);
         i++) {
        if (stats.tenant.len == strlen(tenant) &&
            memcmp(stats.tenant.at, tenant, stats.tenant.len) == 0) {
            return stats;
        }
    }
    fail_msg("no tenant %s", tenant);
    return stats;
}

/* ---- Places ------------------------------------------------------------ */

static void
a_tenant_without_a_place_stops_only_itself(void **state)
{
    (void)state;
    limits()->concurrency = 2;
    rig_use_policy();
    for (uint32_t n = 1; n <= 5; n++) {
        submit_for("tight", "m", n);
    }
    for (uint32_t n = 11; n <= 15; n++) {
        submit_for("free", "m", n);
    }
    uint64_t worker = join("w", "m", 20);

    assert_int_equal(rig.assigned_count, 7);
    assert_int_equal(stats_of("tight").waits_for, ENGINE_WAITS_FOR_PLACE);
    assert_int_equal(stats_of("tight").running, 2);
    assert_int_equal(stats_of("tight").ready, 3);
    assert_int_equal(stats_of("tight").limits.concurrency, 2);
    struct engine_method_stats method;

    assert_true(engine_method_stats(rig.engine, rig.now, 0, &method));
    assert_int_equal(method.waits_for, ENGINE_WAITS_FOR_TENANT);
    rig_succeed(worker, rig_token_of(1));
    assert_int_equal(rig.assigned_count, 8);
    assert_int_equal(number_of(rig_token(7)), 3);
    /* A failed one gives its place back too. */
    rig_fail(worker, rig_token_of(2), REDIAL_UNAVAILABLE, "DOWN");
    assert_int_equal(rig.assigned_count, 9);
    assert_int_equal(number_of(rig_token(8)), 4);
    books_check(rig.engine);
}

static void
the_limit_counts_over_all_methods_and_priorities(void **state)
{
    (void)state;
    limits()->concurrency = 3;
    rig_use_policy();
    uint64_t a = join("a", "ma", 10);
    uint64_t b = join("b", "mb", 10);

    rig_seen();
    for (uint32_t n = 1; n <= 12; n++) {
        rig.submit.priority = n % 4;
        submit_for("tight", n % 2 == 0 ? "ma" : "mb", n);
    }
    for (uint32_t done = 0; done < 12; done++) {
        uint64_t running = stats_of("tight").running;

        assert_int_equal(running, 12 - done < 3 ? 12 - done : 3);
        assert_int_equal(rig.assigned_count, done + running);
        rig_succeed(rig.assigned[done].worker == a ? a : b, rig_token(done));
        books_check(rig.engine);
    }
}

static void
a_place_is_not_wasted_on_a_method_that_cannot_use_it(void **state)
{
    (void)state;
    limits()->concurrency = 1;
    rig_use_policy();
    uint64_t a = join("a", "ma", 1);
    uint64_t b = join("b", "mb", 10);

    submit_for("tight", "ma", 1);
    submit_for("tight", "ma", 2); /* blocked first, but its worker leaves */
    submit_for("tight", "mb", 3);
    assert_int_equal(rig.assigned_count, 1);
    rig_gone(a, ENGINE_GONE_DROPPED);
    assert_int_equal(rig.assigned_count, 1);
    rig_advance(10000); /* job 1 is lost: the place is free */
    rig_heartbeat(b);
    assert_int_equal(rig.assigned_count, 2);
    assert_int_equal(number_of(rig_token(1)), 3);
    books_check(rig.engine);
    /* And the one passed over is not forgotten. */
    join("c", "ma", 5);
    assert_int_equal(rig.assigned_count, 2);
    rig_succeed(b, rig_token_of(3));
    assert_int_equal(rig.assigned_count, 3);
    books_check(rig.engine);
}

static void
an_invitation_passes_on_when_its_method_fails(void **state)
{
    (void)state;
    limits()->concurrency = 1;
    rig_fallback()->limits.concurrency = 1;
    rig_use_policy();
    uint64_t a = join("a", "ma", 5);
    uint64_t b = join("b", "mb", 5);

    submit_for("tight", "mb", 1);
    submit_for("tight", "ma", 2);
    submit_for("tight", "mb", 3);
    submit_for("free", "ma", 11);
    assert_int_equal(rig.assigned_count, 2);
    /* ma is full with the other tenant's job: its lane cannot use the place. */
    rig_succeed(b, rig_token_of(1));
    assert_int_equal(rig.assigned_count, 3);
    assert_int_equal(number_of(rig_token(2)), 3);
    rig_succeed(a, rig_token_of(11));
    assert_int_equal(rig.assigned_count, 3);
    rig_succeed(b, rig_token_of(3));
    assert_int_equal(number_of(rig_token(3)), 2);
    books_check(rig.engine);
}

static void
cancelling_what_is_blocked_leaves_nothing_behind(void **state)
{
    (void)state;
    limits()->concurrency = 1;
    rig_use_policy();
    uint64_t worker = join("w", "m", 10);

    for (uint32_t n = 1; n <= 4; n++) {
        submit_for("tight", "m", n);
    }
    rig_cancel(2);
    rig_cancel(4);
    rig_cancel(3);
    books_check(rig.engine);
    rig_succeed(worker, rig_token_of(1));
    assert_int_equal(rig.assigned_count, 1);
    submit_for("tight", "m", 5);
    assert_int_equal(rig.assigned_count, 2);
    books_check(rig.engine);
}

static void
a_deadline_ends_a_blocked_job(void **state)
{
    (void)state;
    limits()->concurrency = 1;
    rig_use_policy();
    uint64_t worker = join("w", "m", 10);

    submit_for("tight", "m", 1);
    rig.submit.deadline_ms = 500;
    submit_for("tight", "m", 2);
    rig_seen();
    rig_advance(500);
    rig_expect("job.expired");
    rig_heartbeat(worker);
    books_check(rig.engine);
}

static void
jobs_without_hope_fail_though_their_tenant_has_no_room(void **state)
{
    (void)state;
    limits()->concurrency = 1;
    rig_fallback()->wait_for_ready = false;
    rig_use_policy();
    join("a", "ma", 1);
    submit_for("tight", "ma", 1);
    rig_seen();
    submit_for("tight", "mb", 2);
    assert_int_equal(rig_record(EVENT_JOB_FAILED)->decision.rule,
                     RULE_NO_WORKER);
    books_check(rig.engine);
}

static void
a_suspect_waits_for_its_tenant_and_stops_no_other(void **state)
{
    (void)state;
    limits()->concurrency = 1;
    rig_use_policy();
    uint64_t dead = join("a", "m", 4);

    submit_for("tight", "m", 1);
    submit_for("free", "m", 11);
    rig_poll(dead, 2);
    rig_gone(dead, ENGINE_GONE_DEAD);
    /* While both wait out their backoff another job takes the place. */
    uint64_t other = join("b", "mb", 4);

    submit_for("tight", "mb", 2);
    struct engine_token second = rig_token_of(2);
    uint64_t worker = join("w", "m", 4);

    rig_seen();
    rig_advance(1000);
    assert_int_equal(rig.assigned_count, 1);
    assert_int_equal(number_of(rig_token(0)), 11);
    books_check(rig.engine);
    rig_succeed(worker, rig_token(0));
    submit_for("free", "m", 12);
    submit_for("tight", "mb", 3);
    assert_int_equal(rig.assigned_count, 2);
    /* The place is kept for the suspect until its worker is empty. */
    rig_succeed(other, second);
    assert_int_equal(rig.assigned_count, 2);
    books_check(rig.engine);
    rig_succeed(worker, rig_token(1));
    assert_int_equal(rig.assigned_count, 3);
    assert_int_equal(number_of(rig_token(2)), 1);
    books_check(rig.engine);
    rig_succeed(worker, rig_token(2));
    assert_int_equal(number_of(rig_token(3)), 3);
    books_check(rig.engine);
}

/* ---- Rates ------------------------------------------------------------- */

static void
a_tenant_without_a_token_comes_back_at_the_millisecond_of_the_next(void **state)
{
    (void)state;
    limits()->rate = 4;
    limits()->rate_period_ms = 1000;
    limits()->burst = 1;
    rig_use_policy();
    join("w", "m", 10);
    rig_advance(1000);
    for (uint32_t n = 1; n <= 3; n++) {
        submit_for("tight", "m", n);
    }
    submit_for("free", "m", 11);
    assert_int_equal(rig.assigned_count, 2);
    assert_int_equal(stats_of("tight").waits_for, ENGINE_WAITS_FOR_TOKEN);
    rig_advance(249);
    assert_int_equal(rig.assigned_count, 2);
    rig_advance(1);
    assert_int_equal(rig.assigned_count, 3);
    rig_advance(250);
    assert_int_equal(rig.assigned_count, 4);
    books_check(rig.engine);
    assert_int_equal(stats_of("tight").waits_for, ENGINE_WAITS_FOR_NOTHING);
}

static void
two_rates_hold_at_once(void **state)
{
    (void)state;
    limits()->rate = 4;
    limits()->rate_period_ms = 1000;
    limits()->burst = 1;
    rig_fallback()->limits.rate = 5;
    rig_fallback()->limits.rate_period_ms = 1000;
    rig_fallback()->limits.burst = 1;
    rig_use_policy();
    uint64_t worker = join("w", "m", 100);

    for (uint32_t n = 1; n <= 30; n++) {
        submit_for("tight", "m", n);
    }
    for (uint32_t second = 1; second <= 5; second++) {
        rig_advance(1000);
        rig_heartbeat(worker);
        assert_in_range(rig.assigned_count, 3 * second, 4 * second);
    }
    books_check(rig.engine);
}

/* ---- Reload ------------------------------------------------------------ */

static void
more_room_after_a_reload_is_used_at_once(void **state)
{
    (void)state;
    limits()->concurrency = 1;
    rig_use_policy();
    uint64_t worker = join("w", "m", 20);

    for (uint32_t n = 1; n <= 10; n++) {
        submit_for("tight", "m", n);
    }
    assert_int_equal(rig.assigned_count, 1);
    limits()->concurrency = 4;
    rig_use_policy();
    assert_int_equal(rig.assigned_count, 4);
    limits()->concurrency = 2;
    rig_use_policy();
    for (uint32_t i = 0; i < 2; i++) {
        rig_succeed(worker, rig_token(i));
        assert_int_equal(rig.assigned_count, 4);
    }
    rig_succeed(worker, rig_token(2));
    assert_int_equal(rig.assigned_count, 5);
    limits()->concurrency = 0;
    rig_use_policy();
    assert_int_equal(rig.assigned_count, 10);
    books_check(rig.engine);
}

static void
a_restart_counts_what_runs(void **state)
{
    (void)state;
    limits()->concurrency = 2;
    rig_use_policy();
    uint64_t worker = rig_hello("w", "1", 4);

    rig_poll(worker, 4);
    for (uint32_t n = 1; n <= 4; n++) {
        submit_for("tight", "m", n);
    }
    struct engine_token tokens[2] = {rig_token(0), rig_token(1)};

    rig_restart();
    worker = rig_hello_with("w", "1", 4, tokens, 2);
    rig_poll(worker, 2);
    assert_int_equal(rig.assigned_count, 0);
    assert_int_equal(stats_of("tight").running, 2);
    rig_succeed(worker, tokens[0]);
    assert_int_equal(rig.assigned_count, 1);
    books_check(rig.engine);
}

/* ---- Queue ------------------------------------------------------------- */

static void
the_queue_of_a_tenant_is_bounded_over_its_methods(void **state)
{
    (void)state;
    limits()->queue = 2;
    rig_use_policy();
    submit_for("tight", "ma", 1);
    submit_for("tight", "mb", 2);
    rig.submit.method = text("mc");
    const struct engine_result *result = rig_submit(3);

    assert_int_equal(result->status, REDIAL_RESOURCE_EXHAUSTED);
    assert_string_equal(result->reason, "TENANT_QUEUE_FULL");
    assert_non_null(strstr(result->message, "limits.queue"));
    assert_in_range(result->retry_after_ms, 100, 30000);
    submit_for("free", "ma", 11);
    submit_for("free", "ma", 12);
    submit_for("free", "ma", 13);
    assert_int_equal(stats_of("tight").limits.refused, 1);
    assert_int_equal(stats_of("free").limits.refused, 0);
    join("a", "ma", 1);
    submit_for("tight", "mc", 3);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        rig_test(a_tenant_without_a_place_stops_only_itself),
        rig_test(the_limit_counts_over_all_methods_and_priorities),
        rig_test(a_place_is_not_wasted_on_a_method_that_cannot_use_it),
        rig_test(an_invitation_passes_on_when_its_method_fails),
        rig_test(cancelling_what_is_blocked_leaves_nothing_behind),
        rig_test(a_deadline_ends_a_blocked_job),
        rig_test(jobs_without_hope_fail_though_their_tenant_has_no_room),
        rig_test(a_suspect_waits_for_its_tenant_and_stops_no_other),
        rig_test(
            a_tenant_without_a_token_comes_back_at_the_millisecond_of_the_next),
        rig_test(two_rates_hold_at_once),
        rig_test(more_room_after_a_reload_is_used_at_once),
        rig_test(a_restart_counts_what_runs),
        rig_test(the_queue_of_a_tenant_is_bounded_over_its_methods),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
