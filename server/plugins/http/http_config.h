/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configuration of the http plugin, a JSON object:
 *
 *   url                 http or https; required. {fields} of the job may stand
 *                       after the host; they are percent-encoded, and "." and
 *                       ".." are refused
 *   method              default POST. The payload is sent as the body, but not
 *                       with GET, HEAD, DELETE and OPTIONS
 *   headers             object; {fields} may stand in the values. Replaces what
 *                       is sent by itself: Content-Type (the job's), the key
 *                       header, forwarded metadata; "" leaves one out
 *   key_header          header for the job's key, if it has one; default
 *                       Idempotency-Key, "" for none
 *   metadata_headers    list: entries of the job's metadata that are forwarded
 *                       as headers; default traceparent tracestate
 *   reason_header       header of the response that holds the reason, if it is
 *                       there and a word: X-Reason
 *   connect_timeout_ms  1..600000; default 5000
 *   timeout_ms          for the whole exchange, 1..86400000; default: the
 *                       attempt's own limit alone
 *   response_bytes_max  0..4194304; default 4194304
 *   redirects_max       0..10; default 0: a redirect is an answer like others
 *   ca_file cert_file key_file  PEM files for https
 *   proxy               URL; default: no proxy, whatever the environment says
 *   retry_after_for     "job" (the default): a Retry-After holds the job that
 *                       got it; "target": it holds all retries of its target,
 *                       for servers that mean everybody
 *   codes               object: other status codes for reasons, see codes.h:
 *                       "100".."599", HTTP_n and the words below
 *
 * Status -> code, reason HTTP_n (2xx: none): 2xx OK; 400 INVALID_ARGUMENT; 401
 * UNAUTHENTICATED; 403 PERMISSION_DENIED; 404 NOT_FOUND; 408, 504
 * DEADLINE_EXCEEDED; 409 ABORTED; 429 RESOURCE_EXHAUSTED; 501 UNIMPLEMENTED;
 * 502, 503 UNAVAILABLE; other 4xx and 3xx FAILED_PRECONDITION; other 5xx
 * INTERNAL. Without a status: NO_CONNECTION, CONNECT_TIMEOUT and
 * CONNECTION_LOST UNAVAILABLE; RESPONSE_TIMEOUT DEADLINE_EXCEEDED; TLS_FAILED
 * FAILED_PRECONDITION; RESULT_TOO_LARGE and HTTP_FAILED INTERNAL.
 *
 * Retry-After of 429 and 503, in seconds or as a date, becomes the pushback,
 * for whom retry_after_for says; one that cannot be read is ignored.
 * Connections are used again. Nothing is ever sent twice: a request with a body
 * that fails on a connection which the server was just closing ends as
 * CONNECTION_LOST.
 */
#ifndef REDIAL_SERVER_PLUGINS_HTTP_HTTP_CONFIG_H
#define REDIAL_SERVER_PLUGINS_HTTP_HTTP_CONFIG_H

#include "server/plugins/settings.h"
#include <redial/status.h>

struct http_config {
    char *url;
    char *method;
    char *key_header;
    char *reason_header;
    char *ca_file;
    char *cert_file;
    char *key_file;
    char *proxy;
    char *retry_after_for;
    struct setting_map headers;
    struct setting_map codes;
    struct setting_list metadata_headers;
    int64_t connect_timeout_ms;
    int64_t timeout_ms; /* 0: none */
    int64_t response_bytes_max;
    int64_t redirects_max;
};

/* Reads it; false with complaints. Clear it in both cases. */
bool
http_config_read(struct http_config *config, const char *json, size_t len,
                 struct setting_error *error);

void
http_config_clear(struct http_config *config);

/* Whether requests have a body. */
bool
http_config_has_body(const struct http_config *config);

enum { HTTP_REASON_BYTES = 16 };

/* What an HTTP status means, and the reason ("" for 2xx). */
enum redial_status
http_status_code(const struct http_config *config, long http_status,
                 char ret_reason[HTTP_REASON_BYTES]);

/* How an exchange can end without a status. */
enum http_trouble {
    HTTP_NO_CONNECTION,
    HTTP_CONNECT_TIMEOUT,
    HTTP_CONNECTION_LOST,
    HTTP_RESPONSE_TIMEOUT,
    HTTP_TLS_FAILED,
    HTTP_RESULT_TOO_LARGE,
    HTTP_FAILED,
};

/* What that means; the reason lives for ever. */
enum redial_status
http_trouble_code(const struct http_config *config, enum http_trouble trouble,
                  const char **ret_reason);

#endif
