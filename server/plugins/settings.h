/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plugin's configuration: a JSON object read into a structure by a table of
 * fields. Strict: an unknown field, a field given twice, a wrong type, a value
 * out of range is an error that names the path, what was found and what is
 * allowed. All errors are reported at once.
 *
 *     struct echo { bool loud; int64_t limit; char *greeting; };
 *     static const struct setting fields[] = {
 *         {"loud", SETTING_BOOL, offsetof(struct echo, loud)},
 *         {"limit", SETTING_INTEGER, offsetof(struct echo, limit), 1, 100},
 *         {"greeting", SETTING_TEXT, offsetof(struct echo, greeting)},
 *     };
 *     static const struct setting_table table = {fields, 3};
 *
 * The structure's values from before stay where the JSON says nothing: fill in
 * the defaults first (texts by settings_text()), then read, and
 * settings_clear() in the end, also after a failure.
 */
#ifndef REDIAL_SERVER_PLUGINS_SETTINGS_H
#define REDIAL_SERVER_PLUGINS_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum setting_type {
    SETTING_BOOL,    /* bool */
    SETTING_INTEGER, /* int64_t, min..max */
    SETTING_NUMBER,  /* double, min..max */
    SETTING_TEXT,    /* char *, owned; NULL: not given */
    SETTING_LIST,    /* struct setting_list: an array of texts */
    SETTING_MAP,     /* struct setting_map: an object of texts */
    SETTING_GROUP,   /* an object with fields of its own: `group`, whose
                        offsets count from the same structure */
};

struct setting_table;

struct setting {
    const char *name;
    enum setting_type type;
    size_t offset;
    int64_t min; /* integers and numbers; lists and maps: how many entries */
    int64_t max;
    const struct setting_table *group;
};

struct setting_table {
    const struct setting *fields;
    size_t count;
};

struct setting_list {
    char **items; /* ends with NULL; NULL: not given */
    uint32_t count;
};

struct setting_map {
    char **keys;
    char **values;
    uint32_t count;
};

/* Where sentences about errors are collected, separated by "; ". */
struct setting_error {
    char *text; /* ends with NUL */
    size_t size;
    size_t len;
};

/* Appends a sentence; what does not fit is cut. */
__attribute__((format(printf, 2, 3))) void
settings_complain(struct setting_error *error, const char *format, ...);

/*
 * Reads a JSON object into `values`. Returns whether there was no error, and
 * otherwise has appended them; values that were in order are set even so.
 */
bool
settings_read(const struct setting_table *table, const char *json, size_t len,
              void *values, struct setting_error *error);

/* Replaces the text at `where` by a copy. Returns false without memory. */
bool
settings_text(char **where, const char *text);

/* Frees texts, lists and maps. */
void
settings_clear(const struct setting_table *table, void *values);

/* The one of `names` (NULL at the end) that is nearest to a misspelt one. */
const char *
settings_nearest(const char *name, const char *const *names);

#endif
