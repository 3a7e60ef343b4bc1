/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 10,000 jobs, 1 % of which fail for good, half of those because they must not
 * be retried and half because their attempts are used up. Afterwards the books
 * of the agent, of the worker and of the event stream agree.
 */
#include "tests/e2e/harness/harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
    JOBS = 10000,
    BATCH = 500,
    ATTEMPTS = 3,
};

static const char correlation[] = "volume";

static struct test_gateway gateway;
static struct script worker;
static redial_client *client;

static int
start(void **state)
{
    (void)state;
    gateway_setup(&gateway);
    gateway_run(&gateway);
    script_open(&worker, &gateway, 64);
    client = client_of(&gateway);
    return 0;
}

static int
stop(void **state)
{
    (void)state;
    redial_client_close(client);
    script_close(&worker);
    assert_int_equal(gateway_terminate(&gateway), 0);
    gateway_teardown(&gateway);
    return 0;
}

static const char *
payload_of(size_t number)
{
    if (number % 200 == 0) {
        return "fail 9 INVALID_ARGUMENT BAD";
    }
    return number % 200 == 100 ? "fail 9 UNAVAILABLE BUSY 0" : "ok";
}

static void
submit_all(char (*ids)[REDIAL_NAME_BYTES])
{
    struct redial_job jobs[BATCH];
    static struct redial_submitted submitted[BATCH];
    struct redial_error error = {.text = ""};

    for (size_t at = 0; at < JOBS; at += BATCH) {
        for (size_t i = 0; i < BATCH; i++) {
            jobs[i] = job_of(payload_of(at + i));
            jobs[i].correlation_id = correlation;
        }
        assert_int_equal(redial_submit_many(client, jobs, BATCH, patience(),
                                            submitted, &error),
                         REDIAL_OK);
        for (size_t i = 0; i < BATCH; i++) {
            assert_int_equal(submitted[i].error.status, REDIAL_OK);
            memcpy(ids[at + i], submitted[i].id, REDIAL_NAME_BYTES);
        }
    }
}

struct books {
    size_t succeeded;
    size_t not_retryable;
    size_t exhausted;
    size_t attempts;
};

static void
collect(char (*ids)[REDIAL_NAME_BYTES], struct books *books)
{
    const char *names[BATCH];
    struct redial_await what = {
        .struct_size = sizeof(what),
        .ids = names,
        .id_count = BATCH,
        .all = true,
    };
    struct redial_job_list *list = NULL;
    struct redial_error error = {.text = ""};

    for (size_t at = 0; at < JOBS; at += BATCH) {
        for (size_t i = 0; i < BATCH; i++) {
            names[i] = ids[at + i];
        }
        assert_int_equal(redial_await(client, &what, patience(), &list, &error),
                         REDIAL_OK);
        assert_int_equal(list->count, BATCH);
        for (size_t i = 0; i < BATCH; i++) {
            const struct redial_job_info *job = &list->jobs[i];

            books->attempts += job->attempts_charged;
            if (job->state == REDIAL_JOB_SUCCEEDED) {
                books->succeeded++;
            } else if (strcmp(job->decision->rule, "NON_RETRYABLE_CODE") == 0) {
                books->not_retryable++;
            } else if (strcmp(job->decision->rule, "ATTEMPTS_EXHAUSTED") == 0) {
                books->exhausted++;
            }
        }
        redial_job_list_free(list);
    }
}

struct stream {
    size_t accepted;
    size_t started;
    size_t finals;
};

static void
read_stream(struct stream *stream)
{
    struct redial_filter filter = {
        .struct_size = sizeof(filter),
        .correlation_id = correlation,
    };
    redial_watch *watch = NULL;
    const struct redial_event *event = NULL;
    struct redial_error error = {.text = ""};

    assert_int_equal(
        redial_watch_open(client, &filter, "start", patience(), &watch, &error),
        REDIAL_OK);
    while (stream->finals < JOBS) {
        assert_int_equal(redial_watch_next(watch, patience(), &event, &error),
                         REDIAL_OK);
        assert_string_not_equal(event->type, "stream.gap");
        stream->accepted += strcmp(event->type, "job.accepted") == 0;
        stream->started += strcmp(event->type, "attempt.started") == 0;
        stream->finals += strcmp(event->type, "job.succeeded") == 0 ||
                          strcmp(event->type, "job.failed") == 0;
    }
    redial_watch_close(watch);
}

static void
ten_thousand_jobs_finish_and_the_books_balance(void **state)
{
    char(*ids)[REDIAL_NAME_BYTES] = calloc(JOBS, sizeof(*ids));
    struct books books = {0};
    struct stream stream = {0};

    (void)state;
    submit_all(ids);
    collect(ids, &books);
    read_stream(&stream);
    assert_int_equal(books.succeeded, JOBS - JOBS / 100);
    assert_int_equal(books.not_retryable, JOBS / 200);
    assert_int_equal(books.exhausted, JOBS / 200);
    assert_int_equal(books.attempts, JOBS - JOBS / 200 + JOBS / 200 * ATTEMPTS);
    assert_int_equal(worker.started, books.attempts);
    assert_int_equal(stream.accepted, JOBS);
    assert_int_equal(stream.started, books.attempts);
    free(ids);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_thousand_jobs_finish_and_the_books_balance),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
