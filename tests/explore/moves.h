/* SPDX-License-Identifier: Apache-2.0 */
/* All that could happen next, by numbers that fit into a byte. */
#ifndef REDIAL_TESTS_EXPLORE_MOVES_H
#define REDIAL_TESTS_EXPLORE_MOVES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MOVES_MAX = 80, MOVE_TEXT_BYTES = 80 };

typedef uint8_t move;

/* Those that are possible now; returns how many. */
uint32_t
moves_list(move *ret_moves);

/*
 * Makes one. `high`: chance draws the highest everywhere, else the lowest. The
 * outcome says whether it drew at all.
 */
void
moves_make(move made, bool high);

/* Whether the move is a worker's report, and on which fence. */
bool
moves_reports_on(move made, uint64_t *ret_fence);

/* For people: "worker v: job 2 fails". */
void
moves_describe(move made, char text[MOVE_TEXT_BYTES]);

#endif
