/* SPDX-License-Identifier: Apache-2.0 */
#include "server/config/config.h"
#include "server/config/loader.h"
#include "server/config/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
read_param(struct loader *loader, const struct param *param,
           const struct spot *spot)
{
    struct origin *origin = &loader->origins[param - param_table];

    origin->source = spot->document->source;
    origin->line = spot_line(spot);
    param_read(param, spot, loader->config, loader->report);
}

/* The parameters of one group, such as "limits". */
static void
read_group(struct loader *loader, const struct spot *group)
{
    const char *names[PARAM_COUNT];
    size_t count = 0;
    size_t len = strlen(group->key);
    const cJSON *node;

    if (!cJSON_IsObject(group->node)) {
        report_error(loader->report, group, "an object");
        return;
    }
    for (size_t i = 0; i < PARAM_COUNT; i++) {
        if (param_group_len(&param_table[i]) == len &&
            memcmp(param_table[i].path, group->key, len) == 0) {
            names[count++] = param_leaf(&param_table[i]);
        }
    }
    cJSON_ArrayForEach(node, group->node)
    {
        struct spot spot = spot_member(group, node->string, node);
        char path[SPOT_PATH_BYTES];

        (void)snprintf(path, sizeof(path), "%s.%s", group->key, node->string);
        const struct param *param = param_find(path);

        if (param == NULL) {
            object_report_unknown(loader->report, &spot, names, count);
        } else {
            read_param(loader, param, &spot);
        }
    }
}

/* Whether the member of the top is a group of parameters. */
static bool
is_group(const char *key)
{
    size_t len = strlen(key);

    for (size_t i = 0; len > 0 && i < PARAM_COUNT; i++) {
        if (param_group_len(&param_table[i]) == len &&
            memcmp(param_table[i].path, key, len) == 0) {
            return true;
        }
    }
    return false;
}

static void
read_params(struct loader *loader, const struct spot *top)
{
    const cJSON *node;

    cJSON_ArrayForEach(node, top->node)
    {
        struct spot spot = spot_member(top, node->string, node);
        const struct param *param = param_find(node->string);

        if (is_group(node->string)) {
            read_group(loader, &spot);
        } else if (param != NULL && strchr(node->string, '.') == NULL) {
            read_param(loader, param, &spot);
        }
    }
}

void
loader_add(struct loader *loader, const char *source, bool has_lines,
           char *text, size_t len)
{
    struct layer *layer = calloc(1, sizeof(*layer));

    if (layer == NULL) {
        loader->no_memory = true;
        free(text);
        return;
    }
    if (document_create(source, has_lines, text, len, loader->report,
                        &layer->document) != REDIAL_OK) {
        loader->no_memory = true;
        free(layer);
        return;
    }
    if (loader->last == NULL) {
        loader->layers = layer;
    } else {
        loader->last->next = layer;
    }
    loader->last = layer;
    layer->top = spot_top(layer->document);
    if (layer->document->root != NULL &&
        object_read(loader->report, &layer->top, OBJECT_ROOT, &layer->fields)) {
        read_params(loader, &layer->top);
    }
}

struct text
loader_copy(struct loader *loader, const char *text)
{
    size_t len = strlen(text);

    return (struct text){
        .at = config_arena_text(loader->config->arena, text, len),
        .len = (uint32_t)len,
    };
}

struct place
loader_place(struct loader *loader, const struct spot *spot)
{
    char path[SPOT_PATH_BYTES];

    spot_path(spot, path);
    return (struct place){
        .source = spot->document->source,
        .line = spot_line(spot),
        .path = loader_copy(loader, path).at,
    };
}

void
loader_report_again(struct loader *loader, const struct place *again,
                    const char *found, const struct place *first,
                    const char *what)
{
    char allowed[2 * SPOT_PATH_BYTES];
    char line[24] = "";

    if (first->line > 0) {
        (void)snprintf(line, sizeof(line), ", line %u", (unsigned)first->line);
    }
    (void)snprintf(allowed, sizeof(allowed), "%s (see %s in %s%s)", what,
                   first->path, first->source, line);
    report_add(loader->report, &(struct config_issue){
                                   .severity = CONFIG_ERROR,
                                   .source = again->source,
                                   .line = again->line,
                                   .path = again->path,
                                   .found = found,
                                   .allowed = allowed,
                               });
}

/* Directories that the machine gives us, where the operator does not. */
static void
set_directories(struct loader *loader)
{
    struct config *config = loader->config;
    const struct param *runtime = param_find("runtimeDir");
    const struct param *store = param_find("store.dir");
    const char *given = loader_variable(loader, "RUNTIME_DIRECTORY");
    const char *suffix = "";
    char path[256];

    if (given == NULL) {
        given = loader_variable(loader, "XDG_RUNTIME_DIR");
        suffix = "/redial";
    }
    if (given != NULL && given[0] == '/' &&
        param_is_initial_text(runtime, config)) {
        int len = snprintf(path, sizeof(path), "%s%s", given, suffix);

        if (len > 0 && (uint64_t)len <= runtime->max) {
            config->runtime_dir = config_arena_text(config->arena, path,
                                                    (size_t)len);
        }
    }
    given = loader_variable(loader, "STATE_DIRECTORY");
    if (given != NULL && given[0] == '/' && strlen(given) <= store->max &&
        param_is_initial_text(store, config)) {
        config->store_dir = config_arena_text(config->arena, given,
                                              strlen(given));
    }
}

static void
read_all(struct loader *loader)
{
    if (!loader->sources->no_files) {
        loader_add_files(loader);
    }
    if (loader->sources->environment != NULL) {
        loader_add_environment(loader);
    }
    loader_add_sets(loader);
    set_directories(loader);
    loader_read_listeners(loader);
    loader_read_plugins(loader);
    loader_read_policies(loader);
    loader_read_targets(loader);
    loader_read_tenants(loader);
    loader_check(loader);
}

static void
free_layers(struct loader *loader)
{
    struct layer *layer = loader->layers;

    while (layer != NULL) {
        struct layer *next = layer->next;

        document_free(layer->document);
        free(layer);
        layer = next;
    }
}

static struct config *
create_config(void)
{
    struct config *config = calloc(1, sizeof(*config));

    if (config == NULL) {
        return NULL;
    }
    config->arena = config_arena_create();
    if (config->arena == NULL) {
        free(config);
        return NULL;
    }
    param_set_initial(config);
    return config;
}

enum redial_status
config_load(const struct config_sources *sources, struct config **ret_config,
            struct config_report *report)
{
    struct loader loader = {
        .sources = sources,
        .report = report,
        .config = create_config(),
    };
    size_t errors_before = report->errors;
    enum redial_status status = REDIAL_OK;

    if (loader.config == NULL) {
        return REDIAL_RESOURCE_EXHAUSTED;
    }
    loader.config->policy.version = sources->policy_version;
    read_all(&loader);
    if (loader.no_memory || config_arena_failed(loader.config->arena)) {
        status = REDIAL_RESOURCE_EXHAUSTED;
    } else if (loader.not_found) {
        status = REDIAL_NOT_FOUND;
    } else if (report->errors > errors_before) {
        status = REDIAL_INVALID_ARGUMENT;
    }
    free_layers(&loader);
    free(loader.rules.at);
    if (status != REDIAL_OK) {
        config_free(loader.config);
        return status;
    }
    *ret_config = loader.config;
    return REDIAL_OK;
}

void
config_free(struct config *config)
{
    if (config == NULL) {
        return;
    }
    config_arena_free(config->arena);
    free(config);
}

enum redial_status
config_check(const struct config_sources *sources, struct config_report *report)
{
    struct config *config = NULL;
    enum redial_status status = config_load(sources, &config, report);

    config_free(config);
    return status;
}

const struct policy_set *
config_policy(const struct config *config)
{
    return &config->policy;
}
