/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs, outcomes and decisions as pieces of a line for people. Pure:
 * the time is given, milliseconds since 1970 UTC.
 */
#ifndef REDIAL_CLIENT_CLI_LINE_H
#define REDIAL_CLIENT_CLI_LINE_H

#include "client/cli/text.h"
#include <redial/v1/job.pb-c.h>

#include <stdint.h>

/* Longest text of an outcome within a line, characters. */
#define LINE_TEXT_COLUMNS 100

/* "RUNNING"; numbers that are not known as numbers. */
const char *
line_state_name(Redial__V1__Job__State state);

enum paint
line_state_paint(Redial__V1__Job__State state);

bool
line_state_is_final(Redial__V1__Job__State state);

/* How something ended: code, a word, a sentence; the last two may be NULL. */
struct line_ending {
    Redial__V1__Code code;
    const char *reason;
    const char *text;
};

void
line_add_ending(struct text *text, const struct line_ending *ending,
                size_t columns);

/* "UNAVAILABLE HTTP_503 upstream is tired". `columns`: of the text; 0: all. */
void
line_add_outcome(struct text *text, const Redial__V1__Outcome *outcome,
                 size_t columns);

/* "service/method"; what is missing is left out. */
void
line_add_method(struct text *text, const char *service, const char *method);

/*
 * What follows: "retry in 9.2 s (backoff 8 s ×1.15)", or the rule that ended
 * it. `now_ms` 0: the delay that was decided instead of what is left of it.
 */
void
line_add_decision(struct text *text, const Redial__V1__Decision *decision,
                  int64_t now_ms);

/* What a rule means; NULL: not known, or NULL. */
const char *
line_rule_sentence(const char *rule);

/*
 * The state of a job, without its id:
 * "image.ImageGen/Generate  BACKOFF  attempt 3 of 5, 41 s so far, next in 9.2 s
 * (backoff 8 s ×1.15)  last: UNAVAILABLE http 503 …"
 */
void
line_add_job(struct text *text, const Redial__V1__Job *job, int64_t now_ms);

/* A worker by its name and the beginning of its incarnation: "image/25fbf8b3".
 */
void
line_add_worker(struct text *text, const char *worker);

#endif
