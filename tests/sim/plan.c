/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/plan.h"

#include "server/base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const plan_reasons[PLAN_REASONS] = {
    "", "BUG", "QUOTA", "HTTP_503", "SCRIPT_VALIDATION", "BUSY", "X", "DISK",
};

static const uint32_t fault_rates[FAULT_COUNT] = {
#define FAULT(name, rate, sentence) [FAULT_##name] = (rate),
#include "tests/sim/fault.def"
#undef FAULT
};

static const char *const tenant_names[PLAN_TENANTS_MAX] = {
    "",
    "studio",
    "news",
    "t",
};

/* By name, as policies sort them. */
static const char *const target_names[] = {
    "printer", "shared", "svc0", "svc1", "svc2", "svc3",
};

/* One of `count` numbers. */
static uint64_t
pick(struct rng *rng, const uint64_t *numbers, size_t count)
{
    return numbers[rng_below(rng, count)];
}

#define PICK(rng, ...)                         \
    pick(rng, (const uint64_t[]){__VA_ARGS__}, \
         sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

/* Uniform in from..to. */
static uint64_t
between(struct rng *rng, uint64_t from, uint64_t to)
{
    return from + rng_below(rng, to - from + 1);
}

static bool
chance(struct rng *rng, uint32_t percent)
{
    return rng_below(rng, 100) < percent;
}

static void
make_limits(struct engine_limits *limits, struct rng *rng)
{
    *limits = (struct engine_limits){
        .jobs_max = (uint32_t)PICK(rng, 40, 80, 200, 600, 600),
        .attempts_max = (uint32_t)PICK(rng, 8, 30, 64, 64),
        .workers_max = (uint32_t)PICK(rng, 3, 24, 24),
        .methods_max = (uint32_t)PICK(rng, 5, 16, 16, 16),
        .tenants_max = (uint32_t)PICK(rng, 2, 8, 8, 8),
        .keys_max = (uint32_t)PICK(rng, 20, 60, 300, 300),
        .attempts_limit = (uint32_t)PICK(rng, 3, 5, 10, 10),
        .payload_bytes_max = PICK(rng, 20000, 1000000, 1000000),
        .lease_ms = between(rng, 3000, 10000),
        .adopt_ms = between(rng, 500, 10000),
        .grace_ms = between(rng, 100, 2000),
    };
    /* Nothing new goes to a worker whose leases are about to end. */
    limits->silence_ms = between(rng, 2500, limits->lease_ms - 500);
}

static void
make_names(struct plan *plan, struct rng *rng)
{
    uint32_t services = (uint32_t)between(rng, 2, PLAN_SERVICES_MAX);

    plan->methods = (uint32_t)between(rng, 3, 8);
    plan->tenants = (uint32_t)between(rng, 1, PLAN_TENANTS_MAX);
    for (uint32_t i = 0; i < plan->methods; i++) {
        struct plan_method *method = &plan->method[i];

        (void)snprintf(method->service, sizeof(method->service), "svc%u",
                       i % services);
        (void)snprintf(method->method, sizeof(method->method), "Do%u", i);
    }
    for (uint32_t i = 0; i < plan->tenants; i++) {
        plan->tenant[i] = tenant_names[i];
    }
}

void
plan_make(struct plan *plan, struct rng *rng)
{
    *plan = (struct plan){
        .jobs = (uint32_t)between(rng, 480, 610),
        .agents = (uint32_t)between(rng, 2, PLAN_AGENTS_MAX),
        .workers = (uint32_t)between(rng, 3, PLAN_WORKERS_MAX),
        .groups_in_pipe = (uint32_t)between(rng, 1, 4),
        .span_ms = (int64_t)between(rng, 60000, 180000),
        .commit_ms_max = (int64_t)PICK(rng, 2, 10, 50, 200),
        .net_ms_max = (int64_t)PICK(rng, 1, 5, 50),
        .projection = (uint32_t)PICK(rng, 0, 1, 2, 2, 8),
    };
    plan->crowd = chance(rng, 20);
    make_limits(&plan->limits, rng);
    make_names(plan, rng);
    for (uint32_t i = 0; i < FAULT_COUNT; i++) {
        uint32_t rate = fault_rates[i];

        plan->fault_permille[i] = chance(rng, 75)
                                      ? (uint32_t)rng_below(rng, rate + 1)
                                      : 0;
    }
}

/* ---- Policies ---------------------------------------------------------- */

/* Everything that one policy set points to. */
struct policy_block {
    struct policy_set set; /* first: the address of the block */
    struct method_policy rows[2 * PLAN_METHODS_MAX];
    struct text reasons[(2 * PLAN_METHODS_MAX + 1) * PLAN_REASONS];
    size_t reason_count;
    char words[2 * PLAN_METHODS_MAX + 2][2][SIM_WORD_BYTES];
    struct tenant_policy tenants[PLAN_TENANTS_MAX];
    struct target_policy
        targets[sizeof(target_names) / sizeof(target_names[0])];
};

static const struct text *
some_reasons(struct policy_block *block, struct rng *rng, uint32_t *ret_count)
{
    struct text *first = &block->reasons[block->reason_count];
    uint32_t count = 0;

    if (chance(rng, 50)) {
        *ret_count = 0;
        return NULL;
    }
    /* Half of the words at most, as both lists come from here. */
    for (uint32_t i = 1; i < PLAN_REASONS && count < PLAN_REASONS / 2; i++) {
        if (chance(rng, 30)) {
            first[count++] = plan_text(plan_reasons[i]);
        }
    }
    block->reason_count += count;
    *ret_count = count;
    return first;
}

static void
make_retry(struct policy_block *block, struct rng *rng,
           struct retry_policy *retry)
{
    *retry = (struct retry_policy){
        .max_attempts = (uint32_t)PICK(rng, 1, 2, 3, 3, 4, 6, 10),
        .attempts_clamped = chance(rng, 10),
        .initial_backoff_ms = PICK(rng, 1, 20, 100, 1000, 3000),
        .max_backoff_ms = PICK(rng, 1, 500, 5000, 60000),
        .backoff_multiplier = (double)PICK(rng, 1, 2, 2, 10, 1000000) *
                              (0.8 + 0.4 * rng_unit(rng)),
        .jitter = (enum jitter)rng_below(rng, 5),
        .retryable_codes = (uint32_t)PICK(
            rng, 0, 1u << REDIAL_UNAVAILABLE,
            1u << REDIAL_UNAVAILABLE | 1u << REDIAL_DEADLINE_EXCEEDED |
                1u << REDIAL_RESOURCE_EXHAUSTED | 1u << REDIAL_ABORTED,
            1u << REDIAL_UNAVAILABLE | 1u << REDIAL_DEADLINE_EXCEEDED |
                1u << REDIAL_UNKNOWN,
            0x1fffe),
        .max_pushback_ms = PICK(rng, 0, 100, 5000, 3600000),
        .free_attempts_max = (uint32_t)PICK(rng, 1, 2, 5, 100),
    };
    retry->non_retryable_reasons = some_reasons(
        block, rng, &retry->non_retryable_reason_count);
    retry->retryable_reasons = some_reasons(block, rng,
                                            &retry->retryable_reason_count);
}

static void
make_rate(struct rng *rng, struct limit_policy *limits)
{
    limits->rate_period_ms = (uint32_t)PICK(rng, 1000, 60000);
    limits->rate = limits->rate_period_ms == 1000
                       ? (uint32_t)PICK(rng, 1, 2, 7, 30)
                       : (uint32_t)PICK(rng, 31, 90, 400);
    limits->burst = (uint32_t)PICK(rng, 0, 1, 3, 50);
}

static void
make_row(struct policy_block *block, struct rng *rng, uint32_t limit,
         struct method_policy *row)
{
    make_retry(block, rng, &row->retry);
    if (row->retry.max_attempts > limit) {
        row->retry.max_attempts = limit;
        row->retry.attempts_clamped = true;
    }
    if (chance(rng, 30)) {
        row->target = plan_text(target_names[rng_below(rng, 2)]);
    }
    row->hedged = chance(rng, 30);
    row->hedging_delay_ms = PICK(rng, 0, 10, 100, 500, 3000);
    row->attempt_timeout_ms = PICK(rng, 300, 1000, 5000, 20000);
    row->deadline_ms = PICK(rng, 0, 0, 0, 3000, 30000);
    row->limits.concurrency = (uint32_t)PICK(rng, 0, 0, 1, 2, 4);
    if (chance(rng, 20)) {
        make_rate(rng, &row->limits);
    }
    row->limits.queue = (uint32_t)PICK(rng, 0, 0, 0, 0, 1, 5, 20);
    row->wait_for_ready = chance(rng, 92);
    row->idempotency = (enum idempotency)rng_below(rng, 3);
    row->retry_indeterminate = chance(rng, 30);
}

static int
row_order(const void *a, const void *b)
{
    const struct method_policy *one = a;
    const struct method_policy *other = b;

    return policy_order(one->service, one->method, other->service,
                        other->method);
}

/* True when the set has a row with these names. */
static bool
has_row(const struct policy_block *block, const char *service,
        const char *method)
{
    for (size_t i = 0; i < block->set.method_count; i++) {
        if (policy_order(block->rows[i].service, block->rows[i].method,
                         plan_text(service), plan_text(method)) == 0) {
            return true;
        }
    }
    return false;
}

static void
add_row(struct policy_block *block, struct rng *rng, uint32_t limit,
        const struct plan_method *name, bool whole_service)
{
    size_t i = block->set.method_count;

    if (has_row(block, name->service, whole_service ? "" : name->method)) {
        return;
    }
    memcpy(block->words[i][0], name->service, SIM_WORD_BYTES);
    if (!whole_service) {
        memcpy(block->words[i][1], name->method, SIM_WORD_BYTES);
    }
    make_row(block, rng, limit, &block->rows[i]);
    block->rows[i].service = plan_text(block->words[i][0]);
    block->rows[i].method = plan_text(block->words[i][1]);
    block->set.method_count++;
}

static void
make_target(struct rng *rng, struct target_policy *target)
{
    target->has_throttle = chance(rng, 50);
    target->tokens_max_milli = 1000 * (uint32_t)PICK(rng, 1, 2, 5, 10, 100);
    target->tokens_ok_milli = (uint32_t)PICK(rng, 1, 100, 500, 546, 5000);
    target->has_budget = chance(rng, 50);
    target->budget_ratio_milli = (uint32_t)PICK(rng, 0, 100, 200, 1000);
    target->budget_floor = (uint32_t)PICK(rng, 0, 1, 10);
    target->budget_window_ms = (uint32_t)PICK(rng, 1000, 10000, 60000);
}

static void
make_targets(struct policy_block *block, struct rng *rng)
{
    size_t *count = &block->set.target_count;

    make_target(rng, &block->set.target_fallback);
    for (size_t i = 0; i < sizeof(target_names) / sizeof(target_names[0]);
         i++) {
        if (chance(rng, 60)) {
            make_target(rng, &block->targets[*count]);
            block->targets[*count].name = plan_text(target_names[i]);
            (*count)++;
        }
    }
    block->set.targets = block->targets;
}

static void
make_tenant(struct rng *rng, struct tenant_policy *tenant)
{
    tenant->weight = (uint32_t)PICK(rng, 1, 1, 2, 3, 10);
    if (chance(rng, 20)) {
        tenant->limits.concurrency = (uint32_t)PICK(rng, 1, 2, 5);
    }
    if (chance(rng, 15)) {
        make_rate(rng, &tenant->limits);
    }
    tenant->limits.queue = (uint32_t)PICK(rng, 0, 0, 0, 0, 2, 30);
}

/* By name; the nameless one is always the first. */
static void
make_tenants(struct policy_block *block, struct rng *rng)
{
    static const char *const names[] = {"", "news", "studio", "t"};
    size_t *count = &block->set.tenant_count;

    make_tenant(rng, &block->set.tenant_fallback);
    for (size_t i = 0; i < PLAN_TENANTS_MAX; i++) {
        if (chance(rng, 60)) {
            make_tenant(rng, &block->tenants[*count]);
            block->tenants[*count].name = plan_text(names[i]);
            (*count)++;
        }
    }
    block->set.tenants = block->tenants;
}

struct policy_set *
plan_policy_new(const struct plan *plan, uint64_t seed, uint32_t version)
{
    struct policy_block *block = calloc(1, sizeof(*block));
    uint32_t limit = plan->limits.attempts_limit;
    struct rng rng;

    redial_assert(block != NULL);
    rng_init(&rng, seed ^ (UINT64_C(0x9e3779b97f4a7c15) * version));
    block->set.version = version;
    make_row(block, &rng, limit, &block->set.fallback);
    for (uint32_t i = 0; i < plan->methods; i++) {
        if (chance(&rng, 50)) {
            add_row(block, &rng, limit, &plan->method[i], chance(&rng, 30));
        }
    }
    qsort(block->rows, block->set.method_count, sizeof(block->rows[0]),
          row_order);
    block->set.methods = block->rows;
    make_targets(block, &rng);
    make_tenants(block, &rng);
    block->set.retries_off = chance(&rng, 6);
    return &block->set;
}

static void
slip_limits(struct limit_policy *limits, const struct plan_slip *slip)
{
    if (limits->rate > 0) {
        limits->rate += slip->starts;
        limits->burst += limits->burst > 0 ? slip->starts : 0;
    }
    if (limits->queue > 0) {
        limits->queue += slip->queue;
    }
}

static void
slip_row(struct method_policy *row, const struct plan_slip *slip)
{
    if (row->hedged) {
        row->retry.max_attempts += slip->hedges;
    }
    slip_limits(&row->limits, slip);
}

static void
slip_tenant(struct tenant_policy *tenant, const struct plan_slip *slip)
{
    slip_limits(&tenant->limits, slip);
    if (slip->topsy_turvy) {
        tenant->weight = tenant->weight > 1 ? 1 : 10;
    }
}

void
plan_policy_slip(struct policy_set *set, const struct plan_slip *slip)
{
    struct policy_block *block = (struct policy_block *)set;

    slip_row(&set->fallback, slip);
    slip_tenant(&set->tenant_fallback, slip);
    set->target_fallback.budget_floor += slip->floor;
    for (size_t i = 0; i < set->method_count; i++) {
        slip_row(&block->rows[i], slip);
    }
    for (size_t i = 0; i < set->tenant_count; i++) {
        slip_tenant(&block->tenants[i], slip);
    }
    for (size_t i = 0; i < set->target_count; i++) {
        block->targets[i].budget_floor += slip->floor;
    }
}

void
plan_policy_free(struct policy_set *set)
{
    if (set != NULL) {
        memset(set, 0xdd, sizeof(struct policy_block));
        free(set);
    }
}
