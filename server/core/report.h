/* SPDX-License-Identifier: Apache-2.0 */
/* What workers say of attempts. A report is never refused: late at most. */
#ifndef REDIAL_SERVER_CORE_REPORT_H
#define REDIAL_SERVER_CORE_REPORT_H

#include "server/core/state.h"

void
report_take(struct engine *engine, const struct engine_report *report);

#endif
