/* SPDX-License-Identifier: Apache-2.0 */
#include "client/clock.h"
#include "client/loop.h"
#include "proto/check.h"
#include "tests/unit/client/support.h"

#include <stdlib.h>

enum { COUNT = 500 };

struct entry {
    struct redial_i_timer timer;
    struct rig *rig;
    size_t number;
};

struct rig {
    struct redial_i_loop loop;
    pthread_cond_t changed;
    struct entry entries[COUNT];
    size_t fired[COUNT]; /* numbers, in the order of firing */
    size_t count;
    struct redial_i_task task;
    size_t tasks;
};

static void
note_fire(struct redial_i_timer *timer)
{
    struct entry *entry = REDIAL_I_OF(timer, struct entry, timer);
    struct rig *rig = entry->rig;

    WIRE_CHECK(redial_i_loop_is_here(&rig->loop));
    rig->fired[rig->count++] = entry->number;
    (void)pthread_cond_signal(&rig->changed);
}

static int
set_up(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));

    WIRE_CHECK(rig != NULL);
    WIRE_CHECK(redial_i_loop_init(&rig->loop));
    redial_i_cond_init(&rig->changed);
    for (size_t i = 0; i < COUNT; i++) {
        rig->entries[i].timer.fire = note_fire;
        rig->entries[i].rig = rig;
        rig->entries[i].number = i;
    }
    *state = rig;
    return 0;
}

static int
tear_down(void **state)
{
    struct rig *rig = *state;

    redial_i_loop_fini(&rig->loop);
    (void)pthread_cond_destroy(&rig->changed);
    free(rig);
    return 0;
}

static bool
wait_until_fired(struct rig *rig, size_t count)
{
    int64_t until = redial_i_after(redial_i_now(), 10000);

    while (rig->count < count &&
           redial_i_wait_locked(&rig->loop, &rig->changed, until)) {
    }
    return rig->count == count;
}

/* A fixed sequence that jumps about. */
static uint64_t
scatter(size_t i)
{
    return (uint64_t)i * 7919 % COUNT;
}

static void
timers_fire_in_order_whatever_the_order_of_starting(void **state)
{
    struct rig *rig = *state;
    int64_t base;

    redial_i_lock(&rig->loop);
    base = redial_i_now();
    for (size_t i = 0; i < COUNT; i++) {
        redial_i_timer_start_locked(&rig->loop, &rig->entries[i].timer,
                                    base + (int64_t)scatter(i) * 20000);
    }
    assert_true(wait_until_fired(rig, COUNT));
    for (size_t i = 1; i < COUNT; i++) {
        assert_true(scatter(rig->fired[i - 1]) < scatter(rig->fired[i]));
    }
    redial_i_unlock(&rig->loop);
}

static void
equal_times_fire_in_the_order_of_starting(void **state)
{
    struct rig *rig = *state;
    int64_t at;

    redial_i_lock(&rig->loop);
    at = redial_i_after(redial_i_now(), 5);
    for (size_t i = 0; i < COUNT; i++) {
        redial_i_timer_start_locked(&rig->loop, &rig->entries[i].timer, at);
    }
    assert_true(wait_until_fired(rig, COUNT));
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(rig->fired[i], i);
    }
    redial_i_unlock(&rig->loop);
}

static void
stopped_and_moved_timers_keep_the_others_in_order(void **state)
{
    struct rig *rig = *state;
    int64_t base;
    size_t kept = 0;

    redial_i_lock(&rig->loop);
    base = redial_i_after(redial_i_now(), 2);
    for (size_t i = 0; i < COUNT; i++) {
        redial_i_timer_start_locked(&rig->loop, &rig->entries[i].timer,
                                    base + (int64_t)scatter(i) * 1000);
    }
    for (size_t i = 0; i < COUNT; i++) {
        struct redial_i_timer *timer = &rig->entries[i].timer;

        if (i % 3 == 0) {
            redial_i_timer_stop_locked(&rig->loop, timer);
            redial_i_timer_stop_locked(&rig->loop, timer);
        } else if (i % 3 == 1) { /* later, but in the same order */
            redial_i_timer_start_locked(&rig->loop, timer,
                                        timer->at_ns + COUNT * 1000);
            kept++;
        } else {
            kept++;
        }
    }
    redial_i_timer_start_locked(&rig->loop, &rig->entries[0].timer,
                                REDIAL_I_NEVER);
    assert_false(rig->entries[0].timer.is_armed);
    assert_true(wait_until_fired(rig, kept));
    for (size_t i = 1; i < kept; i++) {
        size_t a = rig->fired[i - 1];
        size_t b = rig->fired[i];

        assert_true(a % 3 >= b % 3); /* those not moved come first */
        if (a % 3 == b % 3) {
            assert_true(scatter(a) < scatter(b));
        }
    }
    redial_i_unlock(&rig->loop);
}

static void
note_task(struct redial_i_task *task)
{
    struct rig *rig = REDIAL_I_OF(task, struct rig, task);

    rig->tasks++;
    (void)pthread_cond_signal(&rig->changed);
}

static void
a_posted_task_runs_once_also_when_the_loop_stops(void **state)
{
    struct rig *rig = *state;

    rig->task.run = note_task;
    redial_i_lock(&rig->loop);
    redial_i_post_locked(&rig->loop, &rig->task);
    redial_i_post_locked(&rig->loop, &rig->task);
    redial_i_unlock(&rig->loop);
    redial_i_loop_stop(&rig->loop);
    redial_i_loop_stop(&rig->loop);
    assert_int_equal(rig->tasks, 1);
}

static void
deadlines_are_points_in_time(void **state)
{
    struct redial_deadline soon = redial_in_ms(1000);
    struct redial_deadline unset = {0};

    (void)state;
    assert_in_range(redial_i_ms_until(soon.mono_ns, UINT32_MAX), 500, 1000);
    assert_int_equal(redial_i_ms_until(soon.mono_ns, 7), 7);
    assert_int_equal(redial_i_ms_until(redial_in_ms(0).mono_ns, 7), 0);
    assert_true(redial_never().mono_ns == REDIAL_I_NEVER);
    assert_true(redial_in_ms(UINT64_MAX).mono_ns == REDIAL_I_NEVER);
    assert_in_range(
        redial_i_ms_until(redial_i_deadline(unset, 2000), UINT32_MAX), 1000,
        2000);
}

static void
new_ids_are_version_7_and_differ(void **state)
{
    char a[37];
    char b[37];
    struct wire_uuid uuid;

    (void)state;
    redial_new_id(a);
    redial_new_id(b);
    assert_string_not_equal(a, b);
    assert_true(wire_uuid_parse(a, 36, &uuid));
    assert_true(wire_uuid_is_v7(&uuid));
    assert_true(redial_i_wall_ms() - wire_uuid_wall_ms(&uuid) < 10000);
}

#define TEST(function) \
    cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(timers_fire_in_order_whatever_the_order_of_starting),
        TEST(equal_times_fire_in_the_order_of_starting),
        TEST(stopped_and_moved_timers_keep_the_others_in_order),
        TEST(a_posted_task_runs_once_also_when_the_loop_stops),
        cmocka_unit_test(deadlines_are_points_in_time),
        cmocka_unit_test(new_ids_are_version_7_and_differ),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
