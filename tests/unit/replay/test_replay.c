/* SPDX-License-Identifier: Apache-2.0 */
/* Recorded events through the core again, under another policy. */
#include "server/net/codec.h"
#include "server/replay/figures.h"
#include "server/replay/replay.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { JOBS_MAX = 8 };

static struct history history;
static struct policy_set policy;
static struct replayed recorded[JOBS_MAX];
static struct replayed replayed[JOBS_MAX];
static uint64_t seq;
static int64_t now_ms;

static int
setup(void **state)
{
    (void)state;
    assert_true(history_init(&history));
    policy_set_default(&policy);
    policy.fallback.retry.jitter = JITTER_NONE;
    memset(replayed, 0, sizeof(replayed));
    seq = 0;
    now_ms = 0;
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    history_fini(&history);
    return 0;
}

static struct job_id
id_of(uint8_t n)
{
    return (struct job_id){{0x01, 0x90, [6] = 0x70, [8] = 0x80, [15] = n}};
}

/* ---- What happened ----------------------------------------------------- */

static void
add(struct record record)
{
    record.seq = ++seq;
    record.job_seq = 1;
    record.wall_ms = 1700000000000 + now_ms;
    record.service = text_of("s");
    record.method = text_of("m");
    assert_true(history_add(&history, &record));
}

static void
accept(uint8_t n)
{
    add((struct record){
        .type = EVENT_JOB_ACCEPTED, .job = id_of(n), .priority = 5});
}

static void
start(uint8_t n, uint32_t attempt)
{
    add((struct record){.type = EVENT_ATTEMPT_STARTED,
                        .job = id_of(n),
                        .attempt = attempt,
                        .worker = text_of("w/1")});
}

static void
lose(uint8_t n, uint32_t attempt)
{
    add((struct record){.type = EVENT_ATTEMPT_FAILED,
                        .job = id_of(n),
                        .attempt = attempt,
                        .code = REDIAL_UNAVAILABLE,
                        .reason = text_of("HTTP_503"),
                        .charged = true});
}

static void
end(uint8_t n, enum event_type type, enum rule rule)
{
    add((struct record){
        .type = type, .job = id_of(n), .decision = {.rule = rule}});
}

/* A job whose only attempt fails after a tenth of a second, for good. */
static void
one_attempt_that_failed(uint8_t n)
{
    accept(n);
    start(n, 1);
    now_ms += 100;
    lose(n, 1);
    end(n, EVENT_JOB_FAILED, RULE_ATTEMPTS_EXHAUSTED);
}

/* Fails twice, a second apart, then succeeds. */
static void
third_time_lucky(uint8_t n)
{
    accept(n);
    for (uint32_t attempt = 1; attempt <= 3; attempt++) {
        start(n, attempt);
        now_ms += 100;
        if (attempt < 3) {
            lose(n, attempt);
            now_ms += 1000;
        }
    }
    add((struct record){
        .type = EVENT_ATTEMPT_SUCCEEDED, .job = id_of(n), .attempt = 3});
    end(n, EVENT_JOB_SUCCEEDED, RULE_SUCCEEDED);
}

static void
run(enum replay_beyond beyond)
{
    assert_true(world_run(&history, &policy, 10, beyond, replayed));
    figures_of_record(&history, recorded);
}

/* ---- Attempts and outcomes --------------------------------------------- */

static void
the_same_policy_gives_the_same_story(void **state)
{
    (void)state;
    third_time_lucky(1);
    policy.fallback.retry.backoff_multiplier = 1.0;
    run(BEYOND_REPEATS);
    assert_int_equal(replayed[0].state, JOB_SUCCEEDED);
    assert_int_equal(replayed[0].attempts, 3);
    assert_int_equal(replayed[0].beyond, 0);
    assert_int_equal(replayed[0].ended_ms, 2300);
    assert_int_equal(replayed[0].busy_ms, 300);
    assert_int_equal(recorded[0].state, JOB_SUCCEEDED);
    assert_int_equal(recorded[0].attempts, 3);
    assert_int_equal(recorded[0].busy_ms, 300);
}

static void
fewer_attempts_end_a_job_that_had_succeeded(void **state)
{
    (void)state;
    third_time_lucky(1);
    policy.fallback.retry.max_attempts = 2;
    run(BEYOND_REPEATS);
    assert_int_equal(replayed[0].state, JOB_FAILED);
    assert_int_equal(replayed[0].rule, RULE_ATTEMPTS_EXHAUSTED);
    assert_int_equal(replayed[0].attempts, 2);
    assert_int_equal(replayed[0].beyond, 0);
}

static void
attempts_beyond_the_record_repeat_the_last_outcome(void **state)
{
    (void)state;
    one_attempt_that_failed(1);
    run(BEYOND_REPEATS);
    assert_int_equal(recorded[0].attempts, 1);
    assert_int_equal(replayed[0].state, JOB_FAILED);
    assert_int_equal(replayed[0].attempts, 3);
    assert_int_equal(replayed[0].beyond, 2);
    assert_int_equal(replayed[0].busy_ms, 300);
    assert_int_equal(replayed[0].ended_ms, 3300);
}

static void
or_they_all_succeed(void **state)
{
    (void)state;
    one_attempt_that_failed(1);
    run(BEYOND_SUCCEEDS);
    assert_int_equal(replayed[0].state, JOB_SUCCEEDED);
    assert_int_equal(replayed[0].attempts, 2);
    assert_int_equal(replayed[0].beyond, 1);
    assert_int_equal(replayed[0].ended_ms, 1200);
}

static void
a_shorter_time_limit_cuts_what_took_longer(void **state)
{
    (void)state;
    third_time_lucky(1);
    policy.fallback.attempt_timeout_ms = 60;
    run(BEYOND_REPEATS);
    assert_int_equal(replayed[0].state, JOB_FAILED);
    assert_int_equal(replayed[0].busy_ms, 180);
}

static void
a_pushback_of_the_past_is_kept(void **state)
{
    (void)state;
    accept(1);
    start(1, 1);
    add((struct record){.type = EVENT_ATTEMPT_FAILED,
                        .job = id_of(1),
                        .attempt = 1,
                        .code = REDIAL_UNAVAILABLE,
                        .charged = true,
                        .has_pushback = true,
                        .pushback_ms = 7000});
    run(BEYOND_SUCCEEDS);
    assert_int_equal(replayed[0].state, JOB_SUCCEEDED);
    assert_int_equal(replayed[0].ended_ms, 7000);
}

/* ---- Around them ------------------------------------------------------- */

static void
a_cancel_comes_when_it_came(void **state)
{
    (void)state;
    accept(1);
    start(1, 1);
    now_ms += 100;
    lose(1, 1);
    now_ms += 400;
    end(1, EVENT_JOB_CANCELLED, RULE_CANCELLED);
    run(BEYOND_REPEATS);
    assert_int_equal(replayed[0].state, JOB_CANCELLED);
    assert_int_equal(replayed[0].ended_ms, 500);
    assert_int_equal(replayed[0].attempts, 1);
}

/* How it would have ended nobody knows: only that it had not, by then. */
static void
an_attempt_that_was_cancelled_runs_until_then(void **state)
{
    (void)state;
    one_attempt_that_failed(2); /* the newest one of the method */
    now_ms = 1000;
    accept(1);
    start(1, 1);
    now_ms += 500;
    end(1, EVENT_JOB_CANCELLED, RULE_CANCELLED);
    run(BEYOND_SUCCEEDS);
    assert_int_equal(replayed[1].state, JOB_CANCELLED);
    assert_int_equal(replayed[1].ended_ms, 1500);
    assert_int_equal(replayed[1].attempts, 1);
    assert_int_equal(replayed[1].beyond, 0);
    assert_int_equal(replayed[1].busy_ms, 500);
}

static void
workers_have_the_room_that_they_were_seen_to_use(void **state)
{
    (void)state;
    for (uint8_t n = 1; n <= 2; n++) {
        accept(n);
    }
    for (uint8_t n = 1; n <= 2; n++) {
        start(n, 1);
        now_ms += 1000;
        add((struct record){
            .type = EVENT_ATTEMPT_SUCCEEDED, .job = id_of(n), .attempt = 1});
        end(n, EVENT_JOB_SUCCEEDED, RULE_SUCCEEDED);
    }
    assert_int_equal(history.worker_count, 1);
    assert_int_equal(history.workers[0].concurrency, 1);
    run(BEYOND_REPEATS);
    assert_int_equal(replayed[0].ended_ms, 1000);
    assert_int_equal(replayed[1].ended_ms, 2000);
}

static void
free_attempts_do_not_count(void **state)
{
    (void)state;
    accept(1);
    start(1, 1);
    add((struct record){.type = EVENT_ATTEMPT_FAILED,
                        .job = id_of(1),
                        .attempt = 1,
                        .code = REDIAL_UNAVAILABLE,
                        .reason = text_of("NOT_STARTED")});
    start(1, 2);
    add((struct record){
        .type = EVENT_ATTEMPT_SUCCEEDED, .job = id_of(1), .attempt = 2});
    end(1, EVENT_JOB_SUCCEEDED, RULE_SUCCEEDED);
    run(BEYOND_REPEATS);
    assert_int_equal(recorded[0].attempts, 1);
    assert_int_equal(replayed[0].attempts, 1);
    assert_int_equal(replayed[0].beyond, 0);
    assert_int_equal(history.jobs[0].attempts_free, 1);
}

static void
jobs_whose_beginning_is_gone_are_left_out(void **state)
{
    (void)state;
    start(1, 1);
    end(1, EVENT_JOB_SUCCEEDED, RULE_SUCCEEDED);
    one_attempt_that_failed(2);
    assert_int_equal(history.job_count, 1);
    assert_int_equal(history.headless, 2);
}

static void
a_job_that_no_worker_ever_ran_stays_open(void **state)
{
    struct figures figures;
    int64_t scratch[JOBS_MAX];

    (void)state;
    accept(1);
    run(BEYOND_REPEATS);
    figures_sum(&history, replayed, HISTORY_NONE, scratch, &figures);
    assert_int_equal(figures.jobs, 1);
    assert_int_equal(figures.open, 1);
    assert_int_equal(figures.p50_ms, -1);
}

static void
figures_add_up(void **state)
{
    struct figures figures;
    int64_t scratch[JOBS_MAX];

    (void)state;
    third_time_lucky(1);
    one_attempt_that_failed(2);
    run(BEYOND_REPEATS);
    figures_sum(&history, recorded, HISTORY_NONE, scratch, &figures);
    assert_int_equal(figures.jobs, 2);
    assert_int_equal(figures.attempts, 4);
    assert_int_equal(figures.by_state[JOB_SUCCEEDED], 1);
    assert_int_equal(figures.by_state[JOB_FAILED], 1);
    assert_int_equal(figures.rules[RULE_ATTEMPTS_EXHAUSTED], 1);
    assert_int_equal(figures.busy_ms, 400);
    assert_int_equal(figures.wait_ms, 2000);
    assert_int_equal(figures.p50_ms, 100);
    assert_int_equal(figures.longest_ms, 2300);
}

/* ---- The program's mode ------------------------------------------------ */

static void
put_frame(FILE *in, const struct bytes *frame)
{
    uint8_t head[4] = {(uint8_t)(frame->len >> 24), (uint8_t)(frame->len >> 16),
                       (uint8_t)(frame->len >> 8), (uint8_t)frame->len};

    assert_int_equal(fwrite(head, 1, 4, in), 4);
    assert_int_equal(fwrite(frame->at, 1, frame->len, in), frame->len);
}

/* Packs one event as Watch does. */
static void
pack(struct bytes *frame, struct record record)
{
    static struct scratch scratch;
    struct codec_source source = {.epoch = "e", .gateway = "g"};

    record.seq = ++seq;
    record.job_seq = seq;
    record.wall_ms = 1700000000000 + now_ms;
    record.service = text_of("s");
    record.method = text_of("m");
    record.job = id_of(1);
    codec_put_event(frame, 1, &source, &record, &scratch);
}

static char *
report_of(FILE *in, bool json, enum replay_result expected)
{
    struct replay_options options = {.policy = &policy,
                                     .policy_name = "new.json",
                                     .attempts_limit = 10,
                                     .json = json};
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    FILE *errors = tmpfile();

    assert_non_null(out);
    assert_non_null(errors);
    rewind(in);
    assert_int_equal(replay_run(&options, in, out, errors), expected);
    (void)fclose(out);
    (void)fclose(errors);
    (void)fclose(in);
    return text;
}

static FILE *
story(void)
{
    FILE *in = tmpfile();
    struct bytes frame;

    assert_non_null(in);
    bytes_init(&frame, 65536);
    pack(&frame, (struct record){.type = EVENT_JOB_ACCEPTED, .priority = 5});
    pack(&frame, (struct record){.type = EVENT_ATTEMPT_STARTED,
                                 .attempt = 1,
                                 .worker = text_of("w/1")});
    now_ms += 100;
    put_frame(in, &frame);
    bytes_clear(&frame);
    pack(&frame, (struct record){.type = EVENT_ATTEMPT_FAILED,
                                 .attempt = 1,
                                 .code = REDIAL_UNAVAILABLE,
                                 .charged = true});
    pack(&frame,
         (struct record){.type = EVENT_JOB_FAILED,
                         .decision = {.rule = RULE_ATTEMPTS_EXHAUSTED}});
    put_frame(in, &frame);
    bytes_fini(&frame);
    return in;
}

static void
packed_events_become_a_page(void **state)
{
    (void)state;
    char *text = report_of(story(), false, REPLAY_DONE);

    assert_non_null(strstr(text, "with new.json"));
    assert_non_null(
        strstr(text, "attempts                                1            3"));
    assert_null(strstr(text, "would have ended otherwise"));
    free(text);
}

static void
packed_events_become_json(void **state)
{
    (void)state;
    char *text = report_of(story(), true, REPLAY_DONE);

    assert_non_null(strstr(text, "\"attemptsBeyondRecord\": 2"));
    assert_non_null(strstr(text, "\"ATTEMPTS_EXHAUSTED\": 1"));
    assert_non_null(strstr(text, "\"service\": \"s\""));
    free(text);
}

static void
broken_frames_are_refused(void **state)
{
    static const char *const inputs[] = {
        "\0\0",        /* half a length */
        "\0\0\0\5abc", /* shorter than it says */
        "\1\0\0\1x",   /* longer than allowed */
        "\0\0\0\4\377\377\377\377",
    };
    static const size_t lens[] = {2, 7, 5, 8};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        FILE *in = tmpfile();

        assert_non_null(in);
        assert_int_equal(fwrite(inputs[i], 1, lens[i], in), lens[i]);
        free(report_of(in, false, REPLAY_BAD_INPUT));
    }
}

static void
no_events_are_an_empty_page(void **state)
{
    (void)state;
    FILE *in = tmpfile();

    assert_non_null(in);
    char *text = report_of(in, true, REPLAY_DONE);

    assert_non_null(strstr(text, "\"jobs\": 0"));
    free(text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_same_policy_gives_the_same_story),
        TEST(fewer_attempts_end_a_job_that_had_succeeded),
        TEST(attempts_beyond_the_record_repeat_the_last_outcome),
        TEST(or_they_all_succeed),
        TEST(a_shorter_time_limit_cuts_what_took_longer),
        TEST(a_pushback_of_the_past_is_kept),
        TEST(a_cancel_comes_when_it_came),
        TEST(an_attempt_that_was_cancelled_runs_until_then),
        TEST(workers_have_the_room_that_they_were_seen_to_use),
        TEST(free_attempts_do_not_count),
        TEST(jobs_whose_beginning_is_gone_are_left_out),
        TEST(a_job_that_no_worker_ever_ran_stays_open),
        TEST(figures_add_up),
        TEST(packed_events_become_a_page),
        TEST(packed_events_become_json),
        TEST(broken_frames_are_refused),
        TEST(no_events_are_an_empty_page),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
