/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fault plugin: does to attempts what a script says, for tests, drills and
 * demonstrations. One thread keeps the time of those that wait. The scripts:
 * fault_script.h.
 */
#include "server/base/check.h"
#include "server/plugins/fault/fault_script.h"
#include "server/plugins/inbox.h"
#include <redial/plugin.h>

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum { ERROR_BYTES = 1024 };

struct fault_plugin {
    const struct redial_plugin_host *host;
    char *config;
    size_t config_bytes;
    int64_t opened_ms;
    int wake_fd;
    pthread_t thread;
    struct list waiting; /* of the thread alone */
    struct inbox inbox;
};

/* An attempt with its script. */
struct fault_attempt {
    struct list link;
    struct redial_plugin_call call;
    const struct redial_plugin_attempt *attempt;
    struct fault_script script;
    struct fault_decision decision;
    int64_t answer_at_ms; /* INT64_MAX: when it is stopped */
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
    struct fault_plugin *plugin = ctx;
    uint64_t one = 1;
    ssize_t written = write(plugin->wake_fd, &one, sizeof(one));
    redial_assert(written == sizeof(one) || errno == EAGAIN);
}

static void
answer(struct fault_plugin *plugin, struct fault_attempt *waiting)
{
    const struct fault_decision *decision = &waiting->decision;
    const struct fault_script *script = &waiting->script;
    struct redial_plugin_outcome outcome = {
        .struct_size = sizeof(outcome),
        .flags = decision->flags,
        .code = decision->code,
        .reason = decision->reason,
        .text = decision->text,
        .pushback_ms = decision->pushback_ms,
    };
    if (decision->code == REDIAL_OK && script->result != NULL) {
        outcome.result = script->result;
        outcome.result_bytes = strlen(script->result);
    } else if (decision->code == REDIAL_OK && script->echoes) {
        outcome.result = waiting->attempt->payload;
        outcome.result_bytes = waiting->attempt->payload_bytes;
        outcome.content_type = waiting->attempt->content_type;
    }
    plugin->host->complete(plugin->host->ctx, waiting->call, &outcome);
    fault_script_clear(&waiting->script);
    free(waiting);
}

/* Another answer, and at once. */
static void
stop(struct fault_plugin *plugin, const struct inbox_stop *request)
{
    struct fault_decision decision = {
        .code = REDIAL_CANCELLED,
        .reason = "CANCELLED",
        .text = "",
    };
    if (request->why == REDIAL_PLUGIN_STOP_TIMEOUT) {
        decision.code = REDIAL_DEADLINE_EXCEEDED;
        decision.reason = "ATTEMPT_TIMEOUT";
    }
    list_foreach(at, &plugin->waiting) {
        struct fault_attempt *waiting = container_of(at, struct fault_attempt,
                                                     link);
        if (waiting->call.id == request->call.id &&
            !waiting->script.is_stubborn) {
            waiting->decision = decision;
            waiting->answer_at_ms = INT64_MIN;
        }
    }
}

static bool
take_messages(struct fault_plugin *plugin)
{
    uint64_t count;
    if (read(plugin->wake_fd, &count, sizeof(count)) < 0) {
        redial_assert(errno == EAGAIN || errno == EINTR);
    }
    struct list stops;
    list_init(&stops);
    bool go_on = inbox_take(&plugin->inbox, &plugin->waiting, &stops);
    list_foreach_safe(at, &stops) {
        struct inbox_stop *request = container_of(at, struct inbox_stop, link);
        stop(plugin, request);
        free(request);
    }
    return go_on;
}

/* Answers what is due; how long to wait for the next. */
static int
answer_due(struct fault_plugin *plugin)
{
    int64_t now = now_ms();
    int64_t next = INT64_MAX;
    list_foreach_safe(at, &plugin->waiting) {
        struct fault_attempt *waiting = container_of(at, struct fault_attempt,
                                                     link);
        if (waiting->answer_at_ms <= now) {
            list_remove(&waiting->link);
            answer(plugin, waiting);
        } else if (waiting->answer_at_ms < next) {
            next = waiting->answer_at_ms;
        }
    }
    return next == INT64_MAX ? -1 : (int)(next - now);
}

static void *
serve(void *arg)
{
    struct fault_plugin *plugin = arg;
    bool go_on = true;
    int timeout_ms = -1;
    while (go_on || !list_is_empty(&plugin->waiting)) {
        struct pollfd wake_up = {plugin->wake_fd, POLLIN, 0};
        (void)poll(&wake_up, 1, timeout_ms);
        go_on = take_messages(plugin);
        timeout_ms = answer_due(plugin);
    }
    return NULL;
}

static void
destroy(struct fault_plugin *plugin)
{
    if (plugin->wake_fd >= 0) {
        close(plugin->wake_fd);
    }
    inbox_fini(&plugin->inbox);
    free(plugin->config);
    free(plugin);
}

static bool
check_config(const struct redial_plugin_options *options,
             struct setting_error *error)
{
    struct fault_script script;
    bool good = fault_script_read(&script, options->config,
                                  options->config_bytes, NULL, error);
    fault_script_clear(&script);
    return good;
}

static enum redial_status
fault_open(const struct redial_plugin_options *options, char *error_text,
           size_t error_size, void **ret_state)
{
    struct setting_error error = {error_text, error_size, 0};
    if (!check_config(options, &error)) {
        return REDIAL_INVALID_ARGUMENT;
    }
    struct fault_plugin *plugin = calloc(1, sizeof(*plugin));
    if (plugin == NULL) {
        settings_complain(&error, "out of memory");
        return REDIAL_RESOURCE_EXHAUSTED;
    }
    plugin->host = options->host;
    plugin->opened_ms = now_ms();
    plugin->config = strdup(options->config);
    plugin->config_bytes = options->config_bytes;
    plugin->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    list_init(&plugin->waiting);
    inbox_init(&plugin->inbox, wake, plugin);
    if (plugin->config == NULL || plugin->wake_fd < 0 ||
        inbox_start_thread(&plugin->thread, serve, plugin) != 0) {
        settings_complain(&error, "cannot start: %s", strerrordesc_np(errno));
        destroy(plugin);
        return REDIAL_RESOURCE_EXHAUSTED;
    }
    *ret_state = plugin;
    return REDIAL_OK;
}

static void
refuse(struct fault_plugin *plugin, struct redial_plugin_call call,
       enum redial_status code, const char *text)
{
    struct redial_plugin_outcome outcome = {
        .struct_size = sizeof(outcome),
        .code = code,
        .reason = "FAULT_SCRIPT",
        .text = text,
    };
    plugin->host->complete(plugin->host->ctx, call, &outcome);
}

static void
begin(struct fault_plugin *plugin, struct fault_attempt *waiting)
{
    int64_t now = now_ms();
    const struct fault_script *script = &waiting->script;
    waiting->decision = fault_decide(script, waiting->attempt,
                                     now - plugin->opened_ms);
    if (script->progress != NULL) {
        plugin->host->progress(plugin->host->ctx, waiting->call,
                               script->progress);
    }
    if (waiting->decision.crashes) {
        abort();
    }
    waiting->answer_at_ms = waiting->decision.hangs
                                ? INT64_MAX
                                : now + waiting->decision.delay_ms;
    if (waiting->answer_at_ms <= now) {
        answer(plugin, waiting);
    } else {
        inbox_start(&plugin->inbox, &waiting->link);
    }
}

static void
fault_invoke(void *state, struct redial_plugin_call call,
             const struct redial_plugin_attempt *attempt)
{
    struct fault_plugin *plugin = state;
    struct fault_attempt *waiting = calloc(1, sizeof(*waiting));
    if (waiting == NULL) {
        refuse(plugin, call, REDIAL_RESOURCE_EXHAUSTED, "out of memory");
        return;
    }
    char text[ERROR_BYTES] = "";
    struct setting_error error = {text, sizeof(text), 0};
    waiting->call = call;
    waiting->attempt = attempt;
    if (fault_script_read(&waiting->script, plugin->config,
                          plugin->config_bytes, attempt, &error)) {
        begin(plugin, waiting);
        return;
    }
    refuse(plugin, call, REDIAL_INVALID_ARGUMENT, text);
    fault_script_clear(&waiting->script);
    free(waiting);
}

static void
fault_cancel(void *state, struct redial_plugin_call call,
             enum redial_plugin_stop why)
{
    struct fault_plugin *plugin = state;
    inbox_stop(&plugin->inbox, call, why);
}

static void
fault_close(void *state)
{
    struct fault_plugin *plugin = state;
    inbox_close(&plugin->inbox);
    pthread_join(plugin->thread, NULL);
    destroy(plugin);
}

static const struct redial_plugin table = {
    .struct_size = sizeof(table),
    .abi = REDIAL_PLUGIN_ABI,
    .flags = REDIAL_PLUGIN_ASYNCHRONOUS,
    .name = "fault",
    .open = fault_open,
    .invoke = fault_invoke,
    .cancel = fault_cancel,
    .close = fault_close,
};

REDIAL_API const struct redial_plugin *
redial_plugin_v1(void)
{
    return &table;
}
