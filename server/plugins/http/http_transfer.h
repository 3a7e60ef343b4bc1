/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One exchange with an HTTP server: the request of one attempt, and what its
 * response means. The caller hands `easy` to a curl multi handle and says how
 * that ended. Functions do not wait; one thread.
 *
 * libcurl sends a request again by itself if a connection that had been used
 * before dies without a response. Trying again is not our business: so the body
 * goes through a reader that cannot be rewound, which makes that impossible.
 */
#ifndef REDIAL_SERVER_PLUGINS_HTTP_HTTP_TRANSFER_H
#define REDIAL_SERVER_PLUGINS_HTTP_HTTP_TRANSFER_H

#include "server/base/bytes.h"
#include "server/base/list.h"
#include "server/plugins/http/http_config.h"
#include "server/plugins/text.h"
#include <redial/plugin.h>

#include <curl/curl.h>

enum { HTTP_HEADER_BYTES = 256 };

struct http_transfer {
    struct list link; /* the thread's */
    const struct http_config *config;
    const struct redial_plugin_host *host;
    struct redial_plugin_call call;
    const struct redial_plugin_attempt *attempt;
    CURL *easy;
    struct curl_slist *headers;
    size_t sent;       /* bytes of the payload */
    size_t received;   /* bytes of the response's body, kept or not */
    struct bytes body; /* what is kept of it */
    bool is_too_large;
    bool is_complete;
    char retry_after[HTTP_HEADER_BYTES]; /* "": none */
    char reason[REASON_BYTES_MAX + 1];   /* from the response; "": none */
    char content_type[HTTP_HEADER_BYTES];
    char error[CURL_ERROR_SIZE];
};

/* Makes one without a request. NULL without memory. */
struct http_transfer *
http_transfer_new(const struct http_config *config,
                  const struct redial_plugin_host *host,
                  struct redial_plugin_call call,
                  const struct redial_plugin_attempt *attempt);

/*
 * Makes the request, ready for a multi handle. False: it cannot be made, and
 * the attempt has been completed.
 */
bool
http_transfer_prepare(struct http_transfer *transfer);

/* Completes the attempt by what curl says. `now_ms`: since 1970 UTC. */
void
http_transfer_finish(struct http_transfer *transfer, CURLcode result,
                     int64_t now_ms);

/* Completes it because the host wants it to stop. */
void
http_transfer_stop(struct http_transfer *transfer, enum redial_plugin_stop why);

/* Frees it; its easy handle must be in no multi handle. */
void
http_transfer_free(struct http_transfer *transfer);

#endif
