/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tenants: one row for each name, sorted; the entry without a name, or with the
 * name "*", is for all others.
 */
#include "server/config/loader.h"
#include "server/config/report.h"
#include "server/config/usage.h"

#include <stdlib.h>
#include <string.h>

struct row {
    struct tenant_policy policy;
    struct place place;
    size_t order; /* of appearance */
};

/* False: it is not known which tenant is meant; reported. */
static bool
read_tenant(struct loader *loader, const struct spot *spot, struct row *row)
{
    struct config_report *report = loader->report;
    struct fields fields;
    const char *name = "";

    if (!object_read(report, spot, OBJECT_TENANT, &fields)) {
        return false;
    }
    struct spot limits = field_spot(spot, &fields, FIELD_TENANT_LIMITS);
    bool known = fields.at[FIELD_TENANT_NAME] == NULL;

    known |= field_text(report, spot, &fields, FIELD_TENANT_NAME, &name);
    row->policy.name = loader_copy(loader, strcmp(name, "*") == 0 ? "" : name);
    (void)field_integer(report, spot, &fields, FIELD_TENANT_WEIGHT,
                        &row->policy.weight);
    if (limits.node != NULL) {
        usage_read(report, &limits, &row->policy.limits);
    }
    return known;
}

static int
compare_names(const struct row *a, const struct row *b)
{
    return policy_order(a->policy.name, (struct text){0}, b->policy.name,
                        (struct text){0});
}

static int
compare_rows(const void *left, const void *right)
{
    const struct row *a = left;
    const struct row *b = right;
    int order = compare_names(a, b);

    return order != 0 ? order : (a->order > b->order) - (a->order < b->order);
}

static void
report_repeated(struct loader *loader, const struct row *rows, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        if (compare_names(&rows[i - 1], &rows[i]) == 0) {
            loader_report_again(loader, &rows[i].place,
                                rows[i].policy.name.len == 0
                                    ? "the entry for all others"
                                    : rows[i].policy.name.at,
                                &rows[i - 1].place, "each tenant once");
        }
    }
}

/* Moves the sorted rows into the policy set; the one without a name is first.
 */
static void
keep_rows(struct loader *loader, const struct row *rows, size_t count)
{
    struct config *config = loader->config;
    bool has_fallback = count > 0 && rows[0].policy.name.len == 0;
    size_t named = count - has_fallback;
    struct tenant_policy *tenants = config_arena_array(config->arena, named,
                                                       sizeof(*tenants));

    config->policy.tenant_fallback.weight = 1;
    if (has_fallback) {
        config->policy.tenant_fallback = rows[0].policy;
        config->tenant_fallback_given = true;
    }
    if (tenants == NULL) {
        return;
    }
    for (size_t i = 0; i < named; i++) {
        tenants[i] = rows[i + has_fallback].policy;
    }
    config->policy.tenants = tenants;
    config->policy.tenant_count = named;
}

/* Reads the entries of one layer to `rows`; returns how many. */
static size_t
read_layer(struct loader *loader, const struct layer *layer, struct row *rows,
           size_t order)
{
    struct spot array = field_spot(&layer->top, &layer->fields,
                                   FIELD_ROOT_TENANTS);
    const cJSON *node;
    size_t index = 0;
    size_t count = 0;

    cJSON_ArrayForEach(node, array.node)
    {
        struct spot spot = spot_element(&array, index++, node);
        struct row *row = &rows[count];

        *row = (struct row){
            .policy = {.weight = 1},
            .place = loader_place(loader, &spot),
            .order = order,
        };
        order++;
        count += read_tenant(loader, &spot, row);
    }
    return count;
}

void
loader_read_tenants(struct loader *loader)
{
    struct row *rows = NULL;
    size_t count = 0;

    for (const struct layer *layer = loader->layers; layer != NULL;
         layer = layer->next) {
        size_t more = field_array(loader->report, &layer->top, &layer->fields,
                                  FIELD_ROOT_TENANTS);
        struct row *grown;

        if (more == 0) {
            continue;
        }
        grown = realloc(rows, (count + more) * sizeof(*rows));
        if (grown == NULL) {
            loader->no_memory = true;
            break;
        }
        rows = grown;
        count += read_layer(loader, layer, rows + count, count);
    }
    if (count > 0) {
        qsort(rows, count, sizeof(*rows), compare_rows);
        report_repeated(loader, rows, count);
    }
    keep_rows(loader, rows, count);
    free(rows);
}
