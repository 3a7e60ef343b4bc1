/* SPDX-License-Identifier: Apache-2.0 */
#include "server/app/watchers.h"

#include "server/app/gateway.h"
#include "server/app/retention.h"
#include "server/events/filter.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FIELD_EVENTS = 1,    /* of WatchResponse */
    PAGE_RECORDS = 1000, /* read from the store at once */
    SCAN_MAX = 10000,    /* records of the store that one answer looks at */
    EVENTS_BYTES_MAX = 4 << 20,
    CURSOR_BYTES = STORE_EPOCH_BYTES + 24,
};

struct watcher {
    struct parked parked; /* first */
    struct list link;
    struct gateway *gateway;
    struct rpc_call *call;
    struct filter filter;
    uint64_t next_seq; /* the first one not looked at */
    uint32_t max;
    uint32_t found;
    uint32_t scanned;
    struct bytes events; /* packed, with field number */
    struct ask *ask;
    bool late; /* time is up: answered when the page is there */
    bool has_gap;
    const char *gap_reason;
    char gap_epoch[STORE_EPOCH_BYTES];
    uint64_t gap_from;
    uint64_t gap_to;
};

void
watchers_init(struct watchers *watchers)
{
    list_init(&watchers->parked);
    watchers->count = 0;
}

static void
watcher_free(struct watcher *watcher)
{
    parking_remove(watcher->gateway, &watcher->parked);
    list_remove(&watcher->link);
    asks_forget(watcher->ask);
    filter_fini(&watcher->filter);
    bytes_fini(&watcher->events);
    watcher->gateway->watchers.count--;
    free(watcher);
}

static void
on_close(void *owner, struct rpc_call *call)
{
    rpc_call_drop(call);
    watcher_free(owner);
}

static void
write_cursor(const struct gateway *gateway, uint64_t seq, char *ret_cursor)
{
    (void)snprintf(ret_cursor, CURSOR_BYTES, "%s:%" PRIu64,
                   gateway->recovered.epoch, seq);
}

static void
fill_gap(const struct watcher *watcher, Redial__V1__Gap *ret_gap)
{
    redial__v1__gap__init(ret_gap);
    ret_gap->epoch = unconst(watcher->gap_epoch);
    ret_gap->has_from_seq = true;
    ret_gap->from_seq = watcher->gap_from;
    ret_gap->has_to_seq = true;
    ret_gap->to_seq = watcher->gap_to;
    ret_gap->reason = unconst(watcher->gap_reason);
}

/* Ends the watcher. Only what is on disk was looked at: it may go at once. */
static void
answer(struct watcher *watcher)
{
    struct gateway *gateway = watcher->gateway;
    Redial__V1__WatchResponse rest = REDIAL__V1__WATCH_RESPONSE__INIT;
    Redial__V1__Gap gap;
    char cursor[CURSOR_BYTES];
    char head[CURSOR_BYTES];
    char first[CURSOR_BYTES];
    size_t len;
    uint8_t *at;

    write_cursor(gateway, watcher->next_seq - 1, cursor);
    write_cursor(gateway, tail_committed(gateway->tail), head);
    write_cursor(gateway, retention_first_seq(gateway), first);
    rest.cursor = cursor;
    rest.head = head;
    rest.first_kept = first;
    if (watcher->has_gap) {
        fill_gap(watcher, &gap);
        rest.gap = &gap;
    }
    len = protobuf_c_message_get_packed_size(&rest.base);
    at = bytes_reserve(&watcher->events, len);
    if (at != NULL) {
        bytes_commit(&watcher->events, protobuf_c_message_pack(&rest.base, at));
    }
    rpc_call_on_close(watcher->call, NULL);
    rpc_release(gateway->rpc,
                rpc_build_packed(watcher->call, watcher->events.at,
                                 watcher->events.len));
    watcher_free(watcher);
}

static bool
is_full(const struct watcher *watcher)
{
    return watcher->found >= watcher->max ||
           watcher->events.len > EVENTS_BYTES_MAX;
}

static void
take(struct watcher *watcher, const struct record *record)
{
    if (!filter_matches(&watcher->filter, record)) {
        return;
    }
    codec_put_event(&watcher->events, FIELD_EVENTS, &watcher->gateway->source,
                    record, &watcher->gateway->scratch);
    watcher->found++;
}

static void
scan_tail(struct watcher *watcher)
{
    const struct tail *tail = watcher->gateway->tail;
    uint64_t committed = tail_committed(tail);
    struct record record;

    while (watcher->next_seq <= committed && !is_full(watcher)) {
        uint64_t seq = watcher->next_seq;

        if (filter_may_match(&watcher->filter, tail_at(tail, seq))) {
            tail_record(tail, seq, &record);
            take(watcher, &record);
        }
        watcher->next_seq++;
    }
}

static void
time_is_up(struct gateway *gateway, struct parked *parked)
{
    struct watcher *watcher = (struct watcher *)(void *)parked;

    (void)gateway;
    /* Without waiting, too, what is only in the store is given. */
    watcher->late = true;
    if (watcher->ask == NULL) {
        answer(watcher);
    }
}

static void
scan(struct watcher *watcher);

static void
take_page(struct watcher *watcher, const struct store_answer *page)
{
    struct record record;

    for (size_t i = 0; i < page->group_count; i++) {
        const struct store_group *group = page->groups[i];

        for (size_t k = 0; k < store_group_count(group); k++) {
            if (store_group_entry(group, k)->seq < watcher->next_seq) {
                continue;
            }
            if (is_full(watcher)) {
                return;
            }
            store_group_record(group, k, &record);
            take(watcher, &record);
            watcher->next_seq = record.seq + 1;
            watcher->scanned++;
        }
    }
}

static void
note_gap(struct watcher *watcher, uint64_t first)
{
    const char *epoch = watcher->gateway->recovered.epoch;

    if (!watcher->has_gap) {
        watcher->has_gap = true;
        watcher->gap_reason = "TRIMMED";
        watcher->gap_from = watcher->next_seq;
        memcpy(watcher->gap_epoch, epoch, STORE_EPOCH_BYTES);
    }
    if (strcmp(watcher->gap_reason, "TRIMMED") == 0) {
        watcher->gap_to = first - 1;
    }
    watcher->next_seq = first;
}

static void
page_read(struct gateway *gateway, void *ctx, const struct store_answer *page)
{
    struct watcher *watcher = ctx;

    watcher->ask = NULL;
    if (page->status != STORE_OK && page->status != STORE_NOT_FOUND) {
        struct rpc_call *call = watcher->call;

        rpc_call_on_close(call, NULL);
        watcher_free(watcher);
        pipeline_reply(gateway,
                       rpc_build_error(call, REDIAL_UNAVAILABLE, "STORE", 1000,
                                       "events cannot be read: %s",
                                       store_status_text(page->status)));
        return;
    }
    if (page->first_seq > watcher->next_seq) {
        note_gap(watcher, page->first_seq);
    }
    take_page(watcher, page);
    scan(watcher);
}

static void
ask_page(struct watcher *watcher)
{
    struct store_request request = {
        .type = STORE_READ_RANGE,
        .range = {.from_seq = watcher->next_seq,
                  .records_max = PAGE_RECORDS,
                  .bytes_max = EVENTS_BYTES_MAX},
    };

    watcher->ask = asks_post(watcher->gateway, &request, page_read, watcher);
    if (watcher->ask == NULL) {
        answer(watcher);
    }
}

static bool
must_answer(const struct watcher *watcher)
{
    return watcher->late || watcher->found > 0 || watcher->has_gap ||
           watcher->scanned >= SCAN_MAX;
}

/* Goes on from next_seq: answers, parks, or asks the store and comes back. */
static void
scan(struct watcher *watcher)
{
    struct gateway *gateway = watcher->gateway;
    uint64_t first = retention_first_seq(gateway);

    if (watcher->next_seq < first) {
        note_gap(watcher, first);
    }
    if (watcher->next_seq < tail_first(gateway->tail) &&
        watcher->next_seq <= tail_committed(gateway->tail)) {
        if (is_full(watcher) || watcher->scanned >= SCAN_MAX ||
            (watcher->late && watcher->scanned > 0)) {
            answer(watcher);
        } else {
            ask_page(watcher);
        }
        return;
    }
    scan_tail(watcher);
    if (must_answer(watcher)) {
        answer(watcher);
    } else if (!list_is_linked(&watcher->link)) {
        list_append(&gateway->watchers.parked, &watcher->link);
    }
}

void
watchers_look(struct gateway *gateway)
{
    list_foreach_safe(link, &gateway->watchers.parked) {
        struct watcher *watcher = container_of(link, struct watcher, link);

        if (watcher->ask == NULL) {
            scan(watcher);
        }
    }
}

void
watchers_flush(struct gateway *gateway)
{
    struct list *link;

    while ((link = list_first(&gateway->watchers.parked)) != NULL) {
        answer(container_of(link, struct watcher, link));
    }
}

/* ---- Starting ---------------------------------------------------------- */

static bool
copy_name(const char *from, char *to)
{
    size_t len = from == NULL ? 0 : strlen(from);

    if (len >= FILTER_NAME_BYTES) {
        return false;
    }
    memcpy(to, from == NULL ? "" : from, len + 1);
    return true;
}

static bool
take_jobs(struct gateway *gateway, struct filter *filter,
          const Redial__V1__WatchFilter *from, const char **ret_problem)
{
    struct job_id id;
    uint8_t hash[16];

    for (size_t i = 0; i < from->n_job_ids; i++) {
        if (!codec_id(from->job_ids[i], &id)) {
            *ret_problem = "filter.job_ids holds something that is not a UUID";
            return false;
        }
        if (!filter_add_job(filter, id)) {
            *ret_problem = "filter.job_ids has more than 1000 ids";
            return false;
        }
    }
    if (from->key == NULL || from->key[0] == '\0') {
        return true;
    }
    codec_key_hash(&gateway->rules.hash_keys, text_of(from->tenant),
                   text_of(from->key), hash);
    if (!engine_find_key(gateway->engine, hash, &id)) {
        *ret_problem = "filter.key is not known";
        return false;
    }
    return filter_add_job(filter, id);
}

static bool
take_filter(struct gateway *gateway, struct filter *filter,
            const Redial__V1__WatchFilter *from, const char **ret_problem)
{
    struct job_id id;
    bool is_id;

    filter_init(filter);
    if (from == NULL) {
        filter_seal(filter, NULL);
        return true;
    }
    if (!copy_name(from->correlation_id, filter->correlation) ||
        !copy_name(from->service, filter->service) ||
        !copy_name(from->method, filter->method) ||
        !copy_name(from->tenant, filter->tenant)) {
        *ret_problem = "a name in the filter is longer than 128 bytes";
        return false;
    }
    for (size_t i = 0; i < from->n_types; i++) {
        if (!filter_add_type(filter, text_of(from->types[i]))) {
            *ret_problem = "filter.types names a type that does not exist: "
                           "\"job.succeeded\", or a group like \"attempt\"";
            return false;
        }
    }
    if (!take_jobs(gateway, filter, from, ret_problem)) {
        return false;
    }
    is_id = codec_id(from->correlation_id, &id);
    filter_seal(filter, is_id ? &id : NULL);
    return true;
}

/* "epoch:seq": the last one seen. */
static bool
take_cursor(struct watcher *watcher, const char *cursor,
            const char **ret_problem)
{
    struct gateway *gateway = watcher->gateway;
    uint64_t first = retention_first_seq(gateway);
    const char *colon = cursor == NULL ? NULL : strchr(cursor, ':');
    char *end = NULL;
    uint64_t seq;

    watcher->next_seq = tail_committed(gateway->tail) + 1;
    if (cursor == NULL || cursor[0] == '\0') {
        return true;
    }
    if (strcmp(cursor, "start") == 0) {
        watcher->next_seq = first;
        return true;
    }
    seq = colon == NULL ? 0 : strtoull(colon + 1, &end, 10);
    if (end == NULL || end == colon + 1 || *end != '\0' ||
        colon - cursor >= STORE_EPOCH_BYTES || seq == UINT64_MAX) {
        *ret_problem = "cursor is not \"epoch:seq\", \"start\" or empty";
        return false;
    }
    if (strncmp(cursor, gateway->recovered.epoch, (size_t)(colon - cursor)) !=
            0 ||
        gateway->recovered.epoch[colon - cursor] != '\0') {
        watcher->has_gap = true;
        watcher->gap_reason = "EPOCH_CHANGED";
        watcher->gap_from = seq + 1;
        memcpy(watcher->gap_epoch, cursor, (size_t)(colon - cursor));
        watcher->next_seq = first;
        return true;
    }
    if (seq > tail_last(gateway->tail)) {
        *ret_problem = "cursor is ahead of the log";
        return false;
    }
    watcher->next_seq = seq + 1;
    return true;
}

void
watchers_start(struct gateway *gateway, struct rpc_call *call,
               const Redial__V1__WatchRequest *request)
{
    struct watcher *watcher = calloc(1, sizeof(*watcher));
    const char *problem = "out of memory";
    bool good;

    if (watcher == NULL) {
        pipeline_reply(gateway, rpc_build_error(call, REDIAL_RESOURCE_EXHAUSTED,
                                                "MEMORY", 1000, "%s", problem));
        return;
    }
    watcher->gateway = gateway;
    watcher->call = call;
    gateway->watchers.count++;
    bytes_init(&watcher->events, WIRE_FRAME_BYTES_MAX);
    watcher->max = request->max == 0 || request->max > WIRE_WATCH_EVENTS_MAX
                       ? WIRE_WATCH_EVENTS_MAX
                       : request->max;
    good = take_filter(gateway, &watcher->filter, request->filter, &problem) &&
           take_cursor(watcher, request->cursor, &problem);
    if (!good) {
        watcher_free(watcher);
        pipeline_reply(gateway, rpc_build_error(call, REDIAL_INVALID_ARGUMENT,
                                                NULL, 0, "%s", problem));
        return;
    }
    rpc_call_set_owner(call, watcher);
    rpc_call_on_close(call, on_close);
    parking_add(gateway, &watcher->parked,
                parking_deadline(gateway, call, request->wait_ms), time_is_up);
    scan(watcher);
}
