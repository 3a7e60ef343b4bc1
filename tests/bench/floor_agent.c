/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/floor.h"
#include "tests/bench/samples.h"

#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A reply that takes longer counts as lost. */
enum { LOST_MS = 5000 };

struct floor_run {
    const struct floor_load *load;
    struct samples samples;
    atomic_int left;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint32_t active; /* lanes that have not ended */
};

/* One request at a time on one context. */
struct floor_lane {
    struct floor_run *run;
    nng_ctx ctx;
    nng_aio *aio;
    int64_t began_ns;
    bool receiving;
};

static void
end_lane(struct floor_lane *lane)
{
    struct floor_run *run = lane->run;

    (void)pthread_mutex_lock(&run->lock);
    run->active--;
    (void)pthread_cond_signal(&run->changed);
    (void)pthread_mutex_unlock(&run->lock);
}

static void
send_next(struct floor_lane *lane)
{
    nng_msg *message;

    if (atomic_fetch_sub(&lane->run->left, 1) <= 0) {
        end_lane(lane);
        return;
    }
    floor_must(nng_msg_alloc(&message, lane->run->load->bytes), "message");
    memset(nng_msg_body(message), 0, nng_msg_len(message));
    lane->receiving = false;
    lane->began_ns = clock_ns();
    nng_aio_set_msg(lane->aio, message);
    nng_ctx_send(lane->ctx, lane->aio);
}

static void
on_done(void *arg)
{
    struct floor_lane *lane = arg;
    struct floor_run *run = lane->run;

    if (nng_aio_result(lane->aio) != 0) {
        if (!lane->receiving) {
            nng_msg_free(nng_aio_get_msg(lane->aio));
        }
        (void)pthread_mutex_lock(&run->lock);
        run->samples.lost++;
        (void)pthread_mutex_unlock(&run->lock);
        send_next(lane);
        return;
    }
    if (!lane->receiving) {
        lane->receiving = true;
        nng_ctx_recv(lane->ctx, lane->aio);
        return;
    }
    nng_msg_free(nng_aio_get_msg(lane->aio));
    samples_add(&run->samples, lane->began_ns);
    send_next(lane);
}

static void
open_lanes(struct floor_run *run, struct floor_lane *lanes)
{
    const struct floor_load *load = run->load;

    for (uint32_t c = 0; c < load->connections; c++) {
        nng_socket socket;

        floor_must(nng_req0_open(&socket), "open");
        floor_must(nng_socket_set_ms(socket, NNG_OPT_REQ_RESENDTIME,
                                     NNG_DURATION_INFINITE),
                   "option");
        floor_must(nng_dial(socket, load->url, NULL, 0), load->url);
        for (uint32_t i = 0; i < load->in_flight; i++) {
            struct floor_lane *lane = &lanes[c * load->in_flight + i];

            lane->run = run;
            floor_must(nng_ctx_open(&lane->ctx, socket), "context");
            floor_must(nng_aio_alloc(&lane->aio, on_done, lane), "aio");
            nng_aio_set_timeout(lane->aio, LOST_MS);
        }
    }
}

int
floor_agent(const struct floor_load *load)
{
    uint32_t count = load->connections * load->in_flight;
    struct floor_lane *lanes = calloc(count, sizeof(*lanes));
    struct floor_run run = {.load = load, .active = count};

    floor_must(lanes == NULL ? NNG_ENOMEM : 0, "lanes");
    atomic_init(&run.left, (int)load->jobs);
    (void)pthread_mutex_init(&run.lock, NULL);
    (void)pthread_cond_init(&run.changed, NULL);
    samples_init(&run.samples, load->jobs);
    open_lanes(&run, lanes);
    samples_begin(&run.samples);
    for (uint32_t i = 0; i < count; i++) {
        send_next(&lanes[i]);
    }
    (void)pthread_mutex_lock(&run.lock);
    while (run.active > 0) {
        (void)pthread_cond_wait(&run.changed, &run.lock);
    }
    (void)pthread_mutex_unlock(&run.lock);
    samples_print(&run.samples);
    samples_fini(&run.samples);
    /* The process ends; taking nng down in order would only cost time. */
    _exit(0);
}
