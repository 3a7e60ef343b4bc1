/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JSON Schema (2020-12) of a configuration file, for editors: names, types
 * and ranges of both tables. What lies between fields is left to the loader.
 */
#include "server/config/json_out.h"
#include "server/config/object.h"
#include "server/config/param.h"
#include "server/config/value.h"

#include <stdio.h>
#include <string.h>

enum { NAME_BYTES = 64 };

#define DURATION_PATTERN "^[0-9]+(\\.[0-9]{1,9})?s$"
#define BYTES_PATTERN    "^[0-9]+([KMGT]i)?B?$"
#define WORD_PATTERN     "^[!-~]*$"
#define NAME_PATTERN     "^[!-.0-~]*$"

static void
print_reference(struct json_out *json, const char *key, const char *definition)
{
    char text[NAME_BYTES + 16];

    (void)snprintf(text, sizeof(text), "#/$defs/%s", definition);
    json_string(json, key, text);
}

static void
print_words(struct json_out *json, const char *words)
{
    json_open(json, "enum", '[');
    for (;;) {
        size_t len = strcspn(words, "|");

        json_key(json, NULL);
        json_text_string(json->out, words, len);
        if (words[len] == '\0') {
            break;
        }
        words += len + 1;
    }
    json_close(json, ']');
}

/* "type", and the bounds as `min_key` and `max_key`. */
static void
print_bounds(struct json_out *json, const char *type, bool length, uint64_t min,
             uint64_t max)
{
    json_string(json, "type", type);
    json_u64(json, length ? "minLength" : "minimum", min);
    json_u64(json, length ? "maxLength" : "maximum", max);
}

static void
print_thousandths(struct json_out *json, const char *key, uint64_t thousandths)
{
    char text[VALUE_TEXT_BYTES];

    value_number_print((double)thousandths / 1000, text);
    json_key(json, key);
    json_text_raw(json->out, text, strlen(text));
}

static void
print_param_type(struct json_out *json, const struct param *param)
{
    switch (param->type) {
    case PARAM_TYPE_U32:
    case PARAM_TYPE_U64:
        print_bounds(json, "integer", false, param->min, param->max);
        return;
    case PARAM_TYPE_BOOL:
        json_string(json, "type", "boolean");
        return;
    case PARAM_TYPE_DURATION:
        print_reference(json, "$ref", "duration");
        return;
    case PARAM_TYPE_BYTES:
        print_reference(json, "$ref", "bytes");
        json_u64(json, "minimum", param->min);
        json_u64(json, "maximum", param->max);
        return;
    case PARAM_TYPE_THOUSANDTHS:
        json_string(json, "type", "number");
        print_thousandths(json, "minimum", param->min);
        print_thousandths(json, "maximum", param->max);
        return;
    case PARAM_TYPE_ENUM:
        print_words(json, param->words);
        return;
    case PARAM_TYPE_CODES:
        print_reference(json, "$ref", "codes");
        return;
    case PARAM_TYPE_NAME:
        print_bounds(json, "string", true, param->min, param->max);
        json_string(json, "pattern", NAME_PATTERN);
        return;
    case PARAM_TYPE_PATH:
        print_bounds(json, "string", true, param->min, param->max);
        json_string(json, "pattern", "^/");
        return;
    }
}

static void
print_param(struct json_out *json, const struct param *param)
{
    json_open(json, param_leaf(param), '{');
    json_string(json, "description", param->sentence);
    print_param_type(json, param);
    json_key(json, "default");
    param_print_initial(param, json->out);
    json_close(json, '}');
}

static void
print_group(struct json_out *json, size_t first)
{
    const struct param *group = &param_table[first];
    size_t len = param_group_len(group);
    char name[NAME_BYTES];

    (void)snprintf(name, sizeof(name), "%.*s", (int)len, group->path);
    json_open(json, name, '{');
    json_string(json, "type", "object");
    json_bool(json, "additionalProperties", false);
    json_open(json, "properties", '{');
    for (size_t i = first; i < PARAM_COUNT; i++) {
        if (param_group_len(&param_table[i]) == len &&
            memcmp(param_table[i].path, group->path, len) == 0) {
            print_param(json, &param_table[i]);
        }
    }
    json_close(json, '}');
    json_close(json, '}');
}

static void
print_params(struct json_out *json)
{
    for (size_t i = 0; i < PARAM_COUNT; i++) {
        size_t len = param_group_len(&param_table[i]);

        if (len == 0) {
            print_param(json, &param_table[i]);
        } else if (i == 0 || param_group_len(&param_table[i - 1]) != len ||
                   memcmp(param_table[i].path, param_table[i - 1].path, len) !=
                       0) {
            print_group(json, i);
        }
    }
}

static void
print_object_reference(struct json_out *json, const char *key,
                       const char *detail)
{
    if (detail[0] == '\0') {
        json_string(json, "type", "object");
        return;
    }
    print_reference(json, key, object_table[object_find(detail)].json_name);
}

/* "type": "array", its bounds, and "items": { ... left open. */
static void
open_items(struct json_out *json, const struct field_row *row)
{
    json_string(json, "type", "array");
    json_u64(json, "minItems", row->min);
    json_u64(json, "maxItems", row->max);
    json_open(json, "items", '{');
}

static void
print_array(struct json_out *json, const struct field_row *row)
{
    open_items(json, row);
    if (row->kind == FIELD_KIND_ARRAY) {
        print_object_reference(json, "$ref", row->detail);
    } else {
        print_bounds(json, "string", true, 1, VALUE_NAME_BYTES_MAX);
        json_string(json, "pattern", WORD_PATTERN);
    }
    json_close(json, '}');
}

/* A number, or the object that says more. */
static void
print_rate(struct json_out *json, const struct field_row *row)
{
    json_open(json, "anyOf", '[');
    json_open(json, NULL, '{');
    print_bounds(json, "integer", false, row->min, row->max);
    json_close(json, '}');
    json_open(json, NULL, '{');
    print_object_reference(json, "$ref", row->detail);
    json_close(json, '}');
    json_close(json, ']');
}

static void
print_field_type(struct json_out *json, const struct field_row *row)
{
    switch (row->kind) {
    case FIELD_KIND_STRING:
        print_bounds(json, "string", true, row->min, row->max);
        return;
    case FIELD_KIND_NAME:
        print_bounds(json, "string", true, row->min, row->max);
        json_string(json, "pattern", NAME_PATTERN);
        return;
    case FIELD_KIND_TOKEN:
        print_bounds(json, "string", true, row->min, row->max);
        json_string(json, "pattern", WORD_PATTERN);
        return;
    case FIELD_KIND_PATH:
        print_bounds(json, "string", true, row->min, row->max);
        json_string(json, "pattern", "^/");
        return;
    case FIELD_KIND_INTEGER:
        print_bounds(json, "integer", false, row->min, row->max);
        return;
    case FIELD_KIND_NUMBER:
        json_string(json, "type", "number");
        json_u64(json, "exclusiveMinimum", 0);
        return;
    case FIELD_KIND_THOUSANDTHS:
        json_string(json, "type", "number");
        print_thousandths(json, "minimum", row->min);
        print_thousandths(json, "maximum", row->max);
        return;
    case FIELD_KIND_BOOL:
        json_string(json, "type", "boolean");
        return;
    case FIELD_KIND_DURATION:
        print_reference(json, "$ref", "duration");
        return;
    case FIELD_KIND_WORD:
        print_words(json, row->detail);
        return;
    case FIELD_KIND_CODES:
        /* Empty is fine where retryableReasons is not. */
        json_string(json, "type", "array");
        json_open(json, "items", '{');
        print_reference(json, "$ref", "code");
        json_close(json, '}');
        return;
    case FIELD_KIND_RATE:
        print_rate(json, row);
        return;
    case FIELD_KIND_REASONS:
    case FIELD_KIND_ARRAY:
        print_array(json, row);
        return;
    case FIELD_KIND_OBJECT:
        print_object_reference(json, "$ref", row->detail);
        return;
    case FIELD_KIND_ANY:
        return;
    }
}

static void
print_fields(struct json_out *json, enum object object)
{
    for (unsigned i = 0; i < FIELD_COUNT; i++) {
        const struct field_row *row = &field_table[i];

        if (row->object != object || row->status == FIELD_STATUS_LATER) {
            continue;
        }
        json_open(json, row->name, '{');
        json_string(json, "description", row->sentence);
        if (row->status == FIELD_STATUS_MEANINGLESS) {
            json_bool(json, "deprecated", true);
        }
        print_field_type(json, row);
        json_close(json, '}');
    }
}

static void
print_required(struct json_out *json, enum object object)
{
    bool open = false;

    for (unsigned i = 0; i < FIELD_COUNT; i++) {
        if (field_table[i].object != object ||
            field_table[i].status != FIELD_STATUS_REQUIRED) {
            continue;
        }
        if (!open) {
            json_open(json, "required", '[');
            open = true;
        }
        json_string(json, NULL, field_table[i].name);
    }
    if (open) {
        json_close(json, ']');
    }
}

/* The inside of an object's schema. */
static void
print_object(struct json_out *json, enum object object)
{
    json_string(json, "description", object_table[object].sentence);
    json_string(json, "type", "object");
    json_bool(json, "additionalProperties", false);
    print_required(json, object);
    json_open(json, "properties", '{');
    if (object == OBJECT_ROOT) {
        print_params(json);
    }
    print_fields(json, object);
    json_close(json, '}');
}

static void
print_text_definition(struct json_out *json, const char *name,
                      const char *description, const char *pattern)
{
    json_open(json, name, '{');
    json_string(json, "description", description);
    json_string(json, "type", "string");
    json_string(json, "pattern", pattern);
    json_close(json, '}');
}

static void
print_code_definitions(struct json_out *json)
{
    json_open(json, "code", '{');
    json_string(json, "description",
                "A status code other than OK, by name in any case or number.");
    json_open(json, "anyOf", '[');
    json_open(json, NULL, '{');
    print_bounds(json, "integer", false, 1, REDIAL_STATUS_COUNT - 1);
    json_close(json, '}');
    json_open(json, NULL, '{');
    json_open(json, "enum", '[');
    for (unsigned code = 1; code < REDIAL_STATUS_COUNT; code++) {
        json_string(json, NULL, value_code_name((enum redial_status)code));
    }
    json_close(json, ']');
    json_close(json, '}');
    json_open(json, NULL, '{');
    json_string(json, "type", "string");
    json_string(json, "pattern", "^[a-z_]+$");
    json_close(json, '}');
    json_close(json, ']');
    json_close(json, '}');
    json_open(json, "codes", '{');
    json_string(json, "type", "array");
    json_u64(json, "minItems", 1);
    json_open(json, "items", '{');
    print_reference(json, "$ref", "code");
    json_close(json, '}');
    json_close(json, '}');
}

static void
print_definitions(struct json_out *json)
{
    json_open(json, "$defs", '{');
    print_text_definition(json, "duration",
                          "Seconds with the suffix s: \"1.5s\".",
                          DURATION_PATTERN);
    json_open(json, "bytes", '{');
    json_string(json, "description",
                "Bytes: a number, or text such as \"64KiB\".");
    json_open(json, "type", '[');
    json_string(json, NULL, "integer");
    json_string(json, NULL, "string");
    json_close(json, ']');
    json_string(json, "pattern", BYTES_PATTERN);
    json_close(json, '}');
    print_code_definitions(json);
    for (unsigned i = OBJECT_ROOT + 1; i < OBJECT_COUNT; i++) {
        json_open(json, object_table[i].json_name, '{');
        print_object(json, (enum object)i);
        json_close(json, '}');
    }
    json_close(json, '}');
}

void
config_schema_print(struct bytes *out)
{
    struct json_out json = {.out = out, .empty = true};

    json_open(&json, NULL, '{');
    json_string(&json, "$schema",
                "https://json-schema.org/draft/2020-12/schema");
    json_string(&json, "title", "Redial gateway");
    print_object(&json, OBJECT_ROOT);
    print_definitions(&json);
    json_close(&json, '}');
    (void)bytes_append_byte(out, '\n');
}
