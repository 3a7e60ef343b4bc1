/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of reading rows.txt, whose head describes the form. Lines act as
 * they are read; whatever is wrong with the file ends the program.
 */
#ifndef REDIAL_TESTS_CONFORMANCE_CONFIG_ROWS_H
#define REDIAL_TESTS_CONFORMANCE_CONFIG_ROWS_H

#include "server/config/config.h"

#include <cjson/cJSON.h>

#include <stdbool.h>
#include <stddef.h>

enum {
    ROWS_ID_BYTES = 16,
    ROWS_MAX = 256,
    ROWS_BASES_MAX = 16,
    ROWS_PATH_BYTES = 256,
    ROWS_LINE_BYTES = 2048,
};

enum verdict { COVERED, DIFFERENT, INAPPLICABLE, VERDICTS };

struct base {
    char name[ROWS_ID_BYTES];
    char subject[ROWS_PATH_BYTES];
    char json[ROWS_LINE_BYTES];
};

struct rows {
    const char *path; /* of the file */
    unsigned line;
    struct base bases[ROWS_BASES_MAX];
    size_t base_count;

    /* The row. */
    char ids[ROWS_MAX][ROWS_ID_BYTES]; /* the last is the current one */
    size_t count;
    char title[ROWS_LINE_BYTES];
    enum verdict verdict;
    bool has_source;
    bool has_why;
    unsigned checks;   /* made for this row */
    unsigned failures; /* of this row */

    /* The case. */
    const struct base *base;
    cJSON *tree;
    char *text; /* instead of the tree; owned */
    struct config *config;
    struct config_report report;

    size_t counts[VERDICTS];
    size_t failed_rows;
};

/* Does what one line says. */
void
rows_take(struct rows *rows, char *line);

/* Ends the last row. */
void
rows_end(struct rows *rows);

/* What is wrong with the file, or with how it was found; ends the program. */
_Noreturn void
rows_die(const struct rows *rows, const char *text);

/* ---- check.c: what the configuration makes of a case -------------------- */

/* Loads the case and compares what is said of it; the report is kept. */
void
check_load(struct rows *rows, bool refused, char *expected);

/* value SERVICE/METHOD NAME NUMBER */
void
check_value(struct rows *rows, const char *arguments);

/* duration "TEXT" NUMBER */
void
check_duration(struct rows *rows, const char *arguments);

/* Frees what the last case left. */
void
check_end(struct rows *rows);

#endif
