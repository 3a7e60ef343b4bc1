/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/conformance/config/rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const verdicts[VERDICTS] = {
    "covered",
    "different",
    "inapplicable",
};

void
rows_die(const struct rows *rows, const char *text)
{
    (void)fprintf(stderr, "%s:%u: %s\n", rows->path, rows->line, text);
    exit(2);
}

/* The next word of the line, terminated; the rest begins at *line. */
static char *
next_word(char **line)
{
    char *word = *line + strspn(*line, " ");
    size_t len = strcspn(word, " ");

    *line = word + len;
    if (**line != '\0') {
        *(*line)++ = '\0';
    }
    return word;
}

static void
copy(const struct rows *rows, char *to, size_t size, const char *from)
{
    if ((size_t)snprintf(to, size, "%s", from) >= size) {
        rows_die(rows, "too long");
    }
}

/* ---- Rows -----------------------------------------------------------------
 */

void
rows_end(struct rows *rows)
{
    check_end(rows);
    if (rows->count == 0) {
        return;
    }
    if (!rows->has_source) {
        rows_die(rows, "the row above names no source");
    }
    if (rows->has_why != (rows->verdict != COVERED)) {
        rows_die(rows, "the row above says why where it should not, or not");
    }
    if ((rows->checks == 0) != (rows->verdict == INAPPLICABLE)) {
        rows_die(rows, "the row above checks what does not apply, or nothing");
    }
    rows->counts[rows->verdict]++;
    rows->failed_rows += rows->failures > 0;
    (void)printf("%s %s: %s: %s\n", rows->failures > 0 ? "not ok" : "ok",
                 rows->ids[rows->count - 1], verdicts[rows->verdict],
                 rows->title);
}

static void
begin_row(struct rows *rows, char *line)
{
    char *id;
    const char *verdict;

    rows_end(rows);
    id = next_word(&line);
    verdict = next_word(&line);
    for (size_t i = 0; i < rows->count; i++) {
        if (strcmp(rows->ids[i], id) == 0) {
            rows_die(rows, "this row is there twice");
        }
    }
    if (rows->count == ROWS_MAX) {
        rows_die(rows, "too many rows");
    }
    copy(rows, rows->ids[rows->count++], ROWS_ID_BYTES, id);
    copy(rows, rows->title, sizeof(rows->title), line);
    for (unsigned i = 0; i <= VERDICTS; i++) {
        if (i == VERDICTS) {
            rows_die(rows, "covered, different or inapplicable");
        }
        if (strcmp(verdicts[i], verdict) == 0) {
            rows->verdict = (enum verdict)i;
            break;
        }
    }
    rows->has_source = false;
    rows->has_why = false;
    rows->checks = 0;
    rows->failures = 0;
    rows->base = NULL;
}

static void
add_base(struct rows *rows, char *line)
{
    struct base *base = &rows->bases[rows->base_count++];

    if (rows->base_count == ROWS_BASES_MAX) {
        rows_die(rows, "too many bases");
    }
    copy(rows, base->name, sizeof(base->name), next_word(&line));
    const char *subject = next_word(&line);

    copy(rows, base->subject, sizeof(base->subject),
         strcmp(subject, ".") == 0 ? "" : subject);
    copy(rows, base->json, sizeof(base->json), line);
}

/* ---- Cases ----------------------------------------------------------------
 */

static void
begin_case(struct rows *rows, char *line)
{
    const char *name = next_word(&line);

    check_end(rows);
    for (size_t i = 0; i < rows->base_count; i++) {
        if (strcmp(rows->bases[i].name, name) == 0) {
            rows->base = &rows->bases[i];
            rows->tree = cJSON_Parse(rows->base->json);
            if (rows->tree == NULL) {
                rows_die(rows, "this base is no JSON");
            }
            return;
        }
    }
    rows_die(rows, "no such base");
}

/* One step of a path: "name" or "[1]". Empty: there is none. */
static void
next_step(const char **path, char step[ROWS_PATH_BYTES])
{
    size_t len;

    *path += **path == '.';
    len = **path == '[' ? strcspn(*path, "]") + 1 : strcspn(*path, ".[");
    (void)snprintf(step, ROWS_PATH_BYTES, "%.*s", (int)len, *path);
    *path += len;
}

static cJSON *
child_of(cJSON *parent, const char *step)
{
    return step[0] == '['
               ? cJSON_GetArrayItem(parent, (int)strtol(step + 1, NULL, 10))
               : cJSON_GetObjectItemCaseSensitive(parent, step);
}

/* The object or array that holds the path's last step. */
static cJSON *
find_parent(const struct rows *rows, const char *path,
            char last[ROWS_PATH_BYTES])
{
    char whole[2 * ROWS_PATH_BYTES];
    const char *at = whole;
    cJSON *node = rows->tree;
    char step[ROWS_PATH_BYTES];

    if (strncmp(path, "$.", 2) == 0) {
        (void)snprintf(whole, sizeof(whole), "%s", path + 2);
    } else {
        (void)snprintf(whole, sizeof(whole), "%s%s%s", rows->base->subject,
                       path[0] == '[' || path[0] == '.' ? "" : ".",
                       path[0] == '.' ? "" : path);
    }
    next_step(&at, last);
    while (*at != '\0') {
        node = child_of(node, last);
        next_step(&at, step);
        copy(rows, last, ROWS_PATH_BYTES, step);
        if (node == NULL) {
            rows_die(rows, "this path is not in the base");
        }
    }
    return node;
}

/* set PATH JSON, or drop PATH */
static void
change(struct rows *rows, char *line, bool set)
{
    const char *path = next_word(&line);
    char last[ROWS_PATH_BYTES];

    if (rows->tree == NULL || rows->base == NULL) {
        rows_die(rows, "no case");
    }
    cJSON *parent = find_parent(rows, path, last);
    cJSON *child = child_of(parent, last);

    if (!set) {
        if (child == NULL) {
            rows_die(rows, "nothing to drop");
        }
        cJSON_Delete(cJSON_DetachItemViaPointer(parent, child));
        return;
    }
    cJSON *raw = cJSON_CreateRaw(line);

    if (child != NULL) {
        raw->string = child->string == NULL ? NULL : strdup(child->string);
        (void)cJSON_ReplaceItemViaPointer(parent, child, raw);
    } else if (last[0] == '[' || !cJSON_AddItemToObject(parent, last, raw)) {
        rows_die(rows, "cannot be set");
    }
}

/* A case is over and may not change any more. */
static void
finish_case(struct rows *rows, bool refused, char *paths)
{
    if (rows->tree == NULL || rows->config != NULL || rows->report.count > 0) {
        rows_die(rows, "no case, or one that is over");
    }
    check_load(rows, refused, paths);
}

void
rows_take(struct rows *rows, char *line)
{
    const char *verb = next_word(&line);

    rows->line++;
    if (verb[0] == '\0' || verb[0] == '#') {
        return;
    }
    if (strcmp(verb, "base") == 0) {
        add_base(rows, line);
    } else if (strcmp(verb, "row") == 0) {
        begin_row(rows, line);
    } else if (strcmp(verb, "source") == 0) {
        rows->has_source = line[0] != '\0';
    } else if (strcmp(verb, "why") == 0) {
        rows->has_why = line[0] != '\0';
    } else if (strcmp(verb, "case") == 0) {
        begin_case(rows, line);
    } else if (strcmp(verb, "set") == 0 || strcmp(verb, "drop") == 0) {
        change(rows, line, verb[0] == 's');
    } else if (strcmp(verb, "text") == 0) {
        rows->text = strdup(line);
    } else if (strcmp(verb, "valid") == 0 || strcmp(verb, "warned") == 0 ||
               strcmp(verb, "invalid") == 0) {
        if ((line[0] == '\0') != (verb[0] == 'v')) {
            rows_die(rows, "paths where there are none, or none at all");
        }
        finish_case(rows, verb[0] == 'i', line);
    } else if (strcmp(verb, "value") == 0) {
        check_value(rows, line);
    } else if (strcmp(verb, "duration") == 0) {
        check_duration(rows, line);
    } else {
        rows_die(rows, "no such word");
    }
}
