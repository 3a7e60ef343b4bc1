/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a breaker remembers of results: a window of time in equal buckets, and
 * the failures in a row. A result counts in the bucket in which it arrives.
 */
#ifndef REDIAL_SERVER_CORE_BREAKER_WINDOW_H
#define REDIAL_SERVER_CORE_BREAKER_WINDOW_H

#include "server/core/breaker.h"

void
window_forget(struct breaker *breaker);

/* Brings the window up to now. After a long pause it is simply empty. */
void
window_advance(struct breaker *breaker, const struct breaker_policy *policy,
               int64_t now_ms);

/* To the current bucket. */
void
window_add(struct breaker *breaker, uint32_t calls, uint32_t failed,
           uint32_t slow);

/* Why the window would open it, to be asked after a bad result. */
enum breaker_cause
window_verdict(const struct breaker *breaker,
               const struct breaker_policy *policy);

#endif
