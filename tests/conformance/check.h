/* SPDX-License-Identifier: Apache-2.0 */
/* Values in scripts, and expectations of what was seen. */
#ifndef REDIAL_TESTS_CONFORMANCE_CHECK_H
#define REDIAL_TESTS_CONFORMANCE_CHECK_H

#include "tests/conformance/world.h"

/* "1500", "1500ms", "1.5s"; fails the row otherwise. */
int64_t
check_number(const struct world *world, const char *text);

/* The value of "name=value" if `word` is that; else NULL. */
const char *
check_option(const char *word, const char *name);

/* `text`: a number or "low..high". */
void
check_range(const struct world *world, const char *what, int64_t found,
            const char *text);

/* When it happened: exactly, or nearly where time is real. */
void
check_time(struct world *world, const struct seen *seen, int64_t at);

/* "rule=RETRY_PLANNED", "delay=800..1200": any field of a record. */
void
check_field(struct world *world, const struct seen *seen, const char *word);

/* A number among the fields; false: there is none of this name. */
bool
check_get_number(const struct world *world, const struct seen *seen,
                 const char *name, int64_t *ret);

enum event_type
check_event(const struct world *world, const char *name);

/* A code by name, or as a number that need not be one. */
uint32_t
check_code(const struct world *world, const char *name);

/* Runs a statement that expects something; false: it is not one. */
bool
check_verb(struct world *world, const struct statement *statement);

#endif
