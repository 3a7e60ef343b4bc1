/* SPDX-License-Identifier: Apache-2.0 */
/*
 * List: live jobs from the engine, by slot; then finished ones from the store,
 * newest first. The cursor says where to go on: "live:<slot>" or "done:<id>";
 * "done:" is before the newest of these.
 */
#include "server/app/gateway.h"
#include "server/app/services.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FIELD_JOBS = 1, /* of ListResponse */
    LIST_DEFAULT = 100,
    LIST_MAX = 1000,
    LIST_SCAN_MAX = 20000, /* live jobs that one answer looks at */
    STATES = 10,
};

/* ---- List -------------------------------------------------------------- */

struct list_query {
    bool states[STATES];
    struct text service;
    struct text method;
    struct text correlation;
    struct text tenant;
    uint32_t max;
};

struct listing {
    struct gateway *gateway;
    struct rpc_call *call;
    struct list_query query;
    struct bytes body;
    uint32_t count;
    bool closed;
    uint32_t types;        /* of finished jobs that are wanted */
    size_t waiting;        /* finished jobs that are being read */
    struct job_id reached; /* finished jobs: go on after it */
    bool complete;
};

static bool
is_or_any(struct text wanted, struct text found)
{
    return wanted.len == 0 || (wanted.len == found.len &&
                               memcmp(wanted.at, found.at, wanted.len) == 0);
}

static bool
is_wanted(const struct list_query *query, const struct job_view *view)
{
    return query->states[view->shown] &&
           is_or_any(query->service, view->service) &&
           is_or_any(query->method, view->method) &&
           is_or_any(query->correlation, view->correlation) &&
           is_or_any(query->tenant, view->tenant);
}

static bool
take_query(const Redial__V1__ListRequest *request, struct list_query *query,
           uint32_t *ret_types)
{
    static const enum event_type finals[STATES] = {
        [JOB_SUCCEEDED] = EVENT_JOB_SUCCEEDED,
        [JOB_FAILED] = EVENT_JOB_FAILED,
        [JOB_CANCELLED] = EVENT_JOB_CANCELLED,
        [JOB_EXPIRED] = EVENT_JOB_EXPIRED,
    };

    for (size_t i = 0; i < request->n_states; i++) {
        unsigned state = (unsigned)request->states[i];

        if (state == 0 || state >= STATES) {
            return false;
        }
        query->states[state] = true;
        if (job_state_is_final((enum job_state)state)) {
            *ret_types |= STORE_TYPE_BIT(finals[state]);
        }
    }
    for (unsigned i = 1; request->n_states == 0 && i < JOB_SUCCEEDED; i++) {
        query->states[i] = true;
    }
    query->service = text_of(request->service);
    query->method = text_of(request->method);
    query->correlation = text_of(request->correlation_id);
    query->tenant = text_of(request->tenant);
    query->max = request->max == 0         ? LIST_DEFAULT
                 : request->max > LIST_MAX ? LIST_MAX
                                           : request->max;
    return true;
}

static void
end_list(struct listing *listing, const char *cursor)
{
    Redial__V1__ListResponse rest = REDIAL__V1__LIST_RESPONSE__INIT;
    size_t len;
    uint8_t *at;

    rest.cursor = unconst(cursor);
    len = protobuf_c_message_get_packed_size(&rest.base);
    at = bytes_reserve(&listing->body, len);
    if (at != NULL) {
        bytes_commit(&listing->body, protobuf_c_message_pack(&rest.base, at));
    }
    rpc_call_on_close(listing->call, NULL);
    pipeline_reply(
        listing->gateway,
        rpc_build_packed(listing->call, listing->body.at, listing->body.len));
    bytes_fini(&listing->body);
    free(listing);
}

static void
end_finished(struct listing *listing)
{
    char id[WIRE_UUID_TEXT_LEN + 1];
    char cursor[WIRE_UUID_TEXT_LEN + 8];
    struct wire_uuid uuid;

    if (listing->complete) {
        end_list(listing, "");
        return;
    }
    memcpy(uuid.bytes, listing->reached.bytes, sizeof(uuid.bytes));
    wire_uuid_format(&uuid, id);
    (void)snprintf(cursor, sizeof(cursor), "done:%s", id);
    end_list(listing, cursor);
}

static void
final_read(struct gateway *gateway, void *ctx, const struct store_answer *found)
{
    struct listing *listing = ctx;
    const struct list_query *query = &listing->query;
    struct record final;

    listing->waiting--;
    if (found->status == STORE_OK && found->group_count > 0) {
        store_group_record(found->groups[0], 0, &final);
        final.attached.len = 0; /* lists carry no results */
        if (is_or_any(query->service, final.service) &&
            is_or_any(query->method, final.method) &&
            is_or_any(query->correlation, final.correlation) &&
            is_or_any(query->tenant, final.tenant)) {
            codec_put_final_job(&listing->body, FIELD_JOBS, &final,
                                &gateway->scratch);
            listing->count++;
        }
    }
    if (listing->waiting > 0) {
        return;
    }
    if (listing->closed) {
        rpc_call_drop(listing->call);
        bytes_fini(&listing->body);
        free(listing);
        return;
    }
    end_finished(listing);
}

static void
finished_listed(struct gateway *gateway, void *ctx,
                const struct store_answer *found)
{
    struct listing *listing = ctx;

    listing->complete = found->complete || found->status != STORE_OK;
    listing->reached = found->reached;
    listing->waiting = 1; /* itself */
    for (size_t i = 0; i < found->finished_count; i++) {
        struct store_request request = {
            .type = STORE_LOOKUP,
            .job = found->finished[i].job,
            .lookup.with_record = true,
        };

        if (asks_post(gateway, &request, final_read, listing) != NULL) {
            listing->waiting++;
        }
    }
    final_read(gateway, listing,
               &(struct store_answer){.status = STORE_NOT_FOUND});
}

static void
on_list_close(void *owner, struct rpc_call *call)
{
    struct listing *listing = owner;

    (void)call;
    listing->closed = true;
}

static void
list_finished(struct listing *listing, const struct job_id *after)
{
    struct store_request request = {
        .type = STORE_FINISHED,
        .after_seq = tail_last(listing->gateway->tail),
        .finished = {.types = listing->types,
                     .jobs_max = listing->query.max - listing->count,
                     .descending = true},
    };

    if (after != NULL) {
        request.job = *after;
    }
    if (asks_post(listing->gateway, &request, finished_listed, listing) ==
        NULL) {
        end_list(listing, "");
        return;
    }
    rpc_call_set_owner(listing->call, listing);
    rpc_call_on_close(listing->call, on_list_close);
}

/* Live jobs from slot `after` on. True: all were seen. */
static bool
list_live(struct listing *listing, uint32_t *after)
{
    struct gateway *gateway = listing->gateway;
    char scratch[ENGINE_VIEW_BYTES];
    struct job_view view;

    for (int i = 0; i < LIST_SCAN_MAX; i++) {
        uint32_t slot = engine_next_job(gateway->engine, *after);

        if (slot == ENGINE_NO_SLOT) {
            return true;
        }
        if (listing->count == listing->query.max) {
            return false;
        }
        *after = slot;
        if (engine_view(gateway->engine, slot, scratch, &view) &&
            !job_state_is_final(view.state) &&
            is_wanted(&listing->query, &view)) {
            codec_put_live_job(&listing->body, FIELD_JOBS, &view,
                               &gateway->scratch);
            listing->count++;
        }
    }
    return false;
}

static void
list_from(struct listing *listing, const char *cursor)
{
    uint32_t slot = ENGINE_NO_SLOT;
    struct job_id after;
    char next[32];

    if (cursor != NULL && strcmp(cursor, "done:") == 0) {
        list_finished(listing, NULL);
        return;
    }
    if (cursor != NULL && strncmp(cursor, "done:", 5) == 0 &&
        codec_id(cursor + 5, &after)) {
        list_finished(listing, &after);
        return;
    }
    if (cursor != NULL && strncmp(cursor, "live:", 5) == 0) {
        slot = (uint32_t)strtoul(cursor + 5, NULL, 10);
    }
    if (!list_live(listing, &slot)) {
        (void)snprintf(next, sizeof(next), "live:%" PRIu32, slot);
        end_list(listing, next);
    } else if (listing->types == 0) {
        end_list(listing, "");
    } else if (listing->count == listing->query.max) {
        end_list(listing, "done:");
    } else {
        list_finished(listing, NULL);
    }
}

void
list_start(struct gateway *gateway, struct rpc_call *call,
           const Redial__V1__ListRequest *request)
{
    struct listing *listing = calloc(1, sizeof(*listing));

    if (listing == NULL ||
        !take_query(request, &listing->query, &listing->types)) {
        free(listing);
        pipeline_reply(gateway,
                       rpc_build_error(call, REDIAL_INVALID_ARGUMENT, NULL, 0,
                                       "states holds a number that is no "
                                       "state (1 to 9)"));
        return;
    }
    listing->gateway = gateway;
    listing->call = call;
    bytes_init(&listing->body, WIRE_FRAME_BYTES_MAX);
    list_from(listing, request->cursor);
}
