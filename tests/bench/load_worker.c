/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/load.h"
#include <redial/worker.h>

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>

struct echo {
    uint32_t fail_every;
    atomic_uint count;
};

static void
echo(void *ctx, redial_attempt *attempt)
{
    struct echo *self = ctx;
    const struct redial_assignment *work = redial_attempt_work(attempt);
    struct redial_outcome outcome = {
        .result = work->payload,
        .result_bytes = work->payload_bytes,
    };

    if (self->fail_every > 0 && work->charged_before == 0 &&
        atomic_fetch_add(&self->count, 1) % self->fail_every == 0) {
        outcome = (struct redial_outcome){
            .code = REDIAL_UNAVAILABLE,
            .reason = "BENCH",
            .has_pushback = true,
        };
    }
    redial_attempt_complete(attempt, &outcome, 0);
}

int
load_worker(const struct load_options *options)
{
    struct echo self = {.fail_every = options->fail_every};
    struct redial_worker_method method = {
        .service = "bench.Echo",
        .concurrency = options->concurrency,
        .handler = echo,
        .ctx = &self,
        .is_async = true,
    };
    struct redial_worker_options worker_options = {
        .struct_size = sizeof(worker_options),
        .connection.addresses = options->address,
        .name = "echo",
        .methods = &method,
        .method_count = 1,
    };
    redial_worker *worker = NULL;
    struct redial_error error = {.text = ""};
    sigset_t set;
    int signal;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    if (redial_worker_open(&worker_options, &worker, &error) != REDIAL_OK ||
        redial_worker_wait_ready(worker, redial_in_ms(10000), &error) !=
            REDIAL_OK) {
        (void)fprintf(stderr, "redial-load: %s\n", error.text);
        redial_worker_close(worker);
        return 1;
    }
    (void)printf("ready\n");
    (void)fflush(stdout);
    (void)sigwait(&set, &signal);
    redial_worker_close(worker);
    return 0;
}
