/* SPDX-License-Identifier: Apache-2.0 */
#include "server/events/tail.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
    struct store *store;
    struct tail *tail;
    struct store_group *group;
    uint64_t next_seq;
};

static void
start(struct fixture *fixture, uint32_t entries, size_t bytes)
{
    struct store_options options = {.dir = NULL};

    memset(fixture, 0, sizeof(*fixture));
    fixture->store = store_new(&options);
    assert_non_null(fixture->store);
    assert_int_equal(store_open(fixture->store), STORE_OK);
    fixture->tail = tail_new(entries, bytes);
    assert_non_null(fixture->tail);
    fixture->group = store_group_new(fixture->store);
    fixture->next_seq = 1;
}

static void
end(struct fixture *fixture)
{
    tail_free(fixture->tail);
    store_group_unref(fixture->group);
    store_free(fixture->store);
}

static struct job_id
job(uint8_t number)
{
    struct job_id id = {{number}};

    return id;
}

static void
add(struct fixture *fixture, enum event_type type, uint8_t number)
{
    struct record record = {
        .type = type,
        .seq = fixture->next_seq++,
        .job_seq = 1,
        .wall_ms = 1,
        .job = job(number),
        .service = {"s", 1},
        .method = {"m", 1},
    };

    assert_true(
        store_group_add(fixture->group, &record, (struct text){NULL, 0}));
    tail_add(fixture->tail, fixture->group, &record);
}

static void
next_group(struct fixture *fixture)
{
    store_group_unref(fixture->group);
    fixture->group = store_group_new(fixture->store);
}

static void
what_was_added_is_found_by_seq(void **state)
{
    struct fixture fixture;
    struct record record;

    (void)state;
    start(&fixture, 8, 1 << 20);
    add(&fixture, EVENT_JOB_ACCEPTED, 1);
    add(&fixture, EVENT_JOB_SUCCEEDED, 1);
    assert_int_equal(tail_first(fixture.tail), 1);
    assert_int_equal(tail_last(fixture.tail), 2);
    tail_record(fixture.tail, 2, &record);
    assert_int_equal(record.type, EVENT_JOB_SUCCEEDED);
    assert_int_equal(record.seq, 2);
    end(&fixture);
}

static void
only_a_final_record_is_an_outcome(void **state)
{
    struct fixture fixture;

    (void)state;
    start(&fixture, 8, 1 << 20);
    add(&fixture, EVENT_JOB_ACCEPTED, 1);
    assert_int_equal(tail_final(fixture.tail, job(1)), 0);
    add(&fixture, EVENT_JOB_FAILED, 1);
    assert_int_equal(tail_final(fixture.tail, job(1)), 2);
    assert_int_equal(tail_final(fixture.tail, job(2)), 0);
    end(&fixture);
}

static void
a_full_ring_drops_the_oldest_and_its_outcome(void **state)
{
    struct fixture fixture;

    (void)state;
    start(&fixture, 4, 1 << 20);
    for (uint8_t i = 1; i <= 6; i++) {
        add(&fixture, EVENT_JOB_CANCELLED, i);
        if (i == 3) {
            next_group(&fixture);
        }
    }
    assert_int_equal(tail_first(fixture.tail), 3);
    assert_int_equal(tail_last(fixture.tail), 6);
    assert_int_equal(tail_final(fixture.tail, job(2)), 0);
    assert_int_equal(tail_final(fixture.tail, job(3)), 3);
    assert_int_equal(tail_final(fixture.tail, job(6)), 6);
    end(&fixture);
}

static void
bytes_are_bounded_but_the_newest_stays(void **state)
{
    struct fixture fixture;

    (void)state;
    start(&fixture, 64, 1);
    add(&fixture, EVENT_JOB_ACCEPTED, 1);
    add(&fixture, EVENT_JOB_ACCEPTED, 2);
    assert_int_equal(tail_first(fixture.tail), 2);
    assert_int_equal(tail_last(fixture.tail), 2);
    end(&fixture);
}

static void
a_started_tail_is_empty_behind_its_log(void **state)
{
    struct fixture fixture;

    (void)state;
    start(&fixture, 8, 1 << 20);
    tail_start(fixture.tail, 100);
    assert_int_equal(tail_committed(fixture.tail), 99);
    assert_true(tail_first(fixture.tail) > tail_last(fixture.tail));
    fixture.next_seq = 100;
    add(&fixture, EVENT_JOB_ACCEPTED, 1);
    assert_int_equal(tail_first(fixture.tail), 100);
    tail_commit(fixture.tail, 100);
    assert_int_equal(tail_committed(fixture.tail), 100);
    end(&fixture);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_added_is_found_by_seq),
        cmocka_unit_test(only_a_final_record_is_an_outcome),
        cmocka_unit_test(a_full_ring_drops_the_oldest_and_its_outcome),
        cmocka_unit_test(bytes_are_bounded_but_the_newest_stays),
        cmocka_unit_test(a_started_tail_is_empty_behind_its_log),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
