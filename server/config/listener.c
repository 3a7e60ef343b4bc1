/* SPDX-License-Identifier: Apache-2.0 */
#include "server/config/loader.h"
#include "server/config/report.h"
#include "server/config/value.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SOCKET_PATH_BYTES_MAX = 107, /* what fits into struct sockaddr_un */
    HOST_BYTES = 128,
    MODE_DEFAULT = 0600,
};

enum transport {
    TRANSPORT_IPC,
    TRANSPORT_TCP,
    TRANSPORT_TLS,
};

static const struct {
    const char *prefix;
    enum transport transport;
} schemes[] = {
    {"ipc://", TRANSPORT_IPC},
    {"tcp://", TRANSPORT_TCP},
    {"tls+tcp://", TRANSPORT_TLS},
};

/* The address behind the scheme, or NULL: no scheme of ours. */
static const char *
find_transport(const char *url, enum transport *ret_transport)
{
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        size_t len = strlen(schemes[i].prefix);

        if (strncmp(url, schemes[i].prefix, len) == 0) {
            *ret_transport = schemes[i].transport;
            return url + len;
        }
    }
    return NULL;
}

/* Splits "host:port" or "[host]:port". False: it is neither. */
static bool
split_address(const char *address, char host[HOST_BYTES])
{
    bool bracket = address[0] == '[';
    size_t len = strcspn(address + bracket, bracket ? "]" : ":/?#");
    const char *rest = address + bracket + len;
    char *end = NULL;

    if (bracket && *rest++ != ']') {
        return false;
    }
    if (len >= HOST_BYTES || rest[0] != ':' || rest[1] < '0' || rest[1] > '9') {
        return false;
    }
    unsigned long port = strtoul(rest + 1, &end, 10);

    (void)snprintf(host, HOST_BYTES, "%.*s", (int)len, address + bracket);
    return *end == '\0' && port <= 65535;
}

static bool
is_loopback(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;

    if (inet_pton(AF_INET, host, &v4) == 1) {
        return ntohl(v4.s_addr) >> 24 == 127;
    }
    if (inet_pton(AF_INET6, host, &v6) == 1) {
        return IN6_IS_ADDR_LOOPBACK(&v6);
    }
    return strcmp(host, "localhost") == 0;
}

/* False: reported. */
static bool
check_url(struct loader *loader, const struct spot *spot,
          const struct config_listener *listener, enum transport *ret_transport)
{
    char host[HOST_BYTES];
    enum transport transport = TRANSPORT_IPC;
    const char *address = find_transport(listener->url, &transport);

    if (address == NULL) {
        report_error(loader->report, spot,
                     "ipc:///path, tcp://host:port or tls+tcp://host:port");
        return false;
    }
    if (transport == TRANSPORT_IPC) {
        if (address[0] != '/' || strlen(address) > SOCKET_PATH_BYTES_MAX) {
            report_error(loader->report, spot,
                         "ipc:// and an absolute path of at most %d bytes",
                         SOCKET_PATH_BYTES_MAX);
            return false;
        }
    } else if (!split_address(address, host)) {
        report_error(loader->report, spot,
                     "host:port, [v6 address]:port or *:port behind the "
                     "scheme, with a port from 0 to 65535");
        return false;
    } else if (!is_loopback(host) && !listener->allow_remote) {
        report_error(loader->report, spot,
                     "ipc or a loopback address, unless \"allowRemote\": true "
                     "says that other machines may connect");
        return false;
    }
    *ret_transport = transport;
    return true;
}

static void
read_mode(struct loader *loader, const struct spot *spot,
          struct config_listener *listener, enum transport transport)
{
    const char *text = spot->node == NULL ? NULL : spot->node->valuestring;
    char *end = NULL;

    listener->mode = transport == TRANSPORT_IPC ? MODE_DEFAULT : 0;
    if (spot->node == NULL) {
        return;
    }
    if (transport != TRANSPORT_IPC) {
        report_error(loader->report, spot,
                     "nothing: only an ipc socket has "
                     "permissions");
        return;
    }
    if (text == NULL || strspn(text, "01234567") != strlen(text) ||
        strlen(text) < 3 || strlen(text) > 4 || strtoul(text, &end, 8) > 0777) {
        report_error(loader->report, spot,
                     "permissions in octal, from \"000\" to \"0777\"");
        return;
    }
    listener->mode = (uint32_t)strtoul(text, &end, 8);
    if ((listener->mode & 0007) != 0) {
        report_warning(loader->report, spot,
                       "every user of this machine may connect");
    }
}

/* A copy of a text field, or NULL. */
static const char *
copy_field(struct loader *loader, const struct spot *spot,
           const struct fields *fields, enum field field)
{
    const char *text = NULL;

    if (!field_text(loader->report, spot, fields, field, &text)) {
        return NULL;
    }
    return config_arena_text(loader->config->arena, text, strlen(text));
}

static void
read_tls(struct loader *loader, const struct spot *spot,
         struct config_listener *listener, enum transport transport)
{
    struct fields fields;

    if (transport != TRANSPORT_TLS) {
        if (spot->node != NULL) {
            report_error(loader->report, spot,
                         "nothing: only tls+tcp:// has certificates");
        }
        return;
    }
    if (spot->node == NULL) {
        report_error(loader->report, spot,
                     "an object with cert and key: tls+tcp:// needs it");
        return;
    }
    if (!object_read(loader->report, spot, OBJECT_TLS, &fields)) {
        return;
    }
    listener->tls_cert = copy_field(loader, spot, &fields, FIELD_TLS_CERT);
    listener->tls_key = copy_field(loader, spot, &fields, FIELD_TLS_KEY);
    listener->tls_ca = copy_field(loader, spot, &fields, FIELD_TLS_CA);
}

static void
read_listener(struct loader *loader, const struct spot *spot,
              struct config_listener *listener)
{
    struct config_report *report = loader->report;
    enum transport transport = TRANSPORT_IPC;
    struct fields fields;
    uint32_t role = CONFIG_ROLE_AGENT;

    if (!object_read(report, spot, OBJECT_LISTENER, &fields)) {
        return;
    }
    (void)field_bool(report, spot, &fields, FIELD_LISTENER_ALLOW_REMOTE,
                     &listener->allow_remote);
    bool has_role = field_word(report, spot, &fields, FIELD_LISTENER_ROLE,
                               &role);

    listener->role = (enum config_role)role;
    listener->url = copy_field(loader, spot, &fields, FIELD_LISTENER_URL);
    struct spot url = field_spot(spot, &fields, FIELD_LISTENER_URL);
    struct spot mode = field_spot(spot, &fields, FIELD_LISTENER_MODE);
    struct spot tls = field_spot(spot, &fields, FIELD_LISTENER_TLS);

    if (listener->url == NULL ||
        !check_url(loader, &url, listener, &transport)) {
        return;
    }
    read_mode(loader, &mode, listener, transport);
    read_tls(loader, &tls, listener, transport);
    if (has_role && listener->role == CONFIG_ROLE_ADMIN &&
        transport != TRANSPORT_IPC) {
        report_error(report, &url,
                     "ipc: the role admin takes no other in "
                     "this version");
    }
}

/* Whether the system chooses the port. */
static bool
is_any_port(const char *url)
{
    size_t len = strlen(url);

    return len > 2 && strcmp(url + len - 2, ":0") == 0;
}

/* A url may come once; with port 0 each gets its own port. */
static void
check_unique(struct loader *loader, const struct spot *array,
             const struct config_listener *listeners, size_t count)
{
    const cJSON *node = array->node->child;

    for (size_t i = 0; i < count; i++, node = node->next) {
        const char *url = listeners[i].url;

        if (url == NULL || is_any_port(url)) {
            continue;
        }
        for (size_t j = 0; j < i; j++) {
            if (listeners[j].url != NULL &&
                strcmp(url, listeners[j].url) == 0) {
                struct spot element = spot_element(array, i, node);
                struct spot again = spot_member(
                    &element, "url",
                    cJSON_GetObjectItemCaseSensitive(node, "url"));

                report_error(loader->report, &again,
                             "another address than listeners[%zu] has", j);
                break;
            }
        }
    }
}

static void
read_listeners(struct loader *loader, const struct layer *layer)
{
    struct config *config = loader->config;
    size_t count = field_array(loader->report, &layer->top, &layer->fields,
                               FIELD_ROOT_LISTENERS);
    struct config_listener *listeners = config_arena_array(config->arena, count,
                                                           sizeof(*listeners));
    struct spot array = field_spot(&layer->top, &layer->fields,
                                   FIELD_ROOT_LISTENERS);
    const cJSON *node;
    size_t index = 0;

    if (listeners == NULL) {
        return;
    }
    cJSON_ArrayForEach(node, array.node)
    {
        struct spot spot = spot_element(&array, index, node);

        read_listener(loader, &spot, &listeners[index++]);
    }
    check_unique(loader, &array, listeners, count);
    config->listeners = listeners;
    config->listener_count = count;
}

/* Three sockets in the runtime directory. */
static void
set_default_listeners(struct loader *loader)
{
    struct config *config = loader->config;
    enum { ROLES = 3 };
    struct config_listener *listeners = config_arena_array(config->arena, ROLES,
                                                           sizeof(*listeners));

    if (listeners == NULL) {
        return;
    }
    for (unsigned role = 0; role < ROLES; role++) {
        char url[HOST_BYTES];
        int len = snprintf(url, sizeof(url), "ipc://%s/%s.sock",
                           config->runtime_dir,
                           config_role_name((enum config_role)role));

        listeners[role] = (struct config_listener){
            .url = config_arena_text(config->arena, url, (size_t)len),
            .role = (enum config_role)role,
            .mode = MODE_DEFAULT,
        };
    }
    config->listeners = listeners;
    config->listener_count = ROLES;
}

void
loader_read_listeners(struct loader *loader)
{
    bool given = false;

    for (const struct layer *layer = loader->layers; layer != NULL;
         layer = layer->next) {
        if (layer->fields.at[FIELD_ROOT_LISTENERS] != NULL) {
            given = true;
            read_listeners(loader, layer);
        }
    }
    if (!given) {
        set_default_listeners(loader);
    }
}

const char *
config_role_name(enum config_role role)
{
    switch (role) {
    case CONFIG_ROLE_AGENT:
        return "agent";
    case CONFIG_ROLE_WORKER:
        return "worker";
    case CONFIG_ROLE_ADMIN:
        return "admin";
    }
    return "unknown";
}
