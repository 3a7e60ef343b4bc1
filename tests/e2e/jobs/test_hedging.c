/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hedged jobs with a real gateway and workers of libredial: the first result
 * wins, the other attempt is stopped, and what it says later is late.
 */
#include "tests/e2e/harness/harness.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* A worker whose one attempt does what the test says, when it says so. */
struct hand {
    redial_worker *worker;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    redial_attempt *attempt; /* in hand, or NULL */
    bool stopped;            /* it was told to stop */
};

static struct test_gateway gateway;
static redial_client *client;
static struct hand first;
static struct hand second;
static char config_path[128];

/* ---- Workers ----------------------------------------------------------- */

static void
take(void *ctx, redial_attempt *attempt)
{
    struct hand *hand = ctx;

    pthread_mutex_lock(&hand->lock);
    hand->attempt = attempt;
    hand->stopped = false;
    pthread_cond_broadcast(&hand->changed);
    pthread_mutex_unlock(&hand->lock);
}

static void
note_stop(void *ctx, redial_attempt *attempt)
{
    struct hand *hand = ctx;

    pthread_mutex_lock(&hand->lock);
    hand->stopped = hand->attempt == attempt;
    pthread_cond_broadcast(&hand->changed);
    pthread_mutex_unlock(&hand->lock);
}

static void
hand_open(struct hand *hand, const char *name)
{
    struct redial_worker_method method = {
        .service = "hedged",
        .handler = take,
        .cancel = note_stop,
        .ctx = hand,
        .is_async = true,
        .concurrency = 1,
    };
    struct redial_worker_options options = {
        .struct_size = sizeof(options),
        .connection.addresses = gateway.workers,
        .name = name,
        .methods = &method,
        .method_count = 1,
    };
    struct redial_error error = {.text = ""};

    memset(hand, 0, sizeof(*hand));
    pthread_mutex_init(&hand->lock, NULL);
    pthread_cond_init(&hand->changed, NULL);
    assert_int_equal(redial_worker_open(&options, &hand->worker, &error),
                     REDIAL_OK);
    assert_int_equal(redial_worker_wait_ready(hand->worker, patience(), &error),
                     REDIAL_OK);
}

/* Until an attempt is in hand, or (stopped) until it was told to stop. */
static void
hand_wait(struct hand *hand, bool stopped)
{
    struct timespec until;
    int failed = 0;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_MS / 1000;
    pthread_mutex_lock(&hand->lock);
    while ((stopped ? !hand->stopped : hand->attempt == NULL) && failed == 0) {
        failed = pthread_cond_timedwait(&hand->changed, &hand->lock, &until);
    }
    pthread_mutex_unlock(&hand->lock);
    assert_int_equal(failed, 0);
}

static void
hand_succeed(struct hand *hand, const char *result)
{
    struct redial_outcome outcome = {
        .result = result,
        .result_bytes = strlen(result),
    };
    redial_attempt *attempt;

    pthread_mutex_lock(&hand->lock);
    attempt = hand->attempt;
    hand->attempt = NULL;
    pthread_mutex_unlock(&hand->lock);
    assert_non_null(attempt);
    redial_attempt_complete(attempt, &outcome, 0);
}

static void
hand_close(struct hand *hand)
{
    if (hand->attempt != NULL) {
        hand_succeed(hand, "at last");
    }
    redial_worker_close(hand->worker);
    pthread_cond_destroy(&hand->changed);
    pthread_mutex_destroy(&hand->lock);
}

/* ---- The gateway ------------------------------------------------------- */

static int
start(void **state)
{
    static const char config[] =
        "{\"methodConfig\":[{\"name\":[{\"service\":\"hedged\"}],"
        "\"idempotent\":true,\"hedgingPolicy\":{\"maxAttempts\":2,"
        "\"hedgingDelay\":\"0.2s\","
        "\"nonFatalStatusCodes\":[\"UNAVAILABLE\"]}}]}";

    (void)state;
    gateway_setup(&gateway);
    snprintf(config_path, sizeof(config_path), "%s/redial.json", gateway.dir);
    int fd = open(config_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0 ||
        write(fd, config, strlen(config)) != (ssize_t)strlen(config) ||
        close(fd) != 0) {
        return -1;
    }
    gateway.config = config_path;
    gateway_run(&gateway);
    client = client_of(&gateway);
    return 0;
}

static int
stop(void **state)
{
    (void)state;
    redial_client_close(client);
    gateway_teardown(&gateway);
    return 0;
}

/* The first attempt is in the first hand, and its hedge in the second. */
static struct redial_submitted
run_twice(void)
{
    struct redial_job job = {
        .struct_size = sizeof(job),
        .service = "hedged",
        .method = "Ask",
    };
    struct redial_submitted submitted;

    hand_open(&first, "first");
    submitted = submit_job(client, &job);
    hand_wait(&first, false);
    hand_open(&second, "second");
    hand_wait(&second, false);
    return submitted;
}

static struct redial_job_info *
get(const char *id)
{
    struct redial_job_info *info = NULL;
    struct redial_error error = {.text = ""};

    assert_int_equal(redial_get(client, (struct redial_job_ref){.id = id},
                                patience(), &info, &error),
                     REDIAL_OK);
    return info;
}

static void
expect_result(const struct redial_job_info *info, const char *result)
{
    assert_int_equal(info->state, REDIAL_JOB_SUCCEEDED);
    assert_int_equal(info->outcome->result_bytes, strlen(result));
    assert_memory_equal(info->outcome->result, result, strlen(result));
}

/* ---- Tests ------------------------------------------------------------- */

static void
the_hedge_wins_and_the_slow_one_is_stopped_and_late(void **state)
{
    (void)state;
    struct redial_submitted submitted = run_twice();

    hand_succeed(&second, "quick");
    struct redial_job_info *info = final_of(client, submitted.id);

    expect_result(info, "quick");
    redial_job_info_free(info);
    hand_wait(&first, true);
    hand_succeed(&first, "slow");
    wait_for_event(client, submitted.id, "attempt.late");
    info = get(submitted.id);
    expect_result(info, "quick");
    assert_int_equal(info->attempt_count, 2);
    assert_int_equal(info->attempts_charged, 1);
    assert_string_equal(info->attempts[0].state, "FAILED");
    assert_int_equal(info->attempts[0].outcome->code, REDIAL_CANCELLED);
    assert_string_equal(info->attempts[0].outcome->reason, "HEDGE_LOST");
    assert_false(info->attempts[0].charged);
    assert_non_null(strstr(info->attempts[0].worker, "first"));
    assert_string_equal(info->attempts[1].state, "SUCCEEDED");
    assert_true(info->attempts[1].charged);
    assert_non_null(strstr(info->attempts[1].worker, "second"));
    redial_job_info_free(info);
    hand_close(&first);
    hand_close(&second);
}

static void
both_are_shown_while_they_run_and_cancel_stops_both(void **state)
{
    (void)state;
    struct redial_submitted submitted = run_twice();
    struct redial_job_info *info = get(submitted.id);
    struct redial_cancelled cancelled;
    struct redial_error error;

    assert_int_equal(info->state, REDIAL_JOB_RUNNING);
    assert_int_equal(info->attempt_count, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_string_equal(info->attempts[i].state, "RUNNING");
        assert_int_equal(info->attempts[i].number, i + 1);
    }
    assert_true(info->attempts[1].started_wall_ms -
                    info->attempts[0].started_wall_ms >=
                190); /* two clocks, each cut to milliseconds */
    redial_job_info_free(info);
    assert_int_equal(
        redial_cancel(client, (struct redial_job_ref){.id = submitted.id},
                      "not wanted", patience(), &cancelled, &error),
        REDIAL_OK);
    assert_true(cancelled.cancelled);
    hand_wait(&first, true);
    hand_wait(&second, true);
    hand_close(&first);
    hand_close(&second);
    info = get(submitted.id);
    assert_int_equal(info->state, REDIAL_JOB_CANCELLED);
    redial_job_info_free(info);
}

static void
both_outlive_a_gateway_that_is_killed(void **state)
{
    (void)state;
    struct redial_submitted submitted = run_twice();

    gateway_kill(&gateway);
    gateway_run(&gateway);
    struct redial_job_info *info = get(submitted.id);

    assert_int_equal(info->state, REDIAL_JOB_RUNNING);
    assert_int_equal(info->attempt_count, 2);
    redial_job_info_free(info);
    hand_succeed(&first, "after all");
    info = final_of(client, submitted.id);
    expect_result(info, "after all");
    assert_int_equal(info->attempt_count, 2);
    assert_string_equal(info->attempts[0].state, "SUCCEEDED");
    assert_string_equal(info->attempts[1].outcome->reason, "HEDGE_LOST");
    redial_job_info_free(info);
    hand_wait(&second, true);
    hand_close(&first);
    hand_close(&second);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_hedge_wins_and_the_slow_one_is_stopped_and_late),
        cmocka_unit_test(both_are_shown_while_they_run_and_cancel_stops_both),
        cmocka_unit_test(both_outlive_a_gateway_that_is_killed),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
