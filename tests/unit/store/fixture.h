/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store for a test, and a loop in miniature around it: jobs that know their
 * last record, groups that are committed and waited for, requests that are
 * answered. Everything asserts by cmocka and runs in the test's own thread.
 */
#ifndef REDIAL_TESTS_UNIT_STORE_FIXTURE_H
#define REDIAL_TESTS_UNIT_STORE_FIXTURE_H

#include "server/store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct fixture {
    struct store *store;
    struct store_options options;
    struct store_recovered recovered;
    char dir[64]; /* empty: ephemeral */
    int wake_fd;  /* eventfd that the store's threads write to */
    uint64_t next_seq;
    int64_t wall_ms; /* of the next record; each is 1 ms later */
    uint64_t next_job;
    uint64_t next_ticket;
};

/* One job as its records come about. */
struct job {
    struct job_id id;
    uint64_t accepted_seq;
    uint64_t last_seq;
    uint64_t job_seq;
    const char *correlation; /* NULL: its own id */
    const char *key;         /* NULL: none */
};

struct retained {
    struct store_key keys[64];
    size_t key_count;
    uint64_t first_seq;
};

extern const struct store_recovery ignore_recovered;

/* Sets *state to a fixture with an open, empty store. */
int
setup_disk(void **state);

int
setup_memory(void **state);

/* The directory only; the test opens. */
int
setup_closed(void **state);

int
teardown(void **state);

void
fixture_open(struct fixture *fixture);

enum store_status
fixture_try_open(struct fixture *fixture,
                 const struct store_recovery *callbacks, void *ctx);

void
fixture_close(struct fixture *fixture);

/* Closes and opens. */
void
fixture_reopen(struct fixture *fixture);

struct job
fixture_job(struct fixture *fixture);

/* Adds the job's next record; returns its seq. `attached` may be NULL. */
uint64_t
add(struct fixture *fixture, struct store_group *group, struct job *job,
    enum event_type type, const char *attached);

/* A record that is about no job. */
uint64_t
add_other(struct fixture *fixture, struct store_group *group);

struct store_group *
begin(struct fixture *fixture);

/* Commits, waits, drops the test's reference; returns the status. */
enum store_status
commit(struct fixture *fixture, struct store_group *group);

/* The next finished group; waits for it. */
struct store_group *
wait_done(struct fixture *fixture);

/* A group of its own with this one record. */
uint64_t
one(struct fixture *fixture, struct job *job, enum event_type type,
    const char *attached);

/* Accepts and ends a job in two groups. */
struct job
finish_one(struct fixture *fixture, enum event_type type);

/* Moves the watermark to the newest record. */
void
project_all(struct fixture *fixture);

/* Waits for the answer, which the caller frees. */
struct store_answer *
ask(struct fixture *fixture, struct store_request request);

struct store_answer *
wait_answer(struct fixture *fixture);

enum store_status
lookup(struct fixture *fixture, const struct job *job,
       struct store_finished *ret);

/* Runs retention to its end. */
struct retained
trim(struct fixture *fixture, struct store_retention retention);

/* Runs SQL on the closed store's file. */
void
tamper(const struct fixture *fixture, const char *sql);

/* Waits until one of the store's threads has something to say. */
void
wait_wake(struct fixture *fixture);

#endif
