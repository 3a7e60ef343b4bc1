/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds and loads a plugin, and refuses what this host cannot run.
 */
#ifndef REDIAL_SERVER_PLUGINS_HOST_PLUGIN_FILE_H
#define REDIAL_SERVER_PLUGINS_HOST_PLUGIN_FILE_H

#include <redial/plugin.h>

#include <stdbool.h>

/*
 * Loads `plugin`: a file if there is a '/' in it, otherwise
 * <folder>/<plugin>.so (folder NULL: REDIAL_PLUGIN_FOLDER, relative to this
 * program). The table lives as long as the process: nothing is ever unloaded.
 * On false `error` says why.
 */
bool
plugin_file_load(const char *plugin, const char *folder,
                 const struct redial_plugin **ret_table, char *error,
                 size_t error_size);

/* Whether a table can be used. */
bool
plugin_file_check(const struct redial_plugin *table, char *error,
                  size_t error_size);

#endif
