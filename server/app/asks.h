/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions to the store's reader, and who gets the answers.
 */
#ifndef REDIAL_SERVER_APP_ASKS_H
#define REDIAL_SERVER_APP_ASKS_H

#include "server/base/list.h"
#include "server/store/store.h"

struct gateway;
struct ask;

/* The answer is freed after the call. */
typedef void
ask_answered_fn(struct gateway *gateway, void *ctx,
                const struct store_answer *answer);

struct asks {
    struct list pending; /* struct ask: the store has them */
    struct list backlog; /* struct ask: the reader's queue was full */
};

void
asks_init(struct asks *asks);

/* Frees what was never answered; nobody is called. */
void
asks_fini(struct asks *asks);

/*
 * Posts the request (its ticket is set here) and remembers whom to call. While
 * the reader's queue is full it waits here, in order. NULL: no memory; nobody
 * will be called.
 */
struct ask *
asks_post(struct gateway *gateway, struct store_request *request,
          ask_answered_fn *answered, void *ctx);

/* The answer will be thrown away. NULL is allowed. */
void
asks_forget(struct ask *ask);

/* Takes the store's answers and passes them on. */
void
asks_run(struct gateway *gateway);

#endif
