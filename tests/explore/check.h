/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold in every state and over every move. */
#ifndef REDIAL_TESTS_EXPLORE_CHECK_H
#define REDIAL_TESTS_EXPLORE_CHECK_H

#include "tests/explore/moves.h"

/* Notes what is compared with the state after a move. */
void
check_before(move made);

/* NULL, or the sentence that does not hold. */
const char *
check_after(move made);

/* Nothing is left to be done: no job lives and no attempt is out. */
bool
check_is_at_rest(void);

#endif
