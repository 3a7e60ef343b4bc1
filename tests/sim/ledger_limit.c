/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits of methods and tenants: rates, queues, shares. Places (concurrency)
 * are counted in ledger_dispatch.c, where ghosts are.
 */
#include "tests/sim/ledger.h"
#include "tests/sim/sim.h"

#include <inttypes.h>
#include <string.h>

/* ---- Policies ---------------------------------------------------------- */

/* Not by policy_find_tenant(), which is under test too. */
const struct tenant_policy *
ledger_tenant_policy(const struct sim *sim, uint32_t tenant)
{
    const struct policy_set *set =
        sim->ledger.policies[sim->gateway.policy_version];
    struct text name = plan_text(sim->plan.tenant[tenant]);

    for (size_t i = 0; i < set->tenant_count; i++) {
        if (set->tenants[i].name.len == name.len &&
            (name.len == 0 ||
             memcmp(set->tenants[i].name.at, name.at, name.len) == 0)) {
            return &set->tenants[i];
        }
    }
    return &set->tenant_fallback;
}

static const struct limit_policy *
limits_of_method(const struct sim *sim, uint32_t method)
{
    const struct policy_set *set =
        sim->ledger.policies[sim->gateway.policy_version];

    return &ledger_method_policy(sim, set, method)->limits;
}

/* ---- Rates ------------------------------------------------------------- */

static uint64_t
period_of(const struct limit_policy *limits)
{
    return limits->rate_period_ms == 0 ? 1000 : limits->rate_period_ms;
}

static uint64_t
burst_of(const struct limit_policy *limits)
{
    return limits->burst == 0 ? limits->rate : limits->burst;
}

static bool
same_rate(const struct limit_policy *a, const struct limit_policy *b)
{
    return a->rate == b->rate && period_of(a) == period_of(b) &&
           burst_of(a) == burst_of(b);
}

/*
 * In no stretch of time do more start than burst + rate x time, where the
 * millisecond in which the first token came counts as well.
 */
static void
count_start(struct sim *sim, struct ledger_rate *rate,
            const struct limit_policy *limits, const char *whose)
{
    uint64_t period = period_of(limits);
    uint64_t count = 0;

    if (limits->rate == 0) {
        return;
    }
    rate->starts[rate->count++ % LEDGER_STARTS_MAX] = sim->mono_ms;
    for (uint64_t i = rate->count; i > 0 && count < LEDGER_STARTS_MAX; i--) {
        int64_t at = rate->starts[(i - 1) % LEDGER_STARTS_MAX];
        uint64_t passed = (uint64_t)(sim->mono_ms - at);

        count++;
        if (count * period >
            burst_of(limits) * period + limits->rate * (passed + 1)) {
            sim_fail(sim, VIOLATION_RATE,
                     "%s: %" PRIu64 " starts in %" PRIu64 " ms, %u in %" PRIu64
                     " and a burst of %" PRIu64,
                     whose, count, passed, limits->rate, period,
                     burst_of(limits));
        }
    }
    /* A bucket is empty at first. */
    if (rate->since_empty &&
        rate->count * period >
            limits->rate * (uint64_t)(sim->mono_ms - rate->since_at)) {
        sim_fail(sim, VIOLATION_RATE,
                 "%s: %" PRIu64 " starts in the first %" PRId64 " ms", whose,
                 rate->count, sim->mono_ms - rate->since_at);
    }
    sim->coverage->limits[LIMITING_COUNTED]++;
}

/* A token is surely there: long enough nothing was taken. */
static bool
surely_has_token(const struct sim *sim, const struct ledger_rate *rate,
                 const struct limit_policy *limits)
{
    int64_t since = rate->since_at;

    if (limits->rate == 0) {
        return true;
    }
    if (rate->count > 0) {
        since = rate->starts[(rate->count - 1) % LEDGER_STARTS_MAX];
    }
    return (uint64_t)(sim->mono_ms - since) * limits->rate >= period_of(limits);
}

static void
begin_rate(const struct sim *sim, struct ledger_rate *rate, bool empty)
{
    *rate = (struct ledger_rate){.since_at = sim->mono_ms,
                                 .since_empty = empty};
}

void
ledger_limits_recovering(struct sim *sim)
{
    for (uint32_t i = 0; i < PLAN_METHODS_MAX; i++) {
        begin_rate(sim, &sim->ledger.method_rates[i], true);
    }
    for (uint32_t i = 0; i < PLAN_TENANTS_MAX; i++) {
        begin_rate(sim, &sim->ledger.tenant_rates[i], true);
    }
    memset(sim->ledger.shares, 0, sizeof(sim->ledger.shares));
}

/* What did not change goes on; of another rate nothing is known at first. */
void
ledger_limits_policy(struct sim *sim, const struct policy_set *before)
{
    const struct policy_set *after =
        sim->ledger.policies[sim->gateway.policy_version];

    for (uint32_t i = 0; i < sim->plan.methods; i++) {
        if (!same_rate(&ledger_method_policy(sim, before, i)->limits,
                       &ledger_method_policy(sim, after, i)->limits)) {
            begin_rate(sim, &sim->ledger.method_rates[i], false);
        }
    }
    /* Rows of tenants are few: each anew. */
    for (uint32_t i = 0; i < sim->plan.tenants; i++) {
        begin_rate(sim, &sim->ledger.tenant_rates[i], false);
    }
    memset(sim->ledger.shares, 0, sizeof(sim->ledger.shares));
}

/* ---- Waiting ----------------------------------------------------------- */

/* Stands in its queue; `surely`: whatever the gateway has not noticed yet. */
static bool
stands_in_queue(const struct sim *sim, uint32_t spec, bool surely)
{
    const struct ledger_job *job = &sim->ledger.jobs[spec];
    int64_t by = surely ? sim->ledger.ticked_at : sim->mono_ms;

    switch (job->state) {
    case JOB_READY:
        break;
    case JOB_SCHEDULED:
    case JOB_BACKOFF:
        if (job->due_at > by) {
            return false;
        }
        break;
    case JOB_RUNNING:
        return !surely && job->hedge_at <= by;
    case JOB_NONE:
    case JOB_PARKED:
    case JOB_SUCCEEDED:
    case JOB_FAILED:
    case JOB_CANCELLED:
    case JOB_EXPIRED:
        return false;
    }
    return !surely || !ledger_may_be_held(sim, spec);
}

void
ledger_count_queues(struct sim *sim, uint32_t spec)
{
    const struct spec *own = &sim->agents.specs[spec];
    struct ledger_queues *queues = &sim->ledger.queues;

    *queues = (struct ledger_queues){0};
    if (limits_of_method(sim, own->method)->queue == 0 &&
        ledger_tenant_policy(sim, own->tenant)->limits.queue == 0) {
        return;
    }
    for (uint32_t i = 0; i < sim->agents.spec_count; i++) {
        const struct spec *other = &sim->agents.specs[i];
        bool same_method = other->method == own->method;
        bool same_tenant = other->tenant == own->tenant;

        if ((!same_method && !same_tenant) || !stands_in_queue(sim, i, false)) {
            continue;
        }
        bool surely = stands_in_queue(sim, i, true);

        queues->method_perhaps += same_method;
        queues->tenant_perhaps += same_tenant;
        queues->method_surely += same_method && surely;
        queues->tenant_surely += same_tenant && surely;
    }
}

void
ledger_check_queues(struct sim *sim, uint32_t spec,
                    const struct engine_result *result)
{
    const struct spec *own = &sim->agents.specs[spec];
    const struct ledger_queues *queues = &sim->ledger.queues;
    uint32_t of_method = limits_of_method(sim, own->method)->queue;
    uint32_t of_tenant = ledger_tenant_policy(sim, own->tenant)->limits.queue;
    bool made = result->status == REDIAL_OK && !result->deduplicated;
    const char *reason = result->reason == NULL ? "" : result->reason;

    if (made && own->not_before_ms == 0 &&
        ((of_method > 0 && queues->method_surely >= of_method) ||
         (of_tenant > 0 && queues->tenant_surely >= of_tenant))) {
        sim_fail(sim, VIOLATION_QUEUE,
                 "job %u joins %u of its method, %u of its tenant", spec,
                 queues->method_surely, queues->tenant_surely);
    }
    if ((strcmp(reason, "QUEUE_FULL") == 0 &&
         (of_method == 0 || queues->method_perhaps < of_method)) ||
        (strcmp(reason, "TENANT_QUEUE_FULL") == 0 &&
         (of_tenant == 0 || queues->tenant_perhaps < of_tenant))) {
        sim_fail(sim, VIOLATION_QUEUE,
                 "job %u is refused by %s: %u wait, %u of its tenant", spec,
                 reason, queues->method_perhaps, queues->tenant_perhaps);
    }
    if (result->reason != NULL && result->status == REDIAL_RESOURCE_EXHAUSTED &&
        result->retry_after_ms == 0) {
        sim_fail(sim, VIOLATION_QUEUE, "job %u: refused, and not until when",
                 spec);
    }
}

/* ---- Shares ------------------------------------------------------------ */

/* Tenants with something in the queue of this method and priority; bits. */
static uint32_t
find_competitors(const struct sim *sim, uint32_t method, uint32_t priority)
{
    uint32_t tenants = 0;

    for (uint32_t i = 0; i < sim->agents.spec_count; i++) {
        const struct spec *spec = &sim->agents.specs[i];

        if (spec->method == method && spec->priority == priority &&
            !sim->ledger.jobs[i].suspect && stands_in_queue(sim, i, true)) {
            tenants |= 1u << spec->tenant;
        }
    }
    return tenants;
}

static uint32_t
weight_of(const struct sim *sim, uint32_t tenant)
{
    uint32_t weight = ledger_tenant_policy(sim, tenant)->weight;

    return weight == 0 ? 1 : weight;
}

static bool
is_limited(const struct sim *sim, uint32_t tenant)
{
    const struct limit_policy *limits =
        &ledger_tenant_policy(sim, tenant)->limits;

    return limits->concurrency > 0 || limits->rate > 0;
}

/*
 * While two tenants wait without a break, what they get is as their weights
 * are, but for the rounds at both ends and what retries got out of turn: up to
 * sixteen of each is remembered and made up for later.
 */
static void
check_share(struct sim *sim, const struct ledger_share *share, uint32_t a,
            uint32_t b)
{
    enum { ROUNDS = 2, OUT_OF_TURN = 16 };
    uint64_t wa = weight_of(sim, a);
    uint64_t wb = weight_of(sim, b);

    sim->coverage->limits[LIMITING_SHARED]++;
    if (share->got[a][b] * wb >
        share->got[b][a] * wa + ROUNDS * wa * wb + OUT_OF_TURN * (wa + wb)) {
        sim_fail(sim, VIOLATION_SHARE,
                 "tenant %u (weight %" PRIu64 ") got %" PRIu64
                 ", tenant %u (weight %" PRIu64 ") %" PRIu64,
                 a, wa, share->got[a][b], b, wb, share->got[b][a]);
    }
}

static void
count_share(struct sim *sim, uint32_t spec)
{
    const struct spec *own = &sim->agents.specs[spec];
    struct ledger_share *share =
        &sim->ledger.shares[own->method][own->priority];
    uint32_t a = own->tenant;
    uint32_t waiting;

    if (sim->ledger.jobs[spec].suspect || sim->plan.tenants < 2) {
        return;
    }
    waiting = find_competitors(sim, own->method, own->priority);
    for (uint32_t i = 0; i < sim->plan.tenants; i++) {
        for (uint32_t k = 0; k < sim->plan.tenants; k++) {
            bool both = (waiting >> i & 1) != 0 && (waiting >> k & 1) != 0;

            if (!both || is_limited(sim, i) || is_limited(sim, k)) {
                share->compete[i][k] = false;
            } else if (!share->compete[i][k]) {
                share->compete[i][k] = true;
                share->got[i][k] = 0;
            }
        }
    }
    for (uint32_t b = 0; b < sim->plan.tenants; b++) {
        if (b != a && share->compete[a][b]) {
            share->got[a][b]++;
            check_share(sim, share, a, b);
        }
    }
}

/* ---- Starts ------------------------------------------------------------ */

void
ledger_check_limits(struct sim *sim, uint32_t spec)
{
    const struct spec *own = &sim->agents.specs[spec];

    count_start(sim, &sim->ledger.method_rates[own->method],
                limits_of_method(sim, own->method), "method");
    count_start(sim, &sim->ledger.tenant_rates[own->tenant],
                &ledger_tenant_policy(sim, own->tenant)->limits, "tenant");
    count_share(sim, spec);
}

bool
ledger_limits_let(const struct sim *sim, uint32_t spec)
{
    const struct spec *own = &sim->agents.specs[spec];

    return surely_has_token(sim, &sim->ledger.method_rates[own->method],
                            limits_of_method(sim, own->method)) &&
           surely_has_token(sim, &sim->ledger.tenant_rates[own->tenant],
                            &ledger_tenant_policy(sim, own->tenant)->limits);
}
