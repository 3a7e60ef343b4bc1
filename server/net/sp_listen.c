/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making listeners: addresses, permissions, certificates. See sp_impl.h.
 */
#include "proto/wire.h"
#include "server/net/sp_impl.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define PEM_BYTES_MAX       1048576L
#define CONNECTIONS_DEFAULT 10000u
#define IPC_MODE_DEFAULT    0600u
#define MODE_ALL            0777u

struct scheme {
    const char *prefix;
    enum sp_framing framing;
    bool is_path; /* makes a file */
    bool is_tls;
};

static const struct scheme schemes[] = {
    {"ipc://", SP_FRAMING_IPC, true, false},
    {"unix://", SP_FRAMING_IPC, true, false},
    {"abstract://", SP_FRAMING_IPC, false, false},
    {"tcp://", SP_FRAMING_STREAM, false, false},
    {"tcp4://", SP_FRAMING_STREAM, false, false},
    {"tcp6://", SP_FRAMING_STREAM, false, false},
    {"tls+tcp://", SP_FRAMING_STREAM, false, true},
    {"tls+tcp4://", SP_FRAMING_STREAM, false, true},
    {"tls+tcp6://", SP_FRAMING_STREAM, false, true},
};

static enum redial_status
fail(struct sp_server *server, enum redial_status status, const char *format,
     ...) __attribute__((format(printf, 3, 4)));

static enum redial_status
fail(struct sp_server *server, enum redial_status status, const char *format,
     ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(server->error, sizeof(server->error), format, arguments);
    va_end(arguments);
    return status;
}

static enum redial_status
fail_nng(struct sp_server *server, const char *what, int result)
{
    enum redial_status status = REDIAL_UNAVAILABLE;

    switch (result) {
    case NNG_EADDRINUSE:
        status = REDIAL_ALREADY_EXISTS;
        break;
    case NNG_EPERM:
        status = REDIAL_PERMISSION_DENIED;
        break;
    case NNG_EINVAL:
    case NNG_EADDRINVAL:
    case NNG_ENOTSUP:
    case NNG_ECRYPTO:
        status = REDIAL_INVALID_ARGUMENT;
        break;
    case NNG_ENOMEM:
    case NNG_ENOFILES:
        status = REDIAL_RESOURCE_EXHAUSTED;
        break;
    default:
        break;
    }
    return fail(server, status, "%s: %s", what, nng_strerror(result));
}

static const struct scheme *
scheme_of(const char *url)
{
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        size_t len = strlen(schemes[i].prefix);

        if (strncmp(url, schemes[i].prefix, len) == 0) {
            return &schemes[i];
        }
    }
    return NULL;
}

/* ---- TLS ---- */

/* The whole file, terminated; NULL: not readable, or too large. */
static char *
read_file(const char *path)
{
    FILE *file = fopen(path, "re");
    char *text = NULL;
    long size;

    if (file == NULL) {
        return NULL;
    }
    if (fseek(file, 0, SEEK_END) != 0 || (size = ftell(file)) < 0 ||
        size > PEM_BYTES_MAX || fseek(file, 0, SEEK_SET) != 0) {
        goto out;
    }
    text = malloc((size_t)size + 1);
    if (text == NULL) {
        goto out;
    }
    text[fread(text, 1, (size_t)size, file)] = '\0';
out:
    (void)fclose(file);
    return text;
}

static enum redial_status
load_certificate(struct sp_listener *listener,
                 const struct sp_listen_options *options)
{
    struct sp_server *server = listener->server;
    char *cert = read_file(options->tls_cert_file);
    char *key = read_file(options->tls_key_file);
    enum redial_status status = REDIAL_OK;
    int result;

    if (cert == NULL || key == NULL) {
        status = fail(server, REDIAL_INVALID_ARGUMENT, "cannot read %s",
                      cert == NULL ? options->tls_cert_file
                                   : options->tls_key_file);
        goto out;
    }
    result = nng_tls_config_own_cert(listener->tls, cert, key, NULL);
    if (result != 0) {
        status = fail_nng(server, options->tls_cert_file, result);
    }
out:
    if (key != NULL) {
        explicit_bzero(key, strlen(key));
    }
    free(key);
    free(cert);
    return status;
}

static enum redial_status
load_authority(struct sp_listener *listener, const char *path)
{
    struct sp_server *server = listener->server;
    char *chain = read_file(path);
    int result;

    if (chain == NULL) {
        return fail(server, REDIAL_INVALID_ARGUMENT, "cannot read %s", path);
    }
    result = nng_tls_config_ca_chain(listener->tls, chain, NULL);
    free(chain);
    if (result == 0) {
        result = nng_tls_config_auth_mode(listener->tls,
                                          NNG_TLS_AUTH_MODE_REQUIRED);
    }
    return result == 0 ? REDIAL_OK : fail_nng(server, path, result);
}

static enum redial_status
set_tls(struct sp_listener *listener, const struct sp_listen_options *options)
{
    struct sp_server *server = listener->server;
    enum redial_status status;
    int result;

    if (options->tls_cert_file == NULL || options->tls_key_file == NULL) {
        return fail(server, REDIAL_INVALID_ARGUMENT,
                    "%s needs a certificate and a key", listener->url);
    }
    result = nng_tls_config_alloc(&listener->tls, NNG_TLS_MODE_SERVER);
    if (result != 0) {
        return fail_nng(server, listener->url, result);
    }
    status = load_certificate(listener, options);
    if (status == REDIAL_OK && options->tls_ca_file != NULL) {
        status = load_authority(listener, options->tls_ca_file);
    }
    if (status != REDIAL_OK) {
        return status;
    }
    result = nng_stream_listener_set_ptr(listener->stream_listener,
                                         NNG_OPT_TLS_CONFIG, listener->tls);
    return result == 0 ? REDIAL_OK : fail_nng(server, listener->url, result);
}

/* ---- binding ---- */

/* The file never exists with more permissions than it shall have. */
static int
bind_path(struct sp_listener *listener, uint32_t mode)
{
    mode_t mask;
    int result;

    if (mode == 0) {
        mode = IPC_MODE_DEFAULT;
    }
    result = nng_stream_listener_set_int(listener->stream_listener,
                                         NNG_OPT_IPC_PERMISSIONS, (int)mode);
    if (result != 0) {
        return result;
    }
    mask = umask((mode_t)(MODE_ALL & ~mode));
    result = nng_stream_listener_listen(listener->stream_listener);
    (void)umask(mask);
    return result;
}

/* Replaces port 0 by the one that was found. */
static void
set_url(struct sp_listener *listener)
{
    char *port = strrchr(listener->url, ':');
    int bound;

    if (listener->framing == SP_FRAMING_STREAM && port != NULL &&
        nng_stream_listener_get_int(listener->stream_listener,
                                    NNG_OPT_TCP_BOUND_PORT, &bound) == 0) {
        size_t room = sizeof(listener->url) - (size_t)(port - listener->url);

        (void)snprintf(port, room, ":%d", bound);
    }
}

static enum redial_status
bind_listener(struct sp_listener *listener, const struct scheme *scheme,
              const struct sp_listen_options *options)
{
    int result;

    if (scheme->is_tls) {
        enum redial_status status = set_tls(listener, options);

        if (status != REDIAL_OK) {
            return status;
        }
    }
    if (scheme->is_path) {
        result = bind_path(listener, options->ipc_mode);
    } else {
        result = nng_stream_listener_listen(listener->stream_listener);
    }
    if (result != 0) {
        return fail_nng(listener->server, listener->url, result);
    }
    set_url(listener);
    return REDIAL_OK;
}

void
sp_listener_free(struct sp_listener *listener)
{
    if (listener == NULL) {
        return;
    }
    if (listener->stream_listener != NULL) {
        nng_stream_listener_close(listener->stream_listener);
    }
    if (listener->accept_aio != NULL) {
        nng_aio_stop(listener->accept_aio);
        nng_aio_free(listener->accept_aio);
    }
    if (listener->delay_aio != NULL) {
        nng_aio_stop(listener->delay_aio);
        nng_aio_free(listener->delay_aio);
    }
    if (listener->stream_listener != NULL) {
        nng_stream_listener_free(listener->stream_listener);
    }
    if (listener->tls != NULL) {
        nng_tls_config_free(listener->tls);
    }
    free(listener);
}

/* NULL: *ret_status says why. */
static struct sp_listener *
listener_alloc(struct sp_server *server, const char *url,
               enum redial_status *ret_status)
{
    struct sp_listener *listener = calloc(1, sizeof(*listener));
    int result;

    if (listener == NULL) {
        *ret_status = fail_nng(server, url, NNG_ENOMEM);
        return NULL;
    }
    listener->server = server;
    (void)snprintf(listener->url, sizeof(listener->url), "%s", url);
    result = nng_stream_listener_alloc(&listener->stream_listener, url);
    if (result == 0) {
        result = nng_aio_alloc(&listener->accept_aio, sp_accepted, listener);
    }
    if (result == 0) {
        result = nng_aio_alloc(&listener->delay_aio, sp_accept_delayed,
                               listener);
    }
    if (result != 0) {
        sp_listener_free(listener);
        *ret_status = fail_nng(server, url, result);
        return NULL;
    }
    return listener;
}

enum redial_status
sp_server_listen(struct sp_server *server, const char *url, enum sp_role role,
                 const struct sp_listen_options *options,
                 struct sp_listener **ret_listener)
{
    const struct scheme *scheme = scheme_of(url);
    struct sp_listener *listener;
    enum redial_status status;

    if (scheme == NULL || strlen(url) + sizeof(":65535") > SP_URL_BYTES_MAX) {
        return fail(server, REDIAL_INVALID_ARGUMENT,
                    "%.64s: not an address that can be listened at", url);
    }
    if (server->listener_count == SP_LISTENERS_MAX) {
        return fail(server, REDIAL_RESOURCE_EXHAUSTED,
                    "%s: %d listeners are the maximum", url, SP_LISTENERS_MAX);
    }
    listener = listener_alloc(server, url, &status);
    if (listener == NULL) {
        return status;
    }
    listener->role = role;
    listener->framing = scheme->framing;
    listener->is_tls = scheme->is_tls;
    listener->is_authenticated_at_accept = options->is_authenticated_at_accept;
    listener->accepts_per_s = options->accepts_per_s;
    listener->connections_max = options->connections_max > 0
                                    ? options->connections_max
                                    : CONNECTIONS_DEFAULT;
    if (scheme->framing == SP_FRAMING_STREAM) {
        /* A peer that was unplugged is found out some day. */
        (void)nng_stream_listener_set_bool(listener->stream_listener,
                                           NNG_OPT_TCP_KEEPALIVE, true);
    }
    status = bind_listener(listener, scheme, options);
    if (status != REDIAL_OK) {
        sp_listener_free(listener);
        return status;
    }
    (void)pthread_mutex_lock(&server->lock);
    server->listeners[server->listener_count++] = listener;
    sp_accept_next(listener);
    (void)pthread_mutex_unlock(&server->lock);
    if (ret_listener != NULL) {
        *ret_listener = listener;
    }
    return REDIAL_OK;
}

const char *
sp_server_error(const struct sp_server *server)
{
    return server->error;
}

const char *
sp_listener_url(const struct sp_listener *listener)
{
    return listener->url;
}
