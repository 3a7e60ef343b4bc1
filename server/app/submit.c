/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Submit. Each job of the batch stands alone. Jobs that may be known although
 * they are not live (a repeat, a key that was seen) are looked up in the store
 * first; then all are given to the engine in order.
 */
#include "server/app/gateway.h"
#include "server/app/ids.h"
#include "server/app/services.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    FIELD_RESULTS = 1, /* of SubmitResponse */
    FIELD_JOB = 6,     /* of SubmitResult */
    REST_BYTES = 1024, /* of a SubmitResult beside its job, at most */
    BUSY_RETRY_MS = 1000,
};

/* What became of one job. */
struct submitted {
    struct engine_result result;
    struct wire_error error; /* status OK: none of ours */
    const char *key;
    enum job_state finished; /* a final state: it was over before */
};

struct submit {
    struct gateway *gateway;
    struct rpc_call *call;
    const Redial__V1__SubmitRequest *request; /* lives with the call */
    size_t lookups;
    bool closed;
    size_t count;
    struct submitted jobs[];
};

/* ---- Answering --------------------------------------------------------- */

static void
fill_status(const struct submitted *job, struct scratch *scratch,
            Redial__V1__Status *ret_status)
{
    const struct engine_result *result = &job->result;

    redial__v1__status__init(ret_status);
    ret_status->has_code = true;
    if (job->error.status != REDIAL_OK) {
        ret_status->code = (Redial__V1__Code)job->error.status;
        ret_status->message = scratch_text(scratch, text_of(job->error.text));
        return;
    }
    ret_status->code = (Redial__V1__Code)result->status;
    ret_status->message = unconst(result->message);
    ret_status->reason = unconst(result->reason);
    ret_status->has_retry_after_ms = result->retry_after_ms > 0;
    ret_status->retry_after_ms = result->retry_after_ms;
}

/* `job`: the packed Job as a field of SubmitResult, or empty. */
static void
put_result(struct gateway *gateway, struct bytes *out,
           const struct submitted *job, struct text packed_job)
{
    Redial__V1__SubmitResult message = REDIAL__V1__SUBMIT_RESULT__INIT;
    Redial__V1__Status status;
    const struct engine_result *result = &job->result;

    scratch_clear(&gateway->scratch);
    fill_status(job, &gateway->scratch, &status);
    message.status = &status;
    message.key = unconst(job->key);
    if (job->error.status == REDIAL_OK && result->status == REDIAL_OK) {
        message.id = scratch_id(&gateway->scratch, result->job);
        message.has_deduplicated = result->deduplicated;
        message.deduplicated = result->deduplicated;
        message.has_state = result->slot != ENGINE_NO_SLOT ||
                            job->finished != JOB_NONE;
        message.state = codec_state(job->finished != JOB_NONE
                                        ? job->finished
                                        : (enum job_state)result->state);
    }
    codec_put_joined(out, FIELD_RESULTS, &message.base, packed_job);
}

static bool
is_accepted(const struct submitted *job)
{
    return job->error.status == REDIAL_OK && job->result.status == REDIAL_OK;
}

static struct rpc_reply *
build(struct submit *submit, const struct bytes *body)
{
    if (body->failed) {
        return rpc_build_error(submit->call, REDIAL_RESOURCE_EXHAUSTED,
                               "RESPONSE_TOO_LARGE", 0,
                               "the response is too large: submit fewer jobs "
                               "at once");
    }
    return rpc_build_packed(submit->call, body->at, body->len);
}

/* Results that do not fit are left out; those behind must still fit. */
static bool
has_room(const struct bytes *body, size_t results_left, size_t job_bytes)
{
    size_t used = body->len + REST_BYTES * (results_left + 1);

    return used < body->len_max && job_bytes <= body->len_max - used;
}

static void
answer_now(struct submit *submit)
{
    struct gateway *gateway = submit->gateway;
    struct bytes body;

    bytes_init(&body, WIRE_FRAME_BYTES_MAX);
    for (size_t i = 0; i < submit->count; i++) {
        put_result(gateway, &body, &submit->jobs[i], (struct text){NULL, 0});
    }
    rpc_call_on_close(submit->call, NULL);
    pipeline_reply(gateway, build(submit, &body));
    bytes_fini(&body);
}

static struct rpc_reply *
answer_waited(struct gateway *gateway, struct wait_call *call)
{
    struct submit *submit = call->user;
    struct bytes body;
    struct rpc_reply *reply;

    bytes_init(&body, WIRE_FRAME_BYTES_MAX);
    for (size_t i = 0; i < submit->count; i++) {
        struct wait_item *item = &call->items[i];
        struct bytes live;
        char scratch[ENGINE_VIEW_BYTES];
        struct job_view view;

        bytes_init(&live, WIRE_FRAME_BYTES_MAX);
        if (item->state == WAIT_LIVE &&
            engine_view(gateway->engine, item->slot, scratch, &view)) {
            codec_put_live_job(&live, FIELD_JOB, &view, &gateway->scratch);
            item->job = live.at;
            item->job_bytes = live.len;
        }
        if (!has_room(&body, submit->count - i, item->job_bytes)) {
            item->job_bytes = 0; /* Await has it */
        }
        put_result(
            gateway, &body, &submit->jobs[i],
            (struct text){(const char *)item->job, (uint32_t)item->job_bytes});
    }
    reply = build(submit, &body);
    bytes_fini(&body);
    return reply;
}

static bool
wait_for_all(struct submit *submit)
{
    struct gateway *gateway = submit->gateway;
    struct wait_call *wait = wait_call_new(gateway, submit->call, submit->count,
                                           answer_waited);

    if (wait == NULL) {
        return false;
    }
    wait->user = submit;
    wait->all = true;
    wait->job_field = FIELD_JOB;
    for (size_t i = 0; i < submit->count; i++) {
        if (is_accepted(&submit->jobs[i])) {
            wait->items[i].id = submit->jobs[i].result.job;
            wait_call_look(gateway, wait, i);
        } else {
            wait->items[i].state = WAIT_REFUSED;
        }
    }
    wait_call_start(
        gateway, wait,
        parking_deadline(gateway, submit->call, submit->request->wait_ms));
    return true;
}

/* ---- Submitting -------------------------------------------------------- */

static void
submit_one(struct submit *submit, size_t index)
{
    struct gateway *gateway = submit->gateway;
    const Redial__V1__JobSpec *spec = submit->request->jobs[index];
    struct submitted *job = &submit->jobs[index];
    struct engine_input input = {.type = ENGINE_SUBMIT};
    size_t len;
    uint8_t *content;
    bool has_id;

    job->key = spec->key;
    if (job->error.status != REDIAL_OK) {
        return; /* whether it is known could not be found out */
    }
    job->error.status = codec_submit(spec, &gateway->rules, &input.submit,
                                     &has_id, &job->error);
    if (job->error.status != REDIAL_OK) {
        return;
    }
    if (job->finished != JOB_NONE && input.submit.key.len == 0) {
        /* A repeat of a job that is over. */
        job->result.job = input.submit.id;
        job->result.deduplicated = true;
        job->result.slot = ENGINE_NO_SLOT;
        return;
    }
    if (!has_id) {
        input.submit.id = ids_make(gateway->now.wall);
    }
    len = content_size(spec);
    content = malloc(len);
    if (content == NULL) {
        job->error.status = wire_error_set(&job->error,
                                           REDIAL_RESOURCE_EXHAUSTED,
                                           "the gateway is out of memory");
        return;
    }
    content_write(spec, content);
    pipeline_step(gateway, &input,
                  (struct text){(const char *)content, (uint32_t)len});
    job->result = gateway->out.result;
    if (job->result.status != REDIAL_OK || job->result.deduplicated) {
        free(content);
    }
}

static void
run(struct submit *submit)
{
    bool waits = submit->request->wait_ms > 0;

    for (size_t i = 0; i < submit->count; i++) {
        submit_one(submit, i);
    }
    if (waits && wait_for_all(submit)) {
        return;
    }
    answer_now(submit);
    free(submit);
}

/* ---- Looking up -------------------------------------------------------- */

struct lookup {
    struct submit *submit;
    size_t index;
};

/* To run it although it may have run already would be wrong: try again. */
static void
cannot_look(struct submitted *job)
{
    (void)wire_error_set(&job->error, REDIAL_UNAVAILABLE,
                         "the store is busy: submit it again");
}

static void
looked_up(struct gateway *gateway, void *ctx, const struct store_answer *answer)
{
    struct lookup *lookup = ctx;
    struct submit *submit = lookup->submit;

    (void)gateway;
    if (answer->status == STORE_OK && answer->finished_count > 0) {
        submit->jobs[lookup->index].finished = codec_final_state(
            answer->finished[0].type);
    } else if (answer->status != STORE_OK &&
               answer->status != STORE_NOT_FOUND) {
        cannot_look(&submit->jobs[lookup->index]);
    }
    free(lookup);
    submit->lookups--;
    if (submit->lookups > 0) {
        return;
    }
    if (submit->closed) {
        free(submit);
    } else {
        run(submit);
    }
}

static void
on_close(void *owner, struct rpc_call *call)
{
    struct submit *submit = owner;

    rpc_call_drop(call);
    submit->closed = true;
}

/* The id under which the job may be known although it is not live. */
static bool
find_known(struct submit *submit, size_t index, struct job_id *ret_id)
{
    struct gateway *gateway = submit->gateway;
    const Redial__V1__JobSpec *spec = submit->request->jobs[index];
    uint8_t hash[16];

    if (spec->key != NULL && spec->key[0] != '\0') {
        codec_key_hash(&gateway->rules.hash_keys, text_of(spec->tenant),
                       text_of(spec->key), hash);
        if (!engine_find_key(gateway->engine, hash, ret_id)) {
            return false;
        }
    } else if (!submit->request->repeat || !codec_id(spec->id, ret_id)) {
        return false;
    }
    return engine_find(gateway->engine, *ret_id) == ENGINE_NO_SLOT;
}

static void
look(struct submit *submit, size_t index)
{
    struct gateway *gateway = submit->gateway;
    struct store_request request = {.type = STORE_LOOKUP};
    struct lookup *lookup;
    uint64_t final_seq;

    if (!find_known(submit, index, &request.job)) {
        return;
    }
    final_seq = tail_final(gateway->tail, request.job);
    if (final_seq != 0) {
        submit->jobs[index].finished = codec_final_state(
            tail_at(gateway->tail, final_seq)->type);
        return;
    }
    lookup = malloc(sizeof(*lookup));
    if (lookup == NULL) {
        cannot_look(&submit->jobs[index]);
        return;
    }
    *lookup = (struct lookup){.submit = submit, .index = index};
    if (asks_post(gateway, &request, looked_up, lookup) == NULL) {
        free(lookup);
        cannot_look(&submit->jobs[index]);
        return;
    }
    submit->lookups++;
}

static bool
is_behind(const struct gateway *gateway)
{
    const struct config *config = gateway->config;

    return gateway->degraded ||
           projector_lag_records(gateway) >= config->store_lag_records_max ||
           projector_lag_bytes(gateway) >= config->store_lag_bytes_max;
}

void
submit_start(struct gateway *gateway, struct rpc_call *call,
             const Redial__V1__SubmitRequest *request)
{
    size_t count = request->n_jobs;
    struct submit *submit;

    if (count == 0 || count > gateway->config->limits_submit_jobs_max) {
        pipeline_reply(gateway,
                       rpc_build_error(
                           call, REDIAL_INVALID_ARGUMENT, NULL, 0,
                           "jobs has %zu entries; 1 to %" PRIu32 " are allowed",
                           count, gateway->config->limits_submit_jobs_max));
        return;
    }
    if (is_behind(gateway)) {
        pipeline_reply(
            gateway, rpc_build_error(
                         call, REDIAL_RESOURCE_EXHAUSTED,
                         gateway->degraded ? "STORE_FULL" : "STORE_BEHIND",
                         BUSY_RETRY_MS, "the store cannot take new jobs now"));
        return;
    }
    submit = calloc(1, sizeof(*submit) + count * sizeof(submit->jobs[0]));
    if (submit == NULL) {
        pipeline_reply(gateway, rpc_build_error(call, REDIAL_RESOURCE_EXHAUSTED,
                                                "MEMORY", BUSY_RETRY_MS,
                                                "out of memory"));
        return;
    }
    submit->gateway = gateway;
    submit->call = call;
    submit->request = request;
    submit->count = count;
    for (size_t i = 0; i < count; i++) {
        look(submit, i);
    }
    if (submit->lookups == 0) {
        run(submit);
        return;
    }
    rpc_call_set_owner(call, submit);
    rpc_call_on_close(call, on_close);
}
