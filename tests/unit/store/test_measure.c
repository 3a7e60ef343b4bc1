/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How fast groups go through. As a test it only runs each shape briefly; with
 * REDIAL_MEASURE_SECONDS set it measures each for that long and prints a table:
 * records of about 200 bytes in groups of 1, 16, 128 and 1024, of which each
 * job has three (accepted, started, succeeded), on disk and in memory; what
 * the loop's thread spends on building a record; and how long a group takes.
 */
#include "tests/unit/store/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct shape {
    uint32_t records; /* in a group */
    bool correlated;
    bool projected; /* every job gets a row and a payload */
};

struct figures {
    uint64_t groups;
    uint64_t records;
    uint64_t bytes;
    double seconds;
    double build_seconds; /* of those, in store_group_add() */
    uint64_t worst_us;
};

static double
now_seconds(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void
take_done(struct fixture *fixture, struct figures *figures)
{
    struct store_group *group;

    while ((group = store_take_done(fixture->store)) != NULL) {
        uint64_t spent_us = store_group_write_us(group);

        assert_int_equal(store_group_status(group), STORE_OK);
        if (spent_us > figures->worst_us) {
            figures->worst_us = spent_us;
        }
        store_group_unref(group);
    }
}

static void
build_group(struct fixture *fixture, const struct shape *shape, uint64_t *step,
            struct job *job, struct store_group *group)
{
    static const char payload[100] = "payload";
    static const uint8_t row[250];
    static char correlation[32];

    for (uint32_t i = 0; i < shape->records; i++, (*step)++) {
        switch (*step % 3) {
        case 0:
            *job = fixture_job(fixture);
            if (shape->correlated) {
                (void)snprintf(correlation, sizeof(correlation), "story-%llu",
                               (unsigned long long)*step);
                job->correlation = correlation;
            }
            (void)add(fixture, group, job, EVENT_JOB_ACCEPTED,
                      "0123456789012345678901234567890123456789012345678901234"
                      "567890123456789012345678901234567890123456789012345678");
            if (shape->projected) {
                (void)store_group_put_job(group, job->id, job->last_seq, row,
                                          sizeof(row));
                (void)store_group_put_payload(group, job->id, payload,
                                              sizeof(payload));
            }
            break;
        case 1:
            (void)add(fixture, group, job, EVENT_ATTEMPT_STARTED, NULL);
            break;
        default:
            (void)add(fixture, group, job, EVENT_JOB_SUCCEEDED,
                      "0123456789012345678901234567890123456789012345678901234"
                      "567890123456789012345678901234567890123456789012345678");
            if (shape->projected) {
                (void)store_group_delete_job(group, job->id);
                (void)store_group_delete_payload(group, job->id);
            }
            break;
        }
    }
}

static struct figures
measure(struct fixture *fixture, const struct shape *shape, double seconds)
{
    struct figures figures = {0};
    struct job job = {0};
    uint64_t step = 0;
    double start = now_seconds();
    double now = start;

    while (now - start < seconds || figures.groups < 3) {
        struct store_group *group = begin(fixture);
        double before = now_seconds();

        build_group(fixture, shape, &step, &job, group);
        store_group_set_watermark(group, fixture->next_seq - 1);
        figures.build_seconds += now_seconds() - before;
        figures.groups++;
        figures.records += shape->records;
        figures.bytes += store_group_size(group);
        store_commit(fixture->store, group);
        store_group_unref(group);
        take_done(fixture, &figures);
        while (store_pipe_free(fixture->store) == 0) {
            wait_wake(fixture);
            take_done(fixture, &figures);
        }
        now = now_seconds();
    }
    while (store_pipe_free(fixture->store) < 4) {
        wait_wake(fixture);
        take_done(fixture, &figures);
    }
    figures.seconds = now_seconds() - start;
    return figures;
}

static void
measure_shape(bool on_disk, struct shape shape, double seconds, bool print)
{
    void *state = NULL;
    struct store_stats stats;

    (void)(on_disk ? setup_disk(&state) : setup_memory(&state));
    struct figures figures = measure(state, &shape, seconds);

    store_stats(((struct fixture *)state)->store, &stats);
    assert_int_equal(stats.records, figures.records);
    if (print) {
        printf("%-6s %5u %s%s %9.0f groups/s %9.0f records/s %5.0f B/record "
               "%5.0f ns/record built  worst %6llu us  checkpoint worst "
               "%6llu us\n",
               on_disk ? "disk" : "memory", shape.records,
               shape.correlated ? "correlated " : "           ",
               shape.projected ? "projected" : "         ",
               (double)figures.groups / figures.seconds,
               (double)figures.records / figures.seconds,
               (double)figures.bytes / (double)figures.records,
               figures.build_seconds / (double)figures.records * 1e9,
               (unsigned long long)figures.worst_us,
               (unsigned long long)stats.checkpoint_us_max);
    }
    (void)teardown(&state);
}

static void
groups_of_every_size_go_through(void **state)
{
    static const uint32_t sizes[] = {1, 16, 128, 1024};
    const char *asked = getenv("REDIAL_MEASURE_SECONDS");
    double seconds = asked == NULL ? 0.02 : strtod(asked, NULL);

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        measure_shape(true, (struct shape){.records = sizes[i]}, seconds,
                      asked != NULL);
        measure_shape(true,
                      (struct shape){.records = sizes[i], .correlated = true},
                      seconds, asked != NULL);
        measure_shape(true,
                      (struct shape){.records = sizes[i], .projected = true},
                      seconds, asked != NULL);
        measure_shape(false, (struct shape){.records = sizes[i]}, seconds,
                      asked != NULL);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_of_every_size_go_through),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
