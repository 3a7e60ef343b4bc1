/* SPDX-License-Identifier: Apache-2.0 */
/* How attempts and workers end. */
#include "tests/unit/client/worker_rig.h"

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
    complete_with(rig, 0, &outcome,
                  REDIAL_COMPLETE_OVERLOADED | REDIAL_COMPLETE_FOR_TARGET);
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
                assert_true(report->outcome->for_target);
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
