/* SPDX-License-Identifier: Apache-2.0 */
#include "server/plugins/http/http_config.h"

#include "server/plugins/codes.h"
#include "server/plugins/job_field.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum {
    RESPONSE_BYTES_MAX = 4194304,
    CONNECT_MS_MAX = 600000,
    CONNECT_MS = 5000,
    TOTAL_MS_MAX = 86400000,
    HEADERS_MAX = 64,
    CODES_MAX = 512,
    REDIRECTS_MAX = 10,
};

#define AT(member) offsetof(struct http_config, member)

static const struct setting fields[] = {
    {"url", SETTING_TEXT, AT(url), 0, 0, NULL},
    {"method", SETTING_TEXT, AT(method), 0, 0, NULL},
    {"headers", SETTING_MAP, AT(headers), 0, HEADERS_MAX, NULL},
    {"key_header", SETTING_TEXT, AT(key_header), 0, 0, NULL},
    {"metadata_headers", SETTING_LIST, AT(metadata_headers), 0, HEADERS_MAX,
     NULL},
    {"reason_header", SETTING_TEXT, AT(reason_header), 0, 0, NULL},
    {"connect_timeout_ms", SETTING_INTEGER, AT(connect_timeout_ms), 1,
     CONNECT_MS_MAX, NULL},
    {"timeout_ms", SETTING_INTEGER, AT(timeout_ms), 1, TOTAL_MS_MAX, NULL},
    {"response_bytes_max", SETTING_INTEGER, AT(response_bytes_max), 0,
     RESPONSE_BYTES_MAX, NULL},
    {"redirects_max", SETTING_INTEGER, AT(redirects_max), 0, REDIRECTS_MAX,
     NULL},
    {"ca_file", SETTING_TEXT, AT(ca_file), 0, 0, NULL},
    {"cert_file", SETTING_TEXT, AT(cert_file), 0, 0, NULL},
    {"key_file", SETTING_TEXT, AT(key_file), 0, 0, NULL},
    {"proxy", SETTING_TEXT, AT(proxy), 0, 0, NULL},
    {"retry_after_for", SETTING_TEXT, AT(retry_after_for), 0, 0, NULL},
    {"codes", SETTING_MAP, AT(codes), 0, CODES_MAX, NULL},
};

static const struct setting_table table = {fields,
                                           sizeof(fields) / sizeof(fields[0])};

static const struct {
    const char *reason;
    enum redial_status code;
} troubles[] = {
    [HTTP_NO_CONNECTION] = {"NO_CONNECTION", REDIAL_UNAVAILABLE},
    [HTTP_CONNECT_TIMEOUT] = {"CONNECT_TIMEOUT", REDIAL_UNAVAILABLE},
    [HTTP_CONNECTION_LOST] = {"CONNECTION_LOST", REDIAL_UNAVAILABLE},
    [HTTP_RESPONSE_TIMEOUT] = {"RESPONSE_TIMEOUT", REDIAL_DEADLINE_EXCEEDED},
    [HTTP_TLS_FAILED] = {"TLS_FAILED", REDIAL_FAILED_PRECONDITION},
    [HTTP_RESULT_TOO_LARGE] = {"RESULT_TOO_LARGE", REDIAL_INTERNAL},
    [HTTP_FAILED] = {"HTTP_FAILED", REDIAL_INTERNAL},
};

static const char *const other_reasons[] = {
    "NO_CONNECTION", "CONNECT_TIMEOUT",  "CONNECTION_LOST", "RESPONSE_TIMEOUT",
    "TLS_FAILED",    "RESULT_TOO_LARGE", "HTTP_FAILED",     NULL};
static const struct codes_domain reasons = {"HTTP_", other_reasons, 100, 599};

static const char token_characters[] =
    "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    "abcdefghijklmnopqrstuvwxyz";

/* An HTTP token: what methods and names of headers are made of. */
static bool
is_token(const char *text)
{
    return text[0] != '\0' && text[strspn(text, token_characters)] == '\0';
}

static bool
check_header(const char *where, const char *name, struct setting_error *error)
{
    if (is_token(name)) {
        return true;
    }
    settings_complain(error, "%s: \"%s\" is no name of a header", where, name);
    return false;
}

static bool
check_headers(const struct http_config *config, struct setting_error *error)
{
    bool good = true;
    for (uint32_t i = 0; i < config->headers.count; i++) {
        const char *name = config->headers.keys[i];
        const char *value = config->headers.values[i];
        char where[160];
        snprintf(where, sizeof(where), "$.headers.%s", name);
        good = check_header("$.headers", name, error) && good;
        good = job_field_check(value, where, error) && good;
        if (strpbrk(value, "\r\n") != NULL) {
            settings_complain(error, "%s: must be one line", where);
            good = false;
        }
    }
    for (uint32_t i = 0; i < config->metadata_headers.count; i++) {
        good = check_header("$.metadata_headers",
                            config->metadata_headers.items[i], error) &&
               good;
    }
    if (config->key_header != NULL && config->key_header[0] != '\0') {
        good = check_header("$.key_header", config->key_header, error) && good;
    }
    if (config->reason_header != NULL) {
        good = check_header("$.reason_header", config->reason_header, error) &&
               good;
    }
    return good;
}

/* An agent may choose a path, never a server. */
static bool
check_url(const char *url, struct setting_error *error)
{
    if (url == NULL) {
        settings_complain(error, "$.url: is missing");
        return false;
    }
    size_t scheme = strncasecmp(url, "http://", 7) == 0    ? 7
                    : strncasecmp(url, "https://", 8) == 0 ? 8
                                                           : 0;
    size_t host = strcspn(url + scheme, "/?#");
    if (scheme == 0 || host == 0) {
        settings_complain(error, "$.url: must begin with http:// or https:// "
                                 "and a host");
        return false;
    }
    if (memchr(url + scheme, '{', host) != NULL) {
        settings_complain(error, "$.url: no field of a job may stand in the "
                                 "host");
        return false;
    }
    return job_field_check(url, "$.url", error);
}

static bool
set_defaults(struct http_config *config)
{
    return settings_text(&config->method, "POST") &&
           settings_text(&config->key_header, "Idempotency-Key") &&
           settings_text(&config->retry_after_for, "job");
}

bool
http_config_read(struct http_config *config, const char *json, size_t len,
                 struct setting_error *error)
{
    *config = (struct http_config){.connect_timeout_ms = CONNECT_MS,
                                   .response_bytes_max = RESPONSE_BYTES_MAX};
    if (!set_defaults(config)) {
        settings_complain(error, "out of memory");
        return false;
    }
    bool good = settings_read(&table, json, len, config, error);
    good = check_url(config->url, error) && good;
    good = check_headers(config, error) && good;
    if (!is_token(config->method)) {
        settings_complain(error, "$.method: \"%s\" is no method",
                          config->method);
        good = false;
    }
    if (strcmp(config->retry_after_for, "job") != 0 &&
        strcmp(config->retry_after_for, "target") != 0) {
        settings_complain(error,
                          "$.retry_after_for: \"%s\" is neither \"job\" nor "
                          "\"target\"",
                          config->retry_after_for);
        good = false;
    }
    return codes_check(&config->codes, &reasons, error) && good;
}

void
http_config_clear(struct http_config *config)
{
    settings_clear(&table, config);
}

bool
http_config_has_body(const struct http_config *config)
{
    static const char *const without[] = {"GET", "HEAD", "DELETE", "OPTIONS"};
    for (size_t i = 0; i < sizeof(without) / sizeof(without[0]); i++) {
        if (strcmp(config->method, without[i]) == 0) {
            return false;
        }
    }
    return true;
}

static enum redial_status
code_of_status(long http_status)
{
    switch (http_status) {
    case 400:
        return REDIAL_INVALID_ARGUMENT;
    case 401:
        return REDIAL_UNAUTHENTICATED;
    case 403:
        return REDIAL_PERMISSION_DENIED;
    case 404:
        return REDIAL_NOT_FOUND;
    case 408:
    case 504:
        return REDIAL_DEADLINE_EXCEEDED;
    case 409:
        return REDIAL_ABORTED;
    case 429:
        return REDIAL_RESOURCE_EXHAUSTED;
    case 501:
        return REDIAL_UNIMPLEMENTED;
    case 502:
    case 503:
        return REDIAL_UNAVAILABLE;
    default:
        break;
    }
    if (http_status >= 200 && http_status <= 299) {
        return REDIAL_OK;
    }
    return http_status >= 300 && http_status <= 499 ? REDIAL_FAILED_PRECONDITION
                                                    : REDIAL_INTERNAL;
}

enum redial_status
http_status_code(const struct http_config *config, long http_status,
                 char ret_reason[HTTP_REASON_BYTES])
{
    snprintf(ret_reason, HTTP_REASON_BYTES, "HTTP_%d",
             (int)(http_status % 1000));
    enum redial_status code = codes_find(&config->codes, &reasons, ret_reason,
                                         code_of_status(http_status));
    if (http_status >= 200 && http_status <= 299) {
        ret_reason[0] = '\0';
    }
    return code;
}

enum redial_status
http_trouble_code(const struct http_config *config, enum http_trouble trouble,
                  const char **ret_reason)
{
    *ret_reason = troubles[trouble].reason;
    return codes_find(&config->codes, &reasons, troubles[trouble].reason,
                      troubles[trouble].code);
}
