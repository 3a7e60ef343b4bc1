/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The breaker machine by itself, under the script's clock: statements that
 * begin with the word "box". See README.md.
 */
#ifndef REDIAL_TESTS_CONFORMANCE_BOX_H
#define REDIAL_TESTS_CONFORMANCE_BOX_H

#include "tests/conformance/world.h"

/* Time passes up to `to`; what is due is done when it is due. */
void
box_advance(struct world *world, int64_t to);

void
box_verb(struct world *world, const struct statement *statement);

#endif
