/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How quickly something that is full drains, to say to whom comes too many when
 * to come back. One flow measures all live jobs, and one each the queue of a
 * method and of a tenant.
 *
 * Those who are refused get one slot each, an interval apart, so that they come
 * back one after the other and not all at once. The interval is that of what
 * left in the last window, or that of the rate limit where this is longer, or
 * a second while nothing is known.
 */
#ifndef REDIAL_SERVER_CORE_FLOW_H
#define REDIAL_SERVER_CORE_FLOW_H

#include <stdint.h>

enum {
    FLOW_WINDOW_MS = 1000,
    RETRY_AFTER_MIN_MS = 100,
    RETRY_AFTER_MAX_MS = 30000,
};

struct flow {
    int64_t since_ms;     /* start of the window */
    int64_t next_slot_us; /* the latest that anybody was given; mono */
    uint64_t interval_us; /* between two that left, in the last window */
    uint32_t released;    /* in this window */
};

void
flow_init(struct flow *flow, int64_t now_ms);

/* One left: there is a place. */
void
flow_released(struct flow *flow, int64_t now_ms);

/*
 * Somebody was refused for want of a place; when shall he try again?
 * `least_us`: a rate limit lets nothing out in less than this; 0: none.
 */
uint64_t
flow_retry_after_ms(struct flow *flow, uint64_t least_us, int64_t now_ms);

#endif
