/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/target.h"

enum { TOKEN_MILLI = 1000 };

int64_t
target_charge_failure(struct target *target)
{
    if (!target->has_throttle) {
        return -1;
    }
    target->tokens_milli -= TOKEN_MILLI;
    if (target->tokens_milli < 0) {
        target->tokens_milli = 0;
    }
    return target->tokens_milli;
}

bool
target_allows_retry(const struct target *target)
{
    return !target->has_throttle ||
           target->tokens_milli > target->tokens_max_milli / 2;
}

bool
target_admits(const struct target *target, int64_t *ret_until_ms)
{
    (void)ret_until_ms;
    return !target->has_breaker;
}
