/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Status codes: how calls, attempts and jobs end, and what functions of this
 * library return. The list itself is redial/status.def.
 *
 * Everything here is pure, may be called from any thread, and never blocks.
 */
#ifndef REDIAL_STATUS_H
#define REDIAL_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

#ifndef REDIAL_API
#if defined(__GNUC__)
#define REDIAL_API __attribute__((visibility("default")))
#else
#define REDIAL_API
#endif
#endif

enum redial_status {
#define REDIAL_STATUS(name, number, text) REDIAL_##name = (number),
#include <redial/status.def>
};

/* How many codes there are; they are numbered 0 to REDIAL_STATUS_COUNT - 1. */
#define REDIAL_STATUS_COUNT 17

/*
 * The canonical name, "RESOURCE_EXHAUSTED". Numbers outside of the table (a
 * newer peer may send one) give "UNKNOWN". The string lives for ever.
 */
REDIAL_API const char *
redial_status_name(enum redial_status status);

/* A few words for people, "a limit is reached". The string lives for ever. */
REDIAL_API const char *
redial_status_text(enum redial_status status);

/*
 * The opposite of redial_status_name(). `name` is a name in any case, with or
 * without the prefix REDIAL_, or a number in decimal digits ("14").
 * Returns 1 and sets *ret_status, or returns 0 and leaves it alone. NULL is
 * not a name.
 */
REDIAL_API int
redial_status_from_name(const char *name, enum redial_status *ret_status);

#ifdef __cplusplus
}
#endif

#endif
