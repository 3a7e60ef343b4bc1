/* SPDX-License-Identifier: Apache-2.0 */
#include "server/config/object.h"

#include "server/base/check.h"
#include "server/config/param.h"
#include "server/config/report.h"
#include "server/config/value.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

const struct object_row object_table[OBJECT_COUNT] = {
#define OBJECT(name_, json_name, text) \
    [OBJECT_##name_] = {#name_, json_name, text},
#include "server/config/objects.def"
};

const struct field_row field_table[FIELD_COUNT] = {
#define FIELD(object_, id, name_, kind_, detail_, min_, max_, status_, text) \
    [FIELD_##object_##_##id] = {                                             \
        .object = OBJECT_##object_,                                          \
        .name = name_,                                                       \
        .kind = FIELD_KIND_##kind_,                                          \
        .detail = detail_,                                                   \
        .min = min_,                                                         \
        .max = max_,                                                         \
        .status = FIELD_STATUS_##status_,                                    \
        .sentence = text,                                                    \
    },
#include "server/config/fields.def"
};

enum {
    /* Where so few names are known, all are told. */
    NAMES_TOLD_MAX = 12,
    NAMES_BYTES = 512,
    /* Of one object: its fields, and in ROOT the parameters. */
    NAMES_MAX = FIELD_COUNT + PARAM_COUNT,
    GROUP_BYTES = 32,
};

enum object
object_find(const char *name)
{
    for (unsigned i = 0; i < OBJECT_COUNT; i++) {
        if (strcmp(object_table[i].name, name) == 0) {
            return (enum object)i;
        }
    }
    redial_unreachable();
}

/* Whether null means "not given", as it does in the JSON of protobuf. */
static bool
is_grpc_object(enum object object)
{
    return object == OBJECT_METHOD_CONFIG || object == OBJECT_METHOD_NAME ||
           object == OBJECT_RETRY_POLICY || object == OBJECT_HEDGING_POLICY ||
           object == OBJECT_RETRY_THROTTLING;
}

/* The path that was probably meant, or NULL. */
static const char *
find_nearest(const struct spot *spot, const char *const *names, size_t count)
{
    size_t len = strlen(spot->key);

    /* A parameter without its group. */
    for (size_t i = 0; spot->parent->parent == NULL && i < PARAM_COUNT; i++) {
        if (strcasecmp(param_leaf(&param_table[i]), spot->key) == 0) {
            return param_table[i].path;
        }
    }
    return report_nearest(spot->key, len < 6 ? 1 : len / 3, names, count);
}

/* What only the top has, found further down, as retryThrottling may be. */
static bool
belongs_at_top(const struct spot *spot)
{
    for (unsigned i = 0; spot->parent->parent != NULL && i < FIELD_COUNT; i++) {
        if (field_table[i].object == OBJECT_ROOT &&
            strcmp(field_table[i].name, spot->key) == 0) {
            return true;
        }
    }
    return false;
}

void
object_report_unknown(struct config_report *report, const struct spot *spot,
                      const char *const *names, size_t count)
{
    char known[NAMES_BYTES] = "a known field";
    size_t len = 0;

    if (report_is_full(report)) {
        report_error(report, spot, "a known field");
        return;
    }
    const char *nearest = find_nearest(spot, names, count);

    if (nearest == NULL && count <= NAMES_TOLD_MAX) {
        for (size_t i = 0; i < count && len < sizeof(known); i++) {
            len += (size_t)snprintf(known + len, sizeof(known) - len, "%s%s",
                                    i == 0 ? "only " : ", ", names[i]);
        }
    }
    char path[SPOT_PATH_BYTES];
    char allowed[NAMES_BYTES + 64];

    if (belongs_at_top(spot)) {
        (void)snprintf(allowed, sizeof(allowed),
                       "%s; this one belongs at the top", known);
    } else {
        (void)snprintf(allowed, sizeof(allowed), "%s%s%s%s", known,
                       nearest == NULL ? "" : "; did you mean \"",
                       nearest == NULL ? "" : nearest,
                       nearest == NULL ? "" : "\"?");
    }
    spot_path(spot, path);
    report_add(report, &(struct config_issue){
                           .severity = CONFIG_ERROR,
                           .source = spot->document->source,
                           .line = spot_line(spot),
                           .path = path,
                           .found = "an unknown field",
                           .allowed = allowed,
                       });
}

/* The names that the object may have, for telling the nearest. */
static size_t
known_names(enum object object, const char *names[NAMES_MAX],
            char groups[PARAM_COUNT][GROUP_BYTES])
{
    size_t count = 0;

    for (unsigned i = 0; i < FIELD_COUNT; i++) {
        if (field_table[i].object == object &&
            field_table[i].status < FIELD_STATUS_MEANINGLESS) {
            names[count++] = field_table[i].name;
        }
    }
    for (size_t i = 0; object == OBJECT_ROOT && i < PARAM_COUNT; i++) {
        size_t len = param_group_len(&param_table[i]);

        if (len == 0) {
            names[count++] = param_table[i].path;
        } else {
            (void)snprintf(groups[i], GROUP_BYTES, "%.*s", (int)len,
                           param_table[i].path);
            names[count++] = groups[i];
        }
    }
    return count;
}

/* Whether a member of ROOT is a parameter or a group of parameters. */
static bool
is_param(const char *name)
{
    size_t len = strlen(name);

    for (size_t i = 0; i < PARAM_COUNT; i++) {
        size_t group = param_group_len(&param_table[i]);

        if (group == 0
                ? strcmp(param_table[i].path, name) == 0
                : group == len && memcmp(param_table[i].path, name, len) == 0) {
            return true;
        }
    }
    return false;
}

static bool
find_field(enum object object, const char *name, enum field *ret_field)
{
    for (unsigned i = 0; i < FIELD_COUNT; i++) {
        if (field_table[i].object == object &&
            strcmp(field_table[i].name, name) == 0) {
            *ret_field = (enum field)i;
            return true;
        }
    }
    return false;
}

static void
read_member(struct config_report *report, const struct spot *spot,
            enum object object, struct fields *fields)
{
    const char *names[NAMES_MAX];
    char groups[PARAM_COUNT][GROUP_BYTES];
    enum field field;

    if (!find_field(object, spot->key, &field)) {
        if (object != OBJECT_ROOT || !is_param(spot->key)) {
            object_report_unknown(report, spot, names,
                                  known_names(object, names, groups));
        }
        return;
    }
    if (cJSON_IsNull(spot->node) &&
        (is_grpc_object(object) || field == FIELD_ROOT_RETRY_THROTTLING)) {
        return;
    }
    switch (field_table[field].status) {
    case FIELD_STATUS_REQUIRED:
    case FIELD_STATUS_OPTIONAL:
        fields->at[field] = spot->node;
        return;
    case FIELD_STATUS_MEANINGLESS:
        report_warning(report, spot, "has no effect: %s",
                       field_table[field].sentence);
        return;
    case FIELD_STATUS_LATER:
        report_error(report, spot, "nothing: not supported by this version");
        return;
    }
}

bool
object_read(struct config_report *report, const struct spot *spot,
            enum object object, struct fields *ret_fields)
{
    const cJSON *node;

    *ret_fields = (struct fields){0};
    if (!cJSON_IsObject(spot->node)) {
        report_error(report, spot, "an object");
        return false;
    }
    cJSON_ArrayForEach(node, spot->node)
    {
        struct spot member = spot_member(spot, node->string, node);

        read_member(report, &member, object, ret_fields);
    }
    for (unsigned i = 0; i < FIELD_COUNT; i++) {
        if (field_table[i].object == object &&
            field_table[i].status == FIELD_STATUS_REQUIRED &&
            ret_fields->at[i] == NULL) {
            struct spot missing = spot_member(spot, field_table[i].name, NULL);
            char range[READ_RANGE_BYTES];

            field_range((enum field)i, range);
            report_error(report, &missing, "%s", range);
        }
    }
    return true;
}

struct spot
field_spot(const struct spot *parent, const struct fields *fields,
           enum field field)
{
    return spot_member(parent, field_table[field].name, fields->at[field]);
}

void
field_range(enum field field, char text[READ_RANGE_BYTES])
{
    const struct field_row *row = &field_table[field];

    switch (row->kind) {
    case FIELD_KIND_STRING:
    case FIELD_KIND_NAME:
    case FIELD_KIND_TOKEN:
    case FIELD_KIND_PATH:
        (void)snprintf(
            text, READ_RANGE_BYTES, "%s of at most %" PRIu64 " bytes",
            row->kind == FIELD_KIND_PATH ? "an absolute path" : "text",
            row->max);
        return;
    case FIELD_KIND_INTEGER:
        read_integer_range(row->min, row->max, text);
        return;
    case FIELD_KIND_NUMBER:
        (void)snprintf(text, READ_RANGE_BYTES, "a number greater than 0");
        return;
    case FIELD_KIND_THOUSANDTHS:
        read_thousandths_range(row->min, row->max, text);
        return;
    case FIELD_KIND_BOOL:
        (void)snprintf(text, READ_RANGE_BYTES, "true or false");
        return;
    case FIELD_KIND_DURATION:
        read_duration_range(row->min, row->max, text);
        return;
    case FIELD_KIND_WORD:
        read_words_range(row->detail, text);
        return;
    case FIELD_KIND_CODES:
        (void)snprintf(text, READ_RANGE_BYTES, "an array of %sstatus codes",
                       row->min > 0 ? "one or more " : "");
        return;
    case FIELD_KIND_RATE:
        read_integer_range(row->min, row->max, text);
        (void)snprintf(text + strlen(text), READ_RANGE_BYTES - strlen(text),
                       ", or an object");
        return;
    case FIELD_KIND_REASONS:
        (void)snprintf(text, READ_RANGE_BYTES,
                       "an array of at most %" PRIu64 " reasons", row->max);
        return;
    case FIELD_KIND_OBJECT:
        (void)snprintf(text, READ_RANGE_BYTES, "an object");
        return;
    case FIELD_KIND_ARRAY:
        (void)snprintf(text, READ_RANGE_BYTES,
                       "an array of %" PRIu64 " to %" PRIu64 " objects",
                       row->min, row->max);
        return;
    case FIELD_KIND_ANY:
        (void)snprintf(text, READ_RANGE_BYTES, "anything");
        return;
    }
    redial_unreachable();
}

bool
field_bool(struct config_report *report, const struct spot *parent,
           const struct fields *fields, enum field field, bool *ret)
{
    struct spot spot = field_spot(parent, fields, field);

    return spot.node != NULL && read_bool(report, &spot, ret);
}

bool
field_integer(struct config_report *report, const struct spot *parent,
              const struct fields *fields, enum field field, uint32_t *ret)
{
    struct spot spot = field_spot(parent, fields, field);
    uint64_t number;

    if (spot.node == NULL ||
        !read_integer(report, &spot, field_table[field].min,
                      field_table[field].max, &number)) {
        return false;
    }
    *ret = (uint32_t)number;
    return true;
}

bool
field_duration(struct config_report *report, const struct spot *parent,
               const struct fields *fields, enum field field, uint64_t *ret)
{
    struct spot spot = field_spot(parent, fields, field);

    return spot.node != NULL &&
           read_duration(report, &spot, field_table[field].min,
                         field_table[field].max, ret);
}

bool
field_word(struct config_report *report, const struct spot *parent,
           const struct fields *fields, enum field field, uint32_t *ret)
{
    struct spot spot = field_spot(parent, fields, field);

    return spot.node != NULL &&
           read_word(report, &spot, field_table[field].detail, ret);
}

bool
field_thousandths(struct config_report *report, const struct spot *parent,
                  const struct fields *fields, enum field field, uint32_t *ret)
{
    struct spot spot = field_spot(parent, fields, field);
    uint64_t number;

    if (spot.node == NULL ||
        !read_thousandths(report, &spot, field_table[field].min,
                          field_table[field].max, &number)) {
        return false;
    }
    *ret = (uint32_t)number;
    return true;
}

bool
field_codes(struct config_report *report, const struct spot *parent,
            const struct fields *fields, enum field field, uint32_t *ret)
{
    struct spot spot = field_spot(parent, fields, field);

    if (spot.node == NULL) {
        return false;
    }
    if (field_table[field].min == 0 && cJSON_IsArray(spot.node) &&
        spot.node->child == NULL) {
        *ret = 0;
        return true;
    }
    return read_codes(report, &spot, ret);
}

bool
field_text(struct config_report *report, const struct spot *parent,
           const struct fields *fields, enum field field, const char **ret)
{
    const struct field_row *row = &field_table[field];
    struct spot spot = field_spot(parent, fields, field);

    if (spot.node == NULL) {
        return false;
    }
    if (row->kind == FIELD_KIND_NAME) {
        return read_name(report, &spot, row->min, row->max, ret);
    }
    if (row->kind == FIELD_KIND_TOKEN) {
        return read_token(report, &spot, row->min, row->max, ret);
    }
    if (row->kind == FIELD_KIND_PATH) {
        return read_path(report, &spot, row->min, row->max, ret);
    }
    return read_text(report, &spot, row->min, row->max, ret);
}

size_t
field_array(struct config_report *report, const struct spot *parent,
            const struct fields *fields, enum field field)
{
    const struct field_row *row = &field_table[field];
    struct spot spot = field_spot(parent, fields, field);

    if (spot.node == NULL) {
        return 0;
    }
    size_t count = (size_t)cJSON_GetArraySize(spot.node);

    if (!cJSON_IsArray(spot.node) || count < row->min || count > row->max) {
        char range[READ_RANGE_BYTES];

        field_range(field, range);
        report_error(report, &spot, "%s", range);
        return 0;
    }
    return count;
}
