/* SPDX-License-Identifier: Apache-2.0 */
#include "server/config/document.h"

#include "server/base/check.h"
#include "server/config/report.h"
#include "server/config/spot.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXACT_MAX 9007199254740992ull /* 2^53 */

struct text
document_text(const struct document *document, const cJSON *node)
{
    const struct scan_value *value = &document->scan.values[node->valueint];

    return (struct text){
        .at = document->text + value->start,
        .len = value->end - value->start,
    };
}

uint32_t
document_line(const struct document *document, const cJSON *node)
{
    return document->has_lines ? document->scan.values[node->valueint].line : 0;
}

/* Notes in each node the place of its value: both come in the same order. */
static void
number_nodes(struct document *document)
{
    cJSON *above[SCAN_DEPTH_MAX + 1];
    size_t depth = 0;
    cJSON *node = document->root;
    size_t count = 0;

    while (node != NULL) {
        node->valueint = (int)count++;
        if (node->child != NULL) {
            redial_assert(depth <= SCAN_DEPTH_MAX);
            above[depth++] = node;
            node = node->child;
            continue;
        }
        while (node->next == NULL && depth > 0) {
            node = above[--depth];
        }
        node = node->next;
    }
    redial_assert(count == document->scan.count);
}

static int
compare_members(const void *left, const void *right)
{
    const cJSON *a = *(const cJSON *const *)left;
    const cJSON *b = *(const cJSON *const *)right;
    int order = strcmp(a->string, b->string);

    return order != 0 ? order : a->valueint - b->valueint;
}

/* Every key of an object once. False: no memory. */
static bool
check_members(const struct spot *spot, struct config_report *report)
{
    size_t count = (size_t)cJSON_GetArraySize(spot->node);
    const cJSON *member;
    size_t filled = 0;

    if (count < 2) {
        return true;
    }
    const cJSON **members = calloc(count, sizeof(*members));

    if (members == NULL) {
        return false;
    }
    cJSON_ArrayForEach(member, spot->node)
    {
        members[filled++] = member;
    }
    qsort(members, count, sizeof(members[0]), compare_members);
    for (size_t i = 1; i < count; i++) {
        if (strcmp(members[i]->string, members[i - 1]->string) == 0) {
            struct spot again = spot_member(spot, members[i]->string,
                                            members[i]);

            report_error(
                report, &again,
                "one field of this name (there is one in line %u)",
                (unsigned)document_line(spot->document, members[i - 1]));
        }
    }
    free(members);
    return true;
}

/* Integers must be exact, everything else finite. */
static void
check_number(const struct spot *spot, struct config_report *report)
{
    struct text raw = document_text(spot->document, spot->node);
    char digits[32];
    size_t len = raw.len < sizeof(digits) ? raw.len : sizeof(digits) - 1;

    if (!isfinite(spot->node->valuedouble)) {
        report_error(report, spot, "a smaller number");
        return;
    }
    if (memchr(raw.at, '.', raw.len) != NULL ||
        memchr(raw.at, 'e', raw.len) != NULL ||
        memchr(raw.at, 'E', raw.len) != NULL) {
        return;
    }
    memcpy(digits, raw.at, len);
    digits[len] = '\0';
    if (len < raw.len ||
        strtoull(digits + (digits[0] == '-'), NULL, 10) > EXACT_MAX) {
        report_error(report, spot,
                     "an integer of at most 9007199254740992 (JSON numbers are "
                     "not exact beyond it)");
    }
}

/* Looks at every value, with its path. False: no memory. */
static bool
check_values(const struct document *document, struct config_report *report)
{
    struct spot spots[SCAN_DEPTH_MAX + 1];
    size_t depth = 0;

    spots[0] = spot_top(document);
    for (;;) {
        const struct spot *spot = &spots[depth];
        const cJSON *node = spot->node;

        if (cJSON_IsNumber(node)) {
            check_number(spot, report);
        } else if (cJSON_IsObject(node) && !check_members(spot, report)) {
            return false;
        }
        if (node->child != NULL) {
            redial_assert(depth < SCAN_DEPTH_MAX);
            depth++;
            spots[depth] = cJSON_IsObject(node)
                               ? spot_member(spot, node->child->string,
                                             node->child)
                               : spot_element(spot, 0, node->child);
            continue;
        }
        while (depth > 0 && spots[depth].node->next == NULL) {
            depth--;
        }
        if (depth == 0) {
            return true;
        }
        spots[depth].index++;
        spots[depth].node = spots[depth].node->next;
        spots[depth].key = spots[depth].node->string;
    }
}

static void
report_syntax(const struct document *document, struct config_report *report,
              size_t offset, const char *problem)
{
    uint32_t line = 0;
    uint32_t column = 0;
    char text[160];

    scan_place(document->text, offset, &line, &column);
    (void)snprintf(text, sizeof(text), "column %u: %s", (unsigned)column,
                   problem);
    report_add(report, &(struct config_issue){
                           .severity = CONFIG_ERROR,
                           .source = document->source,
                           .line = document->has_lines ? line : 0,
                           .path = "",
                           .found = "",
                           .allowed = text,
                       });
}

/* False: no memory. */
static bool
parse(struct document *document, struct config_report *report)
{
    const char *text = document->text;
    const char *end = NULL;

    if (!scan_text(&document->scan, text, document->len)) {
        if (!document->scan.no_memory) {
            report_syntax(document, report, document->scan.offset,
                          document->scan.problem);
        }
        return !document->scan.no_memory;
    }
    document->root = cJSON_ParseWithLengthOpts(text, document->len, &end, 0);
    if (document->root == NULL) {
        bool empty = document->scan.count == 0;

        report_syntax(document, report,
                      empty || end == NULL ? 0 : (size_t)(end - text),
                      empty ? "nothing but space" : "not JSON");
        return true;
    }
    size_t tail = (size_t)(end - text);

    while (tail < document->len && strchr(" \t\r\n", text[tail]) != NULL) {
        tail++;
    }
    if (tail < document->len) {
        cJSON_Delete(document->root);
        document->root = NULL;
        report_syntax(document, report, tail, "text after the end");
        return true;
    }
    number_nodes(document);
    return check_values(document, report);
}

enum redial_status
document_create(const char *source, bool has_lines, char *text, size_t len,
                struct config_report *report, struct document **ret_document)
{
    struct document *document = calloc(1, sizeof(*document));

    if (document == NULL) {
        free(text);
        return REDIAL_RESOURCE_EXHAUSTED;
    }
    document->has_lines = has_lines;
    document->text = text;
    document->len = len;
    document->source = strdup(source);
    if (document->source == NULL || !parse(document, report)) {
        document_free(document);
        return REDIAL_RESOURCE_EXHAUSTED;
    }
    *ret_document = document;
    return REDIAL_OK;
}

void
document_free(struct document *document)
{
    if (document == NULL) {
        return;
    }
    cJSON_Delete(document->root);
    free(document->scan.values);
    free(document->text);
    free(document->source);
    free(document);
}
