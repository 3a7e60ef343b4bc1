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

struct timeline_options {
    size_t attempts_max; /* the last so many; 0: all */
    bool why;            /* below each its rule and the inputs of that */
    bool narrow;         /* without what there is the least need of */
};

/* One line for each attempt. */
void
timeline_add_attempts(struct text *text, const Redial__V1__Job *job,
                      int64_t now_ms, const struct timeline_options *options);

#endif
