/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs that kill workers, jobs that were there when one died. */
#include "tests/unit/core/rig.h"

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
a_job_that_kills_two_workers_is_poison(void **state)
{
    (void)state;
    start();
    rig_gone(worker, ENGINE_GONE_DEAD);
    rig_seen();
    worker = rig_hello("w", "2", 1);
    rig_poll(worker, 1);
    rig_advance(1000);
    rig_expect("worker.joined attempt.started");
    rig_gone(worker, ENGINE_GONE_DEAD);
    rig_expect("worker.left attempt.lost retry.refused job.failed");
    const struct record *failed = rig_record(EVENT_JOB_FAILED);

    assert_int_equal(failed->decision.rule, RULE_POISON);
    rig_assert_text(failed->reason, "POISON");
}

static void
a_restart_remembers_who_killed(void **state)
{
    (void)state;
    start();
    rig_gone(worker, ENGINE_GONE_DEAD);
    rig_restart();
    worker = rig_hello("w", "2", 1);
    rig_poll(worker, 1);
    rig_advance(1000);
    rig_seen();
    rig_gone(worker, ENGINE_GONE_DEAD);
    rig_expect("worker.left attempt.lost retry.refused job.failed");
}

/* The dropped connection is often seen before the death of the process. */
static void
a_death_after_a_drop_does_not_wait_for_the_lease(void **state)
{
    struct engine_input input = {.type = ENGINE_WORKER_GONE};

    (void)state;
    rig_fallback()->retry.max_attempts = 10;
    start();
    rig_gone(worker, ENGINE_GONE_DROPPED);
    assert_int_equal(rig_view(1).state, JOB_RUNNING);
    input.gone.how = ENGINE_GONE_DEAD;
    input.gone.name = (struct text){"w/1", 3};
    rig_seen();
    rig_step(&input);
    rig_expect("attempt.lost retry.planned");
}

static void
blips_drops_and_leases_are_no_deaths(void **state)
{
    (void)state;
    rig_fallback()->retry.max_attempts = 10;
    start();
    for (int i = 0; i < 3; i++) {
        rig_gone(worker, ENGINE_GONE_DROPPED);
        rig_advance(10000);
        worker = rig_hello("w", "2", 1);
        rig_poll(worker, 1);
        rig_advance(5000);
        rig_heartbeat(worker);
        assert_int_equal(rig_view(1).state, JOB_RUNNING);
    }
}

static void
start_suspects(void)
{
    rig_fallback()->retry.max_attempts = 10;
    worker = rig_hello("w", "1", 4);
    rig_poll(worker, 4);
    rig_submit(1);
    rig_submit(2);
    rig_seen();
    rig_gone(worker, ENGINE_GONE_DEAD);
    rig_expect("worker.left attempt.lost retry.planned attempt.lost "
               "retry.planned");
    assert_int_equal(rig_record(EVENT_ATTEMPT_LOST)->decision.rule, RULE_NONE);
    assert_true(rig_record(EVENT_ATTEMPT_LOST)->final_lost);
    rig_seen();
}

static void
suspects_run_alone_one_after_the_other(void **state)
{
    (void)state;
    start_suspects();
    worker = rig_hello("w", "2", 4);
    rig_poll(worker, 4);
    rig_advance(1000);
    rig_expect("worker.joined attempt.started");
    rig_submit(3);
    rig_expect("job.accepted");
    uint32_t first = rig_view(1).state == JOB_RUNNING ? 1 : 2;

    rig_poll(worker, 3);
    rig_expect("");
    rig_succeed(worker, rig_token_of(first));
    rig_poll(worker, 4);
    rig_expect("attempt.succeeded job.succeeded attempt.started");
    rig_succeed(worker, rig_token_of(3 - first));
    rig_poll(worker, 4);
    rig_expect("attempt.succeeded job.succeeded attempt.started");
    assert_int_equal(rig_view(3).state, JOB_RUNNING);
}

static void
only_the_suspect_that_was_alone_is_charged(void **state)
{
    (void)state;
    start_suspects();
    worker = rig_hello("w", "2", 4);
    rig_poll(worker, 4);
    rig_advance(1000);
    uint32_t first = rig_view(1).state == JOB_RUNNING ? 1 : 2;

    rig_seen();
    rig_gone(worker, ENGINE_GONE_DEAD);
    rig_expect("worker.left attempt.lost retry.planned");
    assert_int_equal(rig_record(EVENT_ATTEMPT_LOST)->decision.rule,
                     RULE_POISON);
    worker = rig_hello("w", "3", 4);
    rig_seen();
    rig_poll(worker, 4);
    rig_advance(2000);
    rig_succeed(worker, rig_token_of(3 - first));
    rig_poll(worker, 4);
    assert_int_equal(rig_view(first).state, JOB_RUNNING);
    rig_seen();
    rig_gone(worker, ENGINE_GONE_DEAD);
    rig_expect("worker.left attempt.lost retry.refused job.failed");
}

static void
a_busy_worker_is_drained_for_a_suspect(void **state)
{
    (void)state;
    start_suspects();
    worker = rig_hello("w", "2", 2);
    rig_submit(3);
    rig_poll(worker, 2);
    assert_int_equal(rig_view(3).state, JOB_RUNNING);
    rig_poll(worker, 1);
    rig_seen();
    rig_advance(1000);
    /* Nothing new for it, not even the ordinary job 4. */
    rig_submit(4);
    rig_expect("job.accepted");
    rig_succeed(worker, (struct engine_token){.job = rig_id(3),
                                              .attempt = 1,
                                              .fence = rig_view(3).fence});
    rig_expect("attempt.succeeded job.succeeded attempt.started");
    assert_int_equal(rig_view(4).state, JOB_READY);
}

static void
a_reservation_ends_with_the_last_suspect(void **state)
{
    (void)state;
    start_suspects();
    worker = rig_hello("w", "2", 3);
    rig_submit(3);
    rig_poll(worker, 3);
    rig_poll(worker, 2);
    rig_advance(1000);
    rig_submit(4);
    assert_int_equal(rig_view(4).state, JOB_READY);
    rig_cancel(1);
    assert_int_equal(rig_view(4).state, JOB_READY);
    rig_cancel(2);
    assert_int_equal(rig_view(4).state, JOB_RUNNING);
}

static void
what_is_lost_and_not_idempotent_is_indeterminate(void **state)
{
    (void)state;
    rig.submit.idempotency = IDEMPOTENCY_NO;
    start();
    rig_gone(worker, ENGINE_GONE_DEAD);
    rig_expect("worker.left attempt.lost retry.refused job.failed");
    const struct record *failed = rig_record(EVENT_JOB_FAILED);

    assert_int_equal(failed->decision.rule, RULE_INDETERMINATE);
    rig_assert_text(failed->reason, "INDETERMINATE");
    assert_int_equal(failed->code, REDIAL_UNAVAILABLE);
}

static void
an_ordinary_job_passes_a_suspect_that_waits(void **state)
{
    (void)state;
    start_suspects();
    uint64_t busy = rig_hello("w", "2", 1);

    rig_submit(3);
    rig_poll(busy, 1);
    assert_int_equal(rig_view(3).state, JOB_RUNNING);
    worker = rig_hello("w", "3", 2);
    rig_submit(4);
    rig_poll(worker, 2);
    rig_poll(worker, 1);
    assert_int_equal(rig_view(4).state, JOB_RUNNING);
    /* The suspects are due: this one is reserved, and drains. */
    rig_advance(1000);
    assert_int_equal(rig_view(1).shown, JOB_READY);
    rig_fail(busy, rig_token_of(3), REDIAL_INTERNAL, "BROKEN");
    rig_poll(busy, 1);
    rig_seen();
    /* That one was empty, so a suspect is alone on it now. */
    uint32_t suspect = rig_view(1).state == JOB_RUNNING ? 1 : 2;

    assert_int_equal(rig_view(suspect).state, JOB_RUNNING);
    uint64_t fresh = rig_hello("w", "4", 2);

    rig_poll(fresh, 2);
    assert_int_equal(rig_view(3 - suspect).state, JOB_RUNNING);
    rig_submit(5);
    rig_heartbeat(fresh);
    rig_expect("worker.joined attempt.started job.accepted attempt.started");
    assert_int_equal(rig_view(5).state, JOB_RUNNING);
    rig_assert_text(rig_view(5).worker, "w/3");
}

static void
a_job_that_comes_while_only_suspects_wait_is_not_forgotten(void **state)
{
    (void)state;
    start_suspects();
    worker = rig_hello("w", "2", 2);
    rig_submit(3);
    rig_poll(worker, 2);
    rig_poll(worker, 1);
    uint64_t other = rig_hello("w", "3", 2);

    rig_poll(other, 1);
    rig_submit(4);
    rig_poll(other, 1);
    rig_poll(worker, 1);
    rig_seen();
    rig_advance(1000);
    rig_expect("");
    rig_submit(5);
    rig_expect("job.accepted attempt.started");
    assert_int_equal(rig_view(1).shown, JOB_READY);
    assert_int_equal(rig_view(2).shown, JOB_READY);
}

static void
a_reserved_worker_that_falls_silent_is_given_up(void **state)
{
    (void)state;
    start_suspects();
    worker = rig_hello("w", "2", 2);
    rig_submit(3);
    rig_poll(worker, 2);
    rig_poll(worker, 1);
    rig_advance(1000);
    rig_submit(4);
    assert_int_equal(rig_view(4).state, JOB_READY);
    rig_advance(5000);
    uint64_t other = rig_hello("w", "3", 2);

    rig_poll(other, 2);
    uint32_t suspect = rig_view(1).state == JOB_RUNNING ? 1 : 2;

    rig_assert_text(rig_view(suspect).worker, "w/3");
    rig_poll(worker, 1);
    assert_int_equal(rig_view(4).state, JOB_READY);
    rig_succeed(worker, rig_token_of(3));
    rig_poll(worker, 2);
    assert_int_equal(rig_view(3 - suspect).state, JOB_RUNNING);
}

/* Two busy workers with one place free each; one of them is reserved. */
static uint64_t
reserve_one_of_two(void)
{
    start_suspects();
    worker = rig_hello("w", "2", 2);
    rig_submit(3);
    rig_poll(worker, 2);
    rig_poll(worker, 1);
    uint64_t other = rig_hello("w", "3", 2);

    rig_poll(other, 1);
    rig_submit(4);
    rig_poll(other, 1);
    rig_advance(1000);
    /* An ordinary job shows which of them is still open. */
    rig_submit(5);
    assert_int_equal(rig_view(5).state, JOB_RUNNING);
    bool first_is_open = rig.assigned[rig.assigned_count - 1].worker == worker;
    uint64_t open = first_is_open ? worker : other;

    worker = first_is_open ? other : worker;
    rig_succeed(open, rig_token_of(5));
    rig_poll(open, 1);
    return open;
}

static void
a_silent_reservation_goes_to_another(void **state)
{
    (void)state;
    uint64_t open = reserve_one_of_two();

    rig_advance(5000);
    rig_heartbeat(open);
    rig_advance(1000);
    rig_submit(6);
    assert_int_equal(rig_view(6).state, JOB_READY);
}

static void
a_lost_reservation_goes_to_another(void **state)
{
    (void)state;
    uint64_t open = reserve_one_of_two();

    rig_poll(worker, 0);
    rig_gone(worker, ENGINE_GONE_DROPPED);
    rig_succeed(open, rig_token_of(3));
    rig_succeed(open, rig_token_of(4));
    rig_poll(open, 2);
    assert_true(rig_view(1).state == JOB_RUNNING ||
                rig_view(2).state == JOB_RUNNING);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        rig_test(a_job_that_kills_two_workers_is_poison),
        rig_test(a_restart_remembers_who_killed),
        rig_test(a_death_after_a_drop_does_not_wait_for_the_lease),
        rig_test(blips_drops_and_leases_are_no_deaths),
        rig_test(suspects_run_alone_one_after_the_other),
        rig_test(only_the_suspect_that_was_alone_is_charged),
        rig_test(a_busy_worker_is_drained_for_a_suspect),
        rig_test(a_reservation_ends_with_the_last_suspect),
        rig_test(what_is_lost_and_not_idempotent_is_indeterminate),
        rig_test(an_ordinary_job_passes_a_suspect_that_waits),
        rig_test(a_job_that_comes_while_only_suspects_wait_is_not_forgotten),
        rig_test(a_reserved_worker_that_falls_silent_is_given_up),
        rig_test(a_silent_reservation_goes_to_another),
        rig_test(a_lost_reservation_goes_to_another),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
