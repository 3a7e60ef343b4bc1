/* SPDX-License-Identifier: Apache-2.0 */
/* Which worker gets an attempt, with one, two, seventeen and a thousand. */
#include "server/base/rng.h"
#include "tests/unit/core/books.h"
#include "tests/unit/core/rig.h"

#include <stdio.h>
#include <string.h>

enum { WORKERS_MAX = 1000, PLACES = 16 };

static uint64_t workers[WORKERS_MAX];
static uint32_t in_hand[WORKERS_MAX];

static void
make_workers(uint32_t count, uint32_t places)
{
    char instance[16];

    rig.limits.workers_max = count;
    rig.limits.jobs_max = 4000;
    rig.limits.attempts_max = 4000;
    rig_restart_empty();
    memset(in_hand, 0, sizeof(in_hand));
    for (uint32_t i = 0; i < count; i++) {
        snprintf(instance, sizeof(instance), "%u", i);
        workers[i] = rig_hello("w", instance, places);
        rig_poll_acks(workers[i], places, NULL, 0);
    }
    rig_seen();
}

static uint32_t
index_of(uint64_t worker, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (workers[i] == worker) {
            return i;
        }
    }
    fail_msg("an unknown worker");
    return 0;
}

static uint32_t
most(uint32_t count)
{
    uint32_t found = 0;

    for (uint32_t i = 0; i < count; i++) {
        found = in_hand[i] > found ? in_hand[i] : found;
    }
    return found;
}

static uint32_t
least(uint32_t count)
{
    uint32_t found = UINT32_MAX;

    for (uint32_t i = 0; i < count; i++) {
        found = in_hand[i] < found ? in_hand[i] : found;
    }
    return found;
}

/* Starts job n; counts it for its worker. */
static void
start(uint32_t n, uint32_t count)
{
    uint32_t before = rig.assigned_count;

    assert_int_equal(rig_submit(n)->status, REDIAL_OK);
    assert_int_equal(rig.assigned_count, before + 1);
    in_hand[index_of(rig.assigned[before].worker, count)]++;
}

static void
load_spreads_evenly_over_any_number_of_workers(void **state)
{
    static const uint32_t counts[] = {1, 2, 17, 1000};

    (void)state;
    for (uint32_t c = 0; c < 4; c++) {
        uint32_t count = counts[c];
        uint32_t jobs = count * 3 < 3000 ? count * 3 : 3000;

        make_workers(count, PLACES);
        for (uint32_t n = 1; n <= jobs; n++) {
            start(n, count);
        }
        assert_int_equal(most(count), 3);
        assert_int_equal(least(count), 3);
        books_check(rig.engine);
    }
}

/* Ends an attempt at random; slow workers end one in ten of theirs. */
static void
end_one(struct rng *rng, uint32_t count, uint32_t slow)
{
    for (;;) {
        uint32_t at = (uint32_t)rng_below(rng, rig.assigned_count);
        struct rig_assigned *assigned = &rig.assigned[at];

        if (assigned->worker == 0) {
            continue;
        }
        uint32_t index = index_of(assigned->worker, count);

        if (index < slow && rng_below(rng, 10) > 0) {
            continue;
        }
        rig_succeed(assigned->worker, assigned->token);
        in_hand[index]--;
        assigned->worker = 0;
        return;
    }
}

/*
 * Half of the workers are slow and stand side by side in the lists. However the
 * rest is loaded, nobody gets an attempt while another with credit has less to
 * do by more than one class: what the better of two cannot promise.
 */
static void
slow_workers_do_not_hide_idle_ones(void **state)
{
    enum { COUNT = 200, SLOW = 100, RUNNING = 800 };
    struct rng rng;
    uint32_t next = 1;

    (void)state;
    rng_init(&rng, 1);
    make_workers(COUNT, PLACES);
    while (next <= RUNNING) {
        start(next++, COUNT);
    }
    for (uint32_t i = 0; i < 2500; i++) {
        end_one(&rng, COUNT, SLOW);
        uint32_t before = least(COUNT);

        rig_submit(next++);
        uint32_t at = rig.assigned_count - 1;
        uint32_t chosen = index_of(rig.assigned[at].worker, COUNT);

        assert_true(in_hand[chosen] < before + PLACES / 8);
        in_hand[chosen]++;
    }
    books_check(rig.engine);
}

static void
a_failing_worker_gets_less(void **state)
{
    enum { COUNT = 17 };

    (void)state;
    rig_fallback()->retry.retryable_codes = 0;
    make_workers(COUNT, PLACES);
    for (uint32_t n = 1; n <= 3 * COUNT; n++) {
        rig_seen();
        rig_submit(n);
        uint32_t index = index_of(rig.assigned[0].worker, COUNT);

        if (index == 5) {
            rig_fail(workers[5], rig_token(0), REDIAL_INTERNAL, "BROKEN");
        } else {
            rig_succeed(workers[index], rig_token(0));
        }
    }
    rig_seen();
    for (uint32_t n = 101; n <= 100 + 2 * COUNT; n++) {
        start(n, COUNT);
    }
    assert_true(in_hand[5] < 2);
    assert_true(most(COUNT) <= 3);
    books_check(rig.engine);
}

static void
a_retry_goes_elsewhere_when_it_can(void **state)
{
    static const uint32_t counts[] = {1, 2, 17, 1000};

    (void)state;
    rig_fallback()->retry.max_attempts = 10;
    for (uint32_t c = 0; c < 4; c++) {
        make_workers(counts[c], PLACES);
        rig_submit(1);
        uint64_t last = rig.assigned[0].worker;

        rig.report.has_pushback = true;
        for (uint32_t i = 1; i < 6; i++) {
            rig_fail(last, rig_token_of(1), REDIAL_UNAVAILABLE, "DOWN");
            assert_int_equal(rig.assigned_count, i + 1);
            uint64_t next = rig.assigned[i].worker;

            assert_int_equal(next == last, counts[c] == 1);
            last = next;
        }
    }
}

static void
a_retry_goes_elsewhere_even_if_all_others_are_busier(void **state)
{
    enum { COUNT = 17 };

    (void)state;
    make_workers(COUNT, 4);
    for (uint32_t n = 1; n <= 3 * COUNT; n++) {
        start(n, COUNT);
    }
    /* One worker ends all that it has, the last one as a failure. */
    uint64_t first = rig.assigned[0].worker;

    rig.report.has_pushback = true;
    for (uint32_t i = 1; i < 3 * COUNT; i++) {
        if (rig.assigned[i].worker == first) {
            rig_succeed(first, rig_token(i));
        }
    }
    rig_fail(first, rig_token(0), REDIAL_UNAVAILABLE, "DOWN");
    assert_int_equal(rig.assigned_count, 3 * COUNT + 1);
    assert_int_not_equal(rig.assigned[3 * COUNT].worker, first);
}

static void
silent_workers_do_not_hide_one_that_is_heard(void **state)
{
    enum { COUNT = 1000 };

    (void)state;
    make_workers(COUNT, PLACES);
    rig.now.mono.ms += (int64_t)rig.limits.silence_ms;
    rig.now.wall.ms += (int64_t)rig.limits.silence_ms;
    rig_heartbeat(workers[700]);
    for (uint32_t n = 1; n <= PLACES; n++) {
        rig_submit(n);
        assert_int_equal(rig.assigned[n - 1].worker, workers[700]);
    }
    rig_submit(100);
    assert_int_equal(rig.assigned_count, PLACES);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        rig_test(load_spreads_evenly_over_any_number_of_workers),
        rig_test(slow_workers_do_not_hide_idle_ones),
        rig_test(a_failing_worker_gets_less),
        rig_test(a_retry_goes_elsewhere_when_it_can),
        rig_test(a_retry_goes_elsewhere_even_if_all_others_are_busier),
        rig_test(silent_workers_do_not_hide_one_that_is_heard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
