/* SPDX-License-Identifier: Apache-2.0 */
#include "client/clock.h"
#include "client/loop.h"
#include "proto/check.h"
#include "tests/unit/client/support.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- a worker whose handlers the test holds in its hand ---- */

enum { HELD_MAX = 16 };

struct rig {
    struct peer *peer;
    redial_worker *worker;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    redial_attempt *held[HELD_MAX]; /* in the order of starting */
    bool done[HELD_MAX];
    size_t started;
    size_t cancels;
    bool blocks;          /* handlers return once the test completes */
    bool returns_nothing; /* they come back without an outcome */
};

/* Hands the attempt to the test, which completes it. */
static void
keep(void *ctx, redial_attempt *attempt)
{
    struct rig *rig = ctx;
    size_t index;

    (void)pthread_mutex_lock(&rig->lock);
    index = rig->started++;
    WIRE_CHECK(index < HELD_MAX);
    rig->held[index] = attempt;
    (void)pthread_cond_broadcast(&rig->changed);
    while (rig->blocks && !rig->returns_nothing && !rig->done[index]) {
        (void)pthread_cond_wait(&rig->changed, &rig->lock);
    }
    (void)pthread_mutex_unlock(&rig->lock);
}

static void
note_cancel(void *ctx, redial_attempt *attempt)
{
    struct rig *rig = ctx;

    WIRE_CHECK(redial_attempt_cancelled(attempt));
    (void)pthread_mutex_lock(&rig->lock);
    rig->cancels++;
    (void)pthread_cond_broadcast(&rig->changed);
    (void)pthread_mutex_unlock(&rig->lock);
}

/* Waits, at most 10 s, until `*counter` is at least `count`. */
static bool
wait_for(struct rig *rig, const size_t *counter, size_t count)
{
    struct timespec until = redial_i_timespec(
        redial_i_after(redial_i_now(), 10000));
    bool is_there;

    (void)pthread_mutex_lock(&rig->lock);
    while (*counter < count &&
           pthread_cond_timedwait(&rig->changed, &rig->lock, &until) == 0) {
    }
    is_there = *counter >= count;
    (void)pthread_mutex_unlock(&rig->lock);
    return is_there;
}

static redial_attempt *
held(struct rig *rig, size_t index)
{
    if (!wait_for(rig, &rig->started, index + 1)) {
        fail_msg("attempt %zu was not started", index);
    }
    return rig->held[index];
}

static void
complete_with(struct rig *rig, size_t index,
              const struct redial_outcome *outcome, unsigned flags)
{
    redial_attempt_complete(held(rig, index), outcome, flags);
    (void)pthread_mutex_lock(&rig->lock);
    rig->done[index] = true;
    (void)pthread_cond_broadcast(&rig->changed);
    (void)pthread_mutex_unlock(&rig->lock);
}

static void
complete(struct rig *rig, size_t index, enum redial_status code)
{
    struct redial_outcome outcome = {
        .code = code,
        .reason = code == REDIAL_OK ? NULL : "HTTP_503",
        .result = "done",
        .result_bytes = 4,
    };

    complete_with(rig, index, &outcome, 0);
}

static void
open_worker(struct rig *rig, bool is_async)
{
    struct redial_metadata label = {"zone", "a", 1};
    struct redial_worker_method methods[] = {
        {.service = "t.Test",
         .method = "Run",
         .concurrency = 3,
         .handler = keep,
         .cancel = note_cancel,
         .ctx = rig,
         .is_async = is_async},
        {.service = "t.Other",
         .concurrency = 2,
         .handler = keep,
         .ctx = rig,
         .is_async = is_async},
    };
    struct redial_worker_options options = {
        .struct_size = sizeof(options),
        .connection.addresses = peer_url(rig->peer),
        .name = "tester",
        .instance = "i-1",
        .version = "7",
        .labels = &label,
        .label_count = 1,
        .methods = methods,
        .method_count = 2,
        .concurrency = 4,
    };
    struct redial_error error = {0};

    rig->blocks = !is_async;
    if (redial_worker_open(&options, &rig->worker, &error) != REDIAL_OK) {
        fail_msg("open: %s", error.text);
    }
}

static int
set_up(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));

    WIRE_CHECK(rig != NULL);
    rig->peer = peer_new(NULL);
    peer_start(rig->peer);
    (void)pthread_mutex_init(&rig->lock, NULL);
    redial_i_cond_init(&rig->changed);
    *state = rig;
    return 0;
}

static int
tear_down(void **state)
{
    struct rig *rig = *state;

    redial_worker_close(rig->worker);
    peer_free(rig->peer);
    (void)pthread_cond_destroy(&rig->changed);
    (void)pthread_mutex_destroy(&rig->lock);
    free(rig);
    return 0;
}

/* ---- the gateway's side ---- */

static const Redial__V1__PollRequest *
poll_of(const struct peer_request *request)
{
    return (const Redial__V1__PollRequest *)request->message;
}

static const Redial__V1__ReportRequest *
report_of(const struct peer_request *request)
{
    return (const Redial__V1__ReportRequest *)request->message;
}

static const Redial__V1__HelloRequest *
hello_of(const struct peer_request *request)
{
    return (const Redial__V1__HelloRequest *)request->message;
}

/* Accepts a Hello; heartbeats are an hour apart unless told. */
static void
answer_hello(struct peer_request *request, uint32_t heartbeat_ms)
{
    Redial__V1__HelloResponse response = REDIAL__V1__HELLO_RESPONSE__INIT;

    response.has_worker_id = true;
    response.worker_id = 42;
    response.has_heartbeat_ms = true;
    response.heartbeat_ms = heartbeat_ms;
    response.has_lease_ms = true;
    response.lease_ms = 10000;
    peer_answer(request, &response.base);
}

static struct peer_request *
next(struct rig *rig, const char *method)
{
    struct peer_request *request = peer_next(rig->peer, method);

    if (request == NULL) {
        fail_msg("no %s came", method);
    }
    return request;
}

static void
greet(struct rig *rig)
{
    answer_hello(next(rig, "Hello"), 3600000);
}

/* Answers a Poll with `count` assignments of job "j<first>", and so on. */
static void
assign(struct peer_request *request, int first, int count, uint64_t timeout_ms)
{
    enum { MAX = 8 };
    Redial__V1__PollResponse response = REDIAL__V1__POLL_RESPONSE__INIT;
    Redial__V1__Assignment work[MAX];
    Redial__V1__Assignment *pointers[MAX];
    Redial__V1__Token tokens[MAX];
    char ids[MAX][16];
    char service[] = "t.Test";
    char method[] = "Run";
    char payload[] = "payload";

    for (int i = 0; i < count; i++) {
        redial__v1__assignment__init(&work[i]);
        redial__v1__token__init(&tokens[i]);
        (void)snprintf(ids[i], sizeof(ids[i]), "j%d", first + i);
        tokens[i].job_id = ids[i];
        tokens[i].has_attempt = true;
        tokens[i].attempt = 1;
        tokens[i].has_fence = true;
        tokens[i].fence = 7;
        work[i].token = &tokens[i];
        work[i].service = service;
        work[i].method = method;
        work[i].has_payload = true;
        work[i].payload.data = (uint8_t *)payload;
        work[i].payload.len = 7;
        work[i].has_timeout_ms = timeout_ms != 0;
        work[i].timeout_ms = timeout_ms;
        pointers[i] = &work[i];
    }
    response.n_assignments = (size_t)count;
    response.assignments = pointers;
    peer_answer(request, &response.base);
}

/* Answers a Poll or Report: nothing, or stop these. */
static void
answer_empty(struct peer_request *request, const char *stop, bool drain)
{
    Redial__V1__PollResponse poll = REDIAL__V1__POLL_RESPONSE__INIT;
    Redial__V1__ReportResponse report = REDIAL__V1__REPORT_RESPONSE__INIT;
    Redial__V1__Token token = REDIAL__V1__TOKEN__INIT;
    Redial__V1__Token *pointer = &token;
    char id[16];

    if (stop != NULL) {
        (void)snprintf(id, sizeof(id), "%s", stop);
        token.job_id = id;
        token.has_attempt = true;
        token.attempt = 1;
        token.has_fence = true;
        token.fence = 7;
        poll.n_stop = 1;
        poll.stop = &pointer;
        report.n_stop = 1;
        report.stop = &pointer;
    }
    poll.has_drain = drain;
    poll.drain = drain;
    if (strcmp(request->method->name, "Poll") == 0) {
        peer_answer(request, &poll.base);
    } else {
        peer_answer(request, &report.base);
    }
}

static uint32_t
free_of(const struct peer_request *request, const char *service)
{
    for (size_t i = 0; i < poll_of(request)->n_credits; i++) {
        if (strcmp(poll_of(request)->credits[i]->service, service) == 0) {
            return poll_of(request)->credits[i]->free;
        }
    }
    return UINT32_MAX;
}

/* Polls until one carries a report; the others are answered empty, but for the
 * last, which stays parked like the gateway's. */
static struct peer_request *
next_report(struct rig *rig, size_t reports)
{
    struct peer_request *request = next(rig, "Poll");

    while (poll_of(request)->n_reports < reports) {
        struct peer_request *newer = next(rig, "Poll");

        answer_empty(request, NULL, false);
        request = newer;
    }
    return request;
}

/* Lets the worker go: says yes to all it still has to say. */
static bool
say_yes(void *ctx, struct peer_request *request)
{
    (void)ctx;
    if (strcmp(request->method->name, "Report") != 0) {
        return false;
    }
    answer_empty(request, NULL, false);
    return true;
}

/* ---- tests ---- */

static void
hello_tells_who_it_is_and_poll_what_is_free(void **state)
{
    struct rig *rig = *state;
    struct peer_request *request;
    const Redial__V1__HelloRequest *hello;

    open_worker(rig, true);
    request = next(rig, "Hello");
    hello = hello_of(request);
    assert_string_equal(hello->name, "tester");
    assert_string_equal(hello->instance, "i-1");
    assert_string_equal(hello->version, "7");
    assert_int_equal(hello->concurrency, 4);
    assert_int_equal(hello->n_methods, 2);
    assert_string_equal(hello->methods[0]->service, "t.Test");
    assert_string_equal(hello->methods[0]->method, "Run");
    assert_int_equal(hello->methods[0]->concurrency, 3);
    assert_null(hello->methods[1]->method);
    assert_int_equal(hello->n_labels, 1);
    assert_int_equal(hello->n_in_hand, 0);
    answer_hello(request, 3600000);
    request = next(rig, "Poll");
    assert_int_equal(poll_of(request)->worker_id, 42);
    assert_int_equal(poll_of(request)->free_total, 4);
    assert_int_equal(free_of(request, "t.Test"), 3);
    assert_int_equal(free_of(request, "t.Other"), 2);
    assert_in_range(poll_of(request)->wait_ms, 1, 20000);
    assert_int_equal(
        redial_worker_wait_ready(rig->worker, redial_in_ms(10000), NULL),
        REDIAL_OK);
    peer_handle(rig->peer, say_yes, NULL);
    peer_drop(request);
}

static void
an_attempt_is_run_acknowledged_and_reported(void **state)
{
    struct rig *rig = *state;
    struct peer_request *parked;
    struct peer_request *request;
    const struct redial_assignment *work;

    open_worker(rig, true);
    greet(rig);
    assign(next(rig, "Poll"), 1, 2, 0);
    work = redial_attempt_work(held(rig, 0));
    assert_string_equal(work->job_id, "j1");
    assert_string_equal(work->service, "t.Test");
    assert_string_equal(work->key, "");
    assert_int_equal(work->attempt, 1);
    assert_int_equal(work->fence, 7);
    assert_int_equal(work->payload_bytes, 7);
    assert_memory_equal(work->payload, "payload", 7);
    held(rig, 1);
    parked = next(rig, "Poll");
    assert_int_equal(poll_of(parked)->n_acks, 2);
    assert_int_equal(poll_of(parked)->free_total, 2);
    assert_int_equal(free_of(parked, "t.Test"), 1);
    assert_int_equal(poll_of(parked)->n_reports, 0);

    complete(rig, 0, REDIAL_OK);
    request = next(rig, "Poll"); /* takes the parked one's place */
    assert_int_equal(poll_of(request)->n_acks, 0);
    assert_int_equal(poll_of(request)->n_reports, 1);
    assert_string_equal(poll_of(request)->reports[0]->token->job_id, "j1");
    assert_int_equal(poll_of(request)->reports[0]->outcome->code,
                     REDIAL__V1__CODE__OK);
    assert_memory_equal(poll_of(request)->reports[0]->outcome->result.data,
                        "done", 4);
    assert_int_equal(poll_of(request)->free_total, 3);
    answer_empty(parked, NULL, false);

    complete(rig, 1, REDIAL_UNAVAILABLE);
    parked = request;
    request = next(rig, "Poll");
    assert_int_equal(poll_of(request)->n_reports, 1); /* not the first again */
    assert_string_equal(poll_of(request)->reports[0]->token->job_id, "j2");
    assert_string_equal(poll_of(request)->reports[0]->outcome->reason,
                        "HTTP_503");
    assert_int_equal(poll_of(request)->free_total, 4);
    answer_empty(parked, NULL, false);
    peer_handle(rig->peer, say_yes, NULL);
    peer_drop(request);
}

static void
what_is_ready_while_two_polls_fly_goes_together(void **state)
{
    struct rig *rig = *state;
    struct peer_request *first;
    struct peer_request *second;

    open_worker(rig, true);
    greet(rig);
    assign(next(rig, "Poll"), 1, 3, 0);
    held(rig, 2);
    first = next(rig, "Poll");
    complete(rig, 0, REDIAL_OK);
    second = next(rig, "Poll");
    assert_int_equal(poll_of(second)->n_reports, 1);
    complete(rig, 1, REDIAL_OK);
    complete(rig, 2, REDIAL_OK);
    assert_false(peer_has(rig->peer, NULL));
    answer_empty(first, NULL, false);
    first = next(rig, "Poll");
    assert_int_equal(poll_of(first)->n_reports, 2);
    peer_handle(rig->peer, say_yes, NULL);
    peer_drop(first);
    peer_drop(second);
}

static void
a_report_is_repeated_until_it_is_acknowledged(void **state)
{
    struct rig *rig = *state;
    struct peer_request *request;

    open_worker(rig, false);
    greet(rig);
    assign(next(rig, "Poll"), 1, 1, 0);
    complete(rig, 0, REDIAL_OK);
    peer_drop(next_report(rig, 1));
    peer_stop(rig->peer);
    peer_start(rig->peer);
    request = next(rig, "Hello");
    assert_string_equal(hello_of(request)->instance, "i-1");
    assert_int_equal(hello_of(request)->n_in_hand, 1); /* not acknowledged */
    assert_string_equal(hello_of(request)->in_hand[0]->job_id, "j1");
    answer_hello(request, 3600000);
    request = next(rig, "Poll");
    assert_int_equal(poll_of(request)->n_reports, 1);
    assert_int_equal(poll_of(request)->free_total, 4);
    answer_empty(request, NULL, false);
    request = next(rig, "Poll");
    assert_int_equal(poll_of(request)->n_reports, 0);
    peer_handle(rig->peer, say_yes, NULL);
    peer_drop(request);
}

static void
a_lost_connection_does_not_end_an_attempt(void **state)
{
    struct rig *rig = *state;
    struct peer_request *request;

    open_worker(rig, false);
    greet(rig);
    assign(next(rig, "Poll"), 1, 2, 0);
    held(rig, 1);
    peer_stop(rig->peer);
    peer_start(rig->peer);
    request = next(rig, "Hello");
    assert_int_equal(hello_of(request)->n_in_hand, 2);
    assert_int_equal(hello_of(request)->in_hand[0]->fence, 7);
    answer_hello(request, 3600000);
    request = next(rig, "Poll");
    assert_int_equal(poll_of(request)->n_acks, 0); /* Hello has listed them */
    assert_int_equal(poll_of(request)->free_total, 2);
    assert_false(redial_attempt_cancelled(held(rig, 0)));
    complete(rig, 0, REDIAL_OK);
    complete(rig, 1, REDIAL_OK);
    peer_handle(rig->peer, say_yes, NULL);
    peer_drop(request);
}

static void
a_superseded_attempt_is_given_up(void **state)
{
    struct rig *rig = *state;
    Redial__V1__HelloResponse response = REDIAL__V1__HELLO_RESPONSE__INIT;
    struct peer_request *request;

    open_worker(rig, true);
    greet(rig);
    assign(next(rig, "Poll"), 1, 1, 0);
    held(rig, 0);
    peer_stop(rig->peer);
    peer_start(rig->peer);
    request = next(rig, "Hello");
    response.n_stop = 1;
    response.stop = hello_of(request)->in_hand;
    peer_answer(request, &response.base);
    assert_true(wait_for(rig, &rig->cancels, 1));
    request = next(rig, "Poll");
    assert_int_equal(poll_of(request)->free_total, 3); /* still runs */
    complete(rig, 0, REDIAL_OK);
    answer_empty(request, NULL, false);
    do {
        request = next(rig, "Poll");
        assert_int_equal(poll_of(request)->n_reports, 0); /* nobody asks */
    } while (poll_of(request)->free_total < 4 &&
             (answer_empty(request, NULL, false), true));
    peer_handle(rig->peer, say_yes, NULL);
    peer_drop(request);
}

static void
the_same_assignment_twice_is_one_attempt(void **state)
{
    struct rig *rig = *state;
    struct peer_request *request;

    open_worker(rig, true);
    greet(rig);
    assign(next(rig, "Poll"), 1, 1, 0);
    held(rig, 0);
    assign(next(rig, "Poll"), 1, 2, 0); /* j1 again, and j2 */
    held(rig, 1);
    assert_string_equal(redial_attempt_work(held(rig, 1))->job_id, "j2");
    request = next(rig, "Poll");
    assert_int_equal(poll_of(request)->n_acks, 2); /* both, to be sure */
    assert_int_equal(poll_of(request)->free_total, 2);
    assert_int_equal(rig->started, 2);
    complete(rig, 0, REDIAL_OK);
    complete(rig, 1, REDIAL_OK);
    peer_handle(rig->peer, say_yes, NULL);
    peer_drop(request);
}

static void
a_stop_reaches_the_handler_and_its_end_is_reported(void **state)
{
    struct rig *rig = *state;
    struct peer_request *request;

    open_worker(rig, false);
    greet(rig);
    assign(next(rig, "Poll"), 1, 1, 0);
    held(rig, 0);
    answer_empty(next(rig, "Poll"), "j1", false);
    assert_true(wait_for(rig, &rig->cancels, 1));
    assert_true(redial_attempt_cancelled(held(rig, 0)));
    complete(rig, 0, REDIAL_CANCELLED);
    request = next_report(rig, 1);
    assert_int_equal(poll_of(request)->reports[0]->outcome->code,
                     REDIAL__V1__CODE__CANCELLED);
    peer_handle(rig->peer, say_yes, NULL);
    peer_drop(request);
}

static void
over_its_limit_an_attempt_is_stopped_and_reported_so(void **state)
{
    struct rig *rig = *state;
    struct peer_request *request;

    open_worker(rig, false);
    greet(rig);
    assign(next(rig, "Poll"), 1, 2, 1000);
    held(rig, 1);
    assert_true(wait_for(rig, &rig->cancels, 2));
    complete(rig, 0, REDIAL_OK); /* too late for that */
    request = next_report(rig, 1);
    assert_int_equal(poll_of(request)->reports[0]->outcome->code,
                     REDIAL__V1__CODE__DEADLINE_EXCEEDED);
    assert_string_equal(poll_of(request)->reports[0]->outcome->reason,
                        "ATTEMPT_TIMEOUT");
    answer_empty(request, NULL, false);
    request = next_report(rig, 1); /* the other one, without its handler */
    assert_string_equal(poll_of(request)->reports[0]->outcome->reason,
                        "ATTEMPT_TIMEOUT");
    assert_int_equal(poll_of(request)->free_total, 3); /* which still runs */
    answer_empty(request, NULL, false);
    complete(rig, 1, REDIAL_OK);
    do {
        request = next(rig, "Poll");
        assert_int_equal(poll_of(request)->n_reports, 0);
    } while (poll_of(request)->free_total < 4 &&
             (answer_empty(request, NULL, false), true));
    peer_handle(rig->peer, say_yes, NULL);
    peer_drop(request);
}

static void
progress_and_heartbeats_travel_in_reports(void **state)
{
    struct rig *rig = *state;
    struct peer_request *request;

    open_worker(rig, true);
    answer_hello(next(rig, "Hello"), 50);
    assign(next(rig, "Poll"), 1, 1, 0);
    redial_attempt_progress(held(rig, 0), "half way");
    request = next(rig, "Report");
    while (report_of(request)->n_reports == 0) { /* a heartbeat was faster */
        answer_empty(request, NULL, false);
        request = next(rig, "Report");
    }
    assert_int_equal(report_of(request)->worker_id, 42);
    assert_string_equal(report_of(request)->reports[0]->progress, "half way");
    assert_null(report_of(request)->reports[0]->outcome);
    redial_attempt_progress(held(rig, 0), "nearly");
    redial_attempt_progress(held(rig, 0), "there");
    answer_empty(request, NULL, false);
    request = next(rig, "Report");
    assert_int_equal(report_of(request)->n_reports, 1);
    assert_string_equal(report_of(request)->reports[0]->progress, "there");
    answer_empty(request, NULL, false);
    request = next(rig, "Report");
    assert_int_equal(report_of(request)->n_reports, 0);
    assert_false(report_of(request)->goodbye);
    answer_empty(request, "j1", false); /* a stop comes this way, too */
    assert_true(wait_for(rig, &rig->cancels, 1));
    complete(rig, 0, REDIAL_CANCELLED);
    peer_handle(rig->peer, say_yes, NULL);
}

static void
outcomes_arrive_as_given_or_as_internal(void **state)
{
    struct rig *rig = *state;
    struct redial_outcome outcome = {
        .code = REDIAL_RESOURCE_EXHAUSTED,
        .reason = "QUOTA",
        .text = "bad \xff text",
        .has_pushback = true,
        .pushback_ms = 1500,
    };
    struct peer_request *request;
    const Redial__V1__AttemptReport *report;

    open_worker(rig, true);
    greet(rig);
    assign(next(rig, "Poll"), 1, 3, 0);
    held(rig, 2);
    complete_with(rig, 0, &outcome, REDIAL_COMPLETE_OVERLOADED);
    outcome.code = (enum redial_status)99;
    complete_with(rig, 1, &outcome, 0);
    outcome.code = REDIAL_OK;
    outcome.result = "x";
    outcome.result_bytes = REDIAL_PAYLOAD_BYTES_MAX + 1;
    complete_with(rig, 2, &outcome, 0);
    for (size_t seen = 0; seen < 3;) {
        request = next_report(rig, 1);
        for (size_t i = 0; i < poll_of(request)->n_reports; i++, seen++) {
            report = poll_of(request)->reports[i];
            if (strcmp(report->token->job_id, "j1") == 0) {
                assert_true(report->overloaded);
                assert_int_equal(report->outcome->pushback_ms, 1500);
                assert_string_equal(report->outcome->text, "bad ? text");
                assert_string_equal(report->outcome->reason, "QUOTA");
            } else if (strcmp(report->token->job_id, "j2") == 0) {
                assert_string_equal(report->outcome->reason, "BAD_OUTCOME");
            } else {
                assert_string_equal(report->outcome->reason,
                                    "RESULT_TOO_LARGE");
                assert_int_equal(report->outcome->code,
                                 REDIAL__V1__CODE__INTERNAL);
            }
        }
        answer_empty(request, NULL, false);
    }
    peer_handle(rig->peer, say_yes, NULL);
}

static void
a_handler_without_an_outcome_is_an_internal_failure(void **state)
{
    struct rig *rig = *state;
    struct peer_request *request;

    rig->returns_nothing = true;
    open_worker(rig, false);
    greet(rig);
    assign(next(rig, "Poll"), 1, 1, 0);
    request = next_report(rig, 1);
    assert_int_equal(poll_of(request)->reports[0]->outcome->code,
                     REDIAL__V1__CODE__INTERNAL);
    assert_string_equal(poll_of(request)->reports[0]->outcome->reason,
                        "NO_OUTCOME");
    peer_handle(rig->peer, say_yes, NULL);
    peer_drop(request);
}

static void
the_gateway_drains_the_worker(void **state)
{
    struct rig *rig = *state;
    struct peer_request *request;
    struct redial_error error = {0};

    open_worker(rig, true);
    greet(rig);
    assign(next(rig, "Poll"), 1, 1, 0);
    held(rig, 0);
    answer_empty(next(rig, "Poll"), NULL, true);
    request = next(rig, "Poll");
    assert_int_equal(poll_of(request)->free_total, 0); /* control only */
    peer_drop(request);
    assert_int_equal(redial_worker_wait(rig->worker, redial_in_ms(20), &error),
                     REDIAL_DEADLINE_EXCEEDED);
    complete(rig, 0, REDIAL_OK);
    request = next(rig, "Report");
    assert_int_equal(report_of(request)->n_reports, 1);
    assert_true(report_of(request)->goodbye);
    answer_empty(request, NULL, false);
    assert_int_equal(
        redial_worker_wait(rig->worker, redial_in_ms(10000), &error),
        REDIAL_OK);
}

static void
a_gateway_that_forgot_the_worker_is_told_again(void **state)
{
    struct rig *rig = *state;
    struct peer_request *request;

    open_worker(rig, true);
    greet(rig);
    assign(next(rig, "Poll"), 1, 1, 0);
    held(rig, 0);
    peer_refuse(next(rig, "Poll"), REDIAL_NOT_FOUND, "WORKER_UNKNOWN", "who?");
    request = next(rig, "Hello");
    assert_int_equal(hello_of(request)->n_in_hand, 1);
    answer_hello(request, 3600000);
    request = next(rig, "Poll");
    complete(rig, 0, REDIAL_OK);
    peer_handle(rig->peer, say_yes, NULL);
    peer_drop(request);
}

static void
a_refused_worker_stops_trying_and_says_why(void **state)
{
    struct rig *rig = *state;
    struct redial_error error = {0};

    open_worker(rig, true);
    peer_refuse(next(rig, "Hello"), REDIAL_UNAVAILABLE, "", "not yet");
    peer_refuse(next(rig, "Hello"), REDIAL_PERMISSION_DENIED, "ROLE",
                "not a worker");
    assert_int_equal(
        redial_worker_wait(rig->worker, redial_in_ms(10000), &error),
        REDIAL_PERMISSION_DENIED);
    assert_string_equal(error.reason, "ROLE");
    assert_int_equal(
        redial_worker_wait_ready(rig->worker, redial_in_ms(10000), &error),
        REDIAL_PERMISSION_DENIED);
    assert_false(peer_has(rig->peer, NULL));
}

static void
bad_options_are_refused_by_name(void **state)
{
    struct redial_worker_method method = {.service = "s", .handler = keep};
    struct redial_worker_options options = {
        .struct_size = sizeof(options),
        .connection.addresses = "ipc:///tmp/redial-test-nobody",
        .name = "n",
        .methods = &method,
        .method_count = 1,
    };
    struct redial_error error = {0};
    redial_worker *worker = NULL;

    (void)state;
    options.name = NULL;
    assert_int_equal(redial_worker_open(&options, &worker, &error),
                     REDIAL_INVALID_ARGUMENT);
    assert_non_null(strstr(error.text, "options.name"));
    options.name = "n";
    method.handler = NULL;
    assert_int_equal(redial_worker_open(&options, &worker, &error),
                     REDIAL_INVALID_ARGUMENT);
    assert_non_null(strstr(error.text, "options.methods[0].handler"));
    method.handler = keep;
    options.method_count = 0;
    assert_int_equal(redial_worker_open(&options, &worker, &error),
                     REDIAL_INVALID_ARGUMENT);
    options.method_count = 1;
    options.concurrency = 1001;
    assert_int_equal(redial_worker_open(&options, &worker, &error),
                     REDIAL_INVALID_ARGUMENT);
    assert_null(worker);
}

/* Handlers of a closing worker end by themselves when they are told to. */
static void
stop_when_told(void *ctx, redial_attempt *attempt)
{
    struct rig *rig = ctx;
    struct redial_outcome outcome = {.code = REDIAL_CANCELLED};

    redial_attempt_complete(attempt, &outcome, 0);
    (void)pthread_mutex_lock(&rig->lock);
    rig->cancels++;
    (void)pthread_mutex_unlock(&rig->lock);
}

static void
close_stops_attempts_and_delivers_their_ends(void **state)
{
    struct rig *rig = *state;
    struct redial_worker_method method = {
        .service = "t.Test",
        .method = "Run",
        .concurrency = 2,
        .handler = keep,
        .cancel = stop_when_told,
        .ctx = rig,
        .is_async = true,
    };
    struct redial_worker_options options = {
        .struct_size = sizeof(options),
        .connection.addresses = peer_url(rig->peer),
        .name = "tester",
        .methods = &method,
        .method_count = 1,
    };
    redial_worker *worker;

    assert_int_equal(redial_worker_open(&options, &worker, NULL), REDIAL_OK);
    greet(rig);
    assign(next(rig, "Poll"), 1, 2, 0);
    held(rig, 1);
    peer_handle(rig->peer, say_yes, NULL);
    redial_worker_close(worker);
    assert_int_equal(rig->cancels, 2);
}

#define TEST(function) \
    cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(hello_tells_who_it_is_and_poll_what_is_free),
        TEST(an_attempt_is_run_acknowledged_and_reported),
        TEST(what_is_ready_while_two_polls_fly_goes_together),
        TEST(a_report_is_repeated_until_it_is_acknowledged),
        TEST(a_lost_connection_does_not_end_an_attempt),
        TEST(a_superseded_attempt_is_given_up),
        TEST(the_same_assignment_twice_is_one_attempt),
        TEST(a_stop_reaches_the_handler_and_its_end_is_reported),
        TEST(over_its_limit_an_attempt_is_stopped_and_reported_so),
        TEST(progress_and_heartbeats_travel_in_reports),
        TEST(outcomes_arrive_as_given_or_as_internal),
        TEST(a_handler_without_an_outcome_is_an_internal_failure),
        TEST(the_gateway_drains_the_worker),
        TEST(a_gateway_that_forgot_the_worker_is_told_again),
        TEST(a_refused_worker_stops_trying_and_says_why),
        TEST(bad_options_are_refused_by_name),
        TEST(close_stops_attempts_and_delivers_their_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
