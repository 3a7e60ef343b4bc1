/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What would follow a failure, as `redial policy explain` prints it. Pure.
 */
#ifndef REDIAL_CLIENT_CLI_EXPLAIN_H
#define REDIAL_CLIENT_CLI_EXPLAIN_H

#include "client/cli/text.h"
#include <redial/v1/admin.pb-c.h>

#include <stdbool.h>
#include <stdint.h>

struct explain_options {
    int64_t now_ms; /* since 1970 UTC */
    size_t columns; /* of the terminal; 0: no limit */
    bool verbose;   /* every step, also those that were not come to */
};

/*
 * The decision in one sentence with its figures, then the steps on the way to
 * it:
 *
 *     NON_RETRYABLE_CODE: no retry: the policy does not list the code as ...
 *       attempts  2 charged, 0 free, 3 left; policy version 1
 *
 *       3  overload mark    passes     the worker does not say that ...
 *       4  reason and code  ends here  retryableStatusCodes has no ABORTED
 *          7 more           not asked  throttle, budget, attempts, ...
 */
void
explain_add(struct text *text, const Redial__V1__ExplainRequest *request,
            const Redial__V1__ExplainResponse *answer,
            const struct explain_options *options);

#endif
