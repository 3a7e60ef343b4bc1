/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of the client have in common. Assertions only in the main
 * thread: background() runs a function elsewhere and hands its result back.
 */
#ifndef TESTS_UNIT_CLIENT_SUPPORT_H
#define TESTS_UNIT_CLIENT_SUPPORT_H

#include "tests/unit/client/peer.h"
#include <redial/worker.h>

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* A client of this peer (or of these addresses), or the test fails. */
redial_client *
open_client(const char *addresses);

/* A job for tests: service "t.Test", method "Run", payload "hello". */
struct redial_job
test_job(void);

/* A thread that runs `run(arg)`; join() waits and frees it. */
struct background;

struct background *
background(void (*run)(void *arg), void *arg);

void
join(struct background *background);

/* Answers a Submit: all jobs accepted, READY. */
void
accept_jobs(struct peer_request *request);

/* The Submit at hand. */
static inline const Redial__V1__SubmitRequest *
submit_of(const struct peer_request *request)
{
    return (const Redial__V1__SubmitRequest *)request->message;
}

/* Answers an Await: these ids are final (SUCCEEDED, with the id as result). */
void
answer_await(struct peer_request *request, char *const *ids, size_t count);

static inline const Redial__V1__AwaitRequest *
await_of(const struct peer_request *request)
{
    return (const Redial__V1__AwaitRequest *)request->message;
}

/* Fills a final job. The texts are referred to. */
void
fill_final(Redial__V1__Job *job, Redial__V1__Outcome *outcome, char *id);

/* What redial_submit_async() reports, collected; any thread. */
struct collector {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t count;
    size_t ok;
    struct redial_submitted last;
};

void
collector_init(struct collector *collector);

void
collector_fini(struct collector *collector);

void
collect(void *ctx, const struct redial_submitted *submitted);

/* Waits, at most 10 s, until so many came. */
bool
collector_wait(struct collector *collector, size_t count);

#endif /* TESTS_UNIT_CLIENT_SUPPORT_H */
