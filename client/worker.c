/* SPDX-License-Identifier: Apache-2.0 */
#include "client/clock.h"
#include "client/crew.h"
#include "client/error.h"
#include "client/job.h"
#include "proto/limits.h"
#include "proto/name.h"

#include <stdlib.h>
#include <string.h>

/* How long close waits for the gateway to take the last reports. */
#define GOODBYE_MS 1000

/* ---- checks ---- */

static enum redial_status
check_method(const struct redial_worker_method *method, size_t index,
             struct redial_error *error)
{
    const char *problem = wire_name_check(WIRE_NAME_SERVICE, method->service);
    const char *field = "service";

    if (problem == NULL && method->method != NULL) {
        problem = wire_name_check(WIRE_NAME_METHOD, method->method);
        field = "method";
    }
    if (problem == NULL && method->handler == NULL) {
        problem = "is missing";
        field = "handler";
    }
    if (problem == NULL && method->concurrency > REDIAL_I_IN_HAND_MAX) {
        problem = "is more than 1000";
        field = "concurrency";
    }
    return problem == NULL ? REDIAL_OK
                           : redial_i_fail(error, REDIAL_INVALID_ARGUMENT, "",
                                           "options.methods[%zu].%s %s", index,
                                           field, problem);
}

static enum redial_status
check_labels(const struct redial_worker_options *options,
             struct redial_error *error)
{
    size_t bytes = 0;

    if (options->label_count > WIRE_METADATA_MAX) {
        return redial_i_fail(error, REDIAL_INVALID_ARGUMENT, "",
                             "options.labels: more than %u entries",
                             WIRE_METADATA_MAX);
    }
    for (size_t i = 0; i < options->label_count; i++) {
        const char *key = options->labels[i].key != NULL
                              ? options->labels[i].key
                              : "";
        enum redial_status status = redial_i_check_word("options.labels[].key",
                                                        key, error);

        if (status != REDIAL_OK) {
            return status;
        }
        bytes += strlen(key);
        if (options->labels[i].value_bytes > WIRE_METADATA_BYTES_MAX - bytes) {
            return redial_i_fail(error, REDIAL_INVALID_ARGUMENT, "",
                                 "options.labels: more than %u bytes",
                                 WIRE_METADATA_BYTES_MAX);
        }
        bytes += options->labels[i].value_bytes;
    }
    return REDIAL_OK;
}

static enum redial_status
check_options(const struct redial_worker_options *options,
              struct redial_error *error)
{
    enum redial_status status = redial_i_check_word(
        "options.name", options->name != NULL ? options->name : "", error);

    if (status == REDIAL_OK) {
        status = redial_i_check_word("options.instance", options->instance,
                                     error);
    }
    if (status == REDIAL_OK) {
        status = redial_i_check_word("options.version", options->version,
                                     error);
    }
    if (status == REDIAL_OK) {
        status = check_labels(options, error);
    }
    if (status == REDIAL_OK && (options->method_count == 0 ||
                                options->method_count > REDIAL_I_METHODS_MAX)) {
        status = redial_i_fail(error, REDIAL_INVALID_ARGUMENT, "",
                               "options.methods: 1 to %d are allowed",
                               REDIAL_I_METHODS_MAX);
    }
    if (status == REDIAL_OK && options->concurrency > REDIAL_I_IN_HAND_MAX) {
        status = redial_i_fail(error, REDIAL_INVALID_ARGUMENT, "",
                               "options.concurrency is more than %d",
                               REDIAL_I_IN_HAND_MAX);
    }
    for (size_t i = 0; status == REDIAL_OK && i < options->method_count; i++) {
        status = check_method(&options->methods[i], i, error);
    }
    return status;
}

/* ---- copies ---- */

static void
copy_name(char to[REDIAL_NAME_BYTES], const char *from)
{
    redial_i_copy_text(to, REDIAL_NAME_BYTES, from != NULL ? from : "",
                       from != NULL ? strlen(from) : 0);
}

/* A deep copy: packed and unpacked again. NULL: no memory. */
static Redial__V1__HelloRequest *
copy_labels(const struct redial_worker_options *options)
{
    Redial__V1__HelloRequest message = REDIAL__V1__HELLO_REQUEST__INIT;
    Redial__V1__HelloRequest *copy = NULL;
    Redial__V1__Metadata items[WIRE_METADATA_MAX];
    Redial__V1__Metadata *pointers[WIRE_METADATA_MAX];
    uint8_t *bytes;
    size_t len;

    for (size_t i = 0; i < options->label_count; i++) {
        union {
            const void *in;
            uint8_t *out;
        } value = {.in = options->labels[i].value};

        redial__v1__metadata__init(&items[i]);
        items[i].key = redial_i_unconst(options->labels[i].key);
        items[i].has_value = true;
        items[i].value.data = value.out;
        items[i].value.len = options->labels[i].value_bytes;
        pointers[i] = &items[i];
    }
    message.n_labels = options->label_count;
    message.labels = pointers;
    len = redial__v1__hello_request__get_packed_size(&message);
    bytes = malloc(len + 1);
    if (bytes != NULL) {
        (void)redial__v1__hello_request__pack(&message, bytes);
        copy = redial__v1__hello_request__unpack(NULL, len, bytes);
        free(bytes);
    }
    return copy;
}

static uint32_t
total_concurrency(const struct redial_worker_options *options)
{
    uint64_t sum = 0;

    if (options->concurrency != 0) {
        return options->concurrency;
    }
    for (size_t i = 0; i < options->method_count; i++) {
        sum += options->methods[i].concurrency;
    }
    if (sum > REDIAL_I_IN_HAND_MAX) {
        return REDIAL_I_IN_HAND_MAX;
    }
    return sum != 0 ? (uint32_t)sum : 1;
}

static void
copy_methods(redial_worker *worker, const struct redial_worker_options *options)
{
    for (size_t i = 0; i < options->method_count; i++) {
        const struct redial_worker_method *from = &options->methods[i];
        struct redial_i_crew_method *to = &worker->methods[i];

        copy_name(to->service, from->service);
        copy_name(to->method, from->method);
        to->concurrency = from->concurrency != 0 &&
                                  from->concurrency < worker->concurrency
                              ? from->concurrency
                              : worker->concurrency;
        to->handler = from->handler;
        to->cancel = from->cancel;
        to->ctx = from->ctx;
        to->is_async = from->is_async;
    }
    worker->method_count = options->method_count;
}

/* Everything that needs memory. */
static bool
fill_worker(redial_worker *worker, const struct redial_worker_options *options)
{
    copy_name(worker->name, options->name);
    copy_name(worker->version, options->version);
    if (options->instance != NULL) {
        copy_name(worker->instance, options->instance);
    } else {
        redial_new_id(worker->instance);
    }
    worker->concurrency = total_concurrency(options);
    worker->labels = copy_labels(options);
    worker->methods = calloc(options->method_count, sizeof(*worker->methods));
    worker->threads = calloc(worker->concurrency, sizeof(pthread_t));
    if (worker->labels == NULL || worker->methods == NULL ||
        worker->threads == NULL) {
        return false;
    }
    copy_methods(worker, options);
    return true;
}

/* ---- open ---- */

static void
init_worker(redial_worker *worker)
{
    redial_i_list_init(&worker->acks);
    redial_i_list_init(&worker->ready);
    redial_i_list_init(&worker->news);
    for (size_t i = 0; i < REDIAL_I_BUCKETS; i++) {
        redial_i_list_init(&worker->buckets[i]);
    }
    redial_i_cond_init(&worker->changed);
    redial_i_session_init(worker);
    redial_i_handlers_init(worker);
}

static void
free_worker(redial_worker *worker)
{
    redial_i_link_fini(&worker->link);
    if (worker->labels != NULL) {
        redial__v1__hello_request__free_unpacked(worker->labels, NULL);
    }
    (void)pthread_cond_destroy(&worker->changed);
    (void)pthread_cond_destroy(&worker->pool_work);
    redial_i_loop_fini(&worker->loop);
    free(worker->methods);
    free(worker->threads);
    free(worker);
}

enum redial_status
redial_worker_open(const struct redial_worker_options *options,
                   redial_worker **ret_worker, struct redial_error *ret_error)
{
    struct redial_worker_options copy = {0};
    enum redial_status status;
    redial_worker *worker;

    memcpy(&copy, options,
           options->struct_size < sizeof(copy) ? options->struct_size
                                               : sizeof(copy));
    status = check_options(&copy, ret_error);
    if (status != REDIAL_OK) {
        return status;
    }
    worker = calloc(1, sizeof(*worker));
    if (worker == NULL) {
        return redial_i_fail_memory(ret_error);
    }
    init_worker(worker);
    if (!redial_i_loop_init(&worker->loop) || !fill_worker(worker, &copy)) {
        status = redial_i_fail_memory(ret_error);
        goto fail;
    }
    status = redial_i_link_init(&worker->link, &worker->loop, &copy.connection,
                                ret_error);
    if (status != REDIAL_OK) {
        goto fail;
    }
    redial_i_link_start(&worker->link);
    *ret_worker = worker;
    return REDIAL_OK;

fail:
    free_worker(worker);
    return status;
}

/* ---- waiting ---- */

enum redial_status
redial_worker_wait_ready(redial_worker *worker, struct redial_deadline deadline,
                         struct redial_error *ret_error)
{
    int64_t until = redial_i_deadline(deadline, GOODBYE_MS);
    enum redial_status status = REDIAL_OK;

    redial_i_lock(&worker->loop);
    while (!worker->was_on && worker->session != REDIAL_I_SESSION_REFUSED &&
           redial_i_wait_locked(&worker->loop, &worker->changed, until)) {
    }
    if (worker->session == REDIAL_I_SESSION_REFUSED) {
        status = redial_i_fail_with(ret_error, &worker->refusal);
    } else if (!worker->was_on) {
        status = redial_i_fail(
            ret_error, REDIAL_UNAVAILABLE, "NOT_CONNECTED",
            "not known to a gateway; %s",
            worker->link.error[0] != '\0' ? worker->link.error : "no answer");
    }
    redial_i_unlock(&worker->loop);
    return status;
}

enum redial_status
redial_worker_wait(redial_worker *worker, struct redial_deadline deadline,
                   struct redial_error *ret_error)
{
    int64_t until = redial_i_deadline(deadline, GOODBYE_MS);
    enum redial_status status = REDIAL_OK;

    redial_i_lock(&worker->loop);
    while (!worker->is_drained && worker->session != REDIAL_I_SESSION_REFUSED &&
           redial_i_wait_locked(&worker->loop, &worker->changed, until)) {
    }
    if (worker->session == REDIAL_I_SESSION_REFUSED) {
        status = redial_i_fail_with(ret_error, &worker->refusal);
    } else if (!worker->is_drained) {
        status = redial_i_fail(ret_error, REDIAL_DEADLINE_EXCEEDED,
                               "NOT_DRAINED", "not drained at the deadline");
    }
    redial_i_unlock(&worker->loop);
    return status;
}

/* ---- the end ---- */

static void
drain_locked(redial_worker *worker)
{
    if (!worker->is_draining) {
        worker->is_draining = true;
        worker->has_to_say = true; /* no more slots */
    }
    redial_i_session_pump_locked(worker);
}

void
redial_worker_drain(redial_worker *worker)
{
    redial_i_lock(&worker->loop);
    drain_locked(worker);
    redial_i_unlock(&worker->loop);
}

static void
cancel_one(redial_attempt *attempt, void *ctx)
{
    (void)ctx;
    redial_i_attempt_cancel_locked(attempt);
}

/* First phase: no more work, and what is in hand comes to its end. */
static void
finish_attempts(redial_worker *worker)
{
    int64_t until;

    redial_i_lock(&worker->loop);
    WIRE_CHECK(!redial_i_loop_is_here(&worker->loop));
    worker->is_closing = true;
    redial_i_attempts_visit_locked(worker, cancel_one, NULL);
    drain_locked(worker);
    while (worker->in_use > 0 || worker->is_corked) {
        (void)redial_i_wait_locked(&worker->loop, &worker->changed,
                                   REDIAL_I_NEVER);
    }
    until = redial_i_after(redial_i_now(), GOODBYE_MS);
    while (!worker->is_drained && worker->link.is_ready &&
           worker->session != REDIAL_I_SESSION_REFUSED &&
           redial_i_wait_locked(&worker->loop, &worker->changed, until)) {
    }
    redial_i_unlock(&worker->loop);
}

static void
forget_one(redial_attempt *attempt, void *ctx)
{
    (void)ctx;
    redial_i_attempt_settle_locked(attempt);
}

void
redial_worker_close(redial_worker *worker)
{
    if (worker == NULL) {
        return;
    }
    finish_attempts(worker);
    redial_i_handlers_stop(worker);
    redial_i_link_stop(&worker->link);
    redial_i_loop_stop(&worker->loop);

    redial_i_lock(&worker->loop);
    redial_i_attempts_visit_locked(worker, forget_one, NULL);
    WIRE_CHECK(worker->in_hand == 0);
    redial_i_unlock(&worker->loop);
    free_worker(worker);
}
