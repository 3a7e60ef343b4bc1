/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the host tells an asynchronous plugin, until the plugin's own thread
 * fetches it: attempts to start, attempts to stop, the end. Unbounded only in
 * name: the host never has more attempts in hand than its concurrency.
 */
#ifndef REDIAL_SERVER_PLUGINS_INBOX_H
#define REDIAL_SERVER_PLUGINS_INBOX_H

#include "server/base/list.h"
#include <redial/plugin.h>

#include <pthread.h>

struct inbox {
    pthread_mutex_t lock; /* of the next three */
    struct list starts;   /* links of the plugin's own attempts */
    struct list stops;    /* struct inbox_stop */
    bool is_closing;
    void (*wake)(void *ctx); /* makes the thread look; any thread calls it */
    void *ctx;
};

/* A request to stop, which who takes it out frees with free(). */
struct inbox_stop {
    struct list link;
    struct redial_plugin_call call;
    enum redial_plugin_stop why;
};

void
inbox_init(struct inbox *inbox, void (*wake)(void *ctx), void *ctx);

void
inbox_fini(struct inbox *inbox);

/* Hands an attempt over. */
void
inbox_start(struct inbox *inbox, struct list *link);

/* Asks for a stop. Without memory it is lost: the gateway has its own limit. */
void
inbox_stop(struct inbox *inbox, struct redial_plugin_call call,
           enum redial_plugin_stop why);

void
inbox_close(struct inbox *inbox);

/*
 * Moves everything to the ends of two lists. False: there will be no more, the
 * thread may end when it has finished what it has.
 */
bool
inbox_take(struct inbox *inbox, struct list *starts, struct list *stops);

/*
 * Starts a thread with all signals blocked: they are the host's business, and
 * SIGPIPE nobody's. Returns 0 or an errno value.
 */
int
inbox_start_thread(pthread_t *ret_thread, void *(*run)(void *), void *arg);

#endif
