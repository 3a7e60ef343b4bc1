/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of jobs as they come from disk: whole, damaged, made up. */
#include "server/base/varint.h"
#include "server/core/state.h"
#include "tests/unit/core/rig.h"

#include <stdlib.h>
#include <string.h>

static uint64_t worker;

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
join(uint32_t concurrency)
{
    worker = rig_hello("w", "1", concurrency);
    rig_poll(worker, concurrency);
}

/* A row of a running job with every text. */
static size_t
make_row(uint8_t *row)
{
    rig.submit.tenant = text_of("t");
    rig.submit.correlation = text_of("flow");
    rig.submit.key = text_of("key");
    rig.submit.key_hash[0] = 1;
    join(1);
    rig_submit(1);
    rig.report.text = text_of("why");
    rig_fail(worker, rig_token_of(1), REDIAL_UNAVAILABLE, "DOWN");
    rig_advance(1000);
    assert_int_equal(rig_view(1).state, JOB_RUNNING);
    return engine_export_job(rig.engine, rig_view(1).slot, row);
}

static void
a_row_that_is_cut_anywhere_is_refused(void **state)
{
    (void)state;
    uint8_t row[ENGINE_EXPORT_MAX];
    size_t len = make_row(row);

    for (size_t cut = 0; cut < len; cut++) {
        struct engine *engine = empty_engine();

        assert_false(engine_load_job(engine, row, cut));
        free(engine);
    }
    struct engine *engine = empty_engine();

    row[len] = 0;
    assert_false(engine_load_job(engine, row, len + 1));
    assert_true(engine_load_job(engine, row, len));
    assert_false(engine_load_job(engine, row, len));
    free(engine);
}

static void
a_row_with_flipped_bits_is_refused_or_harmless(void **state)
{
    (void)state;
    uint8_t row[ENGINE_EXPORT_MAX];
    size_t len = make_row(row);
    struct engine_outbox out;

    assert_true(engine_outbox_init(&out));
    for (size_t at = 0; at < len; at++) {
        for (int bit = 0; bit < 8; bit++) {
            struct engine *engine = empty_engine();
            struct now later = rig.now;

            row[at] ^= (uint8_t)(1 << bit);
            if (engine_load_job(engine, row, len)) {
                engine_recover(engine, later, 1000, &out);
                later.mono.ms += 100000;
                engine_step(engine, later,
                            &(struct engine_input){.type = ENGINE_TICK}, &out);
            }
            row[at] ^= (uint8_t)(1 << bit);
            free(engine);
        }
    }
    engine_outbox_fini(&out);
}

static void
there_is_room_for_no_more_rows_than_twice_the_jobs(void **state)
{
    (void)state;
    rig.limits.jobs_max = 4;
    rig_restart_empty();
    struct engine *engine = empty_engine();
    uint8_t row[ENGINE_EXPORT_MAX];

    for (uint32_t n = 1; n <= 9; n++) {
        rig_submit(n);
        size_t len = engine_export_job(rig.engine, rig_view(n).slot, row);

        assert_int_equal(engine_load_job(engine, row, len), n <= 8);
        rig_cancel(n);
    }
    free(engine);
}

/* ---- Made up ----------------------------------------------------------- */

/* A job as it may stand in a row, and what stands beside it. */
static struct job job;
static const char *service;
static const char *worker_name;
static uint64_t priority; /* as a varint of any size */
static uint64_t attempt;
static uint64_t flag;
static uint8_t format;
static uint32_t running_count;
static struct engine_running running[ENGINE_RUNNING_MAX + 1];

static uint8_t *
put_B16(uint8_t *at, const void *value)
{
    memcpy(at, value, 16);
    return at + 16;
}

#define put_U64(at, value)  varint_write(at, *(value))
#define put_U32(at, value)  varint_write(at, *(value))
#define put_U8(at, value)   varint_write(at, *(value))
#define put_FLAG(at, value) varint_write(at, *(value))
#define put_I64(at, value)  varint_write(at, zigzag_encode(*(value)))

static uint8_t *
put_text(uint8_t *at, const char *text)
{
    size_t len = strlen(text);

    at = varint_write(at, len);
    memcpy(at, text, len);
    return at + len;
}

/* The fields that a test makes too large for their kind go in by hand. */
static bool
put_odd(uint8_t **at, const void *member)
{
    const struct {
        const void *member;
        uint64_t value;
    } odd[] = {
        {&job.priority, priority},
        {&job.attempt, attempt},
        {&job.suspect, flag},
    };

    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        if (odd[i].member == member) {
            *at = varint_write(*at, odd[i].value);
            return true;
        }
    }
    return false;
}

static bool
loads_into(struct engine *engine)
{
    static uint8_t row[ENGINE_EXPORT_MAX];
    uint8_t *at = row;

    *at++ = format;
#define JOB_FIELD_2(kind, member)         \
    if (format >= 2) {                    \
        at = put_##kind(at, &job.member); \
    }
#define JOB_FIELD(kind, member)           \
    if (!put_odd(&at, &job.member)) {     \
        at = put_##kind(at, &job.member); \
    }
#include "server/core/job_fields.def"
#undef JOB_FIELD
    at = put_text(at, service);
    at = put_text(at, "m");
    for (int i = 0; i < 5; i++) {
        at = put_text(at, "");
    }
    if (worker_name != NULL && format >= 2) {
        at = varint_write(at, running_count);
    }
    for (uint32_t i = 0; worker_name != NULL && i < running_count; i++) {
        if (format >= 2) {
            at = varint_write(at, running[i].number);
            at = varint_write(at, running[i].fence);
            at = varint_write(at, zigzag_encode(job.state_wall_ms));
        }
        at = put_text(at, worker_name);
        at = varint_write(at, 10000 + i);
        at = varint_write(at, 1000 + i);
    }
    return engine_load_job(engine, row, (size_t)(at - row));
}

static bool
loads(void)
{
    struct engine *engine = empty_engine();
    bool loaded = loads_into(engine);

    free(engine);
    return loaded;
}

static void
make_up(void)
{
    job = (struct job){
        .id = rig_id(1),
        .seq = 1,
        .job_seq = 1,
        .state = JOB_READY,
        .accepted_wall_ms = 1700000000000,
        .state_wall_ms = 1700000000000,
    };
    service = "s";
    worker_name = NULL;
    priority = 5;
    attempt = 0;
    flag = 0;
    format = 2;
    running_count = 1;
    for (uint32_t i = 0; i <= ENGINE_RUNNING_MAX; i++) {
        running[i].number = i + 1;
        running[i].fence = i + 1;
    }
}

/* A job with this many attempts that run. */
static void
make_up_running(uint32_t count)
{
    make_up();
    job.state = JOB_RUNNING;
    job.fence = count;
    job.seq = count;
    attempt = count;
    worker_name = "w/1";
    running_count = count;
}

static void
fields_out_of_range_are_refused(void **state)
{
    (void)state;
    make_up();
    assert_true(loads());

#define REFUSES(change)        \
    do {                       \
        make_up();             \
        change;                \
        assert_false(loads()); \
    } while (0)

    REFUSES(job.state = JOB_NONE);
    REFUSES(job.state = JOB_SUCCEEDED);
    REFUSES(job.state = JOB_EXPIRED);
    REFUSES(job.state = JOB_EXPIRED + 1);
    REFUSES(job.idempotency = 3);
    REFUSES(job.failure_code = 17);
    REFUSES(job.seq = 0);
    REFUSES(job.job_seq = 0);
    REFUSES(job.decision.rule = RULE_BREAKER_REJECTED + 1);
    REFUSES(job.decision.delay_source = DELAY_TARGET_PUSHBACK + 1);
    REFUSES(job.decision.clamp = CLAMP_ATTEMPTS_LIMIT + 1);
    REFUSES(job.frozen = RULE_BREAKER_REJECTED + 1);
    REFUSES(format = 0);
    REFUSES(format = 3);
    REFUSES(job.accepted_wall_ms = INT64_MAX);
    REFUSES(job.state_wall_ms = INT64_MIN);
    REFUSES(job.until_wall_ms = INT64_MAX);
    REFUSES(priority = 10);
    REFUSES(priority = 256);
    REFUSES(attempt = UINT64_C(1) << 32);
    REFUSES(flag = 2);
    REFUSES(service = "");
    REFUSES(worker_name = "w/1");
    REFUSES(job.state = JOB_RUNNING);
    REFUSES(job.state = JOB_RUNNING; worker_name = "w/1");
    REFUSES(job.state = JOB_RUNNING; job.fence = 1; worker_name = "");
    make_up_running(1);
    assert_true(loads());
    format = 1;
    assert_true(loads());
    REFUSES(format = 1; job.state = JOB_RUNNING; worker_name = "w/1");
    REFUSES(format = 1; job.state = JOB_RUNNING; job.fence = 1;
            worker_name = "");
}

static void
attempts_that_cannot_run_beside_each_other_are_refused(void **state)
{
    (void)state;
    make_up_running(3);
    assert_true(loads());
    make_up_running(ENGINE_RUNNING_MAX);
    assert_true(loads());
    make_up_running(ENGINE_RUNNING_MAX + 1);
    assert_false(loads());
    make_up_running(3);
    running_count = 0;
    assert_false(loads());

#define REFUSES_RUNNING(change) \
    do {                        \
        make_up_running(3);     \
        change;                 \
        assert_false(loads());  \
    } while (0)

    REFUSES_RUNNING(running[1].fence = 1);
    REFUSES_RUNNING(running[1].fence = 3);
    REFUSES_RUNNING(running[1].number = 1);
    REFUSES_RUNNING(running[2].number = 4);
    REFUSES_RUNNING(running[2].fence = 4);
    REFUSES_RUNNING(running[0].fence = 0);
    REFUSES_RUNNING(worker_name = "");
}

static void
each_running_attempt_has_what_its_row_says(void **state)
{
    (void)state;
    struct engine *engine = empty_engine();

    make_up_running(3);
    assert_true(loads_into(engine));
    const struct job *loaded = slab_at(&engine->jobs, 0);
    const struct attempt *at = loaded->running;

    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(at->number, i + 1);
        assert_int_equal(at->fence, i + 1);
        assert_int_equal(at->lease_ms, 10000 + i);
        assert_int_equal(at->timeout_ms, 1000 + i);
        assert_int_equal(at->started_wall_ms, 1700000000000);
        at = at->next;
    }
    assert_null(at);
    static uint8_t row[ENGINE_EXPORT_MAX];
    size_t len = engine_export_job(engine, 0, row);
    struct engine *again = empty_engine();

    assert_true(engine_load_job(again, row, len));
    loaded = slab_at(&again->jobs, 0);
    assert_int_equal(loaded->running->next->lease_ms, 10001);
    assert_int_equal(loaded->running->next->timeout_ms, 1001);
    free(engine);
    free(again);
}

static void
as_many_names_as_twice_the_limits_fit(void **state)
{
    (void)state;
    struct engine *engine = empty_engine();
    char name[2] = "a";

    make_up();
    service = name;
    for (uint32_t i = 0; i < 17; i++) {
        name[0] = (char)('a' + i);
        job.id = rig_id(i + 1);
        assert_int_equal(loads_into(engine), i < 16);
    }
    free(engine);
}

static void
as_many_attempts_as_twice_the_limit_fit(void **state)
{
    (void)state;
    rig.limits.attempts_max = 4;
    struct engine *engine = empty_engine();
    char name[4] = "w/a";

    make_up_running(1);
    worker_name = name;
    for (uint32_t i = 0; i < 9; i++) {
        name[2] = (char)('a' + i);
        job.id = rig_id(i + 1);
        assert_int_equal(loads_into(engine), i < 8);
    }
    free(engine);
    rig_restart_empty();
}

static void
a_row_whose_key_finds_no_room_is_refused(void **state)
{
    (void)state;
    struct engine *engine = empty_engine();

    make_up();
    for (uint32_t i = 0; i < 17; i++) {
        job.id = rig_id(i + 1);
        job.key_hash[0] = (uint8_t)(i + 1);
        assert_int_equal(loads_into(engine), i < 16);
    }
    free(engine);
}

static void
a_row_in_the_far_past_or_future_does_no_harm(void **state)
{
    (void)state;
    static const int64_t walls[] = {-4000000000000000, 0, 4000000000000000};

    for (int i = 0; i < 27; i++) {
        struct engine *engine = empty_engine();
        struct now later = rig.now;

        make_up();
        job.state = JOB_BACKOFF;
        job.accepted_wall_ms = walls[i % 3];
        job.state_wall_ms = walls[i / 3 % 3];
        job.until_wall_ms = walls[i / 9];
        job.deadline_ms = UINT64_MAX;
        job.queue_ttl_ms = UINT64_MAX;
        job.decision.delay_ms = UINT64_MAX;
        assert_true(loads_into(engine));
        engine_recover(engine, later, 5, &rig.out);
        later.mono.ms += 1000;
        engine_step(engine, later, &(struct engine_input){.type = ENGINE_TICK},
                    &rig.out);
        free(engine);
    }
}

static void
the_longest_texts_fit(void **state)
{
    (void)state;
    static char names[4][129];
    struct text longest[4];

    for (int i = 0; i < 4; i++) {
        memset(names[i], 'a' + i, 128);
        longest[i] = (struct text){.at = names[i], .len = 128};
    }
    rig.submit.tenant = longest[0];
    rig.submit.correlation = longest[1];
    rig.submit.key = longest[2];
    rig.submit.key_hash[0] = 1;
    worker = rig_hello(names[0], names[1], 1);
    rig_poll(worker, 1);
    rig_submit(1);
    rig.report.text = (struct text){.at = names[0], .len = 4 * 129};
    rig_fail(worker, rig_token_of(1), REDIAL_UNAVAILABLE, names[3]);
    rig_advance(1000);
    assert_int_equal(rig_view(1).state, JOB_RUNNING);
    assert_int_equal(rig_view(1).worker.len, 257);
    assert_int_equal(rig_view(1).last_reason.len, 128);
    assert_int_equal(rig_view(1).last_text.len, 240);
    uint8_t row[ENGINE_EXPORT_MAX];
    size_t len = engine_export_job(rig.engine, rig_view(1).slot, row);
    struct engine *engine = empty_engine();

    assert_true(engine_load_job(engine, row, len));
    assert_int_equal(engine_state_hash(engine), engine_state_hash(rig.engine));
    free(engine);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        rig_test(a_row_that_is_cut_anywhere_is_refused),
        rig_test(a_row_with_flipped_bits_is_refused_or_harmless),
        rig_test(there_is_room_for_no_more_rows_than_twice_the_jobs),
        rig_test(fields_out_of_range_are_refused),
        rig_test(attempts_that_cannot_run_beside_each_other_are_refused),
        rig_test(each_running_attempt_has_what_its_row_says),
        rig_test(as_many_names_as_twice_the_limits_fit),
        rig_test(as_many_attempts_as_twice_the_limit_fit),
        rig_test(a_row_whose_key_finds_no_room_is_refused),
        rig_test(a_row_in_the_far_past_or_future_does_no_harm),
        rig_test(the_longest_texts_fit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
