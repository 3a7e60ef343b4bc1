/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The addresses of struct redial_connection, checked and taken apart, with what
 * TLS needs for each.
 */
#ifndef REDIAL_CLIENT_ADDRESS_H
#define REDIAL_CLIENT_ADDRESS_H

#include <redial/client.h>

#include <nng/nng.h>
#include <nng/supplemental/tls/tls.h>

#define REDIAL_I_ADDRESSES_MAX 16

/* What nng takes; an ipc path is at most 107 bytes, a host name 255. */
#define REDIAL_I_URL_BYTES 300

struct redial_i_address {
    char url[REDIAL_I_URL_BYTES];
    bool is_ipc;
    nng_tls_config *tls; /* ours for as long as the address; or NULL */
    nng_stream_dialer *dialer;
};

struct redial_i_addresses {
    size_t count;
    struct redial_i_address items[REDIAL_I_ADDRESSES_MAX];
};

/* INVALID_ARGUMENT names the field. */
enum redial_status
redial_i_addresses_init(struct redial_i_addresses *addresses,
                        const struct redial_connection *connection,
                        struct redial_error *ret_error);

/* A zeroed one is fine. */
void
redial_i_addresses_fini(struct redial_i_addresses *addresses);

#endif /* REDIAL_CLIENT_ADDRESS_H */
