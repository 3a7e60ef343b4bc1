/* SPDX-License-Identifier: Apache-2.0 */
#include "server/app/asks.h"

#include "server/app/gateway.h"
#include "server/app/retention.h"

#include <stdlib.h>

struct ask {
    struct list link;
    ask_answered_fn *answered; /* NULL: forgotten */
    void *ctx;
    struct store_request request;
};

void
asks_init(struct asks *asks)
{
    list_init(&asks->pending);
    list_init(&asks->backlog);
}

void
asks_fini(struct asks *asks)
{
    struct list *link;

    if (asks->pending.next == NULL) {
        return;
    }
    list_splice(&asks->pending, &asks->backlog);
    while ((link = list_pop(&asks->pending)) != NULL) {
        free(container_of(link, struct ask, link));
    }
}

/* False: the store will never take it. */
static bool
post(struct gateway *gateway, struct ask *ask)
{
    struct asks *asks = &gateway->asks;
    enum store_status status = STORE_BUSY;

    if (list_is_empty(&asks->backlog)) {
        status = store_ask(gateway->store, &ask->request);
    }
    if (status == STORE_OK || status == STORE_BUSY) {
        list_append(status == STORE_OK ? &asks->pending : &asks->backlog,
                    &ask->link);
        return true;
    }
    return false;
}

/* What the answers have made room for. */
static void
post_backlog(struct gateway *gateway)
{
    struct asks *asks = &gateway->asks;
    struct list *link;

    while ((link = list_first(&asks->backlog)) != NULL) {
        struct ask *ask = container_of(link, struct ask, link);
        enum store_status status = STORE_OK;

        if (ask->answered != NULL) {
            status = store_ask(gateway->store, &ask->request);
        }
        if (status == STORE_BUSY) {
            return;
        }
        list_remove(link);
        if (ask->answered != NULL && status == STORE_OK) {
            list_append(&asks->pending, link);
            continue;
        }
        if (ask->answered != NULL) {
            ask->answered(gateway, ask->ctx,
                          &(struct store_answer){.status = status});
        }
        free(ask);
    }
}

struct ask *
asks_post(struct gateway *gateway, struct store_request *request,
          ask_answered_fn *answered, void *ctx)
{
    struct ask *ask = calloc(1, sizeof(*ask));

    if (ask == NULL) {
        return NULL;
    }
    ask->answered = answered;
    ask->ctx = ctx;
    /* The place in memory is the ticket: unique among those that wait. */
    request->ticket = (uint64_t)(uintptr_t)ask;
    ask->request = *request;
    if (!post(gateway, ask)) {
        free(ask);
        return NULL;
    }
    return ask;
}

void
asks_forget(struct ask *ask)
{
    if (ask != NULL) {
        ask->answered = NULL;
    }
}

void
asks_run(struct gateway *gateway)
{
    struct store_answer *answer;

    while ((answer = store_take_answer(gateway->store)) != NULL) {
        if (answer->type == STORE_TRIMMED) {
            retention_trimmed(gateway, answer);
        } else {
            struct ask *ask = (struct ask *)(uintptr_t)answer->ticket;

            list_remove(&ask->link);
            if (ask->answered != NULL) {
                ask->answered(gateway, ask->ctx, answer);
            }
            free(ask);
        }
        store_answer_free(answer);
    }
    post_backlog(gateway);
}
