/* SPDX-License-Identifier: Apache-2.0 */
/* A worker under test, and the gateway that the test plays for it. */
#ifndef REDIAL_TESTS_UNIT_CLIENT_WORKER_RIG_H
#define REDIAL_TESTS_UNIT_CLIENT_WORKER_RIG_H

#include "client/clock.h"
#include "client/loop.h"
#include "proto/check.h"
#include "tests/unit/client/support.h"

#include <stdio.h>
#include <stdlib.h>

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

void
keep(void *ctx, redial_attempt *attempt);

void
note_cancel(void *ctx, redial_attempt *attempt);

bool
wait_for(struct rig *rig, const size_t *counter, size_t count);

redial_attempt *
held(struct rig *rig, size_t index);

void
complete_with(struct rig *rig, size_t index,
              const struct redial_outcome *outcome, unsigned flags);

void
complete(struct rig *rig, size_t index, enum redial_status code);

void
open_worker(struct rig *rig, bool is_async);

int
set_up(void **state);

int
tear_down(void **state);

const Redial__V1__PollRequest *
poll_of(const struct peer_request *request);

const Redial__V1__ReportRequest *
report_of(const struct peer_request *request);

const Redial__V1__HelloRequest *
hello_of(const struct peer_request *request);

void
answer_hello(struct peer_request *request, uint32_t heartbeat_ms);

struct peer_request *
next(struct rig *rig, const char *method);

void
greet(struct rig *rig);

void
assign(struct peer_request *request, int first, int count, uint64_t timeout_ms);

void
answer_empty(struct peer_request *request, const char *stop, bool drain);

uint32_t
free_of(const struct peer_request *request, const char *service);

struct peer_request *
next_report(struct rig *rig, size_t reports);

bool
say_yes(void *ctx, struct peer_request *request);

#endif
