/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One decision in full, for `redial show --why` and `redial policy explain`:
 * the rule, what it was given, and every figure that it used. Pure.
 */
#ifndef REDIAL_CLIENT_CLI_WHY_H
#define REDIAL_CLIENT_CLI_WHY_H

#include "client/cli/text.h"
#include <redial/v1/job.pb-c.h>

#include <stdint.h>

struct why {
    const Redial__V1__Decision *decision;
    const Redial__V1__Outcome *failure; /* that it was about, or NULL */
    bool overloaded;                    /* the worker said so */
    uint64_t delay_ms_min; /* over all that chance may draw; 0 and 0: drawn */
    uint64_t delay_ms_max;
    int64_t now_ms;     /* from when that counts, since 1970 UTC */
    const char *beside; /* "hedge beside attempt 1", or NULL */
};

/*
 * Lines, of which those about things that had no part are left out:
 *
 *     RETRY_PLANNED: the failure is retryable and all limits allow it
 *     given     UNAVAILABLE HTTP_503, asked to come back in 5 s
 *     delay     9200 ms = backoff 8000 ms × jitter 1.150, until 2026-01-31T…Z
 *     throttle  8.5 of 10 tokens left, retries while above 5
 *     budget    12 retries left
 *     attempts  3 charged, 1 free, 2 left; policy version 1
 */
void
why_add(struct text *text, const struct why *why, size_t indent);

/* The same without the rule and what it was given. */
void
why_add_figures(struct text *text, const struct why *why, size_t indent);

/* "8.5 of 10 tokens left, retries while above 5". `max_milli` 0: not known. */
void
why_add_tokens(struct text *text, int64_t tokens_milli, int64_t max_milli);

/* What a worker asked for: "asked to come back in 5 s", "... not to". */
void
why_add_pushback(struct text *text, int64_t pushback_ms, bool for_target);

#endif
