/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The URL and the headers of a request.
 */
#ifndef REDIAL_SERVER_PLUGINS_HTTP_HTTP_REQUEST_H
#define REDIAL_SERVER_PLUGINS_HTTP_HTTP_REQUEST_H

#include "server/base/bytes.h"
#include "server/plugins/http/http_config.h"
#include <redial/plugin.h>

#include <curl/curl.h>

enum http_request_verdict {
    HTTP_REQUEST_OK,
    HTTP_REQUEST_REFUSED, /* *ret_field has a value that must not be sent */
    HTTP_REQUEST_TOO_LARGE,
};

/* Appends the URL and a NUL to `out`. */
enum http_request_verdict
http_request_url(const struct http_config *config,
                 const struct redial_plugin_attempt *attempt, struct bytes *out,
                 const char **ret_field);

/*
 * Makes the list of headers, which the caller frees, also after a failure.
 */
enum http_request_verdict
http_request_headers(const struct http_config *config,
                     const struct redial_plugin_attempt *attempt,
                     struct curl_slist **ret_headers, const char **ret_field);

#endif
