/* SPDX-License-Identifier: Apache-2.0 */
#include "server/app/gateway.h"
#include "server/app/reload.h"
#include "server/app/retention.h"
#include "server/app/services.h"
#include <redial/version.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    STATES = 10,
    COUNTERS_MAX = 128,
};

static struct gateway *
gateway_of(Redial__V1__Admin_Service *service)
{
    return ((struct admin_service *)(void *)service)->gateway;
}

static void
on_list(Redial__V1__Admin_Service *service,
        const Redial__V1__ListRequest *input,
        Redial__V1__ListResponse_Closure closure, void *call)
{
    (void)closure;
    list_start(gateway_of(service), call, input);
}

/* ---- Stats ------------------------------------------------------------- */

/* Everything that a StatsResponse points at. */
struct stats_parts {
    Redial__V1__StateCount states[STATES];
    Redial__V1__StateCount *state_list[STATES];
    Redial__V1__Counter counters[COUNTERS_MAX];
    Redial__V1__Counter *counter_list[COUNTERS_MAX];
    size_t counter_count;
    struct engine_stats engine;
    struct store_stats store;
};

static void
count(struct stats_parts *parts, const char *name, uint64_t value)
{
    Redial__V1__Counter *counter = &parts->counters[parts->counter_count];

    if (parts->counter_count == COUNTERS_MAX) {
        return;
    }
    redial__v1__counter__init(counter);
    counter->name = unconst(name);
    counter->has_value = true;
    counter->value = value;
    parts->counter_list[parts->counter_count++] = counter;
}

static void
count_all(struct gateway *gateway, struct stats_parts *parts)
{
    struct sp_counters net;

    for (unsigned rule = 1; rule < 32; rule++) {
        if (parts->engine.rules[rule] > 0) {
            count(parts, rule_name((enum rule)rule), parts->engine.rules[rule]);
        }
    }
    count(parts, "hedges_started", parts->engine.hedges_started);
    count(parts, "late_reports", parts->engine.late_reports);
    count(parts, "duplicate_submits", parts->engine.duplicate_submits);
    count(parts, "refused_submits", parts->engine.refused_submits);
    for (unsigned i = 0; i < ENGINE_REFUSAL_COUNT; i++) {
        if (parts->engine.refusals[i] > 0) {
            count(parts, engine_refusal_name((enum engine_refusal)i),
                  parts->engine.refusals[i]);
        }
    }
    count(parts, "store_groups", parts->store.groups);
    count(parts, "store_records", parts->store.records);
    count(parts, "store_bytes", parts->store.bytes);
    sp_server_counters(gateway->sp, &net);
#define SP_COUNTER(name, text) count(parts, #name, net.name);
#include "server/net/sp_counters.def"
}

static void
count_states(struct stats_parts *parts, Redial__V1__StatsResponse *response)
{
    for (int state = 1; state < STATES; state++) {
        Redial__V1__StateCount *entry = &parts->states[state];

        redial__v1__state_count__init(entry);
        entry->has_state = true;
        entry->state = codec_state((enum job_state)state);
        entry->has_jobs = true;
        entry->jobs = parts->engine.jobs[state];
        parts->state_list[response->n_states++] = entry;
    }
    response->states = parts->state_list;
}

static void
fill_stats(struct gateway *gateway, const struct stats_parts *parts,
           Redial__V1__StatsResponse *response)
{
    response->has_oldest_ready_ms = true;
    response->oldest_ready_ms = parts->engine.oldest_ready_ms;
    response->has_failed_kept = true;
    response->failed_kept = gateway->failed_since_start;
    response->has_projection_lag_records = true;
    response->projection_lag_records = projector_lag_records(gateway);
    response->has_projection_lag_bytes = true;
    response->projection_lag_bytes = projector_lag_bytes(gateway);
    response->has_sync_p50_us = true;
    response->sync_p50_us = pipeline_sync_us(&gateway->pipeline, 50);
    response->has_sync_p99_us = true;
    response->sync_p99_us = pipeline_sync_us(&gateway->pipeline, 99);
    response->has_head_seq = true;
    response->head_seq = tail_committed(gateway->tail);
    response->has_first_seq = true;
    response->first_seq = retention_first_seq(gateway);
    response->epoch = gateway->recovered.epoch;
    response->has_uptime_ms = true;
    response->uptime_ms = (uint64_t)(gateway->now.mono.ms -
                                     gateway->started.ms);
    response->has_payload_bytes_memory = true;
    response->payload_bytes_memory = gateway->contents.bytes;
    response->has_workers = true;
    response->workers = parts->engine.workers;
    response->has_connections = true;
    response->connections = sp_server_connections(gateway->sp);
}

static void
on_stats(Redial__V1__Admin_Service *service,
         const Redial__V1__StatsRequest *input,
         Redial__V1__StatsResponse_Closure closure, void *call)
{
    struct gateway *gateway = gateway_of(service);
    Redial__V1__StatsResponse response = REDIAL__V1__STATS_RESPONSE__INIT;
    struct stats_parts parts = {.counter_count = 0};
    struct stats_lists *lists;

    (void)input;
    (void)closure;
    engine_stats(gateway->engine, gateway->now, &parts.engine);
    store_stats(gateway->store, &parts.store);
    count_states(&parts, &response);
    count_all(gateway, &parts);
    response.counters = parts.counter_list;
    response.n_counters = parts.counter_count;
    lists = stats_lists_make(gateway, &response);
    fill_stats(gateway, &parts, &response);
    pipeline_reply(gateway, rpc_build(call, &response.base));
    stats_lists_free(lists);
}

/* ---- Health, Reload ---------------------------------------------------- */

static const char *
why_not_ready(const struct gateway *gateway)
{
    if (gateway->draining) {
        return "draining";
    }
    return gateway->degraded ? "degraded: the disk is full" : NULL;
}

static void
on_health(Redial__V1__Admin_Service *service,
          const Redial__V1__HealthRequest *input,
          Redial__V1__HealthResponse_Closure closure, void *call)
{
    struct gateway *gateway = gateway_of(service);
    Redial__V1__HealthResponse response = REDIAL__V1__HEALTH_RESPONSE__INIT;

    (void)input;
    (void)closure;
    response.why = unconst(why_not_ready(gateway));
    response.has_ready = true;
    response.ready = response.why == NULL;
    response.version = unconst(REDIAL_VERSION_STRING);
    response.epoch = gateway->recovered.epoch;
    response.has_durable = true;
    response.durable = !gateway->config->store_ephemeral;
    pipeline_reply(gateway, rpc_build(call, &response.base));
}

static void
fill_reload(const struct config_report *report, struct rpc_call *call,
            Redial__V1__ReloadResponse *response)
{
    char **lines = rpc_call_alloc(call, report->count * 2 * sizeof(*lines));

    if (lines == NULL) {
        return;
    }
    response->changes = lines;
    response->errors = lines + report->count;
    for (size_t i = 0; i < report->count; i++) {
        const struct config_issue *issue = &report->issues[i];
        char *line = rpc_call_alloc(call, 1024);
        bool change = issue->severity == CONFIG_CHANGE;

        if (line == NULL) {
            return;
        }
        (void)snprintf(line, 1024, "%s: %s; %s", issue->path, issue->found,
                       issue->allowed);
        if (change) {
            response->changes[response->n_changes++] = line;
        } else if (issue->severity != CONFIG_WARNING) {
            response->errors[response->n_errors++] = line;
        }
    }
}

static void
on_reload(Redial__V1__Admin_Service *service,
          const Redial__V1__ReloadRequest *input,
          Redial__V1__ReloadResponse_Closure closure, void *call)
{
    struct gateway *gateway = gateway_of(service);
    Redial__V1__ReloadResponse response = REDIAL__V1__RELOAD_RESPONSE__INIT;
    struct config_report report = {.count = 0};

    (void)input;
    (void)closure;
    response.has_applied = true;
    response.applied = reload(gateway, &report);
    response.has_policy_version = true;
    response.policy_version = gateway->policy_version;
    fill_reload(&report, call, &response);
    pipeline_reply(gateway, rpc_build(call, &response.base));
    config_report_fini(&report);
}

/* ---- Policy ------------------------------------------------------------ */

static void
on_budgets(Redial__V1__Admin_Service *service,
           const Redial__V1__BudgetsRequest *input,
           Redial__V1__BudgetsResponse_Closure closure, void *call)
{
    (void)closure;
    budgets_start(gateway_of(service), call, input);
}

static void
on_explain(Redial__V1__Admin_Service *service,
           const Redial__V1__ExplainRequest *input,
           Redial__V1__ExplainResponse_Closure closure, void *call)
{
    (void)closure;
    explain_start(gateway_of(service), call, input);
}

void
admin_service_init(struct admin_service *service, struct gateway *gateway)
{
    service->base = (Redial__V1__Admin_Service)REDIAL__V1__ADMIN__INIT(on_);
    service->gateway = gateway;
}
