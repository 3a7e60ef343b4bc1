/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The picture that `redial watch` draws: jobs of one correlation id with their
 * attempts, as much of it as fits into a terminal. Pure.
 */
#ifndef REDIAL_CLIENT_CLI_VIEW_H
#define REDIAL_CLIENT_CLI_VIEW_H

#include "client/cli/text.h"
#include <redial/v1/job.pb-c.h>

#include <stdint.h>

struct view {
    const char *correlation_id;
    const Redial__V1__Job *const *jobs; /* in the order of acceptance */
    size_t job_count;
    int64_t now_ms;
    size_t columns; /* of the terminal; 0: no limit */
    size_t rows;    /* the same */
};

/*
 * Adds the picture; returns how many lines it has, less than `rows`. No line is
 * longer than `columns`.
 */
size_t
view_add(struct text *text, const struct view *view);

/*
 * The same as text that replaces a picture of `lines_before` lines, which the
 * cursor stands below.
 */
size_t
view_add_again(struct text *text, const struct view *view, size_t lines_before);

/*
 * Any text as a picture of that kind, cut to `columns` and `rows` (0: no
 * limit); returns how many lines it has.
 */
size_t
view_add_over(struct text *text, const struct text *picture, size_t columns,
              size_t rows, size_t lines_before);

#endif
