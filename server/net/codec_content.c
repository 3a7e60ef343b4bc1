/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A job's content as it is kept, in memory and in the store:
 *
 *     content type, NUL
 *     number of metadata pairs, then per pair: key, NUL, length, value
 *     payload (the rest)
 *
 * Numbers are varints. Keys and the type are terminated so that an Assignment
 * can point at them; both were checked to hold no NUL.
 */
#include "proto/limits.h"
#include "server/net/codec.h"

#include <string.h>

static struct text
payload_of(const Redial__V1__JobSpec *spec)
{
    if (spec->payload_text != NULL) {
        return text_of(spec->payload_text);
    }
    if (spec->payload_json != NULL) {
        return text_of(spec->payload_json);
    }
    return (struct text){(const char *)spec->payload.data,
                         (uint32_t)spec->payload.len};
}

static const char *
content_type_of(const Redial__V1__JobSpec *spec)
{
    if (spec->content_type != NULL) {
        return spec->content_type;
    }
    if (spec->payload_json != NULL) {
        return "application/json";
    }
    return spec->payload_text != NULL ? "text/plain; charset=utf-8" : "";
}

static size_t
number_size(uint64_t value)
{
    uint8_t bytes[VARINT_BYTES_MAX];

    return (size_t)(varint_write(bytes, value) - bytes);
}

size_t
content_size(const Redial__V1__JobSpec *spec)
{
    size_t size = strlen(content_type_of(spec)) + 1;

    size += number_size(spec->n_metadata);
    for (size_t i = 0; i < spec->n_metadata; i++) {
        const Redial__V1__Metadata *pair = spec->metadata[i];

        size += strlen(pair->key) + 1;
        size += number_size(pair->value.len) + pair->value.len;
    }
    return size + payload_of(spec).len;
}

static uint8_t *
write_string(uint8_t *out, const char *string)
{
    size_t len = strlen(string) + 1;

    memcpy(out, string, len);
    return out + len;
}

static uint8_t *
write_bytes(uint8_t *out, const void *data, size_t len)
{
    if (len > 0) {
        memcpy(out, data, len);
    }
    return out + len;
}

void
content_write(const Redial__V1__JobSpec *spec, uint8_t *out)
{
    struct text payload = payload_of(spec);

    out = write_string(out, content_type_of(spec));
    out = varint_write(out, spec->n_metadata);
    for (size_t i = 0; i < spec->n_metadata; i++) {
        const Redial__V1__Metadata *pair = spec->metadata[i];

        out = write_string(out, pair->key);
        out = varint_write(out, pair->value.len);
        out = write_bytes(out, pair->value.data, pair->value.len);
    }
    write_bytes(out, payload.at, payload.len);
}

static const char *
result_type(const Redial__V1__Outcome *outcome)
{
    return outcome->content_type == NULL ? "" : outcome->content_type;
}

size_t
content_size_of_result(const Redial__V1__Outcome *outcome)
{
    return strlen(result_type(outcome)) + 1 + number_size(0) +
           outcome->result.len;
}

void
content_write_result(const Redial__V1__Outcome *outcome, uint8_t *out)
{
    out = write_string(out, result_type(outcome));
    out = varint_write(out, 0);
    write_bytes(out, outcome->result.data, outcome->result.len);
}

/* Where the terminated string at `at` ends (behind its NUL), or NULL. */
static const uint8_t *
skip_string(const uint8_t *at, const uint8_t *end)
{
    const uint8_t *nul = memchr(at, 0, (size_t)(end - at));

    return nul == NULL ? NULL : nul + 1;
}

static const uint8_t *
skip_pair(const uint8_t *at, const uint8_t *end)
{
    uint64_t len = 0;

    at = skip_string(at, end);
    if (at != NULL) {
        at = varint_read(at, end, &len);
    }
    if (at == NULL || len > (uint64_t)(end - at)) {
        return NULL;
    }
    return at + len;
}

bool
content_read(const uint8_t *bytes, size_t len, struct content *ret_content)
{
    const uint8_t *end = bytes + len;
    const uint8_t *at = len == 0 ? NULL : skip_string(bytes, end);
    struct content content = {.content_type = (const char *)bytes};
    uint64_t count = 0;

    if (at != NULL) {
        at = varint_read(at, end, &count);
    }
    if (at == NULL || count > WIRE_METADATA_MAX) {
        return false;
    }
    content.metadata = at;
    content.metadata_count = (uint32_t)count;
    for (uint64_t i = 0; i < count && at != NULL; i++) {
        at = skip_pair(at, end);
    }
    if (at == NULL) {
        return false;
    }
    content.payload = at;
    content.payload_bytes = (size_t)(end - at);
    *ret_content = content;
    return true;
}

void
content_metadata(const uint8_t **at, Redial__V1__Metadata *ret_pair)
{
    uint64_t len = 0;

    redial__v1__metadata__init(ret_pair);
    ret_pair->key = (char *)(uintptr_t)*at;
    *at += strlen(ret_pair->key) + 1;
    *at = varint_read(*at, *at + VARINT_BYTES_MAX, &len);
    ret_pair->has_value = true;
    ret_pair->value.len = (size_t)len;
    ret_pair->value.data = (uint8_t *)(uintptr_t)*at;
    *at += len;
}
