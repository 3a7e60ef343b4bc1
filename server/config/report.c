/* SPDX-License-Identifier: Apache-2.0 */
#include "server/config/report.h"

#include "server/base/check.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FOUND_BYTES = 80,
    ALLOWED_BYTES = 1024,
    NAME_BYTES = 64, /* of names that are compared */
};

static void
count_issue(struct config_report *report, enum config_severity severity)
{
    switch (severity) {
    case CONFIG_ERROR:
        report->errors++;
        break;
    case CONFIG_WARNING:
        report->warnings++;
        break;
    case CONFIG_CHANGE:
        break;
    case CONFIG_RESTART:
        report->restarts++;
        break;
    }
}

static void
issue_free(struct config_issue *issue)
{
    /* One block holds all texts, and begins with the source's. */
    free((void *)(uintptr_t)issue->source);
}

/* Copies the issue with its texts in one block. False: no memory. */
static bool
issue_copy(const struct config_issue *issue, struct config_issue *ret_issue)
{
    const char *texts[] = {
        issue->source == NULL ? "" : issue->source,
        issue->path,
        issue->found,
        issue->allowed,
    };
    const char *copies[4];
    size_t lens[4];
    size_t total = 0;

    for (size_t i = 0; i < 4; i++) {
        lens[i] = strlen(texts[i]) + 1;
        total += lens[i];
    }
    char *block = malloc(total);

    if (block == NULL) {
        return false;
    }
    for (size_t i = 0; i < 4; i++) {
        copies[i] = memcpy(block, texts[i], lens[i]);
        block += lens[i];
    }
    *ret_issue = *issue;
    ret_issue->source = copies[0];
    ret_issue->path = copies[1];
    ret_issue->found = copies[2];
    ret_issue->allowed = copies[3];
    return true;
}

static bool
make_room(struct config_report *report)
{
    if (report->count < report->capacity) {
        return true;
    }
    size_t capacity = report->capacity == 0 ? 16 : report->capacity * 2;
    struct config_issue *issues = realloc(report->issues,
                                          capacity * sizeof(*issues));

    if (issues == NULL) {
        return false;
    }
    report->issues = issues;
    report->capacity = capacity;
    return true;
}

void
report_add(struct config_report *report, const struct config_issue *issue)
{
    count_issue(report, issue->severity);
    if (report_is_full(report) || !make_room(report) ||
        !issue_copy(issue, &report->issues[report->count])) {
        report->left_out++;
        return;
    }
    report->count++;
}

bool
report_is_full(const struct config_report *report)
{
    return report->count >= CONFIG_ISSUES_MAX;
}

static void
add_at_spot(struct config_report *report, enum config_severity severity,
            const struct spot *spot, const char *allowed)
{
    char path[SPOT_PATH_BYTES];
    char found[FOUND_BYTES];

    spot_path(spot, path);
    spot_found(spot, found, sizeof(found));
    report_add(report, &(struct config_issue){
                           .severity = severity,
                           .source = spot->document->source,
                           .line = spot_line(spot),
                           .path = path,
                           .found = found,
                           .allowed = allowed,
                       });
}

void
report_error(struct config_report *report, const struct spot *spot,
             const char *format, ...)
{
    char allowed[ALLOWED_BYTES];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(allowed, sizeof(allowed), format, arguments);
    va_end(arguments);
    add_at_spot(report, CONFIG_ERROR, spot, allowed);
}

void
report_warning(struct config_report *report, const struct spot *spot,
               const char *format, ...)
{
    char allowed[ALLOWED_BYTES];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(allowed, sizeof(allowed), format, arguments);
    va_end(arguments);
    add_at_spot(report, CONFIG_WARNING, spot, allowed);
}

void
config_report_fini(struct config_report *report)
{
    for (size_t i = 0; i < report->count; i++) {
        issue_free(&report->issues[i]);
    }
    free(report->issues);
    *report = (struct config_report){0};
}

static void
print(struct bytes *out, const char *text)
{
    (void)bytes_append(out, text, strlen(text));
}

static const char *
severity_word(enum config_severity severity)
{
    switch (severity) {
    case CONFIG_ERROR:
        return "error";
    case CONFIG_WARNING:
        return "warning";
    case CONFIG_CHANGE:
        return "changes";
    case CONFIG_RESTART:
        return "needs a restart";
    }
    redial_unreachable();
}

static void
print_issue(struct bytes *out, const struct config_issue *issue)
{
    char line[16] = "";

    if (issue->source[0] != '\0') {
        if (issue->line > 0) {
            (void)snprintf(line, sizeof(line), ":%u", (unsigned)issue->line);
        }
        print(out, issue->source);
        print(out, line);
        print(out, ": ");
    }
    print(out, severity_word(issue->severity));
    print(out, ": ");
    if (issue->path[0] != '\0') {
        print(out, issue->path);
        print(out, ": ");
    }
    if (issue->found[0] != '\0') {
        print(out, issue->severity <= CONFIG_WARNING ? "found " : "");
        print(out, issue->found);
        print(out, issue->severity == CONFIG_ERROR     ? "; allowed: "
                   : issue->severity == CONFIG_WARNING ? "; "
                                                       : " -> ");
    }
    print(out, issue->allowed);
    print(out, "\n");
}

void
config_report_print(const struct config_report *report, struct bytes *out)
{
    for (size_t i = 0; i < report->count; i++) {
        print_issue(out, &report->issues[i]);
    }
    if (report->left_out > 0) {
        char text[64];

        (void)snprintf(text, sizeof(text), "and %zu more\n", report->left_out);
        print(out, text);
    }
}

/* Lower case, without what people put between words. */
static size_t
simplify(const char *name, char simple[NAME_BYTES])
{
    size_t len = 0;

    for (; *name != '\0' && len < NAME_BYTES - 1; name++) {
        if (*name != '_' && *name != '-') {
            simple[len++] = (char)tolower((unsigned char)*name);
        }
    }
    simple[len] = '\0';
    return len;
}

static size_t
least(size_t a, size_t b, size_t c)
{
    size_t least_ab = a < b ? a : b;

    return least_ab < c ? least_ab : c;
}

/* Levenshtein: insertions, deletions and replacements from a to b. */
static size_t
distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    size_t row[NAME_BYTES];

    for (size_t j = 0; j <= b_len; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= a_len; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t above = row[j];

            row[j] = least(above + 1, row[j - 1] + 1,
                           diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[b_len];
}

const char *
report_nearest(const char *given, size_t steps_max, const char *const *names,
               size_t count)
{
    char simple[NAME_BYTES];
    size_t len = simplify(given, simple);
    size_t best = steps_max + 1;
    const char *nearest = NULL;

    for (size_t i = 0; i < count; i++) {
        char other[NAME_BYTES];
        size_t other_len = simplify(names[i], other);
        size_t steps = distance(simple, len, other, other_len);

        if (steps < best) {
            best = steps;
            nearest = names[i];
        }
    }
    return nearest;
}
