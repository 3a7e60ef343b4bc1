/* SPDX-License-Identifier: Apache-2.0 */
#include "server/app/waiters.h"

#include "server/app/gateway.h"

#include <stdlib.h>

bool
waiters_init(struct waiters *waiters, uint32_t slots)
{
    *waiters = (struct waiters){.count = slots};
    list_init(&waiters->ready);
    waiters->slots = calloc(slots, sizeof(*waiters->slots));
    return waiters->slots != NULL;
}

void
waiters_fini(struct waiters *waiters)
{
    free(waiters->slots);
    waiters->slots = NULL;
}

static void
wait_call_free(struct gateway *gateway, struct wait_call *call)
{
    parking_remove(gateway, &call->parked);
    list_remove(&call->ready);
    for (size_t i = 0; i < call->count; i++) {
        list_remove(&call->items[i].link);
        asks_forget(call->items[i].ask);
        free(call->items[i].job);
    }
    free(call->user);
    free(call);
}

static void
make_ready(struct gateway *gateway, struct wait_call *call)
{
    if (!list_is_linked(&call->ready)) {
        list_append(&gateway->waiters.ready, &call->ready);
    }
}

static void
on_close(void *owner, struct rpc_call *call)
{
    struct wait_call *wait = owner;

    /* Nobody listens any more; freed at the end of the turn. */
    rpc_call_drop(call);
    wait->answer = NULL;
    make_ready(wait->gateway, wait);
}

struct wait_call *
wait_call_new(struct gateway *gateway, struct rpc_call *call, size_t count,
              wait_answer_fn *answer)
{
    struct wait_call *wait = calloc(1, sizeof(*wait) +
                                           count * sizeof(wait->items[0]));

    if (wait == NULL) {
        return NULL;
    }
    wait->gateway = gateway;
    wait->call = call;
    wait->answer = answer;
    wait->count = count;
    wait->job_field = 1;
    for (size_t i = 0; i < count; i++) {
        wait->items[i].call = wait;
        wait->items[i].state = WAIT_MISSING;
        wait->items[i].slot = ENGINE_NO_SLOT;
    }
    rpc_call_set_owner(call, wait);
    rpc_call_on_close(call, on_close);
    return wait;
}

static bool
is_settled(const struct wait_call *call)
{
    if (call->lookups > 0) {
        return false;
    }
    return call->late || call->live == 0 || (!call->all && call->finals > 0);
}

static void
pack(struct gateway *gateway, struct wait_item *item,
     const struct record *final)
{
    struct bytes packed;

    bytes_init(&packed, WIRE_FRAME_BYTES_MAX);
    codec_put_final_job(&packed, item->call->job_field, final,
                        &gateway->scratch);
    item->state = WAIT_FINAL;
    item->final_seq = final->seq;
    item->job = packed.at;
    item->job_bytes = packed.len;
    item->call->finals++;
}

void
waiters_final(struct gateway *gateway, const struct record *final)
{
    struct list *head = &gateway->waiters.slots[final->slot];
    struct list *link;

    if (head->next == NULL) {
        return;
    }
    while ((link = list_pop(head)) != NULL) {
        struct wait_item *item = container_of(link, struct wait_item, link);

        pack(gateway, item, final);
        item->call->live--;
        if (is_settled(item->call)) {
            make_ready(gateway, item->call);
        }
    }
}

/* Or else the store could not tell: that is not the same as "unknown". */
static bool
is_answered(const struct store_answer *answer)
{
    return answer->status == STORE_OK || answer->status == STORE_NOT_FOUND;
}

static void
looked_up(struct gateway *gateway, void *ctx, const struct store_answer *answer)
{
    struct wait_item *item = ctx;
    struct record final;

    item->ask = NULL;
    item->call->lookups--;
    item->state = is_answered(answer) ? WAIT_MISSING : WAIT_UNREAD;
    if (answer->status == STORE_OK && answer->group_count > 0) {
        store_group_record(answer->groups[0], 0, &final);
        pack(gateway, item, &final);
    }
    if (is_settled(item->call)) {
        make_ready(gateway, item->call);
    }
}

static void
ask_store(struct gateway *gateway, struct wait_item *item)
{
    struct store_request request = {
        .type = STORE_LOOKUP,
        .job = item->id,
        .lookup.with_record = true,
    };

    item->ask = asks_post(gateway, &request, looked_up, item);
    if (item->ask == NULL) {
        item->state = WAIT_UNREAD;
        return;
    }
    item->state = WAIT_LOOKUP;
    item->call->lookups++;
}

static void
link_live(struct gateway *gateway, struct wait_item *item, uint32_t slot)
{
    struct list *head = &gateway->waiters.slots[slot];

    if (head->next == NULL) {
        list_init(head);
    }
    item->state = WAIT_LIVE;
    item->slot = slot;
    item->call->live++;
    list_append(head, &item->link);
}

void
wait_call_look(struct gateway *gateway, struct wait_call *call, size_t index)
{
    struct wait_item *item = &call->items[index];
    uint64_t final_seq = tail_final(gateway->tail, item->id);
    uint32_t slot;
    struct record final;

    if (final_seq != 0) {
        tail_record(gateway->tail, final_seq, &final);
        pack(gateway, item, &final);
        return;
    }
    slot = engine_find(gateway->engine, item->id);
    if (slot != ENGINE_NO_SLOT &&
        !job_state_is_final(engine_state(gateway->engine, slot))) {
        link_live(gateway, item, slot);
        return;
    }
    ask_store(gateway, item);
}

static void
time_is_up(struct gateway *gateway, struct parked *parked)
{
    struct wait_call *call = (struct wait_call *)(void *)parked;

    /* Without waiting, too, finished jobs are known as such. */
    call->late = true;
    if (is_settled(call)) {
        make_ready(gateway, call);
    }
}

void
wait_call_start(struct gateway *gateway, struct wait_call *call,
                struct mono deadline)
{
    if (is_settled(call)) {
        make_ready(gateway, call);
        return;
    }
    parking_add(gateway, &call->parked, deadline, time_is_up);
}

void
waiters_run(struct gateway *gateway)
{
    struct list *link;

    while ((link = list_pop(&gateway->waiters.ready)) != NULL) {
        struct wait_call *call = container_of(link, struct wait_call, ready);

        if (call->answer != NULL) {
            rpc_call_on_close(call->call, NULL);
            pipeline_reply(gateway, call->answer(gateway, call));
        }
        wait_call_free(gateway, call);
    }
}
