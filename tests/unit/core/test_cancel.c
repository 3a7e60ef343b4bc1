/* SPDX-License-Identifier: Apache-2.0 */
/* Cancel, in every state; and what is left of a running attempt. */
#include "tests/unit/core/rig.h"

#include <string.h>

static uint64_t worker;

static void
join(uint32_t concurrency)
{
    worker = rig_hello("w", "1", concurrency);
    rig_poll(worker, concurrency);
    rig_seen();
}

static void
assert_cancelled(uint32_t n)
{
    const struct engine_result *result = rig_cancel(n);

    assert_int_equal(result->status, REDIAL_OK);
    assert_true(result->changed);
    assert_int_equal(result->state, JOB_CANCELLED);
    const struct record *record = rig_record(EVENT_JOB_CANCELLED);

    assert_int_equal(record->code, REDIAL_CANCELLED);
    assert_int_equal(record->decision.rule, RULE_CANCELLED);
    rig_assert_text(record->reason, "CANCELLED");
    rig_assert_text(record->text, "no longer needed");
}

static void
a_ready_job_is_cancelled(void **state)
{
    (void)state;
    rig_submit(1);
    rig_seen();
    assert_cancelled(1);
    rig_expect("job.cancelled");
    assert_int_equal(rig.release_count, 1);
    assert_false(rig_is_live(1));
    join(1);
    rig_expect("");
}

static void
a_scheduled_job_is_cancelled(void **state)
{
    (void)state;
    rig.submit.not_before_ms = 1000;
    rig_submit(1);
    rig_seen();
    assert_cancelled(1);
    rig_advance(2000);
    rig_expect("job.cancelled");
}

static void
a_job_in_backoff_is_cancelled_and_never_comes_back(void **state)
{
    (void)state;
    join(1);
    rig_submit(1);
    rig_fail(worker, rig_token(0), REDIAL_UNAVAILABLE, "DOWN");
    rig_seen();
    assert_cancelled(1);
    rig_poll(worker, 1);
    rig_advance(100000);
    rig_expect("job.cancelled worker.quiet");
}

static void
a_due_retry_is_cancelled(void **state)
{
    (void)state;
    join(1);
    rig_submit(1);
    rig_poll(worker, 0);
    rig_fail(worker, rig_token(0), REDIAL_UNAVAILABLE, "DOWN");
    rig_advance(1000);
    rig_seen();
    assert_int_equal(rig_view(1).shown, JOB_READY);
    assert_cancelled(1);
    rig_poll(worker, 1);
    rig_expect("job.cancelled");
}

static void
a_running_job_is_cancelled_at_once_and_its_worker_told(void **state)
{
    (void)state;
    join(1);
    rig_submit(1);
    struct engine_token token = rig_token(0);

    rig_seen();
    assert_cancelled(1);
    rig_expect("job.cancelled");
    assert_int_equal(rig.stop_count, 1);
    assert_int_equal(rig.stops[0].worker, worker);
    rig_assert_token(rig.stops[0].token, token);
    assert_int_equal(rig.release_count, 0);
    assert_int_equal(rig_view(1).state, JOB_CANCELLED);
}

static void
a_final_state_stays(void **state)
{
    (void)state;
    join(1);
    rig_submit(1);
    struct engine_token token = rig_token(0);

    rig_cancel(1);
    rig_seen();
    const struct engine_result *result = rig_cancel(1);

    assert_int_equal(result->status, REDIAL_OK);
    assert_false(result->changed);
    assert_int_equal(result->state, JOB_CANCELLED);
    assert_true(rig_submit(1)->deduplicated);
    assert_int_equal(rig.out.result.state, JOB_CANCELLED);
    rig_expect("");
    /* What it did all the same is late, and frees its places. */
    result = rig_succeed(worker, token);
    assert_int_equal(result->status, REDIAL_NOT_FOUND);
    assert_string_equal(result->reason, "LATE");
    rig_expect("attempt.late");
    assert_int_equal(rig.release_count, 1);
    assert_false(rig_is_live(1));
    result = rig_cancel(1);
    assert_int_equal(result->status, REDIAL_NOT_FOUND);
}

static void
a_ghost_keeps_the_methods_concurrency(void **state)
{
    (void)state;
    rig_fallback()->limits.concurrency = 1;
    join(4);
    rig_submit(1);
    struct engine_token token = rig_token(0);

    rig_submit(2);
    rig_cancel(1);
    rig_seen();
    rig_poll_acks(worker, 3, &token, 1);
    rig_expect("");
    rig_fail(worker, token, REDIAL_CANCELLED, "STOPPED");
    rig_expect("attempt.late attempt.started");
}

static void
a_ghost_keeps_the_workers_place(void **state)
{
    (void)state;
    join(1);
    rig_submit(1);
    rig_submit(2);
    rig_cancel(1);
    rig_seen();
    rig_poll_acks(worker, 0, NULL, 0);
    rig_expect("");
    rig_fail(worker,
             (struct engine_token){.job = rig_id(1), .attempt = 1, .fence = 3},
             REDIAL_CANCELLED, "STOPPED");
    rig_expect("attempt.late");
    rig_poll_acks(worker, 1, NULL, 0);
    rig_expect("attempt.started");
}

static void
a_ghost_that_was_never_acknowledged_ends_with_its_lease(void **state)
{
    (void)state;
    join(1);
    rig_submit(1);
    rig_cancel(1);
    rig_seen();
    rig_advance(5000);
    rig_heartbeat(worker);
    rig_advance(4999);
    assert_true(rig_is_live(1));
    rig_advance(1);
    assert_false(rig_is_live(1));
    assert_int_equal(rig.release_count, 1);
    rig_expect("");
}

static void
an_acknowledged_ghost_lives_as_long_as_its_worker_is_heard(void **state)
{
    (void)state;
    join(2);
    rig_submit(1);
    rig_poll(worker, 1);
    rig_cancel(1);
    rig_seen();
    for (int i = 0; i < 10; i++) {
        rig_advance(5000);
        rig_heartbeat(worker);
        assert_true(rig_is_live(1));
    }
    rig_advance(9999);
    assert_true(rig_is_live(1));
    rig_advance(1);
    assert_false(rig_is_live(1));
}

static void
a_worker_with_all_places_free_has_no_ghosts(void **state)
{
    (void)state;
    join(2);
    rig_submit(1);
    rig_poll(worker, 1);
    rig_cancel(1);
    rig_poll_acks(worker, 1, NULL, 0);
    assert_true(rig_is_live(1));
    rig_poll_acks(worker, 2, NULL, 0);
    assert_false(rig_is_live(1));
}

static void
progress_of_a_ghost_is_answered_with_stop(void **state)
{
    (void)state;
    join(1);
    rig_submit(1);
    struct engine_token token = rig_token(0);

    rig_cancel(1);
    rig_seen();
    const struct engine_result *result = rig_report_kind(worker, token,
                                                         REPORT_PROGRESS);

    assert_int_equal(result->status, REDIAL_OK);
    assert_int_equal(rig.stop_count, 1);
    assert_true(rig_is_live(1));
    rig_expect("");
}

static void
an_unknown_job_cannot_be_cancelled(void **state)
{
    (void)state;
    const struct engine_result *result = rig_cancel(77);

    assert_int_equal(result->status, REDIAL_NOT_FOUND);
    assert_string_equal(result->reason, "UNKNOWN_JOB");
    assert_int_equal(result->slot, ENGINE_NO_SLOT);
    rig_expect("");
}

static void
a_ghost_may_be_confirmed_before_hello(void **state)
{
    (void)state;
    join(1);
    rig_submit(1);
    struct engine_token token = rig_token(0);

    rig_cancel(1);
    rig_gone(worker, ENGINE_GONE_DROPPED);
    rig_seen();
    rig_report_kind(worker, token, REPORT_PROGRESS);
    assert_int_equal(rig.stop_count, 0);
    assert_string_equal(
        rig_fail(worker, token, (enum redial_status)99, "STOPPED")->reason,
        "LATE");
    assert_int_equal(rig_record(EVENT_ATTEMPT_LATE)->code, REDIAL_UNKNOWN);
    assert_int_equal(rig_record(EVENT_ATTEMPT_LATE)->worker.len, 0);
    assert_false(rig_is_live(1));
}

static void
an_unsent_ghost_is_gone(void **state)
{
    (void)state;
    struct engine_input input = {.type = ENGINE_UNSENT};

    join(1);
    rig_submit(1);
    input.unsent = rig_token(0);
    rig_cancel(1);
    rig_seen();
    rig_step(&input);
    assert_false(rig_is_live(1));
    rig_expect("");
    join(1);
    rig_submit(2);
    struct engine_token token = rig_token(0);

    rig_cancel(2);
    rig_seen();
    rig_report_kind(worker, token, REPORT_NOT_STARTED);
    rig_expect("attempt.late");
    rig_assert_text(rig_record(EVENT_ATTEMPT_LATE)->reason, "NOT_STARTED");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        rig_test(a_ready_job_is_cancelled),
        rig_test(a_scheduled_job_is_cancelled),
        rig_test(a_job_in_backoff_is_cancelled_and_never_comes_back),
        rig_test(a_due_retry_is_cancelled),
        rig_test(a_running_job_is_cancelled_at_once_and_its_worker_told),
        rig_test(a_final_state_stays),
        rig_test(a_ghost_keeps_the_methods_concurrency),
        rig_test(a_ghost_keeps_the_workers_place),
        rig_test(a_ghost_that_was_never_acknowledged_ends_with_its_lease),
        rig_test(an_acknowledged_ghost_lives_as_long_as_its_worker_is_heard),
        rig_test(a_worker_with_all_places_free_has_no_ghosts),
        rig_test(progress_of_a_ghost_is_answered_with_stop),
        rig_test(an_unknown_job_cannot_be_cancelled),
        rig_test(a_ghost_may_be_confirmed_before_hello),
        rig_test(an_unsent_ghost_is_gone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
