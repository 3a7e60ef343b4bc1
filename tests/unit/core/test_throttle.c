/* SPDX-License-Identifier: Apache-2.0 */
/* gRPC's retryThrottling: the arithmetic, and what a target makes of it. */
#include "server/core/text.h"
#include "server/core/throttle.h"
#include "tests/unit/core/rig.h"

#include <string.h>

/* ---- Arithmetic -------------------------------------------------------- */

static struct target_policy
throttled(uint32_t max_milli, uint32_t ok_milli)
{
    return (struct target_policy){
        .has_throttle = true,
        .tokens_max_milli = max_milli,
        .tokens_ok_milli = ok_milli,
    };
}

static void
what_was_never_charged_is_full(void **state)
{
    (void)state;
    struct target_policy policy = throttled(10000, 100);
    struct throttle throttle = {0};

    assert_int_equal(throttle_tokens(&throttle, &policy), 10000);
    policy.has_throttle = false;
    assert_int_equal(throttle_tokens(&throttle, &policy), -1);
    assert_true(throttle_allows(-1, 0));
    assert_int_equal(throttle_after_failure(-1), -1);
    assert_int_equal(throttle_after_success(-1, &policy), -1);
}

static void
a_retry_needs_more_than_half(void **state)
{
    (void)state;
    assert_false(throttle_allows(4999, 10000));
    assert_false(throttle_allows(5000, 10000));
    assert_true(throttle_allows(5001, 10000));
    assert_false(throttle_allows(500, 1000));
    assert_true(throttle_allows(501, 1000));
    assert_false(throttle_allows(0, 1000));
}

static void
tokens_stay_between_zero_and_the_maximum(void **state)
{
    (void)state;
    struct target_policy policy = throttled(2000, 5000);

    assert_int_equal(throttle_after_failure(1001), 1);
    assert_int_equal(throttle_after_failure(1000), 0);
    assert_int_equal(throttle_after_failure(999), 0);
    assert_int_equal(throttle_after_failure(0), 0);
    assert_int_equal(throttle_after_success(0, &policy), 2000);
    policy.tokens_ok_milli = 546;
    assert_int_equal(throttle_after_success(0, &policy), 546);
    assert_int_equal(throttle_after_success(1454, &policy), 2000);
    assert_int_equal(throttle_after_success(1455, &policy), 2000);
}

static void
a_new_maximum_keeps_the_ratio_and_the_way_back_is_exact(void **state)
{
    (void)state;
    struct throttle throttle = {.tokens_milli = 3000, .max_milli = 4000};
    struct target_policy policy = throttled(10000, 100);

    assert_int_equal(throttle_tokens(&throttle, &policy), 7500);
    policy.tokens_max_milli = 4000;
    assert_int_equal(throttle_tokens(&throttle, &policy), 3000);
    throttle.tokens_milli = 3335;
    policy.tokens_max_milli = 1000;
    assert_int_equal(throttle_tokens(&throttle, &policy), 834); /* 833.75 */
    policy.tokens_max_milli = 4000;
    /* A charge between makes the rounding stay: half of the other's milli. */
    throttle.tokens_milli = 3333;
    for (uint32_t max = 1; max <= 1000; max++) {
        struct throttle moved = throttle;
        struct target_policy other = throttled(max * 1000, 100);

        moved.tokens_milli = throttle_tokens(&throttle, &other);
        moved.max_milli = (int64_t)max * 1000;
        int64_t back = throttle_tokens(&moved, &policy);

        assert_true(back >= 3331 && back <= 3335);
        assert_true(max < 4 || (back >= 3332 && back <= 3334));
    }
}

/* ---- In the engine ----------------------------------------------------- */

static uint64_t worker;
static uint32_t next_job;

static void
use(uint32_t max_milli, uint32_t ok_milli)
{
    struct retry_policy *retry = &rig_fallback()->retry;

    rig.policy.target_fallback = throttled(max_milli, ok_milli);
    retry->max_attempts = 6;
    retry->initial_backoff_ms = 1;
    retry->max_backoff_ms = 1;
    rig_use_policy();
}

static void
begin(uint32_t max_milli, uint32_t ok_milli)
{
    use(max_milli, ok_milli);
    worker = rig_hello("w", "1", 8);
    rig_poll(worker, 8);
    next_job = 1;
}

/* One attempt of the job: F fails it, S makes it succeed. */
static void
attempt(uint32_t job, char outcome)
{
    rig_advance(1);
    assert_int_equal(rig_view(job).state, JOB_RUNNING);
    struct engine_token token = rig_token_of(job);

    rig_seen();
    if (outcome == 'S') {
        rig_succeed(worker, token);
    } else {
        rig_fail(worker, token, REDIAL_UNAVAILABLE, "DOWN");
    }
    rig_poll(worker, 8);
}

/* A job whose attempts end so; returns its number. It must then be over. */
static void
call(const char *outcomes)
{
    uint32_t job = next_job++;

    rig_submit(job);
    for (; *outcomes != '\0'; outcomes++) {
        attempt(job, *outcomes);
    }
    assert_false(rig_is_live(job));
}

static int64_t
tokens(void)
{
    return rig_target("s").tokens_milli;
}

static void
the_trace_of_grpc_go_comes_out(void **state)
{
    (void)state;
    begin(10000, 500);
    call("S");
    assert_int_equal(tokens(), 10000);
    call("FFS");
    assert_int_equal(tokens(), 8500);
    call("FFFS");
    assert_int_equal(tokens(), 6000);
    call("F");
    assert_int_equal(tokens(), 5000);
    assert_int_equal(rig_record(EVENT_JOB_FAILED)->decision.rule,
                     RULE_THROTTLED);
    call("F");
    assert_int_equal(tokens(), 4000);
    for (int64_t left = 4500; left <= 6500; left += 500) {
        call("S");
        assert_int_equal(tokens(), left);
    }
    uint32_t job = next_job;

    rig_submit(job);
    attempt(job, 'F');
    assert_int_equal(tokens(), 5500);
    assert_int_equal(rig_view(job).state, JOB_BACKOFF);
    attempt(job, 'F');
    assert_int_equal(tokens(), 4500);
    assert_false(rig_is_live(job));
}

static void
the_trace_of_c_core_comes_out(void **state)
{
    (void)state;
    begin(4000, 1600);
    call("FS");
    assert_int_equal(tokens(), 4000);
    call("FF");
    assert_int_equal(tokens(), 2000);
    call("F");
    assert_int_equal(tokens(), 1000);
    call("F");
    call("F");
    assert_int_equal(tokens(), 0);
    call("S");
    assert_int_equal(tokens(), 1600);
    call("S");
    assert_int_equal(tokens(), 3200);
    call("FF");
    assert_int_equal(tokens(), 1200);
    call("S");
    assert_int_equal(tokens(), 2800);
    call("F");
    assert_int_equal(tokens(), 1800);
    call("S");
    assert_int_equal(tokens(), 3400);
    rig_submit(next_job);
    attempt(next_job, 'F');
    assert_int_equal(tokens(), 2400);
    assert_int_equal(rig_view(next_job).state, JOB_BACKOFF);
}

static void
records_say_what_a_decision_left(void **state)
{
    (void)state;
    begin(10000, 100);
    rig_submit(1);
    attempt(1, 'F');
    const struct record *planned = rig_record(EVENT_RETRY_PLANNED);

    assert_int_equal(planned->decision.tokens_milli, 9000);
    assert_int_equal(planned->decision.tokens_max_milli, 10000);
    assert_int_equal(planned->target.len, 0); /* the service */
    assert_int_equal(planned->decision.budget_milli, -1);
    attempt(1, 'S');
    const struct record *done = rig_record(EVENT_JOB_SUCCEEDED);

    assert_int_equal(done->decision.tokens_milli, 9100);
    assert_int_equal(done->decision.tokens_max_milli, 10000);
    rig_restart();
    assert_int_equal(tokens(), 9100);
}

static void
an_ok_of_a_full_throttle_changes_nothing(void **state)
{
    (void)state;
    begin(10000, 100);
    call("S");
    const struct record *done = rig_record(EVENT_JOB_SUCCEEDED);

    assert_int_equal(done->decision.tokens_milli, 10000);
    assert_int_equal(done->decision.tokens_max_milli, 0);
}

static void
methods_share_the_target_that_they_name(void **state)
{
    (void)state;
    rig.methods[0] = rig.policy.fallback;
    rig.methods[0].service = text_of("s");
    rig.methods[0].target = text_of("upstream");
    rig.methods[1] = rig.methods[0];
    rig.methods[1].service = text_of("z");
    rig.policy.methods = rig.methods;
    rig.policy.method_count = 2;
    begin(3000, 100);
    rig_submit(1);
    rig_submit(2);
    attempt(1, 'F');
    rig_assert_text(rig_record(EVENT_RETRY_PLANNED)->target, "upstream");
    assert_int_equal(rig_target("upstream").tokens_milli, 2000);
    rig_submit(3);
    rig.submit.service = text_of("z");
    rig_submit(4);
    rig.submit.service = text_of("s");
    rig_fail(worker, rig_token_of(3), REDIAL_UNAVAILABLE, "DOWN");
    assert_int_equal(rig_record(EVENT_JOB_FAILED)->decision.rule,
                     RULE_THROTTLED);
    assert_int_equal(rig_target("upstream").tokens_milli, 1000);
    assert_int_equal(rig_target("upstream").retries_refused, 1);
    assert_int_equal(rig_target("upstream").retries_allowed, 1);
}

static void
a_stop_is_charged_even_where_the_code_ends_it(void **state)
{
    (void)state;
    begin(10000, 100);
    rig_submit(1);
    rig.report.has_pushback = true;
    rig.report.pushback_ms = -1;
    rig_fail(worker, rig_token_of(1), REDIAL_INTERNAL, "DOWN");
    rig.report.has_pushback = false;
    assert_int_equal(rig_record(EVENT_RETRY_REFUSED)->decision.rule,
                     RULE_NON_RETRYABLE_CODE);
    assert_int_equal(tokens(), 9000);
    assert_true(rig_record(EVENT_ATTEMPT_FAILED)->has_pushback);
    assert_int_equal(rig_record(EVENT_ATTEMPT_FAILED)->pushback_ms, -1);
    rig_submit(2);
    rig.report.overloaded = true;
    rig_fail(worker, rig_token_of(2), REDIAL_UNAVAILABLE, "DOWN");
    rig.report.overloaded = false;
    assert_int_equal(tokens(), 9000);
    assert_true(rig_record(EVENT_ATTEMPT_FAILED)->overloaded);
}

static void
retries_that_are_off_are_refused_and_charged(void **state)
{
    (void)state;
    begin(10000, 100);
    rig.policy.retries_off = true;
    rig_use_policy();
    call("F");
    assert_int_equal(rig_record(EVENT_JOB_FAILED)->decision.rule,
                     RULE_RETRIES_OFF);
    assert_int_equal(tokens(), 9000);
    rig.policy.retries_off = false;
    rig_use_policy();
    call("FS");
}

/* ---- Reload ------------------------------------------------------------ */

static void
a_reload_keeps_the_fill_ratio(void **state)
{
    (void)state;
    begin(4000, 100);
    rig_submit(1);
    attempt(1, 'F');
    assert_int_equal(tokens(), 3000);
    use(10000, 100);
    assert_int_equal(tokens(), 7500);
    use(4000, 100);
    assert_int_equal(tokens(), 3000);
    use(10000, 100);
    rig_restart();
    assert_int_equal(tokens(), 7500);
    assert_int_equal(rig_target("s").tokens_max_milli, 10000);
}

static void
a_throttle_that_was_gone_comes_back_full(void **state)
{
    (void)state;
    begin(4000, 100);
    rig_submit(1);
    attempt(1, 'F');
    rig.policy.target_fallback.has_throttle = false;
    rig_use_policy();
    assert_int_equal(tokens(), -1);
    /* Also when the gateway starts anew before it says so again. */
    rig_restart();
    use(4000, 100);
    assert_int_equal(tokens(), 4000);
    rig_restart();
    assert_int_equal(tokens(), 4000);
}

/* ---- Events ------------------------------------------------------------ */

static void
exhausted_and_recovered_come_at_the_flips(void **state)
{
    (void)state;
    begin(2000, 1000);
    for (uint32_t job = 1; job <= 4; job++) {
        rig_submit(job);
    }
    struct engine_token tokens_of[5];

    for (uint32_t job = 1; job <= 4; job++) {
        tokens_of[job] = rig_token_of(job);
    }
    rig_seen();
    rig_fail(worker, tokens_of[1], REDIAL_UNAVAILABLE, "DOWN");
    rig_expect("attempt.failed retry.refused job.failed budget.exhausted");
    const struct record *event = rig_record(EVENT_BUDGET_EXHAUSTED);

    rig_assert_text(event->target, "s");
    rig_assert_text(event->reason, "THROTTLE");
    assert_int_equal(event->decision.tokens_milli, 1000);
    assert_int_equal(event->decision.tokens_max_milli, 2000);
    assert_int_equal(event->decision.budget_milli, -1);
    assert_true(rig_target("s").throttle_exhausted);
    rig_fail(worker, tokens_of[2], REDIAL_UNAVAILABLE, "DOWN");
    rig_expect("attempt.failed retry.refused job.failed");
    rig_advance(1000);
    rig_succeed(worker, tokens_of[3]);
    rig_expect("attempt.succeeded job.succeeded");
    rig_succeed(worker, tokens_of[4]);
    rig_expect("attempt.succeeded job.succeeded budget.recovered");
    assert_int_equal(rig_record(EVENT_BUDGET_RECOVERED)->decision.tokens_milli,
                     2000);
}

static void
one_pair_a_second_whatever_the_traffic_does(void **state)
{
    (void)state;
    begin(2000, 1000);
    call("F");
    rig_record(EVENT_BUDGET_EXHAUSTED);
    rig_seen();
    /* Back and forth a hundred times within the second. */
    for (int i = 0; i < 100; i++) {
        call("S");
        call("F");
        rig_advance(2);
    }
    assert_null(strstr(rig.trace, "budget"));
    call("S");
    rig_seen();
    rig_advance(1000);
    rig_expect("budget.recovered");
    rig_advance(5000);
    assert_null(strstr(rig.trace, "budget"));
}

static void
a_reload_and_a_restart_tell_of_flips_too(void **state)
{
    (void)state;
    begin(2000, 1000);
    call("F");
    rig_record(EVENT_BUDGET_EXHAUSTED);
    rig_restart();
    rig_advance(2000);
    assert_null(strstr(rig.trace, "budget"));
    rig.policy.target_fallback.has_throttle = false;
    rig_use_policy();
    assert_non_null(strstr(rig.trace, "gateway.reloaded budget.recovered"));
    rig_seen();
    use(2000, 1000);
    rig_advance(2000);
    assert_null(strstr(rig.trace, "budget"));
}

static void
a_policy_that_changed_over_a_restart_is_told_at_its_end(void **state)
{
    (void)state;
    begin(2000, 1000);
    call("F");
    rig_advance(1000);
    rig.policy.target_fallback.has_throttle = false; /* in its new files */
    rig_restart();
    assert_int_equal(rig.out.record_count, 2);
    assert_int_equal(rig.out.records[0].type, EVENT_GATEWAY_STARTED);
    assert_int_equal(rig.out.records[1].type, EVENT_GATEWAY_RELOADED);
    rig_advance(1000);
    rig_record(EVENT_BUDGET_RECOVERED);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_never_charged_is_full),
        cmocka_unit_test(a_retry_needs_more_than_half),
        cmocka_unit_test(tokens_stay_between_zero_and_the_maximum),
        cmocka_unit_test(
            a_new_maximum_keeps_the_ratio_and_the_way_back_is_exact),
        rig_test(the_trace_of_grpc_go_comes_out),
        rig_test(the_trace_of_c_core_comes_out),
        rig_test(records_say_what_a_decision_left),
        rig_test(an_ok_of_a_full_throttle_changes_nothing),
        rig_test(methods_share_the_target_that_they_name),
        rig_test(a_stop_is_charged_even_where_the_code_ends_it),
        rig_test(retries_that_are_off_are_refused_and_charged),
        rig_test(a_reload_keeps_the_fill_ratio),
        rig_test(a_throttle_that_was_gone_comes_back_full),
        rig_test(exhausted_and_recovered_come_at_the_flips),
        rig_test(one_pair_a_second_whatever_the_traffic_does),
        rig_test(a_policy_that_changed_over_a_restart_is_told_at_its_end),
        rig_test(a_reload_and_a_restart_tell_of_flips_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
