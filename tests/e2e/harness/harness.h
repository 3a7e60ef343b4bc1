/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests with real processes: a gateway in a folder of its own, clients and
 * workers of libredial beside it. Nothing sleeps: everything is waited for,
 * with a deadline. All checks are cmocka's and belong in the main thread.
 */
#ifndef REDIAL_TESTS_E2E_HARNESS_H
#define REDIAL_TESTS_E2E_HARNESS_H

#include <redial/client.h>
#include <redial/worker.h>

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* How long anything may take before the test fails. */
enum { PATIENCE_MS = 30000 };

struct test_gateway {
    char dir[64];    /* made by gateway_setup() */
    char agents[96]; /* addresses */
    char workers[96];
    char admin[96];
    const char *const *sets; /* "path=value", ends with NULL; or NULL */
    const char *config;      /* file; NULL: none */
    pid_t pid;               /* 0: not running */
    int log_fd;
    char started[16384]; /* what it logged until it was ready */
    pthread_t reader;    /* copies the log to <dir>/gateway.log */
};

/* Makes the folder. The gateway does not run yet. */
void
gateway_setup(struct test_gateway *gateway);

/* Starts it and waits until it is ready. May be repeated after an end. */
void
gateway_run(struct test_gateway *gateway);

/* Starts it and waits until it ends by itself; returns its exit code. */
int
gateway_fail(struct test_gateway *gateway);

/* SIGKILL, and reaped. */
void
gateway_kill(struct test_gateway *gateway);

/* SIGTERM; returns the exit code. */
int
gateway_terminate(struct test_gateway *gateway);

/* Ends it if it runs, and removes the folder. */
void
gateway_teardown(struct test_gateway *gateway);

/* A client of the agents' listener. */
redial_client *
client_of(const struct test_gateway *gateway);

/* So long from now as anything may take. */
struct redial_deadline
patience(void);

/*
 * A worker for service "test", any method. The payload of a job says what an
 * attempt does; words:
 *
 *   ok                        succeed, the result is the payload
 *   fail N CODE REASON [P]    fail the first N attempts (charged ones), with
 *                             pushback P ms, then succeed
 *   hold                      wait until stopped, or for script_release()
 */
struct script {
    redial_worker *worker;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint32_t started; /* attempts that a handler has seen */
    uint32_t holding; /* attempts that wait */
    bool released;
};

void
script_open(struct script *script, const struct test_gateway *gateway,
            uint32_t concurrency);

/* Returns when so many attempts have started. */
void
script_wait_started(struct script *script, uint32_t count);

/* Lets all attempts that hold, now and later, succeed. */
void
script_release(struct script *script);

void
script_close(struct script *script);

/* A job for the script. */
struct redial_job
job_of(const char *payload);

/* Submits it and checks that it was accepted. */
struct redial_submitted
submit_job(redial_client *client, const struct redial_job *job);

/* Waits until the job is final. Free it. */
struct redial_job_info *
final_of(redial_client *client, const char *id);

/* Waits for an event of this type about this job. */
void
wait_for_event(redial_client *client, const char *id, const char *type);

/* Milliseconds of the monotonic clock. */
int64_t
now_ms(void);

#endif
