/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The attempts that the plugin has in hand: between libredial, which hands them
 * out and tells when one shall stop, and the plugin, which completes them.
 *
 * A call's id is never used again, so a plugin that is late or wrong cannot hit
 * another attempt. The plugin is told to stop by a thread of the host's
 * (calls_stop_pending), not from within libredial's callback, so that
 * complete() can never wait for the plugin itself, whatever locks that holds.
 */
#ifndef REDIAL_SERVER_PLUGINS_HOST_CALLS_H
#define REDIAL_SERVER_PLUGINS_HOST_CALLS_H

#include <redial/plugin.h>
#include <redial/worker.h>

#include <stdbool.h>

struct calls;

struct calls_options {
    uint32_t concurrency; /* attempts at a time, at most */
    int groups_fd;        /* for groups.h; -1: none */
    int guard_fd;         /* the same; -1: none */
    int wake_fd;          /* an eventfd: something is to be stopped */
};

/* NULL without memory. */
struct calls *
calls_new(const struct calls_options *options);

/* No attempt may be in hand. NULL is fine. */
void
calls_free(struct calls *calls);

/* What the plugin is given; lives as long as the calls. */
const struct redial_plugin_host *
calls_host(struct calls *calls);

/* Before the first attempt. */
void
calls_set_plugin(struct calls *calls, const struct redial_plugin *plugin,
                 void *state);

/* The handlers for libredial; their context is the calls. */
void
calls_run(void *ctx, redial_attempt *attempt);

void
calls_stop(void *ctx, redial_attempt *attempt);

/* Tells the plugin what is to be stopped. From one thread, after a wake-up. */
void
calls_stop_pending(struct calls *calls);

#endif
