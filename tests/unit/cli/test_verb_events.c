/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cli/fake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int
teardown(void **state)
{
    (void)state;
    fake_end();
    return 0;
}

#define UNCONST(string) ((char *)(uintptr_t)(string))

static void
answer_watch(const char *cursor, const char *head, Redial__V1__Event *event,
             Redial__V1__Gap *gap)
{
    Redial__V1__WatchResponse response = REDIAL__V1__WATCH_RESPONSE__INIT;
    Redial__V1__Event *events[] = {event};

    response.events = events;
    response.n_events = event != NULL ? 1 : 0;
    response.cursor = UNCONST(cursor);
    response.head = UNCONST(head);
    response.first_kept = UNCONST("log:1");
    response.gap = gap;
    fake_answer("Watch", &response.base);
}

static Redial__V1__Event
event_at(uint64_t seq, int64_t wall_ms)
{
    Redial__V1__Event event = REDIAL__V1__EVENT__INIT;

    event.has_seq = true;
    event.seq = seq;
    event.has_wall_ms = true;
    event.wall_ms = wall_ms;
    event.type = UNCONST("job.accepted");
    event.job_id = UNCONST(FAKE_ID_1);
    event.correlation_id = UNCONST("story-42");
    return event;
}

static void
following_begins_with_what_happens_from_now_on(void **state)
{
    Redial__V1__Event event = event_at(8, FAKE_NOW);

    (void)state;
    fake_begin("events --timeout 5s");
    answer_watch("log:7", "log:7", NULL, NULL);
    answer_watch("log:7", "log:7", NULL, NULL);
    answer_watch("log:8", "log:8", &event, NULL);
    fake_end_time_at(3);
    assert_int_equal(fake_run(), EXIT_DONE);
    assert_string_equal(
        fake_out(), "2026-01-31T23:59:59.000Z  job.accepted       " FAKE_ID_1
                    "  story-42\n");
    assert_string_equal(
        fake_request(3),
        "{\"filter\":{},\"cursor\":\"log:7\",\"wait_ms\":20000}");
}

static void
without_following_it_ends_at_the_newest(void **state)
{
    Redial__V1__Event event = event_at(1, FAKE_NOW);

    (void)state;
    fake_begin("events --from start --no-follow -v");
    answer_watch("log:1", "log:2", &event, NULL);
    answer_watch("log:2", "log:2", NULL, NULL);
    assert_int_equal(fake_run(), EXIT_DONE);
    assert_string_equal(fake_request(1),
                        "{\"filter\":{},\"cursor\":\"start\",\"wait_ms\":0}");
    assert_string_equal(fake_request(2),
                        "{\"filter\":{},\"cursor\":\"log:1\",\"wait_ms\":0}");
    assert_string_equal(fake_err(), "redial events: go on with --from log:2\n");
}

static void
gaps_are_printed_before_what_follows_them(void **state)
{
    Redial__V1__Event event = event_at(41, FAKE_NOW);
    Redial__V1__Gap gap = REDIAL__V1__GAP__INIT;

    (void)state;
    gap.has_from_seq = true;
    gap.from_seq = 12;
    gap.has_to_seq = true;
    gap.to_seq = 40;
    gap.reason = UNCONST("TRIMMED");
    gap.epoch = UNCONST("log");
    fake_begin("events --from log:11 --no-follow");
    answer_watch("log:41", "log:41", &event, &gap);
    assert_int_equal(fake_run(), EXIT_DONE);
    assert_non_null(strstr(fake_out(), "stream.gap         gap: events 12 to "
                                       "40 are not kept any more (TRIMMED)\n"
                                       "2026"));
    fake_begin("events --from log:11 --no-follow --json");
    answer_watch("log:41", "log:41", &event, &gap);
    assert_int_equal(fake_run(), EXIT_DONE);
    assert_non_null(strstr(fake_out(), "\"type\":\"stream.gap\",\"gap\":{"));
    assert_non_null(strstr(fake_out(), "}\n{\"seq\":\"41\","));
}

static void
every_filter_reaches_the_gateway(void **state)
{
    (void)state;
    fake_begin(
        "events --from log:3 --no-follow -c story -k fox --tenant red "
        "-s a.B --method C --type attempt --type job.failed --job " FAKE_ID_1);
    answer_watch("log:3", "log:3", NULL, NULL);
    assert_int_equal(fake_run(), EXIT_DONE);
    assert_string_equal(
        fake_request(1),
        "{\"filter\":{\"correlation_id\":\"story\",\"job_ids\":[\"" FAKE_ID_1
        "\"],\"key\":\"fox\",\"service\":\"a.B\",\"method\":\"C\",\"types\":["
        "\"attempt\",\"job.failed\"],\"tenant\":\"red\"},\"cursor\":\"log:3\","
        "\"wait_ms\":0}");
}

static void
since_is_found_by_halving(void **state)
{
    Redial__V1__Event old = event_at(1, FAKE_NOW - 60000);
    Redial__V1__Event young = event_at(1, FAKE_NOW - 1000);

    (void)state;
    /* Events 1 to 4; 3 and 4 are younger than ten seconds. */
    fake_begin("events --since 10s --no-follow");
    answer_watch("log:4", "log:4", NULL, NULL);
    answer_watch("log:3", "log:4", &young, NULL); /* behind 2 */
    answer_watch("log:2", "log:4", &old, NULL);   /* behind 1 */
    answer_watch("log:4", "log:4", &young, NULL); /* the stream */
    assert_int_equal(fake_run(), EXIT_DONE);
    assert_non_null(strstr(fake_request(2), "\"cursor\":\"log:2\",\"max\":1"));
    assert_non_null(strstr(fake_request(3), "\"cursor\":\"log:1\",\"max\":1"));
    assert_string_equal(fake_request(4),
                        "{\"filter\":{},\"cursor\":\"log:2\",\"wait_ms\":0}");
}

static void
a_cursor_that_is_refused_is_explained(void **state)
{
    (void)state;
    fake_begin("events --from rubbish");
    fake_refuse("Watch", REDIAL_INVALID_ARGUMENT, "", "cursor is not");
    assert_int_equal(fake_run(), EXIT_REFUSED);
    assert_non_null(strstr(fake_err(), "See: redial events --help"));
    fake_begin("events --from start --since 1s");
    assert_int_equal(fake_run(), EXIT_USAGE);
}

static void
following_survives_a_gateway_that_restarts(void **state)
{
    Redial__V1__Event event = event_at(8, FAKE_NOW);

    (void)state;
    fake_begin("events --timeout 5s --json");
    answer_watch("log:7", "log:7", NULL, NULL);
    fake_refuse("Watch", REDIAL_UNAVAILABLE, "NOT_CONNECTED", "refused");
    answer_watch("log:8", "log:8", &event, NULL);
    fake_end_time_at(3);
    assert_int_equal(fake_run(), EXIT_DONE);
    assert_non_null(strstr(fake_out(), "\"seq\":\"8\""));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(following_begins_with_what_happens_from_now_on),
        cmocka_unit_test(without_following_it_ends_at_the_newest),
        cmocka_unit_test(gaps_are_printed_before_what_follows_them),
        cmocka_unit_test(every_filter_reaches_the_gateway),
        cmocka_unit_test(since_is_found_by_halving),
        cmocka_unit_test(a_cursor_that_is_refused_is_explained),
        cmocka_unit_test(following_survives_a_gateway_that_restarts),
    };

    return cmocka_run_group_tests(tests, NULL, teardown);
}
