/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Get: one job with all its attempts and decisions, from its records. They are
 * walked back from the newest through the tail; where the tail ends, the store
 * is asked for the whole timeline.
 */
#include "server/app/gateway.h"
#include "server/app/services.h"

#include <stdlib.h>

enum {
    FIELD_JOB = 1, /* of GetResponse */
    RECORDS_MAX = 4096,
};

struct get {
    struct gateway *gateway;
    struct rpc_call *call;
    struct job_id id;
    bool closed;
};

static void
answer(struct gateway *gateway, struct rpc_call *call, struct job_id id,
       const struct codec_timeline *of)
{
    struct codec_timeline timeline = *of;
    uint32_t slot = engine_find(gateway->engine, id);
    char scratch[ENGINE_VIEW_BYTES];
    struct job_view view;
    struct bytes body;

    if (slot != ENGINE_NO_SLOT &&
        engine_view(gateway->engine, slot, scratch, &view) &&
        !job_state_is_final(view.state)) {
        timeline.view = &view;
        timeline.progress = contents_progress(gateway, slot);
    }
    bytes_init(&body, WIRE_FRAME_BYTES_MAX);
    codec_put_timeline(&body, FIELD_JOB, &timeline);
    pipeline_reply(gateway, rpc_build_packed(call, body.at, body.len));
    bytes_fini(&body);
}

static void
not_found(struct gateway *gateway, struct rpc_call *call)
{
    pipeline_reply(gateway,
                   rpc_build_error(call, REDIAL_NOT_FOUND, NULL, 0,
                                   "no such job: it never was, or is not kept "
                                   "any more"));
}

static void
timeline_read(struct gateway *gateway, void *ctx,
              const struct store_answer *found)
{
    struct get *get = ctx;
    struct codec_timeline timeline = {.trimmed = !found->complete};
    size_t count = found->group_count == 0
                       ? 0
                       : store_group_count(found->groups[0]);
    struct record *records = NULL;

    if (get->closed) {
        rpc_call_drop(get->call);
        free(get);
        return;
    }
    rpc_call_on_close(get->call, NULL);
    if (count > 0) {
        records = calloc(count, sizeof(*records));
    }
    if (found->status != STORE_OK || records == NULL) {
        not_found(gateway, get->call);
        free(records);
        free(get);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        store_group_record(found->groups[0], i, &records[i]);
    }
    timeline.records = records;
    timeline.count = count;
    answer(gateway, get->call, get->id, &timeline);
    free(records);
    free(get);
}

static void
on_close(void *owner, struct rpc_call *call)
{
    struct get *get = owner;

    (void)call;
    get->closed = true;
}

static void
ask_store(struct gateway *gateway, struct rpc_call *call, struct job_id id,
          uint64_t last_seq)
{
    struct store_request request = {
        .type = STORE_READ_TIMELINE,
        .after_seq = last_seq,
        .job = id,
        .timeline.last_seq = last_seq,
    };
    struct get *get = calloc(1, sizeof(*get));

    if (get != NULL) {
        *get = (struct get){.gateway = gateway, .call = call, .id = id};
    }
    if (get == NULL ||
        asks_post(gateway, &request, timeline_read, get) == NULL) {
        free(get);
        pipeline_reply(gateway,
                       rpc_build_error(call, REDIAL_UNAVAILABLE, "STORE_BUSY",
                                       1000, "the store is busy: try again"));
        return;
    }
    rpc_call_set_owner(call, get);
    rpc_call_on_close(call, on_close);
}

/* Walks back through the tail. 0: not all of it is there. */
static size_t
walk(const struct gateway *gateway, uint64_t seq, struct record *records)
{
    const struct tail *tail = gateway->tail;
    size_t count = 0;

    while (seq != 0) {
        if (seq < tail_first(tail) || seq > tail_last(tail) ||
            count == RECORDS_MAX) {
            return 0;
        }
        tail_record(tail, seq, &records[count]);
        seq = records[count].prev_seq;
        count++;
    }
    for (size_t i = 0; i < count / 2; i++) {
        struct record swap = records[i];

        records[i] = records[count - 1 - i];
        records[count - 1 - i] = swap;
    }
    return count;
}

static void
get_job(struct gateway *gateway, struct rpc_call *call, struct job_id id)
{
    uint32_t slot = engine_find(gateway->engine, id);
    struct codec_timeline timeline = {.trimmed = false};
    struct record *records = calloc(RECORDS_MAX, sizeof(*records));
    char scratch[ENGINE_VIEW_BYTES];
    struct job_view view = {.seq = 0};
    uint64_t seq = tail_final(gateway->tail, id);
    bool live = slot != ENGINE_NO_SLOT &&
                engine_view(gateway->engine, slot, scratch, &view);

    if (live) {
        seq = view.seq;
    }
    timeline.count = records == NULL ? 0 : walk(gateway, seq, records);
    timeline.records = records;
    if (timeline.count > 0) {
        answer(gateway, call, id, &timeline);
    } else {
        ask_store(gateway, call, id, live ? view.seq : 0);
    }
    free(records);
}

bool
service_find(struct gateway *gateway, const char *id, const char *key,
             const char *tenant, struct job_id *ret_id,
             const char **ret_problem)
{
    uint8_t hash[16];

    *ret_problem = NULL;
    if (id != NULL && id[0] != '\0') {
        if (codec_id(id, ret_id)) {
            return true;
        }
        *ret_problem = "id is not a UUID";
        return false;
    }
    if (key == NULL || key[0] == '\0') {
        *ret_problem = "give an id or a key";
        return false;
    }
    codec_key_hash(&gateway->rules.hash_keys, text_of(tenant), text_of(key),
                   hash);
    return engine_find_key(gateway->engine, hash, ret_id);
}

bool
service_refuse_unfound(struct gateway *gateway, struct rpc_call *call,
                       bool found, const char *problem)
{
    if (problem != NULL) {
        pipeline_reply(gateway, rpc_build_error(call, REDIAL_INVALID_ARGUMENT,
                                                NULL, 0, "%s", problem));
    } else if (!found) {
        not_found(gateway, call);
    }
    return !found;
}

void
get_start(struct gateway *gateway, struct rpc_call *call,
          const Redial__V1__GetRequest *request)
{
    const char *problem;
    struct job_id id;
    bool found = service_find(gateway, request->id, request->key,
                              request->tenant, &id, &problem);

    if (!service_refuse_unfound(gateway, call, found, problem)) {
        get_job(gateway, call, id);
    }
}
