/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each plugin is in one of these conditions:
 *
 *   pid == 0, start_at      waits for its start
 *   pid == 0, no start_at   is stopped: it will not start again
 *   pid != 0                its host runs; kill_at is set once it shall end
 *
 * A pid is valid until the owner reports it as reaped, so signals never hit a
 * stranger.
 */
#include "server/plugins/supervisor.h"

#include "server/base/check.h"
#include "server/base/list.h"
#include "server/base/rng.h"
#include "server/plugins/groups.h"
#include "server/plugins/host_process.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    /*
     * How often the pipes are looked at while all is well. They hold what some
     * ten thousand attempts report; a full one holds up new attempts.
     */
    GROUPS_READ_MS = 1000,
};

static const int64_t never = INT64_MAX;

struct plugin {
    struct list link;
    char name[SUPERVISOR_NAME_BYTES];
    char *path; /* or a built-in name */
    char *config;
    struct host_slot_word *slots;
    size_t slot_count;
    uint32_t concurrency;

    pid_t pid;
    char instance[SUPERVISOR_INSTANCE_BYTES];
    int groups_fd;
    struct groups groups;
    int64_t started_at;
    int64_t start_at;
    int64_t kill_at;
    uint32_t failures; /* in a row */
    uint64_t starts;
    bool is_ending;
    bool is_removed; /* forget it when it is over */

    struct supervisor_event started; /* by has_started */
    struct supervisor_event ended;   /* by has_ended */
    bool has_started;
    bool has_ended;
};

struct supervisor {
    struct supervisor_options options; /* texts owned */
    struct list plugins;
    uint32_t count;
    bool is_stopping;
    int64_t read_at; /* the pipes were last read */
    struct rng rng;
};

static void
free_plugin(struct plugin *plugin)
{
    if (plugin->groups_fd >= 0) {
        close(plugin->groups_fd);
    }
    free(plugin->path);
    free(plugin->config);
    free(plugin->slots);
    free(plugin);
}

struct supervisor *
supervisor_new(const struct supervisor_options *options)
{
    redial_assert(options->plugins_max >= 1 && options->plugins_max <= 1024);
    struct supervisor *supervisor = calloc(1, sizeof(*supervisor));
    if (supervisor == NULL) {
        return NULL;
    }
    supervisor->options = *options;
    supervisor->options.host_path = strdup(options->host_path);
    supervisor->options.address = strdup(options->address);
    const char *folder = options->plugin_dir;
    const char *token = options->token_file;
    supervisor->options.plugin_dir = folder == NULL ? NULL : strdup(folder);
    supervisor->options.token_file = token == NULL ? NULL : strdup(token);
    list_init(&supervisor->plugins);
    rng_init(&supervisor->rng, options->seed);
    if (supervisor->options.host_path == NULL ||
        supervisor->options.address == NULL ||
        (folder != NULL && supervisor->options.plugin_dir == NULL) ||
        (token != NULL && supervisor->options.token_file == NULL)) {
        supervisor_free(supervisor);
        return NULL;
    }
    return supervisor;
}

static void
kill_host(struct plugin *plugin)
{
    if (plugin->groups_fd >= 0) {
        (void)groups_read(&plugin->groups, plugin->groups_fd);
    }
    kill(-plugin->pid, SIGKILL);
    groups_kill(&plugin->groups);
}

void
supervisor_free(struct supervisor *supervisor)
{
    if (supervisor == NULL) {
        return;
    }
    list_foreach_safe(at, &supervisor->plugins) {
        struct plugin *plugin = container_of(at, struct plugin, link);
        if (plugin->pid != 0) {
            kill_host(plugin);
        }
        free_plugin(plugin);
    }
    free((void *)(uintptr_t)supervisor->options.host_path);
    free((void *)(uintptr_t)supervisor->options.address);
    free((void *)(uintptr_t)supervisor->options.plugin_dir);
    free((void *)(uintptr_t)supervisor->options.token_file);
    free(supervisor);
}

static struct plugin *
find_plugin(struct supervisor *supervisor, const char *name)
{
    list_foreach(at, &supervisor->plugins) {
        struct plugin *plugin = container_of(at, struct plugin, link);
        if (strcmp(plugin->name, name) == 0) {
            return plugin;
        }
    }
    return NULL;
}

static bool
copy_slots(struct plugin *plugin, const struct supervisor_plugin *wanted)
{
    plugin->slot_count = wanted->slot_count;
    plugin->slots = calloc(wanted->slot_count, sizeof(plugin->slots[0]));
    if (plugin->slots == NULL) {
        return false;
    }
    for (size_t i = 0; i < wanted->slot_count; i++) {
        const struct supervisor_slot *slot = &wanted->slots[i];
        const char *method = slot->method == NULL ? "" : slot->method;
        int len = snprintf(plugin->slots[i].text, sizeof(plugin->slots[i].text),
                           "%s%s%s=%" PRIu32, slot->service,
                           slot->method == NULL ? "" : "/", method,
                           slot->concurrency);
        if (len < 0 || (size_t)len >= sizeof(plugin->slots[i].text)) {
            return false;
        }
    }
    return true;
}

enum redial_status
supervisor_add(struct supervisor *supervisor,
               const struct supervisor_plugin *wanted)
{
    size_t name_len = strlen(wanted->name);
    if (name_len == 0 || name_len >= SUPERVISOR_NAME_BYTES ||
        wanted->slot_count == 0 || wanted->slot_count > SUPERVISOR_SLOTS_MAX) {
        return REDIAL_INVALID_ARGUMENT;
    }
    if (find_plugin(supervisor, wanted->name) != NULL) {
        return REDIAL_ALREADY_EXISTS;
    }
    struct plugin *plugin = NULL;
    if (supervisor->count < supervisor->options.plugins_max) {
        plugin = calloc(1, sizeof(*plugin));
    }
    if (plugin == NULL) {
        return REDIAL_RESOURCE_EXHAUSTED;
    }
    memcpy(plugin->name, wanted->name, name_len + 1);
    plugin->path = strdup(wanted->plugin);
    plugin->config = strdup(wanted->config == NULL ? "{}" : wanted->config);
    plugin->concurrency = wanted->concurrency;
    plugin->groups_fd = -1;
    plugin->kill_at = never;
    plugin->start_at = supervisor->is_stopping ? never : INT64_MIN;
    if (plugin->path == NULL || plugin->config == NULL ||
        !copy_slots(plugin, wanted)) {
        free_plugin(plugin);
        return REDIAL_RESOURCE_EXHAUSTED;
    }
    list_append(&supervisor->plugins, &plugin->link);
    supervisor->count++;
    return REDIAL_OK;
}

/* Returns 0 or an errno value. */
static int
start_host(struct supervisor *supervisor, struct plugin *plugin)
{
    struct host_process process = {
        .path = supervisor->options.host_path,
        .address = supervisor->options.address,
        .plugin_dir = supervisor->options.plugin_dir,
        .token_file = supervisor->options.token_file,
        .plugin = plugin->path,
        .name = plugin->name,
        .instance = plugin->instance,
        .config = plugin->config,
        .slots = plugin->slots,
        .slot_count = plugin->slot_count,
        .concurrency = plugin->concurrency,
    };
    return host_process_start(&process, &plugin->pid, &plugin->groups_fd);
}

static int64_t
backoff_ms(struct supervisor *supervisor, uint32_t failures)
{
    int64_t delay_ms = SUPERVISOR_BACKOFF_FIRST_MS;
    for (uint32_t i = 1; i < failures && delay_ms < SUPERVISOR_BACKOFF_MAX_MS;
         i++) {
        delay_ms *= 2;
    }
    if (delay_ms > SUPERVISOR_BACKOFF_MAX_MS) {
        delay_ms = SUPERVISOR_BACKOFF_MAX_MS;
    }
    /* 0.8 to 1.2 times, in thousandths. */
    return delay_ms * (int64_t)(800 + rng_below(&supervisor->rng, 401)) / 1000;
}

/* Plans the next start, if there is to be one; how far away it is. */
static int64_t
plan_start(struct supervisor *supervisor, struct plugin *plugin, int64_t now_ms)
{
    plugin->failures++;
    if (plugin->is_ending || supervisor->is_stopping) {
        plugin->start_at = never;
        return -1;
    }
    int64_t delay_ms = backoff_ms(supervisor, plugin->failures);
    plugin->start_at = now_ms + delay_ms;
    return delay_ms;
}

static struct supervisor_event
make_event(const struct plugin *plugin, enum supervisor_event_type type)
{
    struct supervisor_event event = {
        .type = type,
        .pid = plugin->pid,
        .starts = plugin->starts,
    };
    memcpy(event.name, plugin->name, sizeof(event.name));
    memcpy(event.instance, plugin->instance, sizeof(event.instance));
    return event;
}

static void
start_plugin(struct supervisor *supervisor, struct plugin *plugin,
             int64_t now_ms)
{
    snprintf(plugin->instance, sizeof(plugin->instance),
             "%016" PRIx64 "%016" PRIx64, rng_next(&supervisor->rng),
             rng_next(&supervisor->rng));
    memset(&plugin->groups, 0, sizeof(plugin->groups));
    plugin->start_at = never;
    plugin->starts++;
    int error = start_host(supervisor, plugin);
    if (error != 0) {
        plugin->pid = 0;
        plugin->ended = make_event(plugin, SUPERVISOR_FAILED);
        plugin->ended.error = error;
        plugin->ended.restart_ms = plan_start(supervisor, plugin, now_ms);
        plugin->has_ended = true;
        return;
    }
    plugin->started_at = now_ms;
    plugin->kill_at = never;
    plugin->started = make_event(plugin, SUPERVISOR_STARTED);
    plugin->has_started = true;
}

static void
end_plugin(struct plugin *plugin, int64_t now_ms, uint32_t grace_ms)
{
    int64_t kill_at = now_ms + grace_ms;
    plugin->start_at = never;
    if (plugin->pid != 0 && !plugin->is_ending) {
        kill(plugin->pid, SIGTERM);
    }
    plugin->is_ending = true;
    if (plugin->pid != 0 && kill_at < plugin->kill_at) {
        plugin->kill_at = kill_at;
    }
}

/* Forgets a removed plugin that is over and has nothing more to tell. */
static void
forget_if_over(struct supervisor *supervisor, struct plugin *plugin)
{
    if (plugin->is_removed && plugin->pid == 0 && !plugin->has_started &&
        !plugin->has_ended) {
        list_remove(&plugin->link);
        supervisor->count--;
        free_plugin(plugin);
    }
}

enum redial_status
supervisor_remove(struct supervisor *supervisor, struct mono now,
                  const char *name, uint32_t grace_ms)
{
    struct plugin *plugin = find_plugin(supervisor, name);
    if (plugin == NULL) {
        return REDIAL_NOT_FOUND;
    }
    plugin->is_removed = true;
    end_plugin(plugin, now.ms, grace_ms);
    forget_if_over(supervisor, plugin);
    return REDIAL_OK;
}

void
supervisor_stop(struct supervisor *supervisor, struct mono now,
                uint32_t grace_ms)
{
    supervisor->is_stopping = true;
    list_foreach(at, &supervisor->plugins) {
        end_plugin(container_of(at, struct plugin, link), now.ms, grace_ms);
    }
}

void
supervisor_step(struct supervisor *supervisor, struct mono now)
{
    bool read_pipes = now.ms - supervisor->read_at >= GROUPS_READ_MS;
    if (read_pipes) {
        supervisor->read_at = now.ms;
    }
    list_foreach(at, &supervisor->plugins) {
        struct plugin *plugin = container_of(at, struct plugin, link);
        if (plugin->pid != 0 && read_pipes) {
            (void)groups_read(&plugin->groups, plugin->groups_fd);
        }
        if (plugin->pid != 0 && now.ms >= plugin->kill_at) {
            plugin->kill_at = never;
            kill_host(plugin);
        }
        if (plugin->pid == 0 && !plugin->has_ended &&
            now.ms >= plugin->start_at) {
            start_plugin(supervisor, plugin, now.ms);
        }
    }
}

struct mono
supervisor_next_wake(const struct supervisor *supervisor)
{
    struct mono next = MONO_NEVER;
    list_foreach(at, &supervisor->plugins) {
        const struct plugin *plugin = container_of(at, const struct plugin,
                                                   link);
        int64_t when = plugin->start_at;
        if (plugin->pid != 0) {
            int64_t read_at = supervisor->read_at + GROUPS_READ_MS;
            when = plugin->kill_at < read_at ? plugin->kill_at : read_at;
        }
        if (when < next.ms) {
            next.ms = when;
        }
    }
    return next;
}

bool
supervisor_reaped(struct supervisor *supervisor, struct mono now, pid_t pid,
                  int wait_status)
{
    struct plugin *plugin = NULL;
    list_foreach(at, &supervisor->plugins) {
        struct plugin *one = container_of(at, struct plugin, link);
        if (one->pid == pid) {
            plugin = one;
        }
    }
    if (plugin == NULL || pid == 0) {
        return false;
    }
    kill_host(plugin);
    close(plugin->groups_fd);
    plugin->groups_fd = -1;
    if (now.ms - plugin->started_at >= SUPERVISOR_HEALTHY_MS) {
        plugin->failures = 0;
    }
    plugin->ended = make_event(plugin, SUPERVISOR_DIED);
    plugin->ended.wait_status = wait_status;
    plugin->ended.restart_ms = plan_start(supervisor, plugin, now.ms);
    plugin->has_ended = true;
    plugin->pid = 0;
    plugin->kill_at = never;
    return true;
}

bool
supervisor_is_idle(const struct supervisor *supervisor)
{
    list_foreach(at, &supervisor->plugins) {
        if (container_of(at, const struct plugin, link)->pid != 0) {
            return false;
        }
    }
    return true;
}

bool
supervisor_take_event(struct supervisor *supervisor,
                      struct supervisor_event *ret_event)
{
    list_foreach(at, &supervisor->plugins) {
        struct plugin *plugin = container_of(at, struct plugin, link);
        if (plugin->has_started) {
            plugin->has_started = false;
            *ret_event = plugin->started;
            forget_if_over(supervisor, plugin);
            return true;
        }
        if (plugin->has_ended) {
            plugin->has_ended = false;
            *ret_event = plugin->ended;
            forget_if_over(supervisor, plugin);
            return true;
        }
    }
    return false;
}
