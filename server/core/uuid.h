/* SPDX-License-Identifier: Apache-2.0 */
/* Job ids in their written form: 8-4-4-4-12 hexadecimal digits. */
#ifndef REDIAL_SERVER_CORE_UUID_H
#define REDIAL_SERVER_CORE_UUID_H

#include "server/core/text.h"

enum { UUID_TEXT_BYTES = 36 };

/* False, with *ret_id untouched, when the text is not an id. Any case. */
bool
uuid_parse(struct text text, struct job_id *ret_id);

/* Writes UUID_TEXT_BYTES, in lower case, and no terminator. */
void
uuid_write(struct job_id id, char *buf);

/* Whether the text is this id, in any case; quick to say no. */
bool
uuid_equals(struct text text, struct job_id id);

#endif
