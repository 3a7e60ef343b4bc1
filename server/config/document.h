/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One JSON text of the configuration: strictly checked, parsed, and with the
 * place of each value. Internal to server/config.
 */
#ifndef REDIAL_SERVER_CONFIG_DOCUMENT_H
#define REDIAL_SERVER_CONFIG_DOCUMENT_H

#include "server/config/config.h"
#include "server/config/scan.h"

#include <cjson/cJSON.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct document {
    char *source;   /* owned; file name, or what the text was made of */
    bool has_lines; /* the text is a file */
    char *text;     /* owned */
    size_t len;
    struct scan scan;
    cJSON *root; /* its nodes' valueint are indices of scan.values */
};

/*
 * Takes over `text` (from malloc), whatever happens. OK: *ret_document is to be
 * given to document_free(); everything that was wrong with the text itself,
 * repeated keys and inexact numbers included, is in the report. Errors there
 * may leave root NULL. RESOURCE_EXHAUSTED: no memory.
 */
enum redial_status
document_create(const char *source, bool has_lines, char *text, size_t len,
                struct config_report *report, struct document **ret_document);

/* NULL is allowed. */
void
document_free(struct document *document);

/* The text of a value as it was written. */
struct text
document_text(const struct document *document, const cJSON *node);

/* The line of a value, from 1; 0 where the source has no lines. */
uint32_t
document_line(const struct document *document, const cJSON *node);

#endif
