/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/throttle.h"

int64_t
throttle_tokens(const struct throttle *throttle,
                const struct target_policy *policy)
{
    int64_t max_milli = (int64_t)policy->tokens_max_milli;

    if (!policy->has_throttle) {
        return -1;
    }
    if (throttle->max_milli == 0) {
        return max_milli;
    }
    if (throttle->max_milli == max_milli) {
        return throttle->tokens_milli;
    }
    return (throttle->tokens_milli * max_milli + throttle->max_milli / 2) /
           throttle->max_milli;
}

int64_t
throttle_after_failure(int64_t tokens_milli)
{
    if (tokens_milli < 0) {
        return tokens_milli;
    }
    return tokens_milli > TOKEN_MILLI ? tokens_milli - TOKEN_MILLI : 0;
}

int64_t
throttle_after_success(int64_t tokens_milli, const struct target_policy *policy)
{
    int64_t max_milli = (int64_t)policy->tokens_max_milli;

    if (tokens_milli < 0) {
        return tokens_milli;
    }
    tokens_milli += (int64_t)policy->tokens_ok_milli;
    return tokens_milli < max_milli ? tokens_milli : max_milli;
}

bool
throttle_allows(int64_t tokens_milli, int64_t max_milli)
{
    return tokens_milli < 0 || tokens_milli * 2 > max_milli;
}
