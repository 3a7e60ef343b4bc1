/* SPDX-License-Identifier: Apache-2.0 */
#include "server/config/loader.h"
#include "server/config/report.h"
#include "server/config/value.h"

#include <string.h>

#define BUILT_IN_WORDS "exec|http|fault"

static const char *
copy(struct loader *loader, const char *text)
{
    return config_arena_text(loader->config->arena, text, strlen(text));
}

static void
read_plugin_method(struct loader *loader, const struct spot *spot,
                   const struct config_plugin *plugin,
                   struct config_plugin_method *method)
{
    struct config_report *report = loader->report;
    struct fields fields;
    const char *text = NULL;

    method->service = "";
    method->method = "";
    method->concurrency = plugin->concurrency;
    if (!object_read(report, spot, OBJECT_PLUGIN_METHOD, &fields)) {
        return;
    }
    if (field_text(report, spot, &fields, FIELD_PLUGIN_METHOD_SERVICE, &text)) {
        method->service = copy(loader, text);
    }
    if (field_text(report, spot, &fields, FIELD_PLUGIN_METHOD_METHOD, &text)) {
        method->method = copy(loader, text);
    }
    if (field_integer(report, spot, &fields, FIELD_PLUGIN_METHOD_CONCURRENCY,
                      &method->concurrency) &&
        method->concurrency > plugin->concurrency) {
        struct spot concurrency = field_spot(spot, &fields,
                                             FIELD_PLUGIN_METHOD_CONCURRENCY);

        report_error(report, &concurrency,
                     "at most the plugin's concurrency, which is %u",
                     (unsigned)plugin->concurrency);
    }
}

static void
check_methods_unique(struct loader *loader, const struct spot *array,
                     const struct config_plugin_method *methods)
{
    const cJSON *node;
    size_t index = 0;

    cJSON_ArrayForEach(node, array->node)
    {
        for (size_t i = 0; i < index; i++) {
            if (methods[index].service[0] != '\0' &&
                strcmp(methods[index].service, methods[i].service) == 0 &&
                strcmp(methods[index].method, methods[i].method) == 0) {
                struct spot again = spot_element(array, index, node);

                report_error(loader->report, &again,
                             "another method than methods[%zu]", i);
                break;
            }
        }
        index++;
    }
}

static void
read_methods(struct loader *loader, const struct spot *spot,
             const struct fields *fields, struct config_plugin *plugin)
{
    size_t count = field_array(loader->report, spot, fields,
                               FIELD_PLUGIN_METHODS);
    struct config_plugin_method *methods = config_arena_array(
        loader->config->arena, count, sizeof(*methods));
    struct spot array = field_spot(spot, fields, FIELD_PLUGIN_METHODS);
    const cJSON *node;
    size_t index = 0;

    if (methods == NULL) {
        return;
    }
    cJSON_ArrayForEach(node, array.node)
    {
        struct spot element = spot_element(&array, index, node);

        read_plugin_method(loader, &element, plugin, &methods[index++]);
    }
    check_methods_unique(loader, &array, methods);
    plugin->methods = methods;
    plugin->method_count = count;
}

static void
read_kind(struct loader *loader, const struct spot *spot,
          const struct fields *fields, struct config_plugin *plugin)
{
    struct spot kind = field_spot(spot, fields, FIELD_PLUGIN_PLUGIN);
    const char *text = NULL;
    uint32_t word = 0;

    if (!field_text(loader->report, spot, fields, FIELD_PLUGIN_PLUGIN, &text)) {
        return;
    }
    plugin->plugin = copy(loader, text);
    plugin->built_in = value_word_parse(BUILT_IN_WORDS, text, &word);
    if (!plugin->built_in && text[0] != '/') {
        report_error(loader->report, &kind,
                     "\"exec\", \"http\", \"fault\" or the absolute path of a "
                     "shared object");
    }
}

/* The plugin's own configuration as it was written. */
static void
read_config(struct loader *loader, const struct spot *spot,
            const struct fields *fields, struct config_plugin *plugin)
{
    struct spot own = field_spot(spot, fields, FIELD_PLUGIN_CONFIG);

    plugin->config = "{}";
    plugin->config_bytes = 2;
    if (own.node == NULL) {
        return;
    }
    if (!cJSON_IsObject(own.node)) {
        report_error(loader->report, &own, "an object");
        return;
    }
    struct text text = document_text(own.document, own.node);

    plugin->config = config_arena_text(loader->config->arena, text.at,
                                       text.len);
    plugin->config_bytes = strlen(plugin->config);
}

static void
read_plugin(struct loader *loader, const struct spot *spot,
            struct config_plugin *plugin)
{
    struct config_report *report = loader->report;
    struct fields fields;
    const char *name = NULL;

    plugin->name = "";
    plugin->plugin = "";
    plugin->concurrency = 1;
    if (!object_read(report, spot, OBJECT_PLUGIN, &fields)) {
        return;
    }
    if (field_text(report, spot, &fields, FIELD_PLUGIN_NAME, &name)) {
        plugin->name = copy(loader, name);
    }
    (void)field_integer(report, spot, &fields, FIELD_PLUGIN_CONCURRENCY,
                        &plugin->concurrency);
    read_kind(loader, spot, &fields, plugin);
    read_methods(loader, spot, &fields, plugin);
    read_config(loader, spot, &fields, plugin);
}

static void
check_name_unique(struct loader *loader, const struct spot *spot,
                  const struct config_plugin *plugins, size_t index)
{
    const char *name = plugins[index].name;

    for (size_t i = 0; i < index; i++) {
        if (name[0] != '\0' && strcmp(plugins[i].name, name) == 0) {
            struct spot again = spot_member(
                spot, "name",
                cJSON_GetObjectItemCaseSensitive(spot->node, "name"));

            report_error(loader->report, &again,
                         "a name that no other plugin has");
            return;
        }
    }
}

void
loader_read_plugins(struct loader *loader)
{
    struct config *config = loader->config;
    size_t total = 0;
    size_t filled = 0;

    for (const struct layer *layer = loader->layers; layer != NULL;
         layer = layer->next) {
        total += field_array(loader->report, &layer->top, &layer->fields,
                             FIELD_ROOT_PLUGINS);
    }
    struct config_plugin *plugins = config_arena_array(config->arena, total,
                                                       sizeof(*plugins));

    for (const struct layer *layer = loader->layers;
         plugins != NULL && layer != NULL; layer = layer->next) {
        struct spot array = field_spot(&layer->top, &layer->fields,
                                       FIELD_ROOT_PLUGINS);
        const cJSON *node;
        size_t index = 0;

        if (!cJSON_IsArray(array.node)) {
            continue;
        }
        cJSON_ArrayForEach(node, array.node)
        {
            struct spot spot = spot_element(&array, index++, node);

            if (filled < total) {
                read_plugin(loader, &spot, &plugins[filled]);
                check_name_unique(loader, &spot, plugins, filled++);
            }
        }
    }
    config->plugins = plugins;
    config->plugin_count = filled;
}
