/* SPDX-License-Identifier: Apache-2.0 */
/* Audits the engine from the inside: every count against what it counts. */
#ifndef REDIAL_TESTS_UNIT_CORE_BOOKS_H
#define REDIAL_TESTS_UNIT_CORE_BOOKS_H

#include "server/core/engine.h"

/* Fails the test at the first figure that does not add up. */
void
books_check(const struct engine *engine);

#endif
