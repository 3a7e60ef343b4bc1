/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many threads on one client, against a gateway that answers by itself. With
 * the argument "rate" it also prints what a longer run measures.
 */
#include "client/clock.h"
#include "proto/check.h"
#include "tests/unit/client/support.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { THREADS = 8 };

static size_t calls_each = 200;

struct rig {
    struct peer *peer;
    redial_client *client;
    atomic_size_t submits; /* messages */
    atomic_size_t jobs;
    atomic_size_t awaits;
};

/* Accepts everything; all that is awaited is final. Lone calls, too. */
static bool
answer_all(void *ctx, struct peer_request *request)
{
    struct rig *rig = ctx;

    if (strcmp(request->method->name, "Submit") == 0) {
        atomic_fetch_add(&rig->submits, 1);
        atomic_fetch_add(&rig->jobs, submit_of(request)->n_jobs);
        accept_jobs(request);
        return true;
    }
    if (strcmp(request->method->name, "Await") == 0) {
        atomic_fetch_add(&rig->awaits, 1);
        answer_await(request, await_of(request)->ids, await_of(request)->n_ids);
        return true;
    }
    return false;
}

static int
set_up(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));

    WIRE_CHECK(rig != NULL);
    rig->peer = peer_new(NULL);
    peer_handle(rig->peer, answer_all, rig);
    peer_start(rig->peer);
    rig->client = open_client(peer_url(rig->peer));
    *state = rig;
    return 0;
}

static int
tear_down(void **state)
{
    struct rig *rig = *state;

    redial_client_close(rig->client);
    peer_free(rig->peer);
    free(rig);
    return 0;
}

struct worker {
    struct rig *rig;
    struct background *thread;
    size_t good;
    struct collector *collector;
};

static void
submit_many_times(void *arg)
{
    struct worker *self = arg;
    struct redial_job job = test_job();

    for (size_t i = 0; i < calls_each; i++) {
        struct redial_submitted submitted;

        self->good += redial_submit(self->rig->client, &job,
                                    redial_in_ms(30000), &submitted,
                                    NULL) == REDIAL_OK
                          ? 1
                          : 0;
    }
}

static void
call_many_times(void *arg)
{
    struct worker *self = arg;
    struct redial_job job = test_job();

    for (size_t i = 0; i < calls_each; i++) {
        struct redial_job_info *info = NULL;

        if (redial_call(self->rig->client, &job, redial_in_ms(30000), &info,
                        NULL) == REDIAL_OK) {
            self->good += info->state == REDIAL_JOB_SUCCEEDED ? 1 : 0;
            redial_job_info_free(info);
        }
    }
}

static void
submit_without_waiting(void *arg)
{
    struct worker *self = arg;
    struct redial_job job = test_job();
    char payload[256] = {0};

    job.payload = payload;
    job.payload_bytes = sizeof(payload);
    for (size_t i = 0; i < calls_each;) {
        if (redial_submit_async(self->rig->client, &job, redial_in_ms(30000),
                                collect, self->collector, NULL) == REDIAL_OK) {
            i++;
        }
    }
}

static size_t
run_all(struct rig *rig, void (*run)(void *arg), struct collector *collector)
{
    struct worker workers[THREADS];
    size_t good = 0;

    for (size_t i = 0; i < THREADS; i++) {
        struct worker worker = {.rig = rig, .collector = collector};

        workers[i] = worker;
        workers[i].thread = background(run, &workers[i]);
    }
    for (size_t i = 0; i < THREADS; i++) {
        join(workers[i].thread);
        good += workers[i].good;
    }
    return good;
}

static void
eight_threads_submit(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(run_all(rig, submit_many_times, NULL),
                     THREADS * calls_each);
    assert_int_equal(rig->jobs, THREADS * calls_each);
    assert_true(rig->submits <= rig->jobs);
}

static void
eight_threads_call(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(run_all(rig, call_many_times, NULL), THREADS * calls_each);
    assert_int_equal(rig->jobs, THREADS * calls_each);
}

static void
eight_threads_submit_without_waiting(void **state)
{
    struct rig *rig = *state;
    struct collector collector;

    collector_init(&collector);
    (void)run_all(rig, submit_without_waiting, &collector);
    assert_true(collector_wait(&collector, THREADS * calls_each));
    assert_int_equal(collector.ok, THREADS * calls_each);
    collector_fini(&collector);
}

/* Cuts the connection again and again while others work. */
static void
restart_many_times(void *arg)
{
    struct rig *rig = arg;

    for (size_t seen = 0; seen < THREADS * calls_each;) {
        size_t now = rig->jobs;

        if (now >= seen + THREADS * calls_each / 8) {
            peer_stop(rig->peer);
            peer_start(rig->peer);
            seen = now;
        } else if (now >= THREADS * calls_each) {
            return;
        }
        (void)sched_yield();
    }
}

static void
all_calls_succeed_though_the_gateway_restarts(void **state)
{
    struct rig *rig = *state;
    struct background *saboteur = background(restart_many_times, rig);

    assert_int_equal(run_all(rig, call_many_times, NULL), THREADS * calls_each);
    join(saboteur);
    assert_true(rig->jobs >= THREADS * calls_each); /* some twice */
}

/* ---- measuring ---- */

static double
seconds_since(int64_t start)
{
    return (double)(redial_i_now() - start) / 1e9;
}

static void
print_rate(struct rig *rig, const char *what, int64_t start)
{
    double seconds = seconds_since(start);

    print_message("%-28s %9.0f jobs/s, %6.1f jobs per Submit\n", what,
                  (double)rig->jobs / seconds,
                  (double)rig->jobs / (double)rig->submits);
    rig->jobs = 0;
    rig->submits = 0;
}

static void
measure(void **state)
{
    struct rig *rig = *state;
    struct collector collector;
    int64_t start;

    calls_each = 20000;
    collector_init(&collector);
    start = redial_i_now();
    (void)run_all(rig, submit_many_times, NULL);
    print_rate(rig, "8 threads, submit", start);
    start = redial_i_now();
    (void)run_all(rig, call_many_times, NULL);
    print_rate(rig, "8 threads, call", start);
    calls_each = 100000;
    start = redial_i_now();
    (void)run_all(rig, submit_without_waiting, &collector);
    assert_true(collector_wait(&collector, THREADS * calls_each));
    print_rate(rig, "8 threads, submit_async", start);
    collector_fini(&collector);
}

#define TEST(function) \
    cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(eight_threads_submit),
        TEST(eight_threads_call),
        TEST(eight_threads_submit_without_waiting),
        TEST(all_calls_succeed_though_the_gateway_restarts),
    };
    const struct CMUnitTest measurements[] = {TEST(measure)};

    if (argc > 1 && strcmp(argv[1], "rate") == 0) {
        return cmocka_run_group_tests(measurements, NULL, NULL);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
