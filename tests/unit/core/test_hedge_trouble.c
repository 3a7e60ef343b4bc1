/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hedging where something stands in its way: no room, jobs that must not run
 * twice, workers that die, cancel, deadline, drain, another policy.
 */
#include "server/core/state.h"
#include "server/core/text.h"
#include "tests/unit/core/books.h"
#include "tests/unit/core/hedges.h"

#include <string.h>

/* ---- Who may be hedged ------------------------------------------------- */

static void
only_an_idempotent_job_is_hedged(void **state)
{
    (void)state;
    static const struct {
        enum idempotency job;
        enum idempotency policy;
        bool hedged;
    } cases[] = {
        {IDEMPOTENCY_YES, IDEMPOTENCY_YES, true},
        {IDEMPOTENCY_YES, IDEMPOTENCY_UNSET, true},
        {IDEMPOTENCY_YES, IDEMPOTENCY_NO, true},
        {IDEMPOTENCY_UNSET, IDEMPOTENCY_YES, true},
        {IDEMPOTENCY_UNSET, IDEMPOTENCY_UNSET, false},
        {IDEMPOTENCY_UNSET, IDEMPOTENCY_NO, false},
        {IDEMPOTENCY_NO, IDEMPOTENCY_YES, false},
    };

    for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        hedges_use(2, 0);
        rig_fallback()->idempotency = cases[i].policy;
        rig_use_policy();
        rig.submit.idempotency = cases[i].job;
        hedges_join(2);
        rig_submit(i + 1);
        assert_int_equal(hedges_running(i + 1), cases[i].hedged ? 2 : 1);
        rig_cancel(i + 1);
        rig_gone(hedges_worker[0], ENGINE_GONE_GOODBYE);
        rig_gone(hedges_worker[1], ENGINE_GONE_GOODBYE);
    }
}

static void
a_job_that_may_not_be_hedged_runs_one_by_one_a_delay_apart(void **state)
{
    (void)state;
    hedges_use(3, 700);
    rig.submit.idempotency = IDEMPOTENCY_NO;
    hedges_join(3);
    rig_submit(1);
    rig_advance(2000);
    assert_int_equal(rig.assigned_count, 1);
    assert_int_equal(rig_record(EVENT_ATTEMPT_STARTED)->decision.rule,
                     RULE_NONE);
    hedges_fail(1, 1, REDIAL_UNAVAILABLE, "DOWN");
    const struct record *record = rig_record(EVENT_RETRY_PLANNED);

    assert_int_equal(record->decision.delay_source, DELAY_HEDGE);
    assert_int_equal(record->decision.delay_ms, 700);
    assert_int_equal(rig_view(1).state, JOB_BACKOFF);
    rig_advance(699);
    assert_int_equal(rig.assigned_count, 1);
    rig_advance(1);
    assert_int_equal(rig.assigned_count, 2);
    rig_gone(hedges_worker[1], ENGINE_GONE_DEAD);
    hedges_ended(EVENT_JOB_FAILED, REDIAL_UNAVAILABLE, "INDETERMINATE");
}

/* ---- Room -------------------------------------------------------------- */

static void
a_hedge_waits_for_a_worker_and_the_job_is_shown_as_running(void **state)
{
    (void)state;
    struct engine_stats stats;

    hedges_use(3, 1000);
    hedges_join(1);
    rig_submit(1);
    rig_advance(1500);
    assert_int_equal(hedges_running(1), 1);
    assert_int_equal(rig_view(1).shown, JOB_RUNNING);
    engine_stats(rig.engine, rig.now, &stats);
    assert_int_equal(stats.jobs[JOB_RUNNING], 1);
    assert_int_equal(stats.jobs[JOB_READY], 0);
    const struct job *job = slab_at(&rig.engine->jobs, rig_view(1).slot);

    assert_true(job->waiting && job->is_retry);
    hedges_worker[1] = rig_hello("w1", "1", 1);
    rig_poll(hedges_worker[1], 1);
    assert_int_equal(hedges_running(1), 2);
    rig_advance(999); /* the next one counts from this start */
    assert_int_equal(rig_view(1).until_wall_ms, rig.now.wall.ms + 1);
}

static void
a_hedge_leaves_its_queue_when_the_job_is_settled(void **state)
{
    (void)state;
    struct engine_method_stats stats;

    hedges_use(3, 0);
    hedges_join(1);
    rig_submit(1);
    assert_true(engine_method_stats(rig.engine, rig.now, 0, &stats));
    assert_int_equal(stats.ready, 1);
    hedges_succeed(1, 1);
    assert_true(engine_method_stats(rig.engine, rig.now, 0, &stats));
    assert_int_equal(stats.ready, 0);
    rig_poll(hedges_worker[0], 1);
    assert_int_equal(rig.assigned_count, 1);
}

static void
hedges_keep_to_the_concurrency_of_their_method(void **state)
{
    (void)state;
    hedges_use(4, 0);
    rig_fallback()->limits.concurrency = 2;
    rig_use_policy();
    hedges_join(4);
    rig_submit(1);
    assert_int_equal(hedges_running(1), 2);
    hedges_fail(1, 2, REDIAL_UNAVAILABLE, "DOWN");
    assert_int_equal(hedges_running(1), 2);
    assert_int_equal(rig.assigned_count, 3);
}

static void
hedges_keep_to_the_attempts_that_the_engine_holds(void **state)
{
    (void)state;
    rig.limits.attempts_max = 3;
    rig_restart_empty();
    hedges_use(5, 0);
    hedges_join(6);
    rig_submit(1);
    rig_submit(2);
    assert_int_equal(rig.assigned_count, 3);
    hedges_succeed(1, 1);
    assert_int_equal(rig.assigned_count, 4); /* ghosts hold their places */
}

static void
no_more_run_at_once_than_the_engine_allows_a_job(void **state)
{
    (void)state;
    rig.limits.attempts_limit = 20;
    rig.limits.workers_max = 16;
    rig_restart_empty();
    hedges_use(15, 0);
    hedges_join(16);
    rig_submit(1);
    assert_int_equal(hedges_running(1), ENGINE_RUNNING_MAX);
    assert_int_equal(rig_view(1).until_wall_ms, 0);
    assert_int_equal(rig.last[EVENT_RETRY_REFUSED].type, 0);
    hedges_fail(1, 3, REDIAL_UNAVAILABLE, "DOWN");
    assert_int_equal(hedges_running(1), ENGINE_RUNNING_MAX);
    assert_int_equal(rig.assigned_count, ENGINE_RUNNING_MAX + 1);
    for (uint32_t number = 4; number <= 8; number++) {
        hedges_fail(1, number, REDIAL_UNAVAILABLE, "DOWN");
    }
    assert_int_equal(rig.assigned_count, 15);
    assert_int_equal(hedges_running(1), 9);
    hedges_succeed(1, 15);
    assert_int_equal(rig.stop_count, 8);
    assert_int_equal(rig_record(EVENT_JOB_SUCCEEDED)->decision.attempts_charged,
                     7);
}

static void
the_least_of_policy_job_and_operator_is_the_limit(void **state)
{
    (void)state;
    static const struct {
        uint32_t policy;
        uint32_t job;
        uint32_t least;
    } cases[] = {{4, 0, 4}, {4, 2, 2}, {4, 1, 1}, {1, 0, 1}, {2, 5, 2}};

    rig.limits.attempts_limit = 5;
    rig_restart_empty();
    for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        hedges_use(cases[i].policy, 0);
        hedges_join(6);
        rig.submit.max_attempts = cases[i].job;
        rig_submit(i + 1);
        assert_int_equal(hedges_running(i + 1), cases[i].least);
        rig_cancel(i + 1);
        for (uint32_t k = 0; k < 6; k++) {
            rig_gone(hedges_worker[k], ENGINE_GONE_GOODBYE);
        }
    }
    hedges_use(9, 0);
    hedges_join(6);
    rig.submit.max_attempts = 0;
    rig_submit(9);
    assert_int_equal(hedges_running(9), 5);
}

static void
a_hedge_prefers_a_worker_that_has_none_of_the_others(void **state)
{
    (void)state;
    hedges_use(3, 0);
    hedges_worker[0] = rig_hello("w0", "1", 8);
    hedges_worker[1] = rig_hello("w1", "1", 2);
    rig.submit.idempotency = IDEMPOTENCY_NO; /* fills w1 to the half */
    rig_poll(hedges_worker[1], 2);
    rig_submit(1);
    rig.submit.idempotency = IDEMPOTENCY_YES;
    rig_poll(hedges_worker[0], 8);
    rig_submit(2);
    assert_int_equal(rig.assigned_count, 4);
    assert_int_equal(rig.assigned[1].worker, hedges_worker[0]);
    assert_int_equal(rig.assigned[2].worker, hedges_worker[1]);
    assert_int_equal(rig.assigned[3].worker, hedges_worker[0]);
}

static void
many_jobs_at_once_each_end_once_with_the_result_of_their_winner(void **state)
{
    (void)state;
    hedges_use(3, 0);
    rig_fallback()->limits.concurrency = 0;
    rig_use_policy();
    hedges_worker[0] = rig_hello("w0", "1", 20);
    hedges_worker[1] = rig_hello("w1", "1", 20);
    hedges_worker[2] = rig_hello("w2", "1", 20);
    for (uint32_t i = 0; i < 3; i++) {
        rig_poll(hedges_worker[i], 20);
    }
    for (uint32_t n = 1; n <= 15; n++) {
        rig_submit(n);
        assert_int_equal(hedges_running(n), 3);
    }
    for (uint32_t n = 1; n <= 15; n++) {
        uint64_t fence = hedges_token(n, 1 + n % 3).fence;

        hedges_succeed(n, 1 + n % 3);
        assert_int_equal(rig_record(EVENT_JOB_SUCCEEDED)->fence, fence);
        assert_int_equal(rig_record(EVENT_JOB_SUCCEEDED)->attempt, 1 + n % 3);
        assert_int_equal(rig_record(EVENT_JOB_SUCCEEDED)->attachment,
                         ATTACHMENT_RESULT);
        books_check(rig.engine);
    }
    assert_int_equal(rig.stop_count, 30);
}

/* ---- Attempts that end without a word ---------------------------------- */

static void
a_refused_hedge_is_repeated_at_once_and_only_once(void **state)
{
    (void)state;
    hedges_use(2, 1000);
    rig_fallback()->retry.free_attempts_max = 2;
    rig_use_policy();
    hedges_join(3);
    rig_submit(1);
    rig_advance(1000);
    hedges_listen();
    rig_report_kind(rig.assigned[1].worker, hedges_token(1, 2),
                    REPORT_NOT_STARTED);
    rig_expect("attempt.failed retry.planned attempt.started");
    assert_int_equal(rig_record(EVENT_RETRY_PLANNED)->decision.rule,
                     RULE_FREE_RETRY);
    assert_true(rig_record(EVENT_ATTEMPT_STARTED)->hedge);
    assert_int_equal(hedges_running(1), 2);
    rig_report_kind(rig.assigned[2].worker, hedges_token(1, 3),
                    REPORT_NOT_STARTED);
    rig_expect("attempt.failed retry.refused");
    assert_int_equal(rig_record(EVENT_RETRY_REFUSED)->decision.rule,
                     RULE_FREE_EXHAUSTED);
    hedges_succeed(1, 1);
    rig_expect("attempt.succeeded job.succeeded");
}

static void
a_second_refusal_in_a_row_waits_and_the_job_runs_on(void **state)
{
    (void)state;
    hedges_use(2, 0);
    hedges_join(4);
    rig_submit(1);
    rig_report_kind(rig.assigned[1].worker, hedges_token(1, 2),
                    REPORT_NOT_STARTED);
    rig_report_kind(rig.assigned[2].worker, hedges_token(1, 3),
                    REPORT_NOT_STARTED);
    assert_int_equal(rig_record(EVENT_RETRY_PLANNED)->decision.delay_ms, 1000);
    assert_int_equal(hedges_running(1), 1);
    rig_advance(1000);
    assert_int_equal(hedges_running(1), 2);
}

static void
an_attempt_that_never_started_makes_room_again(void **state)
{
    (void)state;
    hedges_use(2, 0);
    hedges_join(3);
    rig_submit(1);
    hedges_fail(1, 1, REDIAL_UNAVAILABLE, "DOWN");
    assert_int_equal(rig_record(EVENT_RETRY_REFUSED)->decision.rule,
                     RULE_ATTEMPTS_EXHAUSTED);
    rig_report_kind(rig.assigned[1].worker, hedges_token(1, 2),
                    REPORT_NOT_STARTED);
    assert_int_equal(hedges_running(1), 1);
    hedges_succeed(1, 3);
    assert_int_equal(rig_record(EVENT_JOB_SUCCEEDED)->decision.attempts_charged,
                     2);
}

static void
each_attempt_has_its_own_time_limit(void **state)
{
    (void)state;
    hedges_use(3, 2000);
    rig_fallback()->attempt_timeout_ms = 3000;
    rig_use_policy();
    hedges_join(4);
    rig_submit(1);
    for (int i = 0; i < 4; i++) { /* two seconds more are grace */
        rig_advance(1000);
        hedges_beat(4);
    }
    assert_int_equal(hedges_running(1), 3);
    struct engine_token first = hedges_token(1, 1);

    hedges_listen();
    rig_advance(1000);
    rig_expect("attempt.failed retry.refused");
    assert_int_equal(rig_record(EVENT_ATTEMPT_FAILED)->attempt, 1);
    assert_int_equal(hedges_running(1), 2);
    assert_int_equal(rig_succeed(hedges_worker[0], first)->status,
                     REDIAL_NOT_FOUND);
    rig_expect("attempt.late");
    hedges_succeed(1, 3);
    rig_expect("attempt.succeeded attempt.failed job.succeeded");
}

static void
after_a_death_the_next_one_waits_for_those_that_run(void **state)
{
    (void)state;
    hedges_use(4, 500);
    hedges_join(4);
    rig_submit(1);
    rig_advance(500);
    assert_int_equal(hedges_running(1), 2);
    rig_gone(hedges_worker[0], ENGINE_GONE_DEAD);
    assert_int_equal(rig_record(EVENT_RETRY_PLANNED)->decision.rule,
                     RULE_RETRY_PLANNED);
    rig_advance(3000);
    assert_int_equal(hedges_running(1), 1);
    hedges_fail(1, 2, REDIAL_UNAVAILABLE, "DOWN"); /* no suspect any more */
    assert_int_equal(hedges_running(1), 1);
    rig_advance(500);
    assert_int_equal(hedges_running(1), 2);
}

static void
a_suspect_runs_alone(void **state)
{
    (void)state;
    hedges_use(4, 0);
    hedges_join(2);
    rig_submit(1);
    rig_gone(hedges_worker[0], ENGINE_GONE_DEAD);
    assert_int_equal(hedges_running(1), 1);
    rig_gone(hedges_worker[1], ENGINE_GONE_DEAD);
    hedges_ended(EVENT_JOB_FAILED, REDIAL_UNAVAILABLE, "POISON");

    rig_submit(2);
    rig.submit.method = text_of("m");
    hedges_join(1);
    rig_gone(hedges_worker[0], ENGINE_GONE_DEAD);
    hedges_join(3);
    assert_int_equal(hedges_running(2), 1); /* alone, and not hedged */
    assert_int_equal(rig_view(2).until_wall_ms, 0);
    hedges_fail(2, 2, REDIAL_UNAVAILABLE, "DOWN");
    assert_int_equal(hedges_running(2), 2);
}

static void
poison_ends_it_while_others_run(void **state)
{
    (void)state;
    hedges_use(4, 0);
    hedges_join(3);
    rig_submit(1);
    rig_gone(hedges_worker[1], ENGINE_GONE_DEAD);
    hedges_listen();
    rig_gone(hedges_worker[0], ENGINE_GONE_DEAD);
    hedges_ended(EVENT_JOB_FAILED, REDIAL_UNAVAILABLE, "POISON");
    rig_expect("worker.left attempt.lost retry.refused attempt.failed "
               "job.failed");
    assert_int_equal(rig.stop_count, 1);
}

static void
two_attempts_on_one_worker_are_lost_together(void **state)
{
    (void)state;
    hedges_use(3, 0);
    hedges_worker[0] = rig_hello("w0", "1", 3);
    rig_poll(hedges_worker[0], 3);
    rig_submit(1);
    assert_int_equal(hedges_running(1), 3);
    rig_poll(hedges_worker[0], 0);
    hedges_listen();
    rig_gone(hedges_worker[0], ENGINE_GONE_DEAD);
    rig_expect("worker.left attempt.lost retry.refused attempt.lost "
               "retry.refused attempt.lost retry.refused job.failed");
    assert_int_equal(rig_record(EVENT_JOB_FAILED)->decision.rule,
                     RULE_ATTEMPTS_EXHAUSTED);
    assert_false(rig_is_live(1));
}

/* ---- The end of the job ------------------------------------------------ */

static void
the_deadline_stops_all_of_them(void **state)
{
    (void)state;
    hedges_use(4, 1000);
    hedges_join(4);
    rig.submit.deadline_ms = 2500;
    rig_submit(1);
    rig_advance(2000);
    hedges_fail(1, 2, REDIAL_UNAVAILABLE, "DOWN");
    assert_int_equal(hedges_running(1), 3);
    hedges_listen();
    rig_advance(499);
    rig_expect("");
    rig_advance(1);
    rig_expect("job.failed");
    hedges_ended(EVENT_JOB_FAILED, REDIAL_UNAVAILABLE, "DEADLINE_EXCEEDED");
    assert_int_equal(rig.stop_count, 3);
}

static void
no_hedge_is_planned_for_the_deadline_or_later(void **state)
{
    (void)state;
    hedges_use(4, 1000);
    hedges_join(3);
    rig.submit.deadline_ms = 1000;
    rig_submit(1);
    assert_int_equal(rig_view(1).until_wall_ms, 0);
    rig.submit.deadline_ms = 1001;
    rig_submit(2);
    assert_int_equal(rig_view(2).until_wall_ms, rig.now.wall.ms + 1000);
    rig_advance(1000);
    assert_int_equal(hedges_running(2), 2);
    rig_advance(1);
    assert_int_equal(rig.stop_count, 3);
    hedges_ended(EVENT_JOB_FAILED, REDIAL_DEADLINE_EXCEEDED,
                 "DEADLINE_EXCEEDED");
}

static void
cancel_at_any_stage_stops_all_and_closes_once(void **state)
{
    (void)state;
    hedges_use(3, 1000);
    for (uint32_t stage = 0; stage < 5; stage++) {
        uint32_t n = stage + 1;

        rig_seen();
        hedges_join(stage == 1 ? 1 : 4);
        rig_submit(n);
        if (stage > 0) {
            rig_advance(1000); /* stage 1: the hedge waits for a worker */
        }
        if (stage == 3) {
            rig_advance(1000);
        }
        if (stage == 4) {
            hedges_push_back(n, 1, 5000);
        }
        uint32_t running = hedges_running(n);

        hedges_listen();
        assert_true(rig_cancel(n)->changed);
        assert_false(rig_cancel(n)->changed);
        rig_expect("job.cancelled");
        assert_int_equal(rig.stop_count, running);
        rig_advance(3000);
        rig_expect("");
        for (uint32_t i = 0; i < (stage == 1 ? 1 : 4); i++) {
            rig_gone(hedges_worker[i], ENGINE_GONE_GOODBYE);
        }
        assert_false(rig_is_live(n));
        assert_int_equal(rig.release_count, 1);
    }
}

static void
what_arrives_after_the_cancel_is_late(void **state)
{
    (void)state;
    hedges_use(2, 0);
    hedges_join(2);
    rig_submit(1);
    struct engine_token first = hedges_token(1, 1);
    struct engine_token second = hedges_token(1, 2);

    rig_cancel(1);
    hedges_listen();
    rig_succeed(rig.assigned[1].worker, second);
    rig_fail(rig.assigned[0].worker, first, REDIAL_INTERNAL, "X");
    rig_expect("attempt.late attempt.late");
    assert_false(rig_is_live(1));
}

/* ---- The operator ------------------------------------------------------ */

static void
while_draining_none_starts_and_those_that_run_go_on(void **state)
{
    (void)state;
    hedges_use(3, 1000);
    hedges_join(3);
    rig_submit(1);
    rig_step(&(struct engine_input){.type = ENGINE_DRAIN});
    rig_advance(3000);
    assert_int_equal(hedges_running(1), 1);
    hedges_succeed(1, 1);
    assert_int_equal(rig_record(EVENT_JOB_SUCCEEDED)->attempt, 1);
}

static void
a_policy_that_hedges_no_more_lets_those_that_run_go_on(void **state)
{
    (void)state;
    hedges_use(4, 1000);
    hedges_join(4);
    rig_submit(1);
    rig_advance(1000);
    rig_fallback()->hedged = false;
    rig_use_policy();
    rig_advance(3000);
    assert_int_equal(hedges_running(1), 2);
    hedges_fail(1, 1, REDIAL_UNAVAILABLE, "DOWN");
    assert_int_equal(hedges_running(1), 1);
    rig_advance(2000);
    hedges_beat(4);
    assert_int_equal(hedges_running(1), 1);
    hedges_fail(1, 2, REDIAL_UNAVAILABLE, "DOWN");
    assert_int_equal(rig_view(1).state, JOB_BACKOFF);
    assert_int_equal(rig_record(EVENT_RETRY_PLANNED)->decision.delay_source,
                     DELAY_BACKOFF);
}

/* As a restart does, which knows nothing of the policy in between. */
static void
what_was_planned_is_taken_up_when_a_policy_hedges_again(void **state)
{
    (void)state;
    hedges_use(2, 1000);
    hedges_join(2);
    rig_submit(1);
    rig_fallback()->hedged = false;
    rig_use_policy();
    rig_advance(1500);
    assert_int_equal(hedges_running(1), 1);
    rig_fallback()->hedged = true;
    rig_use_policy();
    assert_int_equal(hedges_running(1), 2);
    hedges_succeed(1, 2);
}

static void
with_retries_off_nothing_is_hedged(void **state)
{
    (void)state;
    hedges_use(4, 0);
    rig.policy.retries_off = true;
    rig_use_policy();
    hedges_join(4);
    rig_submit(1);
    rig_advance(100);
    assert_int_equal(hedges_running(1), 1);
}

static void
a_fallen_limit_refuses_the_one_that_waited(void **state)
{
    (void)state;
    hedges_use(3, 1000);
    hedges_join(1);
    rig_submit(1);
    rig_advance(1500);
    hedges_use(1, 1000);
    hedges_worker[1] = rig_hello("w1", "1", 1);
    hedges_listen();
    rig_poll(hedges_worker[1], 1);
    rig_expect("retry.refused");
    assert_int_equal(rig_record(EVENT_RETRY_REFUSED)->decision.rule,
                     RULE_ATTEMPTS_EXHAUSTED);
    hedges_succeed(1, 1);
}

static void
without_a_worker_the_one_that_runs_may_still_win(void **state)
{
    (void)state;
    hedges_use(3, 1000);
    rig_fallback()->wait_for_ready = false;
    rig_use_policy();
    hedges_join(1);
    rig_submit(1);
    struct engine_token token = hedges_token(1, 1);

    rig_poll(hedges_worker[0], 0);
    rig_gone(hedges_worker[0], ENGINE_GONE_DROPPED);
    hedges_listen();
    rig_advance(2000);
    rig_expect("retry.refused");
    assert_int_equal(rig_record(EVENT_RETRY_REFUSED)->decision.rule,
                     RULE_NO_WORKER);
    assert_int_equal(hedges_running(1), 1);
    hedges_worker[0] = rig_hello_with("w0", "1", 1, &token, 1);
    hedges_succeed(1, 1);
    assert_int_equal(rig_record(EVENT_JOB_SUCCEEDED)->attempt, 1);
}

static void
an_overload_mark_freezes_unless_the_code_is_fatal(void **state)
{
    (void)state;
    hedges_use(4, 0);
    rig_fallback()->retry.max_attempts = 2;
    rig_use_policy();
    for (uint32_t n = 1; n <= 2; n++) {
        hedges_join(2);
        rig_submit(n);
        rig.report.overloaded = true;
        hedges_fail(n, 1, n == 1 ? REDIAL_UNAVAILABLE : REDIAL_INTERNAL, "");
        memset(&rig.report, 0, sizeof(rig.report));
        assert_int_equal(rig_record(EVENT_RETRY_REFUSED)->decision.rule,
                         RULE_OVERLOADED_MARK);
        assert_int_equal(rig_view(n).state, n == 1 ? JOB_RUNNING : JOB_FAILED);
        rig_gone(hedges_worker[0], ENGINE_GONE_GOODBYE);
        rig_gone(hedges_worker[1], ENGINE_GONE_GOODBYE);
        assert_false(rig_is_live(n));
    }
    hedges_ended(EVENT_JOB_FAILED, REDIAL_INTERNAL, "");
}

static void
a_report_that_is_said_again_is_no_other_ones(void **state)
{
    (void)state;
    hedges_use(3, 0);
    hedges_join(3);
    rig_submit(1);
    struct engine_token third = hedges_token(1, 3);
    uint64_t worker = rig.assigned[2].worker;

    rig_poll(worker, 0);
    rig_fail(worker, third, REDIAL_UNAVAILABLE, "DOWN");
    hedges_fail(1, 1, REDIAL_UNAVAILABLE, "DOWN");
    hedges_listen();
    assert_int_equal(
        rig_fail(worker, third, REDIAL_UNAVAILABLE, "DOWN")->status, REDIAL_OK);
    rig_expect("");
    hedges_succeed(1, 2);
}

static void
a_report_of_a_lost_one_is_late_whatever_was_said_of_others(void **state)
{
    (void)state;
    hedges_use(4, 0);
    rig_fallback()->retry.max_attempts = 3;
    rig_use_policy();
    hedges_join(3);
    rig_submit(1);
    struct engine_token third = hedges_token(1, 3);
    uint32_t away = rig.assigned[2].worker == hedges_worker[2] ? 2 : 0;

    assert_int_equal(away, 2);
    rig_poll(hedges_worker[2], 0);
    rig_gone(hedges_worker[2], ENGINE_GONE_DROPPED);
    for (int i = 0; i < 10; i++) {
        hedges_beat(2);
        rig_poll(hedges_worker[0], 0);
        rig_poll(hedges_worker[1], 0);
        rig_advance(1000);
    }
    assert_int_equal(rig_record(EVENT_ATTEMPT_LOST)->attempt, 3);
    hedges_fail(1, 1, REDIAL_UNAVAILABLE, "DOWN");
    hedges_worker[2] = rig_hello("w2", "1", 1);
    hedges_listen();
    assert_int_equal(rig_succeed(hedges_worker[2], third)->status,
                     REDIAL_NOT_FOUND);
    rig_expect("attempt.late");
    hedges_succeed(1, 2);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        rig_test(only_an_idempotent_job_is_hedged),
        rig_test(a_job_that_may_not_be_hedged_runs_one_by_one_a_delay_apart),
        rig_test(a_hedge_waits_for_a_worker_and_the_job_is_shown_as_running),
        rig_test(a_hedge_leaves_its_queue_when_the_job_is_settled),
        rig_test(hedges_keep_to_the_concurrency_of_their_method),
        rig_test(hedges_keep_to_the_attempts_that_the_engine_holds),
        rig_test(no_more_run_at_once_than_the_engine_allows_a_job),
        rig_test(the_least_of_policy_job_and_operator_is_the_limit),
        rig_test(a_hedge_prefers_a_worker_that_has_none_of_the_others),
        rig_test(
            many_jobs_at_once_each_end_once_with_the_result_of_their_winner),
        rig_test(a_refused_hedge_is_repeated_at_once_and_only_once),
        rig_test(a_second_refusal_in_a_row_waits_and_the_job_runs_on),
        rig_test(an_attempt_that_never_started_makes_room_again),
        rig_test(each_attempt_has_its_own_time_limit),
        rig_test(after_a_death_the_next_one_waits_for_those_that_run),
        rig_test(a_suspect_runs_alone),
        rig_test(poison_ends_it_while_others_run),
        rig_test(two_attempts_on_one_worker_are_lost_together),
        rig_test(the_deadline_stops_all_of_them),
        rig_test(no_hedge_is_planned_for_the_deadline_or_later),
        rig_test(cancel_at_any_stage_stops_all_and_closes_once),
        rig_test(what_arrives_after_the_cancel_is_late),
        rig_test(while_draining_none_starts_and_those_that_run_go_on),
        rig_test(a_policy_that_hedges_no_more_lets_those_that_run_go_on),
        rig_test(what_was_planned_is_taken_up_when_a_policy_hedges_again),
        rig_test(with_retries_off_nothing_is_hedged),
        rig_test(a_fallen_limit_refuses_the_one_that_waited),
        rig_test(without_a_worker_the_one_that_runs_may_still_win),
        rig_test(an_overload_mark_freezes_unless_the_code_is_fatal),
        rig_test(a_report_that_is_said_again_is_no_other_ones),
        rig_test(a_report_of_a_lost_one_is_late_whatever_was_said_of_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
