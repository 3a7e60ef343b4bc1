/* SPDX-License-Identifier: Apache-2.0 */
/* How a worker takes attempts, keeps them, and gives them up. */
#include "tests/unit/client/worker_rig.h"

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
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
