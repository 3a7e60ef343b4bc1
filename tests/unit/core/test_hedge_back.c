/* SPDX-License-Identifier: Apache-2.0 */
/* Hedged jobs through a restart, and in their rows. */
#include "server/core/state.h"
#include "tests/unit/core/hedges.h"

#include <stdlib.h>
#include <string.h>

static struct engine *
empty_engine(void)
{
    size_t size = (engine_size(&rig.limits) + 63) / 64 * 64;
    void *memory = aligned_alloc(64, size);

    assert_non_null(memory);
    memset(memory, 0, size);
    return engine_init(memory, &rig.limits, &rig.policy, 99, rig.now);
}

/* Worker i is back with the attempt of job 1 that it runs. */
static void
come_back(uint32_t i, uint32_t number)
{
    char name[3] = {'w', (char)('0' + i), '\0'};
    struct engine_token token = hedges_token(1, number);

    hedges_worker[i] = rig_hello_with(name, "1", 1, &token, 1);
}

static void
all_attempts_and_the_time_of_the_next_are_restored(void **state)
{
    (void)state;
    hedges_use(4, 1000);
    hedges_join(3);
    rig_submit(1);
    rig_advance(1400);
    uint64_t first = hedges_token(1, 1).fence;
    uint64_t second = hedges_token(1, 2).fence;
    int64_t until = rig_view(1).until_wall_ms;

    rig_restart();
    assert_int_equal(hedges_running(1), 2);
    assert_int_equal(hedges_token(1, 1).fence, first);
    assert_int_equal(hedges_token(1, 2).fence, second);
    assert_int_equal(rig_view(1).until_wall_ms, until);
    come_back(0, 1);
    come_back(1, 2);
    hedges_worker[2] = rig_hello("w2", "1", 1);
    rig_poll(hedges_worker[2], 1);
    rig_advance(599);
    assert_int_equal(hedges_running(1), 2);
    rig_advance(1);
    assert_int_equal(hedges_running(1), 3);
    hedges_succeed(1, 1);
    assert_int_equal(rig_record(EVENT_JOB_SUCCEEDED)->attempt, 1);
    assert_int_equal(rig.stop_count, 2);
}

static void
a_time_that_passed_meanwhile_is_due_at_once(void **state)
{
    (void)state;
    hedges_use(3, 1000);
    hedges_join(1);
    rig_submit(1);
    rig.now.mono.ms += 5000;
    rig.now.wall.ms += 5000;
    rig_restart();
    come_back(0, 1);
    hedges_worker[1] = rig_hello("w1", "1", 1);
    rig_poll(hedges_worker[1], 1);
    rig_advance(0);
    assert_int_equal(hedges_running(1), 2);
}

static void
with_a_clock_gone_back_the_wait_is_no_longer_than_planned(void **state)
{
    (void)state;
    hedges_use(3, 1000);
    hedges_join(1);
    rig_submit(1);
    rig_advance(400);
    rig.now.wall.ms -= 3600000;
    rig_restart();
    come_back(0, 1);
    hedges_worker[1] = rig_hello("w1", "1", 1);
    rig_poll(hedges_worker[1], 1);
    rig_advance(999);
    assert_int_equal(hedges_running(1), 1);
    rig_advance(1);
    assert_int_equal(hedges_running(1), 2);
}

static void
what_was_frozen_stays_frozen(void **state)
{
    (void)state;
    hedges_use(4, 1000);
    hedges_join(3);
    rig_submit(1);
    rig_advance(1000);
    hedges_push_back(1, 1, -1);
    rig_restart();
    come_back(1, 2);
    hedges_worker[2] = rig_hello("w2", "1", 1);
    rig_poll(hedges_worker[2], 1);
    rig_advance(3000);
    assert_int_equal(hedges_running(1), 1);
    hedges_fail(1, 2, REDIAL_UNAVAILABLE, "DOWN");
    hedges_ended(EVENT_JOB_FAILED, REDIAL_UNAVAILABLE, "DOWN");
    assert_int_equal(rig_record(EVENT_JOB_FAILED)->decision.rule,
                     RULE_PUSHBACK_STOP);
}

static void
a_pushback_is_kept_over_a_restart(void **state)
{
    (void)state;
    hedges_use(4, 1000);
    hedges_join(3);
    rig_submit(1);
    rig_advance(1000);
    hedges_push_back(1, 1, 4000);
    rig_advance(1000);
    rig_restart();
    come_back(1, 2);
    hedges_worker[2] = rig_hello("w2", "1", 1);
    rig_poll(hedges_worker[2], 1);
    rig_advance(2999);
    assert_int_equal(hedges_running(1), 1);
    rig_advance(1);
    assert_int_equal(hedges_running(1), 2);
}

static void
one_that_is_not_listed_any_more_never_started(void **state)
{
    (void)state;
    hedges_use(2, 1000);
    hedges_join(2);
    rig_submit(1);
    rig_advance(1000);
    rig_restart();
    come_back(0, 1);
    hedges_worker[1] = rig_hello("w1", "1", 1);
    assert_int_equal(hedges_running(1), 1);
    assert_int_equal(rig_view(1).attempts_free, 1);
    rig_poll(hedges_worker[1], 1);
    assert_int_equal(hedges_running(1), 2);
    hedges_succeed(1, 3);
}

static void
workers_that_stay_away_lose_theirs_and_the_job_goes_on(void **state)
{
    (void)state;
    hedges_use(3, 1000);
    hedges_join(3);
    rig_submit(1);
    rig_advance(1000);
    rig_poll(hedges_worker[0], 0);
    rig_poll(hedges_worker[1], 0);
    rig_restart();
    for (int i = 0; i < 3; i++) {
        rig_advance(3000);
    }
    assert_int_equal(hedges_running(1), 2);
    rig_advance(1000);
    assert_int_equal(rig_view(1).attempts_charged, 2);
    assert_int_equal(rig_view(1).state, JOB_BACKOFF);
    hedges_worker[2] = rig_hello("w2", "2", 1);
    rig_poll(hedges_worker[2], 1);
    assert_int_equal(hedges_running(1), 1);
    hedges_succeed(1, 3);
}

static void
time_limits_go_on_from_each_own_start(void **state)
{
    (void)state;
    hedges_use(2, 3000);
    rig_fallback()->attempt_timeout_ms = 6000;
    rig_use_policy();
    hedges_join(2);
    rig_submit(1);
    rig_advance(3000);
    hedges_beat(2);
    rig_restart();
    come_back(0, 1);
    come_back(1, 2);
    rig_advance(4000);
    hedges_beat(2);
    rig_advance(999);
    assert_int_equal(hedges_running(1), 2);
    rig_advance(1); /* eight seconds after the first began */
    assert_int_equal(hedges_running(1), 1);
    assert_int_equal(rig_record(EVENT_ATTEMPT_FAILED)->attempt, 1);
    rig_advance(2999);
    hedges_beat(2);
    assert_int_equal(hedges_running(1), 1);
    rig_advance(1);
    assert_int_equal(rig_record(EVENT_ATTEMPT_FAILED)->attempt, 2);
    hedges_ended(EVENT_JOB_FAILED, REDIAL_DEADLINE_EXCEEDED, "ATTEMPT_TIMEOUT");
}

/* ---- Rows -------------------------------------------------------------- */

static void
a_row_holds_as_many_attempts_as_run_with_the_longest_names(void **state)
{
    (void)state;
    static char names[2][129];
    uint8_t row[ENGINE_EXPORT_MAX];

    rig.limits.workers_max = 16;
    rig_restart_empty();
    hedges_use(ENGINE_RUNNING_MAX, 0);
    memset(names[1], 'i', 128);
    for (uint32_t i = 0; i < ENGINE_RUNNING_MAX; i++) {
        memset(names[0], 'a' + (int)i, 128);
        rig_poll(rig_hello(names[0], names[1], 1), 1);
    }
    rig.submit.tenant = (struct text){.at = names[0], .len = 128};
    rig.submit.correlation = (struct text){.at = names[1], .len = 128};
    rig.submit.key = rig.submit.tenant;
    rig.submit.key_hash[0] = 1;
    rig_submit(1);
    assert_int_equal(hedges_running(1), ENGINE_RUNNING_MAX);
    size_t len = engine_export_job(rig.engine, rig_view(1).slot, row);
    struct engine *engine = empty_engine();

    assert_true(engine_load_job(engine, row, len));
    assert_int_equal(engine_state_hash(engine), engine_state_hash(rig.engine));
    free(engine);
    for (size_t cut = 0; cut < len; cut++) {
        engine = empty_engine();
        assert_false(engine_load_job(engine, row, cut));
        free(engine);
    }
}

static void
a_row_with_flipped_bits_is_refused_or_harmless(void **state)
{
    (void)state;
    uint8_t row[ENGINE_EXPORT_MAX];

    hedges_use(4, 1000);
    hedges_join(2);
    rig_submit(1);
    rig_advance(1000);
    size_t len = engine_export_job(rig.engine, rig_view(1).slot, row);

    for (size_t bit = 0; bit < len * 8; bit++) {
        struct engine *engine = empty_engine();
        struct now later = rig.now;

        row[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (engine_load_job(engine, row, len)) {
            engine_recover(engine, later, 1000, &rig.out);
            later.mono.ms += 100000;
            engine_step(engine, later,
                        &(struct engine_input){.type = ENGINE_TICK}, &rig.out);
        }
        row[bit / 8] ^= (uint8_t)(1u << bit % 8);
        free(engine);
    }
}

/*
 * Rows as format 1 was written, by the version before hedging: a job with every
 * text after its first failure, and the same one in its second attempt.
 */
static const uint8_t backoff_row[] = {
    0x01, 0x01, 0x90, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x01, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x05, 0x04, 0x03, 0x80, 0xa0, 0xab, 0xfe, 0xf9, 0x62, 0x80, 0xa0,
    0xab, 0xfe, 0xf9, 0x62, 0xd0, 0xaf, 0xab, 0xfe, 0xf9, 0x62, 0x00, 0x00,
    0x00, 0x00, 0x00, 0xe8, 0x07, 0x02, 0x01, 0x00, 0x00, 0x02, 0x07, 0xe8,
    0x07, 0xe8, 0x07, 0x01, 0xd0, 0xaf, 0xab, 0xfe, 0xf9, 0x62, 0x00, 0x01,
    0x01, 0x00, 0x00, 0x01, 0x0e, 0x04, 0x05, 0x01, 0x00, 0x00, 0x01, 0x01,
    0x73, 0x01, 0x6d, 0x01, 0x74, 0x04, 0x66, 0x6c, 0x6f, 0x77, 0x03, 0x6b,
    0x65, 0x79, 0x04, 0x44, 0x4f, 0x57, 0x4e, 0x03, 0x77, 0x68, 0x79,
};

static const uint8_t running_row[] = {
    0x01, 0x01, 0x90, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x01, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x06, 0x05, 0x06, 0x80, 0xa0, 0xab, 0xfe, 0xf9, 0x62, 0xd0, 0xaf,
    0xab, 0xfe, 0xf9, 0x62, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xe8, 0x07,
    0x02, 0x01, 0x00, 0x00, 0x02, 0x07, 0xe8, 0x07, 0xe8, 0x07, 0x01, 0xd0,
    0xaf, 0xab, 0xfe, 0xf9, 0x62, 0x00, 0x02, 0x01, 0x00, 0x00, 0x01, 0x0e,
    0x03, 0x05, 0x01, 0x00, 0x00, 0x01, 0x01, 0x73, 0x01, 0x6d, 0x01, 0x74,
    0x04, 0x66, 0x6c, 0x6f, 0x77, 0x03, 0x6b, 0x65, 0x79, 0x04, 0x44, 0x4f,
    0x57, 0x4e, 0x03, 0x77, 0x68, 0x79, 0x03, 0x77, 0x2f, 0x31, 0x90, 0x4e,
    0xc0, 0xcf, 0x24,
};

static void
rows_of_the_format_before_are_still_read(void **state)
{
    (void)state;
    struct engine *engine = empty_engine();
    char scratch[ENGINE_VIEW_BYTES];
    struct job_view view;

    assert_true(engine_load_job(engine, backoff_row, sizeof(backoff_row)));
    assert_true(engine_view(engine, 0, scratch, &view));
    assert_int_equal(view.state, JOB_BACKOFF);
    assert_int_equal(view.idempotency, IDEMPOTENCY_YES);
    assert_int_equal(view.until_wall_ms, 1700000001000);
    assert_int_equal(view.running_count, 0);
    rig_assert_text(view.last_text, "why");
    free(engine);

    engine = empty_engine();
    assert_true(engine_load_job(engine, running_row, sizeof(running_row)));
    assert_true(engine_view(engine, 0, scratch, &view));
    assert_int_equal(view.state, JOB_RUNNING);
    assert_int_equal(view.attempts_charged, 1);
    assert_int_equal(view.running_count, 1);
    assert_int_equal(view.running[0].number, 2);
    assert_int_equal(view.running[0].fence, 6);
    assert_int_equal(view.running[0].started_wall_ms, 1700000001000);
    rig_assert_text(view.running[0].worker, "w/1");
    rig_assert_text(view.key, "key");
    rig_assert_text(view.last_reason, "DOWN");
    free(engine);
    for (size_t cut = 0; cut < sizeof(running_row); cut++) {
        engine = empty_engine();
        assert_false(engine_load_job(engine, running_row, cut));
        free(engine);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        rig_test(all_attempts_and_the_time_of_the_next_are_restored),
        rig_test(a_time_that_passed_meanwhile_is_due_at_once),
        rig_test(with_a_clock_gone_back_the_wait_is_no_longer_than_planned),
        rig_test(what_was_frozen_stays_frozen),
        rig_test(a_pushback_is_kept_over_a_restart),
        rig_test(one_that_is_not_listed_any_more_never_started),
        rig_test(workers_that_stay_away_lose_theirs_and_the_job_goes_on),
        rig_test(time_limits_go_on_from_each_own_start),
        rig_test(a_row_holds_as_many_attempts_as_run_with_the_longest_names),
        rig_test(a_row_with_flipped_bits_is_refused_or_harmless),
        rig_test(rows_of_the_format_before_are_still_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
