/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Throttles and budgets of targets, as `redial budget` prints them. Pure.
 */
#ifndef REDIAL_CLIENT_CLI_BUDGET_H
#define REDIAL_CLIENT_CLI_BUDGET_H

#include "client/cli/text.h"
#include <redial/v1/admin.pb-c.h>

#include <stdint.h>

/*
 * A head and one line for each target:
 *
 *     TARGET    THROTTLE                                    BUDGET  WAITING ...
 *     voice.Tts [##########|#####-----] 7.5 of 10, above 5  12 left       3
 *
 * The bar is the throttle's tokens; below its middle there are no retries. What
 * is used up is marked EXHAUSTED. `columns` is the width of the terminal, 0: no
 * limit; a narrow one gets less words.
 */
void
budget_add(struct text *text, const Redial__V1__Budget *const *budgets,
           size_t count, int64_t now_ms, size_t columns);

#endif
