/* SPDX-License-Identifier: Apache-2.0 */
#include "client/clock.h"
#include "client/loop.h"
#include "proto/check.h"
#include "tests/unit/client/support.h"

#include <stdio.h>
#include <stdlib.h>

struct rig {
    struct peer *peer;
    redial_client *client;
    struct collector collector;
};

static int
set_up(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));

    WIRE_CHECK(rig != NULL);
    rig->peer = peer_new(NULL);
    peer_start(rig->peer);
    rig->client = open_client(peer_url(rig->peer));
    collector_init(&rig->collector);
    *state = rig;
    return 0;
}

static int
tear_down(void **state)
{
    struct rig *rig = *state;

    redial_client_close(rig->client);
    peer_free(rig->peer);
    collector_fini(&rig->collector);
    free(rig);
    return 0;
}

static void
submit_async(struct rig *rig, const struct redial_job *job)
{
    struct redial_error error = {0};

    if (redial_submit_async(rig->client, job, redial_in_ms(10000), collect,
                            &rig->collector, &error) != REDIAL_OK) {
        fail_msg("submit: %s", error.text);
    }
}

/* A thread in redial_submit(). */
struct submission {
    redial_client *client;
    struct redial_job job;
    struct redial_deadline deadline;
    enum redial_status status;
    struct redial_submitted submitted;
    struct redial_error error;
    int64_t ended_ns;
};

static void
run_submission(void *arg)
{
    struct submission *self = arg;

    self->status = redial_submit(self->client, &self->job, self->deadline,
                                 &self->submitted, &self->error);
    self->ended_ns = redial_i_now();
}

static void
a_job_gets_an_id_and_all_its_fields_arrive(void **state)
{
    struct rig *rig = *state;
    struct redial_metadata metadata = {"traceparent", "00-a-b-01", 9};
    struct submission one = {.client = rig->client, .job = test_job()};
    struct background *thread;
    struct peer_request *request;
    const Redial__V1__JobSpec *spec;
    struct wire_uuid uuid;

    one.job.key = "k1";
    one.job.tenant = "acme";
    one.job.content_type = "text/plain";
    one.job.metadata = &metadata;
    one.job.metadata_count = 1;
    one.job.priority = REDIAL_PRIORITY(0);
    one.job.idempotent = REDIAL_NOT_IDEMPOTENT;
    one.job.not_before_ms = 1;
    one.job.deadline_ms = 2;
    one.job.queue_ttl_ms = 3;
    one.job.max_attempts = 4;
    one.job.attempt_timeout_ms = 5;
    thread = background(run_submission, &one);
    request = peer_next(rig->peer, "Submit");
    assert_non_null(request);
    assert_int_equal(submit_of(request)->n_jobs, 1);
    assert_false(submit_of(request)->has_wait_ms);
    assert_false(submit_of(request)->repeat);
    spec = submit_of(request)->jobs[0];
    assert_true(wire_uuid_parse(spec->id, strlen(spec->id), &uuid));
    assert_true(wire_uuid_is_v7(&uuid));
    assert_string_equal(spec->key, "k1");
    assert_string_equal(spec->tenant, "acme");
    assert_string_equal(spec->service, "t.Test");
    assert_string_equal(spec->method, "Run");
    assert_string_equal(spec->content_type, "text/plain");
    assert_null(spec->correlation_id); /* the gateway's default is the id */
    assert_int_equal(spec->payload.len, 5);
    assert_memory_equal(spec->payload.data, "hello", 5);
    assert_int_equal(spec->n_metadata, 1);
    assert_string_equal(spec->metadata[0]->key, "traceparent");
    assert_int_equal(spec->metadata[0]->value.len, 9);
    assert_true(spec->has_priority);
    assert_int_equal(spec->priority, 0);
    assert_int_equal(spec->idempotent, REDIAL__V1__IDEMPOTENCY__NOT_IDEMPOTENT);
    assert_int_equal(spec->not_before_ms, 1);
    assert_int_equal(spec->deadline_ms, 2);
    assert_int_equal(spec->queue_ttl_ms, 3);
    assert_int_equal(spec->max_attempts, 4);
    assert_int_equal(spec->attempt_timeout_ms, 5);
    assert_in_range(request->timeout_ms, 9000, 10000);
    accept_jobs(request);
    join(thread);
    assert_int_equal(one.status, REDIAL_OK);
    assert_int_equal(one.submitted.state, REDIAL_JOB_READY);
    assert_int_equal(strlen(one.submitted.id), 36);
    assert_int_equal(one.submitted.error.status, REDIAL_OK);
}

static void
what_gathers_while_one_is_under_way_goes_out_together(void **state)
{
    struct rig *rig = *state;
    struct redial_job job = test_job();
    struct peer_request *request;

    submit_async(rig, &job);
    request = peer_next(rig->peer, "Submit");
    assert_non_null(request);
    for (int i = 0; i < 250; i++) {
        submit_async(rig, &job);
    }
    assert_false(peer_has(rig->peer, NULL));
    accept_jobs(request);
    request = peer_next(rig->peer, "Submit");
    assert_non_null(request);
    assert_int_equal(submit_of(request)->n_jobs, 250);
    assert_false(submit_of(request)->has_wait_ms);
    accept_jobs(request);
    assert_true(collector_wait(&rig->collector, 251));
    assert_int_equal(rig->collector.ok, 251);
}

static void
a_batch_has_at_most_a_thousand_jobs(void **state)
{
    struct rig *rig = *state;
    struct redial_job job = test_job();
    struct peer_request *request;

    submit_async(rig, &job);
    request = peer_next(rig->peer, "Submit");
    assert_non_null(request);
    for (int i = 0; i < 1001; i++) {
        submit_async(rig, &job);
    }
    accept_jobs(request);
    request = peer_next(rig->peer, "Submit");
    assert_non_null(request);
    assert_int_equal(submit_of(request)->n_jobs, 1000);
    accept_jobs(request);
    request = peer_next(rig->peer, "Submit");
    assert_non_null(request);
    assert_int_equal(submit_of(request)->n_jobs, 1);
    accept_jobs(request);
    assert_true(collector_wait(&rig->collector, 1002));
}

static void
a_batch_stays_below_the_frame_limit(void **state)
{
    struct rig *rig = *state;
    struct redial_job job = test_job();
    struct peer_request *request;
    uint8_t *payload = calloc(1, REDIAL_PAYLOAD_BYTES_MAX);
    size_t seen = 0;

    assert_non_null(payload);
    job.payload = payload;
    job.payload_bytes = REDIAL_PAYLOAD_BYTES_MAX;
    submit_async(rig, &job);
    request = peer_next(rig->peer, "Submit"); /* peer checks the frame */
    assert_non_null(request);
    submit_async(rig, &job);
    job.payload_bytes = 1048576;
    for (int i = 0; i < 3; i++) {
        submit_async(rig, &job);
    }
    accept_jobs(request);
    while (seen < 4) {
        request = peer_next(rig->peer, "Submit");
        assert_non_null(request);
        seen += submit_of(request)->n_jobs;
        accept_jobs(request);
    }
    assert_true(collector_wait(&rig->collector, 5));
    free(payload);
}

static void
after_a_lost_connection_it_is_repeated_and_says_so(void **state)
{
    struct rig *rig = *state;
    struct redial_job job = test_job();
    struct peer_request *request;
    char id[37];

    redial_new_id(id);
    job.id = id;
    submit_async(rig, &job);
    request = peer_next(rig->peer, "Submit");
    assert_non_null(request);
    assert_false(submit_of(request)->repeat);
    peer_drop(request);
    peer_stop(rig->peer);
    peer_start(rig->peer);
    request = peer_next(rig->peer, "Submit");
    assert_non_null(request);
    assert_true(submit_of(request)->repeat);
    assert_string_equal(submit_of(request)->jobs[0]->id, id);
    accept_jobs(request);
    assert_true(collector_wait(&rig->collector, 1));
    assert_int_equal(rig->collector.last.error.status, REDIAL_OK);
    assert_string_equal(rig->collector.last.id, id);
}

static void
what_was_never_sent_is_not_called_a_repeat(void **state)
{
    struct rig *rig = *state;
    struct redial_job job = test_job();
    struct peer_request *request;

    submit_async(rig, &job);
    request = peer_next(rig->peer, "Submit");
    assert_non_null(request);
    submit_async(rig, &job); /* waits behind the first */
    submit_async(rig, &job);
    peer_drop(request);
    peer_stop(rig->peer);
    peer_start(rig->peer);
    request = peer_next(rig->peer, "Submit");
    assert_non_null(request);
    assert_int_equal(submit_of(request)->n_jobs, 1); /* apart, and first */
    assert_true(submit_of(request)->repeat);
    accept_jobs(request);
    request = peer_next(rig->peer, "Submit");
    assert_non_null(request);
    assert_int_equal(submit_of(request)->n_jobs, 2);
    assert_false(submit_of(request)->repeat);
    accept_jobs(request);
    assert_true(collector_wait(&rig->collector, 3));
    assert_int_equal(rig->collector.ok, 3);
}

static void
nobody_there_is_unavailable_at_the_deadline_with_the_reason(void **state)
{
    struct rig *rig = *state;
    struct redial_job job = test_job();
    struct redial_error error = {0};
    struct redial_submitted submitted;
    redial_client *client = open_client("ipc:///tmp/redial-test-nobody");
    int64_t start = redial_i_now();

    (void)rig;
    assert_int_equal(
        redial_submit(client, &job, redial_in_ms(300), &submitted, &error),
        REDIAL_UNAVAILABLE);
    assert_true(redial_i_now() - start >= 300 * (int64_t)REDIAL_I_MS);
    assert_true(redial_i_now() - start < 3000 * (int64_t)REDIAL_I_MS);
    assert_non_null(strstr(error.text, "ipc:///tmp/redial-test-nobody"));
    assert_string_equal(error.reason, "NOT_CONNECTED");
    redial_client_close(client);
}

static void
no_answer_is_deadline_exceeded(void **state)
{
    struct rig *rig = *state;
    struct submission one = {.client = rig->client, .job = test_job()};
    struct background *thread;
    struct peer_request *request;

    one.deadline = redial_in_ms(2000);
    thread = background(run_submission, &one);
    request = peer_next(rig->peer, "Submit");
    assert_non_null(request);
    join(thread);
    assert_int_equal(one.status, REDIAL_DEADLINE_EXCEEDED);
    assert_true(one.ended_ns >= one.deadline.mono_ns);
    accept_jobs(request); /* late: goes to nobody */

    /* And the client is as good as before. */
    one.deadline = redial_in_ms(10000);
    thread = background(run_submission, &one);
    request = peer_next(rig->peer, "Submit");
    assert_non_null(request);
    accept_jobs(request);
    join(thread);
    assert_int_equal(one.status, REDIAL_OK);
}

static void
an_asynchronous_one_is_called_back_at_its_deadline(void **state)
{
    struct rig *rig = *state;
    struct redial_job job = test_job();
    struct peer_request *request;

    assert_int_equal(redial_submit_async(rig->client, &job, redial_in_ms(2000),
                                         collect, &rig->collector, NULL),
                     REDIAL_OK);
    request = peer_next(rig->peer, "Submit");
    assert_non_null(request);
    assert_int_equal(redial_submit_async(rig->client, &job, redial_in_ms(10),
                                         collect, &rig->collector, NULL),
                     REDIAL_OK);
    assert_true(collector_wait(&rig->collector, 2));
    assert_int_equal(rig->collector.ok, 0);
    assert_int_equal(rig->collector.last.error.status,
                     REDIAL_DEADLINE_EXCEEDED);
    accept_jobs(request);
    submit_async(rig, &job);
    request = peer_next(rig->peer, "Submit");
    assert_non_null(request);
    assert_int_equal(submit_of(request)->n_jobs, 1);
    accept_jobs(request);
    assert_true(collector_wait(&rig->collector, 3));
    assert_int_equal(rig->collector.count, 3);
}

/* ---- many ---- */

struct many {
    redial_client *client;
    struct redial_job jobs[3];
    enum redial_status status;
    struct redial_submitted submitted[3];
    struct redial_error error;
};

static void
run_many(void *arg)
{
    struct many *self = arg;

    self->status = redial_submit_many(self->client, self->jobs, 3,
                                      redial_in_ms(10000), self->submitted,
                                      &self->error);
}

static void
each_of_many_has_its_own_result(void **state)
{
    struct rig *rig = *state;
    struct many many = {
        .client = rig->client,
        .jobs = {test_job(), test_job(), test_job()},
    };
    Redial__V1__SubmitResponse response = REDIAL__V1__SUBMIT_RESPONSE__INIT;
    Redial__V1__SubmitResult results[3];
    Redial__V1__SubmitResult *pointers[3];
    Redial__V1__Status taken = REDIAL__V1__STATUS__INIT;
    struct background *thread = background(run_many, &many);
    struct peer_request *request = peer_next(rig->peer, "Submit");
    char other[] = "the-first-job";
    char text[] = "the key is taken";
    char reason[] = "KEY_CONTENT";

    assert_non_null(request);
    assert_int_equal(submit_of(request)->n_jobs, 3);
    for (int i = 0; i < 3; i++) {
        redial__v1__submit_result__init(&results[i]);
        results[i].id = submit_of(request)->jobs[i]->id;
        pointers[i] = &results[i];
    }
    taken.has_code = true;
    taken.code = REDIAL__V1__CODE__ALREADY_EXISTS;
    taken.message = text;
    taken.reason = reason;
    taken.has_retry_after_ms = true;
    taken.retry_after_ms = 77;
    results[1].status = &taken;
    results[2].id = other;
    results[2].has_deduplicated = true;
    results[2].deduplicated = true;
    results[2].has_state = true;
    results[2].state = REDIAL__V1__JOB__STATE__SUCCEEDED;
    response.n_results = 3;
    response.results = pointers;
    peer_answer(request, &response.base);
    join(thread);
    assert_int_equal(many.status, REDIAL_ALREADY_EXISTS);
    assert_string_equal(many.error.text, text);
    assert_int_equal(many.submitted[0].error.status, REDIAL_OK);
    assert_int_equal(many.submitted[1].error.status, REDIAL_ALREADY_EXISTS);
    assert_string_equal(many.submitted[1].error.reason, reason);
    assert_int_equal(many.submitted[1].error.retry_after_ms, 77);
    assert_string_equal(many.submitted[2].id, other);
    assert_true(many.submitted[2].deduplicated);
    assert_int_equal(many.submitted[2].state, REDIAL_JOB_SUCCEEDED);
}

static void
a_refused_call_fails_all_its_jobs(void **state)
{
    struct rig *rig = *state;
    struct many many = {
        .client = rig->client,
        .jobs = {test_job(), test_job(), test_job()},
    };
    struct background *thread = background(run_many, &many);
    struct peer_request *request = peer_next(rig->peer, "Submit");

    assert_non_null(request);
    peer_refuse(request, REDIAL_RESOURCE_EXHAUSTED, "LIVE_JOBS", "full");
    join(thread);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(many.submitted[i].error.status,
                         REDIAL_RESOURCE_EXHAUSTED);
        assert_string_equal(many.submitted[i].error.reason, "LIVE_JOBS");
    }
}

static void
more_than_a_batch_at_once_is_fine(void **state)
{
    enum { COUNT = 2500 };
    struct rig *rig = *state;
    struct redial_job *jobs = calloc(COUNT, sizeof(*jobs));
    struct redial_submitted *submitted = calloc(COUNT, sizeof(*submitted));
    struct redial_error error = {0};

    assert_true(jobs != NULL && submitted != NULL);
    for (int i = 0; i < COUNT; i++) {
        jobs[i] = test_job();
    }
    assert_int_equal(redial_submit_many(rig->client, jobs, 0, redial_never(),
                                        submitted, NULL),
                     REDIAL_OK);
    jobs[2000].key = "";
    assert_int_equal(redial_submit_many(rig->client, jobs, COUNT,
                                        redial_in_ms(10000), submitted, &error),
                     REDIAL_INVALID_ARGUMENT);
    assert_non_null(strstr(error.text, "jobs[2000].key"));
    assert_false(peer_has(rig->peer, NULL)); /* nothing was sent */
    free(jobs);
    free(submitted);
}

/* ---- inputs ---- */

static void
refused(struct rig *rig, const struct redial_job *job, const char *field)
{
    struct redial_submitted submitted;
    struct redial_error error = {0};

    assert_int_equal(redial_submit(rig->client, job, redial_in_ms(10000),
                                   &submitted, &error),
                     REDIAL_INVALID_ARGUMENT);
    if (strncmp(error.text, field, strlen(field)) != 0) {
        fail_msg("'%s' does not begin with '%s'", error.text, field);
    }
}

static void
wrong_inputs_are_refused_by_name_before_anything_is_sent(void **state)
{
    struct rig *rig = *state;
    struct redial_metadata metadata[33] = {{"k", NULL, 0}};
    struct redial_job job = test_job();
    char name[130];

    memset(name, 'x', sizeof(name) - 1);
    name[129] = '\0';
    job.service = NULL;
    refused(rig, &job, "job.service ");
    job = test_job();
    job.method = "a b";
    refused(rig, &job, "job.method ");
    job = test_job();
    job.key = name;
    refused(rig, &job, "job.key ");
    job = test_job();
    job.correlation_id = "caf\xc3\xa9";
    refused(rig, &job, "job.correlation_id ");
    job = test_job();
    job.tenant = "";
    refused(rig, &job, "job.tenant ");
    job = test_job();
    job.payload_bytes = REDIAL_PAYLOAD_BYTES_MAX + 1;
    refused(rig, &job, "job.payload ");
    job = test_job();
    job.payload = NULL;
    refused(rig, &job, "job.payload ");
    job = test_job();
    job.priority = REDIAL_PRIORITY(10);
    refused(rig, &job, "job.priority ");
    job = test_job();
    job.idempotent = (enum redial_idempotency)7;
    refused(rig, &job, "job.idempotent ");
    job = test_job();
    job.content_type = "\xff";
    refused(rig, &job, "job.content_type ");
    job = test_job();
    for (int i = 0; i < 33; i++) {
        metadata[i] = metadata[0];
    }
    job.metadata = metadata;
    job.metadata_count = 33;
    refused(rig, &job, "job.metadata ");
    metadata[0].key = "a b";
    job.metadata_count = 1;
    refused(rig, &job, "job.metadata [0].key ");
    metadata[0].key = "k";
    metadata[0].value_bytes = 8192;
    refused(rig, &job, "job.metadata ");
    job = test_job();
    job.struct_size = 0;
    refused(rig, &job, "job.struct_size ");
    assert_false(peer_has(rig->peer, NULL));
}

static void
a_full_queue_refuses_and_says_so(void **state)
{
    struct rig *rig = *state;
    struct redial_client_options options = {
        .struct_size = sizeof(options),
        .connection.addresses = peer_url(rig->peer),
        .queue_jobs_max = 3,
    };
    struct redial_job job = test_job();
    struct redial_error error = {0};
    struct peer_request *request;
    redial_client *client;

    assert_int_equal(redial_client_open(&options, &client, &error), REDIAL_OK);
    (void)redial_submit_async(client, &job, redial_in_ms(10000), collect,
                              &rig->collector, NULL);
    request = peer_next(rig->peer, "Submit");
    assert_non_null(request);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(redial_submit_async(client, &job, redial_in_ms(10000),
                                             collect, &rig->collector, &error),
                         REDIAL_OK);
    }
    assert_int_equal(redial_submit_async(client, &job, redial_in_ms(10000),
                                         collect, &rig->collector, &error),
                     REDIAL_RESOURCE_EXHAUSTED);
    assert_string_equal(error.reason, "CLIENT_QUEUE_FULL");
    accept_jobs(request);
    request = peer_next(rig->peer, "Submit");
    assert_non_null(request);
    accept_jobs(request);
    assert_true(collector_wait(&rig->collector, 4));
    redial_client_close(client);
}

/* ---- the end ---- */

static void
closing_cancels_what_waits(void **state)
{
    struct rig *rig = *state;
    struct redial_job job = test_job();
    redial_client *client = open_client(peer_url(rig->peer));
    struct submission one = {.client = client, .job = job};
    struct background *thread = background(run_submission, &one);
    struct peer_request *request = peer_next(rig->peer, "Submit");

    assert_non_null(request);
    (void)redial_submit_async(client, &job, redial_in_ms(10000), collect,
                              &rig->collector, NULL);
    redial_client_close(client);
    join(thread);
    assert_int_equal(one.status, REDIAL_CANCELLED);
    assert_int_equal(rig->collector.count, 1); /* called back before */
    assert_int_equal(rig->collector.last.error.status, REDIAL_CANCELLED);
    peer_drop(request);
}

static void
closing_a_client_that_never_connected_is_quick(void **state)
{
    int64_t start = redial_i_now();

    (void)state;
    redial_client_close(open_client("ipc:///tmp/redial-test-nobody"));
    redial_client_close(NULL);
    assert_true(redial_i_now() - start < 3000 * (int64_t)REDIAL_I_MS);
}

/* ---- addresses ---- */

static void
the_next_address_is_tried_when_one_fails(void **state)
{
    struct rig *rig = *state;
    struct peer *second = peer_new("tcp://127.0.0.1:0");
    char addresses[400];
    struct submission one = {.job = test_job()};
    struct peer_request *request;
    struct background *thread;

    peer_start(second);
    (void)snprintf(addresses, sizeof(addresses),
                   "ipc:///tmp/redial-test-nobody, %s %s", peer_url(rig->peer),
                   peer_url(second));
    one.client = open_client(addresses);
    thread = background(run_submission, &one);
    request = peer_next(rig->peer, "Submit");
    assert_non_null(request);
    peer_drop(request);
    peer_stop(rig->peer); /* over to the second, with a repeat */
    request = peer_next(second, "Submit");
    assert_non_null(request);
    assert_true(submit_of(request)->repeat);
    accept_jobs(request);
    join(thread);
    assert_int_equal(one.status, REDIAL_OK);
    redial_client_close(one.client);
    peer_free(second);
}

static void
bad_addresses_are_refused_by_name(void **state)
{
    static const struct {
        const char *addresses;
        const char *text;
    } cases[] = {
        {NULL, "connection.addresses: is missing"},
        {" , ", "connection.addresses: is missing"},
        {"http://x", "connection.addresses: http://x: must begin"},
        {"tls+tcp://localhost:1", "connection.tls_ca_file: needed"},
    };
    struct redial_client_options options = {.struct_size = sizeof(options)};
    struct redial_error error = {0};
    redial_client *client = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        options.connection.addresses = cases[i].addresses;
        assert_int_equal(redial_client_open(&options, &client, &error),
                         REDIAL_INVALID_ARGUMENT);
        assert_non_null(strstr(error.text, cases[i].text));
    }
    options.connection.addresses = "tls+tcp://localhost:1";
    options.connection.tls_ca_file = "/nonexistent.pem";
    assert_int_equal(redial_client_open(&options, &client, &error),
                     REDIAL_INVALID_ARGUMENT);
    assert_non_null(strstr(error.text, "connection.tls_ca_file"));
    assert_null(client);
}

static void
a_token_is_shown_in_a_small_call_before_anything_else(void **state)
{
    struct rig *rig = *state;
    struct redial_client_options options = {
        .struct_size = sizeof(options),
        .connection.addresses = peer_url(rig->peer),
        .connection.token = "s3cret",
    };
    Redial__V1__HealthResponse health = REDIAL__V1__HEALTH_RESPONSE__INIT;
    struct submission one = {.job = test_job()};
    struct peer_request *request;
    struct background *thread;

    assert_int_equal(redial_client_open(&options, &one.client, NULL),
                     REDIAL_OK);
    thread = background(run_submission, &one);
    request = peer_next(rig->peer, NULL);
    assert_non_null(request);
    assert_string_equal(request->method->name, "Health");
    assert_string_equal(request->authorization, "Bearer s3cret");
    peer_answer(request, &health.base);
    request = peer_next(rig->peer, "Submit");
    assert_non_null(request);
    assert_string_equal(request->authorization, "Bearer s3cret");
    accept_jobs(request);
    join(thread);
    assert_int_equal(one.status, REDIAL_OK);
    redial_client_close(one.client);
}

#define TEST(function) \
    cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_job_gets_an_id_and_all_its_fields_arrive),
        TEST(what_gathers_while_one_is_under_way_goes_out_together),
        TEST(a_batch_has_at_most_a_thousand_jobs),
        TEST(a_batch_stays_below_the_frame_limit),
        TEST(after_a_lost_connection_it_is_repeated_and_says_so),
        TEST(what_was_never_sent_is_not_called_a_repeat),
        TEST(nobody_there_is_unavailable_at_the_deadline_with_the_reason),
        TEST(no_answer_is_deadline_exceeded),
        TEST(an_asynchronous_one_is_called_back_at_its_deadline),
        TEST(each_of_many_has_its_own_result),
        TEST(a_refused_call_fails_all_its_jobs),
        TEST(more_than_a_batch_at_once_is_fine),
        TEST(wrong_inputs_are_refused_by_name_before_anything_is_sent),
        TEST(a_full_queue_refuses_and_says_so),
        TEST(closing_cancels_what_waits),
        TEST(closing_a_client_that_never_connected_is_quick),
        TEST(the_next_address_is_tried_when_one_fails),
        TEST(bad_addresses_are_refused_by_name),
        TEST(a_token_is_shown_in_a_small_call_before_anything_else),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
