/* SPDX-License-Identifier: Apache-2.0 */
/* A job's life when nothing odd happens. */
#include "tests/unit/core/rig.h"

#include <string.h>

static void
a_job_that_succeeds_takes_four_records(void **state)
{
    (void)state;
    uint64_t worker = rig_hello("w", "1", 4);

    rig_poll(worker, 4);
    rig_expect("worker.joined");
    const struct engine_result *result = rig_submit(1);

    assert_int_equal(result->status, REDIAL_OK);
    assert_int_equal(result->state, JOB_READY);
    assert_false(result->deduplicated);
    rig_expect("job.accepted attempt.started");
    assert_int_equal(rig.assigned_count, 1);
    assert_int_equal(rig_view(1).state, JOB_RUNNING);
    result = rig_succeed(worker, rig_token(0));
    assert_int_equal(result->status, REDIAL_OK);
    rig_expect("attempt.succeeded job.succeeded");
    assert_false(rig_is_live(1));
    assert_int_equal(rig.release_count, 1);
}

static void
a_failure_that_the_policy_lists_is_tried_again(void **state)
{
    (void)state;
    uint64_t worker = rig_hello("w", "1", 4);

    rig_poll(worker, 4);
    rig_submit(1);
    rig_expect("worker.joined job.accepted attempt.started");
    rig_fail(worker, rig_token(0), REDIAL_UNAVAILABLE, "DOWN");
    rig_expect("attempt.failed retry.planned");
    const struct record *planned = rig_record(EVENT_RETRY_PLANNED);

    assert_int_equal(planned->decision.rule, RULE_RETRY_PLANNED);
    assert_int_equal(planned->decision.delay_ms, 1000);
    assert_int_equal(planned->decision.attempts_charged, 1);
    assert_int_equal(planned->decision.attempts_left, 2);
    assert_int_equal(planned->decision.until_wall_ms, rig.now.wall.ms + 1000);
    assert_int_equal(rig_view(1).state, JOB_BACKOFF);
    rig_poll(worker, 4);
    rig_advance(999);
    rig_expect("");
    rig_advance(1);
    rig_expect("attempt.started");
    assert_int_equal(rig.assigned[1].charged_before, 1);
    rig_succeed(worker, rig_token(1));
    rig_expect("attempt.succeeded job.succeeded");
}

static void
a_job_without_a_worker_waits(void **state)
{
    (void)state;
    rig_submit(1);
    rig_expect("job.accepted");
    assert_int_equal(engine_next_wake(rig.engine).ms, INT64_MAX);
    uint64_t worker = rig_hello("w", "1", 1);

    rig_expect("worker.joined");
    rig_poll(worker, 1);
    rig_expect("attempt.started");
}

static void
records_say_how_long_the_job_is_there(void **state)
{
    (void)state;
    rig_submit(1);
    assert_int_equal(rig_record(EVENT_JOB_ACCEPTED)->since_accepted_ms, 0);
    rig_advance(250);
    uint64_t worker = rig_hello("w", "1", 1);

    rig_poll(worker, 1);
    const struct record *started = rig_record(EVENT_ATTEMPT_STARTED);

    assert_int_equal(started->since_accepted_ms, 250);
    assert_int_equal(started->wall_ms, rig.now.wall.ms);
    assert_int_equal(started->job_seq, 2);
    assert_int_equal(started->prev_seq, 1);
    assert_int_equal(started->fence, started->seq);
    assert_int_equal(started->lease_ms, 10000);
    assert_int_equal(started->timeout_ms, 600000);
    rig_assert_text(started->worker, "w/1");
}

static void
a_job_that_was_refused_keeps_its_turn(void **state)
{
    (void)state;
    rig_submit(1);
    rig_submit(2);
    uint64_t worker = rig_hello("w", "1", 1);

    rig_poll(worker, 1);
    rig_poll(worker, 0);
    rig_report_kind(worker, rig_token_of(1), REPORT_NOT_STARTED);
    rig_poll_acks(worker, 1, NULL, 0);
    assert_int_equal(rig_view(1).state, JOB_RUNNING);
    assert_int_equal(rig_view(2).state, JOB_READY);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        rig_test(a_job_that_succeeds_takes_four_records),
        rig_test(a_failure_that_the_policy_lists_is_tried_again),
        rig_test(a_job_without_a_worker_waits),
        rig_test(records_say_how_long_the_job_is_there),
        rig_test(a_job_that_was_refused_keeps_its_turn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
