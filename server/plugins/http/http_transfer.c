/* SPDX-License-Identifier: Apache-2.0 */
#include "server/plugins/http/http_transfer.h"

#include "server/plugins/http/http_request.h"
#include "server/plugins/http/retry_after.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    URL_BYTES_MAX = 65536,
    EXCERPT_BYTES_MAX = 512, /* of an error's body, for people */
    HTTP_TOO_MANY_REQUESTS = 429,
    HTTP_UNAVAILABLE = 503,
};

struct http_transfer *
http_transfer_new(const struct http_config *config,
                  const struct redial_plugin_host *host,
                  struct redial_plugin_call call,
                  const struct redial_plugin_attempt *attempt)
{
    struct http_transfer *transfer = calloc(1, sizeof(*transfer));
    if (transfer == NULL) {
        return NULL;
    }
    transfer->config = config;
    transfer->host = host;
    transfer->call = call;
    transfer->attempt = attempt;
    size_t limit = (size_t)config->response_bytes_max;
    bytes_init(&transfer->body,
               limit > EXCERPT_BYTES_MAX ? limit : EXCERPT_BYTES_MAX);
    return transfer;
}

void
http_transfer_free(struct http_transfer *transfer)
{
    curl_easy_cleanup(transfer->easy);
    curl_slist_free_all(transfer->headers);
    bytes_fini(&transfer->body);
    free(transfer);
}

static void
complete(struct http_transfer *transfer, struct redial_plugin_outcome *outcome)
{
    outcome->struct_size = sizeof(*outcome);
    transfer->is_complete = true;
    transfer->host->complete(transfer->host->ctx, transfer->call, outcome);
}

static long
status_of(struct http_transfer *transfer)
{
    long status = 0;
    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

static bool
is_success(long status)
{
    return status >= 200 && status <= 299;
}

static size_t
read_payload(char *buf, size_t size, size_t count, void *ctx)
{
    struct http_transfer *transfer = ctx;
    size_t left = transfer->attempt->payload_bytes - transfer->sent;
    size_t len = left < size * count ? left : size * count;
    if (len > 0) {
        memcpy(buf, (const char *)transfer->attempt->payload + transfer->sent,
               len);
    }
    transfer->sent += len;
    return len;
}

/* Only a redirect that keeps the body may have it a second time. */
static int
rewind_payload(void *ctx, curl_off_t offset, int origin)
{
    struct http_transfer *transfer = ctx;
    long status = status_of(transfer);
    if (status < 300 || status > 399 || origin != SEEK_SET || offset != 0) {
        return CURL_SEEKFUNC_FAIL;
    }
    transfer->sent = 0;
    return CURL_SEEKFUNC_OK;
}

/*
 * Keeps the body of a success up to the limit, and enough of an error's body
 * for people. Too much of either ends the transfer.
 */
static size_t
take_body(char *data, size_t size, size_t count, void *ctx)
{
    struct http_transfer *transfer = ctx;
    size_t len = size * count;
    size_t limit = (size_t)transfer->config->response_bytes_max;
    transfer->received += len;
    if (is_success(status_of(transfer))) {
        if (transfer->received > limit ||
            !bytes_append(&transfer->body, data, len)) {
            transfer->is_too_large = true;
            return 0;
        }
        return len;
    }
    size_t room = EXCERPT_BYTES_MAX - transfer->body.len;
    bytes_append(&transfer->body, data, len < room ? len : room);
    return transfer->received > limit ? 0 : len;
}

/* The value of a header line if it has that name; NULL if not. */
static const char *
header_value(const char *line, size_t len, const char *name, size_t *ret_len)
{
    size_t name_len = strlen(name);
    if (len <= name_len || line[name_len] != ':' ||
        strncasecmp(line, name, name_len) != 0) {
        return NULL;
    }
    const char *at = line + name_len + 1;
    const char *end = line + len;
    while (at < end && (*at == ' ' || *at == '\t')) {
        at++;
    }
    while (end > at && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r' ||
                        end[-1] == '\n')) {
        end--;
    }
    *ret_len = (size_t)(end - at);
    return at;
}

/* The first header of a name counts; what does not fit is no use. */
static void
keep_header(const char *value, size_t len, char *ret_value, size_t size)
{
    if (ret_value[0] == '\0' && len < size) {
        memcpy(ret_value, value, len);
        ret_value[len] = '\0';
    }
}

static size_t
take_header(char *line, size_t size, size_t count, void *ctx)
{
    struct http_transfer *transfer = ctx;
    size_t total = size * count;
    size_t len = 0;
    const char *value;
    if (total > 5 && strncmp(line, "HTTP/", 5) == 0) {
        /* Another response: what came before was "100 Continue" or so. */
        transfer->retry_after[0] = '\0';
        transfer->reason[0] = '\0';
        transfer->content_type[0] = '\0';
    }
    value = header_value(line, total, "retry-after", &len);
    if (value != NULL) {
        keep_header(value, len, transfer->retry_after,
                    sizeof(transfer->retry_after));
    }
    value = header_value(line, total, "content-type", &len);
    if (value != NULL) {
        keep_header(value, len, transfer->content_type,
                    sizeof(transfer->content_type));
    }
    const char *name = transfer->config->reason_header;
    value = name == NULL ? NULL : header_value(line, total, name, &len);
    if (value != NULL && text_is_reason(value, len)) {
        keep_header(value, len, transfer->reason, sizeof(transfer->reason));
    }
    return total;
}

static CURLcode
allow_protocols(CURL *easy)
{
#if LIBCURL_VERSION_NUM >= 0x075500
    CURLcode code = curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    return code != CURLE_OK
               ? code
               : curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR,
                                  "http,https");
#else
    long both = CURLPROTO_HTTP | CURLPROTO_HTTPS;
    CURLcode code = curl_easy_setopt(easy, CURLOPT_PROTOCOLS, both);
    return code != CURLE_OK
               ? code
               : curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS, both);
#endif
}

/* Remembers the first failure of a series of settings. */
#define SET(option, value)                                          \
    do {                                                            \
        if (code == CURLE_OK) {                                     \
            code = curl_easy_setopt(transfer->easy, option, value); \
        }                                                           \
    } while (0)

static CURLcode
set_request(struct http_transfer *transfer)
{
    const struct http_config *config = transfer->config;
    CURLcode code = allow_protocols(transfer->easy);
    SET(CURLOPT_HTTPHEADER, transfer->headers);
    SET(CURLOPT_PATH_AS_IS, 1L);
    if (http_config_has_body(config)) {
        SET(CURLOPT_POST, 1L);
        SET(CURLOPT_POSTFIELDSIZE_LARGE,
            (curl_off_t)transfer->attempt->payload_bytes);
        SET(CURLOPT_READFUNCTION, read_payload);
        SET(CURLOPT_READDATA, transfer);
        SET(CURLOPT_SEEKFUNCTION, rewind_payload);
        SET(CURLOPT_SEEKDATA, transfer);
    } else if (strcmp(config->method, "HEAD") == 0) {
        SET(CURLOPT_NOBODY, 1L);
    }
    SET(CURLOPT_CUSTOMREQUEST, config->method);
    SET(CURLOPT_FOLLOWLOCATION, config->redirects_max > 0 ? 1L : 0L);
    SET(CURLOPT_MAXREDIRS, (long)config->redirects_max);
    SET(CURLOPT_USERAGENT, "redial");
    return code;
}

static CURLcode
set_connection(struct http_transfer *transfer)
{
    const struct http_config *config = transfer->config;
    CURLcode code = CURLE_OK;
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)config->connect_timeout_ms);
    SET(CURLOPT_TIMEOUT_MS, (long)config->timeout_ms);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_PROXY, config->proxy == NULL ? "" : config->proxy);
    SET(CURLOPT_ERRORBUFFER, transfer->error);
    SET(CURLOPT_WRITEFUNCTION, take_body);
    SET(CURLOPT_WRITEDATA, transfer);
    SET(CURLOPT_HEADERFUNCTION, take_header);
    SET(CURLOPT_HEADERDATA, transfer);
    SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    SET(CURLOPT_PRIVATE, transfer);
    if (config->ca_file != NULL) {
        SET(CURLOPT_CAINFO, config->ca_file);
    }
    if (config->cert_file != NULL) {
        SET(CURLOPT_SSLCERT, config->cert_file);
    }
    if (config->key_file != NULL) {
        SET(CURLOPT_SSLKEY, config->key_file);
    }
    return code;
}

#undef SET

static bool
refuse(struct http_transfer *transfer, enum http_request_verdict verdict,
       const char *field)
{
    char text[128];
    struct redial_plugin_outcome outcome = {
        .code = REDIAL_INVALID_ARGUMENT,
        .reason = "REQUEST_REFUSED",
        .text = text,
    };
    if (verdict == HTTP_REQUEST_REFUSED) {
        snprintf(text, sizeof(text), "the job's %s must not stand there",
                 field);
    } else {
        snprintf(text, sizeof(text), "the URL or a header is too long");
    }
    complete(transfer, &outcome);
    return false;
}

bool
http_transfer_prepare(struct http_transfer *transfer)
{
    const char *field = "";
    struct bytes url;
    bytes_init(&url, URL_BYTES_MAX);
    enum http_request_verdict verdict = http_request_url(
        transfer->config, transfer->attempt, &url, &field);
    if (verdict == HTTP_REQUEST_OK) {
        verdict = http_request_headers(transfer->config, transfer->attempt,
                                       &transfer->headers, &field);
    }
    if (verdict != HTTP_REQUEST_OK) {
        bytes_fini(&url);
        return refuse(transfer, verdict, field);
    }
    transfer->easy = curl_easy_init();
    CURLcode code = CURLE_OUT_OF_MEMORY;
    if (transfer->easy != NULL) {
        code = curl_easy_setopt(transfer->easy, CURLOPT_URL, (char *)url.at);
    }
    code = code == CURLE_OK ? set_request(transfer) : code;
    code = code == CURLE_OK ? set_connection(transfer) : code;
    bytes_fini(&url);
    if (code != CURLE_OK) {
        http_transfer_finish(transfer, code, 0);
        return false;
    }
    return true;
}

static enum http_trouble
trouble_of(struct http_transfer *transfer, CURLcode result)
{
    static const struct {
        CURLcode result;
        enum http_trouble trouble;
    } table[] = {
        {CURLE_COULDNT_RESOLVE_PROXY, HTTP_NO_CONNECTION},
        {CURLE_COULDNT_RESOLVE_HOST, HTTP_NO_CONNECTION},
        {CURLE_COULDNT_CONNECT, HTTP_NO_CONNECTION},
        {CURLE_PROXY, HTTP_NO_CONNECTION},
        {CURLE_SSL_CONNECT_ERROR, HTTP_NO_CONNECTION},
        {CURLE_PEER_FAILED_VERIFICATION, HTTP_TLS_FAILED},
        {CURLE_SSL_CERTPROBLEM, HTTP_TLS_FAILED},
        {CURLE_SSL_CACERT_BADFILE, HTTP_TLS_FAILED},
        {CURLE_SSL_CIPHER, HTTP_TLS_FAILED},
        {CURLE_SSL_ISSUER_ERROR, HTTP_TLS_FAILED},
        {CURLE_SEND_ERROR, HTTP_CONNECTION_LOST},
        {CURLE_RECV_ERROR, HTTP_CONNECTION_LOST},
        {CURLE_SEND_FAIL_REWIND, HTTP_CONNECTION_LOST},
        {CURLE_GOT_NOTHING, HTTP_CONNECTION_LOST},
        {CURLE_PARTIAL_FILE, HTTP_CONNECTION_LOST},
        {CURLE_HTTP2, HTTP_CONNECTION_LOST},
        {CURLE_HTTP2_STREAM, HTTP_CONNECTION_LOST},
    };
    if (transfer->is_too_large) {
        return HTTP_RESULT_TOO_LARGE;
    }
    if (result == CURLE_OPERATION_TIMEDOUT) {
        curl_off_t connected = 0;
        curl_easy_getinfo(transfer->easy, CURLINFO_PRETRANSFER_TIME_T,
                          &connected);
        return connected == 0 ? HTTP_CONNECT_TIMEOUT : HTTP_RESPONSE_TIMEOUT;
    }
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (table[i].result == result) {
            return table[i].trouble;
        }
    }
    return HTTP_FAILED;
}

static void
finish_without_status(struct http_transfer *transfer, CURLcode result)
{
    char text[CURL_ERROR_SIZE + 64];
    struct redial_plugin_outcome outcome = {.text = text};
    enum http_trouble trouble = trouble_of(transfer, result);
    outcome.code = http_trouble_code(transfer->config, trouble,
                                     &outcome.reason);
    const char *why = transfer->error[0] != '\0' ? transfer->error
                                                 : curl_easy_strerror(result);
    if (transfer->is_too_large) {
        snprintf(text, sizeof(text), "the response has more than %lld bytes",
                 (long long)transfer->config->response_bytes_max);
    } else {
        snprintf(text, sizeof(text), "%s", why);
    }
    complete(transfer, &outcome);
}

static void
finish_with_status(struct http_transfer *transfer, long status, int64_t now_ms)
{
    char text[EXCERPT_BYTES_MAX + 32] = "";
    char reason[HTTP_REASON_BYTES];
    struct redial_plugin_outcome outcome = {
        .text = text,
        .code = http_status_code(transfer->config, status, reason),
        .reason = transfer->reason[0] != '\0' ? transfer->reason : reason,
    };
    if (outcome.code == REDIAL_OK) {
        outcome.result = transfer->body.at;
        outcome.result_bytes = transfer->body.len;
        outcome.content_type = transfer->content_type;
        outcome.reason = "";
    } else {
        size_t len = transfer->body.len;
        len = len < EXCERPT_BYTES_MAX ? len : EXCERPT_BYTES_MAX; /* "codes" */
        int head = snprintf(text, sizeof(text), "HTTP %ld%s", status,
                            len > 0 ? ": " : "");
        if (head > 0 && len > 0) {
            memcpy(text + head, transfer->body.at, len);
            text[text_clean(text, (size_t)head + len)] = '\0';
        }
    }
    if ((status == HTTP_TOO_MANY_REQUESTS || status == HTTP_UNAVAILABLE) &&
        retry_after_read(transfer->retry_after, now_ms, &outcome.pushback_ms)) {
        outcome.flags |= REDIAL_PLUGIN_HAS_PUSHBACK;
        if (strcmp(transfer->config->retry_after_for, "target") == 0) {
            outcome.flags |= REDIAL_PLUGIN_FOR_TARGET;
        }
    }
    complete(transfer, &outcome);
}

void
http_transfer_finish(struct http_transfer *transfer, CURLcode result,
                     int64_t now_ms)
{
    long status = transfer->easy == NULL ? 0 : status_of(transfer);
    /* The rest of an error's body does not matter. */
    bool is_enough = result == CURLE_WRITE_ERROR && !transfer->is_too_large;
    if (status != 0 && (result == CURLE_OK || is_enough)) {
        finish_with_status(transfer, status, now_ms);
    } else {
        finish_without_status(transfer, result);
    }
}

void
http_transfer_stop(struct http_transfer *transfer, enum redial_plugin_stop why)
{
    struct redial_plugin_outcome outcome = {
        .code = REDIAL_CANCELLED,
        .reason = "CANCELLED",
        .text = "",
    };
    if (why == REDIAL_PLUGIN_STOP_TIMEOUT) {
        outcome.code = REDIAL_DEADLINE_EXCEEDED;
        outcome.reason = "ATTEMPT_TIMEOUT";
    }
    complete(transfer, &outcome);
}
