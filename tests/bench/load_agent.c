/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each connection keeps so many jobs open. Jobs are submitted without waiting
 * (the library sends what is queued together) and collected by one Await over
 * all that are open; each one that is final makes room for the next.
 */
#include "tests/bench/load.h"
#include "tests/bench/samples.h"
#include <redial/client.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    IN_FLIGHT_MAX = 1000, /* ids in one Await */
    CONNECT_MS = 10000,
    PATIENCE_MS = 120000,
};

struct lane;

/* One place for an open job. */
struct place {
    struct lane *lane;
    char id[REDIAL_NAME_BYTES];
    int64_t began_ns;
    bool accepted; /* under the lane's lock */
    bool busy;
};

/* One connection. */
struct lane {
    const struct load_options *options;
    struct samples *samples;
    atomic_int *left; /* jobs that nobody has submitted yet */
    void *payload;
    redial_client *client;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct place places[IN_FLIGHT_MAX];
    uint32_t open;
};

static void
on_submitted(void *ctx, const struct redial_submitted *submitted)
{
    struct place *place = ctx;
    struct lane *lane = place->lane;

    (void)pthread_mutex_lock(&lane->lock);
    if (submitted->error.status == REDIAL_OK) {
        place->accepted = true;
    } else {
        place->busy = false;
        lane->open--;
        samples_add_failed(lane->samples);
    }
    (void)pthread_cond_signal(&lane->changed);
    (void)pthread_mutex_unlock(&lane->lock);
}

static struct redial_job
job_of(const struct lane *lane, const char *id)
{
    return (struct redial_job){
        .struct_size = sizeof(struct redial_job),
        .service = "bench.Echo",
        .method = "Run",
        .payload = lane->payload,
        .payload_bytes = lane->options->bytes,
        .id = id,
        .key = lane->options->keys ? id : NULL,
    };
}

static bool
is_busy(struct place *place)
{
    bool busy;

    (void)pthread_mutex_lock(&place->lane->lock);
    busy = place->busy;
    (void)pthread_mutex_unlock(&place->lane->lock);
    return busy;
}

static void
fill(struct lane *lane)
{
    struct redial_error error;

    for (uint32_t i = 0; i < lane->options->in_flight; i++) {
        struct place *place = &lane->places[i];
        struct redial_job job;

        if (is_busy(place)) {
            continue;
        }
        if (atomic_fetch_sub(lane->left, 1) <= 0) {
            return;
        }
        redial_new_id(place->id);
        job = job_of(lane, place->id);
        (void)pthread_mutex_lock(&lane->lock);
        place->busy = true;
        place->accepted = false;
        lane->open++;
        (void)pthread_mutex_unlock(&lane->lock);
        place->began_ns = clock_ns();
        if (redial_submit_async(lane->client, &job, redial_in_ms(PATIENCE_MS),
                                on_submitted, place, &error) != REDIAL_OK) {
            struct redial_submitted refused = {.error = error};

            on_submitted(place, &refused);
        }
    }
}

/* Waits until something is open and accepted; gives the ids. */
static size_t
gather(struct lane *lane, const char **ids)
{
    size_t count = 0;

    (void)pthread_mutex_lock(&lane->lock);
    while (count == 0 && lane->open > 0) {
        for (uint32_t i = 0; i < lane->options->in_flight; i++) {
            if (lane->places[i].busy && lane->places[i].accepted) {
                ids[count++] = lane->places[i].id;
            }
        }
        if (count == 0) {
            (void)pthread_cond_wait(&lane->changed, &lane->lock);
        }
    }
    (void)pthread_mutex_unlock(&lane->lock);
    return count;
}

/* The job of this id has ended; `good`: as it should. */
static void
settle(struct lane *lane, const char *id, bool good)
{
    for (uint32_t i = 0; i < lane->options->in_flight; i++) {
        struct place *place = &lane->places[i];

        if (!is_busy(place) || strcmp(place->id, id) != 0) {
            continue;
        }
        if (good) {
            samples_add(lane->samples, place->began_ns);
        } else {
            samples_add_failed(lane->samples);
        }
        (void)pthread_mutex_lock(&lane->lock);
        place->busy = false;
        lane->open--;
        (void)pthread_mutex_unlock(&lane->lock);
        return;
    }
}

/* It succeeded, and what came back is as long as what was sent. */
static bool
is_echoed(const struct lane *lane, const struct redial_job_info *job)
{
    return job->state == REDIAL_JOB_SUCCEEDED && job->outcome != NULL &&
           job->outcome->result_bytes == lane->options->bytes;
}

static bool
collect(struct lane *lane)
{
    const char *ids[IN_FLIGHT_MAX];
    struct redial_await what = {.struct_size = sizeof(what), .ids = ids};
    struct redial_job_list *list = NULL;
    struct redial_error error = {.text = ""};

    what.id_count = gather(lane, ids);
    if (what.id_count == 0) {
        return false;
    }
    if (redial_await(lane->client, &what, redial_in_ms(PATIENCE_MS), &list,
                     &error) != REDIAL_OK) {
        (void)fprintf(stderr, "redial-load: await: %s\n", error.text);
        return false;
    }
    for (size_t i = 0; i < list->count; i++) {
        settle(lane, list->jobs[i].id, is_echoed(lane, &list->jobs[i]));
    }
    for (size_t i = 0; i < list->missing_count; i++) {
        settle(lane, list->missing[i], false);
    }
    redial_job_list_free(list);
    return true;
}

static void *
run_lane(void *arg)
{
    struct lane *lane = arg;

    do {
        fill(lane);
    } while (collect(lane));
    return NULL;
}

/* One call at a time. */
static void *
run_calls(void *arg)
{
    struct lane *lane = arg;
    struct redial_error error;

    while (atomic_fetch_sub(lane->left, 1) > 0) {
        char id[REDIAL_NAME_BYTES];
        struct redial_job job = job_of(lane, id);
        struct redial_job_info *info = NULL;
        int64_t began = clock_ns();

        redial_new_id(id);
        if (redial_call(lane->client, &job, redial_in_ms(PATIENCE_MS), &info,
                        &error) == REDIAL_OK &&
            is_echoed(lane, info)) {
            samples_add(lane->samples, began);
        } else {
            samples_add_failed(lane->samples);
        }
        redial_job_info_free(info);
    }
    return NULL;
}

/* Connecting is no part of what is measured: one question that costs little. */
static bool
is_connected(redial_client *client)
{
    char id[REDIAL_NAME_BYTES];
    struct redial_job_ref nobody = {.id = id};
    struct redial_job_info *info = NULL;
    struct redial_error error = {.text = ""};
    enum redial_status status;

    redial_new_id(id);
    status = redial_get(client, nobody, redial_in_ms(CONNECT_MS), &info,
                        &error);
    redial_job_info_free(info);
    if (status != REDIAL_OK && status != REDIAL_NOT_FOUND) {
        (void)fprintf(stderr, "redial-load: %s\n", error.text);
        return false;
    }
    return true;
}

static bool
lane_open(struct lane *lane)
{
    struct redial_client_options options = {
        .struct_size = sizeof(options),
        .connection.addresses = lane->options->address,
    };
    struct redial_error error = {.text = ""};

    (void)pthread_mutex_init(&lane->lock, NULL);
    (void)pthread_cond_init(&lane->changed, NULL);
    for (uint32_t i = 0; i < IN_FLIGHT_MAX; i++) {
        lane->places[i].lane = lane;
    }
    if (redial_client_open(&options, &lane->client, &error) != REDIAL_OK) {
        (void)fprintf(stderr, "redial-load: %s\n", error.text);
        return false;
    }
    return is_connected(lane->client);
}

static void
run_all(struct lane *lanes, uint32_t count, bool wait)
{
    for (uint32_t i = 0; i < count; i++) {
        (void)pthread_create(&lanes[i].thread, NULL,
                             wait ? run_calls : run_lane, &lanes[i]);
    }
    for (uint32_t i = 0; i < count; i++) {
        (void)pthread_join(lanes[i].thread, NULL);
        redial_client_close(lanes[i].client);
    }
}

int
load_agent(const struct load_options *options)
{
    struct lane *lanes = calloc(options->connections, sizeof(*lanes));
    void *payload = calloc(1, options->bytes + 1);
    struct samples samples;
    atomic_int left = (int)options->jobs;
    bool good = lanes != NULL && payload != NULL &&
                options->in_flight <= IN_FLIGHT_MAX;

    samples_init(&samples, options->jobs);
    for (uint32_t i = 0; good && i < options->connections; i++) {
        lanes[i].options = options;
        lanes[i].samples = &samples;
        lanes[i].left = &left;
        lanes[i].payload = payload;
        good = lane_open(&lanes[i]);
    }
    if (good) {
        samples_begin(&samples);
        run_all(lanes, options->connections, options->wait);
        samples_print(&samples);
        good = samples.count == options->jobs;
    }
    samples_fini(&samples);
    free(payload);
    free(lanes);
    return good ? 0 : 1;
}
