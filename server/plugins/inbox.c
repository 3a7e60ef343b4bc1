/* SPDX-License-Identifier: Apache-2.0 */
#include "server/plugins/inbox.h"

#include <signal.h>
#include <stdlib.h>

void
inbox_init(struct inbox *inbox, void (*wake)(void *ctx), void *ctx)
{
    pthread_mutex_init(&inbox->lock, NULL);
    list_init(&inbox->starts);
    list_init(&inbox->stops);
    inbox->is_closing = false;
    inbox->wake = wake;
    inbox->ctx = ctx;
}

void
inbox_fini(struct inbox *inbox)
{
    list_foreach_safe(at, &inbox->stops) {
        free(container_of(at, struct inbox_stop, link));
    }
    pthread_mutex_destroy(&inbox->lock);
}

void
inbox_start(struct inbox *inbox, struct list *link)
{
    pthread_mutex_lock(&inbox->lock);
    list_append(&inbox->starts, link);
    pthread_mutex_unlock(&inbox->lock);
    inbox->wake(inbox->ctx);
}

void
inbox_stop(struct inbox *inbox, struct redial_plugin_call call,
           enum redial_plugin_stop why)
{
    struct inbox_stop *stop = calloc(1, sizeof(*stop));
    if (stop == NULL) {
        return;
    }
    stop->call = call;
    stop->why = why;
    pthread_mutex_lock(&inbox->lock);
    list_append(&inbox->stops, &stop->link);
    pthread_mutex_unlock(&inbox->lock);
    inbox->wake(inbox->ctx);
}

void
inbox_close(struct inbox *inbox)
{
    pthread_mutex_lock(&inbox->lock);
    inbox->is_closing = true;
    pthread_mutex_unlock(&inbox->lock);
    inbox->wake(inbox->ctx);
}

bool
inbox_take(struct inbox *inbox, struct list *starts, struct list *stops)
{
    pthread_mutex_lock(&inbox->lock);
    list_splice(starts, &inbox->starts);
    list_splice(stops, &inbox->stops);
    bool go_on = !inbox->is_closing;
    pthread_mutex_unlock(&inbox->lock);
    return go_on;
}

int
inbox_start_thread(pthread_t *ret_thread, void *(*run)(void *), void *arg)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(ret_thread, NULL, run, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}
