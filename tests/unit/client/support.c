/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/client/support.h"

#include "client/clock.h"
#include "client/loop.h"
#include "proto/check.h"

#include <stdlib.h>

redial_client *
open_client(const char *addresses)
{
    struct redial_client_options options = {
        .struct_size = sizeof(options),
        .connection.addresses = addresses,
        .timeout_ms = 10000,
    };
    struct redial_error error = {0};
    redial_client *client = NULL;

    if (redial_client_open(&options, &client, &error) != REDIAL_OK) {
        fail_msg("open: %s", error.text);
    }
    return client;
}

struct redial_job
test_job(void)
{
    struct redial_job job = {
        .struct_size = sizeof(job),
        .service = "t.Test",
        .method = "Run",
        .payload = "hello",
        .payload_bytes = 5,
    };

    return job;
}

/* ---- threads ---- */

struct background {
    pthread_t thread;
    void (*run)(void *arg);
    void *arg;
};

static void *
run_background(void *arg)
{
    struct background *self = arg;

    self->run(self->arg);
    return NULL;
}

struct background *
background(void (*run)(void *arg), void *arg)
{
    struct background *self = calloc(1, sizeof(*self));

    WIRE_CHECK(self != NULL);
    self->run = run;
    self->arg = arg;
    WIRE_CHECK(pthread_create(&self->thread, NULL, run_background, self) == 0);
    return self;
}

void
join(struct background *self)
{
    WIRE_CHECK(pthread_join(self->thread, NULL) == 0);
    free(self);
}

/* ---- answers ---- */

void
accept_jobs(struct peer_request *request)
{
    const Redial__V1__SubmitRequest *submit = submit_of(request);
    Redial__V1__SubmitResponse response = REDIAL__V1__SUBMIT_RESPONSE__INIT;
    Redial__V1__SubmitResult *results = calloc(submit->n_jobs + 1,
                                               sizeof(*results));
    Redial__V1__SubmitResult **pointers = calloc(
        submit->n_jobs + 1, sizeof(Redial__V1__SubmitResult *));

    WIRE_CHECK(results != NULL && pointers != NULL);
    for (size_t i = 0; i < submit->n_jobs; i++) {
        redial__v1__submit_result__init(&results[i]);
        results[i].id = submit->jobs[i]->id;
        results[i].has_state = true;
        results[i].state = REDIAL__V1__JOB__STATE__READY;
        pointers[i] = &results[i];
    }
    response.n_results = submit->n_jobs;
    response.results = pointers;
    peer_answer(request, &response.base);
    free(results);
    free(pointers);
}

void
fill_final(Redial__V1__Job *job, Redial__V1__Outcome *outcome, char *id)
{
    redial__v1__job__init(job);
    redial__v1__outcome__init(outcome);
    job->id = id;
    job->has_state = true;
    job->state = REDIAL__V1__JOB__STATE__SUCCEEDED;
    job->outcome = outcome;
    outcome->has_code = true;
    outcome->code = REDIAL__V1__CODE__OK;
    outcome->has_result = true;
    outcome->result.data = (uint8_t *)id;
    outcome->result.len = strlen(id);
}

void
answer_await(struct peer_request *request, char *const *ids, size_t count)
{
    Redial__V1__AwaitResponse response = REDIAL__V1__AWAIT_RESPONSE__INIT;
    Redial__V1__Job *jobs = calloc(count + 1, sizeof(*jobs));
    Redial__V1__Outcome *outcomes = calloc(count + 1, sizeof(*outcomes));
    Redial__V1__Job **pointers = calloc(count + 1, sizeof(Redial__V1__Job *));

    WIRE_CHECK(jobs != NULL && outcomes != NULL && pointers != NULL);
    for (size_t i = 0; i < count; i++) {
        fill_final(&jobs[i], &outcomes[i], ids[i]);
        pointers[i] = &jobs[i];
    }
    response.n_jobs = count;
    response.jobs = pointers;
    peer_answer(request, &response.base);
    free(jobs);
    free(outcomes);
    free(pointers);
}

/* ---- reports ---- */

void
collector_init(struct collector *collector)
{
    memset(collector, 0, sizeof(*collector));
    WIRE_CHECK(pthread_mutex_init(&collector->lock, NULL) == 0);
    redial_i_cond_init(&collector->changed);
}

void
collector_fini(struct collector *collector)
{
    (void)pthread_cond_destroy(&collector->changed);
    (void)pthread_mutex_destroy(&collector->lock);
}

void
collect(void *ctx, const struct redial_submitted *submitted)
{
    struct collector *collector = ctx;

    (void)pthread_mutex_lock(&collector->lock);
    collector->count++;
    collector->ok += submitted->error.status == REDIAL_OK ? 1 : 0;
    collector->last = *submitted;
    (void)pthread_cond_broadcast(&collector->changed);
    (void)pthread_mutex_unlock(&collector->lock);
}

bool
collector_wait(struct collector *collector, size_t count)
{
    struct timespec until = redial_i_timespec(
        redial_i_after(redial_i_now(), 10000));
    bool is_there;

    (void)pthread_mutex_lock(&collector->lock);
    while (collector->count < count &&
           pthread_cond_timedwait(&collector->changed, &collector->lock,
                                  &until) == 0) {
    }
    is_there = collector->count >= count;
    (void)pthread_mutex_unlock(&collector->lock);
    return is_there;
}
