/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/core/hedges.h"

#include "server/core/text.h"

#include <stdio.h>
#include <string.h>

uint64_t hedges_worker[HEDGES_WORKERS_MAX];

void
hedges_use(uint32_t max_attempts, uint64_t delay_ms)
{
    struct method_policy *policy = rig_fallback();

    policy->hedged = true;
    policy->hedging_delay_ms = delay_ms;
    policy->retry.max_attempts = max_attempts;
    policy->retry.retryable_codes = 1u << REDIAL_UNAVAILABLE |
                                    1u << REDIAL_DEADLINE_EXCEEDED;
    policy->idempotency = IDEMPOTENCY_YES;
    rig_use_policy();
}

void
hedges_join(uint32_t count)
{
    char name[16];

    assert_true(count <= HEDGES_WORKERS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        snprintf(name, sizeof(name), "w%u", i);
        hedges_worker[i] = rig_hello(name, "1", 1);
        rig_poll(hedges_worker[i], 1);
    }
}

void
hedges_beat(uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        rig_heartbeat(hedges_worker[i]);
    }
}

/* The one of `view` with this number. */
static const struct engine_running *
running_of(const struct job_view *view, uint32_t number)
{
    for (uint32_t i = 0; i < view->running_count; i++) {
        if (view->running[i].number == number) {
            return &view->running[i];
        }
    }
    fail_msg("attempt %u does not run", number);
    return NULL;
}

struct engine_token
hedges_token(uint32_t n, uint32_t number)
{
    struct job_view view = rig_view(n);

    return (struct engine_token){
        .job = rig_id(n),
        .attempt = number,
        .fence = running_of(&view, number)->fence,
    };
}

/* "w<i>/<instance>" as hedges_join() named it. */
static uint64_t
worker_of(uint32_t n, uint32_t number)
{
    struct job_view view = rig_view(n);
    struct text name = running_of(&view, number)->worker;
    uint32_t i = 0;

    for (uint32_t at = 1; at < name.len && name.at[at] != '/'; at++) {
        i = i * 10 + (uint32_t)(name.at[at] - '0');
    }
    assert_true(i < HEDGES_WORKERS_MAX);
    return hedges_worker[i];
}

void
hedges_succeed(uint32_t n, uint32_t number)
{
    rig_succeed(worker_of(n, number), hedges_token(n, number));
}

void
hedges_fail(uint32_t n, uint32_t number, enum redial_status code,
            const char *reason)
{
    rig_fail(worker_of(n, number), hedges_token(n, number), code, reason);
}

void
hedges_push_back(uint32_t n, uint32_t number, int64_t pushback_ms)
{
    rig.report.has_pushback = true;
    rig.report.pushback_ms = pushback_ms;
    hedges_fail(n, number, REDIAL_UNAVAILABLE, "BUSY");
    memset(&rig.report, 0, sizeof(rig.report));
}

uint32_t
hedges_running(uint32_t n)
{
    return rig_view(n).running_count;
}

void
hedges_listen(void)
{
    rig.trace_len = 0;
    rig.trace[0] = '\0';
}

const struct record *
hedges_ended(enum event_type type, enum redial_status code, const char *reason)
{
    const struct record *record = rig_record(type);

    assert_int_equal(record->code, code);
    rig_assert_text(record->reason, reason);
    return record;
}
