/* SPDX-License-Identifier: Apache-2.0 */
#include "server/plugins/host/plugin_file.h"

#include <dlfcn.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What version 1 of the table had; a smaller one cannot be used. */
#define TABLE_V1_BYTES \
    (offsetof(struct redial_plugin, close) + sizeof(void (*)(void)))

static bool
find(const char *plugin, const char *folder, char ret_path[PATH_MAX])
{
    int len = 0;
    if (strchr(plugin, '/') != NULL) {
        len = snprintf(ret_path, PATH_MAX, "%s", plugin);
    } else if (folder != NULL) {
        len = snprintf(ret_path, PATH_MAX, "%s/%s.so", folder, plugin);
    } else {
        char self[PATH_MAX];
        ssize_t self_len = readlink("/proc/self/exe", self, sizeof(self) - 1);
        if (self_len <= 0) {
            return false;
        }
        self[self_len] = '\0';
        char *slash = strrchr(self, '/');
        int folder_len = slash == NULL ? 0 : (int)(slash - self);
        len = snprintf(ret_path, PATH_MAX, "%.*s/%s/%s.so", folder_len, self,
                       REDIAL_PLUGIN_FOLDER, plugin);
    }
    return len > 0 && len < PATH_MAX;
}

static bool
is_name(const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; i < len; i++) {
        if (name[i] <= ' ' || name[i] > '~') {
            return false;
        }
    }
    return len >= 1 && len <= 128;
}

bool
plugin_file_check(const struct redial_plugin *table, char *error,
                  size_t error_size)
{
    if (table == NULL) {
        snprintf(error, error_size, "redial_plugin_v1() returned nothing");
        return false;
    }
    if (table->struct_size < TABLE_V1_BYTES) {
        snprintf(error, error_size,
                 "its table has %u bytes, version 1 of the plugin ABI has %zu",
                 table->struct_size, TABLE_V1_BYTES);
        return false;
    }
    if (table->abi != REDIAL_PLUGIN_ABI) {
        snprintf(error, error_size,
                 "it speaks version %u of the plugin ABI, this host version "
                 "%d",
                 table->abi, REDIAL_PLUGIN_ABI);
        return false;
    }
    if (table->open == NULL || table->invoke == NULL || table->close == NULL) {
        snprintf(error, error_size, "open, invoke or close is missing");
        return false;
    }
    if (table->name == NULL || !is_name(table->name)) {
        snprintf(error, error_size, "it has no proper name");
        return false;
    }
    return true;
}

bool
plugin_file_load(const char *plugin, const char *folder,
                 const struct redial_plugin **ret_table, char *error,
                 size_t error_size)
{
    char path[PATH_MAX];
    if (!find(plugin, folder, path)) {
        snprintf(error, error_size, "%s: cannot tell where that is", plugin);
        return false;
    }
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        snprintf(error, error_size, "%s", dlerror());
        return false;
    }
    const struct redial_plugin *(*entry)(void) = NULL;
    *(void **)(void *)&entry = dlsym(library, "redial_plugin_v1");
    if (entry == NULL) {
        snprintf(error, error_size,
                 "%s: is no plugin: it does not export redial_plugin_v1", path);
        return false;
    }
    const struct redial_plugin *table = entry();
    char why[256];
    if (!plugin_file_check(table, why, sizeof(why))) {
        snprintf(error, error_size, "%s: %s", path, why);
        return false;
    }
    *ret_table = table;
    return true;
}
