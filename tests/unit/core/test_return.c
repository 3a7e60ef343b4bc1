/* SPDX-License-Identifier: Apache-2.0 */
/* Workers that leave, come back, or die; and gateways that restart. */
#include "tests/unit/core/rig.h"

#include <stdio.h>
#include <string.h>

static uint64_t worker;
static struct engine_token token;

/* Job 1 runs on w/1, acknowledged, with one place free besides. */
static void
start(void)
{
    worker = rig_hello("w", "1", 2);
    rig_poll(worker, 1);
    rig_submit(1);
    token = rig_token(0);
    rig_poll(worker, 0);
    rig_seen();
}

static void
a_dropped_worker_that_lists_its_attempt_goes_on(void **state)
{
    (void)state;
    start();
    rig_gone(worker, ENGINE_GONE_DROPPED);
    rig_expect("worker.left");
    assert_int_equal(rig.forgotten, worker);
    assert_int_equal(rig_view(1).state, JOB_RUNNING);
    rig_advance(9999);
    uint64_t again = rig_hello_with("w", "1", 2, &token, 1);

    assert_int_not_equal(again, worker);
    rig_expect("worker.joined");
    assert_int_equal(rig.stop_count, 0);
    /* A full lease, as an acknowledged one. */
    rig_advance(9999);
    rig_expect("worker.quiet");
    rig_heartbeat(again);
    rig_advance(5000);
    rig_succeed(again, token);
    rig_expect("attempt.succeeded job.succeeded");
}

static void
a_dropped_worker_that_stays_away_has_lost_its_attempts(void **state)
{
    (void)state;
    start();
    rig_gone(worker, ENGINE_GONE_DROPPED);
    rig_seen();
    rig_advance(9999);
    rig_expect("");
    rig_advance(1);
    rig_expect("attempt.lost retry.planned");
    const struct record *lost = rig_record(EVENT_ATTEMPT_LOST);

    assert_true(lost->charged);
    assert_false(lost->final_lost);
    rig_assert_text(lost->worker, "w/1");
}

static void
a_blip_before_the_acknowledgement_is_charged_if_it_lasts(void **state)
{
    (void)state;
    worker = rig_hello("w", "1", 1);
    rig_poll(worker, 1);
    rig_submit(1);
    rig_seen();
    rig_gone(worker, ENGINE_GONE_DROPPED);
    rig_advance(10000);
    rig_expect("worker.left attempt.lost retry.planned");
    assert_true(rig_record(EVENT_ATTEMPT_LOST)->charged);
}

static void
a_worker_that_returns_without_it_never_started_it(void **state)
{
    (void)state;
    start();
    rig_gone(worker, ENGINE_GONE_DROPPED);
    rig_seen();
    uint64_t again = rig_hello("w", "1", 2);

    rig_expect("worker.joined attempt.failed job.released");
    assert_false(rig_record(EVENT_ATTEMPT_FAILED)->charged);
    rig_assert_text(rig_record(EVENT_ATTEMPT_FAILED)->reason, "NOT_STARTED");
    rig_poll(again, 2);
    rig_expect("attempt.started");
}

static void
another_incarnation_is_another_worker(void **state)
{
    (void)state;
    start();
    rig_gone(worker, ENGINE_GONE_DROPPED);
    rig_seen();
    rig_hello_with("w", "2", 2, &token, 1);
    rig_expect("worker.joined");
    assert_int_equal(rig.stop_count, 1);
    assert_int_equal(rig_view(1).state, JOB_RUNNING);
    rig_assert_text(rig_view(1).worker, "w/1");
}

static void
a_second_hello_voids_the_first_id(void **state)
{
    (void)state;
    start();
    uint64_t again = rig_hello_with("w", "1", 2, &token, 1);

    assert_int_equal(rig.forgotten, worker);
    rig_expect("worker.joined");
    rig_poll(worker, 2);
    assert_int_equal(rig.out.result.status, REDIAL_NOT_FOUND);
    assert_string_equal(rig.out.result.reason, "UNKNOWN_WORKER");
    rig_gone(worker, ENGINE_GONE_DEAD);
    assert_int_equal(rig.out.result.status, REDIAL_NOT_FOUND);
    rig_heartbeat(worker);
    assert_int_equal(rig.out.result.status, REDIAL_NOT_FOUND);
    rig_expect("");
    rig_succeed(again, token);
    rig_expect("attempt.succeeded job.succeeded");
}

static void
tokens_that_match_nothing_are_stopped(void **state)
{
    (void)state;
    start();
    struct engine_token tokens[3] = {token, token, token};

    tokens[0].fence--;
    tokens[1].job = rig_id(9);
    rig_gone(worker, ENGINE_GONE_DROPPED);
    rig_hello_with("w", "1", 2, tokens, 3);
    assert_int_equal(rig.stop_count, 2);
    rig_assert_token(rig.stops[0].token, tokens[0]);
    rig_assert_token(rig.stops[1].token, tokens[1]);
    assert_int_equal(rig_view(1).state, JOB_RUNNING);
}

static void
a_ghost_that_comes_back_is_stopped_and_one_that_does_not_is_gone(void **state)
{
    (void)state;
    start();
    rig_cancel(1);
    rig_gone(worker, ENGINE_GONE_DROPPED);
    rig_seen();
    assert_true(rig_is_live(1));
    worker = rig_hello_with("w", "1", 2, &token, 1);
    assert_int_equal(rig.stop_count, 1);
    assert_true(rig_is_live(1));
    rig_gone(worker, ENGINE_GONE_DROPPED);
    rig_hello("w", "1", 2);
    assert_false(rig_is_live(1));
    rig_expect("worker.joined worker.left worker.joined");
}

static void
a_report_before_hello_is_taken_by_its_fence(void **state)
{
    (void)state;
    start();
    rig_gone(worker, ENGINE_GONE_DROPPED);
    rig_seen();
    rig_succeed(worker, token);
    rig_expect("attempt.succeeded job.succeeded");
    assert_int_equal(engine_next_wake(rig.engine).ms, INT64_MAX);
}

static void
a_restarted_gateway_adopts_what_is_listed(void **state)
{
    (void)state;
    start();
    rig_advance(3000);
    rig_restart();
    assert_int_equal(rig_view(1).state, JOB_RUNNING);
    assert_int_equal(rig_view(1).fence, token.fence);
    rig_advance(9999);
    rig_expect("");
    uint64_t again = rig_hello_with("w", "1", 2, &token, 1);

    rig_expect("worker.joined");
    rig_advance(5000);
    rig_succeed(again, token);
    rig_expect("attempt.succeeded job.succeeded");
}

static void
after_a_restart_an_absent_worker_has_lost_its_attempts(void **state)
{
    (void)state;
    start();
    rig_restart();
    rig_advance(9999);
    rig_expect("");
    rig_advance(1);
    rig_expect("attempt.lost retry.planned");
    assert_true(rig_record(EVENT_ATTEMPT_LOST)->charged);
    assert_false(rig_record(EVENT_ATTEMPT_LOST)->final_lost);
}

static void
after_a_restart_what_is_not_listed_never_started(void **state)
{
    (void)state;
    start();
    rig_restart();
    rig_hello("w", "1", 2);
    rig_expect("worker.joined attempt.failed job.released");
    assert_int_equal(rig_view(1).attempts_charged, 0);
}

static void
a_stale_answer_from_before_the_restart_is_recognised(void **state)
{
    (void)state;
    start();
    rig_restart();
    rig_hello("w", "1", 2);
    assert_string_equal(rig_succeed(0, token)->reason, "LATE");
}

static void
a_restart_does_not_stretch_the_attempts_time(void **state)
{
    (void)state;
    rig.submit.attempt_timeout_ms = 8000;
    start();
    rig_advance(5000);
    rig_restart();
    rig_seen();
    rig_advance(4999);
    rig_expect("");
    rig_advance(1);
    rig_expect("attempt.failed retry.planned");
}

static void
a_dead_workers_attempts_are_lost_at_once(void **state)
{
    (void)state;
    start();
    rig_gone(worker, ENGINE_GONE_DEAD);
    rig_expect("worker.left attempt.lost retry.planned");
    const struct record *lost = rig_record(EVENT_ATTEMPT_LOST);

    assert_true(lost->final_lost);
    assert_true(lost->charged);
    assert_int_equal(lost->decision.rule, RULE_POISON);
    rig_assert_text(rig_record(EVENT_WORKER_LEFT)->reason, "DEAD");
}

static void
a_goodbye_gives_everything_back(void **state)
{
    (void)state;
    start();
    rig_gone(worker, ENGINE_GONE_GOODBYE);
    rig_expect("worker.left attempt.failed job.released");
    assert_false(rig_record(EVENT_ATTEMPT_FAILED)->charged);
    assert_int_equal(engine_next_wake(rig.engine).ms, INT64_MAX);
}

/* Two jobs in hand when a worker dies: neither is charged, both are suspects.
 */
static void
not_started_and_not_idempotent_goes_again(void **state)
{
    (void)state;
    rig.submit.idempotency = IDEMPOTENCY_NO;
    start();
    rig_report_kind(worker, token, REPORT_NOT_STARTED);
    rig_expect("attempt.failed job.released");
}

static void
an_unsent_assignment_goes_again_at_once(void **state)
{
    (void)state;
    worker = rig_hello("w", "1", 1);
    rig_poll(worker, 1);
    rig_submit(1);
    rig_seen();
    struct engine_input input = {.type = ENGINE_UNSENT};

    input.unsent = (struct engine_token){
        .job = rig_id(1), .attempt = 1, .fence = rig_view(1).fence};
    rig_step(&input);
    rig_expect("attempt.failed job.released attempt.started");
    rig_assert_text(rig_record(EVENT_ATTEMPT_FAILED)->reason, "UNSENT");
    rig_step(&input);
    rig_expect("");
}

static void
free_attempts_come_to_an_end(void **state)
{
    (void)state;
    rig_fallback()->retry.free_attempts_max = 5;
    worker = rig_hello("w", "1", 1);
    rig_poll(worker, 1);
    rig_submit(1);
    for (int i = 0; i < 4; i++) {
        rig_report_kind(worker, rig_token_of(1), REPORT_NOT_STARTED);
        while (rig_view(1).state == JOB_BACKOFF) {
            rig_advance(1000);
            rig_heartbeat(worker);
        }
    }
    assert_int_equal(rig_view(1).attempts_free, 4);
    assert_int_equal(rig_view(1).attempts_charged, 0);
    rig_seen();
    struct engine_token last = {
        .job = rig_id(1), .attempt = 5, .fence = rig_view(1).fence};

    rig_report_kind(worker, last, REPORT_NOT_STARTED);
    rig_expect("attempt.failed retry.refused job.failed");
    assert_int_equal(rig_record(EVENT_JOB_FAILED)->decision.rule,
                     RULE_FREE_EXHAUSTED);
    rig_assert_text(rig_record(EVENT_JOB_FAILED)->reason, "NOT_STARTED");
}

static void
a_charged_attempt_ends_the_row_of_free_ones(void **state)
{
    (void)state;
    rig_fallback()->retry.max_attempts = 5;
    worker = rig_hello("w", "1", 1);
    rig_poll(worker, 1);
    rig_submit(1);
    rig_report_kind(worker, rig_token_of(1), REPORT_NOT_STARTED);
    rig_fail(worker, rig_token_of(1), REDIAL_UNAVAILABLE, "DOWN");
    rig_advance(1000);
    rig_seen();
    struct engine_token third = {
        .job = rig_id(1), .attempt = 3, .fence = rig_view(1).fence};

    rig_report_kind(worker, third, REPORT_NOT_STARTED);
    rig_expect("attempt.failed job.released attempt.started");
    assert_int_equal(rig_view(1).attempts_charged, 1);
    assert_int_equal(rig_view(1).attempts_free, 2);
    rig_assert_text(rig_view(1).last_reason, "DOWN");
}

static void
workers_are_checked_at_the_door(void **state)
{
    (void)state;
    static char long_name[129];
    struct engine_slots slots = {.service = {.at = "s", .len = 1}};
    struct engine_hello good = {
        .name = {.at = "w", .len = 1},
        .instance = {.at = "1", .len = 1},
        .methods = &slots,
        .method_count = 1,
        .concurrency = 1,
    };
    struct engine_input input = {.type = ENGINE_HELLO};

    memset(long_name, 'x', sizeof(long_name));
#define REFUSES(change)                                                   \
    do {                                                                  \
        input.hello = good;                                               \
        change;                                                           \
        rig_step(&input);                                                 \
        assert_int_equal(rig.out.result.status, REDIAL_INVALID_ARGUMENT); \
    } while (0)

    REFUSES(input.hello.name.len = 0);
    REFUSES(input.hello.name = ((struct text){long_name, 129}));
    REFUSES(input.hello.instance.len = 0);
    REFUSES(input.hello.instance = ((struct text){long_name, 129}));
    REFUSES(input.hello.concurrency = 0);
    REFUSES(input.hello.method_count = 0);
    REFUSES(input.hello.method_count = 257);
    REFUSES(input.hello.in_hand_count = 1001);
    slots.service.len = 0;
    REFUSES((void)0);
    slots.service = (struct text){long_name, 129};
    REFUSES((void)0);
    slots.service.len = 1;
    slots.method = (struct text){long_name, 129};
    REFUSES((void)0);
    rig_expect("");
}

static void
workers_are_bounded(void **state)
{
    (void)state;
    char name[2] = "a";

    for (uint32_t i = 0; i < rig.limits.workers_max; i++) {
        name[0] = (char)('a' + i);
        assert_int_not_equal(rig_hello(name, "1", 1), 0);
    }
    rig_seen();
    assert_int_equal(rig_hello("z", "1", 1), 0);
    assert_int_equal(rig.out.result.status, REDIAL_RESOURCE_EXHAUSTED);
    assert_string_equal(rig.out.result.reason, "WORKERS_FULL");
    rig_expect("");
    uint64_t again = rig_hello("a", "1", 1);

    assert_int_not_equal(again, 0);
    rig_gone(again, ENGINE_GONE_DROPPED);
    assert_int_not_equal(rig_hello("z", "1", 1), 0);
}

static void
a_hello_with_too_many_methods_changes_nothing(void **state)
{
    (void)state;
    struct engine_slots slots[16];
    static const char names[] = "abcdefghijklmnop";
    struct engine_input input = {.type = ENGINE_HELLO};

    start();
    for (uint32_t i = 0; i < 16; i++) {
        slots[i] = (struct engine_slots){.service = {.at = names + i, .len = 1},
                                         .method = {.at = "m", .len = 1}};
    }
    input.hello = (struct engine_hello){
        .name = {.at = "w", .len = 1},
        .instance = {.at = "1", .len = 1},
        .methods = slots,
        .method_count = 16,
        .concurrency = 1,
    };
    rig_step(&input);
    assert_int_equal(rig.out.result.status, REDIAL_RESOURCE_EXHAUSTED);
    assert_string_equal(rig.out.result.reason, "METHODS_FULL");
    rig_expect("");
    rig_succeed(worker, token);
    rig_poll(worker, 2);
    rig_submit(2);
    rig_expect("attempt.succeeded job.succeeded job.accepted attempt.started");
    input.hello.instance.at = "2";
    rig_step(&input);
    assert_int_equal(rig.out.result.status, REDIAL_RESOURCE_EXHAUSTED);
}

static void
exhaustion_shows_the_last_real_failure(void **state)
{
    (void)state;
    rig_fallback()->retry.free_attempts_max = 1;
    worker = rig_hello("w", "1", 1);
    rig_poll(worker, 1);
    rig_submit(1);
    rig.report.text = (struct text){.at = "no route", .len = 8};
    rig_fail(worker, rig_token_of(1), REDIAL_ABORTED, "ROUTE");
    rig_advance(1000);
    rig_report_kind(worker, rig_token_of(1), REPORT_NOT_STARTED);
    const struct record *failed = rig_record(EVENT_JOB_FAILED);

    assert_int_equal(failed->decision.rule, RULE_FREE_EXHAUSTED);
    assert_int_equal(failed->code, REDIAL_ABORTED);
    rig_assert_text(failed->reason, "ROUTE");
    rig_assert_text(failed->text, "no route");
}

static void
offers_are_bounded(void **state)
{
    (void)state;
    static char names[256][4];
    static struct engine_slots slots[256];
    struct engine_input input = {.type = ENGINE_HELLO};
    char instance[2] = "a";
    uint32_t joined = 0;

    rig.limits.methods_max = 300;
    rig_restart_empty();
    for (uint32_t i = 0; i < 256; i++) {
        snprintf(names[i], sizeof(names[i]), "%u", i);
        slots[i] = (struct engine_slots){
            .service = {.at = "s", .len = 1},
            .method = {.at = names[i], .len = (uint32_t)strlen(names[i])},
        };
    }
    for (uint32_t i = 0; i < rig.limits.workers_max; i++) {
        instance[0] = (char)('a' + i);
        input.hello = (struct engine_hello){
            .name = {.at = "w", .len = 1},
            .instance = {.at = instance, .len = 1},
            .methods = slots,
            .method_count = 256,
            .concurrency = 1,
        };
        rig_step(&input);
        joined += rig.out.result.status == REDIAL_OK;
    }
    assert_int_equal(joined, 4);
    assert_string_equal(rig.out.result.reason, "METHODS_FULL");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        rig_test(a_dropped_worker_that_lists_its_attempt_goes_on),
        rig_test(a_dropped_worker_that_stays_away_has_lost_its_attempts),
        rig_test(a_blip_before_the_acknowledgement_is_charged_if_it_lasts),
        rig_test(a_worker_that_returns_without_it_never_started_it),
        rig_test(another_incarnation_is_another_worker),
        rig_test(a_second_hello_voids_the_first_id),
        rig_test(tokens_that_match_nothing_are_stopped),
        rig_test(
            a_ghost_that_comes_back_is_stopped_and_one_that_does_not_is_gone),
        rig_test(a_report_before_hello_is_taken_by_its_fence),
        rig_test(a_restarted_gateway_adopts_what_is_listed),
        rig_test(after_a_restart_an_absent_worker_has_lost_its_attempts),
        rig_test(after_a_restart_what_is_not_listed_never_started),
        rig_test(a_stale_answer_from_before_the_restart_is_recognised),
        rig_test(a_restart_does_not_stretch_the_attempts_time),
        rig_test(a_dead_workers_attempts_are_lost_at_once),
        rig_test(a_goodbye_gives_everything_back),
        rig_test(not_started_and_not_idempotent_goes_again),
        rig_test(an_unsent_assignment_goes_again_at_once),
        rig_test(free_attempts_come_to_an_end),
        rig_test(a_charged_attempt_ends_the_row_of_free_ones),
        rig_test(workers_are_checked_at_the_door),
        rig_test(workers_are_bounded),
        rig_test(a_hello_with_too_many_methods_changes_nothing),
        rig_test(exhaustion_shows_the_last_real_failure),
        rig_test(offers_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
