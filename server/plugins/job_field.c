/* SPDX-License-Identifier: Apache-2.0 */
#include "server/plugins/job_field.h"

#include "server/base/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum field_type { FIELD_TEXT, FIELD_U32, FIELD_U64 };

struct job_field {
    const char *name;
    enum field_type type;
    size_t offset;
};

#define FIELD(member_name, field_type, member)             \
    {                                                      \
        member_name, field_type,                           \
            offsetof(struct redial_plugin_attempt, member) \
    }

static const struct job_field fields[] = {
    FIELD("attempt", FIELD_U32, number),
    FIELD("charged_before", FIELD_U32, charged_before),
    FIELD("content_type", FIELD_TEXT, content_type),
    FIELD("correlation_id", FIELD_TEXT, correlation_id),
    FIELD("fence", FIELD_U64, fence),
    FIELD("job_id", FIELD_TEXT, job_id),
    FIELD("key", FIELD_TEXT, key),
    FIELD("method", FIELD_TEXT, method),
    FIELD("remaining_ms", FIELD_U64, remaining_ms),
    FIELD("service", FIELD_TEXT, service),
    FIELD("tenant", FIELD_TEXT, tenant),
    FIELD("timeout_ms", FIELD_U64, timeout_ms),
};

#undef FIELD

enum { FIELD_COUNT = sizeof(fields) / sizeof(fields[0]) };

const char *
job_field_name(size_t index)
{
    return index < FIELD_COUNT ? fields[index].name : NULL;
}

const char *
job_field_value(size_t index, const struct redial_plugin_attempt *attempt,
                char buf[JOB_FIELD_NUMBER_BYTES])
{
    redial_assert(index < FIELD_COUNT);
    const char *at = (const char *)attempt + fields[index].offset;
    uint64_t number = 0;
    switch (fields[index].type) {
    case FIELD_TEXT:
        return *(const char *const *)(const void *)at;
    case FIELD_U32:
        number = *(const uint32_t *)(const void *)at;
        break;
    case FIELD_U64:
        number = *(const uint64_t *)(const void *)at;
        break;
    }
    snprintf(buf, JOB_FIELD_NUMBER_BYTES, "%" PRIu64, number);
    return buf;
}

const struct redial_plugin_metadata *
job_field_metadata(const struct redial_plugin_attempt *attempt, const char *key)
{
    for (uint32_t i = 0; i < attempt->metadata_count; i++) {
        if (strcmp(attempt->metadata[i].key, key) == 0) {
            return &attempt->metadata[i];
        }
    }
    return NULL;
}

/* The next "{word}" in `text`: its brace, and the length of the word. */
static const char *
next_field(const char *text, size_t *ret_len)
{
    const char *brace = strchr(text, '{');
    while (brace != NULL) {
        size_t len = strspn(brace + 1, "abcdefghijklmnopqrstuvwxyz_");
        if (len > 0 && brace[1 + len] == '}') {
            *ret_len = len;
            return brace;
        }
        brace = strchr(brace + 1, '{');
    }
    return NULL;
}

/* FIELD_COUNT if there is none of that name. */
static size_t
find_field(const char *name, size_t len)
{
    size_t i = 0;
    while (i < FIELD_COUNT && (strncmp(fields[i].name, name, len) != 0 ||
                               fields[i].name[len] != '\0')) {
        i++;
    }
    return i;
}

bool
job_field_used(const char *text)
{
    size_t len;
    return next_field(text, &len) != NULL;
}

bool
job_field_check(const char *text, const char *where,
                struct setting_error *error)
{
    const char *names[FIELD_COUNT + 1] = {NULL};
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        names[i] = fields[i].name;
    }
    bool good = true;
    size_t len = 0;
    for (const char *at = next_field(text, &len); at != NULL;
         at = next_field(at + 1, &len)) {
        if (find_field(at + 1, len) < FIELD_COUNT) {
            continue;
        }
        char word[64];
        snprintf(word, sizeof(word), "%.*s", (int)len, at + 1);
        const char *nearest = settings_nearest(word, names);
        settings_complain(error, "%s: {%s} is no field of a job%s%s%s", where,
                          word, nearest == NULL ? "" : "; did you mean {",
                          nearest == NULL ? "" : nearest,
                          nearest == NULL ? "" : "}?");
        good = false;
    }
    return good;
}

static bool
append_encoded(struct bytes *out, const char *value)
{
    static const char digits[] = "0123456789ABCDEF";
    static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                     "abcdefghijklmnopqrstuvwxyz"
                                     "0123456789-._~";
    bool good = true;
    for (const char *at = value; *at != '\0'; at++) {
        uint8_t byte = (uint8_t)*at;
        if (strchr(unreserved, byte) != NULL) {
            good = bytes_append_byte(out, byte) && good;
        } else {
            char code[3] = {'%', digits[byte >> 4], digits[byte & 15]};
            good = bytes_append(out, code, sizeof(code)) && good;
        }
    }
    return good;
}

static bool
has_control(const char *value)
{
    for (const char *at = value; *at != '\0'; at++) {
        if ((uint8_t)*at < 0x20 || *at == 0x7f) {
            return true;
        }
    }
    return false;
}

static enum job_field_verdict
append_value(const char *value, enum job_field_style style, bool is_first,
             struct bytes *out)
{
    bool fits = false;
    switch (style) {
    case JOB_FIELD_ARGUMENT:
        if (is_first && value[0] == '-') {
            return JOB_FIELD_REFUSED;
        }
        fits = bytes_append(out, value, strlen(value));
        break;
    case JOB_FIELD_URL:
        if (strcmp(value, ".") == 0 || strcmp(value, "..") == 0) {
            return JOB_FIELD_REFUSED;
        }
        fits = append_encoded(out, value);
        break;
    case JOB_FIELD_HEADER:
        if (has_control(value)) {
            return JOB_FIELD_REFUSED;
        }
        fits = bytes_append(out, value, strlen(value));
        break;
    }
    return fits ? JOB_FIELD_OK : JOB_FIELD_TOO_LONG;
}

enum job_field_verdict
job_field_fill(const char *text, enum job_field_style style,
               const struct redial_plugin_attempt *attempt, struct bytes *out,
               const char **ret_field)
{
    size_t len = 0;
    size_t start = out->len;
    const char *from = text;
    for (const char *at = next_field(from, &len); at != NULL;
         at = next_field(from, &len)) {
        size_t index = find_field(at + 1, len);
        redial_assert(index < FIELD_COUNT); /* job_field_check() saw to it */
        bytes_append(out, from, (size_t)(at - from));
        char buf[JOB_FIELD_NUMBER_BYTES];
        enum job_field_verdict verdict = append_value(
            job_field_value(index, attempt, buf), style, out->len == start,
            out);
        if (verdict != JOB_FIELD_OK) {
            *ret_field = fields[index].name;
            return verdict;
        }
        from = at + len + 2;
    }
    bytes_append(out, from, strlen(from) + 1);
    if (out->failed) {
        *ret_field = "";
        return JOB_FIELD_TOO_LONG;
    }
    return JOB_FIELD_OK;
}
