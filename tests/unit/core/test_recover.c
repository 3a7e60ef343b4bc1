/* SPDX-License-Identifier: Apache-2.0 */
/* Back from rows and records: what stays, what the clock may do, damage. */
#include "tests/unit/core/rig.h"

#include <stdlib.h>
#include <string.h>

static uint64_t worker;

static struct text
text(const char *string)
{
    return (struct text){.at = string, .len = (uint32_t)strlen(string)};
}

static void
join(uint32_t concurrency)
{
    worker = rig_hello("w", "1", concurrency);
    rig_poll(worker, concurrency);
}

static struct engine *
empty_engine(void)
{
    size_t size = (engine_size(&rig.limits) + 63) / 64 * 64;
    void *memory = aligned_alloc(64, size);

    assert_non_null(memory);
    memset(memory, 0, size);
    return engine_init(memory, &rig.limits, &rig.policy, 99, rig.now);
}

static void
an_empty_start_is_one_record(void **state)
{
    (void)state;
    engine_recover(rig.engine, rig.now, 1, &rig.out);
    assert_int_equal(rig.out.record_count, 1);
    assert_int_equal(rig.out.records[0].type, EVENT_GATEWAY_STARTED);
    assert_int_equal(rig.out.records[0].seq, 1);
    assert_int_equal(engine_next_wake(rig.engine).ms, INT64_MAX);
    rig_restart_empty();
}

static void
waiting_jobs_wait_again_and_times_go_on(void **state)
{
    (void)state;
    join(1);
    rig_submit(1);
    rig.submit.deadline_ms = 50000;
    rig_submit(2);
    rig.submit.deadline_ms = 0;
    rig.submit.not_before_ms = 30000;
    rig_submit(3);
    rig_fail(worker, rig_token_of(1), REDIAL_UNAVAILABLE, "DOWN");
    rig_advance(400);
    /* Down for ten minutes by the monotonic clock, 300 ms by the wall's. */
    rig.now.mono.ms += 600000;
    rig.now.wall.ms += 300;
    rig_restart();
    assert_int_equal(rig_view(1).state, JOB_BACKOFF);
    rig_advance(299);
    assert_int_equal(rig_view(1).shown, JOB_BACKOFF);
    rig_advance(1);
    assert_int_equal(rig_view(1).shown, JOB_READY);
    assert_int_equal(rig_view(3).shown, JOB_SCHEDULED);
    rig_advance(28999);
    assert_int_equal(rig_view(3).shown, JOB_SCHEDULED);
    rig_advance(1);
    assert_int_equal(rig_view(3).shown, JOB_READY);
}

static void
down_time_counts(void **state)
{
    (void)state;
    rig.submit.deadline_ms = 5000;
    rig_submit(1);
    rig.submit.deadline_ms = 9000;
    rig_submit(2);
    rig.now.mono.ms += 6000;
    rig.now.wall.ms += 6000;
    rig_restart();
    assert_true(engine_next_wake(rig.engine).ms <= rig.now.mono.ms);
    rig_tick();
    rig_expect("job.expired");
    rig_advance(2999);
    rig_expect("");
    rig_advance(1);
    rig_expect("job.expired");
}

static void
a_wall_clock_that_went_back_means_that_no_time_passed(void **state)
{
    (void)state;
    join(1);
    rig_submit(1);
    rig_fail(worker, rig_token_of(1), REDIAL_UNAVAILABLE, "DOWN");
    rig_advance(400);
    rig_submit(2); /* the last record: 400 ms have passed until then */
    rig.now.wall.ms -= 86400000;
    rig_restart();
    rig_advance(599);
    assert_int_equal(rig_view(1).shown, JOB_BACKOFF);
    rig_advance(1);
    assert_int_equal(rig_view(1).shown, JOB_READY);
}

static void
a_wall_clock_that_leapt_makes_everything_due_in_order(void **state)
{
    (void)state;
    for (uint32_t n = 1; n <= 5; n++) {
        rig.submit.not_before_ms = 1000 * (6 - n);
        rig_submit(n);
    }
    rig.now.wall.ms += 86400000;
    rig_restart();
    rig_tick();
    worker = rig_hello("w", "1", 5);
    rig_poll(worker, 5);
    for (uint32_t i = 0; i < 5; i++) {
        struct job_id id = rig_id(5 - i);

        assert_memory_equal(&rig.assigned[i].token.job, &id, sizeof(id));
    }
}

static void
counts_and_words_survive(void **state)
{
    (void)state;
    rig.submit.tenant = text("t");
    rig.submit.correlation = text("flow");
    rig.submit.key = text("key");
    rig.submit.key_hash[0] = 1;
    rig.submit.content_hash[0] = 2;
    rig.submit.payload_bytes = 77;
    join(1);
    rig_submit(1);
    rig.report.text = text("why");
    rig_fail(worker, rig_token_of(1), REDIAL_UNAVAILABLE, "DOWN");
    rig_restart();
    struct job_view view = rig_view(1);

    rig_assert_text(view.tenant, "t");
    rig_assert_text(view.correlation, "flow");
    rig_assert_text(view.key, "key");
    rig_assert_text(view.last_reason, "DOWN");
    rig_assert_text(view.last_text, "why");
    assert_int_equal(view.last_code, REDIAL_UNAVAILABLE);
    assert_int_equal(view.attempts_charged, 1);
    assert_int_equal(view.payload_bytes, 77);
    assert_int_equal(view.decision.rule, RULE_RETRY_PLANNED);
    assert_int_equal(view.decision.delay_ms, 1000);
    assert_true(rig_submit(1)->deduplicated);
    assert_int_equal(
        engine_next_correlated(rig.engine, text("flow"), ENGINE_NO_SLOT),
        view.slot);
    rig.submit.payload_bytes = rig.limits.payload_bytes_max - 76;
    rig.submit.key.len = 0;
    rig.submit.key_hash[0] = 0;
    assert_string_equal(rig_submit(2)->reason, "PAYLOAD_BYTES_FULL");
}

static void
the_backoff_goes_on_where_it_was(void **state)
{
    (void)state;
    rig_fallback()->retry.max_attempts = 10;
    join(1);
    rig_submit(1);
    rig_fail(worker, rig_token_of(1), REDIAL_UNAVAILABLE, "DOWN");
    rig_advance(1000);
    rig_fail(worker, rig_token_of(1), REDIAL_UNAVAILABLE, "DOWN");
    rig_restart();
    rig_advance(2000);
    join(1);
    rig_fail(worker, rig_token_of(1), REDIAL_UNAVAILABLE, "DOWN");
    assert_int_equal(rig_record(EVENT_RETRY_PLANNED)->decision.delay_ms, 4000);
}

/* A PARKED record, as a breaker will make it. */
static struct record
parked_record(void)
{
    struct record record = *rig_record(EVENT_RETRY_PLANNED);

    record.type = EVENT_JOB_PARKED;
    record.decision.rule = RULE_BREAKER_OPEN;
    record.decision.delay_source = DELAY_BREAKER;
    return record;
}

static void
a_parked_job_is_released_at_its_time(void **state)
{
    (void)state;
    join(1);
    rig_submit(1);
    const struct record accepted = *rig_record(EVENT_JOB_ACCEPTED);
    const struct record started = *rig_record(EVENT_ATTEMPT_STARTED);

    rig_fail(worker, rig_token_of(1), REDIAL_UNAVAILABLE, "DOWN");
    const struct record failed = *rig_record(EVENT_ATTEMPT_FAILED);
    const struct record parked = parked_record();

    free(rig.engine);
    rig.engine = empty_engine();
    assert_true(engine_apply(rig.engine, &accepted));
    assert_true(engine_apply(rig.engine, &started));
    assert_true(engine_apply(rig.engine, &failed));
    assert_true(engine_apply(rig.engine, &parked));
    engine_recover(rig.engine, rig.now, parked.seq + 1, &rig.out);
    assert_int_equal(rig_view(1).state, JOB_PARKED);
    uint8_t row[ENGINE_EXPORT_MAX];
    size_t len = engine_export_job(rig.engine, rig_view(1).slot, row);
    struct engine *other = empty_engine();

    assert_true(engine_load_job(other, row, len));
    assert_int_equal(engine_state_hash(other), engine_state_hash(rig.engine));
    free(other);
    rig_seen();
    rig_advance(999);
    rig_expect("");
    rig_advance(1);
    rig_expect("job.released");
    assert_int_equal(rig_view(1).state, JOB_READY);
    rig_restart_empty();
}

static void
records_out_of_order_are_refused(void **state)
{
    (void)state;
    join(1);
    rig_submit(1);
    const struct record accepted = *rig_record(EVENT_JOB_ACCEPTED);
    const struct record started = *rig_record(EVENT_ATTEMPT_STARTED);
    struct engine *engine = empty_engine();

    assert_true(engine_apply(engine, &accepted));
    assert_false(engine_apply(engine, &accepted));
    struct record gap = started;

    gap.job_seq++;
    assert_false(engine_apply(engine, &gap));
    gap = started;
    gap.prev_seq--;
    gap.seq += 10;
    assert_false(engine_apply(engine, &gap));
    free(engine);
}

/* Applies ACCEPTED and then a changed copy of STARTED. */
static bool
follows(struct record record)
{
    struct engine *engine = empty_engine();

    assert_true(engine_apply(engine, rig_record(EVENT_JOB_ACCEPTED)));
    bool result = engine_apply(engine, &record);

    free(engine);
    return result;
}

static void
records_that_cannot_follow_are_refused(void **state)
{
    (void)state;
    join(1);
    rig_submit(1);
    struct record record = *rig_record(EVENT_ATTEMPT_STARTED);
    static char long_name[300];

    assert_true(follows(record));
    record.worker = (struct text){.at = long_name, .len = 300};
    assert_false(follows(record));
    static const enum event_type illegal[] = {
        EVENT_JOB_SUCCEEDED, EVENT_RETRY_PLANNED,    EVENT_ATTEMPT_FAILED,
        EVENT_ATTEMPT_LOST,  EVENT_JOB_RELEASED,     EVENT_ATTEMPT_SUCCEEDED,
        EVENT_RETRY_REFUSED, EVENT_JOB_PARKED,       EVENT_JOB_ACCEPTED,
        EVENT_JOB_REQUEUED,  EVENT_ATTEMPT_PROGRESS,
    };

    for (size_t i = 0; i < sizeof(illegal) / sizeof(illegal[0]); i++) {
        record.type = illegal[i];
        assert_false(follows(record));
    }
    record.type = EVENT_JOB_CANCELLED;
    assert_true(follows(record));
    record.type = EVENT_WORKER_JOINED;
    assert_true(follows(record));
}

static void
accepted_records_with_mad_names_are_refused(void **state)
{
    (void)state;
    static char long_name[129];
    struct text too_long = {.at = long_name, .len = 129};

    rig_submit(1);
    const struct record good = *rig_record(EVENT_JOB_ACCEPTED);

#define REFUSES(change)                              \
    do {                                             \
        struct engine *engine = empty_engine();      \
        struct record record = good;                 \
        change;                                      \
        assert_false(engine_apply(engine, &record)); \
        free(engine);                                \
    } while (0)

    REFUSES(record.service.len = 0);
    REFUSES(record.service = too_long);
    REFUSES(record.method.len = 0);
    REFUSES(record.method = too_long);
    REFUSES(record.tenant = too_long);
    REFUSES(record.correlation = too_long);
    REFUSES(record.key = too_long);
    REFUSES(record.priority = 10);
    REFUSES(record.prev_seq = 1);
    REFUSES(record.job_seq = 2);
}

static void
records_of_jobs_that_ended_long_ago_are_skipped(void **state)
{
    (void)state;
    join(1);
    rig_submit(1);
    struct engine *engine = empty_engine();
    uint64_t hash = engine_state_hash(engine);

    assert_true(engine_apply(engine, rig_record(EVENT_ATTEMPT_STARTED)));
    assert_int_equal(engine_state_hash(engine), hash);
    free(engine);
}

static void
slots_are_below_the_limit_after_recovery(void **state)
{
    (void)state;
    rig.limits.jobs_max = 4;
    rig_restart_empty();
    struct engine *engine = empty_engine();
    uint8_t row[ENGINE_EXPORT_MAX];

    join(1);
    /* Rows of jobs 1 to 4 are stale: they end in the log that follows. */
    for (uint32_t n = 1; n <= 4; n++) {
        rig_submit(n);
        size_t len = engine_export_job(rig.engine, rig_view(n).slot, row);

        assert_true(engine_load_job(engine, row, len));
    }
    struct record cancelled[4];

    for (uint32_t n = 1; n <= 4; n++) {
        rig_cancel(n);
        cancelled[n - 1] = *rig_record(EVENT_JOB_CANCELLED);
        cancelled[n - 1].service = text("s");
        cancelled[n - 1].method = text("m");
        rig_poll_acks(worker, 1, NULL, 0);
    }
    rig.submit.correlation = text("flow");
    for (uint32_t n = 5; n <= 7; n++) {
        rig_submit(n);
        size_t len = engine_export_job(rig.engine, rig_view(n).slot, row);

        assert_true(engine_load_job(engine, row, len));
    }
    for (uint32_t n = 0; n < 4; n++) {
        struct record record = cancelled[n];

        record.text = (struct text){0};
        record.reason = (struct text){0};
        record.tenant = (struct text){0};
        record.correlation = (struct text){0};
        assert_true(engine_apply(engine, &record));
    }
    struct engine_stats stats;

    engine_stats(rig.engine, rig.now, &stats);
    uint64_t hash = engine_state_hash(rig.engine);

    assert_int_equal(engine_state_hash(engine), hash);
    engine_recover(engine, rig.now, stats.next_seq, &rig.out);
    assert_int_equal(engine_state_hash(engine), hash);
    uint32_t count = 0;

    for (uint32_t slot = engine_next_job(engine, ENGINE_NO_SLOT);
         slot != ENGINE_NO_SLOT; slot = engine_next_job(engine, slot)) {
        assert_true(slot < 4);
        count++;
    }
    assert_int_equal(count, 3);
    uint32_t found = 0;

    for (uint32_t slot =
             engine_next_correlated(engine, text("flow"), ENGINE_NO_SLOT);
         slot != ENGINE_NO_SLOT;
         slot = engine_next_correlated(engine, text("flow"), slot)) {
        found++;
    }
    assert_int_equal(found, 3);
    free(engine);
}

static void
different_states_have_different_hashes(void **state)
{
    (void)state;
    uint64_t empty = engine_state_hash(rig.engine);

    rig_submit(1);
    uint64_t one = engine_state_hash(rig.engine);

    assert_int_not_equal(one, empty);
    join(1);
    uint64_t running = engine_state_hash(rig.engine);

    assert_int_not_equal(running, one);
    rig_cancel(1);
    assert_int_equal(engine_state_hash(rig.engine), empty);
}

static void
states_and_moves_have_names(void **state)
{
    (void)state;
    assert_string_equal(job_state_name(JOB_BACKOFF), "BACKOFF");
    assert_string_equal(job_state_name(JOB_EXPIRED), "EXPIRED");
    assert_false(job_state_is_final(JOB_PARKED));
    assert_true(job_state_is_final(JOB_SUCCEEDED));
    char scratch[ENGINE_VIEW_BYTES];
    struct job_view view;

    assert_false(engine_view(rig.engine, 0, scratch, &view));
    assert_false(engine_view(rig.engine, 99999, scratch, &view));
    assert_int_equal(engine_next_job(rig.engine, ENGINE_NO_SLOT),
                     ENGINE_NO_SLOT);
    assert_int_equal(engine_next_correlated(rig.engine, text("x"), 5),
                     ENGINE_NO_SLOT);
    assert_int_equal(
        engine_next_correlated(rig.engine, text(""), ENGINE_NO_SLOT),
        ENGINE_NO_SLOT);
}

static void
a_lower_limit_than_what_lives_refuses_new_payloads(void **state)
{
    (void)state;
    rig.submit.payload_bytes = 1000;
    rig_submit(1);
    rig.limits.payload_bytes_max = 500;
    rig_restart();
    rig.submit.payload_bytes = 1;
    assert_string_equal(rig_submit(2)->reason, "PAYLOAD_BYTES_FULL");
}

static void
what_came_after_the_clock_went_back_is_not_old(void **state)
{
    (void)state;
    rig_submit(1);
    rig.now.wall.ms -= 3600000;
    rig.submit.deadline_ms = 5000;
    rig_submit(2);
    rig_restart();
    rig_advance(4999);
    rig_expect("");
    rig_advance(1);
    rig_expect("job.expired");
}

static void
a_worker_id_from_before_the_restart_is_void(void **state)
{
    (void)state;
    join(1);
    uint64_t before = worker;

    rig_submit(1);
    rig.now.wall.ms += 1;
    rig_restart();
    join(1);
    assert_int_not_equal(worker, before);
    rig_heartbeat(before);
    assert_string_equal(rig.out.result.reason, "UNKNOWN_WORKER");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        rig_test(an_empty_start_is_one_record),
        rig_test(waiting_jobs_wait_again_and_times_go_on),
        rig_test(down_time_counts),
        rig_test(a_wall_clock_that_went_back_means_that_no_time_passed),
        rig_test(a_wall_clock_that_leapt_makes_everything_due_in_order),
        rig_test(counts_and_words_survive),
        rig_test(the_backoff_goes_on_where_it_was),
        rig_test(a_parked_job_is_released_at_its_time),
        rig_test(records_out_of_order_are_refused),
        rig_test(records_that_cannot_follow_are_refused),
        rig_test(accepted_records_with_mad_names_are_refused),
        rig_test(records_of_jobs_that_ended_long_ago_are_skipped),
        rig_test(slots_are_below_the_limit_after_recovery),
        rig_test(different_states_have_different_hashes),
        rig_test(states_and_moves_have_names),
        rig_test(a_lower_limit_than_what_lives_refuses_new_payloads),
        rig_test(what_came_after_the_clock_went_back_is_not_old),
        rig_test(a_worker_id_from_before_the_restart_is_void),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
