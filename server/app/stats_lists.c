/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Methods and tenants in the answer of Stats. Entries lie on the heap, each
 * with its texts behind it: a gateway with a thousand of them must not fail for
 * the budget of one call.
 */
#include "server/app/gateway.h"
#include "server/app/services.h"

#include <stdlib.h>
#include <string.h>

enum { ROWS_MAX = 1000 };

/* One row; a tenant has no second name. */
struct stats_row {
    union {
        Redial__V1__MethodStats method;
        Redial__V1__TenantStats tenant;
    };
    Redial__V1__LimitStats limits;
    char first[WIRE_SERVICE_BYTES_MAX + 1];
    char second[WIRE_METHOD_BYTES_MAX + 1];
};

struct stats_lists {
    Redial__V1__MethodStats *methods[ROWS_MAX];
    Redial__V1__TenantStats *tenants[ROWS_MAX];
    struct stats_row rows[2 * ROWS_MAX];
};

static char *
copy_text(char *to, size_t size, struct text from)
{
    size_t len = from.len < size ? from.len : size - 1;

    if (len > 0) {
        memcpy(to, from.at, len);
    }
    to[len] = '\0';
    return to;
}

/* 0 says that there is no such limit, and is left out. */
static Redial__V1__LimitStats *
fill_limits(Redial__V1__LimitStats *entry,
            const struct engine_limit_stats *limits)
{
    redial__v1__limit_stats__init(entry);
    entry->has_concurrency = limits->concurrency > 0;
    entry->concurrency = limits->concurrency;
    entry->has_rate = limits->rate > 0;
    entry->rate = limits->rate;
    entry->has_rate_period_ms = limits->rate > 0;
    entry->rate_period_ms = limits->rate_period_ms;
    entry->has_burst = limits->rate > 0;
    entry->burst = limits->burst;
    entry->has_tokens = limits->rate > 0;
    entry->tokens = limits->tokens;
    entry->has_queue = limits->queue > 0;
    entry->queue = limits->queue;
    entry->has_refused = true;
    entry->refused = limits->refused;
    return entry;
}

/* NULL for nothing. */
static char *
waits_for(enum engine_waits_for waits_for)
{
    return waits_for == ENGINE_WAITS_FOR_NOTHING
               ? NULL
               : unconst(engine_waits_for_name(waits_for));
}

static void
fill_method(struct stats_row *row, const struct engine_method_stats *stats)
{
    Redial__V1__MethodStats *entry = &row->method;

    redial__v1__method_stats__init(entry);
    entry->service = copy_text(row->first, sizeof(row->first), stats->service);
    entry->method = copy_text(row->second, sizeof(row->second), stats->method);
    entry->has_ready = true;
    entry->ready = stats->ready;
    entry->has_running = true;
    entry->running = stats->running;
    entry->has_oldest_ready_ms = true;
    entry->oldest_ready_ms = stats->oldest_ready_ms;
    entry->has_workers = true;
    entry->workers = stats->workers;
    entry->has_concurrency = true;
    entry->concurrency = stats->concurrency;
    entry->limits = fill_limits(&row->limits, &stats->limits);
    entry->waits_for = waits_for(stats->waits_for);
}

static void
fill_tenant(struct stats_row *row, const struct engine_tenant_stats *stats)
{
    Redial__V1__TenantStats *entry = &row->tenant;

    redial__v1__tenant_stats__init(entry);
    entry->tenant = copy_text(row->first, sizeof(row->first), stats->tenant);
    entry->has_ready = true;
    entry->ready = stats->ready;
    entry->has_running = true;
    entry->running = stats->running;
    entry->has_weight = true;
    entry->weight = stats->weight;
    entry->limits = fill_limits(&row->limits, &stats->limits);
    entry->waits_for = waits_for(stats->waits_for);
}

struct stats_lists *
stats_lists_make(struct gateway *gateway, Redial__V1__StatsResponse *response)
{
    struct stats_lists *lists = calloc(1, sizeof(*lists));
    struct engine_method_stats method;
    struct engine_tenant_stats tenant;

    if (lists == NULL) {
        return NULL;
    }
    struct stats_row *row = lists->rows;

    for (uint32_t i = 0;
         i < ROWS_MAX &&
         engine_method_stats(gateway->engine, gateway->now, i, &method);
         i++, row++) {
        fill_method(row, &method);
        lists->methods[response->n_methods++] = &row->method;
    }
    for (uint32_t i = 0;
         i < ROWS_MAX &&
         engine_tenant_stats(gateway->engine, gateway->now, i, &tenant);
         i++, row++) {
        fill_tenant(row, &tenant);
        lists->tenants[response->n_tenants++] = &row->tenant;
    }
    response->methods = lists->methods;
    response->tenants = lists->tenants;
    return lists;
}

void
stats_lists_free(struct stats_lists *lists)
{
    free(lists);
}
