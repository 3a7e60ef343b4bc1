/* SPDX-License-Identifier: Apache-2.0 */
/* What may come in, what comes twice, and what is too much. */
#include "tests/unit/core/rig.h"

#include <stdio.h>
#include <string.h>

static struct text
text(const char *string)
{
    return (struct text){.at = string, .len = (uint32_t)strlen(string)};
}

static void
set_key(const char *key, uint8_t hash, uint8_t content)
{
    rig.submit.key = text(key);
    memset(rig.submit.key_hash, hash, 16);
    memset(rig.submit.content_hash, content, 16);
}

static void
assert_refused(const struct engine_result *result, enum redial_status status,
               const char *reason)
{
    assert_int_equal(result->status, status);
    assert_string_equal(result->reason, reason);
    assert_int_equal(result->slot, ENGINE_NO_SLOT);
    rig_expect("");
}

static void
a_live_id_is_the_same_job(void **state)
{
    (void)state;
    rig_submit(1);
    uint32_t slot = rig.out.result.slot;

    rig_expect("job.accepted");
    const struct engine_result *result = rig_submit(1);

    assert_int_equal(result->status, REDIAL_OK);
    assert_true(result->deduplicated);
    assert_int_equal(result->slot, slot);
    assert_int_equal(result->state, JOB_READY);
    rig_expect("");
}

static void
a_key_joins_the_first_job_running_or_done(void **state)
{
    (void)state;
    uint64_t worker = rig_hello("w", "1", 1);

    rig_poll(worker, 1);
    set_key("k", 1, 7);
    rig_submit(1);
    rig_expect("worker.joined job.accepted attempt.started");
    const struct engine_result *result = rig_submit(2);

    assert_int_equal(result->status, REDIAL_OK);
    assert_true(result->deduplicated);
    assert_int_equal(result->state, JOB_RUNNING);
    struct job_id first = rig_id(1);

    assert_memory_equal(&result->job, &first, sizeof(first));
    rig_succeed(worker, rig_token(0));
    rig_seen();
    result = rig_submit(2);
    assert_true(result->deduplicated);
    assert_int_equal(result->slot, ENGINE_NO_SLOT);
    assert_memory_equal(&result->job, &first, sizeof(first));
    rig_expect("");
}

static void
a_key_with_other_content_is_refused(void **state)
{
    (void)state;
    set_key("k", 1, 7);
    rig_submit(1);
    rig_seen();
    set_key("k", 1, 8);
    assert_refused(rig_submit(2), REDIAL_ALREADY_EXISTS, "KEY_REUSED");
    assert_false(rig_is_live(2));
}

static void
a_key_is_in_accepted_and_final_records(void **state)
{
    (void)state;
    set_key("my-key", 1, 7);
    rig_submit(1);
    rig_assert_text(rig_record(EVENT_JOB_ACCEPTED)->key, "my-key");
    rig_cancel(1);
    rig_assert_text(rig_record(EVENT_JOB_CANCELLED)->key, "my-key");
}

static void
a_full_key_table_refuses_new_keys_only(void **state)
{
    (void)state;
    for (uint8_t i = 1; i <= 16; i++) {
        set_key("k", i, 7);
        assert_int_equal(rig_submit(i)->status, REDIAL_OK);
        rig_cancel(i);
    }
    rig_seen();
    set_key("k", 17, 7);
    assert_refused(rig_submit(17), REDIAL_RESOURCE_EXHAUSTED, "KEY_TABLE_FULL");
    set_key("k", 16, 7);
    assert_true(rig_submit(18)->deduplicated);
    set_key("", 0, 0);
    assert_int_equal(rig_submit(19)->status, REDIAL_OK);
    struct job_id id = rig_id(1);
    uint8_t hash[16];

    memset(hash, 1, sizeof(hash));
    engine_forget_key(rig.engine, hash, rig_id(2));
    assert_true(engine_find_key(rig.engine, hash, &id));
    engine_forget_key(rig.engine, hash, rig_id(1));
    assert_false(engine_find_key(rig.engine, hash, &id));
    set_key("k", 17, 7);
    assert_int_equal(rig_submit(20)->status, REDIAL_OK);
    /* The log knows nothing of forgotten keys: say it to the check. */
    rig_restart_empty();
}

static void
a_live_jobs_key_is_not_forgotten(void **state)
{
    (void)state;
    struct job_id id;

    set_key("k", 1, 7);
    rig_submit(1);
    engine_forget_key(rig.engine, rig.submit.key_hash, rig_id(1));
    assert_true(engine_find_key(rig.engine, rig.submit.key_hash, &id));
    memset(rig.submit.key_hash, 0, 16);
    assert_false(engine_find_key(rig.engine, rig.submit.key_hash, &id));
}

static void
loaded_keys_count_as_used(void **state)
{
    (void)state;
    uint8_t content[16] = {7, 7};

    set_key("k", 1, 7);
    assert_true(
        engine_load_key(rig.engine, rig.submit.key_hash, content, rig_id(9)));
    assert_refused(rig_submit(1), REDIAL_ALREADY_EXISTS, "KEY_REUSED");
    memcpy(rig.submit.content_hash, content, 16);
    assert_true(rig_submit(1)->deduplicated);
    memset(rig.submit.key_hash, 0, 16);
    assert_false(
        engine_load_key(rig.engine, rig.submit.key_hash, content, rig_id(9)));
    rig_restart_empty();
}

static void
live_jobs_are_bounded(void **state)
{
    (void)state;
    for (uint32_t i = 1; i <= rig.limits.jobs_max; i++) {
        assert_int_equal(rig_submit(i)->status, REDIAL_OK);
    }
    rig_seen();
    const struct engine_result *result = rig_submit(1000);

    assert_true(result->retry_after_ms >= 100);
    assert_true(result->retry_after_ms <= 30000);
    assert_refused(result, REDIAL_RESOURCE_EXHAUSTED, "JOBS_FULL");
    assert_true(rig_submit(1)->deduplicated);
    rig_cancel(1);
    assert_int_equal(rig_submit(1001)->status, REDIAL_OK);
}

static void
whoever_is_refused_more_often_waits_longer(void **state)
{
    (void)state;
    for (uint32_t i = 1; i <= rig.limits.jobs_max; i++) {
        rig_submit(i);
    }
    uint64_t first = rig_submit(1000)->retry_after_ms;
    uint64_t later = 0;

    for (uint32_t i = 0; i < 5; i++) {
        later = rig_submit(1000)->retry_after_ms;
    }
    assert_true(later > first);
    for (uint32_t i = 0; i < 100; i++) {
        later = rig_submit(1000)->retry_after_ms;
    }
    assert_int_equal(later, 30000);
    for (uint32_t i = 1; i <= 50; i++) {
        rig_cancel(i);
        rig_submit(2000 + i);
    }
    rig_advance(1000);
    assert_int_equal(rig_submit(1000)->retry_after_ms, 100);
}

static void
payload_bytes_are_bounded(void **state)
{
    (void)state;
    rig.submit.payload_bytes = rig.limits.payload_bytes_max;
    assert_int_equal(rig_submit(1)->status, REDIAL_OK);
    rig_seen();
    rig.submit.payload_bytes = 1;
    assert_refused(rig_submit(2), REDIAL_RESOURCE_EXHAUSTED,
                   "PAYLOAD_BYTES_FULL");
    rig.submit.payload_bytes = 0;
    assert_int_equal(rig_submit(3)->status, REDIAL_OK);
    rig_cancel(1);
    rig_seen();
    rig.submit.payload_bytes = rig.limits.payload_bytes_max + 1;
    assert_refused(rig_submit(4), REDIAL_RESOURCE_EXHAUSTED,
                   "PAYLOAD_BYTES_FULL");
    rig.submit.payload_bytes--;
    assert_int_equal(rig_submit(4)->status, REDIAL_OK);
}

static void
only_names_in_use_count(void **state)
{
    (void)state;
    char name[16];

    for (uint32_t i = 0; i < rig.limits.methods_max; i++) {
        snprintf(name, sizeof(name), "m%u", i);
        rig.submit.method = text(name);
        assert_int_equal(rig_submit(i + 1)->status, REDIAL_OK);
    }
    rig_seen();
    rig.submit.method = text("one-more");
    assert_refused(rig_submit(100), REDIAL_RESOURCE_EXHAUSTED, "METHODS_FULL");
    rig_cancel(1);
    assert_int_equal(rig_submit(100)->status, REDIAL_OK);
    rig_cancel(100);
    for (uint32_t i = 0; i < 100; i++) {
        snprintf(name, sizeof(name), "x%u", i);
        rig.submit.service = text(name);
        assert_int_equal(rig_submit(200 + i)->status, REDIAL_OK);
        rig_cancel(200 + i);
    }
}

static void
tenants_are_bounded_too(void **state)
{
    (void)state;
    char name[16];

    for (uint32_t i = 0; i < rig.limits.tenants_max; i++) {
        snprintf(name, sizeof(name), "t%u", i);
        rig.submit.tenant = text(name);
        assert_int_equal(rig_submit(i + 1)->status, REDIAL_OK);
    }
    rig_seen();
    rig.submit.tenant = text("");
    assert_refused(rig_submit(100), REDIAL_RESOURCE_EXHAUSTED, "TENANTS_FULL");
    rig_cancel(3);
    for (uint32_t i = 0; i < 50; i++) {
        snprintf(name, sizeof(name), "y%u", i);
        rig.submit.tenant = text(name);
        assert_int_equal(rig_submit(200 + i)->status, REDIAL_OK);
        rig_cancel(200 + i);
    }
}

static void
what_is_out_of_range_is_named(void **state)
{
    (void)state;
    static char long_name[129];
    struct engine_submit good = rig.submit;

    memset(long_name, 'x', sizeof(long_name));
    struct text too_long = {.at = long_name, .len = 129};

#define REFUSES(change, field)                                            \
    do {                                                                  \
        rig.submit = good;                                                \
        change;                                                           \
        assert_int_equal(rig_submit(1)->status, REDIAL_INVALID_ARGUMENT); \
        assert_memory_equal(rig.out.result.message, field ":",            \
                            strlen(field ":"));                           \
        assert_string_equal(rig.out.result.reason, "INVALID_ARGUMENT");   \
    } while (0)

    REFUSES(rig.submit.priority = 10, "priority");
    REFUSES(rig.submit.service.len = 0, "service");
    REFUSES(rig.submit.service = too_long, "service");
    REFUSES(rig.submit.method.len = 0, "method");
    REFUSES(rig.submit.method = too_long, "method");
    REFUSES(rig.submit.tenant = too_long, "tenant");
    REFUSES(rig.submit.correlation = too_long, "correlation_id");
    REFUSES(rig.submit.key = too_long, "key");
    REFUSES(rig.submit.key = text("k"), "key");
    REFUSES(rig.submit.key_hash[3] = 1, "key");
    REFUSES(rig.submit.idempotency = (enum idempotency)3, "idempotent");
    REFUSES(rig.submit.not_before_ms = UINT64_MAX, "not_before_ms");
    REFUSES(rig.submit.deadline_ms = UINT64_MAX, "deadline_ms");
    REFUSES(rig.submit.queue_ttl_ms = UINT64_MAX, "queue_ttl_ms");
    REFUSES(rig.submit.attempt_timeout_ms = UINT64_MAX, "attempt_timeout_ms");
    rig.submit = good;
    struct engine_input input = {.type = ENGINE_SUBMIT, .submit = good};

    rig_step(&input);
    assert_int_equal(rig.out.result.status, REDIAL_INVALID_ARGUMENT);
    rig_expect("");
    rig.submit.priority = 9;
    too_long.len = 128;
    rig.submit.service = too_long;
    assert_int_equal(rig_submit(1)->status, REDIAL_OK);
    struct engine_stats stats;

    engine_stats(rig.engine, rig.now, &stats);
    assert_int_equal(stats.refused_submits, 16);
}

static void
draining_refuses_what_is_new_and_starts_nothing(void **state)
{
    (void)state;
    uint64_t worker = rig_hello("w", "1", 2);

    rig_poll(worker, 1);
    rig_submit(1);
    rig_submit(2);
    rig_expect("worker.joined job.accepted attempt.started job.accepted");
    rig_step(&(struct engine_input){.type = ENGINE_DRAIN});
    rig_expect("gateway.draining");
    rig_step(&(struct engine_input){.type = ENGINE_DRAIN});
    rig_expect("");
    assert_refused(rig_submit(3), REDIAL_UNAVAILABLE, "DRAINING");
    assert_true(rig_submit(1)->deduplicated);
    rig_poll(worker, 2);
    rig_expect("");
    rig_fail(worker, rig_token_of(1), REDIAL_UNAVAILABLE, "DOWN");
    rig_expect("attempt.failed retry.planned");
    rig_advance(5000);
    rig_expect("");
    assert_int_equal(rig_view(1).state, JOB_BACKOFF);
    assert_int_equal(rig_view(1).shown, JOB_READY);
}

static void
a_job_that_does_not_wait_for_a_worker_fails_at_once(void **state)
{
    (void)state;
    rig_fallback()->wait_for_ready = false;
    rig_submit(1);
    rig_expect("job.accepted job.failed");
    const struct record *failed = rig_record(EVENT_JOB_FAILED);

    assert_int_equal(failed->code, REDIAL_UNAVAILABLE);
    assert_int_equal(failed->decision.rule, RULE_NO_WORKER);
    rig_assert_text(failed->reason, "NO_WORKER");
    assert_false(rig_is_live(1));
    uint64_t worker = rig_hello("w", "1", 1);

    rig_submit(2);
    rig_expect("worker.joined job.accepted");
    rig_gone(worker, ENGINE_GONE_DROPPED);
    rig_expect("worker.left job.failed");
}

static void
after_a_restart_workers_get_time_to_come_back(void **state)
{
    (void)state;
    rig_fallback()->wait_for_ready = false;
    rig_hello("w", "1", 1);
    rig_submit(1);
    rig_restart();
    rig_tick();
    rig_expect("");
    assert_int_equal(engine_next_wake(rig.engine).ms, rig.now.mono.ms + 10000);
    rig_advance(9999);
    rig_expect("");
    rig_advance(1);
    rig_expect("job.failed");
}

static void
a_correlation_id_finds_its_live_jobs(void **state)
{
    (void)state;
    struct text flow = text("my-flow");
    uint32_t slot = ENGINE_NO_SLOT;

    rig_submit(1);
    rig.submit.correlation = flow;
    rig_submit(2);
    rig_submit(3);
    rig.submit.correlation = text("01900000-0000-0000-0000-000000000001");
    rig_submit(4);
    rig_assert_text(rig_view(2).correlation, "my-flow");
    slot = engine_next_correlated(rig.engine, flow, slot);
    assert_int_equal(slot, engine_find(rig.engine, rig_id(2)));
    slot = engine_next_correlated(rig.engine, flow, slot);
    assert_int_equal(slot, engine_find(rig.engine, rig_id(3)));
    slot = engine_next_correlated(rig.engine, flow, slot);
    assert_int_equal(slot, ENGINE_NO_SLOT);
    /* A job's own id counts as its correlation id. */
    slot = engine_next_correlated(rig.engine, rig.submit.correlation, slot);
    assert_int_equal(slot, engine_find(rig.engine, rig_id(1)));
    slot = engine_next_correlated(rig.engine, rig.submit.correlation, slot);
    assert_int_equal(slot, engine_find(rig.engine, rig_id(4)));
    assert_int_equal(
        engine_next_correlated(rig.engine, rig.submit.correlation, slot),
        ENGINE_NO_SLOT);
    assert_int_equal(
        engine_next_correlated(rig.engine, text("nobody"), ENGINE_NO_SLOT),
        ENGINE_NO_SLOT);
}

static void
a_correlation_id_that_is_the_jobs_own_is_left_out(void **state)
{
    (void)state;
    rig.submit.correlation = text("01900000-0000-0000-0000-00000000000A");
    rig_submit(10);
    assert_int_equal(rig_record(EVENT_JOB_ACCEPTED)->correlation.len, 0);
    assert_int_equal(rig_view(10).correlation.len, 0);
    assert_int_equal(engine_next_correlated(rig.engine, rig.submit.correlation,
                                            ENGINE_NO_SLOT),
                     engine_find(rig.engine, rig_id(10)));
}

static void
the_record_says_all_that_was_accepted(void **state)
{
    (void)state;
    rig_fallback()->deadline_ms = 5000;
    set_key("k", 1, 7);
    rig.submit.correlation = text("c");
    rig.submit.tenant = text("t");
    rig.submit.traceparent = text("00-abc");
    rig.submit.priority = 3;
    rig.submit.idempotency = IDEMPOTENCY_NO;
    rig.submit.deadline_ms = 9000;
    rig.submit.queue_ttl_ms = 800;
    rig.submit.max_attempts = 2;
    rig.submit.attempt_timeout_ms = 700;
    rig.submit.payload_bytes = 60;
    rig_submit(1);
    const struct record *accepted = rig_record(EVENT_JOB_ACCEPTED);

    rig_assert_text(accepted->correlation, "c");
    rig_assert_text(accepted->tenant, "t");
    rig_assert_text(accepted->service, "s");
    rig_assert_text(accepted->method, "m");
    rig_assert_text(accepted->traceparent, "00-abc");
    assert_int_equal(accepted->priority, 3);
    assert_int_equal(accepted->idempotency, IDEMPOTENCY_NO);
    assert_int_equal(accepted->deadline_ms, 5000);
    assert_int_equal(accepted->queue_ttl_ms, 800);
    assert_int_equal(accepted->max_attempts, 2);
    assert_int_equal(accepted->attempt_timeout_ms, 700);
    assert_int_equal(accepted->payload_bytes, 60);
    assert_int_equal(accepted->attachment, ATTACHMENT_PAYLOAD);
    assert_int_equal(accepted->decision.policy_version, 7);
    struct job_view view = rig_view(1);

    assert_int_equal(view.deadline_wall_ms, rig.now.wall.ms + 5000);
    assert_int_equal(view.max_attempts, 2);
    assert_int_equal(view.priority, 3);
    assert_int_equal(view.payload_bytes, 60);
    rig_assert_text(view.key, "k");
    rig_assert_text(view.tenant, "t");
}

static void
the_gateway_may_note_its_own_events(void **state)
{
    (void)state;
    struct engine_input input = {.type = ENGINE_GATEWAY};

    input.gateway.type = EVENT_GATEWAY_RELOADED;
    input.gateway.text = text("version 8");
    rig_step(&input);
    rig_assert_text(rig_record(EVENT_GATEWAY_RELOADED)->text, "version 8");
    rig_expect("gateway.reloaded");
    input.gateway.type = EVENT_JOB_FAILED;
    rig_step(&input);
    assert_int_equal(rig.out.result.status, REDIAL_INVALID_ARGUMENT);
    rig_expect("");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        rig_test(a_live_id_is_the_same_job),
        rig_test(a_key_joins_the_first_job_running_or_done),
        rig_test(a_key_with_other_content_is_refused),
        rig_test(a_key_is_in_accepted_and_final_records),
        rig_test(a_full_key_table_refuses_new_keys_only),
        rig_test(a_live_jobs_key_is_not_forgotten),
        rig_test(loaded_keys_count_as_used),
        rig_test(live_jobs_are_bounded),
        rig_test(whoever_is_refused_more_often_waits_longer),
        rig_test(payload_bytes_are_bounded),
        rig_test(only_names_in_use_count),
        rig_test(tenants_are_bounded_too),
        rig_test(what_is_out_of_range_is_named),
        rig_test(draining_refuses_what_is_new_and_starts_nothing),
        rig_test(a_job_that_does_not_wait_for_a_worker_fails_at_once),
        rig_test(after_a_restart_workers_get_time_to_come_back),
        rig_test(a_correlation_id_finds_its_live_jobs),
        rig_test(a_correlation_id_that_is_the_jobs_own_is_left_out),
        rig_test(the_record_says_all_that_was_accepted),
        rig_test(the_gateway_may_note_its_own_events),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
