/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/tenant.h"

enum { WEIGHT_MAX = 1000000 };

uint32_t
tenant_weight(const struct tenant_policy *policy)
{
    if (policy->weight == 0) {
        return 1;
    }
    return policy->weight < WEIGHT_MAX ? policy->weight : WEIGHT_MAX;
}

void
tenant_take_policy(struct engine *engine, struct tenant *tenant)
{
    const struct tenant_policy *policy = policy_find_tenant(
        engine->policy, tenant_text(tenant));

    tenant->weight = tenant_weight(policy);
    limit_set(&tenant->limit, &policy->limits, engine->now.mono.ms);
    tenant_update(engine, tenant);
}

bool
tenant_has_room(const struct engine *engine, const struct tenant *tenant)
{
    return limit_room(&tenant->limit, tenant->running, engine->now.mono.ms) > 0;
}

static bool
has_blocked(const struct tenant *tenant)
{
    return !list_is_empty(&tenant->blocked) ||
           !list_is_empty(&tenant->blocked_suspects);
}

void
tenant_update(struct engine *engine, struct tenant *tenant)
{
    int64_t now_ms = engine->now.mono.ms;
    uint32_t invited = tenant->invited;
    bool has_place = has_blocked(tenant) &&
                     limit_places(&tenant->limit, tenant->running) > invited;
    bool has_token = limit_tokens(&tenant->limit, now_ms) > invited;
    int64_t token_ms = INT64_MAX;

    if (!has_place || !has_token) {
        list_remove(&tenant->with_room);
    } else if (!list_is_linked(&tenant->with_room)) {
        list_append(&engine->tenants_with_room, &tenant->with_room);
    }
    if (has_place && !has_token) {
        token_ms = limit_tokens_at_ms(&tenant->limit, now_ms, invited + 1);
    }
    if (token_ms == INT64_MAX) {
        heap_remove(&engine->tenant_timers, &tenant->timer);
    } else if (!heap_has(&tenant->timer) || tenant->timer.at != token_ms) {
        heap_set(&engine->tenant_timers, &tenant->timer, token_ms);
    }
}

void
tenant_block_lane(struct engine *engine, struct lane *lane)
{
    struct tenant *tenant = lane->tenant;

    tenant_uninvite_lane(engine, lane);
    lane->blocked = true;
    list_append(&tenant->blocked, &lane->ring);
    tenant_update(engine, tenant);
}

void
tenant_block_suspect(struct engine *engine, struct job *job)
{
    struct tenant *tenant = job->tenant;

    tenant_uninvite_suspect(engine, job);
    list_append(&tenant->blocked_suspects, &job->queue);
    tenant_update(engine, tenant);
}

void
tenant_invite_lane(struct lane *lane)
{
    list_append(&lane->method->invited, &lane->invited);
    lane->tenant->invited++;
}

void
tenant_invite_suspect(struct job *job)
{
    job->invited = true;
    job->method->invited_suspects++;
    job->tenant->invited++;
}

void
tenant_uninvite_lane(struct engine *engine, struct lane *lane)
{
    if (list_is_linked(&lane->invited)) {
        list_remove(&lane->invited);
        lane->tenant->invited--;
        tenant_update(engine, lane->tenant);
    }
}

void
tenant_uninvite_suspect(struct engine *engine, struct job *job)
{
    if (job->invited) {
        job->invited = false;
        job->method->invited_suspects--;
        job->tenant->invited--;
        tenant_update(engine, job->tenant);
    }
}

/*
 * A suspect for which a worker is being drained keeps its place, or it would
 * lose it to the tenant's other jobs each time.
 */
void
tenant_uninvite_method(struct engine *engine, struct method *method)
{
    while (!list_is_empty(&method->invited)) {
        tenant_uninvite_lane(engine, container_of(list_first(&method->invited),
                                                  struct lane, invited));
    }
    if (method->reserved != NULL || method->invited_suspects == 0) {
        return;
    }
    list_foreach(at, &method->suspects) {
        tenant_uninvite_suspect(engine, container_of(at, struct job, queue));
    }
}
