/* SPDX-License-Identifier: Apache-2.0 */
/* The plugin hosts that the configuration asks for. */
#ifndef REDIAL_SERVER_APP_HOSTS_H
#define REDIAL_SERVER_APP_HOSTS_H

#include "server/base/clock.h"

#include <stdbool.h>
#include <sys/types.h>

struct gateway;

/* Starts a host for each configured plugin. False: the reason is logged. */
bool
hosts_start(struct gateway *gateway);

/* Restarts what is due, reads what hosts say, tells the engine who died. */
void
hosts_run(struct gateway *gateway);

/* A child of this process ended. */
void
hosts_reaped(struct gateway *gateway, pid_t pid, int status);

/* Asks all hosts to finish; hosts_run() goes on with it. */
void
hosts_stop(struct gateway *gateway);

/* True when no host is left. */
bool
hosts_are_gone(const struct gateway *gateway);

/* When hosts_run() has something to do. */
struct mono
hosts_next(const struct gateway *gateway);

/* Ends what is left at once, and frees. */
void
hosts_fini(struct gateway *gateway);

#endif
