/* SPDX-License-Identifier: Apache-2.0 */
#include "client/clock.h"
#include "client/internal.h"
#include "proto/check.h"
#include "tests/unit/client/support.h"

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

/* ---- a thread in redial_call() ---- */

struct caller {
    redial_client *client;
    struct redial_job job;
    struct redial_deadline deadline;
    enum redial_status status;
    struct redial_job_info *info;
    struct redial_error error;
};

static void
run_call(void *arg)
{
    struct caller *self = arg;

    self->status = redial_call(self->client, &self->job, self->deadline,
                               &self->info, &self->error);
}

static struct caller
caller_of(struct rig *rig)
{
    struct caller caller = {
        .client = rig->client,
        .job = test_job(),
        .deadline = redial_in_ms(10000),
    };

    return caller;
}

/* Accepts one job; `is_final`: with its end. */
static void
accept_one(struct peer_request *request, bool is_final)
{
    Redial__V1__SubmitResponse response = REDIAL__V1__SUBMIT_RESPONSE__INIT;
    Redial__V1__SubmitResult result = REDIAL__V1__SUBMIT_RESULT__INIT;
    Redial__V1__SubmitResult *pointer = &result;
    Redial__V1__Outcome outcome;
    Redial__V1__Job job;

    result.id = submit_of(request)->jobs[0]->id;
    fill_final(&job, &outcome, result.id);
    if (!is_final) {
        job.state = REDIAL__V1__JOB__STATE__RUNNING;
        job.outcome = NULL;
    }
    result.has_state = true;
    result.state = job.state;
    result.job = &job;
    response.n_results = 1;
    response.results = &pointer;
    peer_answer(request, &response.base);
}

static void
succeeded(struct caller *caller)
{
    assert_int_equal(caller->status, REDIAL_OK);
    assert_int_equal(caller->info->state, REDIAL_JOB_SUCCEEDED);
    assert_int_equal(caller->info->outcome->code, REDIAL_OK);
    assert_int_equal(caller->info->outcome->result_bytes,
                     strlen(caller->info->id));
    assert_memory_equal(caller->info->outcome->result, caller->info->id,
                        caller->info->outcome->result_bytes);
    assert_string_equal(caller->info->outcome->reason, "");
    redial_job_info_free(caller->info);
}

static void
a_lone_call_waits_at_the_gateway(void **state)
{
    struct rig *rig = *state;
    struct caller caller = caller_of(rig);
    Redial__V1__HealthResponse health = REDIAL__V1__HEALTH_RESPONSE__INIT;
    struct peer_request *request;
    struct background *thread;

    (void)health;
    /* One coalesced call first, so that the connection is up. */
    thread = background(run_call, &caller);
    request = peer_next(rig->peer, "Submit");
    assert_non_null(request);
    if (submit_of(request)->wait_ms == 0) { /* it was queued before that */
        accept_jobs(request);
        request = peer_next(rig->peer, "Await");
        assert_non_null(request);
        answer_await(request, await_of(request)->ids, 1);
        join(thread);
        succeeded(&caller);
        thread = background(run_call, &caller);
        request = peer_next(rig->peer, "Submit");
        assert_non_null(request);
    }
    assert_in_range(submit_of(request)->wait_ms, 1, 20000);
    assert_int_equal(submit_of(request)->n_jobs, 1);
    accept_one(request, true);
    join(thread);
    succeeded(&caller);
    assert_false(peer_has(rig->peer, NULL));
}

static void
a_call_that_is_not_final_in_time_is_awaited(void **state)
{
    struct rig *rig = *state;
    struct caller caller = caller_of(rig);
    struct background *thread = background(run_call, &caller);
    struct peer_request *request = peer_next(rig->peer, "Submit");

    assert_non_null(request);
    accept_one(request, false);
    for (int i = 0; i < 2; i++) { /* twice nothing, then the end */
        request = peer_next(rig->peer, "Await");
        assert_non_null(request);
        assert_int_equal(await_of(request)->n_ids, 1);
        assert_in_range(await_of(request)->wait_ms, 1, 20000);
        answer_await(request, NULL, 0);
    }
    request = peer_next(rig->peer, "Await");
    assert_non_null(request);
    answer_await(request, await_of(request)->ids, 1);
    join(thread);
    succeeded(&caller);
}

static void
calls_that_wait_share_an_await(void **state)
{
    enum { COUNT = 20 };
    struct rig *rig = *state;
    struct caller callers[COUNT];
    struct background *threads[COUNT];
    struct peer_request *first;
    struct peer_request *request;
    size_t accepted = 0;
    size_t awaits = 0;
    size_t ended = 0;

    /* Hold one Submit back until the rest has gathered behind it. */
    callers[0] = caller_of(rig);
    threads[0] = background(run_call, &callers[0]);
    first = peer_next(rig->peer, "Submit");
    assert_non_null(first);
    for (int i = 1; i < COUNT; i++) {
        callers[i] = caller_of(rig);
        threads[i] = background(run_call, &callers[i]);
    }
    accepted += submit_of(first)->n_jobs;
    accept_one(first, false);
    while (ended < COUNT) {
        request = peer_next(rig->peer, NULL);
        assert_non_null(request);
        if (strcmp(request->method->name, "Submit") == 0) {
            accepted += submit_of(request)->n_jobs;
            accept_jobs(request);
        } else {
            awaits++;
            ended += await_of(request)->n_ids;
            answer_await(request, await_of(request)->ids,
                         await_of(request)->n_ids);
        }
    }
    for (int i = 0; i < COUNT; i++) {
        join(threads[i]);
        succeeded(&callers[i]);
    }
    assert_int_equal(accepted, COUNT);
    assert_true(awaits <= COUNT);
}

static void
a_call_survives_a_lost_connection(void **state)
{
    struct rig *rig = *state;
    struct caller caller = caller_of(rig);
    struct background *thread = background(run_call, &caller);
    struct peer_request *request = peer_next(rig->peer, "Submit");

    assert_non_null(request);
    peer_drop(request);
    peer_stop(rig->peer);
    peer_start(rig->peer);
    request = peer_next(rig->peer, "Submit");
    assert_non_null(request);
    assert_true(submit_of(request)->repeat);
    assert_false(submit_of(request)->has_wait_ms);
    accept_jobs(request);
    request = peer_next(rig->peer, "Await");
    assert_non_null(request);
    peer_drop(request);
    peer_stop(rig->peer);
    peer_start(rig->peer);
    request = peer_next(rig->peer, "Await");
    assert_non_null(request);
    answer_await(request, await_of(request)->ids, 1);
    join(thread);
    succeeded(&caller);
}

static void
a_call_ends_at_its_deadline_wherever_it_is(void **state)
{
    struct rig *rig = *state;
    struct caller caller = caller_of(rig);
    struct background *thread;
    struct peer_request *request;

    caller.deadline = redial_in_ms(2000);
    thread = background(run_call, &caller);
    request = peer_next(rig->peer, "Submit");
    assert_non_null(request);
    accept_one(request, false);
    request = peer_next(rig->peer, "Await");
    assert_non_null(request);
    join(thread);
    assert_int_equal(caller.status, REDIAL_DEADLINE_EXCEEDED);
    assert_string_equal(caller.error.reason, "NOT_FINAL");
    answer_await(request, await_of(request)->ids, 1); /* to nobody */
}

static void
a_refused_job_ends_the_call(void **state)
{
    struct rig *rig = *state;
    struct caller caller = caller_of(rig);
    struct background *thread = background(run_call, &caller);
    struct peer_request *request = peer_next(rig->peer, "Submit");

    assert_non_null(request);
    peer_refuse(request, REDIAL_PERMISSION_DENIED, "TENANT", "not yours");
    join(thread);
    assert_int_equal(caller.status, REDIAL_PERMISSION_DENIED);
    assert_string_equal(caller.error.text, "not yours");
}

/* ---- a thread in redial_await() ---- */

struct awaiting {
    redial_client *client;
    struct redial_await what;
    struct redial_deadline deadline;
    enum redial_status status;
    struct redial_job_list *list;
    struct redial_error error;
};

static void
run_await(void *arg)
{
    struct awaiting *self = arg;

    self->status = redial_await(self->client, &self->what, self->deadline,
                                &self->list, &self->error);
}

static struct awaiting
awaiting_of(struct rig *rig)
{
    struct awaiting awaiting = {
        .client = rig->client,
        .what.struct_size = sizeof(struct redial_await),
        .deadline = redial_in_ms(10000),
    };

    return awaiting;
}

static void
any_of_several_ids(void **state)
{
    static const char *const ids[] = {"a", "b", "c"};
    struct rig *rig = *state;
    struct awaiting awaiting = awaiting_of(rig);
    struct background *thread;
    struct peer_request *request;
    char b[] = "b";
    char *answer[] = {b};

    awaiting.what.ids = ids;
    awaiting.what.id_count = 3;
    thread = background(run_await, &awaiting);
    request = peer_next(rig->peer, "Await");
    assert_non_null(request);
    assert_int_equal(await_of(request)->n_ids, 3);
    answer_await(request, answer, 1);
    join(thread);
    assert_int_equal(awaiting.status, REDIAL_OK);
    assert_int_equal(awaiting.list->count, 1);
    assert_string_equal(awaiting.list->jobs[0].id, "b");
    assert_int_equal(awaiting.list->pending, 2);
    assert_int_equal(awaiting.list->missing_count, 0);
    redial_job_list_free(awaiting.list);
}

static void
all_of_several_ids_one_of_them_unknown(void **state)
{
    static const char *const ids[] = {"a", "b", "a"};
    struct rig *rig = *state;
    struct awaiting awaiting = awaiting_of(rig);
    Redial__V1__AwaitResponse response = REDIAL__V1__AWAIT_RESPONSE__INIT;
    struct background *thread;
    struct peer_request *request;
    char a[] = "a";
    char b[] = "b";
    char *answer[] = {a};
    char *missing[] = {b};

    awaiting.what.ids = ids;
    awaiting.what.id_count = 3;
    awaiting.what.all = true;
    thread = background(run_await, &awaiting);
    request = peer_next(rig->peer, "Await");
    assert_non_null(request);
    response.n_missing = 1;
    response.missing = missing;
    peer_answer(request, &response.base);
    request = peer_next(rig->peer, "Await"); /* for the rest */
    assert_non_null(request);
    assert_int_equal(await_of(request)->n_ids, 2);
    answer_await(request, answer, 1); /* settles both */
    join(thread);
    assert_int_equal(awaiting.status, REDIAL_OK);
    assert_int_equal(awaiting.list->count, 2);
    assert_int_equal(awaiting.list->missing_count, 1);
    assert_string_equal(awaiting.list->missing[0], "b");
    assert_int_equal(awaiting.list->pending, 0);
    redial_job_list_free(awaiting.list);
}

static void
only_unknown_ids_are_not_found(void **state)
{
    static const char *const ids[] = {"x"};
    struct rig *rig = *state;
    struct awaiting awaiting = awaiting_of(rig);
    Redial__V1__AwaitResponse response = REDIAL__V1__AWAIT_RESPONSE__INIT;
    struct background *thread;
    struct peer_request *request;
    char x[] = "x";
    char *missing[] = {x};

    awaiting.what.ids = ids;
    awaiting.what.id_count = 1;
    thread = background(run_await, &awaiting);
    request = peer_next(rig->peer, "Await");
    assert_non_null(request);
    response.n_missing = 1;
    response.missing = missing;
    peer_answer(request, &response.base);
    join(thread);
    assert_int_equal(awaiting.status, REDIAL_NOT_FOUND);
}

static void
all_of_keys_and_ids(void **state)
{
    static const char *const ids[] = {"a"};
    static const char *const keys[] = {"k1", "k2"};
    struct rig *rig = *state;
    struct awaiting awaiting = awaiting_of(rig);
    Redial__V1__AwaitResponse response = REDIAL__V1__AWAIT_RESPONSE__INIT;
    Redial__V1__Outcome outcome;
    Redial__V1__Job job;
    Redial__V1__Job *pointer = &job;
    struct background *thread;
    struct peer_request *request;
    char id[] = "id-of-k1";
    char k1[] = "k1";
    char k2[] = "k2";
    char *missing[] = {k2};
    char a[] = "a";
    char *answer[] = {a};

    awaiting.what.ids = ids;
    awaiting.what.id_count = 1;
    awaiting.what.keys = keys;
    awaiting.what.key_count = 2;
    awaiting.what.tenant = "acme";
    awaiting.what.all = true;
    thread = background(run_await, &awaiting);
    request = peer_next(rig->peer, "Await");
    assert_non_null(request);
    assert_int_equal(await_of(request)->n_keys, 2);
    assert_string_equal(await_of(request)->tenant, "acme");
    fill_final(&job, &outcome, id);
    job.key = k1;
    response.n_jobs = 1;
    response.jobs = &pointer;
    response.n_missing = 1;
    response.missing = missing;
    peer_answer(request, &response.base);
    request = peer_next(rig->peer, "Await");
    assert_non_null(request);
    assert_int_equal(await_of(request)->n_keys, 0);
    assert_int_equal(await_of(request)->n_ids, 1);
    answer_await(request, answer, 1);
    join(thread);
    assert_int_equal(awaiting.status, REDIAL_OK);
    assert_int_equal(awaiting.list->count, 2);
    assert_string_equal(awaiting.list->jobs[0].key, "k1");
    assert_int_equal(awaiting.list->missing_count, 1);
    redial_job_list_free(awaiting.list);
}

static void
answer_watch(struct peer_request *request, const char *type)
{
    Redial__V1__WatchResponse response = REDIAL__V1__WATCH_RESPONSE__INIT;
    Redial__V1__Event event = REDIAL__V1__EVENT__INIT;
    Redial__V1__Event *pointer = &event;
    char cursor[] = "e:1";
    char text[32];

    response.cursor = cursor;
    if (type != NULL) {
        (void)snprintf(text, sizeof(text), "%s", type);
        event.type = text;
        response.n_events = 1;
        response.events = &pointer;
    }
    peer_answer(request, &response.base);
}

/* Some final, some not. */
static void
answer_correlation(struct peer_request *request, char **ids, size_t count,
                   unsigned pending)
{
    Redial__V1__AwaitResponse response = REDIAL__V1__AWAIT_RESPONSE__INIT;
    Redial__V1__Outcome outcomes[2];
    Redial__V1__Job jobs[2];
    Redial__V1__Job *pointers[2] = {&jobs[0], &jobs[1]};

    for (size_t i = 0; i < count; i++) {
        fill_final(&jobs[i], &outcomes[i], ids[i]);
    }
    response.n_jobs = count;
    response.jobs = pointers;
    response.has_pending = true;
    response.pending = pending;
    peer_answer(request, &response.base);
}

static void
all_of_a_correlation_id_are_followed_as_events(void **state)
{
    struct rig *rig = *state;
    struct awaiting awaiting = awaiting_of(rig);
    struct background *thread;
    struct peer_request *request;
    char a[] = "a";
    char b[] = "b";
    char *ids[] = {a, b};

    awaiting.what.correlation_id = "c1";
    awaiting.what.all = true;
    thread = background(run_await, &awaiting);
    request = peer_next(rig->peer, "Watch");
    assert_non_null(request);
    answer_watch(request, NULL);
    request = peer_next(rig->peer, "Await");
    assert_non_null(request);
    assert_string_equal(await_of(request)->correlation_id, "c1");
    answer_correlation(request, ids, 1, 1);
    request = peer_next(rig->peer, "Watch");
    assert_non_null(request);
    assert_false(peer_has(rig->peer, "Await"));
    answer_watch(request, "job.succeeded");
    request = peer_next(rig->peer, "Await");
    assert_non_null(request);
    answer_correlation(request, ids, 2, 0);
    join(thread);
    assert_int_equal(awaiting.status, REDIAL_OK);
    assert_int_equal(awaiting.list->count, 2);
    redial_job_list_free(awaiting.list);
}

static void
what_to_await_is_checked(void **state)
{
    static const char *const ids[] = {"a b"};
    struct rig *rig = *state;
    struct awaiting awaiting = awaiting_of(rig);

    run_await(&awaiting);
    assert_int_equal(awaiting.status, REDIAL_INVALID_ARGUMENT);
    awaiting.what.ids = ids;
    awaiting.what.id_count = 1;
    run_await(&awaiting);
    assert_int_equal(awaiting.status, REDIAL_INVALID_ARGUMENT);
    assert_non_null(strstr(awaiting.error.text, "what.ids"));
    awaiting.what.correlation_id = "c";
    run_await(&awaiting);
    assert_int_equal(awaiting.status, REDIAL_INVALID_ARGUMENT);
    assert_false(peer_has(rig->peer, NULL));
}

/* ---- get, cancel, health ---- */

struct getting {
    redial_client *client;
    struct redial_job_ref ref;
    enum redial_status status;
    struct redial_job_info *info;
    struct redial_cancelled cancelled;
    struct redial_health health;
    struct redial_error error;
};

static void
run_get(void *arg)
{
    struct getting *self = arg;

    self->status = redial_get(self->client, self->ref, redial_in_ms(10000),
                              &self->info, &self->error);
}

static void
run_cancel(void *arg)
{
    struct getting *self = arg;

    self->status = redial_cancel(self->client, self->ref, "no more",
                                 redial_in_ms(10000), &self->cancelled,
                                 &self->error);
}

static void
run_health(void *arg)
{
    struct getting *self = arg;

    self->status = redial_health(self->client, redial_in_ms(10000),
                                 &self->health, &self->error);
}

static void
get_gives_attempts_and_decisions(void **state)
{
    struct rig *rig = *state;
    struct getting getting = {.client = rig->client, .ref = {.id = "j"}};
    Redial__V1__GetResponse response = REDIAL__V1__GET_RESPONSE__INIT;
    Redial__V1__Job job = REDIAL__V1__JOB__INIT;
    Redial__V1__Attempt attempts[2];
    Redial__V1__Attempt *pointers[2] = {&attempts[0], &attempts[1]};
    Redial__V1__Outcome failure = REDIAL__V1__OUTCOME__INIT;
    Redial__V1__Decision decision = REDIAL__V1__DECISION__INIT;
    struct background *thread = background(run_get, &getting);
    struct peer_request *request = peer_next(rig->peer, "Get");
    char id[] = "j";
    char reason[] = "HTTP_503";
    char rule[] = "RETRY_PLANNED";

    assert_non_null(request);
    failure.has_code = true;
    failure.code = REDIAL__V1__CODE__UNAVAILABLE;
    failure.reason = reason;
    failure.has_pushback_ms = true;
    failure.pushback_ms = -1;
    failure.has_for_target = true;
    failure.for_target = true;
    decision.rule = rule;
    decision.has_tokens_max_milli = true;
    decision.tokens_max_milli = 10000;
    decision.has_budget_milli = true;
    decision.budget_milli = 2500;
    decision.has_tokens_milli = true;
    decision.tokens_milli = -5;
    redial__v1__attempt__init(&attempts[0]);
    redial__v1__attempt__init(&attempts[1]);
    attempts[0].has_number = true;
    attempts[0].number = 1;
    attempts[0].outcome = &failure;
    attempts[0].decision = &decision;
    attempts[1].has_number = true;
    attempts[1].number = 2;
    job.id = id;
    job.has_state = true;
    job.state = REDIAL__V1__JOB__STATE__BACKOFF;
    job.n_attempts = 2;
    job.attempts = pointers;
    job.last_failure = &failure;
    response.job = &job;
    peer_answer(request, &response.base);
    join(thread);
    assert_int_equal(getting.status, REDIAL_OK);
    assert_int_equal(getting.info->state, REDIAL_JOB_BACKOFF);
    assert_string_equal(redial_job_state_name(getting.info->state), "BACKOFF");
    assert_false(redial_job_state_is_final(getting.info->state));
    assert_string_equal(getting.info->correlation_id, "j");
    assert_null(getting.info->outcome);
    assert_int_equal(getting.info->attempt_count, 2);
    assert_string_equal(getting.info->attempts[0].outcome->reason, reason);
    assert_true(getting.info->attempts[0].outcome->has_pushback);
    assert_int_equal(getting.info->attempts[0].outcome->pushback_ms, -1);
    assert_true(getting.info->attempts[0].outcome->for_target);
    assert_string_equal(getting.info->attempts[0].decision->rule, rule);
    assert_int_equal(getting.info->attempts[0].decision->tokens_milli, -5);
    assert_int_equal(getting.info->attempts[0].decision->tokens_max_milli,
                     10000);
    assert_true(getting.info->attempts[0].decision->has_budget);
    assert_int_equal(getting.info->attempts[0].decision->budget_milli, 2500);
    assert_null(getting.info->attempts[1].outcome);
    assert_int_equal(getting.info->last_failure->code, REDIAL_UNAVAILABLE);
    redial_job_info_free(getting.info);
}

static void
cancel_is_repeated_after_a_lost_connection(void **state)
{
    struct rig *rig = *state;
    struct getting getting = {
        .client = rig->client,
        .ref = {.key = "k", .tenant = "acme"},
    };
    Redial__V1__CancelResponse response = REDIAL__V1__CANCEL_RESPONSE__INIT;
    struct background *thread = background(run_cancel, &getting);
    struct peer_request *request = peer_next(rig->peer, "Cancel");

    assert_non_null(request);
    peer_drop(request);
    peer_stop(rig->peer);
    peer_start(rig->peer);
    request = peer_next(rig->peer, "Cancel");
    assert_non_null(request);
    response.has_state = true;
    response.state = REDIAL__V1__JOB__STATE__CANCELLED;
    response.has_cancelled = true;
    response.cancelled = true;
    peer_answer(request, &response.base);
    join(thread);
    assert_int_equal(getting.status, REDIAL_OK);
    assert_int_equal(getting.cancelled.state, REDIAL_JOB_CANCELLED);
    assert_true(getting.cancelled.cancelled);
}

static void
failures_of_the_gateway_come_through(void **state)
{
    struct rig *rig = *state;
    struct getting getting = {.client = rig->client, .ref = {.id = "j"}};
    struct background *thread = background(run_get, &getting);
    struct peer_request *request = peer_next(rig->peer, "Get");

    assert_non_null(request);
    peer_refuse(request, REDIAL_NOT_FOUND, "JOB_UNKNOWN", "never heard of it");
    join(thread);
    assert_int_equal(getting.status, REDIAL_NOT_FOUND);
    assert_string_equal(getting.error.reason, "JOB_UNKNOWN");
    assert_string_equal(getting.error.text, "never heard of it");
    getting.ref.key = "and a key";
    run_get(&getting);
    assert_int_equal(getting.status, REDIAL_INVALID_ARGUMENT);
}

static void
health_tells_what_the_gateway_says(void **state)
{
    struct rig *rig = *state;
    struct getting getting = {.client = rig->client};
    Redial__V1__HealthResponse response = REDIAL__V1__HEALTH_RESPONSE__INIT;
    struct background *thread = background(run_health, &getting);
    struct peer_request *request = peer_next(rig->peer, "Health");
    char why[] = "draining";

    assert_non_null(request);
    response.why = why;
    response.has_durable = true;
    response.durable = true;
    peer_answer(request, &response.base);
    join(thread);
    assert_int_equal(getting.status, REDIAL_OK);
    assert_false(getting.health.ready);
    assert_true(getting.health.durable);
    assert_string_equal(getting.health.why, "draining");
    assert_string_equal(getting.health.epoch, "");
}

/* Reload must not happen twice by accident. */
struct reload {
    redial_client *client;
    enum redial_status status;
    struct redial_error error;
};

static void
run_reload(void *arg)
{
    static const struct redial_i_method method = {
        &redial__v1__admin__descriptor, "Reload", false};
    Redial__V1__ReloadRequest request = REDIAL__V1__RELOAD_REQUEST__INIT;
    struct redial_i_response response;
    struct reload *self = arg;

    self->status = redial_i_call(self->client, &method, &request.base,
                                 redial_in_ms(10000), &response, &self->error);
}

static void
what_is_not_repeatable_ends_with_the_connection(void **state)
{
    struct rig *rig = *state;
    struct reload reload = {.client = rig->client};
    struct background *thread = background(run_reload, &reload);
    struct peer_request *request = peer_next(rig->peer, "Reload");

    assert_non_null(request);
    peer_drop(request);
    peer_stop(rig->peer);
    join(thread);
    assert_int_equal(reload.status, REDIAL_UNAVAILABLE);
    assert_string_equal(reload.error.reason, "CONNECTION_LOST");
}

#define TEST(function) \
    cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_lone_call_waits_at_the_gateway),
        TEST(a_call_that_is_not_final_in_time_is_awaited),
        TEST(calls_that_wait_share_an_await),
        TEST(a_call_survives_a_lost_connection),
        TEST(a_call_ends_at_its_deadline_wherever_it_is),
        TEST(a_refused_job_ends_the_call),
        TEST(any_of_several_ids),
        TEST(all_of_several_ids_one_of_them_unknown),
        TEST(only_unknown_ids_are_not_found),
        TEST(all_of_keys_and_ids),
        TEST(all_of_a_correlation_id_are_followed_as_events),
        TEST(what_to_await_is_checked),
        TEST(get_gives_attempts_and_decisions),
        TEST(cancel_is_repeated_after_a_lost_connection),
        TEST(failures_of_the_gateway_come_through),
        TEST(health_tells_what_the_gateway_says),
        TEST(what_is_not_repeatable_ends_with_the_connection),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
