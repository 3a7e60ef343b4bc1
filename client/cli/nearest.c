/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/nearest.h"

#include <string.h>

#define NAME_MAX_BYTES 31

static size_t
least(size_t one, size_t other)
{
    return one < other ? one : other;
}

/*
 * Damerau and Levenshtein's distance with adjacent swaps (the "optimal string
 * alignment"): rows i - 2, i - 1 and i of the table are kept.
 */
size_t
nearest_distance(const char *one, const char *other)
{
    size_t rows[3][NAME_MAX_BYTES + 1] = {{0}};
    size_t one_len = strnlen(one, NAME_MAX_BYTES);
    size_t other_len = strnlen(other, NAME_MAX_BYTES);

    for (size_t k = 0; k <= other_len; k++) {
        rows[0][k] = k;
    }
    for (size_t i = 1; i <= one_len; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i + 2) % 3];
        const size_t *above_that = rows[(i + 1) % 3];

        row[0] = i;
        for (size_t k = 1; k <= other_len; k++) {
            size_t cost = one[i - 1] == other[k - 1] ? 0 : 1;

            row[k] = least(least(above[k], row[k - 1]) + 1,
                           above[k - 1] + cost);
            if (i > 1 && k > 1 && one[i - 1] == other[k - 2] &&
                one[i - 2] == other[k - 1]) {
                row[k] = least(row[k], above_that[k - 2] + 1);
            }
        }
    }
    return rows[one_len % 3][other_len];
}

void
nearest_try(struct nearest *nearest, const char *known)
{
    size_t len = strlen(nearest->wanted);
    size_t distance = nearest_distance(nearest->wanted, known);

    /* What was only begun counts as close: "cor" for "correlation-id". */
    if (len >= 2 && strncmp(nearest->wanted, known, len) == 0) {
        distance = 1;
    }
    /* More than a third wrong is another word. */
    if (distance > 3 || distance * 3 > len + 1) {
        return;
    }
    if (nearest->best == NULL || distance < nearest->distance) {
        nearest->best = known;
        nearest->distance = distance;
    }
}
