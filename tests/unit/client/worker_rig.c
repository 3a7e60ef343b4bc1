/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/client/worker_rig.h"

/* Hands the attempt to the test, which completes it. */
void
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

void
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
bool
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

redial_attempt *
held(struct rig *rig, size_t index)
{
    if (!wait_for(rig, &rig->started, index + 1)) {
        fail_msg("attempt %zu was not started", index);
    }
    return rig->held[index];
}

void
complete_with(struct rig *rig, size_t index,
              const struct redial_outcome *outcome, unsigned flags)
{
    redial_attempt_complete(held(rig, index), outcome, flags);
    (void)pthread_mutex_lock(&rig->lock);
    rig->done[index] = true;
    (void)pthread_cond_broadcast(&rig->changed);
    (void)pthread_mutex_unlock(&rig->lock);
}

void
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

void
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

int
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

int
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

const Redial__V1__PollRequest *
poll_of(const struct peer_request *request)
{
    return (const Redial__V1__PollRequest *)request->message;
}

const Redial__V1__ReportRequest *
report_of(const struct peer_request *request)
{
    return (const Redial__V1__ReportRequest *)request->message;
}

const Redial__V1__HelloRequest *
hello_of(const struct peer_request *request)
{
    return (const Redial__V1__HelloRequest *)request->message;
}

/* Accepts a Hello; heartbeats are an hour apart unless told. */
void
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

struct peer_request *
next(struct rig *rig, const char *method)
{
    struct peer_request *request = peer_next(rig->peer, method);

    if (request == NULL) {
        fail_msg("no %s came", method);
    }
    return request;
}

void
greet(struct rig *rig)
{
    answer_hello(next(rig, "Hello"), 3600000);
}

/* Answers a Poll with `count` assignments of job "j<first>", and so on. */
void
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
void
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

uint32_t
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
struct peer_request *
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
bool
say_yes(void *ctx, struct peer_request *request)
{
    (void)ctx;
    if (strcmp(request->method->name, "Report") != 0) {
        return false;
    }
    answer_empty(request, NULL, false);
    return true;
}
