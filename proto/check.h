/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Assertions of the wire code: they state what only a defect of ours can
 * break, and stay on in release builds. Bad input is never asserted.
 */
#ifndef REDIAL_PROTO_CHECK_H
#define REDIAL_PROTO_CHECK_H

#include <stdio.h>
#include <stdlib.h>

#define WIRE_CHECK(condition) \
    ((condition) ? (void)0 : wire_check_failed(#condition, __FILE__, __LINE__))

static inline _Noreturn void
wire_check_failed(const char *condition, const char *file, int line)
{
    (void)fprintf(stderr, "%s:%d: check failed: %s\n", file, line, condition);
    abort();
}

#endif
