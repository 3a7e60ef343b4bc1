/* SPDX-License-Identifier: Apache-2.0 */
#include "server/app/loop.h"

#include "server/app/hosts.h"
#include "server/app/ids.h"
#include "server/app/reload.h"
#include "server/app/retention.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    EVENTS_PER_TAKE = 256,
    EVENTS_PER_TURN = 1024,
    SLEEP_MS_MAX = 60000,
    DRAIN_LOOK_MS = 50,
};

bool
loop_block_signals(struct gateway *gateway)
{
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGHUP);
    (void)sigaddset(&set, SIGCHLD);
    (void)signal(SIGPIPE, SIG_IGN);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0) {
        return false;
    }
    gateway->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    return gateway->signal_fd >= 0;
}

/* ---- Signals ----------------------------------------------------------- */

static void
reap(struct gateway *gateway)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        hosts_reaped(gateway, pid, status);
    }
}

static void
start_drain(struct gateway *gateway)
{
    struct engine_input input = {.type = ENGINE_DRAIN};

    if (gateway->draining) {
        gateway->stop_now = true;
        return;
    }
    gateway->draining = true;
    gateway->drain_deadline.ms = gateway->now.mono.ms +
                                 (int64_t)gateway->config->drain_time_ms;
    log_event(LOG_DRAINING, NULL);
    pipeline_step(gateway, &input, (struct text){NULL, 0});
    mailboxes_drain(gateway);
}

static void
on_hangup(struct gateway *gateway)
{
    struct config_report report = {.count = 0};

    (void)reload(gateway, &report);
    config_report_fini(&report);
}

static void
take_signals(struct gateway *gateway)
{
    struct signalfd_siginfo info;

    while (read(gateway->signal_fd, &info, sizeof(info)) ==
           (ssize_t)sizeof(info)) {
        if (info.ssi_signo == SIGHUP) {
            on_hangup(gateway);
        } else if (info.ssi_signo != SIGCHLD) {
            start_drain(gateway);
        }
    }
    /* One SIGCHLD may stand for several children. */
    reap(gateway);
}

/* ---- A turn ------------------------------------------------------------ */

/* True: there is more. */
static bool
take_frames(struct gateway *gateway)
{
    struct sp_event events[EVENTS_PER_TAKE];
    size_t total = 0;
    size_t count;

    do {
        count = sp_server_take(gateway->sp, events, EVENTS_PER_TAKE);
        for (size_t i = 0; i < count; i++) {
            rpc_dispatch(gateway->rpc, &events[i]);
        }
        total += count;
    } while (count > 0 && total < EVENTS_PER_TURN);
    return count > 0;
}

static void
tick(struct gateway *gateway)
{
    struct engine_input input = {.type = ENGINE_TICK};

    if (engine_next_wake(gateway->engine).ms <= gateway->now.mono.ms) {
        pipeline_step(gateway, &input, (struct text){NULL, 0});
    }
}

static void
look_at_disk(struct gateway *gateway)
{
    bool degraded = store_is_degraded(gateway->store);

    if (degraded == gateway->degraded) {
        return;
    }
    gateway->degraded = degraded;
    log_event(degraded ? LOG_STORE_DEGRADED : LOG_STORE_WELL, NULL);
    reload_note(gateway,
                degraded ? EVENT_GATEWAY_DEGRADED : EVENT_GATEWAY_RECOVERED,
                text_of(degraded ? "the disk is full" : "the disk has room"));
}

/* True when nothing runs any more, or the time for it is over. */
static bool
has_drained(struct gateway *gateway)
{
    struct engine_stats stats;

    if (!gateway->draining) {
        return false;
    }
    engine_stats(gateway->engine, gateway->now, &stats);
    if (stats.jobs[JOB_RUNNING] > 0 &&
        gateway->now.mono.ms < gateway->drain_deadline.ms) {
        return false;
    }
    if (stats.jobs[JOB_RUNNING] > 0) {
        log_event(LOG_DRAIN_CUT, NULL);
    }
    return true;
}

static bool
turn(struct gateway *gateway)
{
    bool more;

    gateway->now = ids_now();
    pipeline_collect(gateway);
    asks_run(gateway);
    more = take_frames(gateway);
    parking_run(gateway);
    tick(gateway);
    hosts_run(gateway);
    retention_run(gateway);
    look_at_disk(gateway);
    /* Again: an ephemeral store answers at once and wakes nobody. */
    asks_run(gateway);
    waiters_run(gateway);
    pipeline_end_turn(gateway);
    contents_trim(gateway);
    sp_server_flush(gateway->sp);
    return more;
}

static void
earlier(int64_t *at, int64_t other)
{
    if (other < *at) {
        *at = other;
    }
}

static int
sleep_ms(const struct gateway *gateway, bool more)
{
    int64_t now = gateway->now.mono.ms;
    int64_t at = now + SLEEP_MS_MAX;

    if (more) {
        return 0;
    }
    earlier(&at, engine_next_wake(gateway->engine).ms);
    earlier(&at, parking_next(&gateway->parking).ms);
    earlier(&at, hosts_next(gateway).ms);
    earlier(&at, retention_next(gateway).ms);
    earlier(&at, projector_next_ms(gateway));
    if (gateway->draining) {
        earlier(&at, now + DRAIN_LOOK_MS);
    }
    return at <= now ? 0 : (int)(at - now);
}

static void
drain_wakes(const struct gateway *gateway)
{
    uint64_t count;

    (void)!read(gateway->wake_fd, &count, sizeof(count));
}

static bool
watch_fd(struct gateway *gateway, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    return epoll_ctl(gateway->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

static bool
open_epoll(struct gateway *gateway)
{
    gateway->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    return gateway->epoll_fd >= 0 && watch_fd(gateway, gateway->wake_fd) &&
           watch_fd(gateway, gateway->signal_fd);
}

/* Writes what is still to be written and tells the peers. */
static void
finish(struct gateway *gateway)
{
    int64_t deadline = gateway->now.mono.ms + 5000;

    sp_server_close(gateway->sp);
    watchers_flush(gateway);
    hosts_stop(gateway);
    reload_note(gateway, EVENT_GATEWAY_DRAINING, text_of("stops"));
    while (!(pipeline_is_idle(gateway) && hosts_are_gone(gateway)) &&
           gateway->now.mono.ms < deadline &&
           gateway->exit == GATEWAY_EXIT_OK) {
        struct epoll_event ready;

        (void)epoll_wait(gateway->epoll_fd, &ready, 1, DRAIN_LOOK_MS);
        take_signals(gateway);
        drain_wakes(gateway);
        (void)turn(gateway);
    }
}

enum gateway_exit
loop_run(struct gateway *gateway)
{
    bool more = true;

    if (!open_epoll(gateway)) {
        return GATEWAY_EXIT_INTERNAL;
    }
    while (!gateway->stop_now && !has_drained(gateway)) {
        struct epoll_event ready[16];
        int count = epoll_wait(gateway->epoll_fd, ready, 16,
                               sleep_ms(gateway, more));

        gateway->now = ids_now();
        for (int i = 0; i < count; i++) {
            if (ready[i].data.fd == gateway->wake_fd) {
                drain_wakes(gateway);
            } else if (ready[i].data.fd == gateway->signal_fd) {
                take_signals(gateway);
            }
        }
        more = turn(gateway);
    }
    finish(gateway);
    log_event(LOG_STOPPED, NULL);
    (void)close(gateway->epoll_fd);
    return gateway->exit;
}
