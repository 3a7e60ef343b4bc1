/* SPDX-License-Identifier: Apache-2.0 */
/* A step does a bounded amount of work; the next one goes on. */
#include "tests/unit/core/books.h"
#include "tests/unit/core/rig.h"

#include <string.h>

enum { MANY = 3500 };

static void
make_large(void)
{
    rig.limits.jobs_max = MANY;
    rig.limits.attempts_max = MANY;
    rig_restart_empty();
}

static void
submit_many(void)
{
    for (uint32_t n = 1; n <= MANY; n++) {
        rig_submit(n);
    }
}

/* Ticks until the engine wants no more at this time; returns how often. */
static uint32_t
run_dry(void)
{
    uint32_t ticks = 0;

    while (engine_next_wake(rig.engine).ms <= rig.now.mono.ms) {
        rig_tick();
        assert_true(rig.out.record_count <= ENGINE_RECORDS_MAX);
        assert_true(rig.out.command_count <= ENGINE_COMMANDS_MAX);
        ticks++;
        assert_true(ticks < 20);
    }
    return ticks;
}

static void
mass_expiry_takes_a_thousand_at_a_time(void **state)
{
    (void)state;
    make_large();
    rig.submit.deadline_ms = 1000;
    submit_many();
    rig.now.mono.ms += 1000;
    rig_tick();
    assert_int_equal(rig.out.record_count, ENGINE_MOVES_MAX);
    assert_int_equal(engine_next_wake(rig.engine).ms, rig.now.mono.ms);
    assert_int_equal(run_dry(), 3);
    assert_int_equal(engine_next_job(rig.engine, ENGINE_NO_SLOT),
                     ENGINE_NO_SLOT);
    books_check(rig.engine);
}

static void
a_flood_of_credit_starts_a_thousand_at_a_time(void **state)
{
    (void)state;
    make_large();
    submit_many();
    uint64_t worker = rig_hello("w", "1", MANY);

    rig_poll_acks(worker, MANY, NULL, 0);
    assert_int_equal(rig.out.record_count, ENGINE_MOVES_MAX);
    assert_int_equal(engine_next_wake(rig.engine).ms, rig.now.mono.ms);
    assert_int_equal(run_dry(), 3);
    assert_int_equal(rig.assigned_count, MANY);
    books_check(rig.engine);
}

static void
the_death_of_a_large_worker_takes_several_steps(void **state)
{
    (void)state;
    make_large();
    uint64_t worker = rig_hello("w", "1", MANY);

    rig_poll_acks(worker, MANY, NULL, 0);
    submit_many();
    run_dry();
    rig_gone(worker, ENGINE_GONE_DEAD);
    assert_true(rig.out.record_count <= 2 * ENGINE_MOVES_MAX + 1);
    assert_int_equal(engine_next_wake(rig.engine).ms, rig.now.mono.ms);
    books_check(rig.engine);
    run_dry();
    books_check(rig.engine);
    struct engine_stats stats;

    engine_stats(rig.engine, rig.now, &stats);
    assert_int_equal(stats.jobs[JOB_BACKOFF], MANY);
    assert_int_equal(stats.jobs[JOB_RUNNING], 0);
}

static void
all_leases_may_end_at_once(void **state)
{
    (void)state;
    make_large();
    uint64_t worker = rig_hello("w", "1", MANY);

    rig_poll_acks(worker, MANY, NULL, 0);
    submit_many();
    run_dry();
    rig_gone(worker, ENGINE_GONE_DROPPED);
    rig.now.mono.ms += 10000;
    rig_tick();
    assert_true(rig.out.record_count <= 2 * ENGINE_MOVES_MAX);
    run_dry();
    books_check(rig.engine);
    struct engine_stats stats;

    engine_stats(rig.engine, rig.now, &stats);
    assert_int_equal(stats.jobs[JOB_BACKOFF], MANY);
}

static void
a_worker_may_come_back_while_its_end_is_being_decided(void **state)
{
    (void)state;
    make_large();
    uint64_t worker = rig_hello("w", "1", MANY);

    rig_poll_acks(worker, MANY, NULL, 0);
    submit_many();
    run_dry();
    struct engine_token last = rig_token_of(MANY);
    struct engine_token other = rig_token_of(MANY - 1);

    rig_gone(worker, ENGINE_GONE_DEAD);
    assert_int_equal(rig_view(MANY).state, JOB_RUNNING);
    /* Its report was on the way already: it counts. */
    rig_seen();
    rig_succeed(0, last);
    assert_int_equal(rig_record(EVENT_JOB_SUCCEEDED)->job.bytes[15],
                     MANY & 0xff);
    assert_false(rig_is_live(MANY));
    worker = rig_hello_with("w", "1", MANY, &other, 1);
    run_dry();
    assert_int_equal(rig_view(MANY - 1).state, JOB_RUNNING);
    rig_succeed(worker, other);
    assert_false(rig_is_live(MANY - 1));
    books_check(rig.engine);
}

static void
jobs_that_end_while_their_worker_is_buried(void **state)
{
    (void)state;
    make_large();
    rig.submit.deadline_ms = 500;
    uint64_t worker = rig_hello("w", "1", MANY);

    rig_poll_acks(worker, MANY, NULL, 0);
    submit_many();
    run_dry();
    rig_gone(worker, ENGINE_GONE_DEAD);
    assert_int_equal(rig_view(MANY).state, JOB_RUNNING);
    rig_cancel(MANY);
    rig.now.mono.ms += 500;
    run_dry();
    books_check(rig.engine);
    assert_int_equal(engine_next_job(rig.engine, ENGINE_NO_SLOT),
                     ENGINE_NO_SLOT);
}

static void
jobs_without_hope_fail_a_thousand_at_a_time(void **state)
{
    (void)state;
    make_large();
    submit_many();
    rig_fallback()->wait_for_ready = false;
    rig_use_policy();
    assert_int_equal(rig.out.record_count, ENGINE_MOVES_MAX);
    assert_int_equal(run_dry(), 3);
    books_check(rig.engine);
}

static void
the_size_covers_what_is_laid_out(void **state)
{
    (void)state;
    struct engine_limits large = {
        .jobs_max = 1100000,
        .attempts_max = 65536,
        .workers_max = 10000,
        .methods_max = 4096,
        .tenants_max = 4096,
        .keys_max = 1000000,
        .attempts_limit = 10,
    };
    size_t size = engine_size(&large);

    /* Of address space; pages are taken as they are used. */
    assert_true(size > 1100000u * 400u);
    assert_true(size < (size_t)4 << 30);
}

static void
a_thousand_due_jobs_join_their_queues_at_a_time(void **state)
{
    (void)state;
    struct engine_stats stats;

    make_large();
    rig.submit.not_before_ms = 1000;
    submit_many();
    rig.now.mono.ms += 1000;
    rig_tick();
    engine_stats(rig.engine, rig.now, &stats);
    assert_int_equal(stats.jobs[JOB_READY], ENGINE_MOVES_MAX);
    assert_int_equal(run_dry(), 3);
    engine_stats(rig.engine, rig.now, &stats);
    assert_int_equal(stats.jobs[JOB_READY], MANY);
}

static void
a_thousand_ghosts_are_freed_at_a_time(void **state)
{
    (void)state;
    make_large();
    uint64_t worker = rig_hello("w", "1", MANY);

    rig_poll_acks(worker, MANY, NULL, 0);
    submit_many();
    run_dry();
    for (uint32_t n = 1; n <= MANY; n++) {
        rig_cancel(n);
    }
    assert_int_equal(rig.release_count, 0);
    rig_gone(worker, ENGINE_GONE_DEAD);
    assert_int_equal(rig.release_count, ENGINE_MOVES_MAX);
    run_dry();
    assert_int_equal(rig.release_count, MANY);
    books_check(rig.engine);
}

/* ---- Hedged jobs ------------------------------------------------------- */

enum { HEDGED = 600 };

static char longest[5][129];

static struct text
long_text(int i, char letter)
{
    memset(longest[i], letter, 128);
    return (struct text){.at = longest[i], .len = 128};
}

/* A worker for all methods of the longest service. */
static uint64_t
join_long(char letter, uint32_t concurrency)
{
    struct engine_slots slots = {.service = rig.submit.service};
    struct engine_input input = {
        .type = ENGINE_HELLO,
        .hello = {.name = long_text(4, letter),
                  .instance = rig.submit.tenant,
                  .methods = &slots,
                  .method_count = 1,
                  .concurrency = concurrency},
    };

    rig_step(&input);
    return rig.out.result.worker;
}

/* Jobs with ten attempts each, but `of_first` of the first job. */
static void
run_hedged(uint32_t of_first, bool are_long, uint64_t *ret_worker)
{
    struct method_policy *policy = rig_fallback();

    rig.limits.jobs_max = HEDGED;
    rig.limits.attempts_max = HEDGED * ENGINE_RUNNING_MAX;
    rig_restart_empty();
    policy->hedged = true;
    policy->idempotency = IDEMPOTENCY_YES;
    policy->retry.max_attempts = ENGINE_RUNNING_MAX;
    policy->retry.retryable_codes = 0;
    rig_use_policy();
    rig.submit.tenant = long_text(2, 't');
    if (are_long) {
        rig.submit.service = long_text(0, 's');
        rig.submit.method = long_text(1, 'm');
        rig.submit.correlation = long_text(3, 'c');
    }
    rig.submit.deadline_ms = 4000;
    rig.submit.max_attempts = of_first;
    for (uint32_t n = 1; n <= HEDGED; n++) {
        rig_submit(n);
        rig.submit.max_attempts = 0;
    }
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t count = HEDGED * ENGINE_RUNNING_MAX / 2;

        ret_worker[i] = join_long((char)('a' + i), count);
        rig_poll_acks(ret_worker[i], count, NULL, 0);
        run_dry();
    }
    for (uint32_t n = 2; n <= HEDGED; n++) {
        assert_int_equal(rig_view(n).running_count, ENGINE_RUNNING_MAX);
    }
    rig_seen();
}

static void
many_hedged_jobs_end_within_the_outbox_at_their_deadline(void **state)
{
    (void)state;
    uint64_t workers[2];

    run_hedged(1, false, workers);
    rig.now.mono.ms += 4000;
    rig.now.wall.ms += 4000;
    rig_tick();
    assert_true(rig.out.command_count > ENGINE_COMMANDS_MAX / 2);
    run_dry();
    assert_int_equal(rig.stop_count, HEDGED * ENGINE_RUNNING_MAX - 9);
    books_check(rig.engine);
}

static void
many_hedged_jobs_settled_at_once_fit_the_outbox(void **state)
{
    (void)state;
    uint64_t workers[2];

    for (uint32_t of_first = 1; of_first <= 12; of_first++) {
        run_hedged(of_first, of_first == 12, workers);
        rig_gone(workers[0], ENGINE_GONE_DEAD);
        assert_true(rig.out.record_count > ENGINE_RECORDS_MAX / 2);
        run_dry();
        assert_int_equal(rig_record(EVENT_JOB_FAILED)->decision.rule,
                         RULE_NON_RETRYABLE_CODE);
        books_check(rig.engine);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        rig_test(mass_expiry_takes_a_thousand_at_a_time),
        rig_test(a_flood_of_credit_starts_a_thousand_at_a_time),
        rig_test(the_death_of_a_large_worker_takes_several_steps),
        rig_test(all_leases_may_end_at_once),
        rig_test(a_worker_may_come_back_while_its_end_is_being_decided),
        rig_test(jobs_that_end_while_their_worker_is_buried),
        rig_test(jobs_without_hope_fail_a_thousand_at_a_time),
        rig_test(the_size_covers_what_is_laid_out),
        rig_test(a_thousand_due_jobs_join_their_queues_at_a_time),
        rig_test(a_thousand_ghosts_are_freed_at_a_time),
        rig_test(many_hedged_jobs_end_within_the_outbox_at_their_deadline),
        rig_test(many_hedged_jobs_settled_at_once_fit_the_outbox),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
