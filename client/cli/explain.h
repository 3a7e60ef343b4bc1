/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What would follow a failure, as `redial policy explain` prints it. Pure.
 */
#ifndef REDIAL_CLIENT_CLI_EXPLAIN_H
#define REDIAL_CLIENT_CLI_EXPLAIN_H

#include "client/cli/text.h"
#include <redial/v1/admin.pb-c.h>

/*
 * The decision in one sentence with its figures, then the steps on the way to
 * it. `columns` is the width of the terminal; 0: no limit.
 *
 *     RETRY_PLANNED: the attempt would be tried again
 *       delay     960 to 1440 ms, as chance draws around backoff 1200 ms, ...
 *       attempts  2 charged, 0 free, 3 left; policy version 1
 *
 *       1  overloaded  passes     the worker did not say so
 *       2  code        ends here  ABORTED is not among UNAVAILABLE
 *       3  throttle    not asked
 */
void
explain_add(struct text *text, const Redial__V1__ExplainRequest *request,
            const Redial__V1__ExplainResponse *answer, size_t columns);

#endif
