/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sources of a configuration. Variables and flags are turned into small
 * documents, {"limits": {"jobsMax": 5}}, so that one reader serves them all.
 */
#include "server/config/json_out.h"
#include "server/config/loader.h"
#include "server/config/report.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    PATH_BYTES = 4096,
    ENTRY_BYTES = 256, /* a file's name in a directory */
};

/* ---- Files ----------------------------------------------------------------
 */

static void
report_source(struct loader *loader, const char *source, const char *problem)
{
    report_add(loader->report, &(struct config_issue){
                                   .severity = CONFIG_ERROR,
                                   .source = source,
                                   .path = "",
                                   .found = "",
                                   .allowed = problem,
                               });
}

static void
report_unreadable(struct loader *loader, const char *path, int error)
{
    char problem[160];

    (void)snprintf(problem, sizeof(problem), "cannot be read: %s",
                   strerror(error));
    report_source(loader, path, problem);
    loader->not_found = true;
}

/* Reads up to `size` bytes. Returns 0 or an errno. */
static int
read_whole(int fd, char *buf, size_t size, size_t *ret_len)
{
    size_t len = 0;

    while (len < size) {
        ssize_t got = read(fd, buf + len, size - len);

        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return errno;
        }
        if (got == 0) {
            break;
        }
        len += (size_t)got;
    }
    *ret_len = len;
    return 0;
}

static void
add_open_file(struct loader *loader, const char *path, int fd)
{
    size_t size = CONFIG_FILE_BYTES_MAX + 1;
    size_t len = 0;
    char *text = malloc(size);

    if (text == NULL) {
        loader->no_memory = true;
        return;
    }
    int error = read_whole(fd, text, size, &len);

    if (error != 0) {
        report_unreadable(loader, path, error);
    } else if (len == size) {
        report_source(loader, path, "longer than 1 MiB");
    } else {
        loader_add(loader, path, true, text, len);
        return;
    }
    free(text);
}

/* A file that need not exist is passed over when it does not. */
static void
add_file(struct loader *loader, const char *path, bool optional)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

    if (fd < 0) {
        if (!optional || (errno != ENOENT && errno != ENOTDIR)) {
            report_unreadable(loader, path, errno);
        }
        return;
    }
    add_open_file(loader, path, fd);
    (void)close(fd);
}

static bool
is_fragment(const char *name)
{
    size_t len = strlen(name);

    return name[0] != '.' && len > 5 && len < ENTRY_BYTES &&
           strcmp(name + len - 5, ".json") == 0;
}

static int
compare_entries(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* The names of the fragments in order; returns how many there are. */
static size_t
list_fragments(DIR *directory, char (*names)[ENTRY_BYTES], size_t names_max)
{
    size_t count = 0;
    const struct dirent *entry;

    while ((entry = readdir(directory)) != NULL) {
        if (!is_fragment(entry->d_name)) {
            continue;
        }
        if (count < names_max) {
            (void)snprintf(names[count], ENTRY_BYTES, "%s", entry->d_name);
        }
        count++;
    }
    qsort(names, count < names_max ? count : names_max, ENTRY_BYTES,
          compare_entries);
    return count;
}

static void
add_fragments(struct loader *loader, const char *path, bool optional)
{
    DIR *directory = opendir(path);

    if (directory == NULL) {
        if (!optional || (errno != ENOENT && errno != ENOTDIR)) {
            report_unreadable(loader, path, errno);
        }
        return;
    }
    char(*names)[ENTRY_BYTES] = calloc(CONFIG_FRAGMENTS_MAX, ENTRY_BYTES);

    if (names == NULL) {
        loader->no_memory = true;
        (void)closedir(directory);
        return;
    }
    size_t count = list_fragments(directory, names, CONFIG_FRAGMENTS_MAX);

    (void)closedir(directory);
    if (count > CONFIG_FRAGMENTS_MAX) {
        report_source(loader, path, "more than 256 fragments");
        count = 0;
    }
    for (size_t i = 0; i < count; i++) {
        char file[PATH_BYTES];

        if (snprintf(file, sizeof(file), "%s/%s", path, names[i]) <
            (int)sizeof(file)) {
            add_file(loader, file, false);
        } else {
            report_source(loader, path, "its name is too long");
        }
    }
    free(names);
}

void
loader_add_files(struct loader *loader)
{
    const char *file = loader->sources->file;
    const char *fragments = loader->sources->fragments;
    bool file_given = file != NULL;
    char path[PATH_BYTES];

    if (!file_given) {
        file = CONFIG_FILE_DEFAULT;
    }
    add_file(loader, file, !file_given);
    if (fragments != NULL) {
        add_fragments(loader, fragments, false);
        return;
    }
    const char *slash = strrchr(file, '/');
    int folder = slash == NULL ? 0 : (int)(slash - file) + 1;

    if (snprintf(path, sizeof(path), "%.*sconf.d", folder, file) <
        (int)sizeof(path)) {
        add_fragments(loader, path, true);
    }
}

/* ---- Texts ----------------------------------------------------------------
 */

/* Whether the text alone is one JSON value. */
static bool
is_json(const char *text)
{
    struct config_report unused = {0};
    struct document *document = NULL;
    char *copy = strdup(text);
    bool good = copy != NULL &&
                document_create("", false, copy, strlen(copy), &unused,
                                &document) == REDIAL_OK &&
                document->root != NULL;

    document_free(document);
    config_report_fini(&unused);
    return good;
}

static bool
is_digits(const char *text)
{
    return text[0] != '\0' && text[strspn(text, "0123456789")] == '\0';
}

/* "ABORTED, 14" as ["ABORTED",14]. */
static void
print_list(struct bytes *out, const char *text)
{
    const char *between = "[";

    for (;;) {
        text += strspn(text, ", ");
        size_t len = strcspn(text, ", ");

        if (len == 0) {
            break;
        }
        (void)bytes_append_byte(out, (uint8_t)between[0]);
        between = ",";
        if (strspn(text, "0123456789") >= len) {
            json_text_raw(out, text, len);
        } else {
            json_text_string(out, text, len);
        }
        text += len;
    }
    json_text_raw(out, "[]", between[0] == '[' ? 2 : 0);
    json_text_raw(out, "]", between[0] == '[' ? 0 : 1);
}

/* Appends a value that was given as plain text as JSON. */
static void
print_value(struct bytes *out, const struct param *param, const char *text)
{
    size_t len = strlen(text);
    bool quote = param != NULL && param_is_text(param);

    if (param != NULL && param->type == PARAM_TYPE_CODES && text[0] != '[') {
        print_list(out, text);
        return;
    }
    if (param != NULL && param->type == PARAM_TYPE_BYTES) {
        quote = !is_digits(text);
    }
    if (quote || !is_json(text)) {
        json_text_string(out, text, len);
    } else {
        json_text_raw(out, text, len);
    }
}

/* Adds the layer {"group": {"leaf": value}}. */
static void
add_text(struct loader *loader, const char *source, const char *path,
         const char *value)
{
    const char *dot = strchr(path, '.');
    struct bytes out;

    bytes_init(&out, 4 * CONFIG_FILE_BYTES_MAX);
    if (strlen(value) + strlen(path) > CONFIG_FILE_BYTES_MAX) {
        report_source(loader, source, "longer than 1 MiB");
        return;
    }
    (void)bytes_append_byte(&out, '{');
    if (dot != NULL) {
        json_text_string(&out, path, (size_t)(dot - path));
        json_text_raw(&out, ":{", 2);
    }
    const char *leaf = dot == NULL ? path : dot + 1;

    json_text_string(&out, leaf, strlen(leaf));
    (void)bytes_append_byte(&out, ':');
    print_value(&out, param_find(path), value);
    json_text_raw(&out, "}}", dot == NULL ? 1 : 2);
    if (out.failed) {
        loader->no_memory = true;
        bytes_fini(&out);
        return;
    }
    loader_add(loader, source, false, (char *)out.at, out.len);
}

const char *
loader_variable(const struct loader *loader, const char *name)
{
    char *const *environment = loader->sources->environment;
    size_t len = strlen(name);

    for (; environment != NULL && *environment != NULL; environment++) {
        if (strncmp(*environment, name, len) == 0 &&
            (*environment)[len] == '=') {
            const char *value = *environment + len + 1;

            return value[0] == '\0' ? NULL : value;
        }
    }
    return NULL;
}

/* Fields with structure that a variable can hold, as JSON. */
static const enum field json_fields[] = {
    FIELD_ROOT_LISTENERS,        FIELD_ROOT_PLUGINS, FIELD_ROOT_METHOD_CONFIG,
    FIELD_ROOT_RETRY_THROTTLING, FIELD_ROOT_BUDGET,  FIELD_ROOT_TARGETS,
    FIELD_ROOT_TENANTS,
};

enum {
    JSON_FIELDS = sizeof(json_fields) / sizeof(json_fields[0]),
    VARIABLES = PARAM_COUNT + JSON_FIELDS,
};

/* The path of the nth thing that a variable can set. */
static const char *
variable_path(size_t index)
{
    return index < PARAM_COUNT
               ? param_table[index].path
               : field_table[json_fields[index - PARAM_COUNT]].name;
}

/* Warns of REDIAL_ variables that are nearly, but not quite, a parameter's. */
static void
warn_near_misses(struct loader *loader, char (*names)[PARAM_ENVIRONMENT_BYTES])
{
    const char *known[VARIABLES];

    for (size_t i = 0; i < VARIABLES; i++) {
        known[i] = names[i] + strlen("REDIAL_");
    }
    for (char *const *at = loader->sources->environment; *at != NULL; at++) {
        char name[PARAM_ENVIRONMENT_BYTES];
        size_t len = strcspn(*at, "=");

        if (strncmp(*at, "REDIAL_", 7) != 0 || len >= sizeof(name)) {
            continue;
        }
        (void)snprintf(name, sizeof(name), "%.*s", (int)len, *at);
        const char *nearest = report_nearest(name + 7, 2, known, VARIABLES);
        char text[2 * PARAM_ENVIRONMENT_BYTES];

        if (nearest == NULL || strcmp(nearest, name + 7) == 0) {
            continue;
        }
        (void)snprintf(text, sizeof(text), "ignored; did you mean REDIAL_%s?",
                       nearest);
        report_add(loader->report, &(struct config_issue){
                                       .severity = CONFIG_WARNING,
                                       .source = name,
                                       .path = "",
                                       .found = "an unknown variable",
                                       .allowed = text,
                                   });
    }
}

void
loader_add_environment(struct loader *loader)
{
    char names[VARIABLES][PARAM_ENVIRONMENT_BYTES];

    for (size_t i = 0; i < VARIABLES; i++) {
        const char *path = variable_path(i);

        param_environment(path, names[i]);
        const char *value = loader_variable(loader, names[i]);

        if (value != NULL) {
            add_text(loader, names[i], path, value);
        }
    }
    warn_near_misses(loader, names);
}

void
loader_add_sets(struct loader *loader)
{
    for (size_t i = 0; i < loader->sources->set_count; i++) {
        const char *set = loader->sources->sets[i];
        const char *equals = strchr(set, '=');
        char source[SPOT_PATH_BYTES];
        char path[SPOT_PATH_BYTES];
        size_t len = equals == NULL ? strlen(set) : (size_t)(equals - set);

        if (len >= sizeof(path) - 8) {
            len = sizeof(path) - 8;
        }
        (void)snprintf(path, sizeof(path), "%.*s", (int)len, set);
        (void)snprintf(source, sizeof(source), "--set %.*s", (int)len, set);
        if (equals == NULL) {
            report_source(loader, source, "without a value: path=value");
        } else {
            add_text(loader, source, path, equals + 1);
        }
    }
}
