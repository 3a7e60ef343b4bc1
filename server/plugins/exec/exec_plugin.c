/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exec plugin: runs a program for each attempt. One thread starts, feeds,
 * reads and reaps all programs; invoke and cancel only leave it a message.
 * Configuration and behaviour: exec_config.h.
 */
#include "server/base/check.h"
#include "server/plugins/exec/exec_run.h"
#include "server/plugins/inbox.h"
#include <redial/plugin.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS_MAX = 64 };

struct exec_plugin {
    struct exec_config config;
    const struct redial_plugin_host *host;
    int epoll_fd;
    int wake_fd;
    pthread_t thread;
    struct list runs; /* of the thread alone */
    struct inbox inbox;
};

static int64_t
now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void
wake(void *ctx)
{
    struct exec_plugin *plugin = ctx;
    uint64_t one = 1;
    ssize_t written = write(plugin->wake_fd, &one, sizeof(one));
    redial_assert(written == sizeof(one) || errno == EAGAIN);
}

static void
stop_run(struct exec_plugin *plugin, const struct inbox_stop *stop)
{
    list_foreach(at, &plugin->runs) {
        struct exec_run *run = container_of(at, struct exec_run, link);
        if (run->call.id == stop->call.id) {
            exec_run_stop(run, stop->why, now_ms());
        }
    }
}

/* Does what was asked for; returns whether to go on. */
static bool
take_messages(struct exec_plugin *plugin)
{
    uint64_t count;
    if (read(plugin->wake_fd, &count, sizeof(count)) < 0) {
        redial_assert(errno == EAGAIN || errno == EINTR);
    }
    struct list starts, stops;
    list_init(&starts);
    list_init(&stops);
    bool go_on = inbox_take(&plugin->inbox, &starts, &stops);
    list_foreach_safe(at, &starts) {
        list_remove(at);
        list_append(&plugin->runs, at);
        exec_run_start(container_of(at, struct exec_run, link),
                       plugin->epoll_fd);
    }
    list_foreach_safe(at, &stops) {
        struct inbox_stop *stop = container_of(at, struct inbox_stop, link);
        stop_run(plugin, stop);
        free(stop);
    }
    return go_on;
}

/* Lets all runs go on, frees what is done; how long to wait then. */
static int
sweep(struct exec_plugin *plugin)
{
    int64_t now = now_ms();
    int64_t next = INT64_MAX;
    list_foreach_safe(at, &plugin->runs) {
        struct exec_run *run = container_of(at, struct exec_run, link);
        int64_t again = exec_run_tick(run, now);
        if (run->is_done) {
            list_remove(&run->link);
            exec_run_free(run);
        } else if (again < next) {
            next = again;
        }
    }
    return next == INT64_MAX ? -1 : (int)(next - now);
}

static void *
serve(void *arg)
{
    struct exec_plugin *plugin = arg;
    int timeout_ms = -1;
    bool go_on = true;
    while (go_on || !list_is_empty(&plugin->runs)) {
        struct epoll_event events[EVENTS_MAX];
        int count = epoll_wait(plugin->epoll_fd, events, EVENTS_MAX,
                               timeout_ms);
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == NULL) {
                go_on = take_messages(plugin);
            } else {
                exec_run_handle(events[i].data.ptr);
            }
        }
        timeout_ms = sweep(plugin);
    }
    return NULL;
}

static void
destroy(struct exec_plugin *plugin)
{
    if (plugin->epoll_fd >= 0) {
        close(plugin->epoll_fd);
    }
    if (plugin->wake_fd >= 0) {
        close(plugin->wake_fd);
    }
    inbox_fini(&plugin->inbox);
    exec_config_clear(&plugin->config);
    free(plugin);
}

/* Returns 0 or an errno value. */
static int
start(struct exec_plugin *plugin)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    plugin->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    plugin->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (plugin->epoll_fd < 0 || plugin->wake_fd < 0 ||
        epoll_ctl(plugin->epoll_fd, EPOLL_CTL_ADD, plugin->wake_fd, &event) !=
            0) {
        return errno;
    }
    return inbox_start_thread(&plugin->thread, serve, plugin);
}

static enum redial_status
exec_open(const struct redial_plugin_options *options, char *error_text,
          size_t error_size, void **ret_state)
{
    struct setting_error error = {error_text, error_size, 0};
    struct exec_plugin *plugin = calloc(1, sizeof(*plugin));
    if (plugin == NULL) {
        settings_complain(&error, "out of memory");
        return REDIAL_RESOURCE_EXHAUSTED;
    }
    plugin->epoll_fd = -1;
    plugin->wake_fd = -1;
    plugin->host = options->host;
    list_init(&plugin->runs);
    inbox_init(&plugin->inbox, wake, plugin);
    if (!exec_config_read(&plugin->config, options->config,
                          options->config_bytes, &error)) {
        destroy(plugin);
        return REDIAL_INVALID_ARGUMENT;
    }
    int number = start(plugin);
    if (number != 0) {
        settings_complain(&error, "%s", strerrordesc_np(number));
        destroy(plugin);
        return REDIAL_RESOURCE_EXHAUSTED;
    }
    *ret_state = plugin;
    return REDIAL_OK;
}

static void
exec_invoke(void *state, struct redial_plugin_call call,
            const struct redial_plugin_attempt *attempt)
{
    struct exec_plugin *plugin = state;
    struct exec_run *run = exec_run_new(&plugin->config, plugin->host, call,
                                        attempt);
    if (run == NULL) {
        struct redial_plugin_outcome outcome = {
            .struct_size = sizeof(outcome),
            .flags = REDIAL_PLUGIN_NOT_STARTED,
            .code = REDIAL_RESOURCE_EXHAUSTED,
            .reason = "NO_MEMORY",
        };
        plugin->host->complete(plugin->host->ctx, call, &outcome);
        return;
    }
    inbox_start(&plugin->inbox, &run->link);
}

static void
exec_cancel(void *state, struct redial_plugin_call call,
            enum redial_plugin_stop why)
{
    struct exec_plugin *plugin = state;
    inbox_stop(&plugin->inbox, call, why);
}

static void
exec_close(void *state)
{
    struct exec_plugin *plugin = state;
    inbox_close(&plugin->inbox);
    pthread_join(plugin->thread, NULL);
    destroy(plugin);
}

static const struct redial_plugin table = {
    .struct_size = sizeof(table),
    .abi = REDIAL_PLUGIN_ABI,
    .flags = REDIAL_PLUGIN_ASYNCHRONOUS | REDIAL_PLUGIN_STARTS_PROCESSES,
    .name = "exec",
    .open = exec_open,
    .invoke = exec_invoke,
    .cancel = exec_cancel,
    .close = exec_close,
};

REDIAL_API const struct redial_plugin *
redial_plugin_v1(void)
{
    return &table;
}
