/* SPDX-License-Identifier: Apache-2.0 */
#include "client/clock.h"
#include "client/internal.h"
#include "proto/check.h"
#include "tests/unit/client/support.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct rig {
    struct peer *peer;
    redial_client *client;
};

static int
set_up(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));

    WIRE_CHECK(rig != NULL);
    rig->peer = peer_new(NULL);
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

/* ---- the gateway's side ---- */

static const Redial__V1__WatchRequest *
watch_of(const struct peer_request *request)
{
    return (const Redial__V1__WatchRequest *)request->message;
}

/* Events first..last of epoch "e"; last < first: none. Cursor behind them. */
static void
answer_events(struct peer_request *request, uint64_t first, uint64_t last,
              Redial__V1__Gap *gap)
{
    enum { MAX = 8 };
    Redial__V1__WatchResponse response = REDIAL__V1__WATCH_RESPONSE__INIT;
    Redial__V1__Event events[MAX];
    Redial__V1__Event *pointers[MAX];
    char epoch[] = "e";
    char type[] = "job.succeeded";
    char cursor[32];

    for (uint64_t seq = first; seq <= last; seq++) {
        Redial__V1__Event *event = &events[seq - first];

        WIRE_CHECK(seq - first < MAX);
        redial__v1__event__init(event);
        event->epoch = epoch;
        event->type = type;
        event->has_seq = true;
        event->seq = seq;
        pointers[seq - first] = event;
        response.n_events++;
    }
    (void)snprintf(cursor, sizeof(cursor), "e:%" PRIu64, last);
    response.events = pointers;
    response.cursor = cursor;
    response.gap = gap;
    peer_answer(request, &response.base);
}

/* ---- the program's side ---- */

struct opening {
    redial_client *client;
    const struct redial_filter *filter;
    const char *cursor;
    enum redial_status status;
    redial_watch *watch;
    struct redial_error error;
};

static void
run_open(void *arg)
{
    struct opening *self = arg;

    self->status = redial_watch_open(self->client, self->filter, self->cursor,
                                     redial_in_ms(10000), &self->watch,
                                     &self->error);
}

/* Opens at this cursor; the gateway answers with events first..last. */
static redial_watch *
open_at(struct rig *rig, const char *cursor, uint64_t first, uint64_t last)
{
    struct opening opening = {.client = rig->client, .cursor = cursor};
    struct background *thread = background(run_open, &opening);
    struct peer_request *request = peer_next(rig->peer, "Watch");

    assert_non_null(request);
    assert_string_equal(watch_of(request)->cursor,
                        cursor != NULL ? cursor : "");
    assert_int_equal(watch_of(request)->wait_ms, 0);
    answer_events(request, first, last, NULL);
    join(thread);
    assert_int_equal(opening.status, REDIAL_OK);
    return opening.watch;
}

static const struct redial_event *
next_is(redial_watch *watch, uint64_t seq)
{
    const struct redial_event *event = NULL;
    struct redial_error error = {0};

    if (redial_watch_next(watch, redial_in_ms(10000), &event, &error) !=
        REDIAL_OK) {
        fail_msg("next: %s", error.text);
    }
    assert_int_equal(event->seq, seq);
    return event;
}

static void
events_come_one_by_one_with_a_cursor_behind_each(void **state)
{
    struct rig *rig = *state;
    redial_watch *watch = open_at(rig, "start", 1, 3);
    struct peer_request *request;

    assert_string_equal(redial_watch_cursor(watch), "start");
    next_is(watch, 1);
    assert_string_equal(redial_watch_cursor(watch), "e:1");
    next_is(watch, 2);
    assert_string_equal(redial_watch_cursor(watch), "e:2");
    next_is(watch, 3);
    assert_string_equal(redial_watch_cursor(watch), "e:3");
    request = peer_next(rig->peer, "Watch");
    assert_non_null(request);
    assert_string_equal(watch_of(request)->cursor, "e:3");
    assert_int_equal(watch_of(request)->wait_ms, 20000);
    answer_events(request, 4, 4, NULL);
    assert_string_equal(next_is(watch, 4)->type, "job.succeeded");
    assert_string_equal(redial_watch_cursor(watch), "e:4");
    redial_watch_close(watch);
}

static void
an_event_has_all_that_was_sent(void **state)
{
    struct rig *rig = *state;
    struct opening opening = {.client = rig->client, .cursor = "start"};
    Redial__V1__WatchResponse response = REDIAL__V1__WATCH_RESPONSE__INIT;
    Redial__V1__Event sent = REDIAL__V1__EVENT__INIT;
    Redial__V1__Event *pointers[] = {&sent};
    const struct redial_event *event;
    char type[] = "attempt.failed";
    char target[] = "tts";
    char cursor[] = "e:1";

    sent.type = type;
    sent.target = target;
    sent.has_seq = sent.has_pushback_ms = sent.has_for_target = true;
    sent.has_overloaded = sent.has_hedge = sent.has_timeout_ms = true;
    sent.has_priority = sent.has_idempotent = sent.has_not_before_ms = true;
    sent.has_deadline_ms = sent.has_queue_ttl_ms = true;
    sent.has_max_attempts = sent.has_attempt_timeout_ms = true;
    sent.has_payload_bytes = true;
    sent.seq = 1;
    sent.pushback_ms = -7;
    sent.for_target = sent.overloaded = sent.hedge = true;
    sent.timeout_ms = 11;
    sent.priority = 9;
    sent.idempotent = REDIAL__V1__IDEMPOTENCY__NOT_IDEMPOTENT;
    sent.not_before_ms = 12;
    sent.deadline_ms = 13;
    sent.queue_ttl_ms = 14;
    sent.max_attempts = 15;
    sent.attempt_timeout_ms = 16;
    sent.payload_bytes = 17;
    response.n_events = 1;
    response.events = pointers;
    response.cursor = cursor;
    struct background *thread = background(run_open, &opening);

    peer_answer(peer_next(rig->peer, "Watch"), &response.base);
    join(thread);
    event = next_is(opening.watch, 1);
    assert_string_equal(event->target, "tts");
    assert_true(event->has_pushback && event->for_target);
    assert_true(event->overloaded && event->hedge);
    assert_int_equal(event->pushback_ms, -7);
    assert_int_equal(event->timeout_ms, 11);
    assert_int_equal(event->priority, 9);
    assert_int_equal(event->idempotent, REDIAL_NOT_IDEMPOTENT);
    assert_int_equal(event->not_before_ms, 12);
    assert_int_equal(event->deadline_ms, 13);
    assert_int_equal(event->queue_ttl_ms, 14);
    assert_int_equal(event->max_attempts, 15);
    assert_int_equal(event->attempt_timeout_ms, 16);
    assert_int_equal(event->payload_bytes, 17);
    redial_watch_close(opening.watch);
}

static void
from_now_is_anchored_before_open_returns(void **state)
{
    struct rig *rig = *state;
    redial_watch *watch = open_at(rig, NULL, 1, 41 - 41);
    struct peer_request *request;

    assert_string_equal(redial_watch_cursor(watch), "e:0");
    request = peer_next(rig->peer, "Watch");
    assert_non_null(request);
    assert_string_equal(watch_of(request)->cursor, "e:0");
    peer_drop(request);
    redial_watch_close(watch);
}

static void
a_restart_of_the_gateway_loses_and_doubles_nothing(void **state)
{
    struct rig *rig = *state;
    redial_watch *watch = open_at(rig, "start", 1, 2);
    struct peer_request *request;

    next_is(watch, 1);
    request = peer_next(rig->peer, "Watch");
    assert_non_null(request);
    peer_drop(request);
    peer_stop(rig->peer);
    next_is(watch, 2);
    peer_start(rig->peer);
    request = peer_next(rig->peer, "Watch");
    assert_non_null(request);
    assert_string_equal(watch_of(request)->cursor, "e:2");
    answer_events(request, 3, 4, NULL);
    next_is(watch, 3);
    peer_stop(rig->peer); /* while an answer is read and another awaited */
    next_is(watch, 4);
    peer_start(rig->peer);
    request = peer_next(rig->peer, "Watch");
    assert_non_null(request);
    assert_string_equal(watch_of(request)->cursor, "e:4");
    answer_events(request, 5, 5, NULL);
    next_is(watch, 5);
    redial_watch_close(watch);
}

static void
a_cursor_goes_on_in_another_client(void **state)
{
    struct rig *rig = *state;
    redial_watch *watch = open_at(rig, "start", 1, 3);
    char cursor[64];

    next_is(watch, 1);
    next_is(watch, 2);
    (void)snprintf(cursor, sizeof(cursor), "%s", redial_watch_cursor(watch));
    redial_watch_close(watch);
    peer_drop(peer_next(rig->peer, "Watch")); /* of the closed one */
    redial_client_close(rig->client);
    rig->client = open_client(peer_url(rig->peer));
    watch = open_at(rig, cursor, 3, 3);
    next_is(watch, 3);
    redial_watch_close(watch);
}

static void
a_gap_is_an_event_before_the_others(void **state)
{
    struct rig *rig = *state;
    redial_watch *watch = open_at(rig, "e:5", 6, 5);
    Redial__V1__Gap gap = REDIAL__V1__GAP__INIT;
    const struct redial_event *event = NULL;
    struct peer_request *request = peer_next(rig->peer, "Watch");
    char epoch[] = "e";
    char reason[] = "TRIMMED";

    assert_non_null(request);
    gap.epoch = epoch;
    gap.reason = reason;
    gap.has_from_seq = true;
    gap.from_seq = 6;
    gap.has_to_seq = true;
    gap.to_seq = 99;
    answer_events(request, 100, 100, &gap);
    assert_int_equal(
        redial_watch_next(watch, redial_in_ms(10000), &event, NULL), REDIAL_OK);
    assert_string_equal(event->type, "stream.gap");
    assert_non_null(event->gap);
    assert_int_equal(event->gap->from_seq, 6);
    assert_int_equal(event->gap->to_seq, 99);
    assert_string_equal(event->gap->reason, "TRIMMED");
    assert_null(redial_i_watch_message(watch));
    assert_non_null(redial_i_watch_gap(watch));
    next_is(watch, 100);
    assert_non_null(redial_i_watch_message(watch));
    assert_string_equal(redial_watch_cursor(watch), "e:100");
    redial_watch_close(watch);
}

static void
the_deadline_passes_and_the_watch_stays_good(void **state)
{
    struct rig *rig = *state;
    redial_watch *watch = open_at(rig, "e:1", 2, 1);
    struct peer_request *request = peer_next(rig->peer, "Watch");
    const struct redial_event *event = NULL;
    struct redial_error error = {0};
    int64_t start = redial_i_now();

    assert_non_null(request);
    assert_int_equal(redial_watch_next(watch, redial_in_ms(50), &event, &error),
                     REDIAL_DEADLINE_EXCEEDED);
    assert_string_equal(error.reason, "NO_EVENT");
    assert_true(redial_i_now() - start >= 50 * (int64_t)REDIAL_I_MS);
    assert_false(peer_has(rig->peer, NULL)); /* the same question goes on */
    answer_events(request, 2, 2, NULL);
    next_is(watch, 2);
    peer_stop(rig->peer);
    assert_int_equal(
        redial_watch_next(watch, redial_in_ms(1500), &event, &error),
        REDIAL_UNAVAILABLE);
    redial_watch_close(watch);
}

static void
not_now_is_asked_again_and_no_is_told(void **state)
{
    struct rig *rig = *state;
    redial_watch *watch = open_at(rig, "e:1", 2, 1);
    const struct redial_event *event = NULL;
    struct redial_error error = {0};
    struct background *thread;
    struct opening opening = {.client = rig->client};
    struct peer_request *request = peer_next(rig->peer, "Watch");

    assert_non_null(request);
    peer_refuse_for(request, REDIAL_UNAVAILABLE, 3000);
    assert_int_equal(
        redial_watch_next(watch, redial_in_ms(1500), &event, &error),
        REDIAL_UNAVAILABLE);
    assert_int_equal(error.retry_after_ms, 3000);
    assert_false(peer_has(rig->peer, NULL));
    assert_int_equal(
        redial_watch_next(watch, redial_in_ms(5000), &event, &error),
        REDIAL_DEADLINE_EXCEEDED);
    request = peer_next(rig->peer, "Watch"); /* asked again by then */
    assert_non_null(request);
    peer_refuse(request, REDIAL_UNAUTHENTICATED, "TOKEN", "expired");
    assert_int_equal(
        redial_watch_next(watch, redial_in_ms(10000), &event, &error),
        REDIAL_UNAUTHENTICATED);
    redial_watch_close(watch);

    thread = background(run_open, &opening);
    request = peer_next(rig->peer, "Watch");
    assert_non_null(request);
    peer_refuse(request, REDIAL_INVALID_ARGUMENT, "", "what filter?");
    join(thread);
    assert_int_equal(opening.status, REDIAL_INVALID_ARGUMENT);
}

static void
the_filter_arrives_and_is_the_callers_own_again(void **state)
{
    struct rig *rig = *state;
    char type[] = "attempt";
    const char *types[] = {type};
    const char *ids[] = {"j1", "j2"};
    struct redial_filter filter = {
        .struct_size = sizeof(filter),
        .correlation_id = "c",
        .job_ids = ids,
        .job_id_count = 2,
        .service = "s",
        .method = "m",
        .key = "k",
        .tenant = "t",
        .types = types,
        .type_count = 1,
    };
    struct opening opening = {.client = rig->client, .filter = &filter};
    struct background *thread = background(run_open, &opening);
    struct peer_request *request = peer_next(rig->peer, "Watch");
    const Redial__V1__WatchFilter *seen;

    assert_non_null(request);
    answer_events(request, 1, 0, NULL);
    join(thread);
    memset(type, 'x', sizeof(type) - 1);
    request = peer_next(rig->peer, "Watch");
    assert_non_null(request);
    seen = watch_of(request)->filter;
    assert_string_equal(seen->correlation_id, "c");
    assert_int_equal(seen->n_job_ids, 2);
    assert_string_equal(seen->job_ids[1], "j2");
    assert_string_equal(seen->service, "s");
    assert_string_equal(seen->method, "m");
    assert_string_equal(seen->key, "k");
    assert_string_equal(seen->tenant, "t");
    assert_int_equal(seen->n_types, 1);
    assert_string_equal(seen->types[0], "attempt");
    peer_drop(request);
    redial_watch_close(opening.watch);
    filter.key = "a b";
    run_open(&opening);
    assert_int_equal(opening.status, REDIAL_INVALID_ARGUMENT);
    assert_non_null(strstr(opening.error.text, "filter.key"));
}

#define TEST(function) \
    cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(events_come_one_by_one_with_a_cursor_behind_each),
        TEST(an_event_has_all_that_was_sent),
        TEST(from_now_is_anchored_before_open_returns),
        TEST(a_restart_of_the_gateway_loses_and_doubles_nothing),
        TEST(a_cursor_goes_on_in_another_client),
        TEST(a_gap_is_an_event_before_the_others),
        TEST(the_deadline_passes_and_the_watch_stays_good),
        TEST(not_now_is_asked_again_and_no_is_told),
        TEST(the_filter_arrives_and_is_the_callers_own_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
