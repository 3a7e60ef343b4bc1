/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/config/fixture.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATH_BYTES = 512 };

static char root[PATH_BYTES];

const char *
folder(void)
{
    if (root[0] == '\0') {
        const char *base = getenv("TMPDIR");

        (void)snprintf(root, sizeof(root), "%s/redial-config-XXXXXX",
                       base == NULL ? "/tmp" : base);
        assert_non_null(mkdtemp(root));
    }
    return root;
}

const char *
folder_path(const char *name)
{
    static char paths[4][PATH_BYTES * 2];
    static size_t next;
    char *path = paths[next++ % 4];

    (void)snprintf(path, sizeof(paths[0]), "%s/%s", folder(), name);
    return path;
}

void
folder_write(const char *name, const char *text)
{
    if (strncmp(name, "conf.d/", 7) == 0) {
        int made = mkdir(folder_path("conf.d"), 0700);

        assert_true(made == 0 || errno == EEXIST);
    }
    FILE *file = fopen(folder_path(name), "w");

    assert_non_null(file);
    for (; *text != '\0'; text++) {
        (void)fputc(*text == '\'' ? '"' : *text, file);
    }
    assert_int_equal(fclose(file), 0);
}

void
folder_remove(const char *name)
{
    (void)unlink(folder_path(name));
}

/* Removes the files in a folder, and the folder. */
static void
remove_folder(const char *path)
{
    DIR *directory = opendir(path);
    const struct dirent *entry;

    if (directory == NULL) {
        return;
    }
    while ((entry = readdir(directory)) != NULL) {
        char file[PATH_BYTES * 2];

        (void)snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
        if (entry->d_name[0] != '.') {
            (void)unlink(file);
        }
    }
    (void)closedir(directory);
    (void)rmdir(path);
}

int
folder_fini(void **state)
{
    (void)state;
    if (root[0] != '\0') {
        remove_folder(folder_path("conf.d"));
        remove_folder(root);
    }
    return 0;
}

void
load_sources(struct loaded *loaded, const struct config_sources *sources)
{
    *loaded = (struct loaded){0};
    bytes_init(&loaded->text, CONFIG_TEXT_BYTES_MAX);
    loaded->status = config_load(sources, &loaded->config, &loaded->report);
    assert_int_equal(loaded->config != NULL, loaded->status == REDIAL_OK);
}

void
load_text(struct loaded *loaded, const char *text)
{
    folder_write("redial.json", text);
    load_sources(loaded, &(struct config_sources){
                             .file = folder_path("redial.json"),
                             .fragments = NULL,
                         });
}

void
loaded_fini(struct loaded *loaded)
{
    config_free(loaded->config);
    config_report_fini(&loaded->report);
    bytes_fini(&loaded->text);
}

static void
append(struct loaded *loaded, const char *text)
{
    assert_true(bytes_append(&loaded->text, text, strlen(text)));
}

const char *
loaded_issues(struct loaded *loaded, const char *prefix)
{
    size_t len = strlen(prefix);

    bytes_clear(&loaded->text);
    for (size_t i = 0; i < loaded->report.count; i++) {
        const struct config_issue *issue = &loaded->report.issues[i];
        const char *path = issue->path;

        if (len > 0 && strncmp(path, prefix, len) == 0) {
            path += len + (path[len] == '.');
        }
        append(loaded, i == 0 ? "" : " ");
        append(loaded, issue->severity == CONFIG_ERROR ? "!" : "?");
        append(loaded, path);
    }
    assert_true(bytes_append_byte(&loaded->text, 0));
    return (const char *)loaded->text.at;
}

const char *
loaded_report(struct loaded *loaded)
{
    char *at;
    size_t len = strlen(folder()) + 1;

    bytes_clear(&loaded->text);
    config_report_print(&loaded->report, &loaded->text);
    assert_true(bytes_append_byte(&loaded->text, 0));
    at = (char *)loaded->text.at;
    while ((at = strstr(at, folder())) != NULL) {
        memmove(at, at + len, strlen(at + len) + 1);
    }
    return (const char *)loaded->text.at;
}

const char *
loaded_print(struct loaded *loaded)
{
    bytes_clear(&loaded->text);
    config_print(loaded->config, &loaded->text);
    assert_true(bytes_append_byte(&loaded->text, 0));
    return (const char *)loaded->text.at;
}

static bool
vector_holds(const struct vector *vector, const struct frame *frame)
{
    bool refused = strchr(vector->issues, '!') != NULL;
    enum redial_status expected = refused ? REDIAL_INVALID_ARGUMENT : REDIAL_OK;
    struct loaded loaded;
    char text[4096];

    (void)snprintf(text, sizeof(text), "%s%s%s", frame->before, vector->text,
                   frame->after);
    load_text(&loaded, text);
    const char *issues = loaded_issues(&loaded, frame->path);
    bool good = strcmp(issues, vector->issues) == 0 &&
                loaded.status == expected;

    if (!good) {
        print_error("%s: expected <%s>, got status %d <%s>\n", vector->id,
                    vector->issues, (int)loaded.status, issues);
    }
    loaded_fini(&loaded);
    return good;
}

void
vectors_run(const struct vector *vectors, size_t count,
            const struct frame *frame)
{
    size_t failed = 0;

    for (size_t i = 0; i < count; i++) {
        failed += !vector_holds(&vectors[i], frame);
    }
    assert_int_equal(failed, 0);
}
