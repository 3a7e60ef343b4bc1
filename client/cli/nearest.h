/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "Did you mean": the known name that is closest to a mistyped one. Pure.
 */
#ifndef REDIAL_CLIENT_CLI_NEAREST_H
#define REDIAL_CLIENT_CLI_NEAREST_H

#include <stddef.h>

struct nearest {
    const char *wanted;
    const char *best; /* so far, or NULL */
    size_t distance;  /* of best */
};

/* Looks at one known name. `wanted` and `distance` 0 at the start. */
void
nearest_try(struct nearest *nearest, const char *known);

/*
 * How many insertions, deletions, replacements and swaps of neighbours lead
 * from one to the other; names of more than 31 bytes are cut to that.
 */
size_t
nearest_distance(const char *one, const char *other);

#endif
