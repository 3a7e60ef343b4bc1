/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/envelope.h"

#include "proto/check.h"
#include "proto/field.h"
#include "proto/name.h"

#include <string.h>

/* Field numbers of redial/v1/rpc.proto. */
enum {
    CALL_METHOD = 1,
    CALL_TIMEOUT_MS = 2,
    CALL_METADATA = 3,
    CALL_MESSAGE = 4,

    REPLY_STATUS = 1,
    REPLY_METADATA = 2,
    REPLY_MESSAGE = 3,
    REPLY_SERVER_VERSION = 4,

    STATUS_CODE = 1,
    STATUS_MESSAGE = 2,
    STATUS_REASON = 3,
    STATUS_RETRY_AFTER_MS = 4,

    METADATA_KEY = 1,
    METADATA_VALUE = 2,
};

/* ---- reading ---- */

static enum redial_status
malformed(struct wire_error *error, const char *where, const char *problem)
{
    return wire_error_set(error, REDIAL_INVALID_ARGUMENT, "%s: %s", where,
                          problem);
}

static struct field_reader
reader_of(const uint8_t *bytes, size_t len)
{
    struct field_reader reader;

    if (bytes == NULL) {
        bytes = (const uint8_t *)""; /* len is 0, and NULL has no end */
    }
    reader.at = bytes;
    reader.end = bytes + len;
    return reader;
}

static struct wire_bytes
field_as_bytes(const struct field *field)
{
    struct wire_bytes bytes = {field->bytes, (size_t)field->value};

    return bytes;
}

/* False: not a string field, or not valid UTF-8, or with NUL. */
static bool
field_as_text(const struct field *field, struct wire_text *ret_text)
{
    if (field->type != FIELD_BYTES ||
        !wire_utf8_is_valid(field->bytes, (size_t)field->value)) {
        return false;
    }
    ret_text->at = (const char *)field->bytes;
    ret_text->len = (size_t)field->value;
    return true;
}

static const char *
read_metadata_entry(const struct field *entry, struct wire_metadata *ret_entry)
{
    struct field_reader reader = reader_of(entry->bytes, (size_t)entry->value);
    struct field field;

    memset(ret_entry, 0, sizeof(*ret_entry));
    while (reader.at < reader.end) {
        if (!field_next(&reader, &field)) {
            return "not valid protobuf";
        }
        if (field.number == METADATA_KEY) {
            if (!field_as_text(&field, &ret_entry->key)) {
                return "the key is not a text";
            }
        } else if (field.number == METADATA_VALUE) {
            if (field.type != FIELD_BYTES) {
                return "the value is not bytes";
            }
            ret_entry->value = field_as_bytes(&field);
        }
    }
    return wire_name_check_bytes(WIRE_NAME_WORD, ret_entry->key.at,
                                 ret_entry->key.len) != NULL
               ? "the key must be 1 to 128 printable characters"
               : NULL;
}

static size_t
metadata_bytes(const struct wire_metadata_list *list)
{
    size_t bytes = 0;

    for (size_t i = 0; i < list->count; i++) {
        bytes += list->items[i].key.len + list->items[i].value.len;
    }
    return bytes;
}

static enum redial_status
read_metadata(const struct field *field, struct wire_metadata_list *list,
              struct wire_error *error)
{
    const char *problem;

    if (field->type != FIELD_BYTES) {
        return malformed(error, "metadata", "not a message");
    }
    if (list->count == WIRE_METADATA_MAX) {
        return malformed(error, "metadata", "more than 32 entries");
    }
    problem = read_metadata_entry(field, &list->items[list->count]);
    if (problem != NULL) {
        return wire_error_set(error, REDIAL_INVALID_ARGUMENT,
                              "metadata[%zu]: %s", list->count, problem);
    }
    list->count++;
    if (metadata_bytes(list) > WIRE_METADATA_BYTES_MAX) {
        return malformed(error, "metadata", "more than 8192 bytes");
    }
    return REDIAL_OK;
}

static enum redial_status
read_call_field(const struct field *field, struct wire_call *call,
                struct wire_error *error)
{
    switch (field->number) {
    case CALL_METHOD:
        return field_as_text(field, &call->method)
                   ? REDIAL_OK
                   : malformed(error, "method", "not a text");
    case CALL_TIMEOUT_MS:
        call->timeout_ms = (uint32_t)field->value;
        return field->type == FIELD_VARINT
                   ? REDIAL_OK
                   : malformed(error, "timeout_ms", "not an integer");
    case CALL_METADATA:
        return read_metadata(field, &call->metadata, error);
    case CALL_MESSAGE:
        call->has_message = true;
        call->message = field_as_bytes(field);
        return field->type == FIELD_BYTES
                   ? REDIAL_OK
                   : malformed(error, "message", "not bytes");
    default:
        return REDIAL_OK;
    }
}

enum redial_status
wire_call_decode(const uint8_t *bytes, size_t len, struct wire_call *ret_call,
                 struct wire_error *ret_error)
{
    struct field_reader reader = reader_of(bytes, len);
    struct wire_call call;
    struct field field;
    enum redial_status status = REDIAL_OK;

    memset(&call, 0, sizeof(call));
    if (len > 0 && bytes[0] == '{') {
        call.is_json = true;
        call.message.at = bytes;
        call.message.len = len;
        *ret_call = call;
        return REDIAL_OK;
    }
    while (status == REDIAL_OK && reader.at < reader.end) {
        if (!field_next(&reader, &field)) {
            return malformed(ret_error, "Call", "not valid protobuf");
        }
        status = read_call_field(&field, &call, ret_error);
    }
    if (status == REDIAL_OK) {
        *ret_call = call;
    }
    return status;
}

/* Codes that this version does not know are UNKNOWN. */
static enum redial_status
status_of_code(uint64_t code)
{
    return code < REDIAL_STATUS_COUNT ? (enum redial_status)code
                                      : REDIAL_UNKNOWN;
}

static enum redial_status
read_status(const struct field *inside, struct wire_reply *reply,
            struct wire_error *error)
{
    struct field_reader reader = reader_of(inside->bytes,
                                           (size_t)inside->value);
    struct field field;
    bool is_good = inside->type == FIELD_BYTES;

    while (is_good && reader.at < reader.end) {
        is_good = field_next(&reader, &field);
        if (!is_good) {
            break;
        }
        switch (field.number) {
        case STATUS_CODE:
            is_good = field.type == FIELD_VARINT;
            reply->status = status_of_code(field.value);
            break;
        case STATUS_MESSAGE:
            is_good = field_as_text(&field, &reply->text);
            break;
        case STATUS_REASON:
            is_good = field_as_text(&field, &reply->reason);
            break;
        case STATUS_RETRY_AFTER_MS:
            is_good = field.type == FIELD_VARINT;
            reply->retry_after_ms = field.value;
            break;
        default:
            break;
        }
    }
    return is_good ? REDIAL_OK : malformed(error, "status", "malformed");
}

static enum redial_status
read_reply_field(const struct field *field, struct wire_reply *reply,
                 struct wire_error *error)
{
    switch (field->number) {
    case REPLY_STATUS:
        return read_status(field, reply, error);
    case REPLY_METADATA:
        return read_metadata(field, &reply->metadata, error);
    case REPLY_MESSAGE:
        reply->has_message = true;
        reply->message = field_as_bytes(field);
        return field->type == FIELD_BYTES
                   ? REDIAL_OK
                   : malformed(error, "message", "not bytes");
    case REPLY_SERVER_VERSION:
        return field_as_text(field, &reply->server_version)
                   ? REDIAL_OK
                   : malformed(error, "server_version", "not a text");
    default:
        return REDIAL_OK;
    }
}

enum redial_status
wire_reply_decode(const uint8_t *bytes, size_t len,
                  struct wire_reply *ret_reply, struct wire_error *ret_error)
{
    struct field_reader reader = reader_of(bytes, len);
    struct wire_reply reply;
    struct field field;
    enum redial_status status = REDIAL_OK;

    memset(&reply, 0, sizeof(reply));
    while (status == REDIAL_OK && reader.at < reader.end) {
        if (!field_next(&reader, &field)) {
            return malformed(ret_error, "Reply", "not valid protobuf");
        }
        status = read_reply_field(&field, &reply, ret_error);
    }
    if (status == REDIAL_OK) {
        *ret_reply = reply;
    }
    return status;
}

/* ---- writing ---- */

static size_t
text_size(struct wire_text text)
{
    return text.len > 0 ? field_bytes_size(text.len) : 0;
}

static uint8_t *
write_text(uint8_t *out, uint32_t number, struct wire_text text)
{
    return text.len > 0 ? field_write_bytes(out, number, text.at, text.len)
                        : out;
}

static uint8_t *
write_number(uint8_t *out, uint32_t number, uint64_t value)
{
    out = field_write_tag(out, number, FIELD_VARINT);
    return field_write_varint(out, value);
}

static size_t
entry_size(const struct wire_metadata *entry)
{
    return field_bytes_size(entry->key.len) +
           field_bytes_size(entry->value.len);
}

static size_t
metadata_size(const struct wire_metadata_list *list)
{
    size_t size = 0;

    for (size_t i = 0; i < list->count; i++) {
        size += field_bytes_size(entry_size(&list->items[i]));
    }
    return size;
}

static uint8_t *
write_metadata(uint8_t *out, uint32_t number,
               const struct wire_metadata_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct wire_metadata *entry = &list->items[i];

        out = field_write_tag(out, number, FIELD_BYTES);
        out = field_write_varint(out, entry_size(entry));
        out = field_write_bytes(out, METADATA_KEY, entry->key.at,
                                entry->key.len);
        out = field_write_bytes(out, METADATA_VALUE, entry->value.at,
                                entry->value.len);
    }
    return out;
}

static uint8_t *
write_message(uint8_t *out, uint32_t number, struct wire_bytes bytes,
              const ProtobufCMessage *message)
{
    size_t packed;

    if (message == NULL) {
        return field_write_bytes(out, number, bytes.at, bytes.len);
    }
    out = field_write_tag(out, number, FIELD_BYTES);
    out = field_write_varint(out, bytes.len);
    packed = protobuf_c_message_pack(message, out);
    WIRE_CHECK(packed == bytes.len);
    return out + packed;
}

size_t
wire_call_size(const struct wire_call *call)
{
    size_t size = text_size(call->method) + metadata_size(&call->metadata);

    if (call->timeout_ms > 0) {
        size += field_number_size(call->timeout_ms);
    }
    if (call->has_message) {
        size += field_bytes_size(call->message.len);
    }
    return size;
}

void
wire_call_encode(const struct wire_call *call, const ProtobufCMessage *message,
                 uint8_t *out)
{
    out = write_text(out, CALL_METHOD, call->method);
    if (call->timeout_ms > 0) {
        out = write_number(out, CALL_TIMEOUT_MS, call->timeout_ms);
    }
    out = write_metadata(out, CALL_METADATA, &call->metadata);
    if (call->has_message) {
        (void)write_message(out, CALL_MESSAGE, call->message, message);
    }
}

static size_t
status_size(const struct wire_reply *reply)
{
    size_t size = field_number_size(reply->status);

    size += text_size(reply->text) + text_size(reply->reason);
    if (reply->retry_after_ms > 0) {
        size += field_number_size(reply->retry_after_ms);
    }
    return size;
}

size_t
wire_reply_size(const struct wire_reply *reply)
{
    size_t size = field_bytes_size(status_size(reply));

    size += metadata_size(&reply->metadata);
    if (reply->has_message) {
        size += field_bytes_size(reply->message.len);
    }
    return size + text_size(reply->server_version);
}

void
wire_reply_encode(const struct wire_reply *reply,
                  const ProtobufCMessage *message, uint8_t *out)
{
    out = field_write_tag(out, REPLY_STATUS, FIELD_BYTES);
    out = field_write_varint(out, status_size(reply));
    out = write_number(out, STATUS_CODE, reply->status);
    out = write_text(out, STATUS_MESSAGE, reply->text);
    out = write_text(out, STATUS_REASON, reply->reason);
    if (reply->retry_after_ms > 0) {
        out = write_number(out, STATUS_RETRY_AFTER_MS, reply->retry_after_ms);
    }
    out = write_metadata(out, REPLY_METADATA, &reply->metadata);
    if (reply->has_message) {
        out = write_message(out, REPLY_MESSAGE, reply->message, message);
    }
    (void)write_text(out, REPLY_SERVER_VERSION, reply->server_version);
}

/* ---- both ---- */

struct wire_text
wire_text(const char *string)
{
    struct wire_text text = {string, string != NULL ? strlen(string) : 0};

    return text;
}

bool
wire_text_equals(struct wire_text text, const char *string)
{
    return text.len == strlen(string) &&
           (text.len == 0 || memcmp(text.at, string, text.len) == 0);
}

const struct wire_bytes *
wire_metadata_find(const struct wire_metadata_list *list, const char *key)
{
    for (size_t i = list->count; i > 0; i--) {
        if (wire_text_equals(list->items[i - 1].key, key)) {
            return &list->items[i - 1].value;
        }
    }
    return NULL;
}
