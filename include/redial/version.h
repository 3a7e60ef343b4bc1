/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which version of the client library this is. Pure, any thread.
 */
#ifndef REDIAL_VERSION_H
#define REDIAL_VERSION_H

#include <redial/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Of these headers. */
#define REDIAL_VERSION_MAJOR  0
#define REDIAL_VERSION_MINOR  1
#define REDIAL_VERSION_PATCH  0
#define REDIAL_VERSION_STRING "0.1.0"

/* Of the library that is loaded: "0.1.0". The string lives for ever. */
REDIAL_API const char *
redial_version(void);

#ifdef __cplusplus
}
#endif

#endif /* REDIAL_VERSION_H */
