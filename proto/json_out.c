/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/json_out.h"

#include "proto/check.h"
#include "proto/limits.h"
#include "proto/name.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CAPACITY_MIN 256u

/* ---- the text ---- */

void
wire_json_init(struct wire_json *json, size_t len_max)
{
    memset(json, 0, sizeof(*json));
    json->len_max = len_max;
}

void
wire_json_fini(struct wire_json *json)
{
    free(json->text);
    json->text = NULL;
    json->len = 0;
    json->capacity = 0;
}

void
wire_json_reset(struct wire_json *json)
{
    json->len = 0;
    json->status = REDIAL_OK;
    if (json->text != NULL) {
        json->text[0] = '\0';
    }
}

/* Makes room for `len` more bytes and the NUL. */
static bool
reserve(struct wire_json *json, size_t len)
{
    size_t capacity = json->capacity > 0 ? json->capacity : CAPACITY_MIN;
    char *text;

    if (json->status != REDIAL_OK) {
        return false;
    }
    if (len > json->len_max - json->len) {
        json->status = REDIAL_RESOURCE_EXHAUSTED;
        return false;
    }
    if (json->text != NULL && json->capacity - json->len > len) {
        return true;
    }
    while (capacity - json->len <= len) {
        capacity *= 2;
    }
    text = realloc(json->text, capacity);
    if (text == NULL) {
        json->status = REDIAL_RESOURCE_EXHAUSTED;
        return false;
    }
    json->text = text;
    json->capacity = capacity;
    return true;
}

static void
append(struct wire_json *json, const char *text, size_t len)
{
    if (reserve(json, len)) {
        memcpy(json->text + json->len, text, len);
        json->len += len;
        json->text[json->len] = '\0';
    }
}

/* ---- the pieces ---- */

void
wire_json_raw(struct wire_json *json, const char *text)
{
    append(json, text, strlen(text));
}

/* One character that cannot stand for itself. */
static void
append_escaped(struct wire_json *json, char character)
{
    char escape[8];

    switch (character) {
    case '"':
        append(json, "\\\"", 2);
        return;
    case '\\':
        append(json, "\\\\", 2);
        return;
    case '\n':
        append(json, "\\n", 2);
        return;
    case '\r':
        append(json, "\\r", 2);
        return;
    case '\t':
        append(json, "\\t", 2);
        return;
    default:
        (void)snprintf(escape, sizeof(escape), "\\u%04x",
                       (unsigned)(unsigned char)character);
        append(json, escape, 6);
    }
}

static bool
is_plain(char character)
{
    return (unsigned char)character >= ' ' && character != '"' &&
           character != '\\' && character != 0x7f;
}

void
wire_json_string(struct wire_json *json, const char *text, size_t len)
{
    size_t start = 0; /* of what is not appended yet */
    size_t at = 0;

    if (text == NULL) {
        text = ""; /* len is 0, and NULL has no end */
    }
    append(json, "\"", 1);
    while (at < len) {
        size_t size = wire_utf8_character((const uint8_t *)text + at, len - at);

        if (size > 0 && is_plain(text[at])) {
            at += size;
            continue;
        }
        append(json, text + start, at - start);
        if (size > 0 || text[at] == '\0') {
            append_escaped(json, text[at]);
        } else {
            append(json, "\xef\xbf\xbd", 3); /* U+FFFD */
        }
        at++;
        start = at;
    }
    append(json, text + start, at - start);
    append(json, "\"", 1);
}

void
wire_json_name(struct wire_json *json, const char *name)
{
    wire_json_string(json, name, strlen(name));
    append(json, ":", 1);
}

void
wire_json_int(struct wire_json *json, int64_t value)
{
    char digits[24];
    int len = snprintf(digits, sizeof(digits), "%" PRId64, value);

    append(json, digits, (size_t)len);
}

void
wire_json_uint(struct wire_json *json, uint64_t value)
{
    char digits[24];
    int len = snprintf(digits, sizeof(digits), "%" PRIu64, value);

    append(json, digits, (size_t)len);
}

void
wire_json_base64(struct wire_json *json, const uint8_t *bytes, size_t len)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    append(json, "\"", 1);
    for (size_t at = 0; at < len; at += 3) {
        size_t left = len - at;
        uint32_t bits = (uint32_t)bytes[at] << 16;
        char group[4];

        bits |= left > 1 ? (uint32_t)bytes[at + 1] << 8 : 0;
        bits |= left > 2 ? bytes[at + 2] : 0;
        group[0] = digits[bits >> 18];
        group[1] = digits[bits >> 12 & 0x3f];
        group[2] = '=';
        group[3] = '=';
        if (left > 1) {
            group[2] = digits[bits >> 6 & 0x3f];
        }
        if (left > 2) {
            group[3] = digits[bits & 0x3f];
        }
        append(json, group, 4);
    }
    append(json, "\"", 1);
}

/* JSON has no numbers for these; the quoted words are protobuf's. */
static void
append_double(struct wire_json *json, double value)
{
    char digits[40];

    if (isnan(value)) {
        wire_json_raw(json, "\"NaN\"");
    } else if (isinf(value)) {
        wire_json_raw(json, value > 0 ? "\"Infinity\"" : "\"-Infinity\"");
    } else {
        int len = snprintf(digits, sizeof(digits), "%.17g", value);

        append(json, digits, (size_t)len);
    }
}

/* ---- the walk ---- */

/* A message that is being written; the outermost is level 0. */
struct walk_level {
    const ProtobufCMessage *message;
    unsigned field;   /* index into the descriptor's fields */
    size_t element;   /* of a repeated field */
    bool has_written; /* a member: the next needs a comma */
};

struct walk {
    struct walk_level levels[WIRE_DEPTH_MAX];
    size_t depth;
};

static const void *
member_at(const ProtobufCMessage *message, unsigned offset)
{
    return (const uint8_t *)message + offset;
}

/* How many values a field has: 0 if it is not set. */
static size_t
value_count(const ProtobufCMessage *message,
            const ProtobufCFieldDescriptor *field)
{
    const void *quantifier = member_at(message, field->quantifier_offset);
    const void *member = member_at(message, field->offset);
    bool is_pointer = field->type == PROTOBUF_C_TYPE_STRING ||
                      field->type == PROTOBUF_C_TYPE_MESSAGE;

    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        return *(const size_t *)quantifier;
    }
    if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0 &&
        *(const uint32_t *)quantifier != field->id) {
        return 0;
    }
    if (is_pointer) {
        const void *value = *(const void *const *)member;

        return value != NULL && value != field->default_value ? 1 : 0;
    }
    if (field->label == PROTOBUF_C_LABEL_OPTIONAL &&
        (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) == 0) {
        return *(const protobuf_c_boolean *)quantifier != 0 ? 1 : 0;
    }
    return 1;
}

static size_t
value_bytes(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_ENUM:
        return 4;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return 8;
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    }
    return 0;
}

static const void *
value_at(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
         size_t element)
{
    const void *member = member_at(message, field->offset);

    if (field->label != PROTOBUF_C_LABEL_REPEATED) {
        return member;
    }
    return *(const uint8_t *const *)member + element * value_bytes(field->type);
}

static bool
is_milliseconds(const ProtobufCFieldDescriptor *field)
{
    size_t len = strlen(field->name);

    return len > 3 && strcmp(field->name + len - 3, "_ms") == 0;
}

static void
append_enum(struct wire_json *json, const ProtobufCFieldDescriptor *field,
            int32_t number)
{
    const ProtobufCEnumDescriptor *descriptor = field->descriptor;
    const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(
        descriptor, number);

    if (value != NULL) {
        wire_json_string(json, value->name, strlen(value->name));
    } else {
        wire_json_int(json, number);
    }
}

static void
append_int64(struct wire_json *json, const ProtobufCFieldDescriptor *field,
             const void *value, bool is_signed)
{
    const char *quote = is_milliseconds(field) ? "" : "\"";

    wire_json_raw(json, quote);
    if (is_signed) {
        wire_json_int(json, *(const int64_t *)value);
    } else {
        wire_json_uint(json, *(const uint64_t *)value);
    }
    wire_json_raw(json, quote);
}

/* Any value but a message. */
static void
append_value(struct wire_json *json, const ProtobufCFieldDescriptor *field,
             const void *value)
{
    const ProtobufCBinaryData *bytes = value;
    const char *string;

    switch (field->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        wire_json_int(json, *(const int32_t *)value);
        return;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        wire_json_uint(json, *(const uint32_t *)value);
        return;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        append_int64(json, field, value, true);
        return;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        append_int64(json, field, value, false);
        return;
    case PROTOBUF_C_TYPE_FLOAT:
        append_double(json, (double)*(const float *)value);
        return;
    case PROTOBUF_C_TYPE_DOUBLE:
        append_double(json, *(const double *)value);
        return;
    case PROTOBUF_C_TYPE_BOOL:
        wire_json_raw(json, *(const protobuf_c_boolean *)value != 0 ? "true"
                                                                    : "false");
        return;
    case PROTOBUF_C_TYPE_ENUM:
        append_enum(json, field, *(const int32_t *)value);
        return;
    case PROTOBUF_C_TYPE_STRING:
        string = *(const char *const *)value;
        wire_json_string(json, string, strlen(string));
        return;
    case PROTOBUF_C_TYPE_BYTES:
        wire_json_base64(json, bytes->data, bytes->len);
        return;
    case PROTOBUF_C_TYPE_MESSAGE:
        break; /* the walk goes into it */
    }
    WIRE_CHECK(false);
}

static void
walk_into(struct walk *walk, struct wire_json *json,
          const ProtobufCMessage *message)
{
    struct walk_level *level;

    WIRE_CHECK(walk->depth < WIRE_DEPTH_MAX); /* the schema is not so deep */
    level = &walk->levels[walk->depth++];
    level->message = message;
    level->field = 0;
    level->element = 0;
    level->has_written = false;
    append(json, "{", 1);
}

/* Writes one value of the current field, and moves on to the next. */
static void
walk_value(struct walk *walk, struct wire_json *json,
           const ProtobufCFieldDescriptor *field)
{
    struct walk_level *level = &walk->levels[walk->depth - 1];
    bool is_repeated = field->label == PROTOBUF_C_LABEL_REPEATED;
    const void *value = value_at(level->message, field, level->element);

    if (level->element == 0) {
        wire_json_raw(json, level->has_written ? "," : "");
        wire_json_name(json, field->name);
        wire_json_raw(json, is_repeated ? "[" : "");
        level->has_written = true;
    } else {
        append(json, ",", 1);
    }
    level->element++;
    if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
        walk_into(walk, json, *(const ProtobufCMessage *const *)value);
        return;
    }
    append_value(json, field, value);
}

void
wire_json_message(struct wire_json *json, const ProtobufCMessage *message)
{
    struct walk walk;

    if (message == NULL) {
        wire_json_raw(json, "null");
        return;
    }
    walk.depth = 0;
    walk_into(&walk, json, message);
    while (walk.depth > 0 && json->status == REDIAL_OK) {
        struct walk_level *level = &walk.levels[walk.depth - 1];
        const ProtobufCMessageDescriptor *descriptor =
            level->message->descriptor;
        const ProtobufCFieldDescriptor *field;
        size_t count;

        if (level->field == descriptor->n_fields) {
            append(json, "}", 1);
            walk.depth--;
            continue;
        }
        field = &descriptor->fields[level->field];
        count = value_count(level->message, field);
        if (level->element < count) {
            walk_value(&walk, json, field);
            continue;
        }
        if (count > 0 && field->label == PROTOBUF_C_LABEL_REPEATED) {
            append(json, "]", 1);
        }
        level->field++;
        level->element = 0;
    }
}
