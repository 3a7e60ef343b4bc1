/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/unpack.h"

#include "proto/field.h"
#include "proto/limits.h"
#include "proto/name.h"

#include <stdarg.h>
#include <stdio.h>

/* A message that is being scanned; the outermost is level 0. */
struct scan_level {
    const ProtobufCMessageDescriptor *descriptor;
    const uint8_t *start;
    const uint8_t *field_start;             /* the field being looked at */
    const ProtobufCFieldDescriptor *inside; /* that field, or NULL */
    struct field_reader reader;
};

struct scan {
    struct scan_level levels[WIRE_DEPTH_MAX];
    size_t depth; /* levels in use */
};

enum redial_status
wire_error_set(struct wire_error *error, enum redial_status status,
               const char *format, ...)
{
    va_list arguments;

    if (error != NULL) {
        error->status = status;
        va_start(arguments, format);
        (void)vsnprintf(error->text, sizeof(error->text), format, arguments);
        va_end(arguments);
    }
    return status;
}

/* How many fields of this number stand before the current one. */
static size_t
element_index(const struct scan_level *level)
{
    struct field_reader reader = {level->start, level->field_start};
    struct field field;
    size_t index = 0;

    while (reader.at < reader.end && field_next(&reader, &field)) {
        index += field.number == level->inside->id ? 1 : 0;
    }
    return index;
}

/* "jobs[3].metadata[0].key: <problem>" */
static enum redial_status
scan_fail(const struct scan *scan, enum redial_status status,
          const char *problem, struct wire_error *error)
{
    char path[WIRE_ERROR_BYTES] = "";
    size_t len = 0;

    for (size_t i = 0; i < scan->depth; i++) {
        const struct scan_level *level = &scan->levels[i];
        const char *dot = len > 0 ? "." : "";
        int added;

        if (level->inside == NULL || len >= sizeof(path)) {
            break;
        }
        if (level->inside->label == PROTOBUF_C_LABEL_REPEATED) {
            added = snprintf(path + len, sizeof(path) - len, "%s%s[%zu]", dot,
                             level->inside->name, element_index(level));
        } else {
            added = snprintf(path + len, sizeof(path) - len, "%s%s", dot,
                             level->inside->name);
        }
        len += added > 0 ? (size_t)added : 0;
    }
    if (len == 0) {
        return wire_error_set(error, status, "%s: %s",
                              scan->levels[0].descriptor->short_name, problem);
    }
    return wire_error_set(error, status, "%s: %s", path, problem);
}

/* The wire type of a single value of a schema type. */
static enum field_type
type_on_wire(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_BOOL:
    case PROTOBUF_C_TYPE_ENUM:
        return FIELD_VARINT;
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
        return FIELD_FIXED32;
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return FIELD_FIXED64;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE:
        return FIELD_BYTES;
    }
    return FIELD_BYTES;
}

static bool
type_fits(const ProtobufCFieldDescriptor *known, enum field_type type)
{
    enum field_type expected = type_on_wire(known->type);

    return type == expected ||
           (type == FIELD_BYTES && known->label == PROTOBUF_C_LABEL_REPEATED);
}

static enum redial_status
scan_push(struct scan *scan, const ProtobufCMessageDescriptor *descriptor,
          const uint8_t *bytes, size_t len, struct wire_error *error)
{
    struct scan_level *level;

    if (scan->depth == WIRE_DEPTH_MAX) {
        return scan_fail(scan, REDIAL_RESOURCE_EXHAUSTED, "nested too deep",
                         error);
    }
    if (bytes == NULL) {
        bytes = (const uint8_t *)""; /* len is 0, and NULL has no end */
    }
    level = &scan->levels[scan->depth++];
    level->descriptor = descriptor;
    level->start = bytes;
    level->field_start = bytes;
    level->inside = NULL;
    level->reader.at = bytes;
    level->reader.end = bytes + len;
    return REDIAL_OK;
}

/* Looks at the next field of the innermost message. */
static enum redial_status
scan_field(struct scan *scan, struct wire_error *error)
{
    struct scan_level *level = &scan->levels[scan->depth - 1];
    const ProtobufCFieldDescriptor *known;
    struct field field;

    level->field_start = level->reader.at;
    level->inside = NULL;
    if (!field_next(&level->reader, &field)) {
        scan->depth--; /* the message itself is what is malformed */
        return scan_fail(scan, REDIAL_INVALID_ARGUMENT, "not valid protobuf",
                         error);
    }
    known = protobuf_c_message_descriptor_get_field(level->descriptor,
                                                    field.number);
    if (known == NULL) {
        return REDIAL_OK;
    }
    level->inside = known;
    if (!type_fits(known, field.type)) {
        return scan_fail(scan, REDIAL_INVALID_ARGUMENT,
                         "has another type than the schema", error);
    }
    if (known->type == PROTOBUF_C_TYPE_STRING &&
        !wire_utf8_is_valid(field.bytes, (size_t)field.value)) {
        return scan_fail(scan, REDIAL_INVALID_ARGUMENT,
                         memchr(field.bytes, 0, (size_t)field.value) != NULL
                             ? "holds a NUL byte"
                             : "not valid UTF-8",
                         error);
    }
    if (known->type == PROTOBUF_C_TYPE_MESSAGE) {
        return scan_push(scan, known->descriptor, field.bytes,
                         (size_t)field.value, error);
    }
    return REDIAL_OK;
}

enum redial_status
wire_scan(const ProtobufCMessageDescriptor *descriptor, const uint8_t *bytes,
          size_t len, struct wire_error *ret_error)
{
    struct scan scan;
    enum redial_status status;

    scan.depth = 0;
    status = scan_push(&scan, descriptor, bytes, len, ret_error);
    while (status == REDIAL_OK && scan.depth > 0) {
        const struct scan_level *level = &scan.levels[scan.depth - 1];

        if (level->reader.at == level->reader.end) {
            scan.depth--;
            continue;
        }
        status = scan_field(&scan, ret_error);
    }
    return status;
}

ProtobufCMessage *
wire_unpack(const ProtobufCMessageDescriptor *descriptor, const uint8_t *bytes,
            size_t len, struct wire_arena *arena, struct wire_error *ret_error)
{
    ProtobufCMessage *message;

    if (wire_scan(descriptor, bytes, len, ret_error) != REDIAL_OK) {
        return NULL;
    }
    message = protobuf_c_message_unpack(descriptor, &arena->allocator, len,
                                        bytes);
    if (message != NULL) {
        return message;
    }
    if (arena->is_exhausted) {
        (void)wire_error_set(ret_error, REDIAL_RESOURCE_EXHAUSTED,
                             "%s: needs more memory than its size allows",
                             descriptor->short_name);
    } else {
        (void)wire_error_set(ret_error, REDIAL_INVALID_ARGUMENT,
                             "%s: not valid protobuf", descriptor->short_name);
    }
    return NULL;
}
