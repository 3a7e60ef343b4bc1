/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A window ends after FLOW_WINDOW_MS, but not before something has left, so
 * slow flows have long windows: one release in twenty seconds is an interval
 * of twenty seconds, not "nothing in the last second". With what was measured
 * anew the slots given out before are void.
 */
#include "server/core/flow.h"

enum {
    US_PER_MS = 1000,
    INTERVAL_UNKNOWN_US = 1000 * 1000,
    INTERVAL_MAX_US = RETRY_AFTER_MAX_MS * 1000,
};

void
flow_init(struct flow *flow, int64_t now_ms)
{
    *flow = (struct flow){.since_ms = now_ms};
}

static void
turn(struct flow *flow, int64_t now_ms)
{
    int64_t passed_ms = now_ms - flow->since_ms;

    if (passed_ms < FLOW_WINDOW_MS || flow->released == 0) {
        return;
    }
    flow->interval_us = (uint64_t)passed_ms * US_PER_MS / flow->released;
    flow->released = 0;
    flow->since_ms = now_ms;
    flow->next_slot_us = 0;
}

void
flow_released(struct flow *flow, int64_t now_ms)
{
    flow->released++;
    turn(flow, now_ms);
}

/* Between two that leave, as far as is known. */
static uint64_t
interval_us(const struct flow *flow, uint64_t least_us, int64_t now_ms)
{
    uint64_t passed_us = (uint64_t)(now_ms - flow->since_ms) * US_PER_MS;
    uint64_t found_us = flow->interval_us;

    if (found_us > 0 && flow->released == 0 && passed_us > found_us) {
        found_us = passed_us; /* it was quicker, but it stands still */
    }
    if (found_us == 0) {
        found_us = least_us > 0 ? least_us : INTERVAL_UNKNOWN_US;
    }
    found_us = found_us > least_us ? found_us : least_us;
    return found_us < INTERVAL_MAX_US ? found_us : INTERVAL_MAX_US;
}

uint64_t
flow_retry_after_ms(struct flow *flow, uint64_t least_us, int64_t now_ms)
{
    turn(flow, now_ms);
    int64_t now_us = now_ms * US_PER_MS;
    int64_t last_us = now_us + INTERVAL_MAX_US;
    int64_t slot_us = flow->next_slot_us > now_us ? flow->next_slot_us : now_us;

    slot_us += (int64_t)interval_us(flow, least_us, now_ms);
    flow->next_slot_us = slot_us < last_us ? slot_us : last_us;
    uint64_t after_ms = (uint64_t)(flow->next_slot_us - now_us) / US_PER_MS;

    return after_ms > RETRY_AFTER_MIN_MS ? after_ms : RETRY_AFTER_MIN_MS;
}
