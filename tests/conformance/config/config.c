/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conformance_config FILE: plays every row of the file, prints a line for each
 * and one with the sum, and fails when a row fails or one is not there.
 */
#include "tests/conformance/config/rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The rows of the study: each letter, from 1 to the number. */
static const struct {
    char letter;
    unsigned last;
} sections[] = {
    {'r', 39}, /* retryPolicy */
    {'h', 13}, /* hedgingPolicy */
    {'t', 11}, /* retryThrottling */
    {'m', 12}, /* methodConfig */
    {'d', 25}, /* durations, in the order of the study */
    {'x', 8},  /* Envoy's form */
    {'y', 5},  /* Temporal's form */
    {'k', 15}, /* breakers */
};

static bool
has_row(const struct rows *rows, const char *id)
{
    for (size_t i = 0; i < rows->count; i++) {
        if (strcmp(rows->ids[i], id) == 0) {
            return true;
        }
    }
    return false;
}

static size_t
count_missing(const struct rows *rows)
{
    size_t missing = 0;
    size_t known = 0;

    for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
        for (unsigned n = 1; n <= sections[i].last; n++) {
            char id[ROWS_ID_BYTES];

            (void)snprintf(id, sizeof(id), "%c%u", sections[i].letter, n);
            if (!has_row(rows, id)) {
                (void)printf("not ok %s: not in the file\n", id);
                missing++;
            }
            known++;
        }
    }
    if (rows->count + missing != known) {
        (void)printf("not ok: rows that the study does not have\n");
        missing++;
    }
    return missing;
}

int
main(int argc, char **argv)
{
    static struct rows rows;
    char line[ROWS_LINE_BYTES];
    FILE *file = argc == 2 ? fopen(argv[1], "r") : NULL;

    if (file == NULL) {
        (void)fprintf(stderr, "usage: conformance_config FILE\n");
        return 2;
    }
    rows.path = argv[1];
    while (fgets(line, sizeof(line), file) != NULL) {
        size_t len = strcspn(line, "\n");

        if (line[len] == '\0') {
            rows_die(&rows, "the next line is too long");
        }
        line[len] = '\0';
        rows_take(&rows, line);
    }
    rows_end(&rows);
    (void)fclose(file);
    size_t missing = count_missing(&rows);

    (void)printf("config: covered %zu, not applicable %zu, different %zu\n",
                 rows.counts[COVERED], rows.counts[INAPPLICABLE],
                 rows.counts[DIFFERENT]);
    return rows.failed_rows == 0 && missing == 0 ? 0 : 1;
}
