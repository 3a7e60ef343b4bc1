/* SPDX-License-Identifier: Apache-2.0 */
#include "server/app/hosts.h"

#include "server/app/gateway.h"
#include "server/app/ids.h"
#include "server/plugins/supervisor.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    PLUGINS_MAX = 256,
    HOST_GRACE_MS = 3000, /* to finish, when the gateway stops */
};

/* Where the workers' listener is, as hosts dial it. */
static const char *
workers_address(const struct gateway *gateway)
{
    const char *address = NULL;

    for (size_t i = 0; i < gateway->config->listener_count; i++) {
        const struct config_listener *listener = &gateway->config->listeners[i];
        bool is_local = strncmp(listener->url, "ipc://", 6) == 0;

        if (listener->role != CONFIG_ROLE_WORKER ||
            listener->tls_cert != NULL) {
            continue;
        }
        if (address == NULL || is_local) {
            address = gateway->listener_urls[i];
        }
        if (is_local) {
            break;
        }
    }
    return address;
}

/* redial-plugin-host lies beside the gateway. */
static bool
find_host(char *ret_path, size_t size)
{
    static const char host[] = "/redial-plugin-host";
    ssize_t len = readlink("/proc/self/exe", ret_path, size - 1);
    char *slash;

    if (len <= 0) {
        return false;
    }
    ret_path[len] = '\0';
    slash = strrchr(ret_path, '/');
    if (slash == NULL || (size_t)(slash - ret_path) + sizeof(host) > size) {
        return false;
    }
    memcpy(slash, host, sizeof(host));
    return access(ret_path, X_OK) == 0;
}

static bool
add_plugin(struct gateway *gateway, const struct config_plugin *from)
{
    struct supervisor_slot *slots = calloc(from->method_count, sizeof(*slots));
    struct supervisor_plugin plugin = {
        .name = from->name,
        .plugin = from->plugin,
        .config = from->config,
        .slots = slots,
        .slot_count = from->method_count,
        .concurrency = from->concurrency,
    };
    enum redial_status status = REDIAL_RESOURCE_EXHAUSTED;

    for (size_t i = 0; slots != NULL && i < from->method_count; i++) {
        const struct config_plugin_method *method = &from->methods[i];

        slots[i] = (struct supervisor_slot){
            .service = method->service,
            .method = method->method[0] == '\0' ? NULL : method->method,
            .concurrency = method->concurrency,
        };
    }
    if (slots != NULL) {
        status = supervisor_add(gateway->plugins, &plugin);
    }
    free(slots);
    if (status != REDIAL_OK) {
        log_eventf(LOG_PLUGIN_FAILED, "%s: %s", from->name,
                   redial_status_text(status));
    }
    return status == REDIAL_OK;
}

bool
hosts_start(struct gateway *gateway)
{
    char path[PATH_MAX];
    struct supervisor_options options = {
        .host_path = path,
        .address = workers_address(gateway),
        .plugins_max = PLUGINS_MAX,
    };

    if (gateway->config->plugin_count == 0) {
        return true;
    }
    if (options.address == NULL) {
        log_event(LOG_PLUGIN_FAILED,
                  "plugins need a listener with role \"worker\" and without "
                  "TLS: add one, ipc is best");
        return false;
    }
    if (!find_host(path, sizeof(path))) {
        log_event(LOG_PLUGIN_FAILED,
                  "redial-plugin-host is not beside redial-gateway");
        return false;
    }
    /* What a dead host leaves behind comes to us, to be reaped. */
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    ids_random(&options.seed, sizeof(options.seed));
    gateway->plugins = supervisor_new(&options);
    if (gateway->plugins == NULL) {
        log_event(LOG_OUT_OF_MEMORY, NULL);
        return false;
    }
    for (size_t i = 0; i < gateway->config->plugin_count; i++) {
        if (!add_plugin(gateway, &gateway->config->plugins[i])) {
            return false;
        }
    }
    return true;
}

static void
report_dead(struct gateway *gateway, const struct supervisor_event *event)
{
    const struct mailbox *mailbox = mailbox_find_instance(gateway, event->name,
                                                          event->instance);
    char name[SUPERVISOR_NAME_BYTES + SUPERVISOR_INSTANCE_BYTES];
    struct engine_input input = {.type = ENGINE_WORKER_GONE};

    /* Its connection may have been seen to drop before: then no mailbox. */
    (void)snprintf(name, sizeof(name), "%s/%s", event->name, event->instance);
    input.gone.worker = mailbox == NULL ? 0 : mailbox->worker;
    input.gone.how = ENGINE_GONE_DEAD;
    input.gone.name = text_of(name);
    pipeline_step(gateway, &input, (struct text){NULL, 0});
}

static void
describe_death(const struct supervisor_event *event, char *ret, size_t size)
{
    if (WIFSIGNALED(event->wait_status)) {
        (void)snprintf(ret, size, "%s: killed by signal %d", event->name,
                       WTERMSIG(event->wait_status));
    } else {
        (void)snprintf(ret, size, "%s: exit status %d", event->name,
                       WEXITSTATUS(event->wait_status));
    }
}

static void
take_event(struct gateway *gateway, const struct supervisor_event *event)
{
    char words[512];

    switch (event->type) {
    case SUPERVISOR_STARTED:
        log_eventf(LOG_PLUGIN_STARTED, "%s: process %d", event->name,
                   (int)event->pid);
        break;
    case SUPERVISOR_FAILED:
        log_eventf(LOG_PLUGIN_FAILED, "%s: %s; again in %d ms", event->name,
                   strerror(event->error), (int)event->restart_ms);
        break;
    case SUPERVISOR_DIED:
        report_dead(gateway, event);
        describe_death(event, words, sizeof(words));
        if (event->restart_ms < 0) {
            log_event(LOG_PLUGIN_ENDED, words);
        } else {
            log_eventf(LOG_PLUGIN_DIED, "%s; again in %d ms", words,
                       (int)event->restart_ms);
        }
        break;
    }
}

void
hosts_run(struct gateway *gateway)
{
    struct supervisor_event event;

    if (gateway->plugins == NULL) {
        return;
    }
    if (supervisor_next_wake(gateway->plugins).ms <= gateway->now.mono.ms) {
        supervisor_step(gateway->plugins, gateway->now.mono);
    }
    while (supervisor_take_event(gateway->plugins, &event)) {
        take_event(gateway, &event);
    }
}

void
hosts_reaped(struct gateway *gateway, pid_t pid, int status)
{
    if (gateway->plugins != NULL) {
        (void)supervisor_reaped(gateway->plugins, gateway->now.mono, pid,
                                status);
    }
}

void
hosts_stop(struct gateway *gateway)
{
    if (gateway->plugins != NULL) {
        supervisor_stop(gateway->plugins, gateway->now.mono, HOST_GRACE_MS);
    }
}

bool
hosts_are_gone(const struct gateway *gateway)
{
    return gateway->plugins == NULL || supervisor_is_idle(gateway->plugins);
}

struct mono
hosts_next(const struct gateway *gateway)
{
    return gateway->plugins == NULL ? MONO_NEVER
                                    : supervisor_next_wake(gateway->plugins);
}

void
hosts_fini(struct gateway *gateway)
{
    supervisor_free(gateway->plugins);
    gateway->plugins = NULL;
}
