/* SPDX-License-Identifier: Apache-2.0 */
#include "server/base/check.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void
redial_assert_failed(const char *expression, const char *file, int line)
{
    (void)fprintf(stderr, "redial: assertion failed: %s (%s:%d)\n", expression,
                  file, line);
    abort();
}
