/* SPDX-License-Identifier: Apache-2.0 */
#include "server/plugins/settings.h"

#include "server/base/check.h"

#include <cjson/cJSON.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PATH_BYTES = 128,
    NAMES_MAX = 64, /* fields of one table */
    /* Names further apart than this are no misspellings. */
    NAME_DISTANCE_MAX = 3,
    NAME_BYTES_MAX = 63, /* for measuring distances */
};

struct reader {
    struct setting_error *error;
    char *values;
    char path[PATH_BYTES];
    bool good;
};

void
settings_complain(struct setting_error *error, const char *format, ...)
{
    if (error->len > 0 && error->len + 3 < error->size) {
        memcpy(error->text + error->len, "; ", 3);
        error->len += 2;
    }
    va_list args;
    va_start(args, format);
    int len = vsnprintf(error->text + error->len, error->size - error->len,
                        format, args);
    va_end(args);
    if (len > 0) {
        size_t left = error->size - error->len - 1;
        error->len += (size_t)len < left ? (size_t)len : left;
    }
}

/* Levenshtein's distance of two short names; long ones are cut. */
static unsigned
name_distance(const char *a, const char *b)
{
    size_t b_len = strnlen(b, NAME_BYTES_MAX);
    unsigned row[NAME_BYTES_MAX + 1];
    for (size_t j = 0; j <= b_len; j++) {
        row[j] = (unsigned)j;
    }
    for (size_t i = 0; i < NAME_BYTES_MAX && a[i] != '\0'; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i + 1;
        for (size_t j = 0; j < b_len; j++) {
            unsigned above = row[j + 1];
            unsigned best = diagonal + (a[i] != b[j] ? 1 : 0);
            best = above + 1 < best ? above + 1 : best;
            best = row[j] + 1 < best ? row[j] + 1 : best;
            diagonal = above;
            row[j + 1] = best;
        }
    }
    return row[b_len];
}

const char *
settings_nearest(const char *name, const char *const *names)
{
    const char *nearest = NULL;
    unsigned distance = NAME_DISTANCE_MAX + 1;
    for (size_t i = 0; names[i] != NULL; i++) {
        unsigned at = name_distance(name, names[i]);
        if (at < distance) {
            distance = at;
            nearest = names[i];
        }
    }
    return nearest;
}

bool
settings_text(char **where, const char *text)
{
    char *copy = strdup(text);
    if (copy == NULL) {
        return false;
    }
    free(*where);
    *where = copy;
    return true;
}

static void
free_texts(char **texts, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        free(texts[i]);
    }
    free(texts);
}

static void
clear_list(struct setting_list *list)
{
    free_texts(list->items, list->count);
    *list = (struct setting_list){NULL, 0};
}

static void
clear_map(struct setting_map *map)
{
    free_texts(map->keys, map->count);
    free_texts(map->values, map->count);
    *map = (struct setting_map){NULL, NULL, 0};
}

static const char *
kind_of(const cJSON *item)
{
    if (cJSON_IsString(item)) {
        return "a text";
    }
    if (cJSON_IsNumber(item)) {
        return "a number";
    }
    if (cJSON_IsBool(item)) {
        return "true or false";
    }
    if (cJSON_IsArray(item)) {
        return "a list";
    }
    return cJSON_IsObject(item) ? "an object" : "null";
}

static void
complain_kind(struct reader *reader, const char *name, const cJSON *item,
              const char *wanted)
{
    settings_complain(reader->error, "%s%s: found %s, must be %s", reader->path,
                      name, kind_of(item), wanted);
    reader->good = false;
}

static void
complain_memory(struct reader *reader)
{
    settings_complain(reader->error, "out of memory");
    reader->good = false;
}

/* Of those that a double holds exactly. */
static bool
is_whole(double value)
{
    return value >= -9007199254740992.0 && value <= 9007199254740992.0 &&
           value == (double)(int64_t)value;
}

static void
read_number(struct reader *reader, const struct setting *field,
            const cJSON *item)
{
    bool whole = field->type == SETTING_INTEGER;
    double value = item->valuedouble;
    if (!cJSON_IsNumber(item) || (whole && !is_whole(value))) {
        complain_kind(reader, field->name, item,
                      whole ? "a whole number" : "a number");
    } else if (!(value >= (double)field->min && value <= (double)field->max)) {
        settings_complain(reader->error,
                          "%s%s: found %.15g, must be %lld to %lld",
                          reader->path, field->name, value,
                          (long long)field->min, (long long)field->max);
        reader->good = false;
    } else if (whole) {
        *(int64_t *)(void *)(reader->values + field->offset) = (int64_t)value;
    } else {
        *(double *)(void *)(reader->values + field->offset) = value;
    }
}

static bool
check_count(struct reader *reader, const struct setting *field,
            const cJSON *item)
{
    int count = cJSON_GetArraySize(item);
    if (count >= field->min && count <= field->max) {
        return true;
    }
    settings_complain(reader->error,
                      "%s%s: found %d entries, must be %lld to %lld",
                      reader->path, field->name, count, (long long)field->min,
                      (long long)field->max);
    reader->good = false;
    return false;
}

static void
read_list(struct reader *reader, const struct setting *field, const cJSON *item)
{
    struct setting_list *list = (void *)(reader->values + field->offset);
    const cJSON *entry = NULL;
    cJSON_ArrayForEach(entry, item)
    {
        if (!cJSON_IsString(entry)) {
            complain_kind(reader, field->name, entry, "a list of texts");
            return;
        }
    }
    if (!check_count(reader, field, item)) {
        return;
    }
    clear_list(list);
    list->items = calloc((size_t)cJSON_GetArraySize(item) + 1, sizeof(char *));
    if (list->items == NULL) {
        complain_memory(reader);
        return;
    }
    cJSON_ArrayForEach(entry, item)
    {
        if (!settings_text(&list->items[list->count], entry->valuestring)) {
            complain_memory(reader);
            return;
        }
        list->count++;
    }
}

static void
read_map(struct reader *reader, const struct setting *field, const cJSON *item)
{
    struct setting_map *map = (void *)(reader->values + field->offset);
    const cJSON *entry = NULL;
    cJSON_ArrayForEach(entry, item)
    {
        if (!cJSON_IsString(entry)) {
            complain_kind(reader, field->name, entry, "an object of texts");
            return;
        }
    }
    if (!check_count(reader, field, item)) {
        return;
    }
    clear_map(map);
    size_t count = (size_t)cJSON_GetArraySize(item);
    map->keys = calloc(count + 1, sizeof(char *));
    map->values = calloc(count + 1, sizeof(char *));
    if (map->keys == NULL || map->values == NULL) {
        complain_memory(reader);
        return;
    }
    cJSON_ArrayForEach(entry, item)
    {
        /* Counted first: settings_clear() frees a half of a pair too. */
        uint32_t at = map->count++;
        if (!settings_text(&map->keys[at], entry->string) ||
            !settings_text(&map->values[at], entry->valuestring)) {
            complain_memory(reader);
            return;
        }
    }
}

/* Reads a value that is not a group. */
static void
read_value(struct reader *reader, const struct setting *field,
           const cJSON *item)
{
    char *at = reader->values + field->offset;
    switch (field->type) {
    case SETTING_BOOL:
        if (!cJSON_IsBool(item)) {
            complain_kind(reader, field->name, item, "true or false");
        } else {
            *(bool *)at = cJSON_IsTrue(item);
        }
        break;
    case SETTING_INTEGER:
    case SETTING_NUMBER:
        read_number(reader, field, item);
        break;
    case SETTING_TEXT:
        if (!cJSON_IsString(item)) {
            complain_kind(reader, field->name, item, "a text");
        } else if (!settings_text((char **)(void *)at, item->valuestring)) {
            complain_memory(reader);
        }
        break;
    case SETTING_LIST:
        if (!cJSON_IsArray(item)) {
            complain_kind(reader, field->name, item, "a list of texts");
        } else {
            read_list(reader, field, item);
        }
        break;
    case SETTING_MAP:
        if (!cJSON_IsObject(item)) {
            complain_kind(reader, field->name, item, "an object of texts");
        } else {
            read_map(reader, field, item);
        }
        break;
    case SETTING_GROUP:
        redial_unreachable();
    }
}

static void
complain_unknown(struct reader *reader, const struct setting_table *table,
                 const char *name)
{
    const char *names[NAMES_MAX + 1] = {NULL};
    redial_assert(table->count <= NAMES_MAX);
    for (size_t i = 0; i < table->count; i++) {
        names[i] = table->fields[i].name;
    }
    const char *nearest = settings_nearest(name, names);
    settings_complain(reader->error, "%s%s: unknown field%s%s%s", reader->path,
                      name, nearest == NULL ? "" : "; did you mean \"",
                      nearest == NULL ? "" : nearest,
                      nearest == NULL ? "" : "\"?");
    reader->good = false;
}

static void
read_object(struct reader *reader, const struct setting_table *table,
            const cJSON *object);

static void
read_group(struct reader *reader, const struct setting *field,
           const cJSON *item)
{
    if (!cJSON_IsObject(item)) {
        complain_kind(reader, field->name, item, "an object");
        return;
    }
    size_t len = strlen(reader->path);
    int printed = snprintf(reader->path + len, sizeof(reader->path) - len,
                           "%s.", field->name);
    redial_assert(printed > 0 && (size_t)printed < sizeof(reader->path) - len);
    read_object(reader, field->group, item);
    reader->path[len] = '\0';
}

/* As deep as the tables are nested, however deep the input is. */
static void
read_object(struct reader *reader, const struct setting_table *table,
            const cJSON *object)
{
    uint64_t seen = 0;
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, object)
    {
        size_t i = 0;
        while (i < table->count &&
               strcmp(table->fields[i].name, item->string) != 0) {
            i++;
        }
        if (i == table->count) {
            complain_unknown(reader, table, item->string);
            continue;
        }
        if ((seen >> i & 1) != 0) {
            settings_complain(reader->error, "%s%s: given twice", reader->path,
                              item->string);
            reader->good = false;
            continue;
        }
        seen |= (uint64_t)1 << i;
        if (table->fields[i].type == SETTING_GROUP) {
            read_group(reader, &table->fields[i], item);
        } else {
            read_value(reader, &table->fields[i], item);
        }
    }
}

bool
settings_read(const struct setting_table *table, const char *json, size_t len,
              void *values, struct setting_error *error)
{
    struct reader reader = {error, values, "$.", true};
    const char *end = NULL;
    cJSON *root = cJSON_ParseWithLengthOpts(json, len, &end, 0);
    while (root != NULL && end < json + len &&
           (*end == ' ' || *end == '\n' || *end == '\t' || *end == '\r')) {
        end++;
    }
    if (root == NULL || end != json + len) {
        settings_complain(error, "$: is not JSON, at byte %zu",
                          end == NULL ? (size_t)0 : (size_t)(end - json));
        reader.good = false;
    } else if (!cJSON_IsObject(root)) {
        settings_complain(error, "$: found %s, must be an object",
                          kind_of(root));
        reader.good = false;
    } else {
        read_object(&reader, table, root);
    }
    cJSON_Delete(root);
    return reader.good;
}

void
settings_clear(const struct setting_table *table, void *values)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct setting *field = &table->fields[i];
        char *at = (char *)values + field->offset;
        switch (field->type) {
        case SETTING_BOOL:
        case SETTING_INTEGER:
        case SETTING_NUMBER:
            break;
        case SETTING_TEXT:
            free(*(char **)(void *)at);
            *(char **)(void *)at = NULL;
            break;
        case SETTING_LIST:
            clear_list((void *)at);
            break;
        case SETTING_MAP:
            clear_map((void *)at);
            break;
        case SETTING_GROUP:
            settings_clear(field->group, values);
            break;
        }
    }
}
