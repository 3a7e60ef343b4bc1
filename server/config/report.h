/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Adding to a struct config_report. Internal to server/config; reading one is
 * in config.h.
 */
#ifndef REDIAL_SERVER_CONFIG_REPORT_H
#define REDIAL_SERVER_CONFIG_REPORT_H

#include "server/config/config.h"
#include "server/config/spot.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * Adds an issue, copying all texts. Without memory the texts are lost but the
 * issue counts: a wrong configuration never passes.
 */
void
report_add(struct config_report *report, const struct config_issue *issue);

/* What is at the spot is wrong; the format says what is allowed. */
void
report_error(struct config_report *report, const struct spot *spot,
             const char *format, ...) __attribute__((format(printf, 3, 4)));

/* It is accepted; the format says what becomes of it. */
void
report_warning(struct config_report *report, const struct spot *spot,
               const char *format, ...) __attribute__((format(printf, 3, 4)));

/* True when more issues would only be counted. */
bool
report_is_full(const struct config_report *report);

/*
 * The name most like `given` that at most `steps_max` letters set apart, or
 * NULL. Case and underscores do not count.
 */
const char *
report_nearest(const char *given, size_t steps_max, const char *const *names,
               size_t count);

#endif
