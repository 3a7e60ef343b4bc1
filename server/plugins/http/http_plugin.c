/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The http plugin: sends a request for each attempt. One thread drives all
 * exchanges with a curl multi handle, which also keeps the connections; invoke
 * and cancel only leave it a message. Configuration and behaviour:
 * http_config.h.
 */
#include "server/base/check.h"
#include "server/plugins/http/http_transfer.h"
#include "server/plugins/inbox.h"
#include <redial/plugin.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    WAIT_MS = 60000, /* curl shortens it by what it has to do itself */
    CONNECTIONS_MIN = 8,
};

struct http_plugin {
    struct http_config config;
    const struct redial_plugin_host *host;
    CURLM *multi;
    pthread_t thread;
    struct list transfers; /* of the thread alone */
    struct inbox inbox;
};

static int64_t
wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void
wake(void *ctx)
{
    struct http_plugin *plugin = ctx;
    curl_multi_wakeup(plugin->multi);
}

static void
start_transfer(struct http_plugin *plugin, struct http_transfer *transfer)
{
    if (!http_transfer_prepare(transfer)) {
        http_transfer_free(transfer);
        return;
    }
    if (curl_multi_add_handle(plugin->multi, transfer->easy) != CURLM_OK) {
        http_transfer_finish(transfer, CURLE_OUT_OF_MEMORY, 0);
        http_transfer_free(transfer);
        return;
    }
    list_append(&plugin->transfers, &transfer->link);
}

static void
end_transfer(struct http_plugin *plugin, struct http_transfer *transfer)
{
    redial_assert(transfer->is_complete);
    list_remove(&transfer->link);
    curl_multi_remove_handle(plugin->multi, transfer->easy);
    http_transfer_free(transfer);
}

static void
stop_transfer(struct http_plugin *plugin, const struct inbox_stop *stop)
{
    list_foreach_safe(at, &plugin->transfers) {
        struct http_transfer *transfer = container_of(at, struct http_transfer,
                                                      link);
        if (transfer->call.id == stop->call.id) {
            http_transfer_stop(transfer, stop->why);
            end_transfer(plugin, transfer);
        }
    }
}

/* Does what was asked for; returns whether to go on. */
static bool
take_messages(struct http_plugin *plugin)
{
    struct list starts, stops;
    list_init(&starts);
    list_init(&stops);
    bool go_on = inbox_take(&plugin->inbox, &starts, &stops);
    list_foreach_safe(at, &starts) {
        list_remove(at);
        start_transfer(plugin, container_of(at, struct http_transfer, link));
    }
    list_foreach_safe(at, &stops) {
        struct inbox_stop *stop = container_of(at, struct inbox_stop, link);
        stop_transfer(plugin, stop);
        free(stop);
    }
    return go_on;
}

static void
finish_all(struct http_plugin *plugin)
{
    int left = 0;
    CURLMsg *message;
    while ((message = curl_multi_info_read(plugin->multi, &left)) != NULL) {
        struct http_transfer *transfer = NULL;
        CURLcode result = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
        http_transfer_finish(transfer, result, wall_ms());
        end_transfer(plugin, transfer);
    }
}

static void *
serve(void *arg)
{
    struct http_plugin *plugin = arg;
    bool go_on = true;
    while (go_on || !list_is_empty(&plugin->transfers)) {
        int running = 0;
        go_on = take_messages(plugin);
        curl_multi_perform(plugin->multi, &running);
        finish_all(plugin);
        if (go_on || !list_is_empty(&plugin->transfers)) {
            curl_multi_poll(plugin->multi, NULL, 0, WAIT_MS, NULL);
        }
    }
    return NULL;
}

static void
destroy(struct http_plugin *plugin)
{
    curl_multi_cleanup(plugin->multi);
    inbox_fini(&plugin->inbox);
    http_config_clear(&plugin->config);
    free(plugin);
}

static bool
start(struct http_plugin *plugin, uint32_t concurrency)
{
    long connections = concurrency > CONNECTIONS_MIN ? (long)concurrency
                                                     : CONNECTIONS_MIN;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        return false;
    }
    plugin->multi = curl_multi_init();
    return plugin->multi != NULL &&
           curl_multi_setopt(plugin->multi, CURLMOPT_MAXCONNECTS,
                             connections) == CURLM_OK &&
           inbox_start_thread(&plugin->thread, serve, plugin) == 0;
}

static enum redial_status
http_open(const struct redial_plugin_options *options, char *error_text,
          size_t error_size, void **ret_state)
{
    struct setting_error error = {error_text, error_size, 0};
    struct http_plugin *plugin = calloc(1, sizeof(*plugin));
    if (plugin == NULL) {
        settings_complain(&error, "out of memory");
        return REDIAL_RESOURCE_EXHAUSTED;
    }
    plugin->host = options->host;
    list_init(&plugin->transfers);
    inbox_init(&plugin->inbox, wake, plugin);
    if (!http_config_read(&plugin->config, options->config,
                          options->config_bytes, &error)) {
        destroy(plugin);
        return REDIAL_INVALID_ARGUMENT;
    }
    if (!start(plugin, options->concurrency)) {
        settings_complain(&error, "cannot start libcurl or a thread");
        destroy(plugin);
        return REDIAL_RESOURCE_EXHAUSTED;
    }
    *ret_state = plugin;
    return REDIAL_OK;
}

static void
http_invoke(void *state, struct redial_plugin_call call,
            const struct redial_plugin_attempt *attempt)
{
    struct http_plugin *plugin = state;
    struct http_transfer *transfer = http_transfer_new(
        &plugin->config, plugin->host, call, attempt);
    if (transfer == NULL) {
        struct redial_plugin_outcome outcome = {
            .struct_size = sizeof(outcome),
            .flags = REDIAL_PLUGIN_NOT_STARTED,
            .code = REDIAL_RESOURCE_EXHAUSTED,
            .reason = "NO_MEMORY",
        };
        plugin->host->complete(plugin->host->ctx, call, &outcome);
        return;
    }
    inbox_start(&plugin->inbox, &transfer->link);
}

static void
http_cancel(void *state, struct redial_plugin_call call,
            enum redial_plugin_stop why)
{
    struct http_plugin *plugin = state;
    inbox_stop(&plugin->inbox, call, why);
}

static void
http_close(void *state)
{
    struct http_plugin *plugin = state;
    inbox_close(&plugin->inbox);
    pthread_join(plugin->thread, NULL);
    destroy(plugin);
    curl_global_cleanup();
}

static const struct redial_plugin table = {
    .struct_size = sizeof(table),
    .abi = REDIAL_PLUGIN_ABI,
    .flags = REDIAL_PLUGIN_ASYNCHRONOUS,
    .name = "http",
    .open = http_open,
    .invoke = http_invoke,
    .cancel = http_cancel,
    .close = http_close,
};

REDIAL_API const struct redial_plugin *
redial_plugin_v1(void)
{
    return &table;
}
