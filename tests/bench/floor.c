/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The floor: nng's own relay. Agents are REQ sockets with contexts, the relay
 * is nng_device() between raw sockets, the worker is a REP socket with contexts
 * that echoes. No policy, no store: what nobody on this transport can beat
 * without batching.
 */
#include "tests/bench/floor.h"

#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/reqrep0/req.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CONTEXTS = 1024 };

static const char usage[] =
    "usage: redial-floor relay FRONT_URL BACK_URL\n"
    "       redial-floor worker BACK_URL\n"
    "       redial-floor agent FRONT_URL JOBS CONNECTIONS IN_FLIGHT BYTES\n";

void
floor_must(int error, const char *what)
{
    if (error != 0) {
        (void)fprintf(stderr, "redial-floor: %s: %s\n", what,
                      nng_strerror(error));
        exit(1);
    }
}

static int
relay(const char *front_url, const char *back_url)
{
    nng_socket front;
    nng_socket back;

    floor_must(nng_rep0_open_raw(&front), "open");
    floor_must(nng_req0_open_raw(&back), "open");
    floor_must(nng_listen(front, front_url, NULL, 0), front_url);
    floor_must(nng_listen(back, back_url, NULL, 0), back_url);
    (void)printf("ready\n");
    (void)fflush(stdout);
    floor_must(nng_device(front, back), "device");
    return 0;
}

/* One context of the worker: receives, sends the same back, again. */
struct echo {
    nng_ctx ctx;
    nng_aio *aio;
    int sending;
};

static void
on_echo(void *arg)
{
    struct echo *echo = arg;

    if (nng_aio_result(echo->aio) != 0) {
        return;
    }
    if (!echo->sending) {
        /* The message is in the aio already: back with it. */
        echo->sending = 1;
        nng_ctx_send(echo->ctx, echo->aio);
    } else {
        echo->sending = 0;
        nng_ctx_recv(echo->ctx, echo->aio);
    }
}

static int
worker(const char *url)
{
    static struct echo echoes[CONTEXTS];
    nng_socket socket;
    sigset_t set;
    int signal;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    floor_must(nng_rep0_open(&socket), "open");
    floor_must(nng_dial(socket, url, NULL, 0), url);
    for (int i = 0; i < CONTEXTS; i++) {
        floor_must(nng_ctx_open(&echoes[i].ctx, socket), "context");
        floor_must(nng_aio_alloc(&echoes[i].aio, on_echo, &echoes[i]), "aio");
        nng_ctx_recv(echoes[i].ctx, echoes[i].aio);
    }
    (void)printf("ready\n");
    (void)fflush(stdout);
    (void)sigwait(&set, &signal);
    _exit(0);
}

int
main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "relay") == 0) {
        return relay(argv[2], argv[3]);
    }
    if (argc == 3 && strcmp(argv[1], "worker") == 0) {
        return worker(argv[2]);
    }
    if (argc == 7 && strcmp(argv[1], "agent") == 0) {
        struct floor_load load = {
            .url = argv[2],
            .jobs = (uint32_t)strtoul(argv[3], NULL, 10),
            .connections = (uint32_t)strtoul(argv[4], NULL, 10),
            .in_flight = (uint32_t)strtoul(argv[5], NULL, 10),
            .bytes = strtoul(argv[6], NULL, 10),
        };

        return floor_agent(&load);
    }
    (void)fputs(usage, stderr);
    return 2;
}
