/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of the configuration share. Texts are written with ' for ",
 * so that JSON can be read in C.
 */
#ifndef REDIAL_TESTS_UNIT_CONFIG_FIXTURE_H
#define REDIAL_TESTS_UNIT_CONFIG_FIXTURE_H

#include "server/config/config.h"

#include <stdbool.h>
#include <stddef.h>

/* One attempt to load something, and what came of it. */
struct loaded {
    struct config *config; /* NULL when refused */
    struct config_report report;
    enum redial_status status;
    struct bytes text; /* scratch of loaded_issues() and the like */
};

/* Loads the text as the only file, "redial.json" in a folder of its own. */
void
load_text(struct loaded *loaded, const char *text);

/* String literals as an environment, which nobody writes to. */
#define ENVIRONMENT(array) ((char *const *)(uintptr_t)(array))

/* Loads these sources; `environment` ends with NULL. */
void
load_sources(struct loaded *loaded, const struct config_sources *sources);

void
loaded_fini(struct loaded *loaded);

/*
 * The issues in order, "!path" for an error and "?path" for a warning, with
 * spaces between; paths lose the prefix and a dot behind it. Valid until the
 * next call.
 */
const char *
loaded_issues(struct loaded *loaded, const char *prefix);

/* The report as it is printed, with the folder's name taken out of it. */
const char *
loaded_report(struct loaded *loaded);

/* The effective configuration as JSON. */
const char *
loaded_print(struct loaded *loaded);

/* One configuration and what is said of it, as loaded_issues() does. */
struct vector {
    const char *id;
    const char *text;   /* what is put into the frame of its table */
    const char *issues; /* "!path" errors, "?path" warnings; "": all good */
};

/* What stands around the texts of a table, and the path to where they are. */
struct frame {
    const char *before;
    const char *after;
    const char *path;
};

/* Loads each; fails once at the end, after naming all that were wrong. */
void
vectors_run(const struct vector *vectors, size_t count,
            const struct frame *frame);

#define RUN_VECTORS(array, frame) \
    vectors_run(array, sizeof(array) / sizeof((array)[0]), frame)

/* A folder for files, made at the first use and emptied by folder_fini(). */
const char *
folder(void);

/* Writes a file in the folder; ' becomes ". `name` may begin with "conf.d/". */
void
folder_write(const char *name, const char *text);

/* The path of a file in the folder; valid until the next call but three. */
const char *
folder_path(const char *name);

void
folder_remove(const char *name);

/* Removes all; as a cmocka group teardown. */
int
folder_fini(void **state);

#endif
