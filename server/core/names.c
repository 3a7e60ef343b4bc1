/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/names.h"

#include "server/core/tenant.h"

#include <string.h>

/* Both names with their lengths, so that no two pairs look alike. */
static void
hash_names(const struct engine *engine, struct text a, struct text b,
           uint8_t ret_key[16])
{
    uint8_t buf[2 + 2 * NAME_BYTES_MAX];
    size_t len = 0;

    redial_assert(a.len <= NAME_BYTES_MAX && b.len <= NAME_BYTES_MAX);
    buf[len++] = (uint8_t)a.len;
    if (a.len > 0) {
        memcpy(buf + len, a.at, a.len);
        len += a.len;
    }
    buf[len++] = (uint8_t)b.len;
    if (b.len > 0) {
        memcpy(buf + len, b.at, b.len);
        len += b.len;
    }
    hash_128(&engine->hash_key, buf, len, ret_key);
}

/*
 * Where a name is remembered. Cheap and easily made to collide, which costs
 * whoever does it a lookup; what is found there is compared in full.
 */
static uint32_t
recent_place(struct text a, struct text b)
{
    uint32_t last = b.len == 0 ? 0 : (uint8_t)b.at[b.len - 1];

    return (a.len * 7 + b.len * 13 + last) % RECENT_NAMES;
}

static void
copy_name(char *buf, uint32_t *len, struct text name)
{
    if (name.len > 0) {
        memcpy(buf, name.at, name.len);
    }
    *len = name.len;
}

/* ---- Services ---------------------------------------------------------- */

/* A place for a new service: a fresh one, or that of an unused name. */
static struct service *
service_take(struct engine *engine)
{
    struct service *service = slab_take(&engine->services);

    if (service != NULL) {
        return service;
    }
    struct list *oldest = list_pop(&engine->unused_services);

    if (oldest == NULL) {
        return NULL;
    }
    uint8_t key[16];

    service = container_of(oldest, struct service, unused);
    hash_names(engine, service_text(service), (struct text){0}, key);
    map_remove(&engine->services_by_name, key);
    return service;
}

struct service *
service_intern(struct engine *engine, struct text name)
{
    uint8_t key[16];

    hash_names(engine, name, (struct text){0}, key);
    uint32_t index = map_get(&engine->services_by_name, key);

    if (index != MAP_NONE) {
        return slab_at(&engine->services, index);
    }
    struct service *service = service_take(engine);

    if (service == NULL) {
        return NULL;
    }
    *service = (struct service){0};
    list_init(&service->methods);
    list_init(&service->serving);
    credit_init(&service->credit);
    list_init(&service->starved);
    copy_name(service->name, &service->name_len, name);
    index = slab_index(&engine->services, service);
    bool put = map_put(&engine->services_by_name, key, index);

    redial_assert(put);
    (void)put;
    list_append(&engine->unused_services, &service->unused);
    return service;
}

void
service_ref(struct engine *engine, struct service *service)
{
    if (service->refs++ == 0) {
        list_remove(&service->unused);
        engine->services_in_use++;
    }
}

void
service_unref(struct engine *engine, struct service *service)
{
    redial_assert(service->refs > 0);
    if (--service->refs == 0) {
        engine->services_in_use--;
        list_append(&engine->unused_services, &service->unused);
    }
}

/* ---- Methods ----------------------------------------------------------- */

/* Its names; all else is that of a method that nobody used yet. */
static void
method_begin(struct engine *engine, struct method *method,
             struct service *owner, struct text name)
{
    method->service = owner;
    list_append(&owner->methods, &method->of_service);
    copy_name(method->name, &method->name_len, name);
    method->policy = policy_find(engine->policy, service_text(owner), name);
    method->target = target_hold_for(engine, service_text(owner),
                                     method->policy);
    limit_init(&method->limit, &method->policy->limits, engine->forgot_ms);
    flow_init(&method->flow, engine->now.mono.ms);
    method->since_retry = 0;
    method->since_lower = 0;
    method->refused = 0;
}

static struct method *
method_take(struct engine *engine)
{
    struct method *method = slab_take(&engine->methods);

    if (method != NULL) {
        method->index = slab_index(&engine->methods, method);
        for (uint32_t i = 0; i < PRIORITY_COUNT; i++) {
            list_init(&method->levels[i].lanes);
            list_init(&method->levels[i].retry_lanes);
        }
        for (int i = 0; i < FITS; i++) {
            list_init(&method->fit_lanes[i]);
        }
        list_init(&method->serving);
        credit_init(&method->credit);
        list_init(&method->ages);
        list_init(&method->suspects);
        list_init(&method->invited);
        return method;
    }
    struct list *oldest = list_pop(&engine->unused_methods);

    if (oldest == NULL) {
        return NULL;
    }
    uint8_t key[16];

    method = container_of(oldest, struct method, unused);
    redial_assert(method->waiting == 0 && method->running == 0);
    engine->forgot_ms = engine->now.mono.ms;
    hash_names(engine, service_text(method->service), method_text(method), key);
    map_remove(&engine->methods_by_name, key);
    list_remove(&method->of_service);
    service_unref(engine, method->service);
    target_unref(engine, method->target);
    return method;
}

static struct method *
method_intern_anew(struct engine *engine, struct text service, struct text name)
{
    uint8_t key[16];

    hash_names(engine, service, name, key);
    uint32_t index = map_get(&engine->methods_by_name, key);

    if (index != MAP_NONE) {
        return slab_at(&engine->methods, index);
    }
    struct service *owner = service_intern(engine, service);

    if (owner == NULL) {
        return NULL;
    }
    service_ref(engine, owner);
    struct method *method = method_take(engine);

    if (method == NULL) {
        service_unref(engine, owner);
        return NULL;
    }
    method_begin(engine, method, owner, name);
    bool put = map_put(&engine->methods_by_name, key, method->index);

    redial_assert(put);
    (void)put;
    list_append(&engine->unused_methods, &method->unused);
    return method;
}

struct method *
method_intern(struct engine *engine, struct text service, struct text name)
{
    struct method **recent =
        &engine->recent_methods[recent_place(service, name)];

    if (*recent == NULL || !text_equals(method_text(*recent), name) ||
        !text_equals(service_text((*recent)->service), service)) {
        *recent = method_intern_anew(engine, service, name);
    }
    return *recent;
}

void
method_ref(struct engine *engine, struct method *method)
{
    if (method->refs++ == 0) {
        list_remove(&method->unused);
        engine->methods_in_use++;
    }
}

void
method_unref(struct engine *engine, struct method *method)
{
    redial_assert(method->refs > 0);
    if (--method->refs == 0) {
        engine->methods_in_use--;
        list_append(&engine->unused_methods, &method->unused);
    }
}

/* ---- Tenants ----------------------------------------------------------- */

static struct tenant *
tenant_take(struct engine *engine)
{
    struct tenant *tenant = slab_take(&engine->tenants);

    if (tenant != NULL) {
        return tenant;
    }
    struct list *oldest = list_pop(&engine->unused_tenants);

    if (oldest == NULL) {
        return NULL;
    }
    uint8_t key[16];

    tenant = container_of(oldest, struct tenant, unused);
    redial_assert(tenant->waiting == 0 && tenant->running == 0);
    engine->forgot_ms = engine->now.mono.ms;
    hash_names(engine, tenant_text(tenant), (struct text){0}, key);
    map_remove(&engine->tenants_by_name, key);
    return tenant;
}

static struct tenant *
tenant_intern_anew(struct engine *engine, struct text name)
{
    uint8_t key[16];

    hash_names(engine, name, (struct text){0}, key);
    uint32_t index = map_get(&engine->tenants_by_name, key);

    if (index != MAP_NONE) {
        return slab_at(&engine->tenants, index);
    }
    struct tenant *tenant = tenant_take(engine);

    if (tenant == NULL) {
        return NULL;
    }
    *tenant = (struct tenant){0};
    list_init(&tenant->blocked);
    list_init(&tenant->blocked_suspects);
    copy_name(tenant->name, &tenant->name_len, name);
    const struct tenant_policy *policy = policy_find_tenant(engine->policy,
                                                            name);

    tenant->weight = tenant_weight(policy);
    limit_init(&tenant->limit, &policy->limits, engine->forgot_ms);
    flow_init(&tenant->flow, engine->now.mono.ms);
    index = slab_index(&engine->tenants, tenant);
    bool put = map_put(&engine->tenants_by_name, key, index);

    redial_assert(put);
    (void)put;
    list_append(&engine->unused_tenants, &tenant->unused);
    return tenant;
}

struct tenant *
tenant_intern(struct engine *engine, struct text name)
{
    struct tenant **recent =
        &engine->recent_tenants[recent_place((struct text){0}, name)];

    if (*recent == NULL || !text_equals(tenant_text(*recent), name)) {
        *recent = tenant_intern_anew(engine, name);
    }
    return *recent;
}

void
tenant_ref(struct engine *engine, struct tenant *tenant)
{
    if (tenant->refs++ == 0) {
        list_remove(&tenant->unused);
        engine->tenants_in_use++;
    }
}

void
tenant_unref(struct engine *engine, struct tenant *tenant)
{
    redial_assert(tenant->refs > 0);
    if (--tenant->refs == 0) {
        engine->tenants_in_use--;
        list_append(&engine->unused_tenants, &tenant->unused);
    }
}

bool
service_may_be_used(const struct engine *engine, const struct service *service)
{
    /* Known methods, in use or not, hold up to two thirds of these. */
    return service->refs > 0 ||
           engine->services_in_use < engine->limits.methods_max * 3;
}

bool
method_may_be_used(const struct engine *engine, const struct method *method)
{
    return method->refs > 0 ||
           engine->methods_in_use < engine->limits.methods_max;
}

bool
tenant_may_be_used(const struct engine *engine, const struct tenant *tenant)
{
    return tenant->refs > 0 ||
           engine->tenants_in_use < engine->limits.tenants_max;
}
