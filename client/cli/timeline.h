/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One job with all its attempts, as `redial show` prints it. Pure.
 */
#ifndef REDIAL_CLIENT_CLI_TIMELINE_H
#define REDIAL_CLIENT_CLI_TIMELINE_H

#include "client/cli/text.h"
#include <redial/v1/job.pb-c.h>

#include <stdint.h>

/* The job's state and what was asked for. */
void
timeline_add_head(struct text *text, const Redial__V1__Job *job,
                  int64_t now_ms);

/*
 * One line for each attempt, at most the last `attempts_max` (0: all); with
 * `why` the rule and the inputs of each decision below it.
 */
void
timeline_add_attempts(struct text *text, const Redial__V1__Job *job,
                      int64_t now_ms, size_t attempts_max, bool why);

#endif
