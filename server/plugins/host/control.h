/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's control thread: turns signals into an orderly end, and tells the
 * plugin which attempts shall stop. The main thread waits in libredial.
 */
#ifndef REDIAL_SERVER_PLUGINS_HOST_CONTROL_H
#define REDIAL_SERVER_PLUGINS_HOST_CONTROL_H

#include "server/plugins/host/calls.h"
#include <redial/worker.h>

#include <pthread.h>
#include <stdbool.h>

struct control {
    int signal_fd;
    int wake_fd; /* for calls_options: attempts to stop, or the end */
    struct calls *calls;
    redial_worker *worker;
    pthread_t thread;
    bool has_thread;
    bool is_draining;
    _Atomic bool is_ending;
};

/*
 * Blocks SIGTERM and SIGINT in this thread and all that it starts later, and
 * ignores SIGPIPE. False: out of descriptors.
 */
bool
control_init(struct control *control);

/* Starts the thread. Returns 0 or an errno value. */
int
control_start(struct control *control, struct calls *calls,
              redial_worker *worker);

/* Ends the thread, if there is one. */
void
control_fini(struct control *control);

#endif
