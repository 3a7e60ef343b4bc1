/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Await: outcomes of jobs named by ids, by keys, or by one correlation id. The
 * jobs of a correlation id are first gathered: live ones from the engine,
 * finished ones from the store.
 */
#include "server/app/gateway.h"
#include "server/app/services.h"

#include <stdlib.h>
#include <string.h>

enum {
    FIELD_JOBS = 1, /* of AwaitResponse */
    JOBS_MAX = 1000,
    ANSWER_BYTES_MAX = WIRE_FRAME_BYTES_MAX - 262144,
};

struct await {
    struct gateway *gateway;
    struct rpc_call *call;
    const Redial__V1__AwaitRequest *request; /* lives with the call */
    bool by_correlation;
    bool closed;
    size_t count;
    struct job_id ids[JOBS_MAX];
    const char *names[JOBS_MAX]; /* how the caller named it; NULL: by id */
    bool unknown[JOBS_MAX];
};

static void
refuse(struct await *await, const char *problem)
{
    pipeline_reply(await->gateway,
                   rpc_build_error(await->call, REDIAL_INVALID_ARGUMENT, NULL,
                                   0, "%s", problem));
    free(await);
}

static void
refuse_busy(struct await *await)
{
    pipeline_reply(await->gateway,
                   rpc_build_error(await->call, REDIAL_UNAVAILABLE,
                                   "STORE_BUSY", 1000,
                                   "the store is busy: try again"));
    free(await);
}

/* ---- Answering --------------------------------------------------------- */

static const char *
name_of(const struct await *await, const struct wait_item *item, size_t index,
        struct scratch *scratch)
{
    return await->names[index] != NULL ? await->names[index]
                                       : scratch_id(scratch, item->id);
}

static struct rpc_reply *
build(struct wait_call *call, Redial__V1__AwaitResponse *rest,
      struct bytes *body)
{
    size_t len = protobuf_c_message_get_packed_size(&rest->base);
    uint8_t *at = bytes_reserve(body, len);
    struct rpc_reply *reply;

    if (at != NULL) {
        bytes_commit(body, protobuf_c_message_pack(&rest->base, at));
    }
    reply = rpc_build_packed(call->call, body->at, body->len);
    bytes_fini(body);
    return reply;
}

/* A copy that lives with the call; "" when its memory is used up. */
static char *
copy_name(struct rpc_call *call, const char *name)
{
    size_t len = strlen(name) + 1;
    char *copy = rpc_call_alloc(call, len);

    if (copy == NULL) {
        return unconst("");
    }
    memcpy(copy, name, len);
    return copy;
}

static struct rpc_reply *
answer(struct gateway *gateway, struct wait_call *call)
{
    struct await *await = call->user;
    struct scratch *scratch = &gateway->scratch;
    char **names = rpc_call_alloc(call->call, call->count * 2 * sizeof(*names));
    Redial__V1__AwaitResponse rest = REDIAL__V1__AWAIT_RESPONSE__INIT;
    struct bytes body;

    if (names == NULL) {
        return rpc_build_error(call->call, REDIAL_RESOURCE_EXHAUSTED, "MEMORY",
                               0, "too many jobs in one Await");
    }
    bytes_init(&body, WIRE_FRAME_BYTES_MAX);
    rest.missing = names;
    rest.pending_ids = names + call->count;
    rest.has_pending = true;
    for (size_t i = 0; i < call->count; i++) {
        struct wait_item *item = &call->items[i];

        scratch_clear(scratch);
        if (item->state == WAIT_FINAL &&
            (body.len == 0 || body.len + item->job_bytes < ANSWER_BYTES_MAX)) {
            bytes_append(&body, item->job, item->job_bytes);
        } else if (item->state == WAIT_MISSING) {
            rest.missing[rest.n_missing++] = copy_name(
                call->call, name_of(await, item, i, scratch));
        } else {
            rest.pending++;
            if (await->by_correlation) {
                rest.pending_ids[rest.n_pending_ids++] = copy_name(
                    call->call, scratch_id(scratch, item->id));
            }
        }
    }
    return build(call, &rest, &body);
}

static void
wait_for_any(struct await *await)
{
    struct gateway *gateway = await->gateway;
    struct wait_call *wait = wait_call_new(gateway, await->call, await->count,
                                           answer);

    if (wait == NULL) {
        pipeline_reply(gateway,
                       rpc_build_error(await->call, REDIAL_RESOURCE_EXHAUSTED,
                                       "MEMORY", 1000, "out of memory"));
        free(await);
        return;
    }
    wait->user = await;
    wait->job_field = FIELD_JOBS;
    for (size_t i = 0; i < await->count; i++) {
        wait->items[i].id = await->ids[i];
        if (!await->unknown[i]) {
            wait_call_look(gateway, wait, i);
        }
    }
    wait_call_start(
        gateway, wait,
        parking_deadline(gateway, await->call, await->request->wait_ms));
}

/* ---- Gathering --------------------------------------------------------- */

static bool
add(struct await *await, struct job_id id, const char *name)
{
    if (await->count == JOBS_MAX) {
        return false;
    }
    await->ids[await->count] = id;
    await->names[await->count] = name;
    await->count++;
    return true;
}

static bool
add_named(struct await *await, const char **ret_problem)
{
    const Redial__V1__AwaitRequest *request = await->request;
    struct job_id id;
    uint8_t hash[16];

    if (request->n_ids + request->n_keys > JOBS_MAX) {
        *ret_problem = "ids and keys are more than 1000 together";
        return false;
    }
    for (size_t i = 0; i < request->n_ids; i++) {
        if (!codec_id(request->ids[i], &id)) {
            *ret_problem = "ids holds something that is not a UUID";
            return false;
        }
        (void)add(await, id, request->ids[i]);
    }
    for (size_t i = 0; i < request->n_keys; i++) {
        memset(&id, 0, sizeof(id));
        codec_key_hash(&await->gateway->rules.hash_keys,
                       text_of(request->tenant), text_of(request->keys[i]),
                       hash);
        await->unknown[await->count] = !engine_find_key(await->gateway->engine,
                                                        hash, &id);
        (void)add(await, id, request->keys[i]);
    }
    return true;
}

static bool
has(const struct await *await, struct job_id id)
{
    for (size_t i = 0; i < await->count; i++) {
        if (memcmp(&await->ids[i], &id, sizeof(id)) == 0) {
            return true;
        }
    }
    return false;
}

static void
correlated(struct gateway *gateway, void *ctx, const struct store_answer *found)
{
    struct await *await = ctx;
    struct text correlation = text_of(await->request->correlation_id);
    uint32_t slot = ENGINE_NO_SLOT;
    char scratch[ENGINE_VIEW_BYTES];
    struct job_view view;
    bool fits = found->complete;

    if (await->closed) {
        rpc_call_drop(await->call);
        free(await);
        return;
    }
    rpc_call_on_close(await->call, NULL);
    if (found->status != STORE_OK) {
        refuse_busy(await);
        return;
    }
    while (fits && (slot = engine_next_correlated(gateway->engine, correlation,
                                                  slot)) != ENGINE_NO_SLOT) {
        if (engine_view(gateway->engine, slot, scratch, &view) &&
            !has(await, view.id)) {
            fits = add(await, view.id, NULL) && fits;
        }
    }
    for (size_t i = 0; i < found->finished_count; i++) {
        if (!has(await, found->finished[i].job)) {
            fits = add(await, found->finished[i].job, NULL) && fits;
        }
    }
    if (!fits) {
        /* With a part of them the caller would think that all are over. */
        pipeline_reply(gateway,
                       rpc_build_error(await->call, REDIAL_RESOURCE_EXHAUSTED,
                                       "TOO_MANY_JOBS", 0,
                                       "more than %d jobs have this "
                                       "correlation id: await them by their "
                                       "ids, or watch them",
                                       JOBS_MAX));
        free(await);
        return;
    }
    if (await->count == 0) {
        pipeline_reply(gateway,
                       rpc_build_error(await->call, REDIAL_NOT_FOUND, NULL, 0,
                                       "no job has the correlation id %s",
                                       await->request->correlation_id));
        free(await);
        return;
    }
    wait_for_any(await);
}

static void
on_close(void *owner, struct rpc_call *call)
{
    struct await *await = owner;

    (void)call;
    await->closed = true;
}

/* A job without a correlation id of its own is found by its id. */
static void
gather(struct await *await)
{
    const char *correlation = await->request->correlation_id;
    struct store_request request = {
        .type = STORE_CORRELATED,
        .after_seq = tail_last(await->gateway->tail),
        .correlated.jobs_max = JOBS_MAX,
    };
    size_t len = strlen(correlation);
    struct job_id id;

    if (len > STORE_CORRELATION_BYTES) {
        refuse(await, "correlation_id is longer than 128 bytes");
        return;
    }
    await->by_correlation = true;
    if (codec_id(correlation, &id) &&
        (engine_find(await->gateway->engine, id) != ENGINE_NO_SLOT ||
         tail_final(await->gateway->tail, id) != 0)) {
        (void)add(await, id, NULL);
    }
    memcpy(request.correlated.id, correlation, len);
    request.correlated.id_len = (uint32_t)len;
    if (asks_post(await->gateway, &request, correlated, await) == NULL) {
        refuse_busy(await);
        return;
    }
    rpc_call_set_owner(await->call, await);
    rpc_call_on_close(await->call, on_close);
}

void
await_start(struct gateway *gateway, struct rpc_call *call,
            const Redial__V1__AwaitRequest *request)
{
    struct await *await = calloc(1, sizeof(*await));
    bool has_correlation = request->correlation_id != NULL &&
                           request->correlation_id[0] != '\0';
    const char *problem;

    if (await == NULL) {
        pipeline_reply(gateway,
                       rpc_build_error(call, REDIAL_RESOURCE_EXHAUSTED,
                                       "MEMORY", 1000, "out of memory"));
        return;
    }
    await->gateway = gateway;
    await->call = call;
    await->request = request;
    if (has_correlation && request->n_ids + request->n_keys == 0) {
        gather(await);
        return;
    }
    if (has_correlation || request->n_ids + request->n_keys == 0) {
        refuse(await, "give ids or keys, or one correlation_id");
        return;
    }
    if (!add_named(await, &problem)) {
        refuse(await, problem);
        return;
    }
    wait_for_any(await);
}
