/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/flow.h"

static void
flow_turn(struct engine *engine)
{
    struct flow *flow = &engine->flow;
    int64_t passed_ms = engine->now.mono.ms - flow->since_ms;

    if (passed_ms < FLOW_WINDOW_MS) {
        return;
    }
    flow->rate = (uint32_t)((uint64_t)flow->released * 1000 /
                            (uint64_t)passed_ms);
    flow->released = 0;
    flow->refused = 0;
    flow->since_ms = engine->now.mono.ms;
}

void
flow_released(struct engine *engine)
{
    flow_turn(engine);
    engine->flow.released++;
}

uint64_t
flow_retry_after_ms(struct engine *engine)
{
    struct flow *flow = &engine->flow;

    flow_turn(engine);
    flow->refused++;
    uint64_t rate = flow->rate > 0 ? flow->rate : 1;
    uint64_t after_ms = (uint64_t)flow->refused * 1000 / rate;

    if (after_ms < RETRY_AFTER_MIN_MS) {
        return RETRY_AFTER_MIN_MS;
    }
    return after_ms > RETRY_AFTER_MAX_MS ? RETRY_AFTER_MAX_MS : after_ms;
}
