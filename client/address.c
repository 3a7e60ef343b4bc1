/* SPDX-License-Identifier: Apache-2.0 */
#include "client/address.h"

#include "client/error.h"

#include <string.h>

static bool
is_separator(char c)
{
    return c == ',' || c == ' ' || c == '\t' || c == '\n';
}

static bool
has_prefix(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* The host of tls+tcp://host:port or tls+tcp://[host]:port. */
static void
copy_host(const char *url, char *ret_host, size_t size)
{
    const char *host = strstr(url, "://");
    size_t len;

    host = host != NULL ? host + 3 : url;
    if (host[0] == '[') {
        host++;
        len = strcspn(host, "]");
    } else {
        len = strcspn(host, ":/");
    }
    redial_i_copy_text(ret_host, size, host, len);
}

static enum redial_status
fail_tls(struct redial_error *error, const char *field, const char *value,
         int result)
{
    return redial_i_fail(error, REDIAL_INVALID_ARGUMENT, "", "%s: %s: %s",
                         field, value, nng_strerror(result));
}

static enum redial_status
make_tls(struct redial_i_address *address,
         const struct redial_connection *connection, struct redial_error *error)
{
    char host[REDIAL_I_URL_BYTES];
    const char *name = connection->tls_server_name;
    int result;

    if (connection->tls_ca_file == NULL) {
        return redial_i_fail(error, REDIAL_INVALID_ARGUMENT, "",
                             "connection.tls_ca_file: needed for %s",
                             address->url);
    }
    result = nng_tls_config_alloc(&address->tls, NNG_TLS_MODE_CLIENT);
    if (result != 0) {
        return fail_tls(error, "connection.addresses", address->url, result);
    }
    if (name == NULL) {
        copy_host(address->url, host, sizeof(host));
        name = host;
    }
    /* Without a name the certificate's would not be checked at all. */
    result = nng_tls_config_server_name(address->tls, name);
    if (result == 0) {
        result = nng_tls_config_auth_mode(address->tls,
                                          NNG_TLS_AUTH_MODE_REQUIRED);
    }
    if (result != 0) {
        return fail_tls(error, "connection.tls_server_name", name, result);
    }
    result = nng_tls_config_ca_file(address->tls, connection->tls_ca_file);
    if (result != 0) {
        return fail_tls(error, "connection.tls_ca_file",
                        connection->tls_ca_file, result);
    }
    if (connection->tls_cert_key_file == NULL) {
        return REDIAL_OK;
    }
    result = nng_tls_config_cert_key_file(address->tls,
                                          connection->tls_cert_key_file, NULL);
    return result == 0 ? REDIAL_OK
                       : fail_tls(error, "connection.tls_cert_key_file",
                                  connection->tls_cert_key_file, result);
}

static enum redial_status
check_url(const char *url, struct redial_error *error)
{
    static const char *const schemes[] = {"ipc://", "unix://", "abstract://",
                                          "tcp://", "tls+tcp://"};
    nng_url *parsed;
    int result;

    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        if (!has_prefix(url, schemes[i])) {
            continue;
        }
        result = nng_url_parse(&parsed, url);
        if (result != 0) {
            return redial_i_fail(error, REDIAL_INVALID_ARGUMENT, "",
                                 "connection.addresses: %s: %s", url,
                                 nng_strerror(result));
        }
        nng_url_free(parsed);
        return REDIAL_OK;
    }
    return redial_i_fail(error, REDIAL_INVALID_ARGUMENT, "",
                         "connection.addresses: %s: must begin with ipc://, "
                         "tcp:// or tls+tcp://",
                         url);
}

static enum redial_status
make_dialer(struct redial_i_address *address, struct redial_error *error)
{
    int result = nng_stream_dialer_alloc(&address->dialer, address->url);

    address->is_ipc = !has_prefix(address->url, "tcp://") &&
                      !has_prefix(address->url, "tls+tcp://");
    if (result == 0 && address->tls != NULL) {
        result = nng_stream_dialer_set_ptr(address->dialer, NNG_OPT_TLS_CONFIG,
                                           address->tls);
    }
    return result == 0 ? REDIAL_OK
                       : redial_i_fail(error, REDIAL_INVALID_ARGUMENT, "",
                                       "connection.addresses: %s: %s",
                                       address->url, nng_strerror(result));
}

static enum redial_status
add_address(struct redial_i_addresses *addresses,
            const struct redial_connection *connection, const char *at,
            size_t len, struct redial_error *error)
{
    struct redial_i_address *address = &addresses->items[addresses->count];
    enum redial_status status;

    if (addresses->count == REDIAL_I_ADDRESSES_MAX) {
        return redial_i_fail(error, REDIAL_INVALID_ARGUMENT, "",
                             "connection.addresses: more than %d",
                             REDIAL_I_ADDRESSES_MAX);
    }
    if (len >= sizeof(address->url)) {
        return redial_i_fail(error, REDIAL_INVALID_ARGUMENT, "",
                             "connection.addresses: one is longer than %zu "
                             "bytes",
                             sizeof(address->url) - 1);
    }
    memcpy(address->url, at, len);
    address->url[len] = '\0';
    addresses->count++;
    status = check_url(address->url, error);
    if (status == REDIAL_OK && has_prefix(address->url, "tls+tcp://")) {
        status = make_tls(address, connection, error);
    }
    return status == REDIAL_OK ? make_dialer(address, error) : status;
}

enum redial_status
redial_i_addresses_init(struct redial_i_addresses *addresses,
                        const struct redial_connection *connection,
                        struct redial_error *ret_error)
{
    const char *at = connection->addresses;

    memset(addresses, 0, sizeof(*addresses));
    while (at != NULL && *at != '\0') {
        size_t len = 0;

        while (at[len] != '\0' && !is_separator(at[len])) {
            len++;
        }
        if (len > 0) {
            enum redial_status status = add_address(addresses, connection, at,
                                                    len, ret_error);

            if (status != REDIAL_OK) {
                redial_i_addresses_fini(addresses);
                return status;
            }
        }
        at += at[len] == '\0' ? len : len + 1;
    }
    if (addresses->count == 0) {
        return redial_i_fail(ret_error, REDIAL_INVALID_ARGUMENT, "",
                             "connection.addresses: is missing");
    }
    return REDIAL_OK;
}

void
redial_i_addresses_fini(struct redial_i_addresses *addresses)
{
    for (size_t i = 0; i < addresses->count; i++) {
        if (addresses->items[i].dialer != NULL) {
            nng_stream_dialer_close(addresses->items[i].dialer);
            nng_stream_dialer_free(addresses->items[i].dialer);
        }
        if (addresses->items[i].tls != NULL) {
            nng_tls_config_free(addresses->items[i].tls);
        }
    }
    memset(addresses, 0, sizeof(*addresses));
}
