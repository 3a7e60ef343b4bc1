/* SPDX-License-Identifier: Apache-2.0 */
#include "server/app/asks.h"

#include "server/app/gateway.h"
#include "server/app/retention.h"

#include <stdlib.h>

struct ask {
    struct list link;
    ask_answered_fn *answered; /* NULL: forgotten */
    void *ctx;
};

void
asks_init(struct asks *asks)
{
    list_init(&asks->pending);
}

void
asks_fini(struct asks *asks)
{
    struct list *link;

    if (asks->pending.next == NULL) {
        return;
    }
    while ((link = list_pop(&asks->pending)) != NULL) {
        free(container_of(link, struct ask, link));
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
    if (store_ask(gateway->store, request) != STORE_OK) {
        free(ask);
        return NULL;
    }
    list_append(&gateway->asks.pending, &ask->link);
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
}
