/* SPDX-License-Identifier: Apache-2.0 */
#include "server/plugins/host/control.h"

#include "server/plugins/host/host_log.h"
#include "server/plugins/host/host_options.h"
#include "server/plugins/inbox.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

bool
control_init(struct control *control)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigset_t signals;
    memset(control, 0, sizeof(*control));
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaction(SIGPIPE, &ignore, NULL);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    control->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    control->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return control->signal_fd >= 0 && control->wake_fd >= 0;
}

/* First: finish. Second: now; the guard and the supervisor see to the rest. */
static void
take_signal(struct control *control)
{
    struct signalfd_siginfo info;
    while (read(control->signal_fd, &info, sizeof(info)) == sizeof(info)) {
        if (control->is_draining) {
            host_log(HOST_LOG_CUT_SHORT, NULL);
            _exit(HOST_EXIT_SIGNAL);
        }
        control->is_draining = true;
        host_log(HOST_LOG_DRAINING, NULL);
        redial_worker_drain(control->worker);
    }
}

static void *
serve(void *arg)
{
    struct control *control = arg;
    struct pollfd fds[] = {{control->signal_fd, POLLIN, 0},
                           {control->wake_fd, POLLIN, 0}};
    while (!control->is_ending) {
        uint64_t count;
        (void)poll(fds, 2, -1);
        take_signal(control);
        if (read(control->wake_fd, &count, sizeof(count)) > 0) {
            calls_stop_pending(control->calls);
        }
    }
    return NULL;
}

int
control_start(struct control *control, struct calls *calls,
              redial_worker *worker)
{
    control->calls = calls;
    control->worker = worker;
    int error = inbox_start_thread(&control->thread, serve, control);
    control->has_thread = error == 0;
    return error;
}

void
control_fini(struct control *control)
{
    uint64_t one = 1;
    control->is_ending = true;
    if (control->has_thread) {
        (void)!write(control->wake_fd, &one, sizeof(one));
        pthread_join(control->thread, NULL);
    }
    if (control->signal_fd >= 0) {
        close(control->signal_fd);
    }
    if (control->wake_fd >= 0) {
        close(control->wake_fd);
    }
}
