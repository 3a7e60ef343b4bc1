/* SPDX-License-Identifier: Apache-2.0 */
#include "server/plugins/http/http_request.h"

#include "server/plugins/job_field.h"

#include <string.h>
#include <strings.h>

enum {
    URL_BYTES_MAX = 16384,
    HEADER_BYTES_MAX = 16384,
};

static const char *const forwarded_by_default[] = {"traceparent", "tracestate",
                                                   NULL};

enum http_request_verdict
http_request_url(const struct http_config *config,
                 const struct redial_plugin_attempt *attempt, struct bytes *out,
                 const char **ret_field)
{
    switch (
        job_field_fill(config->url, JOB_FIELD_URL, attempt, out, ret_field)) {
    case JOB_FIELD_OK:
        return out->len <= URL_BYTES_MAX ? HTTP_REQUEST_OK
                                         : HTTP_REQUEST_TOO_LARGE;
    case JOB_FIELD_REFUSED:
        return HTTP_REQUEST_REFUSED;
    case JOB_FIELD_TOO_LONG:
        break;
    }
    return HTTP_REQUEST_TOO_LARGE;
}

static bool
is_configured(const struct http_config *config, const char *name)
{
    for (uint32_t i = 0; i < config->headers.count; i++) {
        if (strcasecmp(config->headers.keys[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/*
 * Adds "name: value" ("name:", which leaves one of curl's own out, if the value
 * is empty). `value` may hold fields; control characters in it are refused.
 */
static enum http_request_verdict
add_header(struct curl_slist **headers, const char *name, const char *value,
           const struct redial_plugin_attempt *attempt, const char **ret_field)
{
    struct bytes line;
    bytes_init(&line, HEADER_BYTES_MAX);
    bytes_append(&line, name, strlen(name));
    bytes_append(&line, ": ", 2);
    enum job_field_verdict verdict = job_field_fill(value, JOB_FIELD_HEADER,
                                                    attempt, &line, ret_field);
    enum http_request_verdict result = HTTP_REQUEST_TOO_LARGE;
    if (verdict == JOB_FIELD_REFUSED) {
        result = HTTP_REQUEST_REFUSED;
    } else if (verdict == JOB_FIELD_OK) {
        struct curl_slist *longer = curl_slist_append(*headers,
                                                      (char *)line.at);
        if (longer != NULL) {
            *headers = longer;
            result = HTTP_REQUEST_OK;
        }
    }
    bytes_fini(&line);
    return result;
}

/* Trace contexts that cannot be a header are not worth a failure. */
static bool
add_metadata(struct curl_slist **headers, const struct http_config *config,
             const struct redial_plugin_attempt *attempt)
{
    bool given = config->metadata_headers.items != NULL;
    for (uint32_t i = 0;; i++) {
        const char *name = given ? config->metadata_headers.items[i]
                                 : forwarded_by_default[i];
        if (name == NULL) {
            return true;
        }
        const struct redial_plugin_metadata *entry = job_field_metadata(attempt,
                                                                        name);
        if (entry == NULL || is_configured(config, name)) {
            continue;
        }
        char line[HEADER_BYTES_MAX];
        size_t len = strlen(name);
        if (len + 2 + entry->value_bytes >= sizeof(line)) {
            continue;
        }
        memcpy(line, name, len);
        memcpy(line + len, ": ", 2);
        len += 2;
        memcpy(line + len, entry->value, entry->value_bytes);
        line[len + entry->value_bytes] = '\0';
        bool clean = true;
        for (size_t at = len; at < len + entry->value_bytes; at++) {
            clean = clean && (uint8_t)line[at] >= 0x20 && line[at] != 0x7f;
        }
        struct curl_slist *longer = clean ? curl_slist_append(*headers, line)
                                          : *headers;
        if (longer == NULL) {
            return false;
        }
        *headers = longer;
    }
}

static enum http_request_verdict
add_own(struct curl_slist **headers, const struct http_config *config,
        const struct redial_plugin_attempt *attempt, const char **ret_field)
{
    enum http_request_verdict verdict = HTTP_REQUEST_OK;
    bool has_type = attempt->content_type[0] != '\0';
    if (http_config_has_body(config) &&
        !is_configured(config, "content-type")) {
        verdict = add_header(headers, "Content-Type",
                             has_type ? "{content_type}"
                                      : "application/octet-stream",
                             attempt, ret_field);
    }
    if (verdict == HTTP_REQUEST_OK && attempt->key[0] != '\0' &&
        config->key_header[0] != '\0' &&
        !is_configured(config, config->key_header)) {
        verdict = add_header(headers, config->key_header, "{key}", attempt,
                             ret_field);
    }
    /* Waiting for "100 Continue" costs a second with servers that ignore it. */
    if (verdict == HTTP_REQUEST_OK && !is_configured(config, "expect")) {
        verdict = add_header(headers, "Expect", "", attempt, ret_field);
    }
    return verdict;
}

enum http_request_verdict
http_request_headers(const struct http_config *config,
                     const struct redial_plugin_attempt *attempt,
                     struct curl_slist **ret_headers, const char **ret_field)
{
    *ret_headers = NULL;
    enum http_request_verdict verdict = add_own(ret_headers, config, attempt,
                                                ret_field);
    if (verdict == HTTP_REQUEST_OK &&
        !add_metadata(ret_headers, config, attempt)) {
        verdict = HTTP_REQUEST_TOO_LARGE;
    }
    for (uint32_t i = 0;
         verdict == HTTP_REQUEST_OK && i < config->headers.count; i++) {
        verdict = add_header(ret_headers, config->headers.keys[i],
                             config->headers.values[i], attempt, ret_field);
    }
    return verdict;
}
