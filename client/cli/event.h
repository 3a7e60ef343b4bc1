/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events as lines for people. Pure.
 */
#ifndef REDIAL_CLIENT_CLI_EVENT_H
#define REDIAL_CLIENT_CLI_EVENT_H

#include "client/cli/text.h"
#include <redial/v1/event.pb-c.h>

/* One event with its time in front, without the end of the line. */
void
event_add(struct text *text, const Redial__V1__Event *event);

/*
 * The same for somebody who knows which job it is about: with the time since it
 * was accepted, without its names.
 */
void
event_add_brief(struct text *text, const Redial__V1__Event *event);

/* "gap: events 12 to 40 are not kept any more (TRIMMED)". */
void
event_add_gap(struct text *text, const Redial__V1__Gap *gap);

/* Does it end a job? */
bool
event_is_end(const Redial__V1__Event *event);

#endif
